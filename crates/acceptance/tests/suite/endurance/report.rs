//! How many rounds there are, and what a full run tells of them.

use std::env;
use std::fmt::Write as _;
use std::time::Instant;

/// Which part of a full run is done without being asked for all of it.
const PART: u32 = 50;

/// Whether all of it was asked for.
pub(super) fn is_full() -> bool {
    env::var("GRANTOR_ENDURANCE").is_ok_and(|asked| asked == "full")
}

/// So many in a full run, a fiftieth of it in any other.
pub(super) fn rounds(full: u32) -> u32 {
    if is_full() {
        full
    } else {
        (full / PART).max(1)
    }
}

/// What one test tells when all of it was asked for.
pub(super) struct Report {
    name: &'static str,
    begun: Instant,
    told: String,
}

impl Report {
    pub(super) fn begin(name: &'static str) -> Self {
        Self {
            name,
            begun: Instant::now(),
            told: String::new(),
        }
    }

    /// Adds a figure.
    pub(super) fn tell(&mut self, what: &str, figure: impl std::fmt::Display) {
        let _ = write!(self.told, ", {what} {figure}");
    }

    /// Prints everything, if all of it was asked for.
    pub(super) fn end(self) {
        if is_full() {
            let seconds = self.begun.elapsed().as_secs_f64();
            println!("endurance: {}{}, {seconds:.1} s", self.name, self.told);
        }
    }
}
