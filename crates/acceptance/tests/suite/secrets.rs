//! The secrets of a client: made beside each other, let end, revoked.

mod chosen;
mod guesses;
mod listing;
mod rotation;

use std::collections::BTreeSet;
use std::sync::Barrier;

use chrono::{DateTime, TimeDelta, Utc};
use grantor_acceptance::{Answer, Credentials, Replica};
use serde_json::{Value, json};

use crate::asking::{admin_with, path_of, read, send, send_at, send_to};
use crate::operations::{SUBJECT, Scene, expect_problem};

/// A secret as somebody would choose it who lets a machine draw it.
pub const CHOSEN: &str = "Vq7-mX2_kT9wR4zB8nLpC3sYd6hJ1gFe";

/// What is asked of a client's secrets.
impl Scene {
    /// A path below the subject's secrets.
    fn secrets_path(&self, below: &str) -> String {
        format!("{}/secrets{below}", path_of(&self.subject))
    }

    /// Posts below the subject's secrets.
    pub fn post_secret(&self, below: &str, body: &Value) -> Answer {
        let path = self.secrets_path(below);
        send(self, "POST", &path, &[], &body.to_string())
    }

    /// All secrets of the subject, the newest first.
    #[track_caller]
    pub fn list_secrets(&self) -> Vec<Value> {
        let page = send(self, "GET", &self.secrets_path("?limit=200"), &[], "").expect(200);
        page["items"].as_array().unwrap().clone()
    }

    /// The ids of those that are live.
    #[track_caller]
    fn live_secrets(&self) -> Vec<String> {
        let all = self.list_secrets();
        let live = all.iter().filter(|secret| secret["state"] == "live");
        live.map(|secret| text(secret, "id")).collect()
    }

    /// The subject with another secret.
    pub fn subject_with(&self, secret: &str) -> Credentials {
        Credentials {
            client_id: self.subject.client_id.clone(),
            client_secret: secret.to_owned(),
        }
    }

    /// Makes a public client; tells its path.
    fn public_client(&self) -> String {
        let body = json!({ "name": "In a browser", "profile": "spa", "redirect_uris": ["https://app.example/back"],
            "owner_contact": { "email": "owner@example.com" } });
        format!("/clients/{}", self.create(&body.to_string()).text("/id"))
    }
}

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().expect("a text").to_owned()
}

/// Whether credentials are good at a replica.
pub fn is_let_in(scene: &Scene, replica: &Replica, by: &Credentials) -> bool {
    let url = format!("{}/t/{}/introspect", replica.token, scene.tenant.id);
    let headers = [("authorization", by.basic())];
    let headers = headers.each_ref().map(|(name, by)| (*name, by.as_str()));
    let answer = scene.world.http.post_form(&url, &headers, "token=x");
    match answer.status {
        200 => true,
        401 => false,
        other => panic!("{other}: {}", answer.body),
    }
}

fn written(time: DateTime<Utc>) -> String {
    serde_json::to_value(time)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn secret_3_a_further_secret_works_beside_the_others_until_its_time_is_over() {
    let scene = Scene::new();
    let world = &scene.world;
    let other = world.another_replica();
    // Secrets of one instant have no order.
    world.advance(TimeDelta::seconds(1));
    let end = world.now() + TimeDelta::minutes(5);
    let made = scene.post_secret("", &json!({ "expires_at": end }));
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.text("/secret/expires_at"), written(end));
    let further = scene.subject_with(&made.text("/secret/value"));
    let good =
        |by: &Credentials| [&world.replica, &other].map(|replica| is_let_in(&scene, replica, by));
    assert_eq!(good(&further), [true; 2]);
    assert_eq!(good(&scene.subject), [true; 2]);
    world.advance(TimeDelta::minutes(5) - TimeDelta::microseconds(1));
    assert_eq!(good(&further), [true; 2]);
    world.advance(TimeDelta::microseconds(1));
    assert_eq!(good(&further), [false; 2]);
    assert_eq!(good(&scene.subject), [true; 2]);
    let states: Vec<_> = scene
        .list_secrets()
        .iter()
        .map(|secret| text(secret, "state"))
        .collect();
    assert_eq!(states, ["expired", "live"]);
}

