//! The keys by which tokens of an issuer are verified (RFC 7517).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get, web};
use grantor_protocol::error::OAuthError;
use grantor_server_kit::CallerAddress;

use crate::TokenService;
use crate::answer::Oops;
use crate::requests::tenant;

/// The keys of an issuer
#[utoipa::path(
    operation_id = "jwks", tag = "Discovery",
    params(("tenant" = String, Path, description = "The tenant's id")),
    responses((status = 200, body = Object, description = "A JWK set."),
        (status = "default", body = OAuthError)))]
#[get("/t/{tenant}/jwks")]
pub async fn jwks(
    service: web::Data<TokenService>,
    request: HttpRequest,
) -> Result<HttpResponse, Oops> {
    let keys = service
        .authority
        .jwks(
            tenant(&request)?,
            Some(CallerAddress::of(&request).0),
            service.now(),
        )
        .await?;
    // A tenant that was suspended before it had any key has its first once it is back: nobody may keep the empty set.
    let kept = if keys.keys.is_empty() {
        "no-store".to_owned()
    } else {
        let seconds = service.authority.jwks_max_age().num_seconds();
        format!("public, max-age={seconds}")
    };
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, kept))
        .json(keys))
}
