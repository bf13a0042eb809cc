//! Links by which members set a password, once.
//!
//! Of a link's token only a hash is kept. A link dies by use, by time, by a newer link, by a new password, and when the
//! member is written to at another address; while its member or tenant is suspended it is good for nothing. It is of an
//! epoch, as a token is: behind a restore from a backup none of before is good, for it may have been used since.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use grantor_domain::credential_link::{LinkKey, LinkPurpose};
use grantor_domain::ids::{CredentialLinkId, MemberId, RoleId, TenantId};
use grantor_domain::member::{Member, MemberStatus};
use grantor_keys::{Entropy, TokenHash, uuid_v7, uuid_v7_millis};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{credential_links, installation, members, role_assignments};
use crate::stored::{self, lowest_id};
use crate::tenants;
use crate::transaction::{ChangeTx, Reads, Subject};

/// The longest that a link may live: partitions are made so far ahead, and no farther.
pub const LONGEST: TimeDelta = TimeDelta::days(30);

/// A link about to be made.
#[derive(Debug, Clone)]
pub struct NewLink {
    /// Which, and whose; its id out of [`new_id`].
    pub key: LinkKey,
    /// What for.
    pub purpose: LinkPurpose,
    /// What is kept of its token.
    pub hash: TokenHash,
}

/// A link that is good now, if whoever presents it has its token.
#[derive(Debug, Clone)]
pub struct LiveLink {
    /// What for.
    pub purpose: LinkPurpose,
    /// What is kept of its token.
    pub hash: TokenHash,
    /// Until when it is good.
    pub expires_at: DateTime<Utc>,
    /// Whose it is, as they stand.
    pub member: Member,
}

/// Makes the id of a link that is good until then, [`LONGEST`] from now at most.
pub fn new_id(
    expires_at: DateTime<Utc>,
    entropy: &dyn Entropy,
) -> Result<CredentialLinkId, grantor_keys::EntropyError> {
    let millis = u64::try_from(expires_at.timestamp_millis()).unwrap_or_default();
    Ok(CredentialLinkId::from_uuid(uuid_v7(millis, entropy)?))
}

/// The time of a link's id is when the link ends.
pub fn expiry(id: CredentialLinkId) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(uuid_v7_millis(id.uuid())).ok()?)
}

/// The lowest id of what is good after this time.
fn lowest_live(now: DateTime<Utc>) -> Uuid {
    lowest_id(now.timestamp_millis().saturating_add(1))
}

/// Makes a link for a member of the tenant. Every other link of the member's dies by it, whatever it is for.
pub fn insert(tx: &mut ChangeTx<'_>, link: &NewLink) -> Result<(), StorageError> {
    let LinkKey { tenant, member, id } = link.key;
    revoke_all(tx, tenant, member)?;
    let now = tx.now();
    let connection = tx.touching(tenant, Subject::Member(member))?;
    let address: String = members::table
        .find((tenant.uuid(), member.uuid()))
        .select(members::email_key)
        .first(connection)?;
    diesel::insert_into(credential_links::table)
        .values((
            credential_links::tenant_id.eq(tenant.uuid()),
            credential_links::member_id.eq(member.uuid()),
            credential_links::id.eq(id.uuid()),
            credential_links::purpose.eq(link.purpose.as_str()),
            credential_links::token_hash.eq(link.hash.as_bytes().as_slice()),
            credential_links::address.eq(address),
            credential_links::created_at.eq(now),
        ))
        .execute(connection)?;
    Ok(())
}

/// Ends every link of a member that is still good.
pub fn revoke_all(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
) -> Result<(), StorageError> {
    let now = tx.now();
    let live = credential_links::table
        .filter(credential_links::tenant_id.eq(tenant.uuid()))
        .filter(credential_links::member_id.eq(member.uuid()))
        .filter(credential_links::id.ge(lowest_live(now)))
        .filter(credential_links::used_at.is_null())
        .filter(credential_links::revoked_at.is_null());
    diesel::update(live)
        .set((
            credential_links::revoked_at.eq(now),
            credential_links::address.eq(""),
        ))
        .execute(tx.touching(tenant, Subject::Member(member))?)?;
    Ok(())
}

/// Remembers of a link that somebody else than its member has seen it.
pub fn mark_shown(tx: &mut ChangeTx<'_>, key: LinkKey) -> Result<(), StorageError> {
    let LinkKey { tenant, member, id } = key;
    diesel::update(credential_links::table.find((tenant.uuid(), member.uuid(), id.uuid())))
        .set(credential_links::shown.eq(true))
        .execute(tx.touching(tenant, Subject::Member(member))?)?;
    Ok(())
}

/// Ends the links of these members that somebody else has seen: those members come to hold more than whoever
/// was shown a link held when it was.
pub fn revoke_shown(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    members: &[MemberId],
) -> Result<(), StorageError> {
    let now = tx.now();
    for member in members {
        let shown = credential_links::table
            .filter(credential_links::tenant_id.eq(tenant.uuid()))
            .filter(credential_links::member_id.eq(member.uuid()))
            .filter(credential_links::id.ge(lowest_live(now)))
            .filter(credential_links::shown)
            .filter(credential_links::used_at.is_null())
            .filter(credential_links::revoked_at.is_null());
        diesel::update(shown)
            .set((
                credential_links::revoked_at.eq(now),
                credential_links::address.eq(""),
            ))
            .execute(tx.touching(tenant, Subject::Member(*member))?)?;
    }
    Ok(())
}

