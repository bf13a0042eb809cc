//! Where clients act, what they may do at the management API, and what is done with many of them at once.

use std::sync::Barrier;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_acceptance::{Credentials, World};
use serde_json::{Value, json};

use crate::members::acme::{Acme, NO_ORGANIZATION, alike};
use crate::operations::{SUBJECT, expect_problem};

const NEVER: &str = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b";
const NO_ROLE: &str = "ras_01kb2q3r4s5t6v7w8x9y0z1a2b";

fn client(id: &str, what: &str) -> String {
    format!("/clients/{id}{what}")
}

/// A machine that may name some scopes of the management API, and holds no role.
fn machine(acme: &Acme, name: &str, scopes: &[&str]) -> Credentials {
    let scopes: Vec<String> = scopes
        .iter()
        .map(|scope| format!("grantor:{scope}"))
        .collect();
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    acme.world().client(&acme.scene.tenant, name, &scopes)
}

#[test]
fn role_3_a_client_may_do_nothing_until_a_service_role_is_granted_and_nothing_once_it_is_taken() {
    let acme = Acme::new();
    let world = acme.world();
    let other = world.another_replica();
    let machine = machine(&acme, "Machine", &["clients.read", "clients.write"]);
    let scope = "grantor:clients.read grantor:clients.write";
    let token = World::bearer(&world.token(&acme.scene.tenant.id, &machine, scope));
    let statuses =
        || [&world.replica, &other].map(|replica| acme.status_at(replica, &token, "/clients"));
    assert_eq!(statuses(), [403, 403]);
    let roles = client(&machine.client_id, "/service-roles");
    let granted = acme.send(
        "POST",
        &roles,
        &json!({ "role": "support", "organization_id": acme.a }),
    );
    assert_eq!(granted.status, 201, "{}", granted.body);
    // The token that is out works by it at once, on both.
    assert_eq!(statuses(), [200, 200]);
    let listed = acme.get(&roles);
    assert_eq!(listed["items"], json!([granted.json()]));
    assert_eq!(granted.json()["client_id"], json!(machine.client_id));
    // support over A sees what lives in A, and writes nothing.
    let seen = acme
        .send_as(&token, "GET", "/clients", &Value::Null)
        .expect(200);
    assert_eq!(seen["items"], json!([]));
    let body = json!({ "name": "No", "profile": "service", "organization_id": acme.a,
        "owner_contact": { "email": "o@example.com" } });
    let refused = acme.send_as(&token, "POST", "/clients", &body);
    expect_problem(world, &refused, 403, "forbidden");
    let twice = acme.send(
        "POST",
        &roles,
        &json!({ "role": "support", "organization_id": acme.a }),
    );
    expect_problem(world, &twice, 409, "conflict");

    let one = format!("{roles}/{}", granted.text("/id"));
    acme.send("DELETE", &one, &Value::Null).expect(204);
    assert_eq!(statuses(), [403, 403]);
    let gone = acme.send("DELETE", &one, &Value::Null);
    expect_problem(world, &gone, 404, "not-found");
    let events = |action: &str| {
        let events = acme.events(action);
        let of = |event: &&Value| event["target"]["id"] == json!(machine.client_id);
        events.iter().filter(of).count()
    };
    assert_eq!((events("role.assigned"), events("role.unassigned")), (1, 1));
}

