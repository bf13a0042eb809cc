//! What goes wrong with members: addresses that are taken, passwords that nobody may see, two at once.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use grantor_acceptance::Answer;
use serde_json::{Value, json};

use super::acme::{Acme, NEVER, alike, of, organization_uuid};
use crate::asking::{everything_at_rest, hexadecimal, number, somebody_waits, until};
use crate::operations::expect_problem;

const PASSWORD: &str = "correct horse battery staple";

#[track_caller]
fn is_taken(acme: &Acme, refused: &Answer) {
    let problem = expect_problem(acme.world(), refused, 409, "conflict");
    assert_eq!(problem["errors"][0]["pointer"], "/email");
}

#[test]
fn an_address_is_one_members_whichever_letters_are_capital() {
    let acme = Acme::new();
    let body = |email: &str| json!({ "name": "Other", "email": email });
    let other = acme.member_in(&acme.a, "Other", "other@acme.example");
    for (number, (kept, same)) in [
        ("ada@acme.example", "ADA@Acme.Example"),
        ("ünal@münchen.example", "Ünal@MÜNCHEN.example"),
        ("жанна@acme.example", "ЖАННА@acme.example"),
    ]
    .into_iter()
    .enumerate()
    {
        let id = acme.member_in(&acme.root, &format!("M{number}"), kept);
        for email in [kept, same] {
            is_taken(&acme, &acme.send("POST", "/members", &body(email)));
            let path = of(&other, "");
            is_taken(
                &acme,
                &acme.send("PATCH", &path, &json!({ "email": email })),
            );
            is_taken(&acme, &acme.send("PUT", &path, &body(email)));
            let found = acme.get(&format!("/members?email={}", super::acme::encoded(email)));
            assert_eq!(found["items"].as_array().unwrap().len(), 1, "{email}");
            assert_eq!(found["items"][0]["id"], json!(id), "{email}");
        }
        // One's own in other letters is one's own still.
        let own = json!({ "email": same });
        let changed = acme.send("PATCH", &of(&id, ""), &own).expect(200);
        assert_eq!(changed["email"], same);
    }
    // In another tenant it is free.
    let tenant = acme.world().tenant("Other");
    acme.world().member(&tenant, "Ada", "ada@acme.example");
}

#[test]
fn of_12_that_ask_for_one_address_at_once_on_two_replicas_one_gets_it() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let replicas = [&acme.world().replica, &other];
    let emails = ["ada@acme.example", "Ada@acme.example", "ADA@ACME.EXAMPLE"];
    let mut came: BTreeMap<u16, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..12)
            .map(|index| {
                let (acme, replica) = (&acme, replicas[index % 2]);
                let body = json!({ "name": "Ada", "email": emails[index % 3] });
                scope.spawn(move || {
                    let admin = &acme.scene.admin;
                    acme.send_at(replica, admin, "POST", "/members", &[], &body)
                })
            })
            .collect();
        for asked in asked {
            *came.entry(asked.join().unwrap().status).or_default() += 1;
        }
    });
    assert_eq!(came, BTreeMap::from([(201, 1), (409, 11)]));
    let there = number(
        acme.world(),
        "SELECT count(*) FROM members WHERE lower(email) = 'ada@acme.example'",
    );
    assert_eq!(there, 1);
}

#[test]
fn secret_2_a_password_that_is_given_is_nowhere_at_rest_and_never_repeated() {
    let acme = Acme::new();
    let body = json!({ "name": "Ada", "email": "ada@acme.example", "password": PASSWORD });
    let made = acme.send("POST", "/members", &body);
    assert!(!made.body.contains(PASSWORD));
    let ada = made.text("/id");
    assert_eq!(made.expect(201)["has_password"], true);
    assert_eq!(acme.get(&of(&ada, ""))["has_password"], true);
    let listed = acme.get("/members?email=ada@acme.example");
    assert_eq!(listed["items"][0]["has_password"], true);
    let set = acme.events("member.password_set");
    assert_eq!((set.len(), &set[0]["target"]["id"]), (1, &json!(ada)));
    for (table, row) in everything_at_rest(acme.world()) {
        assert!(!row.contains(PASSWORD), "{table}");
        assert!(!row.contains(&hexadecimal(PASSWORD)), "{table}");
    }
    let both = json!({ "name": "B", "email": "b@acme.example", "password": PASSWORD, "invitation": "show" });
    let refused = acme.send("POST", "/members", &both);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/password");
    // A slip of the hand in its type doesn't show it either.
    for slip in [
        json!(271_828_182_845_904_i64),
        json!([271_828_182_845_904_i64]),
        json!("271828182"),
    ] {
        let body = json!({ "name": "B", "email": "b@acme.example", "password": slip });
        let refused = acme.send("POST", "/members", &body);
        assert!(!refused.body.contains("271828182"), "{}", refused.body);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/password"), "{problem}");
    }
}

#[test]
fn the_tenants_rule_holds_for_a_password_that_is_given() {
    let acme = Acme::new();
    let rule = json!({ "password_min_length": 30 });
    acme.send("PATCH", "/settings", &rule).expect(200);
    let body = json!({ "name": "Ada", "email": "ada@acme.example", "password": PASSWORD });
    let refused = acme.send("POST", "/members", &body);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/password");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("at least 30 characters"), "{detail}");
}

