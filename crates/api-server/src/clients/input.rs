//! What can be set of a client, as it comes in.

use std::collections::BTreeSet;

use grantor_domain::client::{self, ClientSettings, OwnerContact};
use grantor_domain::client_rules::{self, default_auth_method};
use grantor_domain::ids::{MemberId, OrganizationId};
use grantor_domain::ip_rule::{IpRules, IpRulesError};
use grantor_domain::lifetime::{AccessTokenLifetime, RefreshTokenLifetime};
use grantor_domain::limits::{Limited, Limits};
use grantor_domain::redirect_uri::RedirectUri;
use grantor_domain::text::{ClientName, Description, EmailAddress, PersonName};
use grantor_domain::web_address::WebAddress;
use grantor_protocol::grant_type::GrantType as OAuthGrant;
use grantor_protocol::scope::{ScopeToken, Scopes};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;
use crate::words::{ClientProfile, ClientType, GrantType, TokenEndpointAuthMethod};

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

/// All that can be set of a client. Its profile prefills the type, the grants and the method of authentication, as
/// `GET /v1/client-profiles` tells; without a profile the type and the grants must be given.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClientSettings, example = json!({ "name": "Nightly export", "profile": "service",
    "description": "Exports orders to the warehouse",
    "owner_contact": { "name": "Operations", "email": "operations@acme.example" } }))]
pub struct ClientInput {
    /// Its name.
    #[schema(example = "Nightly export", min_length = 1, max_length = 100)]
    pub(super) name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(
        default = "",
        example = "Exports orders to the warehouse",
        max_length = 1000
    )]
    description: String,
    /// A page about it: an `https` URL without fragment, or `http` on a loopback address.
    #[schema(
        example = "https://acme.example/export",
        min_length = 8,
        max_length = 1024,
        pattern = r"^https?://[A-Za-z0-9._:\[\]-]+([/?][!$-~]*)?$"
    )]
    homepage: Option<String>,
    /// A picture by which people know it, likewise.
    #[schema(
        example = "https://acme.example/export.png",
        min_length = 8,
        max_length = 1024,
        pattern = r"^https?://[A-Za-z0-9._:\[\]-]+([/?][!$-~]*)?$"
    )]
    logo: Option<String>,
    /// What kind of program it is. Unless told, `service` when it acts for itself alone, and `web` otherwise.
    #[schema(example = "service")]
    profile: Option<ClientProfile>,
    /// Whether it can keep a secret. Once the client is made, `POST …/change-type` alone changes it.
    #[serde(rename = "type")]
    #[schema(example = "confidential")]
    pub(super) client_type: Option<ClientType>,
    /// The grants that it may use, at least one and none twice. `refresh_token` goes beside `authorization_code`.
    #[schema(value_type = Option<HashSet<GrantType>>, example = json!(["client_credentials"]), min_items = 1,
        max_items = 3)]
    grant_types: Option<Vec<GrantType>>,
    /// Where a browser may be sent after a member has let it act for them; mandatory with `authorization_code`. Absolute,
    /// without wildcard, fragment or user name; `https`, or `http` on `localhost` or `127.0.0.1`. A native client may
    /// have `http://[::1]` and reverse-domain schemes besides.
    #[serde(default)]
    #[schema(value_type = HashSet<String>, default = json!([]), example = json!([]), max_items = 50)]
    redirect_uris: Vec<String>,
    /// Where a browser may be sent after a member has signed out; the same rules hold.
    #[serde(default)]
    #[schema(value_type = HashSet<String>, default = json!([]), example = json!([]), max_items = 50)]
    post_logout_redirect_uris: Vec<String>,
    /// How it authenticates: by `client_secret_basic` or `client_secret_post` if it is confidential, and by `none` if
    /// it is public.
    #[schema(example = "client_secret_basic")]
    token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// Whether each of its code flows must use PKCE with S256. It can be false for a confidential client alone.
    #[serde(default = "yes")]
    #[schema(default = true)]
    require_pkce: bool,
    /// The scopes that it may ask for.
    #[serde(default)]
    #[schema(default = json!([]), example = json!(["orders.api:read"]), max_items = 100)]
    pub(super) allowed_scopes: Vec<String>,
    /// Whether a token request must name its scopes; if not, it gets all that are allowed.
    #[serde(default = "yes")]
    #[schema(default = true)]
    require_requested_scopes: bool,
    /// From where it may come: addresses or CIDR ranges, v4 and v6. None: from anywhere.
    #[serde(default)]
    #[schema(default = json!([]), example = json!([]), max_items = 100)]
    allowed_ips: Vec<String>,
    /// How long its access tokens live; a resource server may cap it. Where it is absent, what the tenant's
    /// settings have for `default_access_token_seconds`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = i64, required = false, example = 3600, minimum = 60, maximum = 86400)]
    access_token_lifetime_seconds: Option<i64>,
    /// How long its refresh tokens live from the grant on; 30 days unless told otherwise. It can only be set with the
    /// grant `refresh_token`.
    #[schema(minimum = 3600, maximum = 31_536_000)]
    refresh_token_lifetime_seconds: Option<i64>,
    /// How many tokens it may get in a minute, and as many at once; the tenant's `default_tokens_per_minute` unless told
    /// otherwise. Each server counts for itself.
    #[schema(minimum = 1, maximum = 6_000_000)]
    tokens_per_minute: Option<i64>,
    /// How many of its access tokens may live at the same time; the tenant's `default_max_live_tokens` unless told
    /// otherwise.
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_live_tokens: Option<i64>,
    /// The organization that it lives in; the root organization unless told otherwise.
    #[schema(
        example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    pub(super) organization_id: Option<String>,
    /// The member whose it is, who must administer that organization; whoever makes the client unless told otherwise, or
    /// the root owner where that is no member. Once it is made, `POST …/transfer` alone changes it.
    #[schema(
        example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^mem_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    pub(super) owner_id: Option<String>,
    /// Whom to write to about it.
    owner_contact: OwnerContactShape,
}

