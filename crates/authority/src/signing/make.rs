//! The making of a tenant's keys, within the change that puts them down.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::signing_key::NewKey;
use grantor_keys::{Entropy, Keyring, NewSigningKey, generate_signing_key, uuid_v7};
use grantor_storage::signing_keys::{self, StoredSigningKey};
use grantor_storage::{ChangeTx, spare_keys};
use serde_json::json;

use super::spares::{self, Spares};
use super::{context, key_algorithm};
use crate::{Authority, Failure};

/// Makes keys of one tenant. The change owns it, so it shares what it needs.
pub(super) struct KeyMaker {
    tenant: TenantId,
    now: DateTime<Utc>,
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
    spares: Spares,
}

/// What was made, and what the log of record says of each.
pub(super) struct Made {
    pub(super) keys: Vec<StoredSigningKey>,
    events: Vec<Event>,
}

impl Made {
    /// What the log of record says of all, if there is anything.
    pub(super) fn events(self) -> Option<Events> {
        let mut events = self.events.into_iter();
        let first: Events = events.next()?.into();
        Some(events.fold(first, Events::and))
    }
}

impl Authority {
    pub(super) fn key_maker(&self, tenant: TenantId, now: DateTime<Utc>) -> KeyMaker {
        KeyMaker {
            tenant,
            now,
            keyring: self.keyring.clone(),
            entropy: self.entropy.clone(),
            spares: self.signing.spares.clone(),
        }
    }
}

impl KeyMaker {
    /// Makes these keys and puts them down, but for those that take a spare key when there is none.
    pub(super) fn make_all(&self, tx: &mut ChangeTx<'_>, new: &[NewKey]) -> Result<Made, Failure> {
        let mut made = Made {
            keys: Vec::new(),
            events: Vec::new(),
        };
        for new in new {
            let Some(key) = self.make(tx, new)? else {
                continue;
            };
            signing_keys::insert(tx, self.tenant, &key)?;
            let action = match key.generation {
                1 => Action::SigningKeyCreated,
                _ => Action::SigningKeyRotated,
            };
            let event = Event::new(self.tenant, action, Target::Tenant(self.tenant));
            made.events.push(event.after(json!({ "kid": key.kid,
                "algorithm": key.algorithm.as_str(), "signs_from": key.signs_from })));
            made.keys.push(key);
        }
        Ok(made)
    }

    fn make(
        &self,
        tx: &mut ChangeTx<'_>,
        new: &NewKey,
    ) -> Result<Option<StoredSigningKey>, Failure> {
        let algorithm = key_algorithm(new.name.algorithm);
        let pair = if algorithm.is_quickly_made() {
            Some(generate_signing_key(algorithm, self.entropy.as_ref())?)
        } else {
            self.take_spare(tx, algorithm)?
        };
        let Some(pair) = pair else { return Ok(None) };
        let millis = u64::try_from(self.now.timestamp_millis())
            .map_err(|_| Failure::Impossible("a clock before 1970"))?;
        let id = uuid_v7(millis, self.entropy.as_ref())?;
        let place = context(self.tenant, id);
        let sealed = self
            .keyring
            .seal(self.entropy.as_ref(), &place, &pair.pkcs8)?;
        Ok(Some(StoredSigningKey {
            kid: pair.kid,
            id,
            algorithm: pair.algorithm,
            generation: new.name.generation,
            public: pair.public,
            sealed,
            created_at: self.now,
            signs_from: new.signs_from,
            published_until: None,
        }))
    }

    /// Takes a spare key. One that can't be opened goes: another lies behind it, and more are made.
    fn take_spare(
        &self,
        tx: &mut ChangeTx<'_>,
        algorithm: grantor_keys::Algorithm,
    ) -> Result<Option<NewSigningKey>, Failure> {
        while let Some(spare) = spare_keys::take(tx, algorithm)? {
            match self
                .keyring
                .open(&spares::context(spare.id), &spare.sealed_private_key)
            {
                Ok(private) => {
                    let pair = NewSigningKey::from_pkcs8(algorithm, private, self.entropy.as_ref());
                    return Ok(Some(pair?));
                }
                Err(error) => log::warn!("a spare key can't be opened, and is left out: {error}"),
            }
        }
        self.spares.ran_out(self.now);
        Ok(None)
    }
}
