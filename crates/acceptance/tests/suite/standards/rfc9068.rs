//! RFC 9068: signed access tokens, as an API sees them that verifies them by the published keys. Other algorithms than
//! ES256 are in `signing_algorithms`.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_acceptance::World;
use serde_json::{Value, json};

use crate::oauth::Orders;
use crate::operations::expect_problem;
use crate::tokens::{decoded, jwks, verified};

#[test]
fn rfc9068_2_a_token_has_the_type_the_claims_and_a_signature_that_verifies() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read orders.api:write");
    let keys = jwks(&orders);
    assert_eq!(keys.header("content-type"), Some("application/json"));
    let (header, mut claims) = verified(&token, &keys.json()).unwrap();
    assert_eq!(header["typ"], "at+jwt");
    assert_eq!(header["alg"], "ES256");
    assert_eq!(
        header.as_object().unwrap().len(),
        3,
        "typ, alg and kid: {header}"
    );
    assert!(
        claims["jti"].as_str().unwrap().starts_with("tok_"),
        "{claims}"
    );
    claims["jti"] = json!("(jti)");
    let now = orders.world.now().timestamp();
    let client = &orders.machine.client_id;
    let path = format!("/v1/tenants/{}/clients/{client}", orders.tenant.id);
    let admin = orders.world.as_admin(&orders.tenant);
    let headers = [("authorization", admin.as_str())];
    let home = orders.world.http.get(&orders.world.api(&path), &headers);
    assert_eq!(
        claims,
        json!({ "iss": orders.tenant.issuer, "aud": "https://orders.example", "sub": client,
            "client_id": client, "iat": now, "exp": now + 3_600, "jti": "(jti)",
            "scope": "orders.api:read orders.api:write", "tenant": orders.tenant.id,
            "organizations": [home.text("/organization_id")] })
    );
    let again = orders.token("orders.api:read");
    let (_, second) = verified(&again, &keys.json()).unwrap();
    assert_ne!(again, token);
    assert_ne!(second["jti"], "(jti)");
    // The verification above can fail.
    let (head, signature) = token.rsplit_once('.').unwrap();
    assert!(
        verified(
            &format!("{head}.{}", again.rsplit_once('.').unwrap().1),
            &keys.json()
        )
        .is_none()
    );
    assert!(verified(&format!("{head}.{signature}"), &json!({ "keys": [] })).is_none());
}

#[test]
fn rfc9068_3_a_token_for_two_resource_servers_names_both() {
    let orders = Orders::new();
    let client =
        orders.client(&json!({ "allowed_scopes": ["orders.api:read", "grantor:clients.read"] }));
    let token = orders.world.token(
        &orders.tenant.id,
        &client,
        "orders.api:read grantor:clients.read",
    );
    let (_, claims) = verified(&token, &jwks(&orders).json()).unwrap();
    let mut audiences: Vec<_> = claims["aud"]
        .as_array()
        .unwrap()
        .iter()
        .map(Value::to_string)
        .collect();
    audiences.sort();
    assert_eq!(
        audiences,
        ["\"https://orders.example\"", "\"urn:grantor:api\""]
    );
    assert!(orders.is_active(&token));
}

#[test]
fn rfc9068_2_1_the_algorithm_is_never_none() {
    let orders = Orders::new();
    let world = &orders.world;
    let admin = world.as_admin(&orders.tenant);
    let url = world.api(&format!("/v1/tenants/{}/clients", orders.tenant.id));
    let (for_orders, for_the_api) = (
        orders.token("orders.api:read"),
        admin.trim_start_matches("Bearer ").to_owned(),
    );
    for algorithm in ["none", "None", "NONE", "nOnE", "HS256", ""] {
        let header =
            URL_SAFE_NO_PAD.encode(json!({ "typ": "at+jwt", "alg": algorithm }).to_string());
        for token in [&for_orders, &for_the_api] {
            let [_, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
                panic!("not signed: {token}")
            };
            for forged in [
                format!("{header}.{claims}."),
                format!("{header}.{claims}.{signature}"),
            ] {
                assert!(!orders.is_active(&forged), "{algorithm}");
                let by = World::bearer(&forged);
                let refused = world.http.get(&url, &[("authorization", &by)]);
                expect_problem(world, &refused, 401, "unauthenticated");
            }
        }
    }
    // Nor is any of the keys good for it, and each says its one algorithm.
    for key in jwks(&orders).json()["keys"].as_array().unwrap() {
        let algorithm = key["alg"].as_str().unwrap();
        assert!(
            ["ES256", "EdDSA", "RS256"].contains(&algorithm),
            "{algorithm}"
        );
    }
}

#[test]
fn rfc9068_2_2_no_two_tokens_share_an_id_and_each_is_found_by_its_own() {
    let orders = Orders::new();
    let mut ids = BTreeSet::new();
    for _ in 0..20 {
        let token = orders.token("orders.api:read");
        let claims: Value =
            serde_json::from_slice(&decoded(token.split('.').nth(1).unwrap())).unwrap();
        let told = orders
            .world
            .introspect(&orders.tenant.id, &orders.checker, &token);
        assert_eq!(told.expect(200)["jti"], claims["jti"]);
        ids.insert(claims["jti"].as_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 20);
}

#[test]
fn rfc9068_4_a_token_for_another_audience_opens_nothing() {
    let orders = Orders::new();
    let Orders { world, tenant, .. } = &orders;
    let token = orders.token("orders.api:read");
    let by = World::bearer(&token);
    for path in [
        "/v1/me".to_owned(),
        format!("/v1/tenants/{}/clients", tenant.id),
    ] {
        let refused = world.http.get(&world.api(&path), &[("authorization", &by)]);
        expect_problem(world, &refused, 401, "unauthenticated");
    }
    // And one for the management API is nothing to the orders API.
    let for_the_api = world.token(&tenant.id, &tenant.admin, "grantor:clients.read");
    assert!(!orders.is_active(&for_the_api));
    assert!(orders.is_active(&token));
}
