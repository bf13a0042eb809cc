//! A tenant whose machines get tokens for the orders API, and what holds at its endpoints beside the lines of the
//! standards, which are in `standards`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor_acceptance::{Answer, Credentials, Replica, Tenant, World, raw_exchange};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::resource_server::Verification;
use serde_json::{Value, json};

use crate::platform_servers::send;

/// A token request that is good for the machine.
pub const GRANT: &str = "grant_type=client_credentials&scope=orders.api:read";
/// The endpoints at which a client says who it is.
pub const ENDPOINTS: [&str; 3] = ["token", "introspect", "revoke"];

/// Tokens on record, each with the program that asked for it.
pub const RECORDS: &str = "SELECT access_tokens.*, user_agents.name AS program FROM access_tokens \
     LEFT JOIN user_agents ON user_agents.tenant_id = access_tokens.tenant_id AND user_agent_number = \
       ('x' || right(replace(user_agents.id::text, '-', ''), 16))::bit(64)::bigint & 4611686018427387903";

/// A tenant with the orders API, who may introspect its tokens, and a machine that may have them.
pub struct Orders {
    pub world: World,
    pub tenant: Tenant,
    pub checker: Credentials,
    pub machine: Credentials,
}

impl Orders {
    pub fn new() -> Self {
        Self::with(Verification::Introspection, None)
    }

    pub fn with(verification: Verification, cap: Option<u32>) -> Self {
        let world = World::new();
        let tenant = world.tenant("Acme");
        // Ids of the same instant are drawn from several sources, which repeat.
        world.advance(chrono::TimeDelta::seconds(1));
        let checker = world.client(&tenant, "Orders API", &[]);
        let cap = cap.map(|cap| AccessTokenLifetime::from_seconds(i64::from(cap)).unwrap());
        world.resource_server(&tenant, verification, cap, &[&checker]);
        let machine = world.client(&tenant, "Machine", &["orders.api:read", "orders.api:write"]);
        Self {
            world,
            tenant,
            checker,
            machine,
        }
    }

    pub fn post(&self, endpoint: &str, headers: &[(&str, &str)], form: &str) -> Answer {
        let url = self.world.endpoint(&self.tenant.id, endpoint);
        self.world.http.post_form(&url, headers, form)
    }

    /// Posts at some replica, as some client.
    pub fn post_at(
        &self,
        replica: &Replica,
        endpoint: &str,
        by: &Credentials,
        form: &str,
    ) -> Answer {
        let url = format!("{}/t/{}/{endpoint}", replica.token, self.tenant.id);
        let headers = [("authorization", by.basic())];
        let headers = headers.each_ref().map(|(name, by)| (*name, by.as_str()));
        self.world.http.post_form(&url, &headers, form)
    }

    /// Posts to an endpoint as some client.
    pub fn post_as(&self, by: &Credentials, endpoint: &str, form: &str) -> Answer {
        self.post_at(&self.world.replica, endpoint, by, form)
    }

    /// Calls the management API below the tenant, as its administrator; without a body when there is none.
    pub fn manage(&self, method: &str, path: &str, body: &Value) -> Answer {
        let admin = self.world.as_admin(&self.tenant);
        let path = format!("/v1/tenants/{}{path}", self.tenant.id);
        send(&self.world, &admin, method, &path, body)
    }

    /// Whether the checker is told that a token is good.
    #[track_caller]
    pub fn is_active(&self, token: &str) -> bool {
        self.world.is_active(&self.tenant.id, &self.checker, token)
    }

    /// Posts to the token endpoint as the machine.
    pub fn ask(&self, form: &str) -> Answer {
        self.post("token", &[("authorization", &self.machine.basic())], form)
    }

    pub fn token(&self, scope: &str) -> String {
        self.world.token(&self.tenant.id, &self.machine, scope)
    }

    /// Makes a client with further settings.
    pub fn client(&self, settings: &Value) -> Credentials {
        let mut body = json!({ "name": "Further", "allowed_scopes": ["orders.api:read", "orders.api:write"],
            "profile": "service", "owner_contact": { "email": "ada@example.com" } });
        for (name, value) in settings.as_object().unwrap() {
            body[name] = value.clone();
        }
        let url = self
            .world
            .api(&format!("/v1/tenants/{}/clients", self.tenant.id));
        let made = self.world.http.post_json(
            &url,
            &[("authorization", &self.world.as_admin(&self.tenant))],
            &body,
        );
        Credentials {
            client_id: made.text("/id"),
            client_secret: made.text("/secret/value"),
        }
    }
}

