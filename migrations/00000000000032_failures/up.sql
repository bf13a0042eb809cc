-- client_10: failed attempts of clients are counted, by the minute; and what is told of them, at most once in a while.

-- The id is that of the minute: a UUIDv7 with its time and nothing else. Two servers that count in the same minute add to
-- the same row.
CREATE TABLE client_failures (
    tenant_id uuid NOT NULL,
    client_id uuid NOT NULL,
    id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    failures bigint NOT NULL CHECK (failures > 0),
    PRIMARY KEY (tenant_id, client_id, id, kind)
) PARTITION BY RANGE (id);
INSERT INTO parted_tables (name, span, ahead, keep_for) VALUES ('client_failures', '7 days', '8 days', '31 days');
ALTER TABLE client_failures ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_failures FORCE ROW LEVEL SECURITY;
GRANT SELECT ON client_failures TO grantor_tenant, grantor_platform;
GRANT SELECT, INSERT, UPDATE (failures) ON client_failures TO grantor_fast;
CREATE POLICY own ON client_failures FOR SELECT TO grantor_tenant, grantor_platform
    USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON client_failures FOR ALL TO grantor_fast USING (true);

-- A row says that failures of a client were noted since it was last looked whether to tell of them, and when they were
-- last told of. Without a foreign key: whoever counts must not wait for who changes the client.
CREATE TABLE client_alerts (
    tenant_id uuid NOT NULL,
    client_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('sustained_errors', 'limit_reached')),
    noted_at timestamptz,
    raised_at timestamptz,
    PRIMARY KEY (tenant_id, client_id, kind)
);
-- For those who look, which serve all tenants: it holds what is still to be looked at, and so mostly nothing.
CREATE INDEX client_alerts_noted ON client_alerts (noted_at) WHERE noted_at IS NOT NULL;
ALTER TABLE client_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE client_alerts FORCE ROW LEVEL SECURITY;
GRANT SELECT, UPDATE (noted_at, raised_at), DELETE ON client_alerts TO grantor_tenant;
GRANT SELECT, UPDATE (noted_at) ON client_alerts TO grantor_platform;
GRANT SELECT, INSERT (tenant_id, client_id, kind, noted_at), UPDATE (noted_at) ON client_alerts TO grantor_fast;
CREATE POLICY own ON client_alerts FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY platform ON client_alerts FOR ALL TO grantor_platform USING (true);
CREATE POLICY fast ON client_alerts FOR ALL TO grantor_fast USING (true);
SELECT let_purge('client_alerts');

-- From how many failures on, and within what time, a client's contact is told.
ALTER TABLE tenant_settings
    ADD COLUMN sustained_errors_threshold integer NOT NULL DEFAULT 50
        CHECK (sustained_errors_threshold BETWEEN 1 AND 100000),
    ADD COLUMN sustained_errors_window_seconds integer NOT NULL DEFAULT 900
        CHECK (sustained_errors_window_seconds BETWEEN 300 AND 86400);
