//! The limits of clients (`client_15`): how fast each gets tokens, and how many of its tokens live.
//!
//! A client is held after it has proved who it is and was decided to get a token, and before anything is signed or
//! written: so whoever does not know its secret uses nothing up, and a client that loops costs one reading transaction.
//! Each server counts for itself. How far several may go beyond a limit together stands in the decision record 0020.

mod live;
mod pace;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::limits::{ClientLimits, Limited};
use grantor_domain::tenant::Tenant;
use grantor_storage::{Database, ReadTx, Scope, StorageError, client_limits};
use thiserror::Error;

use crate::authenticate::Known;
use crate::{Authority, Refusal, locked};
use live::{Live, Room};
use pace::{Pace, Taken};

/// How many clients are remembered. Those that came last are; whoever is forgotten begins anew.
const MOST: usize = 100_000;

/// A client has all that it may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.sentence())]
pub struct TooMany {
    /// Of what.
    pub limited: Limited,
    /// How many it may have.
    pub limit: u32,
    /// After how many seconds it may be let in.
    pub retry_after_seconds: u64,
}

impl TooMany {
    fn sentence(&self) -> String {
        let Self {
            limited,
            limit,
            retry_after_seconds: seconds,
        } = self;
        match limited {
            Limited::TokensPerMinute => format!(
                "this client may get {limit} tokens a minute; use a token until it expires, and try again in {seconds} s"
            ),
            Limited::LiveTokens => format!(
                "this client may have {limit} live tokens; use those that it has, remove some, or wait until some expire"
            ),
        }
    }
}

/// What one client has used up.
#[derive(Default)]
struct Account {
    used: Mutex<Used>,
    /// One counts, and whoever else would waits for that.
    counting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Used {
    pace: Pace,
    live: Live,
}

/// Whose account it is.
type Key = (TenantId, ClientId);

/// Accounts in two generations: when the younger one is half of what is kept, it becomes the elder one, and that is dropped.
#[derive(Default)]
struct Accounts {
    younger: HashMap<Key, Arc<Account>>,
    elder: HashMap<Key, Arc<Account>>,
}

/// Holds clients to their limits. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Limits(Arc<Mutex<Accounts>>);

/// Room for one token. It goes back if no token comes of it.
pub(crate) struct Admitted {
    account: Arc<Account>,
    /// What of the rate was taken.
    taken: Option<Taken>,
    /// Whether the token may be on record by now.
    is_used: bool,
}

impl Admitted {
    /// The token is on its way to be recorded. From here on its room counts as used, also when nobody waits for it any more
    /// or the answer does not come: it may be on record all the same.
    pub(crate) fn recording(&mut self) {
        self.is_used = true;
    }

    /// The token was not recorded, for certain.
    pub(crate) fn none_came(mut self) {
        self.is_used = false;
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut used = self.account.used();
        if self.is_used {
            used.live.issued();
        } else {
            if let Some(taken) = self.taken.take() {
                used.pace.give_back(taken);
            }
            used.live.give_back();
        }
    }
}

impl Account {
    fn used(&self) -> MutexGuard<'_, Used> {
        locked(&self.used)
    }
}

impl Limits {
    fn account(&self, key: Key) -> Arc<Account> {
        let mut accounts = locked(&self.0);
        if let Some(known) = accounts.younger.get(&key) {
            return known.clone();
        }
        let account = accounts.elder.remove(&key).unwrap_or_default();
        if accounts.younger.len() >= MOST / 2 {
            accounts.elder = std::mem::take(&mut accounts.younger);
        }
        accounts.younger.insert(key, account.clone());
        account
    }

    /// Lets a client have one more token within these limits, or tells which of them holds it.
    async fn admit(
        &self,
        database: &Database,
        tenant: &Tenant,
        client: ClientId,
        limits: &ClientLimits,
        now: DateTime<Utc>,
    ) -> Result<Admitted, Refusal> {
        let account = self.account((tenant.id, client));
        let refused = |limited, retry_after_seconds| TooMany {
            limited,
            limit: limits.get(limited).number,
            retry_after_seconds,
        };
        let (per_minute, most) = (limits.tokens_per_minute.number, limits.live_tokens.number);
        // Whoever comes too fast is not worth a count.
        let paced = account.used().pace.take(per_minute, now);
        let taken = paced.map_err(|wait| refused(Limited::TokensPerMinute, wait))?;
        let paced = Paced {
            account: &account,
            taken: Some(taken),
        };
        let room = account.used().live.take(most, now);
        let room = match room {
            Room::Uncounted => account.count(database, tenant, client, most, now).await?,
            known => known,
        };
        match room {
            Room::Taken => Ok(paced.admitted()),
            Room::Full(wait) => Err(refused(Limited::LiveTokens, wait).into()),
            // What was just counted is used up by others.
            Room::Uncounted => Err(refused(Limited::LiveTokens, 1).into()),
        }
    }
}

