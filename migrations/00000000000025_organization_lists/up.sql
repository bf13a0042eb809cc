-- Organizations in the order of their names, and those whose name begins so.
CREATE INDEX organizations_by_name ON organizations (tenant_id, name, id);
