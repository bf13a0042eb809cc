//! Secrets where they don't belong: in paths, queries, bodies and headers, at both servers.

use grantor_acceptance::{Credentials, World};
use serde_json::json;

use super::Canaries;
use crate::asking::{admin_with, path_of, send, send_to};
use crate::operations::Scene;

/// Sends made-up secrets to wrong places.
pub fn misplace(scene: &Scene, canaries: &mut Canaries) {
    let mut careless = Careless { scene, canaries };
    for prefix in ["gsec_", "gat_", "grt_"] {
        careless.credentials(prefix);
        careless.paths(prefix);
        careless.queries(prefix);
        careless.bodies(prefix);
        careless.headers(prefix);
    }
    careless.what_goes_on_record();
    careless.items_in_bulk();
    careless.client_credentials();
    careless.forms();
}

struct Careless<'s> {
    scene: &'s Scene,
    canaries: &'s mut Canaries,
}

impl<'s> Careless<'s> {
    /// Sends a fresh secret; the request fails.
    fn send(&mut self, what: &'static str, prefix: &str, request: impl Fn(&'s Scene, &str) -> u16) {
        let secret = self.canaries.misplaced(what, prefix);
        let status = request(self.scene, &secret);
        assert!((400..500).contains(&status), "{what}: {status}");
    }

    fn credentials(&mut self, prefix: &str) {
        let list = |scene: &Scene, authorization: &str| {
            let url = scene.url("/clients");
            send_to(&scene.world, "GET", &url, authorization, &[], "").status
        };
        self.send("a bearer token", prefix, |scene, secret| {
            list(scene, &World::bearer(secret))
        });
        self.send("a token without a scheme", prefix, |scene, secret| {
            list(scene, secret)
        });
        self.send("another scheme", prefix, |scene, secret| {
            list(scene, &format!("Basic {secret}"))
        });
    }

    fn paths(&mut self, prefix: &str) {
        for (what, path) in [
            ("a client's id", "/v1/tenants/{tenant}/clients/{secret}"),
            ("a tenant's id", "/v1/tenants/{secret}/clients"),
            (
                "an event's id",
                "/v1/tenants/{tenant}/audit-events/{secret}",
            ),
            ("a path that isn't there", "/{secret}/x"),
            ("part of an id", "/v1/tenants/{tenant}/clients/cli_{secret}"),
            ("a problem's code", "/problems/{secret}"),
        ] {
            for written in [false, true] {
                self.send(what, prefix, |scene, secret| {
                    let secret = if written {
                        format!("%67{}", &secret[1..])
                    } else {
                        secret.to_owned()
                    };
                    let path = path.replace("{tenant}", &scene.tenant.id);
                    let url = scene.world.api(&path.replace("{secret}", &secret));
                    send_to(&scene.world, "GET", &url, &scene.admin, &[], "").status
                });
            }
        }
    }

    fn queries(&mut self, prefix: &str) {
        for (what, path) in [
            ("a parameter's name", "/clients?{secret}=1"),
            ("a parameter's value", "/clients?status={secret}"),
            ("a cursor", "/clients?cursor={secret}"),
            ("a filter's time", "/audit-events?from={secret}"),
            ("a position", "/changes?after={secret}"),
        ] {
            self.send(what, prefix, |scene, secret| {
                send(scene, "GET", &path.replace("{secret}", secret), &[], "").status
            });
        }
        self.send("a name typed to confirm", prefix, |scene, secret| {
            let path = format!("{}?confirm_name={secret}", path_of(&scene.subject));
            send(scene, "DELETE", &path, &[], "").status
        });
    }

    fn bodies(&mut self, prefix: &str) {
        for (what, body) in [
            ("a field's name", r#"{"{secret}":1}"#),
            ("an unknown field", r#"{"client_secret":"{secret}"}"#),
            ("a word", r#"{"token_endpoint_auth_method":"{secret}"}"#),
            ("a scope", r#"{"allowed_scopes":["{secret}"]}"#),
            ("a read-only field", r#"{"id":"{secret}"}"#),
            (
                "a mail address",
                r#"{"profile": "service", "owner_contact":{"email":"{secret}"}}"#,
            ),
            ("no JSON", "{secret}"),
        ] {
            self.send(what, prefix, |scene, secret| {
                let body = body.replace("{secret}", secret);
                send(scene, "PATCH", &path_of(&scene.subject), &[], &body).status
            });
        }
        self.send("a name typed in a body", prefix, |scene, secret| {
            let path = format!("{}/secrets/rotate", path_of(&scene.subject));
            let body = json!({ "confirm_name": secret }).to_string();
            send(scene, "POST", &path, &[], &body).status
        });
        self.send("whom to erase", prefix, |scene, secret| {
            let body = json!({ "subject": secret }).to_string();
            send(scene, "POST", "/audit-events/erase", &[], &body).status
        });
    }

    fn headers(&mut self, prefix: &str) {
        let with = |scene: &Scene, name: &str, value: &str| {
            send(scene, "GET", "/clients/cli_x", &[(name, value)], "").status
        };
        for name in [
            "user-agent",
            "x-request-id",
            "if-match",
            "if-none-match",
            "accept",
            "last-event-id",
            "referer",
            "cookie",
            "x-api-key",
            "x-forwarded-for",
            "forwarded",
            "origin",
            "from",
            "traceparent",
        ] {
            self.send(name, prefix, |scene, secret| with(scene, name, secret));
        }
        self.send("part of what program it is", prefix, |scene, secret| {
            with(
                scene,
                "user-agent",
                &format!("app/1.0 (token={secret}; linux)"),
            )
        });
        self.send("a header's name", prefix, |scene, secret| {
            with(scene, &secret.to_lowercase(), "1")
        });
        self.send("a method", prefix, |scene, secret| {
            let method = secret.replace('_', "-");
            let url = scene.world.api("/v1/tenants");
            scene.world.http.send(&method, &url, &[], b"").status
        });
        self.send("a type of body", prefix, |scene, secret| {
            let headers = [("content-type", secret)];
            send(scene, "POST", "/clients", &headers, "{}").status
        });
        self.send("a key of what fails", prefix, |scene, secret| {
            let headers = [("idempotency-key", secret)];
            send(scene, "POST", "/clients", &headers, "{}").status
        });
    }

    /// A refusal and a change stand in the log, with what program it was and what its request is called.
    fn what_goes_on_record(&mut self) {
        let scene = self.scene;
        let reader = admin_with(scene, "grantor:clients.read");
        self.send("what a refused program is", "gsec_", |scene, secret| {
            let headers = [("user-agent", secret), ("x-request-id", secret)];
            let url = scene.url("/clients");
            let refused = send_to(&scene.world, "POST", &url, &reader, &headers, "{}");
            assert_eq!(refused.status, 403, "{}", refused.body);
            refused.status
        });
        let program = self
            .canaries
            .misplaced("what a changing program is", "gat_");
        let request = self
            .canaries
            .misplaced("what a change's request is", "gat_");
        let headers = [
            ("user-agent", program.as_str()),
            ("x-request-id", request.as_str()),
        ];
        let body = r#"{"description":"By a careless program"}"#;
        let path = path_of(&scene.subject);
        let changed = send(scene, "PATCH", &path, &headers, body);
        assert_eq!(changed.status, 200, "{}", changed.body);
    }

    fn items_in_bulk(&mut self) {
        let secret = self.canaries.misplaced("part of an item", "gsec_");
        let items = json!({ "items": [
            { "operation": secret },
            { "operation": "disableClient", "path": { "client": secret } },
            { "operation": "disableClient", "path": { secret.as_str(): "x" } },
            { "operation": "updateClient", "path": { "client": self.scene.subject.client_id },
              "if_match": secret, "body": {} },
        ] });
        let answer = send(self.scene, "POST", "/bulk", &[], &items.to_string());
        assert_eq!(answer.json()["failed"], 4, "{}", answer.body);
    }

    fn client_credentials(&mut self) {
        const GRANT: &str = "grant_type=client_credentials";
        let token = |scene: &Scene, headers: &[(&str, &str)], form: &str| {
            let url = scene.world.endpoint(&scene.tenant.id, "token");
            scene.world.http.post_form(&url, headers, form).status
        };
        self.send("a wrong secret", "gsec_", |scene, secret| {
            let wrong = Credentials {
                client_id: scene.subject.client_id.clone(),
                client_secret: secret.to_owned(),
            };
            token(scene, &[("authorization", &wrong.basic())], GRANT)
        });
        self.send("a secret as the client's id", "gsec_", |scene, secret| {
            let form = format!("{GRANT}&client_id={secret}&client_secret={secret}");
            token(scene, &[], &form)
        });
        for (what, form) in [
            (
                "a secret as a scope",
                "grant_type=client_credentials&scope={secret}",
            ),
            ("a secret as a grant", "grant_type={secret}"),
        ] {
            self.send(what, "gsec_", |scene, secret| {
                let basic = scene.tenant.admin.basic();
                let form = form.replace("{secret}", secret);
                token(scene, &[("authorization", &basic)], &form)
            });
        }
        // What goes through, with a secret beside it.
        let program = self
            .canaries
            .misplaced("the program that got a token", "gsec_");
        let unknown = self.canaries.misplaced("a parameter nobody knows", "gsec_");
        let basic = self.scene.tenant.admin.basic();
        let headers = [("authorization", basic.as_str()), ("user-agent", &program)];
        let form = format!("{GRANT}&scope=grantor:clients.read&unknown={unknown}");
        assert_eq!(token(self.scene, &headers, &form), 200);
    }

    fn forms(&mut self) {
        for endpoint in ["introspect", "revoke"] {
            let secret = self.canaries.misplaced("a token that is none", "gat_");
            let basic = self.scene.tenant.admin.basic();
            let url = self.scene.world.endpoint(&self.scene.tenant.id, endpoint);
            let headers = [("authorization", basic.as_str())];
            let http = &self.scene.world.http;
            let answer = http.post_form(&url, &headers, &format!("token={secret}"));
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        self.send("a tenant at the token server", "gsec_", |scene, secret| {
            let url = format!("{}/t/{secret}/jwks", scene.world.replica.token);
            scene.world.http.get(&url, &[]).status
        });
        self.send("a query where none belongs", "gsec_", |scene, secret| {
            let url = scene.world.endpoint(&scene.tenant.id, "token");
            let url = format!("{url}?client_secret={secret}");
            scene.world.http.post_form(&url, &[], "grant_type=x").status
        });
    }
}
