//! The introspection endpoint (RFC 7662).

use actix_web::{HttpResponse, post, web};
use grantor_authority::{Failure, Introspected};
use grantor_protocol::error::OAuthError;
use grantor_protocol::introspection::{ActiveToken, IntrospectionAnswer};
use grantor_protocol::token::{Audience, TokenType};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::TokenService;
use crate::answer::{Oops, uncached};
use crate::requests::{Posted, PostedToAll, required};

/// The parameters of an introspection or revocation request.
#[derive(Debug, Deserialize, ToSchema)]
#[expect(
    dead_code,
    reason = "only describes the form, which is parsed strictly by hand"
)]
pub struct PresentedTokenForm {
    /// The token.
    token: String,
    /// What kind of token it may be; every kind is recognised without.
    #[schema(example = "access_token")]
    token_type_hint: Option<String>,
    /// With `client_secret_post`: the client.
    client_id: Option<String>,
    /// With `client_secret_post`: its secret.
    client_secret: Option<String>,
}

/// Ask whether a token is good
///
/// For the clients that a resource server of the token's audience names. To everyone else every token is
/// inactive. Of a token for several resource servers, only what concerns theirs is told, and when nothing of that is allowed
/// any more, it is inactive to them.
#[utoipa::path(
    operation_id = "introspect", tag = "Tokens",
    params(("tenant" = String, Path, description = "The tenant's id")),
    request_body(content = PresentedTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = IntrospectionAnswer), (status = "default", body = OAuthError)),
    security(("client_secret_basic" = []), ()))]
#[post("/t/{tenant}/introspect")]
pub async fn introspect(
    service: web::Data<TokenService>,
    posted: Posted,
) -> Result<HttpResponse, Oops> {
    let token = posted.required("token")?.to_owned();
    let found = service
        .authority
        .introspect(
            posted.tenant,
            posted.credentials,
            posted.ip,
            token,
            service.now(),
        )
        .await?;
    told(found)
}

/// Ask whether a token of any tenant is good
///
/// For the clients of the operators' tenant that a platform-wide resource server of the token's audience names. To
/// everyone else every token is inactive. Of a token for several resource servers, only what concerns theirs is told.
#[utoipa::path(
    operation_id = "introspectPlatformWide", tag = "Tokens",
    request_body(content = PresentedTokenForm, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = IntrospectionAnswer), (status = "default", body = OAuthError)),
    security(("client_secret_basic" = []), ()))]
#[post("/introspect")]
pub async fn introspect_platform_wide(
    service: web::Data<TokenService>,
    posted: PostedToAll,
) -> Result<HttpResponse, Oops> {
    let token = required(&posted.form, "token")?.to_owned();
    let found = service
        .authority
        .introspect_platform_wide(posted.credentials, posted.ip, token, service.now())
        .await?;
    told(found)
}

fn told(found: Option<Introspected>) -> Result<HttpResponse, Oops> {
    Ok(uncached(&match found {
        Some(found) => IntrospectionAnswer::Active(Box::new(active(found)?)),
        // RFC 7662 §2.2: of an inactive token nothing else is told, not even why.
        None => IntrospectionAnswer::Inactive,
    }))
}

fn active(found: Introspected) -> Result<ActiveToken, Failure> {
    let Introspected {
        token,
        scopes,
        tenant,
        organizations,
    } = found;
    let client = token.client.to_string();
    Ok(ActiveToken {
        scope: scopes,
        sub: token
            .member
            .map_or_else(|| client.clone(), |member| member.to_string()),
        client_id: client,
        token_type: TokenType::Bearer,
        exp: token.expires_at.timestamp(),
        iat: token.issued_at.timestamp(),
        aud: Audience::new(token.audiences)
            .map_err(|_| Failure::Impossible("a token for nobody"))?,
        iss: tenant.issuer.as_str().to_owned(),
        jti: token.id.to_string(),
        tenant: tenant.id.to_string(),
        organizations: organizations.iter().map(ToString::to_string).collect(),
    })
}
