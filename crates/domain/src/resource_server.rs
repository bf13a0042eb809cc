//! Resource servers and their scopes: what a token may be asked for.

use std::collections::{BTreeMap, BTreeSet};

use grantor_protocol::scope::{ScopeToken, Scopes};
use thiserror::Error;
use uuid::Uuid;

use crate::ids::{ClientId, ResourceServerId, TenantId};
use crate::lifetime::AccessTokenLifetime;
use crate::openid::{self, OpenIdScope};
use crate::permission::Permission;
use crate::role::HeldPermissions;
use crate::text::{Description, OrganizationName};

/// The key of the management API, before the colon of its scopes.
pub const MANAGEMENT_API_KEY: &str = "grantor";
/// The audience of the management API.
pub const MANAGEMENT_API_AUDIENCE: &str = "urn:grantor:api";

/// For whom a resource server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// One tenant.
    Private,
    /// Every tenant, the same for each; operators make it.
    PlatformWide,
}

/// The key of a resource server: what stands before the colon in its scopes.
///
/// Keys of private resource servers contain a dot and those of platform-wide ones none, so that the two
/// can never meet, and the key alone tells the kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerKey(String);

/// Why a key was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerKeyError {
    /// It is none of a private resource server.
    #[error(
        "must be 3 to 64 characters of a-z, 0-9, `-` and at least one `.` inside, such as `orders.api`"
    )]
    Private,
    /// It is none of a platform-wide one.
    #[error("must be 3 to 64 characters of a-z, 0-9 and `-`, without a dot, such as `billing`")]
    PlatformWide,
    /// It is taken by what is there by itself.
    #[error("is taken by what every installation has; choose another")]
    Reserved,
}

impl ServerKey {
    /// Parses the key of a resource server of this kind.
    pub fn parse(kind: ServerKind, text: &str) -> Result<Self, ServerKeyError> {
        let (has_its_dot, error) = match kind {
            ServerKind::Private => (text.contains('.'), ServerKeyError::Private),
            ServerKind::PlatformWide => (!text.contains('.'), ServerKeyError::PlatformWide),
        };
        let good = (3..=64).contains(&text.len())
            && has_its_dot
            && text.split('.').all(|label| !label.is_empty())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
        if !good {
            return Err(error);
        }
        if text == MANAGEMENT_API_KEY || OpenIdScope::parse(text).is_some() {
            return Err(ServerKeyError::Reserved);
        }
        Ok(Self(text.to_owned()))
    }

    /// Parses the key of a private resource server.
    pub fn private(text: &str) -> Result<Self, ServerKeyError> {
        Self::parse(ServerKind::Private, text)
    }

    /// Parses the key of a platform-wide resource server.
    pub fn platform_wide(text: &str) -> Result<Self, ServerKeyError> {
        Self::parse(ServerKind::PlatformWide, text)
    }

    /// For whom a resource server with this key is.
    pub fn kind(&self) -> ServerKind {
        if self.0.contains('.') {
            ServerKind::Private
        } else {
            ServerKind::PlatformWide
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
    /// It is that of something that is there by itself.
    #[error("is the audience of what every installation has; choose another")]
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
        if [MANAGEMENT_API_AUDIENCE, openid::AUDIENCE].contains(&text) {
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

/// What the tokens of a resource server look like (`token_6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TokenFormat {
    /// Signed (RFC 9068).
    #[default]
    Jwt,
    /// Random: they tell nothing to who holds them.
    Opaque,
}

impl TokenFormat {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Jwt => "jwt",
            Self::Opaque => "opaque",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "jwt" => Some(Self::Jwt),
            "opaque" => Some(Self::Opaque),
            _ => None,
        }
    }
}

/// With what the tokens of a resource server are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256: every verifier of JWTs knows it.
    #[default]
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256: for verifiers that know nothing newer.
    Rs256,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// The stored word, which is the registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }

    /// What both can verify who ask for these: what they agree on, or else the default. So the order in which
    /// several come together does not matter.
    fn agreed(self, other: Self) -> Self {
        if self == other { self } else { Self::default() }
    }
}

