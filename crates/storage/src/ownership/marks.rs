//! Secrets that ought to be replaced after a client has changed hands (`owner_3`): what somebody has seen stands beside
//! the secret, what is a precaution stands beside the organization.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, SecretId, TenantId};
use grantor_domain::ownership::{DueWhy, RotationMark, TransferCause};
use serde_json::json;
use uuid::Uuid;

use super::Held;
use crate::error::StorageError;
use crate::schema::{client_secrets, clients, rotation_marks};
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};

// What is exposed already stays as it is: since when and by whom it was first.
macro_rules! unexposed {
    ($tx:expr, $tenant:expr, |$query:ident| $narrowed:expr) => {{
        let now = $tx.now();
        let $query = client_secrets::table
            .inner_join(
                clients::table.on(clients::tenant_id
                    .eq(client_secrets::tenant_id)
                    .and(clients::id.eq(client_secrets::client_id))),
            )
            .filter(client_secrets::tenant_id.eq($tenant.uuid()))
            .filter(client_secrets::revoked_at.is_null())
            .filter(
                client_secrets::expires_at
                    .is_null()
                    .or(client_secrets::expires_at.gt(now)),
            )
            .filter(client_secrets::due_why.is_distinct_from(DueWhy::Exposed.as_str()))
            .select((client_secrets::client_id, client_secrets::id));
        let found: Vec<(Uuid, Uuid)> = $narrowed.load($tx.connection())?;
        Ok(found
            .into_iter()
            .map(|(client, id)| (ClientId::from_uuid(client), SecretId::from_uuid(id)))
            .collect())
    }};
}

/// The live secrets of these clients that are not exposed yet.
pub(super) fn unexposed_of(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    of: &[Uuid],
) -> Result<BTreeSet<Held>, StorageError> {
    unexposed!(tx, tenant, |query| query
        .filter(client_secrets::client_id.eq_any(of)))
}

/// Those that a member has made, and so has seen: of clients in these organizations, or of all.
pub(super) fn unexposed_made_by(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
    places: Option<&BTreeSet<OrganizationId>>,
) -> Result<BTreeSet<Held>, StorageError> {
    match places {
        None => unexposed!(tx, tenant, |query| query
            .filter(client_secrets::created_by_member.eq(member.uuid()))),
        Some(places) => {
            let places: Vec<Uuid> = places.iter().map(|place| place.uuid()).collect();
            unexposed!(tx, tenant, |query| query
                .filter(client_secrets::created_by_member.eq(member.uuid()))
                .filter(clients::organization_id.eq_any(places)))
        }
    }
}

const EXPOSE: &str = "UPDATE client_secrets SET due_since = $2, due_why = 'exposed', due_cause = $3, due_former_owner = $4 \
     FROM unnest($5, $6) AS seen (client_id, id) \
     WHERE client_secrets.tenant_id = $1 AND client_secrets.client_id = seen.client_id AND client_secrets.id = seen.id";

/// Marks secrets that somebody has seen who should not have them any more.
pub(super) fn expose(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    former: MemberId,
    secrets: BTreeSet<Held>,
    cause: TransferCause,
) -> Result<Vec<Event>, StorageError> {
    let mut of_clients: BTreeMap<ClientId, Vec<SecretId>> = BTreeMap::new();
    for (client, secret) in secrets {
        of_clients.entry(client).or_default().push(secret);
    }
    if of_clients.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<ClientId> = of_clients.keys().copied().collect();
    let (clients, secrets): (Vec<Uuid>, Vec<Uuid>) = of_clients
        .iter()
        .flat_map(|(client, secrets)| secrets.iter().map(|secret| (client.uuid(), secret.uuid())))
        .unzip();
    let now = tx.now();
    diesel::sql_query(EXPOSE)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Timestamptz, _>(now)
        .bind::<Text, _>(cause.as_str())
        .bind::<SqlUuid, _>(former.uuid())
        .bind::<Array<SqlUuid>, _>(clients)
        .bind::<Array<SqlUuid>, _>(secrets)
        .execute(tx.touching_clients(tenant, &ids)?)?;
    let event = |(client, secrets)| {
        Event::new(tenant, Action::RotationDue, Target::Client(client)).after(json!({
            "why": DueWhy::Exposed.as_str(),
            "cause": cause.as_str(),
            "former_owner_id": former,
            "secret_ids": secrets,
        }))
    };
    Ok(of_clients.into_iter().map(event).collect())
}

