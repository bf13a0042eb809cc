//! Whoever follows the change feed by its pages sees each change once and in order, while many change and
//! many fail.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grantor_domain::ids::{AuditEventId, ClientId, TenantId};
use grantor_storage::changes::{self, FeedBounds, FeedEntry};
use grantor_storage::{Change, ReadTx, Scope, StorageError, clients, suspensions};
use grantor_test_support::builders;

use crate::support::{EPOCH, Fixture, now, numbers, wait_for};

fn page(fixture: &Fixture, tenant: TenantId, after: i64, limit: i64) -> Vec<FeedEntry> {
    let read: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                changes::page(tx, tenant, after, limit)
            }),
    );
    read.unwrap()
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

type Seen = Vec<(i64, AuditEventId)>;

fn catch_up(fixture: &Fixture, tenant: TenantId, limit: i64, seen: &mut Seen) {
    loop {
        let after = seen.last().map_or(0, |(sequence, _)| *sequence);
        let found = page(fixture, tenant, after, limit);
        if found.is_empty() {
            return;
        }
        seen.extend(found.into_iter().map(|entry| (entry.sequence, entry.event)));
    }
}

/// Polls one tenant, from where it was, until told that nothing comes any more.
fn follow(fixture: &Fixture, tenant: TenantId, limit: i64, ended: &AtomicBool) -> Seen {
    let mut seen = Seen::new();
    loop {
        // Looked at before the poll: what was committed by then is in the poll.
        let last = ended.load(Ordering::SeqCst);
        catch_up(fixture, tenant, limit, &mut seen);
        if last {
            return seen;
        }
    }
}

/// Polls for whom there is news, and reads theirs alone.
fn follow_heads(fixture: &Fixture, ended: &AtomicBool) -> BTreeMap<TenantId, Seen> {
    let mut seen: BTreeMap<TenantId, Seen> = BTreeMap::new();
    let mut newest = 0;
    loop {
        let last = ended.load(Ordering::SeqCst);
        let (number, tenants) = wait_for(changes::heads_after(&fixture.database, newest)).unwrap();
        assert!(number >= newest);
        assert_eq!(number == newest, tenants.is_empty());
        newest = number;
        for tenant in tenants {
            catch_up(fixture, tenant, 5, seen.entry(tenant).or_default());
        }
        if last {
            return seen;
        }
    }
}

