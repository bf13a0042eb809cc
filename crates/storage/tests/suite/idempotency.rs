//! A request with an idempotency key is done once, however often and by however many it is sent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use grantor_domain::ids::TenantId;
use grantor_storage::idempotency::{self, Kept};
use grantor_storage::partitions::keep;
use grantor_storage::{Change, Scope, StorageError, clients};
use grantor_test_support::builders;

use crate::support::{Fixture, now, wait_for};

const KEY: [u8; 32] = [7; 32];

/// Looks for an answer, and keeps this one where there is none.
fn answer(
    fixture: &Fixture,
    scope: Scope,
    tenant: TenantId,
    key: [u8; 32],
    at: DateTime<Utc>,
    sealed: &'static [u8],
) -> Option<Kept> {
    let about = scope_tenant(scope, tenant);
    let answered: Result<Option<Kept>, StorageError> = wait_for(fixture.database.change(
        scope,
        builders::origin(),
        at,
        move |tx| {
            if let Some(kept) = idempotency::lock_and_find(tx, tenant, &key, at)? {
                return Ok(Change::Nothing(Some(kept)));
            }
            idempotency::keep(
                tx,
                tenant,
                &key,
                b"print",
                sealed,
                at + TimeDelta::hours(24),
            )?;
            let client = builders::id_at(at, &grantor_test_support::SeededEntropy::new(9));
            Ok(Change::made(None, builders::client_event(about, client)))
        },
    ));
    answered.unwrap()
}

fn scope_tenant(scope: Scope, otherwise: TenantId) -> TenantId {
    match scope {
        Scope::Tenant(tenant) | Scope::Platform(Some(tenant)) => tenant,
        Scope::Platform(None) => otherwise,
    }
}

fn kept(sealed: &[u8]) -> Kept {
    Kept {
        fingerprint: b"print".to_vec(),
        sealed: sealed.to_vec(),
    }
}

#[test]
fn of_twenty_at_once_one_does_it_and_the_others_find_its_answer() {
    let fixture = Fixture::with(20, Duration::from_secs(60));
    let home = fixture.home.clone();
    let ids: Vec<_> = (0..20).map(|_| fixture.id()).collect();
    let did = AtomicUsize::new(0);
    let start = std::sync::Barrier::new(20);
    std::thread::scope(|scope| {
        for id in ids {
            let (fixture, home, did, start) = (&fixture, home.clone(), &did, &start);
            scope.spawn(move || {
                start.wait();
                let found = fixture
                    .change(Scope::Tenant(home.id), move |tx| {
                        if let Some(kept) = idempotency::lock_and_find(tx, home.id, &KEY, now())? {
                            return Ok(Change::Nothing(Some(kept)));
                        }
                        let settings = builders::client("Once", "");
                        clients::insert(
                            tx,
                            home.id,
                            &builders::new_client(id, home.root_organization, &settings),
                        )?;
                        let until = now() + TimeDelta::hours(24);
                        idempotency::keep(tx, home.id, &KEY, b"print", b"answer", until)?;
                        Ok(Change::made(None, builders::client_event(home.id, id)))
                    })
                    .unwrap();
                match found {
                    None => did.fetch_add(1, Ordering::SeqCst),
                    Some(found) => {
                        assert_eq!(found, kept(b"answer"));
                        0
                    }
                };
            });
        }
    });
    assert_eq!(did.load(Ordering::SeqCst), 1);
    assert_eq!(fixture.number("SELECT count(*) FROM clients"), 1);
    assert_eq!(
        fixture.number("SELECT count(*) FROM idempotency_records"),
        1
    );
}

#[test]
fn who_failed_leaves_the_key_to_the_next() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let failed: Result<(), StorageError> = fixture.change(Scope::Tenant(home), move |tx| {
        idempotency::lock_and_find(tx, home, &KEY, now())?;
        idempotency::keep(
            tx,
            home,
            &KEY,
            b"print",
            b"lost",
            now() + TimeDelta::hours(1),
        )?;
        Err(StorageError::Unavailable("as the test wants".into()))
    });
    failed.unwrap_err();
    assert_eq!(
        answer(&fixture, Scope::Tenant(home), home, KEY, now(), b"kept"),
        None
    );
    let again = answer(&fixture, Scope::Tenant(home), home, KEY, now(), b"other");
    assert_eq!(again, Some(kept(b"kept")));
}

#[test]
fn an_answer_is_kept_for_its_day_and_no_longer() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let at = |after: TimeDelta, sealed| {
        answer(
            &fixture,
            Scope::Tenant(home),
            home,
            KEY,
            now() + after,
            sealed,
        )
    };
    assert_eq!(at(TimeDelta::zero(), b"first"), None);
    let day = TimeDelta::hours(24);
    assert_eq!(
        at(day - TimeDelta::milliseconds(1), b"second"),
        Some(kept(b"first"))
    );
    assert_eq!(at(day, b"third"), None, "it is over");
    assert_eq!(
        at(day + TimeDelta::hours(1), b"fourth"),
        Some(kept(b"third"))
    );
}

