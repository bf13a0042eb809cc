//! A rehearsed change tells what it would do, and leaves nothing behind; a refusal is on record all the same.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::ClientId;
use grantor_storage::{Change, ChangeTx, Database, Scope, StorageError, clients, suspensions};
use grantor_test_support::builders;

use crate::support::{Fixture, now, wait_for};

fn change<T: Send + 'static>(
    database: &Database,
    fixture: &Fixture,
    work: impl FnOnce(&mut ChangeTx<'_>) -> Result<Change<T>, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let home = fixture.home.id;
    wait_for(database.change(Scope::Tenant(home), builders::origin(), now(), work))
}

fn make(database: &Database, fixture: &Fixture) -> Result<(ClientId, i64), StorageError> {
    let (home, id) = (fixture.home.clone(), fixture.id());
    change(database, fixture, move |tx| {
        let settings = builders::client("Client", "");
        clients::insert(
            tx,
            home.id,
            &builders::new_client(id, home.root_organization, &settings),
        )?;
        suspensions::pause_client(tx, home.id, id, None)?;
        let made = clients::find(tx, home.id, id)?.unwrap();
        let result = (made.id, i64::from(tx.is_rehearsal()));
        Ok(Change::made(result, builders::client_event(home.id, id)))
    })
}

fn counts(fixture: &Fixture) -> [i64; 4] {
    ["clients", "suspensions", "audit_events", "changes"]
        .map(|table| fixture.number(&format!("SELECT count(*) FROM {table}")))
}

#[test]
fn a_rehearsal_returns_the_result_and_leaves_nothing() {
    let fixture = Fixture::new();
    let before = counts(&fixture);
    let dry = fixture.database.rehearsing(true);
    let (_, rehearsal) = make(&dry, &fixture).unwrap();
    assert_eq!(rehearsal, 1);
    assert_eq!(counts(&fixture), before);
    // The way it came from is not changed by that, and the other way round neither.
    let (_, rehearsal) = make(&fixture.database, &fixture).unwrap();
    assert_eq!(rehearsal, 0);
    let after = counts(&fixture);
    assert_eq!(after, before.map(|count| count + 1));
    make(&dry.rehearsing(false), &fixture).unwrap();
    assert_eq!(counts(&fixture), after.map(|count| count + 1));
    make(
        &fixture.database.reserved().rehearsing(true).reserved(),
        &fixture,
    )
    .unwrap();
    assert_eq!(counts(&fixture), after.map(|count| count + 1));
}

#[test]
fn a_rehearsal_fails_where_the_change_would() {
    let fixture = Fixture::new();
    let dry = fixture.database.rehearsing(true);
    // Within COMMIT alone, and without an event for its log.
    fixture.superuser_runs("ALTER TABLE changes ADD CONSTRAINT no_more CHECK (false) NOT VALID");
    make(&dry, &fixture).unwrap_err();
    fixture.superuser_runs("ALTER TABLE changes DROP CONSTRAINT no_more");
    make(&dry, &fixture).unwrap();
    let (home, other, id) = (
        fixture.home.clone(),
        fixture.tenant("Other").id,
        fixture.id(),
    );
    let unsaid = change(&dry, &fixture, move |tx| {
        let settings = builders::client("Client", "");
        clients::insert(
            tx,
            home.id,
            &builders::new_client(id, home.root_organization, &settings),
        )?;
        let elsewhere = Event::new(other, Action::ClientCreated, Target::Client(id));
        Ok(Change::made((), elsewhere))
    });
    assert!(unsaid.is_err());
}

/// Whoever follows the feed sees no hole where something was rehearsed, only numbers that skip.
#[test]
fn the_feed_goes_on_after_rehearsals() {
    let fixture = Fixture::new();
    let dry = fixture.database.rehearsing(true);
    for _ in 0..3 {
        make(&dry, &fixture).unwrap();
        make(&fixture.database, &fixture).unwrap();
    }
    assert_eq!(fixture.number("SELECT count(*) FROM changes"), 1 + 3);
}

#[test]
fn a_refusal_is_on_record_also_when_it_was_rehearsed() {
    let fixture = Fixture::new();
    for dry in [false, true] {
        let before = counts(&fixture);
        let (home, id) = (fixture.home.id, fixture.id());
        let told = change(&fixture.database.rehearsing(dry), &fixture, move |_tx| {
            let refused = Event::new(home, Action::AccessRefused, Target::Client(id));
            Ok(Change::refused("no", refused))
        });
        assert_eq!(told.unwrap(), "no");
        let [clients, suspensions, events, changes] = before;
        assert_eq!(
            counts(&fixture),
            [clients, suspensions, events + 1, changes]
        );
    }
}

#[test]
fn whoever_refuses_and_touches_something_fails() {
    let fixture = Fixture::new();
    for dry in [false, true] {
        let before = counts(&fixture);
        let (home, id) = (fixture.home.clone(), fixture.id());
        let failed = change(&fixture.database.rehearsing(dry), &fixture, move |tx| {
            let settings = builders::client("Client", "");
            clients::insert(
                tx,
                home.id,
                &builders::new_client(id, home.root_organization, &settings),
            )?;
            Ok(Change::refused((), builders::client_event(home.id, id)))
        });
        match failed {
            Err(StorageError::RefusedAndTouched { tenant }) => assert_eq!(tenant, fixture.home.id),
            other => panic!("{other:?}"),
        }
        assert_eq!(counts(&fixture), before);
    }
}
