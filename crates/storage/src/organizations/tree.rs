//! Ways through the tree: up to the root, and down to all that lies below.

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Nullable, Text, Uuid as SqlUuid};
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::organization::DEEPEST;
use grantor_domain::text::OrganizationName;
use uuid::Uuid;

use crate::error::StorageError;
use crate::stored;
use crate::transaction::Reads;

pub(super) const PATH: &str = "WITH RECURSIVE above AS ( \
    SELECT id, parent_id, 1 AS steps FROM organizations WHERE tenant_id = $1 AND id = $2 \
    UNION ALL \
    SELECT parent.id, parent.parent_id, steps + 1 FROM above \
    JOIN organizations AS parent ON parent.tenant_id = $1 AND parent.id = above.parent_id \
    WHERE steps < $3) \
    SELECT id FROM above ORDER BY steps DESC";

// Each step down is a look into the index. Where most lie right below their root, the planner takes every organization to
// have thousands below it, and would read the organizations of all tenants, for each of them or for each level. Of what lies
// between two bounds it expects little, and OFFSET 0 keeps it from joining in another way.
pub(super) const SUBTREE: &str = "WITH RECURSIVE below AS ( \
    SELECT id, 1 AS steps FROM organizations WHERE tenant_id = $1 AND id = ANY ($2) \
    UNION \
    SELECT child.id, steps + 1 FROM below \
    CROSS JOIN LATERAL (SELECT id, parent_id, name FROM organizations WHERE tenant_id = $1 AND parent_id BETWEEN below.id AND below.id OFFSET 0) AS child \
    WHERE steps < $3) \
    SELECT id FROM below GROUP BY id ORDER BY min(steps), id";

pub(super) const BRANCHES: &str = "WITH RECURSIVE below AS ( \
    SELECT id, parent_id, name, 1 AS steps FROM organizations WHERE tenant_id = $1 AND id = ANY ($2) \
    UNION \
    SELECT child.id, child.parent_id, child.name, steps + 1 FROM below \
    CROSS JOIN LATERAL (SELECT id, parent_id, name FROM organizations WHERE tenant_id = $1 AND parent_id BETWEEN below.id AND below.id OFFSET 0) AS child \
    WHERE steps < $3) \
    SELECT DISTINCT id, parent_id, name FROM below ORDER BY name, id";

const LEVELS: &str = "WITH RECURSIVE below AS ( \
    SELECT id, 1 AS steps FROM organizations WHERE tenant_id = $1 AND id = $2 \
    UNION ALL \
    SELECT child.id, steps + 1 FROM below \
    CROSS JOIN LATERAL (SELECT id, parent_id, name FROM organizations WHERE tenant_id = $1 AND parent_id BETWEEN below.id AND below.id OFFSET 0) AS child \
    WHERE steps < $3) \
    SELECT coalesce(max(steps), 0) AS levels FROM below";

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

fn deepest() -> i32 {
    i32::try_from(DEEPEST).unwrap_or(i32::MAX)
}

/// The way from the root down to an organization, both included; nothing if there is no such organization.
pub fn path(
    tx: &mut impl Reads,
    tenant: TenantId,
    organization: OrganizationId,
) -> Result<Vec<OrganizationId>, StorageError> {
    let found: Vec<Found> = diesel::sql_query(PATH)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<SqlUuid, _>(organization.uuid())
        .bind::<Integer, _>(deepest())
        .load(tx.connection())?;
    Ok(ids(found))
}

/// These organizations and all that lie below them, each once, the upper ones first. All of them: how many a tenant may
/// have is bounded by its quota.
pub fn subtree(
    tx: &mut impl Reads,
    tenant: TenantId,
    tops: &[OrganizationId],
) -> Result<Vec<OrganizationId>, StorageError> {
    let tops: Vec<Uuid> = tops.iter().map(|top| top.uuid()).collect();
    let found: Vec<Found> = diesel::sql_query(SUBTREE)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Array<SqlUuid>, _>(tops)
        .bind::<Integer, _>(deepest())
        .load(tx.connection())?;
    Ok(ids(found))
}

/// An organization as a part of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Its id.
    pub id: OrganizationId,
    /// The one that it lies under.
    pub parent: Option<OrganizationId>,
    /// Its name.
    pub name: OrganizationName,
}

#[derive(QueryableByName)]
struct BranchRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    parent_id: Option<Uuid>,
    #[diesel(sql_type = Text)]
    name: String,
}

/// These organizations and what lies below them, down to so many levels in all, each once, in the order of their names.
pub fn branches(
    tx: &mut impl Reads,
    tenant: TenantId,
    tops: &[OrganizationId],
    levels: usize,
) -> Result<Vec<Branch>, StorageError> {
    let tops: Vec<Uuid> = tops.iter().map(|top| top.uuid()).collect();
    let rows: Vec<BranchRow> = diesel::sql_query(BRANCHES)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Array<SqlUuid>, _>(tops)
        .bind::<Integer, _>(i32::try_from(levels.min(DEEPEST)).unwrap_or(i32::MAX))
        .load(tx.connection())?;
    rows.into_iter()
        .map(|row| {
            Ok(Branch {
                id: OrganizationId::from_uuid(row.id),
                parent: row.parent_id.map(OrganizationId::from_uuid),
                name: stored::parsed("organization's name", &row.name, OrganizationName::parse)?,
            })
        })
        .collect()
}

#[derive(QueryableByName)]
struct Levels {
    #[diesel(sql_type = Integer)]
    levels: i32,
}

/// How many organizations lie one below the other from this one down, itself included.
pub fn levels(
    tx: &mut impl Reads,
    tenant: TenantId,
    top: OrganizationId,
) -> Result<usize, StorageError> {
    let found: Levels = diesel::sql_query(LEVELS)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<SqlUuid, _>(top.uuid())
        .bind::<Integer, _>(deepest())
        .get_result(tx.connection())?;
    Ok(usize::try_from(found.levels).unwrap_or(DEEPEST))
}
