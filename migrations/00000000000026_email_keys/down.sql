CREATE OR REPLACE FUNCTION give_home() RETURNS trigger
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
BEGIN
    IF NEW.organization_id IS NULL THEN
        NEW.organization_id := (SELECT root_organization_id FROM tenants WHERE id = NEW.tenant_id);
    END IF;
    RETURN NEW;
END
$$;
DROP INDEX members_email;
ALTER TABLE members DROP COLUMN email_key;
ALTER TABLE members ADD COLUMN email_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(email)) STORED;
CREATE UNIQUE INDEX members_email ON members (tenant_id, email_key);
