//! Two tenants with rows in every table: what a transaction of the one can do about the other's.

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::credential_link::{LinkKey, LinkPurpose};
use grantor_domain::failure::{FailureKind, minute_of};
use grantor_domain::ids::{ClientId, TenantId, TokenId};
use grantor_domain::member::{MemberSettings, NewMember};
use grantor_domain::own_role::{OwnRoleName, OwnRoleSettings};
use grantor_domain::permission::Permission;
use grantor_domain::resource_server::{
    ResourceServer, ScopeFacts, ServerIdentifier, ServerKey, SigningAlgorithm, TokenFormat,
    Verification,
};
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::settings::TenantSettings;
use grantor_domain::suspension::Position;
use grantor_domain::tenant::NewTenant;
use grantor_domain::text::{Description, EmailAddress, OrganizationName, PersonName};
use grantor_domain::token::AccessToken;
use grantor_keys::{
    Algorithm, Coordinate, Curve, KeyUse, PasswordVerifier, PublicJwk, PublicParameters, TokenHash,
    Verifier,
};
use grantor_protocol::scope::{ScopeToken, Scopes};
use grantor_storage::client_secrets::{self, NewSecret, SecretVerifier};
use grantor_storage::credential_links::NewLink;
use grantor_storage::deliveries::{self, Channel, NewDelivery};
use grantor_storage::failures::Failed;
use grantor_storage::last_uses::Use;
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::user_agents::{self, UserAgent};
use grantor_storage::{
    Change, Scope, StorageError, authenticators, credential_links, enablements, failures,
    idempotency, last_uses, members, resource_servers, roles, settings, suspensions, tokens,
};
use grantor_test_support::builders;
use uuid::Uuid;

use crate::support::{EPOCH, Fixture, now, number, texts, wait_for};

fn signing_key(fixture: &Fixture, tenant: TenantId) -> StoredSigningKey {
    let kid = format!("key of {tenant}");
    let coordinate: Coordinate = serde_json::from_value("A".repeat(43).into()).unwrap();
    StoredSigningKey {
        kid: kid.clone(),
        id: fixture.id::<TokenId>().uuid(),
        algorithm: Algorithm::Es256,
        generation: 1,
        public: PublicJwk {
            parameters: PublicParameters::Ec {
                crv: Curve::P256,
                x: coordinate,
                y: coordinate,
            },
            kid,
            usage: KeyUse::Signature,
            alg: Algorithm::Es256,
        },
        sealed: vec![1, 2, 3],
        created_at: now(),
        signs_from: now(),
        published_until: None,
    }
}

fn orders(fixture: &Fixture, introspector: ClientId) -> ResourceServer {
    ResourceServer {
        id: fixture.id(),
        key: ServerKey::private("orders.api").unwrap(),
        identifier: ServerIdentifier::parse("https://orders.example").expect("an identifier"),
        name: OrganizationName::parse("Orders").unwrap(),
        verification: Verification::Introspection,
        token_format: TokenFormat::Jwt,
        signing_algorithm: SigningAlgorithm::Es256,
        lifetime_cap: None,
        scopes: [(
            ScopeToken::parse("orders.api:read").unwrap(),
            ScopeFacts::described(Description::parse("").unwrap()),
        )]
        .into(),
        introspectors: vec![introspector],
    }
}

fn put_token_on_record(fixture: &Fixture, id: TenantId, client: ClientId) {
    let token = AccessToken {
        tenant: id,
        client,
        id: builders::id_at(now() + TimeDelta::hours(1), fixture.entropy.as_ref()),
        member: None,
        scopes: Scopes::parse("orders.api:read").unwrap(),
        audiences: vec!["https://orders.example".to_owned()],
        issued_at: now(),
        expires_at: now() + TimeDelta::hours(1),
        revoked_at: None,
        position: Position {
            epoch: EPOCH,
            sequence: 1,
        },
        ip: None,
    };
    let named = UserAgent::of(id, token.id, "export/1.4".to_owned());
    let stored: Result<(), StorageError> = wait_for(fixture.database.flow(move |tx| {
        user_agents::put(tx, &[named])?;
        tokens::insert(tx, &token, TokenHash::of("token"))
    }));
    stored.unwrap();
}

