-- The log of record becomes partitioned by the time in its ids, which is the events'. What is older than its
-- retention leaves by partition. A function erases persons from it, by a role that can do just that.
DO $$
DECLARE
    needed text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grantor_erasure') THEN
        BEGIN
            CREATE ROLE grantor_erasure NOLOGIN NOINHERIT;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made by another migration at this very moment
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'grantor_erasure', needed) THEN
        GRANT grantor_erasure TO CURRENT_USER;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA grantor TO grantor_erasure;

DROP TRIGGER append_change ON audit_events;
ALTER TABLE audit_events RENAME TO audit_events_before;
ALTER INDEX audit_events_pkey RENAME TO audit_events_before_pkey;

-- No foreign key to the tenant: a partition could not be dropped without a lock on the tenants.
CREATE TABLE audit_events (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamptz NOT NULL,
    actor_kind text COLLATE "C" NOT NULL,
    actor_tenant_id uuid,
    actor_name text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    schema_version integer NOT NULL DEFAULT 1,
    target_kind text COLLATE "C" NOT NULL,
    target_id text COLLATE "C" NOT NULL,
    -- Persons are named under the key `person` alone.
    before_change jsonb,
    after_change jsonb,
    ip text,
    user_agent text,
    request_id text,
    -- When the person whom the event is about or by was erased from it.
    erased_at timestamptz,
    -- What the change touched, the same as prefixed ids, and whose earlier tokens it cuts off. NULL: nothing
    -- that a decision rests on.
    touched uuid[],
    subjects text[],
    cuts uuid[],
    PRIMARY KEY (tenant_id, id)
) PARTITION BY RANGE (id);
CREATE INDEX audit_events_by_actor ON audit_events (tenant_id, actor_name, id);
CREATE INDEX audit_events_by_action ON audit_events (tenant_id, action, id);
CREATE INDEX audit_events_by_target ON audit_events (tenant_id, target_id, id);

INSERT INTO parted_tables (name, span, ahead, keep_for) VALUES ('audit_events', '30 days', '180 days', '400 days');

-- The rows so far, whatever their age; and where there are any, servers are at work, who must find partitions
-- for what they write until the next round of keeping.
ALTER TABLE audit_events_before NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    span CONSTANT interval := '30 days';
    starts timestamptz;
BEGIN
    FOR starts IN
        WITH moments AS (
            SELECT to_timestamp(('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / 1000.0) AS moment
            FROM audit_events_before
            UNION ALL
            SELECT clock_timestamp() + ahead * span
            FROM generate_series(0, 6) AS ahead
            WHERE EXISTS (SELECT FROM audit_events_before)
        )
        SELECT DISTINCT date_bin(span, moment, timestamptz '2000-01-01 00:00:00+00') FROM moments
    LOOP
        PERFORM attach_part(
            'audit_events', 'audit_events_' || to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD"t"HH24MI'), 'id',
            uuid_floor(starts)::text, uuid_floor(starts + span)::text, (starts + span)::text);
    END LOOP;
END
$$;
INSERT INTO audit_events
    (tenant_id, id, at, actor_kind, actor_tenant_id, actor_name, action, schema_version, target_kind, target_id,
        before_change, after_change, ip, user_agent, request_id, touched, subjects, cuts)
SELECT tenant_id, id, at, actor_kind, actor_tenant_id, actor_name, action, schema_version, target_kind, target_id,
    before_change, after_change, ip, user_agent, request_id, touched, subjects, cuts
FROM audit_events_before;
DROP TABLE audit_events_before;

-- After the rows: what they tell of is on the feed already.
CREATE CONSTRAINT TRIGGER append_change AFTER INSERT ON audit_events
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.touched IS NOT NULL)
EXECUTE FUNCTION append_change();

ALTER TABLE audit_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON audit_events TO grantor_tenant, grantor_platform;
CREATE POLICY own ON audit_events FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY platform_reads ON audit_events FOR SELECT TO grantor_platform USING (tenant_id = grantor.current_tenant());
-- An operator's change stands in the log of the platform tenant and in that of the tenant concerned.
CREATE POLICY platform_writes ON audit_events FOR INSERT TO grantor_platform WITH CHECK (true);

-- Takes a person out of the events by them or about them, the newest first, and no more of these than `most`:
-- address, user agent and what stands under `person` go, the trail stays. The policies of the role that it
-- runs as hold it to the transaction's tenant.
GRANT SELECT (tenant_id, id, actor_name, target_id, before_change, after_change, ip, user_agent, erased_at),
    UPDATE (before_change, after_change, ip, user_agent, erased_at)
    ON audit_events TO grantor_erasure;
CREATE POLICY erasure_finds ON audit_events FOR SELECT TO grantor_erasure USING (tenant_id = grantor.current_tenant());
CREATE POLICY erasure_erases ON audit_events FOR UPDATE TO grantor_erasure USING (tenant_id = grantor.current_tenant());

CREATE FUNCTION without_person(particulars jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN jsonb_typeof(particulars) = 'object' AND particulars ? 'person'
        THEN jsonb_set(particulars, '{person}', '{"erased": true}')
    ELSE particulars
END;

CREATE FUNCTION erase_person(of_tenant uuid, person text, erased timestamptz, most bigint) RETURNS bigint
LANGUAGE sql SECURITY DEFINER
SET search_path = grantor, pg_temp
AS $$
    WITH due AS (
        SELECT id FROM (
            (SELECT id FROM audit_events
             WHERE tenant_id = of_tenant AND actor_name = person AND erased_at IS NULL
             ORDER BY id DESC LIMIT most)
            UNION
            (SELECT id FROM audit_events
             WHERE tenant_id = of_tenant AND target_id = person AND erased_at IS NULL
             ORDER BY id DESC LIMIT most)
        ) AS by_or_about
        ORDER BY id DESC LIMIT most
    ),
    done AS (
        UPDATE audit_events
        -- From where and by what program tells of the actor alone, whoever the event is about.
        SET ip = CASE WHEN actor_name = person THEN NULL ELSE ip END,
            user_agent = CASE WHEN actor_name = person THEN NULL ELSE user_agent END,
            erased_at = erased,
            before_change = without_person(before_change), after_change = without_person(after_change)
        FROM due
        WHERE audit_events.tenant_id = of_tenant AND audit_events.id = due.id
        RETURNING 1
    )
    SELECT count(*) FROM done;
$$;
REVOKE ALL ON FUNCTION erase_person(uuid, text, timestamptz, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION erase_person(uuid, text, timestamptz, bigint) TO grantor_tenant, grantor_platform;
GRANT CREATE ON SCHEMA grantor TO grantor_erasure;
ALTER FUNCTION erase_person(uuid, text, timestamptz, bigint) OWNER TO grantor_erasure;
REVOKE CREATE ON SCHEMA grantor FROM grantor_erasure;