/// What one token looks like. Of an opaque one there is nothing to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenShape {
    /// Signed (RFC 9068), with this algorithm.
    Signed(SigningAlgorithm),
    /// Random.
    Opaque,
}

/// What is said of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeFacts {
    /// What it allows, in a sentence for people.
    pub description: Description,
    /// What a member must hold, over whichever organization, for a client that acts for them to have the scope.
    pub needs_permission: Option<Permission>,
    /// Whether no client is newly allowed it. Who is allowed it already goes on.
    pub deprecated: bool,
}

impl ScopeFacts {
    /// A scope that anybody may have, with this description.
    pub fn described(description: Description) -> Self {
        Self {
            description,
            needs_permission: None,
            deprecated: false,
        }
    }
}

/// An API that tokens are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServer {
    /// Its id.
    pub id: ResourceServerId,
    /// What stands before the colon in its scopes. It tells for whom the resource server is.
    pub key: ServerKey,
    /// Its audience.
    pub identifier: ServerIdentifier,
    /// Its name.
    pub name: OrganizationName,
    /// How it tells a good token.
    pub verification: Verification,
    /// What its tokens look like.
    pub token_format: TokenFormat,
    /// With what its tokens are signed, where they are.
    pub signing_algorithm: SigningAlgorithm,
    /// The longest that tokens for it may live.
    pub lifetime_cap: Option<AccessTokenLifetime>,
    /// Its scopes, each the whole token with the key in front.
    pub scopes: BTreeMap<ScopeToken, ScopeFacts>,
    /// The clients that may introspect tokens for it: of the tenant whose it is, or of the platform tenant.
    pub introspectors: Vec<ClientId>,
}

/// Every scope that can be asked for in one tenant, and whose it is.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    servers: Vec<ResourceServer>,
    owners: Vec<TenantId>,
}

/// What a set of scopes amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The audiences of the resource servers, in order, each once.
    pub audiences: Vec<String>,
    /// The lowest of the caps on a token's lifetime.
    pub lifetime_cap: Option<AccessTokenLifetime>,
    /// Opaque, if the tokens of one of them are; else signed with what all of them agree on, or the default.
    pub token_shape: TokenShape,
}

/// Whose a scope is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeOwner<'c> {
    /// OpenID Connect's.
    OpenId(OpenIdScope),
    /// The management API's.
    Management(Permission),
    /// A resource server's.
    Server(&'c ResourceServer, &'c ScopeFacts),
}

impl ScopeOwner<'_> {
    /// What a member must hold for a client that acts for them to have the scope (`role_4`).
    pub fn needs_permission(&self) -> Option<Permission> {
        match self {
            Self::OpenId(_) => None,
            Self::Management(permission) => Some(*permission),
            Self::Server(_, facts) => facts.needs_permission,
        }
    }

    /// Whether nobody is newly allowed it.
    pub fn is_deprecated(&self) -> bool {
        matches!(self, Self::Server(_, facts) if facts.deprecated)
    }

    /// What it allows.
    pub fn description(&self) -> &str {
        match self {
            Self::OpenId(scope) => scope.description(),
            Self::Management(permission) => permission.description(),
            Self::Server(_, facts) => facts.description.as_str(),
        }
    }
}

impl Catalogue {
    /// The catalogue of a tenant with these resource servers, each with the tenant in whose feed its changes
    /// stand: its own for private ones, the platform tenant for platform-wide ones.
    pub fn new(servers: impl IntoIterator<Item = (TenantId, ResourceServer)>) -> Self {
        let (mut owners, servers): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
        owners.sort_unstable();
        owners.dedup();
        Self { servers, owners }
    }

    /// The resource servers, private and platform-wide ones.
    pub fn servers(&self) -> &[ResourceServer] {
        &self.servers
    }

    /// The tenants in whose feeds changes of these resource servers stand.
    pub fn owners(&self) -> &[TenantId] {
        &self.owners
    }

    /// What a decision by this catalogue rests on.
    pub fn subjects(&self) -> impl Iterator<Item = Uuid> {
        self.servers.iter().map(|server| server.id.uuid())
    }

