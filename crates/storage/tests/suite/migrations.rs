//! Migrations go up, down to nothing, and up again to the same.

use std::sync::Barrier;

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use grantor_domain::ids::{ClientId, RoleAssignmentId};
use grantor_domain::member::{MemberSettings, NewMember};
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::text::{Description, EmailAddress, PersonName};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{Change, Scope, clients, members, migrate, suspensions};
use grantor_test_support::{TestDatabase, builders};

use crate::support::{Fixture, now, texts};

/// All that the catalogue says of the two schemas, line by line.
const DUMP: &str = "\
    SELECT 'column ' || attrelid::regclass || '.' || attname || ' ' || format_type(atttypid, atttypmod) \
        || ' ' || attnotnull || ' ' || attcollation::text || ' ' || coalesce(pg_get_expr(adbin, adrelid), '-') \
        || ' ' || coalesce(attacl::text, '-') \
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
    WHERE relnamespace = ANY (ours) AND attnum > 0 AND NOT attisdropped \
    UNION ALL \
    SELECT 'relation ' || oid::regclass || ' ' || relkind::text || ' ' || relowner::regrole || ' ' || relrowsecurity \
        || ' ' || relforcerowsecurity || ' ' || relispartition || ' ' || coalesce(relacl::text, '-') \
        || ' ' || coalesce(pg_get_expr(relpartbound, oid), '-') || ' ' || coalesce(obj_description(oid), '-') \
    FROM pg_class WHERE relnamespace = ANY (ours) AND relkind <> 't' \
    UNION ALL \
    SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) \
    FROM pg_constraint WHERE connamespace = ANY (ours) \
    UNION ALL \
    SELECT 'index ' || pg_get_indexdef(indexrelid) \
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relnamespace = ANY (ours) \
    UNION ALL \
    SELECT 'policy ' || pg_policies::text FROM pg_policies WHERE schemaname LIKE 'grantor%' \
    UNION ALL \
    SELECT 'trigger ' || pg_get_triggerdef(pg_trigger.oid) \
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid WHERE relnamespace = ANY (ours) AND NOT tgisinternal \
    UNION ALL \
    SELECT 'function ' || pg_get_functiondef(oid) || ' ' || coalesce(proacl::text, '-') \
    FROM pg_proc WHERE pronamespace = ANY (ours) \
    UNION ALL \
    SELECT 'schema ' || nspname || ' ' || nspowner::regrole || ' ' || coalesce(nspacl::text, '-') \
    FROM pg_namespace WHERE oid = ANY (ours) \
    UNION ALL \
    SELECT 'row ' || parted_tables::text FROM grantor.parted_tables";

fn dump(test: &TestDatabase) -> Vec<String> {
    // Sorted here: the order must not hang on a collation.
    let ours = "(ARRAY(SELECT oid FROM pg_namespace WHERE nspname LIKE 'grantor%'))";
    let mut lines = texts(&mut test.superuser(), &DUMP.replace("(ours)", ours));
    lines.sort();
    lines
}

fn left(test: &TestDatabase) -> Vec<String> {
    texts(
        &mut test.superuser(),
        "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
         WHERE nspname LIKE 'grantor%' AND relkind NOT IN ('t', 'i') \
         UNION ALL \
         SELECT proname FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace \
         WHERE nspname LIKE 'grantor%' \
         UNION ALL \
         SELECT nspname FROM pg_namespace WHERE nspname LIKE 'grantor\\_%'",
    )
}

#[test]
fn all_the_way_up_down_to_nothing_and_up_to_the_same() {
    let test = TestDatabase::empty();
    let url = test.owner_url();
    let made = migrate::up(&url).unwrap();
    assert!(made.len() >= 8);
    assert!(
        migrate::up(&url).unwrap().is_empty(),
        "nothing is left to apply"
    );
    let before = dump(&test);
    assert!(
        before.len() > 200,
        "the dump sees the schema: {}",
        before.len()
    );

    // Partitions and rows must not be in the way.
    test.superuser()
        .batch_execute("SELECT grantor.keep_partitions('2025-06-01 12:00:00+00')")
        .unwrap();
    assert_ne!(dump(&test), before, "the dump sees partitions");
    let mut taken_back = Vec::new();
    while let Some(name) = migrate::down(&url).unwrap() {
        let applied = migrate::status(&url).unwrap();
        assert!(
            applied
                .iter()
                .any(|state| state.name.starts_with(&name) && !state.applied)
        );
        taken_back.push(name);
    }
    taken_back.reverse();
    assert_eq!(taken_back, made, "one by one, the last first");
    assert_eq!(left(&test), ["__diesel_schema_migrations"]);

    assert_eq!(migrate::up(&url).unwrap(), made);
    let after = dump(&test);
    for line in &after {
        assert!(before.contains(line), "new after down and up: {line}");
    }
    assert_eq!(after, before);
}

