//! The root owner of a tenant: one at any time, and never none once there was one.

use diesel::prelude::*;
use grantor_domain::ids::{MemberId, TenantId};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::tenants;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

/// Tells the root owner and keeps that from changing until this change has ended. Whatever may take away the root
/// owner, or make another, asks this before it locks any member: so of two at once the second sees what the first
/// has left, and neither waits for the other in a circle.
pub fn lock(tx: &mut ChangeTx<'_>, tenant: TenantId) -> Result<Option<MemberId>, StorageError> {
    let owner: Option<Option<Uuid>> = tenants::table
        .find(tenant.uuid())
        .select(tenants::root_owner_id)
        .for_no_key_update()
        .first(tx.connection())
        .optional()?;
    Ok(owner.flatten().map(MemberId::from_uuid))
}

/// Tells the root owner.
pub fn find(tx: &mut impl Reads, tenant: TenantId) -> Result<Option<MemberId>, StorageError> {
    let owner: Option<Option<Uuid>> = tenants::table
        .find(tenant.uuid())
        .select(tenants::root_owner_id)
        .first(tx.connection())
        .optional()?;
    Ok(owner.flatten().map(MemberId::from_uuid))
}

/// Makes a member the root owner in place of whoever was it. Both have changed by it.
pub fn set(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    former: Option<MemberId>,
    owner: MemberId,
) -> Result<(), StorageError> {
    if let Some(former) = former {
        tx.touching(tenant, Subject::Member(former))?;
    }
    tx.touching(tenant, Subject::Member(owner))?;
    diesel::update(tenants::table.find(tenant.uuid()))
        .set(tenants::root_owner_id.eq(owner.uuid()))
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}