fn note_use_and_failure(fixture: &Fixture, tenant: TenantId, client: ClientId) {
    let used = Use {
        tenant,
        subject: client.uuid(),
        client,
        at: now(),
    };
    let written: Result<(), StorageError> = wait_for(
        fixture
            .database
            .flow(move |tx| last_uses::write(tx, &[used])),
    );
    written.unwrap();
    let failed = Failed {
        tenant,
        client,
        kind: FailureKind::BadSecret,
        minute: minute_of(now()),
        count: 3,
    };
    let written: Result<(), StorageError> = wait_for(
        fixture
            .database
            .flow(move |tx| failures::write(tx, &[failed], now())),
    );
    written.unwrap();
}

/// Gives a tenant a row in every table that knows tenants.
fn fill(fixture: &Fixture, tenant: &NewTenant) {
    let id = tenant.id;
    let client = fixture.client(tenant, "Client");
    let secret = NewSecret {
        id: fixture.id(),
        hint: "gsec_abc".to_owned(),
        verifier: SecretVerifier::Keyed(Verifier::from_stored("h1.key.hash".to_owned())),
        expires_at: None,
    };
    let member = NewMember {
        id: fixture.id(),
        settings: MemberSettings {
            name: PersonName::parse("Member").unwrap(),
            email: EmailAddress::parse("member@example.com").unwrap(),
            organization: tenant.root_organization,
        },
    };
    let server = orders(fixture, client);
    let own_role = fixture.id();
    let auditor = OwnRoleSettings {
        name: OwnRoleName::parse("Auditor").unwrap(),
        description: Description::parse("").unwrap(),
        permissions: [Permission::AuditRead].into(),
    };
    let key = signing_key(fixture, id);
    let link = NewLink {
        key: LinkKey {
            tenant: id,
            member: member.id,
            id: credential_links::new_id(now() + TimeDelta::hours(1), fixture.entropy.as_ref())
                .unwrap(),
        },
        purpose: LinkPurpose::Invitation,
        hash: TokenHash::of("token"),
    };
    let (role, organization) = (fixture.id(), tenant.root_organization);
    let delivery = NewDelivery {
        id: deliveries::new_id(now(), fixture.entropy.as_ref()).unwrap(),
        channel: Channel::Mail,
        sealed: vec![1, 2, 3],
    };
    fixture
        .change(Scope::Tenant(id), move |tx| {
            client_secrets::insert(tx, id, client, &secret)?;
            members::insert(tx, id, &member)?;
            resource_servers::insert(tx, id, &server)?;
            signing_keys::insert(tx, id, &key)?;
            let held = HeldRole::new(BuiltInRole::Admin, organization);
            role_assignments::insert(tx, id, role, Holder::Client(client), &held)?;
            roles::insert(tx, id, own_role, &auditor)?;
            suspensions::cut_client_off(tx, id, client)?;
            deliveries::enqueue(tx, id, &delivery)?;
            let until = now() + TimeDelta::hours(1);
            idempotency::keep(tx, id, &[7; 32], b"print", b"sealed", until)?;
            settings::update(tx, id, &TenantSettings::default(), 0)?;
            let verifier = PasswordVerifier::from_stored("p1$hash".to_owned());
            authenticators::set_password(tx, id, member.id, &verifier)?;
            credential_links::insert(tx, &link)?;
            enablements::insert(tx, id, client, organization)?;
            Ok(Change::made((), builders::client_event(id, client)))
        })
        .unwrap();
    fixture.superuser_runs(&format!(
        "INSERT INTO tenant_quotas (tenant_id, members) VALUES ('{id}', 7); \
         INSERT INTO rotation_marks (tenant_id, organization_id, marked_at, cause, former_owner) \
         VALUES ('{id}', '{}', now(), 'owner_left', '{id}')",
        organization.uuid(),
        id = id.uuid()
    ));
    note_use_and_failure(fixture, id, client);
    fixture
        .change(Scope::Platform(Some(id)), move |tx| {
            suspensions::set_tenant_pause(tx, id, Some(now()), None)?;
            Ok(Change::made(
                (),
                Event::new(id, Action::TenantCreated, Target::Tenant(id)),
            ))
        })
        .unwrap();
    put_token_on_record(fixture, id, client);
    crate::refresh_families::begin_family(fixture, id, client);
}

