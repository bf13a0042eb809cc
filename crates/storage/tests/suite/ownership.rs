//! Whose clients are: who they go to when an owner can't own them any more, by whatever that comes about, and which
//! secrets ought to be replaced then.

mod due;
mod races;
mod site;

use std::collections::BTreeMap;

use grantor_domain::ids::{ClientId, MemberId};
use grantor_domain::ownership::TransferCause;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, RoleReference};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{members, ownership, roles};
use serde_json::{Value, json};

use crate::support::texts;
use site::{Site, address, own_role, settings};

/// Each client that changed hands, by its events: to whom, and why. Fails where one has two.
fn handed(site: &Site) -> BTreeMap<String, (Value, Value)> {
    let events = site.events("client.transferred");
    let many = events.len();
    let handed: BTreeMap<_, _> = events
        .into_iter()
        .map(|(client, _, after)| (client, (after["owner_id"].clone(), after["cause"].clone())))
        .collect();
    assert_eq!(handed.len(), many, "a client has two events");
    handed
}

#[track_caller]
fn assert_handed(site: &Site, clients: &[ClientId], to: Option<MemberId>, cause: &str) {
    let wanted: BTreeMap<_, _> = clients
        .iter()
        .map(|client| (client.to_string(), (json!(to), json!(cause))))
        .collect();
    assert_eq!(handed(site), wanted);
    for client in clients {
        assert_eq!(site.owner(*client), to);
    }
}

#[test]
fn owner_2_whoever_is_deleted_leaves_everything_to_the_root_owner() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    let (bob, _) = site.admin("Bob", site.root);
    let theirs: Vec<ClientId> = [site.root, site.a, site.a1, site.b, site.b]
        .iter()
        .map(|place| site.client("Theirs", *place, ada))
        .collect();
    let beside = site.client("Beside", site.a, bob);
    site.delete(ada);
    assert_handed(&site, &theirs, Some(site.root_owner), "owner_deleted");
    assert_eq!(site.owner(beside), Some(bob));
    assert_eq!(site.find_member(ada), None);
    let (_, before, _) = &site.events("client.transferred")[0];
    assert_eq!(before, &json!({ "owner_id": ada }));
}

#[test]
fn owner_2_whoever_is_disabled_leaves_everything_to_the_root_owner_and_does_not_get_it_back() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let theirs = [
        site.client("One", site.a, ada),
        site.client("Two", site.a1, ada),
    ];
    site.disable(ada);
    assert_handed(&site, &theirs, Some(site.root_owner), "owner_disabled");
    site.change(move |tx, tenant| {
        grantor_storage::suspensions::set_member_pause(tx, tenant, ada, None, None)
    });
    assert_handed(&site, &theirs, Some(site.root_owner), "owner_disabled");
}

#[test]
fn owner_2_whoever_leaves_the_root_organization_leaves_everything_whatever_they_administer_still() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    site.give(ada, BuiltInRole::Admin, site.a);
    let theirs = [
        site.client("One", site.root, ada),
        site.client("Two", site.a, ada),
    ];
    site.move_to(ada, site.a);
    assert_handed(&site, &theirs, Some(site.root_owner), "owner_left");
    // From one group to another nobody leaves the root.
    let again = site.client("Three", site.a, ada);
    site.move_to(ada, site.b);
    site.move_to(ada, site.root);
    assert_eq!(site.owner(again), Some(ada));
    // Nor by another name.
    let renamed = settings("Augusta", site.root);
    site.change(move |tx, tenant| members::update(tx, tenant, ada, &renamed));
    assert_eq!(site.owner(again), Some(ada));
    assert_eq!(handed(&site).len(), 2);
}