/// The members with a role of the tenant's own and a link that somebody else has seen.
pub fn shown_to_holders(
    tx: &mut impl Reads,
    tenant: TenantId,
    role: RoleId,
    now: DateTime<Utc>,
) -> Result<Vec<MemberId>, StorageError> {
    let members: Vec<Uuid> = credential_links::table
        .inner_join(
            role_assignments::table.on(role_assignments::tenant_id
                .eq(credential_links::tenant_id)
                .and(role_assignments::member_id.eq(credential_links::member_id.nullable()))),
        )
        .filter(credential_links::tenant_id.eq(tenant.uuid()))
        .filter(role_assignments::role_id.eq(role.uuid()))
        .filter(credential_links::id.ge(lowest_live(now)))
        .filter(credential_links::shown)
        .filter(credential_links::used_at.is_null())
        .filter(credential_links::revoked_at.is_null())
        .select(credential_links::member_id)
        .distinct()
        .load(tx.connection())?;
    Ok(members.into_iter().map(MemberId::from_uuid).collect())
}

/// Reads a link that could be redeemed now. Whether it may be is decided by [`redeem`] alone.
pub fn find_live(
    tx: &mut impl Reads,
    key: LinkKey,
    now: DateTime<Utc>,
) -> Result<Option<LiveLink>, StorageError> {
    let Some(expires_at) = expiry(key.id).filter(|expiry| *expiry > now) else {
        return Ok(None);
    };
    let Some(member) = served(tx, key)? else {
        return Ok(None);
    };
    let row: Option<(String, Vec<u8>)> = credential_links::table
        .filter(credential_links::tenant_id.eq(key.tenant.uuid()))
        .filter(credential_links::member_id.eq(key.member.uuid()))
        .filter(credential_links::id.eq(key.id.uuid()))
        .filter(credential_links::used_at.is_null())
        .filter(credential_links::revoked_at.is_null())
        .filter(credential_links::epoch.eq_any(installation::table.select(installation::epoch)))
        .filter(
            credential_links::address.eq_any(
                members::table
                    .filter(members::tenant_id.eq(key.tenant.uuid()))
                    .filter(members::id.eq(key.member.uuid()))
                    .select(members::email_key),
            ),
        )
        .select((credential_links::purpose, credential_links::token_hash))
        .first(tx.connection())
        .optional()?;
    row.map(|(purpose, hash)| {
        Ok(LiveLink {
            purpose: stored::word("purpose", &purpose, LinkPurpose::parse)?,
            hash: TokenHash::from_stored(&hash)
                .ok_or_else(|| StorageError::corrupt("token hash", hash.len().to_string()))?,
            expires_at,
            member,
        })
    })
    .transpose()
}

/// Uses a link up; tells whether it was good. Of many at once exactly one is told so. Where it was not, nothing of the
/// change may be committed.
pub fn redeem(tx: &mut ChangeTx<'_>, key: LinkKey) -> Result<bool, StorageError> {
    let now = tx.now();
    let LinkKey { tenant, member, id } = key;
    // Raising the revision locks the member's row: what changes the address, suspends or deletes the member, or makes
    // another link, has ended before or waits. The statements after it see what that came to.
    tx.touching(tenant, Subject::Member(member))?;
    if served(tx, key)?.is_none() {
        return Ok(false);
    }
    let address_now = members::table
        .filter(members::tenant_id.eq(tenant.uuid()))
        .filter(members::id.eq(member.uuid()))
        .select(members::email_key);
    let live = credential_links::table
        .filter(credential_links::tenant_id.eq(tenant.uuid()))
        .filter(credential_links::member_id.eq(member.uuid()))
        .filter(credential_links::id.eq(id.uuid()))
        .filter(credential_links::id.ge(lowest_live(now)))
        .filter(credential_links::used_at.is_null())
        .filter(credential_links::revoked_at.is_null())
        .filter(credential_links::epoch.eq_any(installation::table.select(installation::epoch)))
        .filter(credential_links::address.eq_any(address_now));
    let used = diesel::update(live)
        .set((
            credential_links::used_at.eq(now),
            credential_links::address.eq(""),
        ))
        .execute(tx.touching(tenant, Subject::Member(member))?)?;
    Ok(used == 1)
}

/// The member whose link it is, if neither they nor their tenant are suspended.
fn served(tx: &mut impl Reads, key: LinkKey) -> Result<Option<Member>, StorageError> {
    let tenant = tenants::find(tx, key.tenant)?;
    if tenant.is_none_or(|tenant| tenant.suspension.is_suspended()) {
        return Ok(None);
    }
    let member = crate::members::find(tx, key.tenant, key.member)?;
    Ok(member.filter(|member| member.status() == MemberStatus::Active))
}
