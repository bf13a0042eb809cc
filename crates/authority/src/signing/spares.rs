//! The stock of spare keys: filled behind the requests, so that none waits for the making of a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use grantor_keys::{Algorithm, SealContext, SystemEntropy, generate_signing_key, uuid_v7};
use grantor_storage::spare_keys::{self, SpareKey};
use tokio::sync::Notify;

use crate::{Authority, Failure};

/// How many lie ready. One is taken for a tenant that gets its first keys, and for each that gets its next.
const STOCK: i64 = 4;
/// Who found that there is none looks again after this time.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

/// What is known of the stock in this process. Clones are one.
#[derive(Clone)]
pub(super) struct Spares {
    wanted: Arc<Notify>,
    /// When there was none, in milliseconds.
    out_at: Arc<AtomicI64>,
}

impl Default for Spares {
    fn default() -> Self {
        Self {
            wanted: Arc::default(),
            out_at: Arc::new(AtomicI64::new(i64::MIN)),
        }
    }
}

impl Spares {
    /// Whether there was none a moment ago, so that it isn't worth looking.
    pub(super) fn are_out(&self, now: DateTime<Utc>) -> bool {
        let again = self
            .out_at
            .load(Ordering::Relaxed)
            .saturating_add(LOOK_AGAIN.num_milliseconds());
        now.timestamp_millis() < again
    }

    pub(super) fn ran_out(&self, now: DateTime<Utc>) {
        self.out_at.store(now.timestamp_millis(), Ordering::Relaxed);
    }

    /// Lets whoever keeps the stock look at it. After the commit: before, what was taken still seems to be there.
    pub(super) fn ask_for_more(&self) {
        self.wanted.notify_one();
    }
}

impl Authority {
    /// Makes spare keys until enough lie ready; tells how many it made. Any number of replicas may do so at once.
    pub async fn keep_spare_keys(&self, now: DateTime<Utc>) -> Result<usize, Failure> {
        let mut made = 0;
        for algorithm in Algorithm::ALL {
            if algorithm.is_quickly_made() {
                continue;
            }
            while spare_keys::count(&self.database, algorithm).await? < STOCK {
                let spare = self.make_spare(algorithm, now).await?;
                if !spare_keys::put(&self.database, algorithm, spare, STOCK, now).await? {
                    break; // others have filled it meanwhile
                }
                self.signing
                    .spares
                    .out_at
                    .store(i64::MIN, Ordering::Relaxed);
                made += 1;
            }
        }
        Ok(made)
    }

    /// Returns when keys were made, for which a spare one may have been taken, or missed.
    pub async fn spare_keys_wanted(&self) {
        self.signing.spares.wanted.notified().await;
    }

    async fn make_spare(
        &self,
        algorithm: Algorithm,
        now: DateTime<Utc>,
    ) -> Result<SpareKey, Failure> {
        let keyring = self.keyring.clone();
        let making = tokio::task::spawn_blocking(move || {
            // OpenSSL makes the key from the system's randomness, so nothing here could be repeated.
            let entropy = SystemEntropy::default();
            let made = generate_signing_key(algorithm, &entropy)?;
            let millis = u64::try_from(now.timestamp_millis())
                .map_err(|_| Failure::Impossible("a clock before 1970"))?;
            let id = uuid_v7(millis, &entropy)?;
            let sealed = keyring.seal(&entropy, &context(id), &made.pkcs8)?;
            Ok(SpareKey {
                id,
                sealed_private_key: sealed,
            })
        });
        making
            .await
            .map_err(|_| Failure::Impossible("the making of a key was broken off"))?
    }
}

pub(crate) fn context(id: uuid::Uuid) -> SealContext<'static> {
    SealContext {
        tenant: None,
        table: spare_keys::TABLE,
        row: id,
    }
}
