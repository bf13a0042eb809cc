//! What suspends: pauses, cuts and deletions of a tenant, a client or a member.
//!
//! A pause or a cut is one small row about its subject, and no token is ever written for it: a token is
//! looked at together with the rows of what it hangs on (`pause_2`, `pause_3`). Pauses by the tenant and
//! by an operator are apart, so that neither undoes the other's.

use chrono::{DateTime, Utc};

use crate::text::Reason;

/// A place in the change feed: what a decision rested on.
///
/// The epoch is random and renewed after a restore from a backup, for sequences then repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The installation's epoch.
    pub epoch: i64,
    /// The number of the last change seen.
    pub sequence: i64,
}

/// One party's pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub since: DateTime<Utc>,
    /// Why, as told to the owner.
    pub reason: Option<Reason>,
}

/// All that suspends one subject.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Suspension {
    /// Paused by somebody of the tenant.
    pub by_tenant: Option<Pause>,
    /// Paused by an operator.
    pub by_operator: Option<Pause>,
    /// Deleted, for good.
    pub deleted_at: Option<DateTime<Utc>>,
    /// What was decided before this position is dead. 0: nothing is.
    pub cut_below: i64,
}

impl Suspension {
    /// Whether the subject may do anything at all.
    pub fn is_suspended(&self) -> bool {
        self.by_tenant.is_some() || self.by_operator.is_some() || self.deleted_at.is_some()
    }

    /// Whether something that was decided at `position` is dead, for good. What is only paused wakes up again.
    pub fn ends(&self, position: Position) -> bool {
        self.deleted_at.is_some() || position.sequence < self.cut_below
    }

    /// Whether something that was decided at `position` is dead or sleeping.
    pub fn stops(&self, position: Position) -> bool {
        self.is_suspended() || position.sequence < self.cut_below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pause() -> Pause {
        Pause {
            since: DateTime::UNIX_EPOCH,
            reason: None,
        }
    }

    fn at(sequence: i64) -> Position {
        Position { epoch: 1, sequence }
    }

    #[test]
    fn pause_1_any_one_of_them_suspends() {
        assert!(!Suspension::default().is_suspended());
        assert!(
            Suspension {
                by_tenant: Some(pause()),
                ..Suspension::default()
            }
            .is_suspended()
        );
        assert!(
            Suspension {
                by_operator: Some(pause()),
                ..Suspension::default()
            }
            .is_suspended()
        );
        let deleted = Suspension {
            deleted_at: Some(DateTime::UNIX_EPOCH),
            ..Suspension::default()
        };
        assert!(deleted.is_suspended());
    }

    #[test]
    fn a_cut_kills_what_was_decided_before_it_and_nothing_after() {
        let cut = Suspension {
            cut_below: 10,
            ..Suspension::default()
        };
        assert!(cut.stops(at(0)));
        assert!(cut.stops(at(9)));
        assert!(
            !cut.stops(at(10)),
            "the decision had seen the change that cut"
        );
        assert!(!cut.stops(at(11)));
    }

    #[test]
    fn pause_3_a_pause_ends_nothing_but_a_cut_and_a_deletion_do() {
        let paused = Suspension {
            by_tenant: Some(pause()),
            cut_below: 10,
            ..Suspension::default()
        };
        assert!(paused.stops(at(10)) && !paused.ends(at(10)));
        assert!(paused.ends(at(9)), "a cut goes on below a pause");
        let deleted = Suspension {
            deleted_at: Some(DateTime::UNIX_EPOCH),
            ..Suspension::default()
        };
        assert!(deleted.ends(at(i64::MAX)));
    }
}
