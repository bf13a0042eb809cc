//! Failed attempts of clients: what kinds are counted, and when they are too many (`client_10`).

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use grantor_protocol::error::ErrorCode;

use crate::authentication::AuthenticationFailure;
use crate::limits::Limited;
use crate::settings::SustainedErrors;

/// Why an attempt of a client failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// By a secret that is not one of its own.
    BadSecret,
    /// From where it may not come.
    RefusedIp,
    /// By another method than it is registered for.
    WrongMethod,
    /// While it or its tenant was disabled.
    Disabled,
    /// With a grant that it may not use, or that is not good.
    BadGrant,
    /// For a scope that it may not have.
    RefusedScope,
    /// With something else that it asked for wrongly.
    BadRequest,
    /// Faster than it may get tokens.
    RateLimit,
    /// With as many live tokens as it may have.
    LiveTokenLimit,
}

impl FailureKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::BadSecret,
        Self::RefusedIp,
        Self::WrongMethod,
        Self::Disabled,
        Self::BadGrant,
        Self::RefusedScope,
        Self::BadRequest,
        Self::RateLimit,
        Self::LiveTokenLimit,
    ];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadSecret => "bad_secret",
            Self::RefusedIp => "refused_ip",
            Self::WrongMethod => "wrong_method",
            Self::Disabled => "disabled",
            Self::BadGrant => "bad_grant",
            Self::RefusedScope => "refused_scope",
            Self::BadRequest => "bad_request",
            Self::RateLimit => "rate_limit",
            Self::LiveTokenLimit => "live_token_limit",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// The kind of a refusal of a client that proved who it is; none if it is no fault of the client's.
    pub const fn of_refusal(error: ErrorCode) -> Option<Self> {
        match error {
            ErrorCode::InvalidClient => Some(Self::Disabled),
            ErrorCode::InvalidScope => Some(Self::RefusedScope),
            ErrorCode::InvalidGrant
            | ErrorCode::UnauthorizedClient
            | ErrorCode::UnsupportedGrantType => Some(Self::BadGrant),
            ErrorCode::InvalidRequest | ErrorCode::UnsupportedTokenType => Some(Self::BadRequest),
            _ => None,
        }
    }

    /// The alert that may follow from failures of this kind. Who is held by a limit was refused as it should be, and
    /// that has an alert of its own.
    pub const fn alert(self) -> Alert {
        match self {
            Self::RateLimit | Self::LiveTokenLimit => Alert::LimitReached,
            _ => Alert::SustainedErrors,
        }
    }
}

impl From<&AuthenticationFailure> for FailureKind {
    fn from(failure: &AuthenticationFailure) -> Self {
        match failure {
            AuthenticationFailure::Unproved => Self::BadSecret,
            AuthenticationFailure::OtherAddress { .. } => Self::RefusedIp,
            AuthenticationFailure::OtherMethod { .. } => Self::WrongMethod,
        }
    }
}

impl From<Limited> for FailureKind {
    fn from(limited: Limited) -> Self {
        match limited {
            Limited::TokensPerMinute => Self::RateLimit,
            Limited::LiveTokens => Self::LiveTokenLimit,
        }
    }
}

/// What is told of a client's failures, at most once in a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Alert {
    /// It fails again and again.
    SustainedErrors,
    /// It was held by one of its limits (`client_15`).
    LimitReached,
}

impl Alert {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::SustainedErrors, Self::LimitReached];

    /// The stored word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SustainedErrors => "sustained_errors",
            Self::LimitReached => "limit_reached",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

/// How many attempts failed, by kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Failures(BTreeMap<FailureKind, u64>);

impl Failures {
    /// Adds so many of a kind.
    pub fn add(&mut self, kind: FailureKind, count: u64) {
        let known = self.0.entry(kind).or_default();
        *known = known.saturating_add(count);
    }

    /// How many of each kind there are, of those of which there are any.
    pub fn iter(&self) -> impl Iterator<Item = (FailureKind, u64)> {
        self.0.iter().map(|(kind, count)| (*kind, *count))
    }

