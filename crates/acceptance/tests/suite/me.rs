//! Who calls, what they may do where, and that it ends at once when they are disabled, deleted or suspended.

use std::collections::BTreeMap;

use grantor_acceptance::{Credentials, Replica, World};
use serde_json::{Value, json};

use crate::members::acme::{Acme, of};
use crate::operations::expect_problem;

#[track_caller]
fn me(acme: &Acme, replica: &Replica, who: &str) -> Value {
    let url = format!("{}/v1/me", replica.api);
    let headers = [("authorization", who)];
    acme.world().http.get(&url, &headers).expect(200)
}

/// What is permitted, each with the names of the organizations where.
fn permitted(me: &Value) -> BTreeMap<String, String> {
    let held = me["permissions"].as_array().unwrap().iter();
    held.map(|held| {
        let names = held["organizations"].as_array().unwrap().iter();
        let mut names: Vec<_> = names
            .map(|o| o["name"].as_str().unwrap().to_owned())
            .collect();
        names.sort();
        if held["everywhere"] == true {
            names.insert(0, "everywhere:".to_owned());
        }
        (
            held["permission"].as_str().unwrap().to_owned(),
            names.join(" "),
        )
    })
    .collect()
}

fn wanted(held: &[(&str, &str)]) -> BTreeMap<String, String> {
    held.iter()
        .map(|(permission, names)| ((*permission).to_owned(), (*names).to_owned()))
        .collect()
}

#[test]
fn role_4_everybody_is_told_who_they_are_and_what_this_very_token_permits() {
    let acme = Acme::new();
    let tenant = &acme.scene.tenant;
    let here = &acme.world().replica;
    let url = acme.world().api("/v1/me");
    let nobody = acme.world().http.get(&url, &[]);
    expect_problem(acme.world(), &nobody, 401, "unauthenticated");

    let client = me(&acme, here, &acme.scene.admin);
    assert_eq!(client["tenant"], json!({ "id": tenant.id, "name": "Acme" }));
    assert_eq!(client["root_organization_id"], json!(acme.root));
    assert_eq!(client["client"]["id"], json!(tenant.admin.client_id));
    assert_eq!(
        (&client["member"], &client["is_operator"]),
        (&Value::Null, &json!(false))
    );
    let all = permitted(&client);
    assert_eq!(all.len(), World::every_scope().split(' ').count());
    assert!(all.values().all(|names| names == "everywhere: Acme"));

    let owner = me(&acme, here, &acme.token_of(&tenant.owner));
    assert_eq!(
        owner["member"],
        json!({ "id": tenant.owner, "name": "Owner" })
    );
    assert_eq!(owner["client"], client["client"]);
    assert_eq!(permitted(&owner), all);

    let (ada, token) = acme.holder_of("support", &acme.a, "ada@acme.example");
    acme.assign(&ada, "admin", &acme.b);
    let auditor = acme.role("Auditor", &["clients.read", "audit.read"]);
    acme.assign(&ada, &auditor, &acme.a1);
    acme.assign(&ada, "member", &acme.root);
    let told = permitted(&me(&acme, here, &token));
    assert_eq!(told["clients.read"], "A A1 B");
    assert_eq!(told["members.disable"], "A B");
    assert_eq!(told["audit.read"], "A1 B");
    assert_eq!(told["members.write"], "B");
    assert!(
        !told
            .keys()
            .any(|permission| permission.starts_with("tenants."))
    );
    let narrow = acme.narrow(&ada, &["clients.read", "members.write", "tenants.read"]);
    let told = me(&acme, here, &narrow);
    assert_eq!(
        permitted(&told),
        wanted(&[("clients.read", "A A1 B"), ("members.write", "B")])
    );
    // Nothing at all is told as nothing, and the catalogue is everybody's.
    let (_, plain) = acme.holder_of("member", &acme.root, "plain@acme.example");
    assert_eq!(me(&acme, here, &plain)["permissions"], json!([]));
    let url = acme.world().api("/v1/permissions");
    let catalogue = acme
        .world()
        .http
        .get(&url, &[("authorization", &plain)])
        .expect(200);
    let items = catalogue["items"].as_array().unwrap();
    let found = items
        .iter()
        .find(|item| item["name"] == "roles.assign")
        .unwrap();
    assert_eq!(
        (&found["scope"], &found["for_operators"]),
        (&json!("grantor:roles.assign"), &json!(false))
    );

    let operator = me(&acme, here, &acme.world().as_operator());
    assert_eq!(operator["is_operator"], true);
    assert_eq!(operator["tenant"]["id"], json!(acme.world().platform_id));
    assert!(permitted(&operator).contains_key("tenants.create"));
}

