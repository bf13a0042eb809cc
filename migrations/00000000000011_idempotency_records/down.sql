DROP TABLE idempotency_records;
DELETE FROM parted_tables WHERE name = 'idempotency_records';
