//! Members: made, read, changed, disabled, enabled and deleted, within what one may reach and no farther.

pub mod acme;
mod edges;
mod found;
mod subtrees;

use serde_json::{Value, json};

use crate::operations::expect_problem;
use acme::{Acme, of};

#[test]
fn org_1_a_member_is_made_changed_disabled_enabled_and_deleted_each_with_its_event() {
    let acme = Acme::new();
    let body = json!({ "name": "Ada", "email": "Ada@acme.example" });
    let made = acme.send("POST", "/members", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.header("etag"), Some("\"1\""));
    let ada = made.text("/id");
    let path = of(&ada, "");
    assert!(made.header("location").unwrap().ends_with(&path));
    let shown = made.json();
    for (field, value) in [
        ("name", json!("Ada")),
        ("email", json!("Ada@acme.example")),
        ("organization_id", json!(acme.root)),
        ("status", json!("active")),
        ("pauses", json!([])),
        ("is_root_owner", json!(false)),
        ("has_password", json!(false)),
        ("revision", json!(1)),
    ] {
        assert_eq!(shown[field], value, "{field}");
    }
    let read = acme.send("GET", &path, &Value::Null);
    assert_eq!((read.status, &read.body), (200, &made.body));

    let change = json!({ "name": "Ada L", "organization_id": acme.a });
    let changed = acme.send("PATCH", &path, &change).expect(200);
    assert_eq!(
        (
            &changed["name"],
            &changed["organization_id"],
            &changed["email"]
        ),
        (&json!("Ada L"), &json!(acme.a), &json!("Ada@acme.example"))
    );
    // The same again is no change.
    assert_eq!(acme.send("PATCH", &path, &change).expect(200), changed);
    let whole = json!({ "name": "Ada L", "email": "ada@acme.example" });
    let replaced = acme.send("PUT", &path, &whole).expect(200);
    assert_eq!(replaced["organization_id"], json!(acme.root), "the default");

    let why = json!({ "reason": "Left in anger" });
    let disabled = acme.send("POST", &of(&ada, "/disable"), &why).expect(200);
    assert_eq!(disabled["status"], "disabled");
    assert_eq!(disabled["pauses"][0]["reason"], "Left in anger");
    let again = acme.send("POST", &of(&ada, "/disable"), &Value::Null);
    assert_eq!(again.expect(200), disabled);
    let enabled = acme
        .send("POST", &of(&ada, "/enable"), &Value::Null)
        .expect(200);
    assert_eq!(
        (&enabled["status"], &enabled["pauses"]),
        (&json!("active"), &json!([]))
    );
    let again = acme.send("POST", &of(&ada, "/enable"), &Value::Null);
    assert_eq!(again.expect(200), enabled);

    for (query, code) in [
        ("", "invalid-field"),
        ("?confirm_name=ada%20l", "confirmation-mismatch"),
        ("?confirm_name=Ada", "confirmation-mismatch"),
    ] {
        let refused = acme.send("DELETE", &of(&ada, query), &Value::Null);
        let problem = expect_problem(acme.world(), &refused, 422, code);
        assert_eq!(problem["errors"][0]["parameter"], "confirm_name");
    }
    let confirmed = of(&ada, "?confirm_name=Ada%20L");
    acme.send("DELETE", &confirmed, &Value::Null).expect(204);
    for gone in [
        acme.send("GET", &path, &Value::Null),
        acme.send("DELETE", &confirmed, &Value::Null),
    ] {
        expect_problem(acme.world(), &gone, 404, "not-found");
    }
    // Their address is free again, and another id has it.
    let next = acme.send("POST", "/members", &body);
    assert_ne!(next.text("/id"), ada);

    let told: Vec<String> = acme
        .scene
        .events()
        .iter()
        .filter(|event| event["target"]["id"] == json!(ada))
        .map(|event| event["action"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        told,
        [
            "member.deleted",
            "member.enabled",
            "member.disabled",
            "member.updated",
            "member.updated",
            "member.created"
        ]
    );
    let first = &acme.events("member.updated")[1];
    assert_eq!(first["before"]["person"]["name"], "Ada");
    assert_eq!(first["after"]["person"]["name"], "Ada L");
    assert_eq!(first["after"]["organization_id"], json!(acme.a));
}

#[test]
fn every_field_that_is_bad_is_named_and_nothing_is_made() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let good = json!({ "name": "Bob", "email": "bob@acme.example" });
    let long = "x".repeat(101);
    let huge = "x".repeat(60_000);
    let far = format!("{}@acme.example", "x".repeat(250));
    let cases = [
        ("name", json!(""), "/name"),
        ("name", json!("  "), "/name"),
        ("name", json!(long), "/name"),
        ("name", json!(huge), "/name"),
        ("name", json!("a\u{0}b"), "/name"),
        ("name", json!("a\nb"), "/name"),
        ("name", json!("pay\u{202E}lap"), "/name"),
        ("name", json!("zero\u{200B}width"), "/name"),
        ("name", json!(7), "/name"),
        ("email", json!(""), "/email"),
        ("email", json!("nobody"), "/email"),
        ("email", json!("a@b@c.example"), "/email"),
        ("email", json!("a\u{0}@acme.example"), "/email"),
        ("email", json!("a\r\nBcc: all@acme.example"), "/email"),
        ("email", json!("a\u{202E}@acme.example"), "/email"),
        ("email", json!(far), "/email"),
        ("email", json!([]), "/email"),
        ("organization_id", json!(""), "/organization_id"),
        (
            "organization_id",
            json!(acme::NO_ORGANIZATION),
            "/organization_id",
        ),
        ("organization_id", json!(ada), "/organization_id"),
        ("organization_id", json!({}), "/organization_id"),
    ];
    let count = |acme: &Acme| acme.get("/members")["items"].as_array().unwrap().len();
    let before = count(&acme);
    for (field, value, pointer) in &cases {
        let mut body = good.clone();
        body[field] = value.clone();
        let change = json!({ *field: value });
        for refused in [
            acme.send("POST", "/members", &body),
            acme.send("PUT", &of(&ada, ""), &body),
            acme.send("PATCH", &of(&ada, ""), &change),
        ] {
            let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], *pointer, "{problem}");
            assert!(refused.body.len() < 2_000, "{pointer}");
        }
    }
    for (field, value, pointer) in [
        ("invitation", json!("pigeon"), "/invitation"),
        ("invitation", json!(true), "/invitation"),
        ("password", json!("short"), "/password"),
        ("password", json!("bob@acme.example"), "/password"),
        ("password", json!("a".repeat(20)), "/password"),
        ("password", json!("correct horse\u{0} battery"), "/password"),
        ("status", json!("disabled"), "/status"),
    ] {
        let mut body = good.clone();
        body[field] = value;
        let refused = acme.send("POST", "/members", &body);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    for missing in ["name", "email"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(missing);
        let refused = acme.send("POST", "/members", &body);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert!(problem["detail"].as_str().unwrap().contains(missing));
    }
    // Several at once are told at once.
    let body = json!({ "name": "", "email": "", "organization_id": "" });
    let refused = acme.send("POST", "/members", &body);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 3);
    let body = json!({ "name": "x".repeat(1 << 20), "email": "m@acme.example" });
    let refused = acme.send("POST", "/members", &body);
    expect_problem(acme.world(), &refused, 413, "too-large");
    for reason in ["", "a\u{0}", &"x".repeat(501)] {
        let body = json!({ "reason": reason });
        let refused = acme.send("POST", &of(&ada, "/disable"), &body);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/reason");
    }
    assert_eq!(count(&acme), before);
    assert_eq!(acme.get(&of(&ada, ""))["revision"], 1);
}

