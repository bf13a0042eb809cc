//! What a server stands on: a database that is fit, the installation's master key, partitions that are
//! kept, and readiness that tells when any of it gives way.
//!
//! Everything that must hold before the first request is checked here, and each failure is a sentence that
//! says the mend.

pub mod program;

use std::convert::Infallible;
use std::future::Future;
use std::num::NonZero;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use grantor_authority::{Authority, Failure, SlowHashLimits};
use grantor_domain::signing_key::KeySchedule;
use grantor_keys::{Entropy, Keyring, MasterKey, MasterKeyError, OpenError as Unsealing};
use grantor_server_kit::config::{SenderError, names};
use grantor_server_kit::{
    Clock, CommonSettings, HttpServerOptions, Metrics, Readiness, RequestIdMaker,
};
use grantor_storage::installation::{self, UnfitDatabase};
use grantor_storage::{Database, DatabaseOptions, ReadTx, Scope, StorageError, partitions};
use thiserror::Error;

/// Farther than this the clocks of a server and of PostgreSQL must not be apart.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(2);
/// How often it is written when clients and their secrets were used, and how often they failed.
const WRITING_INTERVAL: Duration = Duration::from_secs(2);
/// How often partitions are made ahead and dropped behind.
const KEEPING_INTERVAL: Duration = Duration::from_secs(60);

/// Why a server does not start.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A setting that is demanded is missing.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// The database is not fit to serve.
    #[error(transparent)]
    Unfit(#[from] UnfitDatabase),
    /// A master key is not one.
    #[error("{name}: {source}")]
    MasterKey {
        /// The setting.
        name: &'static str,
        /// What is wrong.
        source: MasterKeyError,
    },
    /// The master key is not the installation's.
    #[error(
        "GRANTOR_MASTER_KEY is not the key of this installation: what is stored is sealed under {sealed_under}, \
         and the key given is {given}; set the right one, or name the old one in GRANTOR_PREVIOUS_MASTER_KEYS"
    )]
    WrongMasterKey {
        /// What the stored value is sealed under.
        sealed_under: String,
        /// The id of the key that was given.
        given: String,
    },
    /// There is no installation in the database yet.
    #[error("the installation is not bootstrapped; run `grantor bootstrap` once")]
    NotBootstrapped,
    /// Mails can't be sent as the settings say.
    #[error("mails can't be sent: {0}")]
    Mail(#[from] SenderError),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Makes the keyring out of the settings.
pub fn keyring(settings: &CommonSettings) -> Result<Keyring, OpenError> {
    let parse = |name: &'static str, text: &str| {
        MasterKey::parse(text).map_err(|source| OpenError::MasterKey { name, source })
    };
    let current = settings
        .master_key
        .as_ref()
        .ok_or(OpenError::Missing(names::MASTER_KEY.env))?;
    let current = parse(names::MASTER_KEY.env, current.expose())?;
    let previous = settings
        .previous_master_keys
        .iter()
        .map(|text| parse(names::PREVIOUS_MASTER_KEYS.env, text.expose()))
        .collect::<Result<_, _>>()?;
    Ok(Keyring::new(current, previous))
}

/// The times of signing keys, as the settings say.
pub fn key_schedule(settings: &CommonSettings) -> KeySchedule {
    let max_age = TimeDelta::seconds(
        i64::try_from(settings.jwks_max_age.as_secs()).unwrap_or(i64::from(u32::MAX)),
    );
    let rotation = settings
        .signing_key_rotation_days
        .map(|days| TimeDelta::days(days.into()));
    KeySchedule::new(max_age, rotation)
}

/// Prepares the way to a database for requests. Nothing is checked yet.
pub fn database(url: &str, settings: &CommonSettings, entropy: Arc<dyn Entropy>) -> Database {
    // A request makes two calls or three; together they should end before the handler's own deadline.
    let deadline = settings.deadline.mul_f32(0.45);
    database_within(url, settings, entropy, deadline)
}

/// How long one step of a command may take: the first start makes partitions, and on a busy machine that takes a while.
const PATIENCE_OF_COMMANDS: Duration = Duration::from_secs(10);

