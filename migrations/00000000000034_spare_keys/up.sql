-- RS256, whose keys take tenths of a second to make: so they lie ready, a few for the whole installation.
ALTER TABLE resource_servers
    DROP CONSTRAINT resource_servers_signing_algorithm_check,
    ADD CONSTRAINT resource_servers_signing_algorithm_check CHECK (signing_algorithm IN ('ES256', 'EdDSA', 'RS256'));
ALTER TABLE signing_keys
    DROP CONSTRAINT signing_keys_algorithm_check,
    ADD CONSTRAINT signing_keys_algorithm_check CHECK (algorithm IN ('ES256', 'EdDSA', 'RS256'));

-- Private keys that nobody signs with yet, sealed under the master key. They are of no tenant.
CREATE TABLE spare_keys (
    id uuid PRIMARY KEY,
    algorithm text COLLATE "C" NOT NULL CHECK (algorithm IN ('RS256')),
    sealed_private_key bytea NOT NULL,
    created_at timestamptz NOT NULL
);
ALTER TABLE spare_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE spare_keys FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE, UPDATE (sealed_private_key) ON spare_keys TO grantor_platform;
CREATE POLICY platform ON spare_keys FOR ALL TO grantor_platform USING (true);
-- A tenant takes one for itself, in the transaction that makes it a key of its own. Who takes a row locks it, and the
-- right to lock comes with the right to update; but no update passes its check.
GRANT SELECT, DELETE, UPDATE (algorithm) ON spare_keys TO grantor_tenant;
CREATE POLICY look ON spare_keys FOR SELECT TO grantor_tenant USING (true);
CREATE POLICY take ON spare_keys FOR DELETE TO grantor_tenant USING (true);
CREATE POLICY lock ON spare_keys FOR UPDATE TO grantor_tenant USING (true) WITH CHECK (false);

-- Whose keys are due for their next is asked for all tenants at once. The newest key of an algorithm is the one of which
-- nothing says until when it is published.
CREATE INDEX signing_keys_due ON signing_keys (created_at) WHERE published_until IS NULL;
GRANT SELECT (tenant_id, created_at, published_until) ON signing_keys TO grantor_platform;
CREATE POLICY platform_looks ON signing_keys FOR SELECT TO grantor_platform USING (true);
