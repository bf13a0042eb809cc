//! The token endpoint, and how clients authenticate at it, by the lines of the standards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor_acceptance::{Answer, Credentials, Tenant, World, raw_exchange};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::resource_server::Verification;
use serde_json::{Value, json};

use crate::operations::without_request_id;

const GRANT: &str = "grant_type=client_credentials&scope=orders.api:read";
const ENDPOINTS: [&str; 3] = ["token", "introspect", "revoke"];

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

fn basic(text: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
}

#[test]
fn rfc6749_5_1_a_token_answer_is_complete_and_never_stored() {
    let orders = Orders::new();
    let answer = orders.ask(GRANT);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let mut json = answer.json();
    json["access_token"] = json!("(token)");
    assert_eq!(
        json,
        json!({ "access_token": "(token)", "token_type": "Bearer", "expires_in": 3600,
            "scope": "orders.api:read" })
    );
}

#[test]
fn rfc6749_3_1_unknown_parameters_are_ignored_and_empty_ones_are_left_out() {
    let orders = Orders::new();
    for form in [
        format!("{GRANT}&foo=bar&resource=x"),
        format!("{GRANT}&foo="),
        format!("{GRANT}&client_secret="),
        format!("&&{GRANT}&"),
        format!("{GRANT}&client_id={}", orders.machine.client_id),
        "scope=orders.api%3Aread&grant_type=client%5Fcredentials".to_owned(),
    ] {
        let answer = orders.ask(&form);
        assert_eq!(answer.status, 200, "{form}: {}", answer.body);
    }
    expect_error(&orders.ask("grant_type="), 400, "invalid_request");
    expect_error(&orders.ask("scope=orders.api:read"), 400, "invalid_request");
    expect_error(&orders.ask(""), 400, "invalid_request");
    for endpoint in ["introspect", "revoke"] {
        for form in ["token=", "", "token_type_hint=access_token"] {
            let answer = orders.post(
                endpoint,
                &[("authorization", &orders.machine.basic())],
                form,
            );
            expect_error(&answer, 400, "invalid_request");
        }
    }
}

#[test]
fn rfc6749_3_2_no_repeated_parameters() {
    let orders = Orders::new();
    let header = orders.machine.basic();
    for endpoint in ENDPOINTS {
        for form in [
            "grant_type=client_credentials&token=x&grant_type=client_credentials",
            "grant_type=client_credentials&token=x&scope=a&scope=a",
            "grant_type=client_credentials&token=x&token=x",
            "grant_type=client_credentials&token=x&foo=1&foo=2",
            "grant_type=client_credentials&token=x&foo=&foo=",
            "grant_type=client_credentials&token=x&fo%6f=1&foo=2",
            "grant_type=client_credentials&token=x&client_id=a&client_id=a",
        ] {
            let answer = orders.post(endpoint, &[("authorization", &header)], form);
            expect_error(&answer, 400, "invalid_request");
        }
    }
}

#[test]
fn rfc6749_3_2_endpoints_take_post_and_forms_alone() {
    let orders = Orders::new();
    let header = orders.machine.basic();
    for endpoint in ENDPOINTS {
        let url = orders.world.endpoint(&orders.tenant.id, endpoint);
        for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "FROB"] {
            let answer = orders.world.http.send(
                method,
                &format!("{url}?{GRANT}"),
                &[("authorization", &header)],
                b"",
            );
            expect_error(&answer, 405, "invalid_request");
            assert_eq!(answer.header("allow"), Some("POST"));
        }
        for content_type in [
            "application/json",
            "text/plain",
            "multipart/form-data; boundary=x",
            "",
        ] {
            let mut headers = vec![("authorization", header.as_str())];
            if !content_type.is_empty() {
                headers.push(("content-type", content_type));
            }
            let answer = orders
                .world
                .http
                .send("POST", &url, &headers, GRANT.as_bytes());
            expect_error(&answer, 400, "invalid_request");
        }
        // RFC 9700 §4.3.2: what stands in the query counts for nothing.
        let in_query = orders.world.http.post_form(
            &format!("{url}?{GRANT}&token=x"),
            &[("authorization", &header)],
            "",
        );
        expect_error(&in_query, 400, "invalid_request");
    }
    for (path, base) in [
        (
            "jwks",
            format!("{}/t/{}/", orders.world.replica.token, orders.tenant.id),
        ),
        (
            ".well-known/openid-configuration",
            format!("{}/t/{}/", orders.world.replica.token, orders.tenant.id),
        ),
        (
            "",
            format!(
                "{}/.well-known/oauth-authorization-server/t/{}",
                orders.world.replica.token, orders.tenant.id
            ),
        ),
    ] {
        let answer = orders
            .world
            .http
            .send("POST", &format!("{base}{path}"), &[], b"");
        expect_error(&answer, 405, "invalid_request");
        assert_eq!(answer.header("allow"), Some("GET"));
    }
    let with_charset = orders.world.http.send(
        "POST",
        &orders.world.endpoint(&orders.tenant.id, "token"),
        &[
            ("authorization", &header),
            (
                "content-type",
                "application/x-www-form-urlencoded; charset=UTF-8",
            ),
        ],
        GRANT.as_bytes(),
    );
    assert_eq!(with_charset.status, 200, "{}", with_charset.body);
}

