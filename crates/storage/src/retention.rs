//! For how long what has happened is kept. The owner of the schema decides; servers drop what is over.

use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use thiserror::Error;

use crate::migrate::{MigrateError, connect};

/// What is kept for a time, and then dropped by partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The change feed: how far back a follower may have fallen and still miss nothing.
    Changes,
    /// The log of record.
    AuditEvents,
}

/// A number of days that something may be kept for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Days(i32);

/// A number of days outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be between {} and {} days", Days::FEWEST, Days::MOST)]
pub struct DaysError;

impl Days {
    /// One day: a follower that was away for a night goes on where it was.
    pub const FEWEST: i32 = 1;
    /// A hundred years.
    pub const MOST: i32 = 36_525;

    /// Parses a number of days.
    pub fn new(days: i64) -> Result<Self, DaysError> {
        i32::try_from(days)
            .ok()
            .filter(|days| (Self::FEWEST..=Self::MOST).contains(days))
            .map(Self)
            .ok_or(DaysError)
    }

    /// The number.
    pub fn number(self) -> i32 {
        self.0
    }
}

impl Kept {
    /// The table that says so, and the condition for its row.
    fn row(self) -> (&'static str, &'static str) {
        match self {
            Self::Changes => ("change_feed", "singleton"),
            Self::AuditEvents => ("parted_tables", "name = 'audit_events'"),
        }
    }
}

/// Sets for how long something is kept, as the owner of the schema. It takes effect at the next round of
/// keeping partitions: what a shorter time drops is gone.
pub fn set(owner_url: &str, what: Kept, days: Days) -> Result<(), MigrateError> {
    let (table, condition) = what.row();
    let changed = diesel::sql_query(format!(
        "UPDATE {table} SET keep_for = make_interval(days => $1) WHERE {condition}"
    ))
    .bind::<Integer, _>(days.0)
    .execute(&mut connect(owner_url)?)?;
    // Row-level security shows the row to the owner alone.
    if changed == 1 {
        Ok(())
    } else {
        Err(MigrateError::Statement(diesel::result::Error::NotFound))
    }
}

/// Tells for how long something is kept, in PostgreSQL's words (`30 days`).
pub fn get(owner_url: &str, what: Kept) -> Result<String, MigrateError> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        keep_for: String,
    }
    let (table, condition) = what.row();
    let row: Row = diesel::sql_query(format!(
        "SELECT keep_for::text AS keep_for FROM {table} WHERE {condition}"
    ))
    .get_result(&mut connect(owner_url)?)?;
    Ok(row.keep_for)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_days_has_bounds() {
        for good in [1, 30, 400, 36_525] {
            assert_eq!(i64::from(Days::new(good).unwrap().number()), good);
        }
        for bad in [-1, 0, 36_526, i64::MAX, i64::MIN] {
            assert_eq!(Days::new(bad), Err(DaysError), "{bad}");
        }
    }
}
