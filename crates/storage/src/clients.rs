//! Clients and their secrets.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::client::{
    Client, ClientProfile, ClientSettings, ClientStatus, ClientType, OwnerContact,
};
use grantor_domain::client_secret::ClientSecret;
use grantor_domain::ids::{ClientId, OrganizationId, SecretId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::text::{ClientName, Description, EmailAddress, PersonName};
use grantor_keys::Verifier;
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::grant_type::GrantType;
use uuid::Uuid;

use crate::error::StorageError;
use crate::resource_servers;
use crate::schema::{client_secrets, clients, suspensions};
use crate::stored;
use crate::suspensions::{SuspensionRow, mark_deleted};
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

#[derive(Queryable, Selectable)]
#[diesel(table_name = clients)]
struct ClientRow {
    id: Uuid,
    organization_id: Uuid,
    name: String,
    description: String,
    client_type: String,
    profile: String,
    grant_types: Vec<String>,
    auth_method: String,
    allowed_scopes: Vec<String>,
    require_requested_scopes: bool,
    access_token_seconds: i32,
    owner_name: Option<String>,
    owner_email: String,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    secret_updated_at: Option<DateTime<Utc>>,
}

impl ClientRow {
    fn into_domain(self, suspension: Option<SuspensionRow>) -> Result<Client, StorageError> {
        let grant_types = self
            .grant_types
            .iter()
            .map(|grant| stored::word("grant type", grant, GrantType::parse))
            .collect::<Result<_, _>>()?;
        let owner_name = self
            .owner_name
            .map(|name| stored::parsed("owner's name", &name, PersonName::parse));
        Ok(Client {
            id: ClientId::from_uuid(self.id),
            organization: OrganizationId::from_uuid(self.organization_id),
            settings: ClientSettings {
                name: stored::parsed("client's name", &self.name, ClientName::parse)?,
                description: stored::parsed("description", &self.description, Description::parse)?,
                client_type: stored::word("client type", &self.client_type, ClientType::parse)?,
                profile: stored::word("profile", &self.profile, ClientProfile::parse)?,
                grant_types,
                auth_method: stored::word(
                    "authentication method",
                    &self.auth_method,
                    TokenEndpointAuthMethod::parse,
                )?,
                allowed_scopes: stored::scopes(&self.allowed_scopes)?,
                require_requested_scopes: self.require_requested_scopes,
                access_token_lifetime: AccessTokenLifetime::from_seconds(
                    self.access_token_seconds.into(),
                )
                .map_err(|_| {
                    StorageError::corrupt("lifetime", self.access_token_seconds.to_string())
                })?,
                owner_contact: OwnerContact {
                    name: owner_name.transpose()?,
                    email: stored::parsed(
                        "owner's address",
                        &self.owner_email,
                        EmailAddress::parse,
                    )?,
                },
            },
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
            secret_updated_at: self.secret_updated_at,
            suspension: suspension.unwrap_or_default().into_domain()?,
        })
    }
}

/// The columns that a client's settings fill.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = clients, treat_none_as_null = true)]
struct SettingsColumns<'s> {
    name: &'s str,
    description: &'s str,
    client_type: &'static str,
    profile: &'static str,
    grant_types: Vec<&'static str>,
    auth_method: &'static str,
    allowed_scopes: Vec<String>,
    require_requested_scopes: bool,
    access_token_seconds: i32,
    owner_name: Option<String>,
    owner_email: &'s str,
}

impl<'s> SettingsColumns<'s> {
    fn of(settings: &'s ClientSettings) -> Result<Self, StorageError> {
        let seconds = settings.access_token_lifetime.seconds();
        Ok(Self {
            name: settings.name.as_str(),
            description: settings.description.as_str(),
            client_type: settings.client_type.as_str(),
            profile: settings.profile.as_str(),
            grant_types: settings
                .grant_types
                .iter()
                .map(|grant| grant.as_str())
                .collect(),
            auth_method: settings.auth_method.as_str(),
            allowed_scopes: settings.allowed_scopes.to_vec(),
            require_requested_scopes: settings.require_requested_scopes,
            access_token_seconds: i32::try_from(seconds)
                .map_err(|_| StorageError::corrupt("lifetime", seconds.to_string()))?,
            owner_name: settings
                .owner_contact
                .name
                .as_ref()
                .map(|name| name.as_str().to_owned()),
            owner_email: settings.owner_contact.email.as_str(),
        })
    }
}

