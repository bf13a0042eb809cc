//! The time, handed in from outside, so that tests can move it.

use std::fmt::Debug;

use chrono::{DateTime, SubsecRound as _, Utc};

/// Tells the time.
pub trait Clock: Send + Sync + Debug {
    /// The present moment.
    fn now(&self) -> DateTime<Utc>;
}

/// The clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the machine's time comes in"
    )]
    fn now(&self) -> DateTime<Utc> {
        // PostgreSQL keeps microseconds: what is told and what is stored are the same time.
        Utc::now().trunc_subsecs(6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_clock_does_not_stand_before_its_own_past() {
        let first = SystemClock.now();
        assert!(first.timestamp() > 1_700_000_000);
        assert!(SystemClock.now() - first < chrono::TimeDelta::minutes(1));
    }
}