#[test]
fn followers_see_every_change_once_and_in_order_whoever_commits_when() {
    const WRITERS: usize = 32;
    const CHANGES: usize = 12;
    let fixture = Fixture::with(40, Duration::from_secs(60));
    let tenants: Vec<_> = ["One", "Two", "Three"]
        .into_iter()
        .map(|name| fixture.tenant(name))
        .collect();
    let clients: Vec<(TenantId, ClientId)> = (0..WRITERS)
        .map(|number| {
            let tenant = &tenants[number % 3];
            (tenant.id, fixture.client(tenant, "Client"))
        })
        .collect();
    let ended = AtomicBool::new(false);
    let (by_tenant, by_heads) = std::thread::scope(|scope| {
        let (fixture, ended) = (&fixture, &ended);
        let following: Vec<_> = tenants
            .iter()
            .flat_map(|tenant| [(tenant.id, 1), (tenant.id, 50)])
            .map(|(tenant, limit)| {
                (
                    tenant,
                    scope.spawn(move || follow(fixture, tenant, limit, ended)),
                )
            })
            .collect();
        let heads = scope.spawn(move || follow_heads(fixture, ended));
        let writers: Vec<_> = clients
            .iter()
            .copied()
            .map(|(tenant, client)| {
                scope.spawn(move || {
                    for number in 0..CHANGES {
                        let aborts = number % 3 == 1;
                        let changed = fixture.change(Scope::Tenant(tenant), move |tx| {
                            suspensions::pause_client(tx, tenant, client, None)?;
                            if aborts {
                                return Err(StorageError::Unavailable("as the test wants".into()));
                            }
                            Ok(Change::made((), builders::client_event(tenant, client)))
                        });
                        assert_eq!(changed.is_err(), aborts, "{changed:?}");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        ended.store(true, Ordering::SeqCst);
        let by_tenant: Vec<(TenantId, Seen)> = following
            .into_iter()
            .map(|(tenant, thread)| (tenant, thread.join().unwrap()))
            .collect();
        (by_tenant, heads.join().unwrap())
    });
    let mut behind = fixture.test.superuser();
    let mut in_all = 0;
    for (tenant, seen) in &by_tenant {
        let all = numbers(
            &mut behind,
            &format!(
                "SELECT sequence FROM changes WHERE tenant_id = '{}' ORDER BY 1",
                tenant.uuid()
            ),
        );
        let told: Vec<i64> = seen.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(told, all, "of {tenant}");
        assert_eq!(by_heads.get(tenant), Some(seen), "by the heads");
        let mut events: Vec<_> = seen.iter().map(|(_, event)| *event).collect();
        events.sort_unstable();
        events.dedup();
        assert_eq!(events.len(), seen.len(), "no event twice");
        assert_eq!(bounds(&fixture, *tenant).head, *all.last().unwrap());
        in_all += seen.len();
    }
    // Two followers for each; the tenant itself, its clients, and two thirds of the changes.
    assert_eq!(in_all, 2 * (3 + WRITERS + WRITERS * CHANGES * 2 / 3));
}

#[test]
fn a_change_tells_what_it_touched_and_of_what_kind() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let client = fixture.client(&home, "Client");
    let entry = page(&fixture, home.id, 0, 10).pop().unwrap();
    let head = bounds(&fixture, home.id).head;
    assert_eq!(
        entry,
        FeedEntry {
            sequence: head,
            event: entry.event,
            action: "client.created".to_owned(),
            version: 1,
            target_kind: "client".to_owned(),
            target_id: client.to_string(),
            subjects: vec![client.to_string()],
            at: now(),
        }
    );
    let first = page(&fixture, home.id, 0, 1).pop().unwrap();
    assert_eq!(
        first.subjects,
        [home.id.to_string(), home.root_organization.to_string()]
    );
}

#[test]
fn pages_end_where_they_should_and_tell_of_one_tenant_alone() {
    let fixture = Fixture::new();
    let other = fixture.tenant("Other");
    for name in ["A", "B", "C"] {
        fixture.client(&fixture.home.clone(), name);
        fixture.client(&other, name);
    }
    let all = page(&fixture, other.id, 0, 100);
    assert_eq!(all.len(), 4);
    assert_eq!(page(&fixture, other.id, 0, 4), all);
    assert_eq!(page(&fixture, other.id, all[1].sequence, 1), all[2..3]);
    assert_eq!(page(&fixture, other.id, all[3].sequence, 10), []);
    // Whoever names another tenant than its transaction's sees nothing of it.
    let (home, foreign) = (fixture.home.id, other.id);
    let read: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(home), move |tx: &mut ReadTx<'_>| {
                changes::page(tx, foreign, 0, 10)
            }),
    );
    assert_eq!(read.unwrap(), []);
}

#[test]
fn a_tenant_without_changes_stands_below_the_floor() {
    let fixture = Fixture::new();
    let nobody = fixture.id();
    assert_eq!(
        bounds(&fixture, nobody),
        FeedBounds {
            epoch: EPOCH,
            floor: 1,
            head: 0
        }
    );
}

#[test]
fn heads_name_each_tenant_once_and_end() {
    let fixture = Fixture::new();
    let other = fixture.tenant("Other");
    let begun = wait_for(changes::newest(&fixture.database)).unwrap();
    let heads = |after| wait_for(changes::heads_after(&fixture.database, after)).unwrap();
    assert_eq!(heads(begun), (begun, Vec::new()));
    fixture.client(&other, "A");
    fixture.client(&other, "B");
    let (newest, tenants) = heads(begun);
    assert_eq!((newest, tenants), (begun + 2, vec![other.id]));
    assert_eq!(
        newest,
        wait_for(changes::newest(&fixture.database)).unwrap()
    );
    assert_eq!(heads(newest), (newest, Vec::new()));
    let (_, all) = heads(0);
    assert_eq!(all.len(), 2, "{all:?}");
}

/// After a long absence it is not one answer of a million rows.
#[test]
fn heads_are_told_in_bounded_steps() {
    let fixture = Fixture::new();
    let begun = wait_for(changes::newest(&fixture.database)).unwrap();
    fixture.superuser_runs(&format!(
        "INSERT INTO changes (tenant_id, sequence, audit_event_id, action, target_kind, target_id, touched, subjects, at) \
         SELECT lpad(to_hex(number % 7), 32, '0')::uuid, {begun} + number, gen_random_uuid(), 'x', 'x', 'x', '{{}}', '{{}}', now() \
         FROM generate_series(1, 10005) AS number"
    ));
    let heads = |after| wait_for(changes::heads_after(&fixture.database, after)).unwrap();
    let (first, tenants) = heads(begun);
    assert_eq!((first, tenants.len()), (begun + 10_000, 7));
    let (second, tenants) = heads(first);
    assert_eq!((second, tenants.len()), (begun + 10_005, 5));
}

/// No role that a server takes on can say what happened, or undo a cut.
#[test]
fn nobody_forges_a_change_or_takes_back_a_cut() {
    use diesel::connection::SimpleConnection as _;
    use diesel::prelude::*;
    let fixture = Fixture::new();
    let tenant = fixture.home.id;
    let client = fixture.client(&fixture.home.clone(), "Client");
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            assert!(clients::find(tx, tenant, client)?.is_some());
            suspensions::cut_client_off(tx, tenant, client)?;
            Ok(Change::made((), builders::client_event(tenant, client)))
        })
        .unwrap();
    let mut server = PgConnection::establish(&fixture.test.url()).unwrap();
    for role in ["grantor_tenant", "grantor_platform", "grantor_fast"] {
        for sql in [
            "UPDATE suspensions SET cut_below = 0",
            "UPDATE tenant_suspensions SET cut_below = 0",
            "UPDATE change_feed SET floor = 0",
            "INSERT INTO suspensions (tenant_id, subject_id, cut_below) VALUES (current_tenant(), current_tenant(), 1)",
            "INSERT INTO changes SELECT tenant_id, sequence + 1000, audit_event_id, action, schema_version, \
             target_kind, target_id, touched, subjects, at FROM changes",
            "SELECT nextval('changes_sequence')",
            "SELECT setval('changes_sequence', 1)",
            "SET LOCAL ROLE grantor_feed",
        ] {
            server
                .batch_execute(&format!(
                    "BEGIN; SET LOCAL search_path = grantor; SET LOCAL grantor.tenant = '{}'; SET LOCAL ROLE {role}",
                    tenant.uuid()
                ))
                .unwrap();
            let refusal = server.batch_execute(sql).unwrap_err().to_string();
            assert!(refusal.contains("permission denied"), "{sql}: {refusal}");
            server.batch_execute("ROLLBACK").unwrap();
        }
    }
}
