//! A tenant of an installation whose servers are processes, as its operator and its administrator reach it.

use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::installation::Installation;
use crate::world::{Credentials, World};

/// The tenant, and who may do what there.
pub struct Premises {
    /// The tenant's id.
    pub tenant: String,
    /// The authorization of its administrator, who may do all that one may.
    pub admin: String,
    /// That of the operator.
    operator: String,
    api: String,
    http: Http,
}

impl Premises {
    /// Makes the tenant, by a token server and an API server at these addresses.
    pub fn make(installation: &Installation, tokens: &str, api: &str) -> Self {
        let http = Http::default();
        let bearer = |tenant: &str, by: &Credentials, scope: &str| {
            let url = format!("{tokens}/t/{tenant}/token");
            let scope = scope.replace(' ', "+");
            let form = format!("grant_type=client_credentials&scope={scope}");
            let answer = http.post_form(&url, &[("authorization", &by.basic())], &form);
            assert_eq!(answer.status, 200, "{}", answer.body);
            World::bearer(&answer.text("/access_token"))
        };
        let operator = bearer(
            &installation.platform,
            &installation.operator,
            "grantor:tenants.create grantor:tenants.write",
        );
        let body = json!({ "name": "Acme", "admin_client": true,
            "owner": { "name": "Owner", "email": "owner@example.com" } });
        let url = format!("{api}/v1/tenants");
        let made = http.post_json(&url, &[("authorization", &operator)], &body);
        assert_eq!(made.status, 201, "{}", made.body);
        let admin = Credentials {
            client_id: made.text("/admin_client/client_id"),
            client_secret: made.text("/admin_client/client_secret"),
        };
        let tenant = made.text("/id");
        Self {
            admin: bearer(&tenant, &admin, &World::every_scope()),
            api: api.to_owned(),
            tenant,
            operator,
            http,
        }
    }

    /// Makes something below the tenant, as its administrator.
    fn add(&self, path: &str, body: &Value) -> Answer {
        let url = format!("{}/v1/tenants/{}{path}", self.api, self.tenant);
        let made = self
            .http
            .post_json(&url, &[("authorization", &self.admin)], body);
        assert_eq!(made.status, 201, "{}", made.body);
        made
    }

    /// Makes a resource server with the scopes `read` and `write`, and tokens of this format.
    pub fn add_resource_server(&self, key: &str, format: &str, introspectors: &[&str]) {
        let body = json!({ "key": key, "name": key, "identifier": format!("https://{key}.example"),
            "token_format": format, "introspector_client_ids": introspectors,
            "scopes": [{ "name": "read", "description": "Read." },
                       { "name": "write", "description": "Write." }] });
        self.add("/resource-servers", &body);
    }

    /// Makes a service client with these settings besides.
    pub fn add_client(&self, name: &str, scopes: &[&str], besides: &Value) -> Credentials {
        let mut body = json!({ "name": name, "allowed_scopes": scopes, "profile": "service",
            "owner_contact": { "email": "owner@example.com" } });
        if let (Some(all), Some(besides)) = (body.as_object_mut(), besides.as_object()) {
            all.extend(besides.clone());
        }
        let made = self.add("/clients", &body);
        Credentials {
            client_id: made.text("/id"),
            client_secret: made.text("/secret/value"),
        }
    }

    /// Says, as operator, how much the tenant may have.
    pub fn set_quotas(&self, quotas: &Value) {
        let url = format!("{}/v1/tenants/{}/quotas", self.api, self.tenant);
        let headers = [
            ("authorization", self.operator.as_str()),
            ("content-type", "application/json"),
        ];
        let quotas = quotas.to_string();
        self.http
            .send("PUT", &url, &headers, quotas.as_bytes())
            .expect(200);
    }
}
