//! Wrong guesses at chosen secrets: told like any other, and no burden to who knows theirs.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use grantor_acceptance::{Answer, Credentials};
use serde_json::json;

use super::{CHOSEN, is_let_in};
use crate::asking::{behind_a_proxy, path_of, send};
use crate::oauth::expect_error;
use crate::operations::{Scene, without_request_id};

/// Where the good are, and where who guesses.
const AT_HOME: &str = "192.0.2.1";
const ELSEWHERE: &str = "198.51.100.1";

/// More than one network may have refused, however slowly it asks.
const NOES: usize = 200;
/// As many ask at once as have never a place all together.
const FLOOD: usize = 24;

fn ask(scene: &Scene, endpoint: &str, by: &Credentials, in_the_form: bool, from: &str) -> Answer {
    let url = scene.world.endpoint(&scene.tenant.id, endpoint);
    let what = if endpoint == "token" {
        "grant_type=client_credentials&scope=grantor:clients.read"
    } else {
        "token=x"
    };
    if in_the_form {
        let Credentials {
            client_id,
            client_secret,
        } = by;
        let form = if client_secret.is_empty() {
            format!("{what}&client_id={client_id}")
        } else {
            format!("{what}&client_id={client_id}&client_secret={client_secret}")
        };
        let headers = [("x-forwarded-for", from)];
        return scene.world.http.post_form(&url, &headers, &form);
    }
    let by = by.basic();
    let headers = [("authorization", by.as_str()), ("x-forwarded-for", from)];
    scene.world.http.post_form(&url, &headers, what)
}

#[test]
fn secret_4_a_wrong_chosen_secret_is_told_byte_for_byte_like_any_wrong_secret() {
    let scene = behind_a_proxy();
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    let generated = scene.world.client(&scene.tenant, "Generated", &[]);
    let disabled = scene.world.client(&scene.tenant, "Disabled", &[]);
    let path = path_of(&disabled);
    let body = json!({ "value": format!("{CHOSEN}-2") }).to_string();
    send(
        &scene,
        "POST",
        &format!("{path}/secrets/choose"),
        &[],
        &body,
    )
    .expect(201);
    send(&scene, "POST", &format!("{path}/disable"), &[], "").expect(200);
    let wrong = CHOSEN.replace('V', "W");
    let unknown = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b".to_owned();
    for endpoint in ["token", "introspect", "revoke"] {
        for in_the_form in [false, true] {
            let told = |client_id: &str, client_secret: &str| {
                let by = Credentials {
                    client_id: client_id.to_owned(),
                    client_secret: client_secret.to_owned(),
                };
                // Nobody guesses so often that they are told to wait.
                let from = if *client_id == disabled.client_id {
                    ELSEWHERE
                } else {
                    AT_HOME
                };
                let answer = ask(&scene, endpoint, &by, in_the_form, from);
                expect_error(&answer, 401, "invalid_client");
                without_request_id(&answer)
            };
            let expected = told(&generated.client_id, "gsec_wrong");
            for client in [
                &scene.subject.client_id,
                &generated.client_id,
                &disabled.client_id,
                &unknown,
            ] {
                // Of every length, and what differs in one character alone.
                for secret in [
                    wrong.as_str(),
                    &CHOSEN[1..],
                    &format!("{CHOSEN}x"),
                    &CHOSEN.to_lowercase(),
                    &"x".repeat(128),
                    &"x".repeat(129),
                    "short",
                ] {
                    assert_eq!(told(client, secret), expected, "{endpoint} {secret}");
                }
            }
        }
    }
    // Who knows it is told more: by which method to come, and that it is disabled.
    let by = scene.subject_with(CHOSEN);
    let other_method = ask(&scene, "token", &by, true, AT_HOME);
    expect_error(&other_method, 401, "invalid_client");
    assert!(other_method.body.contains("client_secret_basic"));
    let by = Credentials {
        client_secret: format!("{CHOSEN}-2"),
        ..disabled
    };
    let told = ask(&scene, "introspect", &by, false, AT_HOME);
    expect_error(&told, 401, "invalid_client");
    assert!(told.body.contains("disabled"), "{}", told.body);
}

