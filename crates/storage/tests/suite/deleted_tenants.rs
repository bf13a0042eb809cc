//! What a deleted tenant leaves goes in small steps, all of it but what must stay, and nobody else's.

use diesel::connection::SimpleConnection as _;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::tenant::NewTenant;
use grantor_storage::purge::{self, Purged, STEP};
use grantor_storage::{Change, ReadTx, Scope, StorageError, tenants};
use grantor_test_support::TestDatabase;
use uuid::Uuid;

use crate::support::{Fixture, now, number, texts, wait_for};

/// What stays of a deleted tenant: its mark and the log of record; what leaves by partition is as it was.
const STAYING: [&str; 10] = [
    "access_tokens",
    "audit_events",
    "changes",
    "client_failures",
    "credential_links",
    "deliveries",
    "idempotency_records",
    "refresh_families",
    "tenant_suspensions",
    "user_agents",
];

/// Rows in every table that refers to others, straight into them: what a tenant may come to have.
fn populate(fixture: &Fixture, tenant: &NewTenant, clients: u32) {
    let (id, root) = (tenant.id.uuid(), tenant.root_organization.uuid());
    fixture.superuser_runs(&format!(
        "SET search_path = grantor;
         INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at)
           SELECT '{id}', md5('{id} org ' || n)::uuid,
             CASE n WHEN 1 THEN '{root}'::uuid ELSE md5('{id} org ' || n - 1)::uuid END, 'Group', now(), now()
           FROM generate_series(1, 31) AS n;
         INSERT INTO clients (tenant_id, id, organization_id, kind, name, description, client_type, profile, grant_types,
             auth_method, allowed_scopes, require_requested_scopes, access_token_seconds, owner_email, created_at, updated_at)
           SELECT '{id}', md5('{id} client ' || n)::uuid, '{root}', 'own', 'Client ' || n, '', 'confidential', 'service',
             '{{client_credentials}}', 'client_secret_basic', '{{}}', true, 3600, 'o@example.com', now(), now()
           FROM generate_series(1, {clients}) AS n;
         INSERT INTO client_secrets (tenant_id, client_id, id, hint, verifier, created_by, created_at)
           SELECT tenant_id, id, id, 'gsec', 'h1', 'test', now() FROM clients WHERE tenant_id = '{id}';
         INSERT INTO members (tenant_id, id, organization_id, name, email, created_at, updated_at)
           SELECT '{id}', md5('{id} member ' || n)::uuid, md5('{id} org ' || n)::uuid, 'Member', n || '@example.com', now(), now()
           FROM generate_series(1, 20) AS n;
         INSERT INTO authenticators (tenant_id, member_id, kind, verifier, created_at, updated_at)
           SELECT tenant_id, id, 'password', 'p1$none', now(), now() FROM members WHERE tenant_id = '{id}';
         INSERT INTO member_words (tenant_id, word, member_id) SELECT tenant_id, 'member', id FROM members WHERE tenant_id = '{id}';
         UPDATE clients SET owner_id = md5('{id} member 1')::uuid WHERE tenant_id = '{id}';
         INSERT INTO client_words (tenant_id, word, client_id) SELECT tenant_id, 'client', id FROM clients WHERE tenant_id = '{id}';
         INSERT INTO client_enablements (tenant_id, client_id, organization_id, created_at)
           SELECT tenant_id, id, md5('{id} org 1')::uuid, now() FROM clients WHERE tenant_id = '{id}';
         INSERT INTO rotation_marks (tenant_id, organization_id, marked_at, cause, former_owner)
           SELECT tenant_id, id, now(), 'owner_left', md5('{id} member 1')::uuid FROM organizations WHERE tenant_id = '{id}';
         INSERT INTO last_uses (tenant_id, subject_id, used_at) SELECT tenant_id, id, now() FROM clients WHERE tenant_id = '{id}';
         INSERT INTO client_alerts (tenant_id, client_id, kind, noted_at)
           SELECT tenant_id, id, 'limit_reached', now() FROM clients WHERE tenant_id = '{id}';
         INSERT INTO roles (tenant_id, id, name, description, permissions, created_at, updated_at)
           VALUES ('{id}', '{id}', 'Auditor', '', '{{audit.read}}', now(), now());
         INSERT INTO role_assignments (tenant_id, id, member_id, role, organization_id, created_at)
           SELECT tenant_id, id, id, 'owner', '{root}', now() FROM members WHERE tenant_id = '{id}';
         INSERT INTO role_assignments (tenant_id, id, client_id, role, organization_id, created_at)
           SELECT tenant_id, id, id, 'support', '{root}', now() FROM clients WHERE tenant_id = '{id}';
         INSERT INTO resource_servers (tenant_id, id, key, identifier, name, verification, created_at, updated_at)
           VALUES ('{id}', '{id}', 'orders.api', 'https://orders.example', 'Orders', 'introspection', now(), now());
         INSERT INTO resource_server_scopes (tenant_id, resource_server_id, scope, description)
           VALUES ('{id}', '{id}', 'orders.api:read', '');
         INSERT INTO resource_server_introspectors (tenant_id, resource_server_id, client_id)
           SELECT tenant_id, '{id}', id FROM clients WHERE tenant_id = '{id}';
         INSERT INTO signing_keys (tenant_id, kid, id, algorithm, generation, public_jwk, sealed_private_key, created_at, signs_from)
           VALUES ('{id}', '{id}', '{id}', 'ES256', 1, '{{}}', '', now(), now());
         INSERT INTO suspensions (tenant_id, subject_id) SELECT tenant_id, id FROM clients WHERE tenant_id = '{id}';
         INSERT INTO tenant_settings VALUES ('{id}', 3600, 3600, 3600, 12, NULL, NULL, NULL, 1, now());
         INSERT INTO tenant_quotas (tenant_id, clients) VALUES ('{id}', 100000);"
    ));
}

