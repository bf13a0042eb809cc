//! RFC 6749 at the token endpoint: what requests and answers look like. How clients say who they are is in
//! `authentication`.

mod authentication;

use chrono::TimeDelta;
use serde_json::json;

use crate::oauth::{ENDPOINTS, GRANT, Orders, expect_error};

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
fn rfc6749_3_3_a_changed_scope_is_told() {
    let orders = Orders::new();
    for (asked, told) in [
        ("orders.api:read", "orders.api:read"),
        (
            "orders.api:write+orders.api:read",
            "orders.api:read orders.api:write",
        ),
        ("orders.api:read+orders.api:read", "orders.api:read"),
    ] {
        let answer = orders.ask(&format!("grant_type=client_credentials&scope={asked}"));
        assert_eq!(answer.text("/scope"), told);
    }
    // Whoever may leave it out is told what that came to, whatever was changed since.
    let spared = orders.client(&json!({ "require_requested_scopes": false }));
    let unnamed = || {
        let form = "grant_type=client_credentials";
        orders.post_as(&spared, "token", form).text("/scope")
    };
    assert_eq!(unnamed(), "orders.api:read orders.api:write");
    let path = format!("/clients/{}", spared.client_id);
    let fewer = json!({ "allowed_scopes": ["orders.api:write"] });
    orders.manage("PATCH", &path, &fewer).expect(200);
    assert_eq!(unnamed(), "orders.api:write");
}

#[test]
fn rfc6749_4_4_3_no_refresh_token_comes_with_a_machines_token() {
    let orders = Orders::new();
    let renewing = orders.client(
        &json!({ "profile": "web", "redirect_uris": ["https://app.example/back"],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"] }),
    );
    let answer = orders.post_as(&renewing, "token", GRANT).expect(200);
    let members: Vec<_> = answer.as_object().unwrap().keys().collect();
    assert_eq!(
        members,
        ["access_token", "token_type", "expires_in", "scope"]
    );
}

#[test]
fn rfc6749_5_2_a_client_without_the_grant_is_unauthorized_client() {
    let orders = Orders::new();
    let signs_in = orders.client(
        &json!({ "profile": "web", "redirect_uris": ["https://app.example/back"],
        "grant_types": ["authorization_code"] }),
    );
    let answer = orders.post_as(&signs_in, "token", GRANT);
    expect_error(&answer, 400, "unauthorized_client");
    let path = format!("/clients/{}", signs_in.client_id);
    let both = json!({ "grant_types": ["authorization_code", "client_credentials"] });
    orders.manage("PATCH", &path, &both).expect(200);
    assert_eq!(orders.post_as(&signs_in, "token", GRANT).status, 200);
}

#[test]
fn rfc6749_5_1_expires_in_is_when_it_ends() {
    let orders = Orders::new();
    let answer = orders.ask(GRANT);
    let (token, lives) = (
        answer.text("/access_token"),
        answer.json()["expires_in"].as_i64().unwrap(),
    );
    orders.world.advance(TimeDelta::seconds(lives - 1));
    assert!(orders.is_active(&token));
    orders.world.advance(TimeDelta::seconds(1));
    assert!(!orders.is_active(&token));
}
