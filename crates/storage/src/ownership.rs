//! Whose clients are, and what becomes of their secrets when they change hands (`owner_1` to `owner_3`).
//!
//! Whatever can take away what an owner owns by calls this from where it is written, so that no caller has to think of
//! it: a member deleted, disabled or moved, a role taken away or changed, a group or a client moved. What follows from
//! it stands in the same transaction, with events of its own.
//!
//! Whoever becomes an owner is locked before their rights are looked at, as is the tree, and whoever takes rights away
//! has locked or written the same rows: so of two at once the second sees what the first has done. Locks are taken in
//! one order where that can be: the tree, members, clients. Where it can't, because whoever moves a client has that
//! first, PostgreSQL ends one of two that wait for each other, and it is told to try again.

mod due;
mod hand;
mod holdings;
mod marks;

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use grantor_domain::audit::Events;
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, RoleId, SecretId, TenantId};
use grantor_domain::ownership::{TransferCause, may_own};
use uuid::Uuid;

pub use self::due::{DueFilter, DuePage, DueSecret, due};
use self::hand::hand;
pub use self::holdings::{
    Among, KnownSecret, OwnedClient, known_secrets, owned_clients, places_of,
};
use self::holdings::{hold_owned, owned_by, owned_within};
pub(crate) use self::marks::keep_due;
pub use self::marks::marks;
use crate::error::StorageError;
use crate::role_assignments::Holder;
use crate::schema::{
    clients as clients_table, members as members_table, organizations as organizations_table,
    role_assignments as assignments_table,
};
use crate::transaction::{ChangeTx, Connected, Reads};
use crate::{members, organizations, role_assignments, root_owner, tenants};

/// A secret with the client whose it is.
pub type Held = (ClientId, SecretId);

/// Why a client goes when its owner can't own it any more where it lives.
pub(crate) const RIGHTS_LOST: TransferCause = TransferCause::RightsLost;

/// Whether a member may own what lives in an organization. They and the tree stay as they are until this change has
/// ended, so that what is found holds when it is committed.
pub fn check(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    organization: OrganizationId,
) -> Result<bool, StorageError> {
    Ok(hold(tx, tenant, owner)? && is_able(tx, tenant, owner, organization)?)
}

/// Keeps the tree and a member from changing, on which it hangs what they may own; tells whether they are there. Whoever
/// locks a client besides does so after this.
pub fn hold(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
) -> Result<bool, StorageError> {
    hold_tree(tx, tenant)?;
    hold_member(tx, tenant, member)
}

fn is_able(
    tx: &mut impl Reads,
    tenant: TenantId,
    owner: MemberId,
    organization: OrganizationId,
) -> Result<bool, StorageError> {
    let (Some(member), Some(home)) = (
        members::find(tx, tenant, owner)?,
        tenants::find(tx, tenant)?.map(|tenant| tenant.home()),
    ) else {
        return Ok(false);
    };
    let roles = role_assignments::roles_of(tx, tenant, Holder::Member(owner))?;
    let path = organizations::path(tx, tenant, organization)?;
    Ok(may_own(&member, &roles, home, &path))
}

/// Keeps the tree from changing; others may do the same.
fn hold_tree(tx: &mut ChangeTx<'_>, tenant: TenantId) -> Result<(), StorageError> {
    let _root: Option<Uuid> = organizations_table::table
        .filter(organizations_table::tenant_id.eq(tenant.uuid()))
        .filter(organizations_table::parent_id.is_null())
        .select(organizations_table::id)
        .for_share()
        .first(tx.connection())
        .optional()?;
    Ok(())
}

fn hold_member(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
) -> Result<bool, StorageError> {
    let held: Option<Uuid> = members_table::table
        .find((tenant.uuid(), member.uuid()))
        .select(members_table::id)
        .for_share()
        .first(tx.connection())
        .optional()?;
    Ok(held.is_some())
}

/// Hands a client over to a member who may own it, on behalf of an administrator. What the log of record says of it is
/// for the caller to write; nothing if it is theirs already.
pub fn transfer(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: &Client,
    to: MemberId,
) -> Result<Option<Events>, StorageError> {
    let moved = [(client.id, client.organization)];
    let cause = TransferCause::Transferred;
    let events = hand(tx, tenant, client.owner, Some(to), &moved, cause)?;
    let mut events = events.into_iter();
    Ok(events
        .next()
        .map(|first| events.fold(Events::from(first), Events::and)))
}

/// Hands over to the root owner whatever of a member's clients they can't own any more where it lives.
pub(crate) fn settle(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    cause: TransferCause,
) -> Result<(), StorageError> {
    hold(tx, tenant, owner)?;
    let all = owned_by(tx, tenant, owner)?;
    settle_held(tx, tenant, owner, all, cause)
}

/// The same, with the tree locked; and the member too, unless it is the tree that changes.
fn settle_held(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    all: Vec<(ClientId, OrganizationId)>,
    cause: TransferCause,
) -> Result<(), StorageError> {
    let mut able: BTreeMap<OrganizationId, bool> = BTreeMap::new();
    let mut lost = Vec::new();
    for (client, organization) in all {
        let known = able.get(&organization).copied();
        let is_able = known.map_or_else(|| is_able(tx, tenant, owner, organization), Ok)?;
        able.insert(organization, is_able);
        if !is_able {
            lost.push(client);
        }
    }
    to_root_owner(tx, tenant, owner, &lost, cause)
}

