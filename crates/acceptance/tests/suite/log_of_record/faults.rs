//! A change whose event can't be written does not happen, and nothing tells of it.

use grantor_acceptance::{Answer, World};
use serde_json::{Value, json};

use super::{Scene, items};
use crate::feed::targets;

/// Lets the writing of an action's events fail: at once, or only when everything is committed.
fn break_writing(scene: &Scene, action: &str, at_commit: bool) {
    let trigger = if at_commit {
        "CREATE CONSTRAINT TRIGGER fault AFTER INSERT ON audit_events DEFERRABLE INITIALLY DEFERRED"
    } else {
        "CREATE TRIGGER fault BEFORE INSERT ON audit_events"
    };
    scene.sql(&format!(
        "CREATE OR REPLACE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'the disk of the log is full'; END $$; \
         {trigger} FOR EACH ROW WHEN (NEW.action = '{action}') EXECUTE FUNCTION fault()"
    ));
}

fn mend_writing(scene: &Scene) {
    scene.sql("DROP TRIGGER fault ON audit_events");
}

/// One change that can be asked for.
struct Ask {
    action: &'static str,
    method: &'static str,
    path: String,
    body: Value,
}

fn ask(action: &'static str, method: &'static str, path: String, body: Value) -> Ask {
    Ask {
        action,
        method,
        path,
        body,
    }
}

impl Ask {
    fn send(&self, scene: &Scene, authorization: &str, key: &str) -> Answer {
        let url = scene.url(&scene.world.replica, &self.path);
        let mut headers = vec![("authorization", authorization), ("idempotency-key", key)];
        let body = if self.body.is_null() {
            String::new()
        } else {
            headers.push(("content-type", "application/json"));
            self.body.to_string()
        };
        scene
            .world
            .http
            .send(self.method, &url, &headers, body.as_bytes())
    }
}

/// Everything that a change could leave behind.
#[derive(Debug, PartialEq)]
struct Everything {
    clients: Value,
    events: Vec<Value>,
    changes: Vec<String>,
    deliveries: i64,
}

fn everything(scene: &Scene) -> Everything {
    let feed = scene.get("/changes").expect(200);
    let mut clients = scene.get("/clients?limit=200").expect(200);
    for client in clients["items"].as_array_mut().into_iter().flatten() {
        // Servers write it whenever they come to it.
        client["last_used_at"] = Value::Null;
    }
    Everything {
        clients,
        events: items(&scene.get("/audit-events?limit=200").expect(200)),
        changes: targets(&feed).into_iter().map(str::to_owned).collect(),
        deliveries: scene.deliveries("true"),
    }
}

fn assert_failed(answer: &Answer, what: &str) {
    assert!(
        matches!(answer.status, 500 | 503),
        "{what}: {}",
        answer.body
    );
    let id = answer.text("/request_id");
    assert_eq!(answer.header("x-request-id"), Some(id.as_str()), "{what}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    for told in ["disk", "trigger", "fault", "audit_events", "secret"] {
        assert!(!answer.body.contains(told), "{what}: {}", answer.body);
    }
}

#[test]
fn audit_1_what_can_not_be_put_on_record_does_not_happen() {
    let scene = Scene::new();
    let client = scene.create("Subject");
    let gone = scene.create("Gone");
    let contact = json!({ "email": "owner@example.com" });
    let new = json!({ "name": "New", "profile": "service", "owner_contact": contact });
    let at = |rest: &str| format!("/clients/{client}{rest}");
    let reason = json!({ "reason": "It hammers the orders API" });
    let confirmed = json!({ "confirm_name": "Subject" });
    let changed = json!({ "description": "Changed" });
    let asks = [
        ask("client.created", "POST", "/clients".to_owned(), new.clone()),
        // The second event of a change is as good as the first.
        ask("secret.shown", "POST", "/clients".to_owned(), new),
        ask("client.updated", "PATCH", at(""), changed),
        ask("client.disabled", "POST", at("/disable"), reason),
        ask("client.enabled", "POST", at("/enable"), Value::Null),
        ask("secret.rotated", "POST", at("/secrets/rotate"), confirmed),
        ask(
            "client.deleted",
            "DELETE",
            format!("/clients/{gone}?confirm_name=Gone"),
            Value::Null,
        ),
    ];
    for (number, ask) in asks.iter().enumerate() {
        let key = format!("a-key-of-its-own-{number}");
        for at_commit in [false, true] {
            let what = format!("{} {}, at commit: {at_commit}", ask.method, ask.action);
            let before = everything(&scene);
            break_writing(&scene, ask.action, at_commit);
            let failed = ask.send(&scene, &scene.admin, &key);
            mend_writing(&scene);
            assert_failed(&failed, &what);
            assert_eq!(everything(&scene), before, "{what}");
        }
        // What failed is not kept: the same request is good once the log is.
        let done = ask.send(&scene, &scene.admin, &key);
        assert!((200..300).contains(&done.status), "{}", done.body);
        assert_eq!(done.header("idempotent-replayed"), None);
    }
    let left = everything(&scene);
    assert_eq!(left.deliveries, 1);
}

#[test]
fn audit_1_a_refusal_that_can_not_be_put_on_record_is_not_told() {
    let scene = Scene::new();
    let client = scene.create("Subject");
    let token = scene
        .world
        .token(&scene.tenant.id, &scene.tenant.admin, "grantor:audit.read");
    let reader = World::bearer(&token);
    let before = everything(&scene);
    let path = format!("/clients/{client}/disable");
    let disable = ask("access.refused", "POST", path, json!({}));
    for at_commit in [false, true] {
        break_writing(&scene, disable.action, at_commit);
        let failed = disable.send(&scene, &reader, "a-key-for-the-refusal");
        mend_writing(&scene);
        assert_failed(&failed, "a refusal");
        assert_eq!(everything(&scene), before);
    }
    let refused = disable.send(&scene, &reader, "a-key-for-the-refusal");
    assert_eq!(refused.status, 403, "{}", refused.body);
}
