//! The root owner: handed over by themselves, and never lost.

use diesel::connection::SimpleConnection as _;
use grantor_acceptance::Answer;
use serde_json::{Value, json};

use crate::asking::number;
use crate::members::acme::{Acme, NEVER, alike, member_uuid, of};
use crate::operations::expect_problem;

fn hand_over(acme: &Acme, who: &str, heir: &str) -> Answer {
    acme.send_as(who, "PUT", "/root-owner", &json!({ "member_id": heir }))
}

fn root_owner(acme: &Acme) -> String {
    let shown = acme.get("/root-owner");
    shown["member_id"].as_str().unwrap().to_owned()
}

/// A member of the root who is an owner besides the root owner, and their authorization.
fn owner(acme: &Acme, email: &str) -> (String, String) {
    acme.holder_of("owner", &acme.root, email)
}

/// The `owner` of somebody, as it is taken from them.
fn ownership(acme: &Acme, member: &str) -> String {
    let held = acme.get(&of(member, "/role-assignments"));
    let held = held["items"].as_array().unwrap();
    let owner = held.iter().find(|held| held["role"] == "owner").unwrap();
    of(
        member,
        &format!("/role-assignments/{}", owner["id"].as_str().unwrap()),
    )
}

/// Whether the tenant has a root owner who is there, active, at home in the root, and an owner.
#[track_caller]
fn assert_owned(acme: &Acme) {
    let sql = format!(
        "SELECT count(*) FROM tenants AS t JOIN members AS m ON m.tenant_id = t.id AND m.id = t.root_owner_id \
         JOIN role_assignments AS r ON r.tenant_id = t.id AND r.member_id = m.id AND r.role = 'owner' \
             AND r.organization_id = t.root_organization_id \
         LEFT JOIN suspensions AS s ON s.tenant_id = t.id AND s.subject_id = m.id \
         WHERE t.id = '{}' AND m.organization_id = t.root_organization_id AND m.status = 'active' \
             AND s.paused_by_tenant_at IS NULL AND s.deleted_at IS NULL",
        acme.tenant_uuid()
    );
    assert_eq!(
        number(acme.world(), &sql),
        1,
        "the tenant has lost its root owner"
    );
}

#[test]
fn role_1_the_root_owner_is_not_disabled_deleted_demoted_or_moved_by_anybody() {
    let acme = Acme::new();
    let owner_id = acme.scene.tenant.owner.clone();
    let own = acme.token_of(&owner_id);
    let (_, other) = owner(&acme, "other@acme.example");
    let path = of(&owner_id, "");
    let shown = acme.get(&path);
    assert_eq!(
        (&shown["is_root_owner"], &shown["organization_id"]),
        (&json!(true), &json!(acme.root))
    );
    let taken = ownership(&acme, &owner_id);
    for who in [&own, &other, &acme.scene.admin] {
        for (method, at, body) in [
            ("POST", of(&owner_id, "/disable"), Value::Null),
            ("DELETE", of(&owner_id, "?confirm_name=Owner"), Value::Null),
            ("DELETE", taken.clone(), Value::Null),
            ("PATCH", path.clone(), json!({ "organization_id": acme.a })),
            (
                "PUT",
                path.clone(),
                json!({ "name": "Owner", "email": "owner@example.com", "organization_id": acme.a }),
            ),
        ] {
            let refused = acme.send_as(who, method, &at, &body);
            let problem = expect_problem(acme.world(), &refused, 409, "root-owner");
            assert!(
                problem["detail"].as_str().unwrap().contains("root-owner"),
                "{problem}"
            );
        }
    }
    assert_eq!(acme.get(&path), shown);
    // Other roles of theirs come and go, and so do their name and address.
    let more = acme.assign(&owner_id, "admin", &acme.root);
    let more = of(&owner_id, &format!("/role-assignments/{more}"));
    acme.send("DELETE", &more, &Value::Null).expect(204);
    let change = json!({ "name": "The owner", "email": "the.owner@example.com" });
    acme.send("PATCH", &path, &change).expect(200);
    assert_owned(&acme);
}

