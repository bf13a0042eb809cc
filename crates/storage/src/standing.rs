//! Whether a tenant takes changes, in a way that holds until the change has ended (`tenant_2`).
//!
//! A change of a tenant shares a lock that whoever suspends or deletes the tenant takes alone. So a suspension
//! waits for the changes that are under way, and those that come later see it: when it has returned, nothing
//! that began before is left to commit. The locks are PostgreSQL's advisory ones and not on the tenant's row,
//! which a change may want to write while a suspension waits for it.

use diesel::prelude::*;
use diesel::sql_types::Integer;
use grantor_domain::audit::Actor;
use grantor_domain::ids::TenantId;

use crate::error::StorageError;
use crate::schema::tenant_suspensions;

/// Tells these locks from others that are made of two numbers.
const KIND: i32 = 1;

/// Two tenants may share a number: then the one waits for the other, and no more.
fn number(tenant: TenantId) -> i32 {
    let [.., a, b, c, d] = *tenant.uuid().as_bytes();
    i32::from_be_bytes([a, b, c, d])
}

/// Keeps a tenant from being suspended and deleted until the transaction ends.
pub(crate) fn share(connection: &mut PgConnection, tenant: TenantId) -> Result<(), StorageError> {
    diesel::sql_query("SELECT pg_advisory_xact_lock_shared($1, $2)")
        .bind::<Integer, _>(KIND)
        .bind::<Integer, _>(number(tenant))
        .execute(connection)?;
    Ok(())
}

/// Waits until no change of a tenant is under way, and keeps others out until the transaction ends.
pub(crate) fn take_alone(
    connection: &mut PgConnection,
    tenant: TenantId,
) -> Result<(), StorageError> {
    diesel::sql_query("SELECT pg_advisory_xact_lock($1, $2)")
        .bind::<Integer, _>(KIND)
        .bind::<Integer, _>(number(tenant))
        .execute(connection)?;
    Ok(())
}

/// Lets a change of a tenant begin, or refuses it. What somebody does at the command line goes on while a tenant
/// is suspended, such as the change of the master key; in a deleted one nothing does.
pub(crate) fn enter(
    connection: &mut PgConnection,
    tenant: TenantId,
    actor: &Actor,
) -> Result<(), StorageError> {
    share(connection, tenant)?;
    let deleted = tenant_suspensions::deleted_at.is_not_null();
    let paused = tenant_suspensions::paused_by_operator_at.is_not_null();
    let found: Option<(bool, bool)> = tenant_suspensions::table
        .find(tenant.uuid())
        .select((deleted, paused))
        .first::<(bool, bool)>(connection)
        .optional()?;
    let (deleted, paused) = found.unwrap_or_default();
    if deleted || paused && !matches!(actor, Actor::Command(_)) {
        return Err(StorageError::Suspended { tenant });
    }
    Ok(())
}
