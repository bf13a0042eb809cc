DROP FUNCTION keep_partitions(timestamptz);
DROP TABLE access_tokens;
DROP FUNCTION uuid_floor(timestamptz);
DROP TABLE parted_tables;
