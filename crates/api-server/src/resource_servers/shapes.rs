//! What resource servers look like on the wire.

use chrono::{DateTime, Utc};
use grantor_domain::ids::{ClientId, ResourceServerId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::permission::Permission;
use grantor_domain::resource_server::{
    ResourceServer, ScopeFacts, ServerIdentifier, ServerKey, ServerKind,
};
use grantor_domain::text::{Description, OrganizationName};
use grantor_protocol::scope::ScopeToken;
use grantor_storage::resource_servers::{ResourceServerSettings, StoredResourceServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;
use crate::words::{PermissionName, SigningAlgorithm, TokenFormat, Verification};

const INTROSPECTORS_LIMIT: usize = 100;
const SCOPES_LIMIT: usize = 200;

/// All that can be set of a resource server once it is made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResourceServerSettings, example = json!({ "identifier": "https://orders-api.example", "name": "Orders API" }))]
pub struct ServerSettings {
    /// The audience of its tokens: an absolute URI.
    #[schema(
        example = "https://orders.example",
        min_length = 3,
        max_length = 255,
        pattern = r"^[a-z][a-z0-9+.-]*:[!$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]+$"
    )]
    identifier: String,
    /// Its name.
    #[schema(example = "Orders", min_length = 1, max_length = 100)]
    name: String,
    /// How it checks tokens.
    #[serde(default = "by_introspection")]
    #[schema(default = "introspection")]
    verification: Verification,
    /// What its tokens look like. A token for several resource servers is opaque if one of them wants it so;
    /// who verifies signatures can't.
    #[serde(default = "signed")]
    #[schema(default = "jwt")]
    token_format: TokenFormat,
    /// With what its tokens are signed, where they are. A token for several resource servers is signed with `ES256`
    /// unless all of them name the same other.
    #[serde(default = "with_es256")]
    #[schema(default = "ES256")]
    signing_algorithm: SigningAlgorithm,
    /// The longest that tokens for it may live, whatever their client is allowed.
    #[schema(minimum = 60, maximum = 86400)]
    lifetime_cap_seconds: Option<i64>,
    /// The clients that may introspect tokens for it.
    #[serde(default)]
    #[schema(default = json!([]), max_items = 100)]
    introspector_client_ids: Vec<String>,
}

