//! Which secrets ought to be replaced, how urgently, and until when.

use chrono::TimeDelta;
use grantor_domain::ids::SecretId;
use grantor_domain::ownership::{DueWhy, TransferCause};
use grantor_domain::role::BuiltInRole;
use grantor_storage::client_secrets;
use grantor_storage::ownership::{self, Among, DueFilter};
use serde_json::json;
use uuid::Uuid;

use super::site::Site;
use crate::support::now;

use DueWhy::{Exposed, Precaution};

fn everything() -> DueFilter {
    DueFilter::default()
}

fn sorted(mut all: Vec<(SecretId, DueWhy)>) -> Vec<(SecretId, DueWhy)> {
    all.sort_by_key(|(id, _)| *id);
    all
}

#[test]
fn owner_3_what_the_former_owner_owned_or_made_is_exposed_and_the_rest_of_the_organization_a_precaution()
 {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let (bob, _) = site.admin("Bob", site.a);
    let theirs = site.client("Theirs", site.a, ada);
    let beside = site.client("Beside", site.a, bob);
    let below = site.client("Below", site.a1, bob);
    let owned = site.secret(theirs, None);
    let made = site.secret(beside, Some(ada));
    let by_another = site.secret(beside, Some(bob));
    let in_another = site.secret(below, Some(ada));
    assert!(site.transfer(theirs, bob));
    let due = site.due(&everything());
    let wanted = vec![(owned, Exposed), (made, Exposed), (by_another, Precaution)];
    assert_eq!(sorted(due), sorted(wanted));
    assert!(
        !site
            .due(&everything())
            .iter()
            .any(|(id, _)| *id == in_another)
    );
    let only = |why| {
        sorted(site.due(&DueFilter {
            why: Some(why),
            ..everything()
        }))
    };
    assert_eq!(
        only(Exposed),
        sorted(vec![(owned, Exposed), (made, Exposed)])
    );
    assert_eq!(only(Precaution), [(by_another, Precaution)]);
    let of = |organizations: &[_]| {
        let organizations = Some(organizations.to_vec());
        site.due(&DueFilter {
            organizations,
            ..everything()
        })
        .len()
    };
    assert_eq!((of(&[site.a]), of(&[site.b, site.a1]), of(&[])), (3, 0, 0));
    let events = site.events("secret.rotation_due");
    let told: Vec<_> = events
        .iter()
        .map(|(target, _, after)| (target.clone(), after.clone()))
        .collect();
    let exposed = |secrets: &[SecretId]| json!({ "why": "exposed", "cause": "transferred", "former_owner_id": ada, "secret_ids": secrets });
    assert_eq!(
        told,
        [
            (theirs.to_string(), exposed(&[owned])),
            (beside.to_string(), exposed(&[made])),
            (
                site.a.to_string(),
                json!({ "why": "precaution", "cause": "transferred", "former_owner_id": ada })
            ),
        ]
    );
}

#[test]
fn owner_3_whoever_goes_exposes_what_they_have_made_wherever_that_is() {
    for how in 0..3 {
        let site = Site::new();
        let (ada, _) = site.admin("Ada", site.root);
        let theirs = site.client("Theirs", site.a, ada);
        let elsewhere = site.client("Elsewhere", site.b, site.root_owner);
        let owned = site.secret(theirs, None);
        let made = site.secret(elsewhere, Some(ada));
        let beside = site.secret(elsewhere, None);
        match how {
            0 => site.delete(ada),
            1 => site.disable(ada),
            _ => site.move_to(ada, site.b),
        }
        let wanted = vec![(owned, Exposed), (made, Exposed)];
        assert_eq!(sorted(site.due(&everything())), sorted(wanted), "{how}");
        // Nothing has changed hands in B.
        assert!(!site.due(&everything()).contains(&(beside, Precaution)));
    }
}

#[test]
fn owner_3_whoever_owned_nothing_still_has_seen_what_they_made() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    let client = site.client("Client", site.a, site.root_owner);
    let made = site.secret(client, Some(ada));
    site.secret(client, None);
    site.delete(ada);
    assert_eq!(site.due(&everything()), [(made, Exposed)]);
    assert!(site.events("client.transferred").is_empty());
    let found = site.read(move |tx, tenant| client_secrets::find(tx, tenant, client, made));
    let due = found.unwrap().due.unwrap();
    assert_eq!(
        (due.cause, due.former_owner),
        (TransferCause::OwnerDeleted, ada)
    );
}

