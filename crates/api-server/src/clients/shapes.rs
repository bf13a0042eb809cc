//! What clients look like on the wire: types of their own, never rows.

use chrono::{DateTime, Utc};
use grantor_domain::client::{
    Client, ClientProfile, ClientSettings, ClientStatus, ClientType, OwnerContact,
};
use grantor_domain::ids::ClientId;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::suspension::Pause;
use grantor_domain::text::{ClientName, Description, EmailAddress, PersonName};
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::scope::ScopeToken;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;
use crate::secrets::ShownSecret;

/// Whom to write to about a client.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerContactShape {
    /// Their name.
    #[schema(example = "Operations", max_length = 100)]
    pub name: Option<String>,
    /// Their mail address.
    #[schema(example = "operations@acme.example", max_length = 254)]
    pub email: String,
}

/// A client to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientInput {
    /// Its name.
    #[schema(example = "Nightly export", max_length = 100)]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(example = "Exports orders to the warehouse", max_length = 1000)]
    description: String,
    /// Whom to write to about it.
    owner_contact: OwnerContactShape,
    /// The scopes that it may ask for.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["orders.api:read"]), max_items = 100)]
    pub(super) allowed_scopes: Vec<String>,
    /// Whether a token request must name its scopes; if not, it gets all that are allowed.
    #[serde(default = "yes")]
    #[schema(default = true)]
    require_requested_scopes: bool,
    /// How long its access tokens live; a resource server may cap it.
    #[serde(default = "default_lifetime")]
    #[schema(default = 3600, minimum = 60, maximum = 86400)]
    access_token_lifetime_seconds: i64,
    /// How it authenticates: `client_secret_basic` or `client_secret_post`.
    #[serde(default = "default_method")]
    #[schema(default = "client_secret_basic", example = "client_secret_basic")]
    token_endpoint_auth_method: String,
}

fn yes() -> bool {
    true
}

fn default_lifetime() -> i64 {
    i64::from(AccessTokenLifetime::DEFAULT.seconds())
}

fn default_method() -> String {
    TokenEndpointAuthMethod::ClientSecretBasic
        .as_str()
        .to_owned()
}

impl ClientInput {
    /// Parses every field, and tells all that is wrong at once.
    pub(super) fn verified(self) -> Result<ClientSettings, Problem> {
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
        let lifetime = fields.parse(
            "/access_token_lifetime_seconds",
            self.access_token_lifetime_seconds,
            AccessTokenLifetime::from_seconds,
        );
        let auth_method = fields.parse(
            "/token_endpoint_auth_method",
            self.token_endpoint_auth_method.as_str(),
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
        Ok(ClientSettings {
            name,
            description,
            client_type: ClientType::Confidential,
            profile: ClientProfile::Service,
            grant_types: vec![GrantType::ClientCredentials],
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

const SCOPES_LIMIT: usize = 100;

fn parse_scopes(fields: &mut Fields, scopes: &[String]) -> Option<grantor_protocol::scope::Scopes> {
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

fn secret_method(text: &str) -> Result<TokenEndpointAuthMethod, &'static str> {
    match TokenEndpointAuthMethod::parse(text) {
        Some(
            method @ (TokenEndpointAuthMethod::ClientSecretBasic
            | TokenEndpointAuthMethod::ClientSecretPost),
        ) => Ok(method),
        _ => Err("must be `client_secret_basic` or `client_secret_post`"),
    }
}

/// A pause of a client.
#[derive(Debug, Serialize, ToSchema)]
pub struct PauseOutput {
    /// Whose pause it is: `tenant` or `operator`.
    #[schema(example = "tenant")]
    by: &'static str,
    /// Since when.
    since: DateTime<Utc>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// A client.
#[derive(Debug, Serialize, ToSchema)]
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
    /// `confidential`: it has a secret.
    #[serde(rename = "type")]
    #[schema(example = "confidential")]
    client_type: &'static str,
    /// `service`: a machine that acts for itself.
    #[schema(example = "service")]
    profile: &'static str,
    /// The grants that it may use.
    grant_types: Vec<&'static str>,
    /// How it authenticates.
    #[schema(example = "client_secret_basic")]
    token_endpoint_auth_method: &'static str,
    /// The scopes that it may ask for.
    allowed_scopes: Vec<String>,
    /// Whether a token request must name its scopes.
    require_requested_scopes: bool,
    /// How long its access tokens live.
    access_token_lifetime_seconds: u32,
    owner_contact: OwnerContactShape,
    /// `active` or `disabled`.
    #[schema(example = "active")]
    status: &'static str,
    /// Why it is disabled: each pause, by whom. Any one of them suffices.
    pauses: Vec<PauseOutput>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    updated_at: DateTime<Utc>,
    /// When it last got a new secret.
    secret_updated_at: Option<DateTime<Utc>>,
    /// Counts its changes.
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

/// One page of clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientPage {
    /// The clients, in the order of their making.
    pub(super) items: Vec<ClientOutput>,
    /// What to send as `cursor` for the next page; `null` on the last one.
    pub(super) next_cursor: Option<String>,
}

impl From<&Client> for ClientOutput {
    fn from(client: &Client) -> Self {
        let Client {
            settings,
            suspension,
            ..
        } = client;
        let pause = |by, pause: &Option<Pause>| {
            pause.as_ref().map(|pause| PauseOutput {
                by,
                since: pause.since,
                reason: pause.reason.as_ref().map(ToString::to_string),
            })
        };
        Self {
            id: client.id,
            organization_id: client.organization.to_string(),
            name: settings.name.to_string(),
            description: settings.description.to_string(),
            client_type: settings.client_type.as_str(),
            profile: settings.profile.as_str(),
            grant_types: settings
                .grant_types
                .iter()
                .map(|grant| grant.as_str())
                .collect(),
            token_endpoint_auth_method: settings.auth_method.as_str(),
            allowed_scopes: settings.allowed_scopes.to_vec(),
            require_requested_scopes: settings.require_requested_scopes,
            access_token_lifetime_seconds: settings.access_token_lifetime.seconds(),
            owner_contact: OwnerContactShape {
                name: settings
                    .owner_contact
                    .name
                    .as_ref()
                    .map(ToString::to_string),
                email: settings.owner_contact.email.to_string(),
            },
            status: match client.status() {
                ClientStatus::Active => "active",
                ClientStatus::Disabled => "disabled",
            },
            pauses: pause("tenant", &suspension.by_tenant)
                .into_iter()
                .chain(pause("operator", &suspension.by_operator))
                .collect(),
            created_at: client.created_at,
            updated_at: client.updated_at,
            secret_updated_at: client.secret_updated_at,
            revision: client.revision,
        }
    }
}

/// A client as the log of record shows it: every setting, and never a secret.
pub fn for_the_log(settings: &ClientSettings) -> Value {
    json!({
        "name": settings.name.as_str(),
        "description": settings.description.as_str(),
        "type": settings.client_type.as_str(),
        "profile": settings.profile.as_str(),
        "grant_types": settings.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>(),
        "token_endpoint_auth_method": settings.auth_method.as_str(),
        "allowed_scopes": settings.allowed_scopes.to_vec(),
        "require_requested_scopes": settings.require_requested_scopes,
        "access_token_lifetime_seconds": settings.access_token_lifetime.seconds(),
    })
}