struct Two {
    fixture: Fixture,
    own: Uuid,
    foreign: Uuid,
    /// Each table that knows tenants, with the column that says whose a row is.
    tables: Vec<(String, &'static str)>,
}

fn two() -> Two {
    let fixture = Fixture::new();
    let (own, foreign) = (fixture.tenant("Own"), fixture.tenant("Foreign"));
    fill(&fixture, &own);
    fill(&fixture, &foreign);
    let mut behind = fixture.test.superuser();
    let mut tables: Vec<(String, &'static str)> = texts(
        &mut behind,
        "SELECT relname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
         WHERE relnamespace = 'grantor'::regnamespace AND relkind IN ('r', 'p') AND attname = 'tenant_id'",
    )
    .into_iter()
    .map(|table| (table, "tenant_id"))
    .collect();
    tables.push(("tenants".to_owned(), "id"));
    assert!(tables.len() >= 15, "{tables:?}");
    let two = Two {
        fixture,
        own: own.id.uuid(),
        foreign: foreign.id.uuid(),
        tables,
    };
    for (table, whose) in &two.tables {
        for tenant in [two.own, two.foreign] {
            let rows = number(
                &mut behind,
                &format!("SELECT count(*) FROM {table} WHERE {whose} = '{tenant}'"),
            );
            assert!(rows > 0, "`fill` puts nothing into {table}: let it");
        }
    }
    two
}

impl Two {
    /// A connection as a server makes it.
    fn server(&self) -> PgConnection {
        let mut connection = PgConnection::establish(&self.fixture.test.url()).unwrap();
        connection
            .batch_execute("SET search_path = grantor")
            .unwrap();
        connection
    }

    /// Begins what a server begins for a transaction of its own tenant.
    fn begin(&self, connection: &mut PgConnection, role: &str) {
        let own = self.own;
        connection
            .batch_execute(&format!(
                "BEGIN; SET LOCAL ROLE {role}; SET LOCAL grantor.tenant = '{own}'"
            ))
            .unwrap();
    }

    /// Tries a statement in a transaction of the own tenant; tells how many rows it touched, or why it can't.
    fn tried(&self, role: &str, sql: &str) -> Result<usize, String> {
        let mut connection = self.server();
        self.begin(&mut connection, role);
        diesel::sql_query(sql)
            .execute(&mut connection)
            .map_err(|error| error.to_string())
    }