#[test]
fn secret_4_a_flood_of_wrong_guesses_holds_up_nobody_who_is_known() {
    let scene = behind_a_proxy();
    let world = &scene.world;
    let body = json!({ "allowed_scopes": ["grantor:clients.read"] }).to_string();
    send(&scene, "PATCH", &path_of(&scene.subject), &[], &body).expect(200);
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    // Another client's secret was made here, and takes no turn at all.
    let other = world.client(&scene.tenant, "Other", &["grantor:clients.read"]);
    let known = scene.subject_with(CHOSEN);
    assert_eq!(ask(&scene, "token", &known, false, AT_HOME).status, 200);

    let (start, enough) = (Barrier::new(FLOOD + 1), AtomicBool::new(false));
    let (refused, turned_away) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for number in 0..FLOOD {
            let (scene, start, enough) = (&scene, &start, &enough);
            let (refused, turned_away) = (&refused, &turned_away);
            threads.spawn(move || {
                start.wait();
                for guess in 0.. {
                    if enough.load(Ordering::SeqCst) {
                        break;
                    }
                    let wrong = scene.subject_with(&format!("{CHOSEN}-{number}-{guess}"));
                    let answer = ask(scene, "token", &wrong, false, ELSEWHERE);
                    match answer.status {
                        401 => {
                            expect_error(&answer, 401, "invalid_client");
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                        503 => {
                            assert_eq!(answer.header("retry-after"), Some("1"));
                            turned_away.fetch_add(1, Ordering::SeqCst);
                        }
                        // Guesses and noes that nobody looks at any more.
                        429 => {
                            turned_away.fetch_add(1, Ordering::SeqCst);
                        }
                        status => panic!("{status}: {}", answer.body),
                    }
                }
            });
        }
        start.wait();
        let served = (0..20).all(|_| {
            ask(&scene, "token", &known, false, AT_HOME).status == 200
                && ask(&scene, "token", &other, false, AT_HOME).status == 200
        });
        let begun = std::time::Instant::now();
        while refused.load(Ordering::SeqCst) == 0 || turned_away.load(Ordering::SeqCst) == 0 {
            if begun.elapsed() > std::time::Duration::from_secs(60) {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(5));
        }
        enough.store(true, Ordering::SeqCst);
        assert!(served, "who is known gets tokens all the while");
    });
    assert!(refused.load(Ordering::SeqCst) > 0, "some were tried");
    assert!(turned_away.load(Ordering::SeqCst) > 0, "and not all");
    assert!(is_let_in(&scene, &world.replica, &known));
}

#[test]
fn secret_4_who_guesses_too_often_is_told_to_wait_and_nobody_elsewhere_is() {
    let scene = behind_a_proxy();
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    let (right, generated) = (scene.subject_with(CHOSEN), &scene.subject);
    let asked = |by: &Credentials, from: &str| ask(&scene, "introspect", by, false, from);
    let guess = |number: usize| {
        let wrong = scene.subject_with(&format!("{CHOSEN}-{number}"));
        asked(&wrong, ELSEWHERE)
    };
    let told = (0..200).map(guess).find(|answer| answer.status != 401);
    let told = told.expect("guesses have an end");
    expect_error(&told, 429, "temporarily_unavailable");
    let wait = told
        .header("retry-after")
        .and_then(|wait| wait.parse().ok());
    assert!(
        wait.is_some_and(|wait: u64| (1..=60).contains(&wait)),
        "{wait:?}"
    );
    // What takes no slow hash goes on, there too.
    assert_eq!(asked(generated, ELSEWHERE).status, 200);
    assert_eq!(asked(&right, AT_HOME).status, 200);
    // By now it is remembered.
    assert_eq!(asked(&right, ELSEWHERE).status, 200);
}

/// Says what is wrong from one place, until that is not looked at any more.
fn spend_all(scene: &Scene, endpoint: &str, by: &Credentials, from: &str) {
    let is_spent = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for _ in 0..FLOOD {
            let is_spent = &is_spent;
            threads.spawn(move || {
                for _ in 0..NOES {
                    if is_spent.load(Ordering::SeqCst) {
                        return;
                    }
                    let answer = ask(scene, endpoint, by, by.client_secret.is_empty(), from);
                    if answer.status == 429 {
                        is_spent.store(true, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert!(is_spent.into_inner(), "{endpoint}");
}

#[test]
fn secret_4_what_one_network_says_that_is_wrong_shuts_nobody_else_out_of_a_client() {
    let scene = behind_a_proxy();
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    // A no each, and not even a guess.
    spend_all(
        &scene,
        "token",
        &scene.subject_with("gsec_wrong"),
        ELSEWHERE,
    );
    let right = scene.subject_with(CHOSEN);
    assert_eq!(
        ask(&scene, "introspect", &right, false, AT_HOME).status,
        200
    );
}

#[test]
fn rfc7009_2_1_what_one_network_says_that_is_wrong_keeps_nobody_else_from_revoking() {
    let scene = behind_a_proxy();
    spend_all(
        &scene,
        "revoke",
        &scene.subject_with("gsec_wrong"),
        ELSEWHERE,
    );
    // Nothing of it is in memory any more.
    send(
        &scene,
        "PATCH",
        &path_of(&scene.subject),
        &[],
        r#"{"description":"Changed"}"#,
    )
    .expect(200);
    assert_eq!(
        ask(&scene, "revoke", &scene.subject, false, AT_HOME).status,
        200
    );

    let public = Credentials {
        client_id: scene.public_client().replace("/clients/", ""),
        client_secret: String::new(),
    };
    spend_all(&scene, "revoke", &public, "198.51.100.2");
    assert_eq!(ask(&scene, "revoke", &public, true, AT_HOME).status, 200);
}

#[test]
fn secret_4_a_secret_of_another_text_for_the_same_client_is_not_proved_by_what_is_remembered() {
    let scene = Scene::new();
    let (one, two) = (format!("{CHOSEN}-1"), format!("{CHOSEN}-2"));
    for value in [&one, &two] {
        scene
            .post_secret("/choose", &json!({ "value": value }))
            .expect(201);
    }
    // Each in turn, in both orders, so that the one is remembered when the other is not.
    for secret in [&one, &two, &two, &one] {
        let by = scene.subject_with(secret);
        assert!(is_let_in(&scene, &scene.world.replica, &by));
        let wrong = scene.subject_with(&format!("{secret}x"));
        assert!(!is_let_in(&scene, &scene.world.replica, &wrong));
    }
    assert!(is_let_in(&scene, &scene.world.replica, &scene.subject));
}
