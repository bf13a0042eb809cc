//! PATCH and PUT: what is named changes, and nothing else; what can't be set may be sent along as it is.

use std::sync::Barrier;

use chrono::TimeDelta;
use grantor_acceptance::Answer;
use serde_json::{Value, json};

use crate::asking::{admin_with, count_of, path_of, read, send, send_at, send_to};
use crate::operations::{SUBJECT, Scene, expect_problem};

/// Every field that can be set, with another value than the subject has.
fn settable() -> Vec<(&'static str, Value)> {
    vec![
        ("name", json!("Another name")),
        ("description", json!("What it is for\nin two lines")),
        (
            "owner_contact",
            json!({ "name": "Grace", "email": "grace@example.com" }),
        ),
        ("allowed_scopes", json!(["grantor:clients.read"])),
        ("require_requested_scopes", json!(false)),
        ("access_token_lifetime_seconds", json!(120)),
        ("token_endpoint_auth_method", json!("client_secret_post")),
        ("homepage", json!("https://acme.example/export")),
        ("logo", json!("https://acme.example/export.png")),
        ("require_pkce", json!(false)),
        ("tokens_per_minute", json!(1_200)),
        ("max_live_tokens", json!(500)),
        ("allowed_ips", json!(["127.0.0.0/8", "2001:db8::1"])),
    ]
}

/// What goes together with other fields, or has operations of its own: `client_kinds` tries these.
const ELSEWHERE: &[&str] = &[
    "type",
    "profile",
    "grant_types",
    "redirect_uris",
    "post_logout_redirect_uris",
    "refresh_token_lifetime_seconds",
    "organization_id",
    "owner_id",
];

/// What changes without a change of the client: whatever is sent of it is taken, and has no effect.
const LIVE: &[&str] = &[
    "last_used_at",
    "live_access_tokens",
    "my_live_access_tokens",
];

fn patch(scene: &Scene, body: &Value) -> Answer {
    let path = path_of(&scene.subject);
    send(scene, "PATCH", &path, &[], &body.to_string())
}

fn put(scene: &Scene, body: &Value) -> Answer {
    let path = path_of(&scene.subject);
    send(scene, "PUT", &path, &[], &body.to_string())
}

/// A client all of whose settings differ from their defaults.
fn set_up() -> Scene {
    let scene = Scene::new();
    let all: serde_json::Map<String, Value> = settable()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    patch(&scene, &Value::Object(all)).expect(200);
    scene
}

/// What a client is but for what every change changes.
fn essence(shown: &Value) -> Value {
    let mut shown = shown.clone();
    for counted in ["revision", "updated_at"] {
        shown.as_object_mut().unwrap().remove(counted).unwrap();
    }
    shown
}

#[test]
fn the_fields_of_these_tests_are_all_that_can_be_set() {
    let scene = Scene::new();
    let document = scene
        .world
        .http
        .get(&scene.world.api("/openapi.json"), &[])
        .expect(200);
    let declared = &document["components"]["schemas"]["ClientSettings"]["properties"];
    let mut declared: Vec<&str> = declared
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    declared.sort_unstable();
    let mut tested: Vec<&str> = settable().iter().map(|(name, _)| *name).collect();
    tested.extend(ELSEWHERE);
    tested.sort_unstable();
    assert_eq!(declared, tested);
}