    /// Whose a scope is, if it exists.
    pub fn owner_of(&self, scope: &ScopeToken) -> Option<ScopeOwner<'_>> {
        if let Some(permission) = Permission::from_scope(scope) {
            return Some(ScopeOwner::Management(permission));
        }
        if let Some(scope) = OpenIdScope::parse(scope.as_str()) {
            return Some(ScopeOwner::OpenId(scope));
        }
        self.servers.iter().find_map(|server| {
            let facts = server.scopes.get(scope)?;
            Some(ScopeOwner::Server(server, facts))
        })
    }

    /// Every scope that there is, in order.
    pub fn scopes(&self) -> BTreeMap<ScopeToken, ScopeOwner<'_>> {
        let management = Permission::ALL.iter().filter_map(|permission| {
            let scope = ScopeToken::parse(&permission.scope_name()).ok()?;
            Some((scope, ScopeOwner::Management(*permission)))
        });
        let openid = OpenIdScope::ALL.iter().filter_map(|scope| {
            let token = ScopeToken::parse(scope.as_str()).ok()?;
            Some((token, ScopeOwner::OpenId(*scope)))
        });
        let servers = self.servers.iter().flat_map(|server| {
            let scopes = server.scopes.iter();
            scopes.map(move |(scope, facts)| (scope.clone(), ScopeOwner::Server(server, facts)))
        });
        management.chain(openid).chain(servers).collect()
    }

    /// Whether a scope exists.
    pub fn knows(&self, scope: &ScopeToken) -> bool {
        self.owner_of(scope).is_some()
    }

    /// Those of the scopes that exist now (`token_8`).
    #[must_use]
    pub fn existing(&self, scopes: &Scopes) -> Scopes {
        scopes
            .iter()
            .filter(|scope| self.knows(scope))
            .cloned()
            .collect()
    }

    /// Those of the scopes that a client has that acts for a member who holds these permissions (`role_4`).
    #[must_use]
    pub fn for_member(&self, scopes: &Scopes, held: &HeldPermissions) -> Scopes {
        scopes
            .iter()
            .filter(|scope| {
                self.owner_of(scope).is_some_and(|owner| {
                    owner
                        .needs_permission()
                        .is_none_or(|permission| held.contains(permission))
                })
            })
            .cloned()
            .collect()
    }

    /// Audiences, lifetime and shape for a token with these scopes; scopes that do not exist count for nothing.
    pub fn reach(&self, scopes: &Scopes) -> Reach {
        let mut audiences = Vec::new();
        let mut lifetime_cap: Option<AccessTokenLifetime> = None;
        let mut is_opaque = false;
        let mut agreed: Option<SigningAlgorithm> = None;
        for scope in scopes {
            let (audience, algorithm) = match self.owner_of(scope) {
                None => continue,
                Some(ScopeOwner::Management(_)) => {
                    (MANAGEMENT_API_AUDIENCE, SigningAlgorithm::default())
                }
                Some(ScopeOwner::OpenId(_)) => (openid::AUDIENCE, SigningAlgorithm::default()),
                Some(ScopeOwner::Server(server, _)) => {
                    let by_signature = match server.verification {
                        Verification::Introspection => None,
                        Verification::Signature => {
                            Some(AccessTokenLifetime::SIGNATURE_VERIFIED_CAP)
                        }
                    };
                    let cap = lowest(server.lifetime_cap, by_signature);
                    lifetime_cap = lowest(lifetime_cap, cap);
                    is_opaque |= server.token_format == TokenFormat::Opaque;
                    (server.identifier.as_str(), server.signing_algorithm)
                }
            };
            agreed = Some(agreed.map_or(algorithm, |others| others.agreed(algorithm)));
            if !audiences.iter().any(|known| known == audience) {
                audiences.push(audience.to_owned());
            }
        }
        Reach {
            audiences,
            lifetime_cap,
            token_shape: if is_opaque {
                TokenShape::Opaque
            } else {
                TokenShape::Signed(agreed.unwrap_or_default())
            },
        }
    }

    /// The servers for which a client may introspect tokens.
    pub fn introspected_by(&self, client: ClientId) -> impl Iterator<Item = &ResourceServer> {
        self.servers
            .iter()
            .filter(move |server| server.introspectors.contains(&client))
    }

    /// Of these scopes, those of the servers with these identifiers.
    pub fn scopes_of(&self, servers: &BTreeSet<&str>, scopes: Scopes) -> Scopes {
        scopes
            .into_iter()
            .filter(|scope| match self.owner_of(scope) {
                Some(ScopeOwner::Server(server, _)) => servers.contains(server.identifier.as_str()),
                _ => false,
            })
            .collect()
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
        let nothing = ScopeFacts::described(Description::parse("").unwrap());
        ResourceServer {
            id: ResourceServerId::from_uuid(Uuid::from_u128(1)),
            key: ServerKey::private("orders.api").unwrap(),
            identifier: ServerIdentifier::parse("https://orders.example").unwrap(),
            name: OrganizationName::parse("Orders").unwrap(),
            verification,
            token_format: TokenFormat::Jwt,
            signing_algorithm: SigningAlgorithm::Es256,
            lifetime_cap: cap.map(|seconds| AccessTokenLifetime::from_seconds(seconds).unwrap()),
            scopes: [
                (scope("orders.api:read"), nothing.clone()),
                (scope("orders.api:write"), nothing),
            ]
            .into(),
            introspectors: vec![ClientId::from_uuid(Uuid::from_u128(2))],
        }
    }

    /// The catalogue of a tenant with these.
    pub(crate) fn catalogue(servers: impl IntoIterator<Item = ResourceServer>) -> Catalogue {
        let owner = TenantId::from_uuid(Uuid::from_u128(1));
        Catalogue::new(servers.into_iter().map(|server| (owner, server)))
    }

    /// A platform-wide one with the scopes `billing:pay` and `billing:old`, of which the first needs a permission
    /// and the second is deprecated.
    pub(crate) fn billing() -> ResourceServer {
        let scope = |name: &str| ScopeToken::parse(name).unwrap();
        let nothing = ScopeFacts::described(Description::parse("").unwrap());
        let pay = ScopeFacts {
            needs_permission: Some(Permission::SettingsWrite),
            ..nothing.clone()
        };
        let old = ScopeFacts {
            deprecated: true,
            ..nothing
        };
        ResourceServer {
            id: ResourceServerId::from_uuid(Uuid::from_u128(5)),
            key: ServerKey::platform_wide("billing").unwrap(),
            identifier: ServerIdentifier::parse("https://billing.example").unwrap(),
            name: OrganizationName::parse("Billing").unwrap(),
            scopes: [(scope("billing:pay"), pay), (scope("billing:old"), old)].into(),
            token_format: TokenFormat::Opaque,
            ..orders(Verification::Introspection, Some(120))
        }
    }

    #[test]
    fn keys_of_platform_wide_servers_have_no_dot_and_none_is_taken_by_what_is_there_by_itself() {
        for good in ["billing", "abc", "eu-1"] {
            let key = ServerKey::platform_wide(good).unwrap();
            assert_eq!(key.kind(), ServerKind::PlatformWide);
            assert_eq!(ServerKey::private(good), Err(ServerKeyError::Private));
        }
        for bad in [
            "",
            "ab",
            "a.b",
            "Billing",
            "bil ling",
            "b:c",
            &"x".repeat(65),
        ] {
            let refused = ServerKey::platform_wide(bad);
            assert_eq!(refused, Err(ServerKeyError::PlatformWide), "{bad}");
        }
        for reserved in ["grantor", "openid", "profile", "email", "address", "phone"] {
            let refused = ServerKey::platform_wide(reserved);
            assert_eq!(refused, Err(ServerKeyError::Reserved), "{reserved}");
        }
        // The underscore alone keeps this one from being a key.
        assert!(ServerKey::platform_wide("offline_access").is_err());
        let private = ServerKey::private("grantor.x").unwrap();
        assert_eq!(private.kind(), ServerKind::Private);
    }

    #[test]
    fn token_6_a_token_is_opaque_if_the_tokens_of_one_audience_are_and_lives_the_shortest_cap() {
        let both = catalogue([orders(Verification::Introspection, Some(900)), billing()]);
        let reach = |text: &str| both.reach(&Scopes::parse(text).unwrap());
        let signed = TokenShape::Signed(SigningAlgorithm::Es256);
        assert_eq!(reach("orders.api:read").token_shape, signed);
        assert_eq!(reach("grantor:clients.read openid").token_shape, signed);
        let mixed = reach("orders.api:read billing:pay");
        assert_eq!(mixed.token_shape, TokenShape::Opaque);
        assert_eq!(
            mixed.lifetime_cap.map(AccessTokenLifetime::seconds),
            Some(120)
        );
        assert_eq!(
            mixed.audiences,
            ["https://billing.example", "https://orders.example"]
        );
        assert_eq!(reach("openid email").audiences, ["urn:grantor:userinfo"]);
    }

    #[test]
    fn a_token_is_signed_with_what_all_its_audiences_agree_on_or_else_with_es256() {
        use SigningAlgorithm::{EdDsa, Es256};
        let shape = |asked: &str, orders_with, billing_with, billing_format| {
            let orders = ResourceServer {
                signing_algorithm: orders_with,
                ..orders(Verification::Introspection, None)
            };
            let billing = ResourceServer {
                signing_algorithm: billing_with,
                token_format: billing_format,
                ..billing()
            };
            let asked = Scopes::parse(asked).unwrap();
            // The order in which they are found must not matter.
            let reach = catalogue([orders.clone(), billing.clone()]).reach(&asked);
            assert_eq!(catalogue([billing, orders]).reach(&asked), reach);
            reach.token_shape
        };
        let jwt = TokenFormat::Jwt;
        for (asked, orders_with, billing_with, expected) in [
            ("orders.api:read", EdDsa, Es256, EdDsa),
            ("orders.api:read orders.api:write", EdDsa, Es256, EdDsa),
            ("orders.api:read", Es256, EdDsa, Es256),
            ("billing:pay orders.api:read", EdDsa, EdDsa, EdDsa),
            ("billing:pay orders.api:read", Es256, EdDsa, Es256),
            ("billing:pay orders.api:read", EdDsa, Es256, Es256),
            (
                "billing:old billing:pay orders.api:read orders.api:write",
                EdDsa,
                Es256,
                Es256,
            ),
            // What every installation has asks for the default, and what does not exist for nothing.
            ("grantor:clients.read orders.api:read", EdDsa, EdDsa, Es256),
            ("openid orders.api:read", EdDsa, EdDsa, Es256),
            ("orders.api:gone orders.api:read", EdDsa, Es256, EdDsa),
            ("openid", EdDsa, EdDsa, Es256),
            ("orders.api:gone", EdDsa, EdDsa, Es256),
        ] {
            assert_eq!(
                shape(asked, orders_with, billing_with, jwt),
                TokenShape::Signed(expected),
                "{asked} of {orders_with:?} and {billing_with:?}"
            );
        }
        for with in [Es256, EdDsa] {
            let mixed = shape(
                "billing:pay orders.api:read",
                EdDsa,
                with,
                TokenFormat::Opaque,
            );
            assert_eq!(mixed, TokenShape::Opaque, "an opaque one has none");
            let alone = shape("orders.api:read", EdDsa, with, TokenFormat::Opaque);
            assert_eq!(alone, TokenShape::Signed(EdDsa));
        }
    }

    #[test]
    fn only_the_registered_names_are_signing_algorithms() {
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(SigningAlgorithm::parse(algorithm.as_str()), Some(algorithm));
        }
        for other in ["", "none", "es256", "EDDSA", "Ed25519", "RS512", "ES256 "] {
            assert_eq!(SigningAlgorithm::parse(other), None, "{other}");
        }
    }

    #[test]
    fn role_4_who_acts_for_a_member_has_scopes_that_need_a_permission_while_the_member_holds_it() {
        use crate::ids::OrganizationId;
        use crate::role::{BuiltInRole, HeldRole, HomeTenant};
        let both = catalogue([orders(Verification::Introspection, None), billing()]);
        let root = OrganizationId::from_uuid(Uuid::from_u128(1));
        let held = |role: BuiltInRole| {
            let home = HomeTenant {
                root,
                is_platform: false,
            };
            HeldRole::new(role, root).conveys(home)
        };
        let asked = Scopes::parse(
            "billing:gone billing:pay grantor:clients.read grantor:tenants.create openid orders.api:read",
        )
        .unwrap();
        let left = |role| both.for_member(&asked, &held(role)).to_string();
        assert_eq!(
            left(BuiltInRole::Admin),
            "billing:pay grantor:clients.read openid orders.api:read"
        );
        assert_eq!(
            left(BuiltInRole::Support),
            "grantor:clients.read openid orders.api:read"
        );
        assert_eq!(left(BuiltInRole::Member), "openid orders.api:read");
    }

    #[test]
    fn token_8_what_does_not_exist_counts_for_nothing() {
        let both = catalogue([orders(Verification::Introspection, None), billing()]);
        let asked = Scopes::parse("billing:old billing:gone grantor:fly openid x.y:z").unwrap();
        assert_eq!(both.existing(&asked).to_string(), "billing:old openid");
        assert!(Catalogue::default().knows(&ScopeToken::parse("email").unwrap()));
    }

    #[test]
    fn the_flat_catalogue_has_every_scope_once() {
        let both = catalogue([orders(Verification::Introspection, None), billing()]);
        let all = both.scopes();
        assert_eq!(
            all.len(),
            4 + Permission::ALL.len() + OpenIdScope::ALL.len()
        );
        for (scope, owner) in &all {
            assert_eq!(both.owner_of(scope).as_ref(), Some(owner));
        }
        let of = |text: &str| all[&ScopeToken::parse(text).unwrap()];
        assert!(of("billing:old").is_deprecated());
        assert!(!of("billing:pay").is_deprecated());
        assert_eq!(
            of("grantor:clients.read").needs_permission(),
            Some(Permission::ClientsRead)
        );
        assert_eq!(of("openid").needs_permission(), None);
    }

    #[test]
    fn keys_of_private_servers_have_a_dot() {
        for good in ["orders.api", "a.b", "eu-1.orders.api"] {
            assert!(ServerKey::private(good).is_ok(), "{good}");
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
            assert_eq!(
                ServerKey::private(bad),
                Err(ServerKeyError::Private),
                "{bad}"
            );
        }
    }

    #[test]
    fn pause_4_a_server_that_verifies_signatures_caps_lifetimes() {
        let scopes = Scopes::parse("orders.api:read").unwrap();
        let reach = |server| {
            catalogue([server])
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
        let catalogue = catalogue([orders(Verification::Introspection, None)]);
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
        for reserved in ["urn:grantor:api", "urn:grantor:userinfo"] {
            assert_eq!(
                ServerIdentifier::parse(reserved),
                Err(ServerIdentifierError::Reserved)
            );
        }
    }

    #[test]
    fn only_named_clients_introspect() {
        let catalogue = catalogue([orders(Verification::Introspection, None)]);
        let (named, other) = (
            ClientId::from_uuid(Uuid::from_u128(2)),
            ClientId::from_uuid(Uuid::from_u128(3)),
        );
        let for_them = |client| -> BTreeSet<&str> {
            let servers = catalogue.introspected_by(client);
            servers.map(|server| server.identifier.as_str()).collect()
        };
        assert_eq!(for_them(named), ["https://orders.example"].into());
        assert!(for_them(other).is_empty());
        let all = Scopes::parse("openid orders.api:read grantor:clients.read gone:read").unwrap();
        let theirs = |servers: &[&str]| -> String {
            let servers = servers.iter().copied().collect();
            catalogue.scopes_of(&servers, all.clone()).to_string()
        };
        assert_eq!(theirs(&["https://orders.example"]), "orders.api:read");
        assert_eq!(theirs(&["https://else.example"]), "");
        assert_eq!(theirs(&[]), "");
    }
}
