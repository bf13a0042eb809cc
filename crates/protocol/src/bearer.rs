//! Bearer tokens in the `Authorization` header, and the challenge that answers a bad one (RFC 6750).

use std::fmt;

use thiserror::Error;

use crate::authorization::{MAX_CREDENTIALS_BYTES, credentials_of};
use crate::error::{MAX_DESCRIPTION_CHARS, fit_description};
use crate::scope::Scopes;

/// Why a `Bearer` header is refused. No part of the header is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BearerError {
    /// The scheme stands alone.
    #[error("the Bearer header has no token; write the access token after one space")]
    Missing,
    /// The token is longer than any that was issued.
    #[error("the bearer token is longer than {MAX_CREDENTIALS_BYTES} bytes; send the one you got")]
    TooLong,
    /// The token does not have the syntax `b64token`.
    #[error("the bearer token has a character that no token has; send it unchanged")]
    Syntax,
}

/// A bearer token as it was presented; nothing is known about it but its syntax.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    /// Parses an `Authorization` value; `Ok(None)` when its scheme is not `Bearer`.
    pub fn parse(header_value: &[u8]) -> Result<Option<Self>, BearerError> {
        let Some(credentials) = credentials_of(header_value, "Bearer") else {
            return Ok(None);
        };
        if credentials.is_empty() {
            return Err(BearerError::Missing);
        }
        if credentials.len() > MAX_CREDENTIALS_BYTES {
            return Err(BearerError::TooLong);
        }
        let token = std::str::from_utf8(credentials).map_err(|_| BearerError::Syntax)?;
        // RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
        let body = token.trim_end_matches('=');
        if body.is_empty() || !body.bytes().all(is_b64token_byte) {
            return Err(BearerError::Syntax);
        }
        Ok(Some(Self(token.to_owned())))
    }

    /// The token itself, a secret: for hashing and looking up, never for a log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

fn is_b64token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte)
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(redacted)")
    }
}

/// The error codes of RFC 6750 §3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BearerErrorCode {
    /// The request is malformed.
    InvalidRequest,
    /// The token is expired, revoked, malformed or otherwise invalid.
    InvalidToken,
    /// The token is good, but not for this.
    InsufficientScope,
}

impl BearerErrorCode {
    /// The code as it is written in the challenge.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }

    /// The HTTP status that goes with it (RFC 6750 §3.1).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidRequest => 400,
            Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
        }
    }
}

impl fmt::Display for BearerErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The value of a `WWW-Authenticate` header; `Display` writes it.
///
/// The default names no error: RFC 6750 §3.1 wants none told when no token was presented.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BearerChallenge {
    /// What was wrong with the token.
    pub error: Option<BearerErrorCode>,
    /// A sentence about it; written with the charset and length of an `error_description`.
    pub description: Option<String>,
    /// The scopes that would do.
    pub scope: Option<Scopes>,
}