    fn state(&self, table: &str, whose: &str) -> Vec<String> {
        texts(
            &mut self.fixture.test.superuser(),
            &format!(
                "SELECT {table}::text FROM {table} WHERE {whose} = '{}' ORDER BY 1",
                self.foreign
            ),
        )
    }
}

/// What the platform sees of all tenants: these and what suspends them, the feed, the outbox for those who send, clients
/// that fail for those who tell of them, whose signing keys are due, and answers to operators, which stand under the
/// operators' tenant and not under that which they change.
const OF_ALL: [&str; 7] = [
    "client_alerts",
    "tenants",
    "tenant_suspensions",
    "changes",
    "deliveries",
    "idempotency_records",
    "signing_keys",
];

/// Whether a refusal is the wall's, and not some other mishap such as a key that is taken.
fn is_the_walls(refusal: &str) -> bool {
    refusal.contains("row-level security") || refusal.contains("permission denied")
}

#[test]
fn a_transaction_of_one_tenant_sees_that_tenant_alone() {
    let two = two();
    let mut connection = two.server();
    two.begin(&mut connection, "grantor_tenant");
    for (table, whose) in &two.tables {
        let seen = texts(
            &mut connection,
            &format!("SELECT DISTINCT {whose} FROM {table}"),
        );
        assert_eq!(seen, [two.own.to_string()], "{table}");
        let asked_for = number(
            &mut connection,
            &format!(
                "SELECT count(*) FROM {table} WHERE {whose} = '{}'",
                two.foreign
            ),
        );
        assert_eq!(asked_for, 0, "{table}");
    }
}

#[test]
fn the_platform_sees_the_tables_of_the_one_tenant_that_it_names() {
    let two = two();
    let mut connection = two.server();
    two.begin(&mut connection, "grantor_platform");
    // Tokens are a tenant's alone.
    let refused = ["access_tokens", "refresh_families", "user_agents"];
    for (table, whose) in two
        .tables
        .iter()
        .filter(|(table, _)| !OF_ALL.contains(&table.as_str()))
    {
        let sql = format!("SELECT {whose}::text AS value FROM {table}");
        if refused.contains(&table.as_str()) {
            let refusal = two.tried("grantor_platform", &sql).unwrap_err();
            assert!(refusal.contains("permission denied"), "{table}: {refusal}");
            continue;
        }
        let seen = texts(
            &mut connection,
            &format!("SELECT DISTINCT {whose} FROM {table}"),
        );
        assert_eq!(seen, [two.own.to_string()], "{table}");
    }
}

#[test]
fn no_row_of_another_tenant_can_be_changed_taken_or_removed() {
    let two = two();
    let (own, foreign) = (two.own, two.foreign);
    for (table, whose) in &two.tables {
        let before = two.state(table, whose);
        for role in ["grantor_tenant", "grantor_platform"] {
            let platforms = OF_ALL.contains(&table.as_str());
            if role == "grantor_platform" && platforms {
                continue;
            }
            for sql in [
                format!("UPDATE {table} SET {whose} = {whose} WHERE {whose} = '{foreign}'"),
                format!("UPDATE {table} SET {whose} = '{own}' WHERE {whose} = '{foreign}'"),
                format!("DELETE FROM {table} WHERE {whose} = '{foreign}'"),
            ] {
                match two.tried(role, &sql) {
                    Ok(touched) => assert_eq!(touched, 0, "{role}: {sql}"),
                    Err(refusal) => assert!(is_the_walls(&refusal), "{role}: {sql}: {refusal}"),
                }
            }
            for sql in [
                format!("UPDATE {table} SET {whose} = '{foreign}' WHERE {whose} = '{own}'"),
                format!("TRUNCATE {table} CASCADE"),
                format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"),
            ] {
                match two.tried(role, &sql) {
                    // PostgreSQL 16 lets those lock a table in any mode who may delete from it.
                    Ok(_) => assert!(sql.starts_with("LOCK"), "{role}: {sql}"),
                    Err(refusal) => assert!(is_the_walls(&refusal), "{role}: {sql}: {refusal}"),
                }
            }
        }
        assert_eq!(two.state(table, whose), before, "{table}");
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    row: String,
}

#[test]
fn no_row_can_be_made_in_another_tenant() {
    let two = two();
    for (table, whose) in &two.tables {
        let Row { row } = diesel::sql_query(format!(
            "SELECT to_jsonb({table})::text AS row FROM {table} WHERE {whose} = '{}' LIMIT 1",
            two.foreign
        ))
        .get_result(&mut two.fixture.test.superuser())
        .unwrap();
        let row = row.replace('\'', "''");
        // What PostgreSQL makes itself can't be given.
        let Row { row: columns } = diesel::sql_query(format!(
            "SELECT string_agg(quote_ident(attname), ', ') AS row FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
        ))
        .get_result(&mut two.fixture.test.superuser())
        .unwrap();
        let sql = format!(
            "INSERT INTO {table} ({columns}) \
             SELECT {columns} FROM jsonb_populate_record(NULL::{table}, '{row}')"
        );
        for role in ["grantor_tenant", "grantor_platform"] {
            // An operator's change stands in the log of the tenant concerned.
            let platforms = OF_ALL.contains(&table.as_str()) || table == "audit_events";
            if role == "grantor_platform" && platforms {
                continue;
            }
            let refusal = two.tried(role, &sql).expect_err(table);
            assert!(is_the_walls(&refusal), "{role} in {table}: {refusal}");
        }
    }
}

#[test]
fn of_signing_keys_the_platform_sees_whose_they_are_and_their_times_and_writes_nothing() {
    let two = two();
    for (sql, may) in [
        (
            "SELECT tenant_id, created_at, published_until FROM signing_keys",
            true,
        ),
        ("SELECT sealed_private_key FROM signing_keys", false),
        ("SELECT public_jwk FROM signing_keys", false),
        ("SELECT kid FROM signing_keys", false),
        ("UPDATE signing_keys SET published_until = now()", false),
        ("DELETE FROM signing_keys", false),
    ] {
        match two.tried("grantor_platform", sql) {
            Ok(_) => assert!(may, "{sql}"),
            Err(refusal) => assert!(!may && is_the_walls(&refusal), "{sql}: {refusal}"),
        }
    }
}

#[test]
fn before_a_role_is_taken_on_nothing_can_be_read() {
    let two = two();
    for table in two.tables.iter().map(|(table, _)| table.as_str()).chain([
        "installation",
        "parted_tables",
        "change_feed",
    ]) {
        let mut connection = two.server();
        connection
            .batch_execute(&format!("SET grantor.tenant = '{}'", two.own))
            .unwrap();
        let refusal = diesel::sql_query(format!("SELECT FROM {table}"))
            .execute(&mut connection)
            .unwrap_err()
            .to_string();
        assert!(refusal.contains("permission denied"), "{table}: {refusal}");
    }
}

#[test]
fn a_transaction_for_no_tenant_sees_no_row_of_any() {
    let two = two();
    // Never set, and left over as an empty string by a transaction before.
    for before in [
        "",
        "BEGIN; SET LOCAL grantor.tenant = '00000000-0000-0000-0000-000000000000'; COMMIT;",
    ] {
        let mut connection = two.server();
        connection
            .batch_execute(&format!("{before} BEGIN; SET LOCAL ROLE grantor_tenant"))
            .unwrap();
        for (table, _) in &two.tables {
            assert_eq!(
                number(&mut connection, &format!("SELECT count(*) FROM {table}")),
                0,
                "{table}"
            );
        }
    }
}

#[test]
fn what_a_transaction_took_on_ends_with_it() {
    let two = two();
    let mut connection = two.server();
    for end in ["COMMIT", "ROLLBACK"] {
        two.begin(&mut connection, "grantor_tenant");
        connection.batch_execute(end).unwrap();
        assert!(
            diesel::sql_query("SELECT FROM clients")
                .execute(&mut connection)
                .is_err()
        );
        connection
            .batch_execute("BEGIN; SET LOCAL ROLE grantor_tenant")
            .unwrap();
        assert_eq!(number(&mut connection, "SELECT count(*) FROM clients"), 0);
        connection.batch_execute("ROLLBACK").unwrap();
    }
}

#[test]
fn a_partition_can_not_be_read_past_its_parents_policy() {
    let two = two();
    let part = texts(
        &mut two.fixture.test.superuser(),
        "SELECT DISTINCT tableoid::regclass FROM access_tokens",
    );
    for role in ["grantor_tenant", "grantor_fast", "grantor_platform"] {
        let refusal = two
            .tried(role, &format!("SELECT FROM {}", part[0]))
            .unwrap_err();
        assert!(refusal.contains("permission denied"), "{refusal}");
    }
}
