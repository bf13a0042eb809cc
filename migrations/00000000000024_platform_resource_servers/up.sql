-- Platform-wide resource servers, the same for every tenant, and what a scope may ask for. They stand beside the
-- private ones, as rows of the platform tenant: so keys, introspectors, events and the feed need no second kind.

-- Filling in reads rows, and forced row-level security holds the owner too.
ALTER TABLE resource_servers NO FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_server_scopes NO FORCE ROW LEVEL SECURITY;

-- Keys of private ones have a dot and those of platform-wide ones none.
ALTER TABLE resource_servers
    ADD COLUMN platform_wide boolean NOT NULL DEFAULT false,
    ADD COLUMN token_format text COLLATE "C" NOT NULL DEFAULT 'jwt' CHECK (token_format IN ('jwt', 'opaque')),
    ADD CONSTRAINT resource_servers_kind CHECK (platform_wide = (strpos(key, '.') = 0)),
    -- Whoever only verifies signatures can do nothing with a token that has none.
    ADD CONSTRAINT resource_servers_verifiable CHECK (NOT (verification = 'signature' AND token_format = 'opaque')),
    ADD CONSTRAINT resource_servers_kinds UNIQUE (tenant_id, id, platform_wide);

-- A scope is as wide as its resource server: the key sees to it, so that a policy can tell by the row alone.
ALTER TABLE resource_server_scopes
    ADD COLUMN platform_wide boolean NOT NULL DEFAULT false,
    ADD COLUMN needs_permission text COLLATE "C",
    ADD COLUMN deprecated boolean NOT NULL DEFAULT false,
    DROP CONSTRAINT resource_server_scopes_tenant_id_resource_server_id_fkey,
    ADD CONSTRAINT resource_server_scopes_server FOREIGN KEY (tenant_id, resource_server_id, platform_wide)
        REFERENCES resource_servers (tenant_id, id, platform_wide) ON DELETE CASCADE;

-- For whoever reads the platform-wide ones of another tenant, and knows no more of it than that.
CREATE INDEX resource_servers_platform_wide ON resource_servers (tenant_id, id) WHERE platform_wide;
CREATE INDEX resource_server_scopes_platform_wide ON resource_server_scopes (tenant_id, resource_server_id)
    WHERE platform_wide;
CREATE POLICY everybody_reads_platform_wide ON resource_servers FOR SELECT TO grantor_tenant, grantor_platform
    USING (platform_wide);
CREATE POLICY everybody_reads_platform_wide ON resource_server_scopes FOR SELECT TO grantor_tenant, grantor_platform
    USING (platform_wide);
-- What all tenants see is written in the platform tenant alone. A scope's key to its server does the rest.
CREATE POLICY platform_wide_of_the_platform ON resource_servers AS RESTRICTIVE FOR INSERT
    TO grantor_tenant, grantor_platform
    WITH CHECK (NOT platform_wide
        OR EXISTS (SELECT FROM tenants WHERE tenants.id = resource_servers.tenant_id AND tenants.is_platform));
-- What it is cannot be changed later.
REVOKE UPDATE ON resource_servers, resource_server_scopes FROM grantor_tenant, grantor_platform;
GRANT UPDATE (identifier, name, verification, lifetime_cap_seconds, token_format, revision, updated_at)
    ON resource_servers TO grantor_tenant, grantor_platform;
GRANT UPDATE (description, needs_permission, deprecated) ON resource_server_scopes TO grantor_tenant, grantor_platform;

-- Each key that was ever used: tokens and clients name the scopes of a deleted resource server on, so none
-- gets its key. A trigger keeps them, so that servers of the release before do it too.
CREATE TABLE resource_server_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    key text COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, key)
);
INSERT INTO resource_server_keys SELECT tenant_id, key FROM resource_servers;
ALTER TABLE resource_server_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_server_keys FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON resource_server_keys TO grantor_tenant, grantor_platform;
CREATE POLICY own ON resource_server_keys FOR ALL TO grantor_tenant, grantor_platform
    USING (tenant_id = grantor.current_tenant());
SELECT let_purge('resource_server_keys');
CREATE FUNCTION use_key() RETURNS trigger
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
BEGIN
    INSERT INTO resource_server_keys (tenant_id, key) VALUES (NEW.tenant_id, NEW.key);
    RETURN NULL;
END
$$;
CREATE TRIGGER use_key AFTER INSERT ON resource_servers FOR EACH ROW EXECUTE FUNCTION use_key();

-- The number of the newest change of all tenants. A token may rest on what the platform tenant changes, whose
-- rows a tenant does not read; the number alone tells nothing of them.
GRANT SELECT (sequence) ON changes TO grantor_feed;
CREATE POLICY feed_looks ON changes FOR SELECT TO grantor_feed USING (true);
-- In PL/pgSQL for its plan, which is kept: planning a look into the partitions takes longer than the look.
CREATE FUNCTION feed_head() RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = grantor, pg_temp
AS $$
BEGIN
    RETURN (SELECT sequence FROM changes ORDER BY sequence DESC LIMIT 1);
END
$$;
REVOKE ALL ON FUNCTION feed_head() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION feed_head() TO grantor_tenant;
GRANT CREATE ON SCHEMA grantor TO grantor_feed;
ALTER FUNCTION feed_head() OWNER TO grantor_feed;
REVOKE CREATE ON SCHEMA grantor FROM grantor_feed;

ALTER TABLE resource_servers FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_server_scopes FORCE ROW LEVEL SECURITY;
