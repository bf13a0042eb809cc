//! The error answer of RFC 6749 §5.2.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::scope::ScopeError;

/// The longest `error_description`, in characters.
pub const MAX_DESCRIPTION_CHARS: usize = 300;

/// The error codes of RFC 6749 §4.1.2.1 and §5.2, and of RFC 7009 §2.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ErrorCode {
    /// The request lacks a parameter, repeats one, or is otherwise malformed.
    InvalidRequest,
    /// Client authentication failed.
    InvalidClient,
    /// The grant is invalid, expired, revoked, or was issued to another client.
    InvalidGrant,
    /// The client may not use this grant type.
    UnauthorizedClient,
    /// The server does not know this grant type.
    UnsupportedGrantType,
    /// The scope is malformed, unknown, or more than may be granted.
    InvalidScope,
    /// The server does not revoke tokens of this type.
    UnsupportedTokenType,
    /// The server failed.
    ServerError,
    /// The server cannot answer now; the same request may succeed later.
    TemporarilyUnavailable,
    /// The resource owner or the server refused.
    AccessDenied,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 10] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::InvalidScope,
        Self::UnsupportedTokenType,
        Self::ServerError,
        Self::TemporarilyUnavailable,
        Self::AccessDenied,
    ];

    /// The code as it is written in the answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::UnsupportedTokenType => "unsupported_token_type",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::AccessDenied => "access_denied",
        }
    }

    /// The HTTP status that goes with it: 400 unless the standard says otherwise.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidClient => 401,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            Self::InvalidRequest
            | Self::InvalidGrant
            | Self::UnauthorizedClient
            | Self::UnsupportedGrantType
            | Self::InvalidScope
            | Self::UnsupportedTokenType
            | Self::AccessDenied => 400,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error answer. Made by [`OAuthError::new`], so that its description fits the standard.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize)]
#[error("{error}: {}", .error_description.as_deref().unwrap_or("no description"))]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct OAuthError {
    /// The code that programs read.
    pub error: ErrorCode,
    /// The sentence that their developers read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_description: Option<String>,
}

impl OAuthError {
    /// An error with a sentence, made to fit: other characters are replaced, the length is bounded.
    pub fn new(error: ErrorCode, description: impl Into<String>) -> Self {
        let description = fit_description(&description.into(), MAX_DESCRIPTION_CHARS);
        Self {
            error,
            error_description: Some(description).filter(|text| !text.is_empty()),
        }
    }

    /// An error that says no more than its code.
    pub const fn bare(error: ErrorCode) -> Self {
        Self {
            error,
            error_description: None,
        }
    }
}

impl From<ScopeError> for OAuthError {
    fn from(error: ScopeError) -> Self {
        Self::new(ErrorCode::InvalidScope, error.to_string())
    }
}

/// Makes any text fit into an `error_description` of at most `max_chars`.
///
/// RFC 6749 §5.2: values MUST NOT include characters outside %x20-21 / %x23-5B / %x5D-7E. What is
/// left needs no escaping in a quoted string of a header either.
pub(crate) fn fit_description(text: &str, max_chars: usize) -> String {
    text.chars()
        .take(max_chars)
        .map(|c| match c {
            '\x20' | '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e' => c,
            '"' => '\'',
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(text: &str) -> String {
        OAuthError::new(ErrorCode::InvalidRequest, text)
            .error_description
            .unwrap()
    }

    #[test]
    fn rfc6749_5_2_description_charset() {
        for code in (0..=0x2ff_u32).chain([0x2028, 0x1f600]) {
            let c = char::from_u32(code).unwrap();
            let allowed = matches!(code, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            let told = described(&format!("a{c}b"));
            assert_eq!(told == format!("a{c}b"), allowed, "U+{code:04X}");
            assert_eq!(told.len(), 3, "U+{code:04X}");
        }
    }

    #[test]
    fn a_description_is_bounded_by_characters() {
        assert_eq!(described(&"x".repeat(300)).len(), 300);
        assert_eq!(described(&"x".repeat(301)).len(), 300);
        assert_eq!(described(&"\u{1f600}".repeat(400)), "?".repeat(300));
    }

    #[test]
    fn rfc6749_5_2_status_of_each_code() {
        for code in ErrorCode::ALL {
            let expected = match code.as_str() {
                "invalid_client" => 401,
                "server_error" => 500,
                "temporarily_unavailable" => 503,
                _ => 400,
            };
            assert_eq!(code.http_status(), expected, "{code}");
        }
    }

    #[test]
    fn codes_are_written_alike_everywhere() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert_eq!(code.to_string(), code.as_str());
        }
        assert!(serde_json::from_str::<ErrorCode>(r#""InvalidClient""#).is_err());
    }

    #[test]
    fn the_answer_has_these_members_and_no_other() {
        let error = OAuthError::new(ErrorCode::InvalidGrant, "the \"code\" is spent");
        assert_eq!(
            serde_json::to_string(&error).unwrap(),
            r#"{"error":"invalid_grant","error_description":"the 'code' is spent"}"#
        );
        for bare in [
            OAuthError::bare(ErrorCode::ServerError),
            OAuthError::new(ErrorCode::ServerError, ""),
        ] {
            assert_eq!(
                serde_json::to_string(&bare).unwrap(),
                r#"{"error":"server_error"}"#
            );
        }
    }

    #[test]
    fn a_scope_error_keeps_its_sentence() {
        let error = OAuthError::from(ScopeError::Spacing);
        assert_eq!(error.error, ErrorCode::InvalidScope);
        assert_eq!(
            error.error_description,
            Some(ScopeError::Spacing.to_string())
        );
    }
}