#[test]
fn a_token_of_another_audience_is_nobody_here() {
    let acme = Acme::new();
    let tenant = &acme.scene.tenant;
    let app = orders(&acme).0;
    let (world, owner) = (acme.world(), &tenant.owner);
    let token = world.member_token(
        tenant,
        &app,
        owner,
        "orders.api:read",
        "https://orders.example",
    );
    let headers = [("authorization", World::bearer(&token))];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let refused = world.http.get(&world.api("/v1/me"), &headers);
    expect_problem(world, &refused, 401, "unauthenticated");
}

/// A client that reads orders for members, and one that introspects.
fn orders(acme: &Acme) -> (Credentials, Credentials) {
    let tenant = &acme.scene.tenant;
    let introspector = acme.world().client(tenant, "Orders", &[]);
    acme.world().orders_api(tenant, &[&introspector]);
    let app = acme.world().client(tenant, "App", &["orders.api:read"]);
    (app, introspector)
}

/// Members' tokens, and whether they are good on any of two replicas.
struct Standing {
    acme: Acme,
    other: Replica,
    introspector: Credentials,
    member: String,
    management: String,
    of_orders: String,
    bystander: String,
}

impl Standing {
    fn new() -> Self {
        let acme = Acme::new();
        let other = acme.world().another_replica();
        let (app, introspector) = orders(&acme);
        let (member, management) = acme.holder_of("admin", &acme.a, "ada@acme.example");
        let (_, bystander) = acme.holder_of("admin", &acme.a, "bob@acme.example");
        let (world, tenant) = (acme.world(), &acme.scene.tenant);
        let audience = "https://orders.example";
        let of_orders = world.member_token(tenant, &app, &member, "orders.api:read", audience);
        Self {
            acme,
            other,
            introspector,
            member,
            management,
            of_orders,
            bystander,
        }
    }

    /// The same on both replicas and by both kinds of token, or it is an error.
    #[track_caller]
    fn is_good(&self) -> bool {
        let good = [&self.acme.world().replica, &self.other].map(|replica| {
            let url = format!(
                "{}/t/{}/introspect",
                replica.token, self.acme.scene.tenant.id
            );
            let headers = [("authorization", self.introspector.basic())];
            let headers = headers
                .each_ref()
                .map(|(name, value)| (*name, value.as_str()));
            let form = format!("token={}", self.of_orders);
            let told = self
                .acme
                .world()
                .http
                .post_form(&url, &headers, &form)
                .expect(200);
            let active = told["active"] == true;
            assert!(active || told == json!({ "active": false }), "{told}");
            let called = self.acme.status_at(replica, &self.management, "/clients");
            assert!(matches!(called, 200 | 401), "{called}");
            [active, called == 200]
        });
        assert!(
            good == [[true; 2]; 2] || good == [[false; 2]; 2],
            "{good:?}"
        );
        good[0][0]
    }

    #[track_caller]
    fn post(&self, path: &str) {
        self.acme.send("POST", path, &Value::Null).expect(200);
    }
}

#[test]
fn pause_4_who_is_disabled_is_refused_everywhere_at_once_and_pause_3_goes_on_when_enabled() {
    let standing = Standing::new();
    for _ in 0..3 {
        assert!(standing.is_good());
        standing.post(&of(&standing.member, "/disable"));
        assert!(!standing.is_good());
        let other = standing
            .acme
            .status_at(&standing.other, &standing.bystander, "/clients");
        assert_eq!(other, 200);
        standing.post(&of(&standing.member, "/enable"));
    }
    // pause_1: each pause by itself suspends.
    let client = format!("/clients/{}", standing.acme.scene.tenant.admin.client_id);
    let (_, second) = standing
        .acme
        .admin_of(&standing.acme.root, "chief@acme.example");
    standing.post(&of(&standing.member, "/disable"));
    let path = format!("{client}/disable");
    standing
        .acme
        .send_as(&second, "POST", &path, &Value::Null)
        .expect(200);
    for replica in [&standing.acme.world().replica, &standing.other] {
        for token in [&standing.management, &second, &standing.bystander] {
            assert_eq!(standing.acme.status_at(replica, token, "/clients"), 401);
        }
    }
}

#[test]
fn pause_3_lifetimes_run_on_while_a_member_is_disabled() {
    let standing = Standing::new();
    standing.post(&of(&standing.member, "/disable"));
    standing
        .acme
        .world()
        .advance(chrono::TimeDelta::minutes(61));
    let admin = standing.acme.world().as_admin(&standing.acme.scene.tenant);
    let path = of(&standing.member, "/enable");
    standing
        .acme
        .send_as(&admin, "POST", &path, &Value::Null)
        .expect(200);
    assert!(!standing.is_good());
}

