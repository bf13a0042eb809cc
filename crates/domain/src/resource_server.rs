//! Resource servers and their scopes: what a token may be asked for.

use std::collections::BTreeMap;

use grantor_protocol::scope::{ScopeToken, Scopes};
use thiserror::Error;

use crate::ids::{ClientId, ResourceServerId};
use crate::lifetime::AccessTokenLifetime;
use crate::permission::Permission;
use crate::text::{Description, OrganizationName};

/// The key of the management API, before the colon of its scopes.
pub const MANAGEMENT_API_KEY: &str = "grantor";
/// The audience of the management API.
pub const MANAGEMENT_API_AUDIENCE: &str = "urn:grantor:api";

/// The key of a resource server: what stands before the colon in its scopes.
///
/// Keys of private resource servers contain a dot and those of platform-wide ones none, so that the two
/// can never meet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrivateServerKey(String);

/// Why a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "must be 3 to 64 characters of a-z, 0-9, `-` and at least one `.` inside, such as `orders.api`"
)]
pub struct ServerKeyError;

impl PrivateServerKey {
    /// Parses a key.
    pub fn parse(text: &str) -> Result<Self, ServerKeyError> {
        let good = (3..=64).contains(&text.len())
            && text.contains('.')
            && text.split('.').all(|label| !label.is_empty())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
        if good {
            Ok(Self(text.to_owned()))
        } else {
            Err(ServerKeyError)
        }
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The identifier of a resource server: the audience of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerIdentifier(String);

/// Why an identifier was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerIdentifierError {
    /// It is no absolute URI, or has what an audience must not have.
    #[error(
        "must be an absolute URI of at most 255 ASCII characters without a fragment, such as `https://orders.example`"
    )]
    NotAUri,
    /// It is that of the management API.
    #[error("`{MANAGEMENT_API_AUDIENCE}` is the management API; choose another")]
    Reserved,
}

impl ServerIdentifier {
    /// Parses an identifier (RFC 8707 §2: an absolute URI without a fragment).
    pub fn parse(text: &str) -> Result<Self, ServerIdentifierError> {
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"#\"<>\\^`{|}".contains(&byte);
        let has_scheme = text.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|letter: char| letter.is_ascii_lowercase())
                && scheme.bytes().all(|byte| {
                    byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte)
                })
                && !rest.is_empty()
        });
        if text.len() > 255 || !has_scheme || !text.bytes().all(is_plain) {
            return Err(ServerIdentifierError::NotAUri);
        }
        if text == MANAGEMENT_API_AUDIENCE {
            return Err(ServerIdentifierError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// The identifier itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How a resource server tells a good token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verification {
    /// It asks us each time, and so sees a revocation at once.
    Introspection,
    /// It verifies signatures alone, and sees a revocation when the token expires (`pause_4`).
    Signature,
}

impl Verification {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Introspection => "introspection",
            Self::Signature => "signature",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "introspection" => Some(Self::Introspection),
            "signature" => Some(Self::Signature),
            _ => None,
        }
    }
}

/// An API that tokens are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServer {
    /// Its id.
    pub id: ResourceServerId,
    /// What stands before the colon in its scopes.
    pub key: PrivateServerKey,
    /// Its audience.
    pub identifier: ServerIdentifier,
    /// Its name.
    pub name: OrganizationName,
    /// How it tells a good token.
    pub verification: Verification,
    /// The longest that tokens for it may live.
    pub lifetime_cap: Option<AccessTokenLifetime>,
    /// Its scopes, each the whole token with the key in front.
    pub scopes: BTreeMap<ScopeToken, Description>,
    /// The clients that may introspect tokens for it.
    pub introspectors: Vec<ClientId>,
}

/// Every scope that can be asked for in one tenant, and whose it is.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    servers: Vec<ResourceServer>,
}

/// What a set of scopes amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The audiences of the resource servers, in order, each once.
    pub audiences: Vec<String>,
    /// The lowest of the caps on a token's lifetime.
    pub lifetime_cap: Option<AccessTokenLifetime>,
}

impl Catalogue {
    /// The catalogue of a tenant with these resource servers of its own.
    pub fn new(servers: Vec<ResourceServer>) -> Self {
        Self { servers }
    }

    /// The tenant's own resource servers.
    pub fn servers(&self) -> &[ResourceServer] {
        &self.servers
    }

    /// Whether a scope exists.
    pub fn knows(&self, scope: &ScopeToken) -> bool {
        Permission::from_scope(scope).is_some() || self.owner_of(scope).is_some()
    }

    fn owner_of(&self, scope: &ScopeToken) -> Option<&ResourceServer> {
        self.servers
            .iter()
            .find(|server| server.scopes.contains_key(scope))
    }

