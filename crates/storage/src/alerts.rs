//! Whether somebody is told of a client's failures (`client_10`, `client_15`): noted by whoever counts, looked at behind
//! that, and told at most once in a while.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::failure::Alert;
use grantor_domain::ids::{ClientId, TenantId};
use uuid::Uuid;

use crate::database::Database;
use crate::error::StorageError;
use crate::schema::client_alerts;
use crate::stored;
use crate::transaction::{ChangeTx, Connected as _};

/// A client of which it is to be looked whether somebody must be told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted {
    /// The tenant whose client it is.
    pub tenant: TenantId,
    /// The client.
    pub client: ClientId,
    /// What somebody may have to be told.
    pub alert: Alert,
}

impl Noted {
    fn key(&self) -> (Uuid, Uuid, &'static str) {
        let alert = self.alert.as_str();
        (self.tenant.uuid(), self.client.uuid(), alert)
    }
}

/// Some of all tenants that were noted, those first that have waited the longest.
pub async fn noted(database: &Database, limit: i64) -> Result<Vec<Noted>, StorageError> {
    database
        .bookkeeping(move |connection| {
            let rows: Vec<(Uuid, Uuid, String)> = client_alerts::table
                .filter(client_alerts::noted_at.is_not_null())
                .order(client_alerts::noted_at)
                .select((
                    client_alerts::tenant_id,
                    client_alerts::client_id,
                    client_alerts::kind,
                ))
                .limit(limit)
                .load(connection)?;
            rows.into_iter()
                .map(|(tenant, client, kind)| {
                    Ok(Noted {
                        tenant: TenantId::from_uuid(tenant),
                        client: ClientId::from_uuid(client),
                        alert: stored::word("alert", &kind, Alert::parse)?,
                    })
                })
                .collect()
        })
        .await
}

/// Takes one to look at it; it is this transaction's until the end, and not noted any more. False: it is another
/// server's, or was looked at by now.
pub fn take(tx: &mut ChangeTx<'_>, noted: &Noted) -> Result<bool, StorageError> {
    let taken: Option<Uuid> = client_alerts::table
        .find(noted.key())
        .filter(client_alerts::noted_at.is_not_null())
        .select(client_alerts::client_id)
        .for_update()
        .skip_locked()
        .first(tx.connection())
        .optional()?;
    if taken.is_none() {
        return Ok(false);
    }
    diesel::update(client_alerts::table.find(noted.key()))
        .set(client_alerts::noted_at.eq(None::<DateTime<Utc>>))
        .execute(tx.connection())?;
    Ok(true)
}

/// Notes that somebody is told, unless they were told after this time; whether it is so, this one write decides. What is
/// told stands on the change feed, and is no change of the client.
pub fn raise(
    tx: &mut ChangeTx<'_>,
    noted: &Noted,
    unless_after: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let now = tx.now();
    let raised = diesel::update(client_alerts::table.find(noted.key()))
        .filter(
            client_alerts::raised_at
                .is_null()
                .or(client_alerts::raised_at.le(unless_after)),
        )
        .set(client_alerts::raised_at.eq(now))
        .execute(tx.connection())?;
    if raised == 1 {
        tx.telling_of(noted.tenant, noted.client);
    }
    Ok(raised == 1)
}

/// Lets one rest that can't be looked at, until something is noted of it anew.
pub async fn dismiss(database: &Database, noted: Noted) -> Result<(), StorageError> {
    database
        .bookkeeping(move |connection| {
            diesel::update(client_alerts::table.find(noted.key()))
                .set(client_alerts::noted_at.eq(None::<DateTime<Utc>>))
                .execute(connection)?;
            Ok(())
        })
        .await
}

/// Forgets a client that is deleted.
pub fn forget(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: ClientId,
) -> Result<(), StorageError> {
    diesel::delete(client_alerts::table)
        .filter(client_alerts::tenant_id.eq(tenant.uuid()))
        .filter(client_alerts::client_id.eq(client.uuid()))
        .execute(tx.connection())?;
    Ok(())
}
