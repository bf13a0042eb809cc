//! What every installation has by itself, as resource servers that nobody changes: the management API, and what
//! OpenID Connect tells of members.

use chrono::{DateTime, Utc};
use grantor_domain::ids::ResourceServerId;
use grantor_domain::openid::{self, OpenIdScope};
use grantor_domain::permission::Permission;
use grantor_domain::resource_server::{MANAGEMENT_API_AUDIENCE, MANAGEMENT_API_KEY};
use grantor_storage::{Reads, StorageError, installation};
use uuid::Uuid;

use super::shapes::{ScopeOutput, ServerOutput};
use crate::words::{SigningAlgorithm, TokenFormat, Verification};

/// The id of the management API. No id that is drawn is so low.
pub(super) const MANAGEMENT: ResourceServerId = ResourceServerId::from_uuid(Uuid::from_u128(1));
/// The id of what OpenID Connect tells.
pub(super) const OPENID: ResourceServerId = ResourceServerId::from_uuid(Uuid::from_u128(2));

/// Whether this is one of them.
pub(super) fn is(id: ResourceServerId) -> bool {
    [MANAGEMENT, OPENID].contains(&id)
}

/// All of them, in the order of their ids and of their keys.
pub(super) fn all(tx: &mut impl Reads) -> Result<[ServerOutput; 2], StorageError> {
    let made_at = installation::made_at(tx)?;
    let management = Permission::ALL.iter().map(|permission| ScopeOutput {
        name: permission.as_str().to_owned(),
        scope: permission.scope_name(),
        description: permission.description().to_owned(),
        needs_permission: Some(permission.as_str()),
        deprecated: false,
    });
    let openid = OpenIdScope::ALL.iter().map(|scope| ScopeOutput {
        name: scope.as_str().to_owned(),
        scope: scope.as_str().to_owned(),
        description: scope.description().to_owned(),
        needs_permission: None,
        deprecated: false,
    });
    Ok([
        server(
            MANAGEMENT,
            (MANAGEMENT_API_KEY, MANAGEMENT_API_AUDIENCE),
            "Management API",
            management.collect(),
            made_at,
        ),
        server(
            OPENID,
            (openid::KEY, openid::AUDIENCE),
            "OpenID Connect",
            openid.collect(),
            made_at,
        ),
    ])
}

fn server(
    id: ResourceServerId,
    (key, audience): (&str, &str),
    name: &str,
    scopes: Vec<ScopeOutput>,
    made_at: DateTime<Utc>,
) -> ServerOutput {
    ServerOutput {
        id,
        key: key.to_owned(),
        identifier: audience.to_owned(),
        name: name.to_owned(),
        built_in: true,
        verification: Verification::Introspection,
        token_format: TokenFormat::Jwt,
        signing_algorithm: SigningAlgorithm::Es256,
        lifetime_cap_seconds: None,
        introspector_client_ids: Vec::new(),
        created_at: made_at,
        updated_at: made_at,
        // A release may bring further scopes, and takes none away.
        revision: i64::try_from(scopes.len()).unwrap_or(i64::MAX),
        scopes,
    }
}
