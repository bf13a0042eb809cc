//! Tokens as others see them: verified by the published keys, introspected, revoked, and got by a real client library.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Answer, Credentials, Replica, World};
use grantor_domain::ids::TenantId;
use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, ClientId, ClientSecret, HttpRequest, HttpResponse, IntrospectionUrl,
    RevocationUrl, Scope, StandardRevocableToken, TokenIntrospectionResponse as _,
    TokenResponse as _, TokenUrl,
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::oauth::{Orders, expect_error};

fn decoded(part: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(part).unwrap()
}

/// Verifies an ES256 token against a JWK set as any resource server would; tells its header and claims.
pub fn verified(token: &str, jwks: &Value) -> Option<(Value, Value)> {
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        return None;
    };
    let told: Value = serde_json::from_slice(&decoded(header)).unwrap();
    let key = jwks["keys"]
        .as_array()
        .unwrap()
        .iter()
        .find(|key| key["kid"] == told["kid"])?;
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (
            &json!("EC"),
            &json!("P-256"),
            &json!("ES256"),
            &json!("sig")
        )
    );
    assert!(key.get("d").is_none(), "no private part is published");
    let point = [
        vec![4],
        decoded(key["x"].as_str().unwrap()),
        decoded(key["y"].as_str().unwrap()),
    ]
    .concat();
    let message = format!("{header}.{claims}");
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
        .verify(message.as_bytes(), &decoded(signature))
        .ok()?;
    Some((told, serde_json::from_slice(&decoded(claims)).unwrap()))
}

fn jwks(orders: &Orders) -> Answer {
    orders
        .world
        .http
        .get(&orders.world.endpoint(&orders.tenant.id, "jwks"), &[])
}

fn is_active(orders: &Orders, token: &str) -> bool {
    orders
        .world
        .is_active(&orders.tenant.id, &orders.checker, token)
}

#[track_caller]
fn expect_inactive(orders: &Orders, by: &Credentials, token: &str) {
    let answer = orders.world.introspect(&orders.tenant.id, by, token);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body, r#"{"active":false}"#, "{token}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

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
    assert!(is_active(&orders, &token));
}

#[test]
fn rfc7662_2_2_an_active_token_is_told_with_all_that_it_is_good_for() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let (_, claims) = verified(&token, &jwks(&orders).json()).unwrap();
    let answer = orders
        .world
        .introspect(&orders.tenant.id, &orders.checker, &token);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let told = answer.expect(200);
    let mut expected = claims.clone();
    expected["active"] = json!(true);
    expected["token_type"] = json!("Bearer");
    assert_eq!(told, expected, "introspection and token agree");
    for hint in ["access_token", "refresh_token", "nonsense", ""] {
        let form = format!("token={token}&token_type_hint={hint}");
        let answer = orders.post(
            "introspect",
            &[("authorization", &orders.checker.basic())],
            &form,
        );
        assert_eq!(answer.json()["active"], true, "{hint}");
    }
}

