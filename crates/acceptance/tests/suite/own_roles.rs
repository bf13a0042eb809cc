//! Roles of a tenant's own: made of the catalogue by those who hold what they permit, and at work at once.

use grantor_acceptance::Answer;
use serde_json::{Value, json};

use crate::members::acme::{Acme, alike, of};
use crate::operations::expect_problem;

const NEVER: &str = "rol_01kb2q3r4s5t6v7w8x9y0z1a2b";

fn path(role: &str) -> String {
    format!("/roles/{role}")
}

fn permitting(permissions: &[&str]) -> Value {
    json!({ "permissions": permissions })
}

#[test]
fn role_1_a_role_is_made_changed_and_deleted_each_with_its_event() {
    let acme = Acme::new();
    let body =
        json!({ "name": "Auditor", "permissions": ["changes.read", "audit.read", "audit.read"] });
    let made = acme.send("POST", "/roles", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.text("/id");
    assert_eq!(made.header("etag"), Some("\"1\""));
    assert!(made.header("location").unwrap().ends_with(&path(&id)));
    let shown = made.json();
    assert_eq!(shown["permissions"], json!(["audit.read", "changes.read"]));
    assert_eq!(
        (&shown["description"], &shown["built_in"]),
        (&json!(""), &json!(false))
    );
    assert_eq!(acme.get(&path(&id)), shown);
    let change = json!({ "description": "Reads.", "permissions": ["audit.read"] });
    let changed = acme.send("PATCH", &path(&id), &change).expect(200);
    assert_eq!(
        (&changed["revision"], &changed["name"]),
        (&json!(2), &json!("Auditor"))
    );
    assert_eq!(acme.send("PATCH", &path(&id), &change).expect(200), changed);
    let whole = json!({ "name": "Reader", "permissions": ["clients.read"] });
    let replaced = acme.send("PUT", &path(&id), &whole).expect(200);
    assert_eq!(
        (&replaced["description"], &replaced["name"]),
        (&json!(""), &json!("Reader"))
    );
    let stale = [("if-match", "\"2\"")];
    for (method, body) in [("PATCH", change), ("PUT", whole), ("DELETE", Value::Null)] {
        let replica = &acme.world().replica;
        let refused = acme.send_at(
            replica,
            &acme.scene.admin,
            method,
            &path(&id),
            &stale,
            &body,
        );
        expect_problem(acme.world(), &refused, 412, "precondition-failed");
    }
    acme.send("DELETE", &path(&id), &Value::Null).expect(204);
    let gone = acme.send("GET", &path(&id), &Value::Null);
    expect_problem(acme.world(), &gone, 404, "not-found");
    for (action, count) in [
        ("role.created", 1),
        ("role.updated", 2),
        ("role.deleted", 1),
    ] {
        let events = acme.events(action);
        assert_eq!(events.len(), count, "{action}");
        assert_eq!(events[0]["target"]["id"], json!(id));
    }
    let event = &acme.events("role.updated")[0];
    assert_eq!(event["before"]["permissions"], json!(["audit.read"]));
    assert_eq!(event["after"]["permissions"], json!(["clients.read"]));
}

#[test]
fn every_field_that_is_bad_is_named_and_nothing_is_made() {
    let acme = Acme::new();
    let role = acme.role("Reader", &["clients.read"]);
    for (field, value, pointer) in [
        ("name", json!(""), "/name"),
        ("name", json!("x".repeat(101)), "/name"),
        ("name", json!("a\u{0}"), "/name"),
        ("name", json!("a\u{202E}b"), "/name"),
        ("name", json!("OWNER"), "/name"),
        ("name", json!("operator"), "/name"),
        ("name", json!(1), "/name"),
        ("description", json!("x".repeat(1001)), "/description"),
        ("description", json!("a\u{7}"), "/description"),
        ("permissions", json!([]), "/permissions"),
        (
            "permissions",
            json!(vec!["clients.read"; 101]),
            "/permissions",
        ),
        (
            "permissions",
            json!(["clients.read", "nothing"]),
            "/permissions/1",
        ),
        (
            "permissions",
            json!(["grantor:clients.read"]),
            "/permissions/0",
        ),
        ("permissions", json!(["tenants.read"]), "/permissions/0"),
        (
            "permissions",
            json!(["clients.read\u{0}"]),
            "/permissions/0",
        ),
        ("permissions", json!([7]), "/permissions/0"),
        ("permissions", json!("clients.read"), "/permissions"),
        ("built_in", json!(true), "/built_in"),
    ] {
        let mut body = json!({ "name": "Other", "permissions": ["clients.read"] });
        body[field] = value.clone();
        for refused in [
            acme.send("POST", "/roles", &body),
            acme.send("PUT", &path(&role), &body),
            acme.send("PATCH", &path(&role), &json!({ field: value })),
        ] {
            let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    }
    for same in ["Reader", "READER"] {
        let body = json!({ "name": same, "permissions": ["clients.read"] });
        let refused = acme.send("POST", "/roles", &body);
        let problem = expect_problem(acme.world(), &refused, 409, "conflict");
        assert_eq!(problem["errors"][0]["pointer"], "/name");
    }
    let other = acme.role("Other", &["clients.read"]);
    let refused = acme.send("PATCH", &path(&other), &json!({ "name": "rEADER" }));
    expect_problem(acme.world(), &refused, 409, "conflict");
    assert_eq!(acme.get(&path(&role))["revision"], 1);
}

#[test]
fn role_1_those_that_every_tenant_has_come_first_and_are_read_and_never_changed() {
    let acme = Acme::new();
    acme.role("Zeta", &["clients.read"]);
    acme.world().advance(chrono::TimeDelta::seconds(1));
    acme.role("Alpha", &["clients.read"]);
    for limit in [1, 2, 4, 200] {
        let mut names = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = acme.get(&format!("/roles?limit={limit}{cursor}"));
            for item in page["items"].as_array().unwrap() {
                names.push(item["name"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let wanted = [
            "owner",
            "admin",
            "developer",
            "support",
            "member",
            "Zeta",
            "Alpha",
        ];
        assert_eq!(names, wanted, "by {limit}");
    }
    for built_in in ["owner", "admin", "developer", "support", "member"] {
        let shown = acme.get(&path(built_in));
        assert_eq!(
            (&shown["id"], &shown["built_in"]),
            (&json!(built_in), &json!(true))
        );
        let permissions = shown["permissions"].to_string();
        assert!(!permissions.contains("tenants."), "{permissions}");
        for (method, body) in [
            ("PATCH", json!({ "name": "Mine" })),
            (
                "PUT",
                json!({ "name": "Mine", "permissions": ["clients.read"] }),
            ),
            ("DELETE", Value::Null),
        ] {
            let refused = acme.send(method, &path(built_in), &body);
            let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["parameter"], "role");
        }
    }
    let never = acme.send("GET", &path(NEVER), &Value::Null);
    expect_problem(acme.world(), &never, 404, "not-found");
    for nobody in ["operator", "x", "rol_", "OWNER"] {
        alike(&acme.send("GET", &path(nobody), &Value::Null), &never);
    }
}

#[test]
fn tenant_1_another_tenants_role_is_like_one_that_never_was() {
    let acme = Acme::new();
    let other = acme.world().tenant("Other");
    let url = acme.world().api(&format!("/v1/tenants/{}/roles", other.id));
    let who = acme.world().as_admin(&other);
    let body = json!({ "name": "Theirs", "permissions": ["clients.read"] });
    let http = &acme.world().http;
    let theirs = http
        .post_json(&url, &[("authorization", &who)], &body)
        .text("/id");
    for (method, body) in [
        ("GET", Value::Null),
        ("PATCH", json!({ "name": "Mine" })),
        (
            "PUT",
            json!({ "name": "Mine", "permissions": ["clients.read"] }),
        ),
        ("DELETE", Value::Null),
    ] {
        let foreign = acme.send(method, &path(&theirs), &body);
        expect_problem(acme.world(), &foreign, 404, "not-found");
        alike(&foreign, &acme.send(method, &path(NEVER), &body));
    }
    // The name is free here.
    acme.role("Theirs", &["clients.read"]);
}

#[test]
fn role_3_nobody_makes_a_role_permit_what_they_lack() {
    let acme = Acme::new();
    let maker = acme.role("Maker", &["roles.write", "roles.read", "clients.read"]);
    let strong = acme.role("Strong", &["clients.read", "clients.delete"]);
    let weak = acme.role("Weak", &["clients.read"]);
    let (_, who) = acme.holder_of(&maker, &acme.root, "maker@acme.example");
    let owner = acme.scene.tenant.owner.clone();
    // role_4: the owner holds it all, and this token does not.
    let narrow = acme.narrow(&owner, &["roles.write", "roles.read", "clients.read"]);
    for who in [&who, &narrow] {
        for (method, at, body) in [
            (
                "POST",
                "/roles".to_owned(),
                json!({ "name": "New", "permissions": ["clients.delete"] }),
            ),
            (
                "POST",
                "/roles".to_owned(),
                json!({ "name": "New", "permissions": ["clients.read", "roles.assign"] }),
            ),
            (
                "PATCH",
                path(&weak),
                permitting(&["clients.read", "clients.delete"]),
            ),
            (
                "PUT",
                path(&weak),
                json!({ "name": "Weak", "permissions": ["members.read"] }),
            ),
            (
                "PATCH",
                path(&maker),
                permitting(&["roles.write", "clients.delete"]),
            ),
        ] {
            let refusals = acme.events("access.refused").len();
            let refused = acme.send_as(who, method, &at, &body);
            expect_problem(acme.world(), &refused, 403, "forbidden");
            assert_eq!(
                acme.events("access.refused").len(),
                refusals + 1,
                "{method} {at}"
            );
        }
        // What it permitted before is not theirs to answer for, and less is no gift.
        let renamed = json!({ "description": format!("By {}", who.len()) });
        acme.send_as(who, "PATCH", &path(&strong), &renamed)
            .expect(200);
    }
    let less = permitting(&["clients.read"]);
    acme.send_as(&who, "PATCH", &path(&strong), &less)
        .expect(200);
    let back = permitting(&["clients.read", "clients.delete"]);
    let refused = acme.send_as(&who, "PATCH", &path(&strong), &back);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    let body = json!({ "name": "Mine", "permissions": ["clients.read"] });
    let made = acme.send_as(&who, "POST", "/roles", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(
        acme.get(&path(&weak))["permissions"],
        json!(["clients.read"])
    );
}

#[test]
fn role_2_who_administers_a_part_reads_roles_and_changes_none() {
    let acme = Acme::new();
    let role = acme.role("Reader", &["clients.read"]);
    let (_, admin) = acme.admin_of(&acme.a, "admin@acme.example");
    acme.send_as(&admin, "GET", &path(&role), &Value::Null)
        .expect(200);
    let listed = acme
        .send_as(&admin, "GET", "/roles", &Value::Null)
        .expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 6);
    for (method, at, body) in [
        (
            "POST",
            "/roles".to_owned(),
            json!({ "name": "New", "permissions": ["clients.read"] }),
        ),
        ("PATCH", path(&role), json!({ "name": "New" })),
        (
            "PUT",
            path(&role),
            json!({ "name": "New", "permissions": ["clients.read"] }),
        ),
        ("DELETE", path(&role), Value::Null),
    ] {
        let refused = acme.send_as(&admin, method, &at, &body);
        expect_problem(acme.world(), &refused, 403, "forbidden");
    }
}

#[test]
fn pause_4_what_a_role_permits_counts_for_the_next_request_on_another_replica() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let role = acme.role("Reader", &["clients.read"]);
    let (ada, token) = acme.holder_of(&role, &acme.a, "ada@acme.example");
    let now = || {
        let status = |path: &str| acme.status_at(&other, &token, path);
        let url = format!("{}/v1/me", other.api);
        let me = acme
            .world()
            .http
            .get(&url, &[("authorization", &token)])
            .expect(200);
        let held = me["permissions"].as_array().unwrap().iter();
        let held: Vec<String> = held
            .map(|held| {
                assert_eq!(held["everywhere"], false);
                assert_eq!(
                    held["organizations"],
                    json!([{ "id": acme.a, "name": "A" }])
                );
                held["permission"].as_str().unwrap().to_owned()
            })
            .collect();
        (status("/clients"), status("/members"), held.join(" "))
    };
    let nothing = String::new();
    for _ in 0..3 {
        assert_eq!(now(), (200, 403, "clients.read".to_owned()));
        acme.send("PATCH", &path(&role), &permitting(&["members.read"]))
            .expect(200);
        assert_eq!(now(), (403, 200, "members.read".to_owned()));
        acme.send("PATCH", &path(&role), &permitting(&["settings.write"]))
            .expect(200);
        assert_eq!(now(), (403, 403, "settings.write".to_owned()));
        acme.send("PATCH", &path(&role), &permitting(&["clients.read"]))
            .expect(200);
    }
    let given = acme.get(&of(&ada, "/role-assignments"))["items"][0]["id"].clone();
    let given = of(
        &ada,
        &format!("/role-assignments/{}", given.as_str().unwrap()),
    );
    acme.send("DELETE", &given, &Value::Null).expect(204);
    assert_eq!(now(), (403, 403, nothing));
}

#[test]
fn a_role_that_somebody_holds_is_not_deleted_not_even_when_it_is_given_in_that_moment() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let assignments = of(&ada, "/role-assignments");
    let role = acme.role("Held", &["clients.read"]);
    acme.assign(&ada, &role, &acme.a);
    let refused = acme.send("DELETE", &path(&role), &Value::Null);
    let problem = expect_problem(acme.world(), &refused, 409, "not-empty");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("1 member or client holds it"),
        "{problem}"
    );
    for round in 0..12 {
        let role = acme.role(&format!("Round {round}"), &["clients.read"]);
        let (gone, given): (Answer, Answer) = std::thread::scope(|scope| {
            let admin = &acme.scene.admin;
            let gone = scope.spawn(|| acme.send("DELETE", &path(&role), &Value::Null));
            let body = json!({ "role": role });
            let given = acme.send_at(&other, admin, "POST", &assignments, &[], &body);
            (gone.join().unwrap(), given)
        });
        match (gone.status, given.status) {
            (204, 422) | (409, 201) => {}
            both => panic!("{both:?}: {} {}", gone.body, given.body),
        }
    }
}
