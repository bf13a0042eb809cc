-- Clients that administer a tenant, or the platform, and were allowed every scope that there was for that, are
-- allowed the ones that came with members, roles, organizations and settings too. Nobody else could allow them: who
-- gives a scope must hold it, and a token holds none that its client is not allowed.
ALTER TABLE clients NO FORCE ROW LEVEL SECURITY;
ALTER TABLE role_assignments NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
WITH administrators AS (
    SELECT DISTINCT held.tenant_id, held.client_id, held.role = 'operator' AND tenants.is_platform AS operates
    FROM role_assignments AS held
    JOIN tenants ON tenants.id = held.tenant_id AND tenants.root_organization_id = held.organization_id
    WHERE held.client_id IS NOT NULL AND held.role IN ('admin', 'operator')
),
entitled AS (
    SELECT administrators.tenant_id, client_id, operates
    FROM administrators
    JOIN clients ON clients.tenant_id = administrators.tenant_id AND clients.id = client_id
    WHERE allowed_scopes @> ARRAY['grantor:audit.erase', 'grantor:audit.read', 'grantor:changes.read',
            'grantor:clients.delete', 'grantor:clients.disable', 'grantor:clients.read', 'grantor:clients.write',
            'grantor:resource_servers.read', 'grantor:resource_servers.write', 'grantor:secrets.write']
        AND (NOT operates OR allowed_scopes @> ARRAY['grantor:tenants.create', 'grantor:tenants.read'])
)
UPDATE clients
SET allowed_scopes = ARRAY(
        SELECT DISTINCT scope COLLATE "C" FROM unnest(allowed_scopes || ARRAY['grantor:members.delete',
            'grantor:members.disable', 'grantor:members.read', 'grantor:members.write', 'grantor:organizations.read',
            'grantor:organizations.write', 'grantor:roles.assign', 'grantor:roles.read', 'grantor:roles.write',
            'grantor:settings.read', 'grantor:settings.write']
            || CASE WHEN operates THEN ARRAY['grantor:platform.support', 'grantor:platform_resource_servers.write',
                'grantor:tenants.delete', 'grantor:tenants.suspend', 'grantor:tenants.write'] ELSE '{}' END) AS scope
        ORDER BY 1),
    revision = revision + 1
FROM entitled
WHERE clients.tenant_id = entitled.tenant_id AND clients.id = entitled.client_id;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
ALTER TABLE role_assignments FORCE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
