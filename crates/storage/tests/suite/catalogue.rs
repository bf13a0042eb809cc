//! What must hold of every table, asked of PostgreSQL's own catalogue. Who adds a table meets it here.

use grantor_test_support::TestDatabase;

use crate::support::texts;

/// diesel's own table: which migrations were applied. Servers look into it before they take on any role.
const DIESELS: &str = "__diesel_schema_migrations";

fn ask(sql: &str) -> Vec<String> {
    texts(&mut TestDatabase::new().superuser(), sql)
}

#[test]
fn row_level_security_is_forced_on_every_table() {
    let without = ask("SELECT relname FROM pg_class \
         WHERE relnamespace IN ('grantor'::regnamespace, 'grantor_parts'::regnamespace) \
           AND relkind IN ('r', 'p') AND NOT (relrowsecurity AND relforcerowsecurity)");
    assert_eq!(without, [DIESELS]);
}

#[test]
fn every_table_has_a_policy_except_partitions_which_nobody_reads_directly() {
    let without = ask(
        "SELECT relname FROM pg_class WHERE relnamespace = 'grantor'::regnamespace \
           AND relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid)",
    );
    assert_eq!(without, [DIESELS]);
}

#[test]
fn no_table_lies_outside_of_the_two_schemas_and_nothing_but_partitions_in_the_second() {
    let elsewhere = ask(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') \
           AND (relnamespace = 'public'::regnamespace \
                OR relnamespace = 'grantor_parts'::regnamespace AND NOT relispartition \
                OR relnamespace = 'grantor'::regnamespace AND (relispartition OR relkind NOT IN ('r', 'p')))",
    );
    assert_eq!(elsewhere, [""; 0]);
}

#[test]
fn partitions_are_granted_to_nobody() {
    let test = TestDatabase::new();
    let mut connection = test.superuser();
    let parts = texts(
        &mut connection,
        "SELECT relname FROM pg_class WHERE relnamespace = 'grantor_parts'::regnamespace AND relispartition",
    );
    assert!(parts.len() > 20, "partitions are made ahead: {parts:?}");
    let granted = texts(
        &mut connection,
        "SELECT relname || ' to ' || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END \
         FROM pg_class CROSS JOIN LATERAL aclexplode(relacl) \
         WHERE relnamespace = 'grantor_parts'::regnamespace AND grantee <> relowner \
         UNION ALL \
         SELECT nspname || ' to ' || rolname FROM pg_namespace CROSS JOIN pg_roles \
         WHERE nspname = 'grantor_parts' \
           AND rolname IN ('grantor_server', 'grantor_tenant', 'grantor_platform', 'grantor_fast') \
           AND has_schema_privilege(rolname, nspname, 'USAGE, CREATE')",
    );
    assert_eq!(granted, [""; 0]);
}

