DROP TRIGGER append_change ON audit_events;
DROP FUNCTION append_change();

ALTER TABLE changes NO FORCE ROW LEVEL SECURITY;
ALTER TABLE suspensions NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_suspensions NO FORCE ROW LEVEL SECURITY;
CREATE TABLE changes_before (
    tenant_id uuid NOT NULL,
    sequence bigint NOT NULL,
    audit_event_id uuid NOT NULL,
    action text COLLATE "C" NOT NULL,
    schema_version integer NOT NULL DEFAULT 1,
    touched uuid[] NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, sequence)
);
INSERT INTO changes_before
SELECT tenant_id, sequence, audit_event_id, action, schema_version, touched, at FROM changes;
-- The servers of the release before take a tenant's last change for its position, and know no floor: so where
-- all of a tenant's changes have been dropped, and something is cut off, one stands for them.
INSERT INTO changes_before
SELECT tenant_id, floor - 1, '00000000-0000-0000-0000-000000000000', 'feed.shortened', 1, '{}', 'epoch'
FROM (SELECT tenant_id, cut_below FROM suspensions UNION ALL SELECT tenant_id, cut_below FROM tenant_suspensions) AS cut
CROSS JOIN change_feed
WHERE cut_below > 0 AND tenant_id NOT IN (SELECT tenant_id FROM changes)
GROUP BY tenant_id, floor;
ALTER TABLE suspensions FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_suspensions FORCE ROW LEVEL SECURITY;
DROP TABLE changes;
ALTER TABLE changes_before RENAME TO changes;
ALTER INDEX changes_before_pkey RENAME TO changes_pkey;
ALTER TABLE changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE changes FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT ON changes TO grantor_tenant, grantor_platform;
GRANT SELECT ON changes TO grantor_fast;
CREATE POLICY own ON changes FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY platform ON changes FOR ALL TO grantor_platform USING (true);
CREATE POLICY fast ON changes FOR SELECT TO grantor_fast USING (true);

DROP POLICY feed_finds ON suspensions;
DROP POLICY feed_cuts ON suspensions;
DROP POLICY feed_finds ON tenant_suspensions;
DROP POLICY feed_cuts ON tenant_suspensions;
REVOKE ALL (tenant_id, subject_id, cut_below) ON suspensions FROM grantor_feed;
REVOKE ALL (tenant_id, cut_below) ON tenant_suspensions FROM grantor_feed;
REVOKE ALL ON SEQUENCE changes_sequence FROM grantor_feed;
GRANT USAGE ON SEQUENCE changes_sequence TO grantor_tenant, grantor_platform;
GRANT UPDATE (cut_below) ON suspensions TO grantor_tenant;
REVOKE INSERT, UPDATE ON suspensions, tenant_suspensions FROM grantor_platform;
GRANT INSERT, UPDATE ON suspensions, tenant_suspensions TO grantor_platform;

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
BEGIN
    made := 0;
    dropped := 0;
    postponed := 0;
    IF NOT pg_try_advisory_xact_lock(7105013120164717) THEN
        RETURN;
    END IF;
    FOR parted IN SELECT * FROM parted_tables LOOP
        starts := date_bin(parted.span, at, timestamptz '2000-01-01 00:00:00+00');
        WHILE starts < at + parted.ahead LOOP
            -- A round is short; the caller begins another while there is something to make.
            EXIT WHEN made >= 8;
            part := parted.name || '_' || to_char(starts AT TIME ZONE 'UTC', 'YYYYMMDD"t"HH24MI');
            IF to_regclass(format('grantor_parts.%I', part)) IS NULL THEN
                BEGIN
                    EXECUTE format('CREATE TABLE grantor_parts.%I (LIKE %I INCLUDING ALL)', part, parted.name);
                    EXECUTE format(
                        'ALTER TABLE grantor_parts.%I ADD CHECK (id >= %L AND id < %L)',
                        part, uuid_floor(starts), uuid_floor(starts + parted.span));
                    EXECUTE format('ALTER TABLE grantor_parts.%I ENABLE ROW LEVEL SECURITY', part);
                    EXECUTE format('ALTER TABLE grantor_parts.%I FORCE ROW LEVEL SECURITY', part);
                    EXECUTE format(
                        'ALTER TABLE %I ATTACH PARTITION grantor_parts.%I FOR VALUES FROM (%L) TO (%L)',
                        parted.name, part, uuid_floor(starts), uuid_floor(starts + parted.span));
                    EXECUTE format(
                        'COMMENT ON TABLE grantor_parts.%I IS %L', part, (starts + parted.span)::text);
                    made := made + 1;
                EXCEPTION WHEN lock_not_available THEN
                    -- Who holds the parent holds it for the next one as well.
                    postponed := postponed + 1;
                    EXIT;
                END;
            END IF;
            starts := starts + parted.span;
        END LOOP;
        FOR old IN
            SELECT class.relname AS part, obj_description(class.oid, 'pg_class')::timestamptz AS ends
            FROM pg_inherits
            JOIN pg_class class ON class.oid = inhrelid
            WHERE inhparent = format('%I', parted.name)::regclass
            ORDER BY 1
        LOOP
            IF old.ends <= over THEN
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
END
$$;

DROP FUNCTION changes_part(bigint);
DROP FUNCTION attach_part(text, text, text, text, text, text);
DROP TABLE change_feed;
DROP POLICY owner_sets ON parted_tables;
ALTER TABLE parted_tables DROP COLUMN keep_for;
ALTER TABLE audit_events DROP COLUMN subjects, DROP COLUMN schema_version;
REVOKE USAGE ON SCHEMA grantor FROM grantor_feed;
