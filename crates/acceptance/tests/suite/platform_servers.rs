//! Platform-wide resource servers: made by operators, seen by every tenant, and part of every tenant's scopes.

use chrono::TimeDelta;
use grantor_acceptance::{Answer, Credentials, Tenant, World};
use serde_json::{Value, json};

use crate::oauth::expect_error;

const SERVERS: &str = "/v1/resource-servers";

/// A platform with the payments API, and two tenants; the one has a machine that may ask for its scopes.
pub struct Vendor {
    pub world: World,
    /// The operator's authorization.
    pub operator: String,
    /// The payments API.
    pub server: Value,
    pub acme: Tenant,
    pub machine: Credentials,
    pub globex: Tenant,
}

impl Vendor {
    pub fn new() -> Self {
        Self::with(&json!({}))
    }

    /// With further settings of the payments API.
    pub fn with(settings: &Value) -> Self {
        let world = World::new();
        let (acme, globex) = (world.tenant("Acme"), world.tenant("Globex"));
        // Ids of the same instant are drawn from several sources, which repeat.
        world.advance(TimeDelta::seconds(1));
        let operator = world.operator_with(
            "grantor:platform_resource_servers.write grantor:resource_servers.read grantor:audit.read \
             grantor:changes.read grantor:clients.write",
        );
        let mut body = json!({ "key": "payments", "identifier": "https://payments.example", "name": "Payments",
            "scopes": [{ "name": "read", "description": "See payments." }, { "name": "pay" }] });
        for (name, value) in settings.as_object().unwrap() {
            body[name] = value.clone();
        }
        let made =
            world
                .http
                .post_json(&world.api(SERVERS), &[("authorization", &operator)], &body);
        let server = made.expect(201);
        let machine = world.client(&acme, "Machine", &["payments:read", "payments:pay"]);
        Self {
            world,
            operator,
            server,
            acme,
            machine,
            globex,
        }
    }

    /// Sends something to what lies below the payments API.
    pub fn send(&self, authorization: &str, method: &str, below: &str, body: &Value) -> Answer {
        let path = format!("{SERVERS}/{}{below}", self.server["id"].as_str().unwrap());
        send(&self.world, authorization, method, &path, body)
    }

    /// A client of the operators' tenant.
    pub fn client(&self, name: &str) -> Credentials {
        let body = json!({ "name": name, "profile": "service", "owner_contact": { "email": "ops@example.com" } });
        let path = format!("/v1/tenants/{}/clients", self.world.platform_id);
        let made = send(&self.world, &self.operator, "POST", &path, &body);
        assert_eq!(made.status, 201, "{}", made.body);
        Credentials {
            client_id: made.text("/id"),
            client_secret: made.text("/secret/value"),
        }
    }

    fn actions(&self, tenant: &str, authorization: &str) -> Vec<Value> {
        let path = format!("/v1/tenants/{tenant}/audit-events?limit=200");
        let events = send(&self.world, authorization, "GET", &path, &Value::Null).expect(200);
        events["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["target"]["id"] == self.server["id"])
            .map(|event| event["action"].clone())
            .collect()
    }
}

/// Sends a request; without a body when there is none.
pub fn send(world: &World, authorization: &str, method: &str, path: &str, body: &Value) -> Answer {
    let mut headers = vec![("authorization", authorization)];
    let text = if body.is_null() {
        String::new()
    } else {
        headers.push(("content-type", "application/json"));
        body.to_string()
    };
    let url = world.api(path);
    world.http.send(method, &url, &headers, text.as_bytes())
}

/// The pointers or parameters at fault.
#[track_caller]
pub fn faults(answer: &Answer, status: u16) -> Vec<String> {
    assert_eq!(answer.status, status, "{}", answer.body);
    let problem = answer.json();
    problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| {
            let place = fault.get("pointer").or_else(|| fault.get("parameter"));
            place.and_then(Value::as_str).unwrap().to_owned()
        })
        .collect()
}

