CREATE TABLE organizations (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    parent_id uuid,
    name text COLLATE "C" NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, parent_id) REFERENCES organizations (tenant_id, id)
);
CREATE UNIQUE INDEX organizations_one_root ON organizations (tenant_id) WHERE parent_id IS NULL;

CREATE TABLE members (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    email text COLLATE "C" NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);

ALTER TABLE organizations ENABLE ROW LEVEL SECURITY;
ALTER TABLE organizations FORCE ROW LEVEL SECURITY;
ALTER TABLE members ENABLE ROW LEVEL SECURITY;
ALTER TABLE members FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE ON organizations, members TO grantor_tenant, grantor_platform;
CREATE POLICY own ON organizations FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY own ON members FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
