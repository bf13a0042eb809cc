//! Signing keys over time: spare ones for RS256, rotation by schedule under load and by two at once, and what a verifier
//! that keeps published keys as long as it may sees of all that.

use std::collections::BTreeSet;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Replica, ServerSettings, World};
use grantor_authority::Authority;
use grantor_domain::audit::{Actor, Origin};
use grantor_domain::ids::TenantId;
use grantor_domain::signing_key::KeySchedule;
use grantor_foundation::Foundation;
use grantor_keys::{Algorithm, Jwks, Keyring, MasterKey, SystemEntropy, verify_jws};
use grantor_storage::{Database, DatabaseOptions, spare_keys};
use grantor_test_support::{SeededEntropy, SocketProxy, TestDatabase, master_key};
use serde_json::{Value, json};

use crate::asking::{like, number, replica_at, until, wait_for};
use crate::oauth::Orders;
use crate::platform_servers::send;

const READ: &str = "orders.api:read";
const BILLS: &str = "bills.api:read";
const LOGS: &str = "logs.api:read";

/// What a further replica has, whose times are these. No two of one test share a seed: they would make the same ids.
fn authority_with(world: &World, keyring: Keyring, schedule: KeySchedule, seed: u64) -> Authority {
    let database = Database::new(DatabaseOptions {
        url: world.database.url(),
        pool_size: 4,
        deadline: Duration::from_secs(20),
        entropy: Arc::new(SeededEntropy::new(seed)),
    });
    Authority::new(database, keyring).with_key_schedule(schedule)
}

fn authority(world: &World, schedule: KeySchedule, seed: u64) -> Authority {
    authority_with(world, TestDatabase::keyring(), schedule, seed)
}

fn fill(world: &World) {
    let authority = authority(world, KeySchedule::default(), 900);
    wait_for(authority.keep_spare_keys(world.now())).unwrap();
}

/// Makes a resource server whose tokens are signed so.
fn make_server(orders: &Orders, name: &str, algorithm: &str) {
    let admin = orders.world.as_admin(&orders.tenant);
    let body = json!({ "key": format!("{name}.api"), "identifier": format!("https://{name}.example"),
        "name": name, "signing_algorithm": algorithm, "scopes": [{ "name": "read" }] });
    let path = format!("/v1/tenants/{}/resource-servers", orders.tenant.id);
    send(&orders.world, &admin, "POST", &path, &body).expect(201);
}

/// A tenant whose machine gets tokens of each algorithm.
fn of_each_algorithm() -> Orders {
    let mut orders = Orders::new();
    make_server(&orders, "bills", "EdDSA");
    make_server(&orders, "logs", "RS256");
    orders.machine = orders.client(&json!({ "allowed_scopes": [READ, BILLS, LOGS] }));
    orders
}

