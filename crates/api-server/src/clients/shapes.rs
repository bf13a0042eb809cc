//! What clients look like on the wire when they are shown: types of their own, never rows.

use chrono::{DateTime, Utc};
use grantor_domain::audit::Person;
use grantor_domain::client::{self, Client};
use grantor_domain::ids::{ClientId, OrganizationId};
use grantor_domain::lifetime::RefreshTokenLifetime;
use grantor_domain::limits::Limited;
use grantor_domain::redirect_uri::RedirectUri;
use grantor_domain::suspension::{Pause, Suspension};
use grantor_domain::web_address::WebAddress;
use grantor_storage::live_tokens::{Count, LiveTokens};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::input::OwnerContactShape;
use crate::secrets::ShownSecret;
use crate::words::{
    ClientProfile, ClientStatus, ClientType, GrantType, PausedBy, TokenEndpointAuthMethod,
};

/// What of a client changes without a change of it, and so stands beside its revision: whatever is sent of it is taken,
/// and has no effect.
pub const LIVE: &[&str] = &[
    "last_used_at",
    "live_access_tokens",
    "my_live_access_tokens",
];

/// A number of tokens: exact up to 1,000. Where very many dead tokens lie between the live ones, as they do for a while
/// after all were removed, it may be less than there are, and says so.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "count": 3, "more": false, "label": "3" }))]
pub struct TokenCount {
    /// How many there are, or have been counted; 1,000 at most.
    #[schema(example = 3, maximum = 1000)]
    count: u32,
    /// Whether there are more than that, or may be.
    more: bool,
    /// The same for people: `1000+` if there are more.
    #[schema(example = "3")]
    label: String,
}

impl From<Count> for TokenCount {
    fn from(count: Count) -> Self {
        let (count, more) = match count {
            Count::Exactly(count) => (count, false),
            Count::MoreThan(count) | Count::AtLeast(count) => (count, true),
        };
        Self {
            count,
            more,
            label: format!("{count}{}", if more { "+" } else { "" }),
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
    "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "owner_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "name": "Nightly export", "description": "Exports orders to the warehouse", "homepage": null, "logo": null,
    "type": "confidential", "profile": "service",
    "grant_types": ["client_credentials"], "redirect_uris": [], "post_logout_redirect_uris": [],
    "token_endpoint_auth_method": "client_secret_basic", "require_pkce": true,
    "allowed_scopes": ["orders.api:read"], "require_requested_scopes": true, "allowed_ips": [],
    "access_token_lifetime_seconds": 3600, "refresh_token_lifetime_seconds": null,
    "tokens_per_minute": null, "max_live_tokens": null,
    "owner_contact": { "name": "Operations", "email": "operations@acme.example" },
    "status": "active", "pauses": [], "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z", "secret_updated_at": "2026-01-31T12:00:00Z",
    "last_used_at": "2026-01-31T12:00:00Z", "live_access_tokens": { "count": 3, "more": false, "label": "3" },
    "my_live_access_tokens": null, "revision": 2 }))]
pub struct ClientOutput {
    /// Its id, which is also its OAuth `client_id`.
    #[schema(value_type = String, example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: ClientId,
    /// The organization that it lives in.
    #[schema(example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    organization_id: String,
    /// The member whose it is; `null` only where the tenant has no root owner.
    #[schema(required = true, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    owner_id: Option<String>,
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// A page about it.
    #[schema(required = true)]
    homepage: Option<String>,
    /// A picture by which people know it.
    #[schema(required = true)]
    logo: Option<String>,
    /// Whether it can keep a secret.
    #[serde(rename = "type")]
    client_type: ClientType,
    /// What kind of program it is.
    profile: ClientProfile,
    /// The grants that it may use.
    grant_types: Vec<GrantType>,
    /// Where a browser may be sent after a member has let it act for them.
    redirect_uris: Vec<String>,
    /// Where a browser may be sent after a member has signed out.
    post_logout_redirect_uris: Vec<String>,
    /// How it authenticates.
    token_endpoint_auth_method: TokenEndpointAuthMethod,
    /// Whether each of its code flows must use PKCE.
    require_pkce: bool,
    /// The scopes that it may ask for.
    allowed_scopes: Vec<String>,
    /// Whether a token request must name its scopes.
    require_requested_scopes: bool,
    /// From where it may come; none: from anywhere.
    allowed_ips: Vec<String>,
    /// How long its access tokens live.
    access_token_lifetime_seconds: u32,
    /// How long its refresh tokens live, if it may ask for any.
    #[schema(required = true)]
    refresh_token_lifetime_seconds: Option<u32>,
    /// How many tokens it may get in a minute; `null`: as many as the tenant's settings say.
    #[schema(required = true)]
    tokens_per_minute: Option<u32>,
    /// How many of its access tokens may live at the same time; `null`: as many as the tenant's settings say.
    #[schema(required = true)]
    max_live_tokens: Option<u32>,
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
    /// When it last authenticated, some seconds late; `null` if it never did.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
    /// How many of its access tokens have not expired and were not removed. A client that is disabled has them still:
    /// they sleep. `null` for operators in a tenant that is not theirs.
    #[schema(required = true)]
    live_access_tokens: Option<TokenCount>,
    /// How many of these act for the member who asks; `null` if no member does.
    #[schema(required = true)]
    my_live_access_tokens: Option<TokenCount>,
    /// Counts its changes; the `ETag` is made of it.
    revision: i64,
}

