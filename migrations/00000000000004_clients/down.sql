DROP TABLE suspensions;
DROP TABLE role_assignments;
DROP TABLE client_secrets;
DROP TABLE clients;
