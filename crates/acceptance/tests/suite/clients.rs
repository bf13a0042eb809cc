//! What becomes of clients: made, listed, read, paused, deleted, given new secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;

use chrono::TimeDelta;
use grantor_acceptance::{Answer, Credentials, Replica, World};
use serde_json::{Value, json};

use crate::operations::{SUBJECT, Scene, expect_problem};

/// An answer with what differs from run to run replaced by what kind of thing it is.
fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let (kind, rest) = text.split_once('_').unwrap_or((text, ""));
            let is_id = rest.len() == 26 && kind.len() == 3;
            json!(match kind {
                "gsec" => format!("gsec_({} characters)", rest.len()),
                _ if is_id => format!("({kind})"),
                _ => text.clone(),
            })
        }
        Value::Array(items) => items.iter().map(redacted).collect(),
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            sorted
                .into_iter()
                .map(|(name, value)| (name.clone(), redacted(value)))
                .collect()
        }
        other => other.clone(),
    }
}

/// Whether a client's credentials are good at a replica's token server.
fn is_let_in(world: &World, replica: &Replica, tenant: &str, client: &Credentials) -> bool {
    let answer = world.http.post_form(
        &format!("{}/t/{tenant}/introspect", replica.token),
        &[("authorization", &client.basic())],
        "token=x",
    );
    match answer.status {
        200 => true,
        401 => false,
        other => panic!("{other}: {}", answer.body),
    }
}

fn rotate(scene: &Scene, replica: &Replica, client: &str) -> Answer {
    scene.world.http.post_json(
        &format!(
            "{}/v1/tenants/{}/clients/{client}/secrets/rotate",
            replica.api, scene.tenant.id
        ),
        &[("authorization", &scene.admin)],
        &json!({ "confirm_name": SUBJECT }),
    )
}

