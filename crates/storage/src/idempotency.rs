//! What was answered to a request with an idempotency key, so that its repetition gets the same answer.
//!
//! It is no configuration: no decision rests on it, so nothing is touched. It stands under the caller's tenant,
//! also where an operator changes another one.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_domain::ids::TenantId;

use crate::error::StorageError;
use crate::schema::idempotency_records;
use crate::stored::lowest_id;
use crate::transaction::{ChangeTx, Connected};

/// The longest that an answer is kept.
pub const LONGEST: TimeDelta = TimeDelta::hours(24);
/// How far the clock of another server may be ahead, generously.
const CLOCKS_APART: TimeDelta = TimeDelta::minutes(1);

/// What is kept of a request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// What tells the request from another with the same key.
    pub fingerprint: Vec<u8>,
    /// The answer, sealed.
    pub sealed: Vec<u8>,
}

/// Waits until nobody else is at a request with this key, and looks whether it has been answered. Until the
/// transaction ends nobody else begins with the key.
pub fn lock_and_find(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    key_hash: &[u8; 32],
    now: DateTime<Utc>,
) -> Result<Option<Kept>, StorageError> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1)")
        .bind::<BigInt, _>(lock_number(tenant, key_hash))
        .execute(tx.connection())?;
    // A statement of its own, begun after the lock was had: so it sees what the one before left.
    let live = lowest_id(now.timestamp_millis().saturating_add(1));
    let beyond = lowest_id((now + LONGEST + CLOCKS_APART).timestamp_millis());
    let found: Option<(Vec<u8>, Vec<u8>)> = idempotency_records::table
        .filter(idempotency_records::tenant_id.eq(tenant.uuid()))
        .filter(idempotency_records::key_hash.eq(key_hash.as_slice()))
        .filter(idempotency_records::id.ge(live))
        .filter(idempotency_records::id.lt(beyond))
        .select((
            idempotency_records::fingerprint,
            idempotency_records::sealed_answer,
        ))
        .first(tx.connection())
        .optional()?;
    Ok(found.map(|(fingerprint, sealed)| Kept {
        fingerprint,
        sealed,
    }))
}

/// Keeps an answer until it expires, a day at most. Whoever calls it has the lock of [`lock_and_find`].
pub fn keep(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    key_hash: &[u8; 32],
    fingerprint: &[u8],
    sealed: &[u8],
    expires_at: DateTime<Utc>,
) -> Result<(), StorageError> {
    let expires_at = expires_at.min(tx.now() + LONGEST);
    let millis = u64::try_from(expires_at.timestamp_millis()).unwrap_or_default();
    let id = grantor_keys::uuid_v7(millis, tx.entropy())?;
    diesel::insert_into(idempotency_records::table)
        .values((
            idempotency_records::tenant_id.eq(tenant.uuid()),
            idempotency_records::id.eq(id),
            idempotency_records::key_hash.eq(key_hash.as_slice()),
            idempotency_records::fingerprint.eq(fingerprint),
            idempotency_records::sealed_answer.eq(sealed),
        ))
        .execute(tx.connection())?;
    Ok(())
}

/// The number of the lock for a key. Two keys with one number wait for one another and no more.
fn lock_number(tenant: TenantId, key_hash: &[u8; 32]) -> i64 {
    let (_, of_tenant) = tenant.uuid().as_u64_pair();
    let (of_key, _) = key_hash.split_at(8);
    let of_key = of_key
        .iter()
        .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    (of_tenant ^ of_key).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn locks_differ_by_key_and_by_tenant() {
        let tenants = [1, 2].map(|number| TenantId::from_uuid(Uuid::from_u128(number)));
        let keys = [[0; 32], [7; 32], [0xff; 32]];
        let mut numbers: Vec<i64> = tenants
            .iter()
            .flat_map(|tenant| keys.iter().map(|key| lock_number(*tenant, key)))
            .collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 6);
    }
}
