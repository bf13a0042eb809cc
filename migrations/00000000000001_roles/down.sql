-- The roles stay: they belong to the cluster, and other databases may use them.
DROP FUNCTION grantor.current_tenant();
REVOKE USAGE ON SCHEMA grantor FROM grantor_tenant, grantor_platform, grantor_fast;
DROP SCHEMA grantor_parts;
