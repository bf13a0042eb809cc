//! Clients: what holds OAuth credentials in one tenant.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::scope::{ScopeToken, Scopes};
use thiserror::Error;

use crate::ids::{ClientId, MemberId, OrganizationId};
use crate::ip_rule::IpRules;
use crate::lifetime::{AccessTokenLifetime, RefreshTokenLifetime};
use crate::limits::Limits;
use crate::permission::Permission;
use crate::redirect_uri::RedirectUri;
use crate::resource_server::Catalogue;
use crate::search::words;
use crate::suspension::Suspension;
use crate::text::{ClientName, Description, EmailAddress, PersonName};
use crate::web_address::WebAddress;

/// Whether a client can keep a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientType {
    /// It can't, for whoever runs it can read it (`client_4`).
    Public,
    /// It can, and authenticates.
    Confidential,
}

impl ClientType {
    /// Every type.
    pub const ALL: [Self; 2] = [Self::Public, Self::Confidential];

    /// The word on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Confidential => "confidential",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// What kind of program a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientProfile {
    /// A server that people visit with a browser.
    Web,
    /// A program that runs in the browser.
    Spa,
    /// A program that people install on a device.
    Native,
    /// A machine that acts for itself.
    Service,
}

impl ClientProfile {
    /// Every profile.
    pub const ALL: [Self; 4] = [Self::Web, Self::Spa, Self::Native, Self::Service];

    /// The word on the wire and in storage.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Spa => "spa",
            Self::Native => "native",
            Self::Service => "service",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// Whom to write to about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerContact {
    /// Their name, if told.
    pub name: Option<PersonName>,
    /// Their address.
    pub email: EmailAddress,
}

/// What somebody decided about a client: all that can be set. What of it goes together is for
/// [`client_rules::check`](crate::client_rules::check) to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSettings {
    /// Its name.
    pub name: ClientName,
    /// What it is for.
    pub description: Description,
    /// A page about it.
    pub homepage: Option<WebAddress>,
    /// A picture by which people know it.
    pub logo: Option<WebAddress>,
    /// Whether it can keep a secret.
    pub client_type: ClientType,
    /// What kind of program it is.
    pub profile: ClientProfile,
    /// The grants that it may use.
    pub grant_types: BTreeSet<GrantType>,
    /// Where a browser may be sent after a member has let it act for them.
    pub redirect_uris: Vec<RedirectUri>,
    /// Where a browser may be sent after a member has signed out.
    pub post_logout_redirect_uris: Vec<RedirectUri>,
    /// How it authenticates at the token server.
    pub auth_method: TokenEndpointAuthMethod,
    /// Whether each of its code flows must use PKCE (`client_5`).
    pub require_pkce: bool,
    /// The scopes that it may ask for.
    pub allowed_scopes: Scopes,
    /// Whether a request must name its scopes (`client_11`).
    pub require_requested_scopes: bool,
    /// From where it may come (`client_13`).
    pub allowed_ips: IpRules,
    /// How long its access tokens live.
    pub access_token_lifetime: AccessTokenLifetime,
    /// How long its refresh tokens live, if it may ask for any.
    pub refresh_token_lifetime: Option<RefreshTokenLifetime>,
    /// How fast it may get tokens and how many may live, where that is not as for any other client (`client_15`).
    pub limits: Limits,
    /// Whom to write to about it.
    pub owner_contact: OwnerContact,
}

impl ClientSettings {
    /// The words by which the client is found.
    pub fn words(&self) -> BTreeSet<String> {
        let contact = &self.owner_contact;
        Self::words_of(
            self.name.as_str(),
            contact.name.as_ref().map_or("", PersonName::as_str),
            contact.email.as_str(),
            self.homepage.as_ref().map_or("", WebAddress::as_str),
            self.description.as_str(),
        )
    }

    /// The same of a client of which these alone are known.
    pub fn words_of(
        name: &str,
        contact_name: &str,
        contact_email: &str,
        homepage: &str,
        description: &str,
    ) -> BTreeSet<String> {
        words([name, contact_name, contact_email, homepage, description])
    }
}

/// A client about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// Its id.
    pub id: ClientId,
    /// The organization that it will live in.
    pub organization: OrganizationId,
    /// The member whose it will be.
    pub owner: Option<MemberId>,
    /// What was decided about it.
    pub settings: ClientSettings,
}

/// A client as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its id.
    pub id: ClientId,
    /// The organization that it lives in.
    pub organization: OrganizationId,
    /// The member whose it is; nobody's only where the tenant has no root owner.
    pub owner: Option<MemberId>,
    /// What was decided about it.
    pub settings: ClientSettings,
    /// Raised by every change to it or to what hangs on it.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it last got a new secret.
    pub secret_updated_at: Option<DateTime<Utc>>,
    /// Whether it is disabled, by whom, and below which position its tokens are dead.
    pub suspension: Suspension,
}

/// Whether a client may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientStatus {
    /// It may.
    Active,
    /// It is paused until enabled again (`pause_2`).
    Disabled,
}

impl ClientStatus {
    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
}

impl Client {
    /// What a console shows of the client's state.
    pub fn status(&self) -> ClientStatus {
        if self.suspension.is_suspended() {
            ClientStatus::Disabled
        } else {
            ClientStatus::Active
        }
    }
}