fn keys(page: &Value) -> Vec<&str> {
    page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| server["key"].as_str().unwrap())
        .collect()
}

#[test]
fn tenant_1_every_tenant_sees_them_and_none_changes_them() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        operator,
        server,
        acme,
        globex,
        ..
    } = &vendor;
    let checker = vendor.client("Payments API");
    let named = json!({ "introspector_client_ids": [checker.client_id] });
    let shown = vendor.send(operator, "PATCH", "", &named).expect(200);
    assert_eq!(shown["introspector_client_ids"], json!([checker.client_id]));
    for tenant in [acme, globex] {
        let admin = world.as_admin(tenant);
        let page = send(world, &admin, "GET", SERVERS, &Value::Null).expect(200);
        assert_eq!(keys(&page), ["grantor", "openid", "payments"]);
        let seen = vendor.send(&admin, "GET", "", &Value::Null).expect(200);
        assert_eq!(seen["scopes"], server["scopes"]);
        assert_eq!(seen["built_in"], false);
        // Which clients the operators have is none of a tenant's business.
        assert_eq!(seen["introspector_client_ids"], json!([]));
        for (method, below, body) in [
            ("PATCH", "", json!({ "name": "Mine" })),
            (
                "PUT",
                "",
                json!({ "name": "Mine", "identifier": "https://mine.example" }),
            ),
            ("DELETE", "?confirm_name=Payments", Value::Null),
            ("PUT", "/scopes/more", json!({ "description": "" })),
            ("DELETE", "/scopes/read", Value::Null),
        ] {
            let refused = vendor.send(&admin, method, below, &body);
            assert_eq!(refused.status, 403, "{method} {below}: {}", refused.body);
        }
        let body = json!({ "key": "mine", "identifier": "https://mine.example", "name": "Mine" });
        assert_eq!(send(world, &admin, "POST", SERVERS, &body).status, 403);
    }
    // Nor is it one of the private ones of any tenant, the operators' own included.
    let id = server["id"].as_str().unwrap();
    let private = |tenant: &str| format!("/v1/tenants/{tenant}/resource-servers/{id}");
    let all = world.operator_with("grantor:resource_servers.read grantor:resource_servers.write");
    for (path, authorization) in [
        (private(&acme.id), world.as_admin(acme)),
        (private(&world.platform_id), all),
    ] {
        let body = json!({ "name": "Mine" });
        for (method, body) in [("GET", &Value::Null), ("PATCH", &body)] {
            assert_eq!(send(world, &authorization, method, &path, body).status, 404);
        }
    }
    let own = format!("/v1/tenants/{}/resource-servers", acme.id);
    let page = send(world, &world.as_admin(acme), "GET", &own, &Value::Null).expect(200);
    assert_eq!(keys(&page), [""; 0]);
}

#[test]
fn an_unknown_one_and_a_private_one_answer_alike() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        operator,
        acme,
        ..
    } = &vendor;
    let admin = world.as_admin(acme);
    let own = format!("/v1/tenants/{}/resource-servers", acme.id);
    let body =
        json!({ "key": "orders.api", "identifier": "https://orders.example", "name": "Orders" });
    let made = send(world, &admin, "POST", &own, &body).expect(201);
    let essence = |id: &str, authorization: &str| {
        let path = format!("{SERVERS}/{id}");
        let answer = send(world, authorization, "GET", &path, &Value::Null);
        let mut body = answer.json();
        body["request_id"] = Value::Null;
        (answer.status, body)
    };
    for authorization in [&admin, operator] {
        let unknown = essence("rsv_01kb2q3r4s5t6v7w8x9y0z1a2b", authorization);
        assert_eq!(unknown.0, 404);
        assert_eq!(
            essence(made["id"].as_str().unwrap(), authorization),
            unknown
        );
        assert_eq!(essence("nonsense", authorization), unknown);
    }
}