#[test]
fn owner_2_whoever_loses_the_role_over_one_organization_loses_what_lives_there_alone() {
    let site = Site::new();
    let (ada, over_a) = site.admin("Ada", site.a);
    let over_b = site.give(ada, BuiltInRole::Admin, site.b);
    let of_a = [
        site.client("One", site.a, ada),
        site.client("Two", site.a1, ada),
    ];
    let of_b = site.client("Three", site.b, ada);
    site.take(ada, over_a);
    assert_handed(&site, &of_a, Some(site.root_owner), "rights_lost");
    assert_eq!(site.owner(of_b), Some(ada));
    // What they may own by another role stays.
    let by_another = site.give(ada, BuiltInRole::Admin, site.root);
    site.take(ada, over_b);
    assert_eq!(site.owner(of_b), Some(ada));
    site.take(ada, by_another);
    assert_eq!(site.owner(of_b), Some(site.root_owner));
}

#[test]
fn owner_2_a_role_that_permits_less_from_now_on_takes_what_was_owned_by_it() {
    let site = Site::new();
    let role = site.role(
        "Keeper",
        &[Permission::ClientsWrite, Permission::ClientsRead],
    );
    let RoleReference::Own(id) = role.reference() else {
        panic!("it is the tenant's own")
    };
    let (ada, bob, eve) = (
        site.member("Ada", site.root),
        site.member("Bob", site.root),
        site.member("Eve", site.root),
    );
    for holder in [ada, bob, eve] {
        site.give(holder, role.clone(), site.a);
    }
    site.give(bob, BuiltInRole::Admin, site.a);
    let [hers, his, second] = [ada, bob, eve].map(|owner| site.client("Client", site.a1, owner));
    let set = |permissions: &'static [Permission]| {
        site.change(move |tx, tenant| {
            roles::update(tx, tenant, id, &own_role("Keeper", permissions))
        });
    };
    // Something else is taken from it, or given to it.
    set(&[Permission::ClientsWrite]);
    set(&[Permission::ClientsWrite, Permission::MembersRead]);
    assert!(handed(&site).is_empty());
    set(&[Permission::ClientsRead]);
    assert_handed(&site, &[hers, second], Some(site.root_owner), "rights_lost");
    assert_eq!(site.owner(his), Some(bob), "an administrator besides");
}

#[test]
fn owner_2_what_a_moved_group_takes_from_under_its_administrators_goes() {
    let site = Site::new();
    let (of_a, _) = site.admin("Ada", site.a);
    let (of_a1, _) = site.admin("Bob", site.a1);
    let (of_b, _) = site.admin("Eve", site.b);
    let (of_all, _) = site.admin("Max", site.root);
    let below = site.group(site.a1, "Below");
    let lost = [
        site.client("One", site.a1, of_a),
        site.client("Two", below, of_a),
    ];
    let kept = [
        (site.client("Three", site.a, of_a), of_a),
        (site.client("Four", below, of_a1), of_a1),
        (site.client("Five", site.b, of_b), of_b),
        (site.client("Six", below, of_all), of_all),
    ];
    site.put_under(site.a1, site.a, site.b);
    assert_handed(&site, &lost, Some(site.root_owner), "rights_lost");
    for (client, owner) in kept {
        assert_eq!(site.owner(client), Some(owner));
    }
}

#[test]
fn owner_2_a_client_that_moves_to_where_its_owner_administers_nothing_goes_alone() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let stays = site.client("Stays", site.a, ada);
    let moves = site.client("Moves", site.a, ada);
    site.put_into(moves, site.a1);
    assert!(handed(&site).is_empty(), "they administer it there");
    site.put_into(moves, site.b);
    assert_handed(&site, &[moves], Some(site.root_owner), "rights_lost");
    assert_eq!(site.owner(stays), Some(ada));
    assert_eq!(site.found(moves).organization, site.b);
}

#[test]
fn owner_2_the_root_owner_keeps_what_is_theirs_whatever_moves_and_whatever_they_lose_besides() {
    let site = Site::new();
    let besides = site.give(site.root_owner, BuiltInRole::Admin, site.a);
    let theirs = site.client("Theirs", site.a1, site.root_owner);
    site.take(site.root_owner, besides);
    site.put_under(site.a1, site.a, site.b);
    site.put_into(theirs, site.b);
    assert_eq!(site.owner(theirs), Some(site.root_owner));
    assert!(handed(&site).is_empty());
    assert!(site.events("secret.rotation_due").is_empty());
}

