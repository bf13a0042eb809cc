//! What settings look like on the wire.

use chrono::{DateTime, Utc};
use grantor_domain::audit::Person;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::limits::{BeyondBound, Limited, Limits};
use grantor_domain::quota::{Counted, Quotas, Usage};
use grantor_domain::settings::{
    ChosenSecrets, CredentialPage, DefaultAccessTokenLifetime, FailureThreshold, FailureWindow,
    InvitationLifetime, PasswordMinLength, PasswordResetLifetime, SupportContact, SustainedErrors,
    TenantSettings,
};
use grantor_domain::text::{EmailAddress, PersonName};
use grantor_storage::settings::StoredSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;

/// To whom members turn.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SupportContact)]
pub struct ContactShape {
    /// Their name.
    #[schema(example = "Help desk", min_length = 1, max_length = 100)]
    name: Option<String>,
    /// Their mail address.
    #[schema(example = "help@acme.example", format = Email, max_length = 254)]
    email: String,
}

/// All that a tenant sets for itself.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantSettings, example = json!({ "default_access_token_seconds": 900, "password_min_length": 16,
    "credential_page": "https://console.acme.example/password",
    "support_contact": { "name": "Help desk", "email": "help@acme.example" } }))]
pub struct SettingsInput {
    /// How long access tokens of a new client live, where its maker says nothing else.
    #[serde(default = "default_access_token")]
    #[schema(default = 3600, minimum = 60, maximum = 86400)]
    default_access_token_seconds: i64,
    /// How long an invitation works.
    #[serde(default = "default_invitation")]
    #[schema(default = 604_800, minimum = 3600, maximum = 2_592_000)]
    invitation_seconds: i64,
    /// How long a link to a new password works.
    #[serde(default = "default_password_reset")]
    #[schema(default = 3600, minimum = 300, maximum = 86400)]
    password_reset_seconds: i64,
    /// How many characters a member's password has at least.
    #[serde(default = "default_password_length")]
    #[schema(default = 12, minimum = 8, maximum = 64)]
    password_min_length: i64,
    /// Your own page on which members set a password, where mailed links lead in place of the built-in one: an
    /// `https` URL without query and fragment, or `http` on a loopback address.
    #[schema(
        example = "https://console.acme.example/password",
        min_length = 8,
        max_length = 1024,
        pattern = "^https?://[^ ?#@]+$"
    )]
    credential_page: Option<String>,
    /// To whom members are told to turn, in mails to them.
    support_contact: Option<ContactShape>,
    /// Whether administrators may choose a client's secret themselves, if it is strong enough. Those that are set
    /// already go on.
    #[serde(default = "yes")]
    #[schema(default = true)]
    allow_chosen_secrets: bool,
    /// From how many failed attempts of a client on its owner contact is told (bad secrets, refused scopes, addresses and
    /// the like).
    #[serde(default = "default_threshold")]
    #[schema(default = 50, minimum = 1, maximum = 100_000)]
    sustained_errors_threshold: i64,
    /// Within what time these are summed up, by whole minutes; in it they are told once.
    #[serde(default = "default_window")]
    #[schema(default = 900, minimum = 300, maximum = 86400)]
    sustained_errors_window_seconds: i64,
    /// How many tokens a client may get in a minute that has no such limit of its own.
    #[serde(default = "default_rate")]
    #[schema(default = 6000, minimum = 1, maximum = 6_000_000)]
    default_tokens_per_minute: i64,
    /// How many live access tokens a client may have that has no such limit of its own.
    #[serde(default = "default_live_tokens")]
    #[schema(default = 100_000, minimum = 1, maximum = 1_000_000)]
    default_max_live_tokens: i64,
}

fn yes() -> bool {
    true
}

fn default_access_token() -> i64 {
    AccessTokenLifetime::DEFAULT.seconds().into()
}

fn default_invitation() -> i64 {
    InvitationLifetime::DEFAULT.get().into()
}

fn default_password_reset() -> i64 {
    PasswordResetLifetime::DEFAULT.get().into()
}

fn default_password_length() -> i64 {
    PasswordMinLength::DEFAULT.get().into()
}

fn default_threshold() -> i64 {
    FailureThreshold::DEFAULT.get().into()
}

fn default_window() -> i64 {
    FailureWindow::DEFAULT.get().into()
}

fn default_rate() -> i64 {
    Limited::TokensPerMinute.default_limit().into()
}

fn default_live_tokens() -> i64 {
    Limited::LiveTokens.default_limit().into()
}

/// The field by which the limit of clients without one of their own is set.
fn field_of(limited: Limited) -> &'static str {
    match limited {
        Limited::TokensPerMinute => "/default_tokens_per_minute",
        Limited::LiveTokens => "/default_max_live_tokens",
    }
}

/// Points at a limit that is beyond what operators allow.
pub(super) fn beyond(error: BeyondBound) -> Problem {
    Problem::field(field_of(error.limited), error)
}

