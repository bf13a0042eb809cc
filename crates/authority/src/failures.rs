//! Failed attempts of clients (`client_10`): counted in memory, and written now and then.
//!
//! Counting costs no request a write. What is lost with a server is a few seconds of it; where it can't be told whether a
//! writing took place, it is counted again. Only what exists is counted by its id: of made-up ids there is one sum.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::authentication::AuthenticationFailure;
use grantor_domain::failure::{FailureKind, minute_of};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_storage::failures::{self, Failed};
use grantor_storage::{Database, StorageError};

use crate::{Refusal, locked};

/// How many clients, kinds and minutes are remembered between two writings.
const MOST: usize = 10_000;
/// How many are written by one statement.
const BATCH: usize = 1_000;

/// What was noted so long ago, or so far ahead, is not written: a clock stood wrong then.
const AGE: TimeDelta = TimeDelta::days(1);

/// Of which client, why, and in which minute.
type Key = (TenantId, ClientId, FailureKind, DateTime<Utc>);

/// What failed since it was last written. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(crate) struct Failures(Arc<Inner>);

#[derive(Default)]
struct Inner {
    noted: Mutex<HashMap<Key, u64>>,
    unknown: AtomicU64,
}

impl Failures {
    /// Notes that an attempt of a client failed. When too much is noted already, what is new is left out.
    pub(crate) fn note(
        &self,
        tenant: TenantId,
        client: ClientId,
        kind: FailureKind,
        at: DateTime<Utc>,
    ) {
        self.add((tenant, client, kind, minute_of(at)), 1);
    }