/// Why a client may not have a scope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScopeRefusal {
    /// No resource server of the tenant has it.
    #[error(
        "no resource server of this tenant has the scope `{0}`; check its spelling or add it there first"
    )]
    Unknown(ScopeToken),
    /// It goes on for who has it, and nobody gets it anew.
    #[error("the scope `{0}` is deprecated, and no further client gets it; leave it out")]
    Deprecated(ScopeToken),
    /// It stands for a permission that the caller lacks (`role_3`).
    #[error("you don't hold the permission behind `{0}`, so you can't give it to a client")]
    NotHeld(ScopeToken),
}

/// Decides whether all of these scopes may be newly given to a client, by somebody who holds these permissions.
pub fn check_allowed_scopes(
    scopes: &Scopes,
    catalogue: &Catalogue,
    held: impl Fn(Permission) -> bool,
) -> Result<(), ScopeRefusal> {
    for scope in scopes {
        let Some(owner) = catalogue.owner_of(scope) else {
            return Err(ScopeRefusal::Unknown(scope.clone()));
        };
        if owner.is_deprecated() {
            return Err(ScopeRefusal::Deprecated(scope.clone()));
        }
        // role_3: nobody grants a permission that they do not hold themselves.
        if Permission::from_scope(scope).is_some_and(|permission| !held(permission)) {
            return Err(ScopeRefusal::NotHeld(scope.clone()));
        }
    }
    Ok(())
}

/// Whether the name that was typed to confirm a deletion or rotation is the very name of what it is about (`client_7`).
pub fn confirms(name: &str, typed: &str) -> bool {
    name == typed
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::resource_server::Verification;
    use crate::resource_server::tests::{billing, catalogue, orders};
    use uuid::Uuid;

    pub(crate) fn client(allowed: &str) -> Client {
        let scopes = if allowed.is_empty() {
            Scopes::default()
        } else {
            Scopes::parse(allowed).unwrap()
        };
        Client {
            id: ClientId::from_uuid(Uuid::from_u128(2)),
            organization: OrganizationId::from_uuid(Uuid::from_u128(3)),
            owner: None,
            settings: ClientSettings {
                name: ClientName::parse("Nightly export").unwrap(),
                description: Description::parse("").unwrap(),
                homepage: None,
                logo: None,
                client_type: ClientType::Confidential,
                profile: ClientProfile::Service,
                grant_types: [GrantType::ClientCredentials].into(),
                redirect_uris: Vec::new(),
                post_logout_redirect_uris: Vec::new(),
                auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
                require_pkce: true,
                allowed_scopes: scopes,
                require_requested_scopes: true,
                allowed_ips: IpRules::default(),
                access_token_lifetime: AccessTokenLifetime::DEFAULT,
                refresh_token_lifetime: None,
                limits: Limits::default(),
                owner_contact: OwnerContact {
                    name: None,
                    email: EmailAddress::parse("ops@acme.example").unwrap(),
                },
            },
            revision: 1,
            created_at: DateTime::UNIX_EPOCH,
            updated_at: DateTime::UNIX_EPOCH,
            secret_updated_at: None,
            suspension: Suspension::default(),
        }
    }

    #[test]
    fn role_3_nobody_grants_what_they_do_not_hold() {
        let catalogue = catalogue([orders(Verification::Introspection, None), billing()]);
        let admin = |permission: Permission| !permission.is_for_operators();
        let check =
            |scopes: &str| check_allowed_scopes(&Scopes::parse(scopes).unwrap(), &catalogue, admin);
        assert_eq!(
            check("billing:pay openid orders.api:read grantor:clients.read"),
            Ok(())
        );
        let old = ScopeToken::parse("billing:old").unwrap();
        assert_eq!(
            check("billing:old billing:pay"),
            Err(ScopeRefusal::Deprecated(old))
        );
        let tenants = ScopeToken::parse("grantor:tenants.create").unwrap();
        assert_eq!(
            check("grantor:tenants.create"),
            Err(ScopeRefusal::NotHeld(tenants))
        );
        let unknown = ScopeToken::parse("orders.api:fly").unwrap();
        assert_eq!(
            check("orders.api:read orders.api:fly"),
            Err(ScopeRefusal::Unknown(unknown))
        );
    }

    #[test]
    fn client_1_types_and_profiles_are_read_as_they_are_written() {
        for known in ClientType::ALL {
            assert_eq!(ClientType::parse(known.as_str()), Some(known));
        }
        for known in ClientProfile::ALL {
            assert_eq!(ClientProfile::parse(known.as_str()), Some(known));
        }
        for unknown in ["", "Public", "public ", "trusted"] {
            assert_eq!(ClientType::parse(unknown), None, "{unknown:?}");
        }
        for unknown in ["", "WEB", "browser", "service\0"] {
            assert_eq!(ClientProfile::parse(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn client_7_the_typed_name_must_be_the_very_name() {
        let client = client("");
        let name = client.settings.name.as_str();
        assert!(confirms(name, "Nightly export"));
        for typed in ["", "nightly export", "Nightly export ", "Nightly"] {
            assert!(!confirms(name, typed), "{typed:?}");
        }
    }
}