/// The same of everybody who owns anything in these organizations, after the tree has changed there. They are not locked:
/// whoever takes rights from one of them meanwhile waits for the tree, and settles by what this has left.
pub(crate) fn settle_within(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    organizations: &[OrganizationId],
) -> Result<(), StorageError> {
    for (owner, all) in owned_within(tx, tenant, organizations)? {
        settle_held(tx, tenant, owner, all, RIGHTS_LOST)?;
    }
    Ok(())
}

/// The same of everybody who holds a role, after that permits something else. Nobody comes to hold it meanwhile.
pub(crate) fn settle_holders(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    role: RoleId,
) -> Result<(), StorageError> {
    let holders: BTreeSet<Uuid> = assignments_table::table
        .filter(assignments_table::tenant_id.eq(tenant.uuid()))
        .filter(assignments_table::role_id.eq(role.uuid()))
        .filter(assignments_table::member_id.is_not_null())
        .select(assignments_table::member_id.assume_not_null())
        .load(tx.connection())?
        .into_iter()
        .collect();
    let all: Vec<Uuid> = holders.iter().copied().collect();
    // Whoever just becomes an owner by this role has locked their row until that is committed.
    let _held: Vec<Uuid> = members_table::table
        .filter(members_table::tenant_id.eq(tenant.uuid()))
        .filter(members_table::id.eq_any(all))
        .select(members_table::id)
        .order(members_table::id)
        .for_no_key_update()
        .load(tx.connection())?;
    for holder in holders {
        settle(tx, tenant, MemberId::from_uuid(holder), RIGHTS_LOST)?;
    }
    Ok(())
}

/// Hands over to the root owner whatever a member owns who goes away and is locked, and marks the secrets that they have
/// made.
pub(crate) fn release(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    cause: TransferCause,
) -> Result<(), StorageError> {
    let all: Vec<ClientId> = owned_by(tx, tenant, owner)?
        .into_iter()
        .map(|(client, _)| client)
        .collect();
    to_root_owner(tx, tenant, owner, &all, cause)?;
    // Those besides that they have made elsewhere.
    let made = marks::unexposed_made_by(tx, tenant, owner, None)?;
    for event in marks::expose(tx, tenant, owner, made, cause)? {
        tx.also(event);
    }
    Ok(())
}

/// Hands over everything that a member owns, who is locked, to another who may own all of it, because the one goes away.
/// Tells the clients that the other may not own; if there are any, nothing has changed hands.
pub fn pass_on(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    to: MemberId,
    cause: TransferCause,
) -> Result<Vec<ClientId>, StorageError> {
    let is_there = hold(tx, tenant, to)?;
    let all = hold_all_of(tx, tenant, owner)?;
    let places: BTreeSet<OrganizationId> = all.iter().map(|(_, place)| *place).collect();
    let mut unable = BTreeSet::new();
    for place in places {
        if !(is_there && is_able(tx, tenant, to, place)?) {
            unable.insert(place);
        }
    }
    let refused: Vec<ClientId> = all
        .iter()
        .filter(|(_, place)| unable.contains(place))
        .map(|(client, _)| *client)
        .collect();
    if refused.is_empty() {
        for event in hand(tx, tenant, Some(owner), Some(to), &all, cause)? {
            tx.also(event);
        }
    }
    Ok(refused)
}

/// Gives the first root owner of a tenant whatever was made while there was none.
pub fn adopt(tx: &mut ChangeTx<'_>, tenant: TenantId, owner: MemberId) -> Result<(), StorageError> {
    let of_nobody: Vec<(Uuid, Uuid)> = clients_table::table
        .filter(clients_table::tenant_id.eq(tenant.uuid()))
        .filter(clients_table::owner_id.is_null())
        .order(clients_table::id)
        .select((clients_table::id, clients_table::organization_id))
        .for_no_key_update()
        .load(tx.connection())?;
    let of_nobody: Vec<(ClientId, OrganizationId)> = of_nobody
        .into_iter()
        .map(|(client, place)| {
            (
                ClientId::from_uuid(client),
                OrganizationId::from_uuid(place),
            )
        })
        .collect();
    let cause = TransferCause::Transferred;
    for event in hand(tx, tenant, None, Some(owner), &of_nobody, cause)? {
        tx.also(event);
    }
    Ok(())
}

/// Keeps everything that a member owns, who is locked, from changing until this change has ended; tells it, with where
/// it lives.
pub fn hold_all_of(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
) -> Result<Vec<(ClientId, OrganizationId)>, StorageError> {
    let all: Vec<ClientId> = owned_by(tx, tenant, owner)?
        .into_iter()
        .map(|(client, _)| client)
        .collect();
    hold_owned(tx, tenant, owner, &all)
}

fn to_root_owner(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    lost: &[ClientId],
    cause: TransferCause,
) -> Result<(), StorageError> {
    if lost.is_empty() {
        return Ok(());
    }
    let to = hold_root_owner(tx, tenant)?;
    let lost = hold_owned(tx, tenant, owner, lost)?;
    for event in hand(tx, tenant, Some(owner), to, &lost, cause)? {
        tx.also(event);
    }
    Ok(())
}

/// The root owner, who stays as they are until this change has ended.
pub fn hold_root_owner(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
) -> Result<Option<MemberId>, StorageError> {
    let mut found = root_owner::find(tx, tenant)?;
    while let Some(owner) = found {
        hold_member(tx, tenant, owner)?;
        // By the time that the row is had it may be another.
        let now = root_owner::find(tx, tenant)?;
        if now == found {
            break;
        }
        found = now;
    }
    Ok(found)
}
