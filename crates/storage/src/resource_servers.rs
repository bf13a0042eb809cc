//! Resource servers, their scopes, and who may introspect tokens for them.
//!
//! Platform-wide ones are rows of the platform tenant which every tenant reads. So whatever writes takes the tenant
//! whose rows they are, and whatever reads takes a [`Home`], which tells among which ones is looked.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::permission::Permission;
use grantor_domain::resource_server::{
    Catalogue, ResourceServer, ScopeFacts, ServerIdentifier, ServerKey, ServerKind,
    SigningAlgorithm, TokenFormat, Verification,
};
use grantor_domain::text::{Description, OrganizationName};
use grantor_protocol::scope::ScopeToken;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{resource_server_introspectors, resource_server_scopes, resource_servers};
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

/// Among which resource servers is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home {
    /// Who looks: private ones are those of this tenant.
    pub tenant: TenantId,
    /// For whom the resource servers are.
    pub kind: ServerKind,
}

impl Home {
    /// The private ones of a tenant.
    pub fn private(tenant: TenantId) -> Self {
        Self {
            tenant,
            kind: ServerKind::Private,
        }
    }

    /// The platform-wide ones, as a tenant sees them.
    pub fn platform_wide(tenant: TenantId) -> Self {
        Self {
            tenant,
            kind: ServerKind::PlatformWide,
        }
    }

    fn servers(self) -> resource_servers::BoxedQuery<'static, Pg> {
        let all = resource_servers::table.into_boxed();
        match self.kind {
            ServerKind::Private => all
                .filter(resource_servers::tenant_id.eq(self.tenant.uuid()))
                .filter(resource_servers::platform_wide.eq(false)),
            // They are one tenant's, and so this names it.
            ServerKind::PlatformWide => all.filter(resource_servers::platform_wide),
        }
    }
}

/// A resource server as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResourceServer {
    /// The tenant whose row it is, in whose log and feed its changes stand.
    pub owner: TenantId,
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
    /// What its tokens look like.
    pub token_format: TokenFormat,
    /// With what its tokens are signed, where they are.
    pub signing_algorithm: SigningAlgorithm,
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
    tenant_id: Uuid,
    id: Uuid,
    key: String,
    identifier: String,
    name: String,
    verification: String,
    lifetime_cap_seconds: Option<i32>,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    platform_wide: bool,
    token_format: String,
    signing_algorithm: String,
}

