//! Scopes: one catalogue of all, deprecated ones, those that need a member, and what a removed one is worth.

use serde_json::{Value, json};

use crate::oauth::{Orders, expect_error};
use crate::platform_servers::{Vendor, faults, send};

/// The pages of a tenant's catalogue, put together.
fn catalogue(vendor: &Vendor, tenant: &str, authorization: &str, filter: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/tenants/{tenant}/scopes?limit=7{filter}{cursor}");
        let page = send(&vendor.world, authorization, "GET", &path, &Value::Null).expect(200);
        all.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

fn names(scopes: &[Value]) -> Vec<&str> {
    scopes
        .iter()
        .map(|scope| scope["scope"].as_str().unwrap())
        .collect()
}

#[test]
fn the_catalogue_has_every_scope_that_a_client_may_be_allowed() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        operator,
        server,
        acme,
        globex,
        ..
    } = &vendor;
    let admin = world.as_admin(acme);
    let own = format!("/v1/tenants/{}/resource-servers", acme.id);
    let body = json!({ "key": "orders.api", "identifier": "https://orders.example", "name": "Orders",
        "scopes": [{ "name": "read", "description": "See orders.", "needs_permission": "settings.read" },
            { "name": "old", "deprecated": true }] });
    let orders = send(world, &admin, "POST", &own, &body).expect(201);
    let of = |filter: &str| catalogue(&vendor, &acme.id, &admin, filter);
    assert_eq!(
        of("&kind=private"),
        [
            json!({ "scope": "orders.api:old", "kind": "private", "description": "",
                "resource_server_id": orders["id"], "needs_permission": null, "deprecated": true }),
            json!({ "scope": "orders.api:read", "kind": "private", "description": "See orders.",
                "resource_server_id": orders["id"], "needs_permission": "settings.read", "deprecated": false }),
        ]
    );
    let platform_wide = of("&kind=platform");
    assert_eq!(names(&platform_wide), ["payments:pay", "payments:read"]);
    assert_eq!(platform_wide[0]["resource_server_id"], server["id"]);
    assert_eq!(
        names(&of("&kind=oidc")),
        [
            "address",
            "email",
            "offline_access",
            "openid",
            "phone",
            "profile"
        ]
    );
    let all = of("");
    let mut sorted = names(&all);
    sorted.sort_unstable();
    sorted.dedup();
    assert_eq!(names(&all), sorted);
    let management = of("&kind=management");
    assert_eq!(management.len() + 2 + 2 + 6, all.len());
    let clients = of("&scope=grantor:clients.d");
    assert_eq!(
        names(&clients),
        ["grantor:clients.delete", "grantor:clients.disable"]
    );
    assert_eq!(clients[0]["needs_permission"], "clients.delete");
    assert_eq!(names(&of("&scope=orders&kind=management")), [""; 0]);
    // Nothing of one tenant is in the catalogue of another.
    let other = catalogue(
        &vendor,
        &globex.id,
        &world.as_admin(globex),
        "&kind=private",
    );
    assert_eq!(other, [Value::Null; 0]);
    // What operators alone hold is for clients of theirs.
    let theirs = catalogue(
        &vendor,
        &world.platform_id,
        operator,
        "&scope=grantor:tenants.",
    );
    assert!(!theirs.is_empty());
    assert_eq!(of("&scope=grantor:tenants."), [Value::Null; 0]);
    // Each of them can be allowed.
    let scopes: Vec<&str> = names(&all)
        .into_iter()
        .filter(|scope| *scope != "orders.api:old")
        .collect();
    let body = json!({ "name": "All", "profile": "service", "owner_contact": { "email": "a@b.example" }, "allowed_scopes": scopes });
    let path = format!("/v1/tenants/{}/clients?dry_run=true", acme.id);
    let full: Vec<String> = names(&management).into_iter().map(str::to_owned).collect();
    let token = world.token(&acme.id, &acme.admin, &full.join(" "));
    let made = send(world, &format!("Bearer {token}"), "POST", &path, &body);
    assert_eq!(made.status, 201, "{}", made.body);
}

#[test]
fn bad_filters_are_told() {
    let vendor = Vendor::new();
    let admin = vendor.world.as_admin(&vendor.acme);
    let asked = |query: &str| {
        let path = format!("/v1/tenants/{}/scopes?{query}", vendor.acme.id);
        faults(
            &send(&vendor.world, &admin, "GET", &path, &Value::Null),
            422,
        )
    };
    assert_eq!(asked("kind=public"), ["kind"]);
    assert_eq!(asked("scope="), ["scope"]);
    assert_eq!(asked(&format!("scope={}", "x".repeat(129))), ["scope"]);
    assert_eq!(asked("sort=scope"), ["sort"]);
}

