//! Tenants and their root organizations. A deleted tenant is nowhere to be found here; its row stays, so that its
//! id and issuer are never used again.

mod list;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::tenant::{NewTenant, Tenant};
use grantor_domain::text::{EmailAddress, OrganizationName, PersonName};
use grantor_protocol::issuer::Issuer;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{members, organizations, tenant_suspensions, tenants};
use crate::standing;
use crate::stored;
use crate::suspensions::{TenantSuspensionRow, mark_tenant_deleted};
use crate::transaction::{ChangeTx, Connected as _, Reads, Subject};

pub use self::list::{TenantFilter, TenantOrder, search};

#[derive(Queryable, Selectable, Insertable)]
#[diesel(table_name = tenants)]
struct TenantRow {
    id: Uuid,
    name: String,
    issuer: String,
    is_platform: bool,
    root_organization_id: Uuid,
    revision: i64,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TenantRow {
    fn into_domain(self, suspension: Option<TenantSuspensionRow>) -> Result<Tenant, StorageError> {
        Ok(Tenant {
            id: TenantId::from_uuid(self.id),
            name: stored::parsed("tenant's name", &self.name, OrganizationName::parse)?,
            issuer: stored::parsed("issuer", &self.issuer, Issuer::parse)?,
            is_platform: self.is_platform,
            root_organization: OrganizationId::from_uuid(self.root_organization_id),
            revision: self.revision,
            created_at: self.created_at,
            updated_at: self.updated_at,
            suspension: suspension.unwrap_or_default().into_domain()?,
        })
    }
}

/// Makes a tenant and its root organization, which bears the tenant's name.
pub fn insert(tx: &mut ChangeTx<'_>, tenant: &NewTenant) -> Result<(), StorageError> {
    let now = tx.now();
    let connection = tx.touching(tenant.id, Subject::Tenant(tenant.id))?;
    diesel::insert_into(tenants::table)
        .values(TenantRow {
            id: tenant.id.uuid(),
            name: tenant.name.as_str().to_owned(),
            issuer: tenant.issuer.as_str().to_owned(),
            is_platform: tenant.is_platform,
            root_organization_id: tenant.root_organization.uuid(),
            revision: 1,
            created_at: now,
            updated_at: now,
        })
        .execute(connection)?;
    let root = tenant.root_organization;
    diesel::insert_into(organizations::table)
        .values((
            organizations::tenant_id.eq(tenant.id.uuid()),
            organizations::id.eq(root.uuid()),
            organizations::name.eq(tenant.name.as_str()),
            organizations::created_at.eq(now),
            organizations::updated_at.eq(now),
        ))
        .execute(tx.touching(tenant.id, Subject::Organization(root))?)?;
    Ok(())
}

/// Reads one tenant.
pub fn find(tx: &mut impl Reads, id: TenantId) -> Result<Option<Tenant>, StorageError> {
    tenants::table
        .left_join(tenant_suspensions::table.on(tenant_suspensions::tenant_id.eq(tenants::id)))
        .filter(tenants::id.eq(id.uuid()))
        .filter(tenant_suspensions::deleted_at.is_null())
        .select((
            TenantRow::as_select(),
            Option::<TenantSuspensionRow>::as_select(),
        ))
        .first::<(TenantRow, Option<TenantSuspensionRow>)>(tx.connection())
        .optional()?
        .map(|(tenant, suspension)| tenant.into_domain(suspension))
        .transpose()
}

/// Reads one tenant for an operator to change: once no change of the tenant is under way any more, and with others
/// kept out until this one has ended.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    id: TenantId,
) -> Result<Option<Tenant>, StorageError> {
    standing::take_alone(tx.connection(), id)?;
    // Read after the lock was had: so it is what the change before this one left.
    find(tx, id)
}

/// Reads one tenant for an operator to change something that lies in it: until that has ended the tenant is neither
/// suspended nor deleted.
pub fn find_and_hold(tx: &mut ChangeTx<'_>, id: TenantId) -> Result<Option<Tenant>, StorageError> {
    standing::share(tx.connection(), id)?;
    find(tx, id)
}

/// The tenant of the operators, once the installation is bootstrapped.
pub fn find_platform(tx: &mut impl Reads) -> Result<Option<Tenant>, StorageError> {
    let id: Option<Uuid> = tenants::table
        .filter(tenants::is_platform)
        .select(tenants::id)
        .first(tx.connection())
        .optional()?;
    match id {
        Some(id) => find(tx, TenantId::from_uuid(id)),
        None => Ok(None),
    }
}

/// To whom a tenant's owners are written: its root owner, if it has one.
pub fn root_owner(
    tx: &mut impl Reads,
    id: TenantId,
) -> Result<Option<(PersonName, EmailAddress)>, StorageError> {
    let found: Option<(String, String)> = tenants::table
        .inner_join(
            members::table.on(members::tenant_id
                .eq(tenants::id)
                .and(tenants::root_owner_id.eq(members::id.nullable()))),
        )
        .filter(tenants::id.eq(id.uuid()))
        .select((members::name, members::email))
        .first(tx.connection())
        .optional()?;
    found
        .map(|(name, email)| {
            Ok((
                stored::parsed("member's name", &name, PersonName::parse)?,
                stored::parsed("member's address", &email, EmailAddress::parse)?,
            ))
        })
        .transpose()
}

/// Gives a tenant a name and an issuer.
pub fn update(
    tx: &mut ChangeTx<'_>,
    id: TenantId,
    name: &OrganizationName,
    issuer: &Issuer,
) -> Result<(), StorageError> {
    diesel::update(tenants::table.find(id.uuid()))
        .set((
            tenants::name.eq(name.as_str()),
            tenants::issuer.eq(issuer.as_str()),
        ))
        .execute(tx.touching(id, Subject::Tenant(id))?)?;
    Ok(())
}

/// Deletes a tenant for good: a mark, however much there is in it. What it leaves is removed by [`crate::purge`].
pub fn delete(tx: &mut ChangeTx<'_>, id: TenantId) -> Result<(), StorageError> {
    mark_tenant_deleted(tx, id)
}

/// Reads up to `limit` tenants in the order of their making or against it, from after `after`.
pub fn list(
    tx: &mut impl Reads,
    after: Option<TenantId>,
    descending: bool,
    limit: i64,
) -> Result<Vec<Tenant>, StorageError> {
    let after = after.map(|id| (None, id));
    search(
        tx,
        &TenantFilter::default(),
        TenantOrder::Made,
        descending,
        after,
        limit,
    )
}
