DROP POLICY fast ON role_assignments;
DROP POLICY fast ON clients;
DROP POLICY fast ON tenants;
REVOKE SELECT (tenant_id, client_id, role, organization_id) ON role_assignments FROM grantor_fast;
REVOKE SELECT (tenant_id, id, allowed_scopes) ON clients FROM grantor_fast;
REVOKE SELECT (id, is_platform, root_organization_id) ON tenants FROM grantor_fast;
