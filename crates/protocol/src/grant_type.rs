//! The grant types of the token endpoint (RFC 6749 §4 and §6).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a client comes by a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum GrantType {
    /// On its own behalf (RFC 6749 §4.4).
    ClientCredentials,
    /// On behalf of someone who signed in and agreed (RFC 6749 §4.1).
    AuthorizationCode,
    /// By renewing what it was granted before (RFC 6749 §6).
    RefreshToken,
}

impl GrantType {
    /// Every grant type; the password grant is none of them (RFC 9700 §2.4).
    pub const ALL: [Self; 3] = [
        Self::ClientCredentials,
        Self::AuthorizationCode,
        Self::RefreshToken,
    ];

    /// The grant type of this name; `None` for a name that is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// The name as it is written in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
        }
    }
}

impl fmt::Display for GrantType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grant_types_are_written_alike_everywhere() {
        for grant in GrantType::ALL {
            assert_eq!(serde_json::to_value(grant).unwrap(), grant.as_str());
            assert_eq!(GrantType::parse(grant.as_str()), Some(grant));
        }
    }

    #[test]
    fn rfc9700_2_4_no_password_grant() {
        assert_eq!(GrantType::parse("password"), None);
        assert!(serde_json::from_str::<GrantType>(r#""password""#).is_err());
    }

    #[test]
    fn rfc9700_2_1_2_no_implicit_grant() {
        assert_eq!(GrantType::parse("implicit"), None);
    }

    #[test]
    fn names_are_compared_exactly() {
        for other in ["", "Client_Credentials", "client_credentials ", "urn:x"] {
            assert_eq!(GrantType::parse(other), None, "{other:?}");
        }
    }
}
