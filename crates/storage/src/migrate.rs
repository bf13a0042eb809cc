//! Bringing the schema to where this program needs it, and making the role that servers log in as.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use thiserror::Error;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// Why a migration did not happen.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// PostgreSQL can't be reached.
    #[error("can't reach PostgreSQL: {0}")]
    Unreachable(#[from] ConnectionError),
    /// A statement failed.
    #[error("a statement failed: {0}")]
    Statement(#[from] diesel::result::Error),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Migration(String),
    /// Somebody has a table that a migration changes.
    #[error(
        "somebody holds a table that the next migration changes, for instance a backup that is under way; what was applied \
         before is whole: run this again when they are done (pg_locks tells who it is)"
    )]
    Held,
    /// The address of the servers names no role.
    #[error(
        "GRANTOR_DATABASE_URL names no role: write it as postgresql://ROLE:PASSWORD@HOST/DATABASE"
    )]
    NoRole,
}

/// One migration and whether the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationState {
    /// Its name.
    pub name: String,
    /// Whether it was applied.
    pub applied: bool,
}

pub(crate) fn connect(url: &str) -> Result<PgConnection, MigrateError> {
    let mut connection = PgConnection::establish(&crate::link::with_deadlines(url))?;
    connection.batch_execute("SET search_path = grantor; SET timezone = 'UTC'")?;
    Ok(connection)
}

/// Connects as the owner, and holds a lock so that two migrations never run at once.
fn connect_alone(owner_url: &str) -> Result<PgConnection, MigrateError> {
    let mut connection = connect(owner_url)?;
    connection.batch_execute(
        "SELECT pg_advisory_lock(7105013120164715); SET client_min_messages = warning; \
         CREATE SCHEMA IF NOT EXISTS grantor; SET lock_timeout = '500ms'",
    )?;
    Ok(connection)
}

/// How often a lock is tried for, once a second.
const TRIES: u32 = 30;
/// What PostgreSQL says when a lock was not to be had.
const HELD: &str = "canceling statement due to lock timeout";

/// Does a step of a migration. Whoever waits for a table keeps all others from it who come later, so it does not wait for
/// long, and tries again: servers go on meanwhile.
fn patiently<T>(
    connection: &mut PgConnection,
    step: impl Fn(&mut PgConnection) -> diesel::migration::Result<T>,
) -> Result<T, MigrateError> {
    for _ in 0..TRIES {
        match step(connection) {
            Err(error) if error.to_string().contains(HELD) => {
                connection.batch_execute("SELECT pg_sleep(1)")?;
            }
            done => return done.map_err(failed),
        }
    }
    Err(MigrateError::Held)
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> MigrateError {
    MigrateError::Migration(error.to_string())
}

/// Applies what is missing; tells the names.
pub fn up(owner_url: &str) -> Result<Vec<String>, MigrateError> {
    let mut connection = connect_alone(owner_url)?;
    let mut names = Vec::new();
    while connection
        .has_pending_migration(MIGRATIONS)
        .map_err(failed)?
    {
        names.push(patiently(&mut connection, |connection| {
            connection
                .run_next_migration(MIGRATIONS)
                .map(|version| version.to_string())
        })?);
    }
    // Servers look here whether the schema is as new as they are.
    connection.batch_execute("GRANT SELECT ON __diesel_schema_migrations TO PUBLIC")?;
    Ok(names)
}

/// Takes the last migration back; tells its name, or nothing when none is left.
pub fn down(owner_url: &str) -> Result<Option<String>, MigrateError> {
    let mut connection = connect_alone(owner_url)?;
    if connection.applied_migrations().map_err(failed)?.is_empty() {
        return Ok(None);
    }
    let taken_back = patiently(&mut connection, |connection| {
        connection
            .revert_last_migration(MIGRATIONS)
            .map(|version| version.to_string())
    })?;
    Ok(Some(taken_back))
}

/// Every migration that this program knows, and whether the database has it. Changes nothing.
pub fn status(url: &str) -> Result<Vec<MigrationState>, MigrateError> {
    let mut connection = connect(url)?;
    let applied = applied(&mut connection)?;
    Ok(known_versions()
        .into_iter()
        .map(|name| MigrationState {
            applied: applied.iter().any(|known| name.starts_with(known)),
            name,
        })
        .collect())
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = Text)]
    version: String,
}

