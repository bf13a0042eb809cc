DROP INDEX tenants_by_name;
DROP TABLE tenant_settings;
