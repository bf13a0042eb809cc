//! How many of each kind a tenant may have, and has.
//!
//! Triggers count, in a row of which whoever makes or deletes something of the kind holds the lock until the end. So
//! after a making the count is exact: of two that make the last one that is allowed, the second sees the first one's.

use diesel::prelude::*;
use grantor_domain::ids::TenantId;
use grantor_domain::limits::Limited;
use grantor_domain::quota::{Counted, QuotaReached, Quotas, Usage};
use thiserror::Error;

use crate::error::StorageError;
use crate::schema::{tenant_quotas, tenant_usage};
use crate::stored;
use crate::transaction::{ChangeTx, Connected as _, Reads, Subject};

/// Why something can't be made.
#[derive(Debug, Error)]
pub enum QuotaCheckError {
    /// The tenant has as many as it may.
    #[error(transparent)]
    Reached(#[from] QuotaReached),
    /// It could not be found out.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = tenant_quotas)]
struct QuotaRow {
    organizations: Option<i32>,
    members: Option<i32>,
    clients: Option<i32>,
    resource_servers: Option<i32>,
    roles: Option<i32>,
    client_tokens_per_minute: Option<i32>,
    client_max_live_tokens: Option<i32>,
}

/// How many of each kind a tenant may have.
pub fn find(tx: &mut impl Reads, tenant: TenantId) -> Result<Quotas, StorageError> {
    let row: Option<QuotaRow> = tenant_quotas::table
        .find(tenant.uuid())
        .select(QuotaRow::as_select())
        .first(tx.connection())
        .optional()?;
    let mut quotas = Quotas::default();
    if let Some(row) = row {
        quotas.client_limits =
            stored::limits(row.client_tokens_per_minute, row.client_max_live_tokens)?;
        for (counted, limit) in [
            (Counted::Organizations, row.organizations),
            (Counted::Members, row.members),
            (Counted::Clients, row.clients),
            (Counted::ResourceServers, row.resource_servers),
            (Counted::Roles, row.roles),
        ] {
            quotas
                .decide(counted, limit.map(i64::from))
                .map_err(|_| StorageError::corrupt("quota", format!("{counted:?} {limit:?}")))?;
        }
    }
    Ok(quotas)
}

/// Decides how many of each kind a tenant may have.
pub fn update(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    quotas: &Quotas,
) -> Result<(), StorageError> {
    let column = |counted| {
        let limit = quotas.decided(counted).map(i32::try_from).transpose();
        limit.map_err(|_| StorageError::corrupt("quota", format!("{counted:?}")))
    };
    let limit = |limited| stored::limit_column(&quotas.client_limits, limited);
    let row = (
        tenant_quotas::organizations.eq(column(Counted::Organizations)?),
        tenant_quotas::members.eq(column(Counted::Members)?),
        tenant_quotas::clients.eq(column(Counted::Clients)?),
        tenant_quotas::resource_servers.eq(column(Counted::ResourceServers)?),
        tenant_quotas::roles.eq(column(Counted::Roles)?),
        tenant_quotas::client_tokens_per_minute.eq(limit(Limited::TokensPerMinute)?),
        tenant_quotas::client_max_live_tokens.eq(limit(Limited::LiveTokens)?),
    );
    diesel::insert_into(tenant_quotas::table)
        .values((tenant_quotas::tenant_id.eq(tenant.uuid()), row))
        .on_conflict(tenant_quotas::tenant_id)
        .do_update()
        .set(row)
        .execute(tx.touching(tenant, Subject::Tenant(tenant))?)?;
    Ok(())
}

/// How many of each kind a tenant has.
pub fn usage(tx: &mut impl Reads, tenant: TenantId) -> Result<Usage, StorageError> {
    let rows: Vec<(String, i64)> = tenant_usage::table
        .filter(tenant_usage::tenant_id.eq(tenant.uuid()))
        .select((tenant_usage::what, tenant_usage::used))
        .load(tx.connection())?;
    let mut usage = Usage::default();
    for (word, used) in rows {
        // What a later release counts besides is none of this one's business.
        if let Some(counted) = Counted::parse(&word) {
            usage.set(counted, used);
        }
    }
    Ok(usage)
}

/// Demands that a tenant may have as many of a kind as it has now. To be called in the change that makes something of
/// the kind, after it was made; the change that gets an error is rolled back, and with it what was too much.
pub fn check(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    counted: Counted,
) -> Result<(), QuotaCheckError> {
    let used: Option<i64> = tenant_usage::table
        .find((tenant.uuid(), counted.as_str()))
        .select(tenant_usage::used)
        .first(tx.connection())
        .optional()
        .map_err(StorageError::from)?;
    find(tx, tenant)?.allow(counted, used.unwrap_or_default())?;
    Ok(())
}
