//! A tenant about to be made: with its root organization, its first owner and, on request, a client that
//! administers it.

use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::client::OwnerContact;
use grantor_domain::ids::{OrganizationId, RoleAssignmentId, TenantId};
use grantor_domain::member::{MemberSettings, NewMember};
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::tenant::{NewTenant, default_issuer};
use grantor_domain::text::{EmailAddress, OrganizationName, PersonName};
use grantor_storage::role_assignments::Holder;
use grantor_storage::{ChangeTx, StorageError, members, role_assignments, tenants};
use serde_json::json;

use crate::Api;
use crate::clients::prepared::PreparedClient;
use crate::problem::Problem;

/// A tenant ready to be stored.
pub struct PreparedTenant {
    /// The tenant.
    pub tenant: NewTenant,
    /// Its first owner.
    pub owner: NewMember,
    owner_role: RoleAssignmentId,
    /// The client that administers it.
    pub admin: Option<PreparedClient>,
}

impl PreparedTenant {
    /// Prepares a tenant.
    pub fn new(
        api: &Api,
        name: OrganizationName,
        owner: (PersonName, EmailAddress),
        with_admin: bool,
    ) -> Result<Self, Problem> {
        let id: TenantId = api.new_id()?;
        let issuer = default_issuer(&api.issuer_base, id).map_err(|error| {
            log::error!("the issuer of a new tenant is not valid: {error}");
            Problem::Internal
        })?;
        let root: OrganizationId = api.new_id()?;
        let (name_of_owner, email) = owner;
        let contact = OwnerContact {
            name: Some(name_of_owner.clone()),
            email: email.clone(),
        };
        let admin = with_admin
            .then(|| PreparedClient::with_role(api, "Administration", BuiltInRole::Admin, contact))
            .transpose()?;
        Ok(Self {
            tenant: NewTenant {
                id,
                name,
                issuer,
                is_platform: false,
                root_organization: root,
            },
            owner: NewMember {
                id: api.new_id()?,
                settings: MemberSettings {
                    name: name_of_owner,
                    email,
                    organization: root,
                },
            },
            owner_role: api.new_id()?,
            admin,
        })
    }

    /// Stores it.
    pub fn insert(&self, tx: &mut ChangeTx<'_>) -> Result<(), StorageError> {
        let id = self.tenant.id;
        tenants::insert(tx, &self.tenant)?;
        members::insert(tx, id, &self.owner)?;
        let held = HeldRole::new(BuiltInRole::Owner, self.tenant.root_organization);
        role_assignments::insert(
            tx,
            id,
            self.owner_role,
            Holder::Member(self.owner.id),
            &held,
        )?;
        if let Some(admin) = &self.admin {
            admin.insert(tx, id, self.tenant.root_organization, Some(self.owner.id))?;
        }
        Ok(())
    }

    /// That it was made, as it stands in the log of a tenant.
    pub fn created(&self, log: TenantId) -> Event {
        let particulars = json!({ "name": self.tenant.name.as_str(), "issuer": self.tenant.issuer.as_str(),
            "owner": self.owner.id });
        Event::new(log, Action::TenantCreated, Target::Tenant(self.tenant.id)).after(particulars)
    }

    /// What stands in its own log.
    pub fn events(&self, id: TenantId) -> Events {
        let created = Events::from(self.created(id));
        match &self.admin {
            Some(admin) => {
                created.then(admin.events(id, self.tenant.root_organization, Some(self.owner.id)))
            }
            None => created,
        }
    }
}
