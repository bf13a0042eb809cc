//! Signing keys of a tenant: made when first needed, published before use, rotated, retired. What signs when is decided by
//! `domain/signing_key.rs`; here it is read, made and written.

mod make;
mod rotate;
mod spares;

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::audit::{Actor, Origin};
use grantor_domain::ids::TenantId;
use grantor_domain::resource_server::SigningAlgorithm;
use grantor_domain::signing_key::{KeySchedule, KeyTimes, NewKey, signer};
use grantor_keys::{Algorithm, Jwks, SealContext, SigningKey};
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::{Change, ReadTx, Scope, StorageError, tenants};

use crate::directory::TenantEntry;
use crate::{Authority, Failure, Refusal};
use spares::Spares;

pub use rotate::Rotated;
pub(crate) use spares::context as spare_context;

/// What all tenants' keys have in common.
#[derive(Clone, Default)]
pub(crate) struct Signing {
    schedule: KeySchedule,
    spares: Spares,
}

impl Authority {
    /// The same by these times of signing keys. Without, they are those that hold unless an installation says otherwise.
    #[must_use]
    pub fn with_key_schedule(self, schedule: KeySchedule) -> Self {
        let signing = Signing {
            schedule,
            ..self.signing
        };
        Self { signing, ..self }
    }

    /// For how long verifiers may keep the published keys.
    pub fn jwks_max_age(&self) -> TimeDelta {
        self.signing.schedule.jwks_max_age()
    }

    /// The keys of a tenant as they are published. The first are made here, and those of an algorithm that a resource
    /// server names: whoever keeps this set then has the key before the first token comes. A tenant that was suspended
    /// before it had any key has none.
    pub async fn jwks(
        &self,
        tenant: TenantId,
        from: Option<IpAddr>,
        now: DateTime<Utc>,
    ) -> Result<Jwks, Refusal> {
        // Keys are published for twice as long before they sign. So a server that can't follow any more tells no set that
        // lacks one by which others sign already.
        let age = self.jwks_max_age().to_std().unwrap_or_default();
        self.directory.no_older_than(age).await?;
        let entry = self.tenant_for_anybody(tenant, from, now).await?;
        let entry = entry.ok_or(Refusal::NoSuchTenant)?;
        let mut keys = published(&entry.keys, now);
        // tenant_2: a suspended tenant takes no change.
        if !entry.tenant.suspension.is_suspended() {
            let missing = self.missing(&keys, entry.algorithms.clone(), now);
            if !missing.is_empty() {
                keys = self.make_first_keys(tenant, missing, now).await?;
            }
        }
        Ok(Jwks {
            keys: keys.into_iter().map(|key| key.public).collect(),
        })
    }

    /// The keys of a tenant with their times, by algorithm and the newest first, for an operator to see.
    pub async fn published_keys(
        &self,
        tenant: TenantId,
        now: DateTime<Utc>,
    ) -> Result<Vec<StoredSigningKey>, Refusal> {
        self.database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                tenants::find(tx, tenant)?.ok_or(Refusal::NoSuchTenant)?;
                Ok(signing_keys::published(tx, tenant, now)?)
            })
            .await
    }

    /// The key that signs now what is to be signed with an algorithm. Where the first one was made just now, the entry is
    /// behind, and what is decided by it will be decided anew.
    pub(crate) async fn signing_key(
        &self,
        entry: &TenantEntry,
        algorithm: SigningAlgorithm,
        now: DateTime<Utc>,
    ) -> Result<Arc<SigningKey>, Failure> {
        let tenant = entry.tenant.id;
        let missing = self.missing(&entry.keys, vec![algorithm], now);
        let made;
        let keys = if missing.is_empty() {
            &entry.keys
        } else {
            made = self.make_first_keys(tenant, missing, now).await?;
            &made
        };
        let live = keys.iter().filter(|key| key.is_published(now));
        let name = signer(live.map(StoredSigningKey::times), algorithm, now)
            .ok_or(Failure::Impossible("no signing key whose time has come"))?;
        let key = keys
            .iter()
            .find(|key| key.times().name == name)
            .ok_or(Failure::Impossible("a signing key that is not there"))?;
        entry.unsealed(&key.kid, || {
            let private = self.keyring.open(&context(tenant, key.id), &key.sealed)?;
            Ok(SigningKey::from_pkcs8(
                key.algorithm,
                key.kid.clone(),
                &private,
                self.entropy(),
            )?)
        })
    }

    /// The first keys that are missing among these, as far as making them takes no time.
    fn missing(
        &self,
        keys: &[StoredSigningKey],
        needed: Vec<SigningAlgorithm>,
        now: DateTime<Utc>,
    ) -> Vec<NewKey> {
        let times: Vec<KeyTimes> = keys
            .iter()
            .filter(|key| key.is_published(now))
            .map(StoredSigningKey::times)
            .collect();
        let mut missing = self.signing.schedule.first_keys(&times, needed, now);
        if !times.is_empty() && self.signing.spares.are_out(now) {
            missing.retain(|new| key_algorithm(new.name.algorithm).is_quickly_made());
        }
        missing
    }

    /// Makes the first keys of algorithms, unless another replica was faster: then that one's are taken. Gives all that
    /// is published then. What takes a spare key that isn't there is left for later.
    async fn make_first_keys(
        &self,
        tenant: TenantId,
        new: Vec<NewKey>,
        now: DateTime<Utc>,
    ) -> Result<Vec<StoredSigningKey>, Failure> {
        let maker = self.key_maker(tenant, now);
        let made = self
            .database
            .change(
                Scope::Tenant(tenant),
                Origin::without_request(Actor::Server),
                now,
                move |tx| {
                    let made = maker.make_all(tx, &new)?;
                    Ok::<_, Failure>(match made.events() {
                        Some(events) => Change::made((), events),
                        // A spare key that can't be opened is gone for good.
                        None => Change::Untouched(()),
                    })
                },
            )
            .await;
        self.signing.spares.ask_for_more();
        match made {
            Ok(()) => {}
            Err(failure) if is_taken(&failure) => {}
            Err(error) => return Err(error),
        }
        self.database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                Ok(signing_keys::published(tx, tenant, now)?)
            })
            .await
    }
}

/// Whether another replica has made the same generation meanwhile.
fn is_taken(failure: &Failure) -> bool {
    matches!(failure, Failure::Storage(StorageError::Taken { constraint }) if constraint == signing_keys::GENERATION)
}

/// Those of the keys that are published at a time, in their order.
fn published(keys: &[StoredSigningKey], now: DateTime<Utc>) -> Vec<StoredSigningKey> {
    let live = keys.iter().filter(|key| key.is_published(now));
    live.cloned().collect()
}

/// The algorithm of the keys for what resource servers ask for.
fn key_algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Es256 => Algorithm::Es256,
        SigningAlgorithm::EdDsa => Algorithm::EdDsa,
        SigningAlgorithm::Rs256 => Algorithm::Rs256,
    }
}

pub(crate) fn context(tenant: TenantId, id: uuid::Uuid) -> SealContext<'static> {
    SealContext {
        tenant: Some(tenant.uuid()),
        table: signing_keys::TABLE,
        row: id,
    }
}
