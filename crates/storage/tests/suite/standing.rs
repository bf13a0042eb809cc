//! A suspended tenant takes no change, not even one that had begun.

use std::sync::mpsc;
use std::time::Duration;

use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::tenant::NewTenant;
use grantor_storage::{Change, Scope, StorageError, clients, suspensions, tenants};
use grantor_test_support::builders;

use crate::support::{Fixture, now, wait_for};

fn by_a_client(tenant: TenantId) -> Origin {
    Origin::without_request(Actor::Client {
        tenant,
        client: ClientId::from_uuid(uuid::Uuid::nil()),
    })
}

fn suspend(fixture: &Fixture, tenant: TenantId) {
    fixture
        .change(Scope::Platform(Some(tenant)), move |tx| {
            tenants::find_for_change(tx, tenant)?;
            suspensions::set_tenant_pause(tx, tenant, Some(now()), None)?;
            let event = Event::new(tenant, Action::TenantSuspended, Target::Tenant(tenant));
            Ok(Change::made((), event))
        })
        .unwrap();
}

/// Makes a client on behalf of somebody; `between` runs when it is made and not yet committed.
fn make_client(
    fixture: &Fixture,
    tenant: &NewTenant,
    origin: Origin,
    between: impl FnOnce() + Send + 'static,
) -> Result<(), StorageError> {
    let (id, tenant) = (fixture.id(), tenant.clone());
    let settings = builders::client("Late", "orders.api:read");
    wait_for(
        fixture
            .database
            .change(Scope::Tenant(tenant.id), origin, now(), move |tx| {
                clients::insert(
                    tx,
                    tenant.id,
                    &builders::new_client(id, tenant.root_organization, &settings),
                )?;
                between();
                Ok(Change::made((), builders::client_event(tenant.id, id)))
            }),
    )
}

#[test]
fn tenant_2_a_suspended_tenant_takes_no_change_but_from_the_command_line() {
    let fixture = Fixture::new();
    let (tenant, other) = (fixture.tenant("Own"), fixture.tenant("Other"));
    suspend(&fixture, tenant.id);
    for actor in [
        by_a_client(tenant.id),
        Origin::without_request(Actor::Server),
    ] {
        let refused = make_client(&fixture, &tenant, actor, || {});
        assert!(
            matches!(refused, Err(StorageError::Suspended { tenant: which }) if which == tenant.id),
            "{refused:?}"
        );
    }
    assert_eq!(fixture.number("SELECT count(*) FROM clients"), 0);
    make_client(&fixture, &other, by_a_client(other.id), || {}).unwrap();
    make_client(&fixture, &tenant, builders::origin(), || {}).unwrap();
}

#[test]
fn tenant_2_a_suspension_waits_for_the_change_under_way_and_then_none_commits() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Own");
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let under_way = scope.spawn(|| {
            make_client(&fixture, &tenant, by_a_client(tenant.id), move || {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
            })
        });
        has_begun.recv().unwrap();
        let (returned, has_returned) = mpsc::channel();
        let (fixture_of_it, of) = (&fixture, tenant.id);
        scope.spawn(move || {
            suspend(fixture_of_it, of);
            returned.send(()).unwrap();
        });
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        crate::support::until("the suspension waits", || fixture.number(waiting) > 0);
        assert!(has_returned.recv_timeout(Duration::ZERO).is_err());
        go_on.send(()).unwrap();
        under_way.join().unwrap().unwrap();
        has_returned.recv().unwrap();
    });
    let late = make_client(&fixture, &tenant, by_a_client(tenant.id), || {});
    assert!(
        matches!(late, Err(StorageError::Suspended { .. })),
        "{late:?}"
    );
    assert_eq!(fixture.number("SELECT count(*) FROM clients"), 1);
}

#[test]
fn exactness_e_a_change_that_stands_still_loses_its_locks_and_blocks_no_suspension() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Own");
    let (begun, has_begun) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let late = std::thread::scope(|scope| {
        let standing = scope.spawn(|| {
            make_client(&fixture, &tenant, by_a_client(tenant.id), move || {
                begun.send(()).unwrap();
                // As a server does that was stopped.
                let _woken = may_go_on.recv();
            })
        });
        has_begun.recv().unwrap();
        // PostgreSQL ends what stands still before the wait for its locks is over.
        suspend(&fixture, tenant.id);
        drop(go_on);
        standing.join().unwrap()
    });
    assert!(late.is_err(), "{late:?}");
    assert_eq!(fixture.number("SELECT count(*) FROM clients"), 0);
}

#[test]
fn a_deleted_tenant_takes_no_change_from_anybody() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Own");
    let id = tenant.id;
    fixture
        .change(Scope::Platform(Some(id)), move |tx| {
            tenants::delete(tx, id)?;
            let event = Event::new(id, Action::TenantDeleted, Target::Tenant(id));
            Ok(Change::made((), event))
        })
        .unwrap();
    for origin in [by_a_client(id), builders::origin()] {
        let refused = make_client(&fixture, &tenant, origin, || {});
        assert!(
            matches!(refused, Err(StorageError::Suspended { .. })),
            "{refused:?}"
        );
    }
}
