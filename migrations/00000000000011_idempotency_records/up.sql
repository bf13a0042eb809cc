-- What was answered to a request that carried an idempotency key, for as long as it may be repeated. The id is
-- a UUIDv7 whose time is the record's expiry. No unique key on the hash is possible here: who writes holds a
-- lock on the hash.
CREATE TABLE idempotency_records (
    -- The caller's tenant, not that of what was changed.
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    -- Of caller and key together: the key itself is not kept.
    key_hash bytea NOT NULL,
    -- Of the request: the same key with another request is a mistake.
    fingerprint bytea NOT NULL,
    sealed_answer bytea NOT NULL,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX idempotency_records_by_key ON idempotency_records (tenant_id, key_hash);
INSERT INTO parted_tables (name, span, ahead) VALUES ('idempotency_records', '6 hours', '8 days');

ALTER TABLE idempotency_records ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_records FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON idempotency_records TO grantor_tenant, grantor_platform;
CREATE POLICY own ON idempotency_records FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
-- A transaction of the platform is about one tenant, on behalf of a caller of another.
CREATE POLICY platform ON idempotency_records FOR ALL TO grantor_platform USING (true);
