//! Resource servers, their scopes, and who may introspect tokens for them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::resource_server::{
    Catalogue, PrivateServerKey, ResourceServer, ServerIdentifier, Verification,
};
use grantor_domain::text::{Description, OrganizationName};
use grantor_protocol::scope::ScopeToken;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{resource_server_introspectors, resource_server_scopes, resource_servers};
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

/// A resource server as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResourceServer {
    /// What was decided about it.
    pub server: ResourceServer,
    /// Raised by every change to it, its scopes or its introspectors.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    pub updated_at: DateTime<Utc>,
}

/// All that can be set of a resource server once it is made. Its key stands in the scopes of clients and tokens,
/// and so stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceServerSettings {
    /// Its audience.
    pub identifier: ServerIdentifier,
    /// Its name.
    pub name: OrganizationName,
    /// How it tells a good token.
    pub verification: Verification,
    /// The longest that tokens for it may live.
    pub lifetime_cap: Option<AccessTokenLifetime>,
}

/// In which order resource servers are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerOrder {
    /// That of their making.
    Made,
    /// That of their keys.
    Key,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = resource_servers)]
struct ServerRow {
    id: Uuid,
    key: String,
    identifier: String,
    name: String,
    verification: String,
    lifetime_cap_seconds: Option<i32>,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl ServerRow {
    fn into_stored(
        self,
        scopes: BTreeMap<ScopeToken, Description>,
        introspectors: Vec<ClientId>,
    ) -> Result<StoredResourceServer, StorageError> {
        let lifetime_cap = self
            .lifetime_cap_seconds
            .map(|seconds| {
                AccessTokenLifetime::from_seconds(seconds.into())
                    .map_err(|_| StorageError::corrupt("lifetime", seconds.to_string()))
            })
            .transpose()?;
        Ok(StoredResourceServer {
            server: ResourceServer {
                id: ResourceServerId::from_uuid(self.id),
                key: stored::parsed("resource server's key", &self.key, PrivateServerKey::parse)?,
                identifier: stored::parsed(
                    "resource server's identifier",
                    &self.identifier,
                    ServerIdentifier::parse,
                )?,
                name: stored::parsed(
                    "resource server's name",
                    &self.name,
                    OrganizationName::parse,
                )?,
                verification: stored::word(
                    "verification",
                    &self.verification,
                    Verification::parse,
                )?,
                lifetime_cap,
                scopes,
                introspectors,
            },
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

fn cap_column(cap: Option<AccessTokenLifetime>) -> Option<i32> {
    cap.and_then(|cap| i32::try_from(cap.seconds()).ok())
}

/// Makes a resource server with its scopes and introspectors.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    server: &ResourceServer,
) -> Result<(), StorageError> {
    let now = tx.now();
    let connection = tx.touching(tenant, Subject::ResourceServer(server.id))?;
    diesel::insert_into(resource_servers::table)
        .values((
            resource_servers::tenant_id.eq(tenant.uuid()),
            resource_servers::id.eq(server.id.uuid()),
            resource_servers::key.eq(server.key.as_str()),
            resource_servers::identifier.eq(server.identifier.as_str()),
            resource_servers::name.eq(server.name.as_str()),
            resource_servers::verification.eq(server.verification.as_str()),
            resource_servers::lifetime_cap_seconds.eq(cap_column(server.lifetime_cap)),
            resource_servers::created_at.eq(now),
            resource_servers::updated_at.eq(now),
        ))
        .execute(connection)?;
    let scopes: Vec<_> = server
        .scopes
        .iter()
        .map(|(scope, description)| {
            (
                resource_server_scopes::tenant_id.eq(tenant.uuid()),
                resource_server_scopes::resource_server_id.eq(server.id.uuid()),
                resource_server_scopes::scope.eq(scope.as_str()),
                resource_server_scopes::description.eq(description.as_str()),
            )
        })
        .collect();
    diesel::insert_into(resource_server_scopes::table)
        .values(scopes)
        .execute(connection)?;
    insert_introspectors(connection, tenant, server.id, &server.introspectors)
}

fn insert_introspectors(
    connection: &mut PgConnection,
    tenant: TenantId,
    server: ResourceServerId,
    introspectors: &[ClientId],
) -> Result<(), StorageError> {
    let rows: Vec<_> = introspectors
        .iter()
        .map(|client| {
            (
                resource_server_introspectors::tenant_id.eq(tenant.uuid()),
                resource_server_introspectors::resource_server_id.eq(server.uuid()),
                resource_server_introspectors::client_id.eq(client.uuid()),
            )
        })
        .collect();
    diesel::insert_into(resource_server_introspectors::table)
        .values(rows)
        .on_conflict_do_nothing()
        .execute(connection)?;
    Ok(())
}

/// Writes the settings of a resource server, all of them; tells whether it is there.
pub fn update(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ResourceServerId,
    settings: &ResourceServerSettings,
) -> Result<bool, StorageError> {
    let updated = diesel::update(resource_servers::table.find((tenant.uuid(), id.uuid())))
        .set((
            resource_servers::identifier.eq(settings.identifier.as_str()),
            resource_servers::name.eq(settings.name.as_str()),
            resource_servers::verification.eq(settings.verification.as_str()),
            resource_servers::lifetime_cap_seconds.eq(cap_column(settings.lifetime_cap)),
        ))
        .execute(tx.touching(tenant, Subject::ResourceServer(id))?)?;
    Ok(updated == 1)
}

/// Deletes a resource server with its scopes; tells whether it was there.
pub fn delete(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ResourceServerId,
) -> Result<bool, StorageError> {
    let deleted = diesel::delete(resource_servers::table.find((tenant.uuid(), id.uuid())))
        .execute(tx.touching(tenant, Subject::ResourceServer(id))?)?;
    Ok(deleted == 1)
}

/// Adds a scope to a resource server that is there, or gives it another description; tells whether it was added.
pub fn put_scope(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    server: ResourceServerId,
    scope: &ScopeToken,
    description: &Description,
) -> Result<bool, StorageError> {
    // Raising the revision locks the server's row: of two that add the same scope one comes after the other.
    let connection = tx.touching(tenant, Subject::ResourceServer(server))?;
    let key = (tenant.uuid(), server.uuid(), scope.as_str());
    let described = diesel::update(resource_server_scopes::table.find(key))
        .set(resource_server_scopes::description.eq(description.as_str()))
        .execute(connection)?;
    if described == 0 {
        diesel::insert_into(resource_server_scopes::table)
            .values((
                resource_server_scopes::tenant_id.eq(tenant.uuid()),
                resource_server_scopes::resource_server_id.eq(server.uuid()),
                resource_server_scopes::scope.eq(scope.as_str()),
                resource_server_scopes::description.eq(description.as_str()),
            ))
            .execute(connection)?;
    }
    Ok(described == 0)
}

/// Removes a scope from a resource server; tells whether it had it.
pub fn remove_scope(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    server: ResourceServerId,
    scope: &ScopeToken,
) -> Result<bool, StorageError> {
    let key = (tenant.uuid(), server.uuid(), scope.as_str());
    let removed = diesel::delete(resource_server_scopes::table.find(key))
        .execute(tx.touching(tenant, Subject::ResourceServer(server))?)?;
    Ok(removed == 1)
}

/// Says which clients may introspect tokens for a resource server: these, which must be there, and no others.
pub fn set_introspectors(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    server: ResourceServerId,
    introspectors: &[ClientId],
) -> Result<(), StorageError> {
    let kept: Vec<Uuid> = introspectors.iter().map(|client| client.uuid()).collect();
    let connection = tx.touching(tenant, Subject::ResourceServer(server))?;
    diesel::delete(resource_server_introspectors::table)
        .filter(resource_server_introspectors::tenant_id.eq(tenant.uuid()))
        .filter(resource_server_introspectors::resource_server_id.eq(server.uuid()))
        .filter(resource_server_introspectors::client_id.ne_all(kept))
        .execute(connection)?;
    insert_introspectors(connection, tenant, server, introspectors)
}

/// The resource servers whose tokens a client may introspect.
pub(crate) fn introspected_by(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
) -> Result<Vec<ResourceServerId>, StorageError> {
    let servers: Vec<Uuid> = resource_server_introspectors::table
        .filter(resource_server_introspectors::tenant_id.eq(tenant.uuid()))
        .filter(resource_server_introspectors::client_id.eq(client.uuid()))
        .order(resource_server_introspectors::resource_server_id)
        .select(resource_server_introspectors::resource_server_id)
        .load(tx.connection())?;
    Ok(servers
        .into_iter()
        .map(ResourceServerId::from_uuid)
        .collect())
}

/// Reads one resource server.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: ResourceServerId,
) -> Result<Option<StoredResourceServer>, StorageError> {
    let connection = tx.connection();
    let row: Option<ServerRow> = resource_servers::table
        .find((tenant.uuid(), id.uuid()))
        .select(ServerRow::as_select())
        .first(connection)
        .optional()?;
    let mut found = with_particulars(connection, tenant, row.into_iter().collect(), Of::These)?;
    Ok(found.pop())
}

/// Reads one resource server and keeps others from changing it until this change has ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: ResourceServerId,
) -> Result<Option<StoredResourceServer>, StorageError> {
    let locked: Option<Uuid> = resource_servers::table
        .find((tenant.uuid(), id.uuid()))
        .select(resource_servers::id)
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

/// Reads up to `limit` resource servers in an order, from after a place in it. In the order of keys the place
/// has the key of its resource server.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    order: ServerOrder,
    descending: bool,
    after: Option<(Option<String>, ResourceServerId)>,
    limit: i64,
) -> Result<Vec<StoredResourceServer>, StorageError> {
    let mut query = resource_servers::table
        .filter(resource_servers::tenant_id.eq(tenant.uuid()))
        .limit(limit)
        .select(ServerRow::as_select())
        .into_boxed();
    // A tenant's keys are unique: they alone are an order.
    query = match (order, descending) {
        (ServerOrder::Made, false) => query.order(resource_servers::id.asc()),
        (ServerOrder::Made, true) => query.order(resource_servers::id.desc()),
        (ServerOrder::Key, false) => query.order(resource_servers::key.asc()),
        (ServerOrder::Key, true) => query.order(resource_servers::key.desc()),
    };
    if let Some((key, id)) = after {
        let (key, id) = (key.unwrap_or_default(), id.uuid());
        query = match (order, descending) {
            (ServerOrder::Made, false) => query.filter(resource_servers::id.gt(id)),
            (ServerOrder::Made, true) => query.filter(resource_servers::id.lt(id)),
            (ServerOrder::Key, false) => query.filter(resource_servers::key.gt(key)),
            (ServerOrder::Key, true) => query.filter(resource_servers::key.lt(key)),
        };
    }
    let connection = tx.connection();
    let rows: Vec<ServerRow> = query.load(connection)?;
    with_particulars(connection, tenant, rows, Of::These)
}

/// Every resource server of a tenant, with its scopes and introspectors.
pub fn catalogue(tx: &mut impl Reads, tenant: TenantId) -> Result<Catalogue, StorageError> {
    let connection = tx.connection();
    let rows: Vec<ServerRow> = resource_servers::table
        .filter(resource_servers::tenant_id.eq(tenant.uuid()))
        .order(resource_servers::id)
        .select(ServerRow::as_select())
        .load(connection)?;
    let servers = with_particulars(connection, tenant, rows, Of::All)?;
    Ok(Catalogue::new(
        servers.into_iter().map(|stored| stored.server).collect(),
    ))
}

/// Whose scopes and introspectors are read.
#[derive(Clone, Copy)]
enum Of {
    /// Those of the resource servers at hand.
    These,
    /// Those of all that the tenant has, which are the ones at hand.
    All,
}

fn with_particulars(
    connection: &mut PgConnection,
    tenant: TenantId,
    rows: Vec<ServerRow>,
    of: Of,
) -> Result<Vec<StoredResourceServer>, StorageError> {
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut scopes_query = resource_server_scopes::table
        .filter(resource_server_scopes::tenant_id.eq(tenant.uuid()))
        .select((
            resource_server_scopes::resource_server_id,
            resource_server_scopes::scope,
            resource_server_scopes::description,
        ))
        .into_boxed();
    let mut introspectors_query = resource_server_introspectors::table
        .filter(resource_server_introspectors::tenant_id.eq(tenant.uuid()))
        .select((
            resource_server_introspectors::resource_server_id,
            resource_server_introspectors::client_id,
        ))
        .into_boxed();
    if let Of::These = of {
        scopes_query =
            scopes_query.filter(resource_server_scopes::resource_server_id.eq_any(ids.clone()));
        introspectors_query = introspectors_query
            .filter(resource_server_introspectors::resource_server_id.eq_any(ids));
    }
    let mut scopes: BTreeMap<Uuid, BTreeMap<ScopeToken, Description>> = BTreeMap::new();
    for (server, scope, description) in scopes_query.load::<(Uuid, String, String)>(connection)? {
        let scope = stored::parsed("scope", &scope, ScopeToken::parse)?;
        let description = stored::parsed("description", &description, Description::parse)?;
        scopes.entry(server).or_default().insert(scope, description);
    }
    let mut introspectors: BTreeMap<Uuid, Vec<ClientId>> = BTreeMap::new();
    for (server, client) in introspectors_query.load::<(Uuid, Uuid)>(connection)? {
        let client = ClientId::from_uuid(client);
        introspectors.entry(server).or_default().push(client);
    }
    rows.into_iter()
        .map(|row| {
            let id = row.id;
            row.into_stored(
                scopes.remove(&id).unwrap_or_default(),
                introspectors.remove(&id).unwrap_or_default(),
            )
        })
        .collect()
}
