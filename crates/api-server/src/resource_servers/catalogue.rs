//! Every scope that a client of a tenant may be allowed, in one list.

use grantor_domain::permission::Permission;
use grantor_domain::resource_server::{ScopeOwner, ServerKind};
use grantor_storage::{resource_servers, tenants};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::built_in;
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Filter, FilterKind, ListRules, Place};
use crate::schemas::Page;
use crate::words::ScopeKind;

const SCOPES: &str = "/v1/tenants/{tenant}/scopes";

const LIST: &ListRules = &ListRules {
    filters: &[
        Filter {
            name: "kind",
            kind: FilterKind::Words(ScopeKind::WORDS),
            about: "Only scopes of this kind.",
            example: "private",
        },
        Filter {
            name: "scope",
            kind: FilterKind::Text(128),
            about: "Only scopes that begin so.",
            example: "billing.api:",
        },
    ],
    sorts: &[],
};

/// A scope that a client may be allowed.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = CatalogueScope, example = json!({ "scope": "billing.api:read", "kind": "private",
    "description": "See invoices.", "resource_server_id": "rsv_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "needs_permission": null, "deprecated": false }))]
pub struct CatalogueScope {
    /// The scope.
    #[schema(example = "billing.api:read")]
    scope: String,
    /// Whose it is.
    kind: ScopeKind,
    /// What it allows.
    description: String,
    /// The resource server whose it is.
    #[schema(example = "rsv_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    resource_server_id: String,
    /// The permission that a member must hold, over whichever organization, for a client that acts for them to have
    /// the scope.
    #[schema(required = true)]
    needs_permission: Option<&'static str>,
    /// Whether no further client is allowed it.
    deprecated: bool,
}

impl CatalogueScope {
    fn of(scope: &str, owner: &ScopeOwner<'_>) -> Self {
        let (kind, server) = match owner {
            ScopeOwner::OpenId(_) => (ScopeKind::Oidc, built_in::OPENID),
            ScopeOwner::Management(_) => (ScopeKind::Management, built_in::MANAGEMENT),
            ScopeOwner::Server(server, _) => match server.key.kind() {
                ServerKind::PlatformWide => (ScopeKind::Platform, server.id),
                ServerKind::Private => (ScopeKind::Private, server.id),
            },
        };
        Self {
            scope: scope.to_owned(),
            kind,
            description: owner.description().to_owned(),
            resource_server_id: server.to_string(),
            needs_permission: owner.needs_permission().map(Permission::as_str),
            deprecated: owner.is_deprecated(),
        }
    }
}

pub(super) fn operation() -> Operation {
    Operation::get("listScopes", SCOPES)
        .about(
            Tag::ResourceServers,
            "List all scopes",
            "Every scope that a client of the tenant may be allowed, in the order of the alphabet: those of the \
             tenant's own resource servers, of the platform-wide ones, of the management API and of OpenID Connect.",
        )
        .needs(Permission::ResourceServersRead)
        .lists(LIST)
        .answers::<Page<CatalogueScope>>(Success::Ok)
        .by(list)
}

async fn list(call: Call) -> Result<Answer<Page<CatalogueScope>>, Problem> {
    let page = call.page()?;
    let kind = page.filters.text("kind").map(str::to_owned);
    let prefix = page.filters.text("scope").unwrap_or_default().to_owned();
    let after = page.after.as_ref().and_then(|place| place.key.clone());
    let fetch = usize::try_from(page.fetch()).unwrap_or(0);
    let found = call
        .read(move |tx, acting| {
            let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
            let catalogue = resource_servers::catalogue(tx, acting.tenant)?;
            let found: Vec<CatalogueScope> = catalogue
                .scopes()
                .iter()
                .filter(|(scope, _)| {
                    scope.as_str().starts_with(&prefix)
                        && after.as_deref().is_none_or(|after| scope.as_str() > after)
                })
                // What operators alone may hold, clients of other tenants can't be allowed.
                .filter(|(_, owner)| match owner {
                    ScopeOwner::Management(permission) => {
                        tenant.is_platform || !permission.is_for_operators()
                    }
                    ScopeOwner::OpenId(_) | ScopeOwner::Server(..) => true,
                })
                .map(|(scope, owner)| CatalogueScope::of(scope.as_str(), owner))
                .filter(|scope| {
                    kind.as_deref()
                        .is_none_or(|kind| scope.kind.as_str() == kind)
                })
                .take(fetch)
                .collect();
            Ok(found)
        })
        .await?;
    let place = |scope: &CatalogueScope| Place {
        key: Some(scope.scope.clone()),
        id: Uuid::nil(),
    };
    Answer::ok(&page.page(found, place, |scope| scope)?)
}