impl ContactShape {
    fn parsed(&self, fields: &mut Fields) -> Option<SupportContact> {
        let email = fields.parse(
            "/support_contact/email",
            self.email.as_str(),
            EmailAddress::parse,
        );
        let name = match self.name.as_deref() {
            None => Some(None),
            Some(name) => fields
                .parse("/support_contact/name", name, PersonName::parse)
                .map(Some),
        };
        Some(SupportContact {
            name: name?,
            email: email?,
        })
    }
}

impl SettingsInput {
    /// Parses every field, and tells all that is wrong at once.
    pub(super) fn verified(self) -> Result<TenantSettings, Problem> {
        let mut fields = Fields::default();
        let parsed = self.parsed(&mut fields);
        parsed.ok_or_else(|| fields.into_problem())
    }

    fn parsed(self, fields: &mut Fields) -> Option<TenantSettings> {
        let access_token = fields.parse(
            "/default_access_token_seconds",
            self.default_access_token_seconds,
            AccessTokenLifetime::from_seconds,
        );
        let invitation = fields.parse(
            "/invitation_seconds",
            self.invitation_seconds,
            InvitationLifetime::parse,
        );
        let password_reset = fields.parse(
            "/password_reset_seconds",
            self.password_reset_seconds,
            PasswordResetLifetime::parse,
        );
        let password_length = fields.parse(
            "/password_min_length",
            self.password_min_length,
            PasswordMinLength::parse,
        );
        let page = match self.credential_page.as_deref() {
            None => Some(None),
            Some(page) => fields
                .parse("/credential_page", page, CredentialPage::parse)
                .map(Some),
        };
        let contact = match &self.support_contact {
            None => Some(None),
            Some(contact) => contact.parsed(fields).map(Some),
        };
        let threshold = fields.parse(
            "/sustained_errors_threshold",
            self.sustained_errors_threshold,
            FailureThreshold::parse,
        );
        let window = fields.parse(
            "/sustained_errors_window_seconds",
            self.sustained_errors_window_seconds,
            FailureWindow::parse,
        );
        let limits = self.limits(fields);
        Some(TenantSettings {
            default_access_token_lifetime: DefaultAccessTokenLifetime(access_token?),
            invitation_lifetime: invitation?,
            password_reset_lifetime: password_reset?,
            password_min_length: password_length?,
            credential_page: page?,
            support_contact: contact?,
            chosen_secrets: if self.allow_chosen_secrets {
                ChosenSecrets::Allowed
            } else {
                ChosenSecrets::Forbidden
            },
            sustained_errors: SustainedErrors {
                threshold: threshold?,
                window: window?,
            },
            client_limits: limits?,
        })
    }

    /// The limits; what is as everywhere is not set.
    fn limits(&self, fields: &mut Fields) -> Option<Limits> {
        let mut limits = Limits::default();
        let mut is_good = true;
        for (limited, number) in [
            (Limited::TokensPerMinute, self.default_tokens_per_minute),
            (Limited::LiveTokens, self.default_max_live_tokens),
        ] {
            let differs = number != i64::from(limited.default_limit());
            let set = |number| limits.set(limited, number);
            is_good &= fields
                .parse(field_of(limited), differs.then_some(number), set)
                .is_some();
        }
        is_good.then_some(limits)
    }
}

/// The limit of clients without one of their own.
fn limit(settings: &TenantSettings, limited: Limited) -> i64 {
    let set = settings.client_limits.get(limited);
    set.unwrap_or_else(|| limited.default_limit()).into()
}

impl From<&TenantSettings> for SettingsInput {
    fn from(settings: &TenantSettings) -> Self {
        Self {
            default_access_token_seconds: settings.default_access_token_lifetime.0.seconds().into(),
            invitation_seconds: settings.invitation_lifetime.get().into(),
            password_reset_seconds: settings.password_reset_lifetime.get().into(),
            password_min_length: settings.password_min_length.get().into(),
            credential_page: settings.credential_page.as_ref().map(ToString::to_string),
            support_contact: settings
                .support_contact
                .as_ref()
                .map(|contact| ContactShape {
                    name: contact.name.as_ref().map(ToString::to_string),
                    email: contact.email.to_string(),
                }),
            allow_chosen_secrets: settings.chosen_secrets == ChosenSecrets::Allowed,
            sustained_errors_threshold: settings.sustained_errors.threshold.get().into(),
            sustained_errors_window_seconds: settings.sustained_errors.window.get().into(),
            default_tokens_per_minute: limit(settings, Limited::TokensPerMinute),
            default_max_live_tokens: limit(settings, Limited::LiveTokens),
        }
    }
}

