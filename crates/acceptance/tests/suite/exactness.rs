//! What a call that has returned must have stopped, at the moments where it is hardest.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_acceptance::{Credentials, Replica, ServerSettings, Tenant, World};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_storage::{Change, Scope, StorageError, suspensions};
use grantor_test_support::{FixedClock, SeededEntropy, builders};
use serde_json::{Value, json};

use crate::oauth::{GRANT, Orders};
use crate::platform_servers::Vendor;

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// The events of one action in a tenant's log, the newest first.
fn events(world: &World, tenant: &Tenant, action: &str) -> Vec<Value> {
    let page = world
        .http
        .get(
            &world.api(&format!("/v1/tenants/{}/audit-events?limit=200", tenant.id)),
            &[("authorization", &world.as_admin(tenant))],
        )
        .expect(200);
    let all = page["items"].as_array().unwrap();
    all.iter()
        .filter(|event| event["action"] == action)
        .cloned()
        .collect()
}

#[test]
fn a_replica_whose_clock_is_behind_signs_with_the_first_key_that_another_made() {
    let orders = Orders::new();
    let Orders {
        world,
        tenant,
        machine,
        ..
    } = &orders;
    let fresh = world.tenant("Fresh");
    let behind = Arc::new(FixedClock::at(world.now() - TimeDelta::milliseconds(1_900)));
    let settings = ServerSettings {
        issuer_base: Some(world.replica.settings.issuer_base.as_str().to_owned()),
        ..ServerSettings::default()
    };
    let slow = Replica::start(
        &world.database.url(),
        behind,
        Arc::new(SeededEntropy::new(3)),
        &settings,
    );
    // The first key of the tenant is made here, by the clock that is ahead.
    world.token(&fresh.id, &fresh.admin, "grantor:clients.read");
    let answer = world.http.post_form(
        &format!("{}/t/{}/token", slow.token, fresh.id),
        &[("authorization", &fresh.admin.basic())],
        "grant_type=client_credentials&scope=grantor:clients.read",
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        world
            .request_token(&tenant.id, machine, "orders.api:read")
            .status,
        200
    );
}

#[test]
fn role_3_rotating_gives_nobody_more_rights_than_they_have() {
    let world = World::new();
    let tenant = world.tenant("Acme");
    world.advance(TimeDelta::seconds(1));
    let rotate = |authorization: &str| {
        let url = world.api(&format!(
            "/v1/tenants/{}/clients/{}/secrets/rotate",
            tenant.id, tenant.admin.client_id
        ));
        let body = json!({ "confirm_name": "Administration" });
        world
            .http
            .post_json(&url, &[("authorization", authorization)], &body)
    };
    let narrow = World::bearer(&world.token(&tenant.id, &tenant.admin, "grantor:secrets.write"));
    let refused = rotate(&narrow);
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(!refused.body.contains("gsec_"), "{}", refused.body);
    let recorded = events(&world, &tenant, "access.refused");
    assert_eq!(recorded.len(), 1);
    assert!(events(&world, &tenant, "secret.rotated").is_empty());
    // The old secret works on, and whoever has all the rights that the client has may rotate.
    let all = world.as_admin(&tenant);
    assert_eq!(rotate(&all).status, 200);
}

