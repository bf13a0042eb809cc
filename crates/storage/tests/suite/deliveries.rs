//! The outbox: what is in it is there exactly if its change is, and each is claimed by one worker at a time.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::ids::{DeliveryId, TenantId};
use grantor_storage::deliveries::{self, Channel, Claimed, NewDelivery};
use grantor_storage::partitions::keep;
use grantor_storage::{Change, Scope, StorageError};
use grantor_test_support::builders;

use crate::support::{Fixture, now, texts, wait_for};

const LEASE: TimeDelta = TimeDelta::seconds(30);

fn enqueue(fixture: &Fixture, tenant: TenantId, count: usize) -> Vec<DeliveryId> {
    let made: Vec<NewDelivery> = (0..count)
        .map(|number| NewDelivery {
            id: deliveries::new_id(now(), fixture.entropy.as_ref()).unwrap(),
            channel: Channel::Mail,
            sealed: vec![u8::try_from(number % 251).unwrap()],
        })
        .collect();
    let ids = made.iter().map(|delivery| delivery.id).collect();
    let client = fixture.id();
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            for delivery in &made {
                deliveries::enqueue(tx, tenant, delivery)?;
            }
            Ok(Change::made((), builders::client_event(tenant, client)))
        })
        .unwrap();
    ids
}

fn claim(fixture: &Fixture, at: DateTime<Utc>, limit: i64) -> Vec<Claimed> {
    wait_for(deliveries::claim(&fixture.database, at, LEASE, limit)).unwrap()
}

fn seconds(number: i64) -> DateTime<Utc> {
    now() + TimeDelta::seconds(number)
}

#[test]
fn eight_workers_share_two_hundred_and_claim_each_once() {
    let fixture = Fixture::with(10, Duration::from_secs(60));
    let tenants = [fixture.home.id, fixture.tenant("Other").id];
    let wanted: BTreeSet<DeliveryId> = tenants
        .iter()
        .flat_map(|tenant| enqueue(&fixture, *tenant, 100))
        .collect();
    let claimed: Mutex<Vec<Claimed>> = Mutex::default();
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                loop {
                    let mine = claim(&fixture, now(), 7);
                    assert!(mine.len() <= 7);
                    if mine.is_empty() {
                        // What others are just claiming is theirs.
                        return;
                    }
                    for one in &mine {
                        let done =
                            deliveries::delivered(&fixture.database, one.tenant, one.id, now());
                        assert!(wait_for(done).unwrap());
                    }
                    claimed.lock().unwrap().extend(mine);
                }
            });
        }
    });
    let claimed = claimed.into_inner().unwrap();
    assert_eq!(claimed.len(), 200, "each once");
    assert!(claimed.iter().all(|one| one.attempts == 1));
    let ids: BTreeSet<DeliveryId> = claimed.iter().map(|one| one.id).collect();
    assert_eq!(ids, wanted);
    assert_eq!(claim(&fixture, seconds(3_600), 10), []);
}

#[test]
fn it_is_there_exactly_if_its_change_is() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let lost = NewDelivery {
        id: deliveries::new_id(now(), fixture.entropy.as_ref()).unwrap(),
        channel: Channel::Mail,
        sealed: vec![1],
    };
    let failed: Result<(), StorageError> = fixture.change(Scope::Tenant(home), move |tx| {
        deliveries::enqueue(tx, home, &lost)?;
        Err(StorageError::Unavailable("as the test wants".into()))
    });
    failed.unwrap_err();
    assert_eq!(claim(&fixture, now(), 10), []);
    let ids = enqueue(&fixture, home, 1);
    assert_eq!(
        claim(&fixture, now(), 10),
        [Claimed {
            tenant: home,
            id: ids[0],
            channel: Channel::Mail,
            sealed: vec![0],
            attempts: 1
        }]
    );
}

