//! Whoever becomes an owner and whoever takes their rights away at once: when both have ended, nobody owns what they
//! can't own, and whatever waits in a circle is told to try again.

use std::sync::Barrier;

use grantor_domain::ids::TenantId;
use grantor_domain::ids::{ClientId, MemberId, RoleId};
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, RoleReference};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{
    ChangeTx, StorageError, client_secrets, clients, members, organizations, ownership, roles,
    suspensions,
};

use super::site::{Site, own_role};
use crate::support::now;

const ROUNDS: usize = 40;

/// What a role permits by which one may own, and then by which one may not.
const WITH: &[Permission] = &[Permission::ClientsWrite];
const WITHOUT: &[Permission] = &[Permission::ClientsRead];

/// A change that may be made again.
type Way = Box<dyn Fn(&mut ChangeTx<'_>, TenantId) -> Result<(), StorageError> + Send + Sync>;

fn way(
    work: impl Fn(&mut ChangeTx<'_>, TenantId) -> Result<(), StorageError> + Send + Sync + 'static,
) -> Way {
    Box::new(work)
}

/// Makes all of these at once, each by a connection of its own, until each has come to an end.
fn at_once(site: &Site, ways: Vec<Way>) {
    let barrier = Barrier::new(ways.len());
    std::thread::scope(|scope| {
        for way in ways {
            let barrier = &barrier;
            scope.spawn(move || {
                let way = std::sync::Arc::new(way);
                barrier.wait();
                for _ in 0..50 {
                    let way = way.clone();
                    match site.change_as(None, now(), move |tx, tenant| way(tx, tenant)) {
                        Ok(()) => return,
                        Err(error) => {
                            assert!(error.is_unavailable(), "it can't be tried again: {error:?}");
                        }
                    }
                }
                panic!("it never came to an end");
            });
        }
    });
}

/// Becomes the owner of a client if they may own it, as a transfer does it.
fn become_owner(client: ClientId, who: MemberId) -> Way {
    way(move |tx, tenant| {
        let is_there = ownership::hold(tx, tenant, who)?;
        let Some(found) = clients::find_for_change(tx, tenant, client)? else {
            return Ok(());
        };
        if is_there && ownership::check(tx, tenant, who, found.organization)? {
            ownership::transfer(tx, tenant, &found, who)?;
        }
        Ok(())
    })
}

/// Makes a client that is somebody's if they may own it.
fn make_own(site: &Site, who: MemberId, place: grantor_domain::ids::OrganizationId) -> Way {
    let id: ClientId = site.id();
    way(move |tx, tenant| {
        if ownership::check(tx, tenant, who, place)? {
            let settings = grantor_test_support::builders::client("Made", "");
            let mut new = grantor_test_support::builders::new_client(id, place, &settings);
            new.owner = Some(who);
            clients::insert(tx, tenant, &new)?;
        }
        Ok(())
    })
}

fn lose(member: MemberId, role: grantor_domain::ids::RoleAssignmentId) -> Way {
    way(move |tx, tenant| {
        role_assignments::delete(tx, tenant, role, Holder::Member(member))?;
        Ok(())
    })
}

fn allow(role: RoleId, permissions: &'static [Permission]) -> Way {
    way(move |tx, tenant| {
        roles::update(tx, tenant, role, &own_role("Keeper", permissions))?;
        Ok(())
    })
}

/// Whose every client is, asked of the rules one by one; tells how many are somebody's other than the root owner's.
#[track_caller]
fn assert_all_can_own(site: &Site) -> usize {
    let all: Vec<ClientId> = crate::support::texts(
        &mut site.fixture.test.superuser(),
        "SELECT id FROM clients ORDER BY id",
    )
    .iter()
    .map(|id| ClientId::from_uuid(id.parse().unwrap()))
    .collect();
    let mut others = 0;
    for id in all {
        let client = site.found(id);
        let owner = client.owner.expect("an owner");
        let may =
            site.change(move |tx, tenant| ownership::check(tx, tenant, owner, client.organization));
        assert!(may, "{owner} owns {id} in {}", client.organization);
        others += usize::from(owner != site.root_owner);
    }
    others
}

#[test]
fn owner_2_who_becomes_an_owner_and_loses_the_role_at_once_owns_nothing() {
    let site = Site::new();
    for round in 0..ROUNDS {
        let (ada, role) = site.admin(&format!("Ada{round}"), site.a);
        let client = site.client("Client", site.a1, site.root_owner);
        let ways = vec![
            become_owner(client, ada),
            lose(ada, role),
            make_own(&site, ada, site.a),
        ];
        at_once(&site, ways);
        assert_eq!(assert_all_can_own(&site), 0, "round {round}");
    }
}

#[test]
fn owner_2_who_becomes_an_owner_and_is_deleted_or_disabled_or_moved_at_once_owns_nothing() {
    let site = Site::new();
    for round in 0..ROUNDS {
        let (ada, _) = site.admin(&format!("Ada{round}"), site.root);
        let theirs = site.client("Theirs", site.b, ada);
        let client = site.client("Client", site.a1, site.root_owner);
        let away = match round % 3 {
            0 => way(move |tx, tenant| members::delete(tx, tenant, ada).map(drop)),
            1 => way(move |tx, tenant| {
                suspensions::set_member_pause(tx, tenant, ada, Some(now()), None)
            }),
            _ => {
                let mut settings = site.find_member(ada).unwrap().settings;
                settings.organization = site.a;
                way(move |tx, tenant| members::update(tx, tenant, ada, &settings).map(drop))
            }
        };
        at_once(
            &site,
            vec![
                become_owner(client, ada),
                away,
                make_own(&site, ada, site.a),
            ],
        );
        assert_all_can_own(&site);
        assert_eq!(site.owner(theirs), Some(site.root_owner), "round {round}");
    }
}

#[test]
fn owner_2_who_becomes_an_owner_where_a_group_just_goes_away_can_own_it() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let (bob, _) = site.admin("Bob", site.b);
    let group = site.group(site.a, "Group");
    let (mut from, mut to) = (site.a, site.b);
    for round in 0..ROUNDS {
        let client = site.client("Client", group, site.root_owner);
        let (before, after) = (from, to);
        let put = way(move |tx, tenant| {
            organizations::put_under(tx, tenant, group, before, after).map(drop)
        });
        at_once(
            &site,
            vec![
                put,
                become_owner(client, ada),
                become_owner(client, bob),
                make_own(&site, ada, group),
            ],
        );
        assert_all_can_own(&site);
        assert_eq!(
            site.fixture.number(&format!(
                "SELECT count(*) FROM organizations WHERE id = '{}' AND parent_id = '{}'",
                group.uuid(),
                to.uuid()
            )),
            1,
            "round {round}"
        );
        std::mem::swap(&mut from, &mut to);
    }
}

#[test]
fn owner_2_of_a_group_that_moves_and_a_role_that_goes_neither_relies_on_what_the_other_takes() {
    let site = Site::new();
    for round in 0..ROUNDS {
        let (ada, over_a) = site.admin(&format!("Ada{round}"), site.a);
        let over_b = site.give(ada, BuiltInRole::Admin, site.b);
        let group = site.group(site.a, "Group");
        let client = site.client("Client", group, ada);
        let (a, b) = (site.a, site.b);
        // By either role alone they own it before, or after.
        let role = if round % 2 == 0 { over_b } else { over_a };
        let put =
            way(move |tx, tenant| organizations::put_under(tx, tenant, group, a, b).map(drop));
        at_once(&site, vec![put, lose(ada, role)]);
        assert_all_can_own(&site);
        let keeps = site.owner(client) == Some(ada);
        assert!(!keeps || round % 2 == 1, "round {round}");
        site.delete(ada);
    }
}

#[test]
fn owner_2_of_a_client_that_moves_and_a_role_that_goes_neither_relies_on_what_the_other_takes() {
    let site = Site::new();
    for round in 0..ROUNDS {
        let (ada, over_a) = site.admin(&format!("Ada{round}"), site.a);
        let over_b = site.give(ada, BuiltInRole::Admin, site.b);
        let client = site.client("Client", site.a, ada);
        let role = if round % 2 == 0 { over_b } else { over_a };
        let b = site.b;
        let put = way(move |tx, tenant| {
            let found = clients::find_for_change(tx, tenant, client)?.unwrap();
            clients::put_into(tx, tenant, &found, b)
        });
        at_once(&site, vec![put, lose(ada, role)]);
        assert_all_can_own(&site);
        assert_eq!(site.found(client).organization, site.b);
        site.delete(ada);
    }
}

#[test]
fn owner_2_who_becomes_an_owner_by_a_role_that_permits_less_at_once_owns_nothing() {
    let site = Site::new();
    let role = site.role("Keeper", WITH);
    let RoleReference::Own(id) = role.reference() else {
        panic!("it is the tenant's own")
    };
    let ada = site.member("Ada", site.root);
    site.give(ada, role.clone(), site.a);
    let held = grantor_domain::role::HeldRole {
        role,
        organization: site.a,
    };
    for round in 0..ROUNDS {
        site.change(move |tx, tenant| roles::update(tx, tenant, id, &own_role("Keeper", WITH)));
        let client = site.client("Client", site.a, site.root_owner);
        let second = site.client("Second", site.a, site.root_owner);
        // Somebody who is given the role in this very moment, and then becomes an owner by it.
        let late = site.member(&format!("Late{round}"), site.root);
        let (assignment, held) = (site.id(), held.clone());
        let given = way(move |tx, tenant| {
            members::find_for_change(tx, tenant, late)?;
            role_assignments::insert(tx, tenant, assignment, Holder::Member(late), &held)
        });
        std::thread::scope(|scope| {
            let site = &site;
            scope.spawn(move || {
                at_once(site, vec![given]);
                at_once(site, vec![become_owner(second, late)]);
            });
            at_once(site, vec![become_owner(client, ada), allow(id, WITHOUT)]);
        });
        assert_eq!(assert_all_can_own(&site), 0, "round {round}");
    }
}

#[test]
fn owner_2_a_client_that_is_handed_over_while_its_owner_goes_is_where_it_was_handed_to() {
    let site = Site::new();
    let (max, _) = site.admin("Max", site.root);
    for round in 0..ROUNDS {
        let (ada, _) = site.admin(&format!("Ada{round}"), site.a);
        let clients = [0, 1, 2].map(|_| site.client("Client", site.a, ada));
        let mut ways: Vec<Way> = clients
            .iter()
            .map(|client| become_owner(*client, max))
            .collect();
        ways.push(way(move |tx, tenant| {
            suspensions::set_member_pause(tx, tenant, ada, Some(now()), None)
        }));
        at_once(&site, ways);
        // Whichever came first: in the end somebody wanted it to be theirs.
        for client in clients {
            assert_eq!(site.owner(client), Some(max), "round {round}");
        }
    }
    // And each event tells of a change of hands that was one: each begins where the one before has ended.
    for client in site
        .events("client.transferred")
        .iter()
        .map(|(id, _, _)| id)
    {
        let events = site.events("client.transferred");
        let of_one: Vec<_> = events.iter().filter(|(id, _, _)| id == client).collect();
        assert!(of_one.len() <= 2);
        if let [first, second] = of_one[..] {
            assert_eq!(first.2["owner_id"], second.1["owner_id"], "{client}");
        }
    }
}

#[test]
fn owner_3_no_secret_that_is_made_by_somebody_who_goes_at_once_is_left_unmarked() {
    let site = Site::new();
    let client = site.client("Elsewhere", site.b, site.root_owner);
    let mut made = 0;
    for round in 0..ROUNDS {
        let (ada, _) = site.admin(&format!("Ada{round}"), site.root);
        let secret = site.new_secret(None);
        let barrier = Barrier::new(2);
        let came = std::thread::scope(|scope| {
            let (site, barrier) = (&site, &barrier);
            let making = scope.spawn(move || {
                barrier.wait();
                site.change_as(Some(ada), now(), move |tx, tenant| {
                    client_secrets::insert(tx, tenant, client, &secret)
                })
            });
            barrier.wait();
            if round % 2 == 0 {
                site.delete(ada);
            } else {
                site.disable(ada);
            }
            making.join().unwrap()
        });
        match came {
            Ok(()) => made += 1,
            Err(error) => assert!(error.is_unavailable(), "{error:?}"),
        }
        // Whoever has gone makes none.
        let late = site.new_secret(None);
        let refused = site.change_as(Some(ada), now(), move |tx, tenant| {
            client_secrets::insert(tx, tenant, client, &late)
        });
        assert!(refused.is_err_and(|error| error.is_unavailable()));
    }
    let sql = |what: &str| format!("SELECT count(*) FROM client_secrets WHERE {what}");
    assert_eq!(site.fixture.number(&sql("due_why = 'exposed'")), made);
    assert_eq!(site.fixture.number(&sql("due_why IS NULL")), 0);
}
