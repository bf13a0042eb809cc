//! RFC 7009: revocation.

use grantor_acceptance::{Answer, Credentials, World};
use grantor_test_support::SocketProxy;
use serde_json::{Value, json};

use crate::asking::{like, replica_at, until};
use crate::oauth::{GRANT, Orders, expect_error};
use crate::operations::without_request_id;

fn revoke(orders: &Orders, by: &Credentials, form: &str) -> Answer {
    orders.post_as(by, "revoke", form)
}

#[test]
fn rfc7009_2_1_who_is_not_authenticated_revokes_nothing() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let form = format!("token={token}");
    expect_error(&orders.post("revoke", &[], &form), 401, "invalid_client");
    // Having the token, and knowing whose it is, is not enough.
    let bearer = World::bearer(&token);
    let answer = orders.post("revoke", &[("authorization", &bearer)], &form);
    expect_error(&answer, 401, "invalid_client");
    let named = format!("{form}&client_id={}", orders.machine.client_id);
    expect_error(&orders.post("revoke", &[], &named), 401, "invalid_client");
    let wrong = Credentials {
        client_secret: orders.checker.client_secret.clone(),
        ..orders.machine.clone()
    };
    expect_error(&revoke(&orders, &wrong, &form), 401, "invalid_client");
    assert!(orders.is_active(&token));
}

#[test]
fn rfc7009_2_1_the_token_of_another_client_is_refused_and_stays_good() {
    let orders = Orders::new();
    let world = &orders.world;
    let token = orders.token("orders.api:read");
    let sibling = orders.client(&serde_json::json!({}));
    // Not even by who may introspect it, nor by who administers its client.
    for by in [&orders.checker, &orders.tenant.admin, &sibling] {
        for hint in ["", "&token_type_hint=access_token"] {
            let answer = revoke(&orders, by, &format!("token={token}{hint}"));
            expect_error(&answer, 400, "invalid_request");
        }
    }
    assert!(orders.is_active(&token));
    // One of another tenant does not exist, and lives on.
    let other = world.tenant("Globex");
    let theirs = world.token(&other.id, &other.admin, "grantor:clients.read");
    let answer = revoke(&orders, &orders.machine, &format!("token={theirs}"));
    assert_eq!(answer.status, 200);
    let url = world.api(&format!("/v1/tenants/{}/clients", other.id));
    let called = world
        .http
        .get(&url, &[("authorization", &World::bearer(&theirs))]);
    assert_eq!(called.status, 200);
}

#[test]
fn rfc7009_2_1_a_wrong_hint_is_searched_past() {
    let orders = Orders::new();
    for hint in ["refresh_token", "access_token", "id_token", "nonsense", ""] {
        let token = orders.token("orders.api:read");
        let form = format!("token={token}&token_type_hint={hint}");
        assert_eq!(
            revoke(&orders, &orders.machine, &form).status,
            200,
            "{hint}"
        );
        assert!(!orders.is_active(&token), "{hint}");
    }
}

#[test]
fn rfc7009_2_2_what_is_unknown_or_revoked_already_is_answered_200() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let first = revoke(&orders, &orders.machine, &format!("token={token}"));
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!(first.header("cache-control"), Some("no-store"));
    let other = orders.token("orders.api:read");
    let altered = format!("{other}x");
    let long = "x".repeat(60_000);
    for unknown in [
        &token,
        "x",
        "a.b.c",
        "gat_x",
        "e30.e30.e30",
        &altered,
        &orders.machine.client_secret,
        &long,
    ] {
        let answer = revoke(&orders, &orders.machine, &format!("token={unknown}"));
        assert_eq!(
            (answer.status, &answer.body),
            (200, &first.body),
            "{unknown}"
        );
    }
    assert!(orders.is_active(&other), "what was altered is another");
    // RFC 7009 §2.1: token is required.
    for form in ["", "token=", "token_type_hint=access_token"] {
        let answer = revoke(&orders, &orders.machine, form);
        expect_error(&answer, 400, "invalid_request");
    }
}

