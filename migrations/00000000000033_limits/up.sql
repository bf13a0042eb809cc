-- client_15: how fast a client may get tokens, and how many may live. NULL: what is said one step up, by the tenant's
-- settings, or else by the servers.
ALTER TABLE clients
    ADD COLUMN tokens_per_minute integer CHECK (tokens_per_minute > 0),
    ADD COLUMN max_live_tokens integer CHECK (max_live_tokens > 0);
ALTER TABLE tenant_settings
    ADD COLUMN default_tokens_per_minute integer CHECK (default_tokens_per_minute > 0),
    ADD COLUMN default_max_live_tokens integer CHECK (default_max_live_tokens > 0);
-- How much of either a client of the tenant can be given.
ALTER TABLE tenant_quotas
    ADD COLUMN client_tokens_per_minute integer CHECK (client_tokens_per_minute > 0),
    ADD COLUMN client_max_live_tokens integer CHECK (client_max_live_tokens > 0);
