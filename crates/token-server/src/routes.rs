//! Every endpoint, declared once: the router and the OpenAPI document are made from one list.

use actix_web::{HttpRequest, web};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::answer::Oops;
use crate::endpoints::{credentials, discovery, introspection, jwks, revocation, token};

macro_rules! operations {
    ($($operation:path),* $(,)?) => {
        /// Adds every endpoint to a router.
        pub fn configure(config: &mut web::ServiceConfig) {
            $(config.service($operation);)*
            config.default_service(web::to(unmatched));
        }

        #[derive(OpenApi)]
        #[openapi(
            paths($($operation),*),
            modifiers(&Basic),
            info(
                title = "Grantor token service",
                description = "OAuth 2 below the issuer of each tenant. Errors are those of RFC 6749 §5.2.",
                license(name = "Apache-2.0", identifier = "Apache-2.0")
            ),
            tags(
                (name = "Tokens", description = "Get, check and revoke tokens."),
                (name = "Discovery", description = "What an issuer can do, and its keys."),
                (name = "Credentials", description = "How members come to a password.")
            )
        )]
        struct Document;
    };
}

operations![
    discovery::openid,
    discovery::oauth,
    jwks::jwks,
    token::token,
    introspection::introspect,
    introspection::introspect_platform_wide,
    revocation::revoke,
    credentials::show,
    credentials::redeem,
];

struct Basic;

impl utoipa::Modify for Basic {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Basic)
            .description(Some(
                "The client's id and secret, each form-encoded (RFC 6749 §2.3.1).",
            ))
            .build();
        if let Some(components) = document.components.as_mut() {
            components.add_security_scheme("client_secret_basic", SecurityScheme::Http(scheme));
        }
    }
}

/// The OpenAPI document of the service.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// What no endpoint matched. RFC 6749 §3.2: the client MUST use POST at the token endpoint; the same holds
/// for introspection and revocation.
async fn unmatched(request: HttpRequest) -> Result<actix_web::HttpResponse, Oops> {
    let path = request.path();
    // RFC 8414 §3.1: this well-known place stands before the issuer's path, not below it.
    if path
        .strip_prefix("/.well-known/oauth-authorization-server/t/")
        .is_some_and(|tenant| !tenant.is_empty() && !tenant.contains('/'))
    {
        return Err(Oops::MethodNotAllowed("GET"));
    }
    if path == "/introspect" {
        return Err(Oops::MethodNotAllowed("POST"));
    }
    let endpoint = path
        .strip_prefix("/t/")
        .and_then(|rest| rest.split_once('/'))
        .map_or("", |(_, endpoint)| endpoint);
    Err(match endpoint {
        "token" | "introspect" | "revoke" => Oops::MethodNotAllowed("POST"),
        "credentials" => Oops::MethodNotAllowed("GET, POST"),
        "jwks" | ".well-known/openid-configuration" => Oops::MethodNotAllowed("GET"),
        _ => Oops::NotFound,
    })
}
