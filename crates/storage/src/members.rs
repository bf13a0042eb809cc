//! Members.

use diesel::prelude::*;
use grantor_domain::ids::TenantId;
use grantor_domain::member::NewMember;

use crate::error::StorageError;
use crate::schema::members;
use crate::transaction::{ChangeTx, Subject};

/// Makes a member.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: &NewMember,
) -> Result<(), StorageError> {
    let now = tx.now();
    diesel::insert_into(members::table)
        .values((
            members::tenant_id.eq(tenant.uuid()),
            members::id.eq(member.id.uuid()),
            members::name.eq(member.name.as_str()),
            members::email.eq(member.email.as_str()),
            members::created_at.eq(now),
            members::updated_at.eq(now),
        ))
        .execute(tx.touching(tenant, Subject::Member(member.id))?)?;
    Ok(())
}
