//! Roles given to members and taken from them: over which organizations, by whom, and at once.

use std::collections::BTreeMap;

use grantor_acceptance::Answer;
use serde_json::{Value, json};

use crate::members::acme::{Acme, NO_ORGANIZATION, alike, member_uuid, of, organization_uuid};
use crate::operations::expect_problem;

fn give(acme: &Acme, who: &str, member: &str, role: &str, over: &str) -> Answer {
    let body = json!({ "role": role, "organization_id": over });
    acme.send_as(who, "POST", &of(member, "/role-assignments"), &body)
}

fn take(acme: &Acme, who: &str, member: &str, given: &str) -> Answer {
    let path = of(member, &format!("/role-assignments/{given}"));
    acme.send_as(who, "DELETE", &path, &Value::Null)
}

#[track_caller]
fn held(acme: &Acme, member: &str) -> Vec<(String, String)> {
    let shown = acme.get(&of(member, "/role-assignments"));
    let text = |item: &Value, field: &str| item[field].as_str().unwrap().to_owned();
    let items = shown["items"].as_array().unwrap().iter();
    items
        .map(|item| (text(item, "role"), text(item, "organization_id")))
        .collect()
}

#[test]
fn role_1_roles_are_given_listed_and_taken_each_with_its_event() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let auditor = acme.role("Auditor", &["audit.read"]);
    let path = of(&ada, "/role-assignments");
    // Without an organization it is the root.
    let made = acme.send("POST", &path, &json!({ "role": "support" }));
    assert_eq!(made.status, 201, "{}", made.body);
    let support = made.json();
    for (field, value) in [
        ("member_id", json!(ada)),
        ("client_id", Value::Null),
        ("role", json!("support")),
        ("organization_id", json!(acme.root)),
    ] {
        assert_eq!(support[field], value);
    }
    acme.assign(&ada, "admin", &acme.a);
    acme.assign(&ada, "admin", &acme.b);
    acme.assign(&ada, &auditor, &acme.root);
    let wanted = [
        ("support", &acme.root),
        ("admin", &acme.a),
        ("admin", &acme.b),
        (auditor.as_str(), &acme.root),
    ];
    let mut wanted: Vec<_> = wanted
        .map(|(role, over)| (role.to_owned(), over.clone()))
        .into();
    let mut now = held(&acme, &ada);
    now.sort();
    wanted.sort();
    assert_eq!(now, wanted);

    let given = support["id"].as_str().unwrap();
    // A role of somebody else's is not found below this one.
    let bob = acme.member_in(&acme.root, "Bob", "bob@acme.example");
    let refused = take(&acme, &acme.scene.admin, &bob, given);
    expect_problem(acme.world(), &refused, 404, "not-found");
    take(&acme, &acme.scene.admin, &ada, given).expect(204);
    let again = take(&acme, &acme.scene.admin, &ada, given);
    expect_problem(acme.world(), &again, 404, "not-found");
    assert_eq!(held(&acme, &ada).len(), 3);

    let assigned = acme.events("role.assigned");
    assert_eq!(assigned.len(), 4);
    let first = assigned
        .iter()
        .find(|e| e["after"]["role"] == "support")
        .unwrap();
    assert_eq!(first["target"]["id"], json!(ada));
    assert_eq!(first["after"]["organization_id"], json!(acme.root));
    let taken = acme.events("role.unassigned");
    assert_eq!(
        (taken.len(), &taken[0]["before"]["role"]),
        (1, &json!("support"))
    );
}

