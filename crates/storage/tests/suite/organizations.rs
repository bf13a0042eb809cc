//! The tree of organizations: made, renamed, put elsewhere, deleted; and who else may be at it meanwhile.

use std::sync::mpsc;

use grantor_domain::ids::{ClientId, OrganizationId, TenantId};
use grantor_domain::organization::{Contents, Organization};
use grantor_domain::text::OrganizationName;
use grantor_storage::organizations::{self, OrganizationFilter, OrganizationOrder};
use grantor_storage::{Change, ChangeTx, ReadTx, Scope, StorageError, clients};
use grantor_test_support::builders;

use crate::support::{Fixture, now, until, wait_for};

fn name(text: &str) -> OrganizationName {
    OrganizationName::parse(text).unwrap()
}

fn change<T: Send + 'static>(
    fixture: &Fixture,
    work: impl FnOnce(&mut ChangeTx<'_>, TenantId) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let (tenant, client) = (fixture.home.id, fixture.id());
    fixture.change(Scope::Tenant(tenant), move |tx| {
        let result = work(tx, tenant)?;
        Ok(Change::made(result, builders::client_event(tenant, client)))
    })
}

fn read<T: Send + 'static>(
    fixture: &Fixture,
    work: impl FnOnce(&mut ReadTx<'_>, TenantId) -> Result<T, StorageError> + Send + 'static,
) -> T {
    let tenant = fixture.home.id;
    let read = fixture
        .database
        .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
            work(tx, tenant)
        });
    wait_for(read).unwrap()
}

fn group(fixture: &Fixture, parent: OrganizationId, text: &str) -> OrganizationId {
    let (id, name) = (fixture.id(), name(text));
    change(fixture, move |tx, tenant| {
        organizations::insert_group(tx, tenant, parent, id, &name)
    })
    .unwrap();
    id
}

fn find(fixture: &Fixture, id: OrganizationId) -> Option<Organization> {
    read(fixture, move |tx, tenant| {
        organizations::find(tx, tenant, id)
    })
}

fn revision(fixture: &Fixture, id: OrganizationId) -> i64 {
    find(fixture, id).unwrap().revision
}

#[test]
fn org_1_putting_a_group_elsewhere_changes_it_and_both_that_it_lies_under() {
    let fixture = Fixture::new();
    let root = fixture.home.root_organization;
    let [from, to, beside] = ["From", "To", "Beside"].map(|text| group(&fixture, root, text));
    let moved = group(&fixture, from, "Moved");
    let below = group(&fixture, moved, "Below");
    let all = [from, to, moved, beside, below];
    let before = all.map(|id| revision(&fixture, id));
    let put = change(&fixture, move |tx, tenant| {
        organizations::put_under(tx, tenant, moved, from, to)
    });
    assert!(put.unwrap());
    let raised: Vec<i64> = all
        .iter()
        .zip(before)
        .map(|(id, before)| revision(&fixture, *id) - before)
        .collect();
    assert_eq!(raised, [1, 1, 1, 0, 0]);
    assert_eq!(find(&fixture, moved).unwrap().parent, Some(to));
    let told = fixture.number(&format!(
        "SELECT count(*) FROM changes WHERE subjects @> ARRAY['{moved}', '{from}', '{to}']"
    ));
    assert_eq!(told, 1);
    // What is not where it is said to be stays where it is.
    let put = change(&fixture, move |tx, tenant| {
        organizations::put_under(tx, tenant, moved, from, beside)
    });
    assert!(!put.unwrap());
    assert_eq!(find(&fixture, moved).unwrap().parent, Some(to));
}

#[test]
fn a_name_is_changed_and_what_is_not_there_is_not() {
    let fixture = Fixture::new();
    let id = group(&fixture, fixture.home.root_organization, "Before");
    let other = fixture.id();
    let renamed = change(&fixture, move |tx, tenant| {
        let there = organizations::rename(tx, tenant, id, &name("After"))?;
        Ok((
            there,
            organizations::rename(tx, tenant, other, &name("Nothing"))?,
        ))
    });
    assert_eq!(renamed.unwrap(), (true, false));
    let found = find(&fixture, id).unwrap();
    assert_eq!((found.name.as_str(), found.revision), ("After", 2));
    assert_eq!(find(&fixture, other), None);
}

