//! Rate limits at the management API: counted before anybody is authenticated, told in headers, and charged by
//! what a request comes to.

use grantor_acceptance::{Answer, Replica, ServerSettings, World};
use serde_json::json;

use crate::asking::{like, replica_at};
use crate::operations::{SUBJECT, Scene};

/// A window so long that nothing comes back while a test runs.
const WINDOW: &str = "24h";

struct Limited {
    scene: Scene,
    replica: Replica,
}

impl Limited {
    fn new(per_address: Option<u32>, per_caller: Option<u32>) -> Self {
        Self::in_scene(Scene::new(), per_address, per_caller)
    }

    fn in_scene(scene: Scene, per_address: Option<u32>, per_caller: Option<u32>) -> Self {
        let rate = |number: Option<u32>| number.map(|number| format!("{number}/{WINDOW}"));
        let settings = ServerSettings {
            rate_per_address: rate(per_address),
            rate_per_caller: rate(per_caller),
            ..like(&scene.world)
        };
        let replica = replica_at(&scene.world, &scene.world.database.url(), 51, &settings);
        Self { scene, replica }
    }

    fn ask(&self, authorization: &str, method: &str, path: &str, body: &str) -> Answer {
        let url = format!(
            "{}/v1/tenants/{}{path}",
            self.replica.api, self.scene.tenant.id
        );
        let headers = [
            ("authorization", authorization),
            ("content-type", "application/json"),
        ];
        let http = &self.scene.world.http;
        http.send(method, &url, &headers, body.as_bytes())
    }

    fn list(&self, authorization: &str) -> Answer {
        self.ask(authorization, "GET", "/clients?limit=1", "")
    }

    fn assert_spent(answer: &Answer, policy: &str) {
        assert_eq!(answer.status, 429, "{}", answer.body);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.text("/code"), "too-many-requests");
        assert_eq!(answer.json()["status"], 429);
        let kind = answer.text("/type");
        assert!(kind.ends_with("/problems/too-many-requests"), "{kind}");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=24 * 3600).contains(&wait), "{wait}");
        assert!(answer.text("/detail").contains(&wait.to_string()));
        assert_eq!(answer.header("ratelimit-policy"), Some(policy));
        let standing = answer.header("ratelimit").unwrap();
        assert!(standing.contains(";r=0;t="), "{standing}");
        assert_eq!(
            answer.header("x-request-id"),
            Some(answer.text("/request_id").as_str())
        );
    }
}

#[test]
fn an_address_gets_exactly_its_number_and_is_told_how_it_stands() {
    let limited = Limited::new(Some(7), None);
    let policy = r#""address";q=7;w=86400"#;
    let admin = &limited.scene.admin;
    // Good, forbidden and unknown: each costs one.
    for left in (2..7).rev() {
        let answer = limited.list(admin);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("ratelimit-policy"), Some(policy));
        let standing = answer.header("ratelimit").unwrap();
        assert!(
            standing.starts_with(&format!("\"address\";r={left};t=")),
            "{standing}"
        );
        assert_eq!(answer.header("retry-after"), None);
    }
    // Before authentication: what is no token at all counts for the address.
    assert_eq!(limited.list("Bearer gat_made_up").status, 401);
    let url = format!("{}/nowhere", limited.replica.api);
    let http = &limited.scene.world.http;
    assert_eq!(http.get(&url, &[]).status, 404);
    Limited::assert_spent(&limited.list(admin), policy);
    Limited::assert_spent(&limited.list("Bearer gat_made_up"), policy);
    Limited::assert_spent(&http.get(&url, &[]), policy);
    // What is refused has no effect.
    let body = r#"{"name":"No","profile": "service", "owner_contact":{"email":"a@example.com"}}"#;
    Limited::assert_spent(&limited.ask(admin, "POST", "/clients", body), policy);
    assert_eq!(crate::asking::clients_named(&limited.scene.world, "No"), 0);
    // Who watches over the server is not counted.
    let health = format!("{}/healthz", limited.replica.api_operations);
    assert_eq!(http.get(&health, &[]).status, 200);
    // Another process counts for itself.
    let elsewhere = limited.scene.call("GET", "/clients", "");
    assert_eq!(elsewhere.status, 200, "{}", elsewhere.body);
}

#[test]
fn each_credential_has_a_number_of_its_own() {
    let limited = Limited::new(Some(1_000), Some(3));
    let world = &limited.scene.world;
    let policy = r#""address";q=1000;w=86400, "caller";q=3;w=86400"#;
    let admin = &limited.scene.admin;
    for left in [2, 1, 0] {
        let answer = limited.list(admin);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.header("ratelimit-policy"), Some(policy));
        let standing = answer.header("ratelimit").unwrap();
        assert!(
            standing.contains(&format!("\"caller\";r={left};t=")),
            "{standing}"
        );
    }
    let spent = limited.list(admin);
    assert_eq!(spent.status, 429, "{}", spent.body);
    assert_eq!(spent.header("ratelimit-policy"), Some(policy));
    // However it is written, it is the same.
    let shouted = admin.replace("Bearer", "BEARER");
    assert_eq!(limited.list(&shouted).status, 429);
    // Another token has its own, and made-up ones touch nobody's.
    for _ in 0..3 {
        assert_eq!(limited.list("Bearer gat_made_up").status, 401);
    }
    assert_eq!(limited.list("Bearer gat_made_up").status, 429);
    let another = world.as_admin(&limited.scene.tenant);
    assert_eq!(limited.list(&another).status, 200);
}

#[test]
fn many_operations_in_one_request_are_charged_for_each() {
    let limited = Limited::new(Some(1_000), Some(10));
    let Limited { scene, .. } = &limited;
    let items = |number: usize| {
        let item = json!({ "operation": "enableClient",
            "path": { "client": scene.subject.client_id } });
        json!({ "items": vec![item; number] }).to_string()
    };
    let standing = |answer: &Answer| {
        let standing = answer.header("ratelimit").unwrap().to_owned();
        let (_, rest) = standing.split_once("\"caller\";r=").unwrap();
        rest.split(';').next().unwrap().parse::<u32>().unwrap()
    };
    let eight = limited.ask(&scene.admin, "POST", "/bulk", &items(8));
    assert_eq!(eight.status, 200, "{}", eight.body);
    assert_eq!(standing(&eight), 2);
    // Three are more than is left: none of them is done, and only the asking has cost.
    let mut three: serde_json::Value = serde_json::from_str(&items(2)).unwrap();
    three["items"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "operation": "disableClient",
        "path": { "client": scene.subject.client_id } }));
    let refused = limited.ask(&scene.admin, "POST", "/bulk", &three.to_string());
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert_eq!(refused.text("/code"), "too-many-requests");
    assert!(refused.header("retry-after").is_some());
    let (shown, _) = crate::asking::read(scene, &scene.subject);
    assert_eq!(shown["status"], "active");
    assert_eq!(shown["name"], SUBJECT);
    assert_eq!(standing(&refused), 1);
    let last = limited.list(&scene.admin);
    assert_eq!((last.status, standing(&last)), (200, 0));
    assert_eq!(limited.list(&scene.admin).status, 429);
}

#[test]
fn without_a_rate_nobody_is_counted() {
    let world = World::new();
    let answer = world.http.get(&world.api("/v1/tenants"), &[]);
    assert_eq!(answer.status, 401);
    for name in ["ratelimit", "ratelimit-policy", "retry-after"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}
