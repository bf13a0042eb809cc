//! Things as tests need them, valid unless a test says otherwise.

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::client::{ClientProfile, ClientSettings, ClientType, NewClient, OwnerContact};
use grantor_domain::ids::{ClientId, OrganizationId, TenantId, TypedId};
use grantor_domain::ip_rule::IpRules;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::limits::Limits;
use grantor_domain::tenant::{NewTenant, default_issuer};
use grantor_domain::text::{ClientName, Description, EmailAddress, OrganizationName};
use grantor_keys::{Entropy, uuid_v7};
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::scope::Scopes;

/// An id whose time is `at`.
pub fn id_at<T: TypedId>(at: DateTime<Utc>, entropy: &dyn Entropy) -> T {
    let millis = u64::try_from(at.timestamp_millis()).expect("a time after 1970");
    T::from_uuid(uuid_v7(millis, entropy).expect("randomness"))
}

/// A tenant with this name.
pub fn tenant(name: &str, at: DateTime<Utc>, entropy: &dyn Entropy) -> NewTenant {
    let id: TenantId = id_at(at, entropy);
    NewTenant {
        id,
        name: OrganizationName::parse(name).expect("a name"),
        issuer: default_issuer("http://127.0.0.1:8081", id).expect("an issuer"),
        is_platform: false,
        root_organization: id_at(at, entropy),
    }
}

/// The settings of a service client with this name and these scopes.
pub fn client(name: &str, scopes: &str) -> ClientSettings {
    ClientSettings {
        name: ClientName::parse(name).expect("a name"),
        description: Description::parse("").expect("a description"),
        homepage: None,
        logo: None,
        client_type: ClientType::Confidential,
        profile: ClientProfile::Service,
        grant_types: [GrantType::ClientCredentials].into(),
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
        require_pkce: true,
        allowed_scopes: if scopes.is_empty() {
            Scopes::default()
        } else {
            Scopes::parse(scopes).expect("scopes")
        },
        require_requested_scopes: true,
        allowed_ips: IpRules::default(),
        access_token_lifetime: AccessTokenLifetime::DEFAULT,
        refresh_token_lifetime: None,
        limits: Limits::default(),
        owner_contact: OwnerContact {
            name: None,
            email: EmailAddress::parse("owner@example.com").expect("an address"),
        },
    }
}

/// A client about to be made with these settings, of nobody.
pub fn new_client(
    id: ClientId,
    organization: OrganizationId,
    settings: &ClientSettings,
) -> NewClient {
    NewClient {
        id,
        organization,
        owner: None,
        settings: settings.clone(),
    }
}

/// An origin for changes that a test makes.
pub fn origin() -> Origin {
    Origin::without_request(Actor::Command("test"))
}

/// An event about a client.
pub fn client_event(tenant: TenantId, client: ClientId) -> Event {
    Event::new(tenant, Action::ClientCreated, Target::Client(client))
}
