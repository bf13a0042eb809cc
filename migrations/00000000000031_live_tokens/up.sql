-- Administrators and members remove access tokens, each removal in the transaction of its event in the log of record.
GRANT UPDATE (revoked_at) ON access_tokens TO grantor_tenant;
CREATE POLICY own_removed ON access_tokens FOR UPDATE TO grantor_tenant USING (tenant_id = grantor.current_tenant());

-- A tenant cuts off what was issued in it. What is below the cut the feed alone writes; the row must be there for it.
GRANT INSERT (tenant_id) ON tenant_suspensions TO grantor_tenant;
CREATE POLICY own_begun ON tenant_suspensions FOR INSERT TO grantor_tenant
    WITH CHECK (tenant_id = grantor.current_tenant());

-- Clients that administer a tenant, or the platform, and were allowed every scope that there was for that, are allowed
-- the ones that come with tokens too. Nobody else could allow them: who gives a scope must hold it.
ALTER TABLE clients NO FORCE ROW LEVEL SECURITY;
ALTER TABLE role_assignments NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
UPDATE clients
SET allowed_scopes = ARRAY(
        SELECT DISTINCT scope COLLATE "C"
        FROM unnest(allowed_scopes || ARRAY['grantor:tokens.read', 'grantor:tokens.remove']) AS scope ORDER BY 1),
    revision = clients.revision + 1
FROM (
    SELECT DISTINCT held.tenant_id, held.client_id
    FROM role_assignments AS held
    JOIN tenants ON tenants.id = held.tenant_id AND tenants.root_organization_id = held.organization_id
    WHERE held.client_id IS NOT NULL AND held.role IN ('admin', 'operator')
) AS administrators
WHERE clients.tenant_id = administrators.tenant_id AND clients.id = administrators.client_id
    AND allowed_scopes @> ARRAY['grantor:audit.erase', 'grantor:audit.read', 'grantor:changes.read',
        'grantor:clients.delete', 'grantor:clients.disable', 'grantor:clients.read', 'grantor:clients.write',
        'grantor:members.delete', 'grantor:members.disable', 'grantor:members.read', 'grantor:members.write',
        'grantor:organizations.read', 'grantor:organizations.write', 'grantor:resource_servers.read',
        'grantor:resource_servers.write', 'grantor:roles.assign', 'grantor:roles.read', 'grantor:roles.write',
        'grantor:secrets.write', 'grantor:settings.read', 'grantor:settings.write'];
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
ALTER TABLE role_assignments FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
