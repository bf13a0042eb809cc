//! Signing keys of a tenant: made when first needed, published before use, rotated, retired. The keys of an algorithm
//! are a line of generations of their own, which knows nothing of those of another.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::audit::{Action, Actor, Event, Events, Origin, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::resource_server::SigningAlgorithm;
use grantor_keys::{Algorithm, Jwks, SealContext, SigningKey, generate_signing_key, uuid_v7};
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::{Change, ReadTx, Scope, StorageError, tenants};
use serde_json::json;

use crate::directory::TenantEntry;
use crate::{Authority, Failure, Refusal};

/// How long verifiers may keep the published keys.
pub const JWKS_MAX_AGE_SECONDS: i64 = 300;

/// A new key is published for this long before it signs: until every cache has it.
fn lead() -> TimeDelta {
    TimeDelta::seconds(2 * JWKS_MAX_AGE_SECONDS)
}

/// An old key is published for this long after its successor took over: until the last token that it signed
/// is over.
fn tail() -> TimeDelta {
    TimeDelta::seconds(i64::from(AccessTokenLifetime::LONGEST) + JWKS_MAX_AGE_SECONDS)
}

/// What the rotation of the keys of one algorithm came to.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The new key.
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// It signs from here on.
    pub signs_from: DateTime<Utc>,
    /// The old ones of its algorithm are published until here.
    pub old_published_until: DateTime<Utc>,
}