#[test]
fn one_field_changes_and_every_other_stays_as_it_is() {
    for (from_defaults, scene) in [(true, Scene::new()), (false, set_up())] {
        for (name, other) in settable() {
            let (before, etag) = read(&scene, &scene.subject);
            let value = if from_defaults {
                other
            } else {
                // Back to what a new client has.
                match name {
                    "name" => json!("Yet another"),
                    "description" => json!(""),
                    "owner_contact" => json!({ "name": "Ada", "email": "ada@example.com" }),
                    "allowed_scopes" | "allowed_ips" => json!([]),
                    "require_requested_scopes" | "require_pkce" => json!(true),
                    "access_token_lifetime_seconds" => json!(3600),
                    "homepage" | "logo" | "tokens_per_minute" | "max_live_tokens" => Value::Null,
                    _ => json!("client_secret_basic"),
                }
            };
            assert_ne!(before[name], value, "{name}");
            scene.world.advance(TimeDelta::seconds(1));
            let answer = patch(&scene, &json!({ name: value }));
            let told = answer.header("etag").unwrap().to_owned();
            let after = answer.expect(200);
            assert_eq!(read(&scene, &scene.subject), (after.clone(), told.clone()));
            assert_ne!(told, etag);
            assert_ne!(after["updated_at"], before["updated_at"]);
            assert_eq!(
                after["revision"],
                json!(before["revision"].as_i64().unwrap() + 1)
            );
            let mut expected = essence(&before);
            expected[name] = value.clone();
            assert_eq!(essence(&after), expected, "{name}");
            // audit_1: how it was before and how it is now.
            let event = scene.events().remove(0);
            assert_eq!(event["action"], "client.updated");
            if name != "owner_contact" {
                assert_eq!(event["before"][name], before[name], "{event}");
                assert_eq!(event["after"][name], value, "{event}");
            }
        }
    }
}

#[test]
fn part_of_the_owner_contact_leaves_its_other_part() {
    let scene = set_up();
    let contact = |patch_of: Value| {
        patch(
            &scene,
            &json!({ "profile": "service", "owner_contact": patch_of }),
        )
        .expect(200)["owner_contact"]
            .clone()
    };
    assert_eq!(
        contact(json!({ "email": "new@example.com" })),
        json!({ "name": "Grace", "email": "new@example.com" })
    );
    assert_eq!(
        contact(json!({ "name": "Edsger" })),
        json!({ "name": "Edsger", "email": "new@example.com" })
    );
    assert_eq!(
        contact(json!({ "name": null })),
        json!({ "name": null, "email": "new@example.com" })
    );
    let before = read(&scene, &scene.subject);
    assert_eq!(contact(json!({})), before.0["owner_contact"]);
    assert_eq!(read(&scene, &scene.subject), before, "and changes nothing");
}

#[test]
fn null_restores_the_default_and_is_refused_where_there_is_none() {
    let scene = set_up();
    for (name, default) in [
        ("description", json!("")),
        ("allowed_scopes", json!([])),
        ("require_requested_scopes", json!(true)),
        ("access_token_lifetime_seconds", json!(3600)),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
    ] {
        let (before, _) = read(&scene, &scene.subject);
        let after = patch(&scene, &json!({ name: null })).expect(200);
        let mut expected = essence(&before);
        expected[name] = default;
        assert_eq!(essence(&after), expected);
    }
    let before = read(&scene, &scene.subject);
    for (body, missing) in [
        (json!({ "name": null }), "name"),
        (
            json!({ "profile": "service", "owner_contact": null }),
            "owner_contact",
        ),
        (
            json!({ "profile": "service", "owner_contact": { "email": null } }),
            "email",
        ),
        (
            json!({ "description": "Not on its own either", "name": null }),
            "name",
        ),
    ] {
        let answer = patch(&scene, &body);
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(&format!("`{missing}`")), "{detail}");
    }
    assert_eq!(read(&scene, &scene.subject), before);
}