/// What is to be made: the two kinds differ by their keys alone.
macro_rules! new_server {
    ($(#[$doc:meta])* $name:ident as $shown:ident, $key:tt: { $(#[$about:meta])* } $pattern:tt, $identifier:tt, $example:tt) => {
        $(#[$doc])*
        #[derive(Debug, Deserialize, ToSchema)]
        #[serde(deny_unknown_fields)]
        #[schema(as = $shown, example = json!($example))]
        pub struct $name {
            $(#[$about])*
            #[schema(example = $key, min_length = 3, max_length = 64, pattern = $pattern)]
            key: String,
            /// The audience of its tokens: an absolute URI.
            #[schema(
                example = $identifier,
                min_length = 3,
                max_length = 255,
                pattern = r"^[a-z][a-z0-9+.-]*:[!$%&'()*+,./0-9:;=?@A-Z\[\]_a-z~-]+$"
            )]
            identifier: String,
            /// Its name.
            #[schema(example = "Billing", min_length = 1, max_length = 100)]
            name: String,
            /// How it checks tokens.
            #[serde(default = "by_introspection")]
            #[schema(default = "introspection")]
            verification: Verification,
            /// What its tokens look like. A token for several resource servers is opaque if one of them wants it
            /// so; who verifies signatures can't.
            #[serde(default = "signed")]
            #[schema(default = "jwt")]
            token_format: TokenFormat,
            /// With what its tokens are signed, where they are. A token for several resource servers is signed with `ES256`
            /// unless all of them name the same other.
            #[serde(default = "with_es256")]
            #[schema(default = "ES256")]
            signing_algorithm: SigningAlgorithm,
            /// The longest that tokens for it may live, whatever their client is allowed.
            #[schema(minimum = 60, maximum = 86400)]
            lifetime_cap_seconds: Option<i64>,
            /// The clients that may introspect tokens for it.
            #[serde(default)]
            #[schema(default = json!([]), max_items = 100)]
            introspector_client_ids: Vec<String>,
            /// Its first scopes.
            #[serde(default)]
            #[schema(max_items = 200)]
            scopes: Vec<NewScope>,
        }

        impl From<$name> for Wanted {
            fn from(new: $name) -> Self {
                Self {
                    key: new.key,
                    settings: ServerSettings {
                        identifier: new.identifier,
                        name: new.name,
                        verification: new.verification,
                        token_format: new.token_format,
                        signing_algorithm: new.signing_algorithm,
                        lifetime_cap_seconds: new.lifetime_cap_seconds,
                        introspector_client_ids: new.introspector_client_ids,
                    },
                    scopes: new.scopes,
                }
            }
        }
    };
}

new_server! {
    /// A resource server to be made.
    NewServer as NewResourceServer,
    "billing.api": {
        /// What stands before the colon in its scopes. It has a dot, and can't be changed later; once used, it is
        /// nobody else's any more.
    }
    r"^[a-z0-9-]+(\.[a-z0-9-]+)+$",
    "https://billing.example",
    { "key": "billing.api", "identifier": "https://billing.example",
      "name": "Billing", "scopes": [{ "name": "read", "description": "See invoices." }] }
}

new_server! {
    /// A platform-wide resource server to be made.
    NewPlatformServer as NewPlatformResourceServer,
    "payments": {
        /// What stands before the colon in its scopes. It has no dot, and can't be changed later; once used, it is
        /// nobody else's any more.
    }
    r"^[a-z0-9-]+$",
    "https://payments.example",
    { "key": "payments", "identifier": "https://payments.example",
      "name": "Payments", "scopes": [{ "name": "read", "description": "See payments." }] }
}

/// What is to be made, of whichever kind.
#[derive(Debug)]
pub struct Wanted {
    key: String,
    settings: ServerSettings,
    scopes: Vec<NewScope>,
}

/// A scope to be made with its resource server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewScope {
    /// What stands after the colon.
    #[schema(
        example = "read",
        min_length = 1,
        max_length = 100,
        pattern = "^[A-Za-z0-9._:-]+$"
    )]
    name: String,
    /// What it allows, in a sentence for people.
    #[serde(default)]
    #[schema(example = "See invoices.", max_length = 1000)]
    description: String,
    /// A permission that a member must hold, over whichever organization, for a client that acts for them to have
    /// the scope.
    #[schema(value_type = Option<PermissionName>)]
    needs_permission: Option<String>,
    /// Whether no further client is allowed it.
    #[serde(default)]
    #[schema(default = false)]
    deprecated: bool,
}

fn signed() -> TokenFormat {
    TokenFormat::Jwt
}

fn with_es256() -> SigningAlgorithm {
    SigningAlgorithm::Es256
}

fn by_introspection() -> Verification {
    Verification::Introspection
}

impl ServerSettings {
    pub(super) fn verified(self) -> Result<(ResourceServerSettings, Vec<ClientId>), Problem> {
        let mut fields = Fields::default();
        let parsed = self.parsed(&mut fields);
        parsed.ok_or_else(|| fields.into_problem())
    }

    fn parsed(self, fields: &mut Fields) -> Option<(ResourceServerSettings, Vec<ClientId>)> {
        let identifier = fields.parse(
            "/identifier",
            self.identifier.as_str(),
            ServerIdentifier::parse,
        );
        let name = fields.parse("/name", self.name.as_str(), OrganizationName::parse);
        let cap = match self.lifetime_cap_seconds {
            None => Some(None),
            Some(seconds) => fields
                .parse(
                    "/lifetime_cap_seconds",
                    seconds,
                    AccessTokenLifetime::from_seconds,
                )
                .map(Some),
        };
        let contradicts = matches!(
            (self.verification, self.token_format),
            (Verification::Signature, TokenFormat::Opaque)
        );
        if contradicts {
            fields.fault(
                "/token_format",
                "must be `jwt` where `verification` is `signature`: an opaque token has none"
                    .to_owned(),
            );
            return None;
        }
        if self.introspector_client_ids.len() > INTROSPECTORS_LIMIT {
            fields.fault(
                "/introspector_client_ids",
                format!("must have at most {INTROSPECTORS_LIMIT} clients"),
            );
            return None;
        }
        let introspectors: Vec<_> = self
            .introspector_client_ids
            .iter()
            .enumerate()
            .map(|(index, id)| {
                let pointer = format!("/introspector_client_ids/{index}");
                fields.parse(&pointer, id.as_str(), str::parse::<ClientId>)
            })
            .collect();
        let mut introspectors = introspectors.into_iter().collect::<Option<Vec<_>>>();
        if let Some(clients) = &mut introspectors {
            clients.sort();
            clients.dedup();
        }
        let settings = ResourceServerSettings {
            identifier: identifier?,
            name: name?,
            verification: self.verification.into(),
            token_format: self.token_format.into(),
            signing_algorithm: self.signing_algorithm.into(),
            lifetime_cap: cap?,
        };
        Some((settings, introspectors?))
    }
}

