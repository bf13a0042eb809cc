//! A client's issue rate and its number of live tokens (`client_15`).

use chrono::TimeDelta;
use grantor_acceptance::{Answer, Credentials, Replica};
use serde_json::{Value, json};

use crate::asking::{number, path_of, send, send_at, send_to, until};
use crate::operations::{Scene, expect_problem};

const SCOPE: &str = "grantor:clients.read";

/// A scene with a client that gets tokens.
struct Machine {
    scene: Scene,
    client: Credentials,
}

impl Machine {
    fn new() -> Self {
        let scene = Scene::new();
        let client = scene.world.client(&scene.tenant, "Machine", &[SCOPE]);
        Self { scene, client }
    }

    fn ask(&self, replica: &Replica, by: &Credentials) -> Answer {
        let url = format!("{}/t/{}/token", replica.token, self.scene.tenant.id);
        let form = format!("grant_type=client_credentials&scope={SCOPE}");
        let by = by.basic();
        self.scene
            .world
            .http
            .post_form(&url, &[("authorization", &by)], &form)
    }

    fn status(&self) -> u16 {
        self.ask(&self.scene.world.replica, &self.client).status
    }

    #[track_caller]
    fn limit(&self, settings: &Value) -> Value {
        let body = settings.to_string();
        send(&self.scene, "PATCH", &path_of(&self.client), &[], &body).expect(200)
    }

    fn usage(&self) -> Value {
        let path = format!("{}/usage", path_of(&self.client));
        send(&self.scene, "GET", &path, &[], "").expect(200)
    }

    /// How many of so many requests at once, at these replicas in turn, get a token; the others are held.
    fn let_through(&self, replicas: &[&Replica], requests: usize) -> usize {
        std::thread::scope(|scope| {
            let asking: Vec<_> = replicas
                .iter()
                .cycle()
                .take(requests)
                .map(|replica| scope.spawn(|| self.ask(replica, &self.client).status))
                .collect();
            let statuses: Vec<u16> = asking.into_iter().map(|one| one.join().unwrap()).collect();
            let through = statuses.iter().filter(|status| **status == 200).count();
            let held = statuses.iter().filter(|status| **status == 429).count();
            assert_eq!(through + held, requests, "{statuses:?}");
            through
        })
    }

    fn live(&self) -> i64 {
        let machine = "(SELECT id FROM clients WHERE name = 'Machine')";
        number(
            &self.scene.world,
            &format!(
                "SELECT count(*) FROM access_tokens WHERE client_id = {machine} AND revoked_at IS NULL"
            ),
        )
    }
}

#[track_caller]
fn expect_held(answer: &Answer, retry_after: &str) {
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(answer.header("retry-after"), Some(retry_after));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.json()["error"], "temporarily_unavailable");
}