#[test]
fn each_step_down_and_up_again_gives_the_same() {
    let test = TestDatabase::empty();
    let url = test.owner_url();
    let steps = migrate::up(&url).unwrap().len();
    let before = dump(&test);
    for depth in 1..=steps {
        for _ in 0..depth {
            migrate::down(&url).unwrap().unwrap();
        }
        assert_eq!(migrate::up(&url).unwrap().len(), depth);
        let after = dump(&test);
        for line in &after {
            assert!(before.contains(line), "new {depth} steps down: {line}");
        }
        assert_eq!(after, before, "{depth} steps down");
    }
}

#[test]
fn of_those_that_migrate_at_once_one_does_it() {
    let test = TestDatabase::empty();
    let (url, start) = (test.owner_url(), Barrier::new(4));
    let applied: Vec<usize> = std::thread::scope(|scope| {
        let migrating: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    migrate::up(&url).unwrap().len()
                })
            })
            .collect();
        migrating
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let all = migrate::status(&url).unwrap();
    assert!(all.iter().all(|state| state.applied));
    assert_eq!(
        applied.iter().filter(|count| **count > 0).count(),
        1,
        "{applied:?}"
    );
    assert_eq!(applied.iter().sum::<usize>(), all.len());
}

#[test]
fn who_reads_for_long_is_waited_for_and_nobody_waits_for_those_who_wait() {
    let test = TestDatabase::new();
    let url = test.owner_url();
    let newest = || {
        let states = migrate::status(&url).unwrap();
        states.into_iter().rfind(|state| state.applied)
    };
    // Back to the newest that takes a lock on the tokens.
    while newest().is_some_and(|state| !state.name.starts_with("00000000000037")) {
        migrate::down(&url).unwrap().unwrap();
    }
    let (mut reading, mut looking) = (test.superuser(), test.superuser());
    reading
        .batch_execute("BEGIN; SELECT FROM grantor.access_tokens LIMIT 1")
        .unwrap();
    looking.batch_execute("SET lock_timeout = '5s'").unwrap();
    let waits = "SELECT pid::text FROM pg_locks WHERE NOT granted AND locktype = 'relation' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let taken_back = std::thread::scope(|scope| {
        let migrating = scope.spawn(|| migrate::down(&url));
        // It waits, gives up so that others come through, and waits again.
        for _ in 0..2 {
            while texts(&mut looking, waits).is_empty() {
                assert!(!migrating.is_finished(), "it had to wait");
            }
            looking
                .batch_execute("SELECT FROM grantor.access_tokens LIMIT 1")
                .unwrap();
        }
        reading.batch_execute("ROLLBACK").unwrap();
        migrating.join().unwrap()
    });
    let taken_back = taken_back.unwrap().unwrap();
    assert_eq!(migrate::up(&url).unwrap().first(), Some(&taken_back));
}

#[test]
fn a_link_of_before_is_of_the_epoch_of_its_time() {
    let fixture = Fixture::new();
    let url = fixture.test.owner_url();
    let back = || migrate::down(&url).unwrap().unwrap();
    while !back().starts_with("00000000000038") {}
    fixture.superuser_runs(&format!(
        "INSERT INTO grantor.credential_links (tenant_id, member_id, id, purpose, token_hash, address, created_at) \
         VALUES ('{}', gen_random_uuid(), grantor.uuid_floor('{}'), 'invitation', '', '', now())",
        fixture.home.id.uuid(),
        (now() + TimeDelta::hours(1)).to_rfc3339()
    ));
    migrate::up(&url).unwrap();
    let of_it = "SELECT count(*) FROM grantor.credential_links \
         WHERE epoch = (SELECT epoch FROM grantor.installation)";
    assert_eq!(fixture.number(of_it), 1);
}

#[test]
fn what_migrating_says_is_not_more_than_what_it_does() {
    let test = TestDatabase::empty();
    let before = migrate::status(&test.owner_url()).unwrap();
    assert!(before.iter().all(|state| !state.applied));
    assert_eq!(left(&test), [""; 0], "asking for the status makes nothing");
    assert_eq!(migrate::down(&test.owner_url()).unwrap(), None);
}