#[test]
fn owner_3_what_is_made_after_the_mark_is_not_due_and_what_is_dead_is_not_marked() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let theirs = site.client("Theirs", site.a, ada);
    let beside = site.client("Beside", site.a, site.root_owner);
    let later = now() + TimeDelta::seconds(2);
    let expired = now() + TimeDelta::seconds(1);
    let mut dead = Vec::new();
    for client in [theirs, beside] {
        dead.push(site.secret_at(client, Some(ada), now(), Some(expired)));
        let revoked = site.secret(client, Some(ada));
        site.change(move |tx, tenant| client_secrets::revoke(tx, tenant, client, revoked));
        dead.push(revoked);
    }
    let live = site.secret_at(beside, None, now(), Some(now() + TimeDelta::hours(1)));
    assert!(site.transfer_at(theirs, site.root_owner, later));
    let after = later + TimeDelta::microseconds(1);
    let new = site.secret_at(beside, Some(ada), after, None);
    assert_eq!(site.due(&everything()), [(live, Precaution)]);
    assert!(
        site.due_at(&everything(), now() + TimeDelta::hours(1))
            .is_empty()
    );
    let marked = "SELECT count(*) FROM client_secrets WHERE due_since IS NOT NULL";
    assert_eq!(site.fixture.number(marked), 0, "{dead:?} {new}");
    assert_eq!(site.events("secret.rotation_due").len(), 1);
    // The next transfer marks anew, with what was made meanwhile.
    assert!(site.transfer_at(theirs, ada, after));
    assert_eq!(
        sorted(site.due(&everything())),
        sorted(vec![(live, Precaution), (new, Precaution)])
    );
}

#[test]
fn owner_3_what_is_exposed_already_stays_so_by_whom_it_was_first_and_nobody_is_told_again() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.a);
    let (bob, _) = site.admin("Bob", site.a);
    let client = site.client("Client", site.a, ada);
    let secret = site.secret(client, Some(ada));
    assert!(site.transfer(client, bob));
    let later = now() + TimeDelta::seconds(5);
    assert!(site.transfer_at(client, ada, later));
    let found = site.read(move |tx, tenant| client_secrets::find(tx, tenant, client, secret));
    let due = found.unwrap().due.unwrap();
    assert_eq!((due.former_owner, due.since), (ada, now()));
    let told = site.events("secret.rotation_due");
    let exposed: Vec<_> = told
        .iter()
        .filter(|(_, _, after)| after["why"] == "exposed")
        .collect();
    assert_eq!((exposed.len(), told.len()), (1, 3));
    // What was a precaution before is exposed once somebody goes who knew it.
    let (max, _) = site.admin("Max", site.root);
    let other = site.client("Other", site.a, site.root_owner);
    let theirs = site.secret(other, Some(max));
    assert!(site.transfer_at(client, bob, later));
    site.put_into(other, site.root);
    assert!(site.due(&everything()).contains(&(theirs, Precaution)));
    site.disable(max);
    assert!(site.due(&everything()).contains(&(theirs, Exposed)));
}

#[test]
fn owner_3_what_was_due_in_one_organization_stays_due_in_the_next() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    let one = site.client("One", site.a, ada);
    let other = site.client("Other", site.a, ada);
    let old = site.secret(one, None);
    let revoked = site.secret(one, None);
    site.change(move |tx, tenant| client_secrets::revoke(tx, tenant, one, revoked));
    assert!(site.transfer(other, site.root_owner));
    let after = now() + TimeDelta::seconds(1);
    let new = site.secret_at(one, None, after, None);
    let due = site.due(&everything());
    assert_eq!(due, [(old, Precaution)]);
    let revision = site.found(one).revision;
    site.put_into_at(one, site.b, after);
    assert_eq!(site.found(one).revision, revision + 1);
    assert_eq!(site.due(&everything()), due);
    let kept = site.read(move |tx, tenant| {
        let mut kept = Vec::new();
        for secret in [old, new, revoked] {
            let found = client_secrets::find(tx, tenant, one, secret)?;
            kept.push(found.unwrap().due);
        }
        Ok(kept)
    });
    let due = kept[0].clone().unwrap();
    assert_eq!(
        (due.why, due.cause, due.former_owner, due.since),
        (Precaution, TransferCause::Transferred, ada, now())
    );
    assert_eq!(kept[1..], [None, None]);
}

#[test]
fn owner_3_one_row_marks_an_organization_however_much_lives_there() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    let theirs = [
        site.client("One", site.a, ada),
        site.client("Two", site.b, ada),
    ];
    let bystander = site.client("Bystander", site.a, site.root_owner);
    let tenant = site.tenant().uuid();
    site.fixture.superuser_runs(&format!(
        "INSERT INTO client_secrets (tenant_id, client_id, id, hint, verifier, created_by, created_at) \
         SELECT '{tenant}', '{}', gen_random_uuid(), '', 'h1.key.hash', 'test', '{}' FROM generate_series(1, 5000)",
        bystander.uuid(),
        now().to_rfc3339(),
    ));
    let before = site
        .fixture
        .number("SELECT sum(xmin::text::bigint) FROM client_secrets");
    for client in theirs {
        assert!(site.transfer(client, site.root_owner));
    }
    assert!(site.transfer(theirs[0], ada), "and once more in A");
    assert_eq!(
        site.fixture.number("SELECT count(*) FROM rotation_marks"),
        2
    );
    let after = site
        .fixture
        .number("SELECT sum(xmin::text::bigint) FROM client_secrets");
    assert_eq!(before, after, "no secret was written");
    let of = |limit, after: Option<(_, _)>| {
        site.read(move |tx, tenant| ownership::due(tx, tenant, &everything(), after, limit, now()))
    };
    // All of them are found, page after page, each once.
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = of(201, after);
        seen.extend(page.found.iter().map(|due| due.secret.id));
        pages += 1;
        let last = page.found.last().map(|due| (due.client, due.secret.id));
        after = page.on.or(last);
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 5000);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), pages), (5000, 26));
}

