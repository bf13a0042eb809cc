//! What decisions about clients rest on, kept in memory up to a place in the change feed.
//!
//! Nothing that is decided from here is final. A yes is confirmed by the statement that puts its token on record, or that
//! reads the token asked about: it looks in its own snapshot for changes after the decision's position. A no is confirmed
//! by loading anew what it rests on. So the directory may lag behind, and costs no exactness; it only has to keep three
//! promises, which the tests at its side hold it to:
//!
//! * *An entry reflects every change up to the position that was published when it was taken.* What a change touches is
//!   taken out before the change's number is published, both under one lock; whoever decides reads the position first and
//!   the entries then.
//! * *A load never brings back what a change has taken out.* It takes a ticket before its first statement begins; a change
//!   that touches its key voids the ticket, and what was loaded with it goes to those who asked and nowhere else.
//! * *Nobody is answered from a load that had begun before they asked.*

mod entries;
mod loading;
mod shelf;
mod state;

#[cfg(test)]
mod tests;

use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::suspension::Position;
use grantor_storage::feed_since::{self, Later, Since};
use grantor_storage::{Database, FlowTx, StorageError};

use crate::Failure;
use crate::coalesce::Coalescer;

pub(crate) use entries::{ClientEntry, TenantEntry};
use loading::{Entry, Key, Latest, Loading};
use shelf::Shelf;
use state::{State, read, write};

/// How many tenants are kept in memory.
const TENANTS: usize = 5_000;
/// How many clients are kept in memory.
const CLIENTS: usize = 50_000;

/// What a decision rests on, beside the token itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct RestsOn {
    /// What all clients of these tenants share. That of the platform always belongs to it.
    pub(crate) tenants: Vec<TenantId>,
    /// These clients.
    pub(crate) clients: Vec<(TenantId, ClientId)>,
}

/// What a decision is made from.
#[derive(Debug, Clone)]
pub(crate) struct Basis {
    /// Read before everything else, so that every change up to it has been seen.
    pub(crate) position: Position,
    /// The tenant, if there is one.
    pub(crate) tenant: Option<Arc<TenantEntry>>,
    /// The client, if there is one.
    pub(crate) client: Option<Arc<ClientEntry>>,
    /// Whether all of it was loaded since it was asked for: then a no that rests on it may be told.
    pub(crate) is_fresh: bool,
}

impl Basis {
    /// One that was loaded by itself. It can't be confirmed by what the feed says, as it has no place there.
    pub(crate) async fn load(
        database: &Database,
        tenant: TenantId,
        client: ClientId,
        now: DateTime<Utc>,
    ) -> Result<Self, StorageError> {
        let nowhere = Position {
            epoch: 0,
            sequence: 0,
        };
        Ok(Self {
            position: nowhere,
            tenant: entries::load_tenant(database, tenant).await?.map(Arc::new),
            client: entries::load_client(database, tenant, client, now)
                .await?
                .map(Arc::new),
            is_fresh: true,
        })
    }
}

/// The directory. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Directory {
    database: Database,
    latest: Latest,
    state: Arc<RwLock<State>>,
    loads: Coalescer<Loading>,
}

impl Directory {
    /// An empty one.
    pub(crate) fn new(database: &Database) -> Self {
        let state = Arc::new(RwLock::new(State {
            position: None,
            platform: None,
            caught_up: None,
            tenants: Shelf::new(TENANTS),
            clients: Shelf::new(CLIENTS),
        }));
        let latest = Latest::default();
        Self {
            loads: Loading::coalesced(database, &latest, &state),
            database: database.clone(),
            latest,
            state,
        }
    }

    /// What a decision about a client can be made from: out of memory if that has all of it, and else loaded. All is
    /// loaded where a part is missing, so that a client that isn't there costs what one does whose secret is wrong.
    pub(crate) async fn basis(
        &self,
        tenant: TenantId,
        client: ClientId,
        now: DateTime<Utc>,
    ) -> Result<Basis, Failure> {
        self.latest.heed(now);
        match self.remembered(tenant, client) {
            Some(basis) => Ok(basis),
            None => self.fresh(tenant, client, now).await,
        }
    }

    /// The same out of memory alone, if that has all of it.
    pub(crate) fn remembered(&self, tenant: TenantId, client: ClientId) -> Option<Basis> {
        let state = read(&self.state);
        Some(Basis {
            position: state.position?,
            tenant: Some(state.tenants.get(&tenant)?),
            client: Some(state.clients.get(&(tenant, client))?),
            is_fresh: false,
        })
    }

    /// The same, with all loaded anew.
    pub(crate) async fn fresh(
        &self,
        tenant: TenantId,
        client: ClientId,
        now: DateTime<Utc>,
    ) -> Result<Basis, Failure> {
        let position = self.position(now).await?;
        let (tenant, client) =
            tokio::try_join!(self.load_tenant(tenant), self.load_client(tenant, client))?;
        Ok(Basis {
            position,
            tenant,
            client,
            is_fresh: true,
        })
    }

