//! `?dry_run=true`: the answer that the change would get, and nothing of it left behind.

use grantor_acceptance::{Answer, World};
use serde_json::{Value, json};

use crate::asking::{admin_with, count_of, everything_decided, path_of, send, send_to};
use crate::operations::{SUBJECT, Scene, expect_problem};

/// What stands in the place of a secret that nobody has.
const NO_SECRET: &str = "gsec_none_this_was_a_dry_run";

/// The same whatever was drawn by lot: ids, secrets and their hints, the names of requests.
fn leveled(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "request_id")
            .map(|(name, value)| (name.clone(), leveled(value)))
            .collect(),
        Value::Array(items) => items.iter().map(leveled).collect(),
        Value::String(text) if text.starts_with("gsec_") => json!("a secret"),
        Value::String(text) => {
            // An id is a prefix of three letters and 26 characters, wherever in a text it stands.
            let parts = text.split('/').map(|part| match part.split_once('_') {
                Some((kind, rest)) if kind.len() == 3 && rest.len() == 26 => format!("{kind}_"),
                _ => part.to_owned(),
            });
            json!(parts.collect::<Vec<_>>().join("/"))
        }
        other => other.clone(),
    }
}

/// What an answer says but for what is drawn by lot.
fn essence(answer: &Answer) -> (u16, Value, Option<Value>, Option<String>) {
    let body = if answer.body.is_empty() {
        Value::Null
    } else {
        leveled(&answer.json())
    };
    let location = answer.header("location").map(|text| leveled(&json!(text)));
    let etag = answer.header("etag").map(str::to_owned);
    (answer.status, body, location, etag)
}

#[test]
fn a_rehearsed_change_is_answered_like_the_change_and_leaves_no_trace() {
    let scene = Scene::new();
    let Scene { world, tenant, .. } = &scene;
    let operator = world.as_operator();
    let client = path_of(&scene.subject);
    let confirmed = json!({ "confirm_name": SUBJECT }).to_string();
    let settings = json!({ "name": SUBJECT, "description": "New",
        "profile": "service", "owner_contact": { "email": "new@example.com" } })
    .to_string();
    let tenant_body = json!({ "name": "Made", "admin_client": true,
        "owner": { "name": "Ada", "email": "ada@example.com" } })
    .to_string();
    let erasure = json!({ "subject": scene.subject.client_id }).to_string();
    let bulk = json!({ "items": [
        { "operation": "createClient", "body": { "name": "In bulk", "profile": "service", "owner_contact": { "email": "a@example.com" } } },
        { "operation": "disableClient", "path": { "client": scene.subject.client_id } },
        { "operation": "createClient", "body": {} },
    ] })
    .to_string();
    let own = format!("/v1/tenants/{}", tenant.id);
    let steps = [
        ("POST", "/v1/tenants".to_owned(), tenant_body),
        ("POST", format!("{own}/clients"), settings.clone()),
        (
            "PATCH",
            format!("{own}{client}"),
            r#"{"description":"Patched"}"#.to_owned(),
        ),
        ("PUT", format!("{own}{client}"), settings),
        (
            "POST",
            format!("{own}{client}/disable"),
            r#"{"reason":"Why"}"#.to_owned(),
        ),
        ("POST", format!("{own}{client}/enable"), String::new()),
        ("POST", format!("{own}{client}/secrets"), String::new()),
        (
            "POST",
            format!("{own}{client}/secrets/choose"),
            json!({ "value": crate::secrets::CHOSEN }).to_string(),
        ),
        ("POST", format!("{own}{client}/secrets/rotate"), confirmed),
        ("POST", format!("{own}/audit-events/erase"), erasure),
        ("POST", format!("{own}/bulk"), bulk),
        (
            "DELETE",
            format!("{own}{client}?confirm_name={SUBJECT}"),
            String::new(),
        ),
    ];
    for (method, path, body) in &steps {
        let by = if path == "/v1/tenants" {
            &operator
        } else {
            &scene.admin
        };
        let ask = |path: &str| send_to(world, method, &world.api(path), by, &[], body);
        let before = everything_decided(world);
        let mark = if path.contains('?') { '&' } else { '?' };
        let dry = ask(&format!("{path}{mark}dry_run=true"));
        assert!((200..300).contains(&dry.status), "{path}: {}", dry.body);
        assert_eq!(dry.header("dry-run"), Some("true"), "{path}");
        let after = everything_decided(world);
        assert!(before == after, "{method} {path} left something behind");
        // secret_1: nobody has the secret that was drawn for it, so none is told.
        for part in dry.body.split("gsec_").skip(1) {
            let told: String = part
                .chars()
                .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_')
                .collect();
            let told = format!("gsec_{told}");
            assert!(told == NO_SECRET || told.len() <= 9, "{path}: {told}");
        }
        let done = ask(path);
        assert_eq!(done.header("dry-run"), None);
        assert_eq!(essence(&dry), essence(&done), "{method} {path}");
        assert!(!done.body.contains(NO_SECRET), "{path}");
        assert!(before != everything_decided(world), "{path} does something");
    }
}

