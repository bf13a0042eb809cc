//! Whether lists and checks stay flat: the same calls on a tenant with 100 members and on one with 100,000, on one with
//! 1,000 clients and on one with 1,000,000, on an installation with 100 tenants and on one with 10,000.
//!
//! Small and large take turns within one run, so that what else the machine does concerns them alike: what counts is the
//! ratio. Each call is one transaction as the servers make it, by the role that they have.
//! `cargo run -p grantor-storage --example at_scale`; it takes some minutes. Words after `--` pick what to measure:
//! the calls whose names have one of them.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement tells its numbers, and ends when something is wrong"
)]

use std::time::{Duration, Instant};

mod checks;
mod client_calls;
mod clients;
mod lists;
mod members;
mod world;

use world::{Size, World};

/// How often each call is made of which the times are told.
const CALLS: usize = 100;
/// How often each is made before: plans and caches are warm then, and plans have become generic where they do.
const BEFORE: usize = 8;

type Call = dyn Fn(&World, Size) -> usize;

/// A call to measure; it tells how many rows it found.
pub(crate) struct Measured {
    name: String,
    call: Box<Call>,
}

impl Measured {
    pub(crate) fn new(
        name: impl Into<String>,
        call: impl Fn(&World, Size) -> usize + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            call: Box::new(call),
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let picked = |measured: &Measured| {
        words.is_empty() || words.iter().any(|word| measured.name.contains(word))
    };
    let [mut others, mut clients] = [
        vec![lists::all(), members::all(), checks::all()],
        vec![clients::all(), client_calls::all()],
    ]
    .map(|all| all.into_iter().flatten().collect::<Vec<_>>());
    others.retain(picked);
    clients.retain(picked);
    let world = World::new(!clients.is_empty());
    println!(
        "{:<64} {:>11} {:>15} {:>15} {:>6} {:>6}",
        "in milliseconds, small | large", "rows", "p50", "p99", "×p50", "×p99"
    );
    for measured in others.into_iter().chain(clients) {
        measure(&world, &measured);
    }
}

fn measure(world: &World, measured: &Measured) {
    let mut times = [Vec::new(), Vec::new()];
    let mut rows = [0, 0];
    for turn in 0..BEFORE + CALLS {
        for (place, size) in [Size::Small, Size::Large].into_iter().enumerate() {
            let begun = Instant::now();
            rows[place] = (measured.call)(world, size);
            if turn >= BEFORE {
                times[place].push(begun.elapsed());
            }
        }
    }
    let [small, large] = times.map(Told::of);
    println!(
        "{:<64} {:>5}|{:>5} {:>7.2}|{:>7.2} {:>7.2}|{:>7.2} {:>6.1} {:>6.1}",
        measured.name,
        rows[0],
        rows[1],
        small.middle,
        large.middle,
        small.slow,
        large.slow,
        large.middle / small.middle,
        large.slow / small.slow,
    );
}

/// What is told of times, in milliseconds.
struct Told {
    middle: f64,
    slow: f64,
}

impl Told {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times[times.len() * percent / 100].as_secs_f64() * 1_000.0;
        Self {
            middle: at(50),
            slow: at(99),
        }
    }
}