#[test]
fn whoever_asks_for_more_than_a_day_gets_a_day() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    fixture
        .change(Scope::Tenant(home), move |tx| {
            idempotency::lock_and_find(tx, home, &KEY, now())?;
            idempotency::keep(
                tx,
                home,
                &KEY,
                b"print",
                b"long",
                now() + TimeDelta::days(6),
            )?;
            let client = builders::id_at(now(), &grantor_test_support::SeededEntropy::new(9));
            Ok(Change::made((), builders::client_event(home, client)))
        })
        .unwrap();
    let later = now() + TimeDelta::hours(23);
    let found = answer(&fixture, Scope::Tenant(home), home, KEY, later, b"other");
    assert_eq!(found, Some(kept(b"long")));
}

#[test]
fn keys_of_tenants_are_apart_and_an_operators_stands_under_their_own() {
    let fixture = Fixture::new();
    let (operators, one, other) = (
        fixture.home.id,
        fixture.tenant("One").id,
        fixture.tenant("Other").id,
    );
    assert_eq!(
        answer(&fixture, Scope::Tenant(one), one, KEY, now(), b"of one"),
        None
    );
    assert_eq!(
        answer(
            &fixture,
            Scope::Tenant(other),
            other,
            KEY,
            now(),
            b"of other"
        ),
        None
    );
    let again = answer(&fixture, Scope::Tenant(one), one, KEY, now(), b"");
    assert_eq!(again, Some(kept(b"of one")));
    // An operator changes the one tenant: the record is their own tenant's.
    let platform = Scope::Platform(Some(one));
    assert_eq!(
        answer(&fixture, platform, operators, KEY, now(), b"of operator"),
        None
    );
    let again = answer(&fixture, platform, operators, KEY, now(), b"");
    assert_eq!(again, Some(kept(b"of operator")));
    // And in a transaction of their own tenant it is found as well.
    let own = answer(
        &fixture,
        Scope::Tenant(operators),
        operators,
        KEY,
        now(),
        b"",
    );
    assert_eq!(own, Some(kept(b"of operator")));
}

#[test]
fn another_key_is_not_waited_for() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let (go_on, held) = std::sync::mpsc::channel::<()>();
    let (locked, is_locked) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let fixture = &fixture;
        scope.spawn(move || {
            fixture
                .change(Scope::Tenant(home), move |tx| {
                    idempotency::lock_and_find(tx, home, &KEY, now())?;
                    locked.send(()).unwrap();
                    held.recv_timeout(Duration::from_secs(30)).unwrap();
                    Ok(Change::Nothing(()))
                })
                .unwrap();
        });
        is_locked.recv_timeout(Duration::from_secs(30)).unwrap();
        let short = Fixture::reopened(&fixture.test, Duration::from_millis(1_500));
        let lock = |key: [u8; 32]| {
            let found: Result<Option<Kept>, StorageError> =
                wait_for(
                    short.change(Scope::Tenant(home), builders::origin(), now(), move |tx| {
                        Ok(Change::Nothing(idempotency::lock_and_find(
                            tx,
                            home,
                            &key,
                            now(),
                        )?))
                    }),
                );
            found
        };
        assert_eq!(lock([8; 32]).unwrap(), None);
        assert!(
            lock(KEY).unwrap_err().is_unavailable(),
            "it is told in time"
        );
        go_on.send(()).unwrap();
    });
}

/// The look is at the partitions of what is live: what is made ahead and what is over are not waited for.
#[test]
fn a_look_leaves_other_partitions_alone() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let mut behind = fixture.test.superuser();
    let parts = crate::support::texts(
        &mut behind,
        &format!(
            "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'idempotency_records'::regclass \
             AND inhrelid::regclass::text NOT LIKE '%index%' \
             AND obj_description(inhrelid, 'pg_class')::timestamptz > '{}'",
            now() + TimeDelta::hours(36)
        ),
    );
    assert!(parts.len() > 20, "{parts:?}");
    behind
        .batch_execute(&format!(
            "BEGIN; LOCK TABLE {} IN ACCESS EXCLUSIVE MODE",
            parts.join(", ")
        ))
        .unwrap();
    let short = Fixture::reopened(&fixture.test, Duration::from_millis(1_500));
    let found: Result<Option<Kept>, StorageError> =
        wait_for(
            short.change(Scope::Tenant(home), builders::origin(), now(), move |tx| {
                Ok(Change::Nothing(idempotency::lock_and_find(
                    tx,
                    home,
                    &KEY,
                    now(),
                )?))
            }),
        );
    assert_eq!(found.unwrap(), None);
}

#[test]
fn what_is_over_leaves_by_partition() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    answer(&fixture, Scope::Tenant(home), home, KEY, now(), b"first");
    wait_for(keep(&fixture.database, now() + TimeDelta::hours(24))).unwrap();
    assert_eq!(
        fixture.number("SELECT count(*) FROM idempotency_records"),
        1
    );
    wait_for(keep(&fixture.database, now() + TimeDelta::hours(31))).unwrap();
    assert_eq!(
        fixture.number("SELECT count(*) FROM idempotency_records"),
        0
    );
}