fn header(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn jwks(orders: &Orders) -> Jwks {
    let url = orders.world.endpoint(&orders.tenant.id, "jwks");
    serde_json::from_value(orders.world.http.get(&url, &[]).expect(200)).unwrap()
}

fn verifies(token: &str, jwks: &Jwks) -> bool {
    verify_jws::<Value>(token, "at+jwt", jwks).is_ok()
}

/// How many rows of the tenant's own keys there are, of each algorithm once for each generation.
fn generations(orders: &Orders, distinct: bool) -> i64 {
    let id: TenantId = orders.tenant.id.parse().unwrap();
    let what = if distinct {
        "count(DISTINCT (algorithm, generation))"
    } else {
        "count(*)"
    };
    number(
        &orders.world,
        &format!(
            "SELECT {what} FROM signing_keys WHERE tenant_id = '{}'",
            id.uuid()
        ),
    )
}

#[test]
fn rs256_is_signed_with_from_the_first_token_on_where_a_spare_key_lay_ready() {
    let world = World::new();
    fill(&world);
    let tenant = world.tenant("Acme");
    world.advance(TimeDelta::seconds(1));
    let checker = world.client(&tenant, "Checker", &[]);
    world.orders_api(&tenant, &[&checker]);
    let machine = world.client(&tenant, "Machine", &[READ]);
    let orders = Orders {
        world,
        tenant,
        checker,
        machine,
    };
    make_server(&orders, "logs", "RS256");
    let machine = orders.client(&json!({ "allowed_scopes": [READ, LOGS] }));
    let kept = jwks(&orders);
    let token = orders.world.token(&orders.tenant.id, &machine, LOGS);
    assert_eq!(header(&token)["alg"], "RS256");
    assert!(verifies(&token, &kept), "by a set from before");
    let algorithms: Vec<_> = kept.keys.iter().map(|key| key.alg.as_str()).collect();
    assert_eq!(algorithms, ["ES256", "EdDSA", "RS256"]);
    // For several that don't agree it is the default's.
    let both = orders
        .world
        .token(&orders.tenant.id, &machine, &format!("{READ} {LOGS}"));
    assert_eq!(header(&both)["alg"], "ES256");
}

#[test]
fn an_algorithm_that_comes_later_signs_once_every_cache_has_its_key_and_the_default_signs_meanwhile()
 {
    let orders = of_each_algorithm();
    let world = &orders.world;
    let kept = jwks(&orders);
    let alg = |token: &str| header(token)["alg"].clone();
    // There is no spare key: nobody waits for one, and no request makes one.
    assert_eq!(alg(&orders.token(LOGS)), "ES256");
    assert_eq!(
        number(
            world,
            "SELECT count(*) FROM signing_keys WHERE algorithm = 'RS256'"
        ),
        0
    );
    fill(world);
    world.advance(TimeDelta::seconds(2));
    let token = orders.token(LOGS);
    assert_eq!(alg(&token), "ES256", "published, and no more");
    assert!(verifies(&token, &kept));
    let now_kept = jwks(&orders);
    assert!(now_kept.keys.iter().any(|key| key.alg == Algorithm::Rs256));
    world.advance(TimeDelta::seconds(614));
    assert_eq!(alg(&orders.token(LOGS)), "ES256");
    world.advance(TimeDelta::seconds(1));
    let token = orders.token(LOGS);
    assert_eq!(alg(&token), "RS256");
    assert!(verifies(&token, &now_kept));
    assert!(world.is_active(&orders.tenant.id, &orders.checker, &orders.token(READ)));
    assert_eq!(
        number(
            world,
            "SELECT count(*) FROM signing_keys WHERE algorithm = 'RS256'"
        ),
        1
    );
    assert_eq!(
        number(world, "SELECT count(*) FROM spare_keys"),
        3,
        "one was taken"
    );
}

/// A verifier that keeps what it got for exactly as long as the header says.
struct Verifier<'w> {
    orders: &'w Orders,
    replica: &'w Replica,
    kept: Option<(Jwks, DateTime<Utc>)>,
    fetched: usize,
}

impl Verifier<'_> {
    fn verify(&mut self, token: &str) -> Result<(), String> {
        let now = self.orders.world.now();
        if self.kept.as_ref().is_none_or(|(_, until)| now >= *until) {
            let url = format!("{}/t/{}/jwks", self.replica.token, self.orders.tenant.id);
            let answer = self.orders.world.http.get(&url, &[]);
            let kept = answer.header("cache-control").unwrap().to_owned();
            let seconds: i64 = kept
                .strip_prefix("public, max-age=")
                .unwrap()
                .parse()
                .unwrap();
            let keys = serde_json::from_value(answer.expect(200)).unwrap();
            self.kept = Some((keys, now + TimeDelta::seconds(seconds)));
            self.fetched += 1;
        }
        let (kept, _) = self.kept.as_ref().unwrap();
        if verifies(token, kept) {
            return Ok(());
        }
        let kids: Vec<_> = kept.keys.iter().map(|key| &key.kid).collect();
        Err(format!("at {now}: {} is not among {kids:?}", header(token)))
    }

    /// Gets a token of each algorithm and verifies it, and one from a while ago, which is good still.
    fn step(&mut self, from: &Replica, tokens: &mut Vec<String>) -> Result<(), String> {
        for scope in [READ, BILLS, LOGS] {
            let url = format!("{}/t/{}/token", from.token, self.orders.tenant.id);
            let form = format!("grant_type=client_credentials&scope={scope}");
            let basic = self.orders.machine.basic();
            let http = &self.orders.world.http;
            let answer = http.post_form(&url, &[("authorization", &basic)], &form);
            if answer.status != 200 {
                return Err(answer.body);
            }
            let token = answer.text("/access_token");
            self.verify(&token)?;
            tokens.push(token);
        }
        self.verify(&tokens[tokens.len() / 2])
    }
}