/// The same for commands, which nobody waits for at the other end of a connection.
pub fn database_for_commands(
    url: &str,
    settings: &CommonSettings,
    entropy: Arc<dyn Entropy>,
) -> Database {
    database_within(url, settings, entropy, PATIENCE_OF_COMMANDS)
}

fn database_within(
    url: &str,
    settings: &CommonSettings,
    entropy: Arc<dyn Entropy>,
    deadline: Duration,
) -> Database {
    Database::new(DatabaseOptions {
        url: url.to_owned(),
        pool_size: settings.pool_size,
        deadline,
        entropy,
    })
}

/// What a server stands on. Cheap to clone.
#[derive(Clone)]
pub struct Foundation {
    /// Answers what is asked of tokens and clients.
    pub authority: Authority,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Foundation {
    /// Checks all that must hold before the first request.
    pub async fn open(
        settings: &CommonSettings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenError> {
        let keyring = keyring(settings)?;
        let url = settings
            .database_url
            .as_ref()
            .ok_or(OpenError::Missing(names::DATABASE_URL.env))?;
        check_fitness(url.expose()).await?;
        let database = database(url.expose(), settings, entropy);
        // A machine that is busy when a server starts is no reason not to start.
        patiently(async || check_master_key(&database, &keyring).await).await?;
        let health = patiently(async || Ok(installation::health(&database).await?)).await?;
        if !health.durable {
            log::warn!(
                "PostgreSQL runs with fsync or synchronous_commit off: what it acknowledges may be lost"
            );
        }
        let kept = patiently(async || Ok(partitions::keep(&database, clock.now()).await?)).await?;
        if kept.made > 0 {
            log::info!("made {} partitions ahead", kept.made);
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Ok(Self {
            authority: Authority::new(database, keyring)
                .with_key_schedule(key_schedule(settings))
                // Whoever guesses at secrets leaves half of the machine to everybody else.
                .with_slow_hash(
                    SlowHashLimits::for_cores(cores),
                    SlowHashLimits::for_cores(cores / 2),
                ),
            clock,
        })
    }

    fn database(&self) -> &Database {
        self.authority.database()
    }

    /// Lets readiness ask the database how it is, each time.
    pub fn watch_readiness(&self, readiness: &Readiness) {
        let (database, clock) = (self.database().clone(), self.clock.clone());
        readiness.register("database", move || {
            let (database, clock) = (database.clone(), clock.clone());
            async move {
                let health = installation::health(&database)
                    .await
                    .map_err(|error| error.to_string())?;
                if !health.writable {
                    return Err("PostgreSQL is a read-only node".to_owned());
                }
                let offset = (health.clock - clock.now()).abs();
                if offset > CLOCK_TOLERANCE {
                    return Err(format!(
                        "the clock is {} ms off that of PostgreSQL; 2000 are allowed",
                        offset.num_milliseconds()
                    ));
                }
                Ok(())
            }
        });
    }

    /// Writes when clients and their secrets were used and how often they failed, again and again while something is
    /// served, and once more when that has ended.
    pub async fn writing_uses<T>(&self, serving: impl Future<Output = T>) -> T {
        let served = tokio::select! {
            served = serving => served,
            never = self.write_uses_now_and_then() => match never {},
        };
        self.write_uses().await;
        served
    }

    /// Follows the change feed while something is served.
    pub async fn following_changes<T>(&self, serving: impl Future<Output = T>) -> T {
        tokio::select! {
            served = serving => served,
            never = self.authority.follow() => match never {},
        }
    }

    async fn write_uses_now_and_then(&self) -> Infallible {
        loop {
            tokio::time::sleep(WRITING_INTERVAL).await;
            self.write_uses().await;
        }
    }

    async fn write_uses(&self) {
        if let Err(error) = self.authority.write_uses().await {
            log::warn!("when clients were last used could not be written: {error}");
        }
        let now = self.clock.now();
        if let Err(error) = self.authority.write_failures(now).await {
            log::warn!("how often clients failed could not be written: {error}");
        }
    }

    /// Keeps the stock of spare keys, and rotates signing keys whose time has come, again and again, until told to stop.
    /// Any number of replicas may do so at once.
    pub async fn keep_signing_keys(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            if let Err(error) = self.keep_signing_keys_now().await {
                log::warn!("signing keys could not be kept: {error}");
            }
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(KEEPING_INTERVAL) => {}
                () = self.authority.spare_keys_wanted() => {}
            }
        }
    }

    async fn keep_signing_keys_now(&self) -> Result<(), Failure> {
        let spares = self.authority.keep_spare_keys(self.clock.now()).await?;
        if spares > 0 {
            log::debug!("made {spares} spare keys");
        }
        let rotated = self
            .authority
            .rotate_due_signing_keys(self.clock.now())
            .await?;
        if rotated > 0 {
            log::info!("{rotated} signing keys got successors");
        }
        Ok(())
    }

    /// Keeps the partitions, again and again, until told to stop. Any number of replicas may do so at once.
    pub async fn keep_partitions(&self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => return,
                () = tokio::time::sleep(KEEPING_INTERVAL) => {}
            }
            match partitions::keep(self.database(), self.clock.now()).await {
                Ok(kept) if kept.made + kept.dropped + kept.postponed > 0 => log::info!(
                    "partitions: {} made, {} dropped, {} postponed",
                    kept.made,
                    kept.dropped,
                    kept.postponed
                ),
                Ok(_) => {}
                Err(error) => log::warn!("partitions could not be kept: {error}"),
            }
        }
    }
}