impl fmt::Display for BearerChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#"Bearer realm="grantor""#)?;
        if let Some(error) = self.error {
            write!(f, r#", error="{error}""#)?;
        }
        // RFC 6750 §3: neither value may hold a quotation mark or a backslash. The description is
        // made to fit here, as it may repeat what a caller sent; a scope cannot hold either.
        if let Some(description) = &self.description {
            let description = fit_description(description, MAX_DESCRIPTION_CHARS);
            write!(f, r#", error_description="{description}""#)?;
        }
        if let Some(scope) = self.scope.as_ref().filter(|scope| !scope.is_empty()) {
            write!(f, r#", scope="{scope}""#)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(token: &str) -> Result<Option<BearerToken>, BearerError> {
        BearerToken::parse(format!("Bearer {token}").as_bytes())
    }

    #[test]
    fn rfc6750_2_1_b64token_syntax() {
        for byte in 0..=u8::MAX {
            let allowed = byte.is_ascii_alphanumeric() || "-._~+/".contains(char::from(byte));
            let header = [b"Bearer a".as_slice(), &[byte], b"b"].concat();
            let parsed = BearerToken::parse(&header);
            assert_eq!(parsed.is_ok(), allowed, "byte {byte}: {parsed:?}");
        }
        for good in ["mF_9.B5f-4.1JqM", "a", "a=", "a==", "gat_x~+/"] {
            assert_eq!(parse(good).unwrap().unwrap().expose(), good);
        }
        for bad in ["=", "==", "a=b", "a b", "a,b", "\u{e9}", "a\n"] {
            assert_eq!(parse(bad), Err(BearerError::Syntax), "{bad:?}");
        }
    }

    #[test]
    fn rfc6750_2_1_the_header_needs_a_token() {
        for header in ["Bearer", "Bearer ", "bearer   "] {
            assert_eq!(
                BearerToken::parse(header.as_bytes()),
                Err(BearerError::Missing)
            );
        }
        for header in ["", "Basic aTpz", "Bearertoken", "DPoP abc"] {
            assert_eq!(BearerToken::parse(header.as_bytes()), Ok(None), "{header}");
        }
        let lower = BearerToken::parse(b"bEARER  abc").unwrap().unwrap();
        assert_eq!(lower.expose(), "abc");
    }

    #[test]
    fn a_token_is_bounded_exactly() {
        assert!(parse(&"a".repeat(8 * 1024)).unwrap().is_some());
        assert_eq!(parse(&"a".repeat(8 * 1024 + 1)), Err(BearerError::TooLong));
    }

    #[test]
    fn debug_shows_no_token() {
        let token = parse("gat_secret").unwrap().unwrap();
        assert_eq!(format!("{token:?}"), "BearerToken(redacted)");
    }

    #[test]
    fn rfc6750_3_the_challenge_has_error_and_scope() {
        let challenge = BearerChallenge {
            error: Some(BearerErrorCode::InsufficientScope),
            description: Some("the token lacks a scope".to_owned()),
            scope: Some(Scopes::parse("b a").unwrap()),
        };
        assert_eq!(
            challenge.to_string(),
            r#"Bearer realm="grantor", error="insufficient_scope", error_description="the token lacks a scope", scope="a b""#
        );
    }

    #[test]
    fn rfc6750_3_1_no_error_is_told_without_a_token() {
        let bare = r#"Bearer realm="grantor""#;
        assert_eq!(BearerChallenge::default().to_string(), bare);
        let empty = BearerChallenge {
            scope: Some(Scopes::default()),
            ..BearerChallenge::default()
        };
        assert_eq!(empty.to_string(), bare);
    }

    #[test]
    fn rfc6750_3_1_status_of_each_error() {
        for (code, text, status) in [
            (BearerErrorCode::InvalidRequest, "invalid_request", 400),
            (BearerErrorCode::InvalidToken, "invalid_token", 401),
            (
                BearerErrorCode::InsufficientScope,
                "insufficient_scope",
                403,
            ),
        ] {
            assert_eq!((code.as_str(), code.http_status()), (text, status));
        }
    }

    #[test]
    fn rfc6750_3_nothing_breaks_out_of_the_quotes() {
        for code in (0..=0x2ff_u32).filter_map(char::from_u32) {
            let challenge = BearerChallenge {
                error: Some(BearerErrorCode::InvalidToken),
                description: Some(format!("x{code}\", scope=\"all")),
                scope: None,
            };
            let written = challenge.to_string();
            assert_eq!(written.matches('"').count(), 6, "{written}");
            assert!(
                written.bytes().all(|b| (0x20..0x7f).contains(&b)),
                "{written}"
            );
            assert!(!written.contains('\\'), "{written}");
        }
    }

    #[test]
    fn nothing_makes_the_parser_panic() {
        let header = b"Bearer mF_9.B5f-4.1JqM\xc3\xa9==";
        for end in 0..=header.len() {
            let _ = BearerToken::parse(&header[..end]);
        }
        for byte in 0..=u8::MAX {
            let _ = BearerToken::parse(&[byte]);
            for position in 0..header.len() {
                let mut changed = header.to_vec();
                changed[position] = byte;
                let _ = BearerToken::parse(&changed);
            }
        }
    }
}