#[test]
fn rfc6749_2_3_one_method_of_client_authentication_per_request() {
    let orders = Orders::new();
    let Credentials {
        client_id,
        client_secret,
    } = &orders.machine;
    let header = orders.machine.basic();
    for endpoint in ENDPOINTS {
        let form = format!("{GRANT}&token=x&client_id={client_id}&client_secret={client_secret}");
        let answer = orders.post(endpoint, &[("authorization", &header)], &form);
        expect_error(&answer, 400, "invalid_request");
        let answer = orders.post(
            endpoint,
            &[("authorization", &header)],
            &format!("{GRANT}&token=x&client_secret={client_secret}"),
        );
        expect_error(&answer, 400, "invalid_request");
        let answer = orders.post(
            endpoint,
            &[("authorization", &header)],
            &format!("{GRANT}&token=x&client_id={}", orders.checker.client_id),
        );
        expect_error(&answer, 400, "invalid_request");
        let answer = orders.post(
            endpoint,
            &[("authorization", &header), ("authorization", &header)],
            &format!("{GRANT}&token=x"),
        );
        expect_error(&answer, 400, "invalid_request");
    }
}

#[test]
fn rfc6749_2_3_1_basic_credentials_are_form_decoded() {
    let orders = Orders::new();
    let Credentials {
        client_id,
        client_secret,
    } = &orders.machine;
    let encoded = format!(
        "{}:{}",
        percent_encoded(client_id),
        percent_encoded(client_secret)
    );
    for header in [
        basic(encoded.as_bytes()),
        basic(encoded.to_lowercase().replace("%5f", "%5F").as_bytes()),
        basic(format!("{}:{client_secret}", client_id.replace('_', "%5f")).as_bytes()),
        orders.machine.basic().replace("Basic", "bAsIc"),
    ] {
        let answer = orders.post("token", &[("authorization", &header)], GRANT);
        assert_eq!(answer.status, 200, "{header}: {}", answer.body);
    }
}

#[test]
fn rfc6749_5_2_bad_credentials_are_invalid_client() {
    let orders = Orders::new();
    let Credentials {
        client_id,
        client_secret,
    } = &orders.machine;
    let pair = format!("{client_id}:{client_secret}");
    let headers = [
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Basic %%%".to_owned(),
        format!("Basic {pair}"),
        format!(
            "Basic {}",
            STANDARD.encode(&pair).trim_end_matches('=').to_owned() + "?"
        ),
        basic(b"no-colon"),
        basic(b""),
        basic(b":"),
        basic(format!(":{client_secret}").as_bytes()),
        basic(format!("{client_id}:").as_bytes()),
        basic(format!("{client_id}:%zz").as_bytes()),
        basic(format!("%4:{client_secret}").as_bytes()),
        basic(format!("{client_id}:{client_secret}%00").as_bytes()),
        basic(format!("{client_id}:{client_secret}\0").as_bytes()),
        basic(format!("{client_id}\0:{client_secret}").as_bytes()),
        basic(b"\xff\xfe:\xff"),
        basic(format!("{client_id}:{client_secret} ").as_bytes()),
        basic(format!(" {client_id}:{client_secret}").as_bytes()),
        basic(format!("{client_id}:{client_secret}:").as_bytes()),
        basic(format!("{client_secret}:{client_id}").as_bytes()),
        basic(format!("{}:{client_secret}", client_id.to_uppercase()).as_bytes()),
        basic(format!("{}:{client_secret}", orders.checker.client_id).as_bytes()),
        basic(format!("{}:{client_secret}", orders.tenant.id).as_bytes()),
        basic(format!("{client_id}:{}", "x".repeat(5_000)).as_bytes()),
        format!("Bearer {client_secret}"),
        "Digest x".to_owned(),
        String::new(),
    ];
    for endpoint in ENDPOINTS {
        for header in &headers {
            let answer = orders.post(
                endpoint,
                &[("authorization", header)],
                &format!("{GRANT}&token=x"),
            );
            expect_error(&answer, 401, "invalid_client");
            assert!(!answer.body.contains(client_secret.as_str()), "{header}");
        }
        for form in [
            format!("{GRANT}&token=x"),
            format!("{GRANT}&token=x&client_id={client_id}"),
            format!("{GRANT}&token=x&client_secret={client_secret}"),
            format!("{GRANT}&token=x&client_id={client_id}&client_secret="),
            format!("{GRANT}&token=x&client_id={client_id}&client_secret=wrong"),
        ] {
            expect_error(&orders.post(endpoint, &[], &form), 401, "invalid_client");
        }
    }
}

