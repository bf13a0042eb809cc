-- Fills a database by sets: an installation of many tenants, and what one of them has. Ids tell in what order things
-- were made, as real ones do; `id_of` of `world.rs` makes the same.
CREATE FUNCTION pg_temp.id_of(kind integer, tenant integer, number integer) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(1735689600000 + number * 1000::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0')
    || '8000' || lpad(to_hex(tenant), 5, '0') || lpad(to_hex(number), 7, '0'))::uuid;

-- The first fifth of the tenants was thrown away again, and the last thousandth is suspended: so the first page skips
-- what it does not show, and the suspended come last in each order.
CREATE FUNCTION pg_temp.fill_installation(many integer) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO grantor.tenants (id, name, issuer, is_platform, root_organization_id, created_at, updated_at)
    SELECT pg_temp.id_of(1, 0, n), 'Tenant ' || lpad(n::text, 5, '0'), 'https://login.example.com/' || n, n = 1,
        pg_temp.id_of(2, n, 1), '2025-01-01', '2025-01-01'
    FROM generate_series(1, many) AS n;
    INSERT INTO grantor.organizations (tenant_id, id, name, created_at, updated_at)
    SELECT pg_temp.id_of(1, 0, n), pg_temp.id_of(2, n, 1), 'Tenant ' || lpad(n::text, 5, '0'), '2025-01-01', '2025-01-01'
    FROM generate_series(1, many) AS n;
    INSERT INTO grantor.tenant_suspensions (tenant_id, deleted_at)
    SELECT pg_temp.id_of(1, 0, n), '2025-02-01' FROM generate_series(2, many / 5) AS n;
    INSERT INTO grantor.tenant_suspensions (tenant_id, paused_by_operator_at, cut_below)
    SELECT pg_temp.id_of(1, 0, n), '2025-02-01', 1 FROM generate_series(many - greatest(1, many / 1000) + 1, many) AS n;
END;

-- A tree of uneven depth: a tenth lies right below the root, most lies below what was made before, and the last eleven
-- lie one below the other.
CREATE FUNCTION pg_temp.fill_tree(tenant integer, many integer) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO grantor.organizations (tenant_id, id, parent_id, name, created_at, updated_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(2, tenant, n),
        pg_temp.id_of(2, tenant, CASE WHEN many >= 100 AND n > many - 10 THEN n - 1
            WHEN n % 10 = 0 OR n = many - 10 THEN 1 ELSE n / 2 END),
        'Group ' || lpad(n::text, 5, '0'), '2025-01-01', '2025-01-01'
    FROM generate_series(2, many) AS n;
END;

-- Members of all organizations, but the last twentieth lives in the last twentieth of them, was made last and comes last
-- by name: the worst for a list that would go through an order and pick out these organizations. A fifth has the same
-- name. The last thousandth is disabled. One half is of the north, the other of the south, and all have an address at the
-- same domain.
CREATE FUNCTION pg_temp.fill_members(tenant integer, groups integer, many integer) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO grantor.members (tenant_id, id, organization_id, name, email, status, created_at, updated_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(3, tenant, n),
        pg_temp.id_of(2, tenant, CASE WHEN n > many - many / 20 THEN groups - n % greatest(1, groups / 20)
            ELSE 1 + n * 7919 % groups END),
        CASE WHEN n > many - many / 20 THEN 'Late' || n WHEN n % 5 = 0 THEN 'Guest'
            ELSE 'Given' || n % 200 || ' Family' || n % greatest(1, many / 20) END,
        'Person' || n || '@' || CASE WHEN n % 2 = 0 THEN 'north' ELSE 'south' END || '.branch' || n % 50 || '.example.com',
        CASE WHEN n > many - greatest(1, many / 1000) THEN 'disabled' ELSE 'active' END, '2025-01-01', '2025-01-01'
    FROM generate_series(1, many) AS n;
    INSERT INTO grantor.suspensions (tenant_id, subject_id, paused_by_tenant_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(3, tenant, n), '2025-02-01'
    FROM generate_series(many - greatest(1, many / 1000) + 1, many) AS n;
    INSERT INTO grantor.member_words (tenant_id, word, member_id)
    SELECT DISTINCT members.tenant_id, word, members.id
    FROM grantor.members, regexp_split_to_table(lower(name || ' ' || email), '[^[:alnum:]]+') AS word
    WHERE members.tenant_id = pg_temp.id_of(1, 0, tenant);
END;

-- Roles of members: a tenth of them over the root. The first two members get theirs elsewhere.
CREATE FUNCTION pg_temp.fill_roles(tenant integer, groups integer, many integer) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO grantor.role_assignments (tenant_id, id, member_id, role, organization_id, created_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(4, tenant, n), pg_temp.id_of(3, tenant, n),
        CASE n WHEN 3 THEN 'owner' ELSE 'developer' END,
        pg_temp.id_of(2, tenant, CASE WHEN n % 10 = 3 THEN 1 ELSE 1 + n % groups END), '2025-01-01'
    FROM generate_series(3, many) AS n;
END;
