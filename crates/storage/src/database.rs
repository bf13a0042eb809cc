//! The way to the database: pools, deadlines, and the running of transactions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use grantor_domain::audit::Origin;
use grantor_keys::Entropy;
use tokio::sync::Semaphore;

use crate::error::StorageError;
use crate::event_ids::EventIds;
use crate::link::{Link, Pool, pool};
use crate::standing;
use crate::transaction::{Change, ChangeTx, FlowTx, ReadTx, Scope};

/// How to reach the database.
#[derive(Debug)]
pub struct DatabaseOptions {
    /// Where it is, as a `postgresql://` address.
    pub url: String,
    /// How many connections may be open for ordinary work.
    pub pool_size: u32,
    /// How long a call may take in all, whatever PostgreSQL does.
    pub deadline: Duration,
    /// Where ids come from.
    pub entropy: Arc<dyn Entropy>,
}

/// How many connections are kept for revocation and health alone.
pub const RESERVED_CONNECTIONS: u32 = 3;
/// How long a call waits for its turn.
const CHECKOUT: Duration = Duration::from_secs(1);

/// The way to the database. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    lane: Arc<Lane>,
    reserved: Arc<Lane>,
    deadline: Duration,
    entropy: Arc<dyn Entropy>,
    event_ids: Arc<EventIds>,
    rehearsing: bool,
}

/// A pool, and as many permits as it has connections: who waits does so without holding a thread.
struct Lane {
    pool: Pool,
    permits: Arc<Semaphore>,
}

impl Lane {
    fn new(url: &str, size: u32, statement_timeout: Duration) -> Arc<Self> {
        Arc::new(Self {
            pool: pool(url, size, statement_timeout),
            permits: Arc::new(Semaphore::new(usize::try_from(size).unwrap_or(1))),
        })
    }
}

/// The role of the fast path.
const FAST: &str = "grantor_fast";

/// What stands before the statements of a transaction, sent together with its BEGIN.
fn opening(role: &str, tenant: Option<grantor_domain::ids::TenantId>, read_only: bool) -> String {
    let mode = if read_only { " READ ONLY" } else { "" };
    let mut sql = format!("BEGIN{mode}; SET LOCAL ROLE {role}");
    if let Some(tenant) = tenant {
        // A UUID's own letters: nothing that could end the literal.
        sql = format!("{sql}; SET LOCAL grantor.tenant = '{}'", tenant.uuid());
    }
    if role == FAST {
        // Its statements look things up by their keys, and planning them anew takes longer than that: with some
        // partitions of tokens that was four milliseconds against one. A plan that is kept must not walk through a
        // table because that was empty when the plan was made.
        sql.push_str(
            "; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off",
        );
    }
    sql
}

impl Database {
    /// Prepares the pools. No connection is made yet.
    pub fn new(options: DatabaseOptions) -> Self {
        let DatabaseOptions {
            url,
            pool_size,
            deadline,
            entropy,
        } = options;
        // The statement gives up before the call does, so that mostly PostgreSQL itself ends it.
        let statement_timeout = deadline.mul_f32(0.8);
        Self {
            lane: Lane::new(&url, pool_size, statement_timeout),
            reserved: Lane::new(&url, RESERVED_CONNECTIONS, statement_timeout),
            deadline,
            entropy,
            event_ids: Arc::default(),
            rehearsing: false,
        }
    }

    /// The same database by the connections that are kept for revocation and health.
    #[must_use]
    pub fn reserved(&self) -> Self {
        Self {
            lane: self.reserved.clone(),
            ..self.clone()
        }
    }

    /// The same database, by which changes are only rehearsed if `dry` says so: everything is done, the events
    /// and the place on the feed included, the result is returned, and then all of it is rolled back. What was
    /// refused is on record all the same.
    #[must_use]
    pub fn rehearsing(&self, dry: bool) -> Self {
        Self {
            rehearsing: dry,
            ..self.clone()
        }
    }

    /// How long a call may take in all.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The randomness that ids are made from.
    pub fn entropy(&self) -> &Arc<dyn Entropy> {
        &self.entropy
    }

