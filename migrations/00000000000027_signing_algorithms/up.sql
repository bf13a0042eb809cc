-- With what the tokens of a resource server are signed, and keys for it. Each algorithm has generations of its own,
-- as the unique index of signing_keys has it from the beginning.
ALTER TABLE resource_servers
    ADD COLUMN signing_algorithm text COLLATE "C" NOT NULL DEFAULT 'ES256' CHECK (signing_algorithm IN ('ES256', 'EdDSA'));
GRANT UPDATE (signing_algorithm) ON resource_servers TO grantor_tenant, grantor_platform;

ALTER TABLE signing_keys
    DROP CONSTRAINT signing_keys_algorithm_check,
    ADD CONSTRAINT signing_keys_algorithm_check CHECK (algorithm IN ('ES256', 'EdDSA'));