impl Wanted {
    pub(super) fn verified(
        self,
        kind: ServerKind,
        id: ResourceServerId,
    ) -> Result<ResourceServer, Problem> {
        let mut fields = Fields::default();
        let key = fields.parse("/key", self.key.as_str(), |key| ServerKey::parse(kind, key));
        let settings = self.settings.parsed(&mut fields);
        if self.scopes.len() > SCOPES_LIMIT {
            fields.fault(
                "/scopes",
                format!("must have at most {SCOPES_LIMIT} scopes"),
            );
        }
        let scopes: Vec<_> = self
            .scopes
            .iter()
            .take(SCOPES_LIMIT)
            .enumerate()
            .filter_map(|(index, scope)| {
                let place = format!("/scopes/{index}");
                let name = fields.parse(&format!("{place}/name"), &scope.name, |name| {
                    scope_of(key.as_ref(), name)
                });
                let facts = facts(
                    &mut fields,
                    &place,
                    &scope.description,
                    scope.needs_permission.as_deref(),
                    scope.deprecated,
                );
                Some((name?, facts?))
            })
            .collect();
        match (key, settings) {
            (Some(key), Some((settings, introspectors))) if scopes.len() == self.scopes.len() => {
                Ok(ResourceServer {
                    id,
                    key,
                    identifier: settings.identifier,
                    name: settings.name,
                    verification: settings.verification,
                    token_format: settings.token_format,
                    signing_algorithm: settings.signing_algorithm,
                    lifetime_cap: settings.lifetime_cap,
                    scopes: scopes.into_iter().collect(),
                    introspectors,
                })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

/// What is said of a scope, from fields below a place.
pub(super) fn facts(
    fields: &mut Fields,
    place: &str,
    description: &str,
    needs_permission: Option<&str>,
    deprecated: bool,
) -> Option<ScopeFacts> {
    let description = fields.parse(
        &format!("{place}/description"),
        description,
        Description::parse,
    );
    let needs_permission = match needs_permission {
        None => Some(None),
        Some(name) => fields
            .parse(&format!("{place}/needs_permission"), name, |name| {
                Permission::parse(name)
                    .ok_or("must be a permission of the management API, such as `settings.read`")
            })
            .map(Some),
    };
    Some(ScopeFacts {
        description: description?,
        needs_permission: needs_permission?,
        deprecated,
    })
}

/// The scope of a resource server by the name after the colon.
pub(super) fn scope_of(key: Option<&ServerKey>, name: &str) -> Result<ScopeToken, &'static str> {
    const MEND: &str = "must be 1 to 100 characters of a-z, A-Z, 0-9, `.`, `_`, `-` and `:`";
    let is_good = (1..=100).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte));
    // Without a key nothing comes of it; its own fault is told.
    let key = key.map_or("x.x", ServerKey::as_str);
    ScopeToken::parse(&format!("{key}:{name}"))
        .ok()
        .filter(|_| is_good)
        .ok_or(MEND)
}

/// A scope of a resource server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Scope)]
pub struct ScopeOutput {
    /// What stands after the colon.
    #[schema(example = "read")]
    pub name: String,
    /// The whole scope, as tokens and clients have it.
    #[schema(example = "billing.api:read")]
    pub scope: String,
    /// What it allows.
    pub description: String,
    /// The permission that a member must hold, over whichever organization, for a client that acts for them to have
    /// the scope.
    #[schema(value_type = Option<PermissionName>, required = true)]
    pub needs_permission: Option<&'static str>,
    /// Whether no further client is allowed it.
    pub deprecated: bool,
}

/// A resource server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ResourceServer, example = json!({ "id": "rsv_01kb2q3r4s5t6v7w8x9y0z1a2b", "key": "billing.api",
    "identifier": "https://billing.example", "name": "Billing", "built_in": false,
    "verification": "introspection", "token_format": "jwt", "signing_algorithm": "ES256",
    "lifetime_cap_seconds": null, "introspector_client_ids": [],
    "scopes": [{ "name": "read", "scope": "billing.api:read", "description": "See invoices.",
        "needs_permission": null, "deprecated": false }],
    "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z", "revision": 1 }))]
