-- The id is a UUIDv7 whose time is the token's expiry. So a partition holds what expires in the same time,
-- and goes as a whole when that time is over.
CREATE TABLE access_tokens (
    tenant_id uuid NOT NULL,
    client_id uuid NOT NULL,
    id uuid NOT NULL,
    token_hash bytea NOT NULL,
    member_id uuid,
    grant_id uuid,
    session_id uuid,
    actor_id uuid,
    scopes text[] NOT NULL,
    audiences text[] NOT NULL,
    confirmation jsonb,
    auth_time timestamptz,
    acr text,
    amr text[],
    issued_at timestamptz NOT NULL,
    -- What the decision to issue it rested on.
    epoch bigint NOT NULL,
    decided_at bigint NOT NULL,
    revoked_at timestamptz,
    ip text,
    user_agent text,
    PRIMARY KEY (tenant_id, client_id, id)
) PARTITION BY RANGE (id);

ALTER TABLE access_tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE access_tokens FORCE ROW LEVEL SECURITY;
GRANT SELECT ON access_tokens TO grantor_tenant;
GRANT SELECT, INSERT, UPDATE (revoked_at) ON access_tokens TO grantor_fast;
CREATE POLICY own ON access_tokens FOR SELECT TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON access_tokens FOR ALL TO grantor_fast USING (true);

-- Which tables are parted by the time in their id, and how.
CREATE TABLE parted_tables (
    name text PRIMARY KEY,
    span interval NOT NULL,
    -- How far ahead of the clock partitions are made: the longest lifetime and a week.
    ahead interval NOT NULL
);
INSERT INTO parted_tables VALUES ('access_tokens', '6 hours', '8 days');
ALTER TABLE parted_tables ENABLE ROW LEVEL SECURITY;
ALTER TABLE parted_tables FORCE ROW LEVEL SECURITY;
CREATE POLICY everybody_reads ON parted_tables FOR SELECT USING (true);

-- The lowest UUIDv7 of a millisecond.
CREATE FUNCTION uuid_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid;

-- Makes the partitions that are missing from `at` on, and drops those that are over by `at` and by the
-- clock of PostgreSQL too. One of the replicas does it: the others find the lock taken and leave at once.
-- Attaching and detaching wait for a lock on the parent no longer than lock_timeout, so that they never
-- hold up who issues; what didn't go this time goes the next.
CREATE FUNCTION keep_partitions(at timestamptz, OUT made integer, OUT dropped integer, OUT postponed integer)
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
REVOKE ALL ON FUNCTION keep_partitions(timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_partitions(timestamptz) TO grantor_platform;
