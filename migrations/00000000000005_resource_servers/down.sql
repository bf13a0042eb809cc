DROP TABLE resource_server_introspectors;
DROP TABLE resource_server_scopes;
DROP TABLE resource_servers;
