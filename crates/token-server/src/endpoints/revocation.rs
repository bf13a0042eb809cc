//! The revocation endpoint (RFC 7009).

use actix_web::{HttpResponse, post, web};
use grantor_protocol::error::OAuthError;

use crate::TokenService;
use crate::answer::{Oops, uncached};
use crate::endpoints::introspection::PresentedTokenForm;
use crate::requests::Posted;

/// Revoke a token
///
/// One's own alone. When this has answered, the token is good nowhere. A token that is unknown or dead
/// already is no error.
#[utoipa::path(
    operation_id = "revoke", tag = "Tokens",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body(content = PresentedTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "It is revoked, or there was nothing to revoke."),
        (status = "default", body = OAuthError)),
    security(("client_secret_basic" = []), ()))]
#[post("/t/{tenant}/revoke")]
pub async fn revoke(
    service: web::Data<TokenService>,
    posted: Posted,
) -> Result<HttpResponse, Oops> {
    let token = posted.required("token")?.to_owned();
    // RFC 7009 §2.1: a wrong hint must not keep the token from being found; it is not even looked at.
    service
        .authority
        .revoke(
            posted.tenant,
            posted.credentials,
            posted.ip,
            token,
            service.now(),
        )
        .await?;
    Ok(uncached(&serde_json::json!({})))
}
