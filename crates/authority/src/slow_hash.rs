//! A queue for what is made slow on purpose: hashes of passwords and of secrets that somebody chose.
//!
//! Each takes a core for some 20 ms and 19 MiB, so a flood of them would take all of a machine. So no more run at once
//! than there are cores, no more wait than are served within a moment, and whoever comes then is told at once to come
//! again. They run on blocking threads: whoever asks for anything else doesn't wait for them. The memory of one is wiped and
//! kept for the next; that of those that run beside it is given back.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantor_keys::HashMemory;
use thiserror::Error;
use tokio::sync::Semaphore;

use crate::locked;

/// How many wait for each that runs: some half a second of work.
const WAITING_FOR_EACH: usize = 24;
/// How long anybody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(2);

/// How much is taken on at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowHashLimits {
    /// How many run at once; each has its memory.
    pub at_once: usize,
    /// How many may wait besides.
    pub waiting: usize,
    /// How long each of them waits.
    pub patience: Duration,
}

impl SlowHashLimits {
    /// What a machine with so many cores can do.
    pub fn for_cores(cores: usize) -> Self {
        let at_once = cores.max(1);
        Self {
            at_once,
            waiting: at_once.saturating_mul(WAITING_FOR_EACH),
            patience: PATIENCE,
        }
    }
}

/// Why something slow was not done; trying again later may help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotHashed {
    /// As many wait as may.
    #[error("too many passwords or secrets wait to be hashed")]
    Crowded,
    /// The wait for a turn was too long.
    #[error("a password or secret waited too long to be hashed")]
    Late,
    /// It ended without a result.
    #[error("the hashing of a password or secret broke off")]
    Broken,
}

/// The queue. Cheap to clone; all clones are one queue.
#[derive(Debug, Clone)]
pub struct SlowHash {
    /// One for each that runs.
    turns: Arc<Semaphore>,
    /// One for each that runs or waits.
    places: Arc<Semaphore>,
    patience: Duration,
    kept: Arc<Mutex<Option<HashMemory>>>,
}

