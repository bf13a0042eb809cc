//! What tokens look like on the wire: never with what proves them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use grantor_domain::ids::{ClientId, MemberId, TokenId};
use grantor_domain::resource_server::{self, Catalogue};
use grantor_domain::text::ClientName;
use grantor_domain::token::{AccessToken, Standing};
use grantor_storage::live_tokens::{LiveToken, Removed};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::call::Call;
use crate::problem::{FieldFault, Problem};
use crate::words::{Removal, TokenFormat, TokenState};

/// The most tokens that one request names.
const MOST: usize = 200;

/// An access token that has neither expired nor been removed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccessToken, example = json!({ "id": "tok_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "client_id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b", "client_name": "Nightly export", "member_id": null,
    "state": "active", "scopes": ["orders.api:read", "orders.api:write"], "effective_scopes": ["orders.api:read"],
    "audiences": ["https://orders.example"], "format": "jwt", "issued_at": "2026-01-31T12:00:00Z",
    "expires_at": "2026-01-31T13:00:00Z", "user_agent": "export/1.4", "ip": "203.0.113.7" }))]
pub struct TokenOutput {
    /// Its id, which a signed token has as `jti`.
    #[schema(value_type = String, example = "tok_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: TokenId,
    /// The client that got it.
    #[schema(value_type = String, example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    client_id: ClientId,
    /// The client's name; `null` where you may not see the client.
    #[schema(required = true, example = "Nightly export")]
    client_name: Option<String>,
    /// The member for whom the client acts; `null` when it acts for itself.
    #[schema(required = true, value_type = Option<String>, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    member_id: Option<MemberId>,
    /// Whether it is good at this moment.
    state: TokenState,
    /// The scopes with which it was issued.
    scopes: Vec<String>,
    /// Those of them for which it is good at this moment.
    effective_scopes: Vec<String>,
    /// Whom it is for.
    audiences: Vec<String>,
    /// What tokens for these audiences look like, by the present settings of their resource servers.
    format: TokenFormat,
    /// When it was issued.
    issued_at: DateTime<Utc>,
    /// When it expires.
    expires_at: DateTime<Utc>,
    /// What program asked for it.
    #[schema(required = true)]
    user_agent: Option<String>,
    /// From where it was asked for.
    #[schema(required = true, example = "203.0.113.7")]
    ip: Option<String>,
}

impl TokenOutput {
    /// What is shown of a token that stands so.
    pub(super) fn of(
        live: &LiveToken,
        standing: Standing,
        client_name: Option<&ClientName>,
        catalogue: &Catalogue,
    ) -> Self {
        let token = &live.token;
        let (state, effective) = match standing {
            Standing::Active(scopes) => (TokenState::Active, scopes.to_vec()),
            Standing::Sleeping => (TokenState::Sleeping, Vec::new()),
            Standing::Powerless => (TokenState::Powerless, Vec::new()),
        };
        Self {
            id: token.id,
            client_id: token.client,
            client_name: client_name.map(ToString::to_string),
            member_id: token.member,
            state,
            scopes: token.scopes.to_vec(),
            effective_scopes: effective,
            audiences: token.audiences.clone(),
            format: format_of(token, catalogue).into(),
            issued_at: token.issued_at,
            expires_at: token.expires_at,
            user_agent: live.user_agent.clone(),
            ip: token.ip.map(|ip| ip.to_string()),
        }
    }
}

/// Opaque, if one of those whom the token is for has opaque ones (`token_6`).
fn format_of(token: &AccessToken, catalogue: &Catalogue) -> resource_server::TokenFormat {
    let is_opaque = catalogue.servers().iter().any(|server| {
        server.token_format == resource_server::TokenFormat::Opaque
            && token
                .audiences
                .iter()
                .any(|audience| audience == server.identifier.as_str())
    });
    if is_opaque {
        resource_server::TokenFormat::Opaque
    } else {
        resource_server::TokenFormat::Jwt
    }
}

/// The id of a token, as it was sent.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(
    pattern = "^tok_[0-7][0-9a-hjkmnp-tv-z]{25}$",
    example = "tok_01kb2q3r4s5t6v7w8x9y0z1a2b"
)]
pub struct NamedToken(String);

/// Which tokens are to be removed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TokenRemoval, example = json!({ "ids": ["tok_01kb2q3r4s5t6v7w8x9y0z1a2b"] }))]
pub struct RemovalInput {
    /// Their ids.
    #[schema(
        min_items = 1,
        max_items = 200,
        example = json!(["tok_01kb2q3r4s5t6v7w8x9y0z1a2b"])
    )]
    ids: Vec<NamedToken>,
}

impl RemovalInput {
    /// The ids. Many cost as much as many requests.
    pub(super) fn verified(&self, call: &Call) -> Result<Vec<TokenId>, Problem> {
        if !(1..=MOST).contains(&self.ids.len()) {
            return Err(Problem::field(
                "/ids",
                format!("must have 1 to {MOST} items"),
            ));
        }
        let (mut ids, mut faults) = (Vec::with_capacity(self.ids.len()), Vec::new());
        for (index, text) in self.ids.iter().enumerate() {
            if let Ok(id) = text.0.parse() {
                ids.push(id);
            } else {
                let detail = "must be the id of a token, which begins with `tok_`";
                faults.push(FieldFault::pointer(format!("/ids/{index}"), detail));
            }
        }
        if !faults.is_empty() {
            return Err(Problem::InvalidFields(faults));
        }
        let further = u32::try_from(ids.len().saturating_sub(1)).unwrap_or(u32::MAX);
        call.incoming.charge(further)?;
        Ok(ids)
    }
}

/// What came of each.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "results": [{ "id": "tok_01kb2q3r4s5t6v7w8x9y0z1a2b", "result": "removed" }], "removed": 1 }))]
pub struct RemovedTokens {
    /// One result for each id, in their order.
    results: Vec<RemovalResult>,
    /// How many tokens were removed.
    removed: usize,
}

/// What came of one.
#[derive(Debug, Serialize, ToSchema)]
pub struct RemovalResult {
    /// The id.
    #[schema(value_type = String, example = "tok_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: TokenId,
    /// What came of it.
    result: Removal,
}

impl RemovedTokens {
    pub(super) fn of(asked: &[TokenId], removed: &[Removed]) -> Self {
        let gone: BTreeSet<TokenId> = removed.iter().map(|removed| removed.id).collect();
        let result = |id: TokenId| RemovalResult {
            id,
            result: if gone.contains(&id) {
                Removal::Removed
            } else {
                Removal::NotFound
            },
        };
        Self {
            results: asked.iter().copied().map(result).collect(),
            removed: gone.len(),
        }
    }
}
