//! How long tokens live (`client_14`).

use thiserror::Error;

/// The lifetime of a client's access tokens, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccessTokenLifetime(u32);

/// The lifetime of a client's refresh tokens, in whole seconds, from the grant on: rotation does not prolong it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefreshTokenLifetime(u32);

/// A lifetime outside its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("must be between {shortest} and {longest} seconds")]
pub struct LifetimeError {
    /// The shortest that is allowed, in seconds.
    pub shortest: u32,
    /// The longest that is allowed, in seconds.
    pub longest: u32,
}

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
        within(seconds, Self::SHORTEST, Self::LONGEST).map(Self)
    }

    /// The number of seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

impl RefreshTokenLifetime {
    /// One hour.
    pub const SHORTEST: u32 = 60 * 60;
    /// 365 days.
    pub const LONGEST: u32 = 365 * 24 * 60 * 60;
    /// 30 days.
    pub const DEFAULT: Self = Self(30 * 24 * 60 * 60);

    /// Parses a number of seconds.
    pub fn from_seconds(seconds: i64) -> Result<Self, LifetimeError> {
        within(seconds, Self::SHORTEST, Self::LONGEST).map(Self)
    }

    /// The number of seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }
}

fn within(seconds: i64, shortest: u32, longest: u32) -> Result<u32, LifetimeError> {
    u32::try_from(seconds)
        .ok()
        .filter(|seconds| (shortest..=longest).contains(seconds))
        .ok_or(LifetimeError { shortest, longest })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_14_access_token_lifetimes_have_bounds() {
        for good in [60, 61, 3_600, 86_399, 86_400] {
            assert_eq!(
                i64::from(AccessTokenLifetime::from_seconds(good).unwrap().seconds()),
                good
            );
        }
        for bad in [-1, 0, 1, 59, 86_401, 1 << 31, 1 << 32, i64::MAX, i64::MIN] {
            let refusal = AccessTokenLifetime::from_seconds(bad).unwrap_err();
            let sentence = "must be between 60 and 86400 seconds";
            assert_eq!(refusal.to_string(), sentence, "{bad}");
        }
    }

    #[test]
    fn client_14_refresh_token_lifetimes_have_bounds() {
        assert_eq!(RefreshTokenLifetime::DEFAULT.seconds(), 2_592_000);
        for good in [3_600, 3_601, 2_592_000, 31_535_999, 31_536_000] {
            assert_eq!(
                i64::from(RefreshTokenLifetime::from_seconds(good).unwrap().seconds()),
                good
            );
        }
        // The last is the shortest lifetime, were it cut to 32 bits.
        for bad in [
            -1,
            0,
            3_599,
            31_536_001,
            1 << 31,
            i64::MAX,
            i64::MIN,
            (1 << 32) + 3_600,
        ] {
            let refusal = RefreshTokenLifetime::from_seconds(bad).unwrap_err();
            let sentence = "must be between 3600 and 31536000 seconds";
            assert_eq!(refusal.to_string(), sentence, "{bad}");
        }
    }
}
