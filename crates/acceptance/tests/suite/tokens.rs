//! Tokens as others see them: verified by the published keys, introspected, revoked, and got by a real client library.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Answer, Credentials, Replica};
use grantor_domain::ids::TenantId;
use oauth2::basic::BasicClient;
use oauth2::{
    AccessToken, ClientId, ClientSecret, HttpRequest, HttpResponse, IntrospectionUrl,
    RevocationUrl, Scope, StandardRevocableToken, TokenIntrospectionResponse as _,
    TokenResponse as _, TokenUrl,
};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use crate::oauth::{Orders, RECORDS};

/// Part of a signed token.
pub fn decoded(part: &str) -> Vec<u8> {
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

/// The keys of the tenant.
pub fn jwks(orders: &Orders) -> Answer {
    orders
        .world
        .http
        .get(&orders.world.endpoint(&orders.tenant.id, "jwks"), &[])
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
        program: String,
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
    let records: Vec<Record> =
        diesel::sql_query(format!("{RECORDS} WHERE 'orders.api:read' = ANY(scopes)"))
            .load(&mut orders.world.database.superuser())
            .unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].ip, "127.0.0.1");
    assert_eq!(records[0].program, "ü".repeat(200));
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
        let operator = world.as_operator();
        let headers = [("authorization", operator.as_str())];
        let body = json!({ "reason": reason });
        world.http.post_json(&url, &headers, &body).expect(200);
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
    assert!(orders.is_active(&token), "what did not expire works again");
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
