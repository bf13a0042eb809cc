//! Secrets of an administrator's own choice: taken if they are strong enough, proved everywhere, told nowhere.

use chrono::TimeDelta;
use grantor_acceptance::{Credentials, Replica, World};
use serde_json::{Value, json};

use super::{CHOSEN, is_let_in, text};
use crate::asking::{everything_at_rest, path_of, send, send_to};
use crate::oauth::expect_error;
use crate::operations::{SUBJECT, Scene, expect_problem};
use crate::platform_servers::Vendor;

#[test]
fn secret_4_a_chosen_secret_proves_its_client_at_every_endpoint_of_every_replica() {
    let scene = Scene::new();
    let world = &scene.world;
    let body = json!({ "allowed_scopes": ["grantor:clients.read"] }).to_string();
    send(&scene, "PATCH", &path_of(&scene.subject), &[], &body).expect(200);
    let chosen = scene.post_secret("/choose", &json!({ "value": CHOSEN }));
    assert_eq!(chosen.status, 201, "{}", chosen.body);
    assert!(!chosen.body.contains(&CHOSEN[..10]), "{}", chosen.body);
    assert_eq!(chosen.json()["origin"], "chosen");
    let location = scene.url(&format!(
        "{}/secrets/{}",
        path_of(&scene.subject),
        chosen.text("/id")
    ));
    assert_eq!(chosen.header("location"), Some(location.as_str()));
    let by = scene.subject_with(CHOSEN);
    // The second replica never saw it before; each endpoint is asked twice, by the proof and out of memory.
    for replica in [&world.replica, &world.another_replica()] {
        for (endpoint, form) in [
            ("token", "grant_type=client_credentials"),
            (
                "token",
                "grant_type=client_credentials&scope=grantor:clients.read",
            ),
            ("introspect", "token=x"),
            ("revoke", "token=x"),
        ] {
            let url = format!("{}/t/{}/{endpoint}", replica.token, scene.tenant.id);
            for _ in 0..2 {
                let headers = [("authorization", by.basic())];
                let headers = headers.each_ref().map(|(name, by)| (*name, by.as_str()));
                let answer = world.http.post_form(&url, &headers, form);
                // Without a scope it is refused what it asked for, and known all the same.
                let expected = if form.ends_with("credentials") {
                    400
                } else {
                    200
                };
                assert_eq!(answer.status, expected, "{endpoint}: {}", answer.body);
            }
        }
    }
    assert!(is_let_in(&scene, &world.replica, &scene.subject), "beside");
    // secret_2: nothing at rest tells it.
    for (table, row) in everything_at_rest(world) {
        assert!(!row.contains(&CHOSEN[..16]), "{table}: {row}");
    }
}

#[test]
fn secret_4_a_chosen_secret_proves_a_client_of_the_platform_for_every_tenants_tokens() {
    let vendor = Vendor::new();
    let world = &vendor.world;
    let checker = vendor.client("Payments API");
    let named = json!({ "introspector_client_ids": [checker.client_id] });
    vendor
        .send(&vendor.operator, "PATCH", "", &named)
        .expect(200);
    let operator = world.operator_with("grantor:secrets.write");
    let path = format!("{}/secrets/choose", path_of(&checker));
    let url = world.api(&format!("/v1/tenants/{}{path}", world.platform_id));
    let body = json!({ "value": CHOSEN }).to_string();
    send_to(world, "POST", &url, &operator, &[], &body).expect(201);
    let token = world.token(&vendor.acme.id, &vendor.machine, "payments:read");
    let ask = |secret: &str| {
        let by = Credentials {
            client_id: checker.client_id.clone(),
            client_secret: secret.to_owned(),
        };
        let url = format!("{}/introspect", world.replica.token);
        let headers = [("authorization", by.basic())];
        let headers = headers.each_ref().map(|(name, by)| (*name, by.as_str()));
        world
            .http
            .post_form(&url, &headers, &format!("token={token}"))
    };
    assert_eq!(ask(CHOSEN).expect(200)["active"], true);
    let wrong = CHOSEN.replace('V', "W");
    expect_error(&ask(&wrong), 401, "invalid_client");
}

