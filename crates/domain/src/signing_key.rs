//! Which signing key of a tenant signs, which are to be made, and how long each is published.
//!
//! Everything here serves one promise: a verifier that keeps a published set of keys for as long as it may never meets
//! a token that it can't verify. So the first set that is ever published has a key of every algorithm, a key that comes
//! later is published before it signs, and a key leaves after the last token that it signed is over. The keys of an
//! algorithm are a line of generations of their own, which knows nothing of those of another.

use chrono::{DateTime, TimeDelta, Utc};

use crate::lifetime::AccessTokenLifetime;
use crate::resource_server::SigningAlgorithm;

/// A key is told by its algorithm and its place in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName {
    /// What it signs with.
    pub algorithm: SigningAlgorithm,
    /// Counts up from 1 with each rotation.
    pub generation: i32,
}

/// A key, and when it does what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyTimes {
    /// Which one it is.
    pub name: KeyName,
    /// When it was made, and with that published.
    pub created_at: DateTime<Utc>,
    /// It signs from here on, until a newer one does.
    pub signs_from: DateTime<Utc>,
    /// From here on it is not published any more; not said while it is the newest.
    pub published_until: Option<DateTime<Utc>>,
}

impl KeyTimes {
    /// Whether it is published.
    pub fn is_published(&self, now: DateTime<Utc>) -> bool {
        self.published_until.is_none_or(|until| until > now)
    }

    /// Whether every verifier has it that may be shown a token now. A key that signs from its making on needed nobody
    /// to learn of it, so it does by a clock too that is behind the one by which it was made.
    fn may_sign(&self, now: DateTime<Utc>) -> bool {
        let at_once = self.signs_from <= self.created_at;
        self.is_published(now) && (at_once || self.signs_from <= now)
    }
}

/// The key that signs what is to be signed with an algorithm: of those that may, the newest. Where the algorithm has none
/// that may sign yet, that of the default does, or else any, which every verifier has; none, where there is no key at all.
pub fn signer(
    keys: impl IntoIterator<Item = KeyTimes>,
    asked: SigningAlgorithm,
    now: DateTime<Utc>,
) -> Option<KeyName> {
    let preferred = |name: &KeyName| match name.algorithm {
        algorithm if algorithm == asked => 2,
        algorithm if algorithm == SigningAlgorithm::default() => 1,
        _ => 0,
    };
    keys.into_iter()
        .filter(|key| key.may_sign(now))
        .map(|key| key.name)
        .max_by_key(|name| (preferred(name), name.generation))
}

/// A key that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewKey {
    /// Which one.
    pub name: KeyName,
    /// From when on it signs.
    pub signs_from: DateTime<Utc>,
}

/// The times that an installation keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySchedule {
    jwks_max_age: TimeDelta,
    rotation: Option<TimeDelta>,
}

/// What may lie between the clocks of two servers, each 2 s off PostgreSQL's at most, and between the time that a change
/// was begun at and its commit, which ends with the request.
const SLACK: TimeDelta = TimeDelta::seconds(15);

impl Default for KeySchedule {
    fn default() -> Self {
        Self::new(Self::DEFAULT_MAX_AGE, Some(Self::DEFAULT_ROTATION))
    }
}

impl KeySchedule {
    /// For how long verifiers may keep a set of keys, unless told otherwise.
    pub const DEFAULT_MAX_AGE: TimeDelta = TimeDelta::seconds(300);
    /// How old a key grows before it gets a successor, unless told otherwise.
    pub const DEFAULT_ROTATION: TimeDelta = TimeDelta::days(90);

    /// Keys that verifiers may keep for so long, and that get successors at such an age, if by themselves at all.
    pub fn new(jwks_max_age: TimeDelta, rotation: Option<TimeDelta>) -> Self {
        Self {
            jwks_max_age,
            rotation,
        }
    }

    /// For how long verifiers may keep a set of keys.
    pub fn jwks_max_age(&self) -> TimeDelta {
        self.jwks_max_age
    }

    /// Keys made until then are due for a successor.
    pub fn due_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        now.checked_sub_signed(self.rotation?)
    }

    /// For how long a key is published before it signs. The time of a cache is counted twice, because one may stand
    /// behind another and not ask how old what it got was.
    fn lead(&self) -> TimeDelta {
        self.jwks_max_age * 2 + SLACK
    }

    /// Until when a key is published whose successor signs from this time on: until the last token that it signed is
    /// over, and whoever verifies late has looked.
    pub fn old_published_until(&self, successor_signs_from: DateTime<Utc>) -> DateTime<Utc> {
        let longest = TimeDelta::seconds(i64::from(AccessTokenLifetime::LONGEST));
        successor_signs_from + longest + self.jwks_max_age.max(SLACK)
    }

    /// The first keys that are to be made of a tenant that has these, all that were ever made, and needs these
    /// algorithms. One that has none gets one of each algorithm, which sign at once: nobody can have been shown a set
    /// without them. An algorithm that comes later has its key published first.
    pub fn first_keys(
        &self,
        keys: &[KeyTimes],
        needed: impl IntoIterator<Item = SigningAlgorithm>,
        now: DateTime<Utc>,
    ) -> Vec<NewKey> {
        let first = |algorithm, signs_from| NewKey {
            name: KeyName {
                algorithm,
                generation: 1,
            },
            signs_from,
        };
        if keys.is_empty() {
            let all = SigningAlgorithm::ALL.into_iter();
            return all.map(|algorithm| first(algorithm, now)).collect();
        }
        let mut missing: Vec<_> = needed
            .into_iter()
            .filter(|needed| !keys.iter().any(|key| key.name.algorithm == *needed))
            .collect();
        missing.sort_unstable();
        missing.dedup();
        let later = now + self.lead();
        missing
            .into_iter()
            .map(|algorithm| first(algorithm, later))
            .collect()
    }

    /// The next key of each line whose newest was made at this time or before.
    pub fn next_keys(
        &self,
        keys: &[KeyTimes],
        made_until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Vec<NewKey> {
        let newest = SigningAlgorithm::ALL.into_iter().filter_map(|algorithm| {
            let line = keys.iter().filter(|key| key.name.algorithm == algorithm);
            line.max_by_key(|key| key.name.generation)
        });
        newest
            .filter(|key| key.created_at <= made_until)
            .map(|key| NewKey {
                name: KeyName {
                    generation: key.name.generation.saturating_add(1),
                    ..key.name
                },
                signs_from: now + self.lead(),
            })
            .collect()
    }
}

#[cfg(test)]
#[path = "signing_key_tests.rs"]
mod tests;
