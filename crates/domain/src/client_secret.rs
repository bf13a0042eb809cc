//! Secrets of confidential clients: their states, and which of them open the door.

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use crate::ids::{MemberId, SecretId};
use crate::ownership::RotationDue;

/// The most secrets of one client that are live at once (`secret_3`).
pub const MOST_LIVE: usize = 5;

/// Where a secret comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretOrigin {
    /// We made it, of 256 random bits.
    Generated,
    /// Somebody chose it.
    Chosen,
}

impl SecretOrigin {
    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Chosen => "chosen",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Generated, Self::Chosen]
            .into_iter()
            .find(|one| one.as_str() == text)
    }
}

/// What is known of one secret; the verifier stays with storage and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its id.
    pub id: SecretId,
    /// Where it comes from.
    pub origin: SecretOrigin,
    /// The first characters, by which people tell secrets apart; of one that somebody chose, none.
    pub hint: String,
    /// Who made it, as the log of record names them.
    pub created_by: String,
    /// The member who made it, if it was one: they have seen it.
    pub created_by_member: Option<MemberId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked or rotated away.
    pub revoked_at: Option<DateTime<Utc>>,
    /// That it ought to be replaced, where that stands with the secret itself.
    pub due: Option<RotationDue>,
}

/// The state of a secret at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// Opens the door.
    Live,
    /// Its time is over.
    Expired,
    /// Revoked, or rotated away.
    Revoked,
}

impl ClientSecret {
    /// The state at `now`. A secret that ends at this very moment has ended.
    pub fn state(&self, now: DateTime<Utc>) -> SecretState {
        if self.revoked_at.is_some() {
            SecretState::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            SecretState::Expired
        } else {
            SecretState::Live
        }
    }
}

/// For how long an old secret goes on working beside a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grace(u32);

/// A grace outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be between 0 and {} seconds", Grace::LONGEST)]
pub struct GraceError;

impl Grace {
    /// 30 days.
    pub const LONGEST: u32 = 30 * 24 * 60 * 60;

    /// Parses a number of seconds; 0 is none at all.
    pub fn from_seconds(seconds: i64) -> Result<Self, GraceError> {
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| *seconds <= Self::LONGEST)
            .map(Self)
            .ok_or(GraceError)
    }

    /// When it is over that begins at `now`; nothing when there is none.
    pub fn end(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        (self.0 > 0).then(|| now + TimeDelta::seconds(i64::from(self.0)))
    }
}

/// An expiry that a secret can't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExpiryError {
    /// Now or before.
    #[error("must lie in the future")]
    Past,
    /// So far that it is a mistake.
    #[error(
        "must lie within the next ten years; leave it out for a secret that does not end by itself"
    )]
    TooFar,
}

/// Whether a secret that is made at `now` may end then.
pub fn check_expiry(end: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), ExpiryError> {
    if end <= now {
        return Err(ExpiryError::Past);
    }
    if end > now + TimeDelta::days(3_653) {
        return Err(ExpiryError::TooFar);
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use uuid::Uuid;

    pub(crate) fn secret(
        expires_at: Option<DateTime<Utc>>,
        revoked_at: Option<DateTime<Utc>>,
    ) -> ClientSecret {
        ClientSecret {
            id: SecretId::from_uuid(Uuid::nil()),
            origin: SecretOrigin::Generated,
            hint: "gsec_abcd".into(),
            created_by: "operator".into(),
            created_by_member: None,
            created_at: DateTime::UNIX_EPOCH,
            expires_at,
            revoked_at,
            due: None,
        }
    }

    #[test]
    fn secret_3_a_revoked_secret_is_dead_whatever_its_expiry() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
        assert_eq!(secret(None, None).state(now), SecretState::Live);
        assert_eq!(secret(None, Some(now)).state(now), SecretState::Revoked);
        assert_eq!(
            secret(Some(now), Some(now)).state(now),
            SecretState::Revoked
        );
    }

    #[test]
    fn secret_3_an_expiry_date_is_kept_to_the_microsecond() {
        let end = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
        let moment = TimeDelta::microseconds(1);
        assert_eq!(
            secret(Some(end), None).state(end - moment),
            SecretState::Live
        );
        assert_eq!(secret(Some(end), None).state(end), SecretState::Expired);
    }

    #[test]
    fn secret_3_a_grace_has_bounds_and_none_ends_at_once() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(Grace::from_seconds(0).unwrap().end(now), None);
        let most = i64::from(Grace::LONGEST);
        let end = Grace::from_seconds(most).unwrap().end(now);
        assert_eq!(end, Some(now + TimeDelta::days(30)));
        for bad in [-1, most + 1, 1 << 31, 1 << 32, i64::MAX, i64::MIN] {
            assert_eq!(Grace::from_seconds(bad), Err(GraceError), "{bad}");
        }
    }

    #[test]
    fn secret_3_an_expiry_lies_ahead_and_not_out_of_sight() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(check_expiry(now, now), Err(ExpiryError::Past));
        assert_eq!(check_expiry(now + TimeDelta::microseconds(1), now), Ok(()));
        assert_eq!(check_expiry(now + TimeDelta::days(3_653), now), Ok(()));
        let beyond = now + TimeDelta::days(3_654);
        assert_eq!(check_expiry(beyond, now), Err(ExpiryError::TooFar));
    }
}