fn delete(fixture: &Fixture, tenant: TenantId) {
    fixture
        .change(Scope::Platform(Some(tenant)), move |tx| {
            tenants::find_for_change(tx, tenant)?;
            tenants::delete(tx, tenant)?;
            let event = Event::new(tenant, Action::TenantDeleted, Target::Tenant(tenant));
            Ok(Change::made((), event))
        })
        .unwrap();
}

/// Every table that knows tenants, but the tenants' own.
fn tables(fixture: &Fixture) -> Vec<String> {
    texts(
        &mut fixture.test.superuser(),
        "SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
         WHERE relnamespace = 'grantor'::regnamespace AND relkind IN ('r', 'p') AND attname = 'tenant_id' ORDER BY 1",
    )
}

fn rows_of(fixture: &Fixture, table: &str, tenant: Uuid) -> i64 {
    fixture.number(&format!(
        "SELECT count(*) FROM {table} WHERE tenant_id = '{tenant}'"
    ))
}

fn steps(database: &grantor_storage::Database) -> Vec<Purged> {
    let mut steps = Vec::new();
    while let Some(step) = wait_for(purge::step(database, now())).unwrap() {
        steps.push(step);
        assert!(steps.len() < 1_000, "it has no end");
    }
    steps
}

#[test]
fn nothing_is_left_of_a_deleted_tenant_but_what_must_stay_and_nothing_of_others_goes() {
    let fixture = Fixture::new();
    let (doomed, other) = (fixture.tenant("Doomed"), fixture.tenant("Other"));
    populate(&fixture, &doomed, 1_200);
    populate(&fixture, &other, 30);
    let tables = tables(&fixture);
    for table in tables
        .iter()
        .filter(|table| !STAYING.contains(&table.as_str()))
    {
        for tenant in [&doomed, &other] {
            let rows = rows_of(&fixture, table, tenant.id.uuid());
            assert!(rows > 0, "`populate` puts nothing into {table}: let it");
        }
    }
    let owner = "SELECT count(*) FROM tenants WHERE root_owner_id IS NOT NULL";
    assert_eq!(fixture.number(owner), 2);
    let state = |tenant: Uuid| -> Vec<String> {
        let mut behind = fixture.test.superuser();
        tables
            .iter()
            .flat_map(|table| {
                texts(
                    &mut behind,
                    &format!("SELECT '{table} ' || {table}::text FROM {table} WHERE tenant_id = '{tenant}' ORDER BY 1"),
                )
            })
            .collect()
    };
    let untouched = state(other.id.uuid());

    delete(&fixture, doomed.id);
    let log = rows_of(&fixture, "audit_events", doomed.id.uuid());
    assert!(log >= 2, "made, and deleted");
    let steps = steps(&fixture.database);
    assert!(
        steps
            .iter()
            .all(|step| step.rows <= STEP && step.tenant == doomed.id)
    );
    assert!(steps.len() > 10, "it went in steps: {}", steps.len());
    assert_eq!(steps.iter().filter(|step| step.is_over).count(), 1);

    for table in &tables {
        let rows = rows_of(&fixture, table, doomed.id.uuid());
        if STAYING.contains(&table.as_str()) {
            continue;
        }
        assert_eq!(rows, 0, "{table}: let_purge it, and put it into PURGED");
    }
    assert_eq!(rows_of(&fixture, "audit_events", doomed.id.uuid()), log);
    assert_eq!(rows_of(&fixture, "tenant_suspensions", doomed.id.uuid()), 1);
    let tombstone = format!(
        "SELECT count(*) FROM tenants WHERE id = '{}' AND issuer = '{}'",
        doomed.id.uuid(),
        doomed.issuer
    );
    assert_eq!(
        fixture.number(&tombstone),
        1,
        "id and issuer are never used again"
    );
    assert_eq!(state(other.id.uuid()), untouched);
    assert_eq!(
        wait_for(purge::step(&fixture.database, now())).unwrap(),
        None
    );
}

