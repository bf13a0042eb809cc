//! What the tests of repeated, conditional and rehearsed changes share: requests with headers of their own,
//! looks at the database from behind the wall, and hindrances put in a server's way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use grantor_acceptance::{Answer, Credentials, Replica, ServerSettings, Tenant, World};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, OrganizationId, RoleAssignmentId, TenantId};
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::text::OrganizationName;
use grantor_storage::role_assignments::Holder;
use grantor_storage::{
    Change, ChangeTx, Database, DatabaseOptions, Scope, StorageError, organizations,
    role_assignments,
};
use grantor_test_support::{SeededEntropy, builders};
use serde_json::{Value, json};

use crate::operations::{SUBJECT, Scene};

/// Runs a future to its end.
pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// Waits until something holds, for a minute at most.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Calls somebody's way, with further headers. A body is JSON unless they say something else.
pub fn send_to(
    world: &World,
    method: &str,
    url: &str,
    authorization: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let mut all = vec![("authorization", authorization)];
    all.extend_from_slice(headers);
    if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
        all.push(("content-type", "application/json"));
    }
    world.http.send(method, url, &all, body.as_bytes())
}

/// Calls below the tenant as its administrator.
pub fn send(
    scene: &Scene,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let url = scene.url(path);
    send_to(&scene.world, method, &url, &scene.admin, headers, body)
}

/// The same at another replica.
pub fn send_at(
    scene: &Scene,
    replica: &Replica,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let url = format!("{}/v1/tenants/{}{path}", replica.api, scene.tenant.id);
    send_to(&scene.world, method, &url, &scene.admin, headers, body)
}

/// Settings of a server that believes this machine whom it speaks for.
pub fn trusting_a_proxy() -> ServerSettings {
    ServerSettings {
        trusted_proxies: Some("127.0.0.1".to_owned()),
        ..ServerSettings::default()
    }
}

/// A scene behind a proxy that tells who calls.
pub fn behind_a_proxy() -> Scene {
    scene_in(World::with(&trusting_a_proxy()))
}

/// A scene in a world of one's own making.
pub fn scene_in(world: World) -> Scene {
    let tenant = world.tenant("Acme");
    let subject = world.client(&tenant, SUBJECT, &[]);
    let admin = world.as_admin(&tenant);
    Scene {
        world,
        tenant,
        admin,
        subject,
    }
}

/// What another replica of a world needs besides.
pub fn like(world: &World) -> ServerSettings {
    ServerSettings {
        issuer_base: Some(world.replica.settings.issuer_base.as_str().to_owned()),
        ..ServerSettings::default()
    }
}

/// Starts one more replica, with randomness of its own.
pub fn replica_at(world: &World, database_url: &str, seed: u64, given: &ServerSettings) -> Replica {
    let entropy = Arc::new(SeededEntropy::new(seed));
    Replica::start(database_url, world.clock.clone(), entropy, given)
}

/// A client's path below its tenant.
pub fn path_of(client: &Credentials) -> String {
    format!("/clients/{}", client.client_id)
}

/// The body that makes a client of this name.
pub fn client_named(name: &str) -> String {
    json!({ "name": name, "profile": "service", "owner_contact": { "email": "owner@example.com" } })
        .to_string()
}

/// Reads a client as the administrator sees it; tells its `ETag` besides.
#[track_caller]
pub fn read(scene: &Scene, client: &Credentials) -> (Value, String) {
    let answer = send(scene, "GET", &path_of(client), &[], "");
    let etag = answer.header("etag").expect("an ETag").to_owned();
    (answer.expect(200), etag)
}

/// How many events of the tenant are of this kind.
pub fn count_of(scene: &Scene, action: &str) -> i64 {
    number(
        &scene.world,
        &format!(
            "SELECT count(*) FROM audit_events WHERE action = '{action}' AND tenant_id = \
             (SELECT tenant_id FROM clients WHERE id::text = '{}')",
            uuid_of(&scene.subject.client_id)
        ),
    )
}

fn uuid_of(client: &str) -> String {
    let id: ClientId = client.parse().unwrap();
    id.uuid().to_string()
}

