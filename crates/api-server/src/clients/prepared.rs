//! A client about to be made: its settings, its secret, and the service role that it gets at once.

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::client::{ClientProfile, ClientSettings, ClientType, NewClient, OwnerContact};
use grantor_domain::client_rules::default_auth_method;
use grantor_domain::ids::{
    ClientId, MemberId, OrganizationId, RoleAssignmentId, SecretId, TenantId,
};
use grantor_domain::ip_rule::IpRules;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::limits::Limits;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::text::{ClientName, Description};
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::scope::{ScopeToken, Scopes};
use grantor_storage::role_assignments::Holder;
use grantor_storage::{ChangeTx, StorageError, client_secrets, clients, role_assignments};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::for_the_log;
use crate::Api;
use crate::problem::Problem;
use crate::secrets::{DRY_RUN_SECRET, PreparedSecret, ShownSecret};

/// The credentials of a client, shown once.
#[derive(Serialize, ToSchema)]
pub struct ClientCredentials {
    /// Its OAuth `client_id`.
    #[schema(example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    pub client_id: String,
    /// Its secret. Keep it safe: it is shown this once.
    #[schema(example = "gsec_…")]
    pub client_secret: String,
    /// The scopes that it may ask for.
    pub allowed_scopes: Vec<String>,
}

impl std::fmt::Debug for ClientCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCredentials")
            .field("client_id", &self.client_id)
            .field("client_secret", &"[redacted]")
            .finish_non_exhaustive()
    }
}

/// A client ready to be stored.
pub struct PreparedClient {
    /// Its id.
    pub id: ClientId,
    settings: ClientSettings,
    role: Option<(BuiltInRole, RoleAssignmentId)>,
    secret: Option<PreparedSecret>,
}

impl PreparedClient {
    /// Prepares a client with these settings; a confidential one with a secret (`client_4`).
    pub fn new(api: &Api, settings: ClientSettings) -> Result<Self, Problem> {
        let id: ClientId = api.new_id()?;
        let secret = match settings.client_type {
            ClientType::Confidential => Some(PreparedSecret::new(api, id, None)?),
            ClientType::Public => None,
        };
        Ok(Self {
            id,
            settings,
            role: None,
            secret,
        })
    }

    /// Prepares a client that manages its tenant by a role over the root organization.
    pub fn with_role(
        api: &Api,
        name: &str,
        role: BuiltInRole,
        contact: OwnerContact,
    ) -> Result<Self, Problem> {
        let scopes: Scopes = Permission::ALL
            .iter()
            .filter(|permission| role.permits(**permission))
            .filter_map(|permission| ScopeToken::parse(&permission.scope_name()).ok())
            .collect();
        let mut client = Self::new(
            api,
            service(name, "Manages through the management API.", scopes, contact)?,
        )?;
        client.role = Some((role, api.new_id()?));
        Ok(client)
    }

    /// What was decided about it.
    pub fn settings(&self) -> &ClientSettings {
        &self.settings
    }

    /// The same, for what is only known once it is about to be stored.
    pub fn settings_mut(&mut self) -> &mut ClientSettings {
        &mut self.settings
    }

    /// Stores the client, its secret and its role. Whoever is to own it was looked at before.
    pub fn insert(
        &self,
        tx: &mut ChangeTx<'_>,
        tenant: TenantId,
        organization: OrganizationId,
        owner: Option<MemberId>,
    ) -> Result<(), StorageError> {
        let client = NewClient {
            id: self.id,
            organization,
            owner,
            settings: self.settings.clone(),
        };
        clients::insert(tx, tenant, &client)?;
        if let Some(secret) = &self.secret {
            client_secrets::insert(tx, tenant, self.id, secret.stored())?;
        }
        if let Some((role, assignment)) = self.role {
            let held = HeldRole::new(role, organization);
            role_assignments::insert(tx, tenant, assignment, Holder::Client(self.id), &held)?;
        }
        Ok(())
    }

    /// What the log of record says of it: made, and its secret shown.
    pub fn events(
        &self,
        tenant: TenantId,
        organization: OrganizationId,
        owner: Option<MemberId>,
    ) -> Events {
        let mut particulars = for_the_log(&self.settings, organization);
        if let Some(particulars) = particulars.as_object_mut() {
            particulars.insert("owner_id".to_owned(), json!(owner));
            if let Some((role, _)) = self.role {
                particulars.insert("service_roles".to_owned(), json!([role.as_str()]));
            }
        }
        let created = Events::from(
            Event::new(tenant, Action::ClientCreated, Target::Client(self.id)).after(particulars),
        );
        match &self.secret {
            Some(secret) => created.and(secret.shown_event(tenant, self.id)),
            None => created,
        }
    }

    /// The secret, for its one showing.
    pub fn show_secret(self, created_at: DateTime<Utc>, dry_run: bool) -> Option<ShownSecret> {
        self.secret.map(|secret| secret.show(created_at, dry_run))
    }

    /// The credentials, for their one showing. A dry run shows no secret: nothing is left of it.
    pub fn show(self, dry_run: bool) -> ClientCredentials {
        ClientCredentials {
            client_id: self.id.to_string(),
            allowed_scopes: self.settings.allowed_scopes.to_vec(),
            client_secret: match self.secret {
                Some(secret) if !dry_run => secret.into_value(),
                _ => DRY_RUN_SECRET.to_owned(),
            },
        }
    }

    /// The id of its secret.
    pub fn secret_id(&self) -> Option<SecretId> {
        self.secret.as_ref().map(|secret| secret.stored().id)
    }
}

/// The settings of a confidential service client.
pub fn service(
    name: &str,
    description: &str,
    allowed_scopes: Scopes,
    owner_contact: OwnerContact,
) -> Result<ClientSettings, Problem> {
    let ours = |error: grantor_domain::text::TextError| {
        log::error!("a text of ours is not valid: {error}");
        Problem::Internal
    };
    Ok(ClientSettings {
        name: ClientName::parse(name).map_err(ours)?,
        description: Description::parse(description).map_err(ours)?,
        homepage: None,
        logo: None,
        client_type: ClientType::Confidential,
        profile: ClientProfile::Service,
        grant_types: [GrantType::ClientCredentials].into(),
        redirect_uris: Vec::new(),
        post_logout_redirect_uris: Vec::new(),
        auth_method: default_auth_method(ClientType::Confidential),
        require_pkce: true,
        allowed_scopes,
        require_requested_scopes: true,
        allowed_ips: IpRules::default(),
        access_token_lifetime: AccessTokenLifetime::DEFAULT,
        refresh_token_lifetime: None,
        limits: Limits::default(),
        owner_contact,
    })
}
