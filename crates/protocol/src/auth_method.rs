//! How a client authenticates at the token endpoint (RFC 7591 §2).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A method of client authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum TokenEndpointAuthMethod {
    /// Id and secret in the `Authorization` header.
    ClientSecretBasic,
    /// Id and secret in the body.
    ClientSecretPost,
    /// None: a public client, which only names itself.
    None,
}

impl TokenEndpointAuthMethod {
    /// Every method.
    pub const ALL: [Self; 3] = [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None];

    /// The method's registered name; `None` for a name that is not known here.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// The registered name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
        }
    }
}

impl fmt::Display for TokenEndpointAuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_written_alike_everywhere() {
        for method in TokenEndpointAuthMethod::ALL {
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
            assert_eq!(
                TokenEndpointAuthMethod::parse(method.as_str()),
                Some(method)
            );
        }
    }

    #[test]
    fn rfc7591_2_the_registered_names() {
        let names = TokenEndpointAuthMethod::ALL.map(TokenEndpointAuthMethod::as_str);
        assert_eq!(names, ["client_secret_basic", "client_secret_post", "none"]);
    }

    #[test]
    fn other_names_are_not_known() {
        for other in ["", "None", "client_secret_jwt", "client_secret_basic "] {
            assert_eq!(TokenEndpointAuthMethod::parse(other), None, "{other:?}");
        }
    }
}
