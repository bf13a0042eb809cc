//! What pauses, cuts or ended a tenant, a client or a member.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::client::ClientStatus;
use grantor_domain::ids::{ClientId, MemberId, TenantId};
use grantor_domain::member::MemberStatus;
use grantor_domain::ownership::TransferCause;
use grantor_domain::suspension::Suspension;
use grantor_domain::text::Reason;
use uuid::Uuid;

use crate::error::StorageError;
use crate::ownership;
use crate::schema::{clients, members, suspensions, tenant_suspensions};
use crate::stored;
use crate::transaction::{ChangeTx, Subject};

/// The columns of `suspensions` as they come out of an outer join.
#[derive(Queryable, Selectable, Default)]
#[diesel(table_name = suspensions)]
pub(crate) struct SuspensionRow {
    paused_by_tenant_at: Option<DateTime<Utc>>,
    paused_by_tenant_reason: Option<String>,
    paused_by_operator_at: Option<DateTime<Utc>>,
    paused_by_operator_reason: Option<String>,
    deleted_at: Option<DateTime<Utc>>,
    cut_below: i64,
}

impl SuspensionRow {
    pub(crate) fn into_domain(self) -> Result<Suspension, StorageError> {
        Ok(Suspension {
            by_tenant: stored::pause(
                self.paused_by_tenant_at,
                self.paused_by_tenant_reason.as_deref(),
            )?,
            by_operator: stored::pause(
                self.paused_by_operator_at,
                self.paused_by_operator_reason.as_deref(),
            )?,
            deleted_at: self.deleted_at,
            cut_below: self.cut_below,
        })
    }
}

/// The columns of `tenant_suspensions` as they come out of an outer join.
#[derive(Queryable, Selectable, Default)]
#[diesel(table_name = tenant_suspensions)]
pub(crate) struct TenantSuspensionRow {
    paused_by_operator_at: Option<DateTime<Utc>>,
    paused_by_operator_reason: Option<String>,
    deleted_at: Option<DateTime<Utc>>,
    cut_below: i64,
}

impl TenantSuspensionRow {
    pub(crate) fn into_domain(self) -> Result<Suspension, StorageError> {
        Ok(Suspension {
            by_tenant: None,
            by_operator: stored::pause(
                self.paused_by_operator_at,
                self.paused_by_operator_reason.as_deref(),
            )?,
            deleted_at: self.deleted_at,
            cut_below: self.cut_below,
        })
    }
}

/// What suspends one subject of a tenant, whether or not the subject still exists.
pub(crate) fn of_subject(
    connection: &mut PgConnection,
    tenant: TenantId,
    subject: Uuid,
) -> Result<Suspension, StorageError> {
    suspensions::table
        .find((tenant.uuid(), subject))
        .select(SuspensionRow::as_select())
        .first(connection)
        .optional()?
        .unwrap_or_default()
        .into_domain()
}

/// Whose pause it is. The two are apart: neither lifts the other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Party {
    Tenant,
    Operator,
}

/// Pauses a client on behalf of its tenant.
pub fn pause_client(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    reason: Option<&Reason>,
) -> Result<(), StorageError> {
    let since = Some(tx.now());
    set_client_pause(tx, tenant, client, Party::Tenant, since, reason)
}

