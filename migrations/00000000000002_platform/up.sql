-- One row: what the whole installation shares.
CREATE TABLE installation (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    -- Stored with every token; renewed after a restore from a backup, which kills all that was issued before.
    epoch bigint NOT NULL,
    -- A known value sealed under the master key: a server with another key notices at its start.
    master_key_check bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE tenants (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    issuer text COLLATE "C" NOT NULL UNIQUE,
    is_platform boolean NOT NULL,
    root_organization_id uuid NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX tenants_one_platform ON tenants (is_platform) WHERE is_platform;

CREATE TABLE tenant_suspensions (
    tenant_id uuid PRIMARY KEY,
    paused_by_operator_at timestamptz,
    paused_by_operator_reason text,
    deleted_at timestamptz,
    cut_below bigint NOT NULL DEFAULT 0
);

ALTER TABLE installation ENABLE ROW LEVEL SECURITY;
ALTER TABLE installation FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_suspensions ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_suspensions FORCE ROW LEVEL SECURITY;

GRANT SELECT ON installation TO grantor_tenant, grantor_fast;
GRANT SELECT, INSERT, UPDATE ON installation TO grantor_platform;
CREATE POLICY everybody_reads ON installation FOR SELECT TO grantor_tenant, grantor_fast, grantor_platform USING (true);
CREATE POLICY platform_inserts ON installation FOR INSERT TO grantor_platform WITH CHECK (true);
CREATE POLICY platform_updates ON installation FOR UPDATE TO grantor_platform USING (true);

GRANT SELECT ON tenants TO grantor_tenant;
-- What hangs on a tenant raises its revision, in transactions of the tenant as well.
GRANT UPDATE (revision, updated_at) ON tenants TO grantor_tenant;
GRANT SELECT, INSERT, UPDATE ON tenants TO grantor_platform;
CREATE POLICY own ON tenants FOR ALL TO grantor_tenant USING (id = grantor.current_tenant());
CREATE POLICY platform ON tenants FOR ALL TO grantor_platform USING (true);

GRANT SELECT ON tenant_suspensions TO grantor_tenant, grantor_fast;
GRANT SELECT, INSERT, UPDATE ON tenant_suspensions TO grantor_platform;
CREATE POLICY own ON tenant_suspensions FOR SELECT TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON tenant_suspensions FOR SELECT TO grantor_fast USING (true);
CREATE POLICY platform ON tenant_suspensions FOR ALL TO grantor_platform USING (true);
