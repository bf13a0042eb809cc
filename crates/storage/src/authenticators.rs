//! By what members prove who they are: a password, so far. Apart from the members, so that nothing that reads those
//! comes across it.

use std::collections::HashSet;

use diesel::prelude::*;
use grantor_domain::ids::{MemberId, TenantId};
use grantor_keys::PasswordVerifier;

use crate::credential_links;
use crate::error::StorageError;
use crate::schema::{authenticators, suspensions};
use crate::transaction::{ChangeTx, Reads, Subject};
use uuid::Uuid;

const PASSWORD: &str = "password";

/// Gives a member a password in place of the one before. Every link of the member's dies by it; and where there was one
/// before, so does whatever was issued to the member until now: whoever had that password is out.
pub fn set_password(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
    verifier: &PasswordVerifier,
) -> Result<(), StorageError> {
    let now = tx.now();
    credential_links::revoke_all(tx, tenant, member)?;
    let connection = tx.touching(tenant, Subject::Member(member))?;
    let replaced =
        diesel::update(authenticators::table.find((tenant.uuid(), member.uuid(), PASSWORD)))
            .set((
                authenticators::verifier.eq(verifier.as_str()),
                authenticators::updated_at.eq(now),
            ))
            .execute(connection)?;
    if replaced == 0 {
        // Whoever touches the member holds its row, so nobody else makes one meanwhile.
        diesel::insert_into(authenticators::table)
            .values((
                authenticators::tenant_id.eq(tenant.uuid()),
                authenticators::member_id.eq(member.uuid()),
                authenticators::kind.eq(PASSWORD),
                authenticators::verifier.eq(verifier.as_str()),
                authenticators::created_at.eq(now),
                authenticators::updated_at.eq(now),
            ))
            .execute(connection)?;
    } else {
        diesel::insert_into(suspensions::table)
            .values((
                suspensions::tenant_id.eq(tenant.uuid()),
                suspensions::subject_id.eq(member.uuid()),
            ))
            .on_conflict_do_nothing()
            .execute(connection)?;
        tx.cut_off(tenant, Subject::Member(member));
    }
    Ok(())
}

/// What is kept of a member's password, if they have one.
pub fn password_of(
    tx: &mut impl Reads,
    tenant: TenantId,
    member: MemberId,
) -> Result<Option<PasswordVerifier>, StorageError> {
    let stored: Option<String> = authenticators::table
        .find((tenant.uuid(), member.uuid(), PASSWORD))
        .select(authenticators::verifier)
        .first(tx.connection())
        .optional()?;
    Ok(stored.map(PasswordVerifier::from_stored))
}

/// Those of these members who have a password.
pub fn with_password(
    tx: &mut impl Reads,
    tenant: TenantId,
    of: impl Iterator<Item = MemberId>,
) -> Result<HashSet<MemberId>, StorageError> {
    let of: Vec<Uuid> = of.map(MemberId::uuid).collect();
    let found: Vec<Uuid> = authenticators::table
        .filter(authenticators::tenant_id.eq(tenant.uuid()))
        .filter(authenticators::member_id.eq_any(of))
        .filter(authenticators::kind.eq(PASSWORD))
        .select(authenticators::member_id)
        .load(tx.connection())?;
    Ok(found.into_iter().map(MemberId::from_uuid).collect())
}

/// Whether a member has a password.
pub fn has_password(
    tx: &mut impl Reads,
    tenant: TenantId,
    member: MemberId,
) -> Result<bool, StorageError> {
    let found = authenticators::table.find((tenant.uuid(), member.uuid(), PASSWORD));
    Ok(diesel::select(diesel::dsl::exists(found)).get_result(tx.connection())?)
}
