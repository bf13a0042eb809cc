//! Loading what the directory lacks: whatever is asked for at the same time is loaded once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, RwLock};

use chrono::{DateTime, Utc};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_storage::{Database, StorageError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::entries::{self, ClientEntry, TenantEntry};
use super::shelf::Ticket;
use super::state::{State, write};
use crate::coalesce::{Batch, Coalescer, Limits};

/// How many batches of loads are under way.
const BATCHES: usize = 4;
/// How much is loaded at once: no more than leaves connections to those who need no load.
const AT_ONCE: usize = 6;

/// What is kept of whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Tenant(TenantId),
    Client(TenantId, ClientId),
}

/// What was loaded.
#[derive(Debug)]
pub(super) enum Entry {
    Tenant(Arc<TenantEntry>),
    Client(Arc<ClientEntry>),
}

/// The time of the last request: of secrets that had ended long before it nothing is kept. It may go back, for a clock may
/// have been ahead. It moves with nearly every request, so it stands beside the lock and not behind it.
#[derive(Clone, Default)]
pub(super) struct Latest(Arc<AtomicI64>);

impl Latest {
    pub(super) fn heed(&self, now: DateTime<Utc>) {
        self.0.store(now.timestamp_millis(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0.load(Ordering::Relaxed)).unwrap_or_default()
    }
}

/// Loads entries, each in a transaction of its tenant.
pub(super) struct Loading {
    database: Database,
    latest: Latest,
    state: Arc<RwLock<State>>,
    turns: Arc<Semaphore>,
}

impl Loading {
    /// A place for all who wait.
    pub(super) fn coalesced(
        database: &Database,
        latest: &Latest,
        state: &Arc<RwLock<State>>,
    ) -> Coalescer<Self> {
        let limits = Limits {
            batches: BATCHES,
            size: 64,
            waiting: 4_096,
            patience: database.deadline(),
        };
        let loading = Self {
            database: database.clone(),
            latest: latest.clone(),
            state: state.clone(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        };
        Coalescer::new(loading, limits)
    }
}

impl Batch for Loading {
    type Key = Key;
    type Answer = Entry;
    type Error = StorageError;

    async fn run(&self, keys: Vec<Key>) -> Result<HashMap<Key, Entry>, StorageError> {
        let mut loads = JoinSet::new();
        for key in keys {
            let (database, state) = (self.database.clone(), self.state.clone());
            let (turns, latest) = (self.turns.clone(), self.latest.get());
            loads.spawn(async move {
                let _turn = turns.acquire_owned().await;
                (key, load(&database, &state, key, latest).await)
            });
        }
        let mut loaded = HashMap::new();
        let mut failed = None;
        // All of them end, also beside one that fails, so that each gives its ticket back.
        while let Some(ended) = loads.join_next().await {
            match ended {
                Ok((key, Ok(Some(entry)))) => {
                    loaded.insert(key, entry);
                }
                Ok((_, Ok(None))) => {}
                Ok((_, Err(error))) => failed = Some(error),
                Err(error) => failed = Some(StorageError::Unavailable(error.to_string())),
            }
        }
        failed.map_or(Ok(loaded), Err)
    }

    /// What can't be read spoils nobody's decisions but those that rest on it.
    fn is_of_one_key(error: &StorageError) -> bool {
        !error.is_unavailable()
    }
}

async fn load(
    database: &Database,
    state: &RwLock<State>,
    key: Key,
    latest: DateTime<Utc>,
) -> Result<Option<Entry>, StorageError> {
    let ticket = {
        let mut state = write(state);
        match key {
            Key::Tenant(tenant) => state.tenants.ticket(tenant),
            Key::Client(tenant, client) => state.clients.ticket((tenant, client)),
        }
    };
    let loaded = match key {
        Key::Tenant(tenant) => entries::load_tenant(database, tenant)
            .await
            .map(|entry| entry.map(Arc::new).map(Entry::Tenant)),
        Key::Client(tenant, client) => entries::load_client(database, tenant, client, latest)
            .await
            .map(|entry| entry.map(Arc::new).map(Entry::Client)),
    };
    settle(
        state,
        key,
        ticket,
        loaded.as_ref().ok().and_then(Option::as_ref),
    );
    loaded
}

/// Puts what was loaded on the shelf, if its ticket is still good; gives the ticket back in any case.
fn settle(state: &RwLock<State>, key: Key, ticket: Ticket, loaded: Option<&Entry>) {
    let mut state = write(state);
    match key {
        Key::Tenant(tenant) => {
            let entry = match loaded {
                Some(Entry::Tenant(entry)) => Some(entry.clone()),
                _ => None,
            };
            if let Some(entry) = entry.as_ref().filter(|entry| entry.tenant.is_platform) {
                state.platform = Some(entry.tenant.id);
            }
            state.tenants.settle(tenant, ticket, entry);
        }
        Key::Client(tenant, client) => {
            let entry = match loaded {
                Some(Entry::Client(entry)) => Some(entry.clone()),
                _ => None,
            };
            state.clients.settle((tenant, client), ticket, entry);
        }
    }
}
