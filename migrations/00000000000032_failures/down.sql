ALTER TABLE tenant_settings DROP COLUMN sustained_errors_threshold, DROP COLUMN sustained_errors_window_seconds;
DROP TABLE client_alerts;
DROP TABLE client_failures;
DELETE FROM parted_tables WHERE name = 'client_failures';
