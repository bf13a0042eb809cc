//! What the whole installation shares, and whether a server may run on it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text, Timestamptz};
use thiserror::Error;

use crate::database::Database;
use crate::error::StorageError;
use crate::migrate;
use crate::partitions;
use crate::schema::installation;
use crate::transaction::{ChangeTx, Connected, ReadTx, Reads, Scope};

/// Why a server must not run on a database.
#[derive(Debug, Error)]
pub enum UnfitDatabase {
    /// It can't be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The role would see through row-level security.
    #[error(
        "the database role `{role}` {what}, so row-level security would not hold it back; \
         let GRANTOR_DATABASE_URL name an ordinary role (`grantor migrate` makes one)"
    )]
    PrivilegedRole {
        /// The role.
        role: String,
        /// What it has that it must not.
        what: &'static str,
    },
    /// The role may not do the work.
    #[error(
        "the database role `{role}` is not a member of grantor_tenant, grantor_platform and grantor_fast, \
         or may not use the schema grantor; \
         run `grantor migrate` with GRANTOR_OWNER_DATABASE_URL and GRANTOR_DATABASE_URL"
    )]
    NotAMember {
        /// The role.
        role: String,
    },
    /// Migrations are missing.
    #[error(
        "the database is not migrated ({missing} migrations are missing); run `grantor migrate` first"
    )]
    NotMigrated {
        /// How many.
        missing: usize,
    },
    /// PostgreSQL is too old.
    #[error("PostgreSQL {found} is too old; Grantor needs 14 or newer")]
    TooOld {
        /// Its version.
        found: String,
    },
}

#[derive(QueryableByName)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of facts, each a column"
)]
struct RoleFacts {
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Bool)]
    superuser: bool,
    #[diesel(sql_type = Bool)]
    bypasses: bool,
    #[diesel(sql_type = Bool)]
    owns: bool,
    #[diesel(sql_type = Bool)]
    writes_history: bool,
    #[diesel(sql_type = Bool)]
    migrated: bool,
    #[diesel(sql_type = Bool)]
    old: bool,
    #[diesel(sql_type = Text)]
    version: String,
}

#[derive(QueryableByName)]
struct Membership {
    #[diesel(sql_type = Bool)]
    member: bool,
    #[diesel(sql_type = Bool)]
    inherits: bool,
}

/// Checks what a server demands before it starts: an ordinary role, the three roles to take on, and the
/// migrations that this program knows.
pub fn check_fitness(url: &str) -> Result<(), UnfitDatabase> {
    let told = |error: migrate::MigrateError| UnfitDatabase::Unreachable(error.to_string());
    let unreachable = |error: diesel::result::Error| {
        UnfitDatabase::Unreachable(format!("PostgreSQL did not answer: {error}"))
    };
    let mut connection = migrate::connect(url).map_err(told)?;
    let facts: RoleFacts = diesel::sql_query(
        "SELECT rolname::text AS role, rolsuper AS superuser, EXISTS (SELECT FROM pg_roles taken WHERE (taken.rolsuper OR taken.rolbypassrls) \
                        AND pg_has_role(taken.oid, 'MEMBER')) AS bypasses, \
                coalesce((SELECT pg_has_role(nspowner, 'MEMBER') FROM pg_namespace WHERE nspname = 'grantor'), false) AS owns, \
                EXISTS (SELECT FROM pg_roles taken WHERE rolname IN ('grantor_feed', 'grantor_erasure', 'grantor_purge') \
                        AND pg_has_role(taken.oid, 'MEMBER')) AS writes_history, \
                EXISTS (SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
                        WHERE nspname = 'grantor' AND relname = '__diesel_schema_migrations') \
                    AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'grantor_platform') AS migrated, \
                current_setting('server_version_num')::int < 140000 AS old, \
                current_setting('server_version') AS version \
         FROM pg_roles WHERE rolname = current_user",
    )
    .get_result(&mut connection)
    .map_err(unreachable)?;
    let RoleFacts {
        role,
        superuser,
        bypasses,
        owns,
        writes_history,
        migrated,
        old,
        version,
    } = facts;
    if old {
        return Err(UnfitDatabase::TooOld { found: version });
    }
    for (has, what) in [
        (superuser, "is a superuser"),
        (bypasses, "has BYPASSRLS, or may take on a role that has it"),
        (
            owns,
            "owns Grantor's tables, or may take on the role that does",
        ),
        (
            writes_history,
            "may take on a role that writes the change feed or the log of record",
        ),
    ] {
        if has {
            return Err(UnfitDatabase::PrivilegedRole { role, what });
        }
    }
    if !migrated {
        return Err(UnfitDatabase::NotMigrated {
            missing: migrate::known_versions().len(),
        });
    }
    let Membership { member, inherits } = diesel::sql_query(
        "SELECT bool_and(pg_has_role(name, 'MEMBER')) AND has_schema_privilege('grantor', 'USAGE') AS member, bool_or(pg_has_role(name, 'USAGE')) AS inherits \
         FROM unnest(ARRAY['grantor_tenant', 'grantor_platform', 'grantor_fast']) AS name",
    )
    .get_result(&mut connection)
    .map_err(unreachable)?;
    if inherits {
        let what = "inherits the rights of Grantor's roles, which it must take on one at a time";
        return Err(UnfitDatabase::PrivilegedRole { role, what });
    }
    if !member {
        return Err(UnfitDatabase::NotAMember { role });
    }
    let missing = migrate::missing(&mut connection).map_err(told)?;
    if missing > 0 {
        return Err(UnfitDatabase::NotMigrated { missing });
    }
    Ok(())
}