#[test]
fn rfc7662_2_2_of_a_token_that_is_not_good_nothing_else_is_told() {
    let orders = Orders::new();
    let world = &orders.world;
    let other = world.tenant("Globex");
    let theirs = world.token(&other.id, &other.admin, "grantor:clients.read");
    let for_the_api = world.token(
        &orders.tenant.id,
        &orders.tenant.admin,
        "grantor:clients.read",
    );
    let good = orders.token("orders.api:read");
    let second = orders.token("orders.api:write");
    let revoked = orders.token("orders.api:read");
    assert_eq!(
        world
            .revoke(&orders.tenant.id, &orders.machine, &revoked)
            .status,
        200
    );

    let parts: Vec<&str> = good.split('.').collect();
    let (header, claims, signature) = (parts[0], parts[1], parts[2]);
    let altered = |from: &str, to: &str| {
        let text = String::from_utf8(decoded(claims)).unwrap();
        assert!(text.contains(from), "{text}");
        URL_SAFE_NO_PAD.encode(text.replace(from, to))
    };
    let none = URL_SAFE_NO_PAD.encode(r#"{"typ":"at+jwt","alg":"none"}"#);
    let mut flipped = decoded(signature);
    flipped[40] ^= 1;
    let flipped = URL_SAFE_NO_PAD.encode(flipped);
    for token in [
        "x".to_owned(),
        "a.b.c".to_owned(),
        "...".to_owned(),
        "e30.e30.e30".to_owned(),
        orders.machine.client_secret.clone(),
        theirs,
        for_the_api,
        revoked,
        format!("{header}.{claims}.{flipped}"),
        format!("{header}.{claims}.{}", second.rsplit('.').next().unwrap()),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{good}."),
        format!("{good}="),
        format!("{good}A"),
        format!("%20{good}"),
        format!("{good}%20"),
        format!("Bearer%20{good}"),
        good.to_uppercase(),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        format!(
            "{header}.{}.{signature}",
            altered("orders.api:read", "orders.api:write")
        ),
        format!(
            "{header}.{}.{signature}",
            altered(&orders.tenant.id, &other.id)
        ),
        format!(
            "{header}.{}.{signature}",
            altered(&orders.machine.client_id, &orders.checker.client_id)
        ),
        format!("{none}.{}.", altered("\"exp\":1", "\"exp\":9")),
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode("\0")),
        format!(
            "{header}.{}.{signature}",
            URL_SAFE_NO_PAD.encode("[".repeat(5_000))
        ),
    ] {
        expect_inactive(&orders, &orders.checker, &token);
    }
    // RFC 7662 §2.2: whom no resource server of the audience names gets the same.
    for by in [&orders.machine, &orders.tenant.admin] {
        expect_inactive(&orders, by, &good);
    }
    assert!(is_active(&orders, &good));
    world.advance(TimeDelta::seconds(3_599));
    assert!(is_active(&orders, &good));
    world.advance(TimeDelta::seconds(1));
    expect_inactive(&orders, &orders.checker, &good);
}

#[test]
fn rfc7662_2_1_only_authorized_callers_introspect() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let form = format!("token={token}");
    expect_error(
        &orders.post("introspect", &[], &form),
        401,
        "invalid_client",
    );
    let bearer = World::bearer(&token);
    let answer = orders.post("introspect", &[("authorization", &bearer)], &form);
    expect_error(&answer, 401, "invalid_client");
}

#[test]
fn rfc7009_2_one_revokes_ones_own_tokens_alone() {
    let orders = Orders::new();
    let world = &orders.world;
    let revoke = |by: &Credentials, form: &str| {
        orders.post("revoke", &[("authorization", &by.basic())], form)
    };
    let token = orders.token("orders.api:read");
    let sibling = orders.token("orders.api:read");
    // Another client's, even of one that may introspect it, is refused and stays good.
    expect_error(
        &revoke(&orders.checker, &format!("token={token}")),
        400,
        "invalid_request",
    );
    expect_error(
        &revoke(&orders.tenant.admin, &format!("token={token}")),
        400,
        "invalid_request",
    );
    expect_error(
        &orders.post("revoke", &[], &format!("token={token}")),
        401,
        "invalid_client",
    );
    assert!(is_active(&orders, &token));
    // One of another tenant does not exist.
    let other = world.tenant("Globex");
    let theirs = world.token(&other.id, &other.admin, "grantor:clients.read");
    assert_eq!(
        revoke(&orders.machine, &format!("token={theirs}")).status,
        200
    );
    let called = world.http.get(
        &world.api(&format!("/v1/tenants/{}/clients", other.id)),
        &[("authorization", &World::bearer(&theirs))],
    );
    assert_eq!(called.status, 200, "it lives on");
    for unknown in [
        "x",
        "a.b.c",
        "e30.e30.e30",
        &format!("{token}x"),
        &orders.machine.client_secret,
    ] {
        let answer = revoke(&orders.machine, &format!("token={unknown}"));
        assert_eq!(answer.status, 200, "{unknown}: {}", answer.body);
    }
    assert!(is_active(&orders, &token));
    // A wrong hint is searched past, and a second time is no error.
    for hint in [
        "&token_type_hint=refresh_token",
        "&token_type_hint=nonsense",
        "",
    ] {
        let answer = revoke(&orders.machine, &format!("token={token}{hint}"));
        assert_eq!(answer.status, 200, "{}", answer.body);
        expect_inactive(&orders, &orders.checker, &token);
    }
    assert!(is_active(&orders, &sibling), "and no other token with it");
    let replica = world.another_replica();
    let answer = world.http.post_form(
        &format!("{}/t/{}/introspect", replica.token, orders.tenant.id),
        &[("authorization", &orders.checker.basic())],
        &format!("token={token}"),
    );
    assert_eq!(answer.body, r#"{"active":false}"#);
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
fn rfc7517_5_each_tenant_has_keys_of_its_own_and_no_private_part_is_shown() {
    let orders = Orders::new();
    let other = orders.world.tenant("Globex");
    let ours = jwks(&orders).json();
    let theirs = orders
        .world
        .http
        .get(&orders.world.endpoint(&other.id, "jwks"), &[])
        .expect(200);
    assert_ne!(ours["keys"][0]["kid"], theirs["keys"][0]["kid"]);
    assert_ne!(ours["keys"][0]["x"], theirs["keys"][0]["x"]);
    let token = orders.token("orders.api:read");
    assert!(verified(&token, &ours).is_some());
    assert!(verified(&token, &theirs).is_none());
    let mut members: Vec<_> = ours["keys"][0].as_object().unwrap().keys().collect();
    members.sort();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
}

#[test]
fn token_1_the_record_tells_from_where_and_by_what_program() {
    use diesel::RunQueryDsl as _;
    #[derive(diesel::QueryableByName)]
    struct Record {
        #[diesel(sql_type = diesel::sql_types::Text)]
        ip: String,
        #[diesel(sql_type = diesel::sql_types::Text)]
        user_agent: String,
    }
    let orders = Orders::new();
    let long = "ü".repeat(300);
    let answer = orders.post(
        "token",
        &[
            ("authorization", &orders.machine.basic()),
            ("user-agent", &long),
        ],
        "grant_type=client_credentials&scope=orders.api:read",
    );
    assert_eq!(answer.status, 200, "{}", answer.body);
    let records: Vec<Record> = diesel::sql_query(
        "SELECT ip, user_agent FROM access_tokens WHERE 'orders.api:read' = ANY(scopes)",
    )
    .load(&mut orders.world.database.superuser())
    .unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].ip, "127.0.0.1");
    assert_eq!(records[0].user_agent, "ü".repeat(200));
}

