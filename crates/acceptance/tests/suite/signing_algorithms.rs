//! With what tokens are signed: named by the resource server, agreed on by all the audiences of a token, with keys of
//! their own for each algorithm and tenant.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use grantor_acceptance::{Answer, Tenant, World};
use grantor_authority::{Authority, Rotated};
use grantor_domain::audit::{Actor, Origin};
use grantor_domain::ids::TenantId;
use grantor_test_support::TestDatabase;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::asking::{number, wait_for};
use crate::oauth::Orders;
use crate::platform_servers::{Vendor, faults, send};
use crate::tokens;

const READ: &str = "orders.api:read";

/// The path of the resource servers of a tenant.
fn servers_of(tenant: &Tenant) -> String {
    format!("/v1/tenants/{}/resource-servers", tenant.id)
}

/// Sends something to the orders API.
fn send_to_orders(orders: &Orders, method: &str, body: &Value) -> Answer {
    let (world, own) = (&orders.world, servers_of(&orders.tenant));
    let admin = world.as_admin(&orders.tenant);
    let page = send(world, &admin, "GET", &own, &Value::Null).expect(200);
    let path = format!("{own}/{}", page["items"][0]["id"].as_str().unwrap());
    send(world, &admin, method, &path, body)
}

fn sign_with(orders: &Orders, algorithm: &Value) -> Value {
    let body = json!({ "signing_algorithm": algorithm });
    send_to_orders(orders, "PATCH", &body).expect(200)
}

/// The orders API, whose tokens are signed with Ed25519.
fn with_eddsa() -> Orders {
    let orders = Orders::new();
    sign_with(&orders, &json!("EdDSA"));
    orders
}

/// Makes a second resource server, `bills.api`, with this algorithm and format.
fn make_bills(orders: &Orders, algorithm: &str, format: &str) {
    let admin = orders.world.as_admin(&orders.tenant);
    let body = json!({ "key": "bills.api", "identifier": "https://bills.example", "name": "Bills",
        "signing_algorithm": algorithm, "token_format": format, "scopes": [{ "name": "read" }] });
    let own = servers_of(&orders.tenant);
    let made = send(&orders.world, &admin, "POST", &own, &body).expect(201);
    assert_eq!(made["signing_algorithm"], algorithm);
}

fn jwks(world: &World, tenant: &Tenant) -> Value {
    world
        .http
        .get(&world.endpoint(&tenant.id, "jwks"), &[])
        .expect(200)
}

/// The algorithms of the published keys, in their order.
fn published(world: &World, tenant: &Tenant) -> Vec<String> {
    let text = |key: &Value| key["alg"].as_str().unwrap().to_owned();
    let keys = jwks(world, tenant);
    keys["keys"].as_array().unwrap().iter().map(text).collect()
}

