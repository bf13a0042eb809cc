//! RFC 8414, and OpenID Connect Discovery as far as it says the same: what an issuer says of itself is true.

use grantor_acceptance::{Answer, Credentials};
use serde_json::{Value, json};

use crate::oauth::{GRANT, Orders, expect_error};
use crate::tokens::{jwks, verified};

/// Every method that a client can be registered for.
const METHODS: [&str; 3] = ["client_secret_basic", "client_secret_post", "none"];

fn metadata(orders: &Orders) -> Value {
    let url = orders
        .world
        .endpoint(&orders.tenant.id, ".well-known/openid-configuration");
    orders.world.http.get(&url, &[]).expect(200)
}

#[test]
fn rfc8414_3_both_places_tell_the_same_and_the_issuer_is_the_same_everywhere() {
    let orders = Orders::new();
    let world = &orders.world;
    let get = |path: &str| {
        world
            .http
            .get(&format!("{}{path}", world.replica.token), &[])
    };
    let tenant = &orders.tenant.id;
    let openid = get(&format!("/t/{tenant}/.well-known/openid-configuration"));
    let oauth = get(&format!(
        "/.well-known/oauth-authorization-server/t/{tenant}"
    ));
    assert_eq!(openid.status, 200);
    assert_eq!(openid.body, oauth.body);
    assert_eq!(openid.header("content-type"), Some("application/json"));
    let issuer = &orders.tenant.issuer;
    let methods = json!(["client_secret_basic", "client_secret_post"]);
    assert_eq!(
        openid.json(),
        json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/jwks"),
            "token_endpoint": format!("{issuer}/token"),
            "introspection_endpoint": format!("{issuer}/introspect"),
            "revocation_endpoint": format!("{issuer}/revoke"),
            "response_types_supported": [], "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": methods,
            "introspection_endpoint_auth_methods_supported": methods,
            "revocation_endpoint_auth_methods_supported":
                ["client_secret_basic", "client_secret_post", "none"] })
    );
    let token = orders.token("orders.api:read");
    let (_, claims) = verified(&token, &jwks(&orders).json()).unwrap();
    let told = world.introspect(tenant, &orders.checker, &token).json();
    assert_eq!(
        (&claims["iss"], &told["iss"]),
        (&json!(issuer), &json!(issuer))
    );
}

#[test]
fn rfc8414_3_3_the_issuer_is_the_one_that_was_asked_for_whoever_calls_it_otherwise() {
    let orders = Orders::new();
    let Orders { world, tenant, .. } = &orders;
    let other = world.tenant("Globex");
    for (id, issuer) in [
        (&tenant.id, &tenant.issuer),
        (&other.id, &other.issuer),
        (&world.platform_id, &world.platform_issuer),
    ] {
        let url = world.endpoint(id, ".well-known/openid-configuration");
        // What a request says of the host is no reason to say something else.
        for headers in [
            &[][..],
            &[("host", "evil.example")],
            &[
                ("x-forwarded-host", "evil.example"),
                ("x-forwarded-proto", "http"),
            ],
            &[("forwarded", "host=evil.example;proto=http")],
        ] {
            let answer = world.http.get(&url, headers);
            assert!(!answer.body.contains("evil"), "{}", answer.body);
            let told = answer.expect(200);
            assert_eq!(&told["issuer"], issuer);
            for (name, value) in told.as_object().unwrap() {
                if name.ends_with("_endpoint") || name == "jwks_uri" {
                    let value = value.as_str().unwrap();
                    assert!(value.starts_with(&format!("{issuer}/")), "{name}: {value}");
                }
            }
        }
    }
    // The management API says the same of it.
    let url = world.api(&format!("/v1/tenants/{}", tenant.id));
    let operator = world.as_operator();
    let shown = world.http.get(&url, &[("authorization", &operator)]);
    assert_eq!(shown.text("/issuer"), tenant.issuer);
    let path = format!("/clients/{}/endpoints", orders.machine.client_id);
    let flows = orders.manage("GET", &path, &Value::Null).expect(200);
    let told = metadata(&orders);
    for name in [
        "issuer",
        "token_endpoint",
        "introspection_endpoint",
        "revocation_endpoint",
        "jwks_uri",
    ] {
        assert_eq!(flows[name], told[name], "{name}");
    }
    assert_eq!(
        flows["openid_configuration"],
        format!("{}/.well-known/openid-configuration", tenant.issuer)
    );
    assert_eq!(
        flows["oauth_metadata"],
        tenant
            .issuer
            .replace("/t/", "/.well-known/oauth-authorization-server/t/")
    );
}

