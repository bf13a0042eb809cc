//! Keeping the partitions of what expires: made ahead, dropped behind.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Integer, Timestamptz};

use crate::database::Database;
use crate::error::StorageError;

/// What one round of keeping came to. All zero, too, when another replica was at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Kept {
    /// How many were made.
    #[diesel(sql_type = Integer)]
    pub made: i32,
    /// How many were dropped.
    #[diesel(sql_type = Integer)]
    pub dropped: i32,
    /// How many must wait for the next round, because a lock could not be had in time.
    #[diesel(sql_type = Integer)]
    pub postponed: i32,
}

impl Kept {
    const NOTHING: Self = Self {
        made: 0,
        dropped: 0,
        postponed: 0,
    };

    /// Adds what a further round came to; tells whether another may have something to do.
    fn and(&mut self, round: Self) -> bool {
        self.made += round.made;
        self.dropped += round.dropped;
        self.postponed += round.postponed;
        round.made + round.dropped > 0
    }
}

/// Makes the partitions that will be needed, and drops those that are over by both clocks.
pub async fn keep(database: &Database, now: DateTime<Utc>) -> Result<Kept, StorageError> {
    let mut kept = Kept::NOTHING;
    // Each round is a short transaction, so that even the first start on a slow disk ends in time.
    for _ in 0..MOST_ROUNDS {
        if !kept.and(round(database, now).await?) {
            break;
        }
    }
    Ok(kept)
}

async fn round(database: &Database, now: DateTime<Utc>) -> Result<Kept, StorageError> {
    database
        .bookkeeping(move |connection| keep_now(connection, now))
        .await
}

/// Enough for a server that comes back after months.
const MOST_ROUNDS: u32 = 200;

/// The same within a transaction that is under way.
pub(crate) fn keep_within(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let mut kept = Kept::NOTHING;
    for _ in 0..MOST_ROUNDS {
        if !kept.and(keep_now(connection, now)?) {
            break;
        }
    }
    Ok(())
}

fn keep_now(connection: &mut PgConnection, now: DateTime<Utc>) -> Result<Kept, StorageError> {
    Ok(
        diesel::sql_query("SELECT made, dropped, postponed FROM keep_partitions($1)")
            .bind::<Timestamptz, _>(now)
            .get_result(connection)?,
    )
}
