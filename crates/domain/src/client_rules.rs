//! Which settings of a client go together (`client_2` to `client_5`, `client_14`), and what a profile prefills and
//! forbids.

use std::collections::BTreeSet;

use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::grant_type::GrantType;
use thiserror::Error;

use crate::client::{ClientProfile, ClientSettings, ClientType};

/// The most redirect URIs of either kind that a client has.
pub const MOST_REDIRECT_URIS: usize = 50;

/// What a profile prefills and forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileRules {
    /// The profile.
    pub profile: ClientProfile,
    /// The types that it may have; the first is the one that it gets unless told otherwise.
    pub types: &'static [ClientType],
    /// The grants that it gets unless told otherwise.
    pub default_grants: &'static [GrantType],
    /// The grants that it may have.
    pub grants: &'static [GrantType],
}

use ClientType::{Confidential, Public};
use GrantType::{AuthorizationCode, ClientCredentials, RefreshToken};

const WEB: ProfileRules = ProfileRules {
    profile: ClientProfile::Web,
    types: &[Confidential, Public],
    default_grants: &[AuthorizationCode, RefreshToken],
    grants: &[ClientCredentials, AuthorizationCode, RefreshToken],
};
// What runs in a browser can't keep a secret, so it has none.
const SPA: ProfileRules = ProfileRules {
    profile: ClientProfile::Spa,
    types: &[Public],
    default_grants: &[AuthorizationCode, RefreshToken],
    grants: &[AuthorizationCode, RefreshToken],
};
// RFC 8252 §8.4: native apps are public clients, unless each installation has credentials of its own.
const NATIVE: ProfileRules = ProfileRules {
    profile: ClientProfile::Native,
    types: &[Public, Confidential],
    default_grants: &[AuthorizationCode, RefreshToken],
    grants: &[AuthorizationCode, RefreshToken],
};
const SERVICE: ProfileRules = ProfileRules {
    profile: ClientProfile::Service,
    types: &[Confidential],
    default_grants: &[ClientCredentials],
    grants: &[ClientCredentials],
};

impl ClientProfile {
    /// What it prefills and forbids.
    pub const fn rules(self) -> &'static ProfileRules {
        match self {
            Self::Web => &WEB,
            Self::Spa => &SPA,
            Self::Native => &NATIVE,
            Self::Service => &SERVICE,
        }
    }
}

impl ProfileRules {
    /// The type that it gets unless told otherwise.
    pub fn default_type(&self) -> ClientType {
        self.types.first().copied().unwrap_or(Confidential)
    }

    /// Whether it may have redirect URIs at all.
    pub fn redirects(&self) -> bool {
        self.grants.contains(&AuthorizationCode)
    }
}

/// How a client of a type authenticates unless told otherwise.
pub const fn default_auth_method(client_type: ClientType) -> TokenEndpointAuthMethod {
    match client_type {
        Confidential => TokenEndpointAuthMethod::ClientSecretBasic,
        Public => TokenEndpointAuthMethod::None,
    }
}

/// Settings that don't go together. Each sentence says the mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The profile forbids the type.
    #[error("can't be `{}` with the profile `{}`; give it {}", .client_type.as_str(), .profile.as_str(), types(*.profile))]
    TypeOfProfile {
        /// The type.
        client_type: ClientType,
        /// The profile.
        profile: ClientProfile,
    },
    /// `client_2`: no grant at all.
    #[error("must have at least one grant type")]
    NoGrant,
    /// The profile forbids the grant.
    #[error("can't have `{grant}` with the profile `{}`; leave it out, or choose another profile", .profile.as_str())]
    GrantOfProfile {
        /// The grant.
        grant: GrantType,
        /// The profile.
        profile: ClientProfile,
    },
    /// `client_4`: a public client can't act for itself.
    #[error(
        "can't have `client_credentials`: the client is public; leave it out, or make the client confidential"
    )]
    PublicActsForItself,
    /// Nothing to refresh.
    #[error("can't have `refresh_token` without `authorization_code`; add that, or leave it out")]
    RefreshAlone,
    /// `client_2`: the code grant leads back to somewhere.
    #[error("must have at least one URI: the client has the grant `authorization_code`")]
    NoRedirect,
    /// Nothing leads back.
    #[error("must be empty: the profile `{}` has no grant that leads back to a URI", .profile.as_str())]
    RedirectOfProfile {
        /// The profile.
        profile: ClientProfile,
    },
    /// Too many.
    #[error("must have at most {MOST_REDIRECT_URIS} URIs")]
    TooManyRedirects,
    /// The same twice.
    #[error("has a URI twice; leave one out")]
    RedirectTwice,
    /// `client_5`: PKCE can be left away by confidential clients alone.
    #[error("must be true: the client is public, and only PKCE protects its codes")]
    PublicWithoutPkce,
    /// A method that is not of the type.
    #[error("must be `none`: the client is public")]
    PublicProves,
    /// A method that is not of the type.
    #[error("must be `client_secret_basic` or `client_secret_post`: the client is confidential")]
    ConfidentialUnproved,
    /// `client_14`: nothing to refresh.
    #[error("can only be set with the grant `refresh_token`; leave it out, or add the grant")]
    LifetimeWithoutRefresh,
    /// `client_14`: how long it lives is not said.
    #[error("must be set: the client has the grant `refresh_token`")]
    RefreshWithoutLifetime,
}

