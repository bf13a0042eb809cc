ALTER TABLE credential_links DROP COLUMN epoch;
DROP FUNCTION current_epoch();
