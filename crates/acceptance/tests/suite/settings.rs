//! What tenants set for themselves, and that it takes effect.

use grantor_acceptance::{Answer, Replica, World};
use serde_json::{Value, json};

use crate::feed::Scene;
use crate::operations::expect_problem;

fn send(scene: &Scene, method: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    send_on(scene, &scene.world.replica, method, headers, body)
}

fn send_on(
    scene: &Scene,
    replica: &Replica,
    method: &str,
    headers: &[(&str, &str)],
    body: &Value,
) -> Answer {
    let mut all = vec![
        ("authorization", scene.admin.as_str()),
        ("content-type", "application/json"),
    ];
    all.extend_from_slice(headers);
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let url = scene.url(replica, "/settings");
    scene.world.http.send(method, &url, &all, body.as_bytes())
}

fn patch(scene: &Scene, body: &Value) -> Answer {
    send(scene, "PATCH", &[], body)
}

/// A client made with nothing but what must be given, and these fields.
fn lifetime_of_new(scene: &Scene, fields: &Value) -> i64 {
    let mut body = json!({ "name": "New", "profile": "service", "owner_contact": { "email": "o@example.com" } });
    body.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    let made = scene.post("/clients", &body).expect(201);
    made["access_token_lifetime_seconds"].as_i64().unwrap()
}

fn contact() -> Value {
    json!({ "name": "Help desk", "email": "help@acme.example" })
}

#[test]
fn what_is_not_set_has_its_default_and_null_brings_it_back() {
    let scene = Scene::new();
    let defaults = scene.get("/settings").expect(200);
    let values = json!({
        "default_access_token_seconds": 3600, "invitation_seconds": 604_800, "password_reset_seconds": 3600,
        "password_min_length": 12, "credential_page": null, "support_contact": null,
    });
    for (name, value) in values.as_object().unwrap() {
        assert_eq!(&defaults[name], value, "{name}");
    }
    assert_eq!(
        (&defaults["revision"], &defaults["updated_at"]),
        (&json!(0), &Value::Null)
    );

    let page = "https://console.acme.example/password";
    let set = patch(
        &scene,
        &json!({ "invitation_seconds": 3600, "credential_page": page, "support_contact": contact() }),
    );
    assert_eq!(set.header("etag"), Some("\"1\""));
    let set = set.expect(200);
    assert_eq!(
        (&set["invitation_seconds"], &set["credential_page"]),
        (&json!(3600), &json!(page))
    );
    assert_eq!(set["support_contact"], contact());
    assert_eq!(set["password_min_length"], 12, "what is absent stays");

    let nested = patch(&scene, &json!({ "support_contact": { "name": null } })).expect(200);
    assert_eq!(
        nested["support_contact"],
        json!({ "name": null, "email": "help@acme.example" })
    );
    let back = patch(
        &scene,
        &json!({ "invitation_seconds": null, "credential_page": null, "support_contact": null }),
    );
    let back = back.expect(200);
    for name in ["invitation_seconds", "credential_page", "support_contact"] {
        assert_eq!(back[name], defaults[name], "{name}");
    }
}

#[test]
fn put_replaces_all_and_what_was_read_can_be_sent_back() {
    let scene = Scene::new();
    patch(
        &scene,
        &json!({ "password_min_length": 20, "invitation_seconds": 7200 }),
    )
    .expect(200);
    let put = send(&scene, "PUT", &[], &json!({ "password_min_length": 16 })).expect(200);
    assert_eq!(
        (&put["password_min_length"], &put["invitation_seconds"]),
        (&json!(16), &json!(604_800))
    );
    let again = send(&scene, "PUT", &[], &scene.get("/settings").json());
    assert_eq!(
        again.json()["revision"],
        put["revision"],
        "nothing was to be done: {}",
        again.body
    );
    let mut other = scene.get("/settings").json();
    other["quotas"]["clients"] = json!(1);
    let refused = send(&scene, "PUT", &[], &other);
    assert_eq!(refused.status, 422, "{}", refused.body);
    assert_eq!(refused.text("/errors/0/pointer"), "/quotas");
}

