-- By which members sign in is written by the servers: what a small letter is differs from database to database, and
-- the servers know all of them, where `lower` of this collation knows those from a to z.
ALTER TABLE members ALTER COLUMN email_key DROP EXPRESSION;

-- Servers of the release before know neither home nor key.
CREATE OR REPLACE FUNCTION give_home() RETURNS trigger
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
BEGIN
    IF NEW.organization_id IS NULL THEN
        NEW.organization_id := (SELECT root_organization_id FROM tenants WHERE id = NEW.tenant_id);
    END IF;
    IF NEW.email_key IS NULL THEN
        NEW.email_key := lower(NEW.email);
    END IF;
    RETURN NEW;
END
$$;
