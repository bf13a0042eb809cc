//! A change is there wholly, with its events, or not at all.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use grantor_domain::audit::Events;
use grantor_domain::client::Client;
use grantor_domain::ids::ClientId;
use grantor_domain::tenant::NewTenant;
use grantor_storage::{
    Change, ChangeTx, Database, DatabaseOptions, ReadTx, Scope, StorageError, clients,
};
use grantor_test_support::builders;

use crate::support::{Fixture, now, until, wait_for};

fn insert(tx: &mut ChangeTx<'_>, tenant: &NewTenant, id: ClientId) -> Result<(), StorageError> {
    let settings = builders::client("Client", "");
    clients::insert(
        tx,
        tenant.id,
        &builders::new_client(id, tenant.root_organization, &settings),
    )
}

fn make(fixture: &Fixture, id: ClientId) -> Result<(), StorageError> {
    let tenant = fixture.home.clone();
    fixture.change(Scope::Tenant(tenant.id), move |tx| {
        insert(tx, &tenant, id)?;
        Ok(Change::made((), builders::client_event(tenant.id, id)))
    })
}

fn find(fixture: &Fixture, id: ClientId) -> Result<Option<Client>, StorageError> {
    let tenant = fixture.home.id;
    wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                clients::find(tx, tenant, id)
            }),
    )
}

#[test]
fn without_its_audit_event_a_change_is_not_there() {
    let fixture = Fixture::new();
    let id = fixture.id();
    fixture
        .superuser_runs("ALTER TABLE audit_events ADD CONSTRAINT no_more CHECK (false) NOT VALID");
    assert!(matches!(
        make(&fixture, id),
        Err(StorageError::Statement(_))
    ));
    assert!(find(&fixture, id).unwrap().is_none());
    fixture.superuser_runs("ALTER TABLE audit_events DROP CONSTRAINT no_more");
    make(&fixture, id).unwrap();
    assert!(find(&fixture, id).unwrap().is_some());
}

#[test]
fn without_its_place_on_the_feed_a_change_is_not_there() {
    let fixture = Fixture::new();
    let id = fixture.id();
    let events = fixture.number("SELECT count(*) FROM audit_events");
    // Appended within COMMIT: so it is the commit that fails.
    fixture.superuser_runs("ALTER TABLE changes ADD CONSTRAINT no_more CHECK (false) NOT VALID");
    make(&fixture, id).unwrap_err();
    assert!(find(&fixture, id).unwrap().is_none());
    assert_eq!(fixture.number("SELECT count(*) FROM audit_events"), events);
}

#[test]
fn nothing_rolls_back_what_was_written_unsaid() {
    let fixture = Fixture::new();
    let (id, tenant) = (fixture.id(), fixture.home.clone());
    let told = fixture.change(Scope::Tenant(tenant.id), move |tx| {
        insert(tx, &tenant, id)?;
        Ok(Change::Nothing("told all the same"))
    });
    assert_eq!(told.unwrap(), "told all the same");
    assert!(find(&fixture, id).unwrap().is_none());
}

#[test]
fn an_error_rolls_back_and_the_connection_goes_on() {
    let fixture = Fixture::with(1, Duration::from_secs(20));
    let (id, tenant) = (fixture.id(), fixture.home.clone());
    for _ in 0..3 {
        let tenant = tenant.clone();
        let failed = fixture.change(Scope::Tenant(tenant.id), move |tx| {
            insert(tx, &tenant, id)?;
            // A statement that fails leaves the transaction aborted.
            insert(tx, &tenant, id)?;
            Ok(Change::made((), builders::client_event(tenant.id, id)))
        });
        match failed {
            Err(StorageError::Taken { constraint }) => assert_eq!(constraint, "clients_pkey"),
            other => panic!("{other:?}"),
        }
    }
    assert!(find(&fixture, id).unwrap().is_none());
}

/// A closure that passes over a statement's failure must not be told that it was committed.
#[test]
fn an_error_passed_over_does_not_commit() {
    let fixture = Fixture::new();
    let (id, tenant) = (fixture.id(), fixture.home.clone());
    let ignored = fixture.change(Scope::Tenant(tenant.id), move |tx| {
        insert(tx, &tenant, id)?;
        insert(tx, &tenant, id).unwrap_err();
        Ok(Change::made((), builders::client_event(tenant.id, id)))
    });
    ignored.unwrap_err();
    assert!(find(&fixture, id).unwrap().is_none());
}

#[test]
fn a_panic_leaves_nothing_behind_and_the_way_open() {
    let fixture = Fixture::with(1, Duration::from_secs(20));
    for _ in 0..3 {
        let (id, tenant) = (fixture.id(), fixture.home.clone());
        let panicked: Result<(), StorageError> =
            fixture.change(Scope::Tenant(tenant.id), move |tx| {
                insert(tx, &tenant, id)?;
                panic!("as the test wants");
            });
        assert!(
            matches!(panicked, Err(StorageError::Unavailable(_))),
            "{panicked:?}"
        );
        assert!(find(&fixture, id).unwrap().is_none());
        make(&fixture, id).unwrap();
    }
}

