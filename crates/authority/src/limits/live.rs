//! How many live tokens a client has: the last count, and what this server has issued since.
//!
//! Nothing is counted on the way to a token but when the last count is old, or when so much was issued since that it says
//! little any more. While a client is near its limit or at it, that is after a second or some, so that what expires and
//! what is removed makes room by then; the more tokens there are to count, the longer.

use chrono::{DateTime, TimeDelta, Utc};
use grantor_storage::client_limits::{Tally, looked_at};

/// How long a count is good when it is far from the limit.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(60);
/// For how many tokens counted the next count waits another second: counting them takes some hundredths of that.
const COUNTED_IN_A_SECOND: i64 = 50_000;
/// Which part of the room may be used before it is counted again: of so many servers, all together may use the room.
const PART: i64 = 8;

/// What is known of a client's tokens.
#[derive(Debug, Default)]
pub(super) struct Live {
    counted: Option<Counted>,
    /// Tokens that are being issued: whether a count sees them is not known.
    under_way: i64,
    /// How often room was taken, ever.
    taken: i64,
}

#[derive(Debug)]
struct Counted {
    tally: Tally,
    /// For which limit.
    most: u32,
    at: DateTime<Utc>,
    /// What was issued since, or was under way then.
    since: i64,
}

/// Whether there is room for a further token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is, and it is taken.
    Taken,
    /// It must be counted first.
    Uncounted,
    /// There is none; in so many seconds it is counted again.
    Full(u64),
}

/// What was under way when a count began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    under_way: i64,
    taken: i64,
}

impl Live {
    /// Takes room for one token.
    pub(super) fn take(&mut self, most: u32, now: DateTime<Utc>) -> Room {
        let Some(counted) = &mut self.counted else {
            return Room::Uncounted;
        };
        let (live, kept) = (counted.tally.live, counted.tally.kept);
        let age = now - counted.at;
        let pause = TimeDelta::seconds(1 + kept / COUNTED_IN_A_SECOND);
        let limit = i64::from(most);
        // A count that ended early says nothing of a higher limit; and a clock that was set back says nothing at all.
        let is_short = most > counted.most && kept >= looked_at(counted.most);
        if is_short || age < -GOOD_FOR {
            return Room::Uncounted;
        }
        let is_full = live + counted.since >= limit || kept + counted.since >= looked_at(most);
        let says_little = age > GOOD_FOR || counted.since * PART > limit - live;
        if (is_full || says_little) && age >= pause {
            return Room::Uncounted;
        }
        if is_full {
            let left = (pause - age).num_milliseconds().max(1);
            return Room::Full(u64::try_from(left).unwrap_or_default().div_ceil(1_000));
        }
        counted.since += 1;
        self.under_way += 1;
        self.taken += 1;
        Room::Taken
    }

    /// A token for which room was taken is on record.
    pub(super) fn issued(&mut self) {
        self.under_way -= 1;
    }

    /// A token for which room was taken was not issued.
    pub(super) fn give_back(&mut self) {
        self.under_way -= 1;
        if let Some(counted) = &mut self.counted {
            counted.since = (counted.since - 1).max(0);
        }
    }

    /// A count begins.
    pub(super) fn begin(&self) -> Begun {
        Begun {
            under_way: self.under_way,
            taken: self.taken,
        }
    }

    /// A count has ended. What was under way when it began, or began since, may not be in it, and is added.
    pub(super) fn counted(&mut self, begun: Begun, tally: Tally, most: u32, at: DateTime<Utc>) {
        self.counted = Some(Counted {
            tally,
            most,
            at,
            since: begun.under_way + self.taken - begun.taken,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
    }

    fn tally(live: i64) -> Tally {
        Tally {
            live,
            kept: live,
            recent: 0,
        }
    }

    fn live(count: i64, most: u32) -> Live {
        let mut live = Live::default();
        live.counted(live.begin(), tally(count), most, at(0));
        live
    }

    #[test]
    fn client_15_nothing_is_taken_before_it_was_counted() {
        assert_eq!(Live::default().take(10, at(0)), Room::Uncounted);
    }

    #[test]
    fn client_15_the_last_one_allowed_is_let_through_and_the_next_is_not() {
        let mut live = live(7, 10);
        for _ in 0..3 {
            assert_eq!(live.take(10, at(0)), Room::Taken);
        }
        assert_eq!(live.take(10, at(0)), Room::Full(1));
        assert_eq!(live.take(10, at(999)), Room::Full(1));
        // What expired or was removed meanwhile makes room after a second.
        assert_eq!(live.take(10, at(1_000)), Room::Uncounted);
    }

    #[test]
    fn client_15_far_from_the_limit_a_count_is_good_for_a_minute() {
        let mut live = live(100, 1_000);
        assert_eq!(live.take(1_000, at(59_999)), Room::Taken);
        assert_eq!(live.take(1_000, at(60_001)), Room::Uncounted);
    }

    #[test]
    fn client_15_when_much_was_issued_since_it_is_counted_again() {
        let mut live = live(200, 1_000);
        let taken = (0..1_000)
            .take_while(|_| live.take(1_000, at(1_000)) == Room::Taken)
            .count();
        assert_eq!(
            taken, 101,
            "an eighth of the room, and the one that used it up"
        );
        assert_eq!(live.take(1_000, at(1_000)), Room::Uncounted);
        // But not more often than each second: till then there is room.
        assert_eq!(live.take(1_000, at(900)), Room::Taken);
    }

    #[test]
    fn client_15_what_is_under_way_counts_whether_or_not_the_count_saw_it() {
        let mut live = live(0, 10);
        for _ in 0..4 {
            assert_eq!(live.take(10, at(0)), Room::Taken);
        }
        live.issued();
        let begun = live.begin();
        live.issued();
        assert_eq!(live.take(10, at(0)), Room::Taken);
        // One is surely in it, three were under way, and one began meanwhile.
        live.counted(begun, tally(1), 10, at(1));
        let taken = (0..20)
            .take_while(|_| live.take(10, at(1)) == Room::Taken)
            .count();
        assert_eq!(taken, 5);
        live.give_back();
        assert_eq!(live.take(10, at(1)), Room::Taken);
        assert_eq!(live.take(10, at(1)), Room::Full(1));
    }

    #[test]
    fn client_15_what_was_removed_takes_room_until_it_expires_but_four_times_as_much() {
        let mut live = Live::default();
        let removed = Tally {
            live: 0,
            kept: looked_at(10),
            recent: 0,
        };
        live.counted(live.begin(), removed, 10, at(0));
        assert_eq!(live.take(10, at(0)), Room::Full(1));
        // A higher limit has more room, and what was counted for a lower one does not tell how much.
        assert_eq!(live.take(11, at(0)), Room::Uncounted);
    }

    #[test]
    fn client_15_the_more_there_is_to_count_the_longer_it_waits() {
        let mut live = live(100_000, 100_000);
        assert_eq!(live.take(100_000, at(0)), Room::Full(3));
        assert_eq!(live.take(100_000, at(2_500)), Room::Full(1));
        assert_eq!(live.take(100_000, at(3_000)), Room::Uncounted);
    }

    #[test]
    fn client_15_a_limit_that_was_lowered_counts_at_once() {
        let mut live = live(50, 100);
        assert_eq!(live.take(100, at(0)), Room::Taken);
        assert_eq!(live.take(50, at(0)), Room::Full(1));
        assert_eq!(live.take(100, at(0)), Room::Taken);
        assert_eq!(live.take(100, at(-61_000)), Room::Uncounted);
    }
}