#[test]
fn tenant_1_another_tenants_member_is_like_one_that_never_was() {
    let acme = Acme::new();
    let other = acme.world().tenant("Other");
    let theirs = acme.world().member(&other, "Ada", "ada@acme.example");
    let given = acme.world().assign(&other, &theirs, "member", None);
    let requests = |id: &str| {
        let role = json!({ "role": "member" });
        [
            ("GET", of(id, ""), Value::Null),
            ("PATCH", of(id, ""), json!({ "name": "X" })),
            (
                "PUT",
                of(id, ""),
                json!({ "name": "X", "email": "x@acme.example" }),
            ),
            ("DELETE", of(id, "?confirm_name=Ada"), Value::Null),
            ("POST", of(id, "/disable"), Value::Null),
            ("POST", of(id, "/enable"), Value::Null),
            ("POST", of(id, "/invite"), json!({ "deliver": "show" })),
            ("POST", of(id, "/reset-password"), Value::Null),
            ("POST", of(id, "/revoke-links"), Value::Null),
            ("GET", of(id, "/role-assignments"), Value::Null),
            ("POST", of(id, "/role-assignments"), role),
            (
                "DELETE",
                of(id, &format!("/role-assignments/{given}")),
                Value::Null,
            ),
        ]
    };
    let events = acme.scene.events().len();
    for bad in [
        theirs.as_str(),
        "mem_",
        "x",
        acme.scene.subject.client_id.as_str(),
    ] {
        for ((method, path, body), (_, unknown, _)) in
            requests(bad).into_iter().zip(requests(NEVER))
        {
            let answer = acme.send(method, &path, &body);
            alike(&answer, &acme.send(method, &unknown, &body));
            expect_problem(acme.world(), &answer, 404, "not-found");
        }
    }
    let body = json!({ "member_id": theirs });
    let owner = acme.token_of(&acme.scene.tenant.owner);
    let foreign = acme.send_as(&owner, "PUT", "/root-owner", &body);
    let never = acme.send_as(&owner, "PUT", "/root-owner", &json!({ "member_id": NEVER }));
    alike(&foreign, &never);
    // A member of this tenant, by the path of the other: there is nothing either.
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let url = |tenant: &str| {
        let path = format!("/v1/tenants/{tenant}/members/{ada}");
        acme.world().api(&path)
    };
    let headers = [("authorization", acme.scene.admin.as_str())];
    let elsewhere = acme.world().http.get(&url(&other.id), &headers);
    let nowhere = acme
        .world()
        .http
        .get(&url("ten_01kb2q3r4s5t6v7w8x9y0z1a2b"), &headers);
    alike(&elsewhere, &nowhere);
    assert_eq!(acme.events("member.updated"), [Value::Null; 0]);
    assert!(
        acme.scene.events().len() > events,
        "the attempt is on record"
    );
}

#[test]
fn of_12_that_are_made_at_once_on_two_replicas_as_many_succeed_as_are_allowed() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let replicas = [&acme.world().replica, &other];
    let tenant = acme.tenant_uuid();
    let there = |acme: &Acme| {
        let sql = format!("SELECT count(*) FROM members WHERE tenant_id = '{tenant}'");
        number(acme.world(), &sql)
    };
    let limit = there(&acme) + 4;
    acme.sql(&format!(
        "INSERT INTO tenant_quotas (tenant_id, members) VALUES ('{tenant}', {limit})"
    ));
    let mut came: BTreeMap<u16, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..12)
            .map(|index| {
                let (acme, replica) = (&acme, replicas[index % 2]);
                let body = json!({ "name": "M", "email": format!("m{index}@acme.example") });
                scope.spawn(move || {
                    let admin = &acme.scene.admin;
                    acme.send_at(replica, admin, "POST", "/members", &[], &body)
                })
            })
            .collect();
        for asked in asked {
            let answer = asked.join().unwrap();
            *came.entry(answer.status).or_default() += 1;
            if answer.status != 201 {
                assert_eq!(answer.json()["code"], "quota-reached", "{}", answer.body);
            }
        }
    });
    assert_eq!(came, BTreeMap::from([(201, 4), (409, 8)]));
    assert_eq!(there(&acme), limit);
    // Who is deleted makes room.
    let some = &acme.get("/members?email=owner@example.com")["items"][0];
    assert_eq!(some["is_root_owner"], true);
    let one = acme.get("/members?q=m&limit=1")["items"][0]["id"].clone();
    let path = of(one.as_str().unwrap(), "?confirm_name=M");
    acme.send("DELETE", &path, &Value::Null).expect(204);
    acme.member_in(&acme.root, "Room", "room@acme.example");
}

/// Lets a request run into an organization that is just being deleted.
fn while_it_goes(
    acme: &Acme,
    organization: &str,
    asking: impl FnOnce() -> Answer + Send,
) -> Answer {
    let mut holder = acme.world().database.superuser();
    let uuid = organization_uuid(organization);
    holder
        .batch_execute(&format!(
            "BEGIN; DELETE FROM organizations WHERE id = '{uuid}'"
        ))
        .unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(asking);
        until("somebody runs into the lock", || {
            somebody_waits(acme.world())
        });
        holder.batch_execute("COMMIT").unwrap();
        asked.join().unwrap()
    })
}

#[test]
fn who_is_to_live_in_an_organization_that_goes_in_this_very_moment_is_told_so() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let (a1, b) = (acme.a1.clone(), acme.b.clone());
    let made = while_it_goes(&acme, &a1, || {
        let body = json!({ "name": "Bob", "email": "bob@acme.example", "organization_id": a1 });
        acme.send("POST", "/members", &body)
    });
    let moved = while_it_goes(&acme, &b, || {
        acme.send("PATCH", &of(&ada, ""), &json!({ "organization_id": b }))
    });
    for refused in [made, moved] {
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/organization_id");
    }
}