#[test]
fn what_is_no_field_is_pointed_at_and_nothing_changes() {
    let scene = Scene::new();
    let before = read(&scene, &scene.subject);
    let long = "x".repeat(5_000);
    for (body, pointer) in [
        (json!({ "nmae": "Typo" }), "/nmae"),
        (json!({ "name": "Fine", "colour": "red" }), "/colour"),
        (json!({ "colour": null }), "/colour"),
        (json!({ "secret": { "value": "mine" } }), "/secret"),
        (json!({ "a/b~c": 1 }), "/a~1b~0c"),
        (json!({ "": 1 }), "/"),
        (
            json!({ "profile": "service", "owner_contact": { "phone": "1" } }),
            "/owner_contact",
        ),
        (json!({ "__proto__": {} }), "/__proto__"),
        (json!({ &long: 1 }), &format!("/{}", "x".repeat(100))),
    ] {
        for answer in [patch(&scene, &body), {
            let mut whole = json!({ "name": SUBJECT, "profile": "service", "owner_contact": { "email": "a@example.com" } });
            for (name, value) in body.as_object().unwrap() {
                if name == "owner_contact" {
                    whole[name]["phone"] = value["phone"].clone();
                } else {
                    whole[name] = value.clone();
                }
            }
            put(&scene, &whole)
        }] {
            let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
            let told = problem["errors"][0]["pointer"].as_str().unwrap();
            assert!(told.starts_with(pointer), "{told} for {pointer}");
            assert!(answer.body.len() < 2_000, "{}", answer.body.len());
        }
    }
    for body in ["[]", "null", "\"name\"", "7", "[{\"name\":\"x\"}]"] {
        let answer = send(&scene, "PATCH", &path_of(&scene.subject), &[], body);
        expect_problem(&scene.world, &answer, 422, "invalid-field");
    }
    assert_eq!(read(&scene, &scene.subject), before);
}

#[test]
fn what_was_read_can_be_sent_back_whole_and_changes_nothing() {
    for scene in [Scene::new(), set_up()] {
        let path = path_of(&scene.subject);
        // A pause hangs on it too.
        send(
            &scene,
            "POST",
            &format!("{path}/disable"),
            &[],
            r#"{"reason":"Why"}"#,
        )
        .expect(200);
        scene.world.advance(TimeDelta::seconds(1));
        let (shown, etag) = read(&scene, &scene.subject);
        let events = scene.events();
        for method in ["PATCH", "PUT"] {
            let answer = send(&scene, method, &path, &[], &shown.to_string());
            assert_eq!(answer.status, 200, "{method}: {}", answer.body);
            assert_eq!(answer.header("etag"), Some(etag.as_str()), "{method}");
            assert_eq!(answer.json(), shown, "{method}");
        }
        let nothing = patch(&scene, &json!({}));
        assert_eq!(nothing.header("etag"), Some(etag.as_str()));
        assert_eq!(read(&scene, &scene.subject), (shown.clone(), etag.clone()));
        assert_eq!(scene.events(), events, "no change, no event");
        // And with one field changed it is a change of that field.
        let mut edited = shown.clone();
        edited["description"] = json!("Edited");
        let after = put(&scene, &edited).expect(200);
        assert_eq!(essence(&after), essence(&edited));
    }
}

#[test]
fn what_cannot_be_set_is_refused_unless_it_says_what_is_so() {
    let scene = Scene::new();
    let path = path_of(&scene.subject);
    send(
        &scene,
        "POST",
        &format!("{path}/disable"),
        &[],
        r#"{"reason":"Why"}"#,
    )
    .expect(200);
    let before = read(&scene, &scene.subject);
    let settable: Vec<&str> = settable().iter().map(|(name, _)| *name).collect();
    let mut tried = 0;
    for (name, now) in before.0.as_object().unwrap() {
        if settable.contains(&name.as_str()) || ELSEWHERE.contains(&name.as_str()) {
            continue;
        }
        if LIVE.contains(&name.as_str()) {
            for any in [now.clone(), json!("whatever"), json!({})] {
                let mut whole = before.0.clone();
                whole[name] = any;
                assert_eq!(put(&scene, &whole).expect(200), before.0, "{name}");
            }
            continue;
        }
        tried += 1;
        let same = patch(&scene, &json!({ name: now })).expect(200);
        assert_eq!(same, before.0, "{name}");
        let other = match now {
            Value::String(text) => json!(format!("{text}x")),
            Value::Number(number) => json!(number.as_i64().unwrap() + 1),
            Value::Array(_) => json!([]),
            Value::Null => json!("x"),
            other => panic!("{name}: {other}"),
        };
        let other = if other == *now { json!(["x"]) } else { other };
        for refused in [other, json!({})] {
            let answer = patch(&scene, &json!({ name: refused, "name": "Not either" }));
            let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], format!("/{name}"));
            let mut whole = before.0.clone();
            whole[name] = refused;
            let answer = put(&scene, &whole);
            let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], format!("/{name}"));
        }
    }
    assert!(tried >= 7, "{tried} fields can't be set");
    // Several at once are all told.
    let answer = patch(
        &scene,
        &json!({ "id": "cli_x", "revision": 0, "status": "active" }),
    );
    let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3);
    assert_eq!(read(&scene, &scene.subject), before);
}

