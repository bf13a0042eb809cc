//! Every operation of the management API as the tests call it, and what every problem must look like.

use grantor_acceptance::{Answer, Credentials, Tenant, World};
use serde_json::{Value, json};

/// The name of the client that operations are tried on.
pub const SUBJECT: &str = "Subject";

/// One operation, with a request that is valid.
pub struct Operation {
    pub method: &'static str,
    pub pattern: &'static str,
    pub query: &'static str,
    pub body: &'static str,
    pub permission: &'static str,
    /// What the log of record says when it was done; empty for reads.
    pub action: &'static str,
}

const fn operation(
    method: &'static str,
    pattern: &'static str,
    permission: &'static str,
    action: &'static str,
) -> Operation {
    Operation {
        method,
        pattern,
        query: "",
        body: "",
        permission,
        action,
    }
}

/// One of each kind, in an order in which they can be done one after the other. Every operation there is goes
/// through `coverage`.
pub const OPERATIONS: [Operation; 11] = [
    Operation {
        body: r#"{"name":"Made","owner":{"name":"Ada","email":"ada@example.com"}}"#,
        ..operation("POST", "/v1/tenants", "tenants.create", "tenant.created")
    },
    operation("GET", "/v1/tenants", "tenants.read", ""),
    operation("GET", "/v1/tenants/{tenant}", "tenants.read", ""),
    Operation {
        body: r#"{"name":"Made","profile": "service", "owner_contact":{"email":"ada@example.com"}}"#,
        ..operation(
            "POST",
            "/v1/tenants/{tenant}/clients",
            "clients.write",
            "client.created",
        )
    },
    operation("GET", "/v1/tenants/{tenant}/clients", "clients.read", ""),
    operation(
        "GET",
        "/v1/tenants/{tenant}/clients/{client}",
        "clients.read",
        "",
    ),
    operation(
        "POST",
        "/v1/tenants/{tenant}/clients/{client}/disable",
        "clients.disable",
        "client.disabled",
    ),
    operation(
        "POST",
        "/v1/tenants/{tenant}/clients/{client}/enable",
        "clients.disable",
        "client.enabled",
    ),
    Operation {
        body: r#"{"confirm_name":"Subject"}"#,
        ..operation(
            "POST",
            "/v1/tenants/{tenant}/clients/{client}/secrets/rotate",
            "secrets.write",
            "secret.rotated",
        )
    },
    Operation {
        query: "?confirm_name=Subject",
        ..operation(
            "DELETE",
            "/v1/tenants/{tenant}/clients/{client}",
            "clients.delete",
            "client.deleted",
        )
    },
    operation("GET", "/v1/tenants/{tenant}/audit-events", "audit.read", ""),
];

impl Operation {
    /// Whether only operators may do it.
    pub fn is_for_operators(&self) -> bool {
        self.permission.starts_with("tenants.")
    }

    /// Its path for a tenant and a client.
    pub fn path(&self, tenant: &str, client: &str) -> String {
        self.pattern
            .replace("{tenant}", tenant)
            .replace("{client}", client)
    }

    /// Calls it with these headers besides what it needs.
    pub fn send(
        &self,
        world: &World,
        tenant: &str,
        client: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut all = headers.to_vec();
        if !self.body.is_empty() {
            all.push(("content-type", "application/json"));
        }
        let url = format!("{}{}", world.api(&self.path(tenant, client)), self.query);
        world
            .http
            .send(self.method, &url, &all, self.body.as_bytes())
    }

    /// Calls it with a token.
    pub fn call(&self, world: &World, tenant: &str, client: &str, authorization: &str) -> Answer {
        self.send(world, tenant, client, &[("authorization", authorization)])
    }
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method, self.pattern)
    }
}

/// A world with a tenant, its administrator's authorization, and a client to try things on.
pub struct Scene {
    pub world: World,
    pub tenant: Tenant,
    pub admin: String,
    pub subject: Credentials,
}

impl Scene {
    pub fn new() -> Self {
        let world = World::new();
        let tenant = world.tenant("Acme");
        let subject = world.client(&tenant, SUBJECT, &[]);
        let admin = world.as_admin(&tenant);
        Self {
            world,
            tenant,
            admin,
            subject,
        }
    }

    /// The address below the tenant.
    pub fn url(&self, path: &str) -> String {
        self.world
            .api(&format!("/v1/tenants/{}{path}", self.tenant.id))
    }

    /// Calls as the administrator, with a JSON body unless it is empty.
    pub fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut headers = vec![("authorization", self.admin.as_str())];
        if !body.is_empty() {
            headers.push(("content-type", "application/json"));
        }
        self.world
            .http
            .send(method, &self.url(path), &headers, body.as_bytes())
    }

    /// Tries to create a client from this body.
    pub fn create(&self, body: &str) -> Answer {
        self.world.http.send(
            "POST",
            &self.url("/clients"),
            &[
                ("authorization", &self.admin),
                ("content-type", "application/json"),
            ],
            body.as_bytes(),
        )
    }

    /// The newest events of the tenant's log.
    pub fn events(&self) -> Vec<Value> {
        events(&self.world, &self.tenant)
    }
}

/// The newest events of a tenant's log.
#[track_caller]
pub fn events(world: &World, tenant: &Tenant) -> Vec<Value> {
    let answer = world.http.get(
        &world.api(&format!("/v1/tenants/{}/audit-events?limit=200", tenant.id)),
        &[("authorization", &world.as_admin(tenant))],
    );
    answer.expect(200)["items"].as_array().unwrap().clone()
}

/// RFC 9457: what every problem of the API has, whatever it is; tells its JSON.
#[track_caller]
pub fn expect_problem(world: &World, answer: &Answer, status: u16, code: &str) -> Value {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let problem = answer.json();
    let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
    assert_eq!(text("code"), code, "{problem}");
    assert_eq!(
        text("type"),
        format!("{}/problems/{code}", world.replica.api)
    );
    assert_eq!(problem["status"], json!(status));
    assert!(
        !text("title").is_empty() && !text("detail").is_empty(),
        "{problem}"
    );
    assert_eq!(
        Some(text("request_id").as_str()),
        answer.header("x-request-id")
    );
    for fault in problem["errors"].as_array().into_iter().flatten() {
        let pointer = fault["pointer"].as_str();
        assert!(
            pointer.is_none_or(|pointer| pointer.is_empty() || pointer.starts_with('/')),
            "{problem}"
        );
        assert!(
            !fault["detail"].as_str().unwrap_or_default().is_empty(),
            "{problem}"
        );
    }
    problem
}

/// An answer without what differs from request to request: its id and the date.
pub fn without_request_id(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| name != "x-request-id" && name != "date")
        .cloned()
        .collect();
    headers.sort();
    let id = answer.header("x-request-id").unwrap_or("no request id");
    (answer.status, headers, answer.body.replace(id, ""))
}
