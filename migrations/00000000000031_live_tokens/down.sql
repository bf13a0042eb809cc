DROP POLICY own_begun ON tenant_suspensions;
REVOKE INSERT (tenant_id) ON tenant_suspensions FROM grantor_tenant;
DROP POLICY own_removed ON access_tokens;
REVOKE UPDATE (revoked_at) ON access_tokens FROM grantor_tenant;
-- Scopes that the release before doesn't know count for nothing in it: they may stay.
