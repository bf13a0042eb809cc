//! Signing keys of a tenant: made when first needed, published before use, rotated, retired.

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_keys::{Algorithm, Jwks, SealContext, SigningKey, generate_signing_key, uuid_v7};
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::{Change, ReadTx, Scope, StorageError, tenants};
use serde_json::json;

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

/// What a rotation came to.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The new key.
    pub kid: String,
    /// It signs from here on.
    pub signs_from: DateTime<Utc>,
    /// The old ones are published until here.
    pub old_published_until: DateTime<Utc>,
}

impl Authority {
    /// The keys of a tenant as they are published. The first one is made if there is none.
    pub async fn jwks(&self, tenant: TenantId, now: DateTime<Utc>) -> Result<Jwks, Refusal> {
        let (tenant, published) = self
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                let found = tenants::find(tx, tenant)?.ok_or(Refusal::NoSuchTenant)?;
                Ok::<_, Refusal>((found, signing_keys::published(tx, tenant, now)?))
            })
            .await?;
        // tenant_2: a suspended tenant takes no change.
        let published = if published.is_empty() && !tenant.suspension.is_suspended() {
            self.first_key(tenant.id, now).await?
        } else {
            published
        };
        Ok(Jwks {
            keys: published.into_iter().map(|key| key.public).collect(),
        })
    }

    /// The keys of a tenant with their times, the newest first, for an operator to see.
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

    /// The key that signs now: of those whose time has come, the newest.
    pub(crate) async fn signing_key(
        &self,
        tenant: TenantId,
        published: Vec<StoredSigningKey>,
        now: DateTime<Utc>,
    ) -> Result<SigningKey, Failure> {
        let published = if published.is_empty() {
            self.first_key(tenant, now).await?
        } else {
            published
        };
        let key = published
            .iter()
            .find(|key| key.signs_from <= now)
            // Another replica's clock, or a later request's, made the first key a moment ahead of this one's:
            // a first key has no predecessor to wait for.
            .or(published.last())
            .ok_or(Failure::Impossible("no signing key whose time has come"))?;
        let private = self.keyring.open(&context(tenant, key.id), &key.sealed)?;
        Ok(SigningKey::from_pkcs8(
            key.algorithm,
            key.kid.clone(),
            &private,
            self.entropy(),
        )?)
    }

    /// Makes the first key, unless another replica was faster: then that one's is taken.
    async fn first_key(
        &self,
        tenant: TenantId,
        now: DateTime<Utc>,
    ) -> Result<Vec<StoredSigningKey>, Failure> {
        let key = self.new_key(tenant, 1, now, now)?;
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

    /// Makes the next key. It is published at once, signs once every cache has it, and the older ones go
    /// when the last token that they signed is over.
    pub async fn rotate_signing_key(
        &self,
        tenant: TenantId,
        origin: Origin,
        now: DateTime<Utc>,
    ) -> Result<Rotated, Refusal> {
        let generation = self
            .published_keys(tenant, now)
            .await?
            .iter()
            .map(|key| key.generation)
            .max()
            .map_or(1, |newest| newest + 1);
        let signs_from = if generation == 1 { now } else { now + lead() };
        let old_published_until = signs_from + tail();
        let key = self.new_key(tenant, generation, now, signs_from)?;
        let kid = key.kid.clone();
        self.database
            .change(Scope::Tenant(tenant), origin, now, move |tx| {
                signing_keys::insert(tx, tenant, &key)?;
                signing_keys::retire_before(tx, tenant, generation, old_published_until)?;
                let event = Event::new(tenant, Action::SigningKeyRotated, Target::Tenant(tenant))
                    .after(json!({ "kid": key.kid, "signs_from": signs_from }));
                Ok::<_, StorageError>(Change::made((), event))
            })
            .await?;
        Ok(Rotated {
            kid,
            signs_from,
            old_published_until,
        })
    }

    fn new_key(
        &self,
        tenant: TenantId,
        generation: i32,
        now: DateTime<Utc>,
        signs_from: DateTime<Utc>,
    ) -> Result<StoredSigningKey, Failure> {
        let made = generate_signing_key(Algorithm::Es256, self.entropy())?;
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

pub(crate) fn context(tenant: TenantId, id: uuid::Uuid) -> SealContext<'static> {
    SealContext {
        tenant: Some(tenant.uuid()),
        table: signing_keys::TABLE,
        row: id,
    }
}
