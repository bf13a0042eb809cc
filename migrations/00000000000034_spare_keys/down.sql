DROP POLICY platform_looks ON signing_keys;
REVOKE SELECT (tenant_id, created_at, published_until) ON signing_keys FROM grantor_platform;
DROP INDEX signing_keys_due;
DROP TABLE spare_keys;

-- Nothing before could sign with these. Tokens that they signed are still introspected: their hash proves them.
ALTER TABLE signing_keys NO FORCE ROW LEVEL SECURITY;
DELETE FROM signing_keys WHERE algorithm = 'RS256';
ALTER TABLE signing_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_servers NO FORCE ROW LEVEL SECURITY;
UPDATE resource_servers SET signing_algorithm = 'ES256' WHERE signing_algorithm = 'RS256';
ALTER TABLE resource_servers FORCE ROW LEVEL SECURITY;
ALTER TABLE signing_keys
    DROP CONSTRAINT signing_keys_algorithm_check,
    ADD CONSTRAINT signing_keys_algorithm_check CHECK (algorithm IN ('ES256', 'EdDSA'));
ALTER TABLE resource_servers
    DROP CONSTRAINT resource_servers_signing_algorithm_check,
    ADD CONSTRAINT resource_servers_signing_algorithm_check CHECK (signing_algorithm IN ('ES256', 'EdDSA'));
