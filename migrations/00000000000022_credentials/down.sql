DROP TABLE credential_links;
DELETE FROM parted_tables WHERE name = 'credential_links';
DROP TABLE authenticators;
