//! How many live tokens there are (`client_8`).

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Uuid as SqlUuid};
use grantor_domain::ids::{ClientId, MemberId};
use grantor_domain::tenant::Tenant;
use uuid::Uuid;

use super::{ended, in_order, unexpired};
use crate::error::StorageError;
use crate::installation;
use crate::transaction::Reads;

/// The most tokens of one client that are counted.
pub const COUNTED: u32 = 1_000;
/// So many tokens of each client are looked at where many clients are told of, live or dead.
const LOOKS_OF_MANY: i64 = 4_000;
/// So many where one is.
const LOOKS_OF_ONE: i64 = 50_000;

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Just so many.
    Exactly(u32),
    /// More than so many.
    MoreThan(u32),
    /// So many, or more: too many dead ones lay before those that were not looked at.
    AtLeast(u32),
}

impl Count {
    fn of(counted: i64, is_all: bool) -> Self {
        match u32::try_from(counted) {
            Ok(counted) if counted <= COUNTED && is_all => Self::Exactly(counted),
            Ok(counted) if counted <= COUNTED => Self::AtLeast(counted),
            _ => Self::MoreThan(COUNTED),
        }
    }
}

/// How many access tokens of a client have neither expired nor been removed. Whether it is disabled doesn't matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveTokens {
    /// All of them.
    pub all: Count,
    /// Those that act for one member, if one was named.
    pub of_member: Option<Count>,
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = SqlUuid)]
    client_id: Uuid,
    #[diesel(sql_type = BigInt)]
    all_of_them: i64,
    #[diesel(sql_type = Bool)]
    is_all: bool,
    #[diesel(sql_type = Nullable<BigInt>)]
    of_member: Option<i64>,
    #[diesel(sql_type = Nullable<Bool>)]
    is_all_of_member: Option<bool>,
}

/// Along an index from what expires last, and of each client no further than is counted or looked at; and whether that
/// was all. That the end was not reached is looked for only where too few were counted.
fn counted(narrowed: &str) -> String {
    let range = format!(
        "FROM access_tokens WHERE tenant_id = $1 AND {narrowed}client_id = asked.client_id AND id >= $4 AND id < $5 \
         ORDER BY id DESC"
    );
    format!(
        "SELECT live.many, live.many >= $6 OR NOT coalesce((SELECT true {range} OFFSET $9 LIMIT 1), false) AS is_all \
         FROM (SELECT count(*) AS many FROM (SELECT FROM (SELECT member_id, revoked_at, epoch, decided_at {range} LIMIT $9) \
             AS token WHERE token.revoked_at IS NULL AND token.epoch = $2 AND token.decided_at >= $3 \
             AND token.decided_at >= coalesce(cut.cut_below, 0) AND NOT {} LIMIT $6) AS one) AS live",
        ended("member_id")
    )
}

fn statement() -> String {
    format!(
        "SELECT asked.client_id, whole.many AS all_of_them, whole.is_all, own.many AS of_member, own.is_all AS is_all_of_member \
         FROM unnest($7) AS asked (client_id) \
         LEFT JOIN LATERAL (SELECT cut_below FROM suspensions WHERE suspensions.tenant_id = $1 \
           AND suspensions.subject_id = asked.client_id LIMIT 1) AS cut ON true \
         CROSS JOIN LATERAL ({}) AS whole \
         LEFT JOIN LATERAL ({}) AS own ON $8 IS NOT NULL",
        counted(""),
        counted("member_id = $8 AND ")
    )
}

/// Counts the live tokens of clients, of all members and of one.
pub fn count(
    tx: &mut impl Reads,
    tenant: &Tenant,
    clients: impl IntoIterator<Item = ClientId>,
    member: Option<MemberId>,
    now: DateTime<Utc>,
) -> Result<HashMap<ClientId, LiveTokens>, StorageError> {
    let clients = clients.into_iter().map(ClientId::uuid).collect();
    looked(tx, tenant, clients, member, now, LOOKS_OF_MANY)
}

/// The same of one client, with more patience.
pub fn count_of(
    tx: &mut impl Reads,
    tenant: &Tenant,
    client: ClientId,
    member: Option<MemberId>,
    now: DateTime<Utc>,
) -> Result<LiveTokens, StorageError> {
    let of_one = looked(tx, tenant, vec![client.uuid()], member, now, LOOKS_OF_ONE)?;
    Ok(of_one.get(&client).copied().unwrap_or(LiveTokens {
        all: Count::Exactly(0),
        of_member: member.map(|_| Count::Exactly(0)),
    }))
}

fn looked(
    tx: &mut impl Reads,
    tenant: &Tenant,
    clients: Vec<Uuid>,
    member: Option<MemberId>,
    now: DateTime<Utc>,
    looks: i64,
) -> Result<HashMap<ClientId, LiveTokens>, StorageError> {
    let epoch = installation::epoch(tx)?;
    let (first, end) = unexpired(now);
    let asked = diesel::sql_query(statement())
        .bind::<SqlUuid, _>(tenant.id.uuid())
        .bind::<BigInt, _>(epoch)
        .bind::<BigInt, _>(tenant.suspension.cut_below)
        .bind::<SqlUuid, _>(first)
        .bind::<SqlUuid, _>(end)
        .bind::<BigInt, _>(i64::from(COUNTED) + 1)
        .bind::<Array<SqlUuid>, _>(clients)
        .bind::<Nullable<SqlUuid>, _>(member.map(MemberId::uuid))
        .bind::<BigInt, _>(looks);
    let rows: Vec<CountRow> = in_order(tx, |tx| Ok(asked.load(tx.connection())?))?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let own = row.of_member.zip(row.is_all_of_member);
            let live = LiveTokens {
                all: Count::of(row.all_of_them, row.is_all),
                of_member: own.map(|(counted, is_all)| Count::of(counted, is_all)),
            };
            (ClientId::from_uuid(row.client_id), live)
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_8_a_count_is_exact_up_to_a_thousand_and_says_where_it_is_not() {
        assert_eq!(Count::of(0, true), Count::Exactly(0));
        assert_eq!(Count::of(1_000, true), Count::Exactly(1_000));
        assert_eq!(Count::of(1_001, true), Count::MoreThan(1_000));
        assert_eq!(Count::of(1_001, false), Count::MoreThan(1_000));
        assert_eq!(Count::of(3, false), Count::AtLeast(3));
    }
}
