//! Waiting for what gives no notice (another process's files, sockets and end), with a deadline.

use std::thread;
use std::time::{Duration, Instant};

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// Looks again and again until `look` has an answer; `None` when the limit has passed without one.
pub(crate) fn until<T, E>(
    limit: Duration,
    mut look: impl FnMut() -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    let start = Instant::now();
    loop {
        if let Some(answer) = look()? {
            return Ok(Some(answer));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        thread::park_timeout(BETWEEN_LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn looks_once_more_than_never_and_gives_up() {
        let mut looks = 0;
        let answer = until(Duration::ZERO, || {
            looks += 1;
            Ok::<Option<()>, Infallible>(None)
        });
        assert_eq!((answer, looks), (Ok(None), 1));
    }

    #[test]
    fn stops_at_the_first_answer_and_at_the_first_error() {
        let mut looks = 0;
        let answer = until(Duration::from_secs(60), || {
            looks += 1;
            Ok::<_, Infallible>((looks == 3).then_some(looks))
        });
        assert_eq!(answer, Ok(Some(3)));
        assert_eq!(
            until(Duration::from_secs(60), || Err::<Option<()>, _>("no")),
            Err("no")
        );
    }
}
