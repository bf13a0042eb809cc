//! Who administers a part of the tree, and the members that they reach.

use serde_json::{Value, json};

use super::acme::{Acme, NEVER, NO_ORGANIZATION, alike, of};
use crate::operations::expect_problem;

#[test]
fn role_2_within_a_subtree_members_are_made_changed_disabled_and_deleted() {
    let acme = Acme::new();
    let (_, admin) = acme.admin_of(&acme.a, "admin@acme.example");
    let body = json!({ "name": "Ada", "email": "ada@acme.example", "organization_id": acme.a1 });
    let made = acme.send_as(&admin, "POST", "/members", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    let ada = made.text("/id");
    let moved =
        json!({ "name": "Ada L", "organization_id": acme.a, "email": "ada.l@acme.example" });
    for (method, path, body) in [
        ("GET", "", Value::Null),
        ("PATCH", "", moved),
        ("POST", "/disable", Value::Null),
        ("POST", "/enable", Value::Null),
        ("GET", "/role-assignments", Value::Null),
        ("POST", "/reset-password", json!({ "deliver": "show" })),
    ] {
        acme.send_as(&admin, method, &of(&ada, path), &body)
            .expect(200);
    }
    let path = of(&ada, "?confirm_name=Ada%20L");
    acme.send_as(&admin, "DELETE", &path, &Value::Null)
        .expect(204);
    assert!(acme.events("access.refused").is_empty());
}

#[test]
fn role_2_who_lives_outside_a_subtree_is_like_who_never_was_and_the_attempt_is_on_record() {
    let acme = Acme::new();
    let (_, admin) = acme.admin_of(&acme.a, "admin@acme.example");
    let requests = |id: &str, given: &str| {
        [
            ("GET", of(id, ""), Value::Null),
            ("PATCH", of(id, ""), json!({ "name": "X" })),
            (
                "PUT",
                of(id, ""),
                json!({ "name": "X", "email": "x@acme.example" }),
            ),
            ("DELETE", of(id, "?confirm_name=Bob"), Value::Null),
            ("POST", of(id, "/disable"), Value::Null),
            ("POST", of(id, "/enable"), Value::Null),
            ("POST", of(id, "/invite"), json!({ "deliver": "show" })),
            ("POST", of(id, "/reset-password"), Value::Null),
            ("POST", of(id, "/revoke-links"), Value::Null),
            ("GET", of(id, "/role-assignments"), Value::Null),
            (
                "POST",
                of(id, "/role-assignments"),
                json!({ "role": "member", "organization_id": acme.a }),
            ),
            (
                "DELETE",
                of(id, &format!("/role-assignments/{given}")),
                Value::Null,
            ),
        ]
    };
    for (home, email) in [(&acme.root, "r@acme.example"), (&acme.b, "b@acme.example")] {
        let bob = acme.member_in(home, "Bob", email);
        let given = acme.assign(&bob, "member", &acme.a);
        let before = acme.get(&of(&bob, ""));
        for ((method, path, body), (_, unknown, _)) in requests(&bob, &given)
            .into_iter()
            .zip(requests(NEVER, &given))
        {
            let refusals = acme.events("access.refused").len();
            let refused = acme.send_as(&admin, method, &path, &body);
            expect_problem(acme.world(), &refused, 404, "not-found");
            assert_eq!(
                acme.events("access.refused").len(),
                refusals + 1,
                "{method} {path}"
            );
            alike(&refused, &acme.send_as(&admin, method, &unknown, &body));
        }
        assert_eq!(acme.get(&of(&bob, "")), before);
    }
}

#[test]
fn role_2_nobody_is_made_or_moved_where_one_does_not_reach() {
    let acme = Acme::new();
    let (_, admin) = acme.admin_of(&acme.a, "admin@acme.example");
    let ada = acme.member_in(&acme.a1, "Ada", "ada@acme.example");
    let make = |home: &Value| {
        let body = json!({ "name": "Bob", "email": "bob@acme.example", "organization_id": home });
        acme.send_as(&admin, "POST", "/members", &body)
    };
    let shift = |home: &Value| {
        acme.send_as(
            &admin,
            "PATCH",
            &of(&ada, ""),
            &json!({ "organization_id": home }),
        )
    };
    let replace = |home: &Value| {
        let body = json!({ "name": "Ada", "email": "ada@acme.example", "organization_id": home });
        acme.send_as(&admin, "PUT", &of(&ada, ""), &body)
    };
    // Null is the root organization.
    for home in [json!(acme.root), json!(acme.b), Value::Null] {
        let unknown = json!(NO_ORGANIZATION);
        for (refused, never) in [
            (make(&home), make(&unknown)),
            (shift(&home), shift(&unknown)),
            (replace(&home), replace(&unknown)),
        ] {
            let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], "/organization_id");
            alike(&refused, &never);
        }
    }
    assert_eq!(acme.get(&of(&ada, ""))["revision"], 1);
    assert_eq!(acme.get("/members?q=bob")["items"], json!([]));
}

