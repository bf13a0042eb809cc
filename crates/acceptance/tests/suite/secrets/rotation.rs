//! Rotation: at once or after a grace, with an end of the new secret's own, and with or without the tokens.

use std::sync::Barrier;

use chrono::TimeDelta;
use grantor_acceptance::{Answer, Credentials, Replica};
use serde_json::{Value, json};

use super::{is_let_in, text, written};
use crate::asking::{path_of, send_at};
use crate::oauth::Orders;
use crate::operations::{SUBJECT, Scene, expect_problem};

fn rotate(scene: &Scene, settings: &Value) -> Answer {
    let mut body = json!({ "confirm_name": SUBJECT });
    for (name, value) in settings.as_object().unwrap() {
        body[name] = value.clone();
    }
    scene.post_secret("/rotate", &body)
}

#[test]
fn secret_3_old_secrets_go_on_for_the_grace_that_was_asked_for_and_not_a_moment_longer() {
    let scene = Scene::new();
    let world = &scene.world;
    let other = world.another_replica();
    // Secrets of one instant have no order.
    world.advance(TimeDelta::seconds(1));
    // One that ends by itself before the grace is over keeps its end.
    let soon = world.now() + TimeDelta::seconds(30);
    let brief = scene.post_secret("", &json!({ "expires_at": soon }));
    let brief_id = brief.text("/secret/id");
    let brief = scene.subject_with(&brief.text("/secret/value"));
    let first_id = text(&scene.list_secrets()[1], "id");
    let own_end = world.now() + TimeDelta::days(1);
    let rotated = rotate(
        &scene,
        &json!({ "grace_seconds": 60, "expires_at": own_end }),
    )
    .expect(200);
    let grace_end = world.now() + TimeDelta::seconds(60);
    assert_eq!(rotated["revoked_secret_ids"], json!([]));
    assert_eq!(rotated["tokens_revoked"], false);
    assert_eq!(
        rotated["ending_secret_ids"],
        json!([{ "id": brief_id, "expires_at": written(soon) },
            { "id": first_id, "expires_at": written(grace_end) }])
    );
    assert_eq!(rotated["secret"]["expires_at"], written(own_end));
    let new = scene.subject_with(&text(&rotated["secret"], "value"));
    let good = || {
        [&world.replica, &other].map(|replica| {
            [&new, &scene.subject, &brief].map(|by: &Credentials| is_let_in(&scene, replica, by))
        })
    };
    assert_eq!(good(), [[true; 3]; 2]);
    world.advance(TimeDelta::seconds(30));
    assert_eq!(good(), [[true, true, false]; 2]);
    world.advance(TimeDelta::seconds(30) - TimeDelta::microseconds(1));
    assert_eq!(good(), [[true, true, false]; 2]);
    world.advance(TimeDelta::microseconds(1));
    assert_eq!(good(), [[true, false, false]; 2]);
    let event = scene.events();
    let event = event
        .iter()
        .find(|event| event["action"] == "secret.rotated");
    assert_eq!(
        event.unwrap()["after"]["ending"],
        rotated["ending_secret_ids"]
    );
    // Without a grace even what was just given one stops at once.
    let rotated = rotate(&scene, &json!({ "grace_seconds": 0 })).expect(200);
    let revoked = rotated["revoked_secret_ids"].as_array().unwrap();
    assert!(revoked.contains(&json!(first_id)), "{rotated}");
    assert!(!is_let_in(&scene, &other, &new));
}

