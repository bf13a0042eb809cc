//! When clients and their secrets were last used: noted in memory, and written now and then.
//!
//! No decision rests on it, so it costs no request a write, and what is lost with a server is a few seconds of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, Utc};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_storage::last_uses::{self, Use};
use grantor_storage::{Database, StorageError};
use uuid::Uuid;

use crate::locked;

/// How many subjects are remembered between two writings.
const MOST: usize = 10_000;
/// How many are written by one statement.
const BATCH: usize = 1_000;

/// When each of some subjects, of these clients, was last used.
type Noted = HashMap<(TenantId, ClientId, Uuid), DateTime<Utc>>;

/// What was used since it was last written. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Uses(Arc<Mutex<Noted>>);

impl Uses {
    /// Notes that something was used. When too much is noted already, what is new is left out.
    pub(crate) fn note(
        &self,
        tenant: TenantId,
        client: ClientId,
        subject: Uuid,
        at: DateTime<Utc>,
    ) {
        let key = (tenant, client, subject);
        let mut noted = self.noted();
        let is_full = noted.len() >= MOST;
        match noted.get_mut(&key) {
            Some(known) => *known = (*known).max(at),
            None if is_full => {}
            None => {
                noted.insert(key, at);
            }
        }
    }

    /// Writes what was noted. What can't be written stays noted.
    pub(crate) async fn write(&self, database: &Database) -> Result<(), StorageError> {
        let taken: Vec<Use> = std::mem::take(&mut *self.noted())
            .into_iter()
            .map(|((tenant, client, subject), at)| Use {
                tenant,
                subject,
                client,
                at,
            })
            .collect();
        let mut unwritten = Unwritten { uses: self, taken };
        while !unwritten.taken.is_empty() {
            let rest = unwritten.taken.len().saturating_sub(BATCH);
            let batch: Vec<Use> = unwritten.taken.iter().skip(rest).copied().collect();
            database
                .flow(move |tx| last_uses::write(tx, &batch))
                .await?;
            unwritten.taken.truncate(rest);
        }
        Ok(())
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        locked(&self.0)
    }
}

/// What was taken to be written, and goes back when it was not, also when nobody waits for the writing any more.
struct Unwritten<'u> {
    uses: &'u Uses,
    taken: Vec<Use>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        for Use {
            tenant,
            subject,
            client,
            at,
        } in self.taken.drain(..)
        {
            self.uses.note(tenant, client, subject, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grantor_keys::SystemEntropy;
    use grantor_storage::DatabaseOptions;

    use super::*;

    const TENANT: TenantId = TenantId::from_uuid(Uuid::from_u128(1));
    const CLIENT: ClientId = ClientId::from_uuid(Uuid::from_u128(2));

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    fn noted(uses: &Uses, subject: u128) -> Option<DateTime<Utc>> {
        let key = (TENANT, CLIENT, Uuid::from_u128(subject));
        uses.noted().get(&key).copied()
    }

    #[test]
    fn client_8_the_latest_use_is_kept_whatever_the_order() {
        let uses = Uses::default();
        for second in [2, 3, 1] {
            uses.note(TENANT, CLIENT, Uuid::from_u128(7), at(second));
        }
        assert_eq!(noted(&uses, 7), Some(at(3)));
        assert_eq!(noted(&uses, 8), None);
    }

    #[test]
    fn client_8_what_is_noted_does_not_grow_without_end() {
        let uses = Uses::default();
        let most = u128::try_from(MOST).unwrap();
        for subject in 0..most + 500 {
            uses.note(TENANT, CLIENT, Uuid::from_u128(subject), at(1));
        }
        assert_eq!(uses.noted().len(), MOST);
        uses.note(TENANT, CLIENT, Uuid::from_u128(0), at(2));
        assert_eq!(noted(&uses, 0), Some(at(2)), "what is there goes on");
        assert_eq!(noted(&uses, most), None);
    }

    #[tokio::test]
    async fn client_8_what_cannot_be_written_stays_noted_with_what_came_meanwhile() {
        // Nobody listens there.
        let database = Database::new(DatabaseOptions {
            url: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1".to_owned(),
            pool_size: 1,
            deadline: Duration::from_millis(200),
            entropy: Arc::new(SystemEntropy::default()),
        });
        let uses = Uses::default();
        for subject in 0..2_500 {
            uses.note(TENANT, CLIENT, Uuid::from_u128(subject), at(1));
        }
        let writing = uses.write(&database);
        // It takes what is there when it is first polled; a later use is not set back by what returns.
        let (written, ()) = tokio::join!(writing, async {
            uses.note(TENANT, CLIENT, Uuid::from_u128(5), at(9));
        });
        assert!(written.unwrap_err().is_unavailable());
        assert_eq!(uses.noted().len(), 2_500);
        assert_eq!(noted(&uses, 5), Some(at(9)));
        assert_eq!(noted(&uses, 6), Some(at(1)));
        // Whoever stops waiting loses nothing either.
        let stopped = tokio::time::timeout(Duration::ZERO, uses.write(&database)).await;
        assert!(stopped.is_err());
        assert_eq!(uses.noted().len(), 2_500);
    }
}