fn yes() -> bool {
    true
}

/// What is given is a number: `null` is no way to leave it out.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

/// What is wanted of a client, each part of it verified; whether that is there and may be had is not looked at.
#[derive(Debug)]
pub struct Wanted {
    /// What can be set.
    pub settings: ClientSettings,
    /// Where it is to live, if told.
    pub organization: Option<OrganizationId>,
    /// Whose it is to be, if told.
    pub owner: Option<MemberId>,
}

impl ClientInput {
    /// Whether it says how long access tokens live.
    pub(super) fn names_lifetime(&self) -> bool {
        self.access_token_lifetime_seconds.is_some()
    }

    /// Demands that what has operations of its own stays as it is. Where it is absent, it is not meant.
    pub(super) fn check_fixed(&mut self, client: &client::Client) -> Result<(), Problem> {
        let mut fields = Fields::default();
        let present: ClientType = client.settings.client_type.into();
        if *self.client_type.get_or_insert(present) != present {
            let detail = "is changed by `POST …/change-type` alone; leave it as it is";
            fields.fault("/type", detail);
        }
        let owner = client.owner.map(|owner| owner.to_string());
        if self.owner_id.is_some() && self.owner_id != owner {
            let detail = "is changed by `POST …/transfer` alone; leave it as it is";
            fields.fault("/owner_id", detail);
        }
        if fields.is_empty() {
            Ok(())
        } else {
            Err(fields.into_problem())
        }
    }

    /// Parses every field, and tells all that is wrong at once. Where no lifetime is named, it is this one.
    pub(super) fn verified(self, default_lifetime: AccessTokenLifetime) -> Result<Wanted, Problem> {
        let mut fields = Fields::default();
        let wanted = self.parsed(&mut fields, default_lifetime);
        let Some(wanted) = wanted.filter(|_| fields.is_empty()) else {
            return Err(fields.into_problem());
        };
        for (field, error) in client_rules::check(&wanted.settings) {
            fields.fault(&format!("/{field}"), error);
        }
        if fields.is_empty() {
            Ok(wanted)
        } else {
            Err(fields.into_problem())
        }
    }