#[test]
fn role_3_an_account_is_taken_over_or_away_by_nobody_who_holds_less() {
    let acme = Acme::new();
    let (_, admin) = acme.admin_of(&acme.a, "admin@acme.example");
    // They live where the administrator reaches, and hold more than the administrator.
    let mighty = acme.member_in(&acme.a, "Mighty", "mighty@acme.example");
    acme.assign(&mighty, "support", &acme.b);
    let attempts = [
        ("PATCH", "", json!({ "email": "mine@acme.example" })),
        ("PATCH", "", json!({ "email": "MIGHTY@acme.example" })),
        (
            "PUT",
            "",
            json!({ "name": "Mighty", "email": "mine@acme.example", "organization_id": acme.a }),
        ),
        ("POST", "/disable", Value::Null),
        ("DELETE", "?confirm_name=Mighty", Value::Null),
        ("POST", "/invite", json!({ "deliver": "show" })),
        ("POST", "/reset-password", json!({ "deliver": "show" })),
    ];
    let before = acme.get(&of(&mighty, ""));
    let refused_at = |who: &str| {
        for (method, path, body) in &attempts {
            let refusals = acme.events("access.refused").len();
            let refused = acme.send_as(who, method, &of(&mighty, path), body);
            expect_problem(acme.world(), &refused, 403, "forbidden");
            assert_eq!(acme.events("access.refused").len(), refusals + 1);
        }
    };
    refused_at(&admin);
    // role_4: who holds as much, by a token that says less, holds less.
    let (chief, whole) = acme.admin_of(&acme.root, "chief@acme.example");
    refused_at(&acme.narrow(
        &chief,
        &[
            "members.read",
            "members.write",
            "members.disable",
            "members.delete",
        ],
    ));
    assert_eq!(acme.get(&of(&mighty, "")), before);
    // What does not hand the account over is the administrator's.
    for (method, path, body) in [
        ("PATCH", "", json!({ "name": "Mighty M" })),
        ("PATCH", "", json!({ "organization_id": acme.a1 })),
        ("POST", "/reset-password", json!({ "deliver": "mail" })),
    ] {
        acme.send_as(&admin, method, &of(&mighty, path), &body)
            .expect(200);
    }
    // Who was disabled by one who holds as much is not enabled by one who does not.
    let disable = of(&mighty, "/disable");
    acme.send_as(&whole, "POST", &disable, &Value::Null)
        .expect(200);
    let enable = of(&mighty, "/enable");
    let refused = acme.send_as(&admin, "POST", &enable, &Value::Null);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    acme.send_as(&whole, "POST", &enable, &Value::Null)
        .expect(200);
}

#[test]
fn role_1_support_sees_and_disables_members_and_does_no_more() {
    let acme = Acme::new();
    let (_, support) = acme.holder_of("support", &acme.a, "support@acme.example");
    let ada = acme.member_in(&acme.a1, "Ada", "ada@acme.example");
    acme.send_as(&support, "GET", &of(&ada, ""), &Value::Null)
        .expect(200);
    for path in ["/disable", "/enable"] {
        acme.send_as(&support, "POST", &of(&ada, path), &Value::Null)
            .expect(200);
    }
    for (method, path, body) in [
        (
            "POST",
            "/members".to_owned(),
            json!({ "name": "B", "email": "b@acme.example", "organization_id": acme.a }),
        ),
        ("PATCH", of(&ada, ""), json!({ "name": "X" })),
        ("DELETE", of(&ada, "?confirm_name=Ada"), Value::Null),
        ("POST", of(&ada, "/invite"), Value::Null),
        (
            "POST",
            of(&ada, "/role-assignments"),
            json!({ "role": "member", "organization_id": acme.a }),
        ),
    ] {
        let refused = acme.send_as(&support, method, &path, &body);
        expect_problem(acme.world(), &refused, 403, "forbidden");
    }
    for role in ["developer", "member"] {
        let email = format!("{role}@acme.example");
        let (_, nobody) = acme.holder_of(role, &acme.a, &email);
        let refused = acme.send_as(&nobody, "GET", "/members", &Value::Null);
        expect_problem(acme.world(), &refused, 403, "forbidden");
    }
}

#[test]
fn role_3_moving_a_group_or_a_member_brings_nobody_what_the_mover_could_not_give() {
    let acme = Acme::new();
    let permissions = [
        "organizations.read",
        "organizations.write",
        "members.read",
        "members.write",
    ];
    let tree = acme.role("Tree", &permissions);
    let (mover, token) = acme.holder_of(&tree, &acme.root, "mover@acme.example");
    let elsewhere = acme.member_in(&acme.b, "Bob", "bob@acme.example");
    acme.assign(&mover, "admin", &acme.a);
    let group = format!("/organizations/{}/move", acme.b);
    let to_a = json!({ "parent_id": acme.a });
    let refused = acme.send_as(&token, "POST", &group, &to_a);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    let home = json!({ "organization_id": acme.a });
    let refused = acme.send_as(&token, "PATCH", &of(&elsewhere, ""), &home);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    // Under one over which nobody holds anything, and by one who holds everything, it goes.
    let made = acme.send("POST", "/organizations", &json!({ "name": "C" }));
    let to_c = json!({ "parent_id": made.text("/id") });
    acme.send_as(&token, "POST", &group, &to_c).expect(200);
    acme.send("POST", &group, &to_a).expect(200);
    acme.send("PATCH", &of(&elsewhere, ""), &home).expect(200);
}
