//! What this machine could do at best: an endpoint that parses the request, makes a token and answers. It decides
//! nothing and keeps nothing.

use std::env;
use std::sync::Arc;

use actix_web::http::header::AUTHORIZATION;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use grantor_keys::{
    Algorithm, NewSigningKey, OpaqueToken, SigningKey, SystemEntropy, TokenHash, TokenPlace,
    generate_signing_key,
};
use grantor_protocol::basic::BasicCredentials;
use grantor_protocol::form::Form;
use grantor_protocol::scope::Scopes;
use grantor_protocol::token::{ACCESS_TOKEN_TYP, TokenAnswer, TokenType};
use serde_json::json;
use uuid::Uuid;

/// The name by which the program is told to be this.
pub(crate) const NAME: &str = "floor";

struct Floor {
    entropy: SystemEntropy,
    key: SigningKey,
}

/// Serves on the port and in the format that the arguments name.
pub(crate) async fn main() {
    let port = env::args().nth(2).and_then(|port| port.parse().ok());
    let port: u16 = port.expect("a port");
    let is_signed = env::args().nth(3).as_deref() == Some("signed");
    let entropy = SystemEntropy::default();
    let NewSigningKey { kid, pkcs8, .. } =
        generate_signing_key(Algorithm::Es256, &entropy).expect("a key");
    let key = SigningKey::from_pkcs8(Algorithm::Es256, kid, &pkcs8, &entropy).expect("a key");
    let floor = web::Data::from(Arc::new(Floor { entropy, key }));
    HttpServer::new(move || {
        let route = if is_signed {
            web::post().to(signed)
        } else {
            web::post().to(opaque)
        };
        App::new()
            .app_data(floor.clone())
            .route("/t/{tenant}/token", route)
    })
    .bind(("127.0.0.1", port))
    .expect("the port")
    .run()
    .await
    .expect("a server that ends well");
}

/// Who asks for what.
fn parsed(request: &HttpRequest, body: &[u8]) -> (BasicCredentials, Scopes) {
    let header = request.headers().get(AUTHORIZATION).expect("credentials");
    let by = BasicCredentials::parse(header.as_bytes()).expect("credentials");
    let form = Form::parse(body).expect("a form");
    let scopes = Scopes::parse(form.get("scope").expect("a scope")).expect("scopes");
    (by.expect("credentials"), scopes)
}

fn answer(access_token: String, scope: Scopes) -> HttpResponse {
    // What keeps the record would need it.
    std::hint::black_box(TokenHash::of(&access_token));
    HttpResponse::Ok().json(TokenAnswer {
        access_token,
        token_type: TokenType::Bearer,
        expires_in: 3600,
        scope,
    })
}

async fn signed(floor: web::Data<Floor>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let (by, scope) = parsed(&request, &body);
    let claims = json!({ "iss": "https://login.grantor.example/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b",
        "exp": 1_900_000_000, "iat": 1_899_996_400, "aud": "https://signed.api.example",
        "sub": by.client_id, "client_id": by.client_id, "scope": scope,
        "jti": "tok_01kb2q3r4s5t6v7w8x9y0z1a2b", "tenant": "ten_01kb2q3r4s5t6v7w8x9y0z1a2b" });
    let token = floor.key.sign(ACCESS_TOKEN_TYP, &claims, &floor.entropy);
    answer(token.expect("a token"), scope)
}

async fn opaque(floor: web::Data<Floor>, request: HttpRequest, body: web::Bytes) -> HttpResponse {
    let (_, scope) = parsed(&request, &body);
    let place = TokenPlace {
        tenant: Uuid::nil(),
        client: Uuid::nil(),
        id: Uuid::nil(),
    };
    let token = OpaqueToken::generate(place, &floor.entropy).expect("a token");
    answer(token.expose().to_owned(), scope)
}