#[test]
fn rfc7009_2_once_it_is_answered_the_token_is_dead_everywhere_and_no_other_with_it() {
    let orders = Orders::new();
    let replica = orders.world.another_replica();
    let (token, sibling) = (
        orders.token("orders.api:read"),
        orders.token("orders.api:read"),
    );
    assert_eq!(
        revoke(&orders, &orders.machine, &format!("token={token}")).status,
        200
    );
    for replica in [&orders.world.replica, &replica] {
        let told = |token: &str| {
            let form = format!("token={token}");
            orders.post_at(replica, "introspect", &orders.checker, &form)
        };
        assert_eq!(told(&token).body, r#"{"active":false}"#);
        assert_eq!(told(&sibling).expect(200)["active"], true);
    }
}

#[test]
fn rfc7009_2_2_1_503_when_it_could_not_be_done_and_the_token_lives() {
    let orders = Orders::new();
    let proxy = SocketProxy::start(&orders.world.database.url());
    let settings = grantor_acceptance::ServerSettings {
        deadline_seconds: Some(2),
        ..like(&orders.world)
    };
    let far = replica_at(&orders.world, &proxy.url(), 71, &settings);
    let token = orders.token("orders.api:read");
    let ask = || orders.post_at(&far, "revoke", &orders.machine, &format!("token={token}"));
    proxy.cut();
    for _ in 0..2 {
        let answer = ask();
        expect_error(&answer, 503, "temporarily_unavailable");
        assert!(answer.header("retry-after").is_some());
        assert!(orders.is_active(&token), "it was not done");
    }
    proxy.heal();
    // RFC 7009 §2.2.1: the client must assume that the token still exists, and may retry.
    until("the way is open again", || ask().status == 200);
    assert!(!orders.is_active(&token));
}

#[test]
fn rfc7009_2_1_a_public_client_revokes_its_own_by_naming_itself() {
    let orders = Orders::new();
    let app = json!({ "profile": "web", "redirect_uris": ["https://app.example/back"],
        "grant_types": ["authorization_code", "client_credentials"] });
    let (app, other) = (orders.client(&app), orders.client(&app));
    let token = |client: &Credentials| {
        let Orders { world, tenant, .. } = &orders;
        world.token(&tenant.id, client, "orders.api:read")
    };
    let (own, foreign, of_the_machine) = (token(&app), token(&other), token(&orders.machine));
    // They were confidential when they got them (client_6 kills no token).
    for client in [&app, &other] {
        let path = format!("/clients/{}/change-type", client.client_id);
        let body = json!({ "type": "public", "confirm_name": "Further", "grant_types": ["authorization_code"] });
        orders.manage("POST", &path, &body).expect(200);
    }
    let name = |client: &Credentials, token: &str| {
        let form = format!("token={token}&client_id={}", client.client_id);
        orders.post("revoke", &[], &form)
    };
    for token in [&foreign, &of_the_machine] {
        expect_error(&name(&app, token), 400, "invalid_request");
        assert!(orders.is_active(token));
    }
    assert_eq!(name(&app, "x").status, 200);
    // A confidential client, and one that never existed, are told alike.
    let nobody = Credentials {
        client_id: "cli_01kb2q3r4s5t6v7w8x9y0z1a2b".to_owned(),
        ..app.clone()
    };
    let refused = [&orders.machine, &nobody].map(|client| {
        let answer = name(client, &own);
        expect_error(&answer, 401, "invalid_client");
        without_request_id(&answer)
    });
    assert_eq!(refused[0], refused[1]);
    // The secret that it had opens nothing any more, and naming itself nothing but this.
    expect_error(
        &revoke(&orders, &app, &format!("token={own}")),
        401,
        "invalid_client",
    );
    for endpoint in ["token", "introspect"] {
        let form = format!("{GRANT}&token={own}&client_id={}", app.client_id);
        expect_error(&orders.post(endpoint, &[], &form), 401, "invalid_client");
    }
    assert!(orders.is_active(&own));
    let path = format!("/clients/{}", app.client_id);
    orders
        .manage("POST", &format!("{path}/disable"), &Value::Null)
        .expect(200);
    expect_error(&name(&app, &own), 401, "invalid_client");
    orders
        .manage("POST", &format!("{path}/enable"), &Value::Null)
        .expect(200);
    assert_eq!(name(&app, &own).status, 200);
    assert!(!orders.is_active(&own));
    assert!(orders.is_active(&foreign));
}