#[test]
fn rfc8414_3_1_it_stands_at_the_two_places_and_at_no_other() {
    let orders = Orders::new();
    let tenant = &orders.tenant.id;
    for elsewhere in [
        "/.well-known/oauth-authorization-server".to_owned(),
        "/.well-known/oauth-authorization-server/".to_owned(),
        "/.well-known/openid-configuration".to_owned(),
        format!("/.well-known/oauth-authorization-server/{tenant}"),
        format!("/.well-known/oauth-authorization-server/t/{tenant}/"),
        format!("/t/{tenant}/.well-known/oauth-authorization-server"),
        format!("/t/{tenant}/.well-known"),
    ] {
        let url = format!("{}{elsewhere}", orders.world.replica.token);
        expect_error(&orders.world.http.get(&url, &[]), 404, "invalid_request");
    }
}

/// A client that is registered for a method; a public one has no secret.
fn registered_for(orders: &Orders, method: &str) -> Credentials {
    if method != "none" {
        return orders.client(&json!({ "token_endpoint_auth_method": method }));
    }
    let body = json!({ "name": "In a browser", "profile": "spa", "redirect_uris": ["https://app.example/back"],
        "owner_contact": { "email": "ada@example.com" }, "allowed_scopes": ["orders.api:read"] });
    let made = orders.manage("POST", "/clients", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["token_endpoint_auth_method"], "none");
    Credentials {
        client_id: made.text("/id"),
        client_secret: "it-has-none".to_owned(),
    }
}

fn present(orders: &Orders, endpoint: &str, by: &Credentials, method: &str) -> Answer {
    let form = if endpoint == "token" {
        GRANT
    } else {
        "token=x"
    };
    let Credentials {
        client_id,
        client_secret,
    } = by;
    match method {
        "client_secret_basic" => orders.post_as(by, endpoint, form),
        "client_secret_post" => {
            let form = format!("{form}&client_id={client_id}&client_secret={client_secret}");
            orders.post(endpoint, &[], &form)
        }
        _ => orders.post(endpoint, &[], &format!("{form}&client_id={client_id}")),
    }
}

#[test]
fn rfc8414_2_each_advertised_method_of_authentication_works_and_no_other() {
    let orders = Orders::new();
    let told = metadata(&orders);
    for method in METHODS {
        let client = registered_for(&orders, method);
        for (endpoint, name) in [
            ("token", "token"),
            ("introspect", "introspection"),
            ("revoke", "revocation"),
        ] {
            let list = &told[format!("{name}_endpoint_auth_methods_supported")];
            let is_advertised = list.as_array().unwrap().contains(&json!(method));
            let answer = present(&orders, endpoint, &client, method);
            if is_advertised {
                assert_eq!(
                    answer.status, 200,
                    "{method} at {endpoint}: {}",
                    answer.body
                );
            } else {
                expect_error(&answer, 401, "invalid_client");
            }
            // By another method than one's own nobody gets in, advertised or not.
            for other in METHODS.iter().filter(|other| **other != method) {
                let answer = present(&orders, endpoint, &client, other);
                expect_error(&answer, 401, "invalid_client");
            }
        }
    }
}

#[test]
fn rfc8414_2_each_advertised_grant_works_and_no_other() {
    let orders = Orders::new();
    let told = metadata(&orders);
    let advertised = told["grant_types_supported"].as_array().unwrap();
    for grant in [
        "client_credentials",
        "authorization_code",
        "refresh_token",
        "password",
        "implicit",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:token-exchange",
    ] {
        let answer = orders.ask(&format!("grant_type={grant}&scope=orders.api:read"));
        if advertised.contains(&json!(grant)) {
            assert_eq!(answer.status, 200, "{grant}: {}", answer.body);
        } else {
            expect_error(&answer, 400, "unsupported_grant_type");
        }
    }
}

#[test]
fn rfc8414_2_each_advertised_endpoint_is_there_and_no_other() {
    let orders = Orders::new();
    let told = metadata(&orders);
    let base = orders
        .world
        .replica
        .settings
        .issuer_base
        .as_str()
        .to_owned();
    for name in [
        "authorize",
        "token",
        "introspect",
        "revoke",
        "userinfo",
        "jwks",
        "logout",
        "register",
        "par",
        "device",
    ] {
        let url = format!("{}/{name}", orders.tenant.issuer);
        let mut members = told.as_object().unwrap().iter();
        let member = members.find(|(_, value)| value.as_str() == Some(&url));
        let here = url.replace(&base, &orders.world.replica.token);
        let answer = orders.world.http.get(&here, &[]);
        match member {
            Some((member, _)) if member == "jwks_uri" => assert_eq!(answer.status, 200),
            Some((member, _)) => assert_eq!(answer.status, 405, "{member}"),
            None => assert_eq!(answer.status, 404, "{name}"),
        }
    }
    assert_eq!(
        told["response_types_supported"],
        json!([]),
        "there is nothing to authorize at"
    );
}
