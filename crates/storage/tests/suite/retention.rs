//! What has been kept for long enough is dropped by partition, and whatever rests on it goes on.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::suspension::{Position, Suspension};
use grantor_storage::changes::{self, FeedBounds};
use grantor_storage::partitions::{Kept, keep};
use grantor_storage::retention::{self, Days};
use grantor_storage::{
    Change, FlowTx, ReadTx, Scope, StorageError, clients, feed_since, installation, migrate,
    suspensions,
};
use grantor_test_support::builders;

use crate::support::{EPOCH, Fixture, now, texts, wait_for};

fn kept(fixture: &Fixture, at: DateTime<Utc>) -> Kept {
    wait_for(keep(&fixture.database, at)).unwrap()
}

fn bounds(fixture: &Fixture, tenant: TenantId) -> FeedBounds {
    let read: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                changes::bounds(tx, tenant)
            }),
    );
    read.unwrap()
}

fn position(fixture: &Fixture) -> Position {
    let read: Result<_, StorageError> = wait_for(
        fixture
            .database
            .flow(|tx: &mut FlowTx<'_>| feed_since::position(tx)),
    );
    read.unwrap()
}

fn suspension(fixture: &Fixture, tenant: TenantId, client: ClientId) -> Suspension {
    let read: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                clients::find(tx, tenant, client)
            }),
    );
    read.unwrap().unwrap().suspension
}

fn cut(fixture: &Fixture, tenant: TenantId, client: ClientId) {
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            suspensions::cut_client_off(tx, tenant, client)?;
            Ok(Change::made((), builders::client_event(tenant, client)))
        })
        .unwrap();
}

fn go_on_at(fixture: &Fixture, number: i64) {
    fixture.superuser_runs(&format!(
        "SELECT setval('changes_sequence', {number}, false)"
    ));
}

fn parts(fixture: &Fixture) -> Vec<String> {
    texts(
        &mut fixture.test.superuser(),
        "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = pg_class.oid \
         WHERE inhparent = 'changes'::regclass AND relkind = 'r' ORDER BY 1",
    )
}

/// A quiet tenant with a cut, and a busy one by which the feed has left the first two partitions.
struct Scene {
    fixture: Fixture,
    quiet: TenantId,
    client: ClientId,
    busy: TenantId,
}

fn scene() -> Scene {
    let fixture = Fixture::new();
    let quiet = fixture.home.clone();
    let client = fixture.client(&quiet, "Quiet");
    let busy = fixture.tenant("Busy");
    cut(&fixture, quiet.id, client);
    go_on_at(&fixture, 499_998);
    for name in ["A", "B", "C"] {
        fixture.client(&busy, name);
    }
    go_on_at(&fixture, 1_000_000);
    fixture.client(&busy, "D");
    Scene {
        fixture,
        quiet: quiet.id,
        client,
        busy: busy.id,
    }
}

#[test]
fn numbers_beyond_the_last_are_always_provided_for() {
    let fixture = Fixture::new();
    assert_eq!(parts(&fixture).len(), 5);
    for last in [499_999, 500_000, 1_700_000, 3_700_000] {
        go_on_at(&fixture, last);
        kept(&fixture, now());
        let end = fixture.number(
            "SELECT max(obj_description(inhrelid, 'pg_class')::bigint) FROM pg_inherits \
             WHERE inhparent = 'changes'::regclass",
        );
        assert!(
            (last + 2_000_000..=last + 2_500_000).contains(&end),
            "{end}"
        );
        go_on_at(&fixture, end - 1);
        fixture.client(&fixture.home.clone(), "At the end");
    }
}

#[test]
fn changes_are_kept_for_their_time_and_no_longer() {
    let Scene { fixture, busy, .. } = scene();
    kept(
        &fixture,
        now() + TimeDelta::days(30) - TimeDelta::seconds(1),
    );
    assert_eq!(bounds(&fixture, busy).floor, 1);
    assert_eq!(fixture.number("SELECT min(sequence) FROM changes"), 1);

    kept(&fixture, now() + TimeDelta::days(30));
    // That in which the sequence is stays, however old.
    assert_eq!(
        bounds(&fixture, busy),
        FeedBounds {
            epoch: EPOCH,
            floor: 1_000_000,
            head: 1_000_000
        }
    );
    assert_eq!(fixture.number("SELECT count(*) FROM changes"), 1);
    kept(&fixture, now() + TimeDelta::days(300));
    assert_eq!(fixture.number("SELECT count(*) FROM changes"), 1);
}

#[test]
fn one_young_row_keeps_its_partition_and_all_after_it() {
    let Scene { fixture, busy, .. } = scene();
    // Neither the last of its partition nor the first.
    fixture.superuser_runs(&format!(
        "UPDATE changes SET at = '{}' WHERE sequence = 499998",
        now() + TimeDelta::days(10)
    ));
    kept(&fixture, now() + TimeDelta::days(39));
    assert_eq!(bounds(&fixture, busy).floor, 1);
    kept(&fixture, now() + TimeDelta::days(40));
    assert_eq!(bounds(&fixture, busy).floor, 1_000_000);
}

