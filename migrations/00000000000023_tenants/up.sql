-- What a tenant sets for itself, and how a deleted tenant's rows leave.

-- A tenant without a row has the defaults.
CREATE TABLE tenant_settings (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    default_access_token_seconds integer NOT NULL CHECK (default_access_token_seconds BETWEEN 60 AND 86400),
    invitation_seconds integer NOT NULL CHECK (invitation_seconds BETWEEN 3600 AND 2592000),
    password_reset_seconds integer NOT NULL CHECK (password_reset_seconds BETWEEN 300 AND 86400),
    password_min_length integer NOT NULL CHECK (password_min_length BETWEEN 8 AND 64),
    credential_page text,
    support_name text,
    support_email text,
    revision bigint NOT NULL DEFAULT 1,
    updated_at timestamptz NOT NULL,
    CHECK (support_name IS NULL OR support_email IS NOT NULL)
);
ALTER TABLE tenant_settings ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_settings FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE ON tenant_settings TO grantor_tenant;
GRANT SELECT ON tenant_settings TO grantor_platform;
CREATE POLICY own ON tenant_settings FOR ALL TO grantor_tenant USING (tenant_id = grantor.current_tenant());
CREATE POLICY own_for_operators ON tenant_settings FOR SELECT TO grantor_platform
    USING (tenant_id = grantor.current_tenant());

-- Tenants by name, for a list that is sorted by it or looked through for how names begin.
CREATE INDEX tenants_by_name ON tenants (name, id);

-- Deleted tenants whose rows have not all gone yet: the work of whoever removes them, and so mostly nothing.
ALTER TABLE tenant_suspensions ADD COLUMN purged_at timestamptz;
CREATE INDEX tenant_suspensions_to_purge ON tenant_suspensions (tenant_id)
    WHERE deleted_at IS NOT NULL AND purged_at IS NULL;
GRANT UPDATE (purged_at) ON tenant_suspensions TO grantor_platform;

-- What a deleted tenant leaves is removed by a role that can do just that: its policies show it the rows of the
-- transaction's tenant if that is deleted, and no others.
DO $$
DECLARE
    needed text := CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'grantor_purge') THEN
        BEGIN
            CREATE ROLE grantor_purge NOLOGIN NOINHERIT;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL; -- made by another migration at this very moment
        END;
    END IF;
    IF NOT pg_has_role(current_user, 'grantor_purge', needed) THEN
        GRANT grantor_purge TO CURRENT_USER;
    END IF;
END
$$;
GRANT USAGE ON SCHEMA grantor TO grantor_purge;
GRANT SELECT (tenant_id, deleted_at) ON tenant_suspensions TO grantor_purge;
CREATE POLICY purge_looks ON tenant_suspensions FOR SELECT TO grantor_purge
    USING (tenant_id = grantor.current_tenant());

-- Lets the rows of a table go with their tenant. For migrations that make tables.
CREATE FUNCTION let_purge(purged regclass) RETURNS void
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
BEGIN
    EXECUTE format('GRANT SELECT, DELETE ON %s TO grantor_purge', purged);
    EXECUTE format(
        'CREATE POLICY purge ON %s FOR ALL TO grantor_purge USING (tenant_id = grantor.current_tenant() '
        'AND EXISTS (SELECT FROM tenant_suspensions AS mark '
        'WHERE mark.tenant_id = grantor.current_tenant() AND mark.deleted_at IS NOT NULL))', purged);
END
$$;
REVOKE ALL ON FUNCTION let_purge(regclass) FROM PUBLIC;
DO $$
DECLARE
    purged text;
BEGIN
    FOREACH purged IN ARRAY ARRAY['client_secrets', 'resource_server_introspectors', 'resource_server_scopes',
        'role_assignments', 'member_words', 'authenticators', 'members', 'roles', 'clients', 'resource_servers', 'signing_keys',
        'organizations', 'suspensions', 'tenant_settings', 'tenant_quotas', 'tenant_usage'] LOOP
        PERFORM let_purge(format('grantor.%I', purged)::regclass);
    END LOOP;
END
$$;
-- What goes is counted by triggers, until the count goes too.
GRANT INSERT, UPDATE ON tenant_usage TO grantor_purge;

-- Removes up to `most` rows of one table that a deleted tenant left; tells how many. Of organizations these are
-- leaves, so that whatever lies under something goes before it.
CREATE FUNCTION purge_rows(kind text, of_tenant uuid, most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = grantor, pg_temp
AS $$
DECLARE
    removed bigint;
BEGIN
    EXECUTE format(
        'DELETE FROM %1$I WHERE tenant_id = $1 AND ctid = ANY (ARRAY('
        'SELECT ctid FROM %1$I AS old WHERE tenant_id = $1 %2$s LIMIT $2))',
        kind,
        CASE kind WHEN 'organizations' THEN
            'AND NOT EXISTS (SELECT FROM organizations AS below WHERE below.tenant_id = $1 AND below.parent_id = old.id)'
        ELSE '' END)
    USING of_tenant, most;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END
$$;
REVOKE ALL ON FUNCTION purge_rows(text, uuid, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION purge_rows(text, uuid, bigint) TO grantor_platform;
GRANT CREATE ON SCHEMA grantor TO grantor_purge;
ALTER FUNCTION purge_rows(text, uuid, bigint) OWNER TO grantor_purge;
REVOKE CREATE ON SCHEMA grantor FROM grantor_purge;