#[test]
fn levels_are_counted_from_the_top_down() {
    let fixture = Fixture::new();
    let root = fixture.home.root_organization;
    let a = group(&fixture, root, "A");
    let b = group(&fixture, a, "B");
    group(&fixture, a, "Beside B");
    let c = group(&fixture, b, "C");
    let nobody = fixture.id();
    for (top, levels) in [(root, 4), (a, 3), (b, 2), (c, 1), (nobody, 0)] {
        let found = read(&fixture, move |tx, tenant| {
            organizations::levels(tx, tenant, top)
        });
        assert_eq!(found, levels);
    }
    let branches = |tops: &[OrganizationId], levels| {
        let tops = tops.to_vec();
        read(&fixture, move |tx, tenant| {
            organizations::branches(tx, tenant, &tops, levels)
        })
        .into_iter()
        .map(|branch| branch.name.to_string())
        .collect::<Vec<_>>()
    };
    assert_eq!(branches(&[a], 1), ["A"]);
    assert_eq!(branches(&[a], 2), ["A", "B", "Beside B"]);
    assert_eq!(branches(&[a, b, a], 3), ["A", "B", "Beside B", "C"]);
    assert_eq!(branches(&[nobody], 32), Vec::<String>::new());
}

#[test]
fn organizations_are_found_by_parent_and_by_how_their_name_begins() {
    let fixture = Fixture::new();
    let root = fixture.home.root_organization;
    let [eng, _ops, enh] = ["Eng", "Ops", "Enh"].map(|text| group(&fixture, root, text));
    for (parent, text) in [
        (eng, "Engine"),
        (eng, "engine"),
        (enh, "Eng%"),
        (enh, "En_"),
    ] {
        group(&fixture, parent, text);
    }
    let found = |filter: OrganizationFilter, order, descending| {
        let mut seen: Vec<Organization> = Vec::new();
        loop {
            let after = seen.last().map(|one| (Some(one.name.to_string()), one.id));
            let filter = filter.clone();
            let page = read(&fixture, move |tx, tenant| {
                organizations::search(tx, tenant, &filter, order, descending, after, 2)
            });
            if page.is_empty() {
                let names = seen.into_iter().map(|one| one.name.to_string());
                return names.collect::<Vec<_>>();
            }
            seen.extend(page);
        }
    };
    let under = |parent| OrganizationFilter {
        parent: Some(parent),
        ..OrganizationFilter::default()
    };
    let begins = |letters: &str| OrganizationFilter {
        name_begins: Some(letters.to_owned()),
        ..OrganizationFilter::default()
    };
    let by_name = OrganizationOrder::Name;
    assert_eq!(found(under(root), by_name, false), ["Eng", "Enh", "Ops"]);
    assert_eq!(found(under(root), by_name, true), ["Ops", "Enh", "Eng"]);
    let made = OrganizationOrder::Made;
    assert_eq!(found(under(eng), made, true), ["engine", "Engine"]);
    assert_eq!(
        found(begins("Eng"), by_name, false),
        ["Eng", "Eng%", "Engine"]
    );
    assert_eq!(found(begins("Eng%"), by_name, false), ["Eng%"]);
    assert_eq!(found(begins("En_"), made, false), ["En_"]);
    assert!(found(begins("x"), made, false).is_empty());
    let among = OrganizationFilter {
        among: Some(vec![eng, root]),
        ..under(root)
    };
    assert_eq!(found(among, by_name, false), ["Eng"]);
}

/// Puts a client into a group, as far as the making, and stays there until told.
fn make_slowly(
    fixture: &Fixture,
    group: OrganizationId,
    made: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
) -> Result<ClientId, StorageError> {
    let (id, settings) = (fixture.id(), builders::client("Inside", ""));
    change(fixture, move |tx, tenant| {
        clients::insert(tx, tenant, &builders::new_client(id, group, &settings))?;
        made.send(()).unwrap();
        go_on.recv().unwrap();
        Ok(id)
    })
}