#[test]
fn role_3_nobody_gives_a_client_more_than_they_hold() {
    let acme = Acme::new();
    let (_, admin_a) = acme.admin_of(&acme.a, "a@example.com");
    let body = json!({ "name": "In A", "profile": "service", "organization_id": acme.a,
        "owner_contact": { "email": "o@example.com" } });
    let made = acme.send_as(&admin_a, "POST", "/clients", &body);
    let roles = client(&made.text("/id"), "/service-roles");
    let give = |who: &str, role: &str, over: &str| {
        let body = json!({ "role": role, "organization_id": over });
        acme.send_as(who, "POST", &roles, &body)
    };
    // Not where they may give none, told as if it were not there.
    alike(
        &give(&admin_a, "support", &acme.root),
        &give(&admin_a, "support", NO_ORGANIZATION),
    );
    // Not what they don't hold themselves.
    let giver = acme.role("Giver", &["clients.read", "roles.assign", "roles.read"]);
    let member = acme.member_in(&acme.root, "Giver", "giver@example.com");
    acme.assign(&member, &giver, &acme.root);
    let giver = acme.token_of(&member);
    let more = give(&giver, "admin", &acme.a);
    expect_problem(acme.world(), &more, 403, "forbidden");
    let reader = acme.role("Reader", &["clients.read"]);
    assert_eq!(give(&giver, &reader, &acme.a).status, 201);
    // role_1: an owner is a member, and there is no operator in a tenant.
    for role in ["owner", "operator", "nothing", NO_ROLE] {
        let refused = acme.send("POST", &roles, &json!({ "role": role }));
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], json!("/role"), "{role}");
    }
    // A role of a member's is none of a client's.
    let of_member = acme.assign(&member, "member", &acme.root);
    let wrong = acme.send("DELETE", &format!("{roles}/{of_member}"), &Value::Null);
    expect_problem(acme.world(), &wrong, 404, "not-found");
    // Whoever manages another group sees neither the client nor its roles.
    let (_, admin_b) = acme.admin_of(&acme.b, "b@example.com");
    let never = client(NEVER, "/service-roles");
    alike(
        &acme.send_as(&admin_b, "GET", &roles, &Value::Null),
        &acme.send_as(&admin_b, "GET", &never, &Value::Null),
    );
    let body = json!({ "role": "support", "organization_id": acme.b });
    alike(
        &acme.send_as(&admin_b, "POST", &roles, &body),
        &acme.send_as(&admin_b, "POST", &never, &body),
    );
}

#[test]
fn client_12_a_client_is_enabled_in_chosen_organizations() {
    let acme = Acme::new();
    let id = &acme.scene.subject.client_id;
    let path = client(id, "/enablements");
    let own = json!([{ "organization_id": acme.root, "created_at": null }]);
    assert_eq!(acme.get(&path)["items"], own);
    let enable = |who: &str, organization: &str| {
        acme.send_as(
            who,
            "POST",
            &path,
            &json!({ "organization_id": organization }),
        )
    };
    let admin = acme.scene.admin.clone();
    let made = enable(&admin, &acme.a);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(enable(&admin, &acme.b).status, 201);
    let listed = acme.get(&path);
    let named: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["organization_id"].as_str().unwrap())
        .collect();
    assert_eq!(named.len(), 2);
    assert!(named.contains(&acme.a.as_str()) && named.contains(&acme.b.as_str()));
    expect_problem(acme.world(), &enable(&admin, &acme.a), 409, "conflict");
    let never = enable(&admin, NO_ORGANIZATION);
    let problem = expect_problem(acme.world(), &never, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], json!("/organization_id"));
    // An organization in which something is enabled is not empty.
    let delete = acme.send(
        "DELETE",
        &format!("/organizations/{}?confirm_name=B", acme.b),
        &Value::Null,
    );
    expect_problem(acme.world(), &delete, 409, "not-empty");

    let one = format!("{path}/{}", acme.b);
    acme.send("DELETE", &one, &Value::Null).expect(204);
    expect_problem(
        acme.world(),
        &acme.send("DELETE", &one, &Value::Null),
        404,
        "not-found",
    );
    acme.send("DELETE", &format!("{path}/{}", acme.a), &Value::Null)
        .expect(204);
    assert_eq!(acme.get(&path)["items"], own);
    for (action, count) in [
        ("client.enablement_added", 2),
        ("client.enablement_removed", 2),
    ] {
        assert_eq!(acme.events(action).len(), count, "{action}");
    }
    // Only what acts for itself is enabled anywhere.
    let spa = json!({ "name": "SPA", "profile": "spa", "redirect_uris": ["https://app.example/"],
        "owner_contact": { "email": "o@example.com" } });
    let spa = acme.send("POST", "/clients", &spa).text("/id");
    let refused = acme.send(
        "POST",
        &client(&spa, "/enablements"),
        &json!({ "organization_id": acme.a }),
    );
    expect_problem(acme.world(), &refused, 422, "invalid-field");
}

#[test]
fn client_12_whoever_enables_a_client_somewhere_manages_clients_there() {
    let acme = Acme::new();
    let (_, admin_a) = acme.admin_of(&acme.a, "a@example.com");
    let body = json!({ "name": "In A", "profile": "service", "organization_id": acme.a,
        "owner_contact": { "email": "o@example.com" } });
    let made = acme
        .send_as(&admin_a, "POST", "/clients", &body)
        .text("/id");
    let enable = |organization: &str| {
        let body = json!({ "organization_id": organization });
        acme.send_as(&admin_a, "POST", &client(&made, "/enablements"), &body)
    };
    assert_eq!(enable(&acme.a1).status, 201);
    alike(&enable(&acme.b), &enable(NO_ORGANIZATION));
    let refusals = acme.events("access.refused");
    assert_eq!(refusals[0]["target"]["id"], json!(acme.b));
}