impl ServerRow {
    fn into_stored(
        self,
        scopes: BTreeMap<ScopeToken, ScopeFacts>,
        introspectors: Vec<ClientId>,
    ) -> Result<StoredResourceServer, StorageError> {
        let lifetime_cap = self
            .lifetime_cap_seconds
            .map(|seconds| {
                AccessTokenLifetime::from_seconds(seconds.into())
                    .map_err(|_| StorageError::corrupt("lifetime", seconds.to_string()))
            })
            .transpose()?;
        let kind = if self.platform_wide {
            ServerKind::PlatformWide
        } else {
            ServerKind::Private
        };
        Ok(StoredResourceServer {
            owner: TenantId::from_uuid(self.tenant_id),
            server: ResourceServer {
                id: ResourceServerId::from_uuid(self.id),
                key: stored::parsed("resource server's key", &self.key, |key| {
                    ServerKey::parse(kind, key)
                })?,
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
                token_format: stored::word("token format", &self.token_format, TokenFormat::parse)?,
                signing_algorithm: stored::word(
                    "signing algorithm",
                    &self.signing_algorithm,
                    SigningAlgorithm::parse,
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

fn is_platform_wide(server: &ResourceServer) -> bool {
    server.key.kind() == ServerKind::PlatformWide
}

/// Makes a resource server with its scopes and introspectors. [`StorageError::Taken`] with
/// `resource_server_keys_pkey` tells that its key was one's that is gone.
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
            resource_servers::platform_wide.eq(is_platform_wide(server)),
            resource_servers::token_format.eq(server.token_format.as_str()),
            resource_servers::signing_algorithm.eq(server.signing_algorithm.as_str()),
            resource_servers::created_at.eq(now),
            resource_servers::updated_at.eq(now),
        ))
        .execute(connection)?;
    let scopes: Vec<_> = server
        .scopes
        .iter()
        .map(|(scope, facts)| {
            (
                resource_server_scopes::tenant_id.eq(tenant.uuid()),
                resource_server_scopes::resource_server_id.eq(server.id.uuid()),
                resource_server_scopes::scope.eq(scope.as_str()),
                resource_server_scopes::platform_wide.eq(is_platform_wide(server)),
                FactsColumns::of(facts),
            )
        })
        .collect();
    diesel::insert_into(resource_server_scopes::table)
        .values(scopes)
        .execute(connection)?;
    insert_introspectors(connection, tenant, server.id, &server.introspectors)
}

/// The columns that what is said of a scope fills.
#[derive(Insertable, AsChangeset)]
#[diesel(table_name = resource_server_scopes, treat_none_as_null = true)]
struct FactsColumns<'f> {
    description: &'f str,
    needs_permission: Option<String>,
    deprecated: bool,
}

impl<'f> FactsColumns<'f> {
    fn of(facts: &'f ScopeFacts) -> Self {
        Self {
            description: facts.description.as_str(),
            needs_permission: facts
                .needs_permission
                .map(|permission| permission.as_str().to_owned()),
            deprecated: facts.deprecated,
        }
    }
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
            resource_servers::token_format.eq(settings.token_format.as_str()),
            resource_servers::signing_algorithm.eq(settings.signing_algorithm.as_str()),
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

/// Adds a scope to a resource server that is there, or says something else of it; tells whether it was added.
pub fn put_scope(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    server: &ResourceServer,
    scope: &ScopeToken,
    facts: &ScopeFacts,
) -> Result<bool, StorageError> {
    // Raising the revision locks the server's row: of two that add the same scope one comes after the other.
    let connection = tx.touching(tenant, Subject::ResourceServer(server.id))?;
    let key = (tenant.uuid(), server.id.uuid(), scope.as_str());
    let told = diesel::update(resource_server_scopes::table.find(key))
        .set(FactsColumns::of(facts))
        .execute(connection)?;
    if told == 0 {
        diesel::insert_into(resource_server_scopes::table)
            .values((
                resource_server_scopes::tenant_id.eq(tenant.uuid()),
                resource_server_scopes::resource_server_id.eq(server.id.uuid()),
                resource_server_scopes::scope.eq(scope.as_str()),
                resource_server_scopes::platform_wide.eq(is_platform_wide(server)),
                FactsColumns::of(facts),
            ))
            .execute(connection)?;
    }
    Ok(told == 0)
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

/// Whether a platform-wide resource server has this audience.
pub fn is_platform_wide_audience(
    tx: &mut impl Reads,
    identifier: &ServerIdentifier,
) -> Result<bool, StorageError> {
    let found = resource_servers::table
        .filter(resource_servers::platform_wide)
        .filter(resource_servers::identifier.eq(identifier.as_str()));
    Ok(diesel::select(diesel::dsl::exists(found)).get_result(tx.connection())?)
}

/// With what tokens of a tenant are to be signed by what its own and the platform-wide resource servers say, in
/// order, each once.
pub fn signing_algorithms(
    tx: &mut impl Reads,
    tenant: TenantId,
) -> Result<Vec<SigningAlgorithm>, StorageError> {
    let words: Vec<String> = resource_servers::table
        .filter(
            resource_servers::tenant_id
                .eq(tenant.uuid())
                .or(resource_servers::platform_wide),
        )
        .filter(resource_servers::token_format.eq(TokenFormat::Jwt.as_str()))
        .select(resource_servers::signing_algorithm)
        .distinct()
        .load(tx.connection())?;
    let mut algorithms = words
        .iter()
        .map(|word| stored::word("signing algorithm", word, SigningAlgorithm::parse))
        .collect::<Result<Vec<_>, _>>()?;
    algorithms.sort_unstable();
    Ok(algorithms)
}

/// Reads one resource server.
pub fn find(
    tx: &mut impl Reads,
    home: Home,
    id: ResourceServerId,
) -> Result<Option<StoredResourceServer>, StorageError> {
    let connection = tx.connection();
    let row: Option<ServerRow> = home
        .servers()
        .filter(resource_servers::id.eq(id.uuid()))
        .select(ServerRow::as_select())
        .first(connection)
        .optional()?;
    let mut found = with_particulars(connection, row.into_iter().collect(), Of::These)?;
    Ok(found.pop())
}

/// Reads one resource server of the tenant that looks, and keeps others from changing it until this change has
/// ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    home: Home,
    id: ResourceServerId,
) -> Result<Option<StoredResourceServer>, StorageError> {
    let locked: Option<Uuid> = resource_servers::table
        .find((home.tenant.uuid(), id.uuid()))
        .filter(resource_servers::platform_wide.eq(home.kind == ServerKind::PlatformWide))
        .select(resource_servers::id)
        .for_update()
        .first(tx.connection())
        .optional()?;
    // Read after the lock was had: so it is what the change before this one left.
    if locked.is_some() {
        find(tx, home, id)
    } else {
        Ok(None)
    }
}

/// Reads up to `limit` resource servers in an order, from after a place in it. In the order of keys the place
/// has the key of its resource server.
pub fn search(
    tx: &mut impl Reads,
    home: Home,
    order: ServerOrder,
    descending: bool,
    after: Option<(Option<String>, ResourceServerId)>,
    limit: i64,
) -> Result<Vec<StoredResourceServer>, StorageError> {
    let mut query = home.servers().limit(limit).select(ServerRow::as_select());
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
    with_particulars(connection, rows, Of::These)
}

/// Reads all resource servers of a home: there are few.
pub fn all(tx: &mut impl Reads, home: Home) -> Result<Vec<StoredResourceServer>, StorageError> {
    let connection = tx.connection();
    let rows: Vec<ServerRow> = home
        .servers()
        .order(resource_servers::id)
        .select(ServerRow::as_select())
        .load(connection)?;
    with_particulars(connection, rows, Of::These)
}

/// Every resource server that tokens of a tenant may be for: its own, and the platform-wide ones, each with its
/// scopes. Who may introspect is told of the tenant's own alone; the rest is none of its business.
pub fn catalogue(tx: &mut impl Reads, tenant: TenantId) -> Result<Catalogue, StorageError> {
    let connection = tx.connection();
    let rows: Vec<ServerRow> = resource_servers::table
        .filter(
            resource_servers::tenant_id
                .eq(tenant.uuid())
                .or(resource_servers::platform_wide),
        )
        .order(resource_servers::id)
        .select(ServerRow::as_select())
        .load(connection)?;
    let servers = with_particulars(connection, rows, Of::All(tenant))?;
    Ok(Catalogue::new(
        servers
            .into_iter()
            .map(|stored| (stored.owner, stored.server)),
    ))
}

/// Whose scopes and introspectors are read.
#[derive(Clone, Copy)]
enum Of {
    /// Those of the resource servers at hand.
    These,
    /// Those of all that this tenant has, and of all platform-wide ones, which are the ones at hand.
    All(TenantId),
}

/// A scope with whose it is and what is said of it.
type ScopeRow = (Uuid, String, String, Option<String>, bool);

fn with_particulars(
    connection: &mut PgConnection,
    rows: Vec<ServerRow>,
    of: Of,
) -> Result<Vec<StoredResourceServer>, StorageError> {
    let mut scopes_query = resource_server_scopes::table
        .select((
            resource_server_scopes::resource_server_id,
            resource_server_scopes::scope,
            resource_server_scopes::description,
            resource_server_scopes::needs_permission,
            resource_server_scopes::deprecated,
        ))
        .into_boxed();
    let mut introspectors_query = resource_server_introspectors::table
        .select((
            resource_server_introspectors::resource_server_id,
            resource_server_introspectors::client_id,
        ))
        .into_boxed();
    match of {
        Of::These => {
            let owners: Vec<Uuid> = rows.iter().map(|row| row.tenant_id).collect();
            let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
            scopes_query = scopes_query
                .filter(resource_server_scopes::tenant_id.eq_any(owners.clone()))
                .filter(resource_server_scopes::resource_server_id.eq_any(ids.clone()));
            introspectors_query = introspectors_query
                .filter(resource_server_introspectors::tenant_id.eq_any(owners))
                .filter(resource_server_introspectors::resource_server_id.eq_any(ids));
        }
        Of::All(tenant) => {
            scopes_query = scopes_query.filter(
                resource_server_scopes::tenant_id
                    .eq(tenant.uuid())
                    .or(resource_server_scopes::platform_wide),
            );
            introspectors_query = introspectors_query
                .filter(resource_server_introspectors::tenant_id.eq(tenant.uuid()));
        }
    }
    let mut scopes: BTreeMap<Uuid, BTreeMap<ScopeToken, ScopeFacts>> = BTreeMap::new();
    for (server, scope, description, permission, deprecated) in
        scopes_query.load::<ScopeRow>(connection)?
    {
        let scope = stored::parsed("scope", &scope, ScopeToken::parse)?;
        // Nobody holds what a later release permits: in this one there is no such scope.
        let needed = permission.as_deref().map(Permission::parse);
        let Some(needs_permission) = needed.map_or(Some(None), |found| found.map(Some)) else {
            continue;
        };
        let facts = ScopeFacts {
            description: stored::parsed("description", &description, Description::parse)?,
            needs_permission,
            deprecated,
        };
        scopes.entry(server).or_default().insert(scope, facts);
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
