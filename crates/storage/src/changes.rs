//! The change feed: which change touched what, in the order of the commits.
//!
//! Numbers go up and may skip; none arrives late. Old ones leave by partition, and the floor tells which are
//! still there: who has followed up to `floor - 1` or further has missed nothing.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Uuid as SqlUuid};
use grantor_domain::ids::{AuditEventId, TenantId};
use uuid::Uuid;

use crate::database::Database;
use crate::error::StorageError;
use crate::installation;
use crate::schema::changes;
use crate::transaction::{FlowTx, Reads};

/// One change of a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedEntry {
    /// Its number.
    pub sequence: i64,
    /// The event that the log of record has of it; of several the first.
    pub event: AuditEventId,
    /// What was done.
    pub action: String,
    /// The version of the event's particulars.
    pub version: i32,
    /// On what kind of thing.
    pub target_kind: String,
    /// On which one.
    pub target_id: String,
    /// What the change touched, as prefixed ids; the target need not be among them.
    pub subjects: Vec<String>,
    /// When.
    pub at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = changes)]
struct ChangeRow {
    sequence: i64,
    audit_event_id: Uuid,
    action: String,
    schema_version: i32,
    target_kind: String,
    target_id: String,
    subjects: Vec<String>,
    at: DateTime<Utc>,
}

/// Reads up to `limit` changes of a tenant after a number, in order.
pub fn page(
    tx: &mut impl Reads,
    tenant: TenantId,
    after: i64,
    limit: i64,
) -> Result<Vec<FeedEntry>, StorageError> {
    let rows: Vec<ChangeRow> = changes::table
        .filter(changes::tenant_id.eq(tenant.uuid()))
        .filter(changes::sequence.gt(after))
        .order(changes::sequence)
        .limit(limit)
        .select(ChangeRow::as_select())
        .load(tx.connection())?;
    Ok(rows
        .into_iter()
        .map(|row| FeedEntry {
            sequence: row.sequence,
            event: AuditEventId::from_uuid(row.audit_event_id),
            action: row.action,
            version: row.schema_version,
            target_kind: row.target_kind,
            target_id: row.target_id,
            subjects: row.subjects,
            at: row.at,
        })
        .collect())
}

/// Between which numbers a tenant's feed can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeedBounds {
    /// The installation's epoch; numbers of another one mean nothing.
    pub epoch: i64,
    /// The lowest number that is still kept.
    pub floor: i64,
    /// The tenant's last change; where it has none that is kept, the number below the floor.
    pub head: i64,
}

#[derive(QueryableByName)]
struct BoundsRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    epoch: Option<i64>,
    #[diesel(sql_type = BigInt)]
    floor: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    newest: Option<i64>,
}

/// Reads the bounds of a tenant's feed in one statement, so that they belong together: a partition that is
/// dropped meanwhile raises the floor in the same transaction.
pub fn bounds(tx: &mut impl Reads, tenant: TenantId) -> Result<FeedBounds, StorageError> {
    let row: BoundsRow = diesel::sql_query(
        "SELECT (SELECT epoch FROM installation) AS epoch, floor, \
                (SELECT max(sequence) FROM changes WHERE tenant_id = $1) AS newest \
         FROM change_feed",
    )
    .bind::<SqlUuid, _>(tenant.uuid())
    .get_result(tx.connection())?;
    Ok(FeedBounds {
        epoch: row.epoch.ok_or_else(installation::not_bootstrapped)?,
        floor: row.floor,
        head: row.newest.unwrap_or(row.floor - 1),
    })
}

/// How many rows one look at the heads goes through.
const LOOKED_AT: i64 = 10_000;

#[derive(QueryableByName)]
struct HeadsRow {
    #[diesel(sql_type = BigInt)]
    newest: i64,
    #[diesel(sql_type = Array<SqlUuid>)]
    tenants: Vec<Uuid>,
}

/// Which tenants have changes after a number, and the newest number seen, which the next call passes. While
/// the number goes up there may be more; once it stays, there is nothing new.
pub async fn heads_after(
    database: &Database,
    sequence: i64,
) -> Result<(i64, Vec<TenantId>), StorageError> {
    database
        .flow(move |tx: &mut FlowTx<'_>| {
            let row: HeadsRow = diesel::sql_query(
                "SELECT coalesce(max(sequence), $1) AS newest, \
                        coalesce(array_agg(DISTINCT tenant_id), '{}') AS tenants \
                 FROM (SELECT sequence, tenant_id FROM changes \
                       WHERE sequence > $1 ORDER BY sequence LIMIT $2) AS newer",
            )
            .bind::<BigInt, _>(sequence)
            .bind::<BigInt, _>(LOOKED_AT)
            .get_result(tx.connection)?;
            let tenants = row.tenants.into_iter().map(TenantId::from_uuid).collect();
            Ok((row.newest, tenants))
        })
        .await
}

#[derive(QueryableByName)]
struct NewestRow {
    #[diesel(sql_type = BigInt)]
    newest: i64,
}

/// The number of the newest change of all tenants: where a follower begins that has nothing to catch up with.
pub async fn newest(database: &Database) -> Result<i64, StorageError> {
    database
        .flow(|tx: &mut FlowTx<'_>| {
            let row: NewestRow = diesel::sql_query(
                "SELECT coalesce((SELECT max(sequence) FROM changes), floor - 1) AS newest FROM change_feed",
            )
            .get_result(tx.connection)?;
            Ok(row.newest)
        })
        .await
}