#[test]
fn owner_2_in_a_tenant_without_a_root_owner_it_is_nobodys() {
    let site = Site::new();
    site.fixture.superuser_runs(&format!(
        "UPDATE tenants SET root_owner_id = NULL WHERE id = '{}'",
        site.tenant().uuid()
    ));
    let (ada, _) = site.admin("Ada", site.a);
    let client = site.client_of("Client", site.a, Some(ada), &address("Ada"));
    site.disable(ada);
    assert_handed(&site, &[client], None, "owner_disabled");
    let contact = site.found(client).settings.owner_contact;
    assert_eq!(contact.email.as_str(), address("Ada"), "there is no other");
    // From nobody to somebody there is no former owner who knew anything.
    let secret = site.secret(client, None);
    let marks = site.events("secret.rotation_due").len();
    let (bob, _) = site.admin("Bob", site.a);
    assert!(site.transfer(client, bob));
    assert_eq!(site.owner(client), Some(bob));
    assert_eq!(site.events("secret.rotation_due").len(), marks);
    assert!(site.read(move |tx, tenant| {
        let secret = grantor_storage::client_secrets::find(tx, tenant, client, secret)?;
        Ok(secret.unwrap().due.is_none())
    }));
}

#[test]
fn owner_1_a_client_is_handed_over_once_with_one_event_and_one_revision_on_the_feed() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let (bob, _) = site.admin("Bob", site.root);
    let client = site.client_of("Client", site.a, Some(ada), &address("Ada"));
    site.secret(client, Some(ada));
    let before = site.found(client);
    assert!(site.transfer(client, bob));
    let after = site.found(client);
    assert_eq!(
        (after.owner, after.revision),
        (Some(bob), before.revision + 1)
    );
    let event = (
        client.to_string(),
        json!({ "owner_id": ada }),
        json!({ "owner_id": bob, "cause": "transferred" }),
    );
    assert_eq!(site.events("client.transferred"), [event]);
    assert_eq!(site.events("secret.rotation_due").len(), 2);
    let told = format!(
        "SELECT action FROM changes WHERE subjects @> ARRAY['{client}'] ORDER BY sequence DESC LIMIT 1"
    );
    let told = texts(&mut site.fixture.test.superuser(), &told);
    assert_eq!(told, ["client.transferred"]);
    // To whoever has it already nothing changes.
    assert!(!site.transfer(client, bob));
    assert_eq!(site.found(client).revision, after.revision);
    assert_eq!(site.events("client.transferred").len(), 1);
}

#[test]
fn owner_2_what_follows_from_a_change_raises_each_revision_once_and_stands_on_the_feed_with_it() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let clients = [0, 1, 2].map(|_| site.client_of("C", site.a, Some(ada), &address("Ada")));
    let elsewhere = site.client("Elsewhere", site.b, site.root_owner);
    for client in clients.iter().chain([&elsewhere]) {
        site.secret(*client, Some(ada));
        site.secret(*client, None);
    }
    let all = [clients[0], clients[1], clients[2], elsewhere];
    let before = all.map(|client| site.found(client).revision);
    site.disable(ada);
    let raised: Vec<i64> = all
        .iter()
        .zip(before)
        .map(|(client, before)| site.found(*client).revision - before)
        .collect();
    assert_eq!(raised, [1, 1, 1, 1]);
    let subjects: Vec<String> = all.iter().map(|client| format!("'{client}'")).collect();
    let told = format!(
        "SELECT count(*) FROM changes WHERE subjects @> ARRAY[{}, '{ada}']",
        subjects.join(", ")
    );
    assert_eq!(site.fixture.number(&told), 1, "all of it is one change");
}

