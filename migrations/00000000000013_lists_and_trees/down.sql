DROP INDEX clients_by_name;
DROP INDEX clients_by_organization;
DROP INDEX organizations_by_parent;
