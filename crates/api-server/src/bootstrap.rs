//! The first step of an installation: the platform tenant, its operator client, and the epoch.

use grantor_domain::audit::{Action, Actor, Event, Events, Origin, Target};
use grantor_domain::client::OwnerContact;
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::role::BuiltInRole;
use grantor_domain::tenant::{NewTenant, default_issuer};
use grantor_domain::text::{EmailAddress, OrganizationName};
use grantor_storage::{
    Change, ReadTx, Scope, client_secrets, clients, installation, ownership, role_assignments,
    suspensions, tenants,
};
use serde::Serialize;
use serde_json::json;

use crate::Api;
use crate::clients::prepared::PreparedClient;
use crate::problem::Problem;
use crate::secrets::PreparedSecret;

/// What the operator needs to begin.
#[derive(Serialize)]
pub struct Bootstrapped {
    /// The platform tenant.
    pub tenant_id: String,
    /// The issuer at which the operator gets tokens.
    pub issuer: String,
    /// The operator's client.
    pub client_id: String,
    /// Its secret, shown this once.
    pub client_secret: String,
}

/// What came of a bootstrap.
pub enum Outcome {
    /// It was done.
    Done(Bootstrapped),
    /// It had been done before.
    AlreadyDone,
}

fn operator(api: &Api) -> Result<PreparedClient, Problem> {
    let email = EmailAddress::parse("operator@localhost").map_err(|_| Problem::Internal)?;
    PreparedClient::with_role(
        api,
        "Operator",
        BuiltInRole::Operator,
        OwnerContact { name: None, email },
    )
}

fn origin() -> Origin {
    Origin::without_request(Actor::Command("grantor bootstrap"))
}

/// Makes the platform tenant and its operator client, once.
pub async fn bootstrap(api: &Api) -> Result<Outcome, Problem> {
    let id: TenantId = api.new_id()?;
    let tenant = NewTenant {
        id,
        name: OrganizationName::parse("Platform").map_err(|_| Problem::Internal)?,
        issuer: default_issuer(&api.issuer_base, id).map_err(|_| Problem::Internal)?,
        is_platform: true,
        root_organization: api.new_id()?,
    };
    let operator = operator(api)?;
    let check = api
        .authority
        .keyring()
        .check_value(api.authority.entropy())
        .map_err(|error| {
            log::error!("the master key can't seal: {error}");
            Problem::Internal
        })?;
    let mut epoch = [0; 8];
    api.authority.entropy().fill(&mut epoch)?;
    // Positive, so that it reads well.
    let epoch = i64::from_le_bytes(epoch).saturating_abs();
    let issuer = tenant.issuer.to_string();

    let made = api
        .authority
        .database()
        .change(Scope::Platform(Some(id)), origin(), api.now(), move |tx| {
            installation::lock_for_bootstrap(tx)?;
            if tenants::find_platform(tx)?.is_some() {
                return Ok(Change::Nothing(None));
            }
            installation::insert(tx, epoch, &check)?;
            tenants::insert(tx, &tenant)?;
            operator.insert(tx, id, tenant.root_organization, None)?;
            let bootstrapped = Event::new(id, Action::PlatformBootstrapped, Target::Tenant(id))
                .after(json!({ "issuer": tenant.issuer.as_str() }));
            let events = Events::from(bootstrapped).then(operator.events(
                id,
                tenant.root_organization,
                None,
            ));
            Ok::<_, Problem>(Change::Made(Some(operator.show(false)), events))
        })
        .await?;
    Ok(match made {
        Some(operator) => Outcome::Done(Bootstrapped {
            tenant_id: id.to_string(),
            issuer,
            client_id: operator.client_id,
            client_secret: operator.client_secret,
        }),
        None => Outcome::AlreadyDone,
    })
}

/// Gives the operator's client a new secret, and stops every old one. When that client was deleted, a new
/// one is made.
pub async fn new_operator_secret(api: &Api) -> Result<Option<Bootstrapped>, Problem> {
    let found = api
        .authority
        .database()
        .read(Scope::Platform(None), |tx: &mut ReadTx<'_>| {
            tenants::find_platform(tx)
        })
        .await?;
    let Some(tenant) = found else { return Ok(None) };
    let id = tenant.id;
    let client = api
        .authority
        .database()
        .read(Scope::Platform(Some(id)), move |tx: &mut ReadTx<'_>| {
            role_assignments::first_client_with(tx, id, BuiltInRole::Operator)
        })
        .await?;
    let (client_id, client_secret) = if let Some(client) = client {
        (
            client.to_string(),
            replace_secret(api, id, client, true).await?,
        )
    } else {
        let operator = operator(api)?;
        let root = tenant.root_organization;
        let shown = api
            .authority
            .database()
            .change(Scope::Platform(Some(id)), origin(), api.now(), move |tx| {
                let owner = ownership::hold_root_owner(tx, id)?;
                operator.insert(tx, id, root, owner)?;
                let events = operator.events(id, root, owner);
                Ok::<_, Problem>(Change::Made(operator.show(false), events))
            })
            .await?;
        (shown.client_id, shown.client_secret)
    };
    let issuer = tenant.issuer.to_string();
    Ok(Some(Bootstrapped {
        tenant_id: id.to_string(),
        issuer,
        client_id,
        client_secret,
    }))
}

/// Replaces the secrets of a client from the command line; tells the new one. With `enable` a client that
/// was disabled is enabled again, so that an operator who locked themselves out comes back in.
pub async fn replace_secret(
    api: &Api,
    tenant: TenantId,
    client: ClientId,
    enable: bool,
) -> Result<String, Problem> {
    let secret = PreparedSecret::new(api, client, None)?;
    let shown = api
        .authority
        .database()
        .change(
            Scope::Platform(Some(tenant)),
            origin(),
            api.now(),
            move |tx| {
                let revoked = client_secrets::revoke_all(tx, tenant, client)?;
                client_secrets::insert(tx, tenant, client, secret.stored())?;
                let rotated = Event::new(tenant, Action::SecretRotated, Target::Client(client))
                    .after(json!({ "revoked": revoked, "made": secret.stored().id }));
                let mut events = Events::from(rotated).and(secret.shown_event(tenant, client));
                let paused = clients::find(tx, tenant, client)?
                    .is_some_and(|client| client.suspension.by_tenant.is_some());
                if enable && paused {
                    suspensions::resume_client(tx, tenant, client)?;
                    let enabled = Event::new(tenant, Action::ClientEnabled, Target::Client(client));
                    events = events.and(enabled);
                }
                Ok::<_, Problem>(Change::Made(secret.into_value(), events))
            },
        )
        .await?;
    Ok(shown)
}
