//! Two at once on two replicas, over HTTP.

use std::collections::BTreeSet;

use grantor_acceptance::{Answer, Replica};
use serde_json::{Value, json};

use super::{client_of, owner, path, transfer_at};
use crate::members::acme::{Acme, of};

const ROUNDS: usize = 20;

/// Makes a request again for as long as it is told to come again.
fn until_done(ask: impl Fn() -> Answer) -> Answer {
    for _ in 0..50 {
        let answer = ask();
        if answer.status != 503 {
            return answer;
        }
    }
    panic!("it never came to an end");
}

fn both(one: impl FnOnce() -> Answer + Send, other: impl FnOnce() -> Answer + Send) -> [Answer; 2] {
    std::thread::scope(|scope| {
        let one = scope.spawn(one);
        let other = scope.spawn(other);
        [one.join().unwrap(), other.join().unwrap()]
    })
}

struct Two {
    acme: Acme,
    other: Replica,
}

impl Two {
    fn new() -> Self {
        let acme = Acme::new();
        let other = acme.world().another_replica();
        Self { acme, other }
    }

    fn send(&self, second: bool, method: &str, path: &str, body: &Value) -> Answer {
        let acme = &self.acme;
        let replica = if second {
            &self.other
        } else {
            &acme.world().replica
        };
        until_done(|| acme.send_at(replica, &acme.scene.admin, method, path, &[], body))
    }

    fn transfer(&self, second: bool, client: &str, to: &str) -> Answer {
        let acme = &self.acme;
        let replica = if second {
            &self.other
        } else {
            &acme.world().replica
        };
        until_done(|| transfer_at(acme, replica, &acme.scene.admin, client, to))
    }

    /// To whom a client of somebody's went, one after the other: each change of hands begins where the one before has
    /// ended, and none is left over.
    #[track_caller]
    fn way_of(&self, client: &str, first: &str) -> Vec<String> {
        let events = self.acme.events("client.transferred");
        let text = |value: &Value| value["owner_id"].as_str().unwrap().to_owned();
        let mut transfers: Vec<_> = events
            .iter()
            .filter(|event| event["target"]["id"] == json!(client))
            .map(|event| (text(&event["before"]), text(&event["after"])))
            .collect();
        let (mut holder, mut way) = (first.to_owned(), Vec::new());
        while let Some(next) = transfers.iter().position(|(from, _)| *from == holder) {
            holder = transfers.remove(next).1;
            way.push(holder.clone());
        }
        assert!(transfers.is_empty(), "{way:?}, and besides {transfers:?}");
        way
    }
}

#[test]
fn owner_1_in_20_rounds_of_two_transfers_at_once_each_begins_where_the_one_before_has_ended() {
    let two = Two::new();
    let acme = &two.acme;
    let first = &acme.scene.tenant.owner;
    let (bob, _) = acme.admin_of(&acme.a, "bob@acme.example");
    let (eve, _) = acme.admin_of(&acme.root, "eve@acme.example");
    for round in 0..ROUNDS {
        let client = client_of(acme, "Client", &acme.a, first);
        // To different ones, or to the same.
        let to = if round % 2 == 0 {
            [&bob, &eve]
        } else {
            [&bob, &bob]
        };
        let answers = both(
            || two.transfer(false, &client, to[0]),
            || two.transfer(true, &client, to[1]),
        );
        for (answer, to) in answers.iter().zip(to) {
            assert_eq!(
                answer.clone().expect(200)["owner_id"],
                json!(to),
                "round {round}"
            );
        }
        let way = two.way_of(&client, first);
        assert_eq!(owner(acme, &client), json!(way.last().unwrap()));
        assert_eq!(way.len(), to.iter().collect::<BTreeSet<_>>().len());
    }
}