#[test]
fn deleting_touches_as_many_rows_however_much_there_is() {
    let fixture = Fixture::new();
    let written = |clients: u32| {
        let tenant = fixture.tenant("Some");
        populate(&fixture, &tenant, clients);
        // What the deletion itself wrote is what bears its transaction's number.
        delete(&fixture, tenant.id);
        let mut behind = fixture.test.superuser();
        let id = tenant.id.uuid();
        let xid = texts(
            &mut behind,
            &format!("SELECT xmin FROM tenant_suspensions WHERE tenant_id = '{id}'"),
        );
        tables(&fixture)
            .iter()
            .map(|table| {
                let sql = format!(
                    "SELECT count(*) FROM {table} WHERE tenant_id = '{id}' AND xmin::text = '{0}' OR \
                     tenant_id = '{id}' AND xmax::text = '{0}'",
                    xid[0]
                );
                number(&mut behind, &sql)
            })
            .sum::<i64>()
    };
    let of_none = written(1);
    assert_eq!(
        of_none, 3,
        "the mark, the event, and the change on the feed"
    );
    assert_eq!(written(20_000), of_none);
}

#[test]
fn a_worker_that_dies_in_the_middle_is_followed_by_another() {
    let fixture = Fixture::new();
    let doomed = fixture.tenant("Doomed");
    populate(&fixture, &doomed, 700);
    delete(&fixture, doomed.id);
    let first = wait_for(purge::step(&fixture.database, now()))
        .unwrap()
        .unwrap();
    assert_eq!((first.rows, first.is_over), (STEP, false));

    // A worker that was stopped in the middle of a step holds the tenant until PostgreSQL ends its session.
    let mut stopped = fixture.test.superuser();
    stopped
        .batch_execute(&format!(
            "BEGIN; DELETE FROM client_secrets WHERE tenant_id = '{0}'; \
             SELECT FROM tenant_suspensions WHERE tenant_id = '{0}' FOR UPDATE",
            doomed.id.uuid()
        ))
        .unwrap();
    assert_eq!(
        wait_for(purge::step(&fixture.database, now())).unwrap(),
        None,
        "nobody else waits for it"
    );
    drop(stopped);

    let another = Fixture::reopened(&fixture.test, std::time::Duration::from_secs(20));
    crate::support::until("the session of the one that died has ended", || {
        wait_for(purge::step(&another, now())).unwrap().is_some()
    });
    assert!(steps(&another).last().unwrap().is_over);
    assert_eq!(rows_of(&fixture, "clients", doomed.id.uuid()), 0);
}