#[test]
fn secret_4_what_is_weak_is_refused_with_the_mend_and_not_repeated() {
    let scene = Scene::new();
    let body = json!({ "name": "Nightly export" }).to_string();
    send(&scene, "PATCH", &path_of(&scene.subject), &[], &body).expect(200);
    let id = &scene.subject.client_id;
    for (weak, mend) in [
        (CHOSEN[..31].to_owned(), "at least 32"),
        (CHOSEN.repeat(5), "at most 128"),
        (format!("{CHOSEN} x"), "no spaces"),
        (format!("{CHOSEN}é"), "ASCII"),
        (format!("gsec_{CHOSEN}"), "generated"),
        ("aB3-aB3-aB3-aB3-aB3-aB3-aB3-aB3-".to_owned(), "different"),
        (
            format!("Nightly-Export-{}", &CHOSEN[..24]),
            "name or the id",
        ),
        (format!("{}{id}", &CHOSEN[..16]), "name or the id"),
        ("abcdefghijklmnopqrstuvwxyz0123456789".to_owned(), "order"),
    ] {
        let refused = scene.post_secret("/choose", &json!({ "value": weak }));
        let problem = expect_problem(&scene.world, &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/value");
        let told = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(told.contains(mend), "{weak}: {told}");
        assert!(!refused.body.contains(&weak[..12]), "{}", refused.body);
    }
    for wrong in [json!([CHOSEN]), json!({ "of": CHOSEN }), Value::Null] {
        let refused = scene.post_secret("/choose", &json!({ "value": wrong }));
        let problem = expect_problem(&scene.world, &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/value", "{problem}");
        assert!(!refused.body.contains(&CHOSEN[..12]), "{}", refused.body);
    }
    assert_eq!(scene.list_secrets().len(), 1);
}

#[test]
fn secret_4_a_tenant_can_forbid_chosen_secrets_and_those_that_are_there_go_on() {
    let scene = Scene::new();
    let world = &scene.world;
    let allow = |allowed: bool| {
        let body = json!({ "allow_chosen_secrets": allowed }).to_string();
        send(&scene, "PATCH", "/settings", &[], &body).expect(200);
    };
    let other = format!("{CHOSEN}-other");
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    allow(false);
    let refused = scene.post_secret("/choose", &json!({ "value": other }));
    let problem = expect_problem(world, &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/value");
    assert!(text(&problem, "detail").contains("POST …/secrets"));
    // audit_1: a rule refused somebody who is known.
    let event = &scene.events()[0];
    assert_eq!(event["action"], "access.refused");
    assert_eq!(event["after"]["reason"], "chosen secrets are forbidden");
    scene.post_secret("", &json!({})).expect(201);
    assert!(is_let_in(
        &scene,
        &world.replica,
        &scene.subject_with(CHOSEN)
    ));
    allow(true);
    scene
        .post_secret("/choose", &json!({ "value": other }))
        .expect(201);
}

#[test]
fn secret_3_a_chosen_secret_that_ended_opens_nothing_however_well_it_is_remembered() {
    type Ending = (&'static str, fn(&Scene, &Value));
    let endings: [Ending; 4] = [
        ("revoked", |scene, chosen| {
            let id = text(chosen, "id");
            let path = format!("{}/secrets/{id}", path_of(&scene.subject));
            assert_eq!(send(scene, "DELETE", &path, &[], "").status, 204);
        }),
        ("expired", |scene, _| {
            scene.world.advance(TimeDelta::minutes(5));
        }),
        ("rotated away", |scene, _| {
            let body = json!({ "confirm_name": SUBJECT });
            scene.post_secret("/rotate", &body).expect(200);
        }),
        ("gone with its client", |scene, _| {
            let path = format!("{}?confirm_name={SUBJECT}", path_of(&scene.subject));
            assert_eq!(send(scene, "DELETE", &path, &[], "").status, 204);
        }),
    ];
    for (how, end) in endings {
        let scene = Scene::new();
        let other = scene.world.another_replica();
        let replicas: [&Replica; 2] = [&scene.world.replica, &other];
        let expires_at = scene.world.now() + TimeDelta::minutes(5);
        let body = json!({ "value": CHOSEN, "expires_at": expires_at });
        let chosen = scene.post_secret("/choose", &body).expect(201);
        let by = scene.subject_with(CHOSEN);
        for replica in replicas {
            assert!(is_let_in(&scene, replica, &by), "{how}");
            assert!(is_let_in(&scene, replica, &by), "{how}: remembered");
        }
        end(&scene, &chosen);
        for replica in replicas {
            assert!(!is_let_in(&scene, replica, &by), "{how}");
        }
    }
}

#[test]
fn secret_4_the_same_text_chosen_anew_works_anew_and_for_its_own_client_alone() {
    let scene = Scene::new();
    let world = &scene.world;
    let by = scene.subject_with(CHOSEN);
    let first = scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    assert!(is_let_in(&scene, &world.replica, &by));
    let path = format!("{}/secrets/{}", path_of(&scene.subject), text(&first, "id"));
    assert_eq!(send(&scene, "DELETE", &path, &[], "").status, 204);
    assert!(!is_let_in(&scene, &world.replica, &by));
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    assert!(is_let_in(&scene, &world.replica, &by));
    let other = world.client(&scene.tenant, "Other", &[]);
    let body = json!({ "value": format!("{CHOSEN}-2") }).to_string();
    let path = format!("{}/secrets/choose", path_of(&other));
    send(&scene, "POST", &path, &[], &body).expect(201);
    let foreign = Credentials {
        client_secret: CHOSEN.to_owned(),
        ..other
    };
    assert!(!is_let_in(&scene, &world.replica, &foreign));
}

#[test]
fn secret_4_a_repeated_request_gets_its_first_answer_whatever_has_changed_since() {
    let scene = Scene::new();
    let path = format!("{}/secrets/choose", path_of(&scene.subject));
    let body = json!({ "value": CHOSEN }).to_string();
    let key = [("idempotency-key", "choose-0f8b1c9e-93a4-4f0e-8a55")];
    let first = send(&scene, "POST", &path, &key, &body);
    assert_eq!(first.status, 201, "{}", first.body);
    let forbidden = json!({ "allow_chosen_secrets": false }).to_string();
    send(&scene, "PATCH", "/settings", &[], &forbidden).expect(200);
    let again = send(&scene, "POST", &path, &key, &body);
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    let other = json!({ "value": format!("{CHOSEN}-other") }).to_string();
    let reused = send(&scene, "POST", &path, &key, &other);
    expect_problem(&scene.world, &reused, 422, "idempotency-key-reused");
}

#[test]
fn secret_4_a_rehearsed_choice_opens_nothing() {
    let scene = Scene::new();
    let world: &World = &scene.world;
    let rehearsed = scene.post_secret("/choose?dry_run=true", &json!({ "value": CHOSEN }));
    assert_eq!(rehearsed.status, 201, "{}", rehearsed.body);
    assert!(!is_let_in(
        &scene,
        &world.replica,
        &scene.subject_with(CHOSEN)
    ));
    assert_eq!(scene.list_secrets().len(), 1);
}