#[test]
fn rotated_every_two_seconds_under_load_no_token_meets_a_verifier_without_its_key() {
    const STEPS: usize = 40;
    let orders = of_each_algorithm();
    let settings = ServerSettings {
        jwks_max_age: Some(1),
        ..ServerSettings::default()
    };
    let replicas = [(), ()].map(|()| orders.world.another_replica_with(&settings));
    let schedule = KeySchedule::new(TimeDelta::seconds(1), Some(TimeDelta::seconds(2)));
    fill(&orders.world);
    let begin = Barrier::new(2 + 2);
    let kids: Vec<BTreeSet<String>> = std::thread::scope(|threads| {
        let issuing: Vec<_> = replicas
            .iter()
            .enumerate()
            .map(|(turn, replica)| {
                let (orders, begin) = (&orders, &begin);
                // Whoever verifies asks the other replica for its keys.
                let mut verifier = Verifier {
                    orders,
                    replica: &replicas[1 - turn],
                    kept: None,
                    fetched: 0,
                };
                threads.spawn(move || {
                    let mut tokens: Vec<String> = Vec::new();
                    // Whoever fails goes on to the end: the others wait at each step.
                    let mut failure = Ok(());
                    for _ in 0..STEPS {
                        begin.wait();
                        if failure.is_ok() {
                            failure = verifier.step(replica, &mut tokens);
                        }
                    }
                    failure.unwrap();
                    assert!(
                        verifier.fetched > STEPS / 2,
                        "it asks anew: {}",
                        verifier.fetched
                    );
                    tokens
                        .iter()
                        .map(|token| header(token)["kid"].to_string())
                        .collect()
                })
            })
            .collect();
        let rotating: Vec<_> = (0..2)
            .map(|turn| {
                let (orders, begin) = (&orders, &begin);
                let authority = authority(&orders.world, schedule, 910 + turn);
                threads.spawn(move || {
                    let mut failures = Vec::new();
                    for _ in 0..STEPS {
                        begin.wait();
                        if turn == 0 {
                            orders.world.advance(TimeDelta::seconds(1));
                        }
                        let now = orders.world.now();
                        failures.extend(wait_for(authority.rotate_due_signing_keys(now)).err());
                    }
                    assert!(failures.is_empty(), "{failures:?}");
                })
            })
            .collect();
        for rotating in rotating {
            rotating.join().unwrap();
        }
        issuing
            .into_iter()
            .map(|issuing| issuing.join().unwrap())
            .collect()
    });
    let all: BTreeSet<_> = kids.into_iter().flatten().collect();
    assert!(all.len() > 3 * 8, "keys took turns: {}", all.len());
    assert_eq!(generations(&orders, true), generations(&orders, false));
    assert!(generations(&orders, true) > 3 * 18);
}

