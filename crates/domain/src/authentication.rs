//! Whether a client is who it says, at the endpoints of the token server.

use std::net::IpAddr;

use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use thiserror::Error;

use crate::client::Client;

/// Why a client did not prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuthenticationFailure {
    /// Unknown client or wrong secret: outside, the two are told alike.
    #[error("unknown client or wrong secret")]
    Unproved,
    /// The secret is right, but came from where the client may not (`client_13`).
    #[error("the client may not come from this address")]
    OtherAddress {
        /// From where it came, as far as that is known.
        peer: Option<IpAddr>,
    },
    /// The secret is right, but came another way than the client is registered for.
    #[error("the client is registered for another method")]
    OtherMethod {
        /// The method that it is registered for.
        registered: TokenEndpointAuthMethod,
    },
}

/// Decides whether the client is authenticated, once its secret was compared.
///
/// From where it may come and by which method are told only to who knows the secret, and the method only to who comes
/// from there.
pub fn authenticate(
    client: Option<&Client>,
    presented_by: TokenEndpointAuthMethod,
    peer: Option<IpAddr>,
    a_live_secret_matches: bool,
) -> Result<&Client, AuthenticationFailure> {
    // A public client has nothing to prove itself by, and only says who it is.
    let is_proved = |client: &&Client| {
        a_live_secret_matches
            || [presented_by, client.settings.auth_method] == [TokenEndpointAuthMethod::None; 2]
    };
    let client = client
        .filter(is_proved)
        .ok_or(AuthenticationFailure::Unproved)?;
    if !client.settings.allowed_ips.admits(peer) {
        return Err(AuthenticationFailure::OtherAddress { peer });
    }
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
    use crate::ip_rule::IpRules;
    use TokenEndpointAuthMethod::{ClientSecretBasic, ClientSecretPost};

    #[test]
    fn only_the_right_secret_by_the_registered_method_opens() {
        let client = client("");
        assert!(authenticate(Some(&client), ClientSecretBasic, None, true).is_ok());
        assert_eq!(
            authenticate(Some(&client), ClientSecretBasic, None, false),
            Err(AuthenticationFailure::Unproved)
        );
        assert_eq!(
            authenticate(None, ClientSecretBasic, None, false),
            Err(AuthenticationFailure::Unproved)
        );
        assert_eq!(
            authenticate(None, ClientSecretBasic, None, true),
            Err(AuthenticationFailure::Unproved)
        );
        let registered = ClientSecretBasic;
        assert_eq!(
            authenticate(Some(&client), ClientSecretPost, None, true),
            Err(AuthenticationFailure::OtherMethod { registered })
        );
    }

    #[test]
    fn rfc6749_2_1_a_public_client_only_names_itself_and_nobody_else_does() {
        let confidential = client("");
        let mut public = client("");
        public.settings.auth_method = TokenEndpointAuthMethod::None;
        let by_name = TokenEndpointAuthMethod::None;
        assert!(authenticate(Some(&public), by_name, None, false).is_ok());
        for (client, method) in [
            (Some(&confidential), by_name),
            (None, by_name),
            (Some(&public), ClientSecretPost),
        ] {
            assert_eq!(
                authenticate(client, method, None, false),
                Err(AuthenticationFailure::Unproved)
            );
        }
    }

    #[test]
    fn who_does_not_know_the_secret_does_not_learn_the_method() {
        let client = client("");
        assert_eq!(
            authenticate(Some(&client), ClientSecretPost, None, false),
            Err(AuthenticationFailure::Unproved)
        );
    }

    #[test]
    fn client_13_a_client_comes_from_where_it_may_and_who_does_not_know_the_secret_learns_nothing_of_that()
     {
        let mut client = client("");
        client.settings.allowed_ips = IpRules::parse(&["192.0.2.0/24", "2001:db8::7"]).unwrap();
        let ask = |peer: Option<&str>, method, knows| {
            let peer = peer.map(|peer| peer.parse().unwrap());
            authenticate(Some(&client), method, peer, knows).map(|_| ())
        };
        for peer in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::7"] {
            assert_eq!(ask(Some(peer), ClientSecretBasic, true), Ok(()), "{peer}");
        }
        for peer in [None, Some("192.0.3.1"), Some("2001:db8::8")] {
            let other = AuthenticationFailure::OtherAddress {
                peer: peer.map(|peer| peer.parse().unwrap()),
            };
            assert_eq!(ask(peer, ClientSecretBasic, true), Err(other));
            // Nor the method to who comes from elsewhere.
            assert_eq!(ask(peer, ClientSecretPost, true), Err(other));
            let unproved = AuthenticationFailure::Unproved;
            assert_eq!(ask(peer, ClientSecretBasic, false), Err(unproved));
        }
    }
}
