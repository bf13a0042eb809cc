//! Removing what a deleted tenant left, in small steps behind the deletion.
//!
//! A tenant is dead through its mark in `tenant_suspensions` alone, so nobody waits for this and nothing goes
//! wrong while it isn't done. Any number of servers share the work: each step claims a tenant for as long as its
//! transaction lasts, and what a step did not get to is found again by the next, whoever takes it. What stays is
//! the tenant's row, so that its id and issuer are never used again, the mark, and the log of record; tokens, the
//! outbox and the change feed leave by partition.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Uuid as SqlUuid};
use grantor_domain::ids::TenantId;
use uuid::Uuid;

use crate::database::Database;
use crate::error::StorageError;
use crate::schema::{tenant_suspensions, tenants};

/// The tables whose rows go with their tenant, those that refer to others before these. A migration that makes
/// a table calls `let_purge` for it, and its name comes into this list.
const PURGED: &[&str] = &[
    "client_secrets",
    "client_words",
    "client_enablements",
    "resource_server_introspectors",
    "resource_server_scopes",
    "role_assignments",
    "clients",
    "member_words",
    "authenticators",
    "members",
    "roles",
    "rotation_marks",
    "last_uses",
    "client_alerts",
    "resource_servers",
    "resource_server_keys",
    "signing_keys",
    "organizations",
    "suspensions",
    "tenant_settings",
    "tenant_quotas",
    // Last: what goes is counted.
    "tenant_usage",
];

/// How many rows one step removes at most.
pub const STEP: i64 = 500;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purged {
    /// The tenant that it was about.
    pub tenant: TenantId,
    /// How many rows it removed.
    pub rows: i64,
    /// Whether nothing is left, and so nothing to do any more.
    pub is_over: bool,
}

#[derive(QueryableByName)]
struct Removed {
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// Removes some of what one deleted tenant left; nothing when there is no such tenant, or others have them all.
pub async fn step(database: &Database, now: DateTime<Utc>) -> Result<Option<Purged>, StorageError> {
    database
        .bookkeeping(move |connection| purge_some(connection, now))
        .await
}

fn purge_some(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Option<Purged>, StorageError> {
    let claimed: Option<Uuid> = tenant_suspensions::table
        .filter(tenant_suspensions::deleted_at.is_not_null())
        .filter(tenant_suspensions::purged_at.is_null())
        .order(tenant_suspensions::tenant_id)
        .select(tenant_suspensions::tenant_id)
        .limit(1)
        .for_update()
        .skip_locked()
        .first(connection)
        .optional()?;
    let Some(tenant) = claimed else {
        return Ok(None);
    };
    diesel::sql_query("SELECT set_config('grantor.tenant', $1, true)")
        .bind::<Text, _>(tenant.to_string())
        .execute(connection)?;
    // Members can't go while the tenant's row names one of them.
    diesel::update(tenants::table.find(tenant))
        .filter(tenants::root_owner_id.is_not_null())
        .set(tenants::root_owner_id.eq(None::<Uuid>))
        .execute(connection)?;
    let mut rows = 0;
    for table in PURGED {
        let removed: Removed = diesel::sql_query("SELECT purge_rows($1, $2, $3) AS rows")
            .bind::<Text, _>(*table)
            .bind::<SqlUuid, _>(tenant)
            .bind::<BigInt, _>(STEP - rows)
            .get_result(connection)?;
        rows += removed.rows;
        if rows >= STEP {
            break;
        }
    }
    // A step that found something may have left what lay above it.
    let is_over = rows == 0;
    if is_over {
        diesel::update(tenant_suspensions::table.find(tenant))
            .set(tenant_suspensions::purged_at.eq(now))
            .execute(connection)?;
    }
    Ok(Some(Purged {
        tenant: TenantId::from_uuid(tenant),
        rows,
        is_over,
    }))
}
