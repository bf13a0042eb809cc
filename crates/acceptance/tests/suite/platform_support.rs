//! `role_2`: an operator with *platform support* sees and deactivates a client in any tenant, and nothing else there.

use grantor_acceptance::{Answer, Credentials, Tenant, World};
use serde_json::{Value, json};

use crate::outbox::MailFolder;

const REASON: &str = "It hammers the whole platform";
const NEVER_A_CLIENT: &str = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b";
const NEVER_A_TENANT: &str = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b";

struct Case {
    world: World,
    tenant: Tenant,
    client: Credentials,
    support: String,
    admin: String,
}

impl Case {
    fn new() -> Self {
        Self::of(World::new())
    }

    fn of(world: World) -> Self {
        let tenant = world.tenant("Acme");
        let client = world.client(&tenant, "Nightly export", &["grantor:clients.read"]);
        Self {
            support: world.operator_with("grantor:platform.support"),
            admin: world.as_admin(&tenant),
            tenant,
            client,
            world,
        }
    }

    fn send(&self, authorization: &str, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [
            ("authorization", authorization),
            ("content-type", "application/json"),
        ];
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let url = self.world.api(&format!("/v1/tenants/{path}"));
        self.world
            .http
            .send(method, &url, &headers, body.as_bytes())
    }

    fn on_client(&self, authorization: &str, method: &str, verb: &str, body: &Value) -> Answer {
        let path = format!("{}/clients/{}{verb}", self.tenant.id, self.client.client_id);
        self.send(authorization, method, &path, body)
    }

    /// Who pauses the client now.
    fn pauses(&self) -> Vec<String> {
        let shown = self
            .on_client(&self.admin, "GET", "", &Value::Null)
            .expect(200);
        let pauses = shown["pauses"].as_array().unwrap().iter();
        pauses
            .map(|pause| pause["by"].as_str().unwrap().to_owned())
            .collect()
    }

    fn gets_tokens(&self) -> bool {
        let scope = "grantor:clients.read";
        let asked = self
            .world
            .request_token(&self.tenant.id, &self.client, scope);
        asked.status == 200
    }

    fn events(&self, tenant: &str, authorization: &str, action: &str) -> Vec<Value> {
        let path = format!("{tenant}/audit-events?action={action}");
        let found = self
            .send(authorization, "GET", &path, &Value::Null)
            .expect(200);
        found["items"].as_array().unwrap().clone()
    }
}

fn essence(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    body["request_id"] = Value::Null;
    (answer.status, body)
}

#[test]
fn role_2_platform_support_sees_the_clients_of_any_tenant() {
    let case = Case::new();
    let path = format!("{}/clients", case.tenant.id);
    let listed = case
        .send(&case.support, "GET", &path, &Value::Null)
        .expect(200);
    assert_eq!(
        listed["items"].as_array().unwrap().len(),
        2,
        "with the administering one"
    );
    let own = case
        .send(&case.admin, "GET", &path, &Value::Null)
        .expect(200);
    // The same, but for what an operator does not see.
    let mut own = own["items"].clone();
    for client in own.as_array_mut().unwrap() {
        assert_eq!(client["live_access_tokens"]["more"], false);
        client["live_access_tokens"] = Value::Null;
    }
    assert_eq!(listed["items"], own);
    let shown = case
        .on_client(&case.support, "GET", "", &Value::Null)
        .expect(200);
    assert_eq!(shown["name"], "Nightly export");
    assert!(!shown.to_string().contains("gsec_"), "{shown}");
}

#[test]
fn role_2_platform_support_disables_a_client_and_its_tenant_can_not_lift_that() {
    let folder = MailFolder::new();
    let case = Case::of(World::with(&folder.settings()));
    assert!(case.gets_tokens());
    let token = World::bearer(&case.world.token(
        &case.tenant.id,
        &case.client,
        "grantor:clients.read",
    ));
    let disabled = case.on_client(
        &case.support,
        "POST",
        "/disable",
        &json!({ "reason": REASON }),
    );
    assert_eq!(disabled.expect(200)["pauses"][0]["by"], "operator");
    assert!(!case.gets_tokens());
    let path = format!("{}/clients", case.tenant.id);
    assert_eq!(case.send(&token, "GET", &path, &Value::Null).status, 401);

    // The owner contact is told, once however often it is asked for.
    case.on_client(
        &case.support,
        "POST",
        "/disable",
        &json!({ "reason": "Another" }),
    )
    .expect(200);
    let mails = folder.until(1);
    assert!(mails[0].contains("owner@example.com"), "{}", mails[0]);
    assert!(mails[0].contains("disabled by an operator"), "{}", mails[0]);

    // Each party lifts its own pause alone.
    case.on_client(&case.admin, "POST", "/enable", &Value::Null)
        .expect(200);
    assert_eq!(case.pauses(), ["operator"]);
    case.on_client(&case.admin, "POST", "/disable", &Value::Null)
        .expect(200);
    assert_eq!(case.pauses(), ["tenant", "operator"]);
    case.on_client(&case.support, "POST", "/enable", &Value::Null)
        .expect(200);
    assert_eq!(case.pauses(), ["tenant"]);
    assert!(!case.gets_tokens());
    case.on_client(&case.support, "POST", "/enable", &Value::Null)
        .expect(200);
    assert_eq!(case.pauses(), ["tenant"]);
    case.on_client(&case.admin, "POST", "/enable", &Value::Null)
        .expect(200);
    assert!(case.gets_tokens());
    assert_eq!(
        case.send(&token, "GET", &path, &Value::Null).status,
        403,
        "it lives again, without a role"
    );
}

