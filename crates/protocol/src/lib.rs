//! The words of OAuth on the wire: requests, answers, error codes, metadata and scopes.
//!
//! Everything here is parsed once and then cannot hold a bad value: a [`Scopes`] follows the
//! grammar of RFC 6749 §3.3, a [`Form`] names no parameter twice, an [`OAuthError`] has a
//! description that fits into a header. The crate decides nothing and does no I/O; it turns bytes
//! into types and types into bytes, strictly, and says in each error what would mend the input.
//! With the feature `openapi` the answers describe themselves as OpenAPI schemas.

pub mod auth_method;
pub mod basic;
pub mod bearer;
pub mod error;
pub mod form;
pub mod grant_type;
pub mod introspection;
pub mod issuer;
pub mod metadata;
pub mod percent;
pub mod scope;
pub mod token;
pub mod token_hint;

mod authorization;

pub use auth_method::TokenEndpointAuthMethod;
pub use basic::{BasicCredentials, BasicError};
pub use bearer::{BearerChallenge, BearerError, BearerErrorCode, BearerToken};
pub use error::{ErrorCode, OAuthError};
pub use form::{Form, FormError};
pub use grant_type::GrantType;
pub use introspection::{ActiveToken, IntrospectionAnswer};
pub use issuer::{Issuer, IssuerError};
pub use metadata::ServerMetadata;
pub use percent::DecodeError;
pub use scope::{ScopeError, ScopeToken, Scopes};
pub use token::{
    ACCESS_TOKEN_TYP, AccessTokenClaims, Audience, AudienceError, TokenAnswer, TokenType,
};
pub use token_hint::TokenTypeHint;

#[cfg(test)]
#[cfg(feature = "openapi")]
mod tests {
    use serde_json::{Value, json};
    use utoipa::PartialSchema;

    use super::*;

    fn schema<T: PartialSchema>() -> Value {
        serde_json::to_value(T::schema()).unwrap()
    }

    #[test]
    fn texts_are_described_as_texts() {
        for described in [
            schema::<ScopeToken>(),
            schema::<Scopes>(),
            schema::<Issuer>(),
            schema::<ErrorCode>(),
            schema::<GrantType>(),
            schema::<TokenEndpointAuthMethod>(),
        ] {
            assert_eq!(described["type"], "string", "{described}");
        }
    }

    #[test]
    fn words_are_described_as_they_are_written() {
        let codes = ErrorCode::ALL.map(ErrorCode::as_str);
        assert_eq!(schema::<ErrorCode>()["enum"], json!(codes));
        let grants = GrantType::ALL.map(GrantType::as_str);
        assert_eq!(schema::<GrantType>()["enum"], json!(grants));
        let methods = TokenEndpointAuthMethod::ALL.map(TokenEndpointAuthMethod::as_str);
        assert_eq!(schema::<TokenEndpointAuthMethod>()["enum"], json!(methods));
        assert_eq!(schema::<TokenType>()["enum"], json!(["Bearer"]));
    }

    #[test]
    fn what_may_be_left_out_is_not_required() {
        for (described, required) in [
            (schema::<OAuthError>(), json!(["error"])),
            (
                schema::<TokenAnswer>(),
                json!(["access_token", "token_type", "expires_in"]),
            ),
        ] {
            assert_eq!(described["required"], required, "{described}");
        }
        let audience = schema::<Audience>();
        assert_eq!(audience["oneOf"][0]["type"], "string", "{audience}");
        assert_eq!(audience["oneOf"][1]["type"], "array", "{audience}");
    }
}
