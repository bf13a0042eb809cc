//! Many operations in one request: each for itself, in order, and once however often the request is sent.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Answer, Credentials};
use serde_json::{Value, json};

use crate::asking::{
    admin_with, client_named, clients_named, count_of, end_who_waits, lock_of, number, path_of,
    read, send, send_to, somebody_waits, until, while_it_waits,
};
use crate::operations::{SUBJECT, Scene, expect_problem};

const KEY: &str = "0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11";

fn create(name: &str) -> Value {
    let body: Value = serde_json::from_str(&client_named(name)).unwrap();
    json!({ "operation": "createClient", "body": body })
}

fn on(operation: &str, client: &Credentials) -> Value {
    json!({ "operation": operation, "path": { "client": client.client_id } })
}

fn with(mut item: Value, field: &str, value: Value) -> Value {
    item[field] = value;
    item
}

fn ask(scene: &Scene, path: &str, headers: &[(&str, &str)], items: &[Value]) -> Answer {
    let body = json!({ "items": items }).to_string();
    send(scene, "POST", path, headers, &body)
}

#[track_caller]
fn results(answer: Answer) -> Vec<Value> {
    let answer = answer.expect(200);
    let results = answer["results"].as_array().unwrap().clone();
    let good = results
        .iter()
        .filter(|result| (200..300).contains(&result["status"].as_u64().unwrap()))
        .count();
    assert_eq!(answer["succeeded"], json!(good), "{answer}");
    assert_eq!(answer["failed"], json!(results.len() - good), "{answer}");
    results
}

fn statuses(results: &[Value]) -> Vec<u64> {
    results
        .iter()
        .map(|result| result["status"].as_u64().unwrap())
        .collect()
}

