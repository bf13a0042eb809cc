//! Secrets that open a door, generated and chosen, through every endpoint of the document: wherever something can be
//! put, whether it belongs there or not.

use grantor_acceptance::{Answer, Credentials, World};
use serde_json::{Map, Value, json};

use super::Canaries;
use crate::asking::{path_of, send};
use crate::operations::Scene;

/// A client whose secrets are known.
struct Known {
    client: Credentials,
    secrets: [String; 2],
}

/// Sends them through everything. Changes are rehearsed, for what is a client's name is kept as its name.
pub fn drive(scene: &Scene, canaries: &mut Canaries) {
    let known = known(scene, canaries);
    let document = scene.world.http.get(&scene.world.api("/openapi.json"), &[]);
    let document = document.expect(200);
    let mut sent = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, declared) in methods.as_object().unwrap() {
            for secret in &known.secrets {
                let operation = Operation {
                    scene,
                    known: &known,
                    secret,
                    method: method.to_uppercase(),
                    path,
                    declared,
                    document: &document,
                };
                sent += operation.drive();
            }
        }
    }
    assert!(sent > 500, "{sent} requests");
    token_server(scene, &known);
}

fn known(scene: &Scene, canaries: &mut Canaries) -> Known {
    let client = scene
        .world
        .client(&scene.tenant, "Walker", &["grantor:clients.read"]);
    // Long enough to be left out of what is written down of a request, though nothing tells it as ours.
    let chosen = canaries.misplaced("a chosen secret", "Ch-");
    let body = json!({ "value": chosen }).to_string();
    let path = format!("{}/secrets/choose", path_of(&client));
    let made = send(scene, "POST", &path, &[], &body);
    assert_eq!(made.status, 201, "{}", made.body);
    canaries.keep("a generated secret", &client.client_secret);
    Known {
        secrets: [client.client_secret.clone(), chosen],
        client,
    }
}

struct Operation<'o> {
    scene: &'o Scene,
    known: &'o Known,
    secret: &'o str,
    method: String,
    path: &'o str,
    declared: &'o Value,
    document: &'o Value,
}

impl Operation<'_> {
    /// Tells how many requests were sent.
    fn drive(&self) -> usize {
        let mut sent = 0;
        let body = self.example();
        for name in self.names("path") {
            self.send(&self.filled(Some(&name)), "", &[], &body);
            sent += 1;
        }
        let path = self.filled(None);
        for name in self.names("query") {
            // What is no rehearsal would be a change.
            if name != "dry_run" {
                let query = format!("&{name}={}", self.secret);
                self.send(&path, &query, &[], &body);
                sent += 1;
            }
        }
        self.send(&path, &format!("&{}=1", self.secret), &[], &body);
        for name in ["authorization", "if-match", "idempotency-key", "user-agent"] {
            self.send(&path, "", &[(name, self.secret)], &body);
        }
        // What a request is called is written down, and what somebody chose looks like any name.
        if self.secret.starts_with("gsec_") {
            self.send(&path, "", &[("x-request-id", self.secret)], &body);
        }
        let bearer = World::bearer(self.secret);
        self.send(&path, "", &[("authorization", &bearer)], &body);
        let with_a_field = |name: &str| {
            let mut body = body.clone();
            if let Some(fields) = body.as_object_mut() {
                fields.insert(name.to_owned(), json!(self.secret));
            }
            body
        };
        for body in [
            self.with_the_secret(&body),
            with_a_field("client_secret"),
            with_a_field(self.secret),
            json!({ self.secret: self.secret }),
            json!(self.secret),
        ] {
            self.send(&path, "", &[], &body);
        }
        sent + 11
    }

    fn send(&self, path: &str, query: &str, headers: &[(&str, &str)], body: &Value) {
        let rehearsed = if self.method == "GET" {
            ""
        } else {
            "dry_run=true"
        };
        let url = self.scene.world.api(&format!("{path}?{rehearsed}{query}"));
        let kind = match self.declared["requestBody"]["content"].as_object() {
            Some(content) => content.keys().next().unwrap().as_str(),
            None => "application/json",
        };
        let mut all = vec![("content-type", kind)];
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            all.push(("authorization", self.scene.admin.as_str()));
        }
        all.extend_from_slice(headers);
        let body = body.to_string();
        let http = &self.scene.world.http;
        let answer = http.send(&self.method, &url, &all, body.as_bytes());
        assert!(
            answer.status < 500,
            "{} {path}: {}",
            self.method,
            answer.body
        );
    }

    fn names(&self, place: &str) -> Vec<String> {
        let all = self.declared["parameters"].as_array();
        all.into_iter()
            .flatten()
            .map(|one| match one["$ref"].as_str() {
                Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
                None => one,
            })
            .filter(|parameter| parameter["in"] == place)
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The path with things that are there, but for the secret in one place.
    fn filled(&self, with_the_secret: Option<&str>) -> String {
        let parts = self.path.split('/').map(|part| {
            let name = part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'));
            match name {
                None => part,
                name if name == with_the_secret => self.secret,
                Some("tenant") => &self.scene.tenant.id,
                Some("client") => &self.known.client.client_id,
                Some(_) => "x",
            }
        });
        parts.collect::<Vec<_>>().join("/")
    }

    fn example(&self) -> Value {
        let Some(content) = self.declared["requestBody"]["content"].as_object() else {
            return json!({});
        };
        let schema = &content.values().next().unwrap()["schema"];
        let schema = match schema["$ref"].as_str() {
            Some(reference) => self.document.pointer(&reference[1..]).unwrap(),
            None => schema,
        };
        match schema.get("example") {
            Some(example) => example.clone(),
            None => json!({ "name": "Changed", "description": "Changed" }),
        }
    }

    /// The same with the secret for every text.
    fn with_the_secret(&self, value: &Value) -> Value {
        match value {
            Value::String(_) => json!(self.secret),
            Value::Array(items) => items
                .iter()
                .map(|item| self.with_the_secret(item))
                .collect(),
            Value::Object(fields) => Value::Object(
                fields
                    .iter()
                    .map(|(name, field)| (name.clone(), self.with_the_secret(field)))
                    .collect::<Map<_, _>>(),
            ),
            other => other.clone(),
        }
    }
}