#[test]
fn role_1_the_root_ownership_is_handed_over_by_the_root_owner_alone() {
    let acme = Acme::new();
    let first = acme.scene.tenant.owner.clone();
    let own = acme.token_of(&first);
    let (second, others) = owner(&acme, "second@acme.example");
    let (_, admin) = acme.admin_of(&acme.root, "admin@acme.example");
    for who in [&others, &admin, &acme.scene.admin] {
        let refusals = acme.events("access.refused").len();
        let refused = hand_over(&acme, who, &second);
        expect_problem(acme.world(), &refused, 403, "forbidden");
        assert_eq!(acme.events("access.refused").len(), refusals + 1);
    }
    // role_4: by a token for it, and not by any other of theirs.
    let narrow = acme.narrow(&first, &["members.read"]);
    let refused = hand_over(&acme, &narrow, &second);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    assert_eq!(root_owner(&acme), first);
    // To oneself it is no change.
    hand_over(&acme, &own, &first).expect(200);
    assert!(acme.events("tenant.root_owner_changed").is_empty());
    let revisions = [&first, &second].map(|id| acme.get(&of(id, ""))["revision"].as_i64().unwrap());
    let path = "/root-owner?dry_run=true";
    acme.send_as(&own, "PUT", path, &json!({ "member_id": second }))
        .expect(200);
    assert_eq!(root_owner(&acme), first);

    let handed = hand_over(&acme, &own, &second).expect(200);
    assert_eq!(handed["member_id"], json!(second));
    assert_eq!(root_owner(&acme), second);
    for (id, revision, is) in [(&first, revisions[0], false), (&second, revisions[1], true)] {
        let shown = acme.get(&of(id, ""));
        assert_eq!(shown["is_root_owner"], json!(is));
        assert_eq!(shown["revision"], json!(revision + 1));
    }
    let event = &acme.events("tenant.root_owner_changed")[0];
    assert_eq!(event["before"], json!({ "root_owner_id": first }));
    assert_eq!(event["after"], json!({ "root_owner_id": second }));
    assert_eq!(event["actor"]["id"], json!(first));
    // Who was it is an owner as others are, and hands nothing over any more.
    let refused = hand_over(&acme, &own, &first);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    acme.send_as(&others, "DELETE", &ownership(&acme, &first), &Value::Null)
        .expect(204);
    let refused = acme.send("POST", &of(&second, "/disable"), &Value::Null);
    expect_problem(acme.world(), &refused, 409, "root-owner");
    assert_owned(&acme);
}

#[test]
fn role_1_an_heir_is_an_active_owner_at_home_in_the_root() {
    let acme = Acme::new();
    let own = acme.token_of(&acme.scene.tenant.owner);
    let refused = |heir: &str| {
        let refused = hand_over(&acme, &own, heir);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/member_id");
        refused
    };
    let plain = acme.member_in(&acme.root, "Plain", "plain@acme.example");
    let (admin, _) = acme.admin_of(&acme.root, "admin@acme.example");
    let away = acme.member_in(&acme.a, "Away", "away@acme.example");
    acme.assign(&away, "owner", &acme.root);
    let (disabled, _) = owner(&acme, "disabled@acme.example");
    acme.send("POST", &of(&disabled, "/disable"), &Value::Null)
        .expect(200);
    let never = refused(NEVER);
    for heir in [&plain, &admin, &away, &disabled] {
        alike(&refused(heir), &never);
    }
    for bad in [
        "",
        "owner@example.com",
        acme.root.as_str(),
        "mem_",
        "mem_\u{0}",
    ] {
        refused(bad);
    }
    for body in [
        json!({}),
        json!({ "member_id": null }),
        json!({ "member_id": 7 }),
        json!([]),
    ] {
        let answer = acme.send_as(&own, "PUT", "/root-owner", &body);
        expect_problem(acme.world(), &answer, 422, "invalid-field");
    }
    assert_eq!(root_owner(&acme), acme.scene.tenant.owner);
    // Who administers a part of the tree doesn't learn who it is.
    let (_, of_a) = acme.admin_of(&acme.a, "of.a@acme.example");
    for (method, body) in [("GET", Value::Null), ("PUT", json!({ "member_id": away }))] {
        let answer = acme.send_as(&of_a, method, "/root-owner", &body);
        expect_problem(acme.world(), &answer, 403, "forbidden");
    }
}