/// Writes the one row of the installation. It is the first change of all, made before any server has run: so
/// it makes the partitions too in which its own events will lie.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    epoch: i64,
    master_key_check: &[u8],
) -> Result<(), StorageError> {
    let now = tx.now();
    partitions::keep_within(tx.connection(), now)?;
    diesel::insert_into(installation::table)
        .values((
            installation::epoch.eq(epoch),
            installation::master_key_check.eq(master_key_check),
            installation::created_at.eq(now),
        ))
        .execute(tx.connection())?;
    Ok(())
}

/// The epoch that tokens are stored with; none before the bootstrap.
pub(crate) fn epoch(tx: &mut impl Reads) -> Result<i64, StorageError> {
    let epoch: Option<i64> = installation::table
        .select(installation::epoch)
        .first(tx.connection())
        .optional()?;
    epoch.ok_or_else(not_bootstrapped)
}

/// When the installation was made.
pub fn made_at(tx: &mut impl Reads) -> Result<DateTime<Utc>, StorageError> {
    let made_at: Option<DateTime<Utc>> = installation::table
        .select(installation::created_at)
        .first(tx.connection())
        .optional()?;
    made_at.ok_or_else(not_bootstrapped)
}

pub(crate) fn not_bootstrapped() -> StorageError {
    StorageError::Unavailable("the installation is not bootstrapped yet".into())
}

/// The sealed value by which a server knows that its master key is the installation's.
pub fn master_key_check(tx: &mut impl Reads) -> Result<Option<Vec<u8>>, StorageError> {
    Ok(installation::table
        .select(installation::master_key_check)
        .first(tx.connection())
        .optional()?)
}

/// Stores the value anew, under the current master key.
pub fn set_master_key_check(tx: &mut ChangeTx<'_>, check: &[u8]) -> Result<(), StorageError> {
    diesel::update(installation::table)
        .set(installation::master_key_check.eq(check))
        .execute(tx.connection())?;
    Ok(())
}

/// Keeps two bootstraps from running at once; let go at the end of the transaction.
pub fn lock_for_bootstrap(tx: &mut ChangeTx<'_>) -> Result<(), StorageError> {
    diesel::sql_query("SELECT pg_advisory_xact_lock(7105013120164718)").execute(tx.connection())?;
    Ok(())
}

/// How the server is, as far as whoever relies on it must know.
#[derive(Debug, Clone, Copy)]
pub struct Health {
    /// What the clock of PostgreSQL says.
    pub clock: DateTime<Utc>,
    /// Whether it takes writes.
    pub writable: bool,
    /// Whether what it acknowledges survives a loss of power.
    pub durable: bool,
}

#[derive(QueryableByName)]
struct HealthRow {
    #[diesel(sql_type = Timestamptz)]
    clock: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    writable: bool,
    #[diesel(sql_type = Bool)]
    durable: bool,
}

/// Asks PostgreSQL how it is, by a connection that is kept for that.
pub async fn health(database: &Database) -> Result<Health, StorageError> {
    database
        .reserved()
        .read(Scope::Platform(None), |tx: &mut ReadTx<'_>| {
            let row: HealthRow = diesel::sql_query(
                "SELECT clock_timestamp() AS clock, NOT pg_is_in_recovery() AS writable, \
                 current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' AS durable",
            )
            .get_result(tx.connection())?;
            Ok(Health { clock: row.clock, writable: row.writable, durable: row.durable })
        })
        .await
}
