//! How fast a client gets tokens: a bucket that holds a minute's worth and fills evenly (the generic cell rate algorithm).
//!
//! So as many as are allowed in a minute may come at once, after a minute without any, and from then on one after the
//! other as they are earned. All that is kept is one time.

use chrono::{DateTime, Utc};

/// A minute in microseconds.
const MINUTE: i64 = 60_000_000;

/// What a client has used of its rate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pace {
    /// When all that was issued is earned, in microseconds.
    earned_at: i64,
}

/// What one token took of the rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken(i64);

impl Pace {
    /// Takes room for one token, or tells in how many seconds there will be some.
    pub(super) fn take(&mut self, per_minute: u32, now: DateTime<Utc>) -> Result<Taken, u64> {
        let cost = MINUTE / i64::from(per_minute.clamp(1, 60_000_000));
        let now = now.timestamp_micros();
        // A clock that was set back shuts nobody out for longer than a minute, and a limit that was raised counts at once.
        let owed = self.earned_at.saturating_sub(now).clamp(0, MINUTE);
        self.earned_at = now.saturating_add(owed);
        let over = owed + cost - MINUTE;
        if over > 0 {
            return Err(u64::try_from(over).unwrap_or_default().div_ceil(1_000_000));
        }
        self.earned_at += cost;
        Ok(Taken(cost))
    }

    /// Gives back what was taken for a token that was not issued.
    pub(super) fn give_back(&mut self, taken: Taken) {
        self.earned_at = self.earned_at.saturating_sub(taken.0);
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn start() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn taken(pace: &mut Pace, per_minute: u32, at: DateTime<Utc>) -> usize {
        (0..1_000)
            .take_while(|_| pace.take(per_minute, at).is_ok())
            .count()
    }

    #[test]
    fn client_15_a_minutes_worth_comes_at_once_and_then_as_it_is_earned() {
        for per_minute in [1, 7, 60, 600] {
            let mut pace = Pace::default();
            let most = usize::try_from(per_minute).unwrap();
            assert_eq!(taken(&mut pace, per_minute, start()), most);
            let later = start() + TimeDelta::seconds(30);
            assert_eq!(taken(&mut pace, per_minute, later), most / 2);
            let much_later = start() + TimeDelta::days(1);
            assert_eq!(taken(&mut pace, per_minute, much_later), most);
        }
    }

    #[test]
    fn client_15_who_is_told_when_to_come_again_is_let_in_then_and_not_before() {
        for (per_minute, wait) in [(1, 60), (2, 30), (7, 9), (60, 1), (6_000, 1)] {
            let mut pace = Pace::default();
            let mut last = Ok(Taken(0));
            while last.is_ok() {
                last = pace.take(per_minute, start());
            }
            assert_eq!(last, Err(wait), "{per_minute}");
            let early = start() + TimeDelta::seconds(wait.cast_signed() - 1);
            assert!(pace.take(per_minute, early).is_err());
            let then = start() + TimeDelta::seconds(wait.cast_signed());
            assert!(pace.take(per_minute, then).is_ok());
        }
    }

    #[test]
    fn client_15_what_is_given_back_can_be_taken_again_and_no_more() {
        let mut pace = Pace::default();
        assert_eq!(taken(&mut pace, 9, start()), 9);
        pace.give_back(Taken(MINUTE / 9));
        assert_eq!(taken(&mut pace, 9, start()), 1);
    }

    #[test]
    fn client_15_a_changed_limit_counts_at_once() {
        let mut pace = Pace::default();
        assert_eq!(taken(&mut pace, 600, start()), 600);
        assert!(pace.take(600, start()).is_err());
        let soon = start() + TimeDelta::seconds(1);
        assert_eq!(taken(&mut pace, 6_000, soon), 100);
        let mut pace = Pace::default();
        assert_eq!(taken(&mut pace, 5, start()), 5);
        assert!(pace.take(3, start()).is_err());
    }

    #[test]
    fn client_15_a_clock_that_is_set_back_shuts_nobody_out_for_long() {
        let mut pace = Pace::default();
        assert_eq!(taken(&mut pace, 60, start()), 60);
        let back = start() - TimeDelta::days(365);
        assert_eq!(pace.take(60, back), Err(1));
        assert_eq!(taken(&mut pace, 60, back + TimeDelta::seconds(1)), 1);
        assert_eq!(taken(&mut pace, 60, back + TimeDelta::seconds(61)), 60);
    }
}
