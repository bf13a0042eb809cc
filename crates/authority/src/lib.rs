//! What both servers ask of tokens and clients: is it good, issue one, put it on record, revoke it; and how members
//! come to a password.
//!
//! Memory proposes, and PostgreSQL disposes: what is decided out of memory is confirmed by the statement that writes or reads
//! the token, or else decided anew. So when a call that revokes or pauses has returned, no replica accepts the token any
//! more. Who calls the management API is read for many calls at once, never by a read that began before the call came.

mod allowance;
mod authenticate;
mod beat;
mod caller;
mod check;
mod chosen;
mod coalesce;
mod credentials;
mod decided;
mod directory;
mod failures;
mod introspect;
mod introspect_platform_wide;
mod issue;
mod limits;
mod locate;
mod reseal;
mod revoke;
mod signing;
mod slow_hash;
mod token_reads;
mod turns;
mod uses;
mod writer;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use grantor_domain::authentication::AuthenticationFailure;
use grantor_domain::ids::TenantId;
use grantor_keys::{Entropy, KeyError, Keyring, OpenError, SealError, SignError};
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::error::ErrorCode;
use grantor_storage::{Database, RESERVED_CONNECTIONS, StorageError};
use thiserror::Error;

use allowance::{Allowance, NOES};
use caller::CallerReads;
use chosen::ChosenSecrets;
use coalesce::Unanswered;
use directory::{Directory, TenantEntry};
use failures::Failures;
use limits::Limits;
use signing::Signing;
use token_reads::TokenReads;
use turns::Turns;
use uses::Uses;
use writer::TokenWriter;

pub use caller::CallerCheck;
pub use credentials::{NotRedeemed, PreparedLink, Redeemed, Redemption};
pub use introspect::Introspected;
pub use issue::{Issued, TokenRequest};
pub use limits::TooMany;
pub use signing::Rotated;
pub use slow_hash::{NotHashed, SlowHash, SlowHashLimits};

/// How often the directory catches up with the change feed by itself.
const FOLLOWING_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);

/// One of the connections that are kept for revocation and health stays free for health.
const REVOCATIONS_AT_ONCE: usize = RESERVED_CONNECTIONS as usize - 1;

/// Whoever has a link, or says so, takes no more connections than leave enough to tokens.
const LINK_READS_AT_ONCE: usize = 3;

/// Those who ask for the keys or the metadata of a tenant that isn't in memory take a part of the loads that there are at
/// once.
const TENANT_READS_AT_ONCE: usize = 2;

/// Answers the questions. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    database: Database,
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
    callers: CallerReads,
    directory: Directory,
    writer: TokenWriter,
    token_reads: TokenReads,
    confirmations: Allowance<(TenantId, String)>,
    slow_hash: SlowHash,
    chosen: ChosenSecrets,
    signing: Signing,
    uses: Uses,
    failures: Failures,
    limits: Limits,
    revocations: Turns,
    link_reads: Turns,
    tenant_reads: Turns,
}

impl Authority {
    /// Puts it together.
    pub fn new(database: Database, keyring: Keyring) -> Self {
        let entropy = database.entropy().clone();
        let callers = CallerReads::new(&database);
        let directory = Directory::new(&database);
        let one_core = SlowHashLimits::for_cores(1);
        Self {
            chosen: ChosenSecrets::new(keyring.clone(), one_core),
            writer: TokenWriter::new(&database, &directory),
            token_reads: TokenReads::new(&database, &directory),
            directory,
            confirmations: Allowance::new(NOES),
            database,
            keyring,
            entropy,
            callers,
            slow_hash: SlowHash::new(one_core),
            signing: Signing::default(),
            uses: Uses::default(),
            failures: Failures::default(),
            limits: Limits::default(),
            revocations: Turns::new(REVOCATIONS_AT_ONCE),
            link_reads: Turns::new(LINK_READS_AT_ONCE),
            tenant_reads: Turns::new(TENANT_READS_AT_ONCE),
        }
    }

    /// The same with so much room for slow hashes: of what is set, and of what is proved. Without, there is room as on
    /// a machine with one core.
    #[must_use]
    pub fn with_slow_hash(self, setting: SlowHashLimits, proving: SlowHashLimits) -> Self {
        Self {
            slow_hash: SlowHash::new(setting),
            chosen: ChosenSecrets::new(self.keyring.clone(), proving),
            ..self
        }
    }

    /// The same by the connections that are kept for revocation and health: what stops something goes
    /// through however crowded the others are.
    #[must_use]
    pub fn reserved(&self) -> Self {
        Self {
            database: self.database.reserved(),
            callers: self.callers.reserved(),
            ..self.clone()
        }
    }

    /// Where everything is kept.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The installation's master keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Where randomness comes from.
    pub fn entropy(&self) -> &dyn Entropy {
        self.entropy.as_ref()
    }

    /// Catches up with what has changed, again and again. What is decided is exact without it; with it, a decision need
    /// not be made anew for a change that is a while ago.
    pub async fn follow(&self) -> std::convert::Infallible {
        let mut was_away = false;
        loop {
            tokio::time::sleep(FOLLOWING_INTERVAL).await;
            match self.directory.catch_up().await {
                Ok(_) => was_away = false,
                Err(error) if was_away => log::debug!("the change feed is not readable: {error}"),
                Err(error) => {
                    was_away = true;
                    log::warn!("the change feed is not readable: {error}");
                }
            }
        }
    }

