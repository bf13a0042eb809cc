//! What clients look like on the wire: types of their own, never rows.

use chrono::{DateTime, Utc};
use grantor_domain::audit::Person;
use grantor_domain::client::{self, Client, OwnerContact};
use grantor_domain::ids::ClientId;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::suspension::{Pause, Suspension};
use grantor_domain::text::{ClientName, Description, EmailAddress, PersonName};
use grantor_protocol::auth_method;
use grantor_protocol::scope::{ScopeToken, Scopes};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;
use crate::secrets::ShownSecret;
use crate::words::{
    ClientProfile, ClientStatus, ClientType, GrantType, PausedBy, TokenEndpointAuthMethod,
};

/// Whom to write to about a client.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OwnerContact)]
pub struct OwnerContactShape {
    /// Their name.
    #[schema(example = "Operations", min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Their mail address.
    #[schema(example = "operations@acme.example", format = Email, max_length = 254)]
    pub email: String,
}

/// All that can be set of a client.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClientSettings, example = json!({ "name": "Nightly export",
    "description": "Exports orders to the warehouse",
    "owner_contact": { "name": "Operations", "email": "operations@acme.example" } }))]
pub struct ClientInput {
    /// Its name.
    #[schema(example = "Nightly export", min_length = 1, max_length = 100)]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(
        default = "",
        example = "Exports orders to the warehouse",
        max_length = 1000
    )]
    description: String,
    /// Whom to write to about it.
    owner_contact: OwnerContactShape,
    /// The scopes that it may ask for.
    #[serde(default)]
    #[schema(default = json!([]), example = json!(["orders.api:read"]), max_items = 100)]
    pub(super) allowed_scopes: Vec<String>,
    /// Whether a token request must name its scopes; if not, it gets all that are allowed.
    #[serde(default = "yes")]
    #[schema(default = true)]
    require_requested_scopes: bool,
    /// How long its access tokens live; a resource server may cap it. Where it is absent, what the tenant's
    /// settings have for `default_access_token_seconds`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, example = 3600, minimum = 60, maximum = 86400)]
    access_token_lifetime_seconds: Option<i64>,
    /// How it authenticates: by `client_secret_basic` or `client_secret_post`.
    #[serde(default = "default_method")]
    #[schema(default = "client_secret_basic")]
    token_endpoint_auth_method: TokenEndpointAuthMethod,
}

fn yes() -> bool {
    true
}

/// What is given is a number: `null` is no way to leave it out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

fn default_method() -> TokenEndpointAuthMethod {
    TokenEndpointAuthMethod::ClientSecretBasic
}

impl ClientInput {
    /// Whether it says how long access tokens live.
    pub(super) fn names_lifetime(&self) -> bool {
        self.access_token_lifetime_seconds.is_some()
    }

    /// Parses every field, and tells all that is wrong at once. Where no lifetime is named, it is this one.
    pub(super) fn verified(
        self,
        default_lifetime: AccessTokenLifetime,
    ) -> Result<client::ClientSettings, Problem> {
        let mut fields = Fields::default();
        let name = fields.parse("/name", self.name.as_str(), ClientName::parse);
        let description = fields.parse(
            "/description",
            self.description.as_str(),
            Description::parse,
        );
        let email = fields.parse(
            "/owner_contact/email",
            self.owner_contact.email.as_str(),
            EmailAddress::parse,
        );
        let owner_name = match self.owner_contact.name.as_deref() {
            None => Some(None),
            Some(name) => fields
                .parse("/owner_contact/name", name, PersonName::parse)
                .map(Some),
        };
        let lifetime = match self.access_token_lifetime_seconds {
            None => Some(default_lifetime),
            Some(seconds) => fields.parse(
                "/access_token_lifetime_seconds",
                seconds,
                AccessTokenLifetime::from_seconds,
            ),
        };
        let auth_method = fields.parse(
            "/token_endpoint_auth_method",
            self.token_endpoint_auth_method,
            secret_method,
        );
        let scopes = parse_scopes(&mut fields, &self.allowed_scopes);
        let (
            Some(name),
            Some(description),
            Some(email),
            Some(owner_name),
            Some(access_token_lifetime),
            Some(auth_method),
            Some(allowed_scopes),
        ) = (
            name,
            description,
            email,
            owner_name,
            lifetime,
            auth_method,
            scopes,
        )
        else {
            return Err(fields.into_problem());
        };
        Ok(client::ClientSettings {
            name,
            description,
            client_type: client::ClientType::Confidential,
            profile: client::ClientProfile::Service,
            grant_types: vec![grantor_protocol::grant_type::GrantType::ClientCredentials],
            auth_method,
            allowed_scopes,
            require_requested_scopes: self.require_requested_scopes,
            access_token_lifetime,
            owner_contact: OwnerContact {
                name: owner_name,
                email,
            },
        })
    }
}

