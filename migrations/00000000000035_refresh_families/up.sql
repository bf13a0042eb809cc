-- token_4: all the refresh tokens that one authorization leads to are one row. The id is a UUIDv7 whose time is when all
-- of it is over: rotation does not prolong it. Of the tokens themselves nothing is kept, for they are derived.
CREATE TABLE refresh_families (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    client_id uuid NOT NULL,
    member_id uuid NOT NULL,
    scopes text[] NOT NULL,
    -- The token of this one is to be presented next; it was made at that time.
    generation bigint NOT NULL CHECK (generation BETWEEN 1 AND 4294967295),
    rotated_at timestamptz NOT NULL,
    -- For how long a token may lie unused.
    idle_seconds integer CHECK (idle_seconds > 0),
    -- What the decision to begin it rested on.
    epoch bigint NOT NULL,
    decided_at bigint NOT NULL,
    created_at timestamptz NOT NULL,
    ended_at timestamptz,
    ended_why text COLLATE "C" CHECK (ended_why IN ('replayed', 'revoked')),
    CHECK ((ended_at IS NULL) = (ended_why IS NULL)),
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
-- The longest that refresh tokens live is a year.
INSERT INTO parted_tables (name, span, ahead) VALUES ('refresh_families', '30 days', '372 days');
ALTER TABLE refresh_families ENABLE ROW LEVEL SECURITY;
ALTER TABLE refresh_families FORCE ROW LEVEL SECURITY;
GRANT SELECT ON refresh_families TO grantor_tenant;
GRANT SELECT, INSERT, UPDATE (generation, rotated_at, ended_at, ended_why) ON refresh_families TO grantor_fast;
CREATE POLICY own ON refresh_families FOR SELECT TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON refresh_families FOR ALL TO grantor_fast USING (true);

-- The access tokens that came of a family end with it.
ALTER TABLE access_tokens ADD COLUMN family_id uuid;
