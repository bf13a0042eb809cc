//! Waking those who follow: one loop in a process asks the database which tenants have news, however many
//! follow, and asks nothing while nobody does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grantor_domain::ids::TenantId;
use grantor_storage::{Database, changes};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

/// How long news may lie before a follower is woken.
const INTERVAL: Duration = Duration::from_millis(200);
/// How many may follow at once in one process.
const FOLLOWERS: usize = 512;
/// How many of them may be at the database at once. One change may wake all of them, and others ask it too.
const AT_ONCE: usize = 2;

/// Who follows what. Cheap to clone; clones are one.
#[derive(Clone)]
pub struct Watch(Arc<Inner>);

struct Inner {
    tenants: Mutex<HashMap<TenantId, watch::Sender<()>>>,
    /// Somebody began to follow.
    begun: Notify,
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    draining: watch::Sender<bool>,
}

/// One follower of one tenant.
pub struct Follower {
    /// Changes when the tenant has news.
    pub news: watch::Receiver<()>,
    /// Becomes true when the server is about to stop.
    pub draining: watch::Receiver<bool>,
    turns: Arc<Semaphore>,
    _place: OwnedSemaphorePermit,
}

impl Default for Watch {
    fn default() -> Self {
        Self(Arc::new(Inner {
            tenants: Mutex::default(),
            begun: Notify::new(),
            places: Arc::new(Semaphore::new(FOLLOWERS)),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            draining: watch::Sender::new(false),
        }))
    }
}

impl Follower {
    /// Waits for one's turn at the database. It lasts as long as the value.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.turns.clone().acquire_owned().await.ok()
    }
}

impl Watch {
    /// Begins to follow a tenant; nothing when too many do.
    pub fn follow(&self, tenant: TenantId) -> Option<Follower> {
        let place = self.0.places.clone().try_acquire_owned().ok()?;
        let news = self.tenants().entry(tenant).or_default().subscribe();
        self.0.begun.notify_one();
        Some(Follower {
            news,
            draining: self.0.draining.subscribe(),
            turns: self.0.turns.clone(),
            _place: place,
        })
    }

    /// Lets every follower come to an end: the server is about to stop.
    pub fn drain(&self) {
        self.0.draining.send_replace(true);
    }

    fn tenants(&self) -> std::sync::MutexGuard<'_, HashMap<TenantId, watch::Sender<()>>> {
        self.0
            .tenants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the tenants that nobody follows any more; tells whether anybody follows anything.
    fn is_followed(&self) -> bool {
        let mut tenants = self.tenants();
        tenants.retain(|_, news| news.receiver_count() > 0);
        !tenants.is_empty()
    }

    fn wake(&self, of: &[TenantId]) {
        let tenants = self.tenants();
        for tenant in of {
            if let Some(news) = tenants.get(tenant) {
                news.send_replace(());
            }
        }
    }

    fn wake_all(&self) {
        for news in self.tenants().values() {
            news.send_replace(());
        }
    }
}

/// Wakes followers for as long as it is polled.
pub async fn follow(database: Database, watch: Watch) {
    let mut seen = None;
    loop {
        if !watch.is_followed() {
            watch.0.begun.notified().await;
            // What happened while nobody looked is found by the follower itself.
            seen = None;
            continue;
        }
        match news(&database, seen).await {
            Ok((newest, tenants)) => {
                // Without a beginning it is not known who has news.
                match seen {
                    Some(_) => watch.wake(&tenants),
                    None => watch.wake_all(),
                }
                seen = Some(newest);
            }
            Err(error) => {
                log::warn!("the change feed can't be followed: {error}");
                // Followers that look for themselves find out that they must wait.
                seen = None;
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn news(
    database: &Database,
    seen: Option<i64>,
) -> Result<(i64, Vec<TenantId>), grantor_storage::StorageError> {
    match seen {
        Some(seen) => changes::heads_after(database, seen).await,
        None => Ok((changes::newest(database).await?, Vec::new())),
    }
}
