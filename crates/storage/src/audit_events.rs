//! The log of record.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::audit::{Actor, Event, Origin};
use grantor_domain::ids::{AuditEventId, TenantId};
use serde_json::Value;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::audit_events;
use crate::transaction::{Reach, Reads};

/// An event as it stands in the log.
#[derive(Debug, Clone)]
pub struct LoggedEvent {
    /// Its id; ids go up with time.
    pub id: AuditEventId,
    /// When.
    pub at: DateTime<Utc>,
    /// What kind of actor.
    pub actor_kind: String,
    /// The actor's tenant, when it is a client or member.
    pub actor_tenant: Option<TenantId>,
    /// Who exactly.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// On what kind of thing.
    pub target_kind: String,
    /// On which one.
    pub target: String,
    /// How it was before.
    pub before: Option<Value>,
    /// How it is now, or the particulars.
    pub after: Option<Value>,
    /// From where.
    pub ip: Option<String>,
    /// By what program.
    pub user_agent: Option<String>,
    /// In the course of which request.
    pub request_id: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events)]
struct EventRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor_kind: String,
    actor_tenant_id: Option<Uuid>,
    actor_name: String,
    action: String,
    target_kind: String,
    target_id: String,
    before_change: Option<Value>,
    after_change: Option<Value>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
}

pub(crate) fn insert(
    connection: &mut PgConnection,
    id: Uuid,
    now: DateTime<Utc>,
    origin: &Origin,
    event: &Event,
    reach: Reach,
) -> Result<(), StorageError> {
    let actor_tenant = match origin.actor {
        Actor::Client { tenant, .. } => Some(tenant.uuid()),
        Actor::Command(_) | Actor::Server => None,
    };
    // NULL appends nothing to the change feed and takes no lock.
    let touched = (!reach.touched.is_empty()).then_some(reach.touched);
    let subjects = touched.is_some().then_some(reach.subjects);
    diesel::insert_into(audit_events::table)
        .values((
            (
                audit_events::tenant_id.eq(event.tenant.uuid()),
                audit_events::id.eq(id),
                audit_events::at.eq(now),
                audit_events::actor_kind.eq(origin.actor.kind()),
                audit_events::actor_tenant_id.eq(actor_tenant),
                audit_events::actor_name.eq(origin.actor.name()),
                audit_events::action.eq(event.action.as_str()),
                audit_events::target_kind.eq(event.target.kind()),
            ),
            (
                audit_events::target_id.eq(event.target.id()),
                audit_events::before_change.eq(&event.before),
                audit_events::after_change.eq(&event.after),
                audit_events::ip.eq(origin.ip.map(|ip| ip.to_string())),
                audit_events::user_agent.eq(&origin.user_agent),
                audit_events::request_id.eq(&origin.request_id),
                audit_events::touched.eq(touched),
                audit_events::subjects.eq(subjects),
                audit_events::cuts.eq(reach.cuts),
                audit_events::schema_version.eq(event.action.version()),
            ),
        ))
        .execute(connection)?;
    Ok(())
}

/// Reads up to `limit` events, the newest first, from before `before`.
pub fn list(
    tx: &mut impl Reads,
    tenant: TenantId,
    before: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<LoggedEvent>, StorageError> {
    let before = before.map_or(Uuid::max(), AuditEventId::uuid);
    let rows: Vec<EventRow> = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.uuid()))
        .filter(audit_events::id.lt(before))
        .order(audit_events::id.desc())
        .limit(limit)
        .select(EventRow::as_select())
        .load(tx.connection())?;
    Ok(rows
        .into_iter()
        .map(|row| LoggedEvent {
            id: AuditEventId::from_uuid(row.id),
            at: row.at,
            actor_kind: row.actor_kind,
            actor_tenant: row.actor_tenant_id.map(TenantId::from_uuid),
            actor: row.actor_name,
            action: row.action,
            target_kind: row.target_kind,
            target: row.target_id,
            before: row.before_change,
            after: row.after_change,
            ip: row.ip,
            user_agent: row.user_agent,
            request_id: row.request_id,
        })
        .collect())
}
