-- The outbox: what must be sent because of a change, written in the change's own transaction. The id is a
-- UUIDv7 whose time is when nobody tries any more, a week after the change.
CREATE TABLE deliveries (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    channel text COLLATE "C" NOT NULL CHECK (channel IN ('mail')),
    sealed_payload bytea NOT NULL,
    -- How often it was claimed; the last claim alone may put it off or give it up.
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    -- Until when the worker that claimed it has it for itself.
    leased_until timestamptz,
    delivered_at timestamptz,
    failed_at timestamptz,
    last_error text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
-- For the workers, which serve all tenants: it holds what is still to be done, and so mostly nothing.
CREATE INDEX deliveries_due ON deliveries (next_attempt_at) WHERE delivered_at IS NULL AND failed_at IS NULL;
INSERT INTO parted_tables (name, span, ahead) VALUES ('deliveries', '1 day', '8 days');

ALTER TABLE deliveries ENABLE ROW LEVEL SECURITY;
ALTER TABLE deliveries FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT (tenant_id, id, channel, sealed_payload, next_attempt_at, created_at)
    ON deliveries TO grantor_tenant, grantor_platform;
GRANT UPDATE (attempts, next_attempt_at, leased_until, delivered_at, failed_at, last_error)
    ON deliveries TO grantor_platform;
CREATE POLICY own ON deliveries FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY platform ON deliveries FOR ALL TO grantor_platform USING (true);