#[test]
fn two_replicas_that_rotate_at_once_a_hundred_times_make_one_generation_each_time() {
    let orders = Orders::new();
    let world = &orders.world;
    jwks(&orders);
    let tenant: TenantId = orders.tenant.id.parse().unwrap();
    let schedule = KeySchedule::new(TimeDelta::seconds(1), Some(TimeDelta::seconds(10)));
    let two = [920, 921].map(|seed| authority(world, schedule, seed));
    for round in 0..100 {
        world.advance(TimeDelta::seconds(11));
        let begin = Barrier::new(2);
        let made: usize = std::thread::scope(|threads| {
            let rotating: Vec<_> = two
                .iter()
                .map(|authority| {
                    let (begin, now) = (&begin, world.now());
                    threads.spawn(move || {
                        begin.wait();
                        wait_for(authority.rotate_due_signing_keys(now)).unwrap()
                    })
                })
                .collect();
            rotating.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert!(made >= 2, "{round}: {made}");
        assert_eq!(generations(&orders, false), 2 * (round + 2), "{round}");
        assert_eq!(generations(&orders, true), 2 * (round + 2), "{round}");
    }
    // Nothing is due: nothing is made.
    assert_eq!(
        wait_for(two[0].rotate_due_signing_keys(world.now())).unwrap(),
        0
    );
    // By command, at once: whoever was slower is told what the other made.
    let begin = Barrier::new(2);
    let told: Vec<_> = std::thread::scope(|threads| {
        let rotating: Vec<_> = two
            .iter()
            .map(|authority| {
                let (begin, now) = (&begin, world.now());
                threads.spawn(move || {
                    let origin = Origin::without_request(Actor::Command("grantor keys"));
                    begin.wait();
                    wait_for(authority.rotate_signing_keys(tenant, origin, now))
                        .ok()
                        .unwrap()
                })
            })
            .collect();
        rotating
            .into_iter()
            .map(|one| one.join().unwrap())
            .collect()
    });
    assert!(told.iter().all(|told| told.len() == 2));
    assert_eq!(generations(&orders, true), generations(&orders, false));
}

#[test]
fn tenant_2_keys_of_a_suspended_tenant_wait_and_keep_no_other_from_its_turn() {
    let orders = Orders::new();
    let world = &orders.world;
    let globex = world.tenant("Globex");
    for tenant in [&orders.tenant, &globex] {
        let url = world.endpoint(&tenant.id, "jwks");
        world.http.get(&url, &[]).expect(200);
    }
    let path = format!("/v1/tenants/{}/suspend", globex.id);
    let body = json!({ "reason": "Unpaid" });
    send(world, &world.as_operator(), "POST", &path, &body).expect(200);
    let hourly = KeySchedule::new(TimeDelta::seconds(300), Some(TimeDelta::hours(1)));
    let authority = authority(world, hourly, 930);
    world.advance(TimeDelta::hours(2));
    // Of the platform's and of Acme's: two each.
    assert_eq!(
        wait_for(authority.rotate_due_signing_keys(world.now())).unwrap(),
        4
    );
    let restore = format!("/v1/tenants/{}/restore", globex.id);
    send(world, &world.as_operator(), "POST", &restore, &Value::Null).expect(200);
    assert_eq!(
        wait_for(authority.rotate_due_signing_keys(world.now())).unwrap(),
        2
    );
}

#[test]
fn a_tenant_whose_keys_cannot_be_rotated_keeps_no_other_from_its_turn() {
    let orders = Orders::new();
    let world = &orders.world;
    let globex = world.tenant("Globex");
    for tenant in [&globex, &orders.tenant] {
        let url = world.endpoint(&tenant.id, "jwks");
        world.http.get(&url, &[]).expect(200);
    }
    let broken: TenantId = globex.id.parse().unwrap();
    let mut superuser = world.database.superuser();
    let hinder = format!(
        "CREATE FUNCTION grantor.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON grantor.signing_keys FOR EACH ROW \
         WHEN (NEW.tenant_id = '{}') EXECUTE FUNCTION grantor.refuse()",
        broken.uuid()
    );
    superuser.batch_execute(&hinder).unwrap();
    let hourly = KeySchedule::new(TimeDelta::seconds(300), Some(TimeDelta::hours(1)));
    let authority = authority(world, hourly, 931);
    let rotated = || wait_for(authority.rotate_due_signing_keys(world.now())).unwrap();
    world.advance(TimeDelta::hours(2));
    // Of the platform's and of Acme's: two each.
    assert_eq!(rotated(), 4);
    assert_eq!(rotated(), 0);
    superuser
        .batch_execute("DROP TRIGGER refuse ON grantor.signing_keys")
        .unwrap();
    assert_eq!(rotated(), 2);
}

#[test]
fn secret_2_spare_keys_are_sealed_and_sealed_anew_with_everything_else() {
    let orders = of_each_algorithm();
    let world = &orders.world;
    fill(world);
    let database = world.storage();
    let stored = || wait_for(spare_keys::all(&database)).unwrap();
    let before = stored();
    assert_eq!(before.len(), 4);
    for spare in &before {
        // What a private key in the clear would begin with.
        let algorithm_of_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
        let mut windows = spare.sealed_private_key.windows(algorithm_of_rsa.len());
        assert!(!windows.any(|window| window == algorithm_of_rsa));
        assert!(TestDatabase::keyring().sealed_with_current(&spare.sealed_private_key));
    }
    let newer = || MasterKey::parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8").unwrap();
    let both = Keyring::new(newer(), vec![master_key()]);
    let authority = authority_with(world, both, KeySchedule::default(), 940);
    let origin = Origin::without_request(Actor::Command("grantor keys"));
    let count = wait_for(authority.reseal(&origin, world.now())).unwrap();
    assert!(count >= 4, "{count}");
    let alone = Keyring::new(newer(), Vec::new());
    for (old, new) in before.iter().zip(stored()) {
        assert_eq!(old.id, new.id);
        assert!(alone.sealed_with_current(&new.sealed_private_key));
    }
    assert_eq!(wait_for(authority.reseal(&origin, world.now())).unwrap(), 0);
    // One is taken by who has the new key alone.
    let with_new = authority_with(world, alone, KeySchedule::default(), 941);
    let tenant: TenantId = orders.tenant.id.parse().unwrap();
    let made = wait_for(with_new.jwks(tenant, None, world.now() + TimeDelta::seconds(5)))
        .ok()
        .unwrap();
    assert!(made.keys.iter().any(|key| key.alg == Algorithm::Rs256));
    assert_eq!(stored().len(), 3);
}

#[test]
fn a_spare_key_that_cannot_be_opened_is_left_out() {
    let orders = of_each_algorithm();
    let world = &orders.world;
    fill(world);
    let spoilt = "UPDATE spare_keys SET sealed_private_key = set_byte(sealed_private_key, 40, 0) \
                  || '\\x00' WHERE id < (SELECT max(id::text)::uuid FROM spare_keys)";
    diesel::RunQueryDsl::execute(diesel::sql_query(spoilt), &mut world.database.superuser())
        .unwrap();
    // Whoever found the stock empty a moment ago does not look.
    world.advance(TimeDelta::seconds(2));
    assert!(
        jwks(&orders)
            .keys
            .iter()
            .any(|key| key.alg == Algorithm::Rs256)
    );
    assert_eq!(number(world, "SELECT count(*) FROM spare_keys"), 0);
}

#[test]
fn a_server_fills_the_stock_by_itself_and_again_when_one_was_taken() {
    let orders = of_each_algorithm();
    let world = &orders.world;
    let foundation = wait_for(Foundation::open(
        &world.replica.settings,
        world.clock.clone(),
        Arc::new(SystemEntropy::default()),
    ))
    .unwrap();
    let full = || number(world, "SELECT count(*) FROM spare_keys") == 4;
    let tenant: TenantId = orders.tenant.id.parse().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    std::thread::scope(|threads| {
        let keeping = foundation.clone();
        threads.spawn(move || {
            wait_for(keeping.keep_signing_keys(async {
                let _ = stopped.await;
            }));
        });
        until("the stock is filled", full);
        // In the server that keeps it, and so it hears of it.
        let taken = wait_for(foundation.authority.jwks(tenant, None, world.now()))
            .ok()
            .unwrap();
        assert!(taken.keys.iter().any(|key| key.alg == Algorithm::Rs256));
        until("it is filled again", full);
        drop(stop);
    });
}

#[test]
fn a_server_that_cannot_follow_tells_no_set_that_may_lack_a_key_by_then() {
    let orders = Orders::new();
    let proxy = SocketProxy::start(&orders.world.database.url());
    let settings = ServerSettings {
        jwks_max_age: Some(1),
        ..like(&orders.world)
    };
    let replica = replica_at(&orders.world, &proxy.url(), 77, &settings);
    let url = format!("{}/t/{}/jwks", replica.token, orders.tenant.id);
    let ask = || orders.world.http.get(&url, &[]);
    let keys = ask().expect(200);
    proxy.cut();
    // What is in memory is good until a key could be missing that signs by then, and no longer.
    until("it says that it can't tell", || match ask().status {
        200 => false,
        status => {
            assert_eq!(status, 503);
            true
        }
    });
    proxy.heal();
    until("it tells again", || ask().status == 200);
    assert_eq!(ask().expect(200), keys);
}
