//! Whose clients are: handed over by administrators, and gone to the root owner when their owners can't own them any
//! more.

mod offboarding;
mod races;
mod rotation;

use grantor_acceptance::{Answer, Credentials, Replica};
use grantor_domain::resource_server::Verification;
use serde_json::{Value, json};

use crate::members::acme::{Acme, NEVER, alike, of};
use crate::operations::expect_problem;

const NO_CLIENT: &str = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b";

/// Makes a client somewhere that is somebody's, as somebody; tells its credentials.
#[track_caller]
fn client_by(acme: &Acme, who: &str, name: &str, place: &str, owner: &str) -> Credentials {
    let body = json!({ "name": name, "profile": "service", "organization_id": place, "owner_id": owner,
        "owner_contact": { "email": "team@acme.example" } });
    let made = acme.send_as(who, "POST", "/clients", &body);
    assert_eq!(made.status, 201, "{}", made.body);
    Credentials {
        client_id: made.text("/id"),
        client_secret: made.text("/secret/value"),
    }
}

/// The same as the client that administers the tenant.
#[track_caller]
fn client_of(acme: &Acme, name: &str, place: &str, owner: &str) -> String {
    client_by(acme, &acme.scene.admin, name, place, owner).client_id
}

fn path(client: &str, what: &str) -> String {
    format!("/clients/{client}{what}")
}

fn transfer_at(acme: &Acme, replica: &Replica, who: &str, client: &str, to: &str) -> Answer {
    let body = json!({ "owner_id": to });
    acme.send_at(replica, who, "POST", &path(client, "/transfer"), &[], &body)
}

fn transfer(acme: &Acme, who: &str, client: &str, to: &str) -> Answer {
    transfer_at(acme, &acme.world().replica, who, client, to)
}

/// Whose a client is, as a replica tells it.
fn owner_at(acme: &Acme, replica: &Replica, client: &str) -> Value {
    let admin = &acme.scene.admin;
    let shown = acme.send_at(replica, admin, "GET", &path(client, ""), &[], &Value::Null);
    shown.expect(200)["owner_id"].clone()
}

fn owner(acme: &Acme, client: &str) -> Value {
    owner_at(acme, &acme.world().replica, client)
}

/// What is due as somebody sees it: by client and urgency.
fn due(acme: &Acme, who: &str, query: &str) -> Vec<(String, String)> {
    let path = format!("/rotation-due?limit=200{query}");
    let page = acme.send_as(who, "GET", &path, &Value::Null).expect(200);
    let text = |item: &Value, name: &str| item[name].as_str().unwrap().to_owned();
    let items = page["items"].as_array().unwrap();
    let mut due: Vec<_> = items
        .iter()
        .map(|item| (text(item, "client_id"), text(item, "why")))
        .collect();
    due.sort();
    due
}

#[test]
fn owner_1_an_administrator_hands_a_client_to_another_one_there_or_above() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let (ada, by_ada) = acme.admin_of(&acme.a, "ada@acme.example");
    let (bob, _) = acme.admin_of(&acme.a, "bob@acme.example");
    let (above, _) = acme.admin_of(&acme.root, "above@acme.example");
    let client = client_of(&acme, "Client", &acme.a1, &ada);
    let before = acme.get(&path(&client, ""));
    for (count, (from, to)) in [
        (&ada, &bob),
        (&bob, &above),
        (&above, &acme.scene.tenant.owner),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = transfer_at(&acme, &other, &by_ada, &client, to);
        let etag = answer.header("etag").unwrap().to_owned();
        let shown = answer.expect(200);
        assert_eq!(shown["owner_id"], json!(to));
        let revision = before["revision"].as_i64().unwrap() + 1 + i64::try_from(count).unwrap();
        assert_eq!(shown["revision"], json!(revision));
        assert_eq!(etag, format!("\"{revision}\""));
        let read = acme.send_as(&by_ada, "GET", &path(&client, ""), &Value::Null);
        assert_eq!(shown, read.expect(200));
        let events = acme.events("client.transferred");
        assert_eq!(events.len(), count + 1);
        assert_eq!(events[0]["target"]["id"], json!(client));
        assert_eq!(events[0]["before"], json!({ "owner_id": from }));
        let after = json!({ "owner_id": to, "cause": "transferred" });
        assert_eq!(
            (&events[0]["after"], &events[0]["actor"]["id"]),
            (&after, &json!(ada))
        );
        // To whoever has it already nothing changes.
        let again = transfer(&acme, &by_ada, &client, to).expect(200);
        assert_eq!(again, shown);
        assert_eq!(acme.events("client.transferred").len(), count + 1);
    }
    let contact = json!({ "name": null, "email": "team@acme.example" });
    let shown = acme.get(&path(&client, ""));
    assert_eq!(
        shown["owner_contact"]["email"], contact["email"],
        "a shared mailbox stays"
    );
}