/// How long the first look at the database may take.
const FIRST_LOOK: Duration = Duration::from_secs(15);

/// Does a step of starting again while PostgreSQL can't be used for it, for as long as the first look may take.
async fn patiently<T>(step: impl AsyncFn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let begun = Instant::now();
    loop {
        match step().await {
            Err(OpenError::Storage(error))
                if error.is_unavailable() && begun.elapsed() < FIRST_LOOK =>
            {
                log::info!("not yet: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            done => return done,
        }
    }
}

/// Checks that a database is fit to serve, without waiting for ever for one that hangs.
pub async fn check_fitness(url: &str) -> Result<(), UnfitDatabase> {
    let url = url.to_owned();
    let look = tokio::task::spawn_blocking(move || installation::check_fitness(&url));
    match tokio::time::timeout(FIRST_LOOK, look).await {
        Ok(Ok(fit)) => fit,
        Ok(Err(_)) | Err(_) => Err(UnfitDatabase::Unreachable(format!(
            "PostgreSQL did not answer within {} s",
            FIRST_LOOK.as_secs()
        ))),
    }
}

/// Checks that the master key is the installation's.
pub async fn check_master_key(database: &Database, keyring: &Keyring) -> Result<(), OpenError> {
    let stored = database
        .read(Scope::Platform(None), |tx: &mut ReadTx<'_>| {
            installation::master_key_check(tx)
        })
        .await?
        .ok_or(OpenError::NotBootstrapped)?;
    keyring
        .check(&stored)
        .map_err(|error| OpenError::WrongMasterKey {
            sealed_under: match error {
                Unsealing::UnknownKey(id) => format!("key {id}"),
                Unsealing::Format | Unsealing::Wrong => "a key that can't be told".to_owned(),
            },
            given: keyring.current_id().to_string(),
        })
}

/// What both servers are started with, out of the settings that they share.
pub fn server_options(
    name: &'static str,
    listener: std::net::TcpListener,
    operations: std::net::TcpListener,
    settings: &CommonSettings,
    foundation: &Foundation,
    deadline_answer: fn() -> actix_web::HttpResponse,
) -> Result<HttpServerOptions, OpenError> {
    let readiness = Readiness::new();
    foundation.watch_readiness(&readiness);
    let mut seed = [0; 8];
    foundation
        .authority
        .entropy()
        .fill(&mut seed)
        .map_err(StorageError::from)?;
    let request_ids = RequestIdMaker::new(u64::from_le_bytes(seed));
    let mut options = HttpServerOptions::new(
        name,
        listener,
        operations,
        Metrics::new(),
        readiness,
        request_ids,
    );
    options.workers = settings.workers;
    options.drain = settings.drain;
    options.deadline = settings.deadline;
    options.deadline_answer = deadline_answer;
    options.trusted_proxies = settings.trusted_proxies.clone();
    Ok(options)
}