/// At the token server: where they belong, and in the place of everything else.
fn token_server(scene: &Scene, known: &Known) {
    const GRANT: &str = "grant_type=client_credentials";
    let world = &scene.world;
    let at = |endpoint: &str| world.endpoint(&scene.tenant.id, endpoint);
    for secret in &known.secrets {
        let by = Credentials {
            client_secret: secret.clone(),
            ..known.client.clone()
        };
        let basic = by.basic();
        let headers = [("authorization", basic.as_str())];
        let token = world.token(&scene.tenant.id, &by, "grantor:clients.read");
        for endpoint in ["introspect", "revoke"] {
            let form = format!("token={token}");
            let answer = world.http.post_form(&at(endpoint), &headers, &form);
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        let platform_wide = format!("{}/introspect", world.replica.token);
        let id = &known.client.client_id;
        let other = &scene.subject.client_id;
        for form in [
            format!("{GRANT}&scope={secret}"),
            format!("{GRANT}&{secret}={secret}"),
            format!("grant_type={secret}"),
            format!("{GRANT}&client_id={id}&client_secret={secret}"),
            format!("{GRANT}&client_id={other}&client_secret={secret}"),
            format!("{GRANT}&client_id={secret}&client_secret={secret}"),
            format!("token={secret}&token_type_hint={secret}"),
            format!("token={secret}&password={secret}&password_again={secret}"),
        ] {
            for url in [
                at("token"),
                at("introspect"),
                at("revoke"),
                at("credentials"),
                platform_wide.clone(),
                at(&format!("token?client_secret={secret}")),
            ] {
                for headers in [&headers[..], &[]] {
                    fails_well(&world.http.post_form(&url, headers, &form));
                }
            }
        }
        let swapped = Credentials {
            client_id: secret.clone(),
            client_secret: id.clone(),
        };
        let swapped = swapped.basic();
        let headers = [("authorization", swapped.as_str()), ("user-agent", secret)];
        fails_well(&world.http.post_form(&at("token"), &headers, GRANT));
        let url = format!("{}/t/{secret}/token", world.replica.token);
        fails_well(&world.http.post_form(&url, &headers, GRANT));
    }
}

/// Whatever it is told, it is no failure of ours.
#[track_caller]
fn fails_well(answer: &Answer) {
    assert!(answer.status < 500, "{}", answer.body);
}