#[test]
fn a_whole_client_gets_the_default_of_what_is_absent() {
    let scene = set_up();
    let (before, _) = read(&scene, &scene.subject);
    let after = put(
        &scene,
        &json!({ "name": "Whole", "profile": "service", "owner_contact": { "email": "whole@example.com" } }),
    )
    .expect(200);
    let mut expected = essence(&before);
    for (name, value) in [
        ("name", json!("Whole")),
        ("description", json!("")),
        (
            "owner_contact",
            json!({ "name": null, "email": "whole@example.com" }),
        ),
        ("allowed_scopes", json!([])),
        ("require_requested_scopes", json!(true)),
        ("access_token_lifetime_seconds", json!(3600)),
        ("token_endpoint_auth_method", json!("client_secret_basic")),
        ("homepage", Value::Null),
        ("logo", Value::Null),
        ("require_pkce", json!(true)),
        ("tokens_per_minute", Value::Null),
        ("max_live_tokens", Value::Null),
        ("allowed_ips", json!([])),
    ] {
        expected[name] = value;
    }
    assert_eq!(essence(&after), expected);
    for (body, missing) in [
        (json!({ "name": "No contact" }), "owner_contact"),
        (
            json!({ "profile": "service", "owner_contact": { "email": "a@example.com" } }),
            "name",
        ),
        (
            json!({ "name": "x", "profile": "service", "owner_contact": {} }),
            "email",
        ),
    ] {
        let answer = put(&scene, &body);
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert!(problem["detail"].as_str().unwrap().contains(missing));
    }
    // null is no way to leave something out of a whole thing.
    let nulled = json!({ "name": "x", "profile": "service", "owner_contact": { "email": "a@example.com" }, "description": null });
    let answer = put(&scene, &nulled);
    let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/description");
    // PUT makes nothing.
    let body = json!({ "name": "New", "profile": "service", "owner_contact": { "email": "a@example.com" } }).to_string();
    let absent = "/clients/cli_01kb2q3r4s5t6v7w8x9y0z1a2b";
    let answer = send(&scene, "PUT", absent, &[], &body);
    expect_problem(&scene.world, &answer, 404, "not-found");
}

#[test]
fn a_patch_may_be_a_merge_patch_or_json_and_nothing_else() {
    let scene = Scene::new();
    let path = path_of(&scene.subject);
    let ask = |method: &str, kind: &str, body: &str| {
        send(&scene, method, &path, &[("content-type", kind)], body)
    };
    for kind in [
        "application/merge-patch+json",
        "application/json",
        "application/merge-patch+json; charset=utf-8",
        "Application/JSON",
    ] {
        let body = json!({ "description": kind }).to_string();
        let answer = ask("PATCH", kind, &body);
        assert_eq!(answer.text("/description"), kind);
    }
    let (_, etag) = read(&scene, &scene.subject);
    for kind in [
        "application/json-patch+json",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/merge-patch",
        "merge-patch+json",
        "*/*",
        "",
    ] {
        let answer = ask("PATCH", kind, r#"{"description":"No"}"#);
        let problem = expect_problem(&scene.world, &answer, 415, "unsupported-media-type");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("application/merge-patch+json"), "{detail}");
    }
    let answer = ask("PUT", "application/merge-patch+json", "{}");
    expect_problem(&scene.world, &answer, 415, "unsupported-media-type");
    // RFC 6902's patches are arrays, whatever they are said to be.
    let operations = r#"[{"op":"replace","path":"/name","value":"x"}]"#;
    let answer = ask("PATCH", "application/merge-patch+json", operations);
    expect_problem(&scene.world, &answer, 422, "invalid-field");
    assert_eq!(read(&scene, &scene.subject).1, etag);
}