fn applied(connection: &mut PgConnection) -> Result<Vec<String>, MigrateError> {
    #[derive(QueryableByName)]
    struct Exists {
        #[diesel(sql_type = Bool)]
        there: bool,
    }
    let Exists { there } = diesel::sql_query(
        "SELECT to_regclass('grantor.__diesel_schema_migrations') IS NOT NULL AS there",
    )
    .get_result(connection)?;
    if !there {
        return Ok(Vec::new());
    }
    let versions: Vec<Version> = diesel::sql_query(
        "SELECT version::text AS version FROM grantor.__diesel_schema_migrations",
    )
    .load(connection)?;
    Ok(versions.into_iter().map(|row| row.version).collect())
}

/// The names of the migrations that this program knows, in order.
pub(crate) fn known_versions() -> Vec<String> {
    use diesel::migration::MigrationSource;
    let known: Vec<Box<dyn diesel::migration::Migration<diesel::pg::Pg>>> =
        MIGRATIONS.migrations().unwrap_or_default();
    let mut names: Vec<String> = known
        .iter()
        .map(|migration| migration.name().to_string())
        .collect();
    names.sort();
    names
}

/// How many migrations the database lacks. One that is newer than this program doesn't count: servers of
/// the last and of this version run on the same schema.
pub(crate) fn missing(connection: &mut PgConnection) -> Result<usize, MigrateError> {
    let applied = applied(connection)?;
    Ok(known_versions()
        .iter()
        .filter(|name| !applied.iter().any(|version| name.starts_with(version)))
        .count())
}

/// Lets a role be the one that servers log in as: makes it if it is not there, and lets it take on the
/// three roles without inheriting from them.
pub fn admit_server_role(
    owner_url: &str,
    role: &str,
    password: Option<&str>,
) -> Result<(), MigrateError> {
    #[derive(QueryableByName)]
    struct Facts {
        #[diesel(sql_type = Bool)]
        there: bool,
        #[diesel(sql_type = Bool)]
        newer: bool,
    }
    let mut connection = connect_alone(owner_url)?;
    let Facts { there, newer } = diesel::sql_query(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS there, \
                current_setting('server_version_num')::int >= 160000 AS newer",
    )
    .bind::<Text, _>(role)
    .get_result(&mut connection)?;
    let name = quoted(role, '"');
    if !there {
        let password = password
            .map(|text| format!(" PASSWORD {}", literal(text)))
            .unwrap_or_default();
        connection.batch_execute(&format!("CREATE ROLE {name} LOGIN NOINHERIT{password}"))?;
    }
    // Before version 16 whether a role inherits is a property of the role itself.
    let how = if newer { " WITH INHERIT FALSE" } else { "" };
    connection.batch_execute(&format!(
        "GRANT grantor_tenant, grantor_platform, grantor_fast TO {name}{how}; \
         GRANT USAGE ON SCHEMA grantor TO {name}"
    ))?;
    Ok(())
}

/// Makes, as a superuser, the role that owns the schema and its database, where they are not there yet.
pub fn prepare(superuser_url: &str, owner: &str, database: &str) -> Result<(), MigrateError> {
    #[derive(QueryableByName)]
    struct Facts {
        #[diesel(sql_type = Bool)]
        role: bool,
        #[diesel(sql_type = Bool)]
        database: bool,
    }
    let mut connection = connect(superuser_url)?;
    let facts: Facts = diesel::sql_query(
        "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1) AS role, \
                EXISTS (SELECT FROM pg_database WHERE datname = $2) AS database",
    )
    .bind::<Text, _>(owner)
    .bind::<Text, _>(database)
    .get_result(&mut connection)?;
    let (owner, database) = (quoted(owner, '"'), quoted(database, '"'));
    if !facts.role {
        // Another one may make it at this very moment.
        connection.batch_execute(&format!(
            "DO $prepare$ BEGIN CREATE ROLE {owner} LOGIN CREATEROLE; \
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $prepare$"
        ))?;
    }
    if !facts.database {
        connection.batch_execute(&format!("CREATE DATABASE {database} OWNER {owner}"))?;
    }
    Ok(())
}

fn quoted(text: &str, mark: char) -> String {
    let doubled: String = text
        .chars()
        .flat_map(|c| std::iter::repeat_n(c, if c == mark { 2 } else { 1 }))
        .collect();
    format!("{mark}{doubled}{mark}")
}

fn literal(text: &str) -> String {
    // A backslash counts as itself while standard_conforming_strings is on, which is the default.
    quoted(text, '\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_literals_can_not_break_out() {
        assert_eq!(quoted("a\"b", '"'), "\"a\"\"b\"");
        assert_eq!(literal("it's"), "'it''s'");
    }

    #[test]
    fn every_migration_has_a_name_in_order() {
        let names = known_versions();
        assert!(names.len() >= 8);
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
