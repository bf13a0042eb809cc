//! The outbox: what must be sent because of a change.
//!
//! It is written in the transaction of the change, and so is there exactly if the change is. Workers claim what
//! is due, any number of them at once: each claim is a lease, and what a worker that died had claimed is claimed
//! again when its lease is over. So a delivery may be made twice, and is not lost.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Integer, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::ids::{DeliveryId, TenantId};
use grantor_keys::{Entropy, uuid_v7};
use uuid::Uuid;

use crate::database::Database;
use crate::error::StorageError;
use crate::schema::deliveries;
use crate::stored::{self, lowest_id};
use crate::transaction::{ChangeTx, Connected};

/// For how long a delivery is tried.
pub const TRIED_FOR: TimeDelta = TimeDelta::days(7);
/// How much of an error's text is kept, in characters.
const ERROR_LENGTH: usize = 300;

/// By which way something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// As a mail.
    Mail,
}

impl Channel {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
        }
    }

    /// Reads the stored word.
    pub fn parse(text: &str) -> Option<Self> {
        (text == "mail").then_some(Self::Mail)
    }
}

/// Something about to be sent.
#[derive(Debug)]
pub struct NewDelivery {
    /// Its id, out of [`new_id`].
    pub id: DeliveryId,
    /// By which way.
    pub channel: Channel,
    /// What is sent and to whom, sealed.
    pub sealed: Vec<u8>,
}

/// Makes the id of a delivery that is put into the outbox at this time. Its own time is when it is given up.
pub fn new_id(now: DateTime<Utc>, entropy: &dyn Entropy) -> Result<DeliveryId, StorageError> {
    let millis = u64::try_from((now + TRIED_FOR).timestamp_millis()).unwrap_or_default();
    Ok(DeliveryId::from_uuid(uuid_v7(millis, entropy)?))
}

/// Puts something into the outbox, due at once.
pub fn enqueue(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    delivery: &NewDelivery,
) -> Result<(), StorageError> {
    let now = tx.now();
    diesel::insert_into(deliveries::table)
        .values((
            deliveries::tenant_id.eq(tenant.uuid()),
            deliveries::id.eq(delivery.id.uuid()),
            deliveries::channel.eq(delivery.channel.as_str()),
            deliveries::sealed_payload.eq(&delivery.sealed),
            deliveries::next_attempt_at.eq(now),
            deliveries::created_at.eq(now),
        ))
        .execute(tx.connection())?;
    Ok(())
}

/// A delivery that a worker has for itself until its lease is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claimed {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its id.
    pub id: DeliveryId,
    /// By which way it goes.
    pub channel: Channel,
    /// What is sent and to whom, sealed.
    pub sealed: Vec<u8>,
    /// Which attempt this is, from 1 on.
    pub attempts: i32,
}

#[derive(QueryableByName)]
struct ClaimedRow {
    #[diesel(sql_type = SqlUuid)]
    tenant_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    channel: String,
    #[diesel(sql_type = Bytea)]
    sealed_payload: Vec<u8>,
    #[diesel(sql_type = Integer)]
    attempts: i32,
}

// What others are just claiming is skipped, not waited for. MATERIALIZED, so that the rows are locked once.
const CLAIM: &str = "WITH due AS MATERIALIZED ( \
         SELECT tenant_id, id FROM deliveries \
         WHERE delivered_at IS NULL AND failed_at IS NULL AND next_attempt_at <= $1 \
           AND (leased_until IS NULL OR leased_until <= $1) AND id >= $2 \
         ORDER BY next_attempt_at LIMIT $3 FOR UPDATE SKIP LOCKED) \
     UPDATE deliveries SET leased_until = $4, attempts = attempts + 1 \
     FROM due WHERE deliveries.tenant_id = due.tenant_id AND deliveries.id = due.id \
     RETURNING deliveries.tenant_id, deliveries.id, channel, sealed_payload, attempts";

