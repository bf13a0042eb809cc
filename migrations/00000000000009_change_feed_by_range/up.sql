-- The change feed becomes partitioned by its numbers, so that what is old leaves by partition. Its rows are
-- written by a role that can do just that, and that nobody can take on but the owner: servers need no right
-- on the feed, on its sequence or on what cuts off any more.
DO $$
DECLARE
    needed text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grantor_feed') THEN
        BEGIN
            CREATE ROLE grantor_feed NOLOGIN NOINHERIT;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made by another migration at this very moment
        END;
    END IF;
    -- Whoever gives a function away must be a member of the role that gets it.
    IF NOT pg_has_role(current_user, 'grantor_feed', needed) THEN
        GRANT grantor_feed TO CURRENT_USER;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA grantor TO grantor_feed;

-- What a change touched as prefixed ids, so that followers know of what kind it is; NULL as `touched` is.
ALTER TABLE audit_events
    ADD COLUMN subjects text[],
    ADD COLUMN schema_version integer NOT NULL DEFAULT 1;

ALTER TABLE parted_tables ADD COLUMN keep_for interval NOT NULL DEFAULT '0';
CREATE POLICY owner_sets ON parted_tables FOR ALL TO CURRENT_USER USING (true);

-- One row: how the feed is parted, and which of its numbers are still kept.
CREATE TABLE change_feed (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    -- The lowest number that is still kept. Raised in the transaction that drops what is below.
    floor bigint NOT NULL DEFAULT 1,
    span bigint NOT NULL DEFAULT 500000,
    -- How many numbers beyond the last one partitions are made for.
    ahead bigint NOT NULL DEFAULT 2000000,
    keep_for interval NOT NULL DEFAULT '30 days'
);
INSERT INTO change_feed DEFAULT VALUES;
ALTER TABLE change_feed ENABLE ROW LEVEL SECURITY;
ALTER TABLE change_feed FORCE ROW LEVEL SECURITY;
GRANT SELECT ON change_feed TO grantor_tenant, grantor_platform, grantor_fast;
CREATE POLICY everybody_reads ON change_feed FOR SELECT TO grantor_tenant, grantor_platform, grantor_fast USING (true);
CREATE POLICY owner_sets ON change_feed FOR ALL TO CURRENT_USER USING (true);

DROP TRIGGER append_change ON audit_events;
DROP FUNCTION append_change();
ALTER TABLE changes RENAME TO changes_before;
ALTER INDEX changes_pkey RENAME TO changes_before_pkey;

CREATE TABLE changes (
    tenant_id uuid NOT NULL,
    sequence bigint NOT NULL,
    audit_event_id uuid NOT NULL,
    action text COLLATE "C" NOT NULL,
    schema_version integer NOT NULL DEFAULT 1,
    target_kind text COLLATE "C" NOT NULL,
    target_id text COLLATE "C" NOT NULL,
    touched uuid[] NOT NULL,
    -- The touched as prefixed ids; of what a server of an earlier release changed, nothing or the target alone.
    subjects text[] NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
) PARTITION BY RANGE (sequence);
-- For whoever follows all tenants.
CREATE INDEX changes_by_sequence ON changes (sequence);

-- Makes one partition beside its parent and attaches it, with a note of where it ends. For the owner alone.
CREATE FUNCTION attach_part(parent text, part text, key text, lower_bound text, upper_bound text, note text)
RETURNS void
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
BEGIN
    EXECUTE format('CREATE TABLE grantor_parts.%I (LIKE %I INCLUDING ALL)', part, parent);
    EXECUTE format(
        'ALTER TABLE grantor_parts.%I ADD CHECK (%I >= %L AND %I < %L)', part, key, lower_bound, key, upper_bound);
    EXECUTE format('ALTER TABLE grantor_parts.%I ENABLE ROW LEVEL SECURITY', part);
    EXECUTE format('ALTER TABLE grantor_parts.%I FORCE ROW LEVEL SECURITY', part);
    EXECUTE format(
        'ALTER TABLE %I ATTACH PARTITION grantor_parts.%I FOR VALUES FROM (%L) TO (%L)',
        parent, part, lower_bound, upper_bound);
    EXECUTE format('COMMENT ON TABLE grantor_parts.%I IS %L', part, note);
