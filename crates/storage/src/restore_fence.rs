//! The fence behind a restore from a backup: a new epoch, so that nothing that was issued before is good any more.
//!
//! What was revoked since the backup would be good again otherwise, and the numbers of changes repeat. Every token and
//! every position in the feed carries the epoch, and is compared with the stored one each time.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_domain::audit::{Action, Event, Origin, Target};

use crate::database::Database;
use crate::error::StorageError;
use crate::installation;
use crate::partitions;
use crate::schema::installation as installations;
use crate::tenants;
use crate::transaction::{Change, Scope, Subject};

#[derive(QueryableByName)]
struct Connections {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// How many connections others than this role have to the database. Behind a database that was just restored there are
/// none of servers.
pub async fn connections_of_others(database: &Database) -> Result<i64, StorageError> {
    database
        .bookkeeping(|connection| {
            // Of what kind the processes of others are, only superusers see; those of PostgreSQL's own have no name.
            let found: Connections = diesel::sql_query(
                "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
                 AND usename <> session_user",
            )
            .get_result(connection)?;
            Ok(found.count)
        })
        .await
}

/// Renews the epoch, on record in the platform tenant's log: both, or neither.
pub async fn renew_epoch(
    database: &Database,
    origin: Origin,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    // A backup may be older than the partitions that it has reach ahead.
    partitions::keep(database, now).await?;
    database
        .change(Scope::Platform(None), origin, now, |tx| {
            let platform =
                tenants::find_platform(tx)?.ok_or_else(installation::not_bootstrapped)?;
            let before = installation::epoch(tx)?;
            let mut random = [0; 8];
            tx.entropy().fill(&mut random)?;
            // Positive, so that it reads well; and never the one that there was.
            let drawn = i64::from_le_bytes(random) & i64::MAX;
            let epoch = if drawn == before { drawn ^ 1 } else { drawn };
            diesel::update(installations::table)
                .set(installations::epoch.eq(epoch))
                .execute(tx.touching(platform.id, Subject::Tenant(platform.id))?)?;
            let event = Event::new(
                platform.id,
                Action::RestoreFenced,
                Target::Tenant(platform.id),
            );
            Ok(Change::made((), event))
        })
        .await
}
