//! Reads of tokens that are asked about: those that wait are answered by one look, which also tells what has changed
//! since the decisions about who asks.

use std::collections::HashMap;
use std::sync::Arc;

use grantor_domain::suspension::Position;
use grantor_storage::callers::{self, CallerRecord, TokenKey};
use grantor_storage::feed_since::{self, Since};
use grantor_storage::{Database, StorageError};

use crate::Failure;
use crate::coalesce::{Batch, Coalescer, Limits};
use crate::directory::Directory;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    /// The token, if what was presented leads to one.
    token: Option<TokenKey>,
    /// Up to where the asker's own decisions have seen the feed.
    position: Position,
}

/// What PostgreSQL says, after the question was asked.
#[derive(Debug)]
pub(crate) struct Looked {
    /// The token as it stands on record, with what it hangs on.
    pub(crate) record: Option<Arc<CallerRecord>>,
    /// What has happened since a position that is not above the asker's.
    pub(crate) since: Arc<Since>,
}

/// Reads tokens. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct TokenReads(Coalescer<Reading>);

impl TokenReads {
    pub(crate) fn new(database: &Database, directory: &Directory) -> Self {
        let limits = Limits {
            batches: 2,
            size: 256,
            waiting: 4_096,
            patience: database.deadline(),
        };
        let reading = Reading {
            database: database.clone(),
            directory: directory.clone(),
        };
        Self(Coalescer::new(reading, limits))
    }

    /// Looks a token up, and what has happened since a position.
    pub(crate) async fn look(
        &self,
        token: Option<TokenKey>,
        position: Position,
    ) -> Result<Arc<Looked>, Failure> {
        let looked = self.0.ask(Question { token, position }).await?;
        looked.ok_or(Failure::Impossible("a question was left out of its read"))
    }
}

struct Reading {
    database: Database,
    directory: Directory,
}

impl Batch for Reading {
    type Key = Question;
    type Answer = Looked;
    type Error = StorageError;

    async fn run(
        &self,
        questions: Vec<Question>,
    ) -> Result<HashMap<Question, Looked>, StorageError> {
        let mut keys: Vec<TokenKey> = questions.iter().filter_map(|asked| asked.token).collect();
        keys.sort_unstable();
        keys.dedup();
        // Of several epochs one at most is that of the installation; who comes from another one decides anew.
        let Some(lowest) = questions.iter().map(|asked| asked.position).min() else {
            return Ok(HashMap::new());
        };
        let (records, since) = self
            .database
            .flow(move |tx| {
                // The tokens first. What hasn't changed up to the later statement was so at the earlier one as well.
                let records = callers::find(tx, &keys)?;
                let since = feed_since::since(tx, lowest)?;
                Ok::<_, StorageError>((records, since))
            })
            .await?;
        self.directory.apply(lowest, &since);
        let since = Arc::new(since);
        let records: HashMap<TokenKey, Arc<CallerRecord>> = records
            .into_iter()
            .map(|(key, record)| (key, Arc::new(record)))
            .collect();
        Ok(questions
            .into_iter()
            .map(|asked| {
                let known = asked.position.epoch == lowest.epoch;
                let looked = Looked {
                    record: asked.token.and_then(|key| records.get(&key).cloned()),
                    since: if known {
                        since.clone()
                    } else {
                        Arc::new(Since::Unknown(lowest))
                    },
                };
                (asked, looked)
            })
            .collect())
    }

    /// A row that can't be read spoils nobody's but its own token's check.
    fn is_of_one_key(error: &StorageError) -> bool {
        matches!(error, StorageError::Corrupt { .. })
    }
}
