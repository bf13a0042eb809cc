CREATE TABLE clients (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    organization_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('own')),
    name text COLLATE "C" NOT NULL,
    description text NOT NULL,
    client_type text COLLATE "C" NOT NULL CHECK (client_type IN ('confidential')),
    profile text COLLATE "C" NOT NULL CHECK (profile IN ('service')),
    grant_types text[] NOT NULL,
    auth_method text COLLATE "C" NOT NULL CHECK (auth_method IN ('client_secret_basic', 'client_secret_post')),
    allowed_scopes text[] NOT NULL,
    require_requested_scopes boolean NOT NULL,
    access_token_seconds integer NOT NULL CHECK (access_token_seconds BETWEEN 60 AND 86400),
    owner_name text,
    owner_email text NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    secret_updated_at timestamptz,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id)
);

CREATE TABLE client_secrets (
    tenant_id uuid NOT NULL,
    client_id uuid NOT NULL,
    id uuid NOT NULL,
    hint text NOT NULL,
    verifier text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, client_id, id),
    FOREIGN KEY (tenant_id, client_id) REFERENCES clients (tenant_id, id) ON DELETE CASCADE
);

-- A role that a member or a client holds over an organization and what lies below it.
CREATE TABLE role_assignments (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    member_id uuid,
    client_id uuid,
    role text COLLATE "C" NOT NULL,
    organization_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, client_id) REFERENCES clients (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id),
    CHECK (num_nonnulls(member_id, client_id) = 1)
);
CREATE UNIQUE INDEX role_assignments_of_members ON role_assignments (tenant_id, member_id, organization_id, role) WHERE member_id IS NOT NULL;
CREATE UNIQUE INDEX role_assignments_of_clients ON role_assignments (tenant_id, client_id, organization_id, role) WHERE client_id IS NOT NULL;

-- What pauses, cuts or ended a client or a member; see tenant_suspensions for whole tenants. A row is never
-- removed: the mark of a deletion must outlive the subject, for its tokens are dead through it.
CREATE TABLE suspensions (
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    paused_by_tenant_at timestamptz,
    paused_by_tenant_reason text,
    paused_by_operator_at timestamptz,
    paused_by_operator_reason text,
    deleted_at timestamptz,
    cut_below bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, subject_id)
);

ALTER TABLE clients ENABLE ROW LEVEL SECURITY;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
ALTER TABLE client_secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_secrets FORCE ROW LEVEL SECURITY;
ALTER TABLE role_assignments ENABLE ROW LEVEL SECURITY;
ALTER TABLE role_assignments FORCE ROW LEVEL SECURITY;
ALTER TABLE suspensions ENABLE ROW LEVEL SECURITY;
ALTER TABLE suspensions FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT, UPDATE, DELETE ON clients, client_secrets, role_assignments TO grantor_tenant, grantor_platform;
GRANT SELECT, INSERT, UPDATE ON suspensions TO grantor_platform;
-- A tenant can't touch the pause of an operator. What cuts off is written by the trigger of the change feed.
GRANT SELECT,
    INSERT (tenant_id, subject_id, paused_by_tenant_at, paused_by_tenant_reason, deleted_at),
    UPDATE (paused_by_tenant_at, paused_by_tenant_reason, deleted_at, cut_below)
    ON suspensions TO grantor_tenant;
GRANT SELECT ON suspensions TO grantor_fast;
CREATE POLICY own ON clients FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY own ON client_secrets FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY own ON role_assignments FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY own ON suspensions FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON suspensions FOR SELECT TO grantor_fast USING (true);