#[test]
fn an_array_is_replaced_as_a_whole() {
    let scene = Scene::new();
    let scopes = |scopes: Value| {
        patch(&scene, &json!({ "allowed_scopes": scopes })).expect(200)["allowed_scopes"].clone()
    };
    let (one, two) = ("grantor:clients.read", "grantor:clients.write");
    assert_eq!(scopes(json!([one, two])), json!([one, two]));
    assert_eq!(scopes(json!([two])), json!([two]));
    assert_eq!(scopes(json!([one])), json!([one]));
    // A set: neither order nor repetition makes a change.
    let before = read(&scene, &scene.subject);
    assert_eq!(scopes(json!([one, one])), json!([one]));
    assert_eq!(read(&scene, &scene.subject), before);
    assert_eq!(scopes(json!([])), json!([]));
    for odd in [
        json!("one"),
        json!({ "0": one }),
        json!([[one]]),
        json!([null]),
    ] {
        let answer = patch(&scene, &json!({ "allowed_scopes": odd }));
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/allowed_scopes"), "{pointer}");
    }
}

#[test]
fn a_field_that_stands_there_twice_is_refused_at_any_depth() {
    let scene = Scene::new();
    let before = read(&scene, &scene.subject);
    let path = path_of(&scene.subject);
    let whole = r#""name":"Whole","profile": "service", "owner_contact":{"email":"a@example.com"}"#;
    for (method, path, body, double) in [
        (
            "PATCH",
            &*path,
            r#"{"name":"One","name":"Two"}"#.to_owned(),
            "name",
        ),
        (
            "PATCH",
            &path,
            r#"{"name":"One","\u006eame":"One"}"#.to_owned(),
            "name",
        ),
        (
            "PATCH",
            &path,
            r#"{"profile": "service", "owner_contact":{"email":"a@example.com","email":"b@example.com"}}"#.to_owned(),
            "email",
        ),
        ("PUT", &path, format!(r#"{{{whole},"name":"Two"}}"#), "name"),
        (
            "PUT",
            &path,
            r#"{"name":"Whole","profile": "service", "owner_contact":{"email":"a@example.com","email":"b@example.com"}}"#
                .to_owned(),
            "email",
        ),
        (
            "POST",
            "/clients",
            format!(r#"{{{whole},"name":"Two"}}"#),
            "name",
        ),
        (
            "POST",
            "/bulk",
            format!(
                r#"{{"items":[{{"operation":"createClient","body":{{{whole},"name":"Two"}}}}]}}"#
            ),
            "name",
        ),
        (
            "POST",
            "/bulk",
            format!(
                r#"{{"items":[{{"operation":"disableClient","path":{{"client":"{0}","client":"{0}"}}}}]}}"#,
                scene.subject.client_id
            ),
            "client",
        ),
        (
            "POST",
            "/bulk",
            format!(
                r#"{{"items":[{{"operation":"deleteClient","path":{{"client":"{}"}},
                "query":{{"confirm_name":"x","confirm_name":"{SUBJECT}"}}}}]}}"#,
                scene.subject.client_id
            ),
            "confirm_name",
        ),
    ] {
        let answer = send(&scene, method, path, &[], &body);
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(&format!("duplicate field `{double}`")),
            "{body}: {detail}"
        );
    }
    assert_eq!(read(&scene, &scene.subject), before);
    assert_eq!(crate::asking::clients_named(&scene.world, "Whole"), 0);
}

