//! The tree of organizations: what can be done to it, and that it stays a tree.

mod edges;
mod subtrees;

use std::collections::BTreeSet;

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use grantor_acceptance::{Answer, World};
use grantor_domain::ids::{ClientId, OrganizationId};
use serde_json::{Value, json};

use crate::asking::{organization_of, read, send, send_at};
use crate::operations::{Scene, expect_problem};

/// Makes a business group, under the root or another organization; tells its id.
#[track_caller]
fn make(scene: &Scene, parent: Option<&str>, name: &str) -> String {
    let mut body = json!({ "name": name });
    if let Some(parent) = parent {
        body["parent_id"] = json!(parent);
    }
    let made = send(scene, "POST", "/organizations", &[], &body.to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    made.text("/id")
}

fn root_of(scene: &Scene) -> String {
    organization_of(scene, &scene.subject).to_string()
}

fn path_to(id: &str) -> String {
    format!("/organizations/{id}")
}

#[track_caller]
fn shown(scene: &Scene, id: &str) -> Value {
    send(scene, "GET", &path_to(id), &[], "").expect(200)
}

fn under(id: &str) -> String {
    json!({ "parent_id": id }).to_string()
}

fn put_under(scene: &Scene, id: &str, parent: &str) -> Answer {
    let path = format!("{}/move", path_to(id));
    send(scene, "POST", &path, &[], &under(parent))
}

fn uuid_of(organization: &str) -> String {
    let id: OrganizationId = organization.parse().unwrap();
    id.uuid().to_string()
}

/// Lets a client live in an organization. No endpoint moves clients yet.
fn settle(scene: &Scene, client: &str, organization: &str) {
    let client: ClientId = client.parse().unwrap();
    let sql = format!(
        "UPDATE clients SET organization_id = '{}' WHERE id = '{}'",
        uuid_of(organization),
        client.uuid()
    );
    let mut database = scene.world.database.superuser();
    database.batch_execute(&sql).unwrap();
}

/// The tree as in `Acme(Engineering(Tools) Sales)`.
fn written(nodes: &Value) -> String {
    let written: Vec<String> = nodes
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let more = if node["has_more"] == true { "+" } else { "" };
            let children = match written(&node["children"]).as_str() {
                "" => String::new(),
                children => format!("({children})"),
            };
            format!("{}{more}{children}", node["name"].as_str().unwrap())
        })
        .collect();
    written.join(" ")
}

#[track_caller]
fn tree(scene: &Scene, query: &str) -> String {
    let path = format!("/organizations/tree{query}");
    written(&send(scene, "GET", &path, &[], "").expect(200)["tops"])
}

#[test]
fn org_1_groups_are_made_named_moved_and_deleted_each_with_its_event() {
    let scene = Scene::new();
    let root = root_of(&scene);
    let body = json!({ "name": "Engineering" }).to_string();
    let made = send(&scene, "POST", "/organizations", &[], &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let location = made.header("location").unwrap().to_owned();
    assert_eq!(made.header("etag"), Some("\"1\""));
    let engineering = made.text("/id");
    assert!(location.ends_with(&path_to(&engineering)), "{location}");
    assert_eq!(made.json()["parent_id"], json!(root));
    let read = send(&scene, "GET", &path_to(&engineering), &[], "");
    assert_eq!((read.status, &read.body), (200, &made.body));

    let tools = make(&scene, Some(&engineering), "Tools");
    let sales = make(&scene, Some(&root), "Sales");
    assert_eq!(tree(&scene, ""), "Acme(Engineering(Tools) Sales)");
    let before = [&engineering, &sales, &tools].map(|id| shown(&scene, id)["revision"].clone());
    assert_eq!(before, [2, 1, 1].map(|revision| json!(revision)));

    let moved = put_under(&scene, &tools, &sales).expect(200);
    assert_eq!(moved["parent_id"], json!(sales));
    assert_eq!(tree(&scene, ""), "Acme(Engineering Sales(Tools))");
    let after = [&engineering, &sales, &tools].map(|id| shown(&scene, id)["revision"].clone());
    assert_eq!(after, [3, 2, 2].map(|revision| json!(revision)));
    // To where it is already: nothing comes of it.
    let again = put_under(&scene, &tools, &sales).expect(200);
    assert_eq!(again, moved);

    let change = json!({ "name": "Workshop", "parent_id": sales }).to_string();
    let renamed = send(&scene, "PATCH", &path_to(&tools), &[], &change).expect(200);
    assert_eq!(renamed["name"], "Workshop");
    let path = format!("{}?confirm_name=Workshop", path_to(&tools));
    send(&scene, "DELETE", &path, &[], "").expect(204);
    let gone = send(&scene, "GET", &path_to(&tools), &[], "");
    expect_problem(&scene.world, &gone, 404, "not-found");
    assert_eq!(tree(&scene, ""), "Acme(Engineering Sales)");

    let told: Vec<(String, Value, Value)> = scene
        .events()
        .into_iter()
        .filter(|event| event["target"]["id"] == json!(tools))
        .map(|event| {
            let action = event["action"].as_str().unwrap().to_owned();
            (action, event["before"].clone(), event["after"].clone())
        })
        .collect();
    let wanted = [
        (
            "organization.deleted",
            json!({ "name": "Workshop", "parent_id": sales }),
            Value::Null,
        ),
        (
            "organization.updated",
            json!({ "name": "Tools" }),
            json!({ "name": "Workshop" }),
        ),
        (
            "organization.moved",
            json!({ "parent_id": engineering }),
            json!({ "parent_id": sales }),
        ),
        (
            "organization.created",
            Value::Null,
            json!({ "name": "Tools", "parent_id": engineering }),
        ),
    ]
    .map(|(action, before, after)| (action.to_owned(), before, after));
    assert_eq!(told, wanted);
}

#[test]
fn org_1_the_root_is_renamed_and_never_moved_or_deleted() {
    let scene = Scene::new();
    let root = root_of(&scene);
    let group = make(&scene, None, "Group");
    let change = json!({ "name": "Acme Holding", "parent_id": null }).to_string();
    let renamed = send(&scene, "PATCH", &path_to(&root), &[], &change).expect(200);
    assert_eq!(
        (&renamed["name"], &renamed["parent_id"]),
        (&json!("Acme Holding"), &Value::Null)
    );
    let moved = put_under(&scene, &root, &group);
    let path = format!("{}?confirm_name=Acme%20Holding", path_to(&root));
    let deleted = send(&scene, "DELETE", &path, &[], "");
    for refused in [moved, deleted] {
        let problem = expect_problem(&scene.world, &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], "organization");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("is the root organization"), "{detail}");
    }
    assert_eq!(tree(&scene, ""), "Acme Holding(Group)");
}

