//! RFC 6750: how the management API takes bearer tokens. What it answers without one, and to one that is not good, is in
//! `authorization`, for every operation.

use grantor_acceptance::{Answer, World};
use serde_json::json;

use crate::operations::{Scene, expect_problem};

fn ask(scene: &Scene, path: &str, headers: &[(&str, &str)], method: &str, body: &str) -> Answer {
    scene
        .world
        .http
        .send(method, &scene.url(path), headers, body.as_bytes())
}

#[track_caller]
fn is_nobody(scene: &Scene, answer: &Answer) {
    expect_problem(&scene.world, answer, 401, "unauthenticated");
    // RFC 6750 §3.1: of what is not looked at, nothing is told.
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="grantor""#)
    );
}

#[test]
fn rfc6750_2_1_a_token_is_taken_from_the_header() {
    let scene = Scene::new();
    let token = scene.admin.trim_start_matches("Bearer ");
    for header in [
        format!("Bearer {token}"),
        format!("bearer {token}"),
        format!("BEARER  {token}"),
    ] {
        let answer = ask(&scene, "/clients", &[("authorization", &header)], "GET", "");
        assert_eq!(answer.status, 200, "{header}: {}", answer.body);
    }
}

#[test]
fn rfc6750_2_2_no_token_is_taken_from_a_body() {
    let scene = Scene::new();
    let token = scene.admin.trim_start_matches("Bearer ");
    let form = format!("access_token={token}");
    let body = json!({ "name": "Made", "access_token": token }).to_string();
    for (content_type, body) in [
        ("application/x-www-form-urlencoded", &form),
        ("application/json", &body),
    ] {
        let answer = ask(
            &scene,
            "/clients",
            &[("content-type", content_type)],
            "POST",
            body,
        );
        is_nobody(&scene, &answer);
    }
    // Beside a good header it is a field like any other that does not exist, and not repeated.
    let headers = [
        ("authorization", scene.admin.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = ask(&scene, "/clients", &headers, "POST", &body);
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(!answer.body.contains(token));
}

#[test]
fn rfc6750_2_3_no_token_is_taken_from_a_query() {
    let scene = Scene::new();
    let token = scene.admin.trim_start_matches("Bearer ");
    let path = format!("/clients?access_token={token}");
    is_nobody(&scene, &ask(&scene, &path, &[], "GET", ""));
    // RFC 6750 §2: one way alone. Beside a good header it makes the request a bad one, and is not repeated.
    let headers = [("authorization", scene.admin.as_str())];
    let answer = ask(&scene, &path, &headers, "GET", "");
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(!answer.body.contains(token));
}

#[test]
fn rfc6750_3_1_a_token_that_is_good_but_not_for_this_is_told_the_scope() {
    let scene = Scene::new();
    let Scene { world, tenant, .. } = &scene;
    let narrow = World::bearer(&world.token(&tenant.id, &tenant.admin, "grantor:clients.read"));
    let headers = [
        ("authorization", narrow.as_str()),
        ("content-type", "application/json"),
    ];
    let answer = ask(&scene, "/clients", &headers, "POST", "{}");
    expect_problem(world, &answer, 403, "forbidden");
    let challenge = answer.header("www-authenticate").unwrap();
    for part in [
        r#"Bearer realm="grantor""#,
        r#"error="insufficient_scope""#,
        r#"scope="grantor:clients.write""#,
    ] {
        assert!(challenge.contains(part), "{challenge}");
    }
    // With that scope it is good.
    let wide = World::bearer(&world.token(&tenant.id, &tenant.admin, "grantor:clients.write"));
    let headers = [
        ("authorization", wide.as_str()),
        ("content-type", "application/json"),
    ];
    assert_eq!(ask(&scene, "/clients", &headers, "POST", "{}").status, 422);
}

#[test]
fn rfc6750_5_3_what_a_token_opened_is_stored_by_nobody_else() {
    let scene = Scene::new();
    for path in ["/clients", "/audit-events", "/resource-servers"] {
        let answer = scene.call("GET", path, "");
        assert_eq!(answer.status, 200, "{}", answer.body);
        let control = answer.header("cache-control").unwrap();
        assert!(
            control.contains("no-store") || control.contains("private"),
            "{control}"
        );
    }
}
