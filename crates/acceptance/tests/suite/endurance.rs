//! Revocation, tried out: servers that are processes of their own, held, killed, cut off and flooded, while many
//! ask. A run of everything takes `GRANTOR_ENDURANCE=full` (`just endurance`); without, each test does a fiftieth.
//!
//! Judged is what clients see, in the order in which they see it: *later* is a request whose first byte was sent
//! after the answer of the call that revokes was read.

mod fleet;
mod floods;
mod kills;
mod lane;
mod partitions;
mod races;
mod report;
mod revocation;
mod standing;
mod talk;
mod weight;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Whether those that ask should go on: until those whom they wait for have ended, or one of them all failed.
struct Course {
    under_way: AtomicUsize,
    failed: AtomicBool,
}

impl Course {
    /// A course that ends with so many threads.
    fn of(threads: usize) -> Self {
        Self {
            under_way: AtomicUsize::new(threads),
            failed: AtomicBool::new(false),
        }
    }

    fn goes_on(&self) -> bool {
        self.under_way.load(Ordering::SeqCst) > 0 && !self.failed.load(Ordering::SeqCst)
    }

    /// For a thread that the course ends with.
    fn leading(&self) -> Part<'_> {
        Part(self, true)
    }

    /// For a thread that goes on while the course does. If it fails the others must hear: they would wait for ever.
    fn following(&self) -> Part<'_> {
        Part(self, false)
    }
}

/// One thread's part in a course.
struct Part<'a>(&'a Course, bool);

impl Drop for Part<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.under_way.fetch_sub(1, Ordering::SeqCst);
        }
        if thread::panicking() {
            self.0.failed.store(true, Ordering::SeqCst);
        }
    }
}
