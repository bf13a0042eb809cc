//! How often clients failed (`client_10`): counted by the minute. The servers gather it and write it now and then, so it
//! may lag by some seconds, and no decision of the token path rests on it.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::failure::{FailureKind, Failures};
use grantor_domain::ids::{ClientId, TenantId};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::client_failures;
use crate::stored::lowest_id;
use crate::transaction::{FlowTx, Reads};

/// Some failures of one kind, of one client, in one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failed {
    /// The tenant whose client it is.
    pub tenant: TenantId,
    /// The client.
    pub client: ClientId,
    /// Why.
    pub kind: FailureKind,
    /// When the minute began.
    pub minute: DateTime<Utc>,
    /// How often.
    pub count: u64,
}

// What is deleted by now is left out: of a client that is not there, nothing would ever lead to these rows. In one order,
// so that servers that write at the same time don't wait for each other in a circle.
const COUNT: &str = "INSERT INTO client_failures AS known (tenant_id, client_id, id, kind, failures) \
     SELECT * FROM unnest($1, $2, $3, $4, $5) AS failed (tenant_id, client_id, id, kind, failures) \
     WHERE EXISTS (SELECT FROM clients WHERE clients.tenant_id = failed.tenant_id AND clients.id = failed.client_id) \
     ORDER BY tenant_id, client_id, id, kind \
     ON CONFLICT (tenant_id, client_id, id, kind) DO UPDATE SET failures = known.failures + excluded.failures";
// Whoever looks at a client has its row until it is done: so what is noted meanwhile is looked at once more.
const NOTE: &str = "INSERT INTO client_alerts AS known (tenant_id, client_id, kind, noted_at) \
     SELECT DISTINCT tenant_id, client_id, kind, $4 FROM unnest($1, $2, $3) AS failed (tenant_id, client_id, kind) \
     WHERE EXISTS (SELECT FROM clients WHERE clients.tenant_id = failed.tenant_id AND clients.id = failed.client_id) \
     ORDER BY tenant_id, client_id, kind \
     ON CONFLICT (tenant_id, client_id, kind) DO UPDATE SET noted_at = excluded.noted_at WHERE known.noted_at IS NULL";

/// Adds failures to those that were counted, each client, minute and kind once, and notes that it is to be looked
/// whether somebody must be told.
pub fn write(
    tx: &mut FlowTx<'_>,
    failed: &[Failed],
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let tenants: Vec<Uuid> = failed.iter().map(|one| one.tenant.uuid()).collect();
    let clients: Vec<Uuid> = failed.iter().map(|one| one.client.uuid()).collect();
    let minutes: Vec<Uuid> = failed.iter().map(|one| id_of(one.minute)).collect();
    let kinds: Vec<&str> = failed.iter().map(|one| one.kind.as_str()).collect();
    let alerts: Vec<&str> = failed.iter().map(|one| one.kind.alert().as_str()).collect();
    let counts: Vec<i64> = failed
        .iter()
        .map(|one| i64::try_from(one.count).unwrap_or(i64::MAX))
        .collect();
    diesel::sql_query(COUNT)
        .bind::<Array<SqlUuid>, _>(&tenants)
        .bind::<Array<SqlUuid>, _>(&clients)
        .bind::<Array<SqlUuid>, _>(minutes)
        .bind::<Array<Text>, _>(kinds)
        .bind::<Array<BigInt>, _>(counts)
        .execute(tx.connection)?;
    diesel::sql_query(NOTE)
        .bind::<Array<SqlUuid>, _>(tenants)
        .bind::<Array<SqlUuid>, _>(clients)
        .bind::<Array<Text>, _>(alerts)
        .bind::<Timestamptz, _>(now)
        .execute(tx.connection)?;
    Ok(())
}

fn id_of(minute: DateTime<Utc>) -> Uuid {
    lowest_id(minute.timestamp_millis())
}

/// How often a client has failed since the beginning of a minute.
pub fn since(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
    minute: DateTime<Utc>,
) -> Result<Failures, StorageError> {
    let rows: Vec<(String, i64)> = client_failures::table
        .filter(client_failures::tenant_id.eq(tenant.uuid()))
        .filter(client_failures::client_id.eq(client.uuid()))
        .filter(client_failures::id.ge(id_of(minute)))
        .select((client_failures::kind, client_failures::failures))
        .load(tx.connection())?;
    let mut failures = Failures::default();
    for (kind, count) in rows {
        add(&mut failures, &kind, count);
    }
    Ok(failures)
}

/// Adds what was stored. What a later release counts besides is none of this one's business.
fn add(failures: &mut Failures, kind: &str, count: i64) {
    if let Some(kind) = FailureKind::parse(kind) {
        failures.add(kind, u64::try_from(count).unwrap_or_default());
    }
}

/// The failures of one window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// When it began.
    pub from: DateTime<Utc>,
    /// What failed in it.
    pub failures: Failures,
}

#[derive(QueryableByName)]
struct WindowRow {
    #[diesel(sql_type = BigInt)]
    millis: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    failures: i64,
}

// The first 48 bits of an id are its time in milliseconds.
const WINDOWS: &str = "SELECT millis, kind, least(sum(failures), 9223372036854775807)::bigint AS failures FROM ( \
       SELECT ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint / $5 * $5 AS millis, kind, failures \
       FROM client_failures WHERE tenant_id = $1 AND client_id = $2 AND id >= $3 AND id < $4) AS counted \
     GROUP BY millis, kind ORDER BY millis, kind";

/// The failures of a client between two times, by windows of so many seconds: those in which it failed, the eldest first.
pub fn by_window(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    seconds: u32,
) -> Result<Vec<Window>, StorageError> {
    let rows: Vec<WindowRow> = diesel::sql_query(WINDOWS)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<SqlUuid, _>(client.uuid())
        .bind::<SqlUuid, _>(id_of(from))
        .bind::<SqlUuid, _>(id_of(until))
        .bind::<BigInt, _>(i64::from(seconds.max(1)) * 1_000)
        .load(tx.connection())?;
    let mut windows: Vec<Window> = Vec::new();
    for row in rows {
        let from = DateTime::from_timestamp_millis(row.millis)
            .ok_or_else(|| StorageError::corrupt("minute", row.millis.to_string()))?;
        if windows.last().is_none_or(|window| window.from != from) {
            let failures = Failures::default();
            windows.push(Window { from, failures });
        }
        if let Some(window) = windows.last_mut() {
            add(&mut window.failures, &row.kind, row.failures);
        }
    }
    Ok(windows)
}
