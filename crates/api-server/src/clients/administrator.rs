//! The client with the role `admin` that a new tenant gets on request: the first that can manage it.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::{ClientProfile, ClientSettings, ClientType, OwnerContact};
use grantor_domain::ids::{ClientId, OrganizationId, RoleAssignmentId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::member::NewMember;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::tenant::NewTenant;
use grantor_domain::text::{ClientName, Description, EmailAddress, PersonName};
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::scope::{ScopeToken, Scopes};
use grantor_storage::role_assignments::Holder;
use grantor_storage::{ChangeTx, StorageError, clients, role_assignments};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::Api;
use crate::problem::Problem;
use crate::secrets::PreparedSecret;

/// The credentials of the client, shown once.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdminClient {
    /// Its OAuth `client_id`.
    #[schema(example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    pub client_id: String,
    /// Its secret. Keep it safe: it is shown this once.
    #[schema(example = "gsec_…")]
    pub client_secret: String,
    /// The scopes that it may ask for.
    pub allowed_scopes: Vec<String>,
}

/// A client with a role over a tenant's root organization, ready to be stored.
pub struct PreparedAdminClient {
    id: ClientId,
    organization: OrganizationId,
    settings: ClientSettings,
    role: BuiltInRole,
    assignment: RoleAssignmentId,
    secret: PreparedSecret,
}

impl PreparedAdminClient {
    /// Prepares the administrator of a tenant.
    pub fn new(api: &Api, tenant: &NewTenant, owner: &NewMember) -> Result<Self, Problem> {
        let contact = OwnerContact { name: Some(owner.name.clone()), email: owner.email.clone() };
        Self::with_role(api, tenant.root_organization, "Administration", BuiltInRole::Admin, contact)
    }

    /// Prepares the first operator of an installation.
    pub fn operator(api: &Api, tenant: &NewTenant) -> Result<Self, Problem> {
        let contact = OwnerContact {
            name: PersonName::parse("Operator").ok(),
            email: EmailAddress::parse("operator@localhost").map_err(|_| Problem::Internal)?,
        };
        Self::with_role(api, tenant.root_organization, "Operator", BuiltInRole::Operator, contact)
    }

    fn with_role(
        api: &Api,
        organization: OrganizationId,
        name: &str,
        role: BuiltInRole,
        owner_contact: OwnerContact,
    ) -> Result<Self, Problem> {
        let id: ClientId = api.new_id()?;
        let scopes: Scopes = Permission::ALL
            .iter()
            .filter(|permission| role.permits(**permission))
            .filter_map(|permission| ScopeToken::parse(&permission.scope_name()).ok())
            .collect();
        let settings = ClientSettings {
            name: ClientName::parse(name).map_err(|_| Problem::Internal)?,
            description: Description::parse("Manages through the management API.")
                .map_err(|_| Problem::Internal)?,
            client_type: ClientType::Confidential,
            profile: ClientProfile::Service,
            grant_types: vec![GrantType::ClientCredentials],
            auth_method: TokenEndpointAuthMethod::ClientSecretBasic,
            allowed_scopes: scopes,
            require_requested_scopes: true,
            access_token_lifetime: AccessTokenLifetime::DEFAULT,
            owner_contact,
        };
        let secret = PreparedSecret::new(api, id)?;
        Ok(Self { id, organization, settings, role, assignment: api.new_id()?, secret })
    }

    /// Stores the client, its role and its secret.
    pub fn insert(&self, tx: &mut ChangeTx<'_>, tenant: TenantId) -> Result<(), StorageError> {
        clients::insert(tx, tenant, self.id, self.organization, &self.settings)?;
        clients::insert_secret(tx, tenant, self.id, self.secret.stored())?;
        let held = HeldRole { role: self.role, organization: self.organization };
        role_assignments::insert(tx, tenant, self.assignment, Holder::Client(self.id), held)
    }

    /// What the log of record says of it.
    pub fn events(&self, tenant: TenantId) -> [Event; 2] {
        let created = Event::new(tenant, Action::ClientCreated, Target::Client(self.id)).after(json!({
            "name": self.settings.name.as_str(),
            "allowed_scopes": self.settings.allowed_scopes.to_vec(),
            "service_roles": [self.role.as_str()],
        }));
        [created, self.secret.shown_event(tenant, self.id)]
    }

    /// The credentials, for their one showing.
    pub fn show(self) -> AdminClient {
        AdminClient {
            client_id: self.id.to_string(),
            client_secret: self.secret.show().into_value(),
            allowed_scopes: self.settings.allowed_scopes.to_vec(),
        }
    }
}
