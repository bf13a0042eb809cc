//! Members who leave: what it would touch, told beforehand, and what it did.

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use super::{client_by, client_of, due, owner, path, transfer};
use crate::members::acme::{Acme, NEVER, alike, of};
use crate::operations::expect_problem;

fn impact(acme: &Acme, who: &str, member: &str) -> Value {
    let path = of(member, "/offboarding-impact");
    acme.send_as(who, "GET", &path, &Value::Null).expect(200)
}

/// A leaver named Ada with two clients, and a secret of their making elsewhere.
struct Leaver {
    acme: Acme,
    ada: String,
    in_a: String,
    in_b: String,
    elsewhere: String,
}

impl Leaver {
    fn new() -> Self {
        let acme = Acme::new();
        let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
        acme.assign(&ada, "admin", &acme.root);
        acme.assign(&ada, "support", &acme.a);
        let by_ada = acme.token_of(&ada);
        // Each after the one before, in the order of making.
        let later = || acme.world().advance(TimeDelta::seconds(1));
        let in_a = client_of(&acme, "In A", &acme.a1, &ada);
        later();
        let in_b = client_by(&acme, &by_ada, "In B", &acme.b, &ada).client_id;
        let owner = acme.scene.tenant.owner.clone();
        later();
        let elsewhere = client_by(&acme, &by_ada, "Elsewhere", &acme.a, &owner).client_id;
        Self {
            acme,
            ada,
            in_a,
            in_b,
            elsewhere,
        }
    }

    fn offboard(&self, body: &Value) -> grantor_acceptance::Answer {
        self.acme.send("POST", &of(&self.ada, "/offboard"), body)
    }

    fn clients(&self) -> [&String; 2] {
        [&self.in_a, &self.in_b]
    }
}

/// What a preview and a report have in common.
fn touched(answer: &Value) -> Map<String, Value> {
    let mut touched = answer.as_object().unwrap().clone();
    touched.retain(|name, _| !["is_root_owner", "obstacle", "outcome"].contains(&name.as_str()));
    touched
}