#[test]
fn owner_3_a_page_of_what_is_due_looks_at_so_many_and_may_be_short_with_a_place_to_go_on_from() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    let many = site.client("Many", site.b, site.root_owner);
    let last = site.client("Last", site.a, ada);
    let tenant = site.tenant().uuid();
    site.fixture.superuser_runs(&format!(
        "INSERT INTO client_secrets (tenant_id, client_id, id, hint, verifier, created_by, created_at) \
         SELECT '{tenant}', '{}', gen_random_uuid(), '', 'h1.key.hash', 'test', now() FROM generate_series(1, 4500)",
        many.uuid(),
    ));
    let secret = site.secret(last, None);
    assert!(site.transfer(last, site.root_owner));
    let (mut after, mut found) = (None, Vec::new());
    for wanted in [0, 0, 1] {
        let page = site
            .read(move |tx, tenant| ownership::due(tx, tenant, &everything(), after, 50, now()));
        assert_eq!(page.found.len(), wanted);
        found.extend(page.found);
        after = page.on;
    }
    assert_eq!((found[0].secret.id, after), (secret, None));
    assert_eq!(found[0].client_name, "Last");
    // What is exposed stands with the secrets, and is found without looking at the others.
    let exposed = DueFilter {
        why: Some(Exposed),
        ..everything()
    };
    let page = site.read(move |tx, tenant| ownership::due(tx, tenant, &exposed, None, 50, now()));
    assert_eq!((page.found.len(), page.on), (1, None));
}

#[test]
fn owner_3_what_a_member_owns_and_knows_is_told_beforehand() {
    let site = Site::new();
    let (ada, _) = site.admin("Ada", site.root);
    let one = site.client("One", site.a, ada);
    let two = site.client("Two", site.b, ada);
    let foreign = site.client("Foreign", site.a, site.root_owner);
    let secrets = [
        (one, site.secret(one, None), false),
        (two, site.secret(two, Some(ada)), true),
        (foreign, site.secret(foreign, Some(ada)), true),
    ];
    site.secret(foreign, None);
    let gone = site.secret(foreign, Some(ada));
    site.change(move |tx, tenant| client_secrets::revoke(tx, tenant, foreign, gone));
    site.change(move |tx, tenant| {
        grantor_storage::suspensions::pause_client(tx, tenant, two, None)
    });
    let (a, b) = (site.a, site.b);
    let clients = |among: Vec<_>, others: bool, limit| {
        site.read(move |tx, tenant| {
            let among = if others {
                Among::Others(&among)
            } else {
                Among::These(&among)
            };
            ownership::owned_clients(tx, tenant, ada, among, limit)
        })
        .into_iter()
        .map(|client| {
            (
                client.id,
                client.name,
                client.organization,
                client.status.as_str(),
            )
        })
        .collect::<Vec<_>>()
    };
    let first = (one, "One".to_owned(), a, "active");
    let second = (two, "Two".to_owned(), b, "disabled");
    assert_eq!(clients(vec![], true, 10), [first.clone(), second.clone()]);
    assert_eq!(clients(vec![], true, 1), std::slice::from_ref(&first));
    assert_eq!(clients(vec![a], false, 10), [first]);
    assert_eq!(clients(vec![a], true, 10), [second]);
    assert!(clients(vec![], false, 10).is_empty());
    let mut places = site.read(move |tx, tenant| ownership::places_of(tx, tenant, ada));
    let mut wanted = [a, b];
    places.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(places, wanted);
    let known = |limit| {
        site.read(move |tx, tenant| {
            ownership::known_secrets(tx, tenant, ada, Among::All, now(), limit)
        })
        .into_iter()
        .map(|secret| (secret.client, secret.id, secret.made))
        .collect::<Vec<_>>()
    };
    assert_eq!(known(10), secrets);
    assert_eq!(known(2), secrets[..2]);
    // It is what is exposed then.
    site.delete(ada);
    let exposed: Vec<_> = site
        .due(&DueFilter {
            why: Some(Exposed),
            ..everything()
        })
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(exposed, secrets.map(|(_, id, _)| id));
}

#[test]
fn tenant_1_what_is_due_in_one_tenant_is_nothing_to_another() {
    let site = Site::new();
    let other = site.fixture.tenant("Other");
    let (ada, role) = site.admin("Ada", site.a);
    let client = site.client("Client", site.a, ada);
    site.secret(client, Some(ada));
    site.give(ada, BuiltInRole::Support, site.a);
    site.take(ada, role);
    assert_eq!(site.due(&everything()).len(), 1);
    let read = site.fixture.database.read(
        grantor_storage::Scope::Tenant(other.id),
        move |tx: &mut grantor_storage::ReadTx<'_>| {
            ownership::due(tx, other.id, &everything(), None, 10, now())
        },
    );
    assert!(crate::support::wait_for(read).unwrap().found.is_empty());
    assert_ne!(other.id.uuid(), Uuid::nil());
}