/// A client that was just made, with its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedClient {
    #[serde(flatten)]
    pub(super) client: ClientOutput,
    /// Shown this once; `null` for a public client, which has none.
    #[schema(required = true)]
    pub(super) secret: Option<ShownSecret>,
}

/// What of a client stands beside it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Live {
    pub(super) last_used_at: Option<DateTime<Utc>>,
    pub(super) tokens: Option<LiveTokens>,
}

impl ClientOutput {
    pub(super) fn of(client: &Client, live: Live) -> Self {
        let Client {
            settings,
            suspension,
            ..
        } = client;
        let texts = |uris: &[RedirectUri]| uris.iter().map(ToString::to_string).collect();
        Self {
            id: client.id,
            organization_id: client.organization.to_string(),
            owner_id: client.owner.map(|owner| owner.to_string()),
            name: settings.name.to_string(),
            description: settings.description.to_string(),
            homepage: settings.homepage.as_ref().map(ToString::to_string),
            logo: settings.logo.as_ref().map(ToString::to_string),
            client_type: settings.client_type.into(),
            profile: settings.profile.into(),
            grant_types: settings
                .grant_types
                .iter()
                .map(|grant| GrantType::from(*grant))
                .collect(),
            redirect_uris: texts(&settings.redirect_uris),
            post_logout_redirect_uris: texts(&settings.post_logout_redirect_uris),
            token_endpoint_auth_method: settings.auth_method.into(),
            require_pkce: settings.require_pkce,
            allowed_scopes: settings.allowed_scopes.to_vec(),
            require_requested_scopes: settings.require_requested_scopes,
            allowed_ips: settings.allowed_ips.to_vec(),
            access_token_lifetime_seconds: settings.access_token_lifetime.seconds(),
            refresh_token_lifetime_seconds: settings
                .refresh_token_lifetime
                .map(RefreshTokenLifetime::seconds),
            tokens_per_minute: settings.limits.get(Limited::TokensPerMinute),
            max_live_tokens: settings.limits.get(Limited::LiveTokens),
            owner_contact: (&settings.owner_contact).into(),
            status: client.status().into(),
            pauses: pauses(suspension),
            created_at: client.created_at,
            updated_at: client.updated_at,
            secret_updated_at: client.secret_updated_at,
            last_used_at: live.last_used_at,
            live_access_tokens: live.tokens.map(|tokens| tokens.all.into()),
            my_live_access_tokens: live
                .tokens
                .and_then(|tokens| tokens.of_member.map(Into::into)),
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
pub fn for_the_log(settings: &client::ClientSettings, organization: OrganizationId) -> Value {
    let contact = Person {
        name: settings.owner_contact.name.clone(),
        email: Some(settings.owner_contact.email.clone()),
    };
    let texts =
        |uris: &[RedirectUri]| -> Vec<String> { uris.iter().map(ToString::to_string).collect() };
    let Value::Object(particulars) = json!({
        "organization_id": organization,
        "name": settings.name.as_str(),
        "description": settings.description.as_str(),
        "homepage": settings.homepage.as_ref().map(WebAddress::as_str),
        "logo": settings.logo.as_ref().map(WebAddress::as_str),
        "type": settings.client_type.as_str(),
        "profile": settings.profile.as_str(),
        "grant_types": settings.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>(),
        "redirect_uris": texts(&settings.redirect_uris),
        "post_logout_redirect_uris": texts(&settings.post_logout_redirect_uris),
        "token_endpoint_auth_method": settings.auth_method.as_str(),
        "require_pkce": settings.require_pkce,
        "allowed_scopes": settings.allowed_scopes.to_vec(),
        "require_requested_scopes": settings.require_requested_scopes,
        "allowed_ips": settings.allowed_ips.to_vec(),
        "access_token_lifetime_seconds": settings.access_token_lifetime.seconds(),
        "refresh_token_lifetime_seconds": settings.refresh_token_lifetime.map(RefreshTokenLifetime::seconds),
        "tokens_per_minute": settings.limits.get(Limited::TokensPerMinute),
        "max_live_tokens": settings.limits.get(Limited::LiveTokens),
    }) else {
        return Value::Null;
    };
    // An erasure takes the owner contact out again.
    contact.beside(particulars)
}
