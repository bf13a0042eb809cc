//! The log of record.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::audit::{Event, Origin};
use grantor_domain::ids::{AuditEventId, TenantId};
use serde_json::Value;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::audit_events;
use crate::stored::lowest_id;
use crate::transaction::{ChangeTx, Connected, Reach, Reads};

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
    /// The client through which a member acted.
    pub actor_client: Option<String>,
    /// What was done.
    pub action: String,
    /// The version of the particulars.
    pub version: i32,
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
    /// When a person was erased from it, if one was.
    pub erased_at: Option<DateTime<Utc>>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = audit_events)]
struct EventRow {
    id: Uuid,
    at: DateTime<Utc>,
    actor_kind: String,
    actor_tenant_id: Option<Uuid>,
    actor_name: String,
    actor_client: Option<String>,
    action: String,
    schema_version: i32,
    target_kind: String,
    target_id: String,
    before_change: Option<Value>,
    after_change: Option<Value>,
    ip: Option<String>,
    user_agent: Option<String>,
    request_id: Option<String>,
    erased_at: Option<DateTime<Utc>>,
}

impl EventRow {
    fn into_logged(self) -> LoggedEvent {
        LoggedEvent {
            id: AuditEventId::from_uuid(self.id),
            at: self.at,
            actor_kind: self.actor_kind,
            actor_tenant: self.actor_tenant_id.map(TenantId::from_uuid),
            actor: self.actor_name,
            actor_client: self.actor_client,
            action: self.action,
            version: self.schema_version,
            target_kind: self.target_kind,
            target: self.target_id,
            before: self.before_change,
            after: self.after_change,
            ip: self.ip,
            user_agent: self.user_agent,
            request_id: self.request_id,
            erased_at: self.erased_at,
        }
    }
}

#[derive(Insertable)]
#[diesel(table_name = audit_events)]
struct NewEventRow<'e> {
    tenant_id: Uuid,
    id: Uuid,
    at: DateTime<Utc>,
    actor_kind: &'static str,
    actor_tenant_id: Option<Uuid>,
    actor_name: &'e str,
    actor_client: Option<&'e str>,
    action: &'static str,
    schema_version: i32,
    target_kind: &'static str,
    target_id: String,
    before_change: Option<&'e Value>,
    after_change: Option<&'e Value>,
    ip: Option<&'e str>,
    user_agent: Option<&'e str>,
    request_id: Option<&'e str>,
    touched: Option<Vec<Uuid>>,
    subjects: Option<Vec<String>>,
    cuts: Vec<Uuid>,
}

/// How many events one statement writes: there are 65,535 parameters.
const AT_ONCE: usize = 1_000;

/// Writes events, each with what stands with it of the whole change.
pub(crate) fn insert(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
    origin: &Origin,
    events: Vec<(Uuid, &Event, Reach)>,
) -> Result<(), StorageError> {
    let actor_name = origin.actor.name();
    let actor_client = origin.actor.client().map(|client| client.to_string());
    let ip = origin.ip.map(|ip| ip.to_string());
    let mut rows: Vec<NewEventRow<'_>> = events
        .into_iter()
        .map(|(id, event, reach)| {
            // NULL appends nothing to the change feed and takes no lock.
            let touched = (!reach.touched.is_empty()).then_some(reach.touched);
            NewEventRow {
                tenant_id: event.tenant.uuid(),
                id,
                at: now,
                actor_kind: origin.actor.kind(),
                actor_tenant_id: origin.actor.tenant().map(TenantId::uuid),
                actor_name: &actor_name,
                actor_client: actor_client.as_deref(),
                action: event.action.as_str(),
                schema_version: event.action.version(),
                target_kind: event.target.kind(),
                target_id: event.target.id(),
                before_change: event.before.as_ref(),
                after_change: event.after.as_ref(),
                ip: ip.as_deref(),
                user_agent: origin.user_agent.as_deref(),
                request_id: origin.request_id.as_deref(),
                subjects: touched.is_some().then_some(reach.subjects),
                touched,
                cuts: reach.cuts,
            }
        })
        .collect();
    while !rows.is_empty() {
        let rest = rows.split_off(rows.len().min(AT_ONCE));
        diesel::insert_into(audit_events::table)
            .values(rows)
            .execute(connection)?;
        rows = rest;
    }
    Ok(())
}

