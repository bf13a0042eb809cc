CREATE TABLE resource_servers (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    identifier text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    verification text COLLATE "C" NOT NULL CHECK (verification IN ('introspection', 'signature')),
    lifetime_cap_seconds integer CHECK (lifetime_cap_seconds BETWEEN 60 AND 86400),
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX resource_servers_key ON resource_servers (tenant_id, key);
CREATE UNIQUE INDEX resource_servers_identifier ON resource_servers (tenant_id, identifier);

CREATE TABLE resource_server_scopes (
    tenant_id uuid NOT NULL,
    resource_server_id uuid NOT NULL,
    scope text COLLATE "C" NOT NULL,
    description text NOT NULL,
    PRIMARY KEY (tenant_id, resource_server_id, scope),
    FOREIGN KEY (tenant_id, resource_server_id) REFERENCES resource_servers (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE resource_server_introspectors (
    tenant_id uuid NOT NULL,
    resource_server_id uuid NOT NULL,
    client_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, resource_server_id, client_id),
    FOREIGN KEY (tenant_id, resource_server_id) REFERENCES resource_servers (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, client_id) REFERENCES clients (tenant_id, id) ON DELETE CASCADE
);
-- Deleting a client looks here for what names it.
CREATE INDEX resource_server_introspectors_by_client ON resource_server_introspectors (tenant_id, client_id);

ALTER TABLE resource_servers ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_servers FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_server_scopes ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_server_scopes FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_server_introspectors ENABLE ROW LEVEL SECURITY;
ALTER TABLE resource_server_introspectors FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE, DELETE ON resource_servers, resource_server_scopes, resource_server_introspectors TO grantor_tenant, grantor_platform;
CREATE POLICY own ON resource_servers FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY own ON resource_server_scopes FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY own ON resource_server_introspectors FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
