-- Roles of a tenant's own, members with a home and a state, the root owner, and how much of what a tenant has.

-- Filling in columns reads rows, and forced row-level security holds the owner too.
ALTER TABLE tenants NO FORCE ROW LEVEL SECURITY;
ALTER TABLE organizations NO FORCE ROW LEVEL SECURITY;
ALTER TABLE members NO FORCE ROW LEVEL SECURITY;
ALTER TABLE clients NO FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_servers NO FORCE ROW LEVEL SECURITY;
ALTER TABLE role_assignments NO FORCE ROW LEVEL SECURITY;

-- Members: where they live in the tree, whether they are disabled, and by what they are found.
ALTER TABLE members ADD COLUMN organization_id uuid;
UPDATE members SET organization_id = tenants.root_organization_id FROM tenants WHERE tenants.id = members.tenant_id;
ALTER TABLE members ALTER COLUMN organization_id SET NOT NULL;
ALTER TABLE members ADD FOREIGN KEY (tenant_id, organization_id) REFERENCES organizations (tenant_id, id);
-- What the suspensions say, kept beside the name so that a list can be filtered by it.
ALTER TABLE members ADD COLUMN status text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled'));
-- By which they sign in: addresses are the same whichever letters are capital.
ALTER TABLE members ADD COLUMN email_key text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(email)) STORED;
CREATE UNIQUE INDEX members_email ON members (tenant_id, email_key);
CREATE INDEX members_by_name ON members (tenant_id, name, id);
CREATE INDEX members_by_organization ON members (tenant_id, organization_id, id);
CREATE INDEX members_by_status ON members (tenant_id, status, id);
GRANT DELETE ON members TO grantor_tenant, grantor_platform;

-- Servers of the release before make members without a home.
CREATE FUNCTION give_home() RETURNS trigger
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
CREATE TRIGGER give_home BEFORE INSERT ON members FOR EACH ROW EXECUTE FUNCTION give_home();

-- The words of a member's name and address, for a search by how a word begins.
CREATE TABLE member_words (
    tenant_id uuid NOT NULL,
    word text COLLATE "C" NOT NULL,
    member_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, member_id, word),
    FOREIGN KEY (tenant_id, member_id) REFERENCES members (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX member_words_by_word ON member_words (tenant_id, word, member_id);
INSERT INTO member_words (tenant_id, word, member_id)
SELECT DISTINCT tenant_id, left(word, 64), id
FROM members, regexp_split_to_table(lower(name || ' ' || email), '[^[:alnum:]]+') AS word
WHERE word <> '';
ALTER TABLE member_words ENABLE ROW LEVEL SECURITY;
ALTER TABLE member_words FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, DELETE ON member_words TO grantor_tenant, grantor_platform;
CREATE POLICY own ON member_words FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());

-- The root owner. The key holds at the end of the transaction that makes both.
ALTER TABLE tenants ADD COLUMN root_owner_id uuid;
UPDATE tenants SET root_owner_id = (
    SELECT member_id FROM role_assignments AS held
    WHERE held.tenant_id = tenants.id AND held.role = 'owner' AND held.organization_id = tenants.root_organization_id
        AND held.member_id IS NOT NULL
    ORDER BY held.id LIMIT 1);
-- Filling in the column has left nothing to check at the end, so that the key can be added.
ALTER TABLE tenants ADD CONSTRAINT tenants_root_owner FOREIGN KEY (id, root_owner_id) REFERENCES members (tenant_id, id)
    DEFERRABLE INITIALLY DEFERRED;
GRANT UPDATE (root_owner_id) ON tenants TO grantor_tenant;

-- Whoever is a tenant's first owner is its root owner.
CREATE FUNCTION first_owner_is_root_owner() RETURNS trigger
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
BEGIN
    UPDATE tenants SET root_owner_id = NEW.member_id
    WHERE id = NEW.tenant_id AND root_owner_id IS NULL AND root_organization_id = NEW.organization_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER first_owner_is_root_owner AFTER INSERT ON role_assignments
FOR EACH ROW WHEN (NEW.role = 'owner' AND NEW.member_id IS NOT NULL)
EXECUTE FUNCTION first_owner_is_root_owner();

