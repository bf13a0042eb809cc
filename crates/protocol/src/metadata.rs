//! The document in which the server describes itself (RFC 8414 §2, OpenID Connect Discovery §3).

use serde::Serialize;

use crate::auth_method::TokenEndpointAuthMethod;
use crate::grant_type::GrantType;
use crate::issuer::Issuer;

/// What an authorization server says about itself; what is absent is left out, never `null`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServerMetadata {
    /// The issuer, identical to the one that the document was asked for.
    pub issuer: Issuer,
    /// Where its keys are.
    pub jwks_uri: String,
    /// Where tokens are issued.
    pub token_endpoint: String,
    /// Where tokens are checked.
    pub introspection_endpoint: String,
    /// Where tokens are revoked.
    pub revocation_endpoint: String,
    /// Where people are asked; absent while no grant type needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization_endpoint: Option<String>,
    /// Scopes that may be asked for; absent when the server does not list them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes_supported: Option<Vec<String>>,
    /// What the authorization endpoint can answer; empty when there is none.
    pub response_types_supported: Vec<String>,
    /// The grant types of the token endpoint.
    pub grant_types_supported: Vec<GrantType>,
    /// How clients authenticate at the token endpoint.
    pub token_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    /// How callers authenticate at the introspection endpoint.
    pub introspection_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    /// How clients authenticate at the revocation endpoint.
    pub revocation_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    /// A page for developers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_documentation: Option<String>,
}

impl ServerMetadata {
    /// What is true of a server that has the client credentials grant and no other.
    ///
    /// RFC 8414 §2 requires `response_types_supported`, so it is there and empty; and it gives
    /// `grant_types_supported` a default with the implicit grant in it, so that is never left out.
    pub fn for_issuer(issuer: &Issuer) -> Self {
        let with_secret = vec![
            TokenEndpointAuthMethod::ClientSecretBasic,
            TokenEndpointAuthMethod::ClientSecretPost,
        ];
        Self {
            issuer: issuer.clone(),
            jwks_uri: issuer.endpoint("jwks"),
            token_endpoint: issuer.endpoint("token"),
            introspection_endpoint: issuer.endpoint("introspect"),
            revocation_endpoint: issuer.endpoint("revoke"),
            authorization_endpoint: None,
            scopes_supported: None,
            response_types_supported: Vec::new(),
            grant_types_supported: vec![GrantType::ClientCredentials],
            token_endpoint_auth_methods_supported: with_secret.clone(),
            introspection_endpoint_auth_methods_supported: with_secret.clone(),
            // RFC 7009 §2.1: public clients revoke their own tokens.
            revocation_endpoint_auth_methods_supported: TokenEndpointAuthMethod::ALL.to_vec(),
            service_documentation: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn metadata() -> ServerMetadata {
        ServerMetadata::for_issuer(&Issuer::parse("https://id.example/t/ten_1").unwrap())
    }

    #[test]
    fn rfc8414_2_says_what_is_true_and_no_more() {
        let with_secret = json!(["client_secret_basic", "client_secret_post"]);
        assert_eq!(
            serde_json::to_value(metadata()).unwrap(),
            json!({
                "issuer": "https://id.example/t/ten_1",
                "jwks_uri": "https://id.example/t/ten_1/jwks",
                "token_endpoint": "https://id.example/t/ten_1/token",
                "introspection_endpoint": "https://id.example/t/ten_1/introspect",
                "revocation_endpoint": "https://id.example/t/ten_1/revoke",
                "response_types_supported": [],
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": with_secret,
                "introspection_endpoint_auth_methods_supported": with_secret,
                "revocation_endpoint_auth_methods_supported":
                    ["client_secret_basic", "client_secret_post", "none"],
            })
        );
    }

    #[test]
    fn optional_members_are_told_when_they_are_there() {
        let full = ServerMetadata {
            authorization_endpoint: Some("https://id.example/authorize".to_owned()),
            scopes_supported: Some(vec!["a".to_owned()]),
            service_documentation: Some("https://docs.example".to_owned()),
            ..metadata()
        };
        let written = serde_json::to_value(full).unwrap();
        assert_eq!(
            written["authorization_endpoint"],
            "https://id.example/authorize"
        );
        assert_eq!(written["scopes_supported"], json!(["a"]));
        assert_eq!(written["service_documentation"], "https://docs.example");
    }
}
