-- What a tenant has of clients, by sets; goes with `fill.sql`. Checks of foreign keys and triggers are switched off while
-- it runs, so the count of what there is is written here.

-- Clients of all organizations, but the last twentieth lives in the last twentieth of them, was made last and comes last
-- by name. A fifth has the same name. The last fiftieth is public, the last thousandth is disabled. The first member owns
-- three in ten, but nothing that is public; the second owns the very last; the third owns twenty; what is left is the
-- others' in turns. One half is of the north, the other of the south; the last ten are unicorns.
CREATE FUNCTION pg_temp.fill_clients(tenant integer, groups integer, owners integer, many integer) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO grantor.clients (tenant_id, id, organization_id, kind, name, description, client_type, profile, grant_types,
        auth_method, allowed_scopes, require_requested_scopes, access_token_seconds, owner_email, owner_id, status,
        created_at, updated_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(5, tenant, n),
        pg_temp.id_of(2, tenant, CASE WHEN n > many - many / 20 THEN groups - n % greatest(1, groups / 20)
            ELSE 1 + n * 7919::bigint % groups END::integer),
        'own',
        CASE WHEN n > many - many / 20 THEN 'Zoo ' || lpad(n::text, 7, '0') WHEN n % 5 = 4 THEN 'Service'
            ELSE 'App' || n % 200 || ' Team' || n % greatest(1, many / 20) END,
        CASE WHEN n > many - 10 THEN 'Unicorn' ELSE '' END,
        CASE WHEN n > many - many / 50 THEN 'public' ELSE 'confidential' END,
        CASE WHEN n > many - many / 50 THEN 'spa' ELSE 'service' END,
        ARRAY[CASE WHEN n > many - many / 50 THEN 'authorization_code' ELSE 'client_credentials' END],
        CASE WHEN n > many - many / 50 THEN 'none' ELSE 'client_secret_basic' END,
        ARRAY['invoices:read'], true, 3600, CASE WHEN n % 2 = 0 THEN 'north' ELSE 'south' END || '@example.com',
        pg_temp.id_of(3, tenant, CASE WHEN n = many THEN 2 WHEN n % (many / 20) = 7 THEN 3
            WHEN n % 10 < 3 AND n <= many - many / 50 THEN 1 ELSE 4 + n % (owners - 3) END),
        CASE WHEN n > many - greatest(1, many / 1000) THEN 'disabled' ELSE 'active' END, '2025-01-01', '2025-01-01'
    FROM generate_series(1, many) AS n;
    INSERT INTO grantor.tenant_usage (tenant_id, what, used) VALUES (pg_temp.id_of(1, 0, tenant), 'clients', many);
    INSERT INTO grantor.suspensions (tenant_id, subject_id, paused_by_tenant_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(5, tenant, n), '2025-02-01'
    FROM generate_series(many - greatest(1, many / 1000) + 1, many) AS n;
    INSERT INTO grantor.client_words (tenant_id, word, client_id)
    SELECT tenant_id, word, id
    FROM grantor.clients, string_to_table(lower(name || ' ' || replace(owner_email, '@example.com', ' example com')
        || CASE description WHEN '' THEN '' ELSE ' ' || description END), ' ') AS word
    WHERE tenant_id = pg_temp.id_of(1, 0, tenant);
    INSERT INTO grantor.last_uses (tenant_id, subject_id, used_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(5, tenant, n), '2025-03-01' FROM generate_series(1, many, 5) AS n;
END;

-- A secret for each client, or for 100,000 of more. The third member has made twenty. The last twentieth of the organizations is
-- marked, so what is due as a precaution comes last; of it the last five were seen by somebody who left.
CREATE FUNCTION pg_temp.fill_secrets(tenant integer, groups integer, many integer) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO grantor.client_secrets (tenant_id, client_id, id, hint, verifier, created_by, created_at, created_by_member,
        due_since, due_why, due_cause, due_former_owner)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(5, tenant, n), pg_temp.id_of(6, tenant, n), 'abcd', 'v', 'nobody',
        '2025-01-01',
        CASE WHEN n % (many / 20) < greatest(1, many / 100000) THEN pg_temp.id_of(3, tenant, 3) END,
        CASE WHEN exposed THEN '2025-02-01'::timestamptz END, CASE WHEN exposed THEN 'exposed' END,
        CASE WHEN exposed THEN 'rights_lost' END, CASE WHEN exposed THEN pg_temp.id_of(3, tenant, 4) END
    FROM generate_series(1, many, greatest(1, many / 100000)) AS n,
        LATERAL (SELECT n > many - 5 * greatest(1, many / 100000) AS exposed) AS seen;
    INSERT INTO grantor.rotation_marks (tenant_id, organization_id, marked_at, cause, former_owner)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(2, tenant, n), '2025-02-01', 'rights_lost', pg_temp.id_of(3, tenant, 4)
    FROM generate_series(groups - groups / 20 + 1, groups) AS n;
END;

-- Tokens that expire at this time, of the first clients and of the last: five have 2,000 each, so more than are counted;
-- and as many others as the most, ten each. Every other acts for the third member.
CREATE FUNCTION pg_temp.fill_tokens(tenant integer, many integer, expires_at timestamptz) RETURNS void
LANGUAGE sql
BEGIN ATOMIC
    INSERT INTO grantor.access_tokens (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, epoch,
        decided_at)
    SELECT pg_temp.id_of(1, 0, tenant), pg_temp.id_of(5, tenant, client.n),
        (left(grantor.uuid_floor(expires_at + token.n * interval '10 seconds')::text, 14) || '7000-8000-'
            || lpad(to_hex(token.n), 12, '0'))::uuid,
        '\x00', CASE WHEN token.n % 2 = 0 THEN pg_temp.id_of(3, tenant, 3) END, ARRAY['invoices:read'], '{}', '2025-03-01',
        42, 9223372036854775807
    FROM generate_series(1, many) AS client (n),
        generate_series(1, CASE WHEN client.n <= 5 THEN 2000 ELSE 10 END) AS token (n)
    WHERE client.n <= 1000 OR client.n > many - 1000;
END;
