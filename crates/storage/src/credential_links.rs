//! Links by which members set a password, once.
//!
//! Of a link's token only a hash is kept. A link dies by use, by time, by a newer link, by a new password, and when the
//! member is written to at another address; while its member or tenant is suspended it is good for nothing.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use grantor_domain::credential_link::{LinkKey, LinkPurpose};
use grantor_domain::ids::{CredentialLinkId, MemberId, TenantId};
use grantor_domain::text::{EmailAddress, PersonName};
use grantor_keys::{Entropy, TokenHash, uuid_v7, uuid_v7_millis};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{credential_links, members};
use crate::stored::{self, lowest_id};
use crate::suspensions;
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
    /// Its member's name.
    pub name: PersonName,
    /// Where its member is written to.
    pub email: EmailAddress,
}

#[derive(Queryable)]
struct LiveRow {
    purpose: String,
    token_hash: Vec<u8>,
    name: String,
    email: String,
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

/// Reads a link that could be redeemed now. Whether it may be is decided by [`redeem`] alone.
pub fn find_live(
    tx: &mut impl Reads,
    key: LinkKey,
    now: DateTime<Utc>,
) -> Result<Option<LiveLink>, StorageError> {
    let Some(expires_at) = expiry(key.id).filter(|expiry| *expiry > now) else {
        return Ok(None);
    };
    if !is_served(tx, key)? {
        return Ok(None);
    }
    let row: Option<LiveRow> = credential_links::table
        .inner_join(
            members::table.on(members::tenant_id
                .eq(credential_links::tenant_id)
                .and(members::id.eq(credential_links::member_id))
                .and(members::email_key.eq(credential_links::address))),
        )
        .filter(credential_links::tenant_id.eq(key.tenant.uuid()))
        .filter(credential_links::member_id.eq(key.member.uuid()))
        .filter(credential_links::id.eq(key.id.uuid()))
        .filter(credential_links::used_at.is_null())
        .filter(credential_links::revoked_at.is_null())
        .select((
            credential_links::purpose,
            credential_links::token_hash,
            members::name,
            members::email,
        ))
        .first(tx.connection())
        .optional()?;
    row.map(|row| {
        let hash = TokenHash::from_stored(&row.token_hash)
            .ok_or_else(|| StorageError::corrupt("token hash", row.token_hash.len().to_string()))?;
        Ok(LiveLink {
            purpose: stored::word("purpose", &row.purpose, LinkPurpose::parse)?,
            hash,
            expires_at,
            name: stored::parsed("member's name", &row.name, PersonName::parse)?,
            email: stored::parsed("member's address", &row.email, EmailAddress::parse)?,
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
    if !is_served(tx, key)? {
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
        .filter(credential_links::address.eq_any(address_now));
    let used = diesel::update(live)
        .set((
            credential_links::used_at.eq(now),
            credential_links::address.eq(""),
        ))
        .execute(tx.touching(tenant, Subject::Member(member))?)?;
    Ok(used == 1)
}

/// Whether neither the tenant nor the member is suspended.
fn is_served(tx: &mut impl Reads, key: LinkKey) -> Result<bool, StorageError> {
    let tenant = tenants::find(tx, key.tenant)?;
    let member = suspensions::of_subject(tx.connection(), key.tenant, key.member.uuid())?;
    Ok(tenant.is_some_and(|tenant| !tenant.suspension.is_suspended()) && !member.is_suspended())
}
