//! Reading stored columns back into verified types, and the ids between which what is stored lies.

use std::fmt::Display;

use chrono::{DateTime, Utc};
use grantor_domain::limits::{Limited, Limits};
use grantor_domain::suspension::Pause;
use grantor_domain::text::Reason;
use grantor_protocol::scope::{ScopeToken, Scopes};
use uuid::Uuid;

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

/// Reads stored limits of a client, a tenant or its quotas.
pub(crate) fn limits(
    tokens_per_minute: Option<i32>,
    live_tokens: Option<i32>,
) -> Result<Limits, StorageError> {
    let mut limits = Limits::default();
    for (limited, stored) in [
        (Limited::TokensPerMinute, tokens_per_minute),
        (Limited::LiveTokens, live_tokens),
    ] {
        limits
            .set(limited, stored.map(i64::from))
            .map_err(|_| StorageError::corrupt("limit", format!("{limited:?} {stored:?}")))?;
    }
    Ok(limits)
}

/// A limit as it is stored.
pub(crate) fn limit_column(limits: &Limits, limited: Limited) -> Result<Option<i32>, StorageError> {
    let number = limits.get(limited).map(i32::try_from).transpose();
    number.map_err(|_| StorageError::corrupt("limit", format!("{limited:?}")))
}

/// The lowest id of a millisecond; of a time that no id can carry, the lowest or the highest of all.
pub(crate) fn lowest_id(millis: i64) -> Uuid {
    match u128::try_from(millis) {
        Ok(millis) if millis >> 48 == 0 => Uuid::from_u128(millis << 80),
        Ok(_) => Uuid::max(),
        Err(_) => Uuid::nil(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_id_of_a_millisecond_sorts_where_the_time_does() {
        let id = |millis: i64| lowest_id(millis);
        assert!(id(-1) <= id(0) && id(0) < id(1) && id(1) < id(1_748_779_200_000));
        assert_eq!(
            grantor_keys::uuid_v7_millis(id(1_748_779_200_000)),
            1_748_779_200_000
        );
        assert_eq!(id(1 << 48), Uuid::max());
        assert_eq!(id(i64::MAX), Uuid::max());
        assert_eq!(id(i64::MIN), Uuid::nil());
    }
}