    fn parsed(self, fields: &mut Fields, default_lifetime: AccessTokenLifetime) -> Option<Wanted> {
        let name = fields.parse("/name", self.name.as_str(), ClientName::parse);
        let description = fields.parse(
            "/description",
            self.description.as_str(),
            Description::parse,
        );
        let homepage = optional(
            fields,
            "/homepage",
            self.homepage.as_deref(),
            WebAddress::parse,
        );
        let logo = optional(fields, "/logo", self.logo.as_deref(), WebAddress::parse);
        let kind = self.kind(fields);
        let contact = self.owner_contact.parsed(fields);
        let lifetime = match self.access_token_lifetime_seconds {
            None => Some(default_lifetime),
            Some(seconds) => fields.parse(
                "/access_token_lifetime_seconds",
                seconds,
                AccessTokenLifetime::from_seconds,
            ),
        };
        let refresh_lifetime = optional(
            fields,
            "/refresh_token_lifetime_seconds",
            self.refresh_token_lifetime_seconds,
            RefreshTokenLifetime::from_seconds,
        );
        let limits = self.limits(fields);
        let scopes = parse_scopes(fields, &self.allowed_scopes);
        let ips = parse_ips(fields, &self.allowed_ips);
        let organization = optional(
            fields,
            "/organization_id",
            self.organization_id.as_deref(),
            str::parse,
        );
        let owner = optional(fields, "/owner_id", self.owner_id.as_deref(), str::parse);
        let (profile, client_type, grant_types) = kind?;
        let auth_method = self
            .token_endpoint_auth_method
            .map_or_else(|| default_auth_method(client_type), Into::into);
        if let Err(error) = client_rules::check_auth_method(client_type, auth_method) {
            fields.fault("/token_endpoint_auth_method", error);
        }
        let uris =
            |fields: &mut Fields, field, uris: &[String]| parse_uris(fields, field, uris, profile);
        let redirect_uris = uris(fields, "redirect_uris", &self.redirect_uris);
        let after_logout = uris(
            fields,
            "post_logout_redirect_uris",
            &self.post_logout_redirect_uris,
        );
        let refreshes = grant_types.contains(&OAuthGrant::RefreshToken);
        Some(Wanted {
            settings: ClientSettings {
                name: name?,
                description: description?,
                homepage: homepage?,
                logo: logo?,
                client_type,
                profile,
                grant_types,
                redirect_uris: redirect_uris?,
                post_logout_redirect_uris: after_logout?,
                auth_method,
                require_pkce: self.require_pkce,
                allowed_scopes: scopes?,
                require_requested_scopes: self.require_requested_scopes,
                allowed_ips: ips?,
                access_token_lifetime: lifetime?,
                refresh_token_lifetime: refresh_lifetime?
                    .or_else(|| refreshes.then_some(RefreshTokenLifetime::DEFAULT)),
                limits: limits?,
                owner_contact: contact?,
            },
            organization: organization?,
            owner: owner?,
        })
    }

    fn limits(&self, fields: &mut Fields) -> Option<Limits> {
        let mut limits = Limits::default();
        let mut is_good = true;
        for (limited, number) in [
            (Limited::TokensPerMinute, self.tokens_per_minute),
            (Limited::LiveTokens, self.max_live_tokens),
        ] {
            let pointer = format!("/{}", limited.as_str());
            let set = |number| limits.set(limited, number);
            is_good &= fields.parse(&pointer, number, set).is_some();
        }
        is_good.then_some(limits)
    }

    /// What kind of client it is: what is given, and for the rest what the profile prefills.
    fn kind(
        &self,
        fields: &mut Fields,
    ) -> Option<(
        client::ClientProfile,
        client::ClientType,
        BTreeSet<OAuthGrant>,
    )> {
        let grants = self
            .grant_types
            .as_deref()
            .map(|given| distinct_grants(fields, given));
        let Some(profile) = self.profile else {
            // client_2: both are mandatory, unless a profile prefills them.
            for (field, is_given) in [
                ("/type", self.client_type.is_some()),
                ("/grant_types", grants.is_some()),
            ] {
                if !is_given {
                    fields.fault(
                        field,
                        "is missing; give it, or a `profile` that prefills it",
                    );
                }
            }
            let (client_type, grants) = (self.client_type?, grants?);
            let for_itself = grants
                .iter()
                .all(|one| *one == OAuthGrant::ClientCredentials);
            let profile = if for_itself && client_type == ClientType::Confidential {
                client::ClientProfile::Service
            } else {
                client::ClientProfile::Web
            };
            return Some((profile, client_type.into(), grants));
        };
        let profile: client::ClientProfile = profile.into();
        let rules = profile.rules();
        let client_type = self
            .client_type
            .map_or_else(|| rules.default_type(), Into::into);
        let grants = grants.unwrap_or_else(|| rules.default_grants.iter().copied().collect());
        Some((profile, client_type, grants))
    }
}

