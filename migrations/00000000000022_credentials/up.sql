-- How members prove who they are, apart from the members: nothing that reads a member comes across a verifier.
CREATE TABLE authenticators (
    tenant_id uuid NOT NULL,
    member_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('password')),
    -- A slow hash that says by itself how it was made.
    verifier text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, member_id, kind),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE authenticators ENABLE ROW LEVEL SECURITY;
ALTER TABLE authenticators FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (verifier, updated_at), DELETE ON authenticators TO grantor_tenant, grantor_platform;
CREATE POLICY own ON authenticators FOR ALL TO grantor_tenant, grantor_platform
    USING (tenant_id = grantor.current_tenant());

-- Links by which a member sets a password, once. The id is a UUIDv7 whose time is the link's expiry.
CREATE TABLE credential_links (
    tenant_id uuid NOT NULL,
    member_id uuid NOT NULL,
    id uuid NOT NULL,
    purpose text COLLATE "C" NOT NULL CHECK (purpose IN ('invitation', 'password_reset')),
    -- Of the whole token, which holds 256 random bits.
    token_hash bytea NOT NULL,
    -- By which the member signed in when it was made: under another address it is good for nothing. It goes when the
    -- link does, so that no address outlives its member here.
    address text COLLATE "C" NOT NULL,
    used_at timestamptz,
    revoked_at timestamptz,
    -- Whether somebody else than the member has seen it.
    shown boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, member_id, id)
) PARTITION BY RANGE (id);
-- The longest that a link may live is 30 days.
INSERT INTO parted_tables (name, span, ahead) VALUES ('credential_links', '5 days', '37 days');
ALTER TABLE credential_links ENABLE ROW LEVEL SECURITY;
ALTER TABLE credential_links FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE (address, used_at, revoked_at, shown) ON credential_links TO grantor_tenant, grantor_platform;
CREATE POLICY own ON credential_links FOR ALL TO grantor_tenant, grantor_platform
    USING (tenant_id = grantor.current_tenant());
