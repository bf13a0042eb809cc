//! A client's credentials in the `Authorization` header (RFC 6749 §2.3.1, RFC 7617).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::authorization::{MAX_CREDENTIALS_BYTES, credentials_of};
use crate::percent::{self, DecodeError};

/// Why a `Basic` header is refused. No part of the header is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BasicError {
    /// The header is longer than any credentials are.
    #[error("the Basic credentials are longer than {MAX_CREDENTIALS_BYTES} bytes; shorten them")]
    TooLong,
    /// Not base64 with padding and the standard alphabet, or nothing at all.
    #[error("the Basic credentials are not base64; use the standard alphabet, with padding")]
    Base64,
    /// No colon between client id and secret.
    #[error("the Basic credentials have no colon; encode client_id:client_secret")]
    NoColon,
    /// The client id cannot be form-decoded.
    #[error("the client id in the Basic credentials {0}")]
    ClientId(DecodeError),
    /// The client secret cannot be form-decoded.
    #[error("the client secret in the Basic credentials {0}")]
    ClientSecret(DecodeError),
    /// There is no client id before the colon.
    #[error("the Basic credentials have no client id; encode client_id:client_secret")]
    NoClientId,
}

/// The client id and secret of a `Basic` header, decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct BasicCredentials {
    /// Which client it claims to be.
    pub client_id: String,
    /// What it proves that with; may be empty.
    pub client_secret: String,
}

impl BasicCredentials {
    /// Parses an `Authorization` value; `Ok(None)` when its scheme is not `Basic`.
    pub fn parse(header_value: &[u8]) -> Result<Option<Self>, BasicError> {
        let Some(credentials) = credentials_of(header_value, "Basic") else {
            return Ok(None);
        };
        if credentials.len() > MAX_CREDENTIALS_BYTES {
            return Err(BasicError::TooLong);
        }
        if credentials.is_empty() {
            return Err(BasicError::Base64);
        }
        let pair = STANDARD
            .decode(credentials)
            .map_err(|_| BasicError::Base64)?;
        let colon = pair
            .iter()
            .position(|&byte| byte == b':')
            .ok_or(BasicError::NoColon)?;
        let (id, secret) = pair.split_at_checked(colon).ok_or(BasicError::NoColon)?;
        let secret = secret.strip_prefix(b":").ok_or(BasicError::NoColon)?;
        // RFC 6749 §2.3.1: both are form-encoded before they become user name and password, so a
        // colon in either arrives as %3A and the first plain one divides them.
        let client_id = percent::decode(id).map_err(BasicError::ClientId)?;
        let client_secret = percent::decode(secret).map_err(BasicError::ClientSecret)?;
        if client_id.is_empty() {
            return Err(BasicError::NoClientId);
        }
        Ok(Some(Self {
            client_id,
            client_secret,
        }))
    }
}