#[test]
fn bad_input_is_told_by_its_field() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        operator,
        acme,
        ..
    } = &vendor;
    let good =
        json!({ "key": "billing", "identifier": "https://billing.example", "name": "Billing" });
    let create = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        send(world, operator, "POST", SERVERS, &body)
    };
    for key in [
        "billing.api",
        "Billing",
        "",
        "ab",
        "bil:ling",
        "grantor",
        "openid",
        "email",
        "offline_access",
    ] {
        assert_eq!(faults(&create("key", json!(key)), 422), ["/key"], "{key}");
    }
    for identifier in [
        "billing",
        "urn:grantor:api",
        "urn:grantor:userinfo",
        "https://a#b",
    ] {
        let answer = create("identifier", json!(identifier));
        assert_eq!(faults(&answer, 422), ["/identifier"], "{identifier}");
    }
    for (field, value) in [
        ("name", json!("")),
        ("lifetime_cap_seconds", json!(59)),
        ("token_format", json!("paseto")),
        ("verification", json!("hope")),
        ("introspector_client_ids", json!("x")),
        ("built_in", json!(true)),
    ] {
        let answer = create(field, value);
        assert_eq!(
            faults(&answer, 422),
            [format!("/{field}")],
            "{}",
            answer.body
        );
    }
    // A client of another tenant is none.
    let foreign = create("introspector_client_ids", json!([acme.admin.client_id]));
    assert_eq!(faults(&foreign, 422), ["/introspector_client_ids/0"]);
    for (scope, place) in [
        (json!({ "name": "a b" }), "/scopes/0/name"),
        (
            json!({ "name": "a", "needs_permission": "fly" }),
            "/scopes/0/needs_permission",
        ),
        (
            json!({ "name": "a", "deprecated": "yes" }),
            "/scopes/0/deprecated",
        ),
    ] {
        assert_eq!(faults(&create("scopes", json!([scope])), 422), [place]);
    }
    let answer = vendor.send(
        operator,
        "PUT",
        "/scopes/x",
        &json!({ "description": "", "needs_permission": "clients.fly" }),
    );
    assert_eq!(faults(&answer, 422), ["/needs_permission"]);
    assert_eq!(faults(&create("key", json!("payments")), 409), ["/key"]);
    let taken = create("identifier", json!("https://payments.example"));
    assert_eq!(faults(&taken, 409), ["/identifier"]);
    // Nor can a tenant take the audience that all tenants know, or a key that is not private.
    let own = format!("/v1/tenants/{}/resource-servers", acme.id);
    let admin = world.as_admin(acme);
    let private = |key: &str, identifier: &str| {
        let body = json!({ "key": key, "identifier": identifier, "name": "Own" });
        send(world, &admin, "POST", &own, &body)
    };
    let taken = private("own.api", "https://payments.example");
    assert_eq!(faults(&taken, 409), ["/identifier"]);
    assert_eq!(
        faults(&private("payments", "https://own.example"), 422),
        ["/key"]
    );
    let made = private("own.api", "https://own.example").expect(201);
    let path = format!("{own}/{}", made["id"].as_str().unwrap());
    let theirs = json!({ "identifier": "https://payments.example" });
    let taken = send(world, &admin, "PATCH", &path, &theirs);
    assert_eq!(faults(&taken, 409), ["/identifier"]);
    assert_eq!(create("name", json!("Billing")).status, 201);
}

