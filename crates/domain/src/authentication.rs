//! Whether a client is who it says, at the endpoints of the token server.

use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use thiserror::Error;

use crate::client::Client;

/// Why a client did not prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthenticationFailure {
    /// Unknown client or wrong secret: outside, the two are told alike.
    #[error("unknown client or wrong secret")]
    Unproved,
    /// The secret is right, but came another way than the client is registered for.
    #[error("the client is registered for another method")]
    OtherMethod {
        /// The method that it is registered for.
        registered: TokenEndpointAuthMethod,
    },
}

/// Decides whether the client is authenticated, once its secret was compared.
///
/// The registered method is named only to who knows the secret.
pub fn authenticate(
    client: Option<&Client>,
    presented_by: TokenEndpointAuthMethod,
    a_live_secret_matches: bool,
) -> Result<&Client, AuthenticationFailure> {
    let client = client
        .filter(|_| a_live_secret_matches)
        .ok_or(AuthenticationFailure::Unproved)?;
    let registered = client.settings.auth_method;
    if registered == presented_by {
        Ok(client)
    } else {
        Err(AuthenticationFailure::OtherMethod { registered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::client;
    use TokenEndpointAuthMethod::{ClientSecretBasic, ClientSecretPost};

    #[test]
    fn only_the_right_secret_by_the_registered_method_opens() {
        let client = client("");
        assert!(authenticate(Some(&client), ClientSecretBasic, true).is_ok());
        assert_eq!(
            authenticate(Some(&client), ClientSecretBasic, false),
            Err(AuthenticationFailure::Unproved)
        );
        assert_eq!(
            authenticate(None, ClientSecretBasic, false),
            Err(AuthenticationFailure::Unproved)
        );
        assert_eq!(
            authenticate(None, ClientSecretBasic, true),
            Err(AuthenticationFailure::Unproved)
        );
        let registered = ClientSecretBasic;
        assert_eq!(
            authenticate(Some(&client), ClientSecretPost, true),
            Err(AuthenticationFailure::OtherMethod { registered })
        );
    }

    #[test]
    fn who_does_not_know_the_secret_does_not_learn_the_method() {
        let client = client("");
        assert_eq!(
            authenticate(Some(&client), ClientSecretPost, false),
            Err(AuthenticationFailure::Unproved)
        );
    }
}
