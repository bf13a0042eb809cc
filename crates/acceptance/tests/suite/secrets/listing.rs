//! The list of a client's secrets: all that is known of them, and never what they are.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use grantor_keys::{PlainSecret, SecretKind};
use serde_json::{Value, json};

use super::{CHOSEN, is_let_in, text, written};
use crate::asking::{path_of, send, send_to};
use crate::operations::{SUBJECT, Scene, expect_problem};

#[test]
fn secret_5_secrets_are_listed_with_all_that_is_known_of_them_and_never_what_they_are() {
    let scene = Scene::new();
    let world = &scene.world;
    let member = world.member(&scene.tenant, "Maker", "maker@acme.example");
    world.assign(&scene.tenant, &member, "admin", None);
    world.advance(TimeDelta::seconds(1));
    let by_member = world.as_member(
        &scene.tenant,
        &scene.tenant.admin,
        &member,
        "grantor:secrets.write",
    );
    let end = world.now() + TimeDelta::days(30);
    let body = json!({ "expires_at": end }).to_string();
    let url = scene.url(&scene.secrets_path(""));
    let made = send_to(world, "POST", &url, &by_member, &[], &body);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let value = made.text("/secret/value");
    let location = format!("{url}/{}", made.text("/secret/id"));
    assert_eq!(made.header("location"), Some(location.as_str()));
    assert!(value.starts_with(&made.text("/secret/hint")));
    world.advance(TimeDelta::seconds(1));
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);

    let listed = scene.list_secrets();
    assert_eq!(listed.len(), 3);
    assert_eq!(
        listed[1],
        json!({ "id": made.text("/secret/id"), "origin": "generated", "hint": made.text("/secret/hint"),
            "state": "live", "created_by": member, "created_at": written(world.now() - TimeDelta::seconds(1)),
            "expires_at": written(end), "revoked_at": null, "last_used_at": null, "rotation_due": null })
    );
    assert_eq!(listed[0]["origin"], "chosen");
    assert_eq!(listed[0]["hint"], Value::Null);
    assert_eq!(
        listed[0]["created_by"],
        scene.tenant.admin.client_id.as_str()
    );
    let all = json!(listed).to_string();
    for secret in [&value, &scene.subject.client_secret, CHOSEN] {
        assert!(!all.contains(&secret[10..]), "{all}");
    }
    // The event of its making and that of its showing, and in neither the secret.
    let events = scene.events();
    for action in ["secret.generated", "secret.shown", "secret.chosen"] {
        let event = events.iter().find(|event| event["action"] == action);
        let event = event.unwrap_or_else(|| panic!("no {action}"));
        assert!(!event.to_string().contains(&value[10..]), "{event}");
        assert_eq!(
            event["after"]["client_id"],
            scene.subject.client_id.as_str()
        );
    }
}

#[test]
fn secret_1_a_secret_is_in_the_one_answer_that_makes_it_and_in_no_other() {
    let scene = Scene::new();
    let body = json!({ "name": "Nightly", "profile": "service", "owner_contact": { "email": "owner@example.com" } });
    let created = scene.create(&body.to_string());
    let made = scene.post_secret("", &json!({}));
    let rotated = scene.post_secret("/rotate", &json!({ "confirm_name": SUBJECT }));
    let values = [created, made, rotated].map(|answer| {
        let value = answer.text("/secret/value");
        assert_eq!(answer.body.matches(&value).count(), 1);
        let secret = PlainSecret::parse(SecretKind::Client, &value).unwrap();
        assert_eq!(secret.hint(), answer.text("/secret/hint"));
        value
    });
    assert_eq!(BTreeSet::from(values.clone()).len(), 3);

    let subject = path_of(&scene.subject);
    let reads = ["/clients", "/rotation-due", "/audit-events", "/changes"].map(str::to_owned);
    let of_subject = ["", "/secrets", "/endpoints"].map(|below| format!("{subject}{below}"));
    for path in reads.iter().chain(&of_subject) {
        let answer = send(&scene, "GET", path, &[], "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        for value in &values {
            assert!(!answer.body.contains(&value[10..]), "{path}");
        }
    }
}

#[test]
fn secret_5_the_list_goes_by_pages_and_a_cursor_belongs_to_one_client() {
    let scene = Scene::new();
    let mut made = vec![text(&scene.list_secrets()[0], "id")];
    for _ in 0..4 {
        scene.world.advance(TimeDelta::milliseconds(1));
        made.push(scene.post_secret("", &json!({})).text("/secret/id"));
    }
    made.reverse();
    let mut walked = Vec::new();
    let mut path = scene.secrets_path("?limit=2");
    let mut cursor = String::new();
    loop {
        let page = send(&scene, "GET", &path, &[], "").expect(200);
        let items = page["items"].as_array().unwrap();
        walked.extend(items.iter().map(|item| text(item, "id")));
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
        path = scene.secrets_path(&format!("?limit=2&cursor={cursor}"));
    }
    assert_eq!(walked, made);
    let other = scene.world.client(&scene.tenant, "Other", &[]);
    let path = format!("{}/secrets?limit=2&cursor={cursor}", path_of(&other));
    let foreign = send(&scene, "GET", &path, &[], "");
    expect_problem(&scene.world, &foreign, 400, "invalid-cursor");
}

#[test]
fn owner_3_what_somebody_has_seen_who_is_disabled_is_shown_as_due() {
    let scene = Scene::new();
    let world = &scene.world;
    let member = world.member(&scene.tenant, "Maker", "maker@acme.example");
    world.assign(&scene.tenant, &member, "admin", None);
    let by_member = world.as_member(
        &scene.tenant,
        &scene.tenant.admin,
        &member,
        "grantor:secrets.write",
    );
    let url = scene.url(&scene.secrets_path(""));
    let seen = send_to(world, "POST", &url, &by_member, &[], "").expect(201);
    let gone = send_to(world, "POST", &url, &by_member, &[], "").expect(201);
    world.advance(TimeDelta::seconds(1));
    let path = scene.secrets_path(&format!("/{}", text(&gone["secret"], "id")));
    assert_eq!(send(&scene, "DELETE", &path, &[], "").status, 204);
    let disable = format!("/members/{member}/disable");
    send(&scene, "POST", &disable, &[], "").expect(200);
    for secret in scene.list_secrets() {
        let expected = if secret["id"] == seen["secret"]["id"] {
            json!({ "why": "exposed", "cause": "owner_disabled", "since": written(world.now()),
                "former_owner_id": member })
        } else {
            Value::Null
        };
        assert_eq!(secret["rotation_due"], expected, "{secret}");
    }
    // It is a hint, and stops nothing.
    let by = scene.subject_with(&text(&seen["secret"], "value"));
    assert!(is_let_in(&scene, &world.replica, &by));
}
