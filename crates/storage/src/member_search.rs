//! Lists of members: in some order, narrowed, or found by how words of theirs begin.
//!
//! How long a page takes hangs on the page, not on how many members there are. Where few of many would have to be picked
//! out, a bounded number is looked at, and the page may be short.

mod list;
mod merged;
mod words;

use std::collections::HashMap;

use diesel::prelude::*;
use grantor_domain::ids::{MemberId, OrganizationId, TenantId};
use grantor_domain::member::{Member, MemberStatus};
use grantor_domain::text::EmailAddress;
use uuid::Uuid;

use crate::error::StorageError;
use crate::members::MemberRow;
use crate::schema::{members, suspensions};
use crate::suspensions::SuspensionRow;
use crate::transaction::Reads;

pub use self::list::list;
pub use self::words::{AtWord, search};

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
    /// The organizations, each once.
    fn organizations(&self) -> Option<Vec<Uuid>> {
        let mut ids: Vec<Uuid> = self
            .organizations
            .as_ref()?
            .iter()
            .map(|id| id.uuid())
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Some(ids)
    }

    /// The states that may be met with.
    fn statuses(&self) -> Vec<&'static str> {
        match self.status {
            Some(status) => vec![status.as_str()],
            None => vec![
                MemberStatus::Active.as_str(),
                MemberStatus::Disabled.as_str(),
            ],
        }
    }

    fn email_key(&self) -> Option<String> {
        self.email.as_deref().map(EmailAddress::key_of)
    }
}

/// Part of a list that is looked for among many.
#[derive(Debug)]
pub struct Part<T, P> {
    /// What was found, in the order of the list.
    pub found: Vec<T>,
    /// The place of the last that was looked at, if looking stopped there before as many were found as were asked for.
    /// The list goes on from it.
    pub stopped_at: Option<P>,
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

/// A place in an order: the name or the address of a member, where the order is by one, and the id.
type Place = (Option<String>, MemberId);
