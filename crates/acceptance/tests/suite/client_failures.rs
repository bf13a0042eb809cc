//! Failed attempts of clients: counted, shown, and told to the owner contact when they go on (`client_10`, `audit_1`).

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Credentials, Replica, ServerSettings, World};
use grantor_domain::role::BuiltInRole;
use serde_json::{Value, json};

use crate::asking::{
    number, path_of, read, scene_in, second, send, send_to, somebody_waits, until,
};
use crate::operations::{Scene, expect_problem};
use crate::outbox::MailFolder;
use crate::secrets::is_let_in;

fn usage(scene: &Scene, query: &str) -> Value {
    let path = format!("{}/usage{query}", path_of(&scene.subject));
    send(scene, "GET", &path, &[], "").expect(200)
}

/// How often the client failed, by kind.
fn total(scene: &Scene) -> Value {
    let usage = usage(scene, "");
    let total = usage["failures"]["total"].as_array().unwrap();
    total
        .iter()
        .map(|one| {
            (
                one["kind"].as_str().unwrap().to_owned(),
                one["count"].clone(),
            )
        })
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Guesses at the client's secret.
#[track_caller]
fn guess(scene: &Scene, replica: &Replica, times: usize) {
    let wrong = scene.subject_with("gsec_wrong");
    for _ in 0..times {
        assert!(!is_let_in(scene, replica, &wrong));
    }
}

/// What the log tells of clients that fail.
fn alerts(scene: &Scene) -> Vec<Value> {
    let path = "/audit-events?limit=200&action=client.sustained_errors";
    let log = send(scene, "GET", path, &[], "").expect(200);
    log["items"].as_array().unwrap().clone()
}

/// Waits until whatever was noted has been looked at.
fn until_looked_at(scene: &Scene) {
    let sql = "SELECT count(*) FROM client_alerts WHERE noted_at IS NOT NULL";
    until("it was looked at", || number(&scene.world, sql) == 0);
}

#[test]
fn client_10_failures_are_counted_by_kind_and_time_and_servers_add_up() {
    let mut scene = Scene::new();
    let world = &scene.world;
    let other = world.another_replica();
    let amend = |body: &Value| {
        let path = path_of(&scene.subject);
        send(&scene, "PATCH", &path, &[], &body.to_string()).expect(200)
    };
    let ask = |endpoint: &str, form: &str, by: &Credentials| {
        let url = world.endpoint(&scene.tenant.id, endpoint);
        let by = by.basic();
        let answer = world.http.post_form(&url, &[("authorization", &by)], form);
        answer.status
    };
    guess(&scene, &world.replica, 3);
    guess(&scene, &other, 4);
    let form = "grant_type=client_credentials&scope=no.such:scope";
    assert_eq!(ask("token", form, &scene.subject), 400);
    amend(&json!({ "token_endpoint_auth_method": "client_secret_post" }));
    assert_eq!(ask("revoke", "token=x", &scene.subject), 401);
    amend(&json!({ "token_endpoint_auth_method": null, "allowed_ips": ["192.0.2.1"] }));
    assert_eq!(ask("introspect", "token=x", &scene.subject), 401);
    amend(&json!({ "allowed_ips": [] }));
    let path = path_of(&scene.subject);
    send(&scene, "POST", &format!("{path}/disable"), &[], "").expect(200);
    assert_eq!(ask("token", form, &scene.subject), 401);
    send(&scene, "POST", &format!("{path}/enable"), &[], "").expect(200);
    let expected = json!({ "bad_secret": 7, "refused_scope": 1, "wrong_method": 1, "refused_ip": 1, "disabled": 1 });
    until("all is counted", || total(&scene) == expected);

    // An hour later further ones stand in another window.
    scene.world.advance(TimeDelta::hours(1));
    scene.admin = scene.world.as_admin(&scene.tenant);
    let world = &scene.world;
    guess(&scene, &other, 2);
    until("the later ones are counted", || {
        total(&scene)["bad_secret"] == 9
    });
    let by_hour = usage(&scene, "?hours=2&window=hour");
    let counts: Vec<_> = by_hour["failures"]["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|window| window["failures"][0]["count"].clone())
        .collect();
    assert_eq!(counts, [7, 2]);
    let lately = usage(&scene, "?hours=1&window=minute");
    let lately = &lately["failures"]["windows"];
    assert_eq!(
        lately.as_array().unwrap().last().unwrap()["failures"][0]["count"],
        2
    );
    for query in [
        "?hours=0",
        "?hours=745",
        "?window=week",
        "?hours=25&window=minute",
    ] {
        let path = format!("{path}/usage{query}");
        let answer = send(&scene, "GET", &path, &[], "");
        expect_problem(world, &answer, 422, "invalid-field");
    }
}

#[test]
fn client_10_made_up_clients_and_deleted_ones_fill_no_table() {
    let scene = Scene::new();
    let world = &scene.world;
    let gone = world.client(&scene.tenant, "Gone", &[]);
    let mut other = world.another_replica();
    // Noted of a client that is gone when it is written.
    let wrong = Credentials {
        client_secret: "gsec_wrong".to_owned(),
        ..gone.clone()
    };
    assert!(!is_let_in(&scene, &other, &wrong));
    let path = format!("{}?confirm_name=Gone", path_of(&gone));
    assert_eq!(send(&scene, "DELETE", &path, &[], "").status, 204);
    for id in [
        gone.client_id.as_str(),
        "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
        "x",
    ] {
        let nobody = Credentials {
            client_id: id.to_owned(),
            client_secret: "gsec_wrong".to_owned(),
        };
        for _ in 0..20 {
            assert!(!is_let_in(&scene, &other, &nobody));
        }
    }
    guess(&scene, &other, 1);
    other.stop();
    assert_eq!(
        total(&scene),
        json!({ "bad_secret": 1 }),
        "written before it ended"
    );
    assert!(number(world, "SELECT sum(failures)::bigint FROM client_failures") <= 2);
    let metrics = world
        .http
        .get(&format!("{}/metrics", world.replica.token_operations), &[]);
    assert!(
        metrics.body.contains("grantor_attempts_of_unknown_clients"),
        "{}",
        metrics.body
    );
}

#[test]
fn client_10_audit_1_sustained_errors_are_told_once_and_to_the_owner_contact() {
    let folder = MailFolder::new();
    let scene = scene_in(World::with(&folder.settings()));
    let world = &scene.world;
    let other = world.another_replica_with(&folder.settings());
    let settings =
        json!({ "sustained_errors_threshold": 6, "sustained_errors_window_seconds": 600 });
    send(&scene, "PATCH", "/settings", &[], &settings.to_string()).expect(200);
    let contact = json!({ "owner_contact": { "name": "Ada", "email": "ada@acme.example" } });
    send(
        &scene,
        "PATCH",
        &path_of(&scene.subject),
        &[],
        &contact.to_string(),
    )
    .expect(200);
    let (_, etag) = read(&scene, &scene.subject);
    let feed = |after: &str| {
        let path = format!("/changes?after={after}");
        send(&scene, "GET", &path, &[], "").expect(200)
    };
    let start = feed("now")["position"].as_str().unwrap().to_owned();

    guess(&scene, &world.replica, 3);
    guess(&scene, &other, 2);
    until("five are counted", || total(&scene)["bad_secret"] == 5);
    until_looked_at(&scene);
    assert_eq!(alerts(&scene), [Value::Null; 0], "one is missing");

    // Over both servers, at the same time, far beyond.
    std::thread::scope(|scope| {
        for replica in [&world.replica, &other] {
            let scene = &scene;
            scope.spawn(move || guess(scene, replica, 10));
        }
    });
    until("all are counted", || total(&scene)["bad_secret"] == 25);
    until_looked_at(&scene);
    let told = alerts(&scene);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["actor"]["kind"], "server");
    assert_eq!(told[0]["target"]["id"], scene.subject.client_id.as_str());
    let after = &told[0]["after"];
    assert_eq!(
        after["person"],
        json!({ "name": "Ada", "email": "ada@acme.example" })
    );
    assert_eq!(
        (&after["threshold"], &after["window_seconds"]),
        (&json!(6), &json!(600))
    );
    assert!(
        after["failures"]["bad_secret"].as_u64().unwrap() >= 6,
        "{after}"
    );
    let mails = folder.until(1);
    assert!(
        mails[0].contains("ada@acme.example") && mails[0].contains("again"),
        "{}",
        mails[0]
    );
    let changes = feed(&start);
    let kinds: Vec<_> = changes["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["type"])
        .collect();
    assert_eq!(kinds, ["client.sustained_errors"]);
    assert_eq!(
        read(&scene, &scene.subject).1,
        etag,
        "it is no change of the client"
    );

    // In the next window nothing is told while there are few, and once when there are many again.
    world.advance(TimeDelta::seconds(601));
    guess(&scene, &other, 5);
    until("few more are counted", || total(&scene)["bad_secret"] == 30);
    until_looked_at(&scene);
    assert_eq!(alerts(&scene).len(), 1);
    guess(&scene, &world.replica, 7);
    until("it is told again", || alerts(&scene).len() == 2);
    folder.until(2);
}

#[test]
fn client_10_who_supports_can_stop_a_client_in_an_emergency_and_the_owner_is_told_why() {
    let folder = MailFolder::new();
    let scene = scene_in(World::with(&folder.settings()));
    let (_, support) = second(&scene, BuiltInRole::Support, &["grantor:clients.disable"]);
    let body = json!({ "reason": "It fails without end" }).to_string();
    let url = scene.url(&format!("{}/disable", path_of(&scene.subject)));
    send_to(&scene.world, "POST", &url, &support, &[], &body).expect(200);
    assert!(!is_let_in(&scene, &scene.world.replica, &scene.subject));
    let mails = folder.until(1);
    for told in ["owner@example.com", "It fails without end"] {
        assert!(mails[0].contains(told), "{}", mails[0]);
    }
}

#[test]
fn client_10_what_cannot_be_written_for_a_while_is_written_later_and_counted_once() {
    let scene = scene_in(World::with(&ServerSettings {
        deadline_seconds: Some(2),
        ..ServerSettings::default()
    }));
    let world = &scene.world;
    let mut holder = world.database.superuser();
    holder
        .batch_execute("BEGIN; LOCK TABLE client_failures IN ACCESS EXCLUSIVE MODE")
        .unwrap();
    guess(&scene, &world.replica, 5);
    // The writing waits, gives up, and begins anew, with what came meanwhile.
    for _ in 0..2 {
        until("a writing waits", || somebody_waits(world));
        guess(&scene, &world.replica, 2);
        until("it has given up", || !somebody_waits(world));
    }
    holder.batch_execute("ROLLBACK").unwrap();
    until("all are counted", || total(&scene)["bad_secret"] == 9);
    guess(&scene, &world.replica, 1);
    until("and one more", || total(&scene)["bad_secret"] == 10);
}