#[test]
fn bad_input_names_the_field_and_changes_nothing() {
    let scene = Scene::new();
    for (body, pointer) in [
        (
            json!({ "default_access_token_seconds": 59 }),
            "/default_access_token_seconds",
        ),
        (
            json!({ "default_access_token_seconds": 86_401 }),
            "/default_access_token_seconds",
        ),
        (
            json!({ "default_access_token_seconds": "60" }),
            "/default_access_token_seconds",
        ),
        (json!({ "invitation_seconds": 3599 }), "/invitation_seconds"),
        (
            json!({ "invitation_seconds": 2_592_001 }),
            "/invitation_seconds",
        ),
        (
            json!({ "password_reset_seconds": 299 }),
            "/password_reset_seconds",
        ),
        (
            json!({ "password_reset_seconds": 86_401 }),
            "/password_reset_seconds",
        ),
        (json!({ "password_min_length": 7 }), "/password_min_length"),
        (json!({ "password_min_length": 65 }), "/password_min_length"),
        (
            json!({ "password_min_length": 12.5 }),
            "/password_min_length",
        ),
        (json!({ "client_limit_bounds": {} }), "/client_limit_bounds"),
        (json!({ "credential_page": "" }), "/credential_page"),
        (
            json!({ "credential_page": "http://console.acme.example" }),
            "/credential_page",
        ),
        (
            json!({ "credential_page": "https://console.acme.example?x=1" }),
            "/credential_page",
        ),
        (
            json!({ "credential_page": "https://console.acme.example#x" }),
            "/credential_page",
        ),
        (
            json!({ "credential_page": "javascript:alert(1)" }),
            "/credential_page",
        ),
        (
            json!({ "credential_page": ["https://a.example"] }),
            "/credential_page",
        ),
        (
            json!({ "support_contact": { "email": "nobody" } }),
            "/support_contact/email",
        ),
        (
            json!({ "support_contact": { "name": "", "email": "a@b.example" } }),
            "/support_contact/name",
        ),
        (
            json!({ "support_contact": { "name": "Help" } }),
            "/support_contact",
        ),
        (
            json!({ "support_contact": { "email": "a@b.example", "phone": "1" } }),
            "/support_contact/phone",
        ),
        (json!({ "usage": {} }), "/usage"),
        (json!({ "revision": 9 }), "/revision"),
        (json!({ "theme": "dark" }), "/theme"),
    ] {
        let refused = patch(&scene, &body);
        assert_eq!(refused.status, 422, "{body}: {}", refused.body);
        assert_eq!(
            refused.text("/errors/0/pointer"),
            pointer,
            "{body}: {}",
            refused.body
        );
    }
    let many = patch(
        &scene,
        &json!({ "password_min_length": 1, "invitation_seconds": 1, "credential_page": "x" }),
    );
    assert_eq!(
        many.json()["errors"].as_array().unwrap().len(),
        3,
        "{}",
        many.body
    );
    assert_eq!(scene.get("/settings").json()["revision"], 0);
}

#[test]
fn client_10_and_15_thresholds_and_limits_are_within_their_bounds() {
    let scene = Scene::new();
    for (name, number) in [
        ("sustained_errors_threshold", 0),
        ("sustained_errors_window_seconds", 299),
        ("default_tokens_per_minute", 6_000_001),
        ("default_max_live_tokens", 0),
    ] {
        let refused = patch(&scene, &json!({ name: number }));
        assert_eq!(refused.status, 422, "{name}: {}", refused.body);
        assert_eq!(refused.text("/errors/0/pointer"), format!("/{name}"));
    }
    assert_eq!(scene.get("/settings").json()["revision"], 0);
}

#[test]
fn the_default_lifetime_is_that_of_clients_whose_maker_names_none() {
    let scene = Scene::new();
    assert_eq!(lifetime_of_new(&scene, &json!({})), 3600);
    let before = scene.create("Before");
    patch(&scene, &json!({ "default_access_token_seconds": 600 })).expect(200);
    assert_eq!(lifetime_of_new(&scene, &json!({})), 600);
    assert_eq!(
        lifetime_of_new(&scene, &json!({ "access_token_lifetime_seconds": 7200 })),
        7200
    );
    let path = format!("/clients/{before}");
    assert_eq!(
        scene.get(&path).json()["access_token_lifetime_seconds"],
        3600,
        "who is there stays"
    );

    // Replacing gives what is absent its default, and the default is the tenant's.
    let body =
        json!({ "name": "Before", "profile": "service", "owner_contact": { "email": "o@example.com" } }).to_string();
    let url = scene.url(&scene.world.replica, &path);
    let headers = [
        ("authorization", scene.admin.as_str()),
        ("content-type", "application/json"),
    ];
    let put = scene
        .world
        .http
        .send("PUT", &url, &headers, body.as_bytes())
        .expect(200);
    assert_eq!(put["access_token_lifetime_seconds"], 600);
    let null = json!({ "name": "N", "profile": "service", "owner_contact": { "email": "o@example.com" }, "access_token_lifetime_seconds": null });
    let refused = scene.post("/clients", &null);
    assert_eq!(refused.status, 422, "{}", refused.body);

    let other = scene.world.tenant("Other");
    let elsewhere = scene.world.client(&other, "Elsewhere", &[]);
    let url = scene.world.api(&format!(
        "/v1/tenants/{}/clients/{}",
        other.id, elsewhere.client_id
    ));
    let shown = scene
        .world
        .http
        .get(&url, &[("authorization", &scene.world.as_admin(&other))]);
    assert_eq!(
        shown.json()["access_token_lifetime_seconds"],
        3600,
        "one tenant's settings are its own"
    );
}

