//! Introspection for platform-wide resource servers: tokens of every tenant, told to whom the servers name.

use grantor_acceptance::{Answer, Credentials};
use serde_json::{Value, json};

use crate::oauth::expect_error;
use crate::platform_servers::{Vendor, send};

/// A vendor whose payments API is checked by a client of the operators' tenant.
fn checked() -> (Vendor, Credentials) {
    let vendor = Vendor::new();
    let checker = vendor.client("Payments API");
    let named = json!({ "introspector_client_ids": [checker.client_id] });
    vendor
        .send(&vendor.operator, "PATCH", "", &named)
        .expect(200);
    (vendor, checker)
}

fn ask(vendor: &Vendor, by: &Credentials, token: &str) -> Answer {
    ask_at(vendor, &vendor.world.replica.token, by, token)
}

fn ask_at(vendor: &Vendor, base: &str, by: &Credentials, token: &str) -> Answer {
    vendor.world.http.post_form(
        &format!("{base}/introspect"),
        &[("authorization", &by.basic())],
        &format!("token={token}"),
    )
}

#[track_caller]
fn inactive(answer: &Answer) {
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body, r#"{"active":false}"#);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn rfc7662_2_2_tokens_of_every_tenant_are_told_to_whom_the_server_names() {
    let (vendor, checker) = checked();
    let Vendor {
        world,
        acme,
        machine,
        globex,
        ..
    } = &vendor;
    let token = world.token(&acme.id, machine, "payments:read payments:pay");
    let mut told = ask(&vendor, &checker, &token).expect(200);
    told["jti"] = json!("(jti)");
    // client_12: one that is enabled nowhere acts in its own organization.
    let organizations = told["organizations"].as_array().unwrap();
    assert!(
        organizations[0].as_str().unwrap().starts_with("org_"),
        "{told}"
    );
    assert_eq!(organizations.len(), 1);
    told["organizations"] = json!(["(org)"]);
    let now = world.now().timestamp();
    assert_eq!(
        told,
        json!({ "active": true, "scope": "payments:pay payments:read", "client_id": machine.client_id,
            "sub": machine.client_id, "token_type": "Bearer", "exp": now + 3_600, "iat": now,
            "aud": "https://payments.example", "iss": acme.issuer, "jti": "(jti)", "tenant": acme.id,
            "organizations": ["(org)"] })
    );
    let theirs = world.client(globex, "Machine", &["payments:read"]);
    let other = world.token(&globex.id, &theirs, "payments:read");
    assert_eq!(
        ask(&vendor, &checker, &other).expect(200)["tenant"],
        globex.id.as_str()
    );
    // Nobody else learns anything, and clients of tenants are nobody here.
    inactive(&ask(&vendor, &vendor.client("Stranger"), &token));
    inactive(&ask(&vendor, &world.operator, &token));
    for by in [machine, &acme.admin] {
        expect_error(&ask(&vendor, by, &token), 401, "invalid_client");
    }
    let wrong = Credentials {
        client_secret: machine.client_secret.clone(),
        ..checker.clone()
    };
    expect_error(&ask(&vendor, &wrong, &token), 401, "invalid_client");
    for unknown in ["x", "gat_made_up", "e30.e30.e30", &format!("{token}x")] {
        inactive(&ask(&vendor, &checker, unknown));
    }
    // At the issuer of a tenant the client is unknown.
    let there = world.introspect(&acme.id, &checker, &token);
    expect_error(&there, 401, "invalid_client");
    let url = format!("{}/introspect", world.replica.token);
    assert_eq!(world.http.get(&url, &[]).status, 405);
    let empty = world
        .http
        .post_form(&url, &[("authorization", &checker.basic())], "");
    expect_error(&empty, 400, "invalid_request");
}

#[test]
fn tenant_1_what_a_token_is_for_besides_is_not_told() {
    let (vendor, checker) = checked();
    let Vendor { world, acme, .. } = &vendor;
    let admin = world.as_admin(acme);
    let own = format!("/v1/tenants/{}/resource-servers", acme.id);
    let body = json!({ "key": "orders.api", "identifier": "https://orders.example", "name": "Orders",
        "scopes": [{ "name": "read" }] });
    send(world, &admin, "POST", &own, &body).expect(201);
    let both = world.client(acme, "Both", &["orders.api:read", "payments:read"]);
    let token = world.token(&acme.id, &both, "orders.api:read payments:read");
    let told = ask(&vendor, &checker, &token).expect(200);
    assert_eq!(told["scope"], "payments:read");
    assert_eq!(told["aud"], "https://payments.example");
    let private = world.token(&acme.id, &both, "orders.api:read");
    inactive(&ask(&vendor, &checker, &private));
}

#[test]
fn pause_4_what_was_stopped_is_seen_at_once_on_every_replica() {
    let (vendor, checker) = checked();
    let Vendor {
        world,
        operator,
        acme,
        machine,
        ..
    } = &vendor;
    let other = world.another_replica();
    let token = world.token(&acme.id, machine, "payments:read");
    let is_active = || {
        let here = ask(&vendor, &checker, &token).expect(200);
        let there = ask_at(&vendor, &other.token, &checker, &token).expect(200);
        assert_eq!(here, there);
        here["active"] == true
    };
    assert!(is_active());
    let admin = world.as_admin(acme);
    let client = format!("/v1/tenants/{}/clients/{}", acme.id, machine.client_id);
    send(
        world,
        &admin,
        "POST",
        &format!("{client}/disable"),
        &Value::Null,
    )
    .expect(200);
    assert!(!is_active());
    send(
        world,
        &admin,
        "POST",
        &format!("{client}/enable"),
        &Value::Null,
    )
    .expect(200);
    assert!(is_active());
    // A scope that is removed, and one that the client is not allowed any more.
    vendor
        .send(operator, "DELETE", "/scopes/read", &Value::Null)
        .expect(204);
    assert!(!is_active());
    vendor
        .send(
            operator,
            "PUT",
            "/scopes/read",
            &json!({ "description": "" }),
        )
        .expect(201);
    assert!(is_active());
    send(
        world,
        &admin,
        "PATCH",
        &client,
        &json!({ "allowed_scopes": ["payments:pay"] }),
    )
    .expect(200);
    assert!(!is_active());
    let again = world.token(&acme.id, machine, "payments:pay");
    assert_eq!(ask(&vendor, &checker, &again).expect(200)["active"], true);
    world.revoke(&acme.id, machine, &again);
    inactive(&ask(&vendor, &checker, &again));
    // Whom the server names no more learns nothing more.
    let last = world.token(&acme.id, machine, "payments:pay");
    assert_eq!(ask(&vendor, &checker, &last).expect(200)["active"], true);
    vendor
        .send(
            operator,
            "PATCH",
            "",
            &json!({ "introspector_client_ids": [] }),
        )
        .expect(200);
    inactive(&ask(&vendor, &checker, &last));
}
