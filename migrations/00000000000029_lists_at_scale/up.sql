-- Indexes by which lists stay flat: each begins with all that a list may be narrowed by, and goes on in its order. So
-- however rare it is what is asked for, nothing else is walked through on the way to it.
CREATE INDEX members_by_status_and_name ON members (tenant_id, status, name, id);
CREATE INDEX members_by_status_and_email ON members (tenant_id, status, email_key, id);

-- Of organizations, each with each status: a list of several merges their beginnings.
DROP INDEX members_by_organization;
CREATE INDEX members_by_organization ON members (tenant_id, organization_id, status, id);
CREATE INDEX members_by_organization_and_name ON members (tenant_id, organization_id, status, name, id);
CREATE INDEX members_by_organization_and_email ON members (tenant_id, organization_id, status, email_key, id);

-- What lies right below an organization, in either order.
DROP INDEX organizations_by_parent;
CREATE INDEX organizations_by_parent ON organizations (tenant_id, parent_id, id);
CREATE INDEX organizations_by_parent_and_name ON organizations (tenant_id, parent_id, name, id);

-- The clients among those who hold a role, however many members hold it too.
CREATE INDEX role_assignments_of_clients_by_role ON role_assignments (tenant_id, role, id) WHERE client_id IS NOT NULL;

-- The suspended tenants that are still there.
CREATE INDEX tenant_suspensions_paused ON tenant_suspensions (tenant_id)
    WHERE paused_by_operator_at IS NOT NULL AND deleted_at IS NULL;