    /// How many there are of those from which an alert follows.
    pub fn towards(&self, alert: Alert) -> u64 {
        self.iter()
            .filter(|(kind, _)| kind.alert() == alert)
            .fold(0, |sum, (_, count)| sum.saturating_add(count))
    }
}

/// Counts are kept by the minute.
pub const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// The beginning of the minute in which something happened.
pub fn minute_of(at: DateTime<Utc>) -> DateTime<Utc> {
    let into = at.timestamp_millis().rem_euclid(60_000);
    DateTime::from_timestamp_millis(at.timestamp_millis() - into).unwrap_or(at)
}

/// The time that failures are summed up over to tell whether an alert is due.
pub fn summed_since(now: DateTime<Utc>, rule: &SustainedErrors) -> DateTime<Utc> {
    minute_of(now - rule.window()) + MINUTE
}

/// Decides whether an alert is due after these failures within the window. One limit that held is enough.
pub fn is_due(alert: Alert, failures: &Failures, rule: &SustainedErrors) -> bool {
    let least = match alert {
        Alert::SustainedErrors => u64::from(rule.threshold.get()),
        Alert::LimitReached => 1,
    };
    failures.towards(alert) >= least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{FailureThreshold, FailureWindow};

    fn rule(threshold: i64, seconds: i64) -> SustainedErrors {
        SustainedErrors {
            threshold: FailureThreshold::parse(threshold).unwrap(),
            window: FailureWindow::parse(seconds).unwrap(),
        }
    }

    #[test]
    fn client_10_words_are_read_as_they_are_written() {
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::parse(kind.as_str()), Some(kind));
        }
        for alert in Alert::ALL {
            assert_eq!(Alert::parse(alert.as_str()), Some(alert));
        }
        for unknown in ["", "Bad_secret", "bad_secret "] {
            assert_eq!(FailureKind::parse(unknown), None);
            assert_eq!(Alert::parse(unknown), None);
        }
    }

    #[test]
    fn client_10_what_is_ours_is_no_failure_of_the_clients() {
        for ours in [
            ErrorCode::ServerError,
            ErrorCode::TemporarilyUnavailable,
            ErrorCode::AccessDenied,
        ] {
            assert_eq!(FailureKind::of_refusal(ours), None);
        }
        let scope = FailureKind::of_refusal(ErrorCode::InvalidScope);
        assert_eq!(scope, Some(FailureKind::RefusedScope));
    }

    #[test]
    fn client_10_an_alert_is_due_from_the_threshold_on_whatever_the_kinds() {
        let mut failures = Failures::default();
        let rule = rule(5, 900);
        failures.add(FailureKind::BadSecret, 2);
        failures.add(FailureKind::RefusedScope, 2);
        // Who is held by a limit makes no errors.
        failures.add(FailureKind::RateLimit, 100);
        assert!(!is_due(Alert::SustainedErrors, &failures, &rule));
        failures.add(FailureKind::BadSecret, 1);
        assert!(is_due(Alert::SustainedErrors, &failures, &rule));
        assert_eq!(failures.towards(Alert::LimitReached), 100);
        assert!(is_due(Alert::LimitReached, &failures, &rule));
        let none = Failures::default();
        assert!(!is_due(Alert::LimitReached, &none, &rule));
        assert!(!is_due(Alert::SustainedErrors, &none, &rule));
    }

    #[test]
    fn client_10_a_window_is_of_whole_minutes_and_the_present_one_is_its_last() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let rule = rule(5, 300);
        for (now, since) in [
            ("2026-01-31T12:10:00Z", "2026-01-31T12:06:00Z"),
            ("2026-01-31T12:10:59.999Z", "2026-01-31T12:06:00Z"),
            ("2026-01-31T12:11:00Z", "2026-01-31T12:07:00Z"),
        ] {
            assert_eq!(summed_since(at(now), &rule), at(since), "{now}");
        }
        let early = at("1969-12-31T23:59:30Z");
        assert_eq!(minute_of(early), at("1969-12-31T23:59:00Z"));
    }
}