/// RFC 6749 §5.2: an error has these members and no other, and is never stored.
#[track_caller]
pub fn expect_error(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let json = answer.json();
    let members: Vec<_> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(members, ["error", "error_description"], "{json}");
    assert_eq!(json["error"], code, "{json}");
    let description = json["error_description"].as_str().unwrap();
    assert!(
        description
            .chars()
            .all(|c| matches!(c, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e')),
        "{description}"
    );
    let challenge = answer.header("www-authenticate");
    if code == "invalid_client" {
        assert!(
            challenge.unwrap().starts_with("Basic realm="),
            "{challenge:?}"
        );
    } else {
        assert_eq!(challenge, None);
    }
}

/// The header that presents these bytes by `Basic`.
pub fn basic(text: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn client_11_scopes_must_be_named_unless_the_client_is_spared() {
    let orders = Orders::new();
    for form in [
        "grant_type=client_credentials",
        "grant_type=client_credentials&scope=",
    ] {
        expect_error(&orders.ask(form), 400, "invalid_scope");
    }
    let spared = orders.client(&json!({ "require_requested_scopes": false }));
    let answer = orders.post(
        "token",
        &[("authorization", &spared.basic())],
        "grant_type=client_credentials",
    );
    assert_eq!(answer.text("/scope"), "orders.api:read orders.api:write");
    let without_any =
        orders.client(&json!({ "require_requested_scopes": false, "allowed_scopes": [] }));
    let answer = orders.post(
        "token",
        &[("authorization", &without_any.basic())],
        "grant_type=client_credentials",
    );
    expect_error(&answer, 400, "invalid_scope");
}

#[test]
fn bodies_that_are_no_form_are_invalid_request() {
    let orders = Orders::new();
    let header = orders.machine.basic();
    let many = (0..60)
        .map(|number| format!("p{number}=1"))
        .collect::<Vec<_>>()
        .join("&");
    for endpoint in ENDPOINTS {
        let url = orders.world.endpoint(&orders.tenant.id, endpoint);
        for body in [
            &b"grant_type=client_credentials&token=\x00"[..],
            b"grant_type=client_credentials&token=%00",
            b"grant_type=client_credentials&token=\xff",
            b"grant_type=client_credentials&token=%ff",
            b"grant_type=client_credentials&token=%c3%28",
            b"grant_type=client_credentials&token=%",
            b"grant_type=client_credentials&token=%4",
            b"grant_type=client_credentials&token=%zz",
            b"grant_type=client_credentials&token=a%0d%0ab",
            b"=x",
            b"\xff=x",
            many.as_bytes(),
            b"{\"grant_type\":\"client_credentials\"}",
        ] {
            let answer = orders.world.http.send(
                "POST",
                &url,
                &[
                    ("authorization", &header),
                    ("content-type", "application/x-www-form-urlencoded"),
                ],
                body,
            );
            assert_eq!(
                answer.status,
                400,
                "{endpoint} {}: {}",
                String::from_utf8_lossy(body),
                answer.body
            );
            expect_error(&answer, 400, "invalid_request");
        }
        let large = format!("{GRANT}&token={}", "x".repeat(1024 * 1024));
        let request = format!(
            "POST /t/{}/{endpoint} HTTP/1.1\r\nHost: x\r\nAuthorization: {header}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{large}",
            orders.tenant.id,
            large.len()
        );
        let answer = raw_exchange(&orders.world.replica.token, request.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert!(answer.contains(r#"{"error":"invalid_request""#), "{answer}");
    }
}

#[test]
fn tenant_1_an_issuer_that_is_unknown_is_404_and_that_of_another_knows_no_client_of_ours() {
    let orders = Orders::new();
    let other = orders.world.tenant("Globex");
    let header = orders.machine.basic();
    for tenant in [
        "ten_01kb2q3r4s5t6v7w8x9y0z1a2b",
        "x",
        "%00",
        "%FF",
        &orders.machine.client_id,
    ] {
        for endpoint in ENDPOINTS {
            let answer = orders.world.http.post_form(
                &orders.world.endpoint(tenant, endpoint),
                &[("authorization", &header)],
                &format!("{GRANT}&token=x"),
            );
            expect_error(&answer, 404, "invalid_request");
        }
        for path in [
            format!("/t/{tenant}/jwks"),
            format!("/t/{tenant}/.well-known/openid-configuration"),
            format!("/.well-known/oauth-authorization-server/t/{tenant}"),
        ] {
            let answer = orders
                .world
                .http
                .get(&format!("{}{path}", orders.world.replica.token), &[]);
            expect_error(&answer, 404, "invalid_request");
        }
    }
    for path in [
        "/",
        "/t/",
        "/token",
        "/t/x/authorize",
        "/jwks",
        "/.well-known/openid-configuration",
    ] {
        let url = format!("{}{path}", orders.world.replica.token);
        expect_error(&orders.world.http.get(&url, &[]), 404, "invalid_request");
    }
    for endpoint in ENDPOINTS {
        let answer = orders.world.http.post_form(
            &orders.world.endpoint(&other.id, endpoint),
            &[("authorization", &header)],
            &format!("{GRANT}&token=x"),
        );
        expect_error(&answer, 401, "invalid_client");
    }
}

#[test]
fn client_14_the_lowest_of_all_lifetimes_counts() {
    let seconds = |orders: &Orders, client: &Credentials| {
        let answer = orders.post("token", &[("authorization", &client.basic())], GRANT);
        answer.json()["expires_in"].as_u64().unwrap()
    };
    let orders = Orders::new();
    assert_eq!(seconds(&orders, &orders.machine), 3_600);
    for lifetime in [60, 86_400] {
        let client = orders.client(&json!({ "access_token_lifetime_seconds": lifetime }));
        assert_eq!(seconds(&orders, &client), lifetime);
    }
    let capped = Orders::with(Verification::Introspection, Some(900));
    assert_eq!(seconds(&capped, &capped.machine), 900);
    let short = capped.client(&json!({ "access_token_lifetime_seconds": 60 }));
    assert_eq!(seconds(&capped, &short), 60);
}

#[test]
fn pause_4_tokens_that_are_verified_by_signature_live_ten_minutes_at_most() {
    for (cap, expected) in [(None, 600), (Some(900), 600), (Some(120), 120)] {
        let orders = Orders::with(Verification::Signature, cap);
        let answer = orders.ask(GRANT);
        assert_eq!(answer.json()["expires_in"], expected, "{cap:?}");
    }
}