#[test]
fn rfc6749_5_2_unknown_client_and_wrong_secret_are_told_alike() {
    let orders = Orders::new();
    let other = orders.world.tenant("Globex");
    let theirs = orders.world.client(&other, "Theirs", &[]);
    let gone = orders.client(&json!({ "name": "Gone" }));
    let deleted = orders.world.http.send(
        "DELETE",
        &orders.world.api(&format!(
            "/v1/tenants/{}/clients/{}?confirm_name=Gone",
            orders.tenant.id, gone.client_id
        )),
        &[("authorization", &orders.world.as_admin(&orders.tenant))],
        b"",
    );
    assert_eq!(deleted.status, 204);
    let paused = orders.client(&json!({ "name": "Paused" }));
    let url = format!(
        "/v1/tenants/{}/clients/{}/disable",
        orders.tenant.id, paused.client_id
    );
    let admin = orders.world.as_admin(&orders.tenant);
    let answer = orders.world.http.send(
        "POST",
        &orders.world.api(&url),
        &[("authorization", &admin)],
        b"",
    );
    assert_eq!(answer.status, 200);
    let wrong = &orders.checker.client_secret;
    for endpoint in ENDPOINTS {
        let answers: Vec<_> = [
            (&orders.machine.client_id, wrong),
            (&paused.client_id, wrong),
            (&gone.client_id, &gone.client_secret),
            (&theirs.client_id, &theirs.client_secret),
            (&"cli_01kb2q3r4s5t6v7w8x9y0z1a2b".to_owned(), wrong),
            (&"nobody".to_owned(), wrong),
        ]
        .into_iter()
        .map(|(client_id, client_secret)| {
            let credentials = Credentials {
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
            };
            let answer = orders.post(
                endpoint,
                &[("authorization", &credentials.basic())],
                &format!("{GRANT}&token=x"),
            );
            expect_error(&answer, 401, "invalid_client");
            without_request_id(&answer)
        })
        .collect();
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
    }
}

#[test]
fn rfc6749_2_3_a_client_uses_the_method_that_it_is_registered_for() {
    let orders = Orders::new();
    let by_post = orders.client(&json!({ "token_endpoint_auth_method": "client_secret_post" }));
    let in_form = |client: &Credentials| {
        let form = format!(
            "{GRANT}&client_id={}&client_secret={}",
            client.client_id, client.client_secret
        );
        orders.post("token", &[], &form)
    };
    let in_header =
        |client: &Credentials| orders.post("token", &[("authorization", &client.basic())], GRANT);
    assert_eq!(in_form(&by_post).status, 200);
    assert_eq!(in_header(&orders.machine).status, 200);
    expect_error(&in_header(&by_post), 401, "invalid_client");
    expect_error(&in_form(&orders.machine), 401, "invalid_client");
    assert!(in_header(&by_post).body.contains("client_secret_post"));
}

#[test]
fn rfc6749_5_2_grant_types_that_are_not_offered_are_unsupported() {
    let orders = Orders::new();
    for grant in [
        "authorization_code",
        "password",
        "refresh_token",
        "implicit",
        "Client_Credentials",
        "client_credentials+",
        "urn:ietf:params:oauth:grant-type:device_code",
        "%F0%9F%98%80",
        "x%22y",
    ] {
        let answer = orders.ask(&format!("grant_type={grant}&scope=orders.api:read"));
        expect_error(&answer, 400, "unsupported_grant_type");
    }
}

#[test]
fn rfc6749_3_3_scopes_that_are_malformed_unknown_or_not_allowed_are_invalid_scope() {
    let orders = Orders::new();
    let many = (0..101)
        .map(|number| format!("a:{number}"))
        .collect::<Vec<_>>()
        .join("+");
    for scope in [
        "orders.api:delete",
        "orders.api:read+orders.api:delete",
        "orders.api:READ",
        "grantor:clients.read",
        "openid",
        "no.such:scope",
        "+orders.api:read",
        "orders.api:read+",
        "orders.api:read++orders.api:write",
        "+",
        "%22",
        "%5C",
        "%C3%A9",
        &"x".repeat(129),
        &many,
    ] {
        let answer = orders.ask(&format!("grant_type=client_credentials&scope={scope}"));
        expect_error(&answer, 400, "invalid_scope");
    }
    let both = orders.ask(
        "grant_type=client_credentials&scope=orders.api:write+orders.api:read+orders.api:write",
    );
    assert_eq!(both.text("/scope"), "orders.api:read orders.api:write");
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
        let long = orders.post(
            endpoint,
            &[("authorization", &header)],
            &format!("grant_type=client_credentials&token={}", "x".repeat(20_000)),
        );
        expect_error(&long, 400, "invalid_request");
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