#[test]
fn client_10_many_are_disabled_enabled_and_deleted_each_with_its_result_and_event() {
    let acme = Acme::new();
    let ids: Vec<String> = (0..3)
        .map(|n| machine(&acme, &format!("Machine {n}"), &[]).client_id)
        .collect();
    let pair = |n: usize| json!({ "id": ids[n], "confirm_name": format!("Machine {n}") });
    let bulk = |body: &Value| acme.send("POST", "/clients/bulk", body);
    let body = json!({ "action": "disable", "reason": "They hammer the API", "items": [
        pair(0), { "id": ids[1], "confirm_name": "Machine 0" }, { "id": NEVER, "confirm_name": "x" }, { "id": ids[2] },
        { "id": "nonsense" } ] });
    let done = bulk(&body).expect(200);
    let statuses: Vec<i64> = done["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| result["status"].as_i64().unwrap())
        .collect();
    assert_eq!(statuses, [200, 422, 404, 200, 404]);
    assert_eq!(
        (&done["succeeded"], &done["failed"]),
        (&json!(2), &json!(3))
    );
    let problem = &done["results"][1]["problem"];
    assert_eq!(problem["code"], json!("confirmation-mismatch"));
    assert_eq!(
        problem["errors"][0]["pointer"],
        json!("/items/1/confirm_name")
    );
    assert_eq!(acme.events("client.disabled").len(), 2);
    let status = |id: &str| acme.get(&client(id, ""))["status"].clone();
    assert_eq!(
        [status(&ids[0]), status(&ids[1]), status(&ids[2])],
        ["disabled", "active", "disabled"]
    );
    let enabled = json!({ "action": "enable", "items": [pair(0), pair(2)] });
    assert_eq!(bulk(&enabled).expect(200)["succeeded"], json!(2));
    assert_eq!(status(&ids[0]), json!("active"));

    // Nothing is deleted without its name.
    let unnamed = json!({ "action": "delete", "items": [{ "id": ids[0] }, pair(1)] });
    let done = bulk(&unnamed).expect(200);
    assert_eq!(
        (&done["results"][0]["status"], &done["results"][1]["status"]),
        (&json!(422), &json!(204))
    );
    assert_eq!(status(&ids[0]), json!("active"));
    assert_eq!(acme.events("client.deleted").len(), 1);
    for (bad, pointer) in [
        (json!({ "action": "delete", "items": [] }), "/items"),
        (
            json!({ "action": "enable", "reason": "x", "items": [pair(0)] }),
            "/reason",
        ),
    ] {
        let refused = bulk(&bad);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], json!(pointer));
    }
}

#[test]
fn role_2_nobody_does_to_many_what_they_may_not_do_to_one_or_learns_of_them() {
    let acme = Acme::new();
    let subject = &acme.scene.subject.client_id;
    let (_, admin_a) = acme.admin_of(&acme.a, "a@example.com");
    let results = |who: &str, action: &str, id: &str, name: &str| {
        let body = json!({ "action": action, "items": [{ "id": id, "confirm_name": name }] });
        let answer = acme
            .send_as(who, "POST", "/clients/bulk", &body)
            .expect(200);
        let mut result = answer["results"][0].clone();
        result["problem"]["request_id"] = Value::Null;
        result.to_string().replace(id, "")
    };
    for action in ["disable", "enable", "delete"] {
        for name in [SUBJECT, "another name"] {
            assert_eq!(
                results(&admin_a, action, subject, name),
                results(&admin_a, action, NEVER, name),
                "{action} {name}"
            );
        }
    }
    let member = acme.member_in(&acme.root, "Support", "support@example.com");
    acme.assign(&member, "support", &acme.root);
    let support = acme.token_of(&member);
    assert!(results(&support, "disable", subject, SUBJECT).contains("\"status\":200"));
    assert!(results(&support, "delete", subject, SUBJECT).contains("\"status\":403"));
}

