//! Positions: which are taken, which are not, and that they tell nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_acceptance::Answer;
use grantor_storage::partitions;
use serde_json::Value;

use super::{Scene, targets};
use crate::asking::number;
use crate::outages::site::wait_for;

/// How many numbers one partition of the feed holds.
const SPAN: i64 = 500_000;

impl Scene {
    /// Lets the next change have this number, as if others had made as many.
    fn go_on_at(&self, number: i64) {
        self.sql(&format!(
            "SELECT setval('changes_sequence', {number}, false)"
        ));
    }

    /// Lets the time for which changes are kept go by, and what is over leave.
    fn a_month_goes_by(&mut self) {
        self.world.advance(TimeDelta::days(31));
        let kept = wait_for(partitions::keep(&self.world.storage(), self.world.now()));
        assert!(kept.expect("a round of keeping").dropped > 0);
        // The old one has expired.
        self.admin = self.world.as_admin(&self.tenant);
    }

    fn after(&self, position: &str) -> Answer {
        self.get(&format!("/changes?after={position}"))
    }
}

#[track_caller]
fn assert_not_taken(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 422, "{what}: {}", answer.body);
    assert_eq!(answer.text("/code"), "invalid-field", "{what}");
    assert_eq!(answer.text("/errors/0/parameter"), "after", "{what}");
}

#[track_caller]
fn assert_expired(answer: &Answer) {
    assert_eq!(answer.status, 410, "{}", answer.body);
    assert_eq!(answer.text("/code"), "position-expired");
    assert!(answer.text("/detail").contains("after=now"));
}

#[test]
fn what_is_no_position_of_this_feed_is_not_taken_however_it_comes() {
    let scene = Scene::new();
    scene.create("One");
    let good = scene.newest();
    let other = scene.world.tenant("Other");
    let url = scene
        .world
        .api(&format!("/v1/tenants/{}/changes?after=now", other.id));
    let admin = scene.world.as_admin(&other);
    let foreign = scene.world.http.get(&url, &[("authorization", &admin)]);
    let foreign = foreign.text("/position");
    let mut bytes = URL_SAFE_NO_PAD.decode(&good).expect("base64url");
    *bytes.last_mut().expect("bytes") ^= 1;
    let forged = URL_SAFE_NO_PAD.encode(&bytes);
    bytes.reverse();
    let bad = [
        ("empty", String::new()),
        ("garbage", "garbage".to_owned()),
        ("not ASCII", "%C3%BC".to_owned()),
        ("a number", "1".to_owned()),
        ("another word", "NOW".to_owned()),
        ("truncated", good[..good.len() - 4].to_owned()),
        ("prolonged", format!("{good}AAAA")),
        ("forged", forged),
        ("turned round", URL_SAFE_NO_PAD.encode(&bytes)),
        ("of another tenant", foreign),
        ("too long", "A".repeat(201)),
    ];
    let feed = scene.url(&scene.world.replica, "/changes");
    for (what, position) in &bad {
        assert_not_taken(&scene.after(position), what);
        if position.contains('%') {
            continue;
        }
        // As a stream, and as what a browser sends when it comes again.
        let streamed = scene.world.http.get(
            &format!("{feed}?after={position}"),
            &[
                ("authorization", &scene.admin),
                ("accept", "text/event-stream"),
            ],
        );
        assert_not_taken(&streamed, what);
        let again = scene.world.http.get(
            &format!("{feed}?after={good}"),
            &[("authorization", &scene.admin), ("last-event-id", position)],
        );
        assert_not_taken(&again, what);
    }
    assert_eq!(scene.after(&good).status, 200);
}

#[test]
fn after_a_change_of_epoch_no_position_from_before_is_good() {
    let mut scene = Scene::new();
    scene.create("Before");
    let before = scene.newest();
    scene.sql("UPDATE installation SET epoch = epoch + 1");
    // What was issued before is dead as well.
    assert_eq!(scene.after(&before).status, 401);
    scene.admin = scene.world.as_admin(&scene.tenant);
    assert_expired(&scene.after(&before));
    let feed = scene.url(&scene.world.replica, "/changes");
    let streamed = scene.world.http.get(
        &feed,
        &[
            ("authorization", &scene.admin),
            ("accept", "text/event-stream"),
            ("last-event-id", &before),
        ],
    );
    assert_expired(&streamed);
    // Whoever begins anew goes on from there.
    let now = scene.newest();
    let made = scene.create("After");
    assert_eq!(targets(&scene.after(&now).expect(200)), [made]);
}

#[test]
fn a_position_below_what_is_kept_is_expired_and_told_as_such() {
    let mut scene = Scene::new();
    let old = scene.newest();
    scene.create("Old");
    let at_the_end = scene.newest();
    scene.go_on_at(SPAN);
    let young = scene.create("Young");
    scene.a_month_goes_by();
    assert_expired(&scene.after(&old));
    let feed = scene.url(&scene.world.replica, &format!("/changes?after={old}"));
    let streamed = scene.world.http.get(
        &feed,
        &[
            ("authorization", &scene.admin),
            ("accept", "text/event-stream"),
        ],
    );
    assert_expired(&streamed);
    // Without a position the feed begins with the oldest that is kept.
    let oldest = scene.get("/changes").expect(200);
    assert_eq!(targets(&oldest), [young.as_str()]);
    // Nobody can tell any more that nothing lay between the two.
    assert_expired(&scene.after(&at_the_end));
    let now = scene.newest();
    let made = scene.create("Now");
    assert_eq!(targets(&scene.after(&now).expect(200)), [made]);
}

