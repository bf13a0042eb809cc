//! Those who change clients while others follow.

use std::sync::{Mutex, PoisonError};

use grantor_acceptance::{Answer, Replica, Tenant, World};
use serde_json::{Value, json};

/// A change that was answered with success.
pub(super) struct Made {
    pub(super) thing: String,
    /// Of one thing a higher one is later.
    pub(super) revision: i64,
    pub(super) action: &'static str,
}

/// A client that several change, as far as they know it.
pub(super) struct SharedClient {
    pub(super) id: String,
    pub(super) revision: i64,
    pub(super) is_disabled: bool,
}

/// One who changes a client of its own, and now and then one that others change too.
pub(super) struct Writer<'a> {
    world: &'a World,
    replica: &'a Replica,
    tenant: &'a Tenant,
    admin: &'a str,
    number: usize,
    /// How many requests it has sent.
    pub(super) sent: usize,
    /// How many of them were refused.
    pub(super) refused: usize,
    pub(super) made: Vec<Made>,
}

fn revision(answer: &Answer) -> i64 {
    let etag = answer.header("etag").expect("an ETag");
    etag.trim_matches('"').parse().expect("a revision")
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        world: &'a World,
        replica: &'a Replica,
        tenant: &'a Tenant,
        admin: &'a str,
        number: usize,
    ) -> Self {
        Self {
            world,
            replica,
            tenant,
            admin,
            number,
            sent: 0,
            refused: 0,
            made: Vec::new(),
        }
    }

    /// Sends a request; one that was answered 503 is sent again with its key, so that it has one effect.
    fn send(&mut self, method: &str, path: &str, etag: Option<&str>, body: &Value) -> Answer {
        self.sent += 1;
        let key = format!("writer {:06}, request {:06}", self.number, self.sent).replace(' ', "-");
        let url = format!(
            "{}/v1/tenants/{}/clients{path}",
            self.replica.api, self.tenant.id
        );
        let mut headers = vec![("authorization", self.admin), ("idempotency-key", &key)];
        if let Some(etag) = etag {
            headers.push(("if-match", etag));
        }
        let body = if body.is_null() {
            String::new()
        } else {
            headers.push(("content-type", "application/json"));
            body.to_string()
        };
        loop {
            let answer = self
                .world
                .http
                .send(method, &url, &headers, body.as_bytes());
            if answer.status != 503 {
                return answer;
            }
        }
    }

    fn made(&mut self, thing: &str, revision: i64, action: &'static str) {
        self.made.push(Made {
            thing: thing.to_owned(),
            revision,
            action,
        });
    }

    fn refuse(&mut self, answer: &Answer, status: u16) {
        assert_eq!(answer.status, status, "{}", answer.body);
        self.refused += 1;
    }

    fn create(&mut self) -> String {
        let body = json!({ "name": format!("Writer {}", self.number),
            "profile": "service", "owner_contact": { "email": "owner@example.com" } });
        let answer = self.send("POST", "", None, &body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let id = answer.text("/id");
        self.made(&id, revision(&answer), "client.created");
        id
    }

    fn patch(&mut self, id: &str, description: &str) {
        let body = json!({ "description": description });
        let answer = self.send("PATCH", &format!("/{id}"), None, &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.made(id, revision(&answer), "client.updated");
    }

    fn verb(&mut self, id: &str, verb: &str, action: &'static str) {
        let answer = self.send("POST", &format!("/{id}/{verb}"), None, &Value::Null);
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.made(id, revision(&answer), action);
    }

    fn delete(&mut self, id: &str) {
        let path = format!("/{id}?confirm_name=Writer%20{}", self.number);
        let answer = self.send("DELETE", &path, None, &Value::Null);
        assert_eq!(answer.status, 204, "{}", answer.body);
        self.made(id, i64::MAX, "client.deleted");
    }

    /// Changes a client that others change too, if it still is as it was last seen.
    fn take_turn(&mut self, shared: &Mutex<Vec<SharedClient>>, turn: usize) {
        let clients = || shared.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (self.number + turn) % clients().len();
        let (id, known, is_disabled) = {
            let client = &clients()[place];
            (client.id.clone(), client.revision, client.is_disabled)
        };
        let etag = format!("\"{known}\"");
        let (answer, action) = match (turn % 3, is_disabled) {
            (0, _) => {
                let body = json!({ "description": format!("{} {turn}", self.number) });
                let answer = self.send("PATCH", &format!("/{id}"), Some(&etag), &body);
                (answer, "client.updated")
            }
            (_, false) => {
                let path = format!("/{id}/disable");
                let answer = self.send("POST", &path, Some(&etag), &Value::Null);
                (answer, "client.disabled")
            }
            (_, true) => {
                let path = format!("/{id}/enable");
                let answer = self.send("POST", &path, Some(&etag), &Value::Null);
                (answer, "client.enabled")
            }
        };
        if answer.status == 200 {
            let made = revision(&answer);
            assert_eq!(made, known + 1, "If-Match lets no second change in");
            self.made(&id, made, action);
        } else {
            self.refuse(&answer, 412);
        }
        let now = self.send("GET", &format!("/{id}"), None, &Value::Null);
        let client = &mut clients()[place];
        if revision(&now) > client.revision {
            client.revision = revision(&now);
            client.is_disabled = now.text("/status") == "disabled";
        }
    }

    /// Changes much, and tries in vain about as often.
    pub(super) fn work(&mut self, shared: &Mutex<Vec<SharedClient>>) {
        let unknown = json!({ "name": "In vain", "allowed_scopes": ["orders.none:read"],
            "profile": "service", "owner_contact": { "email": "owner@example.com" } });
        let description = json!({ "description": "In vain" });
        let id = self.create();
        let answer = self.send("POST", "", None, &unknown);
        self.refuse(&answer, 422);
        self.patch(&id, "First");
        let answer = self.send("PATCH", &format!("/{id}"), Some("\"999\""), &description);
        self.refuse(&answer, 412);
        self.take_turn(shared, 0);
        self.verb(&id, "disable", "client.disabled");
        let answer = self.send(
            "POST",
            &format!("/{id}/enable"),
            Some("\"1\""),
            &Value::Null,
        );
        self.refuse(&answer, 412);
        self.take_turn(shared, 1);
        self.verb(&id, "enable", "client.enabled");
        let path = format!("/{id}?confirm_name=writer");
        let answer = self.send("DELETE", &path, None, &Value::Null);
        self.refuse(&answer, 422);
        let answer = self.send("PATCH", &format!("/{id}"), None, &json!({ "name": "" }));
        self.refuse(&answer, 422);
        self.patch(&id, "Second");
        if self.number % 4 < 2 {
            self.delete(&id);
            let answer = self.send("PATCH", &format!("/{id}"), None, &description);
            self.refuse(&answer, 404);
        }
    }
}
