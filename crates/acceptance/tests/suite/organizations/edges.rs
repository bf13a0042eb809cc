//! What is refused: too deep, ill-formed, not there.

use serde_json::{Value, json};

use super::{make, path_to, put_under, root_of, shown, tree, under};
use crate::asking::send;
use crate::operations::{Scene, expect_problem, without_request_id};

/// Makes so many groups, one below the other; tells their ids.
fn chain(scene: &Scene, top: &str, length: usize) -> Vec<String> {
    let mut made: Vec<String> = Vec::new();
    for _ in 0..length {
        let parent = made.last().map_or(top, String::as_str);
        made.push(make(scene, Some(parent), "G"));
    }
    made
}

#[track_caller]
fn expect_too_deep(scene: &Scene, answer: &grantor_acceptance::Answer) {
    let problem = expect_problem(&scene.world, answer, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/parent_id");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("too deep"), "{detail}");
}

#[test]
fn org_1_a_tree_is_32_deep_and_not_33() {
    let scene = Scene::new();
    let root = root_of(&scene);
    // With the root 32.
    let deep = chain(&scene, &root, 31);
    let lowest = deep.last().unwrap();
    let body = json!({ "name": "Too deep", "parent_id": lowest }).to_string();
    let refused = send(&scene, "POST", "/organizations", &[], &body);
    expect_too_deep(&scene, &refused);

    // What is moved is counted with all that lies below it.
    let other = chain(&scene, &root, 3);
    expect_too_deep(&scene, &put_under(&scene, &other[0], lowest));
    expect_too_deep(&scene, &put_under(&scene, &other[0], &deep[28]));
    put_under(&scene, &other[0], &deep[27]).expect(200);
    let seen = shown(&scene, &other[2]);
    assert_eq!(seen["parent_id"], json!(other[1]));
    // Whoever manages the whole tree reaches its lowest end.
    let change = json!({ "name": "Lowest" }).to_string();
    send(&scene, "PATCH", &path_to(&other[2]), &[], &change).expect(200);
    assert!(tree(&scene, &format!("?root={}", deep[27])).contains("G(G(Lowest))"));
}

#[test]
fn org_1_nothing_is_put_under_itself() {
    let scene = Scene::new();
    let way = chain(&scene, &root_of(&scene), 3);
    for to in &way {
        let refused = put_under(&scene, &way[0], to);
        let problem = expect_problem(&scene.world, &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/parent_id");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("neither this one nor one below it"),
            "{detail}"
        );
    }
    assert_eq!(tree(&scene, ""), "Acme(G(G(G)))");
}

/// Sends a body and expects that it is refused for one field.
#[track_caller]
fn expect_fault(scene: &Scene, method: &str, path: &str, body: &Value, pointer: &str) {
    let answer = send(scene, method, path, &[], &body.to_string());
    let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], pointer, "{method} {body}");
}

#[test]
fn each_field_that_is_ill_formed_is_named() {
    let scene = Scene::new();
    let group = make(&scene, None, "Group");
    let path = path_to(&group);
    let before = tree(&scene, "");
    for name in [
        json!(""),
        json!("  "),
        json!(" x"),
        json!("a\u{0}"),
        json!("a\nb"),
        json!("a\u{202e}b"),
        json!("x".repeat(101)),
        json!(7),
        json!(["x"]),
    ] {
        let body = json!({ "name": name });
        expect_fault(&scene, "POST", "/organizations", &body, "/name");
        expect_fault(&scene, "PATCH", &path, &body, "/name");
    }
    let body = json!({ "name": null });
    expect_fault(&scene, "POST", "/organizations", &body, "/name");
    for parent in [
        json!(""),
        json!("x"),
        json!("org_"),
        json!("org_01kb2q3r4s5t6v7w8x9y0z1a2"),
        json!("org_81kb2q3r4s5t6v7w8x9y0z1a2b"),
        json!("ten_01kb2q3r4s5t6v7w8x9y0z1a2b"),
        json!("org_01kb2q3r4s5t6v7w8x9y0z1a2b"),
        json!(scene.tenant.id),
        json!(7),
        json!({}),
    ] {
        let body = json!({ "name": "New", "parent_id": parent });
        expect_fault(&scene, "POST", "/organizations", &body, "/parent_id");
        let body = json!({ "parent_id": parent });
        let mover = format!("{path}/move");
        expect_fault(&scene, "POST", &mover, &body, "/parent_id");
        let body = json!({ "parent_id": parent });
        expect_fault(&scene, "PATCH", &path, &body, "/parent_id");
    }
    expect_fault(
        &scene,
        "PATCH",
        &path,
        &json!({ "revision": 9 }),
        "/revision",
    );
    // Everything that is wrong is told at once.
    let body = json!({ "name": "", "parent_id": "x" }).to_string();
    let answer = send(&scene, "POST", "/organizations", &[], &body);
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 2);
    for (method, path, body) in [
        ("POST", "/organizations".to_owned(), json!({})),
        (
            "POST",
            "/organizations".to_owned(),
            json!({ "name": "New", "more": 1 }),
        ),
        ("POST", format!("{path}/move"), json!({})),
        ("POST", format!("{path}/move"), json!({ "parent_id": null })),
        ("PATCH", path.clone(), json!({ "nothing": 1 })),
    ] {
        let answer = send(&scene, method, &path, &[], &body.to_string());
        expect_problem(&scene.world, &answer, 422, "invalid-field");
    }
    assert_eq!(tree(&scene, ""), before);
}