#[test]
fn owner_1_the_contact_goes_along_where_it_was_the_former_owners_own_address() {
    let acme = Acme::new();
    let (ada, _) = acme.admin_of(&acme.a, "ada@acme.example");
    let bob = acme.member_in(&acme.root, "Bob", "bob@acme.example");
    acme.assign(&bob, "admin", &acme.root);
    let client = client_of(&acme, "Client", &acme.a, &ada);
    let contact = json!({ "owner_contact": { "name": "Ada", "email": "Ada@acme.example" } });
    acme.send("PATCH", &path(&client, ""), &contact).expect(200);
    let shown = transfer(&acme, &acme.scene.admin, &client, &bob).expect(200);
    let contact = json!({ "name": "Bob", "email": "bob@acme.example" });
    assert_eq!(shown["owner_contact"], contact);
}

#[test]
fn owner_1_whoever_does_not_administer_the_organization_is_like_who_never_was() {
    let acme = Acme::new();
    let (ada, by_ada) = acme.admin_of(&acme.a, "ada@acme.example");
    let client = client_of(&acme, "Client", &acme.a, &ada);
    let before = acme.get(&path(&client, ""));
    let stranger = acme.world().tenant("Other").owner;
    let plain = acme.member_in(&acme.a, "Plain", "plain@acme.example");
    let (support, _) = acme.holder_of("support", &acme.a, "support@acme.example");
    let (developer, _) = acme.holder_of("developer", &acme.a, "developer@acme.example");
    let (below, _) = acme.admin_of(&acme.a1, "below@acme.example");
    let (beside, _) = acme.admin_of(&acme.b, "beside@acme.example");
    let (asleep, _) = acme.admin_of(&acme.a, "asleep@acme.example");
    acme.send("POST", &of(&asleep, "/disable"), &Value::Null)
        .expect(200);
    let (gone, _) = acme.admin_of(&acme.a, "gone@acme.example");
    acme.send("DELETE", &of(&gone, "?confirm_name=Somebody"), &Value::Null)
        .expect(204);
    for who in [&by_ada, &acme.scene.admin] {
        let never = transfer(&acme, who, &client, NEVER);
        let problem = expect_problem(acme.world(), &never, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], "/owner_id");
        for nobody in [
            &stranger, &plain, &support, &developer, &below, &beside, &asleep, &gone,
        ] {
            alike(&transfer(&acme, who, &client, nobody), &never);
        }
    }
    for bad in [
        json!({}),
        json!({ "owner_id": null }),
        json!({ "owner_id": 7 }),
        json!({ "owner_id": "" }),
        json!({ "owner_id": acme.a }),
        json!({ "owner_id": "mem_\u{0}" }),
        json!({ "owner_id": "x".repeat(60_000) }),
        json!([ada]),
    ] {
        let refused = acme.send("POST", &path(&client, "/transfer"), &bad);
        expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert!(refused.body.len() < 2_000);
    }
    let more = json!({ "owner_id": ada, "cause": "transferred" });
    let refused = acme.send("POST", &path(&client, "/transfer"), &more);
    let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/cause");
    assert_eq!(acme.get(&path(&client, "")), before);
    assert!(acme.events("client.transferred").is_empty());
}