#[test]
fn names_of_any_script_are_kept_as_they_are() {
    let acme = Acme::new();
    for (number, name) in [
        "Zoë Ångström",
        "夜間",
        "تصدير",
        "O'Brien; DROP TABLE members;--",
        "100%_",
    ]
    .into_iter()
    .enumerate()
    {
        let email = format!("m{number}@acme.example");
        let id = acme.member_in(&acme.root, name, &email);
        assert_eq!(acme.get(&of(&id, ""))["name"], name);
    }
}

#[test]
fn what_was_changed_meanwhile_is_not_changed_again() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    acme.send("PATCH", &of(&ada, ""), &json!({ "name": "Ada L" }))
        .expect(200);
    let stale = [("if-match", "\"1\"")];
    let role = json!({ "role": "member" });
    for (method, path, body) in [
        ("PATCH", "", json!({ "name": "Other" })),
        (
            "PUT",
            "",
            json!({ "name": "Other", "email": "o@acme.example" }),
        ),
        ("DELETE", "?confirm_name=Ada%20L", Value::Null),
        ("POST", "/disable", Value::Null),
        ("POST", "/enable", Value::Null),
        ("POST", "/invite", Value::Null),
        ("POST", "/reset-password", Value::Null),
        ("POST", "/revoke-links", Value::Null),
        ("POST", "/role-assignments", role.clone()),
    ] {
        let (replica, path) = (&acme.world().replica, of(&ada, path));
        let refused = acme.send_at(replica, &acme.scene.admin, method, &path, &stale, &body);
        expect_problem(acme.world(), &refused, 412, "precondition-failed");
    }
    let current = [("if-match", "\"2\"")];
    let path = of(&ada, "/role-assignments");
    let replica = &acme.world().replica;
    let given = acme.send_at(replica, &acme.scene.admin, "POST", &path, &current, &role);
    assert_eq!(given.status, 201, "{}", given.body);
    assert_eq!(acme.get(&of(&ada, ""))["revision"], 3, "roles count too");
}

#[test]
fn a_dry_run_makes_changes_and_deletes_nobody() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let before = acme.get("/members");
    let events = acme.scene.events().len();
    let body = json!({ "name": "Bob", "email": "bob@acme.example" });
    for (method, path, body, status) in [
        ("POST", "/members?dry_run=true".to_owned(), body, 201),
        (
            "PATCH",
            of(&ada, "?dry_run=true"),
            json!({ "name": "A" }),
            200,
        ),
        ("POST", of(&ada, "/disable?dry_run=true"), Value::Null, 200),
        (
            "DELETE",
            of(&ada, "?dry_run=true&confirm_name=Ada"),
            Value::Null,
            204,
        ),
    ] {
        let answer = acme.send(method, &path, &body);
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.header("dry-run"), Some("true"));
    }
    assert_eq!(acme.get("/members"), before);
    assert_eq!(acme.scene.events().len(), events);
}