#[test]
fn role_3_two_grants_of_one_role_at_once_make_one() {
    let acme = Acme::new();
    let machine = machine(&acme, "Machine", &["clients.read"]);
    let path = client(&machine.client_id, "/service-roles");
    for round in 0..10 {
        let group = json!({ "name": format!("Group {round}") });
        let group = acme.send("POST", "/organizations", &group).text("/id");
        let gate = Barrier::new(4);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        gate.wait();
                        let body = json!({ "role": "support", "organization_id": group });
                        acme.send("POST", &path, &body).status
                    })
                })
                .collect();
            tries.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let made = statuses.iter().filter(|status| **status == 201).count();
        assert_eq!(made, 1, "{statuses:?}");
        assert!(
            statuses.iter().all(|status| [201, 409].contains(status)),
            "{statuses:?}"
        );
    }
    assert_eq!(acme.get(&path)["items"].as_array().unwrap().len(), 10);
}

#[test]
fn client_12_tokens_and_introspection_say_in_which_organizations() {
    let acme = Acme::new();
    let world = acme.world();
    let tenant = &acme.scene.tenant;
    let machine = machine(&acme, "Machine", &["clients.read"]);
    let checker = world.client(tenant, "Checker", &[]);
    world.orders_api(tenant, &[&checker]);
    let allow = json!({ "allowed_scopes": ["orders.api:read"] });
    acme.send("PATCH", &client(&machine.client_id, ""), &allow)
        .expect(200);
    let claimed = |token: &str| {
        let payload = token.split('.').nth(1).unwrap();
        let json = URL_SAFE_NO_PAD.decode(payload).unwrap();
        serde_json::from_slice::<Value>(&json).unwrap()["organizations"].clone()
    };
    let told = |token: &str| {
        world.introspect(&tenant.id, &checker, token).expect(200)["organizations"].clone()
    };
    let first = world.token(&tenant.id, &machine, "orders.api:read");
    assert_eq!(claimed(&first), json!([acme.root]));
    assert_eq!(told(&first), json!([acme.root]));
    let path = client(&machine.client_id, "/enablements");
    for organization in [&acme.a, &acme.b] {
        let body = json!({ "organization_id": organization });
        assert_eq!(acme.send("POST", &path, &body).status, 201);
    }
    let mut both = vec![acme.a.clone(), acme.b.clone()];
    both.sort();
    let second = world.token(&tenant.id, &machine, "orders.api:read");
    assert_eq!(claimed(&second), json!(both));
    // What is out says what held when it was issued; who asks is told what holds now.
    assert_eq!(claimed(&first), json!([acme.root]));
    assert_eq!(told(&first), json!(both));
    acme.send("DELETE", &format!("{path}/{}", acme.a), &Value::Null)
        .expect(204);
    assert_eq!(told(&second), json!([acme.b]));
}

#[test]
fn role_3_nobody_opens_a_client_further_than_they_may_act_as_it() {
    let acme = Acme::new();
    let (_, admin_a) = acme.admin_of(&acme.a, "a@example.com");
    let body = json!({ "name": "In A", "profile": "service", "organization_id": acme.a,
        "owner_contact": { "email": "o@example.com" } });
    let id = acme
        .send_as(&admin_a, "POST", "/clients", &body)
        .text("/id");
    let path = client(&id, "");
    let over_root = json!({ "role": "admin", "organization_id": acme.root });
    let roles = client(&id, "/service-roles");
    assert_eq!(acme.send("POST", &roles, &over_root).status, 201);
    // Without scopes the role conveys nothing, so a secret does neither; but then scopes would.
    let secrets = client(&id, "/secrets");
    let made = acme.send_as(&admin_a, "POST", &secrets, &json!({}));
    assert_eq!(made.status, 201, "{}", made.body);
    let scopes = json!({ "allowed_scopes": ["grantor:clients.read", "grantor:roles.assign"] });
    let refused = |who: &str, method: &str, what: &str, body: &Value| {
        let answer = acme.send_as(who, method, &client(&id, what), body);
        expect_problem(acme.world(), &answer, 403, "forbidden");
    };
    refused(&admin_a, "PATCH", "", &scopes);
    // What opens nothing is theirs to do.
    let renamed = acme.send_as(&admin_a, "PATCH", &path, &json!({ "name": "Renamed" }));
    assert_eq!(renamed.status, 200, "{}", renamed.body);
    let fence = json!({ "allowed_ips": ["203.0.113.7"] });
    for (who, body) in [(&acme.scene.admin, &scopes), (&acme.scene.admin, &fence)] {
        let opened = acme.send_as(who, "PATCH", &path, body);
        assert_eq!(opened.status, 200, "{}", opened.body);
    }
    refused(&admin_a, "PATCH", "", &json!({ "allowed_ips": [] }));
    refused(&admin_a, "POST", "/secrets", &json!({}));
    refused(
        &admin_a,
        "POST",
        "/secrets/rotate",
        &json!({ "confirm_name": "Renamed" }),
    );
    let narrowed = json!({ "allowed_scopes": ["grantor:clients.read"] });
    let less = acme.send_as(&admin_a, "PATCH", &path, &narrowed);
    assert_eq!(less.status, 200, "{}", less.body);
    assert!(acme.events("access.refused").len() >= 4);
}

