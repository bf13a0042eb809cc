//! The log of record over HTTP: found by what it says, read page by page while more happens, and never left out
//! of a change.

mod erasure;
mod faults;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use grantor_acceptance::Answer;
use serde_json::{Value, json};

use crate::feed::Scene;

/// A text as a value in a query.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn query(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn items(answer: &Value) -> Vec<Value> {
    answer["items"].as_array().expect("items").clone()
}

impl Scene {
    fn log(&self, pairs: &[(&str, &str)]) -> Answer {
        self.get(&format!("/audit-events?{}", query(pairs)))
    }

    /// All events there are, the newest first.
    fn whole_log(&self) -> Vec<Value> {
        let answer = self.log(&[("limit", "200")]).expect(200);
        assert_eq!(answer["next_cursor"], Value::Null);
        items(&answer)
    }

    /// Lets some time go by, and then something happen.
    fn later(&self, name: &str) -> String {
        self.world.advance(TimeDelta::milliseconds(250));
        self.create(name)
    }
}

fn time_of(event: &Value) -> DateTime<Utc> {
    let at = event["at"].as_str().expect("a time");
    at.parse().expect("a time")
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}

#[test]
fn audit_2_events_are_found_by_each_filter_and_by_all_together() {
    let scene = Scene::new();
    let scopes = ["grantor:clients.write", "grantor:clients.disable"];
    let (deputy, authorization) = scene.deputy("Deputy", &scopes);
    let by_deputy = |method: &str, path: &str, body: &Value| {
        scene.world.advance(TimeDelta::microseconds(1_500));
        let url = scene.url(&scene.world.replica, path);
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.to_string();
        scene
            .world
            .http
            .send(method, &url, &headers, body.as_bytes())
    };
    let one = scene.later("One");
    let body = json!({ "name": "Two", "profile": "service", "owner_contact": { "email": "owner@example.com" } });
    let two = by_deputy("POST", "/clients", &body).text("/id");
    for client in [&one, &two] {
        by_deputy("POST", &format!("/clients/{client}/disable"), &json!({})).expect(200);
        scene.world.advance(TimeDelta::microseconds(700));
        let path = format!("/clients/{client}/disable");
        scene.post(&path, &json!({})).expect(200);
    }
    let patch = json!({ "description": "Changed" });
    by_deputy("PATCH", &format!("/clients/{one}"), &patch).expect(200);

    let all = scene.whole_log();
    let times: Vec<_> = all.iter().map(time_of).collect();
    let (early, late) = (
        written(times[times.len() / 2]),
        written(*times.first().expect("events")),
    );
    let admin = scene.tenant.admin.client_id.as_str();
    let choices = |values: [&'static str; 2]| [None, Some(values[0]), Some(values[1])];
    let actions = choices(["client.disabled", "client.created"]);
    let mut found_all = 0;
    for actor in [None, Some(admin), Some(&deputy.client_id)] {
        for action in actions {
            for target in [None, Some(one.as_str()), Some(&two)] {
                for from in [None, Some(early.as_str()), Some(&late)] {
                    for until in [None, Some(early.as_str()), Some(&late)] {
                        let pairs: Vec<_> = [
                            ("actor", actor),
                            ("action", action),
                            ("target", target),
                            ("from", from),
                            ("until", until),
                        ]
                        .into_iter()
                        .filter_map(|(name, value)| Some((name, value?)))
                        .chain([("limit", "200")])
                        .collect();
                        let is_met = |event: &&Value| {
                            let is = |pointer: &str, wanted: Option<&str>| {
                                wanted.is_none_or(|wanted| {
                                    event.pointer(pointer).and_then(Value::as_str) == Some(wanted)
                                })
                            };
                            let moment =
                                |text: &str| text.parse::<DateTime<Utc>>().expect("a time");
                            is("/actor/id", actor)
                                && is("/action", action)
                                && is("/target/id", target)
                                && from.is_none_or(|from| time_of(event) >= moment(from))
                                && until.is_none_or(|until| time_of(event) < moment(until))
                        };
                        let expected: Vec<Value> = all.iter().filter(is_met).cloned().collect();
                        let found = items(&scene.log(&pairs).expect(200));
                        assert_eq!(found, expected, "{pairs:?}");
                        found_all += usize::from(pairs.len() == 6 && !found.is_empty());
                    }
                }
            }
        }
    }
    assert!(found_all > 0, "something meets all five at once");
}

#[test]
fn what_a_filter_says_is_meant_literally() {
    let scene = Scene::new();
    let client = scene.create("One");
    let log = |name: &str, value: &str| scene.log(&[(name, value)]);
    assert_eq!(items(&log("target", &client).expect(200)).len(), 1);
    let one_letter_off = format!("{}_", &client[..client.len() - 1]);
    let beginning = format!("{}%", &client[..10]);
    let quoted = format!("{client}' OR '1'='1");
    for (name, value) in [
        ("target", one_letter_off.as_str()),
        ("target", &beginning),
        ("target", &quoted),
        ("target", "%"),
        ("target", "*"),
        ("actor", "%"),
        ("actor", "_"),
        ("actor", "\""),
        ("actor", "\\"),
        ("actor", "'; DROP TABLE audit_events; --"),
        ("action", "client.%"),
        ("action", "client_created"),
        ("action", "CLIENT.CREATED"),
        ("action", "client.created "),
        ("action", "$1"),
        ("action", "夜"),
    ] {
        let answer = log(name, value).expect(200);
        assert_eq!(items(&answer), [] as [Value; 0], "{name}={value}");
    }
    let lengthy = "x".repeat(101);
    for (name, value) in [
        ("actor", ""),
        ("action", &lengthy),
        ("from", ""),
        ("from", "yesterday"),
        ("until", "2025-06-01"),
        ("until", "2025-13-01T00:00:00Z"),
        ("sort", "-actor"),
        ("limit", "0"),
        ("limit", "201"),
        ("person", "x"),
    ] {
        let answer = log(name, value);
        assert_eq!(answer.status, 422, "{name}={value}: {}", answer.body);
        assert_eq!(answer.text("/errors/0/parameter"), name, "{}", answer.body);
    }
    // These no query may hold at all.
    for control in ["\u{0}", "a\nb", "\u{7f}"] {
        let answer = log("actor", control);
        assert_eq!(answer.status, 422, "{}", answer.body);
        assert!(answer.text("/detail").contains("parameter actor"));
    }
    let empty = scene
        .log(&[
            ("from", "2025-06-02T00:00:00+02:00"),
            ("until", "2025-06-01T00:00:00Z"),
        ])
        .expect(200);
    assert_eq!(items(&empty), [] as [Value; 0]);
    assert_eq!(items(&log("target", &client).expect(200)).len(), 1);
}

#[test]
fn pages_follow_one_another_in_both_directions_while_more_happens() {
    let scene = Scene::new();
    for number in 0..5 {
        scene.later(&format!("Before {number}"));
    }
    for (sort, action) in [("-at", None), ("at", None), ("at", Some("client.created"))] {
        let newest_first = sort == "-at";
        let filter: Vec<_> = action
            .map(|action| ("action", action))
            .into_iter()
            .collect();
        let mut all = [filter.clone(), vec![("limit", "200"), ("sort", sort)]].concat();
        let at_first = items(&scene.log(&all).expect(200));
        let mut seen = Vec::new();
        let mut cursor: Option<String> = None;
        let mut pages = 0;
        loop {
            let mut pairs = [filter.clone(), vec![("limit", "3"), ("sort", sort)]].concat();
            if let Some(cursor) = &cursor {
                pairs.push(("cursor", cursor));
            }
            let page = scene.log(&pairs).expect(200);
            assert!(items(&page).len() <= 3);
            seen.extend(items(&page));
            pages += 1;
            let Some(next) = page["next_cursor"].as_str() else {
                break;
            };
            cursor = Some(next.to_owned());
            // More happens, but not for ever.
            if pages <= 4 {
                scene.later(&format!("Meanwhile {pages}"));
            }
        }
        assert!(pages > 2);
        if newest_first {
            // What came later stands before the page that was read first.
            assert_eq!(seen, at_first);
        } else {
            all.retain(|(name, _)| *name != "cursor");
            assert_eq!(seen, items(&scene.log(&all).expect(200)));
            assert!(seen.len() > at_first.len() && seen.starts_with(&at_first));
        }
    }
}

#[test]
fn a_cursor_is_good_for_its_own_list_alone() {
    let scene = Scene::new();
    for number in 0..3 {
        scene.create(&format!("Client {number}"));
    }
    let first = scene.log(&[("action", "client.created"), ("limit", "1")]);
    let cursor = first.text("/next_cursor");
    let with = |pairs: &[(&str, &str)]| {
        let pairs = [pairs, &[("cursor", cursor.as_str())]].concat();
        scene.log(&pairs)
    };
    // Another number of items is the same list.
    let second = with(&[("action", "client.created"), ("limit", "2")]).expect(200);
    assert_eq!(items(&second).len(), 2);
    let admin = scene.tenant.admin.client_id.as_str();
    let refused = |answer: &Answer, what: &str| {
        assert_eq!(answer.status, 400, "{what}: {}", answer.body);
        assert_eq!(answer.text("/code"), "invalid-cursor", "{what}");
    };
    for (what, pairs) in [
        ("no filter", &[] as &[(&str, &str)]),
        ("another value", &[("action", "client.updated")]),
        ("another filter", &[("target", "client.created")]),
        (
            "one filter more",
            &[("action", "client.created"), ("actor", admin)],
        ),
        (
            "the other direction",
            &[("action", "client.created"), ("sort", "at")],
        ),
    ] {
        refused(&with(pairs), what);
    }
    let forged = {
        let mut letters: Vec<char> = cursor.chars().collect();
        letters[5] = if letters[5] == 'A' { 'B' } else { 'A' };
        letters.into_iter().collect::<String>()
    };
    for (what, bad) in [
        ("garbage", "garbage"),
        ("a number", "1"),
        ("truncated", &cursor[..cursor.len() - 4]),
        ("forged", &forged),
    ] {
        refused(
            &scene.log(&[("action", "client.created"), ("cursor", bad)]),
            what,
        );
    }
    let path = format!("action=client.created&cursor={cursor}");
    let other = scene.world.tenant("Other");
    let url = scene
        .world
        .api(&format!("/v1/tenants/{}/audit-events?{path}", other.id));
    let stranger = scene.world.as_admin(&other);
    let foreign = scene.world.http.get(&url, &[("authorization", &stranger)]);
    refused(&foreign, "another tenant");
    // The list of clients has cursors too.
    refused(
        &scene.get(&format!("/clients?cursor={cursor}")),
        "another list",
    );
}
