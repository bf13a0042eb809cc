//! The hint about a token's type at introspection and revocation (RFC 7009 §2.1, RFC 7662 §2.1).

/// What the caller believes the token to be: where to look first, never where to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenTypeHint {
    /// An access token.
    AccessToken,
    /// A refresh token.
    RefreshToken,
}

impl TokenTypeHint {
    /// The hint of this name; `None` for any other, which is then ignored.
    ///
    /// RFC 7009 §2.1: the server MAY ignore the parameter, and a wrong hint is searched past.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "access_token" => Some(Self::AccessToken),
            "refresh_token" => Some(Self::RefreshToken),
            _ => None,
        }
    }

    /// The name as it is written in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessToken => "access_token",
            Self::RefreshToken => "refresh_token",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc7009_2_1_an_unknown_hint_is_ignored() {
        for unknown in ["", "id_token", "ACCESS_TOKEN", "access_token "] {
            assert_eq!(TokenTypeHint::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn a_known_hint_is_read_as_it_is_written() {
        for hint in [TokenTypeHint::AccessToken, TokenTypeHint::RefreshToken] {
            assert_eq!(TokenTypeHint::parse(hint.as_str()), Some(hint));
        }
    }
}
