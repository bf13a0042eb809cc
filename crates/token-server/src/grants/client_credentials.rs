//! The grant `client_credentials` (RFC 6749 §4.4): a client acts for itself.

use grantor_authority::TokenRequest;
use grantor_protocol::scope::Scopes;
use grantor_protocol::token::{TokenAnswer, TokenType};

use crate::TokenService;
use crate::answer::Oops;
use crate::requests::Posted;

/// Validate → decide → issue.
pub(crate) async fn grant(service: &TokenService, posted: Posted) -> Result<TokenAnswer, Oops> {
    // RFC 6749 §3.3: the scope of the request is a list of space-delimited, case-sensitive strings.
    let scopes = posted.form.get("scope").map(Scopes::parse).transpose()?;
    let request = TokenRequest {
        tenant: posted.tenant,
        credentials: posted.credentials,
        scopes,
        ip: posted.ip,
        user_agent: posted.user_agent,
    };
    let issued = service
        .authority
        .issue_for_client(request, service.now())
        .await?;
    // RFC 6749 §4.4.3: a refresh token SHOULD NOT be included.
    Ok(TokenAnswer {
        access_token: issued.token,
        token_type: TokenType::Bearer,
        expires_in: issued.expires_in,
        scope: issued.scopes,
    })
}