#[test]
fn client_1_a_made_client_shows_every_setting_and_its_secret_once() {
    let scene = Scene::new();
    scene.world.advance(TimeDelta::milliseconds(1_500));
    let body = json!({ "name": "Nightly export", "description": "Exports\norders",
        "profile": "service", "owner_contact": { "name": "Ada", "email": "ada@acme.example" },
        "allowed_scopes": ["grantor:clients.read", "grantor:audit.read", "grantor:clients.read"],
        "require_requested_scopes": false, "access_token_lifetime_seconds": 60,
        "token_endpoint_auth_method": "client_secret_post" });
    let made = scene.create(&body.to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let id = made.text("/id");
    assert_eq!(
        made.header("location"),
        Some(scene.url(&format!("/clients/{id}")).as_str())
    );
    let secret = made.text("/secret/value");
    assert!(secret.starts_with(&made.text("/secret/hint")));
    let mut json = made.json();
    json["secret"]["hint"] = json!("(hint)");
    insta::assert_json_snapshot!(redacted(&json), @r#"
    {
      "access_token_lifetime_seconds": 60,
      "allowed_ips": [],
      "allowed_scopes": [
        "grantor:audit.read",
        "grantor:clients.read"
      ],
      "created_at": "2025-06-01T12:00:01.500Z",
      "description": "Exports\norders",
      "grant_types": [
        "client_credentials"
      ],
      "homepage": null,
      "id": "(cli)",
      "last_used_at": null,
      "live_access_tokens": {
        "count": 0,
        "label": "0",
        "more": false
      },
      "logo": null,
      "max_live_tokens": null,
      "my_live_access_tokens": null,
      "name": "Nightly export",
      "organization_id": "(org)",
      "owner_contact": {
        "email": "ada@acme.example",
        "name": "Ada"
      },
      "owner_id": "(mem)",
      "pauses": [],
      "post_logout_redirect_uris": [],
      "profile": "service",
      "redirect_uris": [],
      "refresh_token_lifetime_seconds": null,
      "require_pkce": true,
      "require_requested_scopes": false,
      "revision": 1,
      "secret": {
        "created_at": "2025-06-01T12:00:01.500Z",
        "hint": "(hint)",
        "id": "(sec)",
        "value": "gsec_(49 characters)"
      },
      "secret_updated_at": "2025-06-01T12:00:01.500Z",
      "status": "active",
      "token_endpoint_auth_method": "client_secret_post",
      "tokens_per_minute": null,
      "type": "confidential",
      "updated_at": "2025-06-01T12:00:01.500Z"
    }
    "#);

    let read = scene.call("GET", &format!("/clients/{id}"), "");
    let mut expected = made.json();
    expected.as_object_mut().unwrap().remove("secret");
    assert_eq!(
        read.expect(200),
        expected,
        "reading shows the same, but for the secret"
    );
}

#[test]
fn client_11_defaults_are_those_of_the_rules() {
    let scene = Scene::new();
    let path = format!("/clients/{}", scene.subject.client_id);
    insta::assert_json_snapshot!(redacted(&scene.call("GET", &path, "").json()), @r#"
    {
      "access_token_lifetime_seconds": 3600,
      "allowed_ips": [],
      "allowed_scopes": [],
      "created_at": "2025-06-01T12:00:00Z",
      "description": "",
      "grant_types": [
        "client_credentials"
      ],
      "homepage": null,
      "id": "(cli)",
      "last_used_at": null,
      "live_access_tokens": {
        "count": 0,
        "label": "0",
        "more": false
      },
      "logo": null,
      "max_live_tokens": null,
      "my_live_access_tokens": null,
      "name": "Subject",
      "organization_id": "(org)",
      "owner_contact": {
        "email": "owner@example.com",
        "name": null
      },
      "owner_id": "(mem)",
      "pauses": [],
      "post_logout_redirect_uris": [],
      "profile": "service",
      "redirect_uris": [],
      "refresh_token_lifetime_seconds": null,
      "require_pkce": true,
      "require_requested_scopes": true,
      "revision": 1,
      "secret_updated_at": "2025-06-01T12:00:00Z",
      "status": "active",
      "token_endpoint_auth_method": "client_secret_basic",
      "tokens_per_minute": null,
      "type": "confidential",
      "updated_at": "2025-06-01T12:00:00Z"
    }
    "#);
}

#[test]
fn tenant_answers_are_as_documented() {
    let scene = Scene::new();
    let read = scene.world.http.get(
        &scene.url(""),
        &[("authorization", &scene.world.as_operator())],
    );
    let json = redacted(&read.expect(200));
    let issuer = format!("https://login.grantor.example/t/{}", scene.tenant.id);
    assert_eq!(json["issuer"], json!(issuer));
    let mut json = json;
    json["issuer"] = json!("(issuer)");
    json["revision"] = json!("(revision)");
    insta::assert_json_snapshot!(json, @r#"
    {
      "created_at": "2025-06-01T12:00:00Z",
      "id": "(ten)",
      "is_platform": false,
      "issuer": "(issuer)",
      "name": "Acme",
      "revision": "(revision)",
      "root_organization_id": "(org)",
      "status": "active",
      "updated_at": "2025-06-01T12:00:00Z"
    }
    "#);
}

#[test]
fn client_8_a_walk_over_120_clients_sees_each_once_in_the_order_of_their_making() {
    let scene = Scene::new();
    let mut made = vec![
        scene.tenant.admin.client_id.clone(),
        scene.subject.client_id.clone(),
    ];
    made.sort();
    for number in 0..118 {
        scene.world.advance(TimeDelta::milliseconds(1));
        let body = json!({ "name": format!("Client {number}"), "profile": "service", "owner_contact": { "email": "a@b.example" } });
        made.push(scene.create(&body.to_string()).text("/id"));
    }
    let mut walked = Vec::new();
    let mut sizes = Vec::new();
    let mut path = "/clients?limit=50".to_owned();
    loop {
        let page = scene.call("GET", &path, "").expect(200);
        let items = page["items"].as_array().unwrap();
        sizes.push(items.len());
        walked.extend(
            items
                .iter()
                .map(|item| item["id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            // What is made during the walk comes at its end, what is deleted leaves no gap.
            Some(cursor) => path = format!("/clients?limit=50&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(sizes, [50, 50, 20]);
    assert_eq!(walked, made);
    let by_default = scene.call("GET", "/clients", "").expect(200);
    assert_eq!(by_default["items"].as_array().unwrap().len(), 50);
    let exactly = scene.call("GET", "/clients?limit=120", "").expect(200);
    assert!(exactly["next_cursor"].is_null());
    assert!(!exactly.to_string().contains("gsec_"));
}

#[test]
fn client_8_a_cursor_outlives_the_client_it_was_cut_at() {
    let scene = Scene::new();
    for name in ["A", "B", "C"] {
        scene.world.advance(TimeDelta::milliseconds(1));
        let body = json!({ "name": name, "profile": "service", "owner_contact": { "email": "a@b.example" } });
        assert_eq!(scene.create(&body.to_string()).status, 201);
    }
    let first = scene.call("GET", "/clients?limit=3", "").expect(200);
    let last = &first["items"][2];
    assert_eq!(last["name"], "A");
    let path = format!("/clients/{}?confirm_name=A", last["id"].as_str().unwrap());
    assert_eq!(scene.call("DELETE", &path, "").status, 204);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = scene
        .call("GET", &format!("/clients?limit=3&cursor={cursor}"), "")
        .expect(200);
    let names: Vec<_> = rest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["B", "C"]);
}

#[test]
fn secret_3_rotation_stops_the_old_secret_at_once_everywhere_and_tokens_live_on() {
    let scene = Scene::new();
    let Scene {
        world,
        tenant,
        admin,
        ..
    } = &scene;
    let other = world.another_replica();
    // The administrator's own client: its token is the one that must live on.
    let old = &tenant.admin;
    let answer = world.http.post_json(
        &scene.url(&format!("/clients/{}/secrets/rotate", old.client_id)),
        &[("authorization", admin)],
        &json!({ "confirm_name": "Administration" }),
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let new = Credentials {
        client_id: old.client_id.clone(),
        client_secret: answer.text("/secret/value"),
    };
    assert_eq!(
        answer.json()["revoked_secret_ids"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for replica in [&world.replica, &other] {
        assert!(!is_let_in(world, replica, &tenant.id, old));
        assert!(is_let_in(world, replica, &tenant.id, &new));
    }
    assert_eq!(
        scene.call("GET", "/clients", "").status,
        200,
        "the token lives on"
    );
}

#[test]
fn secret_3_of_many_rotations_at_once_exactly_one_secret_is_live() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let client = &scene.subject.client_id;
    let mut live_before = scene.subject.client_secret.clone();
    for _ in 0..3 {
        let start = Barrier::new(8);
        let secrets: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|number| {
                    let (scene, start) = (&scene, &start);
                    let replica = if number % 2 == 0 {
                        &scene.world.replica
                    } else {
                        &other
                    };
                    scope.spawn(move || {
                        start.wait();
                        let answer = rotate(scene, replica, client);
                        assert_eq!(answer.status, 200, "{}", answer.body);
                        answer.text("/secret/value")
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(secrets.iter().collect::<BTreeSet<_>>().len(), 8);
        let live: Vec<_> = secrets
            .iter()
            .chain([&live_before])
            .filter(|secret| {
                let credentials = Credentials {
                    client_id: client.clone(),
                    client_secret: (*secret).clone(),
                };
                is_let_in(&scene.world, &other, &scene.tenant.id, &credentials)
            })
            .cloned()
            .collect();
        assert_eq!(live.len(), 1);
        live_before.clone_from(&live[0]);
    }
}

/// Where a client's token may be good: introspection, the management API, and a new token.
fn what_works(
    world: &World,
    replica: &Replica,
    tenant: &str,
    checker: &Credentials,
    client: &Credentials,
    tokens: &[&str; 2],
) -> [bool; 3] {
    let introspected = world.http.post_form(
        &format!("{}/t/{tenant}/introspect", replica.token),
        &[("authorization", &checker.basic())],
        &format!("token={}", tokens[0]),
    );
    let active = introspected.expect(200)["active"] == json!(true);
    // Its token has no role behind it: good is 403, not good is 401.
    let called = world.http.get(
        &format!("{}/v1/tenants/{tenant}/clients", replica.api),
        &[("authorization", &World::bearer(tokens[1]))],
    );
    assert!(matches!(called.status, 401 | 403), "{}", called.body);
    let issued = world.http.post_form(
        &format!("{}/t/{tenant}/token", replica.token),
        &[("authorization", &client.basic())],
        "grant_type=client_credentials&scope=orders.api:read",
    );
    assert!(matches!(issued.status, 200 | 401), "{}", issued.body);
    [active, called.status == 403, issued.status == 200]
}

#[test]
fn pause_2_pause_3_pause_4_disabling_holds_everywhere_and_enabling_brings_back_what_did_not_expire()
{
    let scene = Scene::new();
    let Scene { world, tenant, .. } = &scene;
    world.advance(TimeDelta::seconds(1));
    let checker = world.client(tenant, "Checker", &[]);
    world.orders_api(tenant, &[&checker]);
    let client = world.client(
        tenant,
        "Machine",
        &["orders.api:read", "grantor:clients.read"],
    );
    let other = world.another_replica();
    let early = world.token(&tenant.id, &client, "orders.api:read");
    let early_api = world.token(&tenant.id, &client, "grantor:clients.read");
    world.advance(TimeDelta::minutes(30));
    let admin = world.as_admin(tenant);
    let late = world.token(&tenant.id, &client, "orders.api:read");
    let late_api = world.token(&tenant.id, &client, "grantor:clients.read");
    let works = |tokens: [&str; 2]| {
        [&world.replica, &other]
            .map(|replica| what_works(world, replica, &tenant.id, &checker, &client, &tokens))
    };
    let turn = |verb: &str| {
        world.http.send(
            "POST",
            &scene.url(&format!("/clients/{}/{verb}", client.client_id)),
            &[("authorization", &admin)],
            b"",
        )
    };
    assert_eq!(works([&early, &early_api]), [[true; 3]; 2]);

    let disabled = turn("disable").expect(200);
    assert_eq!(disabled["status"], "disabled");
    assert_eq!(disabled["pauses"][0]["by"], "tenant");
    assert_eq!(works([&early, &early_api]), [[false; 3]; 2]);
    assert_eq!(works([&late, &late_api]), [[false; 3]; 2]);
    assert!(
        !is_let_in(world, &other, &tenant.id, &client),
        "it introspects nothing"
    );
    assert_eq!(
        world.revoke(&tenant.id, &client, &late).status,
        401,
        "nor revokes"
    );

    // pause_3: lifetimes run on; the early tokens expire meanwhile.
    world.advance(TimeDelta::minutes(30));
    let enabled = turn("enable").expect(200);
    assert_eq!(enabled["status"], "active");
    assert_eq!(enabled["pauses"], json!([]));
    assert_eq!(works([&late, &late_api]), [[true; 3]; 2]);
    assert_eq!(works([&early, &early_api]), [[false, false, true]; 2]);
}

#[test]
fn pause_1_disabling_and_enabling_again_changes_nothing_and_leaves_no_event() {
    let scene = Scene::new();
    let path = format!("/clients/{}", scene.subject.client_id);
    let count = |action: &str| {
        let events = scene.events();
        events
            .iter()
            .filter(|event| event["action"] == action)
            .count()
    };
    let first = scene
        .call(
            "POST",
            &format!("{path}/disable"),
            r#"{"reason":"It hammers"}"#,
        )
        .expect(200);
    assert_eq!(first["pauses"][0]["reason"], "It hammers");
    scene.world.advance(TimeDelta::seconds(5));
    let second = scene
        .call(
            "POST",
            &format!("{path}/disable"),
            r#"{"reason":"Another"}"#,
        )
        .expect(200);
    assert_eq!(second, first, "the first reason and time stay");
    assert_eq!(count("client.disabled"), 1);
    let first = scene
        .call("POST", &format!("{path}/enable"), "")
        .expect(200);
    scene.world.advance(TimeDelta::seconds(5));
    let second = scene
        .call("POST", &format!("{path}/enable"), "")
        .expect(200);
    assert_eq!(second, first);
    assert_eq!(count("client.enabled"), 1);
    assert!(first["revision"].as_i64() > Some(1), "{first}");
}

#[test]
fn client_7_a_deleted_client_its_tokens_secrets_and_id_are_gone_for_good() {
    let scene = Scene::new();
    let Scene { world, tenant, .. } = &scene;
    world.advance(TimeDelta::seconds(1));
    let checker = world.client(tenant, "Checker", &[]);
    world.orders_api(tenant, &[&checker]);
    let client = world.client(
        tenant,
        "Röbert & Sons + 1%",
        &["orders.api:read", "grantor:clients.read"],
    );
    let other = world.another_replica();
    let token = world.token(&tenant.id, &client, "orders.api:read");
    let api_token = world.token(&tenant.id, &client, "grantor:clients.read");
    let path = format!("/clients/{}", client.client_id);
    let deleted = scene.call(
        "DELETE",
        &format!("{path}?confirm_name=R%C3%B6bert+%26%20Sons%20%2B%201%25"),
        "",
    );
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    for replica in [&world.replica, &other] {
        let works = what_works(
            world,
            replica,
            &tenant.id,
            &checker,
            &client,
            &[&token, &api_token],
        );
        assert_eq!(works, [false; 3]);
        assert!(!is_let_in(world, replica, &tenant.id, &client));
    }
    for (method, path, body) in [
        ("GET", path.clone(), ""),
        ("DELETE", format!("{path}?confirm_name=x"), ""),
        ("POST", format!("{path}/disable"), ""),
        ("POST", format!("{path}/enable"), ""),
        (
            "POST",
            format!("{path}/secrets/rotate"),
            r#"{"confirm_name":"x"}"#,
        ),
    ] {
        expect_problem(world, &scene.call(method, &path, body), 404, "not-found");
    }
    let list = scene.call("GET", "/clients", "").body;
    assert!(!list.contains(&client.client_id));
    assert!(
        !world.is_active(&tenant.id, &checker, &token),
        "and nothing above brought it back"
    );
    let events = scene.events();
    let deletion = events
        .iter()
        .find(|event| event["action"] == "client.deleted")
        .unwrap();
    assert_eq!(deletion["before"]["name"], "Röbert & Sons + 1%");
}

#[test]
fn client_7_of_a_disabling_and_deletions_at_once_the_deletion_wins() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    for round in 0..4 {
        scene.world.advance(TimeDelta::seconds(1));
        let client = scene
            .world
            .client(&scene.tenant, SUBJECT, &["grantor:clients.read"]);
        let token = World::bearer(&scene.world.token(
            &scene.tenant.id,
            &client,
            "grantor:clients.read",
        ));
        let start = Barrier::new(6);
        let answers: Vec<(&str, u16)> = std::thread::scope(|scope| {
            let threads: Vec<_> = ["disable", "delete", "enable", "delete", "disable", "rotate"]
                .into_iter()
                .enumerate()
                .map(|(number, what)| {
                    let (scene, start, client) = (&scene, &start, &client.client_id);
                    let replica = if (number + round) % 2 == 0 {
                        &scene.world.replica
                    } else {
                        &other
                    };
                    let base = format!(
                        "{}/v1/tenants/{}/clients/{client}",
                        replica.api, scene.tenant.id
                    );
                    scope.spawn(move || {
                        start.wait();
                        let headers = [("authorization", scene.admin.as_str())];
                        let answer = match what {
                            "delete" => scene.world.http.send(
                                "DELETE",
                                &format!("{base}?confirm_name={SUBJECT}"),
                                &headers,
                                b"",
                            ),
                            "rotate" => rotate(scene, replica, client),
                            verb => scene.world.http.send(
                                "POST",
                                &format!("{base}/{verb}"),
                                &headers,
                                b"",
                            ),
                        };
                        (what, answer.status)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        let deletions: Vec<u16> = answers
            .iter()
            .filter(|(what, _)| *what == "delete")
            .map(|(_, status)| *status)
            .collect();
        assert!(
            deletions == [204, 404] || deletions == [404, 204],
            "one deletion did it: {answers:?}"
        );
        assert!(
            answers
                .iter()
                .all(|(_, status)| matches!(status, 200 | 204 | 404)),
            "{answers:?}"
        );
        let path = format!("/clients/{}", client.client_id);
        expect_problem(
            &scene.world,
            &scene.call("GET", &path, ""),
            404,
            "not-found",
        );
        let called = scene
            .world
            .http
            .get(&scene.url("/clients"), &[("authorization", &token)]);
        assert_eq!(called.status, 401);
        assert!(!is_let_in(&scene.world, &other, &scene.tenant.id, &client));
    }
}
