//! From where a client may come (`client_13`): at the token server and at the management API.

use grantor_acceptance::{Answer, Credentials, Replica, Tenant};
use serde_json::{Value, json};

use crate::asking::{behind_a_proxy, path_of, second_admin, send, trusting_a_proxy};
use crate::oauth::expect_error;
use crate::operations::{Scene, expect_problem, without_request_id};
use crate::platform_servers::Vendor;
use crate::secrets::CHOSEN;

fn allow(scene: &Scene, client: &Credentials, rules: &Value) {
    let body = json!({ "allowed_ips": rules }).to_string();
    send(scene, "PATCH", &path_of(client), &[], &body).expect(200);
}

fn ask(scene: &Scene, endpoint: &str, by: &Credentials, from: &str) -> Answer {
    let url = scene.world.endpoint(&scene.tenant.id, endpoint);
    let form = if endpoint == "token" {
        "grant_type=client_credentials&scope=grantor:clients.read"
    } else {
        "token=x"
    };
    let headers = [
        ("authorization", by.basic()),
        ("x-forwarded-for", from.to_owned()),
    ];
    let headers = headers
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    scene.world.http.post_form(&url, &headers, form)
}

#[test]
fn client_13_at_every_endpoint_a_client_comes_from_where_it_may_and_from_nowhere_else() {
    let scene = behind_a_proxy();
    let machine = scene
        .world
        .client(&scene.tenant, "Machine", &["grantor:clients.read"]);
    // None: from everywhere.
    assert_eq!(
        ask(&scene, "token", &machine, "203.0.113.9").status,
        200,
        "none are named yet"
    );
    let rules = json!([
        "192.0.2.0/24",
        "198.51.100.7",
        "2001:db8::/32",
        "2001:db9::1"
    ]);
    allow(&scene, &machine, &rules);
    for endpoint in ["token", "introspect", "revoke"] {
        for good in [
            "192.0.2.0",
            "192.0.2.255",
            "198.51.100.7",
            "2001:db8:ffff::1",
            "2001:db9::1",
            // IPv4 as a socket for both kinds has it.
            "::ffff:192.0.2.8",
            "::ffff:c000:0208",
        ] {
            let answer = ask(&scene, endpoint, &machine, good);
            assert_eq!(answer.status, 200, "{endpoint} {good}: {}", answer.body);
        }
        for bad in [
            "192.0.3.0",
            "198.51.100.8",
            "2001:db9::2",
            "::ffff:203.0.113.9",
            // Whatever a stranger wrote before the proxy's own entry.
            "192.0.2.8, 203.0.113.9",
        ] {
            let answer = ask(&scene, endpoint, &machine, bad);
            expect_error(&answer, 401, "invalid_client");
            let told = answer.text("/error_description");
            assert!(told.contains("allowed_ips"), "{told}");
            let seen = bad.rsplit(", ").next().unwrap().replace("::ffff:", "");
            assert!(told.contains(&seen), "{bad}: {told}");
        }
    }
    // Without the list it comes from everywhere again.
    allow(&scene, &machine, &json!([]));
    assert_eq!(ask(&scene, "token", &machine, "203.0.113.9").status, 200);
}

#[test]
fn client_13_who_does_not_know_the_secret_learns_nothing_of_addresses() {
    let scene = behind_a_proxy();
    let machine = &scene.subject;
    scene
        .post_secret("/choose", &json!({ "value": CHOSEN }))
        .expect(201);
    allow(&scene, machine, &json!(["192.0.2.0/24"]));
    let wrong_ones = ["gsec_wrong".to_owned(), CHOSEN.replace('V', "W")];
    for endpoint in ["token", "introspect", "revoke"] {
        for secret in &wrong_ones {
            let by = scene.subject_with(secret);
            let inside = ask(&scene, endpoint, &by, "192.0.2.1");
            let outside = ask(&scene, endpoint, &by, "203.0.113.9");
            expect_error(&outside, 401, "invalid_client");
            assert!(!outside.body.contains("allowed_ips"), "{}", outside.body);
            assert_eq!(without_request_id(&inside), without_request_id(&outside));
        }
        // A chosen secret is held to the same addresses.
        let by = scene.subject_with(CHOSEN);
        let outside = ask(&scene, endpoint, &by, "203.0.113.9");
        assert!(outside.body.contains("allowed_ips"), "{}", outside.body);
    }
    // Of what else is wrong nothing is told to who comes from elsewhere: neither the method nor that it is disabled.
    let path = format!("{}/disable", path_of(machine));
    send(&scene, "POST", &path, &[], "").expect(200);
    let form = format!(
        "token=x&client_id={}&client_secret={}",
        machine.client_id, machine.client_secret
    );
    let url = scene.world.endpoint(&scene.tenant.id, "introspect");
    let from = [("x-forwarded-for", "203.0.113.9")];
    let outside = scene.world.http.post_form(&url, &from, &form);
    expect_error(&outside, 401, "invalid_client");
    assert!(outside.body.contains("allowed_ips"), "{}", outside.body);
    assert!(!outside.body.contains("disabled"), "{}", outside.body);
    assert!(!outside.body.contains("basic"), "{}", outside.body);
}

