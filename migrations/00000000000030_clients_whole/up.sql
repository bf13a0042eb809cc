-- Clients of every kind: all that can be set of them, whose they are, by what they are found, and how their secrets
-- come and go.

-- Filling in columns reads rows, and forced row-level security holds the owner too.
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
ALTER TABLE members NO FORCE ROW LEVEL SECURITY;
ALTER TABLE clients NO FORCE ROW LEVEL SECURITY;
ALTER TABLE suspensions NO FORCE ROW LEVEL SECURITY;

ALTER TABLE clients
    DROP CONSTRAINT clients_client_type_check,
    DROP CONSTRAINT clients_profile_check,
    DROP CONSTRAINT clients_auth_method_check,
    ADD CONSTRAINT clients_client_type_check CHECK (client_type IN ('confidential', 'public')),
    ADD CONSTRAINT clients_profile_check CHECK (profile IN ('web', 'spa', 'native', 'service')),
    ADD CONSTRAINT clients_auth_method_check CHECK (auth_method IN ('client_secret_basic', 'client_secret_post', 'none')),
    ADD COLUMN homepage text,
    ADD COLUMN logo text,
    ADD COLUMN redirect_uris text[] NOT NULL DEFAULT '{}',
    ADD COLUMN post_logout_redirect_uris text[] NOT NULL DEFAULT '{}',
    -- For whoever may ask for refresh tokens, and nobody else.
    ADD COLUMN refresh_token_seconds integer CHECK (refresh_token_seconds BETWEEN 3600 AND 31536000),
    ADD COLUMN require_pkce boolean NOT NULL DEFAULT true,
    -- None: from any address.
    ADD COLUMN allowed_ips text[] NOT NULL DEFAULT '{}',
    ADD COLUMN owner_id uuid,
    -- What the suspensions say, kept beside the name so that a list can be narrowed by it.
    ADD COLUMN status text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled'));
-- client_4, client_5: in the table too, whatever writes it.
ALTER TABLE clients
    ADD CONSTRAINT clients_public CHECK (client_type = 'confidential'
        OR (require_pkce AND auth_method = 'none' AND NOT 'client_credentials' = ANY (grant_types))),
    ADD CONSTRAINT clients_proved CHECK (client_type = 'public' OR auth_method <> 'none'),
    ADD CONSTRAINT clients_refresh CHECK ((refresh_token_seconds IS NOT NULL) = ('refresh_token' = ANY (grant_types)));

UPDATE clients SET owner_id = tenants.root_owner_id FROM tenants WHERE tenants.id = clients.tenant_id;
UPDATE clients SET status = 'disabled' FROM suspensions AS paused
WHERE paused.tenant_id = clients.tenant_id AND paused.subject_id = clients.id
    AND (paused.paused_by_tenant_at IS NOT NULL OR paused.paused_by_operator_at IS NOT NULL);
ALTER TABLE clients ADD CONSTRAINT clients_owner FOREIGN KEY (tenant_id, owner_id) REFERENCES members (tenant_id, id);

-- A list goes by the index that begins with what it is narrowed by, and goes on in its order.
CREATE INDEX clients_by_status ON clients (tenant_id, status, id);
CREATE INDEX clients_by_status_and_name ON clients (tenant_id, status, name, id);
CREATE INDEX clients_by_type ON clients (tenant_id, client_type, id);
CREATE INDEX clients_by_type_and_name ON clients (tenant_id, client_type, name, id);
CREATE INDEX clients_by_owner ON clients (tenant_id, owner_id, id);
CREATE INDEX clients_by_owner_and_name ON clients (tenant_id, owner_id, name, id);
DROP INDEX clients_by_organization;
CREATE INDEX clients_by_organization ON clients (tenant_id, organization_id, status, id);
CREATE INDEX clients_by_organization_and_name ON clients (tenant_id, organization_id, status, name, id);

