//! `Idempotency-Key`: one effect and one answer, however often, wherever and when the request comes; and what
//! is kept for that helps nobody who hasn't the key.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Binary;
use grantor_acceptance::{Answer, ServerSettings, World};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_keys::{Keyring, MasterKey, OpenError, SealContext};
use grantor_test_support::{SeededEntropy, SocketProxy, TestDatabase, master_key};
use serde_json::json;
use uuid::Uuid;

use crate::asking::{
    admin_with, client_named, clients_named, count_of, end_who_waits, everything_at_rest,
    hexadecimal, like, number, path_of, read, replica_at, scene_in, second_admin, send, send_at,
    send_to, somebody_waits, until, while_it_waits,
};
use crate::operations::{Scene, expect_problem};

const KEY: &str = "0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11";
const OTHER: &str = "5a1d7f60-2c55-4f1c-9d0e-8a0c7f5e2b42";

fn keyed(key: &str) -> [(&str, &str); 1] {
    [("idempotency-key", key)]
}

fn create(scene: &Scene, key: &str, name: &str) -> Answer {
    send(scene, "POST", "/clients", &keyed(key), &client_named(name))
}

/// The same answer as before, and told to be that.
#[track_caller]
fn assert_again(again: &Answer, first: &Answer) {
    assert_eq!(
        again.header("idempotent-replayed"),
        Some("true"),
        "{}",
        again.body
    );
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    for name in ["etag", "location", "content-type", "cache-control"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
}

#[test]
fn of_20_at_once_on_two_replicas_one_has_the_effect_and_all_get_its_answer() {
    const MANY: usize = 20;
    let world = World::with(&ServerSettings {
        pool_size: Some(12),
        ..ServerSettings::default()
    });
    let scene = scene_in(world);
    let settings = ServerSettings {
        pool_size: Some(12),
        ..like(&scene.world)
    };
    let other = replica_at(&scene.world, &scene.world.database.url(), 2, &settings);
    let (start, crowded) = (Barrier::new(MANY), AtomicBool::new(false));
    let answers: Vec<Answer> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..MANY)
            .map(|number| {
                let (scene, start, crowded) = (&scene, &start, &crowded);
                let replica = if number % 2 == 0 {
                    &scene.world.replica
                } else {
                    &other
                };
                scope.spawn(move || {
                    start.wait();
                    loop {
                        let body = client_named("Once");
                        let answer =
                            send_at(scene, replica, "POST", "/clients", &keyed(KEY), &body);
                        // What a 503 says of a request with a key is: simply send it again.
                        if answer.status != 503 {
                            return answer;
                        }
                        crowded.store(true, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let first = &answers[0];
    assert_eq!(first.status, 201, "{}", first.body);
    assert!(first.text("/secret/value").starts_with("gsec_"));
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (first.status, &first.body));
        for name in ["etag", "location"] {
            assert_eq!(answer.header(name), first.header(name));
        }
    }
    let replayed = answers
        .iter()
        .filter(|answer| answer.header("idempotent-replayed").is_some())
        .count();
    assert!(replayed == MANY - 1 || crowded.load(Ordering::SeqCst));
    assert_eq!(clients_named(&scene.world, "Once"), 1);
    assert_eq!(
        number(&scene.world, "SELECT count(*) FROM idempotency_records"),
        1
    );

    let (id, secret) = (first.text("/id"), first.text("/secret/id"));
    let events = scene.events();
    let of = |action: &str, target: &str| {
        events
            .iter()
            .filter(|event| event["action"] == action && event["target"]["id"] == target)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("client.created", &id).len(), 1);
    // secret_1: each showing is on record, and which of them was the first.
    let shown = of("secret.shown", &secret);
    assert_eq!(shown.len(), replayed + 1);
    let again = shown.iter().filter(|event| event["after"]["again"] == true);
    assert_eq!(again.count(), replayed);
}

#[test]
fn the_same_key_with_another_request_is_refused_and_has_no_effect() {
    let scene = Scene::new();
    let Scene { world, subject, .. } = &scene;
    let path = path_of(subject);
    let another = world.client(&scene.tenant, "Another", &[]);
    let doomed = world.client(&scene.tenant, "Doomed", &[]);
    let refused = |answer: &Answer| {
        expect_problem(world, answer, 422, "idempotency-key-reused");
        assert!(!answer.body.contains("gsec_"), "{}", answer.body);
    };

    // Another body.
    let first = create(&scene, "body-0123456789abcdef", "First");
    assert_eq!(first.status, 201, "{}", first.body);
    refused(&create(&scene, "body-0123456789abcdef", "Second"));
    assert_eq!(clients_named(world, "Second"), 0);
    // A field that says the default is another body all the same.
    let body = json!({ "name": "First", "description": "", "profile": "service", "owner_contact": { "email": "owner@example.com" } });
    let key = keyed("body-0123456789abcdef");
    refused(&send(&scene, "POST", "/clients", &key, &body.to_string()));

    // Another path, and another operation on the same.
    let key = keyed("path-0123456789abcdef");
    let disabled = send(&scene, "POST", &format!("{path}/disable"), &key, "");
    assert_eq!(disabled.status, 200, "{}", disabled.body);
    let (_, etag) = read(&scene, &another);
    let others = path_of(&another);
    refused(&send(
        &scene,
        "POST",
        &format!("{others}/disable"),
        &key,
        "",
    ));
    assert_eq!(read(&scene, &another).1, etag);
    refused(&send(&scene, "POST", &format!("{path}/enable"), &key, ""));
    assert_eq!(read(&scene, subject).0["status"], "disabled");

    // Another query.
    let key = keyed("query-0123456789abcdef");
    let doomed = path_of(&doomed);
    let delete = |name: &str| {
        let path = format!("{doomed}?confirm_name={name}");
        send(&scene, "DELETE", &path, &key, "")
    };
    assert_eq!(delete("Doomed").status, 204);
    refused(&delete("Other"));
    assert_eq!(delete("Doomed").status, 204, "the first request, again");

    // Another If-Match, and none.
    let describe = |etag: Option<&str>| {
        let mut headers = vec![("idempotency-key", "match-0123456789abcdef")];
        headers.extend(etag.map(|etag| ("if-match", etag)));
        let body = json!({ "description": "Once" }).to_string();
        send(&scene, "PATCH", &others, &headers, &body)
    };
    let patched = describe(Some(&etag));
    assert_eq!(patched.status, 200, "{}", patched.body);
    let now = patched.header("etag").unwrap();
    refused(&describe(Some(now)));
    refused(&describe(None));
    assert_again(&describe(Some(&etag)), &patched);
    assert_eq!(read(&scene, &another).1, now);
}

#[test]
fn the_order_of_fields_and_spaces_makes_no_other_request() {
    let scene = Scene::new();
    let one = r#"{"name":"Once","profile": "service", "owner_contact":{"name":"Ada","email":"ada@example.com"}}"#;
    let same = " {\"profile\":\n \"service\", \"owner_contact\" : { \"email\":\"ada@example.com\", \"name\" : \"Ada\" },\
                \t\"name\": \"\\u004fnce\"}\r\n";
    let first = send(&scene, "POST", "/clients", &keyed(KEY), one);
    assert_eq!(first.status, 201, "{}", first.body);
    assert_again(&send(&scene, "POST", "/clients", &keyed(KEY), same), &first);
    // So does the query's, and a dry run of no effect said aloud.
    let path = "/clients?dry_run=false";
    assert_again(&send(&scene, "POST", path, &keyed(KEY), one), &first);
    // The header may be quoted, as a structured field is.
    let quoted = format!("\"{KEY}\"");
    assert_again(
        &send(&scene, "POST", "/clients", &keyed(&quoted), one),
        &first,
    );
    assert_eq!(clients_named(&scene.world, "Once"), 1);
}

#[test]
fn each_caller_has_keys_of_its_own() {
    let scene = Scene::new();
    let world = &scene.world;
    let (_, second) = second_admin(&scene, &["grantor:clients.write"]);
    let other = world.tenant("Other");
    let others = world.as_admin(&other);
    let first = create(&scene, KEY, "Once");
    assert_eq!(first.status, 201, "{}", first.body);
    let body = client_named("Once");
    let ask = |tenant: &str, authorization: &str| {
        let url = world.api(&format!("/v1/tenants/{tenant}/clients"));
        send_to(world, "POST", &url, authorization, &keyed(KEY), &body)
    };
    for (tenant, authorization) in [(&scene.tenant.id, &second), (&other.id, &others)] {
        let answer = ask(tenant, authorization);
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.header("idempotent-replayed"), None);
        assert_ne!(answer.text("/id"), first.text("/id"));
        assert_ne!(answer.text("/secret/value"), first.text("/secret/value"));
        assert_again(&ask(tenant, authorization), &answer);
    }
    assert_eq!(clients_named(world, "Once"), 3);
    // Another token of the same client is the same caller.
    let narrow = admin_with(&scene, "grantor:clients.write");
    assert_again(&ask(&scene.tenant.id, &narrow), &first);
    // An operator's key stands with the operators, whichever tenant the change makes.
    let operator = world.as_operator();
    let tenant = json!({ "name": "Once", "admin_client": true,
        "owner": { "name": "Ada", "email": "ada@example.com" } })
    .to_string();
    let ask_for_tenant = || {
        let url = world.api("/v1/tenants");
        send_to(world, "POST", &url, &operator, &keyed(KEY), &tenant)
    };
    let made = ask_for_tenant();
    assert_eq!(made.status, 201, "{}", made.body);
    assert_again(&ask_for_tenant(), &made);
    assert_eq!(
        number(world, "SELECT count(*) FROM tenants WHERE name = 'Once'"),
        1
    );
}

#[test]
fn what_is_no_key_is_told_and_nothing_happens() {
    let scene = Scene::new();
    let long = "k".repeat(256);
    for odd in [
        "",
        "short",
        "fifteen-letters",
        &long,
        "with a space in the middle",
        "sixteen letters\tand a tab",
        "schlüssel-mit-umlaut-0123456789",
        "\"\"",
        "\"fifteen-letters\"",
    ] {
        let answer = create(&scene, odd, "Never");
        expect_problem(&scene.world, &answer, 400, "invalid-idempotency-key");
    }
    // Two lines of the header are no key either.
    let both = [("idempotency-key", KEY), ("idempotency-key", OTHER)];
    let answer = send(&scene, "POST", "/clients", &both, &client_named("Never"));
    expect_problem(&scene.world, &answer, 400, "invalid-idempotency-key");
    assert_eq!(clients_named(&scene.world, "Never"), 0);
    assert_eq!(
        create(&scene, &"k".repeat(255), "Longest").status,
        201,
        "the longest"
    );
    assert_eq!(
        create(&scene, &"k".repeat(16), "Shortest").status,
        201,
        "the shortest"
    );
    // Reading has no effect to be repeated.
    let read = send(&scene, "GET", "/clients", &keyed("short"), "");
    assert_eq!(read.status, 200, "{}", read.body);
}

#[test]
fn what_failed_is_not_kept_and_may_be_tried_again_with_the_same_key() {
    let scene = Scene::new();
    let world = &scene.world;
    let url = scene.url("/clients");
    let reader = admin_with(&scene, "grantor:clients.read");
    let path = path_of(&scene.subject);
    let (_, etag) = read(&scene, &scene.subject);
    let stale = [("idempotency-key", KEY), ("if-match", "\"999\"")];
    let failures = [
        (
            422,
            send(&scene, "POST", "/clients", &keyed(KEY), r#"{"name":1}"#),
        ),
        (400, send(&scene, "POST", "/clients", &keyed(KEY), "{")),
        (
            415,
            send(
                &scene,
                "POST",
                "/clients",
                &[("idempotency-key", KEY), ("content-type", "text/plain")],
                "{}",
            ),
        ),
        (
            403,
            send_to(
                world,
                "POST",
                &url,
                &reader,
                &keyed(KEY),
                &client_named("No"),
            ),
        ),
        (
            401,
            send_to(
                world,
                "POST",
                &url,
                "Bearer gat_x",
                &keyed(KEY),
                &client_named("No"),
            ),
        ),
        (
            412,
            send(&scene, "PATCH", &path, &stale, r#"{"name":"No"}"#),
        ),
        (
            422,
            send(
                &scene,
                "DELETE",
                &format!("{path}?confirm_name=No"),
                &keyed(KEY),
                "",
            ),
        ),
        (
            422,
            send(
                &scene,
                "PATCH",
                &path,
                &keyed(KEY),
                r#"{"allowed_scopes":["no.such:scope"]}"#,
            ),
        ),
    ];
    for (status, answer) in failures {
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert_eq!(number(world, "SELECT count(*) FROM idempotency_records"), 0);
    assert_eq!(read(&scene, &scene.subject).1, etag);
    let at_last = create(&scene, KEY, "At last");
    assert_eq!(at_last.status, 201, "{}", at_last.body);
    assert_eq!(at_last.header("idempotent-replayed"), None);
}

#[test]
fn an_answer_is_kept_for_24_hours_and_then_the_key_is_a_new_one() {
    let mut scene = Scene::new();
    let first = create(&scene, KEY, "Daily");
    assert_eq!(first.status, 201, "{}", first.body);
    scene
        .world
        .advance(TimeDelta::hours(24) - TimeDelta::seconds(1));
    scene.admin = scene.world.as_admin(&scene.tenant);
    assert_again(&create(&scene, KEY, "Daily"), &first);
    scene.world.advance(TimeDelta::seconds(2));
    let next = create(&scene, KEY, "Daily");
    assert_eq!(next.status, 201, "{}", next.body);
    assert_eq!(next.header("idempotent-replayed"), None);
    assert_ne!(next.text("/id"), first.text("/id"));
    assert_again(&create(&scene, KEY, "Daily"), &next);
    // Another request with it is none of the old one's business either.
    assert_eq!(clients_named(&scene.world, "Daily"), 2);
}

#[test]
fn a_dry_run_neither_finds_what_was_kept_nor_keeps_anything() {
    let scene = Scene::new();
    let dry = |key: &str, name: &str| {
        let path = "/clients?dry_run=true";
        send(&scene, "POST", path, &keyed(key), &client_named(name))
    };
    let real = create(&scene, KEY, "Real");
    let rehearsed = dry(KEY, "Real");
    assert_eq!(rehearsed.status, 201, "{}", rehearsed.body);
    assert_eq!(rehearsed.header("idempotent-replayed"), None);
    assert!(!rehearsed.body.contains(&real.text("/secret/value")));
    assert_eq!(dry(KEY, "Other").status, 201, "no other request either");
    assert_again(&create(&scene, KEY, "Real"), &real);

    assert_eq!(dry(OTHER, "Later").status, 201);
    let later = create(&scene, OTHER, "Another body");
    assert_eq!(later.status, 201, "{}", later.body);
    assert_eq!(later.header("idempotent-replayed"), None);
    assert_eq!(clients_named(&scene.world, "Later"), 0);
    assert_eq!(clients_named(&scene.world, "Real"), 1);
}

#[derive(QueryableByName)]
struct Record {
    #[diesel(sql_type = Binary)]
    key_hash: Vec<u8>,
    #[diesel(sql_type = Binary)]
    sealed_answer: Vec<u8>,
}

#[test]
fn secret_2_a_kept_answer_opens_with_the_callers_key_alone() {
    let scene = Scene::new();
    let world = &scene.world;
    let first = create(&scene, KEY, "Sealed");
    let secret = first.text("/secret/value");
    let record: Record =
        diesel::sql_query("SELECT key_hash, sealed_answer FROM idempotency_records")
            .get_result(&mut world.database.superuser())
            .unwrap();
    let keyring = TestDatabase::keyring();
    let tenant: TenantId = scene.tenant.id.parse().unwrap();
    let caller: ClientId = scene.tenant.admin.client_id.parse().unwrap();
    // What the record is found by can't be told without the key either.
    let whose = [
        tenant.uuid().as_bytes().as_slice(),
        caller.uuid().as_bytes(),
        KEY.as_bytes(),
    ]
    .concat();
    let hash = keyring.mac("idempotency key v1", &whose);
    assert_eq!(record.key_hash, hash.as_bytes());

    let row = Uuid::from_slice(&record.key_hash[..16]).unwrap();
    let place = SealContext {
        tenant: Some(tenant.uuid()),
        table: "idempotency_records",
        row,
    };
    let opened = keyring
        .open_for_holder(&place, KEY.as_bytes(), &record.sealed_answer)
        .unwrap();
    assert!(String::from_utf8_lossy(&opened).contains(&secret));
    let open = |place: &SealContext<'_>, holder: &str| {
        keyring
            .open_for_holder(place, holder.as_bytes(), &record.sealed_answer)
            .unwrap_err()
    };
    for holder in [
        OTHER,
        "",
        &KEY[1..],
        &KEY.to_uppercase(),
        &format!("\"{KEY}\""),
    ] {
        assert_eq!(open(&place, holder), OpenError::Wrong, "{holder}");
    }
    let elsewhere = SealContext {
        tenant: Some(caller.uuid()),
        ..place
    };
    assert_eq!(open(&elsewhere, KEY), OpenError::Wrong);
    let another_row = SealContext {
        row: Uuid::nil(),
        ..place
    };
    assert_eq!(open(&another_row, KEY), OpenError::Wrong);
    // The master key alone does not open it, and the caller's key alone does not either.
    assert!(keyring.open(&place, &record.sealed_answer).is_err());
    let strange = MasterKey::generate(&SeededEntropy::new(77)).unwrap();
    assert!(matches!(
        Keyring::new(strange, Vec::new()).open_for_holder(
            &place,
            KEY.as_bytes(),
            &record.sealed_answer
        ),
        Err(OpenError::UnknownKey(_))
    ));

    // Neither key nor secret nor answer lies anywhere in clear.
    let answer = first.text("/secret/id");
    let rows = everything_at_rest(world);
    assert!(
        rows.iter()
            .any(|(table, _)| table.contains("idempotency_records"))
    );
    for (table, row) in &rows {
        for hidden in [KEY, &secret, &secret[5..], &first.body] {
            assert!(!row.contains(hidden), "{table}");
            let hex = hexadecimal(hidden);
            assert!(!row.contains(&hex), "{table} has it as bytes");
            let encoded = STANDARD.encode(hidden);
            assert!(!row.contains(&encoded[..encoded.len() - 4]), "{table}");
        }
        if table.contains("idempotency_records") {
            assert!(!row.contains(&answer), "{table} tells what it is about");
        }
    }
}

#[test]
fn a_kept_answer_outlives_the_server_and_a_change_of_the_master_key() {
    let mut scene = Scene::new();
    let first = create(&scene, KEY, "Kept");
    assert_eq!(first.status, 201, "{}", first.body);
    let settings = like(&scene.world);
    let url = scene.world.database.url();
    scene.world.replica.stop();
    scene.world.replica = replica_at(&scene.world, &url, 21, &settings);
    assert_again(&create(&scene, KEY, "Kept"), &first);

    let new = MasterKey::generate(&SeededEntropy::new(22)).unwrap();
    let settings = ServerSettings {
        master_key: Some(new.encode().to_string()),
        previous_master_keys: Some(master_key().encode().to_string()),
        ..settings
    };
    scene.world.replica.stop();
    scene.world.replica = replica_at(&scene.world, &url, 23, &settings);
    assert_again(&create(&scene, KEY, "Kept"), &first);
    let other = create(&scene, KEY, "Another");
    expect_problem(&scene.world, &other, 422, "idempotency-key-reused");
    // What is kept from now on is found as well.
    let next = create(&scene, OTHER, "Next");
    assert_eq!(next.status, 201, "{}", next.body);
    assert_again(&create(&scene, OTHER, "Next"), &next);
    for name in ["Kept", "Next"] {
        assert_eq!(clients_named(&scene.world, name), 1, "{name}");
    }
}

#[test]
fn who_may_not_do_it_any_more_does_not_get_the_kept_answer() {
    let scene = Scene::new();
    let world = &scene.world;
    let (second, authorization) =
        second_admin(&scene, &["grantor:clients.read", "grantor:clients.write"]);
    let url = scene.url("/clients");
    let ask = || {
        let body = client_named("Theirs");
        send_to(world, "POST", &url, &authorization, &keyed(KEY), &body)
    };
    let first = ask();
    assert_eq!(first.status, 201, "{}", first.body);
    let refused = |answer: &Answer, status: u16, code: &str| {
        expect_problem(world, answer, status, code);
        assert!(!answer.body.contains(&first.text("/id")), "{}", answer.body);
        assert!(!answer.body.contains("gsec_"), "{}", answer.body);
    };

    // The scope goes.
    let path = path_of(&second);
    let scopes = |scopes: &[&str]| {
        let body = json!({ "allowed_scopes": scopes }).to_string();
        send(&scene, "PATCH", &path, &[], &body).expect(200);
    };
    // A token of which nothing is left is dead (token_8), so something stays.
    scopes(&["grantor:clients.read"]);
    let refusals = count_of(&scene, "access.refused");
    refused(&ask(), 403, "forbidden");
    assert_eq!(count_of(&scene, "access.refused"), refusals + 1);
    scopes(&["grantor:clients.read", "grantor:clients.write"]);
    assert_again(&ask(), &first);

    // The client is paused.
    send(&scene, "POST", &format!("{path}/disable"), &[], "").expect(200);
    refused(&ask(), 401, "unauthenticated");
    send(&scene, "POST", &format!("{path}/enable"), &[], "").expect(200);
    assert_again(&ask(), &first);

    // The role goes.
    let id: ClientId = second.client_id.parse().unwrap();
    let removed = diesel::sql_query(format!(
        "DELETE FROM role_assignments WHERE client_id = '{}'",
        id.uuid()
    ))
    .execute(&mut world.database.superuser())
    .unwrap();
    assert_eq!(removed, 1);
    refused(&ask(), 403, "forbidden");
}

#[test]
fn effect_and_record_are_there_together_or_neither_however_a_server_loses_its_database() {
    let scene = Scene::new();
    let world = &scene.world;
    // As it puts the answer by, and in the midst of its COMMIT.
    for (index, table) in ["idempotency_records", "changes"].into_iter().enumerate() {
        let (key, name) = (format!("{KEY}-{index}"), format!("Cut {index}"));
        let lock = format!("LOCK TABLE {table} IN EXCLUSIVE MODE");
        let cut = while_it_waits(
            world,
            &lock,
            || create(&scene, &key, &name),
            || end_who_waits(world),
        );
        expect_problem(world, &cut, 503, "unavailable");
        assert_eq!(clients_named(world, &name), 0, "{table}");
        assert_eq!(
            number(world, "SELECT count(*) FROM idempotency_records"),
            i64::try_from(index).unwrap(),
            "{table}"
        );
        let done = create(&scene, &key, &name);
        assert_eq!(done.status, 201, "{}", done.body);
        assert_eq!(done.header("idempotent-replayed"), None);
        assert_again(&create(&scene, &key, &name), &done);
        assert_eq!(clients_named(world, &name), 1, "{table}");
    }

    // After its COMMIT, whose answer it never hears.
    let scene_ref = &scene;
    let proxy = SocketProxy::start(&world.database.url());
    let far = replica_at(world, &proxy.url(), 31, &like(world));
    let body = client_named("Unheard");
    let mut holder = world.database.superuser();
    holder
        .batch_execute("BEGIN; LOCK TABLE changes IN EXCLUSIVE MODE")
        .unwrap();
    let lost = std::thread::scope(|scope| {
        let asked =
            scope.spawn(|| send_at(scene_ref, &far, "POST", "/clients", &keyed(OTHER), &body));
        until("it is in its COMMIT", || somebody_waits(world));
        proxy.freeze();
        holder.batch_execute("ROLLBACK").unwrap();
        until("the commit took place", || {
            clients_named(world, "Unheard") == 1
        });
        proxy.cut();
        asked.join().unwrap()
    });
    assert_eq!(lost.status, 503, "{}", lost.body);
    assert_eq!(lost.text("/code"), "unavailable");
    let again = create(&scene, OTHER, "Unheard");
    assert_eq!(again.status, 201, "{}", again.body);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(clients_named(world, "Unheard"), 1);
    let shown = send(
        &scene,
        "GET",
        &format!("/clients/{}", again.text("/id")),
        &[],
        "",
    );
    assert_eq!(shown.text("/name"), "Unheard");
}
