//! The token endpoint (RFC 6749 §3.2).

use actix_web::{HttpResponse, post, web};
use grantor_protocol::error::{ErrorCode, OAuthError};
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::token::TokenAnswer;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::TokenService;
use crate::answer::{Oops, uncached};
use crate::grants::client_credentials;
use crate::requests::Posted;

/// The parameters of a token request.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "only describes the form, which is parsed strictly by hand"
)]
pub struct TokenForm {
    /// `client_credentials`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// The scopes asked for, with spaces between.
    #[schema(example = "orders.api:read")]
    scope: Option<String>,
    /// With `client_secret_post`: the client.
    client_id: Option<String>,
    /// With `client_secret_post`: its secret.
    client_secret: Option<String>,
}

/// Get a token
#[utoipa::path(
    operation_id = "token", tag = "Tokens",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenAnswer),
        (status = 429, body = OAuthError, description = "The client has as many tokens as it may; `Retry-After` says when to come again."),
        (status = "default", body = OAuthError)),
    security(("client_secret_basic" = []), ()))]
#[post("/t/{tenant}/token")]
pub async fn token(service: web::Data<TokenService>, posted: Posted) -> Result<HttpResponse, Oops> {
    let name = posted.required("grant_type")?;
    let Some(GrantType::ClientCredentials) = GrantType::parse(name) else {
        // RFC 6749 §5.2 unsupported_grant_type.
        let sentence = "grant_type must be client_credentials";
        return Err(OAuthError::new(ErrorCode::UnsupportedGrantType, sentence).into());
    };
    let answer = client_credentials::grant(&service, posted).await?;
    Ok(uncached(&answer))
}