#[test]
fn a_clock_that_is_ahead_drops_nothing_that_is_young_by_postgresqls() {
    let Scene { fixture, busy, .. } = scene();
    let clock = wait_for(installation::health(&fixture.database))
        .unwrap()
        .clock;
    fixture.superuser_runs(&format!(
        "UPDATE changes SET at = '{}'",
        clock - TimeDelta::days(29)
    ));
    kept(&fixture, clock + TimeDelta::days(3_650));
    assert_eq!(bounds(&fixture, busy).floor, 1);
}

/// An old cut must not kill what is decided after it, also when the change that cut has left the feed.
#[test]
fn a_position_outlives_the_changes_that_it_came_from() {
    let Scene {
        fixture,
        quiet,
        client,
        ..
    } = scene();
    // The newest change of all tenants is the position of each.
    assert_eq!(position(&fixture).sequence, 1_000_000);
    let cut_below = suspension(&fixture, quiet, client).cut_below;
    kept(&fixture, now() + TimeDelta::days(31));
    // Somebody may have moved the rows of the last partition too; then the floor stands for them.
    fixture.superuser_runs("DELETE FROM changes");
    let after = position(&fixture);
    assert_eq!(after.sequence, 999_999);
    assert!(!suspension(&fixture, quiet, client).stops(after));
    // What was decided before the cut stays dead.
    let older = Position {
        sequence: cut_below - 1,
        ..after
    };
    assert!(suspension(&fixture, quiet, client).stops(older));
    // And the next cut kills what was decided at the floor.
    cut(&fixture, quiet, client);
    assert!(suspension(&fixture, quiet, client).stops(after));
    assert!(!suspension(&fixture, quiet, client).stops(position(&fixture)));
}

#[test]
fn a_reader_of_the_feed_postpones_dropping_and_the_floor_with_it() {
    let Scene { fixture, busy, .. } = scene();
    let mut reader = fixture.test.superuser();
    reader
        .batch_execute("BEGIN; SELECT FROM changes LIMIT 1")
        .unwrap();
    let later = now() + TimeDelta::days(31);
    assert!(kept(&fixture, later).postponed > 0);
    assert_eq!(bounds(&fixture, busy).floor, 1);
    reader.batch_execute("ROLLBACK").unwrap();
    kept(&fixture, later);
    assert_eq!(bounds(&fixture, busy).floor, 1_000_000);
}

#[test]
fn the_owner_sets_for_how_long_and_nobody_else() {
    let Scene { fixture, busy, .. } = scene();
    let owner = fixture.test.owner_url();
    let changes = retention::Kept::Changes;
    assert_eq!(retention::get(&owner, changes).unwrap(), "30 days");
    retention::set(&owner, changes, Days::new(60).unwrap()).unwrap();
    assert_eq!(retention::get(&owner, changes).unwrap(), "60 days");
    kept(&fixture, now() + TimeDelta::days(59));
    assert_eq!(bounds(&fixture, busy).floor, 1);
    retention::set(&owner, changes, Days::new(2).unwrap()).unwrap();
    kept(&fixture, now() + TimeDelta::days(2));
    assert_eq!(bounds(&fixture, busy).floor, 1_000_000);
    retention::set(&fixture.test.url(), changes, Days::new(9).unwrap()).unwrap_err();
    assert_eq!(retention::get(&owner, changes).unwrap(), "2 days");
}

/// Takes migrations back until this one is gone.
fn down_to_before(fixture: &Fixture, version: &str) {
    while migrate::down(&fixture.test.owner_url()).unwrap().unwrap() != version {}
}

const ROWS: &str = "SELECT concat_ws(' ', tenant_id, sequence, audit_event_id, action, schema_version, touched, at) \
                    FROM changes WHERE action <> 'feed.shortened' ORDER BY 1";

#[test]
fn down_and_up_again_keep_the_feed_and_its_positions() {
    let Scene {
        fixture,
        quiet,
        client,
        busy,
    } = scene();
    let rows = texts(&mut fixture.test.superuser(), ROWS);
    assert!(rows.len() >= 8);
    // The log may be kept for a shorter time than the feed.
    fixture.superuser_runs("DELETE FROM audit_events WHERE target_kind = 'tenant'");
    down_to_before(&fixture, "00000000000009");
    assert_eq!(texts(&mut fixture.test.superuser(), ROWS), rows, "down");
    migrate::up(&fixture.test.owner_url()).unwrap();
    assert_eq!(texts(&mut fixture.test.superuser(), ROWS), rows, "up again");
    let (floor, head) = (1, 1_000_000);
    assert_eq!(
        bounds(&fixture, busy),
        FeedBounds {
            epoch: EPOCH,
            floor,
            head
        }
    );

    kept(&fixture, now() + TimeDelta::days(31));
    down_to_before(&fixture, "00000000000009");
    // The release before knows a position by the tenant's rows alone.
    let by_rows = fixture.number(&format!(
        "SELECT coalesce(max(sequence), 0) FROM changes WHERE tenant_id = '{}'",
        quiet.uuid()
    ));
    assert_eq!(by_rows, 999_999);
    migrate::up(&fixture.test.owner_url()).unwrap();
    assert_eq!(position(&fixture).sequence, 1_000_000);
    assert!(!suspension(&fixture, quiet, client).stops(position(&fixture)));
    assert_eq!(bounds(&fixture, busy).floor, 1_000_000);
    kept(&fixture, now());
    cut(&fixture, quiet, client);
    assert_eq!(position(&fixture).sequence, 1_000_001);
}
