DROP TABLE tenant_suspensions;
DROP TABLE tenants;
DROP TABLE installation;
