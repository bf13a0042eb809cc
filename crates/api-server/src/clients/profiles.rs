//! What each profile of clients prefills and forbids.

use grantor_domain::client;
use grantor_domain::client_rules::{ProfileRules, default_auth_method};
use grantor_domain::lifetime::RefreshTokenLifetime;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::words::{ClientProfile, ClientType, GrantType, TokenEndpointAuthMethod};

/// A profile: what a client of it gets unless told otherwise, and what it may have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientProfileRules)]
pub struct ProfileOutput {
    /// Its name.
    name: ClientProfile,
    /// For what kind of program it is.
    description: &'static str,
    /// What it prefills.
    prefills: Prefilled,
    /// What it allows; everything else is forbidden.
    allows: Allowed,
}

/// What a client gets unless told otherwise.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProfilePrefills)]
pub struct Prefilled {
    /// Its type.
    #[serde(rename = "type")]
    client_type: ClientType,
    /// Its grants.
    grant_types: Vec<GrantType>,
    /// How it authenticates.
    token_endpoint_auth_method: TokenEndpointAuthMethod,
    /// Whether it must use PKCE.
    require_pkce: bool,
    /// Whether its requests must name their scopes.
    require_requested_scopes: bool,
    /// How long its refresh tokens live, if it gets any.
    #[schema(required = true)]
    refresh_token_lifetime_seconds: Option<u32>,
}

/// What a client may have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProfileAllows)]
pub struct Allowed {
    /// The types.
    types: Vec<ClientType>,
    /// The grants.
    grant_types: Vec<GrantType>,
    /// Whether it may have redirect URIs.
    redirect_uris: bool,
    /// Whether PKCE can be turned off, for a confidential client.
    without_pkce: bool,
}

/// Every profile.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientProfiles)]
pub struct Profiles {
    /// Each of them once.
    items: Vec<ProfileOutput>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listClientProfiles", "/v1/client-profiles")
            .about(
                Tag::Clients,
                "List the profiles of clients",
                "What each kind of program prefills and forbids, for a form that makes clients.",
            )
            .needs_a_known_caller()
            .answers::<Profiles>(Success::Ok)
            .by(list),
    ]
}

async fn list(_call: Call) -> Result<Answer<Profiles>, Problem> {
    let items = client::ClientProfile::ALL
        .map(|profile| ProfileOutput::from(profile.rules()))
        .into();
    Answer::ok(&Profiles { items })
}

impl From<&ProfileRules> for ProfileOutput {
    fn from(rules: &ProfileRules) -> Self {
        let words = |grants: &[grantor_protocol::grant_type::GrantType]| {
            grants.iter().map(|grant| (*grant).into()).collect()
        };
        let client_type = rules.default_type();
        let refreshes = rules
            .default_grants
            .contains(&grantor_protocol::grant_type::GrantType::RefreshToken);
        Self {
            name: rules.profile.into(),
            description: match rules.profile {
                client::ClientProfile::Web => {
                    "A web application with a server of its own, which can keep a secret."
                }
                client::ClientProfile::Spa => {
                    "An application that runs in a browser, and has no secret."
                }
                client::ClientProfile::Native => {
                    "A program on somebody's device: mobile, desktop or command line."
                }
                client::ClientProfile::Service => {
                    "A machine that acts for itself: a job, a script, a back end."
                }
            },
            prefills: Prefilled {
                client_type: client_type.into(),
                grant_types: words(rules.default_grants),
                token_endpoint_auth_method: default_auth_method(client_type).into(),
                require_pkce: true,
                require_requested_scopes: true,
                refresh_token_lifetime_seconds: refreshes
                    .then(|| RefreshTokenLifetime::DEFAULT.seconds()),
            },
            allows: Allowed {
                types: rules.types.iter().map(|one| (*one).into()).collect(),
                grant_types: words(rules.grants),
                redirect_uris: rules.redirects(),
                without_pkce: rules.redirects()
                    && rules.types.contains(&client::ClientType::Confidential),
            },
        }
    }
}
