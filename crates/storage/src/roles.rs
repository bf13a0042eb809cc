//! Roles of tenants' own.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{RoleId, TenantId};
use grantor_domain::own_role::{OwnRole, OwnRoleName, OwnRoleSettings};
use grantor_domain::permission::Permission;
use grantor_domain::text::Description;
use uuid::Uuid;

use crate::error::StorageError;
use crate::ownership;
use crate::schema::roles;
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

#[derive(Queryable, Selectable)]
#[diesel(table_name = roles)]
struct RoleRow {
    id: Uuid,
    name: String,
    description: String,
    permissions: Vec<String>,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl RoleRow {
    fn into_domain(self) -> Result<OwnRole, StorageError> {
        Ok(OwnRole {
            id: RoleId::from_uuid(self.id),
            settings: OwnRoleSettings {
                name: stored::parsed("role's name", &self.name, OwnRoleName::parse)?,
                description: stored::parsed(
                    "role's description",
                    &self.description,
                    Description::parse,
                )?,
                permissions: self
                    .permissions
                    .iter()
                    .filter_map(|permission| Permission::parse(permission))
                    .collect(),
            },
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

fn words(permissions: &BTreeSet<Permission>) -> Vec<&'static str> {
    permissions
        .iter()
        .map(|permission| permission.as_str())
        .collect()
}

/// Makes a role.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: RoleId,
    settings: &OwnRoleSettings,
) -> Result<(), StorageError> {
    let now = tx.now();
    diesel::insert_into(roles::table)
        .values((
            roles::tenant_id.eq(tenant.uuid()),
            roles::id.eq(id.uuid()),
            roles::name.eq(settings.name.as_str()),
            roles::description.eq(settings.description.as_str()),
            roles::permissions.eq(words(&settings.permissions)),
            roles::created_at.eq(now),
            roles::updated_at.eq(now),
        ))
        .execute(tx.touching(tenant, Subject::Role(id))?)?;
    Ok(())
}

/// Writes all that can be set of a role; tells whether it is there. What its holders can't own any more goes to the
/// root owner.
pub fn update(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: RoleId,
    settings: &OwnRoleSettings,
) -> Result<bool, StorageError> {
    // Whoever is just given it refers to its row: so there is nobody who holds it and whom this does not see.
    let _alone: Option<Uuid> = roles::table
        .find((tenant.uuid(), id.uuid()))
        .select(roles::id)
        .for_update()
        .first(tx.connection())
        .optional()?;
    let updated = diesel::update(roles::table.find((tenant.uuid(), id.uuid())))
        .set((
            roles::name.eq(settings.name.as_str()),
            roles::description.eq(settings.description.as_str()),
            roles::permissions.eq(words(&settings.permissions)),
        ))
        .execute(tx.touching(tenant, Subject::Role(id))?)?;
    ownership::settle_holders(tx, tenant, id)?;
    Ok(updated == 1)
}

/// Deletes a role that nobody holds; tells whether it was there. Where somebody does, or just comes to, a key
/// stands in its way.
pub fn delete(tx: &mut ChangeTx<'_>, tenant: TenantId, id: RoleId) -> Result<bool, StorageError> {
    let deleted = diesel::delete(roles::table.find((tenant.uuid(), id.uuid())))
        .execute(tx.touching(tenant, Subject::Role(id))?)?;
    Ok(deleted == 1)
}

/// Reads one role.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: RoleId,
) -> Result<Option<OwnRole>, StorageError> {
    let row: Option<RoleRow> = roles::table
        .find((tenant.uuid(), id.uuid()))
        .select(RoleRow::as_select())
        .first(tx.connection())
        .optional()?;
    row.map(RoleRow::into_domain).transpose()
}

/// Reads one role and keeps others from changing it, and what it permits from growing, until this change has
/// ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: RoleId,
) -> Result<Option<OwnRole>, StorageError> {
    let locked: Option<Uuid> = roles::table
        .find((tenant.uuid(), id.uuid()))
        .select(roles::id)
        .for_no_key_update()
        .first(tx.connection())
        .optional()?;
    match locked {
        Some(_) => find(tx, tenant, id),
        None => Ok(None),
    }
}

/// Reads up to `limit` roles of a tenant in the order of their making or against it, from after one.
pub fn list(
    tx: &mut impl Reads,
    tenant: TenantId,
    after: Option<RoleId>,
    descending: bool,
    limit: i64,
) -> Result<Vec<OwnRole>, StorageError> {
    let query = roles::table
        .filter(roles::tenant_id.eq(tenant.uuid()))
        .limit(limit)
        .select(RoleRow::as_select())
        .into_boxed();
    let after = after.map(RoleId::uuid);
    let query = if descending {
        query
            .filter(roles::id.lt(after.unwrap_or(Uuid::max())))
            .order(roles::id.desc())
    } else {
        query
            .filter(roles::id.gt(after.unwrap_or(Uuid::nil())))
            .order(roles::id.asc())
    };
    query
        .load::<RoleRow>(tx.connection())?
        .into_iter()
        .map(RoleRow::into_domain)
        .collect()
}
