//! What each caller may still ask for, in a table that never grows.
//!
//! A budget is one number, the time at which it is whole again (the *theoretical arrival time* of the generic cell rate
//! algorithm). A request puts that time off by what one costs, and is refused if it would then lie further ahead than
//! the whole budget takes to come back. So a budget that was not touched for a window needs no place at all.
//!
//! The table has [`SETS`] sets of [`WAYS`] places and holds no more, whoever calls. A key can lie in one set only; when
//! all places there are taken, the budget that is nearest to being whole again gives way and is forgotten. So a flood
//! from a million addresses, each with little to its account, pushes out its own, and not whoever has spent much.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::key::Key;
use super::rate::Rate;

/// Sets of places.
pub(super) const SETS: usize = 8192;
/// Places in a set.
pub(super) const WAYS: usize = 8;

const NANOS: u64 = 1_000_000_000;

/// One budget. Of no key at all when `whole_at` is 0.
#[derive(Clone, Copy)]
struct Place {
    key: Key,
    /// When the budget is whole again, in nanoseconds of the clock.
    whole_at: u64,
}

/// What is left of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many requests would be let through now.
    pub(super) remaining: u32,
    /// Seconds until the whole budget is there again, a part of one counted as one.
    pub(super) whole_in: u64,
}

/// A budget that does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent {
    /// Seconds until it would, a part of one counted as one.
    pub(super) retry_after: u64,
}

/// The budgets of all callers under one rate.
pub(super) struct Budgets {
    rate: Rate,
    sets: Box<[Mutex<[Place; WAYS]>]>,
}

