//! How many requests are let through in how long.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// No caller needs more in one window; beyond it a limit would protect nothing.
const MOST_REQUESTS: u32 = 1_000_000;

/// The longest window: a day.
const LONGEST_WINDOW: u64 = 86_400;

/// Why a rate was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// Not of the form `600/10s`.
    #[error("is not a number of requests per time such as 600/10s")]
    Malformed,
    /// No request at all, or more than would protect anything.
    #[error("lets through fewer than 1 or more than {MOST_REQUESTS} requests")]
    Requests,
    /// A window of no length, or of more than a day.
    #[error("has a window shorter than 1s or longer than 24h")]
    Window,
}

/// A number of requests in a window of time, written `600/10s`. As many may come at once, and they come back evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    requests: NonZeroU32,
    window: Duration,
}

impl Rate {
    /// `requests` (1 to 1,000,000) in `seconds` (1 to a day).
    pub fn new(requests: u32, seconds: u64) -> Result<Self, RateError> {
        let requests = NonZeroU32::new(requests)
            .filter(|requests| requests.get() <= MOST_REQUESTS)
            .ok_or(RateError::Requests)?;
        if !(1..=LONGEST_WINDOW).contains(&seconds) {
            return Err(RateError::Window);
        }
        Ok(Self {
            requests,
            window: Duration::from_secs(seconds),
        })
    }

    /// How many are let through.
    pub fn requests(self) -> NonZeroU32 {
        self.requests
    }

    /// In how long.
    pub fn window(self) -> Duration {
        self.window
    }

    /// The time in which one request comes back, in nanoseconds; rounded up, so that no window ever lets more through.
    pub(super) fn nanos_per_request(self) -> u64 {
        let window = u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        window.div_ceil(u64::from(self.requests.get()))
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let (requests, window) = text.split_once('/').ok_or(RateError::Malformed)?;
        let (count, unit) = [('s', 1), ('m', 60), ('h', 3600)]
            .into_iter()
            .find_map(|(letter, seconds)| Some((window.strip_suffix(letter)?, seconds)))
            .ok_or(RateError::Malformed)?;
        let requests = digits(requests)?.try_into();
        let seconds = digits(count)?.checked_mul(unit);
        Self::new(
            requests.map_err(|_| RateError::Requests)?,
            seconds.ok_or(RateError::Window)?,
        )
    }
}

/// A number without a sign. One that is too long to be held is too large for anything it could mean here.
fn digits(text: &str) -> Result<u64, RateError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(RateError::Malformed);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.requests, self.window.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_in_seconds_minutes_and_hours_and_shown_in_seconds() {
        for (written, shown) in [
            ("600/10s", "600/10s"),
            ("1/1s", "1/1s"),
            ("100/1m", "100/60s"),
            ("1000000/24h", "1000000/86400s"),
        ] {
            assert_eq!(written.parse::<Rate>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_rate_is_refused_and_says_why() {
        for (written, error) in [
            ("", RateError::Malformed),
            ("600", RateError::Malformed),
            ("600/10", RateError::Malformed),
            ("600/s", RateError::Malformed),
            ("/10s", RateError::Malformed),
            ("600/10d", RateError::Malformed),
            ("+600/10s", RateError::Malformed),
            ("-1/10s", RateError::Malformed),
            ("6.5/10s", RateError::Malformed),
            ("600/10s/2", RateError::Malformed),
            ("600 / 10s", RateError::Malformed),
            ("off", RateError::Malformed),
            ("0/10s", RateError::Requests),
            ("1000001/10s", RateError::Requests),
            ("99999999999999999999/10s", RateError::Requests),
            ("600/0s", RateError::Window),
            ("600/25h", RateError::Window),
            ("600/99999999999999999999h", RateError::Window),
        ] {
            assert_eq!(written.parse::<Rate>(), Err(error), "{written}");
        }
    }

    #[test]
    fn a_rate_that_does_not_divide_evenly_comes_back_slower_and_never_faster() {
        assert_eq!(Rate::new(3, 1).unwrap().nanos_per_request(), 333_333_334);
        assert_eq!(Rate::new(1000, 10).unwrap().nanos_per_request(), 10_000_000);
    }
}