/// The settings of a tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantSettingsShown)]
pub struct SettingsOutput {
    /// How long access tokens of a new client live, where its maker says nothing else.
    default_access_token_seconds: i64,
    /// How long an invitation works.
    invitation_seconds: i64,
    /// How long a link to a new password works.
    password_reset_seconds: i64,
    /// How many characters a member's password has at least.
    password_min_length: i64,
    /// The page on which members set a password; `null` where it is the built-in one.
    #[schema(required = true)]
    credential_page: Option<String>,
    /// To whom members are told to turn, in mails to them.
    #[schema(required = true)]
    support_contact: Option<ContactShape>,
    /// Whether administrators may choose a client's secret themselves.
    allow_chosen_secrets: bool,
    /// From how many failed attempts of a client on its owner contact is told.
    sustained_errors_threshold: i64,
    /// Within what time these are summed up.
    sustained_errors_window_seconds: i64,
    /// How many tokens a client may get in a minute that has no such limit of its own.
    default_tokens_per_minute: i64,
    /// How many live access tokens a client may have that has no such limit of its own.
    default_max_live_tokens: i64,
    /// How much a single client can be given; above this no limit counts. Operators decide that.
    client_limit_bounds: LimitBounds,
    /// When they were last changed; `null` while nothing was set.
    #[schema(required = true)]
    updated_at: Option<DateTime<Utc>>,
    /// Counts their changes; 0 while nothing was set.
    revision: i64,
    /// How many of each kind the tenant may have. Operators decide that.
    quotas: Amounts,
    /// How many of each kind it has.
    usage: Amounts,
}

/// The highest limits that a client of the tenant can have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientLimitBounds)]
pub struct LimitBounds {
    /// Tokens in a minute.
    #[schema(example = 60_000)]
    tokens_per_minute: u32,
    /// Live access tokens.
    #[schema(example = 200_000)]
    max_live_tokens: u32,
}

/// So many of each kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct Amounts {
    /// Organizations, the root among them.
    #[schema(example = 12)]
    organizations: i64,
    /// Members.
    #[schema(example = 340)]
    members: i64,
    /// Clients.
    #[schema(example = 25)]
    clients: i64,
    /// The tenant's own resource servers.
    #[schema(example = 3)]
    resource_servers: i64,
    /// Roles of its own.
    #[schema(example = 2)]
    roles: i64,
}

impl SettingsOutput {
    pub(super) fn new(stored: &StoredSettings, quotas: &Quotas, usage: &Usage) -> Self {
        let settings = SettingsInput::from(&stored.settings);
        Self {
            default_access_token_seconds: settings.default_access_token_seconds,
            invitation_seconds: settings.invitation_seconds,
            password_reset_seconds: settings.password_reset_seconds,
            password_min_length: settings.password_min_length,
            credential_page: settings.credential_page,
            support_contact: settings.support_contact,
            allow_chosen_secrets: settings.allow_chosen_secrets,
            sustained_errors_threshold: settings.sustained_errors_threshold,
            sustained_errors_window_seconds: settings.sustained_errors_window_seconds,
            default_tokens_per_minute: settings.default_tokens_per_minute,
            default_max_live_tokens: settings.default_max_live_tokens,
            client_limit_bounds: LimitBounds {
                tokens_per_minute: quotas.client_limits.as_bound(Limited::TokensPerMinute),
                max_live_tokens: quotas.client_limits.as_bound(Limited::LiveTokens),
            },
            updated_at: stored.updated_at,
            revision: stored.revision,
            quotas: Amounts {
                organizations: quotas.limit(Counted::Organizations),
                members: quotas.limit(Counted::Members),
                clients: quotas.limit(Counted::Clients),
                resource_servers: quotas.limit(Counted::ResourceServers),
                roles: quotas.limit(Counted::Roles),
            },
            usage: Amounts {
                organizations: usage.organizations,
                members: usage.members,
                clients: usage.clients,
                resource_servers: usage.resource_servers,
                roles: usage.roles,
            },
        }
    }

    pub(super) fn revision(&self) -> i64 {
        self.revision
    }
}

/// Settings as the log of record shows them.
pub(super) fn for_the_log(settings: &TenantSettings) -> Value {
    let Value::Object(particulars) = json!({
        "default_access_token_seconds": settings.default_access_token_lifetime.0.seconds(),
        "allow_chosen_secrets": settings.chosen_secrets == ChosenSecrets::Allowed,
        "invitation_seconds": settings.invitation_lifetime.get(),
        "password_reset_seconds": settings.password_reset_lifetime.get(),
        "password_min_length": settings.password_min_length.get(),
        "sustained_errors_threshold": settings.sustained_errors.threshold.get(),
        "sustained_errors_window_seconds": settings.sustained_errors.window.get(),
        "default_tokens_per_minute": limit(settings, Limited::TokensPerMinute),
        "default_max_live_tokens": limit(settings, Limited::LiveTokens),
        "credential_page": settings.credential_page.as_ref().map(CredentialPage::as_str),
    }) else {
        return Value::Null;
    };
    // An erasure takes the support contact out again.
    let contact = settings.support_contact.as_ref();
    Person {
        name: contact.and_then(|contact| contact.name.clone()),
        email: contact.map(|contact| contact.email.clone()),
    }
    .beside(particulars)
}