/// What a client is allowed, as it stands.
fn allowed(fixture: &Fixture, client: ClientId) -> Vec<String> {
    texts(
        &mut fixture.test.superuser(),
        &format!(
            "SELECT unnest(allowed_scopes) FROM clients WHERE id = '{}' ORDER BY 1",
            client.uuid()
        ),
    )
}

#[test]
fn who_could_do_everything_before_can_do_everything_after() {
    const BEFORE: &str = "grantor:audit.erase,grantor:audit.read,grantor:changes.read,grantor:clients.delete,\
        grantor:clients.disable,grantor:clients.read,grantor:clients.write,grantor:resource_servers.read,\
        grantor:resource_servers.write,grantor:secrets.write";
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let everything = fixture.client(&tenant, "Administration");
    let part = fixture.client(&tenant, "Provisioning");
    let without_role = fixture.client(&tenant, "Machine");
    for (client, scopes) in [
        (everything, BEFORE),
        (part, "grantor:clients.read"),
        (without_role, BEFORE),
    ] {
        fixture.superuser_runs(&format!(
            "UPDATE clients SET allowed_scopes = string_to_array('{scopes}', ',') WHERE id = '{}'",
            client.uuid()
        ));
    }
    for client in [everything, part] {
        fixture.superuser_runs(&format!(
            "INSERT INTO role_assignments (tenant_id, id, client_id, role, organization_id, created_at) \
             VALUES ('{0}', '{1}', '{1}', 'admin', '{2}', now())",
            tenant.id.uuid(),
            client.uuid(),
            tenant.root_organization.uuid()
        ));
    }
    let owner = fixture.test.owner_url();
    while migrate::down(&owner).unwrap().unwrap() != "00000000000028" {}
    migrate::up(&owner).unwrap();
    let mut expected: Vec<String> = Permission::ALL
        .iter()
        .filter(|permission| !permission.is_for_operators())
        .map(|permission| permission.scope_name())
        .collect();
    expected.sort();
    assert_eq!(allowed(&fixture, everything), expected);
    assert_eq!(allowed(&fixture, part), ["grantor:clients.read"]);
    assert_eq!(allowed(&fixture, without_role).len(), 10);
}

#[test]
fn clients_of_before_get_an_owner_a_state_and_words_of_every_script() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let owner = NewMember {
        id: fixture.id(),
        settings: MemberSettings {
            name: PersonName::parse("Owner").unwrap(),
            email: EmailAddress::parse("owner@example.com").unwrap(),
            organization: home.root_organization,
        },
    };
    let mut settings = builders::client("MÜLLER Export", "");
    settings.description = Description::parse("Nächtlich, für Łódź").unwrap();
    settings.owner_contact.name = Some(PersonName::parse("Ada Zoë").unwrap());
    let (id, assignment): (ClientId, RoleAssignmentId) = (fixture.id(), fixture.id());
    let member = owner.id;
    fixture
        .change(Scope::Tenant(home.id), move |tx| {
            members::insert(tx, home.id, &owner)?;
            let held = HeldRole::new(BuiltInRole::Owner, home.root_organization);
            let holder = Holder::Member(member);
            role_assignments::insert(tx, home.id, assignment, holder, &held)?;
            let new = builders::new_client(id, home.root_organization, &settings);
            clients::insert(tx, home.id, &new)?;
            suspensions::pause_client(tx, home.id, id, None)?;
            Ok(Change::made((), builders::client_event(home.id, id)))
        })
        .unwrap();
    let of_client = |what: &str| {
        let sql = format!(
            "SELECT {what} FROM grantor.clients WHERE id = '{}'",
            id.uuid()
        );
        texts(&mut fixture.test.superuser(), &sql)
    };
    let words = || {
        let sql = format!(
            "SELECT word FROM grantor.client_words WHERE client_id = '{}' ORDER BY word COLLATE \"C\"",
            id.uuid()
        );
        texts(&mut fixture.test.superuser(), &sql)
    };
    let known = words();
    assert!(known.contains(&"müller".to_owned()), "{known:?}");

    let url = fixture.test.owner_url();
    while !migrate::down(&url)
        .unwrap()
        .unwrap()
        .starts_with("00000000000030")
    {}
    migrate::up(&url).unwrap();
    assert_eq!(words(), known);
    assert_eq!(of_client("status"), ["disabled"]);
    assert_eq!(of_client("owner_id::text"), [member.uuid().to_string()]);
    assert_eq!(of_client("require_pkce::text"), ["true"]);
}
