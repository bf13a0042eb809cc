DROP INDEX IF EXISTS access_tokens_of_families;
