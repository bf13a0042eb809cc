//! Members and tokens of clients that act for them, until members can sign in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use grantor_domain::ids::{ClientId, MemberId, TenantId, TokenId};
use grantor_domain::resource_server::MANAGEMENT_API_AUDIENCE;
use grantor_domain::token::AccessToken;
use grantor_keys::TokenHash;
use grantor_protocol::scope::Scopes;
use grantor_storage::{FlowTx, StorageError, feed_since, tokens};
use grantor_test_support::builders;
use serde_json::json;

use crate::world::{Credentials, Tenant, World, wait_for};

impl World {
    /// Puts a token of a client for a member on record; tells the header that presents it.
    ///
    /// # Panics
    /// When storage refuses.
    pub fn as_member(
        &self,
        tenant: &Tenant,
        client: &Credentials,
        member: &str,
        scopes: &str,
    ) -> String {
        Self::bearer(&self.member_token(tenant, client, member, scopes, MANAGEMENT_API_AUDIENCE))
    }

    /// The same for some audience, and the token itself.
    ///
    /// # Panics
    /// When storage refuses.
    pub fn member_token(
        &self,
        tenant: &Tenant,
        client: &Credentials,
        member: &str,
        scopes: &str,
        audience: &str,
    ) -> String {
        let tenant: TenantId = tenant.id.parse().expect("a tenant's id");
        let client: ClientId = client.client_id.parse().expect("a client's id");
        let member: MemberId = member.parse().expect("a member's id");
        let expires_at = self.now() + TimeDelta::hours(1);
        let id: TokenId = builders::id_at(expires_at, self.entropy.as_ref());
        // A record is found by what the token says of itself, and proved by its hash; nobody looks at a signature.
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let token = format!(
            "{}.{}.{}",
            part(json!({ "alg": "ES256", "typ": "at+jwt" })),
            part(json!({ "tenant": tenant, "client_id": client, "jti": id, "sub": member })),
            URL_SAFE_NO_PAD.encode(id.uuid().as_bytes()),
        );
        let hash = TokenHash::of(&token);
        let database = self.storage();
        let position: Result<_, StorageError> =
            wait_for(database.flow(|tx: &mut FlowTx<'_>| feed_since::position(tx)));
        let record = AccessToken {
            tenant,
            client,
            id,
            member: Some(member),
            scopes: Scopes::parse(scopes).expect("scopes"),
            audiences: vec![audience.to_owned()],
            issued_at: self.now(),
            expires_at,
            revoked_at: None,
            position: position.expect("a position"),
            ip: None,
        };
        let stored: Result<(), StorageError> =
            wait_for(database.flow(move |tx| tokens::insert(tx, &record, hash)));
        stored.expect("a token");
        token
    }

    /// Every scope of the management API that an administrator may use.
    pub fn every_scope() -> String {
        use grantor_domain::permission::Permission;
        let names: Vec<String> = Permission::ALL
            .iter()
            .filter(|permission| !permission.is_for_operators())
            .map(|permission| permission.scope_name())
            .collect();
        names.join(" ")
    }

    /// Makes a member through the API; tells their id.
    #[track_caller]
    pub fn member(&self, tenant: &Tenant, name: &str, email: &str) -> String {
        let path = self.api(&format!("/v1/tenants/{}/members", tenant.id));
        let headers = [("authorization", self.as_admin(tenant))];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let made = self
            .http
            .post_json(&path, &headers, &json!({ "name": name, "email": email }));
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }

    /// Gives a member a role through the API, over the root or another organization; tells the assignment's id.
    #[track_caller]
    pub fn assign(
        &self,
        tenant: &Tenant,
        member: &str,
        role: &str,
        organization: Option<&str>,
    ) -> String {
        let path = format!(
            "/v1/tenants/{}/members/{member}/role-assignments",
            tenant.id
        );
        let body = match organization {
            Some(organization) => json!({ "role": role, "organization_id": organization }),
            None => json!({ "role": role }),
        };
        let authorization = self.as_admin(tenant);
        let headers = [("authorization", authorization.as_str())];
        let made = self.http.post_json(&self.api(&path), &headers, &body);
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }
}
