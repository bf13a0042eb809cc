-- Nothing before could sign with these. Tokens that they signed are still introspected: their hash proves them.
ALTER TABLE signing_keys NO FORCE ROW LEVEL SECURITY;
DELETE FROM signing_keys WHERE algorithm <> 'ES256';
ALTER TABLE signing_keys FORCE ROW LEVEL SECURITY;
ALTER TABLE signing_keys
    DROP CONSTRAINT signing_keys_algorithm_check,
    ADD CONSTRAINT signing_keys_algorithm_check CHECK (algorithm IN ('ES256'));

ALTER TABLE resource_servers DROP COLUMN signing_algorithm;