END
$$;
REVOKE ALL ON FUNCTION attach_part(text, text, text, text, text, text) FROM PUBLIC;

CREATE FUNCTION changes_part(starts bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'changes_' || lpad(starts::text, 19, '0');

-- The rows so far, whatever numbers they have.
ALTER TABLE changes_before NO FORCE ROW LEVEL SECURITY;
ALTER TABLE audit_events NO FORCE ROW LEVEL SECURITY;
DO $$
DECLARE
    feed change_feed;
    last bigint;
    starts bigint;
BEGIN
    SELECT * INTO feed FROM change_feed;
    SELECT last_value INTO last FROM changes_sequence;
    starts := coalesce((SELECT min(sequence) FROM changes_before), last) / feed.span * feed.span;
    WHILE starts <= last + feed.ahead LOOP
        PERFORM attach_part(
            'changes', changes_part(starts), 'sequence',
            starts::text, (starts + feed.span)::text, (starts + feed.span)::text);
        starts := starts + feed.span;
    END LOOP;
END
$$;
-- An event may have left the log of record before its change left the feed.
INSERT INTO changes
SELECT before.tenant_id, sequence, audit_event_id, before.action, before.schema_version,
    coalesce(target_kind, ''), coalesce(target_id, ''), before.touched,
    CASE WHEN target_kind IN ('tenant', 'organization', 'member', 'client', 'resource_server')
        THEN ARRAY[target_id] ELSE '{}' END,
    before.at
FROM changes_before AS before
LEFT JOIN audit_events AS event ON event.tenant_id = before.tenant_id AND event.id = before.audit_event_id
WHERE before.action <> 'feed.shortened';
-- What going back to this migration's predecessor left where all of a tenant's changes had been dropped.
UPDATE change_feed
SET floor = coalesce((SELECT max(sequence) + 1 FROM changes_before WHERE action = 'feed.shortened'), floor);
ALTER TABLE audit_events FORCE ROW LEVEL SECURITY;
DROP TABLE changes_before;

ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE changes FORCE ROW LEVEL SECURITY;
GRANT SELECT ON changes TO grantor_tenant, grantor_platform, grantor_fast;
CREATE POLICY own ON changes FOR SELECT TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY everything ON changes FOR SELECT TO grantor_platform, grantor_fast USING (true);
-- Before a partition is dropped its owner looks how old it is.
CREATE POLICY owner_looks ON changes FOR SELECT TO CURRENT_USER USING (true);

-- The role of the feed adds to it and writes what cuts off; nothing else, and reads no more than it needs for that.
GRANT INSERT ON changes TO grantor_feed;
GRANT USAGE ON SEQUENCE changes_sequence TO grantor_feed;
GRANT SELECT (tenant_id, subject_id), UPDATE (cut_below) ON suspensions TO grantor_feed;
GRANT SELECT (tenant_id), UPDATE (cut_below) ON tenant_suspensions TO grantor_feed;
CREATE POLICY feed_adds ON changes FOR INSERT TO grantor_feed WITH CHECK (true);
CREATE POLICY feed_finds ON suspensions FOR SELECT TO grantor_feed USING (true);
CREATE POLICY feed_cuts ON suspensions FOR UPDATE TO grantor_feed USING (true);
CREATE POLICY feed_finds ON tenant_suspensions FOR SELECT TO grantor_feed USING (true);
CREATE POLICY feed_cuts ON tenant_suspensions FOR UPDATE TO grantor_feed USING (true);

-- So nobody else needs to: a server can neither forge a change nor take back a cut.
REVOKE USAGE ON SEQUENCE changes_sequence FROM grantor_tenant, grantor_platform;
REVOKE UPDATE (cut_below) ON suspensions FROM grantor_tenant;
REVOKE INSERT, UPDATE ON suspensions FROM grantor_platform;
GRANT
    INSERT (tenant_id, subject_id, paused_by_tenant_at, paused_by_tenant_reason,
        paused_by_operator_at, paused_by_operator_reason, deleted_at),
    UPDATE (paused_by_tenant_at, paused_by_tenant_reason,
        paused_by_operator_at, paused_by_operator_reason, deleted_at)
    ON suspensions TO grantor_platform;
REVOKE INSERT, UPDATE ON tenant_suspensions FROM grantor_platform;
GRANT
    INSERT (tenant_id, paused_by_operator_at, paused_by_operator_reason, deleted_at),
    UPDATE (paused_by_operator_at, paused_by_operator_reason, deleted_at)
    ON tenant_suspensions TO grantor_platform;

-- Runs inside COMMIT, as the last thing of the transaction. The lock is taken before the number and let go
-- after the commit is visible; so a higher number is never seen before a lower one, and numbers may skip
-- but none arrives late. It runs as the role of the feed: what it may do is in that role's few policies.
CREATE FUNCTION append_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = grantor, pg_temp
AS $$
DECLARE
    number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(7105013120164716);
    number := nextval('changes_sequence');
    INSERT INTO changes
        (tenant_id, sequence, audit_event_id, action, schema_version, target_kind, target_id, touched, subjects, at)
    VALUES
        (NEW.tenant_id, number, NEW.id, NEW.action, NEW.schema_version, NEW.target_kind, NEW.target_id,
            NEW.touched, coalesce(NEW.subjects, '{}'), NEW.at);
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
REVOKE ALL ON FUNCTION append_change() FROM PUBLIC;
CREATE CONSTRAINT TRIGGER append_change AFTER INSERT ON audit_events
DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.touched IS NOT NULL)
EXECUTE FUNCTION append_change();
GRANT CREATE ON SCHEMA grantor TO grantor_feed;
ALTER FUNCTION append_change() OWNER TO grantor_feed;
REVOKE CREATE ON SCHEMA grantor FROM grantor_feed;
-- Whoever attaches a partition of the log gives it this trigger, and must be allowed to call what it calls.
DO $$
DECLARE
    owner name := current_user;