#[test]
fn role_1_in_50_rounds_of_handing_over_to_somebody_who_goes_at_once_it_is_never_lost() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let mut current = acme.scene.tenant.owner.clone();
    let mut current_token = acme.token_of(&current);
    let mut heir: Option<(String, String)> = None;
    for round in 0..50 {
        let (id, token) = heir
            .take()
            .unwrap_or_else(|| owner(&acme, &format!("heir{round}@acme.example")));
        let (method, path) = match round % 3 {
            0 => ("POST", of(&id, "/disable")),
            1 => ("DELETE", of(&id, "?confirm_name=Somebody")),
            _ => ("DELETE", ownership(&acme, &id)),
        };
        let (handed, gone) = std::thread::scope(|scope| {
            let admin = &acme.scene.admin;
            let (acme, other, path) = (&acme, &other, &path);
            // Either begins first as often.
            let go = move || acme.send_at(other, admin, method, path, &[], &Value::Null);
            let gone = (round % 2 == 0).then(|| scope.spawn(go));
            let handing = scope.spawn(|| hand_over(acme, &current_token, &id));
            let gone = gone.map_or_else(go, |gone| gone.join().unwrap());
            (handing.join().unwrap(), gone)
        });
        assert_owned(&acme);
        let is_handed = match (handed.status, gone.status) {
            (200, 409) => true,
            (422, 200 | 204) => false,
            both => panic!("round {round}: {both:?} {} {}", handed.body, gone.body),
        };
        if is_handed {
            assert_eq!(gone.json()["code"], "root-owner");
            heir = Some((
                std::mem::replace(&mut current, id),
                std::mem::replace(&mut current_token, token),
            ));
            // The first owner is called otherwise.
            let name = json!({ "name": "Somebody" });
            let former = &heir.as_ref().unwrap().0;
            acme.send("PATCH", &of(former, ""), &name).expect(200);
        }
        assert_eq!(root_owner(&acme), current);
    }
}

#[test]
fn role_1_two_owners_who_demote_disable_or_delete_each_other_at_once_leave_an_owner() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let first = acme.scene.tenant.owner.clone();
    let own = acme.token_of(&first);
    for round in 0..12 {
        let (second, theirs) = owner(&acme, &format!("second{round}@acme.example"));
        let attack = |victim: &str| match round % 3 {
            0 => ("DELETE", ownership(&acme, victim)),
            1 => ("POST", of(victim, "/disable")),
            _ => {
                let name = acme.get(&of(victim, ""))["name"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                ("DELETE", of(victim, &format!("?confirm_name={name}")))
            }
        };
        let (on_first, on_second) = (attack(&first), attack(&second));
        let (rebel, king) = std::thread::scope(|scope| {
            let (method, path) = &on_first;
            let rebel =
                scope.spawn(|| acme.send_at(&other, &theirs, method, path, &[], &Value::Null));
            let (method, path) = &on_second;
            let king = acme.send_as(&own, method, path, &Value::Null);
            (rebel.join().unwrap(), king)
        });
        assert!(matches!(rebel.status, 409 | 401 | 403), "{}", rebel.body);
        assert!(matches!(king.status, 200 | 204), "{}", king.body);
        assert_owned(&acme);
    }
    // Two of whom neither is the root owner may both go: one is left still.
    let (third, by_third) = owner(&acme, "third@acme.example");
    let (fourth, by_fourth) = owner(&acme, "fourth@acme.example");
    let (on_third, on_fourth) = (ownership(&acme, &third), ownership(&acme, &fourth));
    std::thread::scope(|scope| {
        scope.spawn(|| acme.send_at(&other, &by_third, "DELETE", &on_fourth, &[], &Value::Null));
        acme.send_as(&by_fourth, "DELETE", &on_third, &Value::Null);
    });
    assert_owned(&acme);
}

#[test]
fn role_1_the_first_owner_of_a_tenant_without_one_is_active_and_at_home_in_the_root() {
    let acme = Acme::new();
    let uuid = member_uuid(&acme.scene.tenant.owner);
    // As a tenant of an older release may be.
    acme.sql(&format!(
        "UPDATE tenants SET root_owner_id = NULL WHERE root_owner_id = '{uuid}'; \
         DELETE FROM role_assignments WHERE member_id = '{uuid}'"
    ));
    assert_eq!(acme.get("/root-owner")["member_id"], Value::Null);
    let away = acme.member_in(&acme.a, "Away", "away@acme.example");
    let idle = acme.member_in(&acme.root, "Idle", "idle@acme.example");
    acme.send("POST", &of(&idle, "/disable"), &Value::Null)
        .expect(200);
    let body = json!({ "role": "owner" });
    for member in [&away, &idle] {
        let refused = acme.send("POST", &of(member, "/role-assignments"), &body);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/role");
    }
    assert_eq!(acme.get("/root-owner")["member_id"], Value::Null);
    acme.send("POST", &of(&idle, "/enable"), &Value::Null)
        .expect(200);
    acme.assign(&idle, "owner", &acme.root);
    assert_eq!(root_owner(&acme), idle);
    let event = &acme.events("tenant.root_owner_changed")[0];
    assert_eq!(event["after"], json!({ "root_owner_id": idle }));
    assert_owned(&acme);
    // The second is an owner, and no more.
    acme.assign(&away, "owner", &acme.root);
    assert_eq!(root_owner(&acme), idle);
    let mut behind = acme.world().database.superuser();
    let lost = format!(
        "DELETE FROM members WHERE id = '{}'; SET CONSTRAINTS ALL IMMEDIATE",
        member_uuid(&idle)
    );
    assert!(
        behind.batch_execute(&format!("BEGIN; {lost}")).is_err(),
        "a key holds it"
    );
}