#[test]
fn audit_1_what_platform_support_does_stands_in_both_logs() {
    let case = Case::new();
    case.on_client(
        &case.support,
        "POST",
        "/disable?dry_run=true",
        &json!({ "reason": REASON }),
    )
    .expect(200);
    case.on_client(
        &case.support,
        "POST",
        "/disable",
        &json!({ "reason": REASON }),
    )
    .expect(200);
    case.on_client(&case.support, "POST", "/enable", &Value::Null)
        .expect(200);
    let operator = case.world.operator_with("grantor:audit.read");
    for action in ["client.disabled", "client.enabled"] {
        let own = case.events(&case.tenant.id, &case.admin, action);
        let platform = case.events(&case.world.platform_id, &operator, action);
        assert_eq!((own.len(), platform.len()), (1, 1), "{action}");
        for event in [&own[0], &platform[0]] {
            assert_eq!(
                event["target"]["id"],
                case.client.client_id.as_str(),
                "{action}"
            );
            let told = if action == "client.disabled" {
                &event["after"]
            } else {
                &event["before"]
            };
            assert_eq!(told["by"], "operator");
            assert_eq!(told["tenant_id"], case.tenant.id.as_str());
        }
        assert_eq!(own[0]["actor"], platform[0]["actor"], "{action}");
    }
}

#[test]
fn role_2_nothing_else_of_a_foreign_tenant_is_seen_or_done() {
    let case = Case::new();
    let every = case.world.operator_with(
        "grantor:platform.support grantor:clients.read grantor:clients.write grantor:clients.disable \
         grantor:clients.delete grantor:secrets.write grantor:audit.read grantor:resource_servers.read \
         grantor:settings.read grantor:settings.write",
    );
    let client = &case.client.client_id;
    let new = json!({ "name": "Mine", "profile": "service", "owner_contact": { "email": "o@example.com" } });
    for (method, path, body) in [
        ("POST", "/clients".to_owned(), new),
        (
            "PATCH",
            format!("/clients/{client}"),
            json!({ "name": "Mine" }),
        ),
        (
            "DELETE",
            format!("/clients/{client}?confirm_name=Nightly%20export"),
            Value::Null,
        ),
        (
            "POST",
            format!("/clients/{client}/secrets/rotate"),
            Value::Null,
        ),
        ("GET", "/audit-events".to_owned(), Value::Null),
        ("GET", "/resource-servers".to_owned(), Value::Null),
        ("GET", "/settings".to_owned(), Value::Null),
        (
            "PATCH",
            "/settings".to_owned(),
            json!({ "password_min_length": 20 }),
        ),
        ("POST", "/bulk".to_owned(), json!({ "operations": [] })),
    ] {
        let ask =
            |tenant: &str| essence(&case.send(&every, method, &format!("{tenant}{path}"), &body));
        let foreign = ask(&case.tenant.id);
        assert_eq!(foreign.0, 404, "{method} {path}");
        assert_eq!(foreign, ask(NEVER_A_TENANT), "{method} {path}");
    }
}

#[test]
fn tenant_1_without_platform_support_a_foreign_client_is_unknown() {
    let case = Case::new();
    let other = case.world.tenant("Other");
    let strangers = [
        case.world
            .operator_with("grantor:clients.read grantor:clients.disable grantor:tenants.read"),
        case.world.as_operator(),
        case.world.as_admin(&other),
    ];
    for stranger in &strangers {
        for (method, verb) in [("GET", ""), ("POST", "/disable"), ("POST", "/enable")] {
            let ask = |tenant: &str, client: &str| {
                let path = format!("{tenant}/clients/{client}{verb}");
                essence(&case.send(stranger, method, &path, &Value::Null))
            };
            let foreign = ask(&case.tenant.id, &case.client.client_id);
            assert_eq!(foreign.0, 404, "{method} {verb}");
            assert_eq!(foreign, ask(&case.tenant.id, NEVER_A_CLIENT));
            assert_eq!(foreign, ask(NEVER_A_TENANT, NEVER_A_CLIENT));
        }
        let list = |tenant: &str| {
            essence(&case.send(stranger, "GET", &format!("{tenant}/clients"), &Value::Null))
        };
        assert_eq!(list(&case.tenant.id).0, 404);
        assert_eq!(list(&case.tenant.id), list(NEVER_A_TENANT));
    }
    assert_eq!(case.pauses(), [""; 0]);
    // For platform support, what does not exist is as unknown.
    for (tenant, client) in [
        (case.tenant.id.as_str(), NEVER_A_CLIENT),
        (NEVER_A_TENANT, NEVER_A_CLIENT),
        (other.id.as_str(), case.client.client_id.as_str()),
    ] {
        let path = format!("{tenant}/clients/{client}/disable");
        let unknown = case.send(&case.support, "POST", &path, &Value::Null);
        assert_eq!(unknown.status, 404, "{path}: {}", unknown.body);
    }
    let path = format!("{NEVER_A_TENANT}/clients");
    assert_eq!(
        case.send(&case.support, "GET", &path, &Value::Null).status,
        404
    );
}

#[test]
fn a_tenants_own_administrator_has_no_platform_support_by_a_scope_of_that_name() {
    let case = Case::new();
    // The scope can't be had: nobody of a tenant holds the permission.
    let body = json!({ "name": "Spy", "profile": "service", "owner_contact": { "email": "o@example.com" },
        "allowed_scopes": ["grantor:platform.support"] });
    let path = format!("{}/clients", case.tenant.id);
    let refused = case.send(&case.admin, "POST", &path, &body);
    assert_eq!(refused.status, 422, "{}", refused.body);
}
