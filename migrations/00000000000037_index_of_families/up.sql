-- In a migration of its own: building it reads the tokens, and must not do so under the lock that a new column takes.
-- Whoever applied 00000000000035 while that still made it, has it.
CREATE INDEX IF NOT EXISTS access_tokens_of_families ON access_tokens (tenant_id, family_id) WHERE family_id IS NOT NULL;