    /// Reads.
    pub async fn read<T, E, F>(&self, scope: Scope, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: FnOnce(&mut ReadTx<'_>) -> Result<T, E> + Send + 'static,
    {
        let opening = opening(scope.role(), scope.tenant(), true);
        self.run(opening, move |link| {
            Ok(Ending::Commit(work(&mut ReadTx {
                connection: &mut link.connection,
            })?))
        })
        .await
    }

    /// Changes configuration. What the closure wrote is committed together with its events, or not at all. A
    /// tenant that is suspended takes no change of its own.
    ///
    /// A change that says nothing of what it did does not compile:
    ///
    /// ```compile_fail
    /// # use grantor_storage::*;
    /// # async fn f(database: Database, scope: Scope, origin: grantor_domain::audit::Origin, now: chrono::DateTime<chrono::Utc>) {
    /// let forgotten: Result<(), StorageError> = database.change(scope, origin, now, |_tx| Ok(())).await;
    /// # }
    /// ```
    ///
    /// ```
    /// # use grantor_storage::*;
    /// # async fn f(database: Database, scope: Scope, origin: grantor_domain::audit::Origin, now: chrono::DateTime<chrono::Utc>, event: grantor_domain::audit::Event) {
    /// let said: Result<(), StorageError> =
    ///     database.change(scope, origin, now, |_tx| Ok(Change::made((), event))).await;
    /// # }
    /// ```
    pub async fn change<T, E, F>(
        &self,
        scope: Scope,
        origin: Origin,
        now: DateTime<Utc>,
        work: F,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: FnOnce(&mut ChangeTx<'_>) -> Result<Change<T>, E> + Send + 'static,
    {
        let opening = opening(scope.role(), scope.tenant(), false);
        let (entropy, event_ids) = (self.entropy.clone(), self.event_ids.clone());
        let rehearsing = self.rehearsing;
        self.run(opening, move |link| {
            if let Scope::Tenant(tenant) = scope {
                standing::enter(&mut link.connection, tenant, &origin.actor)?;
            }
            let mut tx = ChangeTx::new(
                &mut link.connection,
                now,
                origin,
                entropy.as_ref(),
                &event_ids,
                rehearsing,
            );
            match work(&mut tx)? {
                Change::Made(result, events) => {
                    tx.record(&events)?;
                    if !rehearsing {
                        return Ok(Ending::Commit(result));
                    }
                    // What COMMIT would do, where the change could still fail. Sent as one: the lock of the change
                    // feed must not wait for a server that was stopped in between.
                    link.connection
                        .batch_execute("SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK")
                        .map_err(StorageError::from)?;
                    Ok(Ending::Ended(result))
                }
                Change::Refused(result, events) => {
                    if let Some(tenant) = tx.touches() {
                        return Err(StorageError::RefusedAndTouched { tenant }.into());
                    }
                    tx.record(&events)?;
                    Ok(Ending::Commit(result))
                }
                Change::Nothing(result) => Ok(Ending::RollBack(result)),
                Change::Untouched(result) => {
                    if let Some(tenant) = tx.touches() {
                        return Err(StorageError::Unsaid { tenant }.into());
                    }
                    Ok(if rehearsing {
                        Ending::RollBack(result)
                    } else {
                        Ending::Commit(result)
                    })
                }
            }
        })
        .await
    }

    /// Writes tokens.
    pub async fn flow<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: FnOnce(&mut FlowTx<'_>) -> Result<T, E> + Send + 'static,
    {
        self.run(opening(FAST, None, false), move |link| {
            Ok(Ending::Commit(work(&mut FlowTx {
                connection: &mut link.connection,
            })?))
        })
        .await
    }

    /// Runs what the installation itself needs, over all tenants: no configuration and no token, so neither a
    /// change nor a flow.
    pub(crate) async fn bookkeeping<T, F>(&self, work: F) -> Result<T, StorageError>
    where
        T: Send + 'static,
        F: FnOnce(&mut PgConnection) -> Result<T, StorageError> + Send + 'static,
    {
        self.run(opening("grantor_platform", None, false), move |link| {
            Ok(Ending::Commit(work(&mut link.connection)?))
        })
        .await
    }

    async fn run<T, E, F>(&self, opening: String, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StorageError> + Send + 'static,
        F: FnOnce(&mut Link) -> Result<Ending<T>, E> + Send + 'static,
    {
        let busy = |what: &str| E::from(StorageError::Unavailable(what.to_owned()));
        let until = Instant::now() + self.deadline;
        let permits = self.lane.permits.clone();
        // A short deadline counts here too: the wait for a turn is part of the call.
        let turn = CHECKOUT.min(self.deadline);
        let waited = tokio::time::timeout(turn, permits.acquire_owned()).await;
        let Ok(Ok(permit)) = waited else {
            return Err(busy("every connection is busy"));
        };
        let lane = self.lane.clone();
        let job = tokio::task::spawn_blocking(move || {
            // The permit goes with the job: a caller that gave up doesn't free a connection still in use.
            let _permit = permit;
            run_blocking(&lane.pool, &opening, until, work)
        });
        match tokio::time::timeout_at(until.into(), job).await {
            Ok(Ok(result)) => result,
            Ok(Err(panic)) => {
                log::error!("work on the database panicked: {panic}");
                Err(busy("the work on the database failed"))
            }
            Err(_) => Err(busy("the database did not answer in time")),
        }
    }
}

enum Ending<T> {
    Commit(T),
    RollBack(T),
    /// It has ended already.
    Ended(T),
}

fn run_blocking<T, E: From<StorageError>>(
    pool: &Pool,
    opening: &str,
    until: Instant,
    work: impl FnOnce(&mut Link) -> Result<Ending<T>, E>,
) -> Result<T, E> {
    let mut link = begin(pool, opening, until)?;
    let result = work(&mut link);
    let ending = match result {
        Ok(Ending::Commit(value)) if Instant::now() < until => {
            // In a transaction that has failed COMMIT would quietly roll back; a statement before it says so.
            return match link.connection.batch_execute("SELECT 1; COMMIT") {
                Ok(()) => Ok(value),
                Err(error) => {
                    // Whether the commit took place is not known: whoever asked is told to try again.
                    link.broken = true;
                    Err(StorageError::from(error).into())
                }
            };
        }
        // The caller has gone: what it was not told must not take effect.
        Ok(Ending::Commit(_)) => {
            Err(StorageError::Unavailable("the work took too long".into()).into())
        }
        Ok(Ending::Ended(value)) => return Ok(value),
        Ok(Ending::RollBack(value)) => Ok(value),
        Err(error) => Err(error),
    };
    if link.connection.batch_execute("ROLLBACK").is_err() {
        link.broken = true;
    }
    ending
}

/// Opens a transaction on a connection that works. After PostgreSQL was away, every pooled connection is
/// dead: each is dropped as it turns up, until one works or the time is over.
fn begin(
    pool: &Pool,
    opening: &str,
    until: Instant,
) -> Result<r2d2::PooledConnection<crate::link::LinkMaker>, StorageError> {
    loop {
        let left = until
            .saturating_duration_since(Instant::now())
            .min(CHECKOUT);
        let mut link = pool
            .get_timeout(left)
            .map_err(|error| StorageError::Unavailable(format!("no connection: {error}")))?;
        match link.connection.batch_execute(opening) {
            Ok(()) if Instant::now() < until => return Ok(link),
            // PostgreSQL was stopped meanwhile, and the caller has gone: nothing is begun for it any more.
            Ok(()) => {
                link.broken = link.connection.batch_execute("ROLLBACK").is_err();
                let late = "the database did not answer in time".to_owned();
                return Err(StorageError::Unavailable(late));
            }
            Err(error) => {
                link.broken = true;
                let error = StorageError::from(error);
                if !error.is_unavailable() || Instant::now() >= until {
                    return Err(error);
                }
            }
        }
    }
}
