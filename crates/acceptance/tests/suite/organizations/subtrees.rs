//! Who manages a part of the tree, and what they see of the rest.

use grantor_acceptance::{Answer, Credentials, World};
use grantor_domain::role::BuiltInRole;
use serde_json::{Value, json};

use super::{make, path_to, put_under, root_of, settle, tree, under, written};
use crate::asking::{give_role, send, send_to};
use crate::operations::{Scene, expect_problem, without_request_id};

const SCOPES: &[&str] = &[
    "grantor:organizations.read",
    "grantor:organizations.write",
    "grantor:clients.read",
];

/// `Acme(A(A1(A2)) B)`, and somebody who administers A.
struct Divided {
    scene: Scene,
    root: String,
    a: String,
    a1: String,
    a2: String,
    b: String,
    of_a: Credentials,
}

impl Divided {
    fn new() -> Self {
        let scene = Scene::new();
        let root = root_of(&scene);
        let a = make(&scene, None, "A");
        let a1 = make(&scene, Some(&a), "A1");
        let a2 = make(&scene, Some(&a1), "A2");
        let b = make(&scene, None, "B");
        let of_a = scene.world.client(&scene.tenant, "Of A", SCOPES);
        let divided = Self {
            scene,
            root,
            a,
            a1,
            a2,
            b,
            of_a,
        };
        divided.administers(&divided.a);
        divided
    }

    fn administers(&self, organization: &str) {
        let Scene { world, tenant, .. } = &self.scene;
        let over = organization.parse().unwrap();
        give_role(world, tenant, &self.of_a, BuiltInRole::Admin, over);
    }

    fn token(&self) -> String {
        let Scene { world, tenant, .. } = &self.scene;
        World::bearer(&world.token(&tenant.id, &self.of_a, &SCOPES.join(" ")))
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let url = self.scene.url(path);
        send_to(&self.scene.world, method, &url, &self.token(), &[], body)
    }

    fn refusals(&self) -> usize {
        let events = self.scene.events();
        let refusals = events
            .iter()
            .filter(|event| event["action"] == "access.refused");
        refusals.count()
    }
}

#[test]
fn role_2_within_a_subtree_everything_can_be_done() {
    let divided = Divided::new();
    let body = json!({ "name": "New", "parent_id": divided.a }).to_string();
    let made = divided.send("POST", "/organizations", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.json()["parent_id"], json!(divided.a));
    let new = made.text("/id");
    let change = json!({ "name": "Named" }).to_string();
    divided.send("PATCH", &path_to(&new), &change).expect(200);
    let path = format!("{}/move", path_to(&new));
    let moved = divided.send("POST", &path, &under(&divided.a2)).expect(200);
    assert_eq!(moved["parent_id"], json!(divided.a2));
    let path = format!("{}?confirm_name=Named", path_to(&new));
    divided.send("DELETE", &path, "").expect(204);
    // The top of it can be renamed: it is theirs.
    let renamed = divided
        .send("PATCH", &path_to(&divided.a), &change)
        .expect(200);
    assert_eq!(renamed["parent_id"], Value::Null);
    assert_eq!(tree(&divided.scene, ""), "Acme(B Named(A1(A2)))");
    assert_eq!(divided.refusals(), 0);
}

