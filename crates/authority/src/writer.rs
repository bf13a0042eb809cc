//! The token writer: what waits to go on record is written by one statement and committed at once.
//!
//! A token leaves when its commit has returned, and never before. The statement writes no token whose decision does not
//! hold any more; whoever waits for it is told so, and decides anew on a directory that has caught up by then.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use grantor_storage::feed_since::Since;
use grantor_storage::token_writing::{self, ProposedToken};
use grantor_storage::user_agents::{self, UserAgent};
use grantor_storage::{Database, StorageError};

use crate::coalesce::{Batch, Coalescer, Limits, Unanswered};
use crate::directory::Directory;
use crate::{Failure, locked};

/// What became of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is on record, for good.
    OnRecord,
    /// It is not: what it rests on has changed.
    Outdated,
}

/// Puts tokens on record. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct TokenWriter(Coalescer<Writing>);

impl TokenWriter {
    pub(crate) fn new(database: &Database, directory: &Directory) -> Self {
        let limits = Limits {
            // While one is being committed the next is gathered and sent.
            batches: 2,
            size: 512,
            waiting: 4_096,
            patience: database.deadline(),
        };
        let writing = Writing {
            database: database.clone(),
            directory: directory.clone(),
            programs: Programs::default(),
        };
        Self(Coalescer::new(writing, limits))
    }

    /// Puts a token on record, if what it rests on is still so.
    pub(crate) async fn write(&self, proposed: ProposedToken) -> Result<Outcome, NotWritten> {
        let outcome = self.0.ask(Waiting(Arc::new(proposed))).await;
        let outcome = outcome.map_err(|unanswered| NotWritten {
            for_certain: match &unanswered {
                Unanswered::Crowded => true,
                // Whether a commit took place that nothing was heard of is not known.
                Unanswered::Failed(error) => !error.is_unavailable(),
                Unanswered::Late | Unanswered::Broken => false,
            },
            why: unanswered.into(),
        })?;
        outcome.as_deref().copied().ok_or(NotWritten {
            for_certain: false,
            why: Failure::Impossible("a token was written without an outcome"),
        })
    }
}

/// Why a token can't leave.
pub(crate) struct NotWritten {
    /// Why.
    pub(crate) why: Failure,
    /// Whether it is certain that it is not on record.
    pub(crate) for_certain: bool,
}

/// One that waits to be written. It is told from others by the token's id.
#[derive(Debug, Clone)]
struct Waiting(Arc<ProposedToken>);

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.0.token.id == other.0.token.id
    }
}
impl Eq for Waiting {}
impl Hash for Waiting {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.token.id.hash(state);
    }
}

/// So many names of programs are remembered as being on record.
const PROGRAMS: usize = 20_000;

/// The names of programs that are on record. That one was forgotten costs a statement.
#[derive(Default)]
struct Programs(Mutex<HashSet<UserAgent>>);

impl Programs {
    /// Those that these tokens need and that are not known to be on record.
    fn missing(&self, proposed: &[Arc<ProposedToken>]) -> Vec<UserAgent> {
        let known = locked(&self.0);
        let named = proposed.iter().filter_map(|each| each.user_agent.as_ref());
        let missing = named.filter(|name| !known.contains(name));
        missing.cloned().collect()
    }

    /// Learns that these are on record, in a database about which so much is known.
    fn are_on_record(&self, names: Vec<UserAgent>, since: &Since) {
        let begins_anew = matches!(since, Since::Unknown(_));
        if names.is_empty() && !begins_anew {
            return;
        }
        let mut known = locked(&self.0);
        // It may have come from a backup, which lacks what was put on record after it.
        if begins_anew {
            known.clear();
        }
        // Those of yesterday go this way too.
        if known.len() + names.len() > PROGRAMS {
            known.clear();
        }
        known.extend(names);
    }
}

struct Writing {
    database: Database,
    directory: Directory,
    programs: Programs,
}

impl Batch for Writing {
    type Key = Waiting;
    type Answer = Outcome;
    type Error = StorageError;

    async fn run(&self, waiting: Vec<Waiting>) -> Result<HashMap<Waiting, Outcome>, StorageError> {
        let proposed: Vec<Arc<ProposedToken>> =
            waiting.iter().map(|waiting| waiting.0.clone()).collect();
        let missing = self.programs.missing(&proposed);
        let (written, put) = self
            .database
            .flow(move |tx| {
                if !missing.is_empty() {
                    user_agents::put(tx, &missing)?;
                }
                Ok::<_, StorageError>((token_writing::write(tx, &proposed)?, missing))
            })
            .await?;
        self.programs.are_on_record(put, &written.since);
        // Before anybody is told, so that whoever decides anew does so on what has been applied.
        self.directory.apply(written.after, &written.since);
        Ok(waiting
            .into_iter()
            .map(|waiting| {
                let outcome = if written.ids.contains(&waiting.0.token.id) {
                    Outcome::OnRecord
                } else {
                    Outcome::Outdated
                };
                (waiting, outcome)
            })
            .collect())
    }

    /// A token that can't be written keeps no other one back. Whether a batch took place whose commit had no answer is
    /// not known: all who wait for it are told to try again.
    fn is_of_one_key(error: &StorageError) -> bool {
        error.may_be_of_one_row()
    }
}