/// Claims up to `limit` deliveries that are due, of all tenants, for as long as the lease says.
pub async fn claim(
    database: &Database,
    now: DateTime<Utc>,
    lease: TimeDelta,
    limit: i64,
) -> Result<Vec<Claimed>, StorageError> {
    database
        .bookkeeping(move |connection| {
            let rows: Vec<ClaimedRow> = diesel::sql_query(CLAIM)
                .bind::<Timestamptz, _>(now)
                .bind::<SqlUuid, _>(lowest_id(now.timestamp_millis()))
                .bind::<BigInt, _>(limit)
                .bind::<Timestamptz, _>(now + lease)
                .load(connection)?;
            rows.into_iter()
                .map(|row| {
                    Ok(Claimed {
                        tenant: TenantId::from_uuid(row.tenant_id),
                        id: DeliveryId::from_uuid(row.id),
                        channel: stored::word("channel", &row.channel, Channel::parse)?,
                        sealed: row.sealed_payload,
                        attempts: row.attempts,
                    })
                })
                .collect()
        })
        .await
}

/// Notes that something was sent; tells whether that was not known yet. It counts also when the lease is over:
/// it was sent.
pub async fn delivered(
    database: &Database,
    tenant: TenantId,
    id: DeliveryId,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    database
        .bookkeeping(move |connection| {
            let changed = diesel::update(deliveries::table.find((tenant.uuid(), id.uuid())))
                .filter(deliveries::delivered_at.is_null())
                .set(deliveries::delivered_at.eq(now))
                .execute(connection)?;
            Ok(changed == 1)
        })
        .await
}

/// Puts a delivery off that did not succeed; tells whether the claim was still this worker's. The error is a
/// short text that says nothing of what was to be sent.
pub async fn postpone(
    database: &Database,
    claimed: &Claimed,
    next: DateTime<Utc>,
    error: &str,
) -> Result<bool, StorageError> {
    let error = shortened(error);
    settle(database, claimed, move |connection, row| {
        diesel::update(row)
            .set((
                deliveries::next_attempt_at.eq(next),
                deliveries::leased_until.eq(None::<DateTime<Utc>>),
                deliveries::last_error.eq(error),
            ))
            .execute(connection)
    })
    .await
}

/// Gives a delivery up for good; tells whether the claim was still this worker's.
pub async fn give_up(
    database: &Database,
    claimed: &Claimed,
    now: DateTime<Utc>,
    error: &str,
) -> Result<bool, StorageError> {
    let error = shortened(error);
    settle(database, claimed, move |connection, row| {
        diesel::update(row)
            .set((
                deliveries::failed_at.eq(now),
                deliveries::last_error.eq(error),
            ))
            .execute(connection)
    })
    .await
}

type ClaimedByNobodyElse = diesel::dsl::Filter<
    diesel::dsl::Find<deliveries::table, (Uuid, Uuid)>,
    diesel::dsl::And<
        diesel::dsl::And<
            diesel::dsl::Eq<deliveries::attempts, i32>,
            diesel::dsl::IsNull<deliveries::delivered_at>,
        >,
        diesel::dsl::IsNull<deliveries::failed_at>,
    >,
>;

/// Changes a delivery if nobody has claimed it since, and it is not settled.
async fn settle(
    database: &Database,
    claimed: &Claimed,
    change: impl FnOnce(&mut PgConnection, ClaimedByNobodyElse) -> QueryResult<usize> + Send + 'static,
) -> Result<bool, StorageError> {
    let (key, attempts) = ((claimed.tenant.uuid(), claimed.id.uuid()), claimed.attempts);
    database
        .bookkeeping(move |connection| {
            let row = deliveries::table.find(key).filter(
                deliveries::attempts
                    .eq(attempts)
                    .and(deliveries::delivered_at.is_null())
                    .and(deliveries::failed_at.is_null()),
            );
            Ok(change(connection, row)? == 1)
        })
        .await
}

fn shortened(error: &str) -> String {
    error.chars().take(ERROR_LENGTH).collect()
}
