-- A link by which a member sets a password is good in the epoch that it was made in: behind a restore from a backup,
-- which may hold links that were used since, none of before is.
CREATE FUNCTION current_epoch() RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT epoch FROM installation);

-- Those that there are, and those that servers of the release before make, are of the epoch of their time. Forced row-level
-- security holds the owner too.
ALTER TABLE installation NO FORCE ROW LEVEL SECURITY;
ALTER TABLE credential_links ADD COLUMN epoch bigint NOT NULL DEFAULT current_epoch();
ALTER TABLE installation FORCE ROW LEVEL SECURITY;
