//! The tree of organizations of a tenant.

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Uuid as SqlUuid};
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::text::OrganizationName;
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::organizations;
use crate::transaction::{ChangeTx, Reads, Subject};

/// How deep a tree is looked into; what lies deeper is not found.
pub const DEEPEST: i32 = 32;
/// How many organizations a subtree tells of.
pub const MOST: i64 = 10_000;

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

fn ids(found: Vec<Found>) -> Vec<OrganizationId> {
    found
        .into_iter()
        .map(|row| OrganizationId::from_uuid(row.id))
        .collect()
}

/// The way from the root down to an organization, both included; nothing if there is no such organization.
pub fn path(
    tx: &mut impl Reads,
    tenant: TenantId,
    organization: OrganizationId,
) -> Result<Vec<OrganizationId>, StorageError> {
    let found: Vec<Found> = diesel::sql_query(
        "WITH RECURSIVE above AS ( \
             SELECT id, parent_id, 1 AS steps FROM organizations WHERE tenant_id = $1 AND id = $2 \
             UNION ALL \
             SELECT parent.id, parent.parent_id, steps + 1 FROM above \
             JOIN organizations AS parent ON parent.tenant_id = $1 AND parent.id = above.parent_id \
             WHERE steps < $3) \
         SELECT id FROM above ORDER BY steps DESC",
    )
    .bind::<SqlUuid, _>(tenant.uuid())
    .bind::<SqlUuid, _>(organization.uuid())
    .bind::<Integer, _>(DEEPEST)
    .load(tx.connection())?;
    Ok(ids(found))
}

/// These organizations and all that lie below them, each once, the upper ones first; [`MOST`] at most.
pub fn subtree(
    tx: &mut impl Reads,
    tenant: TenantId,
    tops: &[OrganizationId],
) -> Result<Vec<OrganizationId>, StorageError> {
    let tops: Vec<Uuid> = tops.iter().map(|top| top.uuid()).collect();
    let found: Vec<Found> = diesel::sql_query(format!(
        "WITH RECURSIVE below AS ( \
             SELECT id, 1 AS steps FROM organizations WHERE tenant_id = $1 AND id = ANY ($2) \
             UNION \
             SELECT child.id, steps + 1 FROM below \
             JOIN organizations AS child ON child.tenant_id = $1 AND child.parent_id = below.id \
             WHERE steps < $3) \
         SELECT id FROM below GROUP BY id ORDER BY min(steps), id LIMIT {MOST}"
    ))
    .bind::<SqlUuid, _>(tenant.uuid())
    .bind::<Array<SqlUuid>, _>(tops)
    .bind::<Integer, _>(DEEPEST)
    .load(tx.connection())?;
    Ok(ids(found))
}

/// Makes a business group under an organization that is there.
pub fn insert_group(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    parent: OrganizationId,
    id: OrganizationId,
    name: &OrganizationName,
) -> Result<(), StorageError> {
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
