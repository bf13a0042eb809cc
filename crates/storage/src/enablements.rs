//! The organizations in which a client that acts for itself is enabled (`client_12`).

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{ClientId, OrganizationId, TenantId};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::client_enablements;
use crate::transaction::{ChangeTx, Reads, Subject};

/// The organizations in which a client is enabled, with since when, in the order of their ids. None: it acts in its own.
pub fn of(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
) -> Result<Vec<(OrganizationId, DateTime<Utc>)>, StorageError> {
    let found: Vec<(Uuid, DateTime<Utc>)> = client_enablements::table
        .filter(client_enablements::tenant_id.eq(tenant.uuid()))
        .filter(client_enablements::client_id.eq(client.uuid()))
        .order(client_enablements::organization_id)
        .select((
            client_enablements::organization_id,
            client_enablements::created_at,
        ))
        .load(tx.connection())?;
    Ok(found
        .into_iter()
        .map(|(id, since)| (OrganizationId::from_uuid(id), since))
        .collect())
}

/// Enables a client in an organization.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    organization: OrganizationId,
) -> Result<(), StorageError> {
    let now = tx.now();
    diesel::insert_into(client_enablements::table)
        .values((
            client_enablements::tenant_id.eq(tenant.uuid()),
            client_enablements::client_id.eq(client.uuid()),
            client_enablements::organization_id.eq(organization.uuid()),
            client_enablements::created_at.eq(now),
        ))
        .execute(tx.touching(tenant, Subject::Client(client))?)?;
    Ok(())
}

/// Ends that; tells whether it was so.
pub fn delete(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    organization: OrganizationId,
) -> Result<bool, StorageError> {
    let key = (tenant.uuid(), client.uuid(), organization.uuid());
    let deleted = diesel::delete(client_enablements::table.find(key))
        .execute(tx.touching(tenant, Subject::Client(client))?)?;
    Ok(deleted == 1)
}