#[test]
fn what_is_built_in_is_shown_and_never_changed() {
    let vendor = Vendor::new();
    let Vendor {
        world, operator, ..
    } = &vendor;
    let page = send(world, operator, "GET", SERVERS, &Value::Null).expect(200);
    for server in &page["items"].as_array().unwrap()[..2] {
        assert_eq!(server["built_in"], true);
        let path = format!("{SERVERS}/{}", server["id"].as_str().unwrap());
        let read = send(world, operator, "GET", &path, &Value::Null);
        assert!(read.header("etag").is_some());
        assert_eq!(&read.expect(200), server);
        let name = server["name"].as_str().unwrap().replace(' ', "%20");
        for (method, below, body) in [
            ("PATCH", String::new(), json!({ "name": "Mine" })),
            (
                "PUT",
                String::new(),
                json!({ "name": "Mine", "identifier": "https://mine.example" }),
            ),
            ("DELETE", format!("?confirm_name={name}"), Value::Null),
            (
                "PUT",
                "/scopes/fly".to_owned(),
                json!({ "description": "" }),
            ),
            ("DELETE", "/scopes/clients.read".to_owned(), Value::Null),
        ] {
            let answer = send(world, operator, method, &format!("{path}{below}"), &body);
            assert_eq!(faults(&answer, 422), ["resource_server"], "{method}{below}");
        }
    }
    let scopes = page["items"][0]["scopes"].as_array().unwrap();
    assert!(
        scopes
            .iter()
            .any(|scope| scope["scope"] == "grantor:clients.read")
    );
    assert_eq!(page["items"][1]["scopes"][0]["scope"], "openid");
}

#[test]
fn pages_meet_in_every_order_with_what_is_built_in_among_them() {
    let vendor = Vendor::new();
    let Vendor {
        world, operator, ..
    } = &vendor;
    for key in ["abc", "zzz", "h-one"] {
        world.advance(TimeDelta::milliseconds(5));
        let body =
            json!({ "key": key, "identifier": format!("https://{key}.example"), "name": key });
        send(world, operator, "POST", SERVERS, &body).expect(201);
    }
    let whole = |sort: &str| -> Vec<String> {
        let path = format!("{SERVERS}?sort={sort}");
        let page = send(world, operator, "GET", &path, &Value::Null).expect(200);
        keys(&page).into_iter().map(str::to_owned).collect()
    };
    assert_eq!(
        whole("key"),
        ["abc", "grantor", "h-one", "openid", "payments", "zzz"]
    );
    assert_eq!(whole("created_at")[..3], ["grantor", "openid", "payments"]);
    for sort in ["key", "-key", "created_at", "-created_at"] {
        for limit in [1, 2, 4] {
            let mut seen: Vec<String> = Vec::new();
            let mut cursor = String::new();
            loop {
                let path = format!("{SERVERS}?sort={sort}&limit={limit}{cursor}");
                let page = send(world, operator, "GET", &path, &Value::Null).expect(200);
                seen.extend(keys(&page).into_iter().map(str::to_owned));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, whole(sort), "{sort} {limit}");
        }
        let turned: Vec<String> = whole(sort).into_iter().rev().collect();
        let other = sort
            .strip_prefix('-')
            .map_or(format!("-{sort}"), str::to_owned);
        assert_eq!(whole(&other), turned);
    }
}

#[test]
fn audit_1_their_events_stand_in_the_operators_log_and_feed_and_in_no_other() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        operator,
        acme,
        ..
    } = &vendor;
    let facts = json!({ "description": "Pay.", "deprecated": true });
    vendor
        .send(operator, "PUT", "/scopes/pay", &facts)
        .expect(200);
    vendor
        .send(operator, "PUT", "/scopes/new", &facts)
        .expect(201);
    vendor
        .send(operator, "DELETE", "/scopes/new", &Value::Null)
        .expect(204);
    vendor
        .send(operator, "PATCH", "", &json!({ "name": "Paying" }))
        .expect(200);
    let wrong = vendor.send(operator, "DELETE", "?confirm_name=Payments", &Value::Null);
    assert!((400..500).contains(&wrong.status), "{}", wrong.body);
    vendor
        .send(operator, "DELETE", "?confirm_name=Paying", &Value::Null)
        .expect(204);
    assert_eq!(
        vendor.actions(&world.platform_id, operator),
        [
            "resource_server.deleted",
            "resource_server.updated",
            "resource_server.scope_removed",
            "resource_server.scope_added",
            "resource_server.scope_updated",
            "resource_server.created",
        ]
    );
    let admin = world.as_admin(acme);
    assert_eq!(vendor.actions(&acme.id, &admin), [""; 0]);
    let feed = |tenant: &str, authorization: &str| {
        let path = format!("/v1/tenants/{tenant}/changes?limit=200");
        let feed = send(world, authorization, "GET", &path, &Value::Null).expect(200);
        feed["items"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|change| change["target"]["id"] == vendor.server["id"])
            .count()
    };
    assert_eq!(feed(&world.platform_id, operator), 6);
    assert_eq!(feed(&acme.id, &admin), 0);
}