/// Ends the tenant's own pause of a client. One by an operator stays.
pub fn resume_client(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<(), StorageError> {
    set_client_pause(tx, tenant, client, Party::Tenant, None, None)
}

/// Pauses a client on behalf of an operator, whatever its tenant does.
pub fn pause_client_for_operator(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    reason: Option<&Reason>,
) -> Result<(), StorageError> {
    let since = Some(tx.now());
    set_client_pause(tx, tenant, client, Party::Operator, since, reason)
}

/// Ends the operators' own pause of a client. The tenant's stays.
pub fn resume_client_for_operator(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<(), StorageError> {
    set_client_pause(tx, tenant, client, Party::Operator, None, None)
}

fn set_client_pause(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
    party: Party,
    since: Option<DateTime<Utc>>,
    reason: Option<&Reason>,
) -> Result<(), StorageError> {
    let subject = Subject::Client(client);
    set_pause(tx, tenant, subject, party, since, reason)?;
    let connection = tx.touching(tenant, subject)?;
    // The same beside the name, where lists look for it: the other party's pause may go on.
    let status = if of_subject(connection, tenant, client.uuid())?.is_suspended() {
        ClientStatus::Disabled
    } else {
        ClientStatus::Active
    };
    diesel::update(clients::table.find((tenant.uuid(), client.uuid())))
        .set(clients::status.eq(status.as_str()))
        .execute(connection)?;
    Ok(())
}

fn set_pause(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    subject: Subject,
    party: Party,
    since: Option<DateTime<Utc>>,
    reason: Option<&Reason>,
) -> Result<(), StorageError> {
    let connection = tx.touching(tenant, subject)?;
    macro_rules! put {
        ($at:ident, $why:ident) => {{
            let pause = (
                suspensions::$at.eq(since),
                suspensions::$why.eq(reason.map(Reason::as_str)),
            );
            diesel::insert_into(suspensions::table)
                .values((
                    suspensions::tenant_id.eq(tenant.uuid()),
                    suspensions::subject_id.eq(subject.id()),
                    pause,
                ))
                .on_conflict((suspensions::tenant_id, suspensions::subject_id))
                .do_update()
                .set(pause)
                .execute(connection)?
        }};
    }
    match party {
        Party::Tenant => put!(paused_by_tenant_at, paused_by_tenant_reason),
        Party::Operator => put!(paused_by_operator_at, paused_by_operator_reason),
    };
    Ok(())
}

/// Marks a subject as deleted, for good: its tokens are dead through this mark.
pub(crate) fn mark_deleted(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    subject: Subject,
) -> Result<(), StorageError> {
    let now = tx.now();
    diesel::insert_into(suspensions::table)
        .values((
            suspensions::tenant_id.eq(tenant.uuid()),
            suspensions::subject_id.eq(subject.id()),
            suspensions::deleted_at.eq(now),
        ))
        .on_conflict((suspensions::tenant_id, suspensions::subject_id))
        .do_update()
        .set(suspensions::deleted_at.eq(now))
        .execute(tx.touching(tenant, subject)?)?;
    Ok(())
}

/// Pauses a member on behalf of their tenant, or ends that. Whoever is paused owns nothing any more.
pub fn set_member_pause(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
    since: Option<DateTime<Utc>>,
    reason: Option<&Reason>,
) -> Result<(), StorageError> {
    let subject = Subject::Member(member);
    set_pause(tx, tenant, subject, Party::Tenant, since, reason)?;
    // The same beside the name, where lists look for it.
    let status = match since {
        Some(_) => MemberStatus::Disabled,
        None => MemberStatus::Active,
    };
    diesel::update(members::table.find((tenant.uuid(), member.uuid())))
        .set(members::status.eq(status.as_str()))
        .execute(tx.touching(tenant, subject)?)?;
    match status {
        MemberStatus::Disabled => {
            ownership::release(tx, tenant, member, TransferCause::OwnerDisabled)
        }
        MemberStatus::Active => Ok(()),
    }
}

/// Lets every token die that was issued to a client before this change. The number of the change itself is
/// filled in by the trigger that gives it one.
pub fn cut_client_off(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<(), StorageError> {
    cut_off(tx, tenant, Subject::Client(client))
}

/// Lets every token die by which a client acts for a member, and that was issued before this change.
pub fn cut_member_off(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
) -> Result<(), StorageError> {
    cut_off(tx, tenant, Subject::Member(member))
}

fn cut_off(tx: &mut ChangeTx<'_>, tenant: TenantId, subject: Subject) -> Result<(), StorageError> {
    diesel::insert_into(suspensions::table)
        .values((
            suspensions::tenant_id.eq(tenant.uuid()),
            suspensions::subject_id.eq(subject.id()),
        ))
        .on_conflict_do_nothing()
        .execute(tx.touching(tenant, subject)?)?;
    tx.cut_off(tenant, subject);
    Ok(())
}

/// Suspends a whole tenant, or ends that, on behalf of an operator.
pub fn set_tenant_pause(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    since: Option<DateTime<Utc>>,
    reason: Option<&Reason>,
) -> Result<(), StorageError> {
    let pause = (
        tenant_suspensions::paused_by_operator_at.eq(since),
        tenant_suspensions::paused_by_operator_reason.eq(reason.map(Reason::as_str)),
    );
    diesel::insert_into(tenant_suspensions::table)
        .values((tenant_suspensions::tenant_id.eq(tenant.uuid()), pause))
        .on_conflict(tenant_suspensions::tenant_id)
        .do_update()
        .set(pause)
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}

/// Marks a tenant as deleted, for good. From here on it is nowhere to be found; what it left goes later.
pub(crate) fn mark_tenant_deleted(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
) -> Result<(), StorageError> {
    let now = tx.now();
    diesel::insert_into(tenant_suspensions::table)
        .values((
            tenant_suspensions::tenant_id.eq(tenant.uuid()),
            tenant_suspensions::deleted_at.eq(now),
        ))
        .on_conflict(tenant_suspensions::tenant_id)
        .do_update()
        .set(tenant_suspensions::deleted_at.eq(now))
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}

/// Lets every token die that was issued in a tenant before this change.
pub fn cut_tenant_off(tx: &mut ChangeTx<'_>, tenant: TenantId) -> Result<(), StorageError> {
    diesel::insert_into(tenant_suspensions::table)
        .values(tenant_suspensions::tenant_id.eq(tenant.uuid()))
        .on_conflict_do_nothing()
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    tx.cut_off(tenant, Subject::Tenant(tenant));
    Ok(())
}