#[test]
fn an_operator_hands_over_for_one_who_is_gone_and_both_logs_tell_of_it() {
    let acme = Acme::new();
    let (heir, _) = owner(&acme, "heir@acme.example");
    let world = acme.world();
    let url = world.api(&format!("/v1/tenants/{}/root-owner", acme.scene.tenant.id));
    let body = json!({ "member_id": heir }).to_string();
    let ask = |method: &str, scopes: &str, body: &str| {
        let operator = world.operator_with(scopes);
        let headers = [
            ("authorization", operator.as_str()),
            ("content-type", "application/json"),
        ];
        world.http.send(method, &url, &headers, body.as_bytes())
    };
    // One with other permissions learns nothing of the tenant.
    for (method, scope) in [
        ("PUT", "grantor:tenants.read"),
        ("GET", "grantor:clients.read"),
    ] {
        expect_problem(world, &ask(method, scope, &body), 404, "not-found");
    }
    let before = ask("GET", "grantor:tenants.read", "").expect(200);
    assert_eq!(before["member_id"], json!(acme.scene.tenant.owner));
    let done = ask("PUT", "grantor:tenants.write", &body).expect(200);
    assert_eq!(done["member_id"], json!(heir));
    assert_eq!(root_owner(&acme), heir);
    assert_owned(&acme);
    let changed = |tenant: &str, authorization: &str| {
        let path = format!("/v1/tenants/{tenant}/audit-events?action=tenant.root_owner_changed");
        let found = world
            .http
            .get(&world.api(&path), &[("authorization", authorization)])
            .expect(200);
        found["items"][0]["after"]["root_owner_id"].clone()
    };
    let own = changed(&acme.scene.tenant.id, &world.as_admin(&acme.scene.tenant));
    let operators = world.operator_with("grantor:audit.read");
    let platforms = changed(&world.platform_id, &operators);
    assert_eq!((own, platforms), (json!(heir), json!(heir)));
}

#[test]
fn nobody_becomes_the_root_owner_by_a_link_or_an_address_once_they_have_come_in() {
    let acme = Acme::new();
    let owner_id = acme.scene.tenant.owner.clone();
    let show = json!({ "deliver": "show" });
    let reset = of(&owner_id, "/reset-password");
    // Somebody must let them in for the first time.
    acme.send("POST", &of(&owner_id, "/invite"), &show)
        .expect(200);
    acme.sql(&format!(
        "INSERT INTO authenticators (tenant_id, member_id, kind, verifier, created_at, updated_at) \
         VALUES ('{}', '{}', 'password', 'p1$none', now(), now())",
        acme.tenant_uuid(),
        member_uuid(&owner_id)
    ));
    let moved = json!({ "email": "mine@acme.example" });
    let (_, other) = owner(&acme, "other@acme.example");
    for who in [acme.scene.admin.as_str(), other.as_str()] {
        let shown = acme.send_as(who, "POST", &reset, &show);
        expect_problem(acme.world(), &shown, 403, "forbidden");
        let addressed = acme.send_as(who, "PATCH", &of(&owner_id, ""), &moved);
        expect_problem(acme.world(), &addressed, 403, "forbidden");
    }
    // By mail it goes to themselves, and they may do as they like.
    acme.send("POST", &reset, &Value::Null).expect(200);
    let own = acme.token_of(&owner_id);
    acme.send_as(&own, "POST", &reset, &show).expect(200);
    acme.send_as(&own, "PATCH", &of(&owner_id, ""), &moved)
        .expect(200);
}
