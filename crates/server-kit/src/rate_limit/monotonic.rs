//! The time that rate limits run on: it never goes back, whatever happens to the machine's calendar.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Tells how long the process has run.
pub trait Monotonic: Send + Sync + Debug {
    /// The time since a moment that stays the same. It never shrinks.
    fn elapsed(&self) -> Duration;
}

/// The process' own clock, counted from when this was made.
#[derive(Debug, Clone, Copy)]
pub struct ProcessClock(Instant);

impl ProcessClock {
    /// Begins to count.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Monotonic for ProcessClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