#[test]
fn role_3_nobody_acts_through_a_client_where_they_manage_none() {
    let acme = Acme::new();
    let (_, admin_a) = acme.admin_of(&acme.a, "a@example.com");
    let body = json!({ "name": "In A", "profile": "service", "organization_id": acme.a,
        "owner_contact": { "email": "o@example.com" } });
    let id = acme
        .send_as(&admin_a, "POST", "/clients", &body)
        .text("/id");
    let in_b = json!({ "organization_id": acme.b });
    let enabled = acme.send("POST", &client(&id, "/enablements"), &in_b);
    assert_eq!(enabled.status, 201, "{}", enabled.body);
    let value = json!({ "value": "kR8!vQ2#mZ7@pL4$wX9%tB6&nH3*jD5^" });
    for (what, body) in [
        ("/secrets", json!({})),
        ("/secrets/choose", value),
        ("/secrets/rotate", json!({ "confirm_name": "In A" })),
    ] {
        let refused = acme.send_as(&admin_a, "POST", &client(&id, what), &body);
        expect_problem(acme.world(), &refused, 403, "forbidden");
    }
    let scopes = json!({ "allowed_scopes": ["grantor:clients.read"] });
    let refused = acme.send_as(&admin_a, "PATCH", &client(&id, ""), &scopes);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    let ended = acme.send(
        "DELETE",
        &client(&id, &format!("/enablements/{}", acme.b)),
        &Value::Null,
    );
    assert_eq!(ended.status, 204);
    let made = acme.send_as(&admin_a, "POST", &client(&id, "/secrets"), &json!({}));
    assert_eq!(made.status, 201, "{}", made.body);
}

#[test]
fn owner_2_nobody_takes_clients_away_by_moving_whom_they_may_not_disable() {
    let acme = Acme::new();
    let (ada, token) = acme.admin_of(&acme.root, "ada@example.com");
    let body = json!({ "name": "Ada's", "profile": "service", "owner_contact": { "email": "o@example.com" } });
    let id = acme.send_as(&token, "POST", "/clients", &body).text("/id");
    let mover = acme.role(
        "Mover",
        &["members.read", "members.write", "organizations.read"],
    );
    let member = acme.member_in(&acme.root, "Mover", "mover@example.com");
    acme.assign(&member, &mover, &acme.root);
    let to_a = json!({ "organization_id": acme.a });
    let path = format!("/members/{ada}");
    let refused = acme.send_as(&acme.token_of(&member), "PATCH", &path, &to_a);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    assert_eq!(acme.get(&client(&id, ""))["owner_id"], json!(ada));
    acme.send("PATCH", &path, &to_a).expect(200);
    assert_eq!(
        acme.get(&client(&id, ""))["owner_id"],
        json!(acme.scene.tenant.owner)
    );
}

#[test]
fn owner_2_what_was_made_before_there_was_a_root_owner_is_theirs() {
    let world = World::new();
    let operator = world.operator_with(&World::every_scope());
    let headers = [("authorization", operator.as_str())];
    let below = |what: &str| world.api(&format!("/v1/tenants/{}{what}", world.platform_id));
    let own = below(&client(&world.operator.client_id, ""));
    let before = world.http.get(&own, &headers).expect(200);
    assert_eq!(before["owner_id"], Value::Null);
    let member = json!({ "name": "Ada", "email": "ada@example.com" });
    let member = world
        .http
        .post_json(&below("/members"), &headers, &member)
        .text("/id");
    let roles = below(&format!("/members/{member}/role-assignments"));
    let given = world
        .http
        .post_json(&roles, &headers, &json!({ "role": "owner" }));
    assert_eq!(given.status, 201, "{}", given.body);
    let after = world.http.get(&own, &headers).expect(200);
    assert_eq!(after["owner_id"], json!(member));
}
