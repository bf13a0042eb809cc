ALTER TABLE tenant_quotas DROP COLUMN client_tokens_per_minute, DROP COLUMN client_max_live_tokens;
ALTER TABLE tenant_settings DROP COLUMN default_tokens_per_minute, DROP COLUMN default_max_live_tokens;
ALTER TABLE clients DROP COLUMN tokens_per_minute, DROP COLUMN max_live_tokens;