#[test]
fn role_2_a_client_is_handed_over_by_who_administers_it_and_out_of_reach_it_is_like_none() {
    let acme = Acme::new();
    let (ada, by_ada) = acme.admin_of(&acme.a, "ada@acme.example");
    let (above, _) = acme.admin_of(&acme.root, "above@acme.example");
    let beside = client_of(&acme, "Beside", &acme.b, &above);
    let on_top = client_of(&acme, "On top", &acme.root, &above);
    let within = client_of(&acme, "Within", &acme.a1, &ada);
    let never = transfer(&acme, &by_ada, NO_CLIENT, &above);
    expect_problem(acme.world(), &never, 404, "not-found");
    let other = acme.world().tenant("Other");
    let theirs = acme.world().client(&other, "Theirs", &[]).client_id;
    for client in [&beside, &on_top, &theirs] {
        for to in [ada.as_str(), above.as_str(), NEVER] {
            alike(&transfer(&acme, &by_ada, client, to), &never);
        }
    }
    assert_eq!(
        acme.events("access.refused").len(),
        6,
        "of those that are there"
    );
    for role in ["support", "developer", "member"] {
        let (_, who) = acme.holder_of(role, &acme.a, &format!("{role}@acme.example"));
        let refused = transfer(&acme, &who, &within, &above);
        expect_problem(acme.world(), &refused, 403, "forbidden");
    }
    // role_4: by a token for it, and not by any other of theirs.
    let narrow = acme.narrow(&ada, &["clients.read"]);
    let refused = transfer(&acme, &narrow, &within, &above);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    assert_eq!(owner(&acme, &within), json!(ada));
    transfer(&acme, &by_ada, &within, &above).expect(200);
}

#[test]
fn owner_1_what_is_only_rehearsed_or_conditional_on_another_state_changes_nothing() {
    let acme = Acme::new();
    let (ada, _) = acme.admin_of(&acme.a, "ada@acme.example");
    let client = client_of(&acme, "Client", &acme.a, &ada);
    let before = acme.get(&path(&client, ""));
    let heir = &acme.scene.tenant.owner;
    let body = json!({ "owner_id": heir });
    let dry = acme
        .send("POST", &path(&client, "/transfer?dry_run=true"), &body)
        .expect(200);
    assert_eq!(dry["owner_id"], json!(heir));
    let stale = acme.send_at(
        &acme.world().replica,
        &acme.scene.admin,
        "POST",
        &path(&client, "/transfer"),
        &[("if-match", "\"999\"")],
        &body,
    );
    expect_problem(acme.world(), &stale, 412, "precondition-failed");
    assert_eq!(acme.get(&path(&client, "")), before);
    assert!(due(&acme, &acme.scene.admin, "").is_empty());
    assert!(acme.events("client.transferred").is_empty());
    assert!(acme.events("secret.rotation_due").is_empty());
}

#[test]
fn owner_3_nothing_is_killed_tokens_and_secrets_go_on_working() {
    let acme = Acme::new();
    let world = acme.world();
    let other = world.another_replica();
    let tenant = &acme.scene.tenant;
    let (ada, by_ada) = acme.admin_of(&acme.root, "ada@acme.example");
    world.resource_server(
        tenant,
        Verification::Introspection,
        None,
        &[&acme.scene.subject],
    );
    let client = client_by(&acme, &by_ada, "Client", &acme.root, &ada);
    let scopes = json!({ "allowed_scopes": ["orders.api:read"] });
    acme.send("PATCH", &path(&client.client_id, ""), &scopes)
        .expect(200);
    let token = world.token(&tenant.id, &client, "orders.api:read");
    let works = |what: &str| {
        assert!(
            world.is_active(&tenant.id, &acme.scene.subject, &token),
            "{what}"
        );
        world.token(&tenant.id, &client, "orders.api:read");
    };
    works("before");
    transfer_at(&acme, &other, &by_ada, &client.client_id, &tenant.owner).expect(200);
    works("handed over");
    transfer(&acme, &acme.scene.admin, &client.client_id, &ada).expect(200);
    acme.send("POST", &of(&ada, "/disable"), &Value::Null)
        .expect(200);
    works("its owner disabled");
    acme.send("DELETE", &of(&ada, "?confirm_name=Somebody"), &Value::Null)
        .expect(204);
    works("its owner deleted");
    assert_eq!(owner(&acme, &client.client_id), json!(tenant.owner));
    assert_eq!(
        due(&acme, &acme.scene.admin, "&why=exposed"),
        [(client.client_id.clone(), "exposed".to_owned())]
    );
}

/// A way in which somebody loses a client: what they hold first, what is done then, and what it is called.
struct Way {
    name: &'static str,
    cause: &'static str,
    /// Whether another client of theirs, in B, goes too.
    all: bool,
}

/// What somebody holds who is about to lose a client.
struct Held<'h> {
    member: &'h str,
    role: &'h str,
    assignment: &'h str,
    group: &'h str,
    client: &'h str,
}

