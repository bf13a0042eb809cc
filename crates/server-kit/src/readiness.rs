//! Whether a server should be sent requests.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::task::JoinSet;

/// How long a check may take before it counts as failed.
pub const CHECK_LIMIT: Duration = Duration::from_secs(2);

/// A future in a box.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

type Check = Arc<dyn Fn() -> BoxFuture<Result<(), String>> + Send + Sync>;

/// The checks that make a server ready, and whether it is draining. Cheap to clone; clones are one.
#[derive(Clone, Default)]
pub struct Readiness(Arc<Inner>);

#[derive(Default)]
struct Inner {
    draining: AtomicBool,
    checks: RwLock<Vec<(&'static str, Check)>>,
}

impl Readiness {
    /// Ready until a check says otherwise.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, which answers with the reason why the server is not ready.
    pub fn register<F, R>(&self, name: &'static str, check: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), String>> + Send + 'static,
    {
        let check: Check = Arc::new(move || Box::pin(check()));
        let mut checks = self
            .0
            .checks
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        checks.push((name, check));
    }

    /// From now on the server is not ready, for good: it is about to stop.
    pub fn set_draining(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    /// Whether the server is about to stop.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    /// Why the server is not ready, sorted; nothing when it is. All checks run at once, each for at most [`CHECK_LIMIT`].
    pub async fn reasons(&self) -> Vec<String> {
        if self.is_draining() {
            return vec!["draining".to_owned()];
        }
        let checks = self
            .0
            .checks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut running = JoinSet::new();
        for (name, check) in checks {
            // The check is called inside its task, so that one which panics is a failed one.
            running.spawn(async move {
                let checked =
                    tokio::spawn(async move { tokio::time::timeout(CHECK_LIMIT, check()).await });
                match checked.await {
                    Ok(Ok(Ok(()))) => None,
                    Ok(Ok(Err(reason))) => Some(format!("{name}: {reason}")),
                    Ok(Err(_)) => Some(format!(
                        "{name}: no answer within {} s",
                        CHECK_LIMIT.as_secs()
                    )),
                    Err(_) => Some(format!("{name}: the check itself failed")),
                }
            });
        }
        let mut reasons: Vec<_> = running.join_all().await.into_iter().flatten().collect();
        reasons.sort();
        reasons
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    #[tokio::test]
    async fn without_checks_a_server_is_ready_until_it_drains() {
        let readiness = Readiness::new();
        assert!(readiness.reasons().await.is_empty());
        readiness.clone().set_draining();
        assert_eq!(readiness.reasons().await, ["draining"]);
    }

    #[tokio::test]
    async fn a_check_is_asked_anew_each_time() {
        let up = Arc::new(AtomicBool::new(true));
        let seen = Arc::clone(&up);
        let readiness = Readiness::new();
        readiness.register("database", move || {
            let up = seen.load(Ordering::SeqCst);
            async move {
                if up {
                    Ok(())
                } else {
                    Err("unreachable".to_owned())
                }
            }
        });
        assert!(readiness.reasons().await.is_empty());
        up.store(false, Ordering::SeqCst);
        assert_eq!(readiness.reasons().await, ["database: unreachable"]);
        up.store(true, Ordering::SeqCst);
        assert!(readiness.reasons().await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn checks_that_hang_cost_two_seconds_together() {
        let readiness = Readiness::new();
        readiness.register("feed", pending);
        readiness.register("database", pending);
        readiness.register("clock", || ready(Ok(())));
        let began = tokio::time::Instant::now();
        assert_eq!(
            readiness.reasons().await,
            [
                "database: no answer within 2 s",
                "feed: no answer within 2 s"
            ]
        );
        assert!(began.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_check_that_panics_is_a_failed_one() {
        let readiness = Readiness::new();
        readiness.register("broken", || async { panic!("as the test wants") });
        assert_eq!(
            readiness.reasons().await,
            ["broken: the check itself failed"]
        );
    }
}