/// Reads up to `limit` events, the newest first, from before `before`.
pub fn list(
    tx: &mut impl Reads,
    tenant: TenantId,
    before: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<LoggedEvent>, StorageError> {
    search(tx, tenant, &AuditFilter::default(), true, before, limit)
}

/// Which events are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// By whom, as the log names them: `cli_…`, `mem_…`, or a command.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// On which thing, as the log names it.
    pub target: Option<String>,
    /// From this moment on.
    pub from: Option<DateTime<Utc>>,
    /// Before this moment.
    pub until: Option<DateTime<Utc>>,
}

/// Reads up to `limit` events that meet a filter, in the order of their ids, from after `after` in that order.
///
/// The times narrow the range of ids as well, so that partitions outside of it are not looked at.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    filter: &AuditFilter,
    newest_first: bool,
    after: Option<AuditEventId>,
    limit: i64,
) -> Result<Vec<LoggedEvent>, StorageError> {
    let mut query = audit_events::table
        .filter(audit_events::tenant_id.eq(tenant.uuid()))
        .limit(limit)
        .select(EventRow::as_select())
        .into_boxed();
    if let Some(actor) = &filter.actor {
        query = query.filter(audit_events::actor_name.eq(actor));
    }
    if let Some(action) = &filter.action {
        query = query.filter(audit_events::action.eq(action));
    }
    if let Some(target) = &filter.target {
        query = query.filter(audit_events::target_id.eq(target));
    }
    if let Some(from) = filter.from {
        query = query
            .filter(audit_events::id.ge(lowest_id(from.timestamp_millis())))
            .filter(audit_events::at.ge(from));
    }
    if let Some(until) = filter.until {
        // An id carries whole milliseconds: those of the last one are looked at by their exact time.
        query = query
            .filter(audit_events::id.lt(lowest_id(until.timestamp_millis().saturating_add(1))))
            .filter(audit_events::at.lt(until));
    }
    if let Some(after) = after.map(AuditEventId::uuid) {
        query = if newest_first {
            query.filter(audit_events::id.lt(after))
        } else {
            query.filter(audit_events::id.gt(after))
        };
    }
    query = if newest_first {
        query.order(audit_events::id.desc())
    } else {
        query.order(audit_events::id.asc())
    };
    let rows: Vec<EventRow> = query.load(tx.connection())?;
    Ok(rows.into_iter().map(EventRow::into_logged).collect())
}

/// Reads one event.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: AuditEventId,
) -> Result<Option<LoggedEvent>, StorageError> {
    let row: Option<EventRow> = audit_events::table
        .find((tenant.uuid(), id.uuid()))
        .select(EventRow::as_select())
        .first(tx.connection())
        .optional()?;
    Ok(row.map(EventRow::into_logged))
}

#[derive(QueryableByName)]
struct Erased {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Takes a person out of the events by them and about them, and leaves the trail (`audit_2`): the address, the
/// user agent and whatever stands under `person` go. `subject` is `mem_…` or `cli_…`.
///
/// The newest go first, and at most `limit` in one call; it tells how many. Fewer than `limit` means that none
/// is left. (Not 0: the event that tells of the erasure may be about the subject itself.)
pub fn erase(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    subject: &str,
    limit: i64,
) -> Result<i64, StorageError> {
    let now = tx.now();
    let Erased { rows } = diesel::sql_query("SELECT erase_person($1, $2, $3, $4) AS rows")
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Text, _>(subject)
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(limit)
        .get_result(tx.connection())?;
    Ok(rows)
}
