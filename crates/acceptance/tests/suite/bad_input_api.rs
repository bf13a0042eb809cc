//! Whatever is sent to the management API, the answer is a clear problem and never a 500.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use grantor_acceptance::{World, raw_exchange};
use serde_json::{Value, json};

use crate::operations::{OPERATIONS, SUBJECT, Scene, expect_problem, without_request_id};

const UNKNOWN_TENANT: &str = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b";
const UNKNOWN_CLIENT: &str = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b";

/// A valid body with one field replaced.
fn client_with(field: &str, value: &Value) -> String {
    let mut body = json!({ "name": "Made", "profile": "service", "owner_contact": { "email": "ada@example.com" } });
    body[field] = value.clone();
    body.to_string()
}

fn pointers(problem: &Value) -> Vec<&str> {
    problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|fault| fault["pointer"].as_str())
        .collect()
}

#[test]
fn what_is_not_json_is_malformed_json() {
    let scene = Scene::new();
    let good = client_with("name", &json!("Made"));
    let cut = &good[..good.len() - 1];
    for body in [
        " ",
        "{",
        "}",
        "nul",
        "NaN",
        "'a'",
        "{\"name\"",
        "{\"name\":",
        "{\"name\":}",
        "{\"name\":\"x\",}",
        "{,}",
        "{name:1}",
        "{'name':'x'}",
        "\u{feff}{}",
        "// no\n{}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"\\udc00\\ud800\"}",
        "{\"name\":\"\\u12\"}",
        "{\"name\":\"\\x41\"}",
        "{\"name\":\"a\nb\"}",
        "{\"name\":\"\u{0}\"}",
        "{\"name\":\"open",
        "{\"access_token_lifetime_seconds\":01}",
        "{\"access_token_lifetime_seconds\":1.}",
        "{\"access_token_lifetime_seconds\":+1}",
        "{\"access_token_lifetime_seconds\":0x10}",
        "{\"access_token_lifetime_seconds\":--1}",
        cut,
        &format!("{good} x"),
        &format!("{good}{good}"),
        &format!("{good},"),
        &format!("{good}\u{0}"),
    ] {
        let answer = scene.create(body);
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.body);
        expect_problem(&scene.world, &answer, 400, "malformed-json");
    }
    let nothing = scene.world.http.send(
        "POST",
        &scene.url("/clients"),
        &[
            ("authorization", &scene.admin),
            ("content-type", "application/json"),
        ],
        b"",
    );
    expect_problem(&scene.world, &nothing, 400, "malformed-json");
}