#[test]
fn whoever_takes_too_long_is_told_in_time_and_rolled_back() {
    let deadline = Duration::from_millis(400);
    let slack = Duration::from_millis(400);
    let fixture = Fixture::new();
    let short = Database::new(DatabaseOptions {
        url: fixture.test.url(),
        pool_size: 1,
        deadline,
        entropy: fixture.entropy.clone(),
    });
    let (id, tenant) = (fixture.id(), fixture.home.clone());
    let home = tenant.id;
    let read = || {
        short.read(Scope::Tenant(home), move |tx: &mut ReadTx<'_>| {
            clients::find(tx, home, id)
        })
    };
    until("it is connected", || wait_for(read()).is_ok());
    let (go_on, held) = mpsc::channel::<()>();
    wait_for(async {
        let begun = Instant::now();
        let late: Result<(), StorageError> = short
            .change(Scope::Tenant(home), builders::origin(), now(), move |tx| {
                insert(tx, &tenant, id)?;
                held.recv_timeout(Duration::from_secs(30)).unwrap();
                Ok(Change::made((), builders::client_event(tenant.id, id)))
            })
            .await;
        let took = begun.elapsed();
        assert!(
            matches!(late, Err(StorageError::Unavailable(_))),
            "{late:?}"
        );
        assert!(took >= deadline && took < deadline + slack, "{took:?}");
        // The connection is still in use: whoever comes meanwhile is told so, and in time.
        let begun = Instant::now();
        let busy = read().await;
        let took = begun.elapsed();
        assert!(
            matches!(busy, Err(StorageError::Unavailable(_))),
            "{busy:?}"
        );
        assert!(took < deadline + slack, "{took:?}");
        go_on.send(()).unwrap();
    });
    let mut found = None;
    until("the connection is free again", || {
        let answer = wait_for(read());
        let free = answer.is_ok();
        found = answer.ok().flatten();
        free
    });
    assert!(found.is_none(), "what its caller was not told took effect");
}

#[test]
fn a_lock_that_somebody_holds_is_waited_for_no_longer_than_the_deadline() {
    let fixture = Fixture::with(2, Duration::from_millis(1500));
    let client = fixture.client(&fixture.home, "Client");
    let mut holder = fixture.test.superuser();
    holder
        .batch_execute("BEGIN; SELECT FROM clients FOR UPDATE")
        .unwrap();
    let tenant = fixture.home.id;
    let begun = Instant::now();
    let waited = fixture.change(Scope::Tenant(tenant), move |tx| {
        clients::find_for_change(tx, tenant, client)?;
        Ok(Change::Nothing(()))
    });
    assert!(
        matches!(waited, Err(StorageError::Unavailable(_))),
        "{waited:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_millis(2500),
        "{:?}",
        begun.elapsed()
    );
    // Readers don't wait for writers.
    assert!(find(&fixture, client).unwrap().is_some());
}

#[test]
fn a_connection_that_postgresql_ended_is_replaced_unnoticed() {
    let fixture = Fixture::with(2, Duration::from_secs(20));
    let client = fixture.client(&fixture.home, "Client");
    for _ in 0..3 {
        fixture.superuser_runs(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
             WHERE datname = current_database() AND usename = 'grantor_server'",
        );
        assert!(find(&fixture, client).unwrap().is_some());
    }
}

#[test]
fn what_the_events_of_one_change_say_follows_one_another() {
    let fixture = Fixture::new();
    let tenant = fixture.home.id;
    let ids: Vec<ClientId> = (0..20).map(|_| fixture.id()).collect();
    let told = ids.clone();
    let changed: Result<(), StorageError> = wait_for(fixture.database.change(
        Scope::Tenant(tenant),
        builders::origin(),
        now(),
        move |_tx| {
            let mut events = Events::from(builders::client_event(tenant, told[0]));
            for id in &told[1..] {
                events = events.and(builders::client_event(tenant, *id));
            }
            Ok(Change::Made((), events))
        },
    ));
    changed.unwrap();
    let listed: Result<Vec<String>, StorageError> = wait_for(fixture.database.read(
        Scope::Tenant(tenant),
        move |tx: &mut ReadTx<'_>| {
            let events = grantor_storage::audit_events::list(tx, tenant, None, 20)?;
            Ok(events.into_iter().map(|event| event.target).collect())
        },
    ));
    let wanted: Vec<String> = ids.iter().rev().map(ToString::to_string).collect();
    assert_eq!(listed.unwrap(), wanted);
}