fn header(token: &str) -> Value {
    let part = token.split('.').next().unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Verifies an `EdDSA` token against a JWK set as any resource server would; tells its claims.
fn verified(token: &str, jwks: &Value) -> Option<Value> {
    let [head, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        return None;
    };
    let told = header(token);
    assert_eq!(
        (&told["typ"], &told["alg"]),
        (&json!("at+jwt"), &json!("EdDSA"))
    );
    let mut keys = jwks["keys"].as_array().unwrap().iter();
    let mut key = keys.find(|key| key["kid"] == told["kid"])?.clone();
    let x = URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    key["x"] = Value::Null;
    assert_eq!(
        key,
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": told["kid"], "x": null }),
        "and no private part"
    );
    let message = format!("{head}.{claims}");
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let key = UnparsedPublicKey::new(&ED25519, x);
    key.verify(message.as_bytes(), &signature).ok()?;
    Some(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap())
}

/// How many keys of an algorithm a tenant has.
fn keys_of(world: &World, tenant: &str, algorithm: &str) -> i64 {
    let id: TenantId = tenant.parse().unwrap();
    number(
        world,
        &format!(
            "SELECT count(*) FROM signing_keys WHERE tenant_id = '{}' AND algorithm = '{algorithm}'",
            id.uuid()
        ),
    )
}

/// How many first keys of an algorithm the tenant's log of record tells of.
fn told_of(world: &World, tenant: &str, algorithm: &str) -> i64 {
    let id: TenantId = tenant.parse().unwrap();
    number(
        world,
        &format!(
            "SELECT count(*) FROM audit_events WHERE tenant_id = '{}' AND action = 'signing_key.created' \
             AND after_change ->> 'algorithm' = '{algorithm}'",
            id.uuid()
        ),
    )
}

#[test]
fn an_eddsa_token_says_so_and_verifies_by_the_published_keys() {
    let orders = with_eddsa();
    let world = &orders.world;
    let token = orders.token(READ);
    let keys = jwks(world, &orders.tenant);
    let claims = verified(&token, &keys).unwrap();
    assert_eq!(claims["aud"], "https://orders.example");
    let mut told = world
        .introspect(&orders.tenant.id, &orders.checker, &token)
        .expect(200);
    assert_eq!(told["active"], true);
    for more in ["active", "token_type"] {
        told.as_object_mut().unwrap().remove(more);
    }
    assert_eq!(told, claims, "introspection and token agree");
    // The verification can fail, and so can introspection.
    let (signed, _) = token.rsplit_once('.').unwrap();
    let other = orders.token(READ);
    let mixed = format!("{signed}.{}", other.rsplit_once('.').unwrap().1);
    assert!(verified(&mixed, &keys).is_none());
    assert!(!world.is_active(&orders.tenant.id, &orders.checker, &mixed));
    assert_eq!(
        world
            .revoke(&orders.tenant.id, &orders.machine, &token)
            .status,
        200
    );
    assert!(!world.is_active(&orders.tenant.id, &orders.checker, &token));
    assert!(world.is_active(&orders.tenant.id, &orders.checker, &other));
}

#[test]
fn a_change_of_the_algorithm_holds_from_the_next_token_on() {
    let orders = Orders::new();
    let world = &orders.world;
    let active = |token: &str| world.is_active(&orders.tenant.id, &orders.checker, token);
    let first = orders.token(READ);
    assert_eq!(header(&first)["alg"], "ES256");
    assert_eq!(
        sign_with(&orders, &json!("EdDSA"))["signing_algorithm"],
        "EdDSA"
    );
    let second = orders.token(READ);
    assert_eq!(header(&second)["alg"], "EdDSA");
    // Null is the default again.
    assert_eq!(
        sign_with(&orders, &Value::Null)["signing_algorithm"],
        "ES256"
    );
    let third = orders.token(READ);
    assert_eq!(header(&third), header(&first), "the key is there still");
    assert!([&first, &second, &third].iter().all(|token| active(token)));
    let keys = jwks(world, &orders.tenant);
    assert!(tokens::verified(&first, &keys).is_some());
    assert!(verified(&second, &keys).is_some());
    // Replaced without it, it has the default as well.
    sign_with(&orders, &json!("EdDSA"));
    let whole = json!({ "identifier": "https://orders.example", "name": "Orders" });
    let shown = send_to_orders(&orders, "PUT", &whole).expect(200);
    assert_eq!(shown["signing_algorithm"], "ES256");
}

#[test]
fn a_token_for_several_is_signed_with_what_they_agree_on_or_else_with_es256() {
    for (bills, format, expected) in [
        ("EdDSA", "jwt", Some("EdDSA")),
        ("ES256", "jwt", Some("ES256")),
        ("EdDSA", "opaque", None),
        ("ES256", "opaque", None),
    ] {
        let orders = with_eddsa();
        make_bills(&orders, bills, format);
        let scopes = [READ, "bills.api:read", "grantor:clients.read"];
        let client = orders.client(&json!({ "allowed_scopes": scopes }));
        let issued = |asked: &str| orders.world.token(&orders.tenant.id, &client, asked);
        let both = issued("orders.api:read bills.api:read");
        match expected {
            Some(algorithm) => assert_eq!(header(&both)["alg"], algorithm, "{bills}"),
            None => assert!(both.starts_with("gat_"), "{bills}"),
        }
        assert_eq!(header(&issued(READ))["alg"], "EdDSA");
        // The management API verifies what everybody can.
        let managing = issued("orders.api:read grantor:clients.read");
        assert_eq!(header(&managing)["alg"], "ES256");
    }
}

#[test]
fn the_first_keys_are_one_of_each_algorithm_and_are_published_before_the_first_token() {
    let Orders { world, tenant, .. } = &with_eddsa();
    let globex = world.tenant("Globex");
    for tenant in [tenant, &globex] {
        assert_eq!(
            published(world, tenant),
            ["ES256", "EdDSA"],
            "no spare lies ready"
        );
        for algorithm in ["ES256", "EdDSA"] {
            assert_eq!(keys_of(world, &tenant.id, algorithm), 1);
            assert_eq!(told_of(world, &tenant.id, algorithm), 1);
        }
    }
    let hers = jwks(world, &globex);
    let ours = jwks(world, tenant);
    for key in ours["keys"].as_array().unwrap() {
        assert!(!hers["keys"].as_array().unwrap().contains(key));
    }
}

#[test]
fn tenant_2_a_suspended_tenant_gets_no_key_and_nobody_keeps_the_empty_set() {
    let orders = with_eddsa();
    let Orders { world, tenant, .. } = &orders;
    forget_keys(world, tenant);
    let standing = |verb: &str| {
        let path = format!("/v1/tenants/{}/{verb}", tenant.id);
        let body = json!({ "reason": "Unpaid" });
        let body = if verb == "suspend" { body } else { Value::Null };
        send(world, &world.as_operator(), "POST", &path, &body).expect(200);
    };
    standing("suspend");
    let fetch = || world.http.get(&world.endpoint(&tenant.id, "jwks"), &[]);
    let none = fetch();
    assert_eq!(none.header("cache-control"), Some("no-store"));
    assert_eq!(none.expect(200), json!({ "keys": [] }));
    assert_eq!(keys_of(world, &tenant.id, "ES256"), 0);
    standing("restore");
    let first = fetch();
    assert_eq!(first.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(published(world, tenant), ["ES256", "EdDSA"]);
}

/// As if the tenant had never signed anything.
fn forget_keys(world: &World, tenant: &Tenant) {
    let admin = world.as_admin(tenant);
    let id: TenantId = tenant.id.parse().unwrap();
    let gone = format!("DELETE FROM signing_keys WHERE tenant_id = '{}'", id.uuid());
    diesel::RunQueryDsl::execute(diesel::sql_query(gone), &mut world.database.superuser()).unwrap();
    // Nothing on the feed tells of that, so it is told by another change of what the tenant shares.
    let settings = format!("/v1/tenants/{}/settings", tenant.id);
    let told = json!({ "password_min_length": 16 });
    send(world, &admin, "PATCH", &settings, &told).expect(200);
}

#[test]
fn tokens_for_a_platform_wide_resource_server_are_signed_with_a_key_of_each_tenant() {
    let vendor = Vendor::with(&json!({ "signing_algorithm": "EdDSA" }));
    let Vendor {
        world,
        acme,
        machine,
        globex,
        operator,
        ..
    } = &vendor;
    assert_eq!(vendor.server["signing_algorithm"], "EdDSA");
    let theirs = world.client(globex, "Machine", &["payments:read"]);
    let tokens = [(acme, machine), (globex, &theirs)]
        .map(|(tenant, client)| world.token(&tenant.id, client, "payments:read"));
    let (ours, other) = (jwks(world, acme), jwks(world, globex));
    assert!(verified(&tokens[0], &ours).is_some());
    assert!(verified(&tokens[0], &other).is_none());
    assert!(verified(&tokens[1], &other).is_some());
    let body = json!({ "signing_algorithm": "ES256" });
    let shown = vendor.send(operator, "PATCH", "", &body).expect(200);
    assert_eq!(shown["signing_algorithm"], "ES256");
    let token = world.token(&acme.id, machine, "payments:read");
    assert_eq!(header(&token)["alg"], "ES256");
    // What every installation has is signed with what everybody can verify.
    let page = send(world, operator, "GET", "/v1/resource-servers", &Value::Null).expect(200);
    for server in page["items"].as_array().unwrap() {
        assert_eq!(server["signing_algorithm"], "ES256", "{server}");
    }
}

/// Lets twenty ask at once, at two replicas; tells their tokens.
fn twenty_at_once(orders: &Orders, scope_of: impl Fn(usize) -> &'static str + Sync) -> Vec<String> {
    let Orders {
        world,
        tenant,
        machine,
        ..
    } = orders;
    let other = world.another_replica();
    let begin = std::sync::Barrier::new(20);
    std::thread::scope(|threads| {
        let asking: Vec<_> = (0..20)
            .map(|turn| {
                let replica = if turn % 2 == 0 {
                    &world.replica
                } else {
                    &other
                };
                let url = format!("{}/t/{}/token", replica.token, tenant.id);
                let form = format!("grant_type=client_credentials&scope={}", scope_of(turn));
                let begin = &begin;
                threads.spawn(move || {
                    let headers = [("authorization", machine.basic())];
                    let headers = headers
                        .each_ref()
                        .map(|(name, value)| (*name, value.as_str()));
                    begin.wait();
                    let answer = world.http.post_form(&url, &headers, &form);
                    assert_eq!(answer.status, 200, "{}", answer.body);
                    answer.text("/access_token")
                })
            })
            .collect();
        asking
            .into_iter()
            .map(|asking| asking.join().unwrap())
            .collect()
    })
}

fn kids(tokens: &[String]) -> BTreeSet<String> {
    tokens
        .iter()
        .map(|token| header(token)["kid"].to_string())
        .collect()
}

#[test]
fn twenty_at_once_over_two_replicas_make_one_first_key() {
    let orders = with_eddsa();
    let Orders { world, tenant, .. } = &orders;
    let tokens = twenty_at_once(&orders, |_| READ);
    assert_eq!(kids(&tokens).len(), 1);
    assert_eq!(keys_of(world, &tenant.id, "EdDSA"), 1);
    assert_eq!(told_of(world, &tenant.id, "EdDSA"), 1);
    let keys = jwks(world, tenant);
    assert!(tokens.iter().all(|token| verified(token, &keys).is_some()));
}

#[test]
fn twenty_at_once_make_one_first_key_of_each_algorithm() {
    let mut orders = with_eddsa();
    make_bills(&orders, "ES256", "jwt");
    let scopes = [READ, "bills.api:read"];
    orders.machine = orders.client(&json!({ "allowed_scopes": scopes }));
    let Orders { world, tenant, .. } = &orders;
    forget_keys(world, tenant);
    let tokens = twenty_at_once(&orders, |turn| scopes[turn / 2 % 2]);
    assert_eq!(kids(&tokens).len(), 2);
    for algorithm in ["ES256", "EdDSA"] {
        assert_eq!(keys_of(world, &tenant.id, algorithm), 1, "{algorithm}");
    }
    assert_eq!(published(world, tenant), ["ES256", "EdDSA"]);
}

/// The keys of a tenant rotated, as the command does it.
fn rotate(orders: &Orders, authority: &Authority) -> Vec<Rotated> {
    let tenant = orders.tenant.id.parse().unwrap();
    let origin = Origin::without_request(Actor::Command("grantor keys"));
    let rotated = authority.rotate_signing_keys(tenant, origin, orders.world.now());
    wait_for(rotated).ok().unwrap()
}

#[test]
fn a_rotation_makes_the_next_key_of_each_algorithm_and_both_go_on() {
    let mut orders = Orders::new();
    make_bills(&orders, "EdDSA", "jwt");
    let scopes = [READ, "bills.api:read"];
    orders.machine = orders.client(&json!({ "allowed_scopes": scopes }));
    let world = &orders.world;
    let authority = Authority::new(world.storage(), TestDatabase::keyring());
    let algorithms = |rotated: &[Rotated]| -> Vec<_> {
        let algorithms = rotated.iter().map(|key| key.algorithm.as_str());
        algorithms.collect()
    };
    world.advance(TimeDelta::seconds(1));
    assert_eq!(algorithms(&rotate(&orders, &authority)), ["ES256", "EdDSA"]);
    world.advance(TimeDelta::hours(1));
    let both = || scopes.map(|scope| orders.token(scope));
    let old = both();
    assert_eq!(
        old.each_ref().map(|token| header(token)["alg"].clone()),
        ["ES256", "EdDSA"]
    );
    let rotated = rotate(&orders, &authority);
    assert_eq!(algorithms(&rotated), ["ES256", "EdDSA"]);
    let new: Vec<_> = rotated.iter().map(|key| key.kid.as_str()).collect();
    // Until every cache has the new ones the old ones sign.
    let meanwhile = both();
    for ((one, other), new) in old.iter().zip(&meanwhile).zip(&new) {
        assert_eq!(header(one), header(other));
        assert_ne!(header(one)["kid"], *new);
    }
    let all = jwks(world, &orders.tenant);
    let has = |keys: &Value, kid: &str| {
        let mut keys = keys["keys"].as_array().unwrap().iter();
        keys.any(|key| key["kid"] == kid)
    };
    assert!(new.iter().all(|kid| has(&all, kid)));
    world.advance(TimeDelta::seconds(615));
    let later = both();
    for (token, new) in later.iter().zip(&new) {
        assert_eq!(header(token)["kid"], *new);
    }
    for (ecdsa, eddsa) in [(&old[0], &old[1]), (&later[0], &later[1])] {
        assert!(tokens::verified(ecdsa, &all).is_some());
        assert!(verified(eddsa, &all).is_some());
    }
    assert!(world.is_active(&orders.tenant.id, &orders.checker, &old[0]));
    // Until the longest token that they signed is over, and not after.
    world.advance(TimeDelta::seconds(86_400 + 300 - 1));
    let published = jwks(world, &orders.tenant);
    assert!(
        old.iter()
            .all(|token| has(&published, header(token)["kid"].as_str().unwrap()))
    );
    world.advance(TimeDelta::seconds(1));
    let published = jwks(world, &orders.tenant);
    assert!(
        !old.iter()
            .any(|token| has(&published, header(token)["kid"].as_str().unwrap()))
    );
    assert_eq!(self::published(world, &orders.tenant), ["ES256", "EdDSA"]);
    assert_eq!(keys_of(world, &orders.tenant.id, "ES256"), 3);
    assert_eq!(keys_of(world, &orders.tenant.id, "EdDSA"), 3);
    // With the next one their private halves go too.
    rotate(&orders, &authority);
    assert_eq!(keys_of(world, &orders.tenant.id, "ES256"), 2);
}

#[test]
fn an_algorithm_that_is_not_there_is_refused_wherever_it_is_given() {
    let orders = Orders::new();
    let Orders { world, tenant, .. } = &orders;
    let (admin, own) = (world.as_admin(tenant), servers_of(tenant));
    let operator = world.as_operator();
    let tried = |value: Value| {
        let whole = json!({ "identifier": "https://orders.example", "name": "Orders",
            "signing_algorithm": value });
        let mut private =
            json!({ "key": "bills.api", "identifier": "https://bills.example", "name": "Bills" });
        private["signing_algorithm"] = value.clone();
        let mut wide = private.clone();
        wide["key"] = json!("bills");
        [
            send_to_orders(&orders, "PATCH", &json!({ "signing_algorithm": value })),
            send_to_orders(&orders, "PUT", &whole),
            send(world, &admin, "POST", &own, &private),
            send(world, &operator, "POST", "/v1/resource-servers", &wide),
        ]
    };
    for bad in [
        json!("RS384"),
        json!("none"),
        json!("es256"),
        json!("Ed25519"),
        json!(""),
        json!(256),
        json!(["EdDSA"]),
        json!({}),
    ] {
        for answer in tried(bad.clone()) {
            assert_eq!(faults(&answer, 422), ["/signing_algorithm"], "{bad}");
        }
    }
    for answer in tried(json!("RS384")) {
        for word in ["ES256", "EdDSA", "RS256"] {
            assert!(answer.body.contains(word), "the mend: {}", answer.body);
        }
    }
    let page = send(world, &admin, "GET", &own, &Value::Null).expect(200);
    assert_eq!(
        page["items"].as_array().unwrap().len(),
        1,
        "nothing was made"
    );
    assert_eq!(page["items"][0]["signing_algorithm"], "ES256");
    assert_eq!(page["items"][0]["revision"], 1);
}

#[test]
fn the_log_of_record_tells_the_algorithm_before_and_after() {
    let orders = with_eddsa();
    let again = sign_with(&orders, &json!("EdDSA"));
    assert_eq!(again["revision"], 2, "the same again is no change");
    let admin: String = orders.world.as_admin(&orders.tenant);
    let path = format!(
        "/v1/tenants/{}/audit-events?action=resource_server.updated",
        orders.tenant.id
    );
    let events = send(&orders.world, &admin, "GET", &path, &Value::Null).expect(200);
    let events = events["items"].as_array().unwrap();
    assert_eq!(events.len(), 1, "{events:?}");
    for (side, algorithm) in [("before", "ES256"), ("after", "EdDSA")] {
        let told = &events[0][side]["settings"]["signing_algorithm"];
        assert_eq!(told, algorithm, "{}", events[0]);
    }
}
