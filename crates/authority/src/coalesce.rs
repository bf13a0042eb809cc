//! Answers what many ask at once by few batches, none of which had begun when a question in it arrived.
//!
//! What is waiting is taken as one batch. What arrives while a batch runs waits for the next, for an answer
//! that was read before a question arrived could miss a change that the asker knows of. No question waits
//! for company either: when there is room for another batch, it begins with whatever is there.
//!
//! Batches run on a thread of the coalescer's own. The workers of an HTTP server each have a runtime that
//! may end at any time, and a batch must not end with the worker that happened to begin it. The thread
//! starts with the first question, and ends when the last handle is dropped.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{JoinError, JoinSet};

use crate::locked;

/// How questions are answered.
pub(crate) trait Batch: Send + Sync + 'static {
    /// What is asked about.
    type Key: Clone + Eq + Hash + Send + 'static;
    /// What is told of a key.
    type Answer: Send + Sync + 'static;
    /// Why nothing can be told.
    type Error: Send + Sync + 'static;

    /// Answers for all the keys, each of which is there once. A key that is left out has no answer.
    fn run(
        &self,
        keys: Vec<Self::Key>,
    ) -> impl Future<Output = Result<HashMap<Self::Key, Self::Answer>, Self::Error>> + Send;

    /// Whether one key alone can be the cause, so that the others should be tried without it.
    fn is_of_one_key(error: &Self::Error) -> bool;
}

/// How much is taken on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How many batches run at once.
    pub(crate) batches: usize,
    /// How many questions a batch answers at most.
    pub(crate) size: usize,
    /// How many questions may wait for a batch.
    pub(crate) waiting: usize,
    /// How long a question waits for its answer in all.
    pub(crate) patience: Duration,
}

/// Why a question got no answer.
#[derive(Debug, Error)]
pub(crate) enum Unanswered<E> {
    /// The batch failed, for all who were in it.
    #[error("the batch failed")]
    Failed(Arc<E>),
    /// Too many wait already.
    #[error("too many wait for the same already")]
    Crowded,
    /// The time was over first.
    #[error("no answer came in time")]
    Late,
    /// The batch ended without an answer, or could not be begun.
    #[error("the batch broke off")]
    Broken,
}

/// What one question is told.
type Answered<B> = Result<Option<Arc<<B as Batch>::Answer>>, Arc<<B as Batch>::Error>>;
/// What a batch came to, for all its keys.
type Outcome<B> =
    Result<HashMap<<B as Batch>::Key, <B as Batch>::Answer>, Arc<<B as Batch>::Error>>;
/// Who asked about each key.
type Askers<B> = HashMap<<B as Batch>::Key, Vec<oneshot::Sender<Answered<B>>>>;

/// A question that waits for its batch.
struct Waiting<B: Batch> {
    key: B::Key,
    asker: oneshot::Sender<Answered<B>>,
}

/// Takes questions. Cheap to clone; all clones are one.
pub(crate) struct Coalescer<B: Batch>(Arc<Shared<B>>);

struct Shared<B: Batch> {
    batch: Arc<B>,
    limits: Limits,
    /// Where questions go, once there was one.
    arrivals: Mutex<Option<mpsc::Sender<Waiting<B>>>>,
}

impl<B: Batch> Clone for Coalescer<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<B: Batch> Coalescer<B> {
    /// Prepares to answer. No thread is started yet.
    pub(crate) fn new(batch: B, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            batch: Arc::new(batch),
            limits,
            arrivals: Mutex::new(None),
        }))
    }

    /// Asks about a key. The answer is of a batch that began after this call.
    pub(crate) async fn ask(
        &self,
        key: B::Key,
    ) -> Result<Option<Arc<B::Answer>>, Unanswered<B::Error>> {
        let (asker, answer) = oneshot::channel();
        self.0.queue(Waiting { key, asker })?;
        match tokio::time::timeout(self.0.limits.patience, answer).await {
            Ok(Ok(answered)) => answered.map_err(Unanswered::Failed),
            Ok(Err(_)) => Err(Unanswered::Broken),
            Err(_) => Err(Unanswered::Late),
        }
    }
}