#[test]
fn lists_are_flat_sorted_and_narrowed_down() {
    let scene = Scene::new();
    // Each made a moment after the other: their order is that of time.
    let make = |parent: Option<&str>, name: &str| {
        scene.world.advance(TimeDelta::seconds(1));
        make(&scene, parent, name)
    };
    let eng = make(None, "Eng");
    for name in ["Engine", "engine"] {
        make(Some(&eng), name);
    }
    make(None, "Sales");
    let names = |query: &str| {
        let mut names: Vec<String> = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/organizations?limit=2{query}{cursor}");
            let page = send(&scene, "GET", &path, &[], "").expect(200);
            for item in page["items"].as_array().unwrap() {
                names.push(item["name"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return names.join(" "),
            }
        }
    };
    assert_eq!(names(""), "Acme Eng Engine engine Sales");
    assert_eq!(names("&sort=-created_at"), "Sales engine Engine Eng Acme");
    assert_eq!(names("&sort=name"), "Acme Eng Engine Sales engine");
    assert_eq!(names("&sort=-name"), "engine Sales Engine Eng Acme");
    assert_eq!(names(&format!("&sort=name&parent={eng}")), "Engine engine");
    assert_eq!(names("&name=Eng"), "Eng Engine");
    assert_eq!(names("&sort=-name&name=En"), "Engine Eng");
    assert_eq!(names(&format!("&name=e&parent={eng}")), "engine");
    assert_eq!(names("&name=%25"), "");
    assert_eq!(
        names("&parent=org_01kb2q3r4s5t6v7w8x9y0z1a2b"),
        "",
        "nothing lies under what is not there"
    );
}

#[test]
fn the_tree_is_cut_where_it_is_asked_to_be() {
    let scene = Scene::new();
    let a = make(&scene, None, "A");
    let b = make(&scene, Some(&a), "B");
    make(&scene, Some(&b), "C");
    make(&scene, None, "D");
    assert_eq!(tree(&scene, "?depth=1"), "Acme+");
    assert_eq!(tree(&scene, "?depth=2"), "Acme(A+ D)");
    assert_eq!(tree(&scene, "?depth=4"), "Acme(A(B(C)) D)");
    assert_eq!(tree(&scene, "?depth=32"), tree(&scene, ""));
    assert_eq!(tree(&scene, &format!("?root={b}")), "B(C)");
    assert_eq!(tree(&scene, &format!("?root={a}&depth=2")), "A(B+)");
}

#[test]
fn org_1_two_moves_at_once_never_close_a_circle() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let root = root_of(&scene);
    let (a, b) = (make(&scene, None, "A"), make(&scene, None, "B"));
    make(&scene, Some(&a), "Below A");
    make(&scene, Some(&b), "Below B");
    let mut came = BTreeSet::new();
    for round in 0..50 {
        let answers = std::thread::scope(|scope| {
            let asked =
                [(&scene.world.replica, &a, &b), (&other, &b, &a)].map(|(replica, moved, to)| {
                    let scene = &scene;
                    let path = format!("{}/move", path_to(moved));
                    scope.spawn(move || send_at(scene, replica, "POST", &path, &[], &under(to)))
                });
            asked.map(|asked| asked.join().unwrap())
        });
        let mut statuses = [answers[0].status, answers[1].status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422], "round {round}");
        let (moved, stands) = if answers[0].status == 200 {
            (&a, "Acme(B(A(Below A) Below B))")
        } else {
            (&b, "Acme(A(B(Below B) Below A))")
        };
        let refused = answers.iter().find(|answer| answer.status == 422).unwrap();
        assert_eq!(refused.text("/errors/0/pointer"), "/parent_id");
        assert_eq!(tree(&scene, ""), stands, "round {round}");
        came.insert(moved.clone());
        put_under(&scene, moved, &root).expect(200);
    }
    assert!(!came.is_empty());
}