-- The words by which clients are found: of their names, contacts, homepages and descriptions.
CREATE TABLE client_words (
    tenant_id uuid NOT NULL,
    word text COLLATE "C" NOT NULL,
    client_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, client_id, word),
    FOREIGN KEY (tenant_id, client_id) REFERENCES clients (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX client_words_by_word ON client_words (tenant_id, word, client_id);
-- The columns compare by bytes. What is a letter, and which is the small one, a collation of Unicode knows, where there is one.
DO $$
DECLARE
    unicode text := coalesce(
        (SELECT format('%I.%I', collnamespace::regnamespace, collname) FROM pg_collation WHERE collname = 'und-x-icu' LIMIT 1),
        '"default"');
BEGIN
    EXECUTE format($fill$
        INSERT INTO client_words (tenant_id, word, client_id)
        SELECT DISTINCT tenant_id, left(word, 64) COLLATE "C", id
        FROM clients, regexp_split_to_table(
            lower(concat_ws(' ', name, owner_name, owner_email, description) COLLATE %1$s), '[^[:alnum:]]+' COLLATE %1$s) AS word
        WHERE word <> ''
    $fill$, unicode);
END
$$;
ALTER TABLE client_words ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_words FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE ON client_words TO grantor_tenant, grantor_platform;
CREATE POLICY own ON client_words FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
SELECT let_purge('client_words');

-- client_12: where a client acts, when that is not its own organization alone.
CREATE TABLE client_enablements (
    tenant_id uuid NOT NULL,
    client_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, client_id, organization_id),
    FOREIGN KEY (tenant_id, client_id) REFERENCES clients (tenant_id, id) ON DELETE CASCADE,
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id)
);
CREATE INDEX client_enablements_by_organization ON client_enablements (tenant_id, organization_id, client_id);
ALTER TABLE client_enablements ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_enablements FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE ON client_enablements TO grantor_tenant, grantor_platform;
CREATE POLICY own ON client_enablements FOR ALL TO grantor_tenant, grantor_platform
    USING (tenant_id = grantor.current_tenant());
SELECT let_purge('client_enablements');

-- Secrets: made by us or chosen by somebody, by whom, and whether they ought to be replaced.
ALTER TABLE client_secrets
    ADD COLUMN kind text COLLATE "C" NOT NULL DEFAULT 'generated' CHECK (kind IN ('generated', 'chosen')),
    -- The member who made it, and so has seen it.
    ADD COLUMN created_by_member uuid,
    ADD COLUMN due_since timestamptz,
    ADD COLUMN due_why text COLLATE "C" CHECK (due_why IN ('exposed', 'precaution')),
    ADD COLUMN due_cause text COLLATE "C",
    ADD COLUMN due_former_owner uuid,
    ADD CONSTRAINT client_secrets_due CHECK (
        num_nonnulls(due_since, due_why, due_cause, due_former_owner) IN (0, 4));
CREATE INDEX client_secrets_by_creator ON client_secrets (tenant_id, created_by_member, client_id, id)
    WHERE created_by_member IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX client_secrets_due ON client_secrets (tenant_id, client_id, id)
    WHERE due_since IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX client_secrets_unrevoked ON client_secrets (tenant_id, client_id, id) WHERE revoked_at IS NULL;

-- owner_3: since when the secrets of an organization's clients ought to be replaced as a precaution. It holds for all
-- that were made before, so that one row says it of however many.
CREATE TABLE rotation_marks (
    tenant_id uuid NOT NULL,
    organization_id uuid NOT NULL,
    marked_at timestamptz NOT NULL,
    cause text COLLATE "C" NOT NULL,
    former_owner uuid NOT NULL,
    PRIMARY KEY (tenant_id, organization_id),
    FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id) ON DELETE CASCADE
);
ALTER TABLE rotation_marks ENABLE ROW LEVEL SECURITY;
ALTER TABLE rotation_marks FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON rotation_marks TO grantor_tenant, grantor_platform;
CREATE POLICY own ON rotation_marks FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
SELECT let_purge('rotation_marks');

-- When a client or a secret was last used. It is written now and then, and no decision rests on it.
CREATE TABLE last_uses (
    tenant_id uuid NOT NULL,
    subject_id uuid NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, subject_id)
);
ALTER TABLE last_uses ENABLE ROW LEVEL SECURITY;
ALTER TABLE last_uses FORCE ROW LEVEL SECURITY;
GRANT SELECT, DELETE ON last_uses TO grantor_tenant, grantor_platform;
GRANT SELECT, INSERT, UPDATE ON last_uses TO grantor_fast;
CREATE POLICY own ON last_uses FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON last_uses FOR ALL TO grantor_fast USING (true);
SELECT let_purge('last_uses');

-- client_8: a member's own live tokens of a client.
CREATE INDEX access_tokens_of_members ON access_tokens (tenant_id, member_id, client_id, id) WHERE member_id IS NOT NULL;

-- client_13: who calls the management API does it from where their client may.
GRANT SELECT (allowed_ips) ON clients TO grantor_fast;

-- secret_4: a tenant can forbid secrets of one's own choice.
ALTER TABLE tenant_settings ADD COLUMN allow_chosen_secrets boolean NOT NULL DEFAULT true;

ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE members FORCE ROW LEVEL SECURITY;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
ALTER TABLE suspensions FORCE ROW LEVEL SECURITY;
