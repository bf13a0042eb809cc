//! Reading stored columns back into verified types.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use grantor_domain::suspension::Pause;
use grantor_domain::text::Reason;
use grantor_protocol::scope::{ScopeToken, Scopes};

use crate::error::StorageError;

/// Parses a stored text. What was written was verified, so a failure means that the row was tampered with.
pub(crate) fn parsed<T, E: Display>(
    what: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, StorageError> {
    parse(text).map_err(|error| StorageError::corrupt(what, format!("{text}: {error}")))
}

/// Finds a stored word in its enumeration.
pub(crate) fn word<T>(
    what: &'static str,
    text: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StorageError> {
    parse(text).ok_or_else(|| StorageError::corrupt(what, text))
}

pub(crate) fn scopes(stored: &[String]) -> Result<Scopes, StorageError> {
    stored
        .iter()
        .map(|scope| parsed("scope", scope, ScopeToken::parse))
        .collect()
}

pub(crate) fn pause(
    since: Option<DateTime<Utc>>,
    reason: Option<&str>,
) -> Result<Option<Pause>, StorageError> {
    since
        .map(|since| {
            let reason = reason
                .map(|text| parsed("reason", text, Reason::parse))
                .transpose()?;
            Ok(Pause { since, reason })
        })
        .transpose()
}
