//! Where each server listens.

use std::net::SocketAddr;

use crate::config::args::TokenArgs;
use crate::config::reading::given;
use crate::config::{Mistakes, Name, names};

/// Where the token server listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenSettings {
    /// For callers.
    pub listen: SocketAddr,
    /// For operators.
    pub operations_listen: SocketAddr,
}

impl TokenArgs {
    /// Checks the addresses.
    pub fn resolve(&self) -> Result<TokenSettings, Mistakes> {
        let (listen, operations_listen) = pair(
            (names::TOKEN_LISTEN, self.token_listen.as_ref(), 8081),
            (
                names::TOKEN_OPERATIONS_LISTEN,
                self.token_operations_listen.as_ref(),
                9081,
            ),
        )?;
        Ok(TokenSettings {
            listen,
            operations_listen,
        })
    }
}

impl TokenSettings {
    /// The settings by option, to be printed.
    pub fn describe(&self) -> Vec<(&'static str, String)> {
        vec![
            ("token-listen", self.listen.to_string()),
            (
                "token-operations-listen",
                self.operations_listen.to_string(),
            ),
        ]
    }
}

/// A setting, what was given, and its default port.
pub(super) type Raw<'a> = (Name, Option<&'a String>, u16);

/// The addresses for callers and for operators.
pub(super) fn pair(
    serving: Raw<'_>,
    operations: Raw<'_>,
) -> Result<(SocketAddr, SocketAddr), Mistakes> {
    let mut mistakes = Mistakes::new();
    let listen = address(&mut mistakes, serving);
    let operations_listen = address(&mut mistakes, operations);
    // Port 0 is another one each time.
    if mistakes.is_empty() && listen == operations_listen && listen.port() != 0 {
        mistakes.add(
            operations.0,
            format!("is the same address as {}", serving.0.option),
            "give operators a port of their own",
        );
    }
    mistakes.or((listen, operations_listen))
}

fn address(mistakes: &mut Mistakes, (name, raw, default_port): Raw<'_>) -> SocketAddr {
    let default = SocketAddr::from(([127, 0, 0, 1], default_port));
    let Some(text) = given(raw) else {
        return default;
    };
    text.parse().unwrap_or_else(|_| {
        mistakes.add(
            name,
            "is not an IP address with a port",
            format!("give one such as {default}, or 0.0.0.0:{default_port} for every interface"),
        );
        default
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ApiArgs;

    #[test]
    fn by_default_everything_stays_on_this_machine() {
        let api = ApiArgs::default().resolve().unwrap();
        let token = TokenArgs::default().resolve().unwrap();
        let (api, token) = (api.describe(), token.describe());
        let listen = |(option, _): &(&str, String)| option.ends_with("listen");
        let shown: Vec<_> = api.into_iter().chain(token).filter(listen).collect();
        assert_eq!(
            shown,
            [
                ("api-listen", "127.0.0.1:8080".to_owned()),
                ("api-operations-listen", "127.0.0.1:9080".to_owned()),
                ("token-listen", "127.0.0.1:8081".to_owned()),
                ("token-operations-listen", "127.0.0.1:9081".to_owned()),
            ]
        );
    }

    #[test]
    fn both_addresses_are_told_when_both_are_wrong() {
        let args = TokenArgs {
            token_listen: Some("8081".to_owned()),
            token_operations_listen: Some("localhost:9081".to_owned()),
        };
        let told = args.resolve().unwrap_err().to_string();
        assert!(
            told.contains("--token-listen (GRANTOR_TOKEN_LISTEN) is not an IP address"),
            "{told}"
        );
        assert!(
            told.contains("--token-operations-listen (GRANTOR_TOKEN_OPERATIONS_LISTEN)"),
            "{told}"
        );
        assert!(!told.contains("localhost"), "{told}");
    }

    #[test]
    fn operators_need_a_port_of_their_own() {
        let same = |address: &str| ApiArgs {
            api_listen: Some(address.to_owned()),
            api_operations_listen: Some(address.to_owned()),
            ..ApiArgs::default()
        };
        assert!(
            same("127.0.0.1:8080")
                .resolve()
                .unwrap_err()
                .to_string()
                .contains("same address")
        );
        assert!(same("127.0.0.1:0").resolve().is_ok());
    }
}
