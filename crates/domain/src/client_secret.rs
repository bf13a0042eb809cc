//! Secrets of confidential clients: their states, and which of them open the door.

use chrono::{DateTime, Utc};

use crate::ids::SecretId;

/// What is known of one secret; the verifier stays with storage and keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its id.
    pub id: SecretId,
    /// The first characters, by which people tell secrets apart.
    pub hint: String,
    /// Who made it, as the log of record names them.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked or rotated away.
    pub revoked_at: Option<DateTime<Utc>>,
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

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use uuid::Uuid;

    fn secret(
        expires_at: Option<DateTime<Utc>>,
        revoked_at: Option<DateTime<Utc>>,
    ) -> ClientSecret {
        ClientSecret {
            id: SecretId::from_uuid(Uuid::nil()),
            hint: "gsec_abcd".into(),
            created_by: "operator".into(),
            created_at: DateTime::UNIX_EPOCH,
            expires_at,
            revoked_at,
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
}