#[test]
fn client_15_beyond_its_rate_a_client_is_told_when_to_come_again_and_nobody_else_is_held() {
    let machine = Machine::new();
    let world = &machine.scene.world;
    let other = world.client(&machine.scene.tenant, "Other", &[SCOPE]);
    machine.limit(&json!({ "tokens_per_minute": 3 }));
    // Whoever doesn't know the secret uses nothing up, and a request that is refused neither.
    let wrong = Credentials {
        client_secret: "gsec_wrong".to_owned(),
        ..machine.client.clone()
    };
    for _ in 0..5 {
        assert_eq!(machine.ask(&world.replica, &wrong).status, 401);
        let refused = world.request_token(&machine.scene.tenant.id, &machine.client, "no:scope");
        assert_eq!(refused.status, 400);
    }
    for _ in 0..3 {
        assert_eq!(machine.status(), 200);
    }
    let held = machine.ask(&world.replica, &machine.client);
    expect_held(&held, "20");
    let told = held.json()["error_description"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(told.contains("3 tokens a minute"), "{told}");
    assert_eq!(machine.ask(&world.replica, &wrong).status, 401);
    assert_eq!(machine.ask(&world.replica, &other).status, 200);
    world.advance(TimeDelta::milliseconds(19_999));
    expect_held(&machine.ask(&world.replica, &machine.client), "1");
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(machine.status(), 200);
    assert_eq!(machine.status(), 429);
}

#[test]
fn client_15_of_many_at_once_no_more_get_through_than_a_server_allows() {
    let machine = Machine::new();
    let world = &machine.scene.world;
    let other = world.another_replica();
    machine.limit(&json!({ "tokens_per_minute": 8 }));
    assert_eq!(machine.let_through(&[&world.replica], 32), 8);
    assert_eq!(machine.live(), 8);
    // Each server counts for itself: together they allow as many times the rate as there are of them, and no more.
    assert_eq!(machine.let_through(&[&world.replica, &other], 32), 8);
    assert_eq!(machine.live(), 16);
}

#[test]
fn client_15_a_client_has_no_more_live_tokens_than_it_may_and_what_goes_makes_room() {
    let machine = Machine::new();
    let world = &machine.scene.world;
    let tenant = &machine.scene.tenant.id;
    machine.limit(&json!({ "max_live_tokens": 3, "access_token_lifetime_seconds": 600 }));
    let first = world.token(tenant, &machine.client, SCOPE);
    for _ in 0..2 {
        assert_eq!(machine.status(), 200);
    }
    let held = machine.ask(&world.replica, &machine.client);
    expect_held(&held, "1");
    assert!(held.body.contains("3 live tokens"), "{}", held.body);
    let used = &machine.usage()["limits"]["max_live_tokens"];
    assert_eq!(
        *used,
        json!({ "limit": 3, "source": "client", "used": 3, "used_percent": 100 })
    );

    // One that is removed makes room for one, a second later.
    world.revoke(tenant, &machine.client, &first).expect(200);
    world.advance(TimeDelta::seconds(1));
    assert_eq!(machine.status(), 200);
    assert_eq!(machine.status(), 429);
    assert_eq!(machine.live(), 3);

    // And so do those that expire: the first two, and later the third.
    world.advance(TimeDelta::seconds(599));
    assert_eq!([(); 3].map(|()| machine.status()), [200, 200, 429]);
    world.advance(TimeDelta::seconds(1));
    assert_eq!([(); 2].map(|()| machine.status()), [200, 429]);
}

#[test]
fn client_15_of_many_at_once_no_more_live_than_may_and_servers_learn_of_each_other() {
    let machine = Machine::new();
    let world = &machine.scene.world;
    let other = world.another_replica();
    machine.limit(&json!({ "max_live_tokens": 5 }));
    assert_eq!(machine.let_through(&[&world.replica], 32), 5);
    assert_eq!(machine.live(), 5);
    // The other counts before its first.
    assert_eq!(machine.let_through(&[&other], 8), 0);
    machine.limit(&json!({ "max_live_tokens": 50 }));
    // At the same moment both may use the room that they have counted: so far do they go beyond, and no further.
    let both = machine.let_through(&[&world.replica, &other], 128);
    assert!((45..=90).contains(&both), "{both}");
    // A second later each knows.
    world.advance(TimeDelta::seconds(1));
    assert_eq!(machine.let_through(&[&world.replica, &other], 8), 0);
}

#[test]
fn client_15_limits_hold_at_once_on_every_server_whoever_sets_them() {
    let machine = Machine::new();
    let scene = &machine.scene;
    let world = &scene.world;
    let other = world.another_replica();
    let status = |replica: &Replica| machine.ask(replica, &machine.client).status;
    // A second later each server knows what the other has issued.
    let both = || {
        world.advance(TimeDelta::seconds(1));
        [status(&world.replica), status(&other)]
    };
    let limits = || machine.usage()["limits"]["tokens_per_minute"].clone();
    assert_eq!(both(), [200, 200]);
    assert_eq!(
        (&limits()["limit"], &limits()["source"]),
        (&json!(6_000), &json!("tenant"))
    );
    assert_eq!(limits()["used"], 2, "issued in the last minute, wherever");

    // The client's own, set at the other server.
    let own = json!({ "max_live_tokens": 2 }).to_string();
    send_at(scene, &other, "PATCH", &path_of(&machine.client), &[], &own).expect(200);
    assert_eq!(both(), [429, 429]);
    machine.limit(&json!({ "max_live_tokens": null }));
    assert_eq!(both(), [200, 200]);

    // The tenant's, for whoever has none.
    let settings = json!({ "default_max_live_tokens": 4 }).to_string();
    send_at(scene, &other, "PATCH", "/settings", &[], &settings).expect(200);
    assert_eq!(both(), [429, 429]);
    machine.limit(&json!({ "max_live_tokens": 100 }));
    assert_eq!(both(), [200, 200]);

    // And what operators allow, above which nothing counts.
    let url = scene.url("/quotas");
    let operator = world.as_operator();
    let quotas = json!({ "client_max_live_tokens": 6 }).to_string();
    send_to(world, "PUT", &url, &operator, &[], &quotas).expect(200);
    assert_eq!(both(), [429, 429]);
    let live = &machine.usage()["limits"]["max_live_tokens"];
    assert_eq!(
        (&live["limit"], &live["source"]),
        (&json!(6), &json!("operator"))
    );
    send_to(world, "PUT", &url, &operator, &[], "{}").expect(200);
    assert_eq!(both(), [200, 200]);
}

#[test]
fn client_15_nobody_sets_a_limit_beyond_what_operators_allow_and_what_was_set_may_stay() {
    let machine = Machine::new();
    let scene = &machine.scene;
    let world = &scene.world;
    let (operator, url) = (world.as_operator(), scene.url("/quotas"));
    let client = path_of(&machine.client);
    let refused = |path: &str, method: &str, body: Value, pointer: &str| {
        let answer = send(scene, method, path, &[], &body.to_string());
        let problem = expect_problem(world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
    };
    machine.limit(&json!({ "tokens_per_minute": 60_000, "max_live_tokens": 200_000 }));
    let beyond = json!({ "tokens_per_minute": 60_001 });
    refused(&client, "PATCH", beyond, "/tokens_per_minute");
    let beyond = json!({ "max_live_tokens": 0 });
    refused(&client, "PATCH", beyond, "/max_live_tokens");
    let beyond = json!({ "default_max_live_tokens": 200_001 });
    refused("/settings", "PATCH", beyond, "/default_max_live_tokens");
    let new = json!({ "name": "New", "profile": "service", "max_live_tokens": 200_001,
        "owner_contact": { "email": "a@example.com" } });
    refused("/clients", "POST", new, "/max_live_tokens");

    let quotas = json!({ "client_tokens_per_minute": 10, "client_max_live_tokens": 6_000_000 });
    let answer = send_to(world, "PUT", &url, &operator, &[], &quotas.to_string());
    let problem = expect_problem(world, &answer, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/client_max_live_tokens");
    let quotas = json!({ "client_tokens_per_minute": 10 }).to_string();
    send_to(world, "PUT", &url, &operator, &[], &quotas).expect(200);
    let settings = send(scene, "GET", "/settings", &[], "").expect(200);
    let bounds = json!({ "tokens_per_minute": 10, "max_live_tokens": 200_000 });
    assert_eq!(settings["client_limit_bounds"], bounds);
    // Other settings can still be changed, and what the client had is there when operators allow it again.
    let shown = machine.limit(&json!({ "description": "Still here" }));
    assert_eq!(shown["tokens_per_minute"], 60_000);
    refused(
        &client,
        "PATCH",
        json!({ "tokens_per_minute": 11 }),
        "/tokens_per_minute",
    );
    assert_eq!(
        machine.limit(&json!({ "tokens_per_minute": 10 }))["tokens_per_minute"],
        10
    );
}

#[test]
fn client_15_that_a_limit_held_is_told_once_in_a_while_however_often_and_wherever() {
    let machine = Machine::new();
    let world = &machine.scene.world;
    let other = world.another_replica();
    machine.limit(&json!({ "tokens_per_minute": 1 }));
    let told = || {
        let path = "/audit-events?limit=200&action=client.limit_reached";
        let log = send(&machine.scene, "GET", path, &[], "").expect(200);
        log["items"].as_array().unwrap().clone()
    };
    let refusals = || {
        let usage = machine.usage();
        let total = usage["failures"]["total"].as_array().unwrap().clone();
        let of = total.iter().find(|one| one["kind"] == "rate_limit");
        of.map_or(0, |one| one["count"].as_u64().unwrap())
    };
    for replica in [&world.replica, &other] {
        assert_eq!(machine.let_through(&[replica], 11), 1);
    }
    until("both have written", || refusals() == 20);
    until("it is told", || !told().is_empty());
    let event = told().remove(0);
    assert_eq!(event["actor"]["kind"], "server");
    assert_eq!(event["target"]["id"], machine.client.client_id.as_str());
    assert_eq!(event["after"]["limits"]["tokens_per_minute"], 1);
    assert_eq!(machine.let_through(&[&world.replica, &other], 10), 0);
    until("they have written again", || refusals() == 30);
    until("it was looked at", || waiting(&machine) == 0);
    assert_eq!(told().len(), 1);
    // After the window of the settings it is told again.
    world.advance(TimeDelta::seconds(900));
    assert_eq!(machine.let_through(&[&world.replica], 3), 1);
    until("it is told again", || told().len() == 2);
}

fn waiting(machine: &Machine) -> i64 {
    let sql = "SELECT count(*) FROM client_alerts WHERE noted_at IS NOT NULL";
    number(&machine.scene.world, sql)
}
