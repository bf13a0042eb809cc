//! Tenants as a list.
//!
//! It goes through tenants in their order, and looks up by its key whether one is to be shown. A deleted tenant's row
//! stays, so each that lies in the way costs such a look.

use std::collections::HashMap;

use diesel::dsl::exists;
use diesel::prelude::*;
use grantor_domain::ids::TenantId;
use grantor_domain::tenant::{Tenant, TenantStatus};
use uuid::Uuid;

use super::TenantRow;
use crate::error::StorageError;
use crate::keyset::beyond;
use crate::schema::{tenant_suspensions, tenants};
use crate::suspensions::TenantSuspensionRow;
use crate::transaction::Reads;

/// In which order tenants are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantOrder {
    /// That of their making.
    Made,
    /// That of their names, and of their making where these are the same.
    Name,
}

/// Which tenants are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TenantFilter {
    /// In this state.
    pub status: Option<TenantStatus>,
    /// Whose name begins so.
    pub name: Option<String>,
}

/// A place in an order: the name, where the order is by it, and the id.
type Place = (Option<String>, TenantId);

/// Reads up to `limit` tenants that meet a filter, in an order, from after a place in it. In the order of names
/// the place has the name of its tenant.
pub fn search(
    tx: &mut impl Reads,
    filter: &TenantFilter,
    order: TenantOrder,
    descending: bool,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Tenant>, StorageError> {
    let wanted = usize::try_from(limit).unwrap_or_default();
    if let (Some(begins), TenantOrder::Made, true) = (
        &filter.name,
        order,
        filter.status != Some(TenantStatus::Suspended),
    ) {
        // Many names mostly begin so: then the page is near the place. If it isn't, they are few to be put in order.
        let all = TenantFilter {
            name: None,
            ..filter.clone()
        };
        let near = ids(
            tx,
            &all,
            order,
            descending,
            after.clone(),
            limit.saturating_mul(4),
        )?;
        let mut found: Vec<Uuid> = near
            .into_iter()
            .filter(|(_, name)| name.starts_with(begins))
            .map(|(id, _)| id)
            .collect();
        if found.len() >= wanted {
            found.truncate(wanted);
            return by_ids(tx, &found);
        }
    }
    let found = ids(tx, filter, order, descending, after, limit)?;
    let found: Vec<Uuid> = found.into_iter().map(|(id, _)| id).collect();
    by_ids(tx, &found)
}

/// The ids and names of a page.
fn ids(
    tx: &mut impl Reads,
    filter: &TenantFilter,
    order: TenantOrder,
    descending: bool,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<(Uuid, String)>, StorageError> {
    let mut query = tenants::table
        .limit(limit)
        .select((tenants::id, tenants::name))
        .into_boxed();
    let mark = tenant_suspensions::table.filter(tenant_suspensions::tenant_id.eq(tenants::id));
    // As `Suspension::is_suspended` says it, of those that are not deleted. So written a look for a mark stays one: the
    // planner would join the tables else, or read all marks, and sort.
    query = match filter.status {
        None => query.filter(
            mark.select(tenant_suspensions::deleted_at.is_not_null())
                .single_value()
                .is_distinct_from(true),
        ),
        Some(TenantStatus::Active) => query.filter(
            mark.select(
                tenant_suspensions::deleted_at
                    .is_not_null()
                    .or(tenant_suspensions::paused_by_operator_at.is_not_null()),
            )
            .single_value()
            .is_distinct_from(true),
        ),
        // These have an index of their own, which is mostly nearly empty.
        Some(TenantStatus::Suspended) => query.filter(exists(
            mark.filter(tenant_suspensions::deleted_at.is_null())
                .filter(tenant_suspensions::paused_by_operator_at.is_not_null()),
        )),
    };
    // The names sort by their bytes, and no character's bytes come after those of the last one.
    let ends = |begins: &String| format!("{begins}{}", char::MAX);
    let (mut lower, mut upper) = (filter.name.clone(), filter.name.as_ref().map(ends));
    match (order, descending, after) {
        (TenantOrder::Made, false, Some((_, id))) => {
            query = query.filter(tenants::id.gt(id.uuid()));
        }
        (TenantOrder::Made, true, Some((_, id))) => query = query.filter(tenants::id.lt(id.uuid())),
        (TenantOrder::Name, _, Some((name, id))) => {
            let name = name.unwrap_or_default();
            // An index is entered by one bound: the place takes the stead of that which it lies within.
            let (bound, within) = if descending {
                let within = upper.as_ref().is_none_or(|upper| name < *upper);
                (&mut upper, within)
            } else {
                let within = lower.as_ref().is_none_or(|lower| name >= *lower);
                (&mut lower, within)
            };
            if within {
                *bound = None;
                let place = (name, id.uuid());
                query = query.filter(beyond(tenants::name, tenants::id, descending, place));
            }
        }
        (_, _, None) => {}
    }
    if let Some(lower) = lower {
        query = query.filter(tenants::name.ge(lower));
    }
    if let Some(upper) = upper {
        query = query.filter(tenants::name.lt(upper));
    }
    let query = match (order, descending) {
        (TenantOrder::Made, false) => query.order(tenants::id.asc()),
        (TenantOrder::Made, true) => query.order(tenants::id.desc()),
        (TenantOrder::Name, false) => query.order((tenants::name.asc(), tenants::id.asc())),
        (TenantOrder::Name, true) => query.order((tenants::name.desc(), tenants::id.desc())),
    };
    Ok(query.load(tx.connection())?)
}

/// These tenants, as they are ordered here.
fn by_ids(tx: &mut impl Reads, ids: &[Uuid]) -> Result<Vec<Tenant>, StorageError> {
    let rows: Vec<(TenantRow, Option<TenantSuspensionRow>)> = tenants::table
        .left_join(tenant_suspensions::table.on(tenant_suspensions::tenant_id.eq(tenants::id)))
        .filter(tenants::id.eq_any(ids))
        .select((
            TenantRow::as_select(),
            Option::<TenantSuspensionRow>::as_select(),
        ))
        .load(tx.connection())?;
    let mut found = HashMap::new();
    for (row, suspension) in rows {
        let tenant = row.into_domain(suspension)?;
        found.insert(tenant.id.uuid(), tenant);
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}
