//! Tenants and their root organizations.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::tenant::{NewTenant, Tenant};
use grantor_domain::text::OrganizationName;
use grantor_protocol::issuer::Issuer;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{organizations, tenant_suspensions, tenants};
use crate::stored;
use crate::suspensions::TenantSuspensionRow;
use crate::transaction::{ChangeTx, Reads, Subject};

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
    find_by(tx.connection(), id)
}

fn find_by(connection: &mut PgConnection, id: TenantId) -> Result<Option<Tenant>, StorageError> {
    tenants::table
        .left_join(tenant_suspensions::table.on(tenant_suspensions::tenant_id.eq(tenants::id)))
        .filter(tenants::id.eq(id.uuid()))
        .select((
            TenantRow::as_select(),
            Option::<TenantSuspensionRow>::as_select(),
        ))
        .first::<(TenantRow, Option<TenantSuspensionRow>)>(connection)
        .optional()?
        .map(|(tenant, suspension)| tenant.into_domain(suspension))
        .transpose()
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

/// Reads up to `limit` tenants in the order of their making or against it, from after `after`.
pub fn list(
    tx: &mut impl Reads,
    after: Option<TenantId>,
    descending: bool,
    limit: i64,
) -> Result<Vec<Tenant>, StorageError> {
    let query = tenants::table
        .left_join(tenant_suspensions::table.on(tenant_suspensions::tenant_id.eq(tenants::id)))
        .limit(limit)
        .select((
            TenantRow::as_select(),
            Option::<TenantSuspensionRow>::as_select(),
        ))
        .into_boxed();
    let after = after.map(TenantId::uuid);
    let query = if descending {
        query
            .filter(tenants::id.lt(after.unwrap_or(Uuid::max())))
            .order(tenants::id.desc())
    } else {
        query
            .filter(tenants::id.gt(after.unwrap_or(Uuid::nil())))
            .order(tenants::id.asc())
    };
    query
        .load::<(TenantRow, Option<TenantSuspensionRow>)>(tx.connection())?
        .into_iter()
        .map(|(tenant, suspension)| tenant.into_domain(suspension))
        .collect()
}