#[test]
fn each_item_has_its_own_result_in_order_and_a_failure_stops_no_other() {
    let scene = Scene::new();
    let Scene { world, subject, .. } = &scene;
    let doomed = world.client(&scene.tenant, "Doomed", &[]);
    let nobody = Credentials {
        client_id: "cli_01kb2q3r4s5t6v7w8x9y0z1a2b".to_owned(),
        client_secret: String::new(),
    };
    let answer = ask(
        &scene,
        "/bulk",
        &[],
        &[
            create("Bulk 0"),
            with(create("x"), "body", json!({ "name": "" , "colour": 1 })),
            with(
                on("updateClient", subject),
                "body",
                json!({ "description": "Bulk 2" }),
            ),
            on("disableClient", &nobody),
            with(
                on("disableClient", subject),
                "body",
                json!({ "reason": "Bulk 4" }),
            ),
            with(
                on("deleteClient", &doomed),
                "query",
                json!({ "confirm_name": "Wrong" }),
            ),
            with(
                on("deleteClient", &doomed),
                "query",
                json!({ "confirm_name": "Doomed" }),
            ),
            with(
                on("rotateClientSecret", subject),
                "body",
                json!({ "confirm_name": SUBJECT }),
            ),
            create("Bulk 8"),
        ],
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let results = results(answer);
    assert_eq!(
        statuses(&results),
        [201, 422, 200, 404, 200, 422, 204, 200, 201],
        "{results:?}"
    );
    for (index, name) in [(0, "Bulk 0"), (8, "Bulk 8")] {
        let made = &results[index];
        assert_eq!(made["body"]["name"], name);
        let id = made["body"]["id"].as_str().unwrap();
        let location = made["location"].as_str().unwrap();
        assert_eq!(location, scene.url(&format!("/clients/{id}")));
        let read = world.http.get(location, &[("authorization", &scene.admin)]);
        assert_eq!(read.header("etag"), made["etag"].as_str());
        assert!(made["body"]["secret"]["value"].as_str().unwrap().len() > 40);
        assert_eq!(made["replayed"], false);
        assert_eq!(made.get("problem"), None);
    }
    for (index, code) in [
        (1, "invalid-field"),
        (3, "not-found"),
        (5, "confirmation-mismatch"),
    ] {
        let failed = &results[index];
        assert_eq!(failed["problem"]["code"], code, "{failed}");
        assert_eq!(failed["problem"]["status"], failed["status"]);
        let kind = failed["problem"]["type"].as_str().unwrap();
        assert_eq!(kind, world.api(&format!("/problems/{code}")));
        for absent in ["body", "etag", "location"] {
            assert_eq!(failed.get(absent), None, "{failed}");
        }
    }
    assert_eq!(results[2]["body"]["description"], "Bulk 2");
    assert_eq!(results[4]["body"]["status"], "disabled");
    assert_eq!(results[6].get("body"), None);
    // Each of them raised the state that the next one told.
    let etags: Vec<&str> = [2, 4]
        .map(|index| results[index]["etag"].as_str().unwrap())
        .to_vec();
    assert_ne!(etags[0], etags[1]);
    assert_eq!(read(&scene, subject).0["pauses"][0]["reason"], "Bulk 4");
    assert_eq!(clients_named(world, "Doomed"), 0);
}

#[test]
fn after_a_failure_the_rest_is_left_out_if_asked_to() {
    let scene = Scene::new();
    let items = [
        create("Stop 0"),
        with(create("x"), "body", json!({})),
        create("Stop 2"),
        on("disableClient", &scene.subject),
    ];
    let body = json!({ "items": items, "on_failure": "stop" }).to_string();
    let left = results(send(&scene, "POST", "/bulk", &[], &body));
    assert_eq!(statuses(&left), [201, 422, 0, 0]);
    assert_eq!(left[2], json!({ "status": 0, "replayed": false }));
    assert_eq!(clients_named(&scene.world, "Stop 0"), 1);
    assert_eq!(clients_named(&scene.world, "Stop 2"), 0);
    assert_eq!(read(&scene, &scene.subject).0["status"], "active");
    let body = json!({ "items": items, "on_failure": "continue" }).to_string();
    let on = results(send(&scene, "POST", "/bulk", &[], &body));
    assert_eq!(statuses(&on), [201, 422, 201, 200]);
    let body = json!({ "items": items, "on_failure": "rollback" }).to_string();
    let answer = send(&scene, "POST", "/bulk", &[], &body);
    expect_problem(&scene.world, &answer, 422, "invalid-field");
}

#[test]
fn what_is_no_change_of_this_tenant_is_not_taken() {
    let scene = Scene::new();
    let subject = &scene.subject;
    let tenant = &scene.tenant.id;
    let other = scene.world.tenant("Other");
    let tenant_body = json!({ "name": "T", "owner": { "name": "A", "email": "a@example.com" } });
    let inner = json!({ "items": [create("Nested")] });
    let cases = [
        (
            json!({ "operation": "createTenant", "body": tenant_body }),
            "/operation",
        ),
        (json!({ "operation": "bulk", "body": inner }), "/operation"),
        (on("readClient", subject), "/operation"),
        (json!({ "operation": "listClients" }), "/operation"),
        (json!({ "operation": "" }), "/operation"),
        (
            json!({ "operation": "CreateClient", "body": {} }),
            "/operation",
        ),
        (json!({ "operation": "disableClient" }), "/path/client"),
        (
            json!({ "operation": "disableClient", "path": {} }),
            "/path/client",
        ),
        (
            json!({ "operation": "disableClient", "path": { "client": subject.client_id, "x": "1" } }),
            "/path/x",
        ),
        (
            json!({ "operation": "disableClient", "path": { "client": subject.client_id, "tenant": tenant } }),
            "/path/tenant",
        ),
        (
            with(create("x"), "path", json!({ "tenant": other.id })),
            "/path/tenant",
        ),
    ];
    let items: Vec<Value> = cases.iter().map(|(item, _)| item.clone()).collect();
    let refused = results(ask(&scene, "/bulk", &[], &items));
    for (index, (result, (item, place))) in refused.iter().zip(&cases).enumerate() {
        assert_eq!(result["status"], 422, "{item}: {result}");
        let told = result["problem"]["errors"][0]["pointer"].as_str().unwrap();
        assert_eq!(told, format!("/items/{index}{place}"), "{item}");
    }
    let listed = refused[0]["problem"]["detail"].as_str().unwrap();
    assert!(listed.contains("createClient") && !listed.contains("createTenant"));

    // A path's parameter is one segment, whatever it looks like.
    for odd in [
        "",
        "..",
        "x/../y",
        "%2e%2e",
        &other.admin.client_id,
        "cli_?x=1",
        "\u{0}",
    ] {
        let item = json!({ "operation": "disableClient", "path": { "client": odd } });
        let refused = results(ask(&scene, "/bulk", &[], &[item]));
        assert_eq!(refused[0]["status"], 404, "{odd}: {refused:?}");
    }
    // A query's parameters are the operation's own.
    let item = with(create("Odd"), "query", json!({ "colour": "red" }));
    let refused = results(ask(&scene, "/bulk", &[], &[item]));
    assert_eq!(refused[0]["problem"]["errors"][0]["parameter"], "colour");

    assert_eq!(read(&scene, subject).0["status"], "active");
    for name in ["Nested", "Odd", "x"] {
        assert_eq!(clients_named(&scene.world, name), 0, "{name}");
    }
    // A tenant that is not one's own is no tenant.
    let foreign = scene.world.api(&format!("/v1/tenants/{}/bulk", other.id));
    let body = json!({ "items": [create("Foreign")] }).to_string();
    let answer = send_to(&scene.world, "POST", &foreign, &scene.admin, &[], &body);
    expect_problem(&scene.world, &answer, 404, "not-found");
}

#[test]
fn one_to_100_items_and_a_megabyte() {
    let scene = Scene::new();
    let world = &scene.world;
    let none = ask(&scene, "/bulk", &[], &[]);
    let problem = expect_problem(world, &none, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/items");
    let item = on("enableClient", &scene.subject);
    let many = vec![item.clone(); 101];
    let problem = expect_problem(
        world,
        &ask(&scene, "/bulk", &[], &many),
        422,
        "invalid-field",
    );
    assert_eq!(problem["errors"][0]["pointer"], "/items");
    let most = results(ask(&scene, "/bulk", &[], &many[1..]));
    assert_eq!(statuses(&most), [200; 100]);

    // To the byte: the rest is spaces.
    let body = json!({ "items": [item] }).to_string();
    let filled = format!("{body}{}", " ".repeat(1024 * 1024 - body.len()));
    assert_eq!(
        statuses(&results(send(&scene, "POST", "/bulk", &[], &filled))),
        [200]
    );
    let over = send(&scene, "POST", "/bulk", &[], &format!("{filled} "));
    expect_problem(world, &over, 413, "too-large");
    // The limit of an operation by itself does not hold its item up, but its own rules do.
    let long = "x".repeat(100_000);
    let item = with(
        on("updateClient", &scene.subject),
        "body",
        json!({ "description": long }),
    );
    let refused = results(ask(&scene, "/bulk", &[], &[item]));
    assert_eq!(
        refused[0]["problem"]["errors"][0]["pointer"],
        "/description"
    );
    for odd in [
        r#"{"items":{}}"#,
        r#"{"items":[1]}"#,
        r#"{"items":[{}]}"#,
        r#"{"items":[{"operation":"createClient","bdoy":{}}]}"#,
        r#"{"itmes":[]}"#,
        "[]",
    ] {
        let answer = send(&scene, "POST", "/bulk", &[], odd);
        expect_problem(world, &answer, 422, "invalid-field");
    }
}

#[test]
fn each_item_needs_what_its_operation_needs() {
    let scene = Scene::new();
    let world = &scene.world;
    let url = scene.url("/bulk");
    let items = [
        create("Not allowed"),
        on("disableClient", &scene.subject),
        with(
            on("rotateClientSecret", &scene.subject),
            "body",
            json!({ "confirm_name": SUBJECT }),
        ),
    ];
    let body = json!({ "items": items }).to_string();
    let refusals = count_of(&scene, "access.refused");
    let reader = admin_with(&scene, "grantor:clients.read");
    let refused = results(send_to(world, "POST", &url, &reader, &[], &body));
    assert_eq!(statuses(&refused), [403, 403, 403]);
    for (result, permission) in
        refused
            .iter()
            .zip(["clients.write", "clients.disable", "secrets.write"])
    {
        let detail = result["problem"]["detail"].as_str().unwrap();
        assert!(detail.contains(permission), "{detail}");
    }
    // audit_1: each by itself.
    assert_eq!(count_of(&scene, "access.refused"), refusals + 3);
    let pausing = admin_with(&scene, "grantor:clients.disable");
    let partly = results(send_to(world, "POST", &url, &pausing, &[], &body));
    assert_eq!(statuses(&partly), [403, 200, 403]);
    assert_eq!(clients_named(world, "Not allowed"), 0);
    let anonymous = world.http.post_json(&url, &[], &json!({ "items": items }));
    assert_eq!(anonymous.status, 401);
}

#[test]
fn an_item_can_be_conditional_and_the_whole_a_rehearsal() {
    let scene = Scene::new();
    let (_, etag) = read(&scene, &scene.subject);
    let change = |etag: &str, text: &str| {
        let item = with(on("updateClient", &scene.subject), "if_match", json!(etag));
        with(item, "body", json!({ "description": text }))
    };
    let done = results(ask(
        &scene,
        "/bulk",
        // The header is for the whole, which has no state of its own.
        &[("if-match", "\"999\"")],
        &[
            change(&etag, "One"),
            change(&etag, "Two"),
            change("*", "Three"),
            change("7", "Four"),
        ],
    ));
    assert_eq!(statuses(&done), [200, 412, 200, 422]);
    let current = done[0]["etag"].as_str().unwrap();
    assert!(
        done[1]["problem"]["detail"]
            .as_str()
            .unwrap()
            .contains(current)
    );
    assert_eq!(read(&scene, &scene.subject).0["description"], "Three");

    let before = crate::asking::everything_decided(&scene.world);
    let mut forced = create("Forced");
    forced["query"] = json!({ "dry_run": "false" });
    let items = [
        create("Rehearsed"),
        on("disableClient", &scene.subject),
        forced,
    ];
    let answer = ask(
        &scene,
        "/bulk?dry_run=true",
        &[("idempotency-key", KEY)],
        &items,
    );
    assert_eq!(answer.header("dry-run"), Some("true"));
    let rehearsed = results(answer);
    assert_eq!(statuses(&rehearsed)[..2], [201, 200]);
    assert!(
        before == crate::asking::everything_decided(&scene.world),
        "no item of a rehearsal has an effect, whatever it says of itself"
    );
    // One item alone may be rehearsed.
    let mut one = create("Only rehearsed");
    one["query"] = json!({ "dry_run": "true" });
    let mixed = results(ask(&scene, "/bulk", &[], &[one, create("Real")]));
    assert_eq!(statuses(&mixed), [201, 201]);
    assert_eq!(clients_named(&scene.world, "Only rehearsed"), 0);
    assert_eq!(clients_named(&scene.world, "Real"), 1);
}

/// Five items, the third of which runs into a lock on the subject.
fn five(scene: &Scene) -> Vec<Value> {
    vec![
        create("Five 0"),
        create("Five 1"),
        on("disableClient", &scene.subject),
        create("Five 3"),
        create("Five 4"),
    ]
}

/// All five are done, once each.
#[track_caller]
fn assert_five(scene: &Scene, results: &[Value]) {
    assert_eq!(statuses(results), [201, 201, 200, 201, 201], "{results:?}");
    for index in [0, 1, 3, 4] {
        let name = format!("Five {index}");
        assert_eq!(clients_named(&scene.world, &name), 1, "{name}");
        let id = results[index]["body"]["id"].as_str().unwrap();
        let shown = send(scene, "GET", &format!("/clients/{id}"), &[], "");
        assert_eq!(shown.text("/name"), name);
    }
    let created = scene
        .events()
        .iter()
        .filter(|event| event["action"] == "client.created")
        .filter(|event| event["after"]["name"].as_str().unwrap().starts_with("Five"))
        .count();
    assert_eq!(created, 4);
    assert_eq!(count_of(scene, "client.disabled"), 1);
}

#[test]
fn sent_again_after_a_cut_it_does_the_rest_and_nothing_twice() {
    let scene = Scene::new();
    let world = &scene.world;
    let body = json!({ "items": five(&scene) }).to_string();
    let mut stream = TcpStream::connect(world.replica.api.trim_start_matches("http://")).unwrap();
    let mut holder = world.database.superuser();
    holder
        .batch_execute(&format!("BEGIN; {}", lock_of(&scene.subject)))
        .unwrap();
    write!(
        stream,
        "POST /v1/tenants/{}/bulk HTTP/1.1\r\nHost: api\r\nAuthorization: {}\r\nIdempotency-Key: {KEY}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        scene.tenant.id,
        scene.admin,
        body.len()
    )
    .unwrap();
    until("the third item waits", || somebody_waits(world));
    // The caller hangs up in the middle.
    stream.shutdown(Shutdown::Both).unwrap();
    let mut nothing = Vec::new();
    let _ = stream.read_to_end(&mut nothing);
    assert!(nothing.is_empty());
    holder.batch_execute("ROLLBACK").unwrap();

    let again = results(ask(
        &scene,
        "/bulk",
        &[("idempotency-key", KEY)],
        &five(&scene),
    ));
    assert_five(&scene, &again);
    for index in [0, 1] {
        assert_eq!(again[index]["replayed"], true, "{}", again[index]);
        assert!(again[index]["body"]["secret"]["value"].is_string());
    }
    let third = results(ask(
        &scene,
        "/bulk",
        &[("idempotency-key", KEY)],
        &five(&scene),
    ));
    assert_five(&scene, &third);
    for (one, other) in again.iter().zip(&third) {
        assert_eq!(one["body"], other["body"]);
        assert_eq!(other["replayed"], true);
    }
}

#[test]
fn an_item_that_lost_the_database_is_done_when_the_request_comes_again() {
    let scene = Scene::new();
    let key = [("idempotency-key", KEY)];
    let first = while_it_waits(
        &scene.world,
        &lock_of(&scene.subject),
        || ask(&scene, "/bulk", &key, &five(&scene)),
        || end_who_waits(&scene.world),
    );
    let first = results(first);
    assert_eq!(statuses(&first), [201, 201, 503, 201, 201]);
    assert_eq!(first[2]["problem"]["code"], "unavailable");
    let again = results(ask(&scene, "/bulk", &key, &five(&scene)));
    assert_five(&scene, &again);
    let replayed: Vec<bool> = again
        .iter()
        .map(|result| result["replayed"] == true)
        .collect();
    assert_eq!(replayed, [true, true, false, true, true]);
    for index in [0, 1, 3, 4] {
        assert_eq!(first[index]["body"], again[index]["body"]);
    }
}

#[test]
fn the_longest_key_serves_every_item_and_another_list_of_items_is_noticed() {
    let scene = Scene::new();
    let longest = "k".repeat(255);
    let key = [("idempotency-key", longest.as_str())];
    let first = results(ask(&scene, "/bulk", &key, &five(&scene)));
    assert_five(&scene, &first);
    let mut other = five(&scene);
    other[1] = create("Five x");
    other.swap(3, 4);
    let noticed = results(ask(&scene, "/bulk", &key, &other));
    assert_eq!(statuses(&noticed), [201, 422, 200, 422, 422]);
    for index in [1, 3, 4] {
        assert_eq!(noticed[index]["problem"]["code"], "idempotency-key-reused");
    }
    assert_eq!(clients_named(&scene.world, "Five x"), 0);
    let odd = ask(
        &scene,
        "/bulk",
        &[("idempotency-key", "short")],
        &five(&scene),
    );
    expect_problem(&scene.world, &odd, 400, "invalid-idempotency-key");
    assert_eq!(
        number(
            &scene.world,
            "SELECT count(*) FROM clients WHERE starts_with(name, 'Five')"
        ),
        4
    );
}

#[test]
fn a_token_that_is_revoked_meanwhile_stops_what_follows() {
    let scene = Scene::new();
    let Scene { world, tenant, .. } = &scene;
    let scopes = "grantor:clients.write grantor:clients.disable";
    let token = world.token(&tenant.id, &tenant.admin, scopes);
    let authorization = format!("Bearer {token}");
    let body = json!({ "items": five(&scene) }).to_string();
    let answer = while_it_waits(
        world,
        &lock_of(&scene.subject),
        || {
            let url = scene.url("/bulk");
            send_to(world, "POST", &url, &authorization, &[], &body)
        },
        || assert_eq!(world.revoke(&tenant.id, &tenant.admin, &token).status, 200),
    );
    let results = results(answer);
    assert_eq!(statuses(&results), [201, 201, 200, 401, 401]);
    assert_eq!(results[3]["problem"]["code"], "unauthenticated");
    for name in ["Five 3", "Five 4"] {
        assert_eq!(clients_named(world, name), 0, "{name}");
    }
    let path = path_of(&scene.subject);
    assert_eq!(
        send(&scene, "GET", &path, &[], "").text("/status"),
        "disabled"
    );
}