/// Does what somebody loses a client by.
fn lose(acme: &Acme, what: &str, held: &Held<'_>) {
    match what {
        "deleted" => {
            let path = of(held.member, "?confirm_name=Ada");
            acme.send("DELETE", &path, &Value::Null).expect(204);
        }
        "disabled" => {
            acme.send("POST", &of(held.member, "/disable"), &Value::Null)
                .expect(200);
        }
        "left" => {
            let body = json!({ "organization_id": acme.b });
            acme.send("PATCH", &of(held.member, ""), &body).expect(200);
        }
        "replaced elsewhere" => {
            let body =
                json!({ "name": "Ada", "email": "ada.l@acme.example", "organization_id": acme.a });
            acme.send("PUT", &of(held.member, ""), &body).expect(200);
        }
        "role taken" => {
            let path = of(
                held.member,
                &format!("/role-assignments/{}", held.assignment),
            );
            acme.send("DELETE", &path, &Value::Null).expect(204);
        }
        "role permits less" => {
            let body = json!({ "permissions": ["clients.read"] });
            acme.send("PATCH", &format!("/roles/{}", held.role), &body)
                .expect(200);
        }
        "group moved" => {
            let body = json!({ "parent_id": acme.root });
            let path = format!("/organizations/{}/move", held.group);
            acme.send("POST", &path, &body).expect(200);
        }
        _ => {
            let body = json!({ "organization_id": acme.root });
            acme.send("PATCH", &path(held.client, ""), &body)
                .expect(200);
        }
    }
}

#[test]
fn owner_2_by_whatever_an_owner_loses_it_a_client_goes_to_the_root_owner() {
    const WAYS: [Way; 8] = [
        Way {
            name: "deleted",
            cause: "owner_deleted",
            all: true,
        },
        Way {
            name: "disabled",
            cause: "owner_disabled",
            all: true,
        },
        Way {
            name: "left",
            cause: "owner_left",
            all: true,
        },
        Way {
            name: "replaced elsewhere",
            cause: "owner_left",
            all: true,
        },
        Way {
            name: "role taken",
            cause: "rights_lost",
            all: false,
        },
        Way {
            name: "role permits less",
            cause: "rights_lost",
            all: false,
        },
        Way {
            name: "group moved",
            cause: "rights_lost",
            all: false,
        },
        Way {
            name: "client moved",
            cause: "rights_lost",
            all: false,
        },
    ];
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let root_owner = json!(acme.scene.tenant.owner);
    for (number, way) in WAYS.iter().enumerate() {
        let what = way.name;
        let ada = acme.member_in(&acme.root, "Ada", &format!("ada{number}@acme.example"));
        let group = acme.send(
            "POST",
            "/organizations",
            &json!({ "name": "G", "parent_id": acme.a }),
        );
        let group = group.text("/id");
        let keeper = acme.role(
            &format!("Keeper {number}"),
            &["clients.write", "clients.read"],
        );
        let over_a = acme.assign(&ada, &keeper, &acme.a);
        acme.assign(&ada, "admin", &acme.b);
        let by_ada = acme.token_of(&ada);
        let lost = client_of(&acme, "Lost", &group, &ada);
        let in_b = client_by(&acme, &by_ada, "In B", &acme.b, &ada).client_id;
        let events = acme.events("client.transferred").len();
        let of_ada = Held {
            member: &ada,
            role: &keeper,
            assignment: &over_a,
            group: &group,
            client: &lost,
        };
        lose(&acme, what, &of_ada);
        assert_eq!(owner_at(&acme, &other, &lost), root_owner, "{what}");
        let kept = if way.all { &root_owner } else { &json!(ada) };
        assert_eq!(&owner_at(&acme, &other, &in_b), kept, "{what}");
        let new = acme.events("client.transferred");
        assert_eq!(new.len() - events, if way.all { 2 } else { 1 }, "{what}");
        let event = new
            .iter()
            .find(|event| event["target"]["id"] == json!(lost))
            .unwrap();
        assert_eq!(event["before"], json!({ "owner_id": ada }), "{what}");
        assert_eq!(
            event["after"],
            json!({ "owner_id": root_owner, "cause": way.cause }),
            "{what}"
        );
        let exposed = due(&acme, &acme.scene.admin, "&why=exposed");
        let is_due = |client: &str| exposed.contains(&(client.to_owned(), "exposed".to_owned()));
        assert_eq!((is_due(&lost), is_due(&in_b)), (true, way.all), "{what}");
    }
}