#[test]
fn owner_3_a_preview_tells_beforehand_what_the_offboarding_then_reports() {
    for then in ["delete", "disable"] {
        let leaver = Leaver::new();
        let Leaver {
            acme,
            ada,
            in_a,
            in_b,
            elsewhere,
        } = &leaver;
        acme.send("POST", &path(in_b, "/disable"), &Value::Null)
            .expect(200);
        let preview = impact(acme, &acme.scene.admin, ada);
        assert_eq!(
            (&preview["is_root_owner"], &preview["obstacle"]),
            (&json!(false), &Value::Null)
        );
        assert_eq!(
            preview["clients"],
            json!([
                { "id": in_a, "name": "In A", "organization_id": acme.a1, "status": "active" },
                { "id": in_b, "name": "In B", "organization_id": acme.b, "status": "disabled" },
            ])
        );
        let secrets: Vec<_> = preview["exposed_secrets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|secret| (secret["client_id"].clone(), secret["made_by_them"].clone()))
            .collect();
        let known = [(in_a, false), (in_b, true), (elsewhere, true)];
        assert_eq!(
            secrets,
            known.map(|(client, made)| (json!(client), json!(made)))
        );
        assert_eq!(
            preview["client_count"],
            json!({ "count": 2, "more": false })
        );
        assert_eq!(
            preview["exposed_secret_count"],
            json!({ "count": 3, "more": false })
        );
        assert_eq!(preview["new_owner_id"], json!(acme.scene.tenant.owner));
        let mut marked = [acme.a1.clone(), acme.b.clone()];
        marked.sort();
        assert_eq!(preview["marked_organization_ids"], json!(marked));
        assert_eq!(preview["roles"].as_array().unwrap().len(), 2);
        assert!(
            due(acme, &acme.scene.admin, "").is_empty(),
            "it was asked, and no more"
        );

        let body = json!({ "confirm_name": "Ada", "then": then });
        let report = leaver.offboard(&body).expect(200);
        assert_eq!(touched(&report), touched(&preview));
        assert_eq!(report["outcome"], json!(format!("{then}d")));
        // And it is so.
        for client in leaver.clients() {
            assert_eq!(owner(acme, client), preview["new_owner_id"]);
        }
        let mut exposed: Vec<_> = [in_a, in_b, elsewhere]
            .map(|client| (client.clone(), "exposed".to_owned()))
            .into();
        exposed.sort();
        assert_eq!(due(acme, &acme.scene.admin, ""), exposed);
        let shown = acme.send("GET", &of(ada, ""), &Value::Null);
        if then == "delete" {
            expect_problem(acme.world(), &shown, 404, "not-found");
        } else {
            assert_eq!(shown.expect(200)["status"], json!("disabled"));
            let roles = acme.get(&of(ada, "/role-assignments"));
            assert_eq!(roles, json!({ "items": [] }));
            // Asked of one who has gone, there is nothing left but what they have seen.
            let after = impact(acme, &acme.scene.admin, ada);
            assert_eq!(after["clients"], json!([]));
            assert_eq!(
                (&after["roles"], &after["new_owner_id"]),
                (&json!([]), &Value::Null)
            );
            let events = acme.events("member.offboarded").len();
            leaver.offboard(&body).expect(200);
            assert_eq!(
                acme.events("member.offboarded").len(),
                events,
                "there was nothing to do"
            );
        }
        let event = &acme.events("member.offboarded")[0];
        assert_eq!(event["target"]["id"], json!(ada));
        assert_eq!(
            event["after"],
            json!({ "outcome": format!("{then}d"), "new_owner_id": acme.scene.tenant.owner, "clients": 2 })
        );
        assert_eq!(acme.events(&format!("member.{then}d")).len(), 1);
        assert_eq!(acme.events("role.unassigned").len(), 2);
        let transferred = acme.events("client.transferred");
        assert_eq!(transferred.len(), 2);
        for event in transferred {
            assert_eq!(event["after"]["cause"], json!(format!("owner_{then}d")));
        }
    }
}

#[test]
fn owner_2_who_leaves_may_name_who_gets_everything_if_they_can_own_all_of_it() {
    let leaver = Leaver::new();
    let Leaver {
        acme,
        ada,
        in_a,
        in_b,
        ..
    } = &leaver;
    let (of_a, _) = acme.admin_of(&acme.a, "of.a@acme.example");
    let (heir, _) = acme.admin_of(&acme.root, "heir@acme.example");
    let offboard = |to: &str| {
        leaver.offboard(&json!({ "confirm_name": "Ada", "then": "disable", "new_owner_id": to }))
    };
    let before = impact(acme, &acme.scene.admin, ada);
    let refused = offboard(&of_a);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/new_owner_id");
    let detail = problem["errors"][0]["detail"].as_str().unwrap();
    assert!(detail.contains(in_b) && !detail.contains(in_a), "{detail}");
    let never = offboard(NEVER);
    for nobody in [
        acme.member_in(&acme.a, "Plain", "plain@acme.example"),
        acme.world().tenant("Other").owner,
    ] {
        alike(&offboard(&nobody), &never);
    }
    for client in leaver.clients() {
        assert!(never.body.contains(client.as_str()), "{}", never.body);
    }
    let refused = offboard(ada);
    expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(
        impact(acme, &acme.scene.admin, ada),
        before,
        "nothing has changed"
    );
    let report = offboard(&heir).expect(200);
    assert_eq!(report["new_owner_id"], json!(heir));
    for client in leaver.clients() {
        assert_eq!(owner(acme, client), json!(heir));
    }
    for event in acme.events("client.transferred") {
        assert_eq!(
            event["after"],
            json!({ "owner_id": heir, "cause": "owner_disabled" })
        );
    }
    assert_eq!(due(acme, &acme.scene.admin, "&why=exposed").len(), 3);
}

#[test]
fn role_1_the_root_owner_is_not_offboarded_before_they_hand_over() {
    let acme = Acme::new();
    let root_owner = &acme.scene.tenant.owner;
    let preview = impact(&acme, &acme.scene.admin, root_owner);
    assert_eq!(preview["is_root_owner"], json!(true));
    assert!(
        preview["obstacle"]
            .as_str()
            .unwrap()
            .contains("hand the root ownership over")
    );
    assert_eq!(preview["new_owner_id"], Value::Null);
    for then in ["delete", "disable"] {
        let body = json!({ "confirm_name": "Owner", "then": then });
        for who in [&acme.scene.admin, &acme.token_of(root_owner)] {
            let refused = acme.send_as(who, "POST", &of(root_owner, "/offboard"), &body);
            expect_problem(acme.world(), &refused, 409, "root-owner");
        }
    }
    // After that they are like anybody.
    let (heir, _) = acme.holder_of("owner", &acme.root, "heir@acme.example");
    let body = json!({ "member_id": heir });
    acme.send_as(&acme.token_of(root_owner), "PUT", "/root-owner", &body)
        .expect(200);
    let preview = impact(&acme, &acme.scene.admin, root_owner);
    assert_eq!(
        (&preview["obstacle"], &preview["new_owner_id"]),
        (&Value::Null, &json!(heir))
    );
    let body = json!({ "confirm_name": "Owner" });
    let report = acme
        .send("POST", &of(root_owner, "/offboard"), &body)
        .expect(200);
    assert_eq!(report["outcome"], json!("deleted"));
    assert_eq!(owner(&acme, &acme.scene.subject.client_id), json!(heir));
}

#[test]
fn role_2_whoever_sees_a_part_of_the_clients_is_told_how_many_there_are_besides() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.a, "Ada", "ada@acme.example");
    acme.assign(&ada, "admin", &acme.root);
    let (_, of_a) = acme.admin_of(&acme.a, "of.a@acme.example");
    let within = client_of(&acme, "Within", &acme.a1, &ada);
    let secret = client_by(&acme, &acme.token_of(&ada), "Secret plan", &acme.b, &ada).client_id;
    let seen = impact(&acme, &of_a, &ada);
    let ids: Vec<_> = seen["clients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["id"].clone())
        .collect();
    assert_eq!(ids, [json!(within)]);
    let one = json!({ "count": 1, "more": false });
    for count in [
        "client_count",
        "hidden_client_count",
        "exposed_secret_count",
        "hidden_secret_count",
    ] {
        assert_eq!(seen[count], one, "{count}");
    }
    assert_eq!(seen["marked_organization_ids"], json!([acme.a1]));
    assert_eq!(seen["hidden_organization_count"], json!(1));
    assert_eq!(seen["new_owner_id"], json!(acme.scene.tenant.owner));
    let text = seen.to_string();
    assert!(!text.contains(&secret) && !text.contains("Secret plan") && !text.contains(&acme.b));
    // Who sees no client at all learns of none, nor who would get them.
    let narrow = acme.narrow(&acme.scene.tenant.owner, &["members.read"]);
    let blind = impact(&acme, &narrow, &ada);
    assert_eq!(
        (&blind["clients"], &blind["new_owner_id"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(
        blind["hidden_client_count"],
        json!({ "count": 2, "more": false })
    );
    // Whoever is out of reach is like who never was.
    let outside = acme.member_in(&acme.b, "Outside", "outside@acme.example");
    let get = |member: &str| {
        acme.send_as(
            &of_a,
            "GET",
            &of(member, "/offboarding-impact"),
            &Value::Null,
        )
    };
    expect_problem(acme.world(), &get(NEVER), 404, "not-found");
    alike(&get(&outside), &get(NEVER));
    alike(&get(&acme.scene.tenant.owner), &get(NEVER));
    let body = json!({ "confirm_name": "Outside" });
    let off = |member: &str| acme.send_as(&of_a, "POST", &of(member, "/offboard"), &body);
    alike(&off(&outside), &off(NEVER));
}

#[test]
fn role_3_nobody_offboards_who_holds_more_than_they_do() {
    let leaver = Leaver::new();
    let Leaver {
        acme, ada, in_a, ..
    } = &leaver;
    let remover = acme.role(
        "Remover",
        &["members.delete", "members.disable", "members.read"],
    );
    let (_, by_remover) = acme.holder_of(&remover, &acme.root, "remover@acme.example");
    let (_, support) = acme.holder_of("support", &acme.root, "support@acme.example");
    for then in ["delete", "disable"] {
        let body = json!({ "confirm_name": "Ada", "then": then });
        for who in [&by_remover, &support] {
            let refusals = acme.events("access.refused").len();
            let refused = acme.send_as(who, "POST", &of(ada, "/offboard"), &body);
            expect_problem(acme.world(), &refused, 403, "forbidden");
            assert_eq!(acme.events("access.refused").len(), refusals + 1);
        }
    }
    assert_eq!(owner(acme, in_a), json!(ada));
    // Who holds nothing is offboarded by them, and whoever administers a part, within it.
    let plain = acme.member_in(&acme.a, "Plain", "plain@acme.example");
    let (_, of_a) = acme.admin_of(&acme.a, "of.a@acme.example");
    let body = json!({ "confirm_name": "Plain", "then": "disable" });
    let path = of(&plain, "/offboard");
    acme.send_as(&by_remover, "POST", &path, &body).expect(200);
    let body = json!({ "confirm_name": "Plain" });
    acme.send_as(&of_a, "POST", &path, &body).expect(200);
}

#[test]
fn owner_2_an_offboarding_that_is_rehearsed_refused_or_badly_asked_for_changes_nothing() {
    let leaver = Leaver::new();
    let Leaver { acme, ada, .. } = &leaver;
    let before = impact(acme, &acme.scene.admin, ada);
    let shown = acme.get(&of(ada, ""));
    let body = json!({ "confirm_name": "Ada" });
    let dry = acme
        .send("POST", &of(ada, "/offboard?dry_run=true"), &body)
        .expect(200);
    assert_eq!(touched(&dry), touched(&before));
    for name in ["", "ada", "Ada ", "Somebody"] {
        let refused = leaver.offboard(&json!({ "confirm_name": name }));
        let problem = expect_problem(acme.world(), &refused, 422, "confirmation-mismatch");
        assert_eq!(problem["errors"][0]["pointer"], "/confirm_name");
    }
    for (bad, pointer) in [
        (json!({}), ""),
        (json!({ "confirm_name": 7 }), "/confirm_name"),
        (json!({ "confirm_name": "Ada", "then": "kill" }), "/then"),
        (json!({ "confirm_name": "Ada", "then": null }), "/then"),
        (
            json!({ "confirm_name": "Ada", "new_owner_id": "" }),
            "/new_owner_id",
        ),
        (
            json!({ "confirm_name": "Ada", "new_owner_id": acme.a }),
            "/new_owner_id",
        ),
        (
            json!({ "confirm_name": "Ada", "new_owner_id": [ada] }),
            "/new_owner_id",
        ),
        (json!({ "confirm_name": "Ada", "reason": "x" }), "/reason"),
    ] {
        let refused = leaver.offboard(&bad);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    }
    let stale = acme.send_at(
        &acme.world().replica,
        &acme.scene.admin,
        "POST",
        &of(ada, "/offboard"),
        &[("if-match", "\"999\"")],
        &body,
    );
    expect_problem(acme.world(), &stale, 412, "precondition-failed");
    assert_eq!(impact(acme, &acme.scene.admin, ada), before);
    assert_eq!(acme.get(&of(ada, "")), shown);
    for action in [
        "member.offboarded",
        "client.transferred",
        "secret.rotation_due",
    ] {
        assert!(acme.events(action).is_empty(), "{action}");
    }
}

#[test]
fn pause_4_who_was_offboarded_does_nothing_more_on_any_replica_and_their_links_are_dead() {
    let leaver = Leaver::new();
    let Leaver { acme, ada, .. } = &leaver;
    let other = acme.world().another_replica();
    let token = acme.token_of(ada);
    let path = of(ada, "/reset-password");
    acme.send("POST", &path, &json!({ "deliver": "show" }))
        .expect(200);
    assert_eq!(acme.status_at(&other, &token, "/clients"), 200);
    let live = "SELECT count(*) FROM credential_links WHERE revoked_at IS NULL AND used_at IS NULL";
    assert_eq!(crate::asking::number(acme.world(), live), 1);
    leaver
        .offboard(&json!({ "confirm_name": "Ada", "then": "disable" }))
        .expect(200);
    assert_eq!(acme.status_at(&other, &token, "/clients"), 401);
    assert_eq!(crate::asking::number(acme.world(), live), 0);
    // Enabled again they are somebody without roles and clients.
    acme.send("POST", &of(ada, "/enable"), &Value::Null)
        .expect(200);
    assert_eq!(acme.status_at(&other, &token, "/clients"), 403);
    assert_eq!(
        impact(acme, &acme.scene.admin, ada)["client_count"]["count"],
        json!(0)
    );
    let refused = transfer(acme, &acme.scene.admin, &leaver.in_a, ada);
    expect_problem(acme.world(), &refused, 422, "invalid-field");
}

#[test]
fn owner_3_of_more_than_are_listed_it_is_told_how_many_and_all_of_them_go() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    acme.assign(&ada, "admin", &acme.root);
    let first = client_of(&acme, "First", &acme.a, &ada);
    let uuid = crate::members::acme::member_uuid(&ada);
    let first: grantor_domain::ids::ClientId = first.parse().unwrap();
    acme.sql(&format!(
        "CREATE TEMPORARY TABLE more AS SELECT * FROM clients WHERE id = '{first}'; \
         INSERT INTO clients SELECT (jsonb_populate_record(more, jsonb_build_object('id', gen_random_uuid()))).* \
         FROM more, generate_series(1, 1100)",
        first = first.uuid(),
    ));
    let preview = impact(&acme, &acme.scene.admin, &ada);
    assert_eq!(preview["clients"].as_array().unwrap().len(), 200);
    assert_eq!(
        preview["client_count"],
        json!({ "count": 1000, "more": true })
    );
    let owned = format!("SELECT count(*) FROM clients WHERE owner_id = '{uuid}'");
    assert_eq!(crate::asking::number(acme.world(), &owned), 1101);
    let body = json!({ "confirm_name": "Ada", "then": "disable" });
    let report = acme.send("POST", &of(&ada, "/offboard"), &body).expect(200);
    assert_eq!(touched(&report), touched(&preview));
    assert_eq!(crate::asking::number(acme.world(), &owned), 0);
    let told = "SELECT (after_change->>'clients')::bigint FROM audit_events WHERE action = 'member.offboarded'";
    assert_eq!(crate::asking::number(acme.world(), told), 1101);
    let events =
        "SELECT count(DISTINCT target_id) FROM audit_events WHERE action = 'client.transferred'";
    assert_eq!(crate::asking::number(acme.world(), events), 1101);
}
