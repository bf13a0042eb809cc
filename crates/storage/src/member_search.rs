//! Lists of members: in some order, narrowed, or found by how words of theirs begin.

use std::collections::HashMap;

use diesel::prelude::*;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::member::{Member, MemberStatus};
use grantor_domain::search::Sought;
use grantor_domain::text::EmailAddress;
use uuid::Uuid;

use crate::error::StorageError;
use crate::listing::{self, Asked, Listed, Narrowed, Order, Part, Place, Value};
use crate::members::MemberRow;
use crate::schema::{members, suspensions};
use crate::suspensions::SuspensionRow;
use crate::transaction::Reads;

const MEMBERS: &Listed = &Listed {
    table: "members",
    words: "member_words",
    whose: "member_id",
    states: &[
        MemberStatus::Active.as_str(),
        MemberStatus::Disabled.as_str(),
    ],
};

/// In which order members are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberOrder {
    /// That of their making.
    Made,
    /// That of their names.
    Name,
    /// That of their addresses.
    Email,
}

/// Which members are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberFilter {
    /// Those who live in one of these.
    pub organizations: Option<Vec<OrganizationId>>,
    /// Those in this state.
    pub status: Option<MemberStatus>,
    /// The one with this address.
    pub email: Option<String>,
}

impl MemberFilter {
    fn narrowed(&self) -> Narrowed {
        Narrowed {
            organizations: self.organizations.as_deref().map(listing::each_once),
            status: self.status.map(MemberStatus::as_str),
            // An address leads first: only one member has it.
            equal: self
                .email
                .iter()
                .map(|email| ("email_key", Value::Text(EmailAddress::key_of(email))))
                .collect(),
        }
    }
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
) -> Result<Part<Member>, StorageError> {
    let asked = Asked {
        tenant,
        narrowed: &filter.narrowed(),
        order: match order {
            MemberOrder::Made => Order::Made,
            MemberOrder::Name => Order::By("name"),
            MemberOrder::Email => Order::By("email_key"),
        },
        descending,
        after,
        limit,
    };
    page(tx, &asked)
}

/// Reads up to `limit` members of whom words begin as sought, in the order of those words, from after a place. In the
/// places are the words.
///
/// It looks at a bounded number of members, and tells where it stopped.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    sought: &Sought,
    filter: &MemberFilter,
    after: Option<Place>,
    limit: i64,
) -> Result<Part<Member>, StorageError> {
    let asked = Asked {
        tenant,
        narrowed: &filter.narrowed(),
        order: Order::Found(sought),
        descending: false,
        after,
        limit,
    };
    page(tx, &asked)
}

fn page(tx: &mut impl Reads, asked: &Asked<'_>) -> Result<Part<Member>, StorageError> {
    let part = listing::page(tx.connection(), MEMBERS, asked)?;
    let members = by_ids(tx, asked.tenant, &part.ids())?;
    Ok(part.with(members))
}

/// Reads those of these members that are there.
fn by_ids(
    tx: &mut impl Reads,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Member>, StorageError> {
    let rows: Vec<(MemberRow, Option<SuspensionRow>)> = members::table
        .left_join(
            suspensions::table.on(suspensions::tenant_id
                .eq(members::tenant_id)
                .and(suspensions::subject_id.eq(members::id))),
        )
        .filter(members::tenant_id.eq(tenant.uuid()))
        .filter(members::id.eq_any(ids))
        .select((MemberRow::as_select(), Option::<SuspensionRow>::as_select()))
        .load(tx.connection())?;
    rows.into_iter()
        .map(|(row, suspension)| {
            let member = row.into_domain(suspension)?;
            Ok((member.id.uuid(), member))
        })
        .collect()
}
