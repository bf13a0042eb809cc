DROP INDEX IF EXISTS access_tokens_of_families;
ALTER TABLE access_tokens DROP COLUMN family_id;
DELETE FROM parted_tables WHERE name = 'refresh_families';
DROP TABLE refresh_families;
