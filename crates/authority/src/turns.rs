//! So many at a time: for work that nobody had to prove anything for, and that must not take all connections from others.

use std::sync::Arc;
use std::time::Duration;

use grantor_storage::StorageError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long somebody waits for a turn before they are told to try again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Turns. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Turns {
    turns: Arc<Semaphore>,
    patience: Duration,
}

impl Turns {
    /// So many at a time.
    pub(crate) fn new(at_once: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            patience: PATIENCE,
        }
    }

    /// Waits for a turn. It ends with the value.
    pub(crate) async fn turn(&self) -> Result<OwnedSemaphorePermit, StorageError> {
        let turn = tokio::time::timeout(self.patience, self.turns.clone().acquire_owned()).await;
        if let Ok(Ok(turn)) = turn {
            return Ok(turn);
        }
        let why = "too many ask for the same at once";
        Err(StorageError::Unavailable(why.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_all_turns_taken_waits_for_a_while_and_is_told() {
        let turns = Turns {
            patience: Duration::from_millis(20),
            ..Turns::new(2)
        };
        let one = turns.turn().await.unwrap();
        let _other = turns.clone().turn().await.unwrap();
        assert!(turns.turn().await.unwrap_err().is_unavailable());
        let waiting = turns.turn();
        drop(one);
        assert!(waiting.await.is_ok());
    }
}
