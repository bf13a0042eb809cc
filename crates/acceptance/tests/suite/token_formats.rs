//! Signed and opaque tokens: chosen by the resource server, and as good as each other everywhere.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_acceptance::World;
use serde_json::{Value, json};

use crate::oauth::Orders;
use crate::platform_servers::{faults, send};

/// Sends something to the orders API.
fn send_to_orders(orders: &Orders, method: &str, body: &Value) -> grantor_acceptance::Answer {
    let world = &orders.world;
    let admin = world.as_admin(&orders.tenant);
    let own = format!("/v1/tenants/{}/resource-servers", orders.tenant.id);
    let page = send(world, &admin, "GET", &own, &Value::Null).expect(200);
    let path = format!("{own}/{}", page["items"][0]["id"].as_str().unwrap());
    send(world, &admin, method, &path, body)
}

/// With opaque tokens.
fn opaque() -> Orders {
    let orders = Orders::new();
    send_to_orders(&orders, "PATCH", &json!({ "token_format": "opaque" })).expect(200);
    orders
}

fn is_active(orders: &Orders, token: &str) -> bool {
    orders
        .world
        .is_active(&orders.tenant.id, &orders.checker, token)
}

#[test]
fn token_6_an_opaque_token_is_introspected_like_a_signed_one() {
    let orders = Orders::new();
    let told = |token: &str| {
        let answer = orders
            .world
            .introspect(&orders.tenant.id, &orders.checker, token);
        let mut told = answer.expect(200);
        assert!(told["jti"].as_str().unwrap().starts_with("tok_"), "{told}");
        told["jti"] = Value::Null;
        told
    };
    let signed = orders.token("orders.api:read");
    let as_signed = told(&signed);
    send_to_orders(&orders, "PATCH", &json!({ "token_format": "opaque" })).expect(200);
    let answer = orders.ask("grant_type=client_credentials&scope=orders.api:read");
    assert_eq!(answer.json()["expires_in"], 3_600);
    let token = answer.text("/access_token");
    assert!(token.starts_with("gat_"));
    assert_eq!(token.len(), "gat_".len() + 114);
    assert!(token[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(told(&token), as_signed);
    // What was signed before goes on, and no two are alike.
    assert_eq!(told(&signed), as_signed);
    assert_ne!(orders.token("orders.api:read"), token);
    send_to_orders(&orders, "PATCH", &json!({ "token_format": null })).expect(200);
    assert_eq!(orders.token("orders.api:read").split('.').count(), 3);
}

#[test]
fn token_6_an_opaque_token_dies_as_a_signed_one_does() {
    let orders = opaque();
    let world = &orders.world;
    let other = world.another_replica();
    let token = orders.token("orders.api:read");
    for at in [0, 4, 30, 60, 90, token.len() - 1] {
        for replacement in ["0", "Z", "_"] {
            let mut altered = token.clone();
            altered.replace_range(at..=at, replacement);
            assert_eq!(is_active(&orders, &altered), altered == token, "{at}");
        }
    }
    assert!(!is_active(&orders, &token[..token.len() - 1]));
    let admin = world.as_admin(&orders.tenant);
    let client = format!(
        "/v1/tenants/{}/clients/{}",
        orders.tenant.id, orders.machine.client_id
    );
    send(
        world,
        &admin,
        "POST",
        &format!("{client}/disable"),
        &Value::Null,
    )
    .expect(200);
    assert!(!is_active(&orders, &token));
    send(
        world,
        &admin,
        "POST",
        &format!("{client}/enable"),
        &Value::Null,
    )
    .expect(200);
    assert!(is_active(&orders, &token));
    // Of another tenant it is nothing.
    let globex = world.tenant("Globex");
    assert!(!world.is_active(&globex.id, &globex.admin, &token));
    assert_eq!(world.revoke(&globex.id, &globex.admin, &token).status, 200);
    assert_eq!(
        world
            .revoke(&orders.tenant.id, &orders.checker, &token)
            .status,
        400,
        "it is another client's"
    );
    assert!(is_active(&orders, &token));
    assert_eq!(
        world
            .revoke(&orders.tenant.id, &orders.machine, &token)
            .status,
        200
    );
    let there = world.http.post_form(
        &format!("{}/t/{}/introspect", other.token, orders.tenant.id),
        &[("authorization", &orders.checker.basic())],
        &format!("token={token}"),
    );
    assert_eq!(there.body, r#"{"active":false}"#);
    let last = orders.token("orders.api:read");
    world.advance(TimeDelta::seconds(3_599));
    assert!(is_active(&orders, &last));
    world.advance(TimeDelta::seconds(1));
    assert!(!is_active(&orders, &last));
}

#[test]
fn token_6_a_token_for_several_is_opaque_if_one_of_them_wants_it_so_and_opens_the_management_api() {
    let orders = opaque();
    let world = &orders.world;
    let body = json!({ "name": "Both", "profile": "service", "owner_contact": { "email": "a@b.example" },
        "allowed_scopes": ["orders.api:read", "grantor:resource_servers.read"] });
    let admin = world.as_admin(&orders.tenant);
    let path = format!("/v1/tenants/{}/clients", orders.tenant.id);
    send(world, &admin, "POST", &path, &body).expect(201);
    let tenant = &orders.tenant;
    // The administrator's client gets the scope besides, and its roles stay.
    let own = format!("{path}/{}", tenant.admin.client_id);
    let shown = send(world, &admin, "GET", &own, &Value::Null).expect(200);
    let mut scopes = shown["allowed_scopes"].as_array().unwrap().clone();
    scopes.push(json!("orders.api:read"));
    send(
        world,
        &admin,
        "PATCH",
        &own,
        &json!({ "allowed_scopes": scopes }),
    )
    .expect(200);
    let signed = world.token(&tenant.id, &tenant.admin, "grantor:clients.read");
    assert_eq!(signed.split('.').count(), 3);
    let mixed = world.token(
        &tenant.id,
        &tenant.admin,
        "grantor:clients.read orders.api:read",
    );
    assert!(mixed.starts_with("gat_"));
    let list = || {
        let bearer = World::bearer(&mixed);
        send(world, &bearer, "GET", &path, &Value::Null).status
    };
    assert_eq!(list(), 200);
    assert!(is_active(&orders, &mixed));
    assert_eq!(world.revoke(&tenant.id, &tenant.admin, &mixed).status, 200);
    assert_eq!(list(), 401);
}

#[test]
fn who_only_verifies_signatures_gets_no_opaque_tokens() {
    let orders = Orders::new();
    let patch = |body: Value| send_to_orders(&orders, "PATCH", &body);
    let both = json!({ "verification": "signature", "token_format": "opaque" });
    assert_eq!(faults(&patch(both), 422), ["/token_format"]);
    patch(json!({ "token_format": "opaque" })).expect(200);
    assert_eq!(
        faults(&patch(json!({ "verification": "signature" })), 422),
        ["/token_format"]
    );
    patch(json!({ "verification": "signature", "token_format": "jwt" })).expect(200);
    assert_eq!(
        faults(&patch(json!({ "token_format": "opaque" })), 422),
        ["/token_format"]
    );
    assert_eq!(
        faults(&patch(json!({ "token_format": "none" })), 422),
        ["/token_format"]
    );
    let whole = json!({ "identifier": "https://orders.example", "name": "Orders" });
    let shown = send_to_orders(&orders, "PUT", &whole).expect(200);
    assert_eq!(shown["token_format"], "jwt");
    assert_eq!(shown["verification"], "introspection");
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[test]
fn secret_2_of_an_opaque_token_only_a_hash_is_kept() {
    let orders = opaque();
    let token = orders.token("orders.api:read");
    let mut connection = orders.world.database.superuser();
    let mut count = |what: &str| {
        let Count { count } = diesel::sql_query(format!(
            "SELECT count(*) AS count FROM access_tokens WHERE access_tokens::text LIKE '%{what}%' \
               OR encode(token_hash, 'escape') LIKE '%{what}%'"
        ))
        .get_result(&mut connection)
        .unwrap();
        count
    };
    assert_eq!(count("orders.api:read"), 1, "it is there");
    assert_eq!(count(&token[4..20]), 0);
    assert_eq!(count(&token[token.len() - 12..]), 0);
}