#[test]
fn what_is_not_utf_8_is_malformed_json() {
    let scene = Scene::new();
    for bytes in [
        &b"\xff\xfe{\x00}\x00"[..],
        b"{\"name\":\"\xc3\x28\"}",
        b"{\"name\":\"\xed\xa0\x80\"}",
        b"{\"name\":\"\xf4\x90\x80\x80\"}",
        b"\x80",
    ] {
        let headers = [
            ("authorization", scene.admin.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = scene
            .world
            .http
            .send("POST", &scene.url("/clients"), &headers, bytes);
        expect_problem(&scene.world, &answer, 400, "malformed-json");
    }
}

#[test]
fn a_body_that_is_not_said_to_be_json_is_unsupported() {
    let scene = Scene::new();
    let rotate = format!("/clients/{}/secrets/rotate", scene.subject.client_id);
    let disable = format!("/clients/{}/disable", scene.subject.client_id);
    for (path, body) in [
        ("/clients", client_with("name", &json!("Made"))),
        (&rotate, json!({ "confirm_name": SUBJECT }).to_string()),
        (&disable, "{}".to_owned()),
    ] {
        for content_type in [
            "",
            "text/plain",
            "application/xml",
            "application/x-www-form-urlencoded",
            "application/merge-patch+json",
            "application/jsonx",
            "multipart/form-data; boundary=x",
            "garbage",
        ] {
            let mut headers = vec![("authorization", scene.admin.as_str())];
            if !content_type.is_empty() {
                headers.push(("content-type", content_type));
            }
            let answer = scene
                .world
                .http
                .send("POST", &scene.url(path), &headers, body.as_bytes());
            assert_eq!(answer.status, 415, "{path} {content_type}: {}", answer.body);
            expect_problem(&scene.world, &answer, 415, "unsupported-media-type");
        }
    }
    for content_type in [
        "application/json; charset=utf-8",
        "Application/JSON",
        "application/json ; charset=UTF-8",
    ] {
        let answer = scene.world.http.send(
            "POST",
            &scene.url("/clients"),
            &[
                ("authorization", &scene.admin),
                ("content-type", content_type),
            ],
            client_with("name", &json!("Made")).as_bytes(),
        );
        assert_eq!(answer.status, 201, "{content_type}: {}", answer.body);
    }
    let secret_still_good = scene
        .world
        .introspect(&scene.tenant.id, &scene.subject, "x");
    assert_eq!(secret_still_good.status, 200, "{}", secret_still_good.body);
}

#[test]
fn a_field_that_is_unknown_missing_or_double_is_named() {
    let scene = Scene::new();
    for (body, named) in [
        (client_with("nmae", &json!("x")), "nmae"),
        (client_with("id", &json!(UNKNOWN_CLIENT)), "id"),
        (client_with("type", &json!("public")), "type"),
        (
            client_with(
                "owner_contact",
                &json!({ "email": "a@b.example", "phone": "1" }),
            ),
            "phone",
        ),
        (
            r#"{"profile": "service", "owner_contact":{"email":"a@b.example"}}"#.to_owned(),
            "name",
        ),
        (r#"{"name":"x"}"#.to_owned(), "owner_contact"),
        (r#"{"name":"x","profile": "service", "owner_contact":{}}"#.to_owned(), "email"),
        ("{}".to_owned(), "name"),
        (
            r#"{"name":"x","name":"y","profile": "service", "owner_contact":{"email":"a@b.example"}}"#.to_owned(),
            "duplicate field `name`",
        ),
        (
            r#"{"name":"x","profile": "service", "owner_contact":{"email":"a@b.example","email":"c@d.example"}}"#
                .to_owned(),
            "duplicate field `email`",
        ),
    ] {
        let answer = scene.create(&body);
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert!(
            problem["detail"].as_str().unwrap().contains(named),
            "{body}: {problem}"
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_pointed_at() {
    let scene = Scene::new();
    for (field, value) in [
        ("name", json!(null)),
        ("name", json!(1)),
        ("name", json!(["x"])),
        ("name", json!({})),
        ("name", json!(true)),
        ("description", json!(null)),
        ("description", json!(1.5)),
        ("owner_contact", json!("a@b.example")),
        ("owner_contact", json!(null)),
        ("allowed_scopes", json!("orders.api:read")),
        ("allowed_scopes", json!({})),
        ("allowed_scopes", json!(null)),
        ("require_requested_scopes", json!("true")),
        ("require_requested_scopes", json!(1)),
        ("access_token_lifetime_seconds", json!("3600")),
        ("access_token_lifetime_seconds", json!(60.5)),
        ("access_token_lifetime_seconds", json!(null)),
        ("token_endpoint_auth_method", json!(7)),
    ] {
        let answer = scene.create(&client_with(field, &value));
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert_eq!(pointers(&problem), [format!("/{field}")], "{value}");
    }
    for (body, at) in [
        (
            client_with("owner_contact", &json!({ "email": 5 })),
            "/owner_contact/email",
        ),
        (
            client_with("allowed_scopes", &json!(["grantor:audit.read", 5])),
            "/allowed_scopes/1",
        ),
    ] {
        let problem = expect_problem(&scene.world, &scene.create(&body), 422, "invalid-field");
        assert_eq!(pointers(&problem), [at]);
    }
    for whole in ["[]", "\"text\"", "5", "true", "null", "[[]]"] {
        expect_problem(&scene.world, &scene.create(whole), 422, "invalid-field");
    }
}

#[test]
fn client_14_a_lifetime_out_of_bounds_is_pointed_at() {
    let scene = Scene::new();
    for number in [
        "0",
        "-0",
        "-1",
        "59",
        "86401",
        "2147483648",
        "4294967356",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551616",
        "-9223372036854775808",
        "1e99",
        "1e400",
        "-1e99",
        "3600.0",
        "60.000000000000001",
    ] {
        let body =
            client_with("access_token_lifetime_seconds", &json!(77_777)).replace("77777", number);
        let answer = scene.create(&body);
        assert!(
            matches!(answer.status, 400 | 422),
            "{number}: {} {}",
            answer.status,
            answer.body
        );
        if answer.status == 422 {
            let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
            assert_eq!(
                pointers(&problem),
                ["/access_token_lifetime_seconds"],
                "{number}"
            );
        } else {
            // What no number type can hold is told by the parser.
            expect_problem(&scene.world, &answer, 400, "malformed-json");
        }
    }
    for number in [60, 86_400] {
        let made = scene.create(&client_with(
            "access_token_lifetime_seconds",
            &json!(number),
        ));
        assert_eq!(
            made.expect(201)["access_token_lifetime_seconds"],
            json!(number)
        );
    }
}

#[test]
fn texts_that_are_too_long_or_could_deceive_are_pointed_at() {
    let scene = Scene::new();
    let long = |length: usize| json!("x".repeat(length));
    for (field, value) in [
        ("name", long(101)),
        ("name", long(60_000)),
        ("name", json!("")),
        ("name", json!("   ")),
        ("name", json!(" x")),
        ("name", json!("x\n")),
        ("name", json!("a\u{0}b")),
        ("name", json!("a\u{7}b")),
        ("name", json!("a\u{7f}b")),
        ("name", json!("a\u{85}b")),
        ("name", json!("a\u{202e}b")),
        ("name", json!("a\u{2066}b")),
        ("name", json!("a\u{200b}b")),
        ("name", json!("\u{feff}b")),
        ("name", json!("a\nb")),
        ("description", long(1_001)),
        ("description", json!("a\u{0}b")),
        ("description", json!("a\u{202e}b")),
        ("token_endpoint_auth_method", json!("none")),
        ("token_endpoint_auth_method", json!("client_secret_jwt")),
        ("token_endpoint_auth_method", json!("\u{0}")),
    ] {
        let answer = scene.create(&client_with(field, &value));
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert_eq!(pointers(&problem), [format!("/{field}")], "{value}");
    }
    for email in [
        "",
        "x",
        "@",
        "a@",
        "@b.example",
        "a b@c.example",
        "a@b@c.example",
        "a@b..example",
        "a@-b.example",
        "a\u{0}@b.example",
        "a@b.example\r\nBcc: c@d.example",
        "<a@b.example>",
    ] {
        let body = client_with("owner_contact", &json!({ "email": email }));
        let problem = expect_problem(&scene.world, &scene.create(&body), 422, "invalid-field");
        assert_eq!(pointers(&problem), ["/owner_contact/email"], "{email:?}");
    }
    for scope in ["", " ", "a b", "\"", "\\", "é", "\u{0}", &"x".repeat(129)] {
        let body = client_with("allowed_scopes", &json!([scope]));
        let problem = expect_problem(&scene.world, &scene.create(&body), 422, "invalid-field");
        assert_eq!(pointers(&problem), ["/allowed_scopes/0"], "{scope:?}");
    }
    let unknown = client_with("allowed_scopes", &json!(["no.such:scope"]));
    let problem = expect_problem(&scene.world, &scene.create(&unknown), 422, "invalid-field");
    assert_eq!(pointers(&problem), ["/allowed_scopes/0"]);
    let many: Vec<_> = (0..101).map(|number| format!("a.b:{number}")).collect();
    let problem = expect_problem(
        &scene.world,
        &scene.create(&client_with("allowed_scopes", &json!(many))),
        422,
        "invalid-field",
    );
    assert_eq!(pointers(&problem), ["/allowed_scopes"]);
    // What is merely unusual is taken.
    for name in [
        "x".repeat(100),
        "Ünïcödé 客户端 🚀".to_owned(),
        "Robert'); DROP TABLE clients;--".to_owned(),
    ] {
        let made = scene.create(&client_with("name", &json!(name))).expect(201);
        assert_eq!(made["name"], json!(name));
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let scene = Scene::new();
    let body = json!({ "name": "", "description": "\u{0}", "allowed_scopes": ["ok:ok", "not ok", ""],
        "profile": "service", "owner_contact": { "name": "", "email": "x" }, "access_token_lifetime_seconds": 0,
        "token_endpoint_auth_method": "none" });
    let answer = scene.create(&body.to_string());
    let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
    let mut told = pointers(&problem);
    told.sort_unstable();
    assert_eq!(
        told,
        [
            "/access_token_lifetime_seconds",
            "/allowed_scopes/1",
            "/allowed_scopes/2",
            "/description",
            "/name",
            "/owner_contact/email",
            "/owner_contact/name",
            "/token_endpoint_auth_method",
        ]
    );
    let operator = scene.world.as_operator();
    let answer = scene.world.http.post_json(
        &scene.world.api("/v1/tenants"),
        &[("authorization", &operator)],
        &json!({ "name": "", "owner": { "name": "\u{202e}", "email": "" } }),
    );
    let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
    assert_eq!(pointers(&problem), ["/name", "/owner/name", "/owner/email"]);
}

#[test]
fn the_reason_of_a_disabling_is_checked_and_nothing_is_disabled() {
    let scene = Scene::new();
    let path = format!("/clients/{}/disable", scene.subject.client_id);
    for (body, status) in [
        (json!({ "reason": "x".repeat(501) }).to_string(), 422),
        (json!({ "reason": "a\u{0}" }).to_string(), 422),
        (json!({ "reason": "" }).to_string(), 422),
        (json!({ "reason": 5 }).to_string(), 422),
        (json!({ "why": "x" }).to_string(), 422),
        ("[".to_owned(), 400),
    ] {
        let answer = scene.call("POST", &path, &body);
        assert_eq!(answer.status, status, "{body}: {}", answer.body);
    }
    let client = scene
        .call("GET", &format!("/clients/{}", scene.subject.client_id), "")
        .expect(200);
    assert_eq!(client["status"], "active");
}

#[test]
fn deep_and_wide_bodies_are_refused() {
    let scene = Scene::new();
    let deep = "[".repeat(10_000);
    let answer = scene.create(&deep);
    assert!(matches!(answer.status, 400 | 422), "{}", answer.body);
    for nested in [
        format!("{{\"name\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000)),
        format!(
            "{{\"other\":{}1{}}}",
            "{\"a\":".repeat(9_000),
            "}".repeat(9_000)
        ),
    ] {
        let answer = scene.create(&nested);
        assert!(matches!(answer.status, 400 | 422), "{}", answer.body);
        assert!(answer.body.len() < 2_000, "{}", answer.body.len());
    }
    let keys = |count: usize| {
        let keys: Vec<_> = (0..count)
            .map(|number| format!("\"k{number}\":0"))
            .collect();
        format!("{{{}}}", keys.join(","))
    };
    expect_problem(
        &scene.world,
        &scene.create(&keys(5_000)),
        422,
        "invalid-field",
    );
    expect_problem(
        &scene.world,
        &scene.create(&keys(100_000)),
        413,
        "too-large",
    );
    let name = "n".repeat(1024 * 1024);
    let body = client_with("name", &json!(name));
    expect_problem(&scene.world, &scene.create(&body), 413, "too-large");
    let long_key = format!("{{\"{}\":1}}", "k".repeat(60_000));
    let answer = scene.create(&long_key);
    expect_problem(&scene.world, &answer, 422, "invalid-field");
    assert!(answer.body.len() < 2_000, "a long name is not told in full");
}

/// Sends what the other side takes of a request, and reads one answer whether or not the connection closes.
fn first_answer(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // That the server closes before all has come is what is asked for.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    while !answer.ends_with(b"\"}") {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => break,
            Ok(length) => answer.extend_from_slice(&piece[..length]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn a_body_beyond_the_limit_is_answered_before_it_has_come() {
    let scene = Scene::new();
    let head = |framing: &str| {
        format!(
            "POST /v1/tenants/{}/clients HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\
             Content-Type: application/json\r\nConnection: close\r\n{framing}\r\n\r\n",
            scene.tenant.id, scene.admin
        )
    };
    // Ten gigabytes are announced and a hundredth of a percent comes: an answer means that nobody waited for the rest.
    let mut announced = head("Content-Length: 10737418240").into_bytes();
    announced.extend(vec![b'x'; 100 * 1024]);
    let mut chunked = head("Transfer-Encoding: chunked").into_bytes();
    chunked.extend(b"19000\r\n");
    chunked.extend(vec![b'x'; 0x19000]);
    chunked.extend(b"\r\n");
    let mut sent = head("Content-Length: 10485760").into_bytes();
    sent.extend(vec![b'x'; 10 * 1024 * 1024]);
    for request in [announced, chunked, sent] {
        let answer = first_answer(&scene.world.replica.api, &request);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer:?}");
        assert!(answer.contains("/problems/too-large"), "{answer}");
    }
}

#[test]
fn what_is_no_http_is_refused_and_the_server_lives_on() {
    let scene = Scene::new();
    for request in [
        &b"\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: \x00\r\nConnection: close\r\n\r\n",
        b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nabcdef",
        b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\nConnection: close\r\n\r\n",
        b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        b"POST /v1/tenants HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n",
    ] {
        let answer = raw_exchange(&scene.world.replica.api, request);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{:?}: {answer}",
            String::from_utf8_lossy(request)
        );
    }
    assert_eq!(scene.call("GET", "/clients", "").status, 200);
}

#[test]
fn parameters_that_an_operation_does_not_know_are_refused() {
    let scene = Scene::new();
    let Scene {
        world,
        tenant,
        subject,
        ..
    } = &scene;
    let operator = world.as_operator();
    for operation in &OPERATIONS {
        let authorization = if operation.is_for_operators() {
            &operator
        } else {
            &scene.admin
        };
        let path = operation.path(&tenant.id, &subject.client_id);
        let and = if operation.query.is_empty() { '?' } else { '&' };
        for (query, named) in [
            ("limti=5", "limti"),
            ("dry-run=true", "dry-run"),
            ("tenant=x", "tenant"),
            ("x=1&x=2", "x"),
            ("limit=%zz", "limit"),
            ("%ff=1", "UTF-8"),
            ("a=%00", "control"),
            ("=1", "name"),
        ] {
            let url = format!("{}{}{and}{query}", world.api(&path), operation.query);
            let mut headers = vec![("authorization", authorization.as_str())];
            if !operation.body.is_empty() {
                headers.push(("content-type", "application/json"));
            }
            let answer =
                world
                    .http
                    .send(operation.method, &url, &headers, operation.body.as_bytes());
            assert_eq!(answer.status, 422, "{operation} {query}: {}", answer.body);
            let problem = expect_problem(world, &answer, 422, "invalid-field");
            assert!(
                problem["detail"].as_str().unwrap().contains(named),
                "{operation} {query}: {problem}"
            );
        }
    }
    let client = scene
        .call("GET", &format!("/clients/{}", subject.client_id), "")
        .expect(200);
    assert_eq!(client["status"], "active", "nothing was done on the way");
    let clients = scene.call("GET", "/clients", "").expect(200);
    assert_eq!(clients["items"].as_array().unwrap().len(), 2);
}

#[test]
fn limits_of_lists_are_1_to_200() {
    let scene = Scene::new();
    let operator = scene.world.as_operator();
    for (url, authorization) in [
        (scene.world.api("/v1/tenants"), &operator),
        (scene.url("/clients"), &scene.admin),
        (scene.url("/audit-events"), &scene.admin),
    ] {
        for limit in [
            "0",
            "201",
            "abc",
            "-1",
            "1.5",
            "1e1",
            "99999999999999999999",
            "%20",
            "0x1",
            "١",
        ] {
            let answer = scene.world.http.get(
                &format!("{url}?limit={}", limit.replace('١', "%D9%A1")),
                &[("authorization", authorization)],
            );
            let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["parameter"], "limit", "{limit}");
        }
        for limit in ["1", "200"] {
            let answer = scene.world.http.get(
                &format!("{url}?limit={limit}"),
                &[("authorization", authorization)],
            );
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
}

#[test]
fn a_cursor_that_is_forged_or_of_another_list_is_invalid() {
    let scene = Scene::new();
    let world = &scene.world;
    let other = world.tenant("Globex");
    world.client(&other, "Theirs", &[]);
    let operator = world.as_operator();
    let others_admin = world.as_admin(&other);
    let cursor = |url: &str, authorization: &str| {
        let answer = world.http.get(
            &format!("{url}?limit=1"),
            &[("authorization", authorization)],
        );
        answer.text("/next_cursor")
    };
    let own = cursor(&scene.url("/clients"), &scene.admin);
    let events = cursor(&scene.url("/audit-events"), &scene.admin);
    let tenants = cursor(&world.api("/v1/tenants"), &operator);
    let theirs = cursor(
        &world.api(&format!("/v1/tenants/{}/clients", other.id)),
        &others_admin,
    );
    let mut flipped = own.clone().into_bytes();
    flipped[3] = if flipped[3] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for forged in [
        events.as_str(),
        &tenants,
        &theirs,
        &flipped,
        &own[1..],
        &own[..own.len() - 1],
        "A",
        "0",
        "null",
        "AAAAAAAAAAAAAAAAAAAAAA",
        "%25",
        &scene.subject.client_id,
        &"A".repeat(4_000),
    ] {
        let answer = scene.call("GET", &format!("/clients?cursor={forged}"), "");
        expect_problem(world, &answer, 400, "invalid-cursor");
    }
    let answer = scene.call("GET", &format!("/clients?cursor={own}"), "");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn tenant_1_any_id_that_is_not_ones_own_answers_like_one_that_never_existed() {
    let scene = Scene::new();
    let world = &scene.world;
    let other = world.tenant("Globex");
    let theirs = world.client(&other, SUBJECT, &[]);
    let organization = scene
        .call("GET", &format!("/clients/{}", scene.subject.client_id), "")
        .text("/organization_id");
    let subject = &scene.subject.client_id;
    let upper = subject.to_uppercase();
    let clients = [
        theirs.client_id.as_str(),
        &scene.tenant.id,
        &organization,
        &upper,
        &subject[..subject.len() - 1],
        &format!("{subject}0"),
        "x",
        "cli_",
        "cli_8zzzzzzzzzzzzzzzzzzzzzzzzz",
        "0",
        "-1",
        "null",
        "..%2F..",
        "%2e%2e",
        "%00",
        "%FF",
        "%F0%9F%98%80",
        "%20",
        "'",
        "%27%20OR%201=1--",
        "{client}",
        &"x".repeat(5_000),
    ];
    let tenants = [
        other.id.as_str(),
        &world.platform_id,
        subject,
        &scene.tenant.id[..20],
        "x",
        "ten_",
        "0",
        "%00",
        "%FF",
        "{tenant}",
        &"x".repeat(5_000),
    ];
    for operation in OPERATIONS
        .iter()
        .filter(|operation| !operation.is_for_operators())
    {
        let unknown_tenant = operation.call(world, UNKNOWN_TENANT, UNKNOWN_CLIENT, &scene.admin);
        expect_problem(world, &unknown_tenant, 404, "not-found");
        for tenant in tenants {
            let answer = operation.call(world, tenant, subject, &scene.admin);
            assert_eq!(
                without_request_id(&answer),
                without_request_id(&unknown_tenant),
                "{operation} in {tenant}"
            );
        }
        if operation.pattern.contains("{client}") {
            let unknown = operation.call(world, &scene.tenant.id, UNKNOWN_CLIENT, &scene.admin);
            assert_eq!(
                without_request_id(&unknown),
                without_request_id(&unknown_tenant),
                "{operation}"
            );
            for client in clients {
                let answer = operation.call(world, &scene.tenant.id, client, &scene.admin);
                assert_eq!(
                    without_request_id(&answer),
                    without_request_id(&unknown),
                    "{operation} on {client}"
                );
            }
        }
    }
    let operator = world.as_operator();
    let read = &OPERATIONS[2];
    let unknown = read.call(world, UNKNOWN_TENANT, "", &operator);
    expect_problem(world, &unknown, 404, "not-found");
    for tenant in [subject.as_str(), "x", "%00", "%FF", &scene.tenant.id[..20]] {
        let answer = read.call(world, tenant, "", &operator);
        assert_eq!(without_request_id(&answer), without_request_id(&unknown));
    }
    for other in [&other.id, &world.platform_id, UNKNOWN_TENANT] {
        let answer = read.call(world, other, "", &scene.admin);
        assert_eq!(without_request_id(&answer), without_request_id(&unknown));
    }
    assert_eq!(
        world.introspect(&other.id, &theirs, "x").status,
        200,
        "the other tenant's client was not touched"
    );
}

#[test]
fn a_method_that_is_not_offered_is_405_with_those_that_are() {
    let scene = Scene::new();
    for (path, allowed) in [
        ("/v1/tenants".to_owned(), "GET, POST"),
        (
            format!("/v1/tenants/{}", scene.tenant.id),
            "DELETE, GET, PATCH",
        ),
        (
            format!("/v1/tenants/{}/clients", scene.tenant.id),
            "GET, POST",
        ),
        (
            format!("/v1/tenants/{}/clients/{UNKNOWN_CLIENT}", scene.tenant.id),
            "DELETE, GET, PATCH, PUT",
        ),
        (
            format!("/v1/tenants/{}/clients/x/disable", scene.tenant.id),
            "POST",
        ),
        (
            format!("/v1/tenants/{}/clients/x/secrets/rotate", scene.tenant.id),
            "POST",
        ),
        (
            format!("/v1/tenants/{}/audit-events", scene.tenant.id),
            "GET",
        ),
    ] {
        for method in [
            "GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "FROB",
        ] {
            if allowed.contains(method) {
                continue;
            }
            let answer = scene.world.http.send(
                method,
                &scene.world.api(&path),
                &[("authorization", &scene.admin)],
                b"",
            );
            assert_eq!(answer.status, 405, "{method} {path}: {}", answer.body);
            expect_problem(&scene.world, &answer, 405, "method-not-allowed");
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
    }
}

#[test]
fn a_path_that_is_not_offered_is_404() {
    let scene = Scene::new();
    for path in [
        "/",
        "/v1",
        "/v2/tenants",
        "/v1/tenants/",
        "//v1/tenants",
        "/V1/tenants",
        "/v1/clients",
        "/v1/tenants/../tenants",
        "/v1/tenants%2F",
        "/v1/tenants/a/b/c/d/e/f",
        "/metrics",
        "/healthz",
        "/%00",
        "/%",
        "/%zz",
        "/.env",
    ] {
        let answer = scene
            .world
            .http
            .get(&scene.world.api(path), &[("authorization", &scene.admin)]);
        assert_eq!(answer.status, 404, "{path}: {}", answer.body);
        expect_problem(&scene.world, &answer, 404, "not-found");
    }
}

#[test]
fn client_7_secret_3_without_the_name_typed_nothing_changes() {
    let scene = Scene::new();
    let path = format!("/clients/{}", scene.subject.client_id);
    let rotate = format!("{path}/secrets/rotate");
    let before = scene.call("GET", &path, "").body;
    let events = scene.events().len();
    for typed in [
        "",
        "?confirm_name=",
        "?confirm_name=subject",
        "?confirm_name=Subject%20",
        "?confirm_name=Subj",
    ] {
        let answer = scene.call("DELETE", &format!("{path}{typed}"), "");
        let is_missing = typed.is_empty() || typed.ends_with('=');
        let code = if is_missing {
            "invalid-field"
        } else {
            "confirmation-mismatch"
        };
        let problem = expect_problem(&scene.world, &answer, 422, code);
        assert_eq!(problem["errors"][0]["parameter"], "confirm_name");
    }
    for typed in ["", "subject", "Subject ", "Ѕubject", "Administration"] {
        let answer = scene.call(
            "POST",
            &rotate,
            &json!({ "confirm_name": typed }).to_string(),
        );
        let problem = expect_problem(&scene.world, &answer, 422, "confirmation-mismatch");
        assert_eq!(problem["errors"][0]["pointer"], "/confirm_name");
        assert!(!answer.body.contains("gsec_"));
    }
    for body in [
        "{}",
        "{\"confirm_name\":null}",
        "{\"confirm_name\":[\"Subject\"]}",
    ] {
        expect_problem(
            &scene.world,
            &scene.call("POST", &rotate, body),
            422,
            "invalid-field",
        );
    }
    assert_eq!(scene.call("GET", &path, "").body, before);
    assert_eq!(scene.events().len(), events, "no event was left");
    assert_eq!(
        scene
            .world
            .introspect(&scene.tenant.id, &scene.subject, "x")
            .status,
        200,
        "the secret is still good"
    );
}

#[test]
fn the_callers_request_id_is_kept_only_if_it_has_the_shape_of_one() {
    let world = World::new();
    let ask = |id: &str| {
        world
            .http
            .get(&world.api("/v1/tenants"), &[("x-request-id", id)])
    };
    let kept = ask("caller-chosen-1");
    let problem = expect_problem(&world, &kept, 401, "unauthenticated");
    assert_eq!(problem["request_id"], "caller-chosen-1");
    for bad in [
        "short",
        "has space in it",
        "quote\"quote\"",
        &"x".repeat(65),
    ] {
        let answer = ask(bad);
        expect_problem(&world, &answer, 401, "unauthenticated");
        assert_ne!(answer.header("x-request-id"), Some(bad));
    }
}
