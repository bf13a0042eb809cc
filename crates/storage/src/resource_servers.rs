//! Resource servers, their scopes, and who may introspect tokens for them.

use std::collections::BTreeMap;

use diesel::prelude::*;
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::resource_server::{Catalogue, PrivateServerKey, ResourceServer, Verification};
use grantor_domain::text::{Description, OrganizationName};
use grantor_protocol::scope::ScopeToken;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{resource_server_introspectors, resource_server_scopes, resource_servers};
use crate::stored;
use crate::transaction::{ChangeTx, Reads, Subject};

/// Makes a resource server with its scopes and introspectors.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    server: &ResourceServer,
) -> Result<(), StorageError> {
    let now = tx.now();
    let cap = server
        .lifetime_cap
        .and_then(|cap| i32::try_from(cap.seconds()).ok());
    let connection = tx.touching(tenant, Subject::ResourceServer(server.id))?;
    diesel::insert_into(resource_servers::table)
        .values((
            resource_servers::tenant_id.eq(tenant.uuid()),
            resource_servers::id.eq(server.id.uuid()),
            resource_servers::key.eq(server.key.as_str()),
            resource_servers::identifier.eq(&server.identifier),
            resource_servers::name.eq(server.name.as_str()),
            resource_servers::verification.eq(server.verification.as_str()),
            resource_servers::lifetime_cap_seconds.eq(cap),
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
    let introspectors: Vec<_> = server
        .introspectors
        .iter()
        .map(|client| {
            (
                resource_server_introspectors::tenant_id.eq(tenant.uuid()),
                resource_server_introspectors::resource_server_id.eq(server.id.uuid()),
                resource_server_introspectors::client_id.eq(client.uuid()),
            )
        })
        .collect();
    diesel::insert_into(resource_server_introspectors::table)
        .values(introspectors)
        .execute(connection)?;
    Ok(())
}

/// Every resource server of a tenant, with its scopes and introspectors.
pub fn catalogue(tx: &mut impl Reads, tenant: TenantId) -> Result<Catalogue, StorageError> {
    let connection = tx.connection();
    let mut scopes: BTreeMap<Uuid, BTreeMap<ScopeToken, Description>> = BTreeMap::new();
    let stored_scopes: Vec<(Uuid, String, String)> = resource_server_scopes::table
        .filter(resource_server_scopes::tenant_id.eq(tenant.uuid()))
        .select((
            resource_server_scopes::resource_server_id,
            resource_server_scopes::scope,
            resource_server_scopes::description,
        ))
        .load(connection)?;
    for (server, scope, description) in stored_scopes {
        let scope = stored::parsed("scope", &scope, ScopeToken::parse)?;
        let description = stored::parsed("description", &description, Description::parse)?;
        scopes.entry(server).or_default().insert(scope, description);
    }
    let mut introspectors: BTreeMap<Uuid, Vec<ClientId>> = BTreeMap::new();
    let stored_introspectors: Vec<(Uuid, Uuid)> = resource_server_introspectors::table
        .filter(resource_server_introspectors::tenant_id.eq(tenant.uuid()))
        .select((
            resource_server_introspectors::resource_server_id,
            resource_server_introspectors::client_id,
        ))
        .load(connection)?;
    for (server, client) in stored_introspectors {
        introspectors
            .entry(server)
            .or_default()
            .push(ClientId::from_uuid(client));
    }
    let servers: Vec<(Uuid, String, String, String, String, Option<i32>)> = resource_servers::table
        .filter(resource_servers::tenant_id.eq(tenant.uuid()))
        .order(resource_servers::id)
        .select((
            resource_servers::id,
            resource_servers::key,
            resource_servers::identifier,
            resource_servers::name,
            resource_servers::verification,
            resource_servers::lifetime_cap_seconds,
        ))
        .load(connection)?;
    let servers = servers
        .into_iter()
        .map(|(id, key, identifier, name, verification, cap)| {
            let lifetime_cap = cap
                .map(|seconds| {
                    AccessTokenLifetime::from_seconds(seconds.into())
                        .map_err(|_| StorageError::corrupt("lifetime", seconds.to_string()))
                })
                .transpose()?;
            Ok(ResourceServer {
                id: ResourceServerId::from_uuid(id),
                key: stored::parsed("resource server's key", &key, PrivateServerKey::parse)?,
                identifier,
                name: stored::parsed("resource server's name", &name, OrganizationName::parse)?,
                verification: stored::word("verification", &verification, Verification::parse)?,
                lifetime_cap,
                scopes: scopes.remove(&id).unwrap_or_default(),
                introspectors: introspectors.remove(&id).unwrap_or_default(),
            })
        })
        .collect::<Result<_, StorageError>>()?;
    Ok(Catalogue::new(servers))
}