#[test]
fn every_unique_key_begins_with_the_tenant() {
    let others = ask("SELECT index.relname FROM pg_index \
         JOIN pg_class AS index ON index.oid = indexrelid \
         JOIN pg_class AS parent ON parent.oid = indrelid \
         JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
         WHERE parent.relnamespace = 'grantor'::regnamespace AND indisunique AND attname <> 'tenant_id' \
         ORDER BY 1");
    let platforms = [
        "__diesel_schema_migrations_pkey",
        "change_feed_pkey",
        "installation_pkey",
        "parted_tables_pkey",
        "spare_keys_pkey",
        "tenants_issuer_key",
        "tenants_one_platform",
        "tenants_pkey",
    ];
    assert_eq!(others, platforms);
}

#[test]
fn every_index_begins_with_the_tenant() {
    // These are for work on behalf of all tenants: following the feed, telling of clients that fail, sending what is
    // due, rotating keys, listing tenants.
    let of_all = [
        "changes_by_sequence",
        "client_alerts_noted",
        "deliveries_due",
        "signing_keys_due",
        "tenants_by_name",
    ];
    let others = ask("SELECT index.relname FROM pg_index \
         JOIN pg_class AS index ON index.oid = indexrelid \
         JOIN pg_class AS parent ON parent.oid = indrelid \
         LEFT JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0] \
         WHERE parent.relnamespace = 'grantor'::regnamespace AND NOT indisunique \
           AND attname IS DISTINCT FROM 'tenant_id' ORDER BY 1");
    assert_eq!(others, of_all);
}

#[test]
fn every_foreign_key_begins_with_the_tenant_on_both_sides() {
    let others = ask("SELECT conname FROM pg_constraint \
         JOIN pg_attribute AS own ON own.attrelid = conrelid AND own.attnum = conkey[1] \
         JOIN pg_attribute AS far ON far.attrelid = confrelid AND far.attnum = confkey[1] \
         WHERE contype = 'f' AND connamespace IN ('grantor'::regnamespace, 'grantor_parts'::regnamespace) \
           AND NOT ((own.attname = 'tenant_id' OR conrelid = 'grantor.tenants'::regclass AND own.attname = 'id') \
                    AND (far.attname = 'tenant_id' OR confrelid = 'grantor.tenants'::regclass))");
    assert_eq!(others, [""; 0]);
}

/// Foreign keys from tokens would lock client rows, and make deletes linear.
#[test]
fn what_is_parted_has_no_foreign_keys() {
    let keys = ask(
        "SELECT conname FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid \
         WHERE contype = 'f' AND (relkind = 'p' OR relispartition)",
    );
    assert_eq!(keys, [""; 0]);
}

#[test]
fn every_table_but_the_platforms_names_the_tenant() {
    let others = ask(
        "SELECT relname FROM pg_class WHERE relnamespace = 'grantor'::regnamespace AND relkind IN ('r', 'p') \
           AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = pg_class.oid AND attname = 'tenant_id' \
                           AND attnotnull AND atttypid = 'uuid'::regtype) \
         ORDER BY 1",
    );
    assert_eq!(
        others,
        [
            DIESELS,
            "change_feed",
            "installation",
            "parted_tables",
            "spare_keys",
            "tenants"
        ]
    );
}

#[test]
fn nobody_changes_the_log_of_record_or_the_change_feed() {
    let rights = ask("SELECT role || ' ' || privilege || ' ' || tables.name \
         FROM unnest(ARRAY['grantor_server', 'grantor_tenant', 'grantor_platform', 'grantor_fast']) AS role \
         CROSS JOIN unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) AS privilege \
         CROSS JOIN unnest(ARRAY['audit_events', 'changes']) AS tables (name) \
         WHERE has_table_privilege(role, 'grantor.' || tables.name, privilege) \
            OR privilege IN ('UPDATE', 'REFERENCES') \
               AND has_any_column_privilege(role, 'grantor.' || tables.name, privilege)");
    assert_eq!(rights, [""; 0]);
}

/// Every right on a table, a column, a sequence or a function that a role or everybody was given.
fn rights_of(grantee: &str) -> Vec<String> {
    let mut rights = ask(&format!(
        "SELECT relname || ': ' || string_agg(privilege_type, ', ' ORDER BY privilege_type) \
         FROM pg_class CROSS JOIN LATERAL aclexplode(relacl) AS acl \
         WHERE relnamespace = 'grantor'::regnamespace AND acl.grantee = {grantee} GROUP BY relname \
         UNION ALL \
         SELECT relname || '.' || attname || ': ' || string_agg(privilege_type, ', ' ORDER BY privilege_type) \
         FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
         CROSS JOIN LATERAL aclexplode(attacl) AS acl \
         WHERE relnamespace = 'grantor'::regnamespace AND acl.grantee = {grantee} GROUP BY relname, attname"
    ));
    // Sorted here: the order must not hang on a collation.
    rights.sort();
    rights
}

#[test]
fn the_fast_path_reaches_its_tables_alone() {
    assert_eq!(
        rights_of("'grantor_fast'::regrole"),
        [
            "access_tokens.revoked_at: UPDATE",
            "access_tokens: INSERT, SELECT",
            "change_feed: SELECT",
            "changes: SELECT",
            "client_alerts.client_id: INSERT",
            "client_alerts.kind: INSERT",
            "client_alerts.noted_at: INSERT, UPDATE",
            "client_alerts.tenant_id: INSERT",
            "client_alerts: SELECT",
            "client_failures.failures: UPDATE",
            "client_failures: INSERT, SELECT",
            "clients.allowed_ips: SELECT",
            "clients.allowed_scopes: SELECT",
            "clients.id: SELECT",
            "clients.tenant_id: SELECT",
            "installation: SELECT",
            "last_uses: INSERT, SELECT, UPDATE",
            "refresh_families.ended_at: UPDATE",
            "refresh_families.ended_why: UPDATE",
            "refresh_families.generation: UPDATE",
            "refresh_families.rotated_at: UPDATE",
            "refresh_families: INSERT, SELECT",
            "role_assignments.client_id: SELECT",
            "role_assignments.member_id: SELECT",
            "role_assignments.organization_id: SELECT",
            "role_assignments.role: SELECT",
            "role_assignments.role_id: SELECT",
            "role_assignments.tenant_id: SELECT",
            "roles.id: SELECT",
            "roles.permissions: SELECT",
            "roles.tenant_id: SELECT",
            "suspensions: SELECT",
            "tenant_suspensions: SELECT",
            "tenants.id: SELECT",
            "tenants.is_platform: SELECT",
            "tenants.root_organization_id: SELECT",
            "user_agents: INSERT, SELECT",
        ]
    );
}

#[test]
fn the_fast_paths_policies_let_it_write_tokens_their_families_and_what_is_counted_alone() {
    let mut policies = ask(
        "SELECT tablename || ' for ' || cmd || ' where ' || qual FROM pg_policies \
         WHERE schemaname = 'grantor' AND 'grantor_fast' = ANY (roles)",
    );
    policies.sort();
    assert_eq!(
        policies,
        [
            "access_tokens for ALL where true",
            "change_feed for SELECT where true",
            "changes for SELECT where true",
            "client_alerts for ALL where true",
            "client_failures for ALL where true",
            "clients for SELECT where true",
            "installation for SELECT where true",
            "last_uses for ALL where true",
            "refresh_families for ALL where true",
            "role_assignments for SELECT where true",
            "roles for SELECT where true",
            "suspensions for SELECT where true",
            "tenant_suspensions for SELECT where true",
            "tenants for SELECT where true",
            "user_agents for ALL where true",
        ]
    );
}

#[test]
fn the_role_that_servers_log_in_as_has_no_right_of_its_own_and_everybody_sees_the_migrations_alone()
{
    assert_eq!(rights_of("'grantor_server'::regrole"), [""; 0]);
    assert_eq!(rights_of("0"), ["__diesel_schema_migrations: SELECT"]);
}

#[test]
fn a_tenant_writes_nothing_of_its_own_row_but_the_revision_and_its_root_owner() {
    let columns = ask(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'grantor.tenants'::regclass AND attnum > 0 \
           AND has_column_privilege('grantor_tenant', attrelid, attname, 'UPDATE') ORDER BY 1",
    );
    assert_eq!(columns, ["revision", "root_owner_id", "updated_at"]);
}

/// A function that runs with its owner's rights is a door in the wall.
#[test]
fn few_functions_have_their_definers_rights_and_few_may_call_them() {
    let mut functions = ask(
        "SELECT proname || ' as ' || proowner::regrole || ' with ' || array_to_string(proconfig, ' and ') || ' for ' || \
                coalesce((SELECT string_agg(CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, ', ') \
                          FROM aclexplode(proacl) WHERE grantee <> proowner), 'nobody') \
         FROM pg_proc WHERE prosecdef AND pronamespace NOT IN ('pg_catalog'::regnamespace)",
    );
    functions.sort();
    assert_eq!(
        functions,
        [
            "append_change as grantor_feed with search_path=grantor, pg_temp for grantor_owner",
            "erase_person as grantor_erasure with search_path=grantor, pg_temp for grantor_tenant, grantor_platform",
            "feed_head as grantor_feed with search_path=grantor, pg_temp for grantor_tenant",
            "keep_partitions as grantor_owner with search_path=grantor, pg_temp and lock_timeout=200ms for grantor_platform",
            "purge_rows as grantor_purge with search_path=grantor, pg_temp for grantor_platform",
        ]
    );
}

/// What takes a definer's rights must have few of them.
#[test]
fn the_role_of_the_feed_adds_to_it_and_cuts_off_and_nothing_else() {
    assert_eq!(
        rights_of("'grantor_feed'::regrole"),
        [
            "changes.sequence: SELECT",
            "changes: INSERT",
            "changes_sequence: USAGE",
            "suspensions.cut_below: UPDATE",
            "suspensions.subject_id: SELECT",
            "suspensions.tenant_id: SELECT",
            "tenant_suspensions.cut_below: UPDATE",
            "tenant_suspensions.tenant_id: SELECT",
        ]
    );
}

#[test]
fn the_role_of_erasure_takes_persons_out_of_events_and_nothing_else() {
    let rights = rights_of("'grantor_erasure'::regrole");
    let of_log = |column: &str, rights: &str| format!("audit_events.{column}: {rights}");
    assert_eq!(
        rights,
        [
            of_log("actor_name", "SELECT"),
            of_log("after_change", "SELECT, UPDATE"),
            of_log("before_change", "SELECT, UPDATE"),
            of_log("erased_at", "SELECT, UPDATE"),
            of_log("id", "SELECT"),
            of_log("ip", "SELECT, UPDATE"),
            of_log("target_id", "SELECT"),
            of_log("tenant_id", "SELECT"),
            of_log("user_agent", "SELECT, UPDATE"),
        ]
    );
}

/// Its policies hold it to the tables of a deleted tenant; see the tests of those.
#[test]
fn the_role_of_the_purge_removes_rows_counts_them_and_nothing_else() {
    let rights = rights_of("'grantor_purge'::regrole");
    let others: Vec<&str> = rights
        .iter()
        .filter(|right| !right.ends_with(": DELETE, SELECT"))
        .map(String::as_str)
        .collect();
    assert_eq!(
        others,
        [
            "tenant_suspensions.deleted_at: SELECT",
            "tenant_suspensions.tenant_id: SELECT",
            "tenant_usage: DELETE, INSERT, SELECT, UPDATE",
        ]
    );
    for kept in ["audit_events", "changes", "tenants", "access_tokens"] {
        let named = format!("{kept}: ");
        assert!(
            !rights.iter().any(|right| right.starts_with(&named)),
            "{kept}"
        );
    }
}

#[test]
fn no_role_of_a_server_writes_the_feed_or_what_cuts_off() {
    let rights = ask("SELECT role || ' ' || relname || ' ' || privilege \
         FROM unnest(ARRAY['grantor_server', 'grantor_tenant', 'grantor_platform', 'grantor_fast']) AS role \
         CROSS JOIN unnest(ARRAY['INSERT', 'UPDATE']) AS privilege \
         JOIN pg_class ON relnamespace = 'grantor'::regnamespace \
         JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 \
         WHERE (relname IN ('changes', 'change_feed', 'parted_tables') OR attname = 'cut_below') AND relkind IN ('r', 'p') \
           AND has_column_privilege(role, attrelid, attnum, privilege) \
         UNION ALL \
         SELECT role || ' ' || privilege \
         FROM unnest(ARRAY['grantor_server', 'grantor_tenant', 'grantor_platform', 'grantor_fast']) AS role \
         CROSS JOIN unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS privilege \
         WHERE has_sequence_privilege(role, 'grantor.changes_sequence', privilege)");
    assert_eq!(rights, [""; 0]);
}

/// A role without a login whose rights a function lends: nobody but the owner takes it on, and it has no
/// attribute that would let it past row-level security.
#[test]
fn nobody_takes_on_a_role_whose_rights_a_function_lends() {
    let members = ask(
        "SELECT member.rolname || ' in ' || lent.rolname FROM pg_auth_members \
         JOIN pg_roles AS member ON member.oid = member JOIN pg_roles AS lent ON lent.oid = roleid \
         WHERE lent.rolname IN ('grantor_feed', 'grantor_erasure', 'grantor_purge') \
           AND member.rolname NOT LIKE 'fitness_%' ORDER BY 1",
    );
    assert_eq!(
        members,
        [
            "grantor_owner in grantor_erasure",
            "grantor_owner in grantor_feed",
            "grantor_owner in grantor_purge"
        ]
    );
    let unlike = ask(
        "SELECT rolname FROM pg_roles WHERE rolname IN ('grantor_feed', 'grantor_erasure', 'grantor_purge') \
         AND (rolcanlogin OR rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)",
    );
    assert_eq!(unlike, [""; 0]);
}

#[test]
fn a_tenant_writes_nothing_of_a_token_but_that_it_was_removed() {
    let columns = ask(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'grantor.access_tokens'::regclass AND attnum > 0 \
           AND has_column_privilege('grantor_tenant', attrelid, attname, 'UPDATE') ORDER BY 1",
    );
    assert_eq!(columns, ["revoked_at"]);
    let rights = ask(
        "SELECT privilege FROM unnest(ARRAY['INSERT', 'DELETE', 'TRUNCATE']) AS privilege \
         WHERE has_table_privilege('grantor_tenant', 'grantor.access_tokens', privilege)",
    );
    assert_eq!(rights, [""; 0]);
    // Of what suspends it, it begins a row, and says nothing in it.
    let columns = ask(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'grantor.tenant_suspensions'::regclass AND attnum > 0 \
           AND (has_column_privilege('grantor_tenant', attrelid, attname, 'INSERT') \
             OR has_column_privilege('grantor_tenant', attrelid, attname, 'UPDATE')) ORDER BY 1",
    );
    assert_eq!(columns, ["tenant_id"]);
}
