//! RFC 7662: introspection. Whom a platform-wide resource server names is in `platform_introspection`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Answer, Credentials, World};
use serde_json::{Value, json};

use crate::oauth::{Orders, expect_error};
use crate::operations::without_request_id;
use crate::platform_servers::{Vendor, send};
use crate::tokens::{decoded, jwks, verified};

#[track_caller]
fn expect_inactive(orders: &Orders, by: &Credentials, token: &str) {
    let answer = orders.world.introspect(&orders.tenant.id, by, token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body, r#"{"active":false}"#, "{token}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
}

#[test]
fn rfc7662_2_2_an_active_token_is_told_with_all_that_it_is_good_for() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let (_, claims) = verified(&token, &jwks(&orders).json()).unwrap();
    let answer = orders
        .world
        .introspect(&orders.tenant.id, &orders.checker, &token);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = answer.expect(200);
    let mut expected = claims.clone();
    expected["active"] = json!(true);
    expected["token_type"] = json!("Bearer");
    assert_eq!(told, expected, "introspection and token agree");
    for hint in ["access_token", "refresh_token", "nonsense", ""] {
        let form = format!("token={token}&token_type_hint={hint}");
        let answer = orders.post(
            "introspect",
            &[("authorization", &orders.checker.basic())],
            &form,
        );
        assert_eq!(answer.json()["active"], true, "{hint}");
    }
}

#[test]
fn rfc7662_2_2_of_a_token_that_is_not_good_nothing_else_is_told() {
    let orders = Orders::new();
    let world = &orders.world;
    let other = world.tenant("Globex");
    let theirs = world.token(&other.id, &other.admin, "grantor:clients.read");
    let for_the_api = world.token(
        &orders.tenant.id,
        &orders.tenant.admin,
        "grantor:clients.read",
    );
    let good = orders.token("orders.api:read");
    let second = orders.token("orders.api:write");
    let revoked = orders.token("orders.api:read");
    assert_eq!(
        world
            .revoke(&orders.tenant.id, &orders.machine, &revoked)
            .status,
        200
    );

    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let altered = |from: &str, to: &str| {
        let text = String::from_utf8(decoded(claims)).unwrap();
        assert!(text.contains(from), "{text}");
        URL_SAFE_NO_PAD.encode(text.replace(from, to))
    };
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"none"}"#);
    let mut flipped = decoded(signature);
    flipped[40] ^= 1;
    let flipped = URL_SAFE_NO_PAD.encode(flipped);
    for token in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        "...".to_owned(),
        "e30.e30.e30".to_owned(),
        orders.machine.client_secret.clone(),
        theirs,
        for_the_api,
        revoked,
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{claims}.{}", second.rsplit('.').next().unwrap()),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}="),
        format!("{good}A"),
        format!("%20{good}"),
        format!("{good}%20"),
        format!("Bearer%20{good}"),
        good.to_uppercase(),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!(
            "{header}.{}.{signature}",
            altered("orders.api:read", "orders.api:write")
        ),
        format!(
            "{header}.{}.{signature}",
            altered(&orders.tenant.id, &other.id)
        ),
        format!(
            "{header}.{}.{signature}",
            altered(&orders.machine.client_id, &orders.checker.client_id)
        ),
        format!("{none}.{}.", altered("\"exp\":1", "\"exp\":9")),
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("\0")),
        format!(
            "{header}.{}.{signature}",
            URL_SAFE_NO_PAD.encode("[".repeat(5_000))
        ),
    ] {
        expect_inactive(&orders, &orders.checker, &token);
    }
    // RFC 7662 §2.2: whom no resource server of the audience names gets the same.
    for by in [&orders.machine, &orders.tenant.admin] {
        expect_inactive(&orders, by, &good);
    }
    assert!(orders.is_active(&good));
    world.advance(TimeDelta::seconds(3_599));
    assert!(orders.is_active(&good));
    world.advance(TimeDelta::seconds(1));
    expect_inactive(&orders, &orders.checker, &good);
}

#[test]
fn rfc7662_2_1_only_authorized_callers_introspect() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let form = format!("token={token}");
    expect_error(
        &orders.post("introspect", &[], &form),
        401,
        "invalid_client",
    );
    let bearer = World::bearer(&token);
    let answer = orders.post("introspect", &[("authorization", &bearer)], &form);
    expect_error(&answer, 401, "invalid_client");
}