BEGIN
    SET LOCAL ROLE grantor_feed;
    EXECUTE format('GRANT EXECUTE ON FUNCTION grantor.append_change() TO %I', owner);
    EXECUTE format('SET LOCAL ROLE %I', owner);
END
$$;

-- Makes the partitions that are missing from `at` on, and drops those that are over by `at` and by the
-- clock of PostgreSQL too. One of the replicas does it: the others find the lock taken and leave at once.
-- Attaching and detaching wait for a lock on the parent no longer than lock_timeout, so that they never
-- hold up who issues; what didn't go this time goes the next.
CREATE OR REPLACE FUNCTION keep_partitions(at timestamptz, OUT made integer, OUT dropped integer, OUT postponed integer)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = grantor, pg_temp
SET lock_timeout = '200ms'
AS $$
DECLARE
    parted record;
    starts timestamptz;
    part text;
    over timestamptz := least(at, clock_timestamp());
    old record;
    feed change_feed;
    last bigint;
    first_number bigint;
    youngest timestamptz;
BEGIN
    made := 0;
    dropped := 0;
    postponed := 0;
    IF NOT pg_try_advisory_xact_lock(7105013120164717) THEN
        RETURN;
    END IF;
    FOR parted IN SELECT * FROM parted_tables ORDER BY name LOOP
        starts := date_bin(parted.span, at, timestamptz '2000-01-01 00:00:00+00');
        WHILE starts < at + parted.ahead LOOP
            -- A round is short; the caller begins another while there is something to make.
            EXIT WHEN made >= 8;
            part := parted.name || '_' || to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD"t"HH24MI');
            IF to_regclass(format('grantor_parts.%I', part)) IS NULL THEN
                BEGIN
                    PERFORM attach_part(
                        parted.name, part, 'id', uuid_floor(starts)::text, uuid_floor(starts + parted.span)::text,
                        (starts + parted.span)::text);
                    made := made + 1;
                EXCEPTION WHEN lock_not_available THEN
                    -- Who holds the parent holds it for the next one as well.
                    postponed := postponed + 1;
                    EXIT;
                END;
            END IF;
            starts := starts + parted.span;
        END LOOP;
    END LOOP;
    SELECT * INTO feed FROM change_feed;
    SELECT last_value INTO last FROM changes_sequence;
    first_number := last / feed.span * feed.span;
    WHILE first_number <= last + feed.ahead LOOP
        EXIT WHEN made >= 8;
        part := changes_part(first_number);
        IF to_regclass(format('grantor_parts.%I', part)) IS NULL THEN
            BEGIN
                PERFORM attach_part(
                    'changes', part, 'sequence', first_number::text, (first_number + feed.span)::text,
                    (first_number + feed.span)::text);
                made := made + 1;
            EXCEPTION WHEN lock_not_available THEN
                postponed := postponed + 1;
                EXIT;
            END;
        END IF;
        first_number := first_number + feed.span;
    END LOOP;

    -- What will be needed comes before what is over. Where much is to be made, dropping waits for another round.
    IF made >= 8 THEN
        RETURN;
    END IF;
    FOR parted IN SELECT * FROM parted_tables ORDER BY name LOOP
        FOR old IN
            SELECT class.relname AS part, obj_description(class.oid, 'pg_class')::timestamptz AS ends
            FROM pg_inherits
            JOIN pg_class class ON class.oid = inhrelid
            WHERE inhparent = format('%I', parted.name)::regclass
            ORDER BY 1
        LOOP
            IF old.ends + parted.keep_for <= over THEN
                -- Detaching locks the parent until the round ends, so a round is short however many are over.
                EXIT WHEN dropped >= 16;
                BEGIN
                    EXECUTE format('ALTER TABLE %I DETACH PARTITION grantor_parts.%I', parted.name, old.part);
                    EXECUTE format('DROP TABLE grantor_parts.%I', old.part);
                    dropped := dropped + 1;
                EXCEPTION WHEN lock_not_available THEN
                    postponed := postponed + 1;
                    EXIT;
                END;
            END IF;
        END LOOP;
    END LOOP;
    FOR old IN
        SELECT class.relname AS part, obj_description(class.oid, 'pg_class')::bigint AS ends
        FROM pg_inherits
        JOIN pg_class class ON class.oid = inhrelid
        WHERE inhparent = 'changes'::regclass
        ORDER BY 2
    LOOP
        -- Oldest first, so that what is kept has no hole. The sequence must have left it.
        EXIT WHEN old.ends > last OR dropped >= 16;
        -- The last row is mostly the youngest, and found at once; the rest is looked at only if that one is over.
        SELECT changes.at INTO youngest FROM changes WHERE sequence < old.ends ORDER BY sequence DESC LIMIT 1;
        EXIT WHEN youngest + feed.keep_for > over;
        SELECT max(changes.at) INTO youngest FROM changes WHERE sequence < old.ends;
        EXIT WHEN youngest + feed.keep_for > over;
        BEGIN
            EXECUTE format('ALTER TABLE changes DETACH PARTITION grantor_parts.%I', old.part);
            EXECUTE format('DROP TABLE grantor_parts.%I', old.part);
            UPDATE change_feed SET floor = old.ends;
            dropped := dropped + 1;
        EXCEPTION WHEN lock_not_available THEN
            postponed := postponed + 1;
            EXIT;
        END;
    END LOOP;
END
$$;
