-- Who calls the management API is told by one statement on the fast path, for the callers of many tenants
-- at once. So its role reads, beside tokens and suspensions, the little that a caller's rights hang on.
GRANT SELECT (id, is_platform, root_organization_id) ON tenants TO grantor_fast;
GRANT SELECT (tenant_id, id, allowed_scopes) ON clients TO grantor_fast;
GRANT SELECT (tenant_id, client_id, role, organization_id) ON role_assignments TO grantor_fast;
CREATE POLICY fast ON tenants FOR SELECT TO grantor_fast USING (true);
CREATE POLICY fast ON clients FOR SELECT TO grantor_fast USING (true);
-- The roles of members are none of its business.
CREATE POLICY fast ON role_assignments FOR SELECT TO grantor_fast USING (client_id IS NOT NULL);