#[test]
fn role_3_nobody_gives_a_scope_that_they_do_not_hold_and_what_is_there_may_stay() {
    let scene = Scene::new();
    let (write, audit) = ("grantor:clients.write", "grantor:audit.read");
    patch(&scene, &json!({ "allowed_scopes": [audit] })).expect(200);
    let narrow = admin_with(&scene, write);
    let url = scene.url(&path_of(&scene.subject));
    let ask = |method: &str, body: &Value| {
        send_to(&scene.world, method, &url, &narrow, &[], &body.to_string())
    };
    let before = read(&scene, &scene.subject);
    let refusals = count_of(&scene, "access.refused");
    let more = json!([write, audit, "grantor:clients.delete"]);
    let mut whole = before.0.clone();
    whole["allowed_scopes"] = more.clone();
    for (index, (method, body)) in [
        ("PATCH", json!({ "allowed_scopes": more })),
        ("PUT", whole),
        (
            "PATCH",
            json!({ "allowed_scopes": more, "description": "And more" }),
        ),
    ]
    .iter()
    .enumerate()
    {
        let answer = ask(method, body);
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/allowed_scopes/2");
        // audit_1: a refusal of somebody who is known.
        let number = i64::try_from(index).unwrap() + 1;
        assert_eq!(count_of(&scene, "access.refused"), refusals + number);
    }
    assert_eq!(read(&scene, &scene.subject), before);
    let event = scene.events().remove(0);
    assert_eq!(event["after"]["scope_not_held"], "grantor:clients.delete");

    // Who changes something else, or takes away, needs to hold nothing of it.
    ask("PATCH", &json!({ "description": "Fine" })).expect(200);
    ask("PATCH", &json!({ "allowed_scopes": [audit, write] })).expect(200);
    let (shown, _) = read(&scene, &scene.subject);
    ask("PUT", &shown).expect(200);
    ask("PATCH", &json!({ "allowed_scopes": [write] })).expect(200);
    // And then it can't be given back.
    let answer = ask("PATCH", &json!({ "allowed_scopes": [audit, write] }));
    expect_problem(&scene.world, &answer, 422, "invalid-field");
    // A scope that nobody knows is no refusal of anybody.
    let refusals = count_of(&scene, "access.refused");
    let answer = ask("PATCH", &json!({ "allowed_scopes": ["no.such:scope"] }));
    expect_problem(&scene.world, &answer, 422, "invalid-field");
    assert_eq!(count_of(&scene, "access.refused"), refusals);
}

#[test]
fn changes_of_different_fields_at_once_are_all_there_afterwards() {
    const ROUNDS: i64 = 10;
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let path = path_of(&scene.subject);
    for round in 1..=ROUNDS {
        let changes = [
            json!({ "name": format!("Round {round}") }),
            json!({ "description": format!("In round {round}") }),
            json!({ "access_token_lifetime_seconds": 60 + round }),
            json!({ "profile": "service", "owner_contact": { "email": format!("round{round}@example.com") } }),
        ];
        let start = Barrier::new(changes.len());
        std::thread::scope(|scope| {
            for (number, change) in changes.iter().enumerate() {
                let (scene, start, path) = (&scene, &start, &path);
                let replica = [&scene.world.replica, &other][number % 2];
                scope.spawn(move || {
                    start.wait();
                    let answer = send_at(scene, replica, "PATCH", path, &[], &change.to_string());
                    assert_eq!(answer.status, 200, "{}", answer.body);
                });
            }
        });
        let (shown, _) = read(&scene, &scene.subject);
        for change in &changes {
            for (name, value) in change.as_object().unwrap() {
                match value {
                    Value::Object(part) => assert_eq!(shown[name]["email"], part["email"]),
                    value => assert_eq!(&shown[name], value, "round {round}"),
                }
            }
        }
    }
    assert_eq!(count_of(&scene, "client.updated"), 4 * ROUNDS);
}