#[test]
fn who_creates_in_a_group_and_who_deletes_it_at_once_do_not_both_succeed() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    for round in 0..25 {
        let group = make(&scene, None, "Group");
        let body = json!({ "name": "Below", "parent_id": group }).to_string();
        let path = format!("{}?confirm_name=Group", path_to(&group));
        let (made, deleted) = std::thread::scope(|scope| {
            let scene = &scene;
            let making = scope.spawn(|| {
                send_at(
                    scene,
                    &scene.world.replica,
                    "POST",
                    "/organizations",
                    &[],
                    &body,
                )
            });
            let deleting = scope.spawn(|| send_at(scene, &other, "DELETE", &path, &[], ""));
            (making.join().unwrap(), deleting.join().unwrap())
        });
        match (made.status, deleted.status) {
            (201, 409) => {
                assert_eq!(shown(&scene, &made.text("/id"))["parent_id"], json!(group));
                let detail = deleted.text("/detail");
                assert!(detail.contains("1 business group;"), "{detail}");
            }
            (422, 204) => assert_eq!(made.text("/errors/0/pointer"), "/parent_id"),
            _ => panic!("round {round}: {} {}", made.body, deleted.body),
        }
    }
}

#[test]
fn a_group_with_anything_in_it_is_not_deleted_and_what_is_left_is_told() {
    let scene = Scene::new();
    let world = &scene.world;
    let group = make(&scene, None, "Group");
    let refused = |told: &str| {
        let path = format!("{}?confirm_name=Group", path_to(&group));
        let answer = send(&scene, "DELETE", &path, &[], "");
        let problem = expect_problem(world, &answer, 409, "not-empty");
        let detail = problem["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.starts_with(&format!("it still has {told};")),
            "{detail}"
        );
    };
    let in_group = |column: &str, table: &str, to: &str| {
        let sql = format!(
            "UPDATE {table} SET {column} = '{}' WHERE tenant_id IN (SELECT tenant_id FROM organizations WHERE id = '{}')",
            uuid_of(to),
            uuid_of(&group)
        );
        world.database.superuser().batch_execute(&sql).unwrap();
    };
    let root = root_of(&scene);
    let below = make(&scene, Some(&group), "Below");
    refused("1 business group");
    settle(&scene, &scene.subject.client_id, &group);
    refused("1 business group and 1 client");
    in_group("organization_id", "members", &group);
    refused("1 business group, 1 client and 1 member");
    let holder = world.client(&scene.tenant, "Holder", &[]);
    let id: OrganizationId = group.parse().unwrap();
    crate::asking::give_role(
        world,
        &scene.tenant,
        &holder,
        grantor_domain::role::BuiltInRole::Support,
        id,
    );
    refused("1 business group, 1 client, 1 member and 1 role assignment");
    // Each goes by itself, and none is forgotten.
    put_under(&scene, &below, &root).expect(200);
    refused("1 client, 1 member and 1 role assignment");
    in_group("organization_id", "members", &root);
    refused("1 client and 1 role assignment");
    let (client, _) = read(&scene, &scene.subject);
    assert_eq!(client["organization_id"], json!(group));
    settle(&scene, &scene.subject.client_id, &root);
    refused("1 role assignment");
    let path = format!("/clients/{}?confirm_name=Holder", holder.client_id);
    send(&scene, "DELETE", &path, &[], "").expect(204);
    let path = format!("{}?confirm_name=Group", path_to(&group));
    send(&scene, "DELETE", &path, &[], "").expect(204);
}

#[test]
fn org_1_trees_of_tenants_are_apart() {
    let scene = Scene::new();
    let World { http, .. } = &scene.world;
    make(&scene, None, "Group");
    let other = scene.world.tenant("Other");
    let url = scene
        .world
        .api(&format!("/v1/tenants/{}/organizations/tree", other.id));
    let admin = scene.world.as_admin(&other);
    let seen = http.get(&url, &[("authorization", &admin)]).expect(200);
    assert_eq!(written(&seen["tops"]), "Other");
}