    /// Audiences and lifetime for a token with these scopes; scopes that do not exist count for nothing.
    pub fn reach(&self, scopes: &Scopes) -> Reach {
        let mut audiences = Vec::new();
        let mut lifetime_cap: Option<AccessTokenLifetime> = None;
        for scope in scopes {
            let (audience, cap) = if Permission::from_scope(scope).is_some() {
                (MANAGEMENT_API_AUDIENCE, None)
            } else if let Some(server) = self.owner_of(scope) {
                let by_signature = match server.verification {
                    Verification::Introspection => None,
                    Verification::Signature => Some(AccessTokenLifetime::SIGNATURE_VERIFIED_CAP),
                };
                (
                    server.identifier.as_str(),
                    lowest(server.lifetime_cap, by_signature),
                )
            } else {
                continue;
            };
            lifetime_cap = lowest(lifetime_cap, cap);
            if !audiences.iter().any(|known| known == audience) {
                audiences.push(audience.to_owned());
            }
        }
        Reach {
            audiences,
            lifetime_cap,
        }
    }

    /// Whether a client may introspect a token for these audiences.
    pub fn may_introspect(&self, client: ClientId, audiences: &[String]) -> bool {
        self.servers.iter().any(|server| {
            server.introspectors.contains(&client)
                && audiences
                    .iter()
                    .any(|audience| audience == server.identifier.as_str())
        })
    }
}

fn lowest(
    one: Option<AccessTokenLifetime>,
    other: Option<AccessTokenLifetime>,
) -> Option<AccessTokenLifetime> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (cap, None) | (None, cap) => cap,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use uuid::Uuid;

    pub(crate) fn orders(verification: Verification, cap: Option<i64>) -> ResourceServer {
        let scope = |name: &str| ScopeToken::parse(name).unwrap();
        let nothing = Description::parse("").unwrap();
        ResourceServer {
            id: ResourceServerId::from_uuid(Uuid::from_u128(1)),
            key: PrivateServerKey::parse("orders.api").unwrap(),
            identifier: ServerIdentifier::parse("https://orders.example").unwrap(),
            name: OrganizationName::parse("Orders").unwrap(),
            verification,
            lifetime_cap: cap.map(|seconds| AccessTokenLifetime::from_seconds(seconds).unwrap()),
            scopes: [
                (scope("orders.api:read"), nothing.clone()),
                (scope("orders.api:write"), nothing),
            ]
            .into(),
            introspectors: vec![ClientId::from_uuid(Uuid::from_u128(2))],
        }
    }

    #[test]
    fn keys_of_private_servers_have_a_dot() {
        for good in ["orders.api", "a.b", "eu-1.orders.api"] {
            assert!(PrivateServerKey::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "orders",
            ".api",
            "orders.",
            "a..b",
            "Orders.api",
            "orders.api:x",
            "órders.api",
            "a.b c",
        ] {
            assert!(PrivateServerKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pause_4_a_server_that_verifies_signatures_caps_lifetimes() {
        let scopes = Scopes::parse("orders.api:read").unwrap();
        let reach = |server| {
            Catalogue::new(vec![server])
                .reach(&scopes)
                .lifetime_cap
                .map(AccessTokenLifetime::seconds)
        };
        assert_eq!(reach(orders(Verification::Introspection, None)), None);
        assert_eq!(
            reach(orders(Verification::Introspection, Some(300))),
            Some(300)
        );
        assert_eq!(reach(orders(Verification::Signature, None)), Some(600));
        assert_eq!(reach(orders(Verification::Signature, Some(300))), Some(300));
        assert_eq!(
            reach(orders(Verification::Signature, Some(3_600))),
            Some(600)
        );
    }

    #[test]
    fn a_token_may_have_several_audiences_each_once() {
        let catalogue = Catalogue::new(vec![orders(Verification::Introspection, None)]);
        let scopes =
            Scopes::parse("grantor:clients.read orders.api:read orders.api:write").unwrap();
        assert_eq!(
            catalogue.reach(&scopes).audiences,
            ["urn:grantor:api", "https://orders.example"]
        );
    }

    #[test]
    fn an_identifier_is_an_absolute_uri_without_fragment() {
        for good in [
            "https://orders.example",
            "urn:orders",
            "https://a.example/v1?x=1",
        ] {
            assert_eq!(ServerIdentifier::parse(good).unwrap().as_str(), good);
        }
        let long = format!("https://{}", "a".repeat(248));
        for bad in [
            "",
            "orders",
            "https:",
            "://x",
            "HTTPS://x",
            "1a:b",
            "https://a#b",
            "https://a b",
            "https://ü.example",
            "https://a\n",
            "urn:<x>",
            &long,
        ] {
            assert_eq!(
                ServerIdentifier::parse(bad),
                Err(ServerIdentifierError::NotAUri),
                "{bad}"
            );
        }
        assert_eq!(
            ServerIdentifier::parse("urn:grantor:api"),
            Err(ServerIdentifierError::Reserved)
        );
    }

    #[test]
    fn only_named_clients_introspect() {
        let catalogue = Catalogue::new(vec![orders(Verification::Introspection, None)]);
        let (named, other) = (
            ClientId::from_uuid(Uuid::from_u128(2)),
            ClientId::from_uuid(Uuid::from_u128(3)),
        );
        let audience = ["https://orders.example".to_owned()];
        assert!(catalogue.may_introspect(named, &audience));
        assert!(!catalogue.may_introspect(other, &audience));
        assert!(!catalogue.may_introspect(named, &["https://else.example".to_owned()]));
        assert!(!catalogue.may_introspect(named, &[]));
    }
}