impl fmt::Debug for BasicCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicCredentials")
            .field("client_id", &self.client_id)
            .field("client_secret", &"(redacted)")
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(pair: &[u8]) -> Result<Option<BasicCredentials>, BasicError> {
        BasicCredentials::parse(format!("Basic {}", STANDARD.encode(pair)).as_bytes())
    }

    fn parsed(pair: &str) -> (String, String) {
        let credentials = parse(pair.as_bytes()).unwrap().unwrap();
        (credentials.client_id, credentials.client_secret)
    }

    fn pair(id: &str, secret: &str) -> (String, String) {
        (id.to_owned(), secret.to_owned())
    }

    #[test]
    fn rfc6749_2_3_1_the_standards_own_example() {
        let credentials =
            BasicCredentials::parse(b"Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3")
                .unwrap()
                .unwrap();
        assert_eq!(credentials.client_id, "s6BhdRkqt3");
        assert_eq!(credentials.client_secret, "7Fjfp0ZBr1KtDRbnfVdmIw");
    }

    #[test]
    fn rfc6749_2_3_1_basic_is_form_decoded() {
        assert_eq!(parsed("a%3Ab:p%2Bq%25"), pair("a:b", "p+q%"));
        assert_eq!(parsed("my+app:pass+word"), pair("my app", "pass word"));
        assert_eq!(parsed("%C3%A9:%E2%82%AC"), pair("\u{e9}", "\u{20ac}"));
    }

    #[test]
    fn rfc7617_2_the_first_colon_divides() {
        assert_eq!(parsed("id:a:b:"), pair("id", "a:b:"));
        assert_eq!(parsed("id:"), pair("id", ""));
        assert_eq!(parse(b"id"), Err(BasicError::NoColon));
        assert_eq!(parse(b":secret"), Err(BasicError::NoClientId));
    }

    #[test]
    fn another_scheme_is_none_and_ours_is_case_insensitive() {
        for other in ["", "Bearer abc", "Basicx", "Digest Basic"] {
            assert_eq!(BasicCredentials::parse(other.as_bytes()), Ok(None));
        }
        for ours in ["basic aTpz", "BASIC aTpz", "bAsIc  aTpz"] {
            assert!(
                BasicCredentials::parse(ours.as_bytes()).unwrap().is_some(),
                "{ours}"
            );
        }
    }

    #[test]
    fn base64_is_strict() {
        // None, no padding, URL alphabet, line break, stray bits, trailing text, second token.
        for bad in [
            "Basic",
            "Basic ",
            "Basic aWQ6eA",
            "Basic aTo_Pz8=",
            "Basic aTpz\n",
            "Basic aWQ6eB==",
            "Basic aTpz!",
            "Basic aTpz aTpz",
        ] {
            let refused = BasicCredentials::parse(bad.as_bytes());
            assert_eq!(refused, Err(BasicError::Base64), "{bad:?}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        use DecodeError::{Control, NotUtf8, Percent};
        for (bytes, error) in [
            (&b"i%:s"[..], BasicError::ClientId(Percent)),
            (b"i%3:s", BasicError::ClientId(Percent)),
            (b"i\xff:s", BasicError::ClientId(NotUtf8)),
            (b"i%00:s", BasicError::ClientId(Control)),
            (b"i:%zz", BasicError::ClientSecret(Percent)),
            (b"i:%C0%AF", BasicError::ClientSecret(NotUtf8)),
            (b"i:s\r\n", BasicError::ClientSecret(Control)),
            (b"i:s\x7f", BasicError::ClientSecret(Control)),
        ] {
            assert_eq!(parse(bytes), Err(error), "{bytes:?}");
        }
    }

    #[test]
    fn the_length_is_bounded() {
        let header = format!("Basic {}", "A".repeat(8 * 1024 + 4));
        let refused = BasicCredentials::parse(header.as_bytes());
        assert_eq!(refused, Err(BasicError::TooLong));
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", parse(b"id:hunter2").unwrap().unwrap());
        assert!(
            shown.contains("id") && !shown.contains("hunter2"),
            "{shown}"
        );
    }

    #[test]
    fn nothing_makes_the_parser_panic() {
        let plain = b"my+app%3A\xc3\xa9:%25%20:x";
        let header = format!("Basic {}", STANDARD.encode(plain));
        for end in 0..=header.len() {
            let _ = BasicCredentials::parse(&header.as_bytes()[..end]);
        }
        for byte in 0..=u8::MAX {
            let _ = BasicCredentials::parse(&[byte]);
            for position in 0..header.len() {
                let mut changed = header.as_bytes().to_vec();
                changed[position] = byte;
                let _ = BasicCredentials::parse(&changed);
            }
            for position in 0..plain.len() {
                let mut changed = plain.to_vec();
                changed[position] = byte;
                let _ = parse(&changed);
            }
        }
        for end in 0..=plain.len() {
            let _ = parse(&plain[..end]);
        }
    }
}
