-- What a tenant sets for itself, and how a deleted tenant's rows leave.

-- A tenant without a row has the defaults.
CREATE TABLE tenant_settings (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    default_access_token_seconds integer NOT NULL CHECK (default_access_token_seconds BETWEEN 60 AND 86400),
    invitation_seconds integer NOT NULL CHECK (invitation_seconds BETWEEN 3600 AND 2592000),
    password_reset_seconds integer NOT NULL CHECK (password_reset_seconds BETWEEN 300 AND 86400),
    password_min_length integer NOT NULL CHECK (password_min_length BETWEEN 8 AND 64),
    credential_page text,
    support_name text,
    support_email text,
    revision bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL,
    CHECK (support_name IS NULL OR support_email IS NOT NULL)
);
ALTER TABLE tenant_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_settings FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON tenant_settings TO grantor_tenant;
GRANT SELECT ON tenant_settings TO grantor_platform;
CREATE POLICY own ON tenant_settings FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY own_for_operators ON tenant_settings FOR SELECT TO grantor_platform
    USING (tenant_id = grantor.current_tenant());

-- Tenants by name, for a list that is sorted by it or looked through for how names begin.
CREATE INDEX tenants_by_name ON tenants (name, id);