#[test]
fn rfc7662_2_1_the_token_is_required_and_looked_for_in_the_body_alone() {
    let orders = Orders::new();
    for form in ["", "token=", "token_type_hint=access_token"] {
        let answer = orders.post_as(&orders.checker, "introspect", form);
        expect_error(&answer, 400, "invalid_request");
    }
}

#[test]
fn rfc7662_2_2_whatever_was_sent_for_a_token_is_inactive_and_no_error() {
    let orders = Orders::new();
    let good = orders.token("orders.api:read");
    // What a caller of an API may have put into its header, up to the size of the whole request.
    for text in [
        "null".to_owned(),
        "%C3%A9%E2%82%AC".to_owned(),
        "%22%5C%27%3Cscript%3E".to_owned(),
        "%25".repeat(3_000),
        ".".repeat(9_000),
        format!("{good}{}", "A".repeat(8_192)),
        "x".repeat(16 * 1024 + 1),
        "x".repeat(64_000),
    ] {
        expect_inactive(&orders, &orders.checker, &text);
    }
}

/// Something that ends a client's token or lets it sleep.
type Ending = (&'static str, fn(&Orders, &Credentials, &str));

/// Each condition by itself (RFC 7662 §4): everything else about the token stays as it was. The last is never mended.
const ENDINGS: [Ending; 8] = [
    ("it has expired", |orders, _, _| {
        orders.world.advance(TimeDelta::seconds(3_600));
    }),
    ("it was revoked", |orders, client, token| {
        let revoked = orders.world.revoke(&orders.tenant.id, client, token);
        revoked.expect(200);
    }),
    ("its client is disabled", |orders, client, _| {
        let path = format!("/clients/{}/disable", client.client_id);
        orders.manage("POST", &path, &Value::Null).expect(200);
    }),
    ("its client is deleted", |orders, client, _| {
        let path = format!("/clients/{}?confirm_name=Further", client.client_id);
        orders.manage("DELETE", &path, &Value::Null).expect(204);
    }),
    ("its client cut off what was before", |orders, client, _| {
        let path = format!("/clients/{}/secrets/rotate", client.client_id);
        let body = json!({ "confirm_name": "Further", "revoke_tokens": true });
        orders.manage("POST", &path, &body).expect(200);
    }),
    ("none of its scopes is allowed now", |orders, client, _| {
        let path = format!("/clients/{}", client.client_id);
        let body = json!({ "allowed_scopes": ["orders.api:write"] });
        orders.manage("PATCH", &path, &body).expect(200);
    }),
    ("it is of another epoch", |orders, _, _| {
        let sql = "UPDATE installation SET epoch = epoch + 1";
        orders
            .world
            .database
            .superuser()
            .batch_execute(sql)
            .unwrap();
    }),
    ("its caller may not ask about it", |orders, _, _| {
        set_server(orders, &json!({ "introspector_client_ids": [] }));
    }),
];

/// Changes the orders API.
fn set_server(orders: &Orders, settings: &Value) {
    let page = orders
        .manage("GET", "/resource-servers", &Value::Null)
        .expect(200);
    let id = page["items"][0]["id"].as_str().unwrap();
    let path = format!("/resource-servers/{id}");
    orders.manage("PATCH", &path, settings).expect(200);
}

#[test]
fn rfc7662_4_every_condition_is_checked_and_none_is_told() {
    let mut told = Vec::new();
    for format in ["jwt", "opaque"] {
        let orders = Orders::new();
        set_server(&orders, &json!({ "token_format": format }));
        for (why, end) in ENDINGS {
            let client = orders.client(&json!({}));
            let token = orders
                .world
                .token(&orders.tenant.id, &client, "orders.api:read");
            assert_eq!(token.starts_with("gat_"), format == "opaque");
            assert!(orders.is_active(&token), "{why}");
            end(&orders, &client, &token);
            expect_inactive(&orders, &orders.checker, &token);
            let answer = orders
                .world
                .introspect(&orders.tenant.id, &orders.checker, &token);
            told.push(without_request_id(&answer));
        }
    }
    assert!(told.iter().all(|answer| *answer == told[0]), "{told:?}");
}

#[test]
fn rfc7662_2_2_of_a_token_for_two_servers_each_is_told_its_own_and_whether_that_is_still_allowed() {
    let orders = Orders::new();
    let (world, tenant) = (&orders.world, &orders.tenant);
    let billing = world.client(tenant, "Billing API", &[]);
    let body = json!({ "key": "billing.api", "identifier": "https://billing.example", "name": "Billing",
        "scopes": [{ "name": "read" }],
        "introspector_client_ids": [billing.client_id] });
    let made = orders
        .manage("POST", "/resource-servers", &body)
        .expect(201);
    let allowed = |scopes: &[&str]| json!({ "allowed_scopes": scopes });
    let client = orders.client(&allowed(&["orders.api:read", "billing.api:read"]));
    let token = world.token(&tenant.id, &client, "orders.api:read billing.api:read");
    let told = |by: &Credentials| world.introspect(&tenant.id, by, &token).expect(200);
    let of_orders = told(&orders.checker);
    let of_billing = told(&billing);
    let named = |told: &Value| (told["aud"].clone(), told["scope"].clone());
    let (aud, scope) = (json!("https://orders.example"), json!("orders.api:read"));
    assert_eq!(named(&of_orders), (aud, scope));
    let (aud, scope) = (json!("https://billing.example"), json!("billing.api:read"));
    assert_eq!(named(&of_billing), (aud, scope));
    // Whoever is named by both is told of both.
    let server = format!("/resource-servers/{}", made["id"].as_str().unwrap());
    let name = |who: &[&Credentials]| {
        let ids: Vec<&str> = who.iter().map(|one| one.client_id.as_str()).collect();
        let body = json!({ "introspector_client_ids": ids });
        orders.manage("PATCH", &server, &body).expect(200);
    };
    name(&[&billing, &orders.checker]);
    assert_eq!(
        told(&orders.checker)["scope"],
        "billing.api:read orders.api:read"
    );
    name(&[&billing]);

    let path = format!("/clients/{}", client.client_id);
    orders
        .manage("PATCH", &path, &allowed(&["billing.api:read"]))
        .expect(200);
    expect_inactive(&orders, &orders.checker, &token);
    assert_eq!(named(&told(&billing)), named(&of_billing));
}

#[test]
fn rfc7662_4_a_tokens_tenant_and_member_are_conditions_too() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        acme,
        machine,
        ..
    } = &vendor;
    let checker = vendor.client("Payments API");
    let named = json!({ "introspector_client_ids": [checker.client_id] });
    vendor
        .send(&vendor.operator, "PATCH", "", &named)
        .expect(200);
    let member = world.member(acme, "Ada", "ada@acme.example");
    let token = world.member_token(
        acme,
        machine,
        &member,
        "payments:read",
        "https://payments.example",
    );
    let ask = || -> Answer {
        let url = format!("{}/introspect", world.replica.token);
        let by = checker.basic();
        world
            .http
            .post_form(&url, &[("authorization", &by)], &format!("token={token}"))
    };
    assert_eq!(ask().expect(200)["sub"], member.as_str());
    let operator = world.as_operator();
    let admin = world.as_admin(acme);
    let tenant = format!("/v1/tenants/{}", acme.id);
    for (by, end, mend) in [
        (
            &operator,
            format!("{tenant}/suspend"),
            format!("{tenant}/restore"),
        ),
        (
            &admin,
            format!("{tenant}/members/{member}/disable"),
            format!("{tenant}/members/{member}/enable"),
        ),
    ] {
        let body = json!({ "reason": "A test" });
        let ended = send(world, by, "POST", &end, &body);
        assert_eq!(ended.status, 200, "{}", ended.body);
        assert_eq!(ask().body, r#"{"active":false}"#, "{end}");
        send(world, by, "POST", &mend, &Value::Null).expect(200);
        assert_eq!(ask().expect(200)["active"], true, "{mend}");
    }
    let path = format!("{tenant}/members/{member}?confirm_name=Ada");
    let deleted = send(world, &admin, "DELETE", &path, &Value::Null);
    assert_eq!(deleted.status, 204, "{}", deleted.body);
    assert_eq!(ask().body, r#"{"active":false}"#);
}

#[test]
fn rfc7662_2_2_the_answer_is_for_the_caller_and_stored_nowhere() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let answer = orders
        .world
        .introspect(&orders.tenant.id, &orders.checker, &token);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    // The token itself is not in it.
    assert!(!answer.body.contains(&token));
}