impl Authority {
    /// The keys of a tenant as they are published. The first one of an algorithm is made here if a resource server
    /// says that its tokens are signed so: whoever keeps this set then has the key before the first token comes.
    pub async fn jwks(&self, tenant: TenantId, now: DateTime<Utc>) -> Result<Jwks, Refusal> {
        let (_, entry) = self.directory.tenant(tenant, now).await?;
        let entry = entry.ok_or(Refusal::NoSuchTenant)?;
        let tenant = &entry.tenant;
        let mut published = published(&entry.keys, now);
        // The management API's tokens are for every tenant, and have the default.
        let named = entry.algorithms.iter().copied();
        let needed = [SigningAlgorithm::default()].into_iter().chain(named);
        for algorithm in needed.map(key_algorithm) {
            let is_there = published.iter().any(|key| key.algorithm == algorithm);
            // tenant_2: a suspended tenant takes no change.
            if !is_there && !tenant.suspension.is_suspended() {
                published = self.first_key(tenant.id, algorithm, now).await?;
            }
        }
        Ok(Jwks {
            keys: published.into_iter().map(|key| key.public).collect(),
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

    /// The key that signs with an algorithm now: of those whose time has come, the newest. Where there is none yet, the
    /// first is made, and what is known of the tenant is not current any more: then nothing is given.
    pub(crate) async fn signing_key(
        &self,
        entry: &TenantEntry,
        algorithm: SigningAlgorithm,
        now: DateTime<Utc>,
    ) -> Result<Option<Arc<SigningKey>>, Failure> {
        let (tenant, algorithm) = (entry.tenant.id, key_algorithm(algorithm));
        let published = published(&entry.keys, now);
        let mut candidates = published.iter().filter(|key| key.algorithm == algorithm);
        // Another replica's clock, or a later request's, made the first key a moment ahead of this one's:
        // a first key has no predecessor to wait for.
        let Some(key) = candidates
            .clone()
            .find(|key| key.signs_from <= now)
            .or(candidates.next_back())
        else {
            self.first_key(tenant, algorithm, now).await?;
            return Ok(None);
        };
        let unsealed = entry.unsealed(&key.kid, || {
            let private = self.keyring.open(&context(tenant, key.id), &key.sealed)?;
            Ok::<_, Failure>(SigningKey::from_pkcs8(
                key.algorithm,
                key.kid.clone(),
                &private,
                self.entropy(),
            )?)
        });
        Ok(Some(unsealed?))
    }

    /// Makes the first key of an algorithm, unless another replica was faster: then that one's is taken. Gives all
    /// that is published then.
    async fn first_key(
        &self,
        tenant: TenantId,
        algorithm: Algorithm,
        now: DateTime<Utc>,
    ) -> Result<Vec<StoredSigningKey>, Failure> {
        let key = self.new_key(tenant, algorithm, 1, now, now)?;
        let made = self
            .database
            .change(
                Scope::Tenant(tenant),
                Origin::without_request(Actor::Server),
                now,
                move |tx| {
                    signing_keys::insert(tx, tenant, &key)?;
                    let event =
                        Event::new(tenant, Action::SigningKeyCreated, Target::Tenant(tenant))
                            .after(json!({ "kid": key.kid, "algorithm": key.algorithm.as_str() }));
                    Ok::<_, StorageError>(Change::made((), event))
                },
            )
            .await;
        match made {
            Ok(()) | Err(StorageError::Taken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                Ok(signing_keys::published(tx, tenant, now)?)
            })
            .await
    }

    /// Makes the next key of each algorithm that the tenant has keys of. It is published at once, signs once every
    /// cache has it, and the older ones go when the last token that they signed is over. Where there is no key yet,
    /// the first of the default is made, and signs at once.
    pub async fn rotate_signing_keys(
        &self,
        tenant: TenantId,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Vec<Rotated>, Refusal> {
        let mut newest: BTreeMap<&str, (Algorithm, i32)> = BTreeMap::new();
        for key in self.published_keys(tenant, now).await? {
            let line = newest
                .entry(key.algorithm.as_str())
                .or_insert((key.algorithm, key.generation));
            line.1 = line.1.max(key.generation);
        }
        if newest.is_empty() {
            let default = key_algorithm(SigningAlgorithm::default());
            newest.insert(default.as_str(), (default, 0));
        }
        let mut keys = Vec::new();
        for (algorithm, generation) in newest.into_values() {
            let signs_from = if generation == 0 { now } else { now + lead() };
            keys.push(self.new_key(tenant, algorithm, generation + 1, now, signs_from)?);
        }
        let rotated = keys
            .iter()
            .map(|key| Rotated {
                kid: key.kid.clone(),
                algorithm: key.algorithm,
                signs_from: key.signs_from,
                old_published_until: key.signs_from + tail(),
            })
            .collect();
        self.database
            .change(Scope::Tenant(tenant), origin, now, move |tx| {
                let mut events: Option<Events> = None;
                for key in &keys {
                    signing_keys::insert(tx, tenant, key)?;
                    let until = key.signs_from + tail();
                    signing_keys::retire_before(tx, tenant, key.algorithm, key.generation, until)?;
                    let event =
                        Event::new(tenant, Action::SigningKeyRotated, Target::Tenant(tenant))
                            .after(json!({ "kid": key.kid, "algorithm": key.algorithm.as_str(),
                                "signs_from": key.signs_from }));
                    events = Some(match events {
                        Some(events) => events.and(event),
                        None => event.into(),
                    });
                }
                Ok::<_, StorageError>(match events {
                    Some(events) => Change::made((), events),
                    None => Change::Nothing(()),
                })
            })
            .await?;
        Ok(rotated)
    }

    fn new_key(
        &self,
        tenant: TenantId,
        algorithm: Algorithm,
        generation: i32,
        now: DateTime<Utc>,
        signs_from: DateTime<Utc>,
    ) -> Result<StoredSigningKey, Failure> {
        let made = generate_signing_key(algorithm, self.entropy())?;
        let millis = u64::try_from(now.timestamp_millis())
            .map_err(|_| Failure::Impossible("a clock before 1970"))?;
        let id = uuid_v7(millis, self.entropy())?;
        let sealed = self
            .keyring
            .seal(self.entropy(), &context(tenant, id), &made.pkcs8)?;
        Ok(StoredSigningKey {
            kid: made.kid,
            id,
            algorithm: made.algorithm,
            generation,
            public: made.public,
            sealed,
            created_at: now,
            signs_from,
            published_until: None,
        })
    }
}

/// Those of the keys that are published at a time, in their order.
fn published(keys: &[StoredSigningKey], now: DateTime<Utc>) -> Vec<StoredSigningKey> {
    let is_over = |key: &&StoredSigningKey| key.published_until.is_some_and(|until| until <= now);
    keys.iter().filter(|key| !is_over(key)).cloned().collect()
}

/// The algorithm of the keys for what resource servers ask for.
fn key_algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Es256 => Algorithm::Es256,
        SigningAlgorithm::EdDsa => Algorithm::EdDsa,
    }
}

pub(crate) fn context(tenant: TenantId, id: uuid::Uuid) -> SealContext<'static> {
    SealContext {
        tenant: Some(tenant.uuid()),
        table: signing_keys::TABLE,
        row: id,
    }
}