#[test]
fn secret_3_a_time_that_is_over_or_a_lifetime_away_is_no_expiry() {
    let scene = Scene::new();
    let now = scene.world.now();
    for (bad, detail) in [
        (json!(now), "must lie in the future"),
        (
            json!(now - TimeDelta::microseconds(1)),
            "must lie in the future",
        ),
        (json!(now + TimeDelta::days(3_654)), "ten years"),
        (json!("tomorrow"), ""),
        (json!(7), ""),
    ] {
        let choice = json!({ "value": CHOSEN, "expires_at": bad });
        let rotation = json!({ "confirm_name": SUBJECT, "expires_at": bad });
        for (below, body) in [
            ("", json!({ "expires_at": bad })),
            ("/choose", choice),
            ("/rotate", rotation),
        ] {
            let refused = scene.post_secret(below, &body);
            let problem = expect_problem(&scene.world, &refused, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], "/expires_at", "{below}");
            let told = problem["errors"][0]["detail"].as_str().unwrap();
            assert!(told.contains(detail), "{bad}: {told}");
        }
    }
    assert_eq!(scene.live_secrets().len(), 1);
}

#[test]
fn secret_3_at_most_five_are_live_however_many_are_made_at_once_and_what_ended_makes_room() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let start = Barrier::new(8);
    let statuses: Vec<u16> = std::thread::scope(|threads| {
        let asking: Vec<_> = (0..8)
            .map(|number| {
                let (scene, other, start) = (&scene, &other, &start);
                threads.spawn(move || {
                    start.wait();
                    let replica = if number % 2 == 0 {
                        &scene.world.replica
                    } else {
                        other
                    };
                    let (below, body) = if number < 4 {
                        ("", json!({}))
                    } else {
                        ("/choose", json!({ "value": format!("{CHOSEN}{number}") }))
                    };
                    let path = scene.secrets_path(below);
                    send_at(scene, replica, "POST", &path, &[], &body.to_string()).status
                })
            })
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |status| statuses.iter().filter(|one| **one == status).count();
    assert_eq!((count(201), count(409)), (4, 4), "{statuses:?}");
    let full = scene.post_secret("", &json!({}));
    let problem = expect_problem(&scene.world, &full, 409, "too-many-secrets");
    assert!(text(&problem, "detail").contains("revoke one first"));

    // One that is revoked makes room, and so does one whose time is over.
    let live = scene.live_secrets();
    assert_eq!(live.len(), 5);
    let one = scene.secrets_path(&format!("/{}", live[0]));
    assert_eq!(send(&scene, "DELETE", &one, &[], "").status, 204);
    let end = scene.world.now() + TimeDelta::seconds(1);
    scene
        .post_secret("", &json!({ "expires_at": end }))
        .expect(201);
    assert_eq!(scene.post_secret("", &json!({})).status, 409);
    scene.world.advance(TimeDelta::seconds(1));
    scene.post_secret("", &json!({})).expect(201);
    assert_eq!(scene.live_secrets().len(), 5);
}

#[test]
fn client_4_a_public_client_has_no_secret_to_make_choose_or_rotate() {
    let scene = Scene::new();
    let path = scene.public_client();
    for (below, body) in [
        ("", json!({})),
        ("/choose", json!({ "value": CHOSEN })),
        ("/rotate", json!({ "confirm_name": "In a browser" })),
    ] {
        let path = format!("{path}/secrets{below}");
        let refused = send(&scene, "POST", &path, &[], &body.to_string());
        let problem = expect_problem(&scene.world, &refused, 409, "public-client");
        assert!(
            text(&problem, "detail").contains("change-type"),
            "{problem}"
        );
    }
    let listed = send(&scene, "GET", &format!("{path}/secrets"), &[], "").expect(200);
    assert_eq!(listed["items"], json!([]));
}

#[test]
fn role_3_whoever_makes_or_chooses_a_secret_holds_what_it_conveys() {
    let scene = Scene::new();
    let world = &scene.world;
    let narrow = admin_with(&scene, "grantor:secrets.write");
    let admin = format!("/clients/{}/secrets", scene.tenant.admin.client_id);
    let count = |action: &str| {
        let events = scene.events();
        let found = events.iter().filter(|event| event["action"] == action);
        found.count()
    };
    for (number, (below, body)) in [("", json!({})), ("/choose", json!({ "value": CHOSEN }))]
        .into_iter()
        .enumerate()
    {
        let url = scene.url(&format!("{admin}{below}"));
        let refused = send_to(world, "POST", &url, &narrow, &[], &body.to_string());
        expect_problem(world, &refused, 403, "forbidden");
        assert!(!refused.body.contains("gsec_"), "{}", refused.body);
        assert_eq!(count("access.refused"), number + 1);
        // Of a client that can do nothing it may.
        let url = scene.url(&scene.secrets_path(below));
        let made = send_to(world, "POST", &url, &narrow, &[], &body.to_string());
        assert_eq!(made.status, 201, "{}", made.body);
    }
}

#[test]
fn secret_5_each_secret_is_revoked_alone_once_and_in_the_state_that_is_named() {
    let scene = Scene::new();
    let world = &scene.world;
    let other = world.another_replica();
    // Secrets of one instant have no order.
    world.advance(TimeDelta::seconds(1));
    let made = scene.post_secret("", &json!({}));
    let further = scene.subject_with(&made.text("/secret/value"));
    let path = scene.secrets_path(&format!("/{}", made.text("/secret/id")));
    let stale = send(&scene, "DELETE", &path, &[("if-match", "\"1\"")], "");
    expect_problem(world, &stale, 412, "precondition-failed");
    // Another client's secret is none of this one's, and what is no id neither.
    let stranger = world.client(&scene.tenant, "Stranger", &[]);
    let foreign = path.replace(&scene.subject.client_id, &stranger.client_id);
    let missing = scene.secrets_path("/sec_01kb2q3r4s5t6v7w8x9y0z1a2b");
    for path in [foreign, missing, scene.secrets_path("/x")] {
        let unknown = send(&scene, "DELETE", &path, &[], "");
        expect_problem(world, &unknown, 404, "not-found");
    }
    assert!(is_let_in(&scene, &world.replica, &further));

    let start = Barrier::new(4);
    let statuses: Vec<u16> = std::thread::scope(|threads| {
        let asking: Vec<_> = (0..4)
            .map(|number| {
                let (scene, other, start, path) = (&scene, &other, &start, &path);
                threads.spawn(move || {
                    start.wait();
                    let replica = if number % 2 == 0 {
                        &scene.world.replica
                    } else {
                        other
                    };
                    send_at(scene, replica, "DELETE", path, &[], "").status
                })
            })
            .collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let done: BTreeSet<_> = statuses.iter().collect();
    assert_eq!(done, BTreeSet::from([&204, &404]), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|one| **one == 204).count(), 1);
    for replica in [&world.replica, &other] {
        assert!(!is_let_in(&scene, replica, &further));
        assert!(is_let_in(&scene, replica, &scene.subject));
    }
    let revoked = &scene.list_secrets()[0];
    assert_eq!(revoked["state"], "revoked");
    assert_eq!(revoked["revoked_at"], written(world.now()));
    let events = scene.events();
    let told = events
        .iter()
        .filter(|event| event["action"] == "secret.revoked")
        .count();
    assert_eq!(told, 1);
}

#[test]
fn every_change_of_a_secret_takes_the_etag_of_its_client() {
    let scene = Scene::new();
    let id = text(&scene.list_secrets()[0], "id");
    for (method, below, body) in [
        ("POST", String::new(), json!({}).to_string()),
        (
            "POST",
            "/choose".to_owned(),
            json!({ "value": CHOSEN }).to_string(),
        ),
        (
            "POST",
            "/rotate".to_owned(),
            json!({ "confirm_name": SUBJECT, "grace_seconds": 60 }).to_string(),
        ),
        ("DELETE", format!("/{id}"), String::new()),
    ] {
        let path = scene.secrets_path(&below);
        let (_, etag) = read(&scene, &scene.subject);
        let done = send(&scene, method, &path, &[("if-match", &etag)], &body);
        assert!((200..300).contains(&done.status), "{below}: {}", done.body);
        let stale = send(&scene, method, &path, &[("if-match", &etag)], &body);
        expect_problem(&scene.world, &stale, 412, "precondition-failed");
    }
}
