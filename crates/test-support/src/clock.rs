//! A clock that stands still until a test moves it.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use grantor_server_kit::Clock;

/// The clock. It starts in the past, so that what expires by it has expired by PostgreSQL's clock too.
#[derive(Debug)]
pub struct FixedClock(AtomicI64);

impl Default for FixedClock {
    fn default() -> Self {
        Self::at(Self::start())
    }
}

impl FixedClock {
    /// Where it stands unless told otherwise: noon, the first of June 2025.
    pub fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_748_779_200, 0).expect("a time")
    }

    /// A clock that stands somewhere else.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self(AtomicI64::new(now.timestamp_micros()))
    }

    /// Moves it.
    pub fn advance(&self, by: TimeDelta) {
        self.0.fetch_add(
            by.num_microseconds().expect("a short time"),
            Ordering::SeqCst,
        );
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0.load(Ordering::SeqCst)).expect("a time")
    }
}
