//! Rotation: the next key of each line, by command or when its time has come.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Actor, Origin};
use grantor_domain::ids::TenantId;
use grantor_domain::signing_key::KeyTimes;
use grantor_keys::Algorithm;
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::{Change, ReadTx, Scope, StorageError, tenants};

use super::is_taken;
use crate::{Authority, Failure, Refusal};

/// How many tenants' keys are looked for at once.
const PAGE: i64 = 100;

/// What the rotation of the keys of one algorithm came to.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Makes the next key of each algorithm that the tenant has keys of. It is published at once, signs once every
    /// cache has it, and the older ones go when the last token that they signed is over. Where there is no key yet,
    /// the first ones are made, and sign at once. Where a spare key is needed and there is none, that algorithm is left
    /// out. Of two who do so at once, one does it, and both are told what it came to.
    pub async fn rotate_signing_keys(
        &self,
        tenant: TenantId,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Vec<Rotated>, Refusal> {
        self.rotate_made_until(tenant, DateTime::<Utc>::MAX_UTC, origin, now)
            .await
    }

    /// Rotates the keys of all tenants whose time has come; tells how many keys were made. Any number of replicas may do
    /// so at once.
    pub async fn rotate_due_signing_keys(&self, now: DateTime<Utc>) -> Result<usize, Failure> {
        let Some(made_until) = self.signing.schedule.due_until(now) else {
            return Ok(0);
        };
        let mut count = 0;
        let mut failed = HashSet::new();
        loop {
            // Those that failed are still due, each by some keys, and must leave room for the others.
            let room = i64::try_from(failed.len() * Algorithm::ALL.len()).unwrap_or(PAGE);
            let mut due =
                signing_keys::tenants_due(&self.database, made_until, PAGE + room).await?;
            due.retain(|tenant| !failed.contains(tenant));
            if !due.is_empty() {
                self.keep_spare_keys(now).await?;
            }
            let (mut made, failed_before) = (0, failed.len());
            for tenant in due {
                let origin = Origin::without_request(Actor::Server);
                match self
                    .rotate_made_until(tenant, made_until, origin, now)
                    .await
                {
                    Ok(rotated) => made += rotated.len(),
                    // It was suspended or deleted meanwhile.
                    Err(
                        Refusal::Failed(Failure::Storage(StorageError::Suspended { .. }))
                        | Refusal::NoSuchTenant,
                    ) => {}
                    // It may concern this tenant alone, and the others' turn comes all the same.
                    Err(failure) => {
                        log::error!("the keys of {tenant} could not be rotated: {failure}");
                        failed.insert(tenant);
                    }
                }
            }
            count += made;
            // What is due still failed, or lacks a spare key, and comes with the next time.
            if made == 0 && failed.len() == failed_before {
                return Ok(count);
            }
        }
    }

    async fn rotate_made_until(
        &self,
        tenant: TenantId,
        made_until: DateTime<Utc>,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Vec<Rotated>, Refusal> {
        let schedule = self.signing.schedule;
        let keys = self.all_keys(tenant).await?;
        let times: Vec<KeyTimes> = keys.iter().map(StoredSigningKey::times).collect();
        let new = match times.as_slice() {
            [] => schedule.first_keys(&[], [], now),
            times => schedule.next_keys(times, made_until, now),
        };
        let names: Vec<_> = new.iter().map(|new| new.name).collect();
        let maker = self.key_maker(tenant, now);
        let rotated = self
            .database
            .change(Scope::Tenant(tenant), origin, now, move |tx| {
                let made = maker.make_all(tx, &new)?;
                for key in &made.keys {
                    let until = schedule.old_published_until(key.signs_from);
                    signing_keys::retire_before(tx, tenant, key.algorithm, key.generation, until)?;
                }
                let keys = made.keys.clone();
                let Some(events) = made.events() else {
                    // A spare key that can't be opened is gone for good.
                    return Ok::<_, Failure>(Change::Untouched(Vec::new()));
                };
                signing_keys::remove_retired(tx, tenant, now)?;
                Ok(Change::made(keys, events))
            })
            .await;
        let keys = match rotated {
            Ok(keys) => {
                self.signing.spares.ask_for_more();
                keys
            }
            Err(failure) if is_taken(&failure) => {
                let mut keys = self.all_keys(tenant).await?;
                keys.retain(|key| names.contains(&key.times().name));
                keys
            }
            Err(failure) => return Err(failure.into()),
        };
        Ok(keys
            .into_iter()
            .map(|key| Rotated {
                old_published_until: schedule.old_published_until(key.signs_from),
                kid: key.kid,
                algorithm: key.algorithm,
                signs_from: key.signs_from,
            })
            .collect())
    }

    async fn all_keys(&self, tenant: TenantId) -> Result<Vec<StoredSigningKey>, Refusal> {
        self.database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                tenants::find(tx, tenant)?.ok_or(Refusal::NoSuchTenant)?;
                Ok(signing_keys::all(tx, tenant)?)
            })
            .await
    }
}