impl<B: Batch> Shared<B> {
    fn queue(&self, question: Waiting<B>) -> Result<(), Unanswered<B::Error>> {
        let mut arrivals = locked(&self.arrivals);
        let open = arrivals.take().filter(|arrivals| !arrivals.is_closed());
        let open = match open {
            Some(open) => open,
            None => start(self.batch.clone(), self.limits).map_err(|error| {
                log::error!("no thread could be started for batches: {error}");
                Unanswered::Broken
            })?,
        };
        arrivals
            .insert(open)
            .try_send(question)
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => Unanswered::Crowded,
                mpsc::error::TrySendError::Closed(_) => Unanswered::Broken,
            })
    }
}

/// Starts the thread that answers, for as long as somebody can send to it.
fn start<B: Batch>(batch: Arc<B>, limits: Limits) -> std::io::Result<mpsc::Sender<Waiting<B>>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (sender, arrivals) = mpsc::channel(limits.waiting.max(1));
    std::thread::Builder::new()
        .name("grantor-batches".to_owned())
        .spawn(move || {
            runtime.block_on(answer_all(batch, limits, arrivals));
            // A blocking job that nobody waits for any more keeps nobody from going.
            runtime.shutdown_background();
        })?;
    Ok(sender)
}

/// Begins a batch whenever something waits and there is room for one.
async fn answer_all<B: Batch>(
    batch: Arc<B>,
    limits: Limits,
    mut arrivals: mpsc::Receiver<Waiting<B>>,
) {
    let (batches, size) = (limits.batches.max(1), limits.size.max(1));
    let mut running = JoinSet::new();
    loop {
        let mut taken = Vec::new();
        tokio::select! {
            Some(ended) = running.join_next() => note(ended),
            count = arrivals.recv_many(&mut taken, size), if running.len() < batches => {
                if count == 0 {
                    break;
                }
                running.spawn(answer(batch.clone(), taken));
            }
        }
    }
    // Nobody is left who could wait for what still runs: it goes with the set.
}

/// Whoever was in a batch that panicked has been told by then: what would have answered is gone.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        log::error!("a batch broke off: {error}");
    }
}

/// Answers a batch: as a whole, or by halves where one key alone may be what fails.
async fn answer<B: Batch>(batch: Arc<B>, taken: Vec<Waiting<B>>) {
    let mut askers: Askers<B> = HashMap::new();
    for Waiting { key, asker } in taken {
        // Whoever went away meanwhile is not asked for.
        if !asker.is_closed() {
            askers.entry(key).or_default().push(asker);
        }
    }
    let mut parts: Vec<Vec<B::Key>> = vec![askers.keys().cloned().collect()];
    while let Some(mut keys) = parts.pop() {
        if keys.is_empty() {
            continue;
        }
        let outcome = match batch.run(keys.clone()).await {
            Ok(answers) => Ok(answers),
            Err(error) if keys.len() > 1 && B::is_of_one_key(&error) => {
                parts.push(keys.split_off(keys.len() / 2));
                parts.push(keys);
                continue;
            }
            Err(error) => Err(Arc::new(error)),
        };
        tell::<B>(&mut askers, keys, outcome);
    }
}

/// Tells everybody who asked about these keys.
fn tell<B: Batch>(askers: &mut Askers<B>, keys: Vec<B::Key>, mut outcome: Outcome<B>) {
    for key in keys {
        let answer = match &mut outcome {
            Ok(answers) => Ok(answers.remove(&key).map(Arc::new)),
            Err(error) => Err(error.clone()),
        };
        for asker in askers.remove(&key).into_iter().flatten() {
            // Who is not there any more needs no answer.
            let _ = asker.send(answer.clone());
        }
    }
}

#[cfg(test)]
#[path = "coalesce_tests.rs"]
mod tests;