#[test]
fn each_parameter_that_is_ill_formed_is_named() {
    let scene = Scene::new();
    let group = make(&scene, None, "Group");
    for (query, name) in [
        ("/organizations?parent=x", "parent"),
        ("/organizations?parent=", "parent"),
        ("/organizations?name=", "name"),
        ("/organizations?sort=revision", "sort"),
        ("/organizations/tree?depth=0", "depth"),
        ("/organizations/tree?depth=33", "depth"),
        ("/organizations/tree?depth=-1", "depth"),
        ("/organizations/tree?depth=x", "depth"),
        ("/organizations/tree?root=x", "root"),
        (
            "/organizations/tree?root=cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
            "root",
        ),
        ("/organizations/tree?limit=1", "limit"),
    ] {
        let answer = send(&scene, "GET", query, &[], "");
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], name, "{query}");
    }
    let path = path_to(&group);
    let unconfirmed = send(&scene, "DELETE", &path, &[], "");
    let problem = expect_problem(&scene.world, &unconfirmed, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["parameter"], "confirm_name");
    for typed in ["group", "Group%20", "Grou", "Acme"] {
        let path = format!("{path}?confirm_name={typed}");
        let refused = send(&scene, "DELETE", &path, &[], "");
        expect_problem(&scene.world, &refused, 422, "confirmation-mismatch");
    }
    assert_eq!(tree(&scene, ""), "Acme(Group)");
}

#[test]
fn tenant_1_an_organization_of_another_tenant_is_like_one_that_never_was() {
    let scene = Scene::new();
    let group = make(&scene, None, "Group");
    let other = scene.world.tenant("Other");
    let other_client = scene.world.client(&other, "Theirs", &[]);
    let url = scene.world.api(&format!(
        "/v1/tenants/{}/clients/{}",
        other.id, other_client.client_id
    ));
    let admin = scene.world.as_admin(&other);
    let theirs = scene
        .world
        .http
        .get(&url, &[("authorization", &admin)])
        .text("/organization_id");
    let requests = |id: &str| {
        vec![
            ("GET", path_to(id), String::new()),
            ("PATCH", path_to(id), json!({ "name": "New" }).to_string()),
            ("POST", format!("{}/move", path_to(id)), under(&group)),
            (
                "DELETE",
                format!("{}?confirm_name=Other", path_to(id)),
                String::new(),
            ),
            (
                "POST",
                "/organizations".to_owned(),
                json!({ "name": "New", "parent_id": id }).to_string(),
            ),
            ("POST", format!("{}/move", path_to(&group)), under(id)),
            (
                "GET",
                format!("/organizations/tree?root={id}"),
                String::new(),
            ),
            ("GET", format!("/organizations?parent={id}"), String::new()),
        ]
    };
    let never = "org_01kb2q3r4s5t6v7w8x9y0z1a2b";
    for ((method, foreign, body), (_, unknown, unknown_body)) in
        requests(&theirs).into_iter().zip(requests(never))
    {
        let foreign = send(&scene, method, &foreign, &[], &body);
        let unknown = send(&scene, method, &unknown, &[], &unknown_body);
        assert_eq!(
            without_request_id(&foreign).2,
            without_request_id(&unknown).2,
            "{method} {body}"
        );
        assert_eq!(foreign.status, unknown.status);
        assert!(foreign.status >= 400 || foreign.json()["items"] == json!([]));
    }
    assert_eq!(tree(&scene, ""), "Acme(Group)");
}