#[test]
fn the_lease_of_a_worker_that_died_runs_out() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    enqueue(&fixture, home, 3);
    let first = claim(&fixture, now(), 2);
    assert_eq!(first.len(), 2);
    let rest = claim(&fixture, now(), 10);
    assert_eq!(rest.len(), 1);
    assert_eq!(claim(&fixture, seconds(29), 10), []);
    let again = claim(&fixture, seconds(30), 10);
    assert_eq!(again.len(), 3);
    assert!(again.iter().all(|one| one.attempts == 2));
    // Whoever comes back after its lease neither puts off nor gives up what is another's by now.
    let (database, mine) = (&fixture.database, &first[0]);
    assert!(!wait_for(deliveries::postpone(database, mine, seconds(31), "late")).unwrap());
    assert!(!wait_for(deliveries::give_up(database, mine, seconds(31), "late")).unwrap());
    assert_eq!(claim(&fixture, seconds(31), 10), []);
    // But what was sent was sent, and is told once.
    assert!(wait_for(deliveries::delivered(database, home, mine.id, seconds(32))).unwrap());
    assert!(!wait_for(deliveries::delivered(database, home, mine.id, seconds(33))).unwrap());
    assert_eq!(claim(&fixture, seconds(60), 10).len(), 2);
}

#[test]
fn what_is_put_off_comes_back_in_its_time_and_what_is_given_up_does_not() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    enqueue(&fixture, home, 2);
    let both = claim(&fixture, now(), 10);
    let database = &fixture.database;
    let long = "x".repeat(1_000);
    assert!(
        wait_for(deliveries::postpone(
            database,
            &both[0],
            seconds(300),
            &long
        ))
        .unwrap()
    );
    assert!(
        wait_for(deliveries::give_up(
            database,
            &both[1],
            now(),
            "no such mailbox"
        ))
        .unwrap()
    );
    assert_eq!(claim(&fixture, seconds(299), 10), []);
    let back = claim(&fixture, seconds(300), 10);
    assert_eq!(
        (back.len(), back[0].id, back[0].attempts),
        (1, both[0].id, 2)
    );
    // The former claim is over, and what is settled stays so.
    assert!(!wait_for(deliveries::postpone(database, &both[0], now(), "late")).unwrap());
    assert!(!wait_for(deliveries::postpone(database, &both[1], now(), "late")).unwrap());
    let errors = texts(
        &mut fixture.test.superuser(),
        "SELECT last_error FROM deliveries ORDER BY length(last_error)",
    );
    assert_eq!(errors, ["no such mailbox".to_owned(), "x".repeat(300)]);
}

#[test]
fn the_longest_due_go_first() {
    let fixture = Fixture::new();
    enqueue(&fixture, fixture.home.id, 3);
    let all = claim(&fixture, now(), 10);
    for (one, after) in all.iter().zip([50, 40, 60]) {
        wait_for(deliveries::postpone(
            &fixture.database,
            one,
            seconds(after),
            "",
        ))
        .unwrap();
    }
    let order: Vec<DeliveryId> = (0..3)
        .flat_map(|_| claim(&fixture, seconds(100), 1))
        .map(|one| one.id)
        .collect();
    assert_eq!(order, [all[1].id, all[0].id, all[2].id]);
}

#[test]
fn after_a_week_nobody_tries_any_more_and_then_it_is_gone() {
    let fixture = Fixture::new();
    enqueue(&fixture, fixture.home.id, 1);
    let week = now() + TimeDelta::days(7);
    assert_eq!(claim(&fixture, week + TimeDelta::milliseconds(1), 10), []);
    assert_eq!(
        claim(&fixture, week - TimeDelta::milliseconds(1), 10).len(),
        1
    );
    wait_for(keep(&fixture.database, week)).unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM deliveries"), 1);
    wait_for(keep(&fixture.database, week + TimeDelta::days(1))).unwrap();
    assert_eq!(fixture.number("SELECT count(*) FROM deliveries"), 0);
}

/// A worker that finds nothing must not walk through what was sent.
#[test]
fn the_index_for_claiming_holds_what_is_still_to_be_done() {
    let fixture = Fixture::new();
    let indexes = texts(
        &mut fixture.test.superuser(),
        "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = 'deliveries_due'::regclass",
    );
    assert_eq!(
        indexes,
        ["((delivered_at IS NULL) AND (failed_at IS NULL))"]
    );
}