/// What was taken of the rate, before it is known whether there is room among the live ones.
struct Paced<'a> {
    account: &'a Arc<Account>,
    taken: Option<Taken>,
}

impl Paced<'_> {
    fn admitted(mut self) -> Admitted {
        Admitted {
            account: self.account.clone(),
            taken: self.taken.take(),
            is_used: false,
        }
    }
}

impl Drop for Paced<'_> {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take() {
            self.account.used().pace.give_back(taken);
        }
    }
}

impl Account {
    /// Counts the client's tokens, unless somebody has just done so, and takes room for one.
    async fn count(
        &self,
        database: &Database,
        tenant: &Tenant,
        client: ClientId,
        most: u32,
        now: DateTime<Utc>,
    ) -> Result<Room, StorageError> {
        let _turn = self.counting.lock().await;
        let known = self.used().live.take(most, now);
        if known != Room::Uncounted {
            return Ok(known);
        }
        let begun = self.used().live.begin();
        let of = tenant.clone();
        let tally = database
            .read(Scope::Tenant(tenant.id), move |tx: &mut ReadTx<'_>| {
                client_limits::tally(tx, &of, client, most, now)
            })
            .await?;
        let mut used = self.used();
        used.live.counted(begun, tally, most, now);
        Ok(used.live.take(most, now))
    }
}

impl Authority {
    /// Lets a client that is to get a token have one within its limits.
    pub(crate) async fn admit(&self, who: &Known, now: DateTime<Utc>) -> Result<Admitted, Refusal> {
        let (tenant, client) = (&who.tenant.tenant, &who.client.client);
        let limits = ClientLimits::of(client, &who.tenant.settings, &who.tenant.quotas);
        let client = client.id;
        self.limits
            .admit(&self.database, tenant, client, &limits, now)
            .await
    }

    /// Counts that a limit held a client, and tells it so.
    pub(crate) fn held(&self, who: &Known, held: TooMany, now: DateTime<Utc>) -> Refusal {
        let (tenant, client) = (who.tenant.tenant.id, who.client.client.id);
        self.failures.note(tenant, client, held.limited.into(), now);
        held.into()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn key(number: usize) -> Key {
        (
            TenantId::from_uuid(Uuid::nil()),
            ClientId::from_uuid(Uuid::from_u128(number as u128)),
        )
    }

    #[test]
    fn client_15_memory_is_bounded_and_who_comes_again_is_remembered() {
        let limits = Limits::default();
        let first = limits.account(key(0));
        for number in 1..2 * MOST {
            limits.account(key(number));
            if number % 1_000 == 0 {
                assert!(Arc::ptr_eq(&first, &limits.account(key(0))), "{number}");
            }
        }
        let accounts = limits.0.lock().unwrap();
        assert!(accounts.younger.len() + accounts.elder.len() <= MOST + 1);
    }

    #[test]
    fn client_15_what_no_token_came_of_goes_back() {
        let limits = Limits::default();
        let account = limits.account(key(1));
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let tally = client_limits::Tally {
            live: 9,
            kept: 9,
            recent: 0,
        };
        let take = || {
            let mut used = account.used();
            let taken = used.pace.take(1, now).ok()?;
            assert_eq!(used.live.take(10, now), Room::Taken);
            Some(Admitted {
                account: account.clone(),
                taken: Some(taken),
                is_used: false,
            })
        };
        let begun = account.used().live.begin();
        account.used().live.counted(begun, tally, 10, now);
        for _ in 0..3 {
            assert!(take().is_some(), "dropped at once");
        }
        for _ in 0..3 {
            let mut recorded = take().unwrap();
            recorded.recording();
            recorded.none_came();
        }
        // Whoever asked for it went away while it was being recorded.
        take().unwrap().recording();
        assert!(take().is_none());
        assert_eq!(account.used().live.take(10, now), Room::Full(1));
    }
}