    /// Writes when clients and their secrets were used since it was last written. What can't be written now is with the
    /// next time.
    pub async fn write_uses(&self) -> Result<(), StorageError> {
        self.uses.write(&self.database).await
    }

    /// Writes how often clients failed since it was last written. What can't be written now is with the next time.
    pub async fn write_failures(&self, now: DateTime<Utc>) -> Result<(), StorageError> {
        self.failures.write(&self.database, now).await
    }

    /// How many attempts at the token server named a client that does not exist, since this one started.
    pub fn attempts_of_unknown_clients(&self) -> u64 {
        self.failures.unknown()
    }
}

/// What a client presents to prove who it is.
#[derive(Clone)]
pub struct PresentedCredentials {
    /// Who it says it is.
    pub client_id: String,
    /// What it says to prove it.
    pub client_secret: String,
    /// The way by which it says so.
    pub method: TokenEndpointAuthMethod,
}

impl std::fmt::Debug for PresentedCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresentedCredentials")
            .field("client_id", &self.client_id)
            .field("client_secret", &"[redacted]")
            .field("method", &self.method)
            .finish()
    }
}

/// Why a client does not get what it asked for.
#[derive(Debug, Error)]
pub enum Refusal {
    /// The issuer does not exist.
    #[error("no such tenant")]
    NoSuchTenant,
    /// The client did not prove who it is.
    #[error(transparent)]
    Unauthenticated(#[from] AuthenticationFailure),
    /// The answer would be a no, and so many of these were asked for of late that it isn't confirmed.
    #[error("too much was asked for that failed; try again in {} ms", retry_after.as_millis())]
    Unconfirmed {
        /// When to try again.
        retry_after: std::time::Duration,
    },
    /// The client is known, but the answer is no.
    #[error("{error}: {description}")]
    Refused {
        /// The OAuth error code.
        error: ErrorCode,
        /// What the client is told.
        description: String,
    },
    /// The client is known and would get a token, if it had not as many as it may (`client_15`).
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// Something of ours failed.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl From<(ErrorCode, String)> for Refusal {
    fn from((error, description): (ErrorCode, String)) -> Self {
        Self::Refused { error, description }
    }
}

impl From<StorageError> for Refusal {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
    }
}

/// What of ours can fail.
#[derive(Debug, Error)]
pub enum Failure {
    /// Storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Storage, for everybody whose question was part of the same read.
    #[error(transparent)]
    Shared(Arc<StorageError>),
    /// A private key could not be unsealed.
    #[error("a signing key can't be unsealed: {0}")]
    Unseal(#[from] OpenError),
    /// A private key could not be sealed.
    #[error("a signing key can't be sealed: {0}")]
    Seal(#[from] SealError),
    /// A key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A token could not be signed.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Randomness could not be had.
    #[error(transparent)]
    Entropy(#[from] grantor_keys::EntropyError),
    /// A password or a chosen secret had no turn to be hashed.
    #[error(transparent)]
    NotHashed(#[from] NotHashed),
    /// A password or a chosen secret could not be hashed.
    #[error(transparent)]
    PasswordHash(#[from] grantor_keys::PasswordHashError),
    /// What should have been impossible.
    #[error("{0}")]
    Impossible(&'static str),
}

impl From<Unanswered<StorageError>> for Failure {
    fn from(unanswered: Unanswered<StorageError>) -> Self {
        let what = unanswered.to_string();
        match unanswered {
            Unanswered::Failed(error) => Self::Shared(error),
            Unanswered::Crowded | Unanswered::Late | Unanswered::Broken => {
                StorageError::Unavailable(what).into()
            }
        }
    }
}

impl Failure {
    /// Whether trying again later may help.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Storage(error) => error.is_unavailable(),
            Self::Shared(error) => error.is_unavailable(),
            Self::NotHashed(_) => true,
            _ => false,
        }
    }
}

impl Authority {
    /// A tenant, for what is told of its issuer.
    pub async fn tenant(
        &self,
        id: TenantId,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<grantor_domain::tenant::Tenant, Refusal> {
        let entry = self.tenant_for_anybody(id, from, now).await?;
        let entry = entry.ok_or(Refusal::NoSuchTenant)?;
        Ok(entry.tenant.clone())
    }

    /// What there is of a tenant, for somebody who proves nothing. That there is none is a no like any other, and comes out of
    /// the same budget of whoever asks.
    pub(crate) async fn tenant_for_anybody(
        &self,
        id: TenantId,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<TenantEntry>>, Refusal> {
        if let Some(known) = self.directory.remembered_tenant(id) {
            return Ok(Some(known));
        }
        let taken = self.confirmations.take(from, (id, String::new()))?;
        let found = self.tenant_in_turn(id, now).await;
        if !matches!(found, Ok(None)) {
            taken.give_back();
        }
        Ok(found?)
    }

    /// The same without a budget. If it isn't in memory they wait for their turn: whoever makes up tenants must not hold up
    /// the loads of those who have a token to get.
    pub(crate) async fn tenant_in_turn(
        &self,
        id: TenantId,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<TenantEntry>>, Failure> {
        if let Some(known) = self.directory.remembered_tenant(id) {
            return Ok(Some(known));
        }
        let _turn = self.tenant_reads.turn().await?;
        self.directory.tenant(id, now).await
    }
}

/// What is under a lock. Nothing panics half-way under those of this crate: whatever they hold is whole.
pub(crate) fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