#[test]
fn a_deprecated_scope_goes_on_for_who_has_it_and_nobody_gets_it_anew() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        operator,
        acme,
        machine,
        ..
    } = &vendor;
    let old = json!({ "description": "See payments.", "deprecated": true });
    vendor
        .send(operator, "PUT", "/scopes/read", &old)
        .expect(200);
    world.token(&acme.id, machine, "payments:read");
    let admin = world.as_admin(acme);
    let own = format!("/v1/tenants/{}/clients", acme.id);
    let path = format!("{own}/{}", machine.client_id);
    // Whoever has it keeps it, whatever else of the client is changed, also by a whole.
    send(world, &admin, "PATCH", &path, &json!({ "name": "Renamed" })).expect(200);
    let contact = json!({ "email": "owner@example.com" });
    let whole = json!({ "name": "Whole", "profile": "service", "owner_contact": contact, "allowed_scopes": ["payments:read"] });
    send(world, &admin, "PUT", &path, &whole).expect(200);
    world.token(&acme.id, machine, "payments:read");
    // Another one doesn't get it, and neither does this one once it has given it up.
    let body = json!({ "name": "New", "profile": "service", "owner_contact": contact, "allowed_scopes": ["payments:pay", "payments:read"] });
    let refused = send(world, &admin, "POST", &own, &body);
    assert_eq!(faults(&refused, 422), ["/allowed_scopes/1"]);
    assert!(refused.body.contains("deprecated"), "{}", refused.body);
    let allow = |scopes: &[&str]| {
        send(
            world,
            &admin,
            "PATCH",
            &path,
            &json!({ "allowed_scopes": scopes }),
        )
    };
    allow(&["payments:pay"]).expect(200);
    assert_eq!(
        faults(&allow(&["payments:read"]), 422),
        ["/allowed_scopes/0"]
    );
    let whole = json!({ "name": "Whole", "profile": "service", "owner_contact": contact, "allowed_scopes": ["payments:read"] });
    let refused = send(world, &admin, "PUT", &path, &whole);
    assert_eq!(faults(&refused, 422), ["/allowed_scopes/0"]);
    // Taken back, it can be had again.
    let young = json!({ "description": "See payments." });
    vendor
        .send(operator, "PUT", "/scopes/read", &young)
        .expect(200);
    allow(&["payments:read"]).expect(200);
}

#[test]
fn a_scope_that_tells_of_a_member_needs_one() {
    let orders = Orders::new();
    let named = orders.client(&json!({ "allowed_scopes": ["openid", "email", "orders.api:read"] }));
    let (world, tenant) = (&orders.world, &orders.tenant.id);
    let refused = world.request_token(tenant, &named, "openid orders.api:read");
    expect_error(&refused, 400, "invalid_scope");
    assert!(refused.body.contains("needs a member"), "{}", refused.body);
    let all = orders.client(
        &json!({ "allowed_scopes": ["openid", "email", "orders.api:read"],
        "require_requested_scopes": false }),
    );
    let granted = orders.post(
        "token",
        &[("authorization", &all.basic())],
        "grant_type=client_credentials",
    );
    assert_eq!(granted.expect(200)["scope"], "orders.api:read");
}

#[test]
fn token_8_a_removed_scope_is_worth_nothing_at_once_and_on_every_replica() {
    let orders = Orders::new();
    let Orders {
        world,
        tenant,
        checker,
        ..
    } = &orders;
    let other = world.another_replica();
    let both = orders.token("orders.api:read orders.api:write");
    let one = orders.token("orders.api:write");
    let admin = world.as_admin(tenant);
    let own = format!("/v1/tenants/{}/resource-servers", tenant.id);
    let page = send(world, &admin, "GET", &own, &Value::Null).expect(200);
    let path = format!("{own}/{}", page["items"][0]["id"].as_str().unwrap());
    send(
        world,
        &admin,
        "DELETE",
        &format!("{path}/scopes/write"),
        &Value::Null,
    )
    .expect(204);
    let told = |token: &str| {
        let here = world.introspect(&tenant.id, checker, token).expect(200);
        let there = world.http.post_form(
            &format!("{}/t/{}/introspect", other.token, tenant.id),
            &[("authorization", &checker.basic())],
            &format!("token={token}"),
        );
        assert_eq!(there.expect(200), here);
        here
    };
    assert_eq!(told(&both)["scope"], "orders.api:read");
    assert_eq!(told(&one), json!({ "active": false }));
    let refused = orders.ask("grant_type=client_credentials&scope=orders.api:write");
    expect_error(&refused, 400, "invalid_scope");
    // It kills nothing: put back, it counts again.
    let back = json!({ "description": "" });
    send(world, &admin, "PUT", &format!("{path}/scopes/write"), &back).expect(201);
    assert_eq!(told(&one)["scope"], "orders.api:write");
    assert_eq!(told(&both)["scope"], "orders.api:read orders.api:write");
    send(
        world,
        &admin,
        "DELETE",
        &format!("{path}?confirm_name=Orders"),
        &Value::Null,
    )
    .expect(204);
    for token in [&one, &both] {
        assert_eq!(told(token), json!({ "active": false }));
    }
}
