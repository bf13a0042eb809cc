//! `ETag`, `If-Match` and `If-None-Match`: of two changes to one state one goes through, and what is known
//! already isn't sent again.

use std::sync::Barrier;

use grantor_acceptance::Answer;
use serde_json::json;

use crate::asking::{count_of, path_of, read, send, send_at};
use crate::operations::{SUBJECT, Scene, expect_problem, without_request_id};

fn patch(scene: &Scene, etag: &str, description: &str) -> Answer {
    let body = json!({ "description": description }).to_string();
    let path = path_of(&scene.subject);
    send(scene, "PATCH", &path, &[("if-match", etag)], &body)
}

#[test]
fn of_two_changes_to_the_same_state_on_two_replicas_one_goes_through() {
    const ROUNDS: usize = 25;
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let path = path_of(&scene.subject);
    for round in 0..ROUNDS {
        let (_, etag) = read(&scene, &scene.subject);
        let start = Barrier::new(2);
        let answers: Vec<(String, Answer)> = std::thread::scope(|scope| {
            let threads: Vec<_> = [&scene.world.replica, &other]
                .into_iter()
                .enumerate()
                .map(|(number, replica)| {
                    let (scene, start, etag, path) = (&scene, &start, &etag, &path);
                    scope.spawn(move || {
                        let text = format!("{round} by {number}");
                        let body = json!({ "description": text }).to_string();
                        let headers = [("if-match", etag.as_str())];
                        start.wait();
                        (
                            text,
                            send_at(scene, replica, "PATCH", path, &headers, &body),
                        )
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.iter().partition(|(_, answer)| answer.status == 200);
        let ([(text, won)], [(_, lost)]) = (&won[..], &lost[..]) else {
            panic!("{answers:?}");
        };
        let (now, current) = read(&scene, &scene.subject);
        assert_eq!(now["description"], text.as_str());
        assert_eq!(won.header("etag"), Some(current.as_str()));
        assert_eq!(lost.status, 412, "{}", lost.body);
        assert_eq!(lost.text("/code"), "precondition-failed");
        let detail = lost.text("/detail");
        assert!(detail.contains(&current), "{detail} tells {current}");
    }
    assert_eq!(
        count_of(&scene, "client.updated"),
        i64::try_from(ROUNDS).unwrap()
    );
}

#[test]
fn an_etag_changes_with_the_thing_and_what_hangs_on_it_and_not_by_reading() {
    let scene = Scene::new();
    let path = path_of(&scene.subject);
    let (mut shown, mut etag) = read(&scene, &scene.subject);
    let mut seen = vec![etag.clone()];
    for (method, below, body) in [
        ("PATCH", "", json!({ "description": "Changed" })),
        (
            "POST",
            "/secrets/rotate",
            json!({ "confirm_name": SUBJECT }),
        ),
        ("POST", "/disable", json!({})),
        ("POST", "/enable", json!(null)),
        (
            "PUT",
            "",
            json!({ "name": SUBJECT, "profile": "service", "owner_contact": { "email": "new@example.com" } }),
        ),
    ] {
        for reading in ["", "?", "/../"] {
            let reading = if reading == "/../" {
                "/clients".to_owned()
            } else {
                format!("{path}{reading}")
            };
            send(&scene, "GET", &reading, &[], "").expect(200);
        }
        assert_eq!(read(&scene, &scene.subject), (shown, etag), "{below}");
        // A rehearsal is no change.
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let dry = format!("{path}{below}?dry_run=true");
        send(&scene, method, &dry, &[], &body).expect(200);
        assert_eq!(read(&scene, &scene.subject).1, *seen.last().unwrap());

        let done = send(&scene, method, &format!("{path}{below}"), &[], &body);
        let told = done.header("etag").map(str::to_owned);
        done.expect(200);
        (shown, etag) = read(&scene, &scene.subject);
        assert!(!seen.contains(&etag), "{method} {below}: {etag}");
        if below != "/secrets/rotate" {
            assert_eq!(told.as_deref(), Some(etag.as_str()), "{method} {below}");
        }
        seen.push(etag.clone());
    }
}

#[test]
fn the_etag_of_an_answer_is_good_for_the_next_change() {
    let scene = Scene::new();
    let (_, mut etag) = read(&scene, &scene.subject);
    let path = path_of(&scene.subject);
    for step in 0..4 {
        let patched = patch(&scene, &etag, &format!("Step {step}"));
        assert_eq!(patched.status, 200, "{}", patched.body);
        let next = patched.header("etag").unwrap().to_owned();
        assert_ne!(next, etag);
        let stale = patch(&scene, &etag, "Too late");
        expect_problem(&scene.world, &stale, 412, "precondition-failed");
        etag = next;
    }
    for verb in ["disable", "enable"] {
        let headers = [("if-match", etag.as_str())];
        let done = send(&scene, "POST", &format!("{path}/{verb}"), &headers, "");
        assert_eq!(done.status, 200, "{}", done.body);
        etag = done.header("etag").unwrap().to_owned();
    }
    // That of the making too.
    let body = json!({ "name": "Fresh", "profile": "service", "owner_contact": { "email": "a@example.com" } });
    let made = send(&scene, "POST", "/clients", &[], &body.to_string());
    let fresh = format!("/clients/{}?confirm_name=Fresh", made.text("/id"));
    let headers = [("if-match", made.header("etag").unwrap())];
    assert_eq!(send(&scene, "DELETE", &fresh, &headers, "").status, 204);
}

#[test]
fn with_a_stale_state_no_operation_does_anything() {
    let scene = Scene::new();
    let path = path_of(&scene.subject);
    let before = read(&scene, &scene.subject);
    let events = scene.events();
    let put = json!({ "name": "New", "profile": "service", "owner_contact": { "email": "new@example.com" } }).to_string();
    let confirmed = json!({ "confirm_name": SUBJECT }).to_string();
    for (method, below, body) in [
        ("PATCH", String::new(), put.as_str()),
        ("PUT", String::new(), &put),
        ("POST", "/disable".to_owned(), r#"{"reason":"No"}"#),
        ("POST", "/enable".to_owned(), ""),
        ("POST", "/secrets/rotate".to_owned(), &confirmed),
        ("DELETE", format!("?confirm_name={SUBJECT}"), ""),
    ] {
        for stale in ["\"1000\"", "\"\"", "\"0\", \"1000\"", "W/\"1000\""] {
            let headers = [("if-match", stale)];
            let answer = send(&scene, method, &format!("{path}{below}"), &headers, body);
            let problem = expect_problem(&scene.world, &answer, 412, "precondition-failed");
            assert!(problem["detail"].as_str().unwrap().contains(&before.1));
        }
        for odd in ["1", "", "\"1", "'1'", "\"1\" \"2\"", "\"1\",", "* , \"1\""] {
            let headers = [("if-match", odd)];
            let answer = send(&scene, method, &format!("{path}{below}"), &headers, body);
            let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["parameter"], "If-Match", "{odd}");
        }
    }
    assert_eq!(read(&scene, &scene.subject), before);
    assert_eq!(scene.events(), events);
    assert_eq!(
        crate::asking::number(&scene.world, "SELECT count(*) FROM deliveries"),
        0
    );
}

#[test]
fn if_match_takes_lists_and_any_and_never_a_weak_one() {
    let scene = Scene::new();
    let (_, etag) = read(&scene, &scene.subject);
    let weak = patch(&scene, &format!("W/{etag}"), "Weak");
    expect_problem(&scene.world, &weak, 412, "precondition-failed");
    let listed = patch(&scene, &format!("\"0\", {etag} ,\"1000\""), "Listed");
    assert_eq!(listed.status, 200, "{}", listed.body);
    let any = patch(&scene, "*", "Any");
    assert_eq!(any.status, 200, "{}", any.body);
    // Two lines are one list (RFC 9110 §5.3).
    let body = json!({ "description": "Two lines" }).to_string();
    let (_, etag) = read(&scene, &scene.subject);
    let lines = [("if-match", "\"0\""), ("if-match", etag.as_str())];
    let path = path_of(&scene.subject);
    let answer = send(&scene, "PATCH", &path, &lines, &body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    // `*` demands that there is something; of what is not there, 404 is told all the same.
    let nothing = "/clients/cli_01kb2q3r4s5t6v7w8x9y0z1a2b";
    let absent = send(&scene, "PATCH", nothing, &[("if-match", "*")], &body);
    expect_problem(&scene.world, &absent, 404, "not-found");
}

#[test]
fn what_the_caller_has_already_is_not_sent_again() {
    let scene = Scene::new();
    let made = scene.call("POST", "/organizations", r#"{"name":"One state"}"#);
    let path = format!("/organizations/{}", made.text("/id"));
    let fresh = send(&scene, "GET", &path, &[], "");
    let etag = fresh.header("etag").unwrap();
    let get = |known: &str| send(&scene, "GET", &path, &[("if-none-match", known)], "");
    let weak = format!("W/{etag}");
    let listed = format!("\"0\", {etag}");
    let weakly_listed = format!("\"0\",W/{etag} , \"7\"");
    for known in [etag, &weak, &listed, &weakly_listed, "*"] {
        let answer = get(known);
        assert_eq!(answer.status, 304, "{known}: {}", answer.body);
        assert_eq!(answer.body, "", "{known}");
        // RFC 9110 §15.4.5: what a 200 would have said for caches.
        for name in ["etag", "cache-control"] {
            assert_eq!(answer.header(name), fresh.header(name), "{known}");
        }
    }
    for unknown in ["\"0\"", "W/\"0\"", &etag.replace('"', ""), "nonsense", ""] {
        let answer = get(unknown);
        assert_eq!(without_request_id(&answer), without_request_id(&fresh));
    }
    let rename = |name: &str, headers: &[(&str, &str)]| {
        send(
            &scene,
            "PATCH",
            &path,
            headers,
            &json!({ "name": name }).to_string(),
        )
    };
    let patched = rename("Another state", &[("if-match", etag)]);
    assert_eq!(get(etag).status, 200);
    assert_eq!(get(patched.header("etag").unwrap()).status, 304);

    // A change heeds If-Match alone.
    let now = patched.header("etag").unwrap();
    let changed = rename("On", &[("if-none-match", now)]);
    assert_eq!(changed.status, 200, "{}", changed.body);
    // Without rights the question is not answered either.
    let url = scene.url(&path);
    let anonymous = scene.world.http.get(&url, &[("if-none-match", "*")]);
    assert_eq!(anonymous.status, 401);
}

#[test]
fn what_changes_without_a_revision_is_always_given_whole() {
    let scene = Scene::new();
    // When a client was last used and how many tokens it has stands beside its revision.
    let path = path_of(&scene.subject);
    let fresh = send(&scene, "GET", &path, &[], "");
    let etag = fresh.header("etag").unwrap();
    let known = send(&scene, "GET", &path, &[("if-none-match", etag)], "");
    assert_eq!(without_request_id(&known), without_request_id(&fresh));
}