#[test]
fn of_two_first_changes_to_one_state_one_goes_through() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let etag = scene.get("/settings").header("etag").unwrap().to_owned();
    assert_eq!(etag, "\"0\"");
    let change = |replica: &Replica, length: i64| {
        let headers = [("if-match", etag.as_str())];
        send_on(
            &scene,
            replica,
            "PATCH",
            &headers,
            &json!({ "password_min_length": length }),
        )
        .status
    };
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = scope.spawn(|| change(&scene.world.replica, 20));
        let two = scope.spawn(|| change(&other, 30));
        vec![one.join().unwrap(), two.join().unwrap()]
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[test]
fn usage_is_shown_as_it_is_whatever_state_the_caller_knows() {
    let scene = Scene::new();
    let first = scene.get("/settings");
    let etag = first.header("etag").unwrap().to_owned();
    let used = first.json()["usage"]["clients"].as_i64().unwrap();
    scene.create("One more");
    let again = send(&scene, "GET", &[("if-none-match", &etag)], &Value::Null);
    assert_eq!(again.expect(200)["usage"]["clients"], used + 1);
}

#[test]
fn audit_2_a_support_contact_stands_in_the_log_where_an_erasure_finds_it() {
    let scene = Scene::new();
    patch(&scene, &json!({ "support_contact": contact() })).expect(200);
    let events = scene
        .get("/audit-events?action=tenant.settings_updated")
        .expect(200);
    let event = &events["items"][0];
    assert_eq!(event["after"]["person"], contact());
    let mut rest = event["after"].clone();
    rest.as_object_mut().unwrap().remove("person");
    assert!(!rest.to_string().contains("help"), "{rest}");
    assert_eq!(event["before"]["password_min_length"], 12);
}

#[test]
fn settings_are_for_whoever_manages_the_whole_tenant() {
    let scene = Scene::new();
    let scopes = ["grantor:settings.read", "grantor:settings.write"];
    let (deputy, authorization) = scene.deputy("Deputy", &scopes);
    let ask = |method: &str, body: &[u8]| {
        let url = scene.url(&scene.world.replica, "/settings");
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        scene.world.http.send(method, &url, &headers, body).status
    };
    let body = br#"{"password_min_length": 20}"#;
    assert_eq!((ask("GET", b""), ask("PATCH", body)), (200, 200));
    // The same role over a business group alone.
    let id: grantor_domain::ids::ClientId = deputy.client_id.parse().unwrap();
    scene.sql(&format!(
        "INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at)
           SELECT tenant_id, '{0}', organization_id, 'Group', now(), now() FROM clients WHERE id = '{0}';
         UPDATE role_assignments SET organization_id = '{0}' WHERE client_id = '{0}'",
        id.uuid()
    ));
    assert_eq!(
        (ask("GET", b""), ask("PATCH", body), ask("PUT", b"{}")),
        (403, 403, 403)
    );
}

#[test]
fn role_3_nobody_sends_members_to_a_page_of_theirs_who_does_not_hold_everything() {
    let scene = Scene::new();
    let page = json!({ "credential_page": "https://login.acme.example/password" });
    let token = scene.world.token(
        &scene.tenant.id,
        &scene.tenant.admin,
        "grantor:settings.write grantor:settings.read",
    );
    let narrow = World::bearer(&token);
    let url = scene.url(&scene.world.replica, "/settings");
    let narrowly = |body: &Value| {
        let headers = [
            ("authorization", narrow.as_str()),
            ("content-type", "application/json"),
        ];
        let body = body.to_string();
        scene
            .world
            .http
            .send("PATCH", &url, &headers, body.as_bytes())
    };
    expect_problem(&scene.world, &narrowly(&page), 403, "forbidden");
    let other = narrowly(&json!({ "password_min_length": 20 }));
    assert_eq!(other.status, 200, "{}", other.body);
    assert_eq!(patch(&scene, &page).status, 200);
    // Taking it away is another page too.
    let none = json!({ "credential_page": null });
    expect_problem(&scene.world, &narrowly(&none), 403, "forbidden");
}
