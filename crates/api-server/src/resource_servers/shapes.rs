//! What resource servers look like on the wire.

use chrono::{DateTime, Utc};
use grantor_domain::ids::{ClientId, ResourceServerId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::resource_server::{PrivateServerKey, ResourceServer, ServerIdentifier};
use grantor_domain::text::{Description, OrganizationName};
use grantor_protocol::scope::ScopeToken;
use grantor_storage::resource_servers::{ResourceServerSettings, StoredResourceServer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;
use crate::words::Verification;

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
    /// The longest that tokens for it may live, whatever their client is allowed.
    #[schema(minimum = 60, maximum = 86400)]
    lifetime_cap_seconds: Option<i64>,
    /// The clients that may introspect tokens for it.
    #[serde(default)]
    #[schema(default = json!([]), max_items = 100)]
    introspector_client_ids: Vec<String>,
}

/// A resource server to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewResourceServer, example = json!({ "key": "billing.api", "identifier": "https://billing.example",
    "name": "Billing", "scopes": [{ "name": "read", "description": "See invoices." }] }))]
pub struct NewServer {
    /// What stands before the colon in its scopes. It has a dot, and can't be changed later.
    #[schema(
        example = "billing.api",
        min_length = 3,
        max_length = 64,
        pattern = r"^[a-z0-9-]+(\.[a-z0-9-]+)+$"
    )]
    key: String,
    /// The audience of its tokens: an absolute URI.
    #[schema(
        example = "https://billing.example",
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
            lifetime_cap: cap?,
        };
        Some((settings, introspectors?))
    }
}

impl NewServer {
    pub(super) fn verified(self, id: ResourceServerId) -> Result<ResourceServer, Problem> {
        let mut fields = Fields::default();
        let key = fields.parse("/key", self.key.as_str(), PrivateServerKey::parse);
        let settings = ServerSettings {
            identifier: self.identifier,
            name: self.name,
            verification: self.verification,
            lifetime_cap_seconds: self.lifetime_cap_seconds,
            introspector_client_ids: self.introspector_client_ids,
        };
        let settings = settings.parsed(&mut fields);
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
                let description = fields.parse(
                    &format!("{place}/description"),
                    scope.description.as_str(),
                    Description::parse,
                );
                Some((name?, description?))
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
                    lifetime_cap: settings.lifetime_cap,
                    scopes: scopes.into_iter().collect(),
                    introspectors,
                })
            }
            _ => Err(fields.into_problem()),
        }
    }
}

/// The scope of a resource server by the name after the colon.
pub(super) fn scope_of(
    key: Option<&PrivateServerKey>,
    name: &str,
) -> Result<ScopeToken, &'static str> {
    const MEND: &str = "must be 1 to 100 characters of a-z, A-Z, 0-9, `.`, `_`, `-` and `:`";
    let is_good = (1..=100).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-:".contains(&byte));
    // Without a key nothing comes of it; its own fault is told.
    let key = key.map_or("x.x", PrivateServerKey::as_str);
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
}

/// A resource server.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ResourceServer, example = json!({ "id": "rsv_01kb2q3r4s5t6v7w8x9y0z1a2b", "key": "billing.api",
    "identifier": "https://billing.example", "name": "Billing", "verification": "introspection",
    "lifetime_cap_seconds": null, "introspector_client_ids": [],
    "scopes": [{ "name": "read", "scope": "billing.api:read", "description": "See invoices." }],
    "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z", "revision": 1 }))]
pub struct ServerOutput {
    /// Its id.
    #[schema(value_type = String, example = "rsv_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: ResourceServerId,
    /// What stands before the colon in its scopes.
    key: String,
    /// The audience of its tokens.
    identifier: String,
    /// Its name.
    name: String,
    /// How it checks tokens.
    verification: Verification,
    /// The longest that tokens for it may live, if that is capped.
    #[schema(required = true)]
    lifetime_cap_seconds: Option<u32>,
    /// The clients that may introspect tokens for it.
    introspector_client_ids: Vec<String>,
    /// Its scopes.
    scopes: Vec<ScopeOutput>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    updated_at: DateTime<Utc>,
    /// Counts its changes; the `ETag` is made of it.
    revision: i64,
}

impl From<&StoredResourceServer> for ServerOutput {
    fn from(stored: &StoredResourceServer) -> Self {
        let server = &stored.server;
        Self {
            id: server.id,
            key: server.key.as_str().to_owned(),
            identifier: server.identifier.as_str().to_owned(),
            name: server.name.to_string(),
            verification: server.verification.into(),
            lifetime_cap_seconds: server.lifetime_cap.map(AccessTokenLifetime::seconds),
            introspector_client_ids: ids(server),
            scopes: server
                .scopes
                .iter()
                .map(|(scope, description)| ScopeOutput::of(scope, description))
                .collect(),
            created_at: stored.created_at,
            updated_at: stored.updated_at,
            revision: stored.revision,
        }
    }
}

impl ScopeOutput {
    pub(super) fn of(scope: &ScopeToken, description: &Description) -> Self {
        let name = scope.as_str().split_once(':').map_or("", |(_, name)| name);
        Self {
            name: name.to_owned(),
            scope: scope.as_str().to_owned(),
            description: description.to_string(),
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