impl Budgets {
    pub(super) fn new(rate: Rate) -> Self {
        let empty = Place {
            key: Key::NONE,
            whole_at: 0,
        };
        Self {
            rate,
            sets: (0..SETS).map(|_| Mutex::new([empty; WAYS])).collect(),
        }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// The most that a call can cost beyond itself. A dearer one is taken to cost this: it would never be let through,
    /// since its own request has been taken from the budget before it is known what the call holds.
    pub(super) fn dearest(&self) -> u32 {
        self.rate.requests().get() - 1
    }

    /// Takes `cost` from the budget of `key`, all or nothing.
    pub(super) fn take(&self, key: Key, cost: u32, now: Duration) -> Result<(), Spent> {
        let now = nanos(now);
        let per_request = self.rate.nanos_per_request();
        let all = self.rate.requests().get();
        let whole = u64::from(all) * per_request;
        self.within(key, |places| {
            let place = sought(places, key);
            let known = if place.key == key { place.whole_at } else { 0 };
            let whole_at = known.max(now) + u64::from(cost) * per_request;
            match whole_at.checked_sub(now + whole) {
                None | Some(0) => {
                    *place = Place { key, whole_at };
                    Ok(())
                }
                Some(short) => Err(Spent {
                    retry_after: short.div_ceil(NANOS),
                }),
            }
        })
        .unwrap_or(Ok(()))
    }

    /// Gives back what was taken for a request that was refused all the same.
    pub(super) fn give_back(&self, key: Key, cost: u32) {
        let back = u64::from(cost) * self.rate.nanos_per_request();
        self.within(key, |places| {
            if let Some(place) = places.iter_mut().find(|place| place.key == key) {
                place.whole_at = place.whole_at.saturating_sub(back);
            }
        });
    }

    /// What is left of the budget of `key`.
    pub(super) fn standing(&self, key: Key, now: Duration) -> Standing {
        let now = nanos(now);
        let spent = self
            .within(key, |places| {
                let place = places.iter().find(|place| place.key == key);
                place.map_or(0, |place| place.whole_at.saturating_sub(now))
            })
            .unwrap_or(0);
        let taken = spent.div_ceil(self.rate.nanos_per_request());
        let all = self.rate.requests().get();
        Standing {
            remaining: all.saturating_sub(u32::try_from(taken).unwrap_or(all)),
            whole_in: spent.div_ceil(NANOS),
        }
    }

    /// Lets `look` see the places where `key` may lie. There always are some, as there is more than one set.
    fn within<T>(&self, key: Key, look: impl FnOnce(&mut [Place; WAYS]) -> T) -> Option<T> {
        let set = self.sets.get(key.spread(self.sets.len()))?;
        // A panic while it was held leaves times that are good: each is written at once.
        let mut places = set.lock().unwrap_or_else(PoisonError::into_inner);
        Some(look(&mut places))
    }

    #[cfg(test)]
    pub(super) fn held(&self, now: Duration) -> usize {
        let live = |place: &&Place| place.whole_at > nanos(now);
        self.sets
            .iter()
            .map(|set| set.lock().unwrap().iter().filter(live).count())
            .sum()
    }
}

/// The place of `key`, or the one that it may have: empty ones, and those that are whole, come before all others.
fn sought(places: &mut [Place; WAYS], key: Key) -> &mut Place {
    let [first, others @ ..] = places;
    let mut best = first;
    for place in others {
        if best.key == key {
            break;
        }
        if place.key == key || place.whole_at < best.whole_at {
            best = place;
        }
    }
    best
}

fn nanos(time: Duration) -> u64 {
    // 584 years.
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budgets")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::thread;

    use super::*;
    use crate::rate_limit::key::KeyMaker;

    /// A key for each number.
    fn key(number: u32) -> Key {
        static KEYS: LazyLock<KeyMaker> = LazyLock::new(|| KeyMaker::new(&[7; 32]));
        KEYS.address(Ipv4Addr::from(number).into())
    }

    fn budgets(requests: u32, seconds: u64) -> Budgets {
        Budgets::new(Rate::new(requests, seconds).unwrap())
    }

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn let_through(budgets: &Budgets, key: Key, now: Duration) -> u32 {
        let mut number = 0;
        while budgets.take(key, 1, now).is_ok() {
            number += 1;
        }
        number
    }

    #[test]
    fn exactly_the_rates_number_is_let_through_at_once() {
        for (requests, seconds) in [(1, 1), (3, 1), (7, 10), (600, 10), (1_000, 86_400)] {
            let budgets = budgets(requests, seconds);
            assert_eq!(let_through(&budgets, key(1), at(5)), requests);
        }
    }

    #[test]
    fn what_was_spent_comes_back_evenly_and_never_beyond_the_whole() {
        let budgets = budgets(10, 10);
        assert_eq!(let_through(&budgets, key(1), at(0)), 10);
        assert_eq!(
            budgets.take(key(1), 1, at(999)),
            Err(Spent { retry_after: 1 })
        );
        assert_eq!(let_through(&budgets, key(1), at(1_000)), 1);
        assert_eq!(let_through(&budgets, key(1), at(4_500)), 3);
        assert_eq!(let_through(&budgets, key(1), at(5_000)), 1);
        assert_eq!(let_through(&budgets, key(1), at(1_000_000)), 10);
    }

    #[test]
    fn waiting_as_long_as_told_suffices_and_less_does_not() {
        let budgets = budgets(10, 60);
        assert_eq!(let_through(&budgets, key(1), at(0)), 10);
        let spent = budgets.take(key(1), 4, at(0)).unwrap_err();
        assert_eq!(spent.retry_after, 24);
        assert!(budgets.take(key(1), 4, at(23_999)).is_err());
        assert!(budgets.take(key(1), 4, at(24_000)).is_ok());
    }

    #[test]
    fn a_cost_is_taken_as_a_whole_or_not_at_all() {
        let budgets = budgets(10, 10);
        assert!(budgets.take(key(1), 7, at(0)).is_ok());
        assert!(budgets.take(key(1), 4, at(0)).is_err());
        assert_eq!(let_through(&budgets, key(1), at(0)), 3);
    }

    #[test]
    fn what_is_given_back_can_be_spent_again_and_no_more_than_that() {
        let budgets = budgets(10, 10);
        assert_eq!(let_through(&budgets, key(1), at(0)), 10);
        budgets.give_back(key(1), 4);
        assert_eq!(let_through(&budgets, key(1), at(0)), 4);
        budgets.give_back(key(2), 4);
        assert_eq!(let_through(&budgets, key(2), at(0)), 10);
    }

    #[test]
    fn the_standing_tells_what_would_be_let_through_and_when_all_is_back() {
        let budgets = budgets(10, 10);
        let standing = |millis| {
            let standing = budgets.standing(key(1), at(millis));
            (standing.remaining, standing.whole_in)
        };
        assert_eq!(standing(0), (10, 0));
        budgets.take(key(1), 3, at(0)).unwrap();
        assert_eq!(standing(0), (7, 3));
        assert_eq!(standing(500), (7, 3));
        assert_eq!(standing(1_000), (8, 2));
        assert_eq!(standing(3_000), (10, 0));
        assert_eq!(let_through(&budgets, key(1), at(500)), 7);
        assert_eq!(standing(500), (0, 10));
    }

    #[test]
    fn a_million_addresses_take_no_more_room_and_do_not_free_the_one_that_spent_all() {
        let budgets = budgets(100, 10);
        let heavy = key(u32::MAX);
        assert_eq!(let_through(&budgets, heavy, at(0)), 100);
        for number in 0..1_000_000 {
            assert!(budgets.take(key(number), 1, at(0)).is_ok());
        }
        assert!(budgets.held(at(0)) <= SETS * WAYS);
        // The flood found no empty place any more, so it did push out.
        assert!(budgets.held(at(0)) > SETS * WAYS * 9 / 10);
        assert!(budgets.take(heavy, 1, at(0)).is_err());
        // Nobody needs a place once the window is over.
        assert_eq!(budgets.held(at(10_000)), 0);
        assert_eq!(let_through(&budgets, heavy, at(10_000)), 100);
    }

    #[test]
    fn sixty_four_threads_at_once_are_let_through_exactly_as_often_as_one() {
        let budgets = budgets(1_000, 10);
        let passed = AtomicU32::new(0);
        thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        if budgets.take(key(1), 1, at(3)).is_ok() {
                            passed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 1_000);
    }
}