#[test]
fn who_holds_roles_over_an_organization_is_listed_by_pages() {
    let acme = Acme::new();
    let mut wanted = Vec::new();
    for number in 0..5 {
        let email = format!("m{number}@acme.example");
        let member = acme.member_in(&acme.root, "M", &email);
        acme.assign(&member, "support", &acme.a);
        acme.assign(&member, "admin", &acme.a1);
        wanted.push(json!(member));
    }
    for limit in [1, 2, 200] {
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!(
                "/organizations/{}/role-assignments?limit={limit}{cursor}",
                acme.a
            );
            let page = acme.get(&path);
            for item in page["items"].as_array().unwrap() {
                assert_eq!(item["role"], "support", "those below are held elsewhere");
                found.push(item["member_id"].clone());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        found.sort_by_key(Value::to_string);
        wanted.sort_by_key(Value::to_string);
        assert_eq!(found, wanted, "by {limit}");
    }
    let path = format!("/organizations/{NO_ORGANIZATION}/role-assignments");
    let refused = acme.send("GET", &path, &Value::Null);
    expect_problem(acme.world(), &refused, 404, "not-found");
}

#[test]
fn every_field_that_is_bad_is_named_and_no_role_is_given() {
    let acme = Acme::new();
    let other = acme.world().tenant("Other");
    let url = acme.world().api(&format!("/v1/tenants/{}/roles", other.id));
    let who = acme.world().as_admin(&other);
    let body = json!({ "name": "Theirs", "permissions": ["clients.read"] });
    let http = &acme.world().http;
    let theirs = http
        .post_json(&url, &[("authorization", &who)], &body)
        .text("/id");
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let path = of(&ada, "/role-assignments");
    for (body, pointer) in [
        (json!({ "role": "" }), "/role"),
        (json!({ "role": "ADMIN" }), "/role"),
        (json!({ "role": "admin\u{0}" }), "/role"),
        (json!({ "role": "x".repeat(60_000) }), "/role"),
        (json!({ "role": "operator" }), "/role"),
        (json!({ "role": theirs }), "/role"),
        (json!({ "role": "rol_01kb2q3r4s5t6v7w8x9y0z1a2b" }), "/role"),
        (json!({ "role": null }), "/role"),
        (json!({ "role": ["admin"] }), "/role"),
        (
            json!({ "role": "admin", "organization_id": "" }),
            "/organization_id",
        ),
        (
            json!({ "role": "admin", "organization_id": ada }),
            "/organization_id",
        ),
        (
            json!({ "role": "admin", "organization_id": NO_ORGANIZATION }),
            "/organization_id",
        ),
        (
            json!({ "role": "owner", "organization_id": acme.a }),
            "/organization_id",
        ),
        (json!({ "role": "admin", "member_id": ada }), "/member_id"),
    ] {
        let refused = acme.send("POST", &path, &body);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        assert!(refused.body.len() < 2_000);
    }
    // tenant_1: another tenant's role is like one that never was.
    let foreign = acme.send("POST", &path, &json!({ "role": theirs }));
    let never = json!({ "role": "rol_01kb2q3r4s5t6v7w8x9y0z1a2b" });
    alike(&foreign, &acme.send("POST", &path, &never));
    assert!(held(&acme, &ada).is_empty());
    acme.assign(&ada, "admin", &acme.a);
    let twice = give(&acme, &acme.scene.admin, &ada, "admin", &acme.a);
    let problem = expect_problem(acme.world(), &twice, 409, "conflict");
    assert_eq!(problem["errors"][0]["pointer"], "/role");
}

#[test]
fn of_8_that_give_one_role_at_once_on_two_replicas_one_does() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let replicas = [&acme.world().replica, &other];
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let path = of(&ada, "/role-assignments");
    let mut came: BTreeMap<u16, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..8)
            .map(|number| {
                let (acme, path, replica) = (&acme, &path, replicas[number % 2]);
                scope.spawn(move || {
                    let body = json!({ "role": "admin", "organization_id": acme.a });
                    acme.send_at(replica, &acme.scene.admin, "POST", path, &[], &body)
                })
            })
            .collect();
        for asked in asked {
            *came.entry(asked.join().unwrap().status).or_default() += 1;
        }
    });
    assert_eq!(came, BTreeMap::from([(201, 1), (409, 7)]));
    assert_eq!(held(&acme, &ada).len(), 1);
}

#[test]
fn role_2_over_what_one_does_not_reach_no_role_is_given_or_taken() {
    let acme = Acme::new();
    let (_, admin) = acme.admin_of(&acme.a, "admin@acme.example");
    let ada = acme.member_in(&acme.a1, "Ada", "ada@acme.example");
    let given = give(&acme, &admin, &ada, "admin", &acme.a1);
    assert_eq!(given.status, 201, "{}", given.body);
    for role in ["member", "admin", "support"] {
        let never = give(&acme, &admin, &ada, role, NO_ORGANIZATION);
        for outside in [&acme.root, &acme.b] {
            let refused = give(&acme, &admin, &ada, role, outside);
            let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], "/organization_id");
            alike(&refused, &never);
        }
    }
    // Left out, it is the root.
    let path = of(&ada, "/role-assignments");
    let refused = acme.send_as(&admin, "POST", &path, &json!({ "role": "member" }));
    expect_problem(acme.world(), &refused, 422, "invalid-field");
    // What is held elsewhere is seen with the member, and not taken.
    let elsewhere = acme.assign(&ada, "member", &acme.b);
    let seen = acme.send_as(&admin, "GET", &path, &Value::Null).expect(200);
    assert_eq!(seen["items"].as_array().unwrap().len(), 2);
    let refused = take(&acme, &admin, &ada, &elsewhere);
    alike(
        &refused,
        &take(&acme, &admin, &ada, "ras_01kb2q3r4s5t6v7w8x9y0z1a2b"),
    );
    take(&acme, &admin, &ada, &given.text("/id")).expect(204);
    assert_eq!(held(&acme, &ada), [("member".to_owned(), acme.b.clone())]);
}