#[test]
fn a_token_that_is_revoked_while_the_request_is_still_being_sent_changes_nothing() {
    let world = World::new();
    let tenant = world.tenant("Acme");
    let token = world.token(&tenant.id, &tenant.admin, "grantor:clients.write");
    let body = json!({ "name": "Late", "profile": "service", "owner_contact": { "email": "a@b.example" } }).to_string();
    let (begin, rest) = body.split_at(5);
    let mut stream = TcpStream::connect(world.replica.api.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .unwrap();
    write!(
        stream,
        "POST /v1/tenants/{}/clients HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{begin}",
        tenant.id,
        body.len()
    )
    .unwrap();
    assert_eq!(world.revoke(&tenant.id, &tenant.admin, &token).status, 200);
    stream.write_all(rest.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    let made = events(&world, &tenant, "client.created");
    assert!(
        made.iter().all(|event| event["after"]["name"] != "Late"),
        "{made:?}"
    );
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Waits until a statement of the servers waits for a lock.
fn until_somebody_waits(connection: &mut PgConnection) {
    let begun = Instant::now();
    loop {
        let Count { count } = diesel::sql_query(
            "SELECT count(*) AS count FROM pg_locks WHERE NOT granted AND database = \
             (SELECT oid FROM pg_database WHERE datname = current_database())",
        )
        .get_result(connection)
        .unwrap();
        if count > 0 {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody came");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// Lets a token request get as far as its record, does something else meanwhile, and tells its status.
fn while_a_token_is_recorded(orders: &Orders, meanwhile: impl FnOnce()) -> u16 {
    let Orders {
        world,
        tenant,
        machine,
        ..
    } = orders;
    while_recorded(world, tenant, machine, "orders.api:read", meanwhile)
}

/// The same for any client and scope.
fn while_recorded(
    world: &World,
    tenant: &Tenant,
    machine: &Credentials,
    scope: &str,
    meanwhile: impl FnOnce(),
) -> u16 {
    let (mut holder, mut watcher) = (world.database.superuser(), world.database.superuser());
    holder
        .batch_execute("BEGIN; LOCK TABLE access_tokens IN EXCLUSIVE MODE")
        .unwrap();
    std::thread::scope(|threads| {
        let asking = threads.spawn(|| world.request_token(&tenant.id, machine, scope).status);
        until_somebody_waits(&mut watcher);
        meanwhile();
        holder.batch_execute("ROLLBACK").unwrap();
        asking.join().unwrap()
    })
}

#[test]
fn secret_3_a_token_that_was_decided_by_the_old_secret_is_not_recorded_after_the_rotation() {
    let orders = Orders::new();
    let Orders {
        world,
        tenant,
        machine,
        ..
    } = &orders;
    let admin = world.as_admin(tenant);
    // A request that nothing crosses is answered, so the others fail for the right reason.
    assert_eq!(while_a_token_is_recorded(&orders, || {}), 200);
    let status = while_a_token_is_recorded(&orders, || {
        let url = world.api(&format!(
            "/v1/tenants/{}/clients/{}/secrets/rotate",
            tenant.id, machine.client_id
        ));
        let body = json!({ "confirm_name": "Machine" });
        let rotated = world
            .http
            .post_json(&url, &[("authorization", &admin)], &body);
        assert_eq!(rotated.status, 200, "{}", rotated.body);
    });
    assert_eq!(status, 401);
}

#[test]
fn pause_2_a_token_that_was_decided_before_is_not_recorded_during_the_pause() {
    let orders = Orders::new();
    let Orders {
        world,
        tenant,
        machine,
        ..
    } = &orders;
    let admin = world.as_admin(tenant);
    let status = while_a_token_is_recorded(&orders, || {
        let url = world.api(&format!(
            "/v1/tenants/{}/clients/{}/disable",
            tenant.id, machine.client_id
        ));
        let disabled = world
            .http
            .send("POST", &url, &[("authorization", &admin)], b"");
        assert_eq!(disabled.status, 200, "{}", disabled.body);
    });
    assert_eq!(status, 401);
}

#[test]
fn token_8_a_platform_wide_scope_that_goes_while_a_token_is_recorded_is_in_no_token() {
    for gone in ["scope", "server"] {
        let vendor = Vendor::new();
        let Vendor {
            world,
            acme,
            machine,
            operator,
            ..
        } = &vendor;
        let crossed =
            |meanwhile: &dyn Fn()| while_recorded(world, acme, machine, "payments:read", meanwhile);
        assert_eq!(crossed(&|| {}), 200);
        // What the platform changes besides is decided upon once more, though nothing happens in the tenant, and
        // then it is issued.
        let renamed = crossed(&|| {
            let body = json!({ "name": "Paying" });
            vendor.send(operator, "PATCH", "", &body).expect(200);
        });
        assert_eq!(renamed, 200);
        let status = crossed(&|| {
            let path = if gone == "scope" {
                "/scopes/read"
            } else {
                "?confirm_name=Paying"
            };
            vendor
                .send(operator, "DELETE", path, &Value::Null)
                .expect(204);
        });
        assert_eq!(status, 400, "{gone}");
        // The tenant goes on with what is left.
        let other = world.request_token(&acme.id, &acme.admin, "grantor:clients.read");
        assert_eq!(other.status, 200, "{}", other.body);
    }
}

#[test]
fn token_6_a_format_that_changes_while_a_token_is_recorded_is_the_tokens() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        acme,
        machine,
        operator,
        ..
    } = &vendor;
    let (mut holder, mut watcher) = (world.database.superuser(), world.database.superuser());
    holder
        .batch_execute("BEGIN; LOCK TABLE access_tokens IN EXCLUSIVE MODE")
        .unwrap();
    let token = std::thread::scope(|threads| {
        let asking = threads.spawn(|| world.token(&acme.id, machine, "payments:read"));
        until_somebody_waits(&mut watcher);
        let body = json!({ "token_format": "opaque" });
        vendor.send(operator, "PATCH", "", &body).expect(200);
        holder.batch_execute("ROLLBACK").unwrap();
        asking.join().unwrap()
    });
    assert!(token.starts_with("gat_"), "decided anew");
}

#[test]
fn a_change_of_another_client_does_not_disturb() {
    let orders = Orders::new();
    let Orders { world, tenant, .. } = &orders;
    assert_eq!(
        while_a_token_is_recorded(&orders, || {
            world.client_by_storage_change(tenant);
        }),
        200
    );
}

trait Disturb {
    fn client_by_storage_change(&self, tenant: &Tenant);
}

impl Disturb for World {
    /// A change of something that no token rests on, straight into storage: the token table is locked.
    fn client_by_storage_change(&self, tenant: &Tenant) {
        let id: TenantId = tenant.id.parse().unwrap();
        let client: ClientId = builders::id_at(self.now(), &SeededEntropy::new(9));
        let organization = {
            let read = self.storage();
            let tenant = wait_for(read.read(
                Scope::Tenant(id),
                move |tx: &mut grantor_storage::ReadTx<'_>| grantor_storage::tenants::find(tx, id),
            ));
            tenant.unwrap().unwrap().root_organization
        };
        let made: Result<(), StorageError> = wait_for(self.storage().change(
            Scope::Tenant(id),
            builders::origin(),
            self.now() + TimeDelta::seconds(1),
            move |tx| {
                let settings = builders::client("Another", "");
                grantor_storage::clients::insert(
                    tx,
                    id,
                    &builders::new_client(client, organization, &settings),
                )?;
                Ok(Change::made((), builders::client_event(id, client)))
            },
        ));
        made.unwrap();
    }
}

#[test]
fn token_2_a_cut_kills_every_token_issued_before_it_and_none_after() {
    let orders = Orders::new();
    let Orders {
        world,
        tenant,
        machine,
        checker,
    } = &orders;
    let other = world.another_replica();
    let before = world.token(&tenant.id, machine, "orders.api:read");
    let (id, client): (TenantId, ClientId) = (
        tenant.id.parse().unwrap(),
        machine.client_id.parse().unwrap(),
    );
    let cut: Result<(), StorageError> = wait_for(world.storage().change(
        Scope::Tenant(id),
        builders::origin(),
        world.now() + TimeDelta::seconds(1),
        move |tx| {
            suspensions::cut_client_off(tx, id, client)?;
            let event = Event::new(id, Action::ClientDisabled, Target::Client(client));
            Ok(Change::made((), event))
        },
    ));
    cut.unwrap();
    let after = world.token(&tenant.id, machine, "orders.api:read");
    let active = |replica: &Replica, token: &str| {
        let answer = world.http.post_form(
            &format!("{}/t/{}/introspect", replica.token, tenant.id),
            &[("authorization", &checker.basic())],
            &format!("token={token}"),
        );
        answer.expect(200)["active"] == true
    };
    for replica in [&world.replica, &other] {
        assert!(!active(replica, &before));
        assert!(active(replica, &after));
    }
}

#[test]
fn audit_1_reaching_for_another_tenant_is_on_record_in_ones_own_log() {
    let world = World::new();
    let (own, other) = (world.tenant("Acme"), world.tenant("Other"));
    world.advance(TimeDelta::seconds(1));
    let admin = world.as_admin(&own);
    for path in ["clients", "audit-events"] {
        let url = world.api(&format!("/v1/tenants/{}/{path}", other.id));
        assert_eq!(
            world.http.get(&url, &[("authorization", &admin)]).status,
            404
        );
    }
    let url = world.api(&format!("/v1/tenants/{}", other.id));
    assert_eq!(
        world.http.get(&url, &[("authorization", &admin)]).status,
        404
    );
    let recorded = events(&world, &own, "access.refused");
    assert_eq!(recorded.len(), 3);
    assert!(
        recorded
            .iter()
            .all(|event| event["target"]["id"] == other.id.as_str()),
        "{recorded:?}"
    );
    assert!(events(&world, &other, "access.refused").is_empty());
}

#[test]
fn exactness_f_a_no_that_cannot_be_confirmed_is_429_and_who_knows_the_secret_goes_on() {
    let orders = Orders::new();
    let Orders { world, machine, .. } = &orders;
    assert_eq!(orders.ask(GRANT).status, 200);
    let wrong = Credentials {
        client_secret: orders.checker.client_secret.clone(),
        ..machine.clone()
    };
    // So many from one network are confirmed at once, and a few more while they are asked.
    let is_spent = AtomicBool::new(false);
    let confirmed: usize = std::thread::scope(|threads| {
        let asking = [(); 8].map(|()| {
            threads.spawn(|| {
                for confirmed in 0..1_000 {
                    if is_spent.load(Ordering::SeqCst) {
                        return confirmed;
                    }
                    let refused = orders.post_as(&wrong, "token", GRANT);
                    if refused.status == 429 {
                        is_spent.store(true, Ordering::SeqCst);
                        assert_eq!(refused.text("/error"), "temporarily_unavailable");
                        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
                        assert!((1..=2).contains(&wait), "{wait}");
                        return confirmed;
                    }
                    assert_eq!(refused.status, 401, "{}", refused.body);
                }
                panic!("noes have no end")
            })
        });
        asking.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert!(confirmed >= 300, "{confirmed}");
    // Whoever has the right secret needs no confirmation, whether memory has them or not.
    assert_eq!(orders.ask(GRANT).status, 200);
    let other = world.another_replica();
    let answer = orders.post_at(&other, "token", &wrong, GRANT);
    assert_eq!(answer.status, 401, "each server counts for itself");
    let new = orders.client(&json!({}));
    assert_eq!(orders.post_as(&new, "token", GRANT).status, 200);
}
