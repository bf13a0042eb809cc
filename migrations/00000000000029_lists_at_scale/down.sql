DROP INDEX tenant_suspensions_paused;
DROP INDEX role_assignments_of_clients_by_role;

DROP INDEX organizations_by_parent_and_name;
DROP INDEX organizations_by_parent;
CREATE INDEX organizations_by_parent ON organizations (tenant_id, parent_id);

DROP INDEX members_by_organization_and_email;
DROP INDEX members_by_organization_and_name;
DROP INDEX members_by_organization;
CREATE INDEX members_by_organization ON members (tenant_id, organization_id, id);

DROP INDEX members_by_status_and_email;
DROP INDEX members_by_status_and_name;