#[test]
fn several_workers_share_the_work() {
    let fixture = Fixture::new();
    let doomed: Vec<NewTenant> = (0..3).map(|_| fixture.tenant("Doomed")).collect();
    for tenant in &doomed {
        populate(&fixture, tenant, 600);
        delete(&fixture, tenant.id);
    }
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| steps(&fixture.database));
        }
    });
    // Who found every tenant taken went home; what is left is for whoever comes next.
    steps(&fixture.database);
    let left = "SELECT count(*) FROM tenant_suspensions WHERE deleted_at IS NOT NULL AND purged_at IS NULL";
    assert_eq!(fixture.number(left), 0);
    for tenant in &doomed {
        assert_eq!(rows_of(&fixture, "clients", tenant.id.uuid()), 0);
    }
}

#[test]
fn nothing_of_a_tenant_that_is_not_deleted_can_be_purged() {
    let fixture = Fixture::new();
    let (living, deleted) = (fixture.tenant("Living"), fixture.tenant("Deleted"));
    populate(&fixture, &living, 3);
    populate(&fixture, &deleted, 3);
    delete(&fixture, deleted.id);
    let asked = |set: Uuid, of: Uuid| {
        let mut connection = connect(&fixture.test);
        connection
            .batch_execute(&format!(
                "BEGIN; SET LOCAL ROLE grantor_platform; SET LOCAL grantor.tenant = '{set}'"
            ))
            .unwrap();
        number(
            &mut connection,
            &format!("SELECT purge_rows('client_secrets', '{of}', 10)"),
        )
    };
    let (living, deleted) = (living.id.uuid(), deleted.id.uuid());
    assert_eq!(asked(living, living), 0);
    assert_eq!(asked(deleted, living), 0, "another than the transaction's");
    assert_eq!(asked(living, deleted), 0);
    assert_eq!(asked(deleted, deleted), 3);

    for table in [
        "audit_events",
        "access_tokens",
        "tenants",
        "tenant_suspensions",
        "changes",
    ] {
        let mut connection = connect(&fixture.test);
        connection
            .batch_execute(&format!(
                "BEGIN; SET LOCAL ROLE grantor_platform; SET LOCAL grantor.tenant = '{deleted}'"
            ))
            .unwrap();
        let refusal = connection
            .batch_execute(&format!("SELECT purge_rows('{table}', '{deleted}', 10)"))
            .unwrap_err()
            .to_string();
        let no_way = refusal.contains("permission denied") || refusal.contains("does not exist");
        assert!(no_way, "{table}: {refusal}");
    }
}

fn connect(test: &TestDatabase) -> diesel::PgConnection {
    use diesel::Connection as _;
    let mut connection = diesel::PgConnection::establish(&test.url()).unwrap();
    connection
        .batch_execute("SET search_path = grantor")
        .unwrap();
    connection
}

#[test]
fn a_deleted_tenant_is_nowhere_to_be_found_and_its_issuer_stays_taken() {
    let fixture = Fixture::new();
    let deleted = fixture.tenant("Deleted");
    delete(&fixture, deleted.id);
    let id = deleted.id;
    let read = |scope| {
        wait_for(fixture.database.read(scope, move |tx: &mut ReadTx<'_>| {
            let listed = tenants::list(tx, None, false, 100)?;
            Ok::<_, StorageError>((
                tenants::find(tx, id)?,
                listed.iter().any(|one| one.id == id),
            ))
        }))
        .unwrap()
    };
    assert_eq!(read(Scope::Platform(None)), (None, false));
    assert_eq!(read(Scope::Tenant(id)), (None, false));

    let again = NewTenant {
        id: fixture.id(),
        ..deleted
    };
    let taken = fixture.change(Scope::Platform(Some(again.id)), move |tx| {
        tenants::insert(tx, &again)?;
        let event = Event::new(again.id, Action::TenantCreated, Target::Tenant(again.id));
        Ok(Change::made((), event))
    });
    assert!(
        matches!(&taken, Err(StorageError::Taken { constraint }) if constraint == "tenants_issuer_key"),
        "{taken:?}"
    );
}
