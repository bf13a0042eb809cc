//! Refusals of those who don't prove who they are leave on a beat.
//!
//! Whether a client exists must not be told by how long its refusal takes (`secret_4`): one that is unknown has other work
//! done than one that is known, and another part of it out of memory. So whoever is refused for that is told so at a whole
//! number of beats after they asked. Mostly that is the first.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::{Failure, Refusal};

/// Longer than a refusal takes when all is well, and nothing to those who only made a mistake.
const BEAT: Duration = Duration::from_millis(25);

/// Does what was asked; a refusal for want of proof waits for its beat.
pub(crate) async fn on_the_beat<T>(
    work: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    let begun = Instant::now();
    let done = work.await;
    if let Err(
        Refusal::Unauthenticated(_)
        | Refusal::Unconfirmed { .. }
        | Refusal::Failed(Failure::NotHashed(_)),
    ) = &done
    {
        tokio::time::sleep(rest_of_the_beat(begun.elapsed())).await;
    }
    done
}

fn rest_of_the_beat(elapsed: Duration) -> Duration {
    let (elapsed, beat) = (elapsed.as_nanos(), BEAT.as_nanos());
    let over = elapsed % beat;
    let rest = u64::try_from(beat - over).unwrap_or_default();
    Duration::from_nanos(rest)
}

#[cfg(test)]
mod tests {
    use grantor_domain::authentication::AuthenticationFailure;

    use super::*;
    use crate::NotHashed;

    #[test]
    fn the_rest_leads_to_the_next_whole_beat() {
        for (elapsed, whole) in [
            (0, 25),
            (1, 25),
            (24, 25),
            (25, 50),
            (26, 50),
            (1_001, 1_025),
        ] {
            let elapsed = Duration::from_millis(elapsed);
            let left = elapsed + rest_of_the_beat(elapsed);
            assert_eq!(left, Duration::from_millis(whole));
        }
    }

    #[tokio::test]
    async fn secret_4_nobody_hears_from_the_time_of_a_refusal_whether_a_client_exists() {
        let unproved = || Err(AuthenticationFailure::Unproved.into());
        let spent = || {
            Err(Refusal::Unconfirmed {
                retry_after: Duration::from_secs(1),
            })
        };
        let crowded = || Err(Failure::from(NotHashed::Crowded).into());
        for refused in [unproved(), spent(), crowded()] {
            let begun = Instant::now();
            let refused: Result<(), Refusal> = on_the_beat(async { refused }).await;
            assert!(refused.is_err());
            assert!(begun.elapsed() >= BEAT);
        }
        // Whoever has what they asked for, or is known, does not wait.
        for told in [Ok(()), Err(Refusal::NoSuchTenant)] {
            let at_once = tokio::time::timeout(Duration::ZERO, on_the_beat(async { told })).await;
            assert!(at_once.is_ok());
        }
    }
}
