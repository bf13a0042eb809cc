-- Three roles without login, one for each kind of transaction. A server logs in as an ordinary role that is
-- a member of them without inheriting, and takes one on with SET LOCAL ROLE for each transaction: so a
-- statement outside a transaction of ours can read nothing at all.
--
-- Roles belong to the cluster, not to a database: another database of it may have made them already.
DO $$
DECLARE
    wanted text;
    -- From version 16 on, who makes a role is its member without the right to take it on.
    needed text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['grantor_tenant', 'grantor_platform', 'grantor_fast'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN NOINHERIT', wanted);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- made by another migration at this very moment
            END;
        END IF;
        -- The owner takes them on too, for the bootstrap.
        IF NOT pg_has_role(current_user, wanted, needed) THEN
            EXECUTE format('GRANT %I TO CURRENT_USER', wanted);
        END IF;
    END LOOP;
END
$$;

CREATE SCHEMA IF NOT EXISTS grantor_parts;

GRANT USAGE ON SCHEMA grantor TO grantor_tenant, grantor_platform, grantor_fast;

-- The tenant that the transaction was opened for. After SET LOCAL the setting is an empty string, not NULL.
CREATE FUNCTION grantor.current_tenant() RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(current_setting('grantor.tenant', true), '')::uuid;