-- Roles that a tenant has made for itself.
CREATE TABLE roles (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    id uuid NOT NULL,
    name text COLLATE "C" NOT NULL,
    description text NOT NULL,
    permissions text[] NOT NULL,
    revision bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX roles_name ON roles (tenant_id, lower(name));
ALTER TABLE roles ENABLE ROW LEVEL SECURITY;
ALTER TABLE roles FORCE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON roles TO grantor_tenant, grantor_platform;
GRANT SELECT (tenant_id, id, permissions) ON roles TO grantor_fast;
CREATE POLICY own ON roles FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY fast ON roles FOR SELECT TO grantor_fast USING (true);

-- One of its own stands in `role` by its prefixed id, and here.
ALTER TABLE role_assignments ADD COLUMN role_id uuid;
ALTER TABLE role_assignments ADD CHECK ((role_id IS NOT NULL) = (role LIKE 'rol\_%'));
ALTER TABLE role_assignments ADD CONSTRAINT role_assignments_role
    FOREIGN KEY (tenant_id, role_id) REFERENCES roles (tenant_id, id);
CREATE INDEX role_assignments_by_role ON role_assignments (tenant_id, role, id);
CREATE INDEX role_assignments_by_own_role ON role_assignments (tenant_id, role_id) WHERE role_id IS NOT NULL;
CREATE INDEX role_assignments_by_organization ON role_assignments (tenant_id, organization_id, id);

-- Who calls on behalf of a member has the member's roles.
GRANT SELECT (member_id, role_id) ON role_assignments TO grantor_fast;
DROP POLICY fast ON role_assignments;
CREATE POLICY fast ON role_assignments FOR SELECT TO grantor_fast USING (true);
-- Through which client a member acted.
ALTER TABLE audit_events ADD COLUMN actor_client text COLLATE "C";

-- How much of what a tenant may have, where it is not as much as any; and how much it has.
CREATE TABLE tenant_quotas (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (id),
    organizations integer CHECK (organizations > 0),
    members integer CHECK (members > 0),
    clients integer CHECK (clients > 0),
    resource_servers integer CHECK (resource_servers > 0),
    roles integer CHECK (roles > 0)
);
CREATE TABLE tenant_usage (
    tenant_id uuid NOT NULL REFERENCES tenants (id),
    what text COLLATE "C" NOT NULL,
    used bigint NOT NULL,
    PRIMARY KEY (tenant_id, what)
);
INSERT INTO tenant_usage (tenant_id, what, used)
SELECT tenant_id, 'organizations', count(*) FROM organizations GROUP BY tenant_id
UNION ALL SELECT tenant_id, 'members', count(*) FROM members GROUP BY tenant_id
UNION ALL SELECT tenant_id, 'clients', count(*) FROM clients GROUP BY tenant_id
UNION ALL SELECT tenant_id, 'resource_servers', count(*) FROM resource_servers GROUP BY tenant_id;

ALTER TABLE tenant_quotas ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_quotas FORCE ROW LEVEL SECURITY;
ALTER TABLE tenant_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenant_usage FORCE ROW LEVEL SECURITY;
GRANT SELECT ON tenant_quotas TO grantor_tenant;
GRANT SELECT, INSERT, UPDATE, DELETE ON tenant_quotas TO grantor_platform;
GRANT SELECT, INSERT, UPDATE ON tenant_usage TO grantor_tenant, grantor_platform;
GRANT DELETE ON tenant_usage TO grantor_platform;
CREATE POLICY own ON tenant_quotas FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());
CREATE POLICY own ON tenant_usage FOR ALL TO grantor_tenant, grantor_platform USING (tenant_id = grantor.current_tenant());

-- Counting locks the tenant's count until the transaction ends: of two that make the last one that is allowed,
-- the second sees what the first has made.
CREATE FUNCTION count_usage() RETURNS trigger
LANGUAGE plpgsql
SET search_path = grantor, pg_temp
AS $$
BEGIN
    INSERT INTO tenant_usage AS counted (tenant_id, what, used)
    SELECT tenant_id, TG_TABLE_NAME, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END FROM moved GROUP BY tenant_id
    ON CONFLICT (tenant_id, what) DO UPDATE SET used = counted.used + excluded.used;
    RETURN NULL;
END
$$;
DO $$
DECLARE
    counted text;
BEGIN
    FOREACH counted IN ARRAY ARRAY['organizations', 'members', 'clients', 'resource_servers', 'roles'] LOOP
        EXECUTE format('CREATE TRIGGER count_more AFTER INSERT ON %I REFERENCING NEW TABLE AS moved '
            'FOR EACH STATEMENT EXECUTE FUNCTION count_usage()', counted);
        EXECUTE format('CREATE TRIGGER count_less AFTER DELETE ON %I REFERENCING OLD TABLE AS moved '
            'FOR EACH STATEMENT EXECUTE FUNCTION count_usage()', counted);
    END LOOP;
END
$$;

GRANT DELETE ON organizations TO grantor_tenant, grantor_platform;

ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
ALTER TABLE organizations FORCE ROW LEVEL SECURITY;
ALTER TABLE members FORCE ROW LEVEL SECURITY;
ALTER TABLE clients FORCE ROW LEVEL SECURITY;
ALTER TABLE resource_servers FORCE ROW LEVEL SECURITY;
ALTER TABLE role_assignments FORCE ROW LEVEL SECURITY;
