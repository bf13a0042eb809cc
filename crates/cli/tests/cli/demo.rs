//! The demo tenant over HTTP, with the credentials that the program printed.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// What the first start printed, and a way to ask the servers.
#[derive(Clone)]
pub(crate) struct Demo {
    web: ureq::Agent,
    pub(crate) operator: String,
    pub(crate) platform: String,
    pub(crate) admin: String,
    pub(crate) machine: String,
    pub(crate) checker: String,
    pub(crate) api: String,
    pub(crate) tenant: String,
    pub(crate) issuer: String,
}

/// A status and a body; nothing where no answer came.
pub(crate) type Answer = Option<(u16, Value)>;

/// A client that was made.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Demo {
    /// Reads the printed shell variables.
    #[track_caller]
    pub(crate) fn read(welcome: &str) -> Self {
        Self {
            operator: value(welcome, "OPERATOR"),
            platform: value(welcome, "PLATFORM"),
            ..Self::without_operator(welcome)
        }
    }

    /// The same where the operator's were printed by another command.
    #[track_caller]
    pub(crate) fn without_operator(welcome: &str) -> Self {
        Self {
            machine: value(welcome, "MACHINE"),
            ..Self::without_operator_and_machine(welcome)
        }
    }

    /// The same where the machine was deleted.
    #[track_caller]
    pub(crate) fn without_machine(welcome: &str) -> Self {
        Self {
            operator: value(welcome, "OPERATOR"),
            platform: value(welcome, "PLATFORM"),
            ..Self::without_operator_and_machine(welcome)
        }
    }

    #[track_caller]
    fn without_operator_and_machine(welcome: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None)
            .build();
        Self {
            web: config.into(),
            operator: String::new(),
            platform: String::new(),
            admin: value(welcome, "ADMIN"),
            machine: String::new(),
            checker: value(welcome, "CHECKER"),
            api: value(welcome, "API"),
            tenant: value(welcome, "TENANT"),
            issuer: value(welcome, "ISSUER"),
        }
    }

    fn post_form(&self, url: &str, basic: &str, form: &[(&str, &str)]) -> Answer {
        let authorization = format!("Basic {}", STANDARD.encode(basic));
        let request = self.web.post(url).header("Authorization", authorization);
        answer(request.send_form(form.iter().copied()))
    }

    /// A token request at any issuer.
    pub(crate) fn token_at(&self, issuer: &str, basic: &str, scope: &str) -> Answer {
        let form = [("grant_type", "client_credentials"), ("scope", scope)];
        self.post_form(&format!("{issuer}/token"), basic, &form)
    }

    /// A token of this tenant; nothing where no answer came.
    pub(crate) fn try_token(&self, basic: &str, scope: &str) -> Option<String> {
        let (status, body) = self.token_at(&self.issuer, basic, scope)?;
        assert_eq!(status, 200, "{body}");
        Some(body["access_token"].as_str().unwrap().to_owned())
    }

    /// A token of the machine.
    pub(crate) fn machine_token(&self) -> String {
        self.try_token(&self.machine, "orders.api:read").unwrap()
    }

    /// A token of the administrator.
    pub(crate) fn admin_token(&self) -> String {
        let scope = "grantor:clients.read grantor:clients.write grantor:audit.read";
        self.try_token(&self.admin, scope).unwrap()
    }

    /// Whether the tenant's API is told that a token is good.
    #[track_caller]
    pub(crate) fn is_active(&self, token: &str) -> bool {
        let url = format!("{}/introspect", self.issuer);
        let (status, body) = self
            .post_form(&url, &self.checker, &[("token", token)])
            .unwrap();
        assert_eq!(status, 200, "{body}");
        body["active"].as_bool().unwrap()
    }

    /// Whether a revocation was confirmed.
    pub(crate) fn revoke(&self, token: &str) -> bool {
        let url = format!("{}/revoke", self.issuer);
        self.post_form(&url, &self.machine, &[("token", token)])
            .is_some_and(|(status, _)| status == 200)
    }

    /// The tenant's clients in the management API.
    pub(crate) fn clients(&self) -> String {
        format!("{}/v1/tenants/{}/clients", self.api, self.tenant)
    }

    /// Makes a client; nothing where no answer came.
    pub(crate) fn try_client(&self, admin_token: &str, name: &str) -> Option<Made> {
        let body = json!({
            "name": name,
            "profile": "service", "owner_contact": { "email": "reports@demo.example" },
            "allowed_scopes": ["orders.api:read"],
        });
        let request = self
            .web
            .post(self.clients())
            .header("Authorization", format!("Bearer {admin_token}"))
            .header("Content-Type", "application/json");
        let (status, body) = answer(request.send(body.to_string()))?;
        assert_eq!(status, 201, "{body}");
        let text = |pointer: &str| body.pointer(pointer).unwrap().as_str().unwrap().to_owned();
        Some(Made {
            id: text("/id"),
            secret: text("/secret/value"),
        })
    }

    /// The ids of all clients.
    #[track_caller]
    pub(crate) fn client_ids(&self) -> BTreeSet<String> {
        let (token, mut ids) = (self.admin_token(), BTreeSet::new());
        let mut cursor = String::new();
        loop {
            let (status, page) = self
                .get(&format!("{}?limit=200{cursor}", self.clients()), &token)
                .unwrap();
            assert_eq!(status, 200, "{page}");
            for item in page["items"].as_array().unwrap() {
                ids.insert(item["id"].as_str().unwrap().to_owned());
            }
            let Some(next) = page["next_cursor"].as_str() else {
                return ids;
            };
            cursor = format!("&cursor={next}");
        }
    }

    /// Gets, with a token if there is one to show.
    pub(crate) fn get(&self, url: &str, token: &str) -> Answer {
        let mut request = self.web.get(url);
        if !token.is_empty() {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        answer(request.call())
    }

    /// Posts nothing but the call itself.
    pub(crate) fn post(&self, url: &str, token: &str) -> Answer {
        let request = self.web.post(url);
        answer(
            request
                .header("Authorization", format!("Bearer {token}"))
                .send_empty(),
        )
    }

    /// Deletes.
    pub(crate) fn delete(&self, url: &str, token: &str) -> Answer {
        let request = self.web.delete(url);
        answer(
            request
                .header("Authorization", format!("Bearer {token}"))
                .call(),
        )
    }

    /// The ids of the keys that the tenant publishes.
    #[track_caller]
    pub(crate) fn kids(&self) -> Vec<String> {
        let (status, configuration) = self
            .get(
                &format!("{}/.well-known/openid-configuration", self.issuer),
                "",
            )
            .unwrap();
        assert_eq!(status, 200, "{configuration}");
        let (status, keys) = self
            .get(configuration["jwks_uri"].as_str().unwrap(), "")
            .unwrap();
        assert_eq!(status, 200, "{keys}");
        let keys = keys["keys"].as_array().unwrap();
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// The value of a printed shell variable.
#[track_caller]
fn value(welcome: &str, name: &str) -> String {
    let line = welcome
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix("='"));
    let value = line.and_then(|line| line.strip_suffix('\''));
    value
        .unwrap_or_else(|| panic!("no {name} in {welcome}"))
        .to_owned()
}

fn answer(from: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = from.ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    let body = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    Some((response.status().as_u16(), body))
}
