//! When clients and their secrets were last used: some seconds late, and never in anybody's way.

use chrono::{DateTime, TimeDelta, Utc};
use grantor_acceptance::Replica;
use serde_json::{Value, json};

use crate::asking::{everything_at_rest, number, path_of, read, send, until};
use crate::operations::Scene;
use crate::secrets::{CHOSEN, is_let_in};

fn at(of: &Value) -> Option<DateTime<Utc>> {
    let text = of["last_used_at"].as_str()?;
    Some(text.parse().unwrap())
}

fn client_used_at(scene: &Scene) -> Option<DateTime<Utc>> {
    at(&read(scene, &scene.subject).0)
}

#[test]
fn client_8_secret_5_the_last_use_of_a_client_and_of_each_secret_shows() {
    let scene = Scene::new();
    let world = &scene.world;
    // Secrets of one instant have no order.
    world.advance(TimeDelta::seconds(1));
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    let used = || scene.list_secrets().iter().map(at).collect::<Vec<_>>();
    assert_eq!(client_used_at(&scene), None);
    assert_eq!(used(), [None, None]);

    world.advance(TimeDelta::seconds(10));
    let first = world.now();
    assert!(is_let_in(&scene, &world.replica, &scene.subject));
    until("the first use shows", || {
        client_used_at(&scene) == Some(first)
    });
    assert_eq!(used(), [None, Some(first)]);

    // By the chosen one, out of memory too, and at each endpoint.
    for (endpoint, form) in [
        ("introspect", "token=x"),
        ("revoke", "token=x"),
        // It is known, though it gets nothing.
        ("token", "grant_type=client_credentials&scope=no.such:scope"),
    ] {
        world.advance(TimeDelta::seconds(10));
        let now = world.now();
        let url = world.endpoint(&scene.tenant.id, endpoint);
        let by = scene.subject_with(CHOSEN).basic();
        world.http.post_form(&url, &[("authorization", &by)], form);
        until("the use shows", || client_used_at(&scene) == Some(now));
        assert_eq!(used(), [Some(now), Some(first)], "{endpoint}");
    }
}

#[test]
fn client_8_what_is_refused_is_no_use_and_what_a_server_noted_last_is_written_when_it_stops() {
    let scene = Scene::new();
    let world = &scene.world;
    let mut other: Replica = world.another_replica();
    let wrong = scene.subject_with("gsec_wrong");
    assert!(!is_let_in(&scene, &other, &wrong));
    // Another client's use goes through the same server, so that there is something to wait for.
    world.advance(TimeDelta::seconds(1));
    assert!(is_let_in(&scene, &other, &scene.tenant.admin));
    other.stop();
    let path = format!("/clients/{}", scene.tenant.admin.client_id);
    let admin = send(&scene, "GET", &path, &[], "").expect(200);
    assert_eq!(at(&admin), Some(world.now()), "written before it ended");
    assert_eq!(client_used_at(&scene), None);
}

#[test]
fn secret_5_a_secret_that_was_revoked_just_before_was_not_used() {
    let scene = Scene::new();
    let world = &scene.world;
    let mut other = world.another_replica();
    world.advance(TimeDelta::seconds(1));
    let further = scene.post_secret("", &json!({})).expect(201);
    let by = scene.subject_with(further["secret"]["value"].as_str().unwrap());
    assert!(is_let_in(&scene, &other, &by));
    let used = world.now();
    world.advance(TimeDelta::seconds(10));
    let id = further["secret"]["id"].as_str().unwrap();
    let path = format!("{}/secrets/{id}", path_of(&scene.subject));
    assert_eq!(send(&scene, "DELETE", &path, &[], "").status, 204);
    // Out of memory, where it may still be good.
    assert!(!is_let_in(&scene, &other, &by));
    other.stop();
    let secrets = scene.list_secrets();
    let revoked = secrets.iter().find(|secret| secret["id"] == id).unwrap();
    assert_eq!(at(revoked), Some(used));
    assert_eq!(client_used_at(&scene), Some(used));
}

#[test]
fn client_8_a_use_that_comes_late_does_not_set_back_a_later_one() {
    let scene = Scene::new();
    let world = &scene.world;
    let (early, late) = (world.another_replica(), world.another_replica());
    let mut early = early;
    assert!(is_let_in(&scene, &early, &scene.subject));
    world.advance(TimeDelta::seconds(10));
    let mut late = late;
    assert!(is_let_in(&scene, &late, &scene.subject));
    late.stop();
    early.stop();
    assert_eq!(client_used_at(&scene), Some(world.now()));
}

#[test]
fn client_8_a_use_is_no_change_and_goes_with_its_client() {
    let scene = Scene::new();
    let world = &scene.world;
    let (before, etag) = read(&scene, &scene.subject);
    let mut other = world.another_replica();
    assert!(is_let_in(&scene, &other, &scene.subject));
    other.stop();
    let (after, same) = read(&scene, &scene.subject);
    assert_eq!(etag, same);
    assert_eq!(after["updated_at"], before["updated_at"]);
    assert_ne!(after["last_used_at"], before["last_used_at"]);
    let rows = || number(world, "SELECT count(*) FROM last_uses");
    let with = rows();
    let path = format!("{}?confirm_name=Subject", path_of(&scene.subject));
    assert_eq!(send(&scene, "DELETE", &path, &[], "").status, 204);
    assert_eq!(rows(), with - 2, "the client's and its secret's");
    let left = everything_at_rest(world);
    assert!(left.iter().any(|(table, _)| table.contains("clients")));
}