/// Marks the organizations in which something changed hands: one row says it of all secrets there.
pub(super) fn mark(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    former: MemberId,
    places: &BTreeSet<OrganizationId>,
    cause: TransferCause,
) -> Result<Vec<Event>, StorageError> {
    let now = tx.now();
    let mark = (
        rotation_marks::marked_at.eq(now),
        rotation_marks::cause.eq(cause.as_str()),
        rotation_marks::former_owner.eq(former.uuid()),
    );
    let rows: Vec<_> = places
        .iter()
        .map(|place| {
            (
                rotation_marks::tenant_id.eq(tenant.uuid()),
                rotation_marks::organization_id.eq(place.uuid()),
                mark,
            )
        })
        .collect();
    diesel::insert_into(rotation_marks::table)
        .values(rows)
        .on_conflict((rotation_marks::tenant_id, rotation_marks::organization_id))
        .do_update()
        .set(mark)
        .execute(tx.connection())?;
    let event = |place: &OrganizationId| {
        let target = Target::Organization(*place);
        Event::new(tenant, Action::RotationDue, target).after(json!({
            "why": DueWhy::Precaution.as_str(),
            "cause": cause.as_str(),
            "former_owner_id": former,
        }))
    };
    Ok(places.iter().map(event).collect())
}

/// The marks of these organizations.
pub fn marks(
    tx: &mut impl Reads,
    tenant: TenantId,
    places: impl IntoIterator<Item = OrganizationId>,
) -> Result<HashMap<OrganizationId, RotationMark>, StorageError> {
    let places: BTreeSet<Uuid> = places.into_iter().map(OrganizationId::uuid).collect();
    let found: Vec<(Uuid, DateTime<Utc>, String, Uuid)> = rotation_marks::table
        .filter(rotation_marks::tenant_id.eq(tenant.uuid()))
        .filter(rotation_marks::organization_id.eq_any(places))
        .select((
            rotation_marks::organization_id,
            rotation_marks::marked_at,
            rotation_marks::cause,
            rotation_marks::former_owner,
        ))
        .load(tx.connection())?;
    found
        .into_iter()
        .map(|(place, since, cause, former_owner)| {
            let mark = RotationMark {
                since,
                cause: stored::word("cause", &cause, TransferCause::parse)?,
                former_owner: MemberId::from_uuid(former_owner),
            };
            Ok((OrganizationId::from_uuid(place), mark))
        })
        .collect()
}

const KEEP_DUE: &str = "UPDATE client_secrets SET due_since = mark.marked_at, due_why = 'precaution', due_cause = mark.cause, \
       due_former_owner = mark.former_owner \
     FROM rotation_marks AS mark \
     WHERE mark.tenant_id = $1 AND mark.organization_id = $3 \
       AND client_secrets.tenant_id = $1 AND client_secrets.client_id = $2 AND client_secrets.revoked_at IS NULL \
       AND client_secrets.due_since IS NULL AND client_secrets.created_at <= mark.marked_at";

/// Writes beside the secrets of a client that is about to leave its organization what the mark there says of them.
pub(crate) fn keep_due(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: &Client,
) -> Result<(), StorageError> {
    diesel::sql_query(KEEP_DUE)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<SqlUuid, _>(client.id.uuid())
        .bind::<SqlUuid, _>(client.organization.uuid())
        .execute(tx.touching(tenant, Subject::Client(client.id))?)?;
    Ok(())
}