/// Changes what no endpoint changes yet, as a change by another replica would.
fn at_rest(orders: &Orders, sql: &str) {
    let tenant: TenantId = orders.tenant.id.parse().unwrap();
    orders
        .world
        .database
        .superuser()
        .batch_execute(&sql.replace("{tenant}", &format!("'{}'", tenant.uuid())))
        .unwrap();
}

#[test]
fn token_8_what_is_no_longer_allowed_is_gone_from_the_token_and_comes_back_with_the_permission() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read orders.api:write");
    let allow = |scopes: &str| {
        let sql = "UPDATE clients SET allowed_scopes = '{SCOPES}' \
                   WHERE tenant_id = {tenant} AND name = 'Machine'";
        at_rest(&orders, &sql.replace("SCOPES", scopes));
        orders
            .world
            .introspect(&orders.tenant.id, &orders.checker, &token)
            .expect(200)
    };
    assert_eq!(allow("orders.api:read")["scope"], "orders.api:read");
    assert_eq!(allow("grantor:audit.read"), json!({ "active": false }));
    assert_eq!(allow(""), json!({ "active": false }));
    assert_eq!(
        allow("orders.api:read,orders.api:write")["scope"],
        "orders.api:read orders.api:write"
    );
}

#[test]
fn tenant_2_a_suspended_tenant_does_nothing_and_comes_back_whole() {
    let orders = Orders::new();
    let world = &orders.world;
    let other = world.another_replica();
    let neighbour = world.tenant("Globex");
    let token = orders.token("orders.api:read");
    let admin = world.as_admin(&orders.tenant);
    let works = |replica: &Replica| {
        let post = |endpoint: &str, by: &Credentials, form: &str| {
            let url = format!("{}/t/{}/{endpoint}", replica.token, orders.tenant.id);
            world
                .http
                .post_form(&url, &[("authorization", &by.basic())], form)
                .status
        };
        let called = world.http.get(
            &format!("{}/v1/tenants/{}/clients", replica.api, orders.tenant.id),
            &[("authorization", &admin)],
        );
        let form = "grant_type=client_credentials&scope=orders.api:read";
        [
            post("token", &orders.machine, form),
            post("introspect", &orders.checker, &format!("token={token}")),
            post("revoke", &orders.machine, "token=x"),
            called.status,
        ]
    };
    let status = || {
        let url = world.api(&format!("/v1/tenants/{}", orders.tenant.id));
        let operator = world.as_operator();
        world
            .http
            .get(&url, &[("authorization", &operator)])
            .text("/status")
    };
    let by_operator = |verb: &str, reason: &str| {
        let url = world.api(&format!("/v1/tenants/{}/{verb}", orders.tenant.id));
        let headers = [("authorization", world.as_operator())];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        world
            .http
            .post_json(&url, &headers, &json!({ "reason": reason }))
            .expect(200);
    };
    by_operator("suspend", "unpaid");
    for replica in [&world.replica, &other] {
        assert_eq!(works(replica), [401; 4]);
    }
    assert_eq!(status(), "suspended");
    assert!(
        world.as_admin(&neighbour).starts_with("Bearer "),
        "others go on"
    );
    by_operator("restore", "paid");
    for replica in [&world.replica, &other] {
        assert_eq!(works(replica), [200; 4]);
    }
    assert!(
        is_active(&orders, &token),
        "what did not expire works again"
    );
    assert_eq!(status(), "active");
}

