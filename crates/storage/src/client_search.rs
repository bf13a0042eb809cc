//! Lists of clients: in some order, narrowed, or found by how words of theirs begin.

use std::collections::HashMap;

use diesel::prelude::*;
use grantor_domain::client::{Client, ClientStatus, ClientType};
use grantor_domain::ids::{MemberId, OrganizationId, TenantId};
use grantor_domain::search::Sought;
use uuid::Uuid;

use crate::clients::ClientRow;
use crate::error::StorageError;
use crate::listing::{self, Asked, Listed, Narrowed, Order, Part, Place, Value};
use crate::schema::{clients, suspensions};
use crate::suspensions::SuspensionRow;
use crate::transaction::Reads;

const CLIENTS: &Listed = &Listed {
    table: "clients",
    words: "client_words",
    whose: "client_id",
    states: &[
        ClientStatus::Active.as_str(),
        ClientStatus::Disabled.as_str(),
    ],
};

/// In which order clients are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientOrder {
    /// That of their making.
    Made,
    /// That of their names, and of their making where these are the same.
    Name,
}

/// Which clients are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientFilter {
    /// Those that live in one of these; their subtrees are not looked into.
    pub organizations: Option<Vec<OrganizationId>>,
    /// Those in this state.
    pub status: Option<ClientStatus>,
    /// Those of this type.
    pub client_type: Option<ClientType>,
    /// Those of this member.
    pub owner: Option<MemberId>,
}

impl ClientFilter {
    fn narrowed(&self) -> Narrowed {
        let owner = self.owner.map(|owner| Value::Uuid(owner.uuid()));
        let client_type = self
            .client_type
            .map(|client_type| Value::Text(client_type.as_str().to_owned()));
        Narrowed {
            organizations: self.organizations.as_deref().map(listing::each_once),
            status: self.status.map(ClientStatus::as_str),
            // An owner leads first: mostly a few clients have the same.
            equal: owner
                .map(|value| ("owner_id", value))
                .into_iter()
                .chain(client_type.map(|value| ("client_type", value)))
                .collect(),
        }
    }
}

/// Reads up to `limit` clients that meet a filter, in an order, from after a place in it. In the order of names the place
/// has the name of its client.
///
/// It looks at a bounded number of clients, and tells where it stopped.
pub fn list(
    tx: &mut impl Reads,
    tenant: TenantId,
    filter: &ClientFilter,
    order: ClientOrder,
    descending: bool,
    after: Option<Place>,
    limit: i64,
) -> Result<Part<Client>, StorageError> {
    let asked = Asked {
        tenant,
        narrowed: &filter.narrowed(),
        order: match order {
            ClientOrder::Made => Order::Made,
            ClientOrder::Name => Order::By("name"),
        },
        descending,
        after,
        limit,
    };
    page(tx, &asked)
}

/// Reads up to `limit` clients of which words begin as sought, in the order of those words, from after a place. In the
/// places are the words.
///
/// It looks at a bounded number of clients, and tells where it stopped.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    sought: &Sought,
    filter: &ClientFilter,
    after: Option<Place>,
    limit: i64,
) -> Result<Part<Client>, StorageError> {
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

fn page(tx: &mut impl Reads, asked: &Asked<'_>) -> Result<Part<Client>, StorageError> {
    let part = listing::page(tx.connection(), CLIENTS, asked)?;
    let clients = by_ids(tx, asked.tenant, &part.ids())?;
    Ok(part.with(clients))
}

/// Reads those of these clients that are there.
fn by_ids(
    tx: &mut impl Reads,
    tenant: TenantId,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Client>, StorageError> {
    let rows: Vec<(ClientRow, Option<SuspensionRow>)> = clients::table
        .left_join(
            suspensions::table.on(suspensions::tenant_id
                .eq(clients::tenant_id)
                .and(suspensions::subject_id.eq(clients::id))),
        )
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(ids))
        .select((ClientRow::as_select(), Option::<SuspensionRow>::as_select()))
        .load(tx.connection())?;
    rows.into_iter()
        .map(|(row, suspension)| {
            let client = row.into_domain(suspension)?;
            Ok((client.id.uuid(), client))
        })
        .collect()
}