impl SlowHash {
    /// A queue within these limits.
    pub fn new(limits: SlowHashLimits) -> Self {
        let at_once = limits.at_once.clamp(1, Semaphore::MAX_PERMITS / 2);
        let waiting = limits.waiting.min(Semaphore::MAX_PERMITS / 2);
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            places: Arc::new(Semaphore::new(at_once + waiting)),
            patience: limits.patience,
            kept: Arc::default(),
        }
    }

    /// Does something slow when its turn has come. Whoever goes away while waiting leaves no trace; what has begun ends,
    /// and counts until then.
    pub async fn run<T, F>(&self, work: F) -> Result<T, NotHashed>
    where
        T: Send + 'static,
        F: FnOnce(&mut HashMemory) -> T + Send + 'static,
    {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| NotHashed::Crowded)?;
        let turn = tokio::time::timeout(self.patience, self.turns.clone().acquire_owned());
        let turn = match turn.await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return Err(NotHashed::Broken),
            Err(_) => return Err(NotHashed::Late),
        };
        let kept = self.kept.clone();
        tokio::task::spawn_blocking(move || {
            // Both go with the work: a caller that gave up doesn't free what is still in use.
            let _held = (place, turn);
            let mut memory = locked(&kept).take().unwrap_or_default();
            let done = work(&mut memory);
            if memory.is_worth_keeping() {
                memory.wipe();
                *locked(&kept) = Some(memory);
            }
            done
        })
        .await
        .map_err(|_| NotHashed::Broken)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
    use tokio::task::JoinHandle;

    use super::*;

    /// Work that says when it begins, and goes on until it is let go.
    struct Works {
        queue: SlowHash,
        begun: UnboundedSender<()>,
        seen: UnboundedReceiver<()>,
        gate: Sender<()>,
        closed: Arc<Mutex<Receiver<()>>>,
        running: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }

    impl Works {
        fn new(at_once: usize, waiting: usize, patience: Duration) -> Self {
            let (begun, seen) = unbounded_channel();
            let (gate, closed) = channel();
            Self {
                queue: SlowHash::new(SlowHashLimits {
                    at_once,
                    waiting,
                    patience,
                }),
                begun,
                seen,
                gate,
                closed: Arc::new(Mutex::new(closed)),
                running: Arc::default(),
                most: Arc::default(),
            }
        }

        fn start(&self) -> JoinHandle<Result<(), NotHashed>> {
            let (queue, begun, closed) =
                (self.queue.clone(), self.begun.clone(), self.closed.clone());
            let (running, most) = (self.running.clone(), self.most.clone());
            tokio::spawn(async move {
                queue
                    .run(move |_| {
                        let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        begun.send(()).unwrap();
                        let gate = locked(&closed);
                        gate.recv().unwrap();
                        running.fetch_sub(1, Ordering::SeqCst);
                    })
                    .await
            })
        }

        async fn until_begun(&mut self, count: usize) {
            for _ in 0..count {
                self.seen.recv().await.unwrap();
            }
        }

        fn let_go(&self, count: usize) {
            for _ in 0..count {
                self.gate.send(()).unwrap();
            }
        }
    }

    const LONG: Duration = Duration::from_secs(600);

    #[tokio::test]
    async fn no_more_run_than_may_and_whoever_is_one_too_many_is_told_at_once() {
        let mut works = Works::new(3, 5, LONG);
        let all: Vec<_> = (0..8).map(|_| works.start()).collect();
        works.until_begun(3).await;
        for _ in 0..3 {
            assert_eq!(works.start().await.unwrap(), Err(NotHashed::Crowded));
        }
        works.let_go(8);
        for one in all {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert_eq!(works.most.load(Ordering::SeqCst), 3);
        // All places are free again.
        works.let_go(1);
        assert_eq!(works.start().await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_frees_its_place() {
        let mut works = Works::new(1, 1, LONG);
        let first = works.start();
        works.until_begun(1).await;
        let waiting = works.start();
        assert_eq!(works.start().await.unwrap(), Err(NotHashed::Crowded));
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        let next = works.start();
        works.let_go(2);
        assert_eq!(first.await.unwrap(), Ok(()));
        assert_eq!(next.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn what_has_begun_counts_until_it_ends_though_nobody_waits_for_it() {
        let mut works = Works::new(1, 0, LONG);
        let first = works.start();
        works.until_begun(1).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!(works.start().await.unwrap(), Err(NotHashed::Crowded));
        works.let_go(1);
        // Its place comes back when it has ended.
        let places = works.queue.places.clone();
        drop(places.acquire().await.unwrap());
        let next = works.start();
        works.let_go(1);
        assert_eq!(next.await.unwrap(), Ok(()));
        assert_eq!(works.most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn whoever_waits_too_long_is_told_and_frees_its_place() {
        let mut works = Works::new(1, 1, Duration::ZERO);
        let first = works.start();
        works.until_begun(1).await;
        assert_eq!(works.start().await.unwrap(), Err(NotHashed::Late));
        assert_eq!(works.start().await.unwrap(), Err(NotHashed::Late));
        works.let_go(1);
        assert_eq!(first.await.unwrap(), Ok(()));
    }

    #[tokio::test]
    async fn work_that_panics_frees_its_turn() {
        let queue = SlowHash::new(SlowHashLimits {
            at_once: 1,
            waiting: 0,
            patience: LONG,
        });
        let broken = queue.run(|_| panic!("on purpose")).await;
        assert_eq!(broken, Err(NotHashed::Broken));
        assert_eq!(queue.run(|_| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn the_memory_of_one_is_kept_and_of_those_beside_it_none() {
        let mut works = Works::new(3, 0, LONG);
        assert!(locked(&works.queue.kept).is_none());
        works.queue.run(|_| ()).await.unwrap();
        assert!(locked(&works.queue.kept).is_some());
        let all: Vec<_> = (0..3).map(|_| works.start()).collect();
        works.until_begun(3).await;
        assert!(locked(&works.queue.kept).is_none(), "one has it");
        works.let_go(3);
        for one in all {
            assert_eq!(one.await.unwrap(), Ok(()));
        }
        assert!(locked(&works.queue.kept).is_some());
    }

    #[test]
    fn a_machine_without_cores_has_one() {
        assert_eq!(SlowHashLimits::for_cores(0), SlowHashLimits::for_cores(1));
        assert_eq!(SlowHashLimits::for_cores(8).at_once, 8);
    }
}
