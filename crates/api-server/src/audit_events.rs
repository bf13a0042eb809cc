//! The log of record, for those who may read it.

use actix_web::{HttpResponse, get, web};
use chrono::{DateTime, Utc};
use grantor_domain::ids::AuditEventId;
use grantor_domain::permission::Permission;
use grantor_storage::audit_events::LoggedEvent;
use grantor_storage::{ReadTx, Scope, audit_events};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::Api;
use crate::problem::{Problem, ProblemBody};
use crate::requests::{Call, Cursors, QueryString};

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActorOutput {
    /// `client`, `command` (somebody at the installation's command line) or `server`.
    #[schema(example = "client")]
    kind: String,
    /// Their id or name.
    #[schema(example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: String,
    /// The tenant that they belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
}

/// On what it was done.
#[derive(Debug, Serialize, ToSchema)]
pub struct TargetOutput {
    /// The kind of thing.
    #[schema(example = "client")]
    kind: String,
    /// Its id.
    #[schema(example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: String,
}

/// One event of the log of record.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEventOutput {
    /// Its id.
    #[schema(example = "aud_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: String,
    /// When.
    at: DateTime<Utc>,
    /// What was done.
    #[schema(example = "client.created")]
    action: String,
    actor: ActorOutput,
    target: TargetOutput,
    /// How the target was before. Never with a secret.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// How the target is now, or the particulars. Never with a secret.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// From where.
    ip: Option<String>,
    /// By what program.
    user_agent: Option<String>,
    /// In the course of which request.
    request_id: Option<String>,
}

/// One page of the log of record.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEventPage {
    /// The events, the newest first.
    items: Vec<AuditEventOutput>,
    /// What to send as `cursor` for the next page; `null` on the last one.
    next_cursor: Option<String>,
}

impl From<LoggedEvent> for AuditEventOutput {
    fn from(event: LoggedEvent) -> Self {
        Self {
            id: event.id.to_string(),
            at: event.at,
            action: event.action,
            actor: ActorOutput {
                kind: event.actor_kind,
                id: event.actor,
                tenant_id: event.actor_tenant.map(|tenant| tenant.to_string()),
            },
            target: TargetOutput {
                kind: event.target_kind,
                id: event.target,
            },
            before: event.before,
            after: event.after,
            ip: event.ip,
            user_agent: event.user_agent,
            request_id: event.request_id,
        }
    }
}

/// Read the log of record
///
/// The newest events first. Needs the permission `audit.read`.
#[utoipa::path(
    operation_id = "listAuditEvents", tag = "Audit",
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 200; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, body = AuditEventPage),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:audit.read"])))]
#[get("/v1/tenants/{tenant}/audit-events")]
pub async fn list(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<String>,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let tenant = call.authorized(Permission::AuditRead, &path).await?.tenant;
    let cursors = Cursors::new(api.authority.keyring(), format!("audit-events of {tenant}"));
    let page = cursors.page(&query)?;
    let found = api
        .authority
        .database()
        .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
            audit_events::list(
                tx,
                tenant,
                page.after.map(AuditEventId::from_uuid),
                page.limit + 1,
            )
        })
        .await?;
    let page = cursors.cut(found, page.limit, |event| event.id.uuid());
    let items = page.items.into_iter().map(AuditEventOutput::from).collect();
    Ok(HttpResponse::Ok().json(AuditEventPage {
        items,
        next_cursor: page.next,
    }))
}
