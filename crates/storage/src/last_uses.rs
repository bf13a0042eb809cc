//! When clients and their secrets were last used. It is gathered by the servers and written now and then, so it may
//! lag by some seconds, and no decision rests on it.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Timestamptz, Uuid as SqlUuid};
use grantor_domain::ids::{ClientId, TenantId};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::{client_secrets, last_uses};
use crate::transaction::{ChangeTx, Connected, FlowTx, Reads};

/// One use of a client or a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// The tenant whose it is.
    pub tenant: TenantId,
    /// The client or the secret.
    pub subject: Uuid,
    /// The client whose it is.
    pub client: ClientId,
    /// When.
    pub at: DateTime<Utc>,
}

// What is deleted by now is left out: nothing would ever lead to these rows.
const WRITE: &str = "INSERT INTO last_uses (tenant_id, subject_id, used_at) \
     SELECT tenant_id, subject_id, used_at FROM unnest($1, $2, $3, $4) AS used (tenant_id, subject_id, used_at, client_id) \
     WHERE EXISTS (SELECT FROM clients WHERE clients.tenant_id = used.tenant_id AND clients.id = used.client_id) \
     ORDER BY tenant_id, subject_id \
     ON CONFLICT (tenant_id, subject_id) DO UPDATE SET used_at = greatest(last_uses.used_at, excluded.used_at)";

/// Writes uses, of each subject one. What was written before and is later stays.
pub fn write(tx: &mut FlowTx<'_>, uses: &[Use]) -> Result<(), StorageError> {
    let tenants: Vec<Uuid> = uses.iter().map(|one| one.tenant.uuid()).collect();
    let subjects: Vec<Uuid> = uses.iter().map(|one| one.subject).collect();
    let times: Vec<DateTime<Utc>> = uses.iter().map(|one| one.at).collect();
    let clients: Vec<Uuid> = uses.iter().map(|one| one.client.uuid()).collect();
    diesel::sql_query(WRITE)
        .bind::<Array<SqlUuid>, _>(tenants)
        .bind::<Array<SqlUuid>, _>(subjects)
        .bind::<Array<Timestamptz>, _>(times)
        .bind::<Array<SqlUuid>, _>(clients)
        .execute(tx.connection)?;
    Ok(())
}

/// When each of these was last used, of those that ever were.
pub fn of(
    tx: &mut impl Reads,
    tenant: TenantId,
    subjects: impl IntoIterator<Item = Uuid>,
) -> Result<HashMap<Uuid, DateTime<Utc>>, StorageError> {
    let subjects: Vec<Uuid> = subjects.into_iter().collect();
    let found: Vec<(Uuid, DateTime<Utc>)> = last_uses::table
        .filter(last_uses::tenant_id.eq(tenant.uuid()))
        .filter(last_uses::subject_id.eq_any(subjects))
        .select((last_uses::subject_id, last_uses::used_at))
        .load(tx.connection())?;
    Ok(found.into_iter().collect())
}

/// Forgets a client that is about to be deleted, and its secrets.
pub(crate) fn forget(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<(), StorageError> {
    forget_secrets(tx, tenant, client)?;
    diesel::delete(last_uses::table.find((tenant.uuid(), client.uuid())))
        .execute(tx.connection())?;
    Ok(())
}

/// Forgets the secrets of a client that are about to be removed.
pub(crate) fn forget_secrets(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<(), StorageError> {
    let subjects: Vec<Uuid> = client_secrets::table
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq(client.uuid()))
        .select(client_secrets::id)
        .load(tx.connection())?;
    diesel::delete(last_uses::table)
        .filter(last_uses::tenant_id.eq(tenant.uuid()))
        .filter(last_uses::subject_id.eq_any(subjects))
        .execute(tx.connection())?;
    Ok(())
}