impl From<&client::ClientSettings> for ClientInput {
    fn from(settings: &client::ClientSettings) -> Self {
        Self {
            name: settings.name.to_string(),
            description: settings.description.to_string(),
            owner_contact: (&settings.owner_contact).into(),
            allowed_scopes: settings.allowed_scopes.to_vec(),
            require_requested_scopes: settings.require_requested_scopes,
            access_token_lifetime_seconds: Some(settings.access_token_lifetime.seconds().into()),
            token_endpoint_auth_method: settings.auth_method.into(),
        }
    }
}

impl From<&OwnerContact> for OwnerContactShape {
    fn from(contact: &OwnerContact) -> Self {
        Self {
            name: contact.name.as_ref().map(ToString::to_string),
            email: contact.email.to_string(),
        }
    }
}

const SCOPES_LIMIT: usize = 100;

fn parse_scopes(fields: &mut Fields, scopes: &[String]) -> Option<Scopes> {
    if scopes.len() > SCOPES_LIMIT {
        fields.fault(
            "/allowed_scopes",
            format!("must have at most {SCOPES_LIMIT} scopes"),
        );
        return None;
    }
    let parsed: Vec<_> = scopes
        .iter()
        .enumerate()
        .map(|(index, scope)| {
            fields.parse(
                &format!("/allowed_scopes/{index}"),
                scope.as_str(),
                ScopeToken::parse,
            )
        })
        .collect();
    parsed.into_iter().collect()
}

fn secret_method(
    word: TokenEndpointAuthMethod,
) -> Result<auth_method::TokenEndpointAuthMethod, &'static str> {
    match word {
        TokenEndpointAuthMethod::ClientSecretBasic => {
            Ok(auth_method::TokenEndpointAuthMethod::ClientSecretBasic)
        }
        TokenEndpointAuthMethod::ClientSecretPost => {
            Ok(auth_method::TokenEndpointAuthMethod::ClientSecretPost)
        }
        TokenEndpointAuthMethod::None => {
            Err("must be `client_secret_basic` or `client_secret_post`: the client is confidential")
        }
    }
}

/// A pause of a client or a member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub struct PauseOutput {
    /// Whose pause it is.
    by: PausedBy,
    /// Since when.
    since: DateTime<Utc>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

/// A client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Client, example = json!({ "id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "Nightly export",
    "description": "Exports orders to the warehouse", "type": "confidential", "profile": "service",
    "grant_types": ["client_credentials"], "token_endpoint_auth_method": "client_secret_basic",
    "allowed_scopes": ["orders.api:read"], "require_requested_scopes": true,
    "access_token_lifetime_seconds": 3600,
    "owner_contact": { "name": "Operations", "email": "operations@acme.example" },
    "status": "active", "pauses": [], "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z", "secret_updated_at": "2026-01-31T12:00:00Z", "revision": 2 }))]