fn somebody_waits(fixture: &Fixture) -> bool {
    fixture.number(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    ) > 0
}

#[test]
fn who_deletes_a_group_waits_for_who_is_putting_something_into_it() {
    let fixture = Fixture::new();
    let group = group(&fixture, fixture.home.root_organization, "Group");
    let (made, is_made) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel();
    std::thread::scope(|scope| {
        let making = scope.spawn(|| make_slowly(&fixture, group, made, goes_on));
        is_made.recv().unwrap();
        let deleting = scope.spawn(|| {
            change(&fixture, move |tx, tenant| {
                organizations::contents_for_deletion(tx, tenant, group)
            })
        });
        until("the deletion waits", || somebody_waits(&fixture));
        go_on.send(()).unwrap();
        making.join().unwrap().unwrap();
        let left = Contents {
            clients: 1,
            ..Contents::default()
        };
        assert_eq!(deleting.join().unwrap().unwrap(), left);
    });
}

#[test]
fn what_is_put_into_a_group_that_is_being_deleted_is_refused() {
    let fixture = Fixture::new();
    let root = fixture.home.root_organization;
    let group = group(&fixture, root, "Group");
    let (looked, has_looked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let deleting = scope.spawn(|| {
            change(&fixture, move |tx, tenant| {
                let left = organizations::contents_for_deletion(tx, tenant, group)?;
                looked.send(left).unwrap();
                goes_on.recv().unwrap();
                organizations::delete(tx, tenant, group, root)
            })
        });
        assert!(has_looked.recv().unwrap().is_empty());
        let (made, _is_made) = mpsc::channel();
        let (_never, waits) = mpsc::channel();
        let making = scope.spawn(|| make_slowly(&fixture, group, made, waits));
        until("the making waits", || somebody_waits(&fixture));
        go_on.send(()).unwrap();
        deleting.join().unwrap().unwrap();
        let refused = making.join().unwrap().unwrap_err();
        assert!(
            matches!(refused, StorageError::Referenced { .. }),
            "{refused}"
        );
    });
    assert_eq!(find(&fixture, group), None);
}

#[test]
fn a_group_that_something_refers_to_is_not_deleted() {
    let fixture = Fixture::new();
    let root = fixture.home.root_organization;
    let full = group(&fixture, root, "Full");
    group(&fixture, full, "Below");
    let refused = change(&fixture, move |tx, tenant| {
        organizations::delete(tx, tenant, full, root)
    });
    assert!(matches!(refused, Err(StorageError::Referenced { .. })));
    assert!(find(&fixture, full).is_some());
}

#[test]
fn what_is_in_a_group_is_counted_up_to_a_hundred_of_a_kind() {
    let fixture = Fixture::new();
    let group = group(&fixture, fixture.home.root_organization, "Group");
    fixture.superuser_runs(&format!(
        "INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at) \
         SELECT '{}', gen_random_uuid(), '{}', 'Group', now(), now() FROM generate_series(1, 150)",
        fixture.home.id.uuid(),
        group.uuid()
    ));
    let counted = change(&fixture, move |tx, tenant| {
        organizations::contents_for_deletion(tx, tenant, group)
    });
    assert_eq!(counted.unwrap().to_string(), "at least 100 business groups");
}

#[test]
fn who_makes_something_in_the_root_does_not_wait_for_who_changes_the_tree() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let (locked, is_locked) = mpsc::channel();
    let (go_on, goes_on) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            change(&fixture, move |tx, tenant| {
                let root = organizations::lock_tree(tx, tenant)?;
                locked.send(root).unwrap();
                goes_on.recv().unwrap();
                organizations::rename(tx, tenant, root, &name("Renamed"))
            })
        });
        assert_eq!(is_locked.recv().unwrap(), home.root_organization);
        // It is done while the lock is held.
        fixture.client(&home, "Meanwhile");
        go_on.send(()).unwrap();
        assert!(changing.join().unwrap().unwrap());
    });
    assert!(now() <= find(&fixture, home.root_organization).unwrap().updated_at);
}