pub struct ServerOutput {
    /// Its id.
    #[schema(value_type = String, example = "rsv_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    pub(super) id: ResourceServerId,
    /// What stands before the colon in its scopes.
    pub(super) key: String,
    /// The audience of its tokens.
    pub(super) identifier: String,
    /// Its name.
    pub(super) name: String,
    /// Whether every installation has it: then it can't be changed.
    pub(super) built_in: bool,
    /// How it checks tokens.
    pub(super) verification: Verification,
    /// What its tokens look like.
    pub(super) token_format: TokenFormat,
    /// With what its tokens are signed, where they are.
    pub(super) signing_algorithm: SigningAlgorithm,
    /// The longest that tokens for it may live, if that is capped.
    #[schema(required = true)]
    pub(super) lifetime_cap_seconds: Option<u32>,
    /// The clients that may introspect tokens for it. Of a platform-wide one they are shown in the operators'
    /// tenant alone.
    pub(super) introspector_client_ids: Vec<String>,
    /// Its scopes.
    pub(super) scopes: Vec<ScopeOutput>,
    /// When it was made.
    pub(super) created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    pub(super) updated_at: DateTime<Utc>,
    /// Counts its changes; the `ETag` is made of it.
    pub(super) revision: i64,
}

impl From<&StoredResourceServer> for ServerOutput {
    fn from(stored: &StoredResourceServer) -> Self {
        let server = &stored.server;
        Self {
            id: server.id,
            key: server.key.as_str().to_owned(),
            identifier: server.identifier.as_str().to_owned(),
            name: server.name.to_string(),
            built_in: false,
            verification: server.verification.into(),
            token_format: server.token_format.into(),
            signing_algorithm: server.signing_algorithm.into(),
            lifetime_cap_seconds: server.lifetime_cap.map(AccessTokenLifetime::seconds),
            introspector_client_ids: ids(server),
            scopes: server
                .scopes
                .iter()
                .map(|(scope, facts)| ScopeOutput::of(scope, facts))
                .collect(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            revision: stored.revision,
        }
    }
}

impl ScopeOutput {
    pub(super) fn of(scope: &ScopeToken, facts: &ScopeFacts) -> Self {
        let name = scope.as_str().split_once(':').map_or("", |(_, name)| name);
        Self {
            name: name.to_owned(),
            scope: scope.as_str().to_owned(),
            description: facts.description.to_string(),
            needs_permission: facts.needs_permission.map(Permission::as_str),
            deprecated: facts.deprecated,
        }
    }
}

fn ids(server: &ResourceServer) -> Vec<String> {
    server
        .introspectors
        .iter()
        .map(ToString::to_string)
        .collect()
}

impl From<&ResourceServer> for ServerSettings {
    fn from(server: &ResourceServer) -> Self {
        Self {
            identifier: server.identifier.as_str().to_owned(),
            name: server.name.to_string(),
            verification: server.verification.into(),
            token_format: server.token_format.into(),
            signing_algorithm: server.signing_algorithm.into(),
            lifetime_cap_seconds: server.lifetime_cap.map(|cap| cap.seconds().into()),
            introspector_client_ids: ids(server),
        }
    }
}

/// A resource server as the log of record shows it.
pub(super) fn for_the_log(server: &ResourceServer) -> Value {
    let scopes: Vec<_> = server.scopes.keys().map(ScopeToken::as_str).collect();
    json!({ "key": server.key.as_str(), "scopes": scopes, "settings": ServerSettings::from(server) })
}
