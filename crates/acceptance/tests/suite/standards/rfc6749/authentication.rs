//! RFC 6749 §2.3 and §3.2.1: how clients say who they are, and what is told of who can't.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor_acceptance::{Credentials, World};
use serde_json::json;

use crate::oauth::{ENDPOINTS, GRANT, Orders, basic, expect_error};
use crate::operations::without_request_id;

fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        let _ = write!(encoded, "%{byte:02X}");
        encoded
    })
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
fn rfc6749_3_2_1_confidential_clients_authenticate() {
    let orders = Orders::new();
    let by_post = orders.client(&json!({ "token_endpoint_auth_method": "client_secret_post" }));
    for client in [&orders.machine, &by_post] {
        for endpoint in ENDPOINTS {
            // Naming itself is no proof.
            let form = format!("{GRANT}&token=x&client_id={}", client.client_id);
            expect_error(&orders.post(endpoint, &[], &form), 401, "invalid_client");
            let empty = basic(format!("{}:", client.client_id).as_bytes());
            let form = format!("{GRANT}&token=x");
            let answer = orders.post(endpoint, &[("authorization", &empty)], &form);
            expect_error(&answer, 401, "invalid_client");
        }
    }
    // Nor is a token, whosever it is.
    let bearer = World::bearer(&orders.token("orders.api:read"));
    for endpoint in ENDPOINTS {
        let form = format!("{GRANT}&token=x&client_id={}", orders.machine.client_id);
        let answer = orders.post(endpoint, &[("authorization", &bearer)], &form);
        expect_error(&answer, 401, "invalid_client");
    }
}

#[test]
fn rfc6749_2_3_1_a_secret_of_any_characters_arrives_encoded_and_no_other_way() {
    // Of all kinds that mean something in Basic, in a form, or in percent-encoding.
    const SECRET: &str = "p:%41+q&r=s~%2B;t\"u\\v%zz?W/x!Y*0";
    let orders = Orders::new();
    let path = format!("/clients/{}/secrets/choose", orders.machine.client_id);
    orders
        .manage("POST", &path, &json!({ "value": SECRET }))
        .expect(201);
    let id = &orders.machine.client_id;
    let ask = |pair: String| {
        orders.post(
            "token",
            &[("authorization", &basic(pair.as_bytes()))],
            GRANT,
        )
    };
    assert_eq!(ask(format!("{id}:{}", percent_encoded(SECRET))).status, 200);
    // A colon after the first need not be encoded, and a plus is one only when it is.
    let colon = percent_encoded(SECRET).replace("%3A", ":");
    assert_eq!(ask(format!("{id}:{colon}")).status, 200);
    let plus = percent_encoded(SECRET).replace("%2B", "+");
    expect_error(&ask(format!("{id}:{plus}")), 401, "invalid_client");
    // As it is, and encoded twice, it is another.
    expect_error(&ask(format!("{id}:{SECRET}")), 401, "invalid_client");
    let twice = percent_encoded(&percent_encoded(SECRET));
    expect_error(&ask(format!("{id}:{twice}")), 401, "invalid_client");
    // Other letters are read as UTF-8; what they make is no secret here, and nothing breaks.
    for other in ["é", "%C3%A9", "%F0%9F%94%91", "€"] {
        expect_error(&ask(format!("{id}:{other}")), 401, "invalid_client");
    }
    let in_form = orders.client(&json!({ "token_endpoint_auth_method": "client_secret_post" }));
    let path = format!("/clients/{}/secrets/choose", in_form.client_id);
    orders
        .manage("POST", &path, &json!({ "value": SECRET }))
        .expect(201);
    let (id, encoded) = (&in_form.client_id, percent_encoded(SECRET));
    let form = format!("{GRANT}&client_id={id}&client_secret={encoded}");
    assert_eq!(orders.post("token", &[], &form).status, 200);
}

#[test]
fn rfc6749_5_2_a_401_names_the_scheme_and_nothing_but_authentication_is_401() {
    let orders = Orders::new();
    let wrong = Credentials {
        client_secret: "wrong".to_owned(),
        ..orders.machine.clone()
    };
    let challenge = |headers: &[(&str, &str)], form: &str| {
        let answer = orders.post("token", headers, form);
        expect_error(&answer, 401, "invalid_client");
        let challenges = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "www-authenticate");
        challenges
            .map(|(_, value)| value.clone())
            .collect::<Vec<_>>()
    };
    // RFC 7617 §2.1: which encoding the id and the secret are taken in.
    let basic_only = [r#"Basic realm="grantor", charset="UTF-8""#];
    assert_eq!(
        challenge(&[("authorization", &wrong.basic())], GRANT),
        basic_only
    );
    let form = format!("{GRANT}&client_id={}&client_secret=wrong", wrong.client_id);
    assert_eq!(challenge(&[], &form), basic_only);
    assert_eq!(challenge(&[], GRANT), basic_only);
    // Who is known gets 400 without a challenge, whatever else is wrong.
    for (form, error) in [
        ("", "invalid_request"),
        ("grant_type=password", "unsupported_grant_type"),
        (
            "grant_type=client_credentials&scope=no.such:scope",
            "invalid_scope",
        ),
    ] {
        expect_error(&orders.ask(form), 400, error);
    }
}