    /// Notes that somebody did not prove to be a client, which exists or does not.
    pub(crate) fn note_unproved(
        &self,
        tenant: TenantId,
        client: Option<ClientId>,
        why: &AuthenticationFailure,
        at: DateTime<Utc>,
    ) {
        match client {
            Some(client) => self.note(tenant, client, why.into(), at),
            None => {
                self.0.unknown.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Notes why a client that proved who it is was refused, if that was for something of its own.
    pub(crate) fn note_refusal(
        &self,
        tenant: TenantId,
        client: ClientId,
        refusal: &Refusal,
        at: DateTime<Utc>,
    ) {
        if let Refusal::Refused { error, .. } = refusal
            && let Some(kind) = FailureKind::of_refusal(*error)
        {
            self.note(tenant, client, kind, at);
        }
    }

    /// How many attempts named a client that does not exist, since the server started.
    pub(crate) fn unknown(&self) -> u64 {
        self.0.unknown.load(Ordering::Relaxed)
    }

    fn add(&self, key: Key, count: u64) {
        let mut noted = self.noted();
        let is_full = noted.len() >= MOST;
        match noted.get_mut(&key) {
            Some(known) => *known = known.saturating_add(count),
            None if is_full => {}
            None => {
                noted.insert(key, count);
            }
        }
    }

    /// Writes what was noted. What can't be written stays noted.
    pub(crate) async fn write(
        &self,
        database: &Database,
        now: DateTime<Utc>,
    ) -> Result<(), StorageError> {
        // There may be no partition for it, and then nothing else would be written with it.
        let kept = now - AGE..now + AGE;
        let taken: Vec<Failed> = std::mem::take(&mut *self.noted())
            .into_iter()
            .filter(|((.., minute), _)| kept.contains(minute))
            .map(|((tenant, client, kind, minute), count)| Failed {
                tenant,
                client,
                kind,
                minute,
                count,
            })
            .collect();
        let mut unwritten = Unwritten {
            failures: self,
            taken,
        };
        while !unwritten.taken.is_empty() {
            let rest = unwritten.taken.len().saturating_sub(BATCH);
            let batch: Vec<Failed> = unwritten.taken.iter().skip(rest).copied().collect();
            database
                .flow(move |tx| failures::write(tx, &batch, now))
                .await?;
            unwritten.taken.truncate(rest);
        }
        Ok(())
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<Key, u64>> {
        locked(&self.0.noted)
    }
}

/// What was taken to be written, and goes back when it was not, also when nobody waits for the writing any more.
struct Unwritten<'f> {
    failures: &'f Failures,
    taken: Vec<Failed>,
}

impl Drop for Unwritten<'_> {
    fn drop(&mut self) {
        for Failed {
            tenant,
            client,
            kind,
            minute,
            count,
        } in self.taken.drain(..)
        {
            self.failures.add((tenant, client, kind, minute), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grantor_keys::SystemEntropy;
    use grantor_protocol::error::ErrorCode;
    use grantor_storage::DatabaseOptions;
    use uuid::Uuid;

    use super::*;

    const TENANT: TenantId = TenantId::from_uuid(Uuid::from_u128(1));

    fn client(number: usize) -> ClientId {
        ClientId::from_uuid(Uuid::from_u128(number as u128))
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).unwrap()
    }

    /// A database that nobody listens for.
    fn nowhere() -> Database {
        Database::new(DatabaseOptions {
            url: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1".to_owned(),
            pool_size: 1,
            deadline: Duration::from_millis(200),
            entropy: Arc::new(SystemEntropy::default()),
        })
    }

    fn noted(failures: &Failures, number: usize) -> u64 {
        let key = (TENANT, client(number), FailureKind::BadSecret, at(60));
        failures.noted().get(&key).copied().unwrap_or_default()
    }

    #[test]
    fn client_10_failures_are_summed_by_client_kind_and_minute() {
        let failures = Failures::default();
        let unproved = AuthenticationFailure::Unproved;
        for second in [60, 61, 119, 120] {
            failures.note_unproved(TENANT, Some(client(1)), &unproved, at(second));
        }
        assert_eq!(noted(&failures, 1), 3);
        assert_eq!(failures.noted().len(), 2);
        assert_eq!(failures.unknown(), 0);
    }

    #[test]
    fn client_10_made_up_ids_and_failures_of_ours_fill_nothing() {
        let failures = Failures::default();
        for _ in 0..1_000 {
            failures.note_unproved(TENANT, None, &AuthenticationFailure::Unproved, at(60));
        }
        for error in [ErrorCode::ServerError, ErrorCode::TemporarilyUnavailable] {
            let refusal = Refusal::from((error, String::new()));
            failures.note_refusal(TENANT, client(1), &refusal, at(60));
        }
        failures.note_refusal(TENANT, client(1), &Refusal::NoSuchTenant, at(60));
        assert!(failures.noted().is_empty());
        assert_eq!(failures.unknown(), 1_000);
    }

    #[test]
    fn client_10_what_is_noted_does_not_grow_without_end() {
        let failures = Failures::default();
        for number in 0..MOST + 500 {
            failures.note(TENANT, client(number), FailureKind::BadSecret, at(60));
        }
        assert_eq!(failures.noted().len(), MOST);
        failures.note(TENANT, client(0), FailureKind::BadSecret, at(60));
        assert_eq!(noted(&failures, 0), 2, "what is there goes on");
        assert_eq!(noted(&failures, MOST), 0);
    }

    #[tokio::test]
    async fn client_10_what_a_wrong_clock_noted_keeps_nothing_else_from_being_written() {
        let failures = Failures::default();
        let day = 86_400;
        for second in [60, 2 * day, 40 * day] {
            failures.note(TENANT, client(1), FailureKind::BadSecret, at(second));
        }
        let written = failures.write(&nowhere(), at(2 * day + 61)).await;
        assert!(written.is_err());
        let kept: Vec<_> = failures
            .noted()
            .keys()
            .map(|(.., minute)| *minute)
            .collect();
        assert_eq!(kept, [at(2 * day)]);
    }

    #[tokio::test]
    async fn client_10_what_cannot_be_written_stays_noted_with_what_came_meanwhile() {
        let database = nowhere();
        let failures = Failures::default();
        let fail = |number| failures.note(TENANT, client(number), FailureKind::BadSecret, at(60));
        (0..2_500).for_each(fail);
        let (written, ()) = tokio::join!(failures.write(&database, at(61)), async { fail(5) });
        assert!(written.unwrap_err().is_unavailable());
        assert_eq!(failures.noted().len(), 2_500);
        assert_eq!((noted(&failures, 5), noted(&failures, 6)), (2, 1));
        // Whoever stops waiting loses nothing either.
        let writing = failures.write(&database, at(61));
        let stopped = tokio::time::timeout(Duration::ZERO, writing).await;
        assert!(stopped.is_err());
        assert_eq!((noted(&failures, 5), noted(&failures, 6)), (2, 1));
    }
}
