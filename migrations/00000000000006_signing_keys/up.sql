CREATE TABLE signing_keys (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    kid text COLLATE "C" NOT NULL,
    -- What the sealed value is bound to, besides its tenant.
    id uuid NOT NULL,
    algorithm text COLLATE "C" NOT NULL CHECK (algorithm IN ('ES256')),
    -- Counts up; two replicas that make the next key at once meet here.
    generation integer NOT NULL,
    public_jwk jsonb NOT NULL,
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL,
    -- It is published as soon as it exists, and signs from here on.
    signs_from timestamptz NOT NULL,
    -- After this it is not published any more; NULL while no successor is made.
    published_until timestamptz,
    PRIMARY KEY (tenant_id, kid)
);
CREATE UNIQUE INDEX signing_keys_generation ON signing_keys (tenant_id, algorithm, generation);

ALTER TABLE signing_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE signing_keys FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON signing_keys TO grantor_tenant;
CREATE POLICY own ON signing_keys FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
