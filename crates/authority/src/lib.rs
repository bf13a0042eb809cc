//! What both servers ask of tokens and clients: is it good, issue one, put it on record, revoke it; and how members
//! come to a password.
//!
//! Each question is answered from PostgreSQL, in one transaction or by one conditional write, and never
//! from a memory that could be wrong: so when a call that revokes or pauses has returned, no replica accepts the
//! token any more. (That a text goes with a stored verifier never changes, so that alone is remembered.) Who calls the
//! management API is read for many calls at once, never by a read that began before the call came.

mod authenticate;
mod caller;
mod check;
mod chosen;
mod coalesce;
mod credentials;
mod introspect;
mod introspect_platform_wide;
mod issue;
mod locate;
mod reseal;
mod revoke;
mod signing;
mod slow_hash;
mod uses;

use std::sync::Arc;

use grantor_domain::authentication::AuthenticationFailure;
use grantor_keys::{Entropy, KeyError, Keyring, OpenError, SealError, SignError};
use grantor_protocol::auth_method::TokenEndpointAuthMethod;
use grantor_protocol::error::ErrorCode;
use grantor_storage::{Database, StorageError};
use thiserror::Error;

use caller::CallerReads;
use chosen::ChosenSecrets;
use signing::Signing;
use uses::Uses;

pub use caller::CallerCheck;
pub use credentials::{NotRedeemed, PreparedLink, Redeemed, Redemption};
pub use introspect::Introspected;
pub use issue::{Issued, TokenRequest};
pub use signing::Rotated;
pub use slow_hash::{NotHashed, SlowHash, SlowHashLimits};

/// Answers the questions. Cheap to clone.
#[derive(Clone)]
pub struct Authority {
    database: Database,
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
    callers: CallerReads,
    slow_hash: SlowHash,
    chosen: ChosenSecrets,
    signing: Signing,
    uses: Uses,
}

impl Authority {
    /// Puts it together.
    pub fn new(database: Database, keyring: Keyring) -> Self {
        let entropy = database.entropy().clone();
        let callers = CallerReads::new(&database);
        let one_core = SlowHashLimits::for_cores(1);
        Self {
            chosen: ChosenSecrets::new(keyring.clone(), one_core),
            database,
            keyring,
            entropy,
            callers,
            slow_hash: SlowHash::new(one_core),
            signing: Signing::default(),
            uses: Uses::default(),
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

    /// Writes when clients and their secrets were used since it was last written. What can't be written now is with the
    /// next time.
    pub async fn write_uses(&self) -> Result<(), StorageError> {
        self.uses.write(&self.database).await
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
    /// The client is known, but the answer is no.
    #[error("{error}: {description}")]
    Refused {
        /// The OAuth error code.
        error: ErrorCode,
        /// What the client is told.
        description: String,
    },
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
        id: grantor_domain::ids::TenantId,
    ) -> Result<grantor_domain::tenant::Tenant, Refusal> {
        self.database
            .read(
                grantor_storage::Scope::Tenant(id),
                move |tx: &mut grantor_storage::ReadTx<'_>| {
                    grantor_storage::tenants::find(tx, id)?.ok_or(Refusal::NoSuchTenant)
                },
            )
            .await
    }
}
