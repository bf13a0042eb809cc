//! How one thread talks with the servers, and what it makes of their answers.

use grantor_acceptance::{Answer, Credentials, Http};
use serde_json::{Value, json};

use super::fleet::Ground;
use crate::outages::site::until;

/// What a server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Yes; with the token, where one was asked for.
    Yes(String),
    /// No, and that is certain.
    No,
    /// Nothing that could be relied on: 429, 503, or no answer.
    Busy,
}

impl Said {
    pub(super) fn is_yes(&self) -> bool {
        matches!(self, Self::Yes(_))
    }
}

/// Connections of one thread's own, and whom they lead to.
pub(super) struct Talk<'a> {
    pub(super) ground: &'a Ground,
    http: Http,
}

fn judged(answer: Option<Answer>, yes: impl FnOnce(&Answer) -> Said) -> Said {
    match answer {
        None => Said::Busy,
        Some(answer) => match answer.status {
            200 => yes(&answer),
            400 | 401 | 403 => Said::No,
            429 | 503 => {
                let retry_after = answer.header("retry-after");
                assert!(retry_after.is_some(), "{}", answer.body);
                Said::Busy
            }
            status => panic!("{status}: {}", answer.body),
        },
    }
}

/// Repeats a question until the answer is certain.
#[track_caller]
pub(super) fn at_last(mut ask: impl FnMut() -> Said) -> Said {
    let mut last = Said::Busy;
    until("an answer that is certain", || {
        last = ask();
        last != Said::Busy
    });
    last
}

impl<'a> Talk<'a> {
    pub(super) fn new(ground: &'a Ground) -> Self {
        Self {
            ground,
            http: Http::default(),
        }
    }

    /// Posts a form to an endpoint of one of the token servers; nothing when no answer came.
    pub(super) fn form(
        &self,
        server: usize,
        endpoint: &str,
        by: &Credentials,
        form: &str,
    ) -> Option<Answer> {
        let (place, tenant) = (&self.ground.tokens[server], &self.ground.tenant);
        let url = format!("{place}/t/{tenant}/{endpoint}");
        let by = by.basic();
        let headers = [
            ("authorization", by.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let answer = self.http.try_send("POST", &url, &headers, form.as_bytes());
        answer.ok()
    }

    /// Asks for a token.
    pub(super) fn token(&self, server: usize, by: &Credentials, scope: &str) -> Said {
        let scope = scope.replace(' ', "+");
        let form = format!("grant_type=client_credentials&scope={scope}");
        judged(self.form(server, "token", by, &form), |answer| {
            Said::Yes(answer.text("/access_token"))
        })
    }

    /// Asks for a token until there is one. To be told *no* is wrong.
    #[track_caller]
    pub(super) fn token_at_last(&self, server: usize, by: &Credentials, scope: &str) -> String {
        match at_last(|| self.token(server, by, scope)) {
            Said::Yes(token) => token,
            said => panic!("no token: {said:?}"),
        }
    }

    /// Asks whether a token is active.
    pub(super) fn active(&self, server: usize, token: &str) -> Said {
        let answer = self.introspect(server, token);
        assert!(
            answer.as_ref().is_none_or(|answer| answer.status != 401),
            "{answer:?}"
        );
        judged(answer, |answer| match answer.json()["active"].as_bool() {
            Some(true) => Said::Yes(String::new()),
            Some(false) => {
                assert_eq!(answer.body, r#"{"active":false}"#);
                Said::No
            }
            None => panic!("{}", answer.body),
        })
    }

    /// The answer about a token, whatever it is.
    pub(super) fn introspect(&self, server: usize, token: &str) -> Option<Answer> {
        let by = &self.ground.checker;
        self.form(server, "introspect", by, &format!("token={token}"))
    }

    /// Tries a token at the management API.
    pub(super) fn usable(&self, token: &str) -> Said {
        let url = format!("{}/v1/me", self.ground.api);
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str())];
        let answer = self.http.try_send("GET", &url, &headers, b"").ok();
        judged(answer, |_| Said::Yes(String::new()))
    }

    /// Revokes a token; asks until it is done.
    pub(super) fn revoke(&self, server: usize, by: &Credentials, token: &str) {
        let form = format!("token={token}");
        let said = at_last(|| {
            judged(self.form(server, "revoke", by, &form), |_| {
                Said::Yes(String::new())
            })
        });
        assert!(said.is_yes(), "{said:?}");
    }

    /// Changes something below the tenant as its administrator; asks until the answer is certain. What was answered
    /// with 503 may have happened, so the change must bear to be made twice.
    #[track_caller]
    pub(super) fn change(&self, method: &str, path: &str, body: &Value) -> Answer {
        let url = format!(
            "{}/v1/tenants/{}{path}",
            self.ground.api, self.ground.tenant
        );
        let mut headers = vec![("authorization", self.ground.admin.as_str())];
        let body = if body.is_null() {
            String::new()
        } else {
            headers.push(("content-type", "application/json"));
            body.to_string()
        };
        let mut certain = None;
        until("a change that is certain", || {
            let answer = self.http.try_send(method, &url, &headers, body.as_bytes());
            certain = answer
                .ok()
                .filter(|answer| !matches!(answer.status, 429 | 503));
            certain.is_some()
        });
        certain.expect("an answer")
    }

    /// Makes a service client with these scopes.
    #[track_caller]
    pub(super) fn make_client(&self, name: &str, scopes: &[&str]) -> Credentials {
        let body = json!({ "name": name, "allowed_scopes": scopes, "profile": "service",
            "owner_contact": { "email": "owner@example.com" } });
        let made = self.change("POST", "/clients", &body);
        assert_eq!(made.status, 201, "{}", made.body);
        Credentials {
            client_id: made.text("/id"),
            client_secret: made.text("/secret/value"),
        }
    }
}
