//! The tree of organizations of a tenant.
//!
//! Whatever makes, moves or deletes an organization locks the tenant's root organization first: so changes of one tree
//! come one after the other, and what one of them has read of the tree holds until it has ended.

mod list;
mod tree;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::organization::{Contents, Organization};
use grantor_domain::text::OrganizationName;
use uuid::Uuid;

use crate::error::StorageError;
use crate::ownership;
use crate::schema::{clients, members, organizations, role_assignments};
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

pub use self::list::{OrganizationFilter, OrganizationOrder, search};
pub use self::tree::{Branch, branches, levels, path, subtree};

#[derive(Queryable, Selectable)]
#[diesel(table_name = organizations)]
struct OrganizationRow {
    id: Uuid,
    parent_id: Option<Uuid>,
    name: String,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl OrganizationRow {
    fn into_domain(self) -> Result<Organization, StorageError> {
        Ok(Organization {
            id: OrganizationId::from_uuid(self.id),
            parent: self.parent_id.map(OrganizationId::from_uuid),
            name: stored::parsed("organization's name", &self.name, OrganizationName::parse)?,
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// Keeps others from changing the tree until this change has ended, and tells its root. What is read of the tree
/// before this may be another already.
pub fn lock_tree(tx: &mut ChangeTx<'_>, tenant: TenantId) -> Result<OrganizationId, StorageError> {
    // Not FOR UPDATE: whoever makes a client in the root organization refers to its row, and need not wait.
    let root: Option<Uuid> = organizations::table
        .filter(organizations::tenant_id.eq(tenant.uuid()))
        .filter(organizations::parent_id.is_null())
        .select(organizations::id)
        .for_no_key_update()
        .first(tx.connection())
        .optional()?;
    root.map(OrganizationId::from_uuid)
        .ok_or_else(|| StorageError::corrupt("tree", format!("{tenant} has no root")))
}

/// Makes a business group under an organization that is there.
pub fn insert_group(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    parent: OrganizationId,
    id: OrganizationId,
    name: &OrganizationName,
) -> Result<(), StorageError> {
    lock_tree(tx, tenant)?;
    let now = tx.now();
    // Its parent's subtree is another from here on.
    tx.touching(tenant, Subject::Organization(parent))?;
    diesel::insert_into(organizations::table)
        .values((
            organizations::tenant_id.eq(tenant.uuid()),
            organizations::id.eq(id.uuid()),
            organizations::parent_id.eq(parent.uuid()),
            organizations::name.eq(name.as_str()),
            organizations::created_at.eq(now),
            organizations::updated_at.eq(now),
        ))
        .execute(tx.touching(tenant, Subject::Organization(id))?)?;
    Ok(())
}

/// Gives an organization another name; tells whether it is there.
pub fn rename(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: OrganizationId,
    name: &OrganizationName,
) -> Result<bool, StorageError> {
    let renamed = diesel::update(organizations::table.find((tenant.uuid(), id.uuid())))
        .set(organizations::name.eq(name.as_str()))
        .execute(tx.touching(tenant, Subject::Organization(id))?)?;
    Ok(renamed == 1)
}

/// Puts a business group, with all that lies below it, under another organization. That the tree stays one is decided
/// before, with the tree locked. Clients whose owners administer them no more go to the root owner.
pub fn put_under(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: OrganizationId,
    from: OrganizationId,
    to: OrganizationId,
) -> Result<bool, StorageError> {
    lock_tree(tx, tenant)?;
    for parent in [from, to] {
        tx.touching(tenant, Subject::Organization(parent))?;
    }
    let put = diesel::update(organizations::table.find((tenant.uuid(), id.uuid())))
        .filter(organizations::parent_id.eq(from.uuid()))
        .set(organizations::parent_id.eq(to.uuid()))
        .execute(tx.touching(tenant, Subject::Organization(id))?)?;
    let moved = tree::subtree(tx, tenant, &[id])?;
    ownership::settle_within(tx, tenant, &moved)?;
    Ok(put == 1)
}

/// Deletes a business group that is empty.
pub fn delete(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: OrganizationId,
    parent: OrganizationId,
) -> Result<(), StorageError> {
    lock_tree(tx, tenant)?;
    tx.touching(tenant, Subject::Organization(parent))?;
    diesel::delete(organizations::table.find((tenant.uuid(), id.uuid())))
        .execute(tx.touching(tenant, Subject::Organization(id))?)?;
    Ok(())
}

/// What is in an organization itself, and from here on nothing more gets into it until this change has ended: whoever is
/// about to put something there has done it by now, or waits for this change.
pub fn contents_for_deletion(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: OrganizationId,
) -> Result<Contents, StorageError> {
    lock_tree(tx, tenant)?;
    let connection = tx.connection();
    organizations::table
        .find((tenant.uuid(), id.uuid()))
        .select(organizations::id)
        .for_update()
        .first::<Uuid>(connection)
        .optional()?;
    // An index leads to the first of them, and no more are looked at.
    macro_rules! count {
        ($table:ident, $column:ident) => {{
            let first: Vec<Uuid> = $table::table
                .filter($table::tenant_id.eq(tenant.uuid()))
                .filter($table::$column.eq(id.uuid()))
                .select($table::id)
                .limit(Contents::COUNTED)
                .load(connection)?;
            i64::try_from(first.len()).unwrap_or(Contents::COUNTED)
        }};
    }
    Ok(Contents {
        groups: count!(organizations, parent_id),
        clients: count!(clients, organization_id),
        members: count!(members, organization_id),
        role_assignments: count!(role_assignments, organization_id),
    })
}

/// Reads one organization.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: OrganizationId,
) -> Result<Option<Organization>, StorageError> {
    organizations::table
        .find((tenant.uuid(), id.uuid()))
        .select(OrganizationRow::as_select())
        .first(tx.connection())
        .optional()?
        .map(OrganizationRow::into_domain)
        .transpose()
}

/// Reads one organization and keeps others from changing it until this change has ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: OrganizationId,
) -> Result<Option<Organization>, StorageError> {
    let locked: Option<Uuid> = organizations::table
        .find((tenant.uuid(), id.uuid()))
        .select(organizations::id)
        .for_no_key_update()
        .first(tx.connection())
        .optional()?;
    // Read after the lock was had: so it is what the change before this one left.
    if locked.is_some() {
        find(tx, tenant, id)
    } else {
        Ok(None)
    }
}

/// The names of those of these organizations that are there.
pub fn names(
    tx: &mut impl Reads,
    tenant: TenantId,
    ids: impl Iterator<Item = OrganizationId>,
) -> Result<BTreeMap<OrganizationId, String>, StorageError> {
    let ids: Vec<Uuid> = ids.map(OrganizationId::uuid).collect();
    let rows: Vec<(Uuid, String)> = organizations::table
        .filter(organizations::tenant_id.eq(tenant.uuid()))
        .filter(organizations::id.eq_any(ids))
        .select((organizations::id, organizations::name))
        .load(tx.connection())?;
    Ok(rows
        .into_iter()
        .map(|(id, name)| (OrganizationId::from_uuid(id), name))
        .collect())
}