/// Makes a client.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ClientId,
    organization: OrganizationId,
    settings: &ClientSettings,
) -> Result<(), StorageError> {
    let now = tx.now();
    diesel::insert_into(clients::table)
        .values((
            clients::tenant_id.eq(tenant.uuid()),
            clients::id.eq(id.uuid()),
            clients::organization_id.eq(organization.uuid()),
            clients::kind.eq("own"),
            SettingsColumns::of(settings)?,
            clients::created_at.eq(now),
            clients::updated_at.eq(now),
        ))
        .execute(tx.touching(tenant, Subject::Client(id))?)?;
    Ok(())
}

/// Writes the settings of a client, all of them; tells whether it is there.
pub fn update(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ClientId,
    settings: &ClientSettings,
) -> Result<bool, StorageError> {
    let updated = diesel::update(clients::table.find((tenant.uuid(), id.uuid())))
        .set(SettingsColumns::of(settings)?)
        .execute(tx.touching(tenant, Subject::Client(id))?)?;
    Ok(updated == 1)
}

/// Reads one client.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: ClientId,
) -> Result<Option<Client>, StorageError> {
    clients::table
        .left_join(suspensions::table.on(of_this_client()))
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq(id.uuid()))
        .select((ClientRow::as_select(), Option::<SuspensionRow>::as_select()))
        .first::<(ClientRow, Option<SuspensionRow>)>(tx.connection())
        .optional()?
        .map(|(client, suspension)| client.into_domain(suspension))
        .transpose()
}

#[diesel::dsl::auto_type]
fn of_this_client() -> _ {
    suspensions::tenant_id
        .eq(clients::tenant_id)
        .and(suspensions::subject_id.eq(clients::id))
}

/// Reads one client and keeps others from changing it until this change has ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ClientId,
) -> Result<Option<Client>, StorageError> {
    let locked: Option<Uuid> = clients::table
        .find((tenant.uuid(), id.uuid()))
        .select(clients::id)
        .for_update()
        .first(tx.connection())
        .optional()?;
    // Read after the lock was had: so it is what the change before this one left.
    if locked.is_some() {
        find(tx, tenant, id)
    } else {
        Ok(None)
    }
}

/// In which order clients are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientOrder {
    /// That of their making.
    Made,
    /// That of their names, and of their making where these are the same.
    Name,
}

/// Which clients are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// In this state.
    pub status: Option<ClientStatus>,
    /// Living in one of these organizations; their subtrees are not looked into.
    pub organizations: Option<Vec<OrganizationId>>,
}

/// Reads up to `limit` clients that meet a filter, in an order, from after a place in it. In the order of names
/// the place has the name of its client.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    filter: &ClientFilter,
    order: ClientOrder,
    descending: bool,
    after: Option<(Option<String>, ClientId)>,
    limit: i64,
) -> Result<Vec<Client>, StorageError> {
    let mut query = clients::table
        .left_join(suspensions::table.on(of_this_client()))
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .limit(limit)
        .select((ClientRow::as_select(), Option::<SuspensionRow>::as_select()))
        .into_boxed();
    // As `Suspension::is_suspended` says it.
    let awake = suspensions::paused_by_tenant_at
        .is_null()
        .and(suspensions::paused_by_operator_at.is_null())
        .and(suspensions::deleted_at.is_null());
    match filter.status {
        Some(ClientStatus::Active) => query = query.filter(awake),
        Some(ClientStatus::Disabled) => query = query.filter(diesel::dsl::not(awake)),
        None => {}
    }
    if let Some(organizations) = &filter.organizations {
        let ids: Vec<Uuid> = organizations.iter().map(|one| one.uuid()).collect();
        query = query.filter(clients::organization_id.eq_any(ids));
    }
    query = match (order, descending) {
        (ClientOrder::Made, false) => query.order(clients::id.asc()),
        (ClientOrder::Made, true) => query.order(clients::id.desc()),
        (ClientOrder::Name, false) => query.order((clients::name.asc(), clients::id.asc())),
        (ClientOrder::Name, true) => query.order((clients::name.desc(), clients::id.desc())),
    };
    if let Some((name, id)) = after {
        let (name, id) = (name.unwrap_or_default(), id.uuid());
        // The first condition is for the index, which does not see through the second.
        query = match (order, descending) {
            (ClientOrder::Made, false) => query.filter(clients::id.gt(id)),
            (ClientOrder::Made, true) => query.filter(clients::id.lt(id)),
            (ClientOrder::Name, false) => query
                .filter(clients::name.ge(name.clone()))
                .filter(clients::name.gt(name).or(clients::id.gt(id))),
            (ClientOrder::Name, true) => query
                .filter(clients::name.le(name.clone()))
                .filter(clients::name.lt(name).or(clients::id.lt(id))),
        };
    }
    query
        .load::<(ClientRow, Option<SuspensionRow>)>(tx.connection())?
        .into_iter()
        .map(|(client, suspension)| client.into_domain(suspension))
        .collect()
}

