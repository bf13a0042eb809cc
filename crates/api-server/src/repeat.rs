//! One effect and one answer for one `Idempotency-Key`, however often and at once it comes.
//!
//! The answer is kept in the very transaction whose answer it is, so it is there exactly when the effect is.
//! It is sealed under the caller's own key, of which only a keyed hash is stored: neither the database nor the
//! master key opens it. What went wrong is not kept: it had no effect, and may be tried again.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use grantor_domain::ids::{MemberId, TenantId};
use grantor_keys::{Entropy, Keyring, SealContext};
use grantor_storage::{Change, ChangeTx, idempotency};
use uuid::Uuid;

use crate::answer::{Answer, KeptAnswer};
use crate::call::Call;
use crate::problem::Problem;
use crate::requests::IdempotencyKey;

const HASH_PURPOSE: &str = "idempotency key v1";
const FINGERPRINT_PURPOSE: &str = "idempotent request v1";

/// For how long an answer is kept.
const KEPT_FOR: TimeDelta = TimeDelta::hours(24);

/// What a repeated request comes to.
type Repeated<A> = Change<Result<Answer<A>, Problem>>;

/// The kept answer of one key.
pub struct Repeat {
    keyring: Keyring,
    entropy: Arc<dyn Entropy>,
    key: IdempotencyKey,
    /// The caller's own tenant, where the record stands.
    tenant: TenantId,
    /// What finds the record: under the current master key first, then under previous ones.
    hashes: Vec<[u8; 32]>,
    fingerprint_message: Vec<u8>,
    now: DateTime<Utc>,
}

impl Repeat {
    /// What a call asks for, if it came with a key. A dry run keeps nothing and finds nothing.
    pub fn of(call: &Call) -> Option<Self> {
        let (key, essence) = call.key.clone().filter(|_| !call.acting.dry_run)?;
        let authority = &call.api().authority;
        let keyring = authority.keyring().clone();
        let caller = &call.acting.caller;
        // Each caller has keys of its own: another's is another key, though its letters are the same.
        let member = caller.member.map(MemberId::uuid);
        let whose = [
            caller.tenant.uuid().as_bytes().as_slice(),
            caller.client.uuid().as_bytes(),
            member
                .as_ref()
                .map_or(&[], |member| member.as_bytes().as_slice()),
            key.expose(),
        ]
        .concat();
        let mut fingerprint_message = (whose.len() as u64).to_be_bytes().to_vec();
        fingerprint_message.extend_from_slice(&whose);
        fingerprint_message.extend_from_slice(&essence);
        Some(Self {
            hashes: keyring
                .macs(HASH_PURPOSE, &whose)
                .map(|mac| *mac.as_bytes())
                .collect(),
            fingerprint_message,
            tenant: caller.tenant,
            entropy: authority.database().entropy().clone(),
            keyring,
            key,
            now: call.now,
        })
    }

    fn place(&self, hash: &[u8; 32]) -> SealContext<'static> {
        let row = hash.first_chunk().copied().unwrap_or_default();
        SealContext {
            tenant: Some(self.tenant.uuid()),
            table: "idempotency_records",
            row: Uuid::from_bytes(row),
        }
    }

    /// While the master key is being changed, replicas that know both meet on both hashes, in one order.
    fn lock_and_find(
        &self,
        tx: &mut ChangeTx<'_>,
    ) -> Result<Option<([u8; 32], idempotency::Kept)>, Problem> {
        let mut hashes = self.hashes.clone();
        hashes.sort_unstable();
        let mut found = None;
        for hash in hashes {
            let kept = idempotency::lock_and_find(tx, self.tenant, &hash, self.now)?;
            found = found.or(kept.map(|kept| (hash, kept)));
        }
        Ok(found)
    }

    /// Waits for whoever is at it with the same key; then tells the answer that was kept. To show a secret
    /// again is a showing, and leaves its event.
    pub fn find<A>(&self, tx: &mut ChangeTx<'_>) -> Result<Option<Repeated<A>>, Problem> {
        let Some((hash, kept)) = self.lock_and_find(tx)? else {
            return Ok(None);
        };
        if !self.keyring.mac_matches(
            FINGERPRINT_PURPOSE,
            &self.fingerprint_message,
            &kept.fingerprint,
        ) {
            return Err(Problem::IdempotencyKeyReused);
        }
        let opened = self
            .keyring
            .open_for_holder(&self.place(&hash), self.key.expose(), &kept.sealed)
            .map_err(|error| {
                log::error!("a kept answer does not open: {error}");
                Problem::Internal
            })?;
        let answer: KeptAnswer = serde_json::from_slice(&opened).map_err(|error| {
            log::error!("a kept answer is not one: {error}");
            Problem::Internal
        })?;
        let showing = answer.shows();
        let answer = Ok(Answer::again(answer));
        Ok(Some(match showing {
            None => Change::Nothing(answer),
            Some(secret) => Change::made(answer, secret.again()),
        }))
    }

    /// Keeps an answer for whoever comes with the same key.
    pub fn keep(&self, tx: &mut ChangeTx<'_>, answer: &KeptAnswer) -> Result<(), Problem> {
        let plain = serde_json::to_vec(answer).map_err(|error| {
            log::error!("an answer can't be kept: {error}");
            Problem::Internal
        })?;
        let plain = zeroize::Zeroizing::new(plain);
        let hash = self.hashes.first().ok_or(Problem::Internal)?;
        let sealed = self
            .keyring
            .seal_for_holder(
                self.entropy.as_ref(),
                &self.place(hash),
                self.key.expose(),
                &plain,
            )
            .map_err(|error| {
                log::error!("an answer can't be sealed: {error}");
                Problem::Internal
            })?;
        let fingerprint = self
            .keyring
            .mac(FINGERPRINT_PURPOSE, &self.fingerprint_message);
        idempotency::keep(
            tx,
            self.tenant,
            hash,
            fingerprint.as_bytes(),
            &sealed,
            self.now + KEPT_FOR,
        )?;
        Ok(())
    }
}