fn types(profile: ClientProfile) -> String {
    let types: Vec<_> = profile
        .rules()
        .types
        .iter()
        .map(|one| format!("`{}`", one.as_str()))
        .collect();
    types.join(" or ")
}

/// A setting at fault, by its name, and why.
pub type SettingsFault = (&'static str, SettingsError);

/// Everything in which these settings don't go together; nothing when they do.
pub fn check(settings: &ClientSettings) -> Vec<SettingsFault> {
    let mut faults = Vec::new();
    let profile = settings.profile;
    let rules = profile.rules();
    let is_public = settings.client_type == Public;
    if !rules.types.contains(&settings.client_type) {
        let error = SettingsError::TypeOfProfile {
            client_type: settings.client_type,
            profile,
        };
        faults.push(("type", error));
    }
    if let Some(error) = grants_at_fault(settings, rules) {
        faults.push(("grant_types", error));
    }
    faults.extend(redirects_at_fault(settings, rules));
    // client_5: demanded of every code flow, unless it is turned off for a confidential client.
    if is_public && !settings.require_pkce {
        faults.push(("require_pkce", SettingsError::PublicWithoutPkce));
    }
    if let Err(error) = check_auth_method(settings.client_type, settings.auth_method) {
        faults.push(("token_endpoint_auth_method", error));
    }
    let refreshes = settings.grant_types.contains(&RefreshToken);
    match (refreshes, settings.refresh_token_lifetime) {
        (false, Some(_)) => faults.push((
            "refresh_token_lifetime_seconds",
            SettingsError::LifetimeWithoutRefresh,
        )),
        (true, None) => faults.push((
            "refresh_token_lifetime_seconds",
            SettingsError::RefreshWithoutLifetime,
        )),
        (true, Some(_)) | (false, None) => {}
    }
    faults
}

/// Whether a client of a type can authenticate so.
pub const fn check_auth_method(
    client_type: ClientType,
    method: TokenEndpointAuthMethod,
) -> Result<(), SettingsError> {
    match (client_type, method) {
        (Public, TokenEndpointAuthMethod::None) => Ok(()),
        (Public, _) => Err(SettingsError::PublicProves),
        (Confidential, TokenEndpointAuthMethod::None) => Err(SettingsError::ConfidentialUnproved),
        (Confidential, _) => Ok(()),
    }
}

fn grants_at_fault(settings: &ClientSettings, rules: &ProfileRules) -> Option<SettingsError> {
    let grants = &settings.grant_types;
    if grants.is_empty() {
        return Some(SettingsError::NoGrant);
    }
    if let Some(grant) = grants.iter().find(|grant| !rules.grants.contains(grant)) {
        return Some(SettingsError::GrantOfProfile {
            grant: *grant,
            profile: rules.profile,
        });
    }
    if settings.client_type == Public && grants.contains(&ClientCredentials) {
        return Some(SettingsError::PublicActsForItself);
    }
    let alone = grants.contains(&RefreshToken) && !grants.contains(&AuthorizationCode);
    alone.then_some(SettingsError::RefreshAlone)
}

fn redirects_at_fault(
    settings: &ClientSettings,
    rules: &ProfileRules,
) -> impl Iterator<Item = SettingsFault> {
    let lists = [
        ("redirect_uris", &settings.redirect_uris),
        (
            "post_logout_redirect_uris",
            &settings.post_logout_redirect_uris,
        ),
    ];
    let needed = settings.grant_types.contains(&AuthorizationCode);
    lists.into_iter().filter_map(move |(field, uris)| {
        let error = if !rules.redirects() && !uris.is_empty() {
            SettingsError::RedirectOfProfile {
                profile: rules.profile,
            }
        } else if uris.len() > MOST_REDIRECT_URIS {
            SettingsError::TooManyRedirects
        } else if uris.iter().collect::<BTreeSet<_>>().len() < uris.len() {
            SettingsError::RedirectTwice
        } else if field == "redirect_uris" && needed && uris.is_empty() {
            SettingsError::NoRedirect
        } else {
            return None;
        };
        Some((field, error))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::client;
    use crate::lifetime::RefreshTokenLifetime;
    use crate::redirect_uri::RedirectUri;

    fn web() -> ClientSettings {
        let mut settings = client("").settings;
        settings.profile = ClientProfile::Web;
        settings.grant_types = [AuthorizationCode, RefreshToken].into();
        settings.redirect_uris =
            vec![RedirectUri::parse("https://shop.example/cb", ClientProfile::Web).unwrap()];
        settings.refresh_token_lifetime = Some(RefreshTokenLifetime::DEFAULT);
        settings
    }

    fn faults(change: impl FnOnce(&mut ClientSettings)) -> Vec<SettingsFault> {
        let mut settings = web();
        change(&mut settings);
        check(&settings)
    }

    fn make_public(settings: &mut ClientSettings) {
        settings.client_type = Public;
        settings.auth_method = TokenEndpointAuthMethod::None;
    }

    #[test]
    fn what_each_profile_prefills_goes_together() {
        for profile in ClientProfile::ALL {
            let rules = profile.rules();
            for client_type in rules.types {
                let mut settings = web();
                settings.profile = profile;
                settings.client_type = *client_type;
                settings.auth_method = default_auth_method(*client_type);
                settings.grant_types = rules.default_grants.iter().copied().collect();
                if !rules.redirects() {
                    settings.redirect_uris.clear();
                    settings.refresh_token_lifetime = None;
                }
                assert_eq!(check(&settings), [], "{profile:?} {client_type:?}");
            }
        }
    }

    #[test]
    fn client_2_a_grant_is_mandatory_and_a_redirect_uri_with_the_code_grant() {
        let none = faults(|settings| {
            settings.grant_types.clear();
            settings.refresh_token_lifetime = None;
        });
        assert_eq!(none, [("grant_types", SettingsError::NoGrant)]);
        let nowhere = faults(|settings| settings.redirect_uris.clear());
        assert_eq!(nowhere, [("redirect_uris", SettingsError::NoRedirect)]);
        let not_needed = faults(|settings| {
            settings.grant_types = [ClientCredentials].into();
            settings.redirect_uris.clear();
            settings.refresh_token_lifetime = None;
        });
        assert_eq!(not_needed, []);
    }

    #[test]
    fn client_1_refresh_tokens_come_beside_the_code_grant() {
        let alone = faults(|settings| {
            settings.grant_types = [ClientCredentials, RefreshToken].into();
        });
        assert_eq!(alone, [("grant_types", SettingsError::RefreshAlone)]);
    }

    #[test]
    fn client_4_a_public_client_proves_nothing_acts_for_nobody_else_and_uses_pkce() {
        assert_eq!(faults(make_public), []);
        let secretive = faults(|settings| settings.client_type = Public);
        assert_eq!(
            secretive,
            [("token_endpoint_auth_method", SettingsError::PublicProves)]
        );
        let for_itself = faults(|settings| {
            make_public(settings);
            settings.grant_types.insert(ClientCredentials);
        });
        assert_eq!(
            for_itself,
            [("grant_types", SettingsError::PublicActsForItself)]
        );
        let unproved = faults(|settings| settings.auth_method = TokenEndpointAuthMethod::None);
        assert_eq!(
            unproved,
            [(
                "token_endpoint_auth_method",
                SettingsError::ConfidentialUnproved
            )]
        );
    }

    #[test]
    fn client_5_pkce_is_turned_off_for_confidential_clients_alone() {
        assert_eq!(faults(|settings| settings.require_pkce = false), []);
        let public = faults(|settings| {
            make_public(settings);
            settings.require_pkce = false;
        });
        assert_eq!(public, [("require_pkce", SettingsError::PublicWithoutPkce)]);
    }

    #[test]
    fn client_14_a_refresh_lifetime_goes_with_the_refresh_grant_and_no_other() {
        let without = faults(|settings| {
            settings.grant_types.remove(&RefreshToken);
        });
        let field = "refresh_token_lifetime_seconds";
        assert_eq!(without, [(field, SettingsError::LifetimeWithoutRefresh)]);
        let missing = faults(|settings| settings.refresh_token_lifetime = None);
        assert_eq!(missing, [(field, SettingsError::RefreshWithoutLifetime)]);
    }

    #[test]
    fn a_profile_forbids_types_grants_and_redirects_by_name() {
        let of_spa = faults(|settings| settings.profile = ClientProfile::Spa);
        let (field, error) = of_spa.first().unwrap();
        assert_eq!(*field, "type");
        assert_eq!(
            error.to_string(),
            "can't be `confidential` with the profile `spa`; give it `public`"
        );
        let of_service = faults(|settings| settings.profile = ClientProfile::Service);
        assert_eq!(
            of_service
                .iter()
                .map(|(field, _)| *field)
                .collect::<Vec<_>>(),
            ["grant_types", "redirect_uris"]
        );
        let native = faults(|settings| {
            settings.profile = ClientProfile::Native;
            settings.grant_types.insert(ClientCredentials);
        });
        assert_eq!(native.len(), 1, "{native:?}");
    }

    #[test]
    fn redirect_uris_are_few_and_each_is_there_once() {
        let uri = |number: usize| {
            let text = format!("https://shop.example/{number}");
            RedirectUri::parse(&text, ClientProfile::Web).unwrap()
        };
        let most = faults(|settings| {
            settings.redirect_uris = (0..MOST_REDIRECT_URIS).map(uri).collect();
        });
        assert_eq!(most, []);
        let more = faults(|settings| {
            settings.redirect_uris = (0..=MOST_REDIRECT_URIS).map(uri).collect();
        });
        assert_eq!(more, [("redirect_uris", SettingsError::TooManyRedirects)]);
        let twice = faults(|settings| settings.post_logout_redirect_uris = vec![uri(1), uri(1)]);
        assert_eq!(
            twice,
            [("post_logout_redirect_uris", SettingsError::RedirectTwice)]
        );
    }
}