/// Deletes a client for good. Its secrets go with it; its tokens are dead through the mark that stays.
pub fn delete(tx: &mut ChangeTx<'_>, tenant: TenantId, id: ClientId) -> Result<(), StorageError> {
    mark_deleted(tx, tenant, Subject::Client(id))?;
    // Who may introspect is part of a resource server's state, and this one goes from all of them.
    for server in resource_servers::introspected_by(tx, tenant, id)? {
        tx.touching(tenant, Subject::ResourceServer(server))?;
    }
    diesel::delete(clients::table.find((tenant.uuid(), id.uuid())))
        .execute(tx.touching(tenant, Subject::Client(id))?)?;
    Ok(())
}

/// A secret about to be stored: never the secret itself.
#[derive(Debug)]
pub struct NewSecret {
    /// Its id.
    pub id: SecretId,
    /// The first characters, by which people tell secrets apart.
    pub hint: String,
    /// What proves the secret when it is presented.
    pub verifier: Verifier,
}

/// Stores a secret of a client.
pub fn insert_secret(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    secret: &NewSecret,
) -> Result<(), StorageError> {
    let now = tx.now();
    let created_by = tx.origin().actor.name();
    let connection = tx.touching(tenant, Subject::Client(client))?;
    diesel::insert_into(client_secrets::table)
        .values((
            client_secrets::tenant_id.eq(tenant.uuid()),
            client_secrets::client_id.eq(client.uuid()),
            client_secrets::id.eq(secret.id.uuid()),
            client_secrets::hint.eq(&secret.hint),
            client_secrets::verifier.eq(secret.verifier.as_str()),
            client_secrets::created_by.eq(created_by),
            client_secrets::created_at.eq(now),
        ))
        .execute(connection)?;
    diesel::update(clients::table.find((tenant.uuid(), client.uuid())))
        .set(clients::secret_updated_at.eq(now))
        .execute(connection)?;
    Ok(())
}

/// Revokes every secret of a client that is not revoked yet; tells which those were.
pub fn revoke_secrets(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<Vec<SecretId>, StorageError> {
    let now = tx.now();
    let revoked: Vec<Uuid> = diesel::update(client_secrets::table)
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .filter(client_secrets::revoked_at.is_null())
        .set(client_secrets::revoked_at.eq(now))
        .returning(client_secrets::id)
        .get_results(tx.touching(tenant, Subject::Client(client))?)?;
    Ok(revoked.into_iter().map(SecretId::from_uuid).collect())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = client_secrets)]
struct SecretRow {
    id: Uuid,
    hint: String,
    verifier: String,
    created_by: String,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
}

/// The secrets of a client with their verifiers, the newest first, at most as many as could ever be live
/// and some more.
pub fn secrets(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
) -> Result<Vec<(ClientSecret, Verifier)>, StorageError> {
    let rows: Vec<SecretRow> = client_secrets::table
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .order((
            client_secrets::revoked_at.is_null().desc(),
            client_secrets::id.desc(),
        ))
        .limit(20)
        .select(SecretRow::as_select())
        .load(tx.connection())?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let secret = ClientSecret {
                id: SecretId::from_uuid(row.id),
                hint: row.hint,
                created_by: row.created_by,
                created_at: row.created_at,
                expires_at: row.expires_at,
                revoked_at: row.revoked_at,
            };
            (secret, Verifier::from_stored(row.verifier))
        })
        .collect())
}