#[test]
fn owner_1_the_contact_follows_where_it_was_the_former_owners_own_address_and_is_found_anew() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let (bob, _) = site.admin("Bob", site.a);
    let own = site.client_of("Own", site.a, Some(ada), "ADA@acme.example");
    let shared = site.client_of("Shared", site.a, Some(ada), "team@acme.example");
    for client in [own, shared] {
        assert!(site.transfer(client, bob));
    }
    let contact = |client| {
        let contact = site.found(client).settings.owner_contact;
        let name = contact.name.map(|name| name.to_string());
        (name, contact.email.to_string())
    };
    assert_eq!(contact(own), (Some("Bob".to_owned()), address("Bob")));
    assert_eq!(contact(shared), (None, "team@acme.example".to_owned()));
    let words = |client: ClientId| {
        let sql = format!(
            "SELECT word FROM client_words WHERE client_id = '{}' ORDER BY word COLLATE \"C\"",
            client.uuid()
        );
        texts(&mut site.fixture.test.superuser(), &sql)
    };
    assert_eq!(words(own), ["acme", "bob", "example", "own"]);
    assert_eq!(words(shared), ["acme", "example", "shared", "team"]);
    // By whatever it changes hands.
    site.disable(bob);
    assert_eq!(contact(own), (Some("Root".to_owned()), address("Root")));
    assert_eq!(words(own), ["acme", "example", "own", "root"]);
    assert_eq!(contact(shared), (None, "team@acme.example".to_owned()));
}

#[test]
fn owner_1_who_may_own_is_asked_of_roles_and_tree_as_they_stand() {
    let site = Site::new();
    let (of_a, role) = site.admin("Ada", site.a);
    let idle = site.member("Bob", site.root);
    let (asleep, _) = site.admin("Eve", site.root);
    site.disable(asleep);
    let never: MemberId = site.id();
    let may = |who, place| site.change(move |tx, tenant| ownership::check(tx, tenant, who, place));
    assert_eq!(
        [site.a, site.a1, site.b, site.root].map(|place| may(of_a, place)),
        [true, true, false, false]
    );
    for nobody in [idle, asleep, never] {
        assert!(!may(nobody, site.a));
    }
    assert!(may(site.root_owner, site.b));
    assert!(!may(site.root_owner, site.id()), "no such place");
    site.put_under(site.a1, site.a, site.b);
    assert!(!may(of_a, site.a1));
    site.take(of_a, role);
    assert!(!may(of_a, site.a));
}

#[test]
fn owner_2_whoever_goes_passes_everything_on_to_one_who_may_own_all_of_it_or_nothing() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    let (of_a, _) = site.admin("Bob", site.a);
    let (of_all, _) = site.admin("Max", site.root);
    let in_a = site.client("One", site.a1, ada);
    let in_b = site.client("Two", site.b, ada);
    let cause = TransferCause::OwnerDeleted;
    let pass = |to| {
        site.change(move |tx, tenant| {
            members::find_for_change(tx, tenant, ada)?;
            ownership::pass_on(tx, tenant, ada, to, cause)
        })
    };
    assert_eq!(pass(of_a), [in_b]);
    assert_eq!(pass(site.id()), [in_a, in_b]);
    assert!(handed(&site).is_empty());
    assert!(pass(of_all).is_empty());
    assert_handed(&site, &[in_a, in_b], Some(of_all), "owner_deleted");
    assert!(pass(of_a).is_empty(), "there is nothing left");
}

#[test]
fn owner_2_service_roles_of_clients_are_nobodys_to_lose_a_client_by() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let client = site.client("Client", site.a, ada);
    let id = site.id();
    let held = grantor_domain::role::HeldRole::new(BuiltInRole::Admin, site.a);
    let holder = Holder::Client(client);
    site.change(move |tx, tenant| role_assignments::insert(tx, tenant, id, holder, &held));
    site.change(move |tx, tenant| role_assignments::delete(tx, tenant, id, holder));
    assert_eq!(site.owner(client), Some(ada));
}
