//! Sealing everything anew under the current master key, after that was changed.

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Origin, Target};
use grantor_domain::ids::TenantId;
use grantor_storage::spare_keys::{self, SpareKey};
use grantor_storage::{Change, ReadTx, Scope, installation, signing_keys, tenants};
use serde_json::json;

use crate::signing::{context, spare_context};
use crate::{Authority, Failure};

/// How many tenants are read at once.
const PAGE: i64 = 100;

impl Authority {
    /// Opens every sealed value with the key it was sealed under, and seals it under the current one; tells
    /// how many there were. It may be ended and begun again at any time.
    pub async fn reseal(&self, origin: &Origin, now: DateTime<Utc>) -> Result<usize, Failure> {
        let mut count = 0;
        let mut after: Option<TenantId> = None;
        loop {
            let page = self
                .database
                .read(Scope::Platform(None), move |tx: &mut ReadTx<'_>| {
                    Ok::<_, Failure>(tenants::list(tx, after, false, PAGE)?)
                })
                .await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for tenant in &page {
                count += self.reseal_tenant(tenant.id, origin, now).await?;
            }
        }
        count += self.reseal_spares().await?;
        self.reseal_check(origin, now).await?;
        Ok(count)
    }

    /// Nobody has signed with these, so the log of record says nothing of them. One that was taken meanwhile was sealed
    /// anew with that.
    async fn reseal_spares(&self) -> Result<usize, Failure> {
        let mut count = 0;
        for spare in spare_keys::all(&self.database).await? {
            if self.keyring.sealed_with_current(&spare.sealed_private_key) {
                continue;
            }
            let place = spare_context(spare.id);
            let plain = self.keyring.open(&place, &spare.sealed_private_key)?;
            let spare = SpareKey {
                sealed_private_key: self.keyring.seal(self.entropy(), &place, &plain)?,
                ..spare
            };
            count += usize::from(spare_keys::reseal(&self.database, spare).await?);
        }
        Ok(count)
    }

    async fn reseal_tenant(
        &self,
        tenant: TenantId,
        origin: &Origin,
        now: DateTime<Utc>,
    ) -> Result<usize, Failure> {
        let (keyring, entropy) = (self.keyring.clone(), self.entropy.clone());
        self.database
            .change(Scope::Tenant(tenant), origin.clone(), now, move |tx| {
                let mut kids = Vec::new();
                for key in signing_keys::all(tx, tenant)? {
                    if keyring.sealed_with_current(&key.sealed) {
                        continue;
                    }
                    let context = context(tenant, key.id);
                    let plain = keyring.open(&context, &key.sealed)?;
                    let sealed = keyring.seal(entropy.as_ref(), &context, &plain)?;
                    signing_keys::reseal(tx, tenant, &key.kid, &sealed)?;
                    kids.push(key.kid);
                }
                if kids.is_empty() {
                    return Ok::<_, Failure>(Change::Nothing(0));
                }
                let event = Event::new(tenant, Action::SealedAnew, Target::Tenant(tenant))
                    .after(json!({ "signing_keys": kids }));
                Ok(Change::made(kids.len(), event))
            })
            .await
    }

    /// The value by which servers know the master key goes last: until then a server with the previous key
    /// named still starts.
    async fn reseal_check(&self, origin: &Origin, now: DateTime<Utc>) -> Result<(), Failure> {
        let check = self.keyring.check_value(self.entropy())?;
        let keyring = self.keyring.clone();
        self.database
            .change(Scope::Platform(None), origin.clone(), now, move |tx| {
                let platform = tenants::find_platform(tx)?.ok_or(Failure::Impossible(
                    "an installation without a platform tenant",
                ))?;
                let stored = installation::master_key_check(tx)?;
                if stored.is_some_and(|stored| keyring.sealed_with_current(&stored)) {
                    return Ok::<_, Failure>(Change::Nothing(()));
                }
                installation::set_master_key_check(tx, &check)?;
                let event =
                    Event::new(platform.id, Action::SealedAnew, Target::Tenant(platform.id));
                Ok(Change::made((), event))
            })
            .await
    }
}