#[test]
fn audit_1_a_refusal_is_on_record_although_it_was_a_rehearsal() {
    let scene = Scene::new();
    let world = &scene.world;
    let client = path_of(&scene.subject);
    let refusals = || count_of(&scene, "access.refused");
    let reader = admin_with(&scene, "grantor:clients.read");
    let url = scene.url(&format!("{client}?dry_run=true"));
    let before = refusals();
    let forbidden = send_to(world, "PATCH", &url, &reader, &[], r#"{"name":"No"}"#);
    expect_problem(world, &forbidden, 403, "forbidden");
    assert_eq!(refusals(), before + 1);

    let writer = admin_with(&scene, "grantor:clients.write");
    let body = json!({ "allowed_scopes": ["grantor:audit.read"] }).to_string();
    let not_held = send_to(world, "PATCH", &url, &writer, &[], &body);
    expect_problem(world, &not_held, 422, "invalid-field");
    assert_eq!(
        refusals(),
        before + 2,
        "refused in the midst of the transaction"
    );
    assert_eq!(
        scene.events()[0]["after"]["scope_not_held"],
        "grantor:audit.read"
    );

    let rotating = admin_with(&scene, "grantor:secrets.write");
    let admin = format!(
        "/clients/{}/secrets/rotate?dry_run=true",
        scene.tenant.admin.client_id
    );
    let body = json!({ "confirm_name": "Administration" }).to_string();
    let refused = send_to(world, "POST", &scene.url(&admin), &rotating, &[], &body);
    expect_problem(world, &refused, 403, "forbidden");
    assert_eq!(refusals(), before + 3);

    let other = world.tenant("Other");
    let foreign = world.api(&format!("/v1/tenants/{}/clients?dry_run=true", other.id));
    let body = r#"{"name":"No","profile": "service", "owner_contact":{"email":"a@example.com"}}"#;
    let foreign = send_to(world, "POST", &foreign, &scene.admin, &[], body);
    expect_problem(world, &foreign, 404, "not-found");
    assert_eq!(refusals(), before + 4);
}

#[test]
fn a_rehearsal_is_told_what_is_wrong_and_is_asked_for_by_true_alone() {
    let scene = Scene::new();
    let world = &scene.world;
    let client = path_of(&scene.subject);
    let before = everything_decided(world);
    for odd in ["x", "TRUE", "1", "yes", "true%20"] {
        let path = format!("{client}?dry_run={odd}");
        let answer = send(&scene, "PATCH", &path, &[], r#"{"name":"No"}"#);
        let problem = expect_problem(world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], "dry_run", "{odd}");
    }
    let twice = format!("{client}?dry_run=true&dry_run=false");
    let answer = send(&scene, "PATCH", &twice, &[], r#"{"name":"No"}"#);
    expect_problem(world, &answer, 422, "invalid-field");
    // Reading is no change that could be rehearsed.
    let answer = send(&scene, "GET", &format!("{client}?dry_run=true"), &[], "");
    let problem = expect_problem(world, &answer, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["parameter"], "dry_run");
    for (method, path, headers, body, status) in [
        ("PATCH", "?dry_run=true", None, r#"{"name":""}"#, 422),
        (
            "PATCH",
            "?dry_run=true",
            Some("\"999\""),
            r#"{"name":"x"}"#,
            412,
        ),
        ("DELETE", "?dry_run=true&confirm_name=x", None, "", 422),
        (
            "POST",
            "/secrets/rotate?dry_run=true",
            None,
            r#"{"confirm_name":"x"}"#,
            422,
        ),
    ] {
        let headers: Vec<_> = headers.map(|etag| ("if-match", etag)).into_iter().collect();
        let answer = send(&scene, method, &format!("{client}{path}"), &headers, body);
        assert_eq!(answer.status, status, "{}", answer.body);
    }
    assert!(before == everything_decided(world));
    let anonymous = world.http.post_json(
        &scene.url("/clients?dry_run=true"),
        &[("authorization", &World::bearer("gat_x"))],
        &json!({}),
    );
    assert_eq!(anonymous.status, 401);
}
