//! What an issuer can do, at both well-known places (RFC 8414 §3.1, OpenID Connect Discovery §4).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get, web};
use grantor_protocol::error::OAuthError;
use grantor_protocol::metadata::ServerMetadata;
use grantor_server_kit::CallerAddress;

use crate::TokenService;
use crate::answer::Oops;
use crate::requests::tenant;

/// How long the metadata may be kept.
const MAX_AGE_SECONDS: u32 = 300;

/// Metadata, at OpenID Connect's place
#[utoipa::path(
    operation_id = "openidConfiguration", tag = "Discovery",
    params(("tenant" = String, Path, description = "The tenant's id")),
    responses((status = 200, body = ServerMetadata), (status = "default", body = OAuthError)))]
#[get("/t/{tenant}/.well-known/openid-configuration")]
pub async fn openid(
    service: web::Data<TokenService>,
    request: HttpRequest,
) -> Result<HttpResponse, Oops> {
    metadata(&service, &request).await
}

/// Metadata, at OAuth's place
#[utoipa::path(
    operation_id = "authorizationServerMetadata", tag = "Discovery",
    params(("tenant" = String, Path, description = "The tenant's id")),
    responses((status = 200, body = ServerMetadata), (status = "default", body = OAuthError)))]
#[get("/.well-known/oauth-authorization-server/t/{tenant}")]
pub async fn oauth(
    service: web::Data<TokenService>,
    request: HttpRequest,
) -> Result<HttpResponse, Oops> {
    metadata(&service, &request).await
}

async fn metadata(service: &TokenService, request: &HttpRequest) -> Result<HttpResponse, Oops> {
    let tenant = service
        .authority
        .tenant(
            tenant(request)?,
            Some(CallerAddress::of(request).0),
            service.now(),
        )
        .await?;
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, format!("public, max-age={MAX_AGE_SECONDS}")))
        .json(ServerMetadata::for_issuer(&tenant.issuer)))
}