/// How many clients of this name there are in the database.
pub fn clients_named(world: &World, name: &str) -> i64 {
    number(
        world,
        &format!("SELECT count(*) FROM clients WHERE name = '{name}'"),
    )
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// The number that a query comes to, past row-level security.
pub fn number(world: &World, sql: &str) -> i64 {
    let row: Number = diesel::sql_query(format!("SELECT ({sql}) AS number"))
        .get_result(&mut world.database.superuser())
        .unwrap();
    row.number
}

/// A line of text out of the database.
#[derive(QueryableByName)]
pub struct Line {
    #[diesel(sql_type = Text)]
    pub line: String,
}

/// Every row of every table, as text: what a thief of the database has.
pub fn everything_at_rest(world: &World) -> Vec<(String, String)> {
    let mut database = world.database.superuser();
    let tables: Vec<Line> = diesel::sql_query(
        "SELECT format('%I.%I', table_schema, table_name) AS line FROM information_schema.tables \
         WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1",
    )
    .load(&mut database)
    .unwrap();
    assert!(tables.len() > 10, "the tables were found");
    let mut rows = Vec::new();
    for Line { line: table } in tables {
        let found: Vec<Line> =
            diesel::sql_query(format!("SELECT t::text AS line FROM ONLY {table} AS t"))
                .load(&mut database)
                .unwrap();
        rows.extend(found.into_iter().map(|row| (table.clone(), row.line)));
    }
    rows.sort();
    rows
}

/// The same but for when something was last used and how often clients failed, which servers write down whenever they come
/// to it.
pub fn everything_decided(world: &World) -> Vec<(String, String)> {
    let mut rows = everything_at_rest(world);
    rows.retain(|(table, _)| {
        let counted = ["last_uses", "client_failures", "client_alerts"];
        !counted.iter().any(|name| table.contains(name))
    });
    rows
}

/// A text's bytes, as databases and dumps write them.
pub fn hexadecimal(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// Whether a statement of the servers waits for a lock.
pub fn somebody_waits(world: &World) -> bool {
    number(
        world,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
         AND usename = 'grantor_server' AND wait_event_type = 'Lock'",
    ) > 0
}

/// Holds a lock, lets somebody run into it, does something meanwhile, and lets go.
pub fn while_it_waits(
    world: &World,
    lock: &str,
    asking: impl FnOnce() -> Answer + Send,
    meanwhile: impl FnOnce(),
) -> Answer {
    let mut holder = world.database.superuser();
    holder.batch_execute(&format!("BEGIN; {lock}")).unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(asking);
        until("somebody runs into the lock", || somebody_waits(world));
        meanwhile();
        holder.batch_execute("ROLLBACK").unwrap();
        asked.join().unwrap()
    })
}

/// The lock on one client's row.
pub fn lock_of(client: &Credentials) -> String {
    format!(
        "SELECT FROM clients WHERE id = '{}' FOR UPDATE",
        uuid_of(&client.client_id)
    )
}

/// Ends the connections of servers that wait for a lock, as a failing network would.
pub fn end_who_waits(world: &World) {
    let ended = number(
        world,
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() \
         AND usename = 'grantor_server' AND wait_event_type = 'Lock'",
    );
    assert!(ended > 0, "nobody waited");
}

/// The organization that a client lives in.
pub fn organization_of(scene: &Scene, client: &Credentials) -> OrganizationId {
    let (shown, _) = read(scene, client);
    shown["organization_id"].as_str().unwrap().parse().unwrap()
}

fn change(
    world: &World,
    tenant: TenantId,
    target: Target,
    work: impl FnOnce(&mut ChangeTx<'_>) -> Result<(), StorageError> + Send + 'static,
) {
    // Randomness that no other change draws from: else two at one time would be one.
    static SEED: AtomicU64 = AtomicU64::new(5_000);
    let database = Database::new(DatabaseOptions {
        url: world.database.url(),
        pool_size: 2,
        deadline: Duration::from_secs(20),
        entropy: Arc::new(SeededEntropy::new(SEED.fetch_add(1, Ordering::SeqCst))),
    });
    let made: Result<(), StorageError> = wait_for(database.change(
        Scope::Tenant(tenant),
        builders::origin(),
        world.now(),
        move |tx| {
            work(tx)?;
            let event = Event::new(tenant, Action::ClientUpdated, target);
            Ok(Change::made((), event))
        },
    ));
    made.unwrap();
}

/// Gives a client a service role over an organization. Its endpoint comes later.
pub fn give_role(
    world: &World,
    tenant: &Tenant,
    client: &Credentials,
    role: BuiltInRole,
    organization: OrganizationId,
) {
    let id: TenantId = tenant.id.parse().unwrap();
    let holder: ClientId = client.client_id.parse().unwrap();
    let assignment: RoleAssignmentId = builders::id_at(world.now(), world.entropy.as_ref());
    change(world, id, Target::Client(holder), move |tx| {
        let held = HeldRole::new(role, organization);
        role_assignments::insert(tx, id, assignment, Holder::Client(holder), &held)
    });
}

/// Makes a business group. Its endpoint comes later.
pub fn group_under(
    world: &World,
    tenant: &Tenant,
    parent: OrganizationId,
    name: &str,
) -> OrganizationId {
    let id: TenantId = tenant.id.parse().unwrap();
    let group: OrganizationId = builders::id_at(world.now(), world.entropy.as_ref());
    let name = OrganizationName::parse(name).unwrap();
    change(world, id, Target::Organization(group), move |tx| {
        organizations::insert_group(tx, id, parent, group, &name)
    });
    group
}

/// A second client that administers the tenant, with a token for these scopes.
pub fn second_admin(scene: &Scene, scopes: &[&str]) -> (Credentials, String) {
    second(scene, BuiltInRole::Admin, scopes)
}

/// A client with a role over the root, and its authorization for these scopes.
pub fn second(scene: &Scene, role: BuiltInRole, scopes: &[&str]) -> (Credentials, String) {
    let client = scene.world.client(&scene.tenant, "Second", scopes);
    let root = organization_of(scene, &scene.subject);
    give_role(&scene.world, &scene.tenant, &client, role, root);
    let token = scene
        .world
        .token(&scene.tenant.id, &client, &scopes.join(" "));
    (client, World::bearer(&token))
}

/// The authorization of the tenant's administrator, narrowed down to these scopes.
pub fn admin_with(scene: &Scene, scopes: &str) -> String {
    let Scene { world, tenant, .. } = scene;
    World::bearer(&world.token(&tenant.id, &tenant.admin, scopes))
}