#[test]
fn role_3_nobody_gives_or_takes_a_role_that_permits_what_they_lack() {
    let acme = Acme::new();
    let assigner = acme.role("Assigner", &["roles.assign", "members.read"]);
    let reader = acme.role("Reader", &["clients.read"]);
    let both = acme.role("Both", &["members.read", "clients.read"]);
    let (_, who) = acme.holder_of(&assigner, &acme.a, "who@acme.example");
    let ada = acme.member_in(&acme.a1, "Ada", "ada@acme.example");
    for role in ["admin", "support", reader.as_str(), both.as_str()] {
        let refusals = acme.events("access.refused").len();
        let refused = give(&acme, &who, &ada, role, &acme.a1);
        expect_problem(acme.world(), &refused, 403, "forbidden");
        assert_eq!(acme.events("access.refused").len(), refusals + 1);
        let given = acme.assign(&ada, role, &acme.a1);
        let refused = take(&acme, &who, &ada, &given);
        expect_problem(acme.world(), &refused, 403, "forbidden");
        take(&acme, &acme.scene.admin, &ada, &given).expect(204);
    }
    // What they hold themselves, and what permits nothing, they give and take.
    for role in ["member", "developer", assigner.as_str()] {
        let given = give(&acme, &who, &ada, role, &acme.a1);
        assert_eq!(given.status, 201, "{}", given.body);
        take(&acme, &who, &ada, &given.text("/id")).expect(204);
    }
    // Nor to themselves: over one part what they hold over another.
    let (me, mine) = acme.holder_of("admin", &acme.a, "me@acme.example");
    acme.assign(&me, &assigner, &acme.b);
    let path = of(&me, "/role-assignments");
    let body = json!({ "role": "admin", "organization_id": acme.b });
    let refused = acme.send_as(&mine, "POST", &path, &body);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    let body = json!({ "role": "owner" });
    let refused = acme.send_as(&mine, "POST", &path, &body);
    expect_problem(acme.world(), &refused, 422, "invalid-field");
}

#[test]
fn role_4_by_a_token_that_says_less_less_is_given() {
    let acme = Acme::new();
    let owner = acme.scene.tenant.owner.clone();
    let narrow = acme.narrow(&owner, &["roles.assign", "members.read"]);
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    for role in ["owner", "admin", "support"] {
        let refused = give(&acme, &narrow, &ada, role, &acme.root);
        expect_problem(acme.world(), &refused, 403, "forbidden");
    }
    let without = acme.narrow(&owner, &["members.read", "members.write"]);
    let refused = give(&acme, &without, &ada, "member", &acme.root);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    assert!(held(&acme, &ada).is_empty());
    let whole = acme.token_of(&owner);
    let given = give(&acme, &whole, &ada, "owner", &acme.root);
    assert_eq!(given.status, 201, "{}", given.body);
}

#[test]
fn pause_4_a_role_that_is_given_or_taken_counts_for_the_next_request_on_another_replica() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let token = acme.token_of(&ada);
    let within = format!("/organizations/{}", acme.a1);
    let beside = format!("/organizations/{}", acme.b);
    let now = || {
        let status = |path: &str| acme.status_at(&other, &token, path);
        (status("/members"), status(&within), status(&beside))
    };
    for _ in 0..3 {
        assert_eq!(now(), (403, 403, 403));
        let given = acme.assign(&ada, "support", &acme.a);
        assert_eq!(now(), (200, 200, 404));
        let more = acme.assign(&ada, "admin", &acme.b);
        assert_eq!(now(), (200, 200, 200));
        take(&acme, &acme.scene.admin, &ada, &given).expect(204);
        assert_eq!(now(), (200, 404, 200));
        take(&acme, &acme.scene.admin, &ada, &more).expect(204);
    }
    assert_eq!(now(), (403, 403, 403));
}

#[test]
fn a_member_holds_200_roles_and_no_more() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    acme.sql(&format!(
        "INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at) \
         SELECT '{tenant}', gen_random_uuid(), '{root}', 'Many', now(), now() FROM generate_series(1, 199); \
         INSERT INTO role_assignments (tenant_id, id, member_id, role, organization_id, created_at) \
         SELECT tenant_id, gen_random_uuid(), '{member}', 'member', id, now() \
         FROM organizations WHERE name = 'Many'",
        tenant = acme.tenant_uuid(),
        root = organization_uuid(&acme.root),
        member = member_uuid(&ada),
    ));
    let last = acme.assign(&ada, "member", &acme.a);
    let refused = give(&acme, &acme.scene.admin, &ada, "member", &acme.b);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("more than 200 roles"),
        "{problem}"
    );
    assert_eq!(held(&acme, &ada).len(), 200);
    take(&acme, &acme.scene.admin, &ada, &last).expect(204);
    acme.assign(&ada, "member", &acme.b);
}

#[test]
fn a_group_over_which_somebody_holds_a_role_or_lives_is_not_deleted() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.a1, "Ada", "ada@acme.example");
    let given = acme.assign(&ada, "member", &acme.b);
    let delete = |id: &str, name: &str| {
        let path = format!("/organizations/{id}?confirm_name={name}");
        acme.send("DELETE", &path, &Value::Null)
    };
    for (id, name) in [(&acme.a1, "A1"), (&acme.b, "B")] {
        let refused = delete(id, name);
        expect_problem(acme.world(), &refused, 409, "not-empty");
    }
    take(&acme, &acme.scene.admin, &ada, &given).expect(204);
    delete(&acme.b, "B").expect(204);
    let path = of(&ada, "?confirm_name=Ada");
    acme.assign(&ada, "admin", &acme.a);
    acme.send("DELETE", &path, &Value::Null).expect(204);
    delete(&acme.a1, "A1").expect(204);
    delete(&acme.a, "A").expect(204);
}