#[test]
fn role_2_what_lies_outside_a_subtree_is_like_what_never_was_and_the_attempt_is_on_record() {
    let divided = Divided::new();
    let before = tree(&divided.scene, "");
    let never = "org_01kb2q3r4s5t6v7w8x9y0z1a2b";
    let requests = |id: &str| {
        vec![
            ("GET", path_to(id), String::new()),
            ("PATCH", path_to(id), json!({ "name": "New" }).to_string()),
            ("POST", format!("{}/move", path_to(id)), under(&divided.a)),
            (
                "DELETE",
                format!("{}?confirm_name=B", path_to(id)),
                String::new(),
            ),
            (
                "POST",
                "/organizations".to_owned(),
                json!({ "name": "New", "parent_id": id }).to_string(),
            ),
            ("POST", format!("{}/move", path_to(&divided.a1)), under(id)),
            (
                "GET",
                format!("/organizations/tree?root={id}"),
                String::new(),
            ),
        ]
    };
    for outside in [&divided.root, &divided.b] {
        for ((method, path, body), (_, unknown_path, unknown_body)) in
            requests(outside).into_iter().zip(requests(never))
        {
            let refusals = divided.refusals();
            let refused = divided.send(method, &path, &body);
            assert_eq!(divided.refusals(), refusals + 1, "{method} {path}");
            let unknown = divided.send(method, &unknown_path, &unknown_body);
            assert_eq!(divided.refusals(), refusals + 1, "nobody was refused");
            assert!(refused.status >= 400, "{method} {path}");
            assert_eq!(refused.status, unknown.status, "{method} {path}");
            assert_eq!(
                without_request_id(&refused).2,
                without_request_id(&unknown).2,
                "{method} {path} {body}"
            );
        }
        let path = format!("/organizations?parent={outside}");
        let listed = divided.send("GET", &path, "").expect(200);
        assert_eq!(listed["items"], json!([]), "it would tell what lies there");
    }
    // Without a parent it would be made under the root.
    let refused = divided.send("POST", "/organizations", r#"{"name":"New"}"#);
    let problem = expect_problem(&divided.scene.world, &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/parent_id");
    assert_eq!(tree(&divided.scene, ""), before);
}

#[test]
fn role_2_the_top_of_a_subtree_is_moved_and_deleted_by_who_manages_what_lies_above() {
    let divided = Divided::new();
    let empty = make(&divided.scene, None, "Empty");
    divided.administers(&empty);
    let before = tree(&divided.scene, "");
    let path = format!("{}/move", path_to(&empty));
    let moved = divided.send("POST", &path, &under(&divided.a));
    let path = format!("{}?confirm_name=Empty", path_to(&empty));
    let deleted = divided.send("DELETE", &path, "");
    for refused in [moved, deleted] {
        let problem = expect_problem(&divided.scene.world, &refused, 403, "forbidden");
        let told = problem.to_string();
        assert!(told.contains("organizations.write"), "{told}");
        assert!(!told.contains(&divided.root), "{told}");
    }
    assert_eq!(divided.refusals(), 2);
    assert_eq!(tree(&divided.scene, ""), before);
    // The administrator of the whole may.
    put_under(&divided.scene, &empty, &divided.a).expect(200);
}

#[test]
fn role_2_lists_and_trees_show_a_subtree_and_nothing_of_what_lies_above_or_beside() {
    let divided = Divided::new();
    let listed = |path: &str| divided.send("GET", path, "").expect(200);
    let parents = |page: &Value| -> Vec<(String, Value)> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| {
                let name = item["name"].as_str().unwrap().to_owned();
                (name, item["parent_id"].clone())
            })
            .collect()
    };
    let of_a = vec![
        ("A".to_owned(), Value::Null),
        ("A1".to_owned(), json!(divided.a)),
        ("A2".to_owned(), json!(divided.a1)),
    ];
    let page = listed("/organizations?sort=name");
    assert_eq!(parents(&page), of_a);
    let seen = listed("/organizations/tree");
    assert_eq!(written(&seen["tops"]), "A(A1(A2))");
    let one = listed(&path_to(&divided.a));
    assert_eq!(one["parent_id"], Value::Null);
    for told in [&page, &seen, &one] {
        for hidden in [&divided.root, &divided.b] {
            assert!(!told.to_string().contains(hidden.as_str()), "{told}");
        }
    }
    let path = format!("/organizations?parent={}", divided.a1);
    assert_eq!(parents(&listed(&path)).len(), 1);

    // With roles over several there are several tops; one that lies below another is none.
    divided.administers(&divided.b);
    divided.administers(&divided.a2);
    let several = listed("/organizations/tree");
    assert_eq!(written(&several["tops"]), "A(A1(A2)) B");
    let cut = listed("/organizations/tree?depth=1");
    assert_eq!(written(&cut["tops"]), "A+ B");
    assert_eq!(parents(&listed("/organizations?sort=name")).len(), 4);
}

#[test]
fn role_2_a_move_changes_at_once_who_sees_what_lies_in_it() {
    let divided = Divided::new();
    let scene = &divided.scene;
    let group = make(scene, Some(&divided.b), "Group");
    let below = make(scene, Some(&group), "Below");
    let inside = scene.world.client(&scene.tenant, "Inside", &[]);
    settle(scene, &inside.client_id, &below);
    let path = format!("/clients/{}", inside.client_id);
    let token = divided.token();
    let look = || {
        let url = scene.url(&path);
        let one = send_to(&scene.world, "GET", &url, &token, &[], "").status;
        let url = scene.url("/clients");
        let listed = send_to(&scene.world, "GET", &url, &token, &[], "").expect(200);
        let count = listed["items"].as_array().unwrap().len();
        (one, count)
    };
    for _ in 0..3 {
        assert_eq!(look(), (404, 0));
        put_under(scene, &group, &divided.a2).expect(200);
        assert_eq!(look(), (200, 1));
        put_under(scene, &group, &divided.b).expect(200);
    }
    assert_eq!(look(), (404, 0));
    let seen = send(scene, "GET", &path, &[], "").expect(200);
    assert_eq!(seen["organization_id"], json!(below));
}