#[test]
fn secret_3_a_grace_has_bounds_and_leaves_at_most_five_live() {
    let scene = Scene::new();
    for bad in [-1, 2_592_001, i64::MAX] {
        let refused = rotate(&scene, &json!({ "grace_seconds": bad }));
        let problem = expect_problem(&scene.world, &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/grace_seconds");
    }
    let longest = json!({ "grace_seconds": 2_592_000 });
    for _ in 0..4 {
        rotate(&scene, &longest).expect(200);
    }
    let full = rotate(&scene, &longest);
    let problem = expect_problem(&scene.world, &full, 409, "too-many-secrets");
    assert!(
        text(&problem, "detail").contains("without `grace_seconds`"),
        "{problem}"
    );
    // Nothing came of the one that was refused, and without a grace it goes.
    let live: Vec<_> = scene.live_secrets();
    assert_eq!(live.len(), 5);
    let rotated = rotate(&scene, &json!({})).expect(200);
    assert_eq!(
        rotated["revoked_secret_ids"].as_array().unwrap().len(),
        live.len()
    );
    assert_eq!(scene.live_secrets(), [text(&rotated["secret"], "id")]);
}

#[test]
fn secret_3_with_revoke_tokens_everything_is_dead_that_was_issued_before_and_nothing_after() {
    let orders = Orders::new();
    let world = &orders.world;
    let other = world.another_replica();
    let admin = world.as_admin(&orders.tenant);
    let old = orders.token("orders.api:read");
    let active = |replica: &Replica, token: &str| {
        let url = format!("{}/t/{}/introspect", replica.token, orders.tenant.id);
        let by = orders.checker.basic();
        let headers = [("authorization", by.as_str())];
        let answer = world
            .http
            .post_form(&url, &headers, &format!("token={token}"));
        answer.expect(200)["active"] == true
    };
    let rotate = |body: &Value| {
        let path = format!("{}/secrets/rotate", path_of(&orders.machine));
        let url = world.api(&format!("/v1/tenants/{}{path}", orders.tenant.id));
        let headers = [("authorization", admin.as_str())];
        world.http.post_json(&url, &headers, body).expect(200)
    };
    let kept = rotate(&json!({ "confirm_name": "Machine", "grace_seconds": 60 }));
    assert_eq!(kept["tokens_revoked"], false);
    assert!(active(&world.replica, &old), "tokens live on");
    let cut = rotate(&json!({ "confirm_name": "Machine", "revoke_tokens": true }));
    assert_eq!(cut["tokens_revoked"], true);
    for replica in [&world.replica, &other] {
        assert!(!active(replica, &old));
    }
    let machine = Credentials {
        client_id: orders.machine.client_id.clone(),
        client_secret: text(&cut["secret"], "value"),
    };
    let new = world.token(&orders.tenant.id, &machine, "orders.api:read");
    for replica in [&world.replica, &other] {
        assert!(active(replica, &new));
    }
}

#[test]
fn secret_3_two_rotations_at_once_never_leave_two_only_secrets() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let path = format!("{}/secrets/rotate", path_of(&scene.subject));
    let body = json!({ "confirm_name": SUBJECT }).to_string();
    for round in 0..20 {
        let start = Barrier::new(2);
        let made: Vec<Value> = std::thread::scope(|threads| {
            let asking: Vec<_> = [&scene.world.replica, &other]
                .into_iter()
                .map(|replica| {
                    let (scene, start, path, body) = (&scene, &start, &path, &body);
                    threads.spawn(move || {
                        start.wait();
                        send_at(scene, replica, "POST", path, &[], body).expect(200)
                    })
                })
                .collect();
            asking.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let live = scene.live_secrets();
        assert_eq!(live.len(), 1, "round {round}");
        let (last, first): (Vec<_>, Vec<_>) = made
            .iter()
            .partition(|rotated| rotated["secret"]["id"] == live[0].as_str());
        assert_eq!((last.len(), first.len()), (1, 1), "round {round}");
        // The later one tells that it stopped the earlier one's.
        let stopped = last[0]["revoked_secret_ids"].as_array().unwrap();
        assert!(stopped.contains(&first[0]["secret"]["id"]), "round {round}");
        let loser = scene.subject_with(&text(&first[0]["secret"], "value"));
        assert!(!is_let_in(&scene, &other, &loser), "round {round}");
    }
}

#[test]
fn secret_3_a_rotation_that_is_refused_stops_nothing() {
    let scene = Scene::new();
    let wrong = json!({ "confirm_name": "subject", "revoke_tokens": true });
    let refused = scene.post_secret("/rotate", &wrong);
    expect_problem(&scene.world, &refused, 422, "confirmation-mismatch");
    for bad in [json!("yes"), json!(1), Value::Null] {
        let refused = rotate(&scene, &json!({ "revoke_tokens": bad }));
        expect_problem(&scene.world, &refused, 422, "invalid-field");
    }
    assert_eq!(scene.live_secrets().len(), 1);
    assert!(is_let_in(&scene, &scene.world.replica, &scene.subject));
}