    /// A tenant out of memory alone.
    pub(crate) fn remembered_tenant(&self, tenant: TenantId) -> Option<Arc<TenantEntry>> {
        read(&self.state).tenants.get(&tenant)
    }

    /// A tenant out of memory, or else loaded.
    pub(crate) async fn tenant(
        &self,
        tenant: TenantId,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<TenantEntry>>, Failure> {
        // Nothing is kept before it is known from where on it has to be followed.
        self.position(now).await?;
        let known = read(&self.state).tenants.get(&tenant);
        match known {
            Some(known) => Ok(Some(known)),
            None => self.load_tenant(tenant).await,
        }
    }

    /// A client out of memory, or else loaded. Whoever decides by it has read a position before.
    pub(crate) async fn client(
        &self,
        tenant: TenantId,
        client: ClientId,
    ) -> Result<Option<Arc<ClientEntry>>, Failure> {
        let known = read(&self.state).clients.get(&(tenant, client));
        match known {
            Some(known) => Ok(Some(known)),
            None => self.load_client(tenant, client).await,
        }
    }

    async fn load_tenant(&self, tenant: TenantId) -> Result<Option<Arc<TenantEntry>>, Failure> {
        Ok(match self.load(Key::Tenant(tenant)).await?.as_deref() {
            Some(Entry::Tenant(entry)) => Some(entry.clone()),
            _ => None,
        })
    }

    async fn load_client(
        &self,
        tenant: TenantId,
        client: ClientId,
    ) -> Result<Option<Arc<ClientEntry>>, Failure> {
        Ok(
            match self.load(Key::Client(tenant, client)).await?.as_deref() {
                Some(Entry::Client(entry)) => Some(entry.clone()),
                _ => None,
            },
        )
    }

    async fn load(&self, key: Key) -> Result<Option<Arc<Entry>>, Failure> {
        Ok(self.loads.ask(key).await?)
    }

    /// The place up to which changes are applied.
    async fn position(&self, now: DateTime<Utc>) -> Result<Position, Failure> {
        self.latest.heed(now);
        let known = read(&self.state).position;
        match known {
            Some(position) => Ok(position),
            None => self.catch_up().await,
        }
    }

    /// The tenant of the operators, if it is known already. It never changes.
    pub(crate) fn platform(&self) -> Option<TenantId> {
        read(&self.state).platform
    }

    /// Learns which it is.
    pub(crate) fn learn_platform(&self, platform: TenantId) {
        write(&self.state).platform = Some(platform);
    }

    /// Applies what has changed meanwhile, and tells up to where that is.
    pub(crate) async fn catch_up(&self) -> Result<Position, Failure> {
        let asked = Instant::now();
        let known = read(&self.state).position;
        let Some(after) = known else {
            let begin = self
                .database
                .flow(|tx: &mut FlowTx<'_>| feed_since::position(tx))
                .await?;
            return Ok(*write(&self.state).position.get_or_insert(begin));
        };
        let since = self
            .database
            .flow(move |tx: &mut FlowTx<'_>| feed_since::since(tx, after))
            .await?;
        self.apply(after, &since);
        let mut state = write(&self.state);
        state.caught_up = Some(asked);
        Ok(state.position.unwrap_or(after))
    }

    /// Sees to it that what is told out of memory alone is no older than this. Where PostgreSQL can't be asked, that is
    /// told instead of what may have been long ago.
    pub(crate) async fn no_older_than(&self, age: Duration) -> Result<(), Failure> {
        let caught_up = read(&self.state).caught_up;
        if caught_up.is_none_or(|at| at.elapsed() > age) {
            self.catch_up().await?;
        }
        Ok(())
    }

    /// Applies what has happened since a position.
    pub(crate) fn apply(&self, after: Position, since: &Since) {
        // Mostly nothing, or nothing new: that needs no lock that keeps others waiting.
        let is_news = {
            let state = read(&self.state);
            match since {
                Since::Changes(changes) => changes.last().is_some_and(|last| {
                    state.position.is_some_and(|at| at.sequence < last.sequence)
                }),
                Since::Unknown(now) => state.position != Some(*now),
            }
        };
        if is_news {
            write(&self.state).apply(after, since);
        }
    }

    /// Whether a decision at a position still holds after what has happened since.
    pub(crate) fn holds(&self, position: Position, rests_on: &RestsOn, since: &Since) -> bool {
        let Since::Changes(changes) = since else {
            return false;
        };
        let platform = read(&self.state).platform;
        changes
            .iter()
            .filter(|change| change.sequence > position.sequence)
            .all(|change| !rests_on.is_touched_by(change, platform))
    }
}

impl RestsOn {
    fn is_touched_by(&self, change: &Later, platform: Option<TenantId>) -> bool {
        let is_shared = change.shared
            && (self.tenants.contains(&change.tenant)
                || platform.is_none_or(|platform| platform == change.tenant));
        is_shared
            || self.clients.iter().any(|(tenant, client)| {
                *tenant == change.tenant && change.touched.contains(&client.uuid())
            })
    }
}
