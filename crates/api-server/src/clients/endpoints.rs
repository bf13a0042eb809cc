//! The URLs that a client's flows need (`client_9`).

use grantor_domain::ids::ClientId;
use grantor_domain::permission::Permission;
use grantor_protocol::grant_type::GrantType;
use grantor_protocol::issuer::Issuer;
use grantor_storage::tenants;
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;

/// The URLs that a client needs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ClientEndpoints, example = json!({ "client_id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "issuer": "https://login.example.com/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "openid_configuration": "https://login.example.com/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/.well-known/openid-configuration",
    "oauth_metadata": "https://login.example.com/.well-known/oauth-authorization-server/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "authorization_endpoint": null,
    "token_endpoint": "https://login.example.com/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/token",
    "introspection_endpoint": "https://login.example.com/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/introspect",
    "revocation_endpoint": "https://login.example.com/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/revoke",
    "jwks_uri": "https://login.example.com/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/jwks" }))]
pub struct EndpointsOutput {
    /// Its OAuth `client_id`.
    #[schema(value_type = String)]
    client_id: ClientId,
    /// Who issues its tokens.
    issuer: String,
    /// Where OpenID Connect looks for what the issuer can do.
    openid_configuration: String,
    /// Where RFC 8414 looks for it.
    oauth_metadata: String,
    /// Where its users are sent to sign in and agree; `null` for a client without that grant.
    #[schema(required = true)]
    authorization_endpoint: Option<String>,
    /// Where it gets tokens.
    token_endpoint: String,
    /// Where tokens are asked about.
    introspection_endpoint: String,
    /// Where it gives tokens back.
    revocation_endpoint: String,
    /// The keys by which its tokens are verified.
    jwks_uri: String,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "readClientEndpoints",
            "/v1/tenants/{tenant}/clients/{client}/endpoints",
        )
        .about(
            Tag::Clients,
            "Read a client's URLs",
            "The issuer and the endpoints that its flows need, to be handed to whoever configures it.",
        )
        .needs(Permission::ClientsRead)
        .answers::<EndpointsOutput>(Success::Ok)
        .by(read),
    ]
}

async fn read(call: Call) -> Result<Answer<EndpointsOutput>, Problem> {
    let id = call.id("client")?;
    call.read(move |tx, acting| {
        let client = find(tx, acting, id)?;
        let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
        let signs_in = client
            .settings
            .grant_types
            .contains(&GrantType::AuthorizationCode);
        Ok(Answer::ok(&EndpointsOutput::new(
            id,
            &tenant.issuer,
            signs_in,
        ))?)
    })
    .await
}

impl EndpointsOutput {
    fn new(client_id: ClientId, issuer: &Issuer, signs_in: bool) -> Self {
        Self {
            client_id,
            issuer: issuer.to_string(),
            openid_configuration: issuer.well_known_openid(),
            oauth_metadata: issuer.well_known_oauth(),
            authorization_endpoint: signs_in.then(|| issuer.endpoint("authorize")),
            token_endpoint: issuer.endpoint("token"),
            introspection_endpoint: issuer.endpoint("introspect"),
            revocation_endpoint: issuer.endpoint("revoke"),
            jwks_uri: issuer.endpoint("jwks"),
        }
    }
}