#[test]
fn who_is_deleted_is_refused_everywhere_for_good() {
    let standing = Standing::new();
    let path = of(&standing.member, "?confirm_name=Somebody");
    standing
        .acme
        .send("DELETE", &path, &Value::Null)
        .expect(204);
    assert!(!standing.is_good());
    // Somebody with the same name and address is somebody else.
    let again = standing
        .acme
        .member_in(&standing.acme.a, "Somebody", "ada@acme.example");
    standing.acme.assign(&again, "admin", &standing.acme.a);
    assert!(!standing.is_good());
}

#[test]
fn tenant_2_while_a_tenant_is_suspended_no_member_of_it_is_served() {
    let standing = Standing::new();
    let world = standing.acme.world();
    let operate = |what: &str| {
        let url = world.api(&format!(
            "/v1/tenants/{}/{what}",
            standing.acme.scene.tenant.id
        ));
        let operator = world.as_operator();
        let headers = [("authorization", operator.as_str())];
        let body = json!({ "reason": "Invoices are open" });
        world.http.post_json(&url, &headers, &body).expect(200);
    };
    operate("suspend");
    for replica in [&world.replica, &standing.other] {
        for token in [&standing.management, &standing.bystander] {
            assert_eq!(standing.acme.status_at(replica, token, "/clients"), 401);
        }
    }
    operate("restore");
    assert!(standing.is_good());
}

#[test]
fn idempotency_keys_of_two_members_through_one_client_are_apart() {
    let acme = Acme::new();
    let (_, ada) = acme.admin_of(&acme.a, "ada@acme.example");
    let (_, bob) = acme.admin_of(&acme.a, "bob@acme.example");
    let key = [("idempotency-key", "0123456789abcdef-same")];
    let make = |who: &str, email: &str| {
        let body = json!({ "name": "New", "email": email, "organization_id": acme.a });
        let here = &acme.world().replica;
        let made = acme.send_at(here, who, "POST", "/members", &key, &body);
        assert_eq!(made.status, 201, "{}", made.body);
        let replayed = made.header("idempotent-replayed").is_some();
        (made.text("/id"), replayed)
    };
    let (of_ada, replayed) = make(&ada, "one@acme.example");
    assert!(!replayed);
    let (of_bob, replayed) = make(&bob, "two@acme.example");
    assert!(!replayed && of_bob != of_ada);
    let (of_client, replayed) = make(&acme.scene.admin, "three@acme.example");
    assert!(!replayed && of_client != of_ada);
    assert_eq!(make(&ada, "one@acme.example"), (of_ada, true));
}

#[test]
fn audit_1_the_log_names_the_member_and_the_client_through_which_they_acted() {
    let acme = Acme::new();
    let tenant = &acme.scene.tenant;
    let (ada, token) = acme.admin_of(&acme.a, "ada@acme.example");
    let body =
        json!({ "name": "Grace Hopper", "email": "grace@acme.example", "organization_id": acme.a });
    let grace = acme.send_as(&token, "POST", "/members", &body).text("/id");
    let refused = acme.send_as(&token, "GET", "/audit-events", &Value::Null);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    let actor = json!({ "kind": "member", "id": ada, "tenant_id": tenant.id,
        "client_id": tenant.admin.client_id });
    let made = &acme.events("member.created")[0];
    assert_eq!(
        (&made["actor"], &made["target"]["id"]),
        (&actor, &json!(grace))
    );
    let refused = &acme.events("access.refused")[0];
    assert_eq!(
        (&refused["actor"], &refused["target"]["id"]),
        (&actor, &json!(ada))
    );
    let found = acme.get(&format!("/audit-events?actor={ada}"));
    assert_eq!(found["items"].as_array().unwrap().len(), 2);

    // audit_2: erased is who it was, and not what was done.
    let change = json!({ "email": "g.hopper@acme.example" });
    acme.send_as(&token, "PATCH", &of(&grace, ""), &change)
        .expect(200);
    let before = acme.events("member.updated");
    assert!(before[0].to_string().contains("g.hopper@acme.example"));
    let path = of(&grace, "?confirm_name=Grace%20Hopper");
    acme.send("DELETE", &path, &Value::Null).expect(204);
    let erased = acme.send("POST", "/audit-events/erase", &json!({ "subject": grace }));
    assert_eq!(erased.expect(200)["complete"], true);
    let trail = acme.get(&format!("/audit-events?target={grace}"));
    assert_eq!(trail["items"].as_array().unwrap().len(), 4);
    let text = trail.to_string();
    assert!(!text.contains("opper") && !text.contains("race@"), "{text}");
    let updated = &acme.events("member.updated")[0];
    assert_eq!(updated["actor"], actor);
    assert_eq!(updated["after"]["organization_id"], json!(acme.a));
    for (table, row) in crate::asking::everything_at_rest(acme.world()) {
        assert!(
            !row.contains("opper@") && !row.contains("Hopper"),
            "{table}: {row}"
        );
    }
}