impl OwnerContactShape {
    fn parsed(&self, fields: &mut Fields) -> Option<OwnerContact> {
        let email = fields.parse(
            "/owner_contact/email",
            self.email.as_str(),
            EmailAddress::parse,
        );
        let name = optional(
            fields,
            "/owner_contact/name",
            self.name.as_deref(),
            PersonName::parse,
        );
        Some(OwnerContact {
            name: name?,
            email: email?,
        })
    }
}

/// The grants that are given, none of them twice.
pub(super) fn distinct_grants(fields: &mut Fields, given: &[GrantType]) -> BTreeSet<OAuthGrant> {
    let grants: BTreeSet<OAuthGrant> = given.iter().map(|grant| (*grant).into()).collect();
    if grants.len() < given.len() {
        fields.fault("/grant_types", "has a grant twice; leave one out");
    }
    grants
}

/// Parses what may be absent.
#[expect(
    clippy::option_option,
    reason = "the outer tells whether it is good, the inner whether it was given"
)]
fn optional<I, T, E: std::fmt::Display>(
    fields: &mut Fields,
    pointer: &str,
    value: Option<I>,
    parse: impl FnOnce(I) -> Result<T, E>,
) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(value) => fields.parse(pointer, value, parse).map(Some),
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
    each(fields, "allowed_scopes", scopes, ScopeToken::parse)
}

fn parse_ips(fields: &mut Fields, rules: &[String]) -> Option<IpRules> {
    match IpRules::parse(rules) {
        Ok(rules) => Some(rules),
        Err(IpRulesError::Entry { index, error }) => {
            fields.fault(&format!("/allowed_ips/{index}"), error);
            None
        }
        Err(error @ IpRulesError::TooMany) => {
            fields.fault("/allowed_ips", error);
            None
        }
    }
}

fn parse_uris(
    fields: &mut Fields,
    field: &str,
    uris: &[String],
    profile: client::ClientProfile,
) -> Option<Vec<RedirectUri>> {
    if uris.len() > client_rules::MOST_REDIRECT_URIS {
        let error = client_rules::SettingsError::TooManyRedirects;
        fields.fault(&format!("/{field}"), error);
        return None;
    }
    each(fields, field, uris, |text| {
        RedirectUri::parse(text, profile)
    })
}

/// Parses each entry of a list, and tells all that is wrong.
fn each<T, E: std::fmt::Display, C: FromIterator<T>>(
    fields: &mut Fields,
    field: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<C> {
    let parsed: Vec<Option<T>> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| fields.parse(&format!("/{field}/{index}"), text.as_str(), &parse))
        .collect();
    parsed.into_iter().collect()
}

impl From<&client::Client> for ClientInput {
    fn from(client: &client::Client) -> Self {
        let settings = &client.settings;
        let limit = |limited| settings.limits.get(limited).map(i64::from);
        let texts = |uris: &[RedirectUri]| uris.iter().map(ToString::to_string).collect();
        Self {
            name: settings.name.to_string(),
            description: settings.description.to_string(),
            homepage: settings.homepage.as_ref().map(ToString::to_string),
            logo: settings.logo.as_ref().map(ToString::to_string),
            profile: Some(settings.profile.into()),
            client_type: Some(settings.client_type.into()),
            grant_types: Some(
                settings
                    .grant_types
                    .iter()
                    .map(|grant| (*grant).into())
                    .collect(),
            ),
            redirect_uris: texts(&settings.redirect_uris),
            post_logout_redirect_uris: texts(&settings.post_logout_redirect_uris),
            token_endpoint_auth_method: Some(settings.auth_method.into()),
            require_pkce: settings.require_pkce,
            allowed_scopes: settings.allowed_scopes.to_vec(),
            require_requested_scopes: settings.require_requested_scopes,
            allowed_ips: settings.allowed_ips.to_vec(),
            access_token_lifetime_seconds: Some(settings.access_token_lifetime.seconds().into()),
            refresh_token_lifetime_seconds: settings
                .refresh_token_lifetime
                .map(|lifetime| lifetime.seconds().into()),
            tokens_per_minute: limit(Limited::TokensPerMinute),
            max_live_tokens: limit(Limited::LiveTokens),
            organization_id: Some(client.organization.to_string()),
            owner_id: client.owner.map(|owner| owner.to_string()),
            owner_contact: (&settings.owner_contact).into(),
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
