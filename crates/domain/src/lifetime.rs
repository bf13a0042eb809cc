//! How long tokens live (`client_14`).

use thiserror::Error;

/// The lifetime of a client's access tokens, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessTokenLifetime(u32);

/// A lifetime outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be between {} and {} seconds",
    AccessTokenLifetime::SHORTEST,
    AccessTokenLifetime::LONGEST
)]
pub struct LifetimeError;

impl AccessTokenLifetime {
    /// One minute.
    pub const SHORTEST: u32 = 60;
    /// One day. Partitions of access tokens are made ahead for as long as this, and a week.
    pub const LONGEST: u32 = 24 * 60 * 60;
    /// One hour.
    pub const DEFAULT: Self = Self(60 * 60);
    /// What tokens are capped at for a resource server that verifies signatures alone (`pause_4`).
    pub const SIGNATURE_VERIFIED_CAP: Self = Self(600);

    /// Parses a number of seconds.
    pub fn from_seconds(seconds: i64) -> Result<Self, LifetimeError> {
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| (Self::SHORTEST..=Self::LONGEST).contains(seconds))
            .map(Self)
            .ok_or(LifetimeError)
    }

    /// The number of seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_14_access_token_lifetimes_have_bounds() {
        for good in [60, 61, 3_600, 86_400] {
            assert_eq!(
                i64::from(AccessTokenLifetime::from_seconds(good).unwrap().seconds()),
                good
            );
        }
        for bad in [-1, 0, 1, 59, 86_401, 1 << 31, i64::MAX, i64::MIN] {
            assert_eq!(
                AccessTokenLifetime::from_seconds(bad),
                Err(LifetimeError),
                "{bad}"
            );
        }
    }
}
