//! How near a client is to its limits (`client_15`).

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz, Uuid as SqlUuid};
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::limits::ClientLimits;
use grantor_domain::tenant::Tenant;

use crate::error::StorageError;
use crate::installation;
use crate::live_tokens::unexpired;
use crate::transaction::Reads;
use crate::{quotas, settings};

/// The limits of a client as they count now.
pub fn of(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: &Client,
) -> Result<ClientLimits, StorageError> {
    let settings = settings::find(tx, tenant)?;
    let quotas = quotas::find(tx, tenant)?;
    Ok(ClientLimits::of(client, &settings, &quotas))
}

/// How many tokens of a client are on record that have not expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Tally {
    /// Those that live.
    #[diesel(sql_type = BigInt)]
    pub live: i64,
    /// Those, and the ones that were removed or cut off.
    #[diesel(sql_type = BigInt)]
    pub kept: i64,
    /// Those of all of them that were issued within the last minute.
    #[diesel(sql_type = BigInt)]
    pub recent: i64,
}

/// How many tokens are looked at to count so many live ones. A client has no more on record: what it had removed takes
/// room too until it expires.
pub const fn looked_at(most: u32) -> i64 {
    most as i64 * 4 + 1_000
}

// Along the primary key from the first id that has not expired, and so far that no token expires later. Every token lives
// for a minute at least: what was issued within the last one is among them.
const TALLY: &str = "SELECT count(*) FILTER (WHERE is_live) AS live, count(*) AS kept, \
       count(*) FILTER (WHERE issued_at > $8) AS recent FROM ( \
       SELECT issued_at, revoked_at IS NULL AND epoch = $5 AND decided_at >= $6 AND decided_at >= coalesce((SELECT cut_below \
         FROM suspensions WHERE suspensions.tenant_id = $1 AND suspensions.subject_id = $2), 0) AS is_live \
       FROM access_tokens WHERE tenant_id = $1 AND client_id = $2 AND id >= $3 AND id < $4 LIMIT $7) AS kept";

/// Counts the tokens of a client, no further than [`looked_at`] says for this number.
pub fn tally(
    tx: &mut impl Reads,
    tenant: &Tenant,
    client: ClientId,
    most: u32,
    now: DateTime<Utc>,
) -> Result<Tally, StorageError> {
    let epoch = installation::epoch(tx)?;
    let (first, end) = unexpired(now);
    Ok(diesel::sql_query(TALLY)
        .bind::<SqlUuid, _>(tenant.id.uuid())
        .bind::<SqlUuid, _>(client.uuid())
        .bind::<SqlUuid, _>(first)
        .bind::<SqlUuid, _>(end)
        .bind::<BigInt, _>(epoch)
        .bind::<BigInt, _>(tenant.suspension.cut_below)
        .bind::<BigInt, _>(looked_at(most))
        .bind::<Timestamptz, _>(now - TimeDelta::minutes(1))
        .get_result(tx.connection())?)
}