pub struct ClientOutput {
    /// Its id, which is also its OAuth `client_id`.
    #[schema(value_type = String, example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: ClientId,
    /// The organization that it lives in.
    #[schema(example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    organization_id: String,
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// Whether it can keep a secret.
    #[serde(rename = "type")]
    client_type: ClientType,
    /// What kind of program it is.
    profile: ClientProfile,
    /// The grants that it may use.
    grant_types: Vec<GrantType>,
    /// How it authenticates.
    token_endpoint_auth_method: TokenEndpointAuthMethod,
    /// The scopes that it may ask for.
    allowed_scopes: Vec<String>,
    /// Whether a token request must name its scopes.
    require_requested_scopes: bool,
    /// How long its access tokens live.
    access_token_lifetime_seconds: u32,
    /// Whom to write to about it.
    owner_contact: OwnerContactShape,
    /// Whether it may act.
    status: ClientStatus,
    /// Why it is disabled: each pause, by whom. Any one of them suffices.
    pauses: Vec<PauseOutput>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    updated_at: DateTime<Utc>,
    /// When it last got a new secret.
    #[schema(required = true)]
    secret_updated_at: Option<DateTime<Utc>>,
    /// Counts its changes; the `ETag` is made of it.
    revision: i64,
}

/// A client that was just made, with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedClient {
    #[serde(flatten)]
    pub(super) client: ClientOutput,
    /// Shown this once.
    pub(super) secret: ShownSecret,
}

impl From<&Client> for ClientOutput {
    fn from(client: &Client) -> Self {
        let Client {
            settings,
            suspension,
            ..
        } = client;
        Self {
            id: client.id,
            organization_id: client.organization.to_string(),
            name: settings.name.to_string(),
            description: settings.description.to_string(),
            client_type: settings.client_type.into(),
            profile: settings.profile.into(),
            grant_types: settings
                .grant_types
                .iter()
                .map(|grant| GrantType::from(*grant))
                .collect(),
            token_endpoint_auth_method: settings.auth_method.into(),
            allowed_scopes: settings.allowed_scopes.to_vec(),
            require_requested_scopes: settings.require_requested_scopes,
            access_token_lifetime_seconds: settings.access_token_lifetime.seconds(),
            owner_contact: (&settings.owner_contact).into(),
            status: client.status().into(),
            pauses: pauses(suspension),
            created_at: client.created_at,
            updated_at: client.updated_at,
            secret_updated_at: client.secret_updated_at,
            revision: client.revision,
        }
    }
}

/// Each pause, by whom.
pub fn pauses(suspension: &Suspension) -> Vec<PauseOutput> {
    let pause = |by, pause: &Option<Pause>| {
        pause.as_ref().map(|pause| PauseOutput {
            by,
            since: pause.since,
            reason: pause.reason.as_ref().map(ToString::to_string),
        })
    };
    pause(PausedBy::Tenant, &suspension.by_tenant)
        .into_iter()
        .chain(pause(PausedBy::Operator, &suspension.by_operator))
        .collect()
}

/// A client as the log of record shows it: every setting, and never a secret.
pub fn for_the_log(settings: &client::ClientSettings) -> Value {
    let contact = Person {
        name: settings.owner_contact.name.clone(),
        email: Some(settings.owner_contact.email.clone()),
    };
    let Value::Object(particulars) = json!({
        "name": settings.name.as_str(),
        "description": settings.description.as_str(),
        "type": settings.client_type.as_str(),
        "profile": settings.profile.as_str(),
        "grant_types": settings.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>(),
        "token_endpoint_auth_method": settings.auth_method.as_str(),
        "allowed_scopes": settings.allowed_scopes.to_vec(),
        "require_requested_scopes": settings.require_requested_scopes,
        "access_token_lifetime_seconds": settings.access_token_lifetime.seconds(),
    }) else {
        return Value::Null;
    };
    // An erasure takes the owner contact out again.
    contact.beside(particulars)
}
