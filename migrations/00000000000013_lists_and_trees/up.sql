-- Clients by name and by organization, and organizations by what they lie under.
CREATE INDEX clients_by_name ON clients (tenant_id, name, id);
CREATE INDEX clients_by_organization ON clients (tenant_id, organization_id, id);
CREATE INDEX organizations_by_parent ON organizations (tenant_id, parent_id);
