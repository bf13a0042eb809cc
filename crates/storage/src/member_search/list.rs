//! Members in an order.

use diesel::prelude::*;
use grantor_domain::ids::TenantId;
use grantor_domain::member::Member;
use uuid::Uuid;

use super::{MemberFilter, MemberOrder, Place, by_ids, merged};
use crate::error::StorageError;
use crate::keyset::beyond;
use crate::members::MemberRow;
use crate::schema::{members, suspensions};
use crate::suspensions::SuspensionRow;
use crate::transaction::Reads;

/// Among so few organizations a page is merged at once.
const FEW: usize = 16;

/// Narrows a query to what comes after a place in an order, in that order.
macro_rules! in_order {
    ($query:expr, $order:expr, $descending:expr, $after:expr) => {{
        let (mut query, after): (_, Option<Place>) = ($query, $after);
        macro_rules! by {
            ($column:expr) => {{
                if let Some((Some(key), id)) = after {
                    let place = (key, id.uuid());
                    query = query.filter(beyond($column, members::id, $descending, place));
                }
                if $descending {
                    query.order(($column.desc(), members::id.desc()))
                } else {
                    query.order(($column.asc(), members::id.asc()))
                }
            }};
        }
        match ($order, $descending) {
            (MemberOrder::Name, _) => by!(members::name),
            (MemberOrder::Email, _) => by!(members::email_key),
            (MemberOrder::Made, true) => {
                let after = after.map_or(Uuid::max(), |(_, id)| id.uuid());
                query
                    .filter(members::id.lt(after))
                    .order(members::id.desc())
            }
            (MemberOrder::Made, false) => {
                let after = after.map_or(Uuid::nil(), |(_, id)| id.uuid());
                query.filter(members::id.gt(after)).order(members::id.asc())
            }
        }
    }};
}

/// Reads up to `limit` members in an order, from after a place in it. Where the order is not that of their
/// making, the place has the member's name or address.
///
/// Among organizations it takes at worst a look into the index for each of them, however many live there.
pub fn list(
    tx: &mut impl Reads,
    tenant: TenantId,
    filter: &MemberFilter,
    order: MemberOrder,
    descending: bool,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Member>, StorageError> {
    if let (Some(organizations), None) = (filter.organizations(), &filter.email) {
        let ids = among(
            tx,
            tenant,
            (&organizations, filter),
            order,
            descending,
            after,
            limit,
        )?;
        let mut found = by_ids(tx, tenant, &ids)?;
        return Ok(ids.iter().filter_map(|id| found.remove(id)).collect());
    }
    let mut query = members::table
        .left_join(
            suspensions::table.on(suspensions::tenant_id
                .eq(members::tenant_id)
                .and(suspensions::subject_id.eq(members::id))),
        )
        .filter(members::tenant_id.eq(tenant.uuid()))
        .limit(limit)
        .select((MemberRow::as_select(), Option::<SuspensionRow>::as_select()))
        .into_boxed();
    if let Some(organizations) = filter.organizations() {
        // Beside an address, which only one member has.
        query = query.filter(members::organization_id.eq_any(organizations));
    }
    if let Some(status) = filter.status {
        query = query.filter(members::status.eq(status.as_str()));
    }
    if let Some(email) = filter.email_key() {
        query = query.filter(members::email_key.eq(email));
    }
    in_order!(query, order, descending, after)
        .load::<(MemberRow, Option<SuspensionRow>)>(tx.connection())?
        .into_iter()
        .map(|(member, suspension)| member.into_domain(suspension))
        .collect()
}

/// The ids of a page among organizations. Many organizations mostly hold many of the members: then the page is near
/// the place. If it isn't, it is merged of what each organization has.
fn among(
    tx: &mut impl Reads,
    tenant: TenantId,
    (organizations, filter): (&[Uuid], &MemberFilter),
    order: MemberOrder,
    descending: bool,
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Uuid>, StorageError> {
    let wanted = usize::try_from(limit).unwrap_or_default();
    if organizations.len() > FEW {
        let looked_at = limit.saturating_mul(4);
        let mut query = members::table
            .filter(members::tenant_id.eq(tenant.uuid()))
            .limit(looked_at)
            .select((members::id, members::organization_id))
            .into_boxed();
        if let Some(status) = filter.status {
            query = query.filter(members::status.eq(status.as_str()));
        }
        let near: Vec<(Uuid, Uuid)> =
            in_order!(query, order, descending, after.clone()).load(tx.connection())?;
        let all = i64::try_from(near.len()).is_ok_and(|looked| looked < looked_at);
        let mut found: Vec<Uuid> = near
            .into_iter()
            .filter(|(_, organization)| organizations.binary_search(organization).is_ok())
            .map(|(id, _)| id)
            .collect();
        if all || found.len() >= wanted {
            found.truncate(wanted);
            return Ok(found);
        }
    }
    merged::page(
        tx.connection(),
        tenant,
        (organizations, &filter.statuses()),
        (order, descending),
        after,
        limit,
    )
}
