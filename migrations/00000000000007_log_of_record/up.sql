-- The log of record: servers may add to it and read it, and nothing else.
CREATE TABLE audit_events (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor_kind text COLLATE "C" NOT NULL,
    actor_tenant_id uuid,
    actor_name text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    target_kind text COLLATE "C" NOT NULL,
    target_id text COLLATE "C" NOT NULL,
    before_change jsonb,
    after_change jsonb,
    ip text,
    user_agent text,
    request_id text,
    -- What the change touched, and whose earlier tokens it cuts off. NULL: nothing that a decision rests on.
    touched uuid[],
    cuts uuid[],
    PRIMARY KEY (tenant_id, id)
);

-- The change feed. Its order is the order of commits: see append_change.
CREATE SEQUENCE changes_sequence AS bigint;
CREATE TABLE changes (
    tenant_id uuid NOT NULL,
    sequence bigint NOT NULL,
    audit_event_id uuid NOT NULL,
    action text COLLATE "C" NOT NULL,
    schema_version integer NOT NULL DEFAULT 1,
    touched uuid[] NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);

-- Runs inside COMMIT, as the last thing of the transaction. The lock is taken before the number and let go
-- after the commit is visible; so a higher number is never seen before a lower one, and numbers may skip
-- but none arrives late.
CREATE FUNCTION append_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
DECLARE
    number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7105013120164716);
    number := nextval('changes_sequence');
    INSERT INTO changes (tenant_id, sequence, audit_event_id, action, touched, at)
    VALUES (NEW.tenant_id, number, NEW.id, NEW.action, NEW.touched, NEW.at);
    IF cardinality(NEW.cuts) > 0 THEN
        UPDATE suspensions SET cut_below = number
        WHERE tenant_id = NEW.tenant_id AND subject_id = ANY (NEW.cuts);
        IF NEW.tenant_id = ANY (NEW.cuts) THEN
            UPDATE tenant_suspensions SET cut_below = number WHERE tenant_id = NEW.tenant_id;
        END IF;
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER append_change AFTER INSERT ON audit_events
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.touched IS NOT NULL)
EXECUTE FUNCTION append_change();

ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE changes FORCE ROW LEVEL SECURITY;

GRANT SELECT, INSERT ON audit_events TO grantor_tenant, grantor_platform;
CREATE POLICY own ON audit_events FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY platform_reads ON audit_events FOR SELECT TO grantor_platform USING (tenant_id = grantor.current_tenant());
-- An operator's change stands in the log of the platform tenant and in that of the tenant concerned.
CREATE POLICY platform_writes ON audit_events FOR INSERT TO grantor_platform WITH CHECK (true);

GRANT SELECT, INSERT ON changes TO grantor_tenant, grantor_platform;
GRANT SELECT ON changes TO grantor_fast;
GRANT USAGE ON SEQUENCE changes_sequence TO grantor_tenant, grantor_platform;
CREATE POLICY own ON changes FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY platform ON changes FOR ALL TO grantor_platform USING (true);
CREATE POLICY fast ON changes FOR SELECT TO grantor_fast USING (true);