#[test]
fn of_two_that_make_one_key_at_once_one_does() {
    let vendor = Vendor::new();
    let Vendor {
        world, operator, ..
    } = &vendor;
    let other = world.another_replica();
    let mut statuses: Vec<u16> = std::thread::scope(|threads| {
        let making: Vec<_> = [&world.replica.api, &other.api]
            .into_iter()
            .enumerate()
            .map(|(number, api)| {
                threads.spawn(move || {
                    let body = json!({ "key": "billing", "identifier": format!("https://billing-{number}.example"),
                        "name": "Billing" });
                    let url = format!("{api}{SERVERS}");
                    let headers = [("authorization", operator.as_str())];
                    world.http.post_json(&url, &headers, &body).status
                })
            })
            .collect();
        making
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[test]
fn token_8_the_key_of_a_deleted_one_is_never_used_again() {
    let vendor = Vendor::new();
    let Vendor {
        world,
        operator,
        acme,
        ..
    } = &vendor;
    vendor
        .send(operator, "DELETE", "?confirm_name=Payments", &Value::Null)
        .expect(204);
    let again =
        json!({ "key": "payments", "identifier": "https://payments.example", "name": "Payments" });
    let refused = send(world, operator, "POST", SERVERS, &again);
    assert_eq!(faults(&refused, 409), ["/key"]);
    assert!(refused.body.contains("was used before"), "{}", refused.body);
    // The same holds in a tenant.
    let admin = world.as_admin(acme);
    let own = format!("/v1/tenants/{}/resource-servers", acme.id);
    let body =
        json!({ "key": "orders.api", "identifier": "https://orders.example", "name": "Orders" });
    let made = send(world, &admin, "POST", &own, &body).expect(201);
    let path = format!("{own}/{}?confirm_name=Orders", made["id"].as_str().unwrap());
    send(world, &admin, "DELETE", &path, &Value::Null).expect(204);
    let refused = send(world, &admin, "POST", &own, &body);
    assert_eq!(faults(&refused, 409), ["/key"]);
    assert!(refused.body.contains("was used before"), "{}", refused.body);
    // A dry run uses no key up.
    let other =
        json!({ "key": "bills.api", "identifier": "https://bills.example", "name": "Bills" });
    send(
        world,
        &admin,
        "POST",
        &format!("{own}?dry_run=true"),
        &other,
    )
    .expect(201);
    send(world, &admin, "POST", &own, &other).expect(201);
}

#[test]
fn tokens_of_every_tenant_are_for_them() {
    let vendor = Vendor::with(&json!({ "lifetime_cap_seconds": 120 }));
    let Vendor {
        world,
        acme,
        machine,
        globex,
        ..
    } = &vendor;
    let answer = world.request_token(&acme.id, machine, "payments:read payments:pay");
    assert_eq!(answer.json()["expires_in"], 120, "{}", answer.body);
    let theirs = world.client(globex, "Machine", &["payments:read"]);
    world.token(&globex.id, &theirs, "payments:read");
    let beyond = world.request_token(&globex.id, &theirs, "payments:pay");
    expect_error(&beyond, 400, "invalid_scope");
    // A scope that there isn't can't be allowed.
    let body = json!({ "name": "X", "profile": "service", "owner_contact": { "email": "a@b.example" },
        "allowed_scopes": ["payments:read", "payments:fly"] });
    let path = format!("/v1/tenants/{}/clients", acme.id);
    let refused = send(world, &world.as_admin(acme), "POST", &path, &body);
    assert_eq!(faults(&refused, 422), ["/allowed_scopes/1"]);
}