#[test]
fn a_follower_at_the_head_goes_on_while_old_partitions_leave() {
    let mut scene = Scene::new();
    let busy = scene.world.tenant("Busy");
    scene.create("Quiet");
    let mut position = scene.newest();
    // It is others whose changes fill partition after partition; the follower asks in between.
    for round in 1..4 {
        scene.go_on_at(round * SPAN);
        scene.world.client(&busy, "Busy", &[]);
        let answer = scene.after(&position).expect(200);
        assert_eq!(answer["items"].as_array().map(Vec::len), Some(0));
        answer["position"]
            .as_str()
            .expect("a position")
            .clone_into(&mut position);
        scene.a_month_goes_by();
        let answer = scene.after(&position).expect(200);
        assert_eq!(answer["items"].as_array().map(Vec::len), Some(0));
        // What this tenant does itself is there, and nothing else.
        let made = scene.create(&format!("Quiet {round}"));
        let answer = scene.after(&position).expect(200);
        assert_eq!(targets(&answer), [made]);
        answer["position"]
            .as_str()
            .expect("a position")
            .clone_into(&mut position);
    }
}

#[derive(QueryableByName)]
struct Numbers {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
}

/// Whether one of some bytes' eight in a row are this number, in either order.
fn holds(bytes: &[u8], number: i64) -> bool {
    bytes.windows(8).any(|window| {
        window == number.to_be_bytes().as_slice() || window == number.to_le_bytes().as_slice()
    })
}

#[test]
fn nothing_that_is_answered_tells_a_number() {
    let scene = Scene::new();
    scene.create("One");
    let small = scene.newest();
    let number = 1_234_567;
    scene.go_on_at(number);
    scene.create("Two");
    let answer = scene.after(&small);
    let large = answer.text("/items/0/position");
    let again = scene.after(&small);
    assert_ne!(again.text("/items/0/position"), large, "it is sealed anew");
    assert_eq!(small.len(), large.len(), "its length tells nothing");

    let mut connection = scene.world.database.superuser();
    let known: Numbers = diesel::sql_query(
        "SELECT max(sequence) AS sequence, (SELECT epoch FROM installation) AS epoch FROM changes",
    )
    .get_result(&mut connection)
    .expect("numbers");
    assert_eq!(known.sequence, number);
    let body = answer.json();
    for text in strings(&body) {
        for told in [number.to_string(), known.epoch.to_string()] {
            assert!(!text.contains(&told), "{text}");
        }
        if let Ok(bytes) = URL_SAFE_NO_PAD.decode(&text) {
            assert!(
                !holds(&bytes, number) && !holds(&bytes, known.epoch),
                "{text}"
            );
        }
    }
    for (name, value) in &answer.headers {
        assert!(!value.contains(&number.to_string()), "{name}: {value}");
    }
    // The one number that there is, is the version.
    assert_eq!(numbers(&body), ["1"]);
}

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

fn numbers(value: &Value) -> Vec<String> {
    match value {
        Value::Number(number) => vec![number.to_string()],
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Object(fields) => fields.values().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn behind_a_restore_nothing_from_before_is_good_on_any_replica_and_what_is_new_is() {
    let scene = Scene::new();
    let (world, tenant) = (&scene.world, &scene.tenant);
    let other = world.another_replica();
    scene.create("One");
    let position = scene.newest();
    assert_eq!(scene.after(&position).status, 200);
    let checker = world.client(tenant, "Checker", &["grantor:clients.read"]);
    let token = world.token(&tenant.id, &tenant.admin, "grantor:clients.read");
    let calls = |token: &str| {
        let bearer = grantor_acceptance::World::bearer(token);
        [&world.replica, &other].map(|replica| {
            let url = scene.url(replica, "/clients");
            let headers = [("authorization", bearer.as_str())];
            world.http.get(&url, &headers).status
        })
    };
    assert_eq!(calls(&token), [200, 200]);
    let before = number(world, "SELECT epoch FROM installation");
    let renewed = wait_for(grantor_storage::restore_fence::renew_epoch(
        &world.storage(),
        grantor_test_support::builders::origin(),
        world.now(),
    ));
    renewed.expect("a new epoch");
    assert_eq!(calls(&token), [401, 401], "at once, on both");
    assert!(!world.is_active(&tenant.id, &checker, &token));
    assert_ne!(number(world, "SELECT epoch FROM installation"), before);
    let told = "SELECT count(*) FROM audit_events WHERE action = 'platform.restore_fenced'";
    assert_eq!(number(world, told), 1);
    let new = world.token(&tenant.id, &tenant.admin, "grantor:clients.read");
    assert_eq!(calls(&new), [200, 200]);
    let mut scene = scene;
    scene.admin = scene.world.as_admin(&scene.tenant);
    assert_expired(&scene.after(&position));
    scene.create("Two");
    let position = scene.newest();
    assert_eq!(scene.after(&position).status, 200);
}