#[test]
fn owner_2_in_20_rounds_of_handing_a_client_to_somebody_who_goes_at_once_they_never_own_it() {
    let two = Two::new();
    let acme = &two.acme;
    let root_owner = json!(acme.scene.tenant.owner);
    for round in 0..ROUNDS {
        let member = acme.member_in(&acme.root, "Ada", &format!("ada{round}@acme.example"));
        let role = acme.assign(&member, "admin", &acme.a);
        let client = client_of(acme, "Client", &acme.a, &acme.scene.tenant.owner);
        let (method, at, body) = match round % 5 {
            0 => ("POST", of(&member, "/disable"), Value::Null),
            1 => ("DELETE", of(&member, "?confirm_name=Ada"), Value::Null),
            2 => (
                "DELETE",
                of(&member, &format!("/role-assignments/{role}")),
                Value::Null,
            ),
            3 => (
                "POST",
                of(&member, "/offboard"),
                json!({ "confirm_name": "Ada" }),
            ),
            _ => (
                "PATCH",
                path(&client, ""),
                json!({ "organization_id": acme.b }),
            ),
        };
        let [handed, gone] = both(
            || two.transfer(round % 2 == 0, &client, &member),
            || two.send(round % 2 == 1, method, &at, &body),
        );
        assert!(matches!(handed.status, 200 | 422), "{}", handed.body);
        assert!(matches!(gone.status, 200 | 204), "{}", gone.body);
        assert_eq!(
            owner(acme, &client),
            root_owner,
            "round {round}: {method} {at}"
        );
        let wanted = if handed.status == 200 { 2 } else { 0 };
        let way = two.way_of(&client, &acme.scene.tenant.owner);
        assert_eq!(way.len(), wanted, "round {round}");
    }
}

#[test]
fn owner_2_in_20_rounds_of_two_offboardings_at_once_one_hands_over_and_the_other_finds_nothing() {
    let two = Two::new();
    let acme = &two.acme;
    let (heir, _) = acme.admin_of(&acme.root, "heir@acme.example");
    for round in 0..ROUNDS {
        let member = acme.member_in(&acme.root, "Ada", &format!("ada{round}@acme.example"));
        acme.assign(&member, "admin", &acme.root);
        let client = client_of(acme, "Client", &acme.a, &member);
        let at = of(&member, "/offboard");
        let then = if round % 2 == 0 { "delete" } else { "disable" };
        let body = json!({ "confirm_name": "Ada", "then": then, "new_owner_id": heir });
        let answers = both(
            || two.send(false, "POST", &at, &body),
            || two.send(true, "POST", &at, &body),
        );
        let mut many: Vec<u64> = answers
            .iter()
            .map(|answer| match (answer.status, then) {
                (200, _) => answer.json()["client_count"]["count"].as_u64().unwrap(),
                (404, "delete") => 0,
                _ => panic!("round {round}: {} {}", answer.status, answer.body),
            })
            .collect();
        many.sort_unstable();
        assert_eq!(many, [0, 1], "round {round}");
        assert_eq!(owner(acme, &client), json!(heir));
        assert_eq!(two.way_of(&client, &member), std::slice::from_ref(&heir));
        let offboarded = acme.events("member.offboarded");
        let of_one = offboarded
            .iter()
            .filter(|event| event["target"]["id"] == json!(member));
        assert_eq!(of_one.count(), 1, "round {round}");
    }
}

#[test]
fn owner_2_in_20_rounds_of_two_who_offboard_to_each_other_at_once_nobody_owns_who_is_gone() {
    let two = Two::new();
    let acme = &two.acme;
    let root_owner = &acme.scene.tenant.owner;
    for round in 0..ROUNDS {
        let pair = ["x", "y"].map(|which| {
            let email = format!("{which}{round}@acme.example");
            let member = acme.member_in(&acme.root, "Ada", &email);
            acme.assign(&member, "admin", &acme.root);
            let client = client_of(acme, "Client", &acme.a, &member);
            (member, client)
        });
        let leave = |second: bool, from: &str, to: &str| {
            let body = json!({ "confirm_name": "Ada", "new_owner_id": to });
            two.send(second, "POST", &of(from, "/offboard"), &body)
        };
        let answers = both(
            || leave(false, &pair[0].0, &pair[1].0),
            || leave(true, &pair[1].0, &pair[0].0),
        );
        let done: Vec<bool> = answers.iter().map(|answer| answer.status == 200).collect();
        for answer in &answers {
            assert!(
                matches!(answer.status, 200 | 422),
                "round {round}: {}",
                answer.body
            );
        }
        // The second can't name one who has gone by then.
        assert_eq!(
            done.iter().filter(|done| **done).count(),
            1,
            "round {round}"
        );
        let stays = if done[0] { &pair[1].0 } else { &pair[0].0 };
        for (_, client) in &pair {
            assert_eq!(owner(acme, client), json!(stays), "round {round}");
        }
        assert_ne!(stays, root_owner);
    }
}