#[test]
fn a_client_library_gets_checks_and_revokes_a_token() {
    let orders = Orders::new();
    let world = &orders.world;
    // The name of the issuer is resolved here, as DNS and a proxy would.
    let send = |request: HttpRequest| -> Result<HttpResponse, std::io::Error> {
        let url = request
            .uri()
            .to_string()
            .replace("https://login.grantor.example", &world.replica.token);
        let headers: Vec<_> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        let answer = world
            .http
            .try_send(request.method().as_str(), &url, &headers, request.body())
            .map_err(std::io::Error::other)?;
        let mut response = oauth2::http::Response::builder().status(answer.status);
        for (name, value) in &answer.headers {
            response = response.header(name, value);
        }
        response
            .body(answer.body.into_bytes())
            .map_err(std::io::Error::other)
    };
    let metadata = world
        .http
        .get(
            &world.endpoint(&orders.tenant.id, ".well-known/openid-configuration"),
            &[],
        )
        .expect(200);
    let endpoint = |name: &str| metadata[name].as_str().unwrap().to_owned();
    let library = |credentials: &Credentials| {
        BasicClient::new(ClientId::new(credentials.client_id.clone()))
            .set_client_secret(ClientSecret::new(credentials.client_secret.clone()))
            .set_token_uri(TokenUrl::new(endpoint("token_endpoint")).unwrap())
            .set_introspection_url(
                IntrospectionUrl::new(endpoint("introspection_endpoint")).unwrap(),
            )
            .set_revocation_url(RevocationUrl::new(endpoint("revocation_endpoint")).unwrap())
    };
    let machine = library(&orders.machine);
    let checker = library(&orders.checker);
    let answer = machine
        .exchange_client_credentials()
        .add_scope(Scope::new("orders.api:read".to_owned()))
        .request(&send)
        .unwrap();
    let token: AccessToken = answer.access_token().clone();
    assert_eq!(
        answer.expires_in(),
        Some(std::time::Duration::from_secs(3_600))
    );
    let told = checker.introspect(&token).request(&send).unwrap();
    assert!(told.active());
    assert_eq!(
        told.client_id().map(|id| id.as_str()),
        Some(orders.machine.client_id.as_str())
    );
    machine
        .revoke_token(StandardRevocableToken::AccessToken(token.clone()))
        .unwrap()
        .request(&send)
        .unwrap();
    assert!(!checker.introspect(&token).request(&send).unwrap().active());
    // An error is one that the library understands.
    let refused = machine
        .exchange_client_credentials()
        .add_scope(Scope::new("no.such:scope".to_owned()))
        .request(&send)
        .unwrap_err();
    let oauth2::RequestTokenError::ServerResponse(error) = refused else {
        panic!("{refused}")
    };
    assert_eq!(error.error().as_ref(), "invalid_scope");
}

#[test]
fn rfc9110_9_1_head_works_wherever_get_does() {
    let orders = Orders::new();
    let Orders { world, tenant, .. } = &orders;
    for name in ["jwks", ".well-known/openid-configuration"] {
        let url = world.endpoint(&tenant.id, name);
        let (get, head) = (
            world.http.get(&url, &[]),
            world.http.send("HEAD", &url, &[], b""),
        );
        assert_eq!((head.status, head.body.as_str()), (200, ""));
        assert_eq!(head.header("content-type"), get.header("content-type"));
        assert_eq!(
            head.header("content-length"),
            Some(get.body.len().to_string().as_str())
        );
    }
    let url = world.endpoint(&tenant.id, "token");
    assert_eq!(world.http.send("HEAD", &url, &[], b"").status, 405);
}
