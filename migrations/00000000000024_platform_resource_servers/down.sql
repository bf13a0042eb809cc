DROP FUNCTION feed_head();
DROP POLICY feed_looks ON changes;
REVOKE SELECT (sequence) ON changes FROM grantor_feed;

DROP TRIGGER use_key ON resource_servers;
DROP FUNCTION use_key();
DROP TABLE resource_server_keys;

ALTER TABLE resource_servers NO FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_server_scopes NO FORCE ROW LEVEL SECURITY;
DROP POLICY platform_wide_of_the_platform ON resource_servers;
DROP POLICY everybody_reads_platform_wide ON resource_servers;
DROP POLICY everybody_reads_platform_wide ON resource_server_scopes;
-- Nothing in the schema before could say what these are. They are counted by a trigger.
ALTER TABLE tenant_usage NO FORCE ROW LEVEL SECURITY;
DELETE FROM resource_servers WHERE platform_wide;
ALTER TABLE tenant_usage FORCE ROW LEVEL SECURITY;
REVOKE UPDATE (identifier, name, verification, lifetime_cap_seconds, token_format, revision, updated_at)
    ON resource_servers FROM grantor_tenant, grantor_platform;
REVOKE UPDATE (description, needs_permission, deprecated) ON resource_server_scopes FROM grantor_tenant, grantor_platform;
GRANT UPDATE ON resource_servers, resource_server_scopes TO grantor_tenant, grantor_platform;
ALTER TABLE resource_server_scopes
    DROP CONSTRAINT resource_server_scopes_server,
    ADD FOREIGN KEY (tenant_id, resource_server_id) REFERENCES resource_servers (tenant_id, id) ON DELETE CASCADE,
    DROP COLUMN deprecated,
    DROP COLUMN needs_permission,
    DROP COLUMN platform_wide;
ALTER TABLE resource_servers
    DROP CONSTRAINT resource_servers_kinds,
    DROP CONSTRAINT resource_servers_verifiable,
    DROP CONSTRAINT resource_servers_kind,
    DROP COLUMN token_format,
    DROP COLUMN platform_wide;
ALTER TABLE resource_servers FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_server_scopes FORCE ROW LEVEL SECURITY;