#[test]
fn client_13_platform_wide_introspection_looks_at_the_address_too() {
    let vendor = Vendor::new();
    let world = &vendor.world;
    let checker = vendor.client("Payments API");
    let ask = || {
        let url = format!("{}/introspect", world.replica.token);
        let headers = [("authorization", checker.basic())];
        let headers = headers.each_ref().map(|(name, by)| (*name, by.as_str()));
        world.http.post_form(&url, &headers, "token=x")
    };
    let allow = |rules: Value| {
        let path = format!("/v1/tenants/{}{}", world.platform_id, path_of(&checker));
        let body = json!({ "allowed_ips": rules });
        let headers = [
            ("authorization", vendor.operator.as_str()),
            ("content-type", "application/merge-patch+json"),
        ];
        let changed = world.http.send(
            "PATCH",
            &world.api(&path),
            &headers,
            body.to_string().as_bytes(),
        );
        assert_eq!(changed.status, 200, "{}", changed.body);
    };
    assert_eq!(ask().status, 200);
    allow(json!(["192.0.2.1"]));
    expect_error(&ask(), 401, "invalid_client");
    allow(json!(["192.0.2.1", "127.0.0.1"]));
    assert_eq!(ask().status, 200);
}

#[test]
fn client_13_what_a_stranger_says_of_an_address_is_not_believed() {
    // The tests call from 127.0.0.1, which is no proxy here.
    let scene = Scene::new();
    let machine = scene
        .world
        .client(&scene.tenant, "Machine", &["grantor:clients.read"]);
    allow(&scene, &machine, &json!(["192.0.2.1"]));
    for endpoint in ["token", "introspect", "revoke"] {
        let answer = ask(&scene, endpoint, &machine, "192.0.2.1");
        expect_error(&answer, 401, "invalid_client");
        assert!(answer.body.contains("127.0.0.1"), "{}", answer.body);
    }
    allow(&scene, &machine, &json!(["127.0.0.0/8"]));
    for endpoint in ["token", "introspect", "revoke"] {
        let answer = ask(&scene, endpoint, &machine, "203.0.113.9");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
}

fn list(scene: &Scene, replica: &Replica, by: &str, from: &str) -> Answer {
    let url = format!("{}/v1/tenants/{}/clients", replica.api, scene.tenant.id);
    let headers = [("authorization", by), ("x-forwarded-for", from)];
    scene.world.http.get(&url, &headers)
}

#[test]
fn client_13_tightening_stops_the_next_call_of_the_management_api_everywhere() {
    let scene = behind_a_proxy();
    let world = &scene.world;
    let other = world.another_replica_with(&trusting_a_proxy());
    let replicas = [&world.replica, &other];
    // Its token is issued before there are any rules.
    let (client, by) = second_admin(&scene, &["grantor:clients.read"]);
    let statuses = |from: &str| replicas.map(|replica| list(&scene, replica, &by, from).status);
    assert_eq!(statuses("203.0.113.9"), [200; 2]);
    let refusals = || {
        let events = scene.events();
        let found: Vec<Value> = events
            .into_iter()
            .filter(|event| event["action"] == "access.refused")
            .collect();
        found
    };
    assert_eq!(refusals(), [] as [Value; 0]);
    allow(&scene, &client, &json!(["192.0.2.0/24", "2001:db8::1"]));
    for replica in replicas {
        let refused = list(&scene, replica, &by, "203.0.113.9");
        assert_eq!(refused.status, 403, "{}", refused.body);
        assert_eq!(refused.text("/code"), "address-not-allowed");
        let told = refused.text("/detail");
        assert!(
            told.contains("203.0.113.9") && told.contains("allowed_ips"),
            "{told}"
        );
    }
    // audit_1: both are on record, with who and from where.
    let recorded = refusals();
    assert_eq!(recorded.len(), 2);
    for event in &recorded {
        assert_eq!(event["after"]["reason"], "another address", "{event}");
        assert_eq!(event["target"]["id"], client.client_id.as_str());
        assert!(event.to_string().contains("203.0.113.9"), "{event}");
    }
    assert_eq!(statuses("192.0.2.77"), [200; 2]);
    assert_eq!(statuses("::ffff:192.0.2.77"), [200; 2]);
    assert_eq!(statuses("2001:db8::1"), [200; 2]);
    assert_eq!(statuses("2001:db8::2"), [403; 2]);
    // A token that is good for nothing is told as ever.
    let unknown = list(&scene, &world.replica, "Bearer gat_made_up", "203.0.113.9");
    expect_problem(world, &unknown, 401, "unauthenticated");
    allow(&scene, &client, &json!([]));
    assert_eq!(statuses("203.0.113.9"), [200; 2]);
}

#[test]
fn client_13_whoever_acts_through_a_client_comes_from_where_the_client_may() {
    let scene = Scene::new();
    let Scene { world, tenant, .. } = &scene;
    let Tenant { admin, owner, .. } = tenant;
    let by = world.as_member(tenant, admin, owner, "grantor:clients.read");
    let own = world.as_admin(tenant);
    allow(&scene, admin, &json!(["192.0.2.1"]));
    let refused = list(&scene, &world.replica, &by, "192.0.2.1");
    expect_problem(world, &refused, 403, "address-not-allowed");
    // A change is refused as a reading is, in a rehearsal too, and with a body that is none.
    let url = scene.url("/clients?dry_run=true");
    let headers = [("authorization", own.as_str())];
    let refused = world.http.send("POST", &url, &headers, b"{");
    expect_problem(world, &refused, 403, "address-not-allowed");
    let me = world.http.get(&world.api("/v1/me"), &headers);
    expect_problem(world, &me, 403, "address-not-allowed");
}
