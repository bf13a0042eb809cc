DROP FUNCTION purge_rows(text, uuid, bigint);
DO $$
DECLARE
    purged text;
BEGIN
    FOR purged IN SELECT tablename FROM pg_policies WHERE schemaname = 'grantor' AND policyname = 'purge' LOOP
        EXECUTE format('DROP POLICY purge ON grantor.%I', purged);
        EXECUTE format('REVOKE ALL ON grantor.%I FROM grantor_purge', purged);
    END LOOP;
END
$$;
DROP FUNCTION let_purge(regclass);
DROP POLICY purge_looks ON tenant_suspensions;
REVOKE SELECT (tenant_id, deleted_at) ON tenant_suspensions FROM grantor_purge;
REVOKE USAGE ON SCHEMA grantor FROM grantor_purge;
DROP INDEX tenant_suspensions_to_purge;
ALTER TABLE tenant_suspensions DROP COLUMN purged_at;

DROP INDEX tenants_by_name;
DROP TABLE tenant_settings;
