//! Spare keys: private keys that nobody signs with yet, sealed, for those that take long to make.
//!
//! They are of the installation. A tenant takes one in the transaction that makes it a key of its own, so a spare is
//! taken if that is committed, and never twice.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bytea, Text, Timestamptz, Uuid as SqlUuid};
use grantor_keys::Algorithm;
use uuid::Uuid;

use crate::database::Database;
use crate::error::StorageError;
use crate::schema::spare_keys;
use crate::transaction::{ChangeTx, Connected as _};

/// The name of the table, which sealed values are bound to.
pub const TABLE: &str = "spare_keys";

/// A spare key.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName, Queryable)]
pub struct SpareKey {
    /// What the sealed half is bound to.
    #[diesel(sql_type = SqlUuid)]
    pub id: Uuid,
    /// The private half.
    #[diesel(sql_type = Bytea)]
    pub sealed_private_key: Vec<u8>,
}

// One that another transaction is taking is skipped, not waited for.
const TAKE: &str = "DELETE FROM spare_keys WHERE id = (SELECT id FROM spare_keys WHERE algorithm = $1 \
         ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, sealed_private_key";

/// Takes a spare key; none, when there is none that nobody else is taking.
pub fn take(tx: &mut ChangeTx<'_>, algorithm: Algorithm) -> Result<Option<SpareKey>, StorageError> {
    Ok(diesel::sql_query(TAKE)
        .bind::<Text, _>(algorithm.as_str())
        .get_result(tx.connection())
        .optional()?)
}

// Any number of servers fill the stock at once; it may come to one more than is wanted for each of them.
const PUT: &str = "INSERT INTO spare_keys (id, algorithm, sealed_private_key, created_at) SELECT $1, $2, $3, $4 \
     WHERE (SELECT count(*) FROM spare_keys WHERE algorithm = $2) < $5";

/// Puts a spare key beside the others, unless there are so many; tells whether it did.
pub async fn put(
    database: &Database,
    algorithm: Algorithm,
    key: SpareKey,
    unless: i64,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    database
        .bookkeeping(move |connection| {
            let put = diesel::sql_query(PUT)
                .bind::<SqlUuid, _>(key.id)
                .bind::<Text, _>(algorithm.as_str())
                .bind::<Bytea, _>(key.sealed_private_key)
                .bind::<Timestamptz, _>(now)
                .bind::<BigInt, _>(unless)
                .execute(connection)?;
            Ok(put == 1)
        })
        .await
}

/// How many there are.
pub async fn count(database: &Database, algorithm: Algorithm) -> Result<i64, StorageError> {
    database
        .bookkeeping(move |connection| {
            let of = spare_keys::algorithm.eq(algorithm.as_str());
            Ok(spare_keys::table
                .filter(of)
                .count()
                .get_result(connection)?)
        })
        .await
}

/// All of them. They are few.
pub async fn all(database: &Database) -> Result<Vec<SpareKey>, StorageError> {
    database
        .bookkeeping(|connection| {
            Ok(spare_keys::table
                .select((spare_keys::id, spare_keys::sealed_private_key))
                .order(spare_keys::id)
                .load(connection)?)
        })
        .await
}

/// Replaces the sealed half of one that is still there; tells whether it was.
pub async fn reseal(database: &Database, key: SpareKey) -> Result<bool, StorageError> {
    database
        .bookkeeping(move |connection| {
            let resealed = diesel::update(spare_keys::table.find(key.id))
                .set(spare_keys::sealed_private_key.eq(key.sealed_private_key))
                .execute(connection)?;
            Ok(resealed == 1)
        })
        .await
}
