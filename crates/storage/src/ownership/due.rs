//! The list of secrets that ought to be replaced.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::client_secret::ClientSecret;
use grantor_domain::ids::{ClientId, OrganizationId, SecretId, TenantId};
use grantor_domain::ownership::{self, DueWhy, RotationDue};
use uuid::Uuid;

use super::Held;
use super::marks::marks;
use crate::client_secrets::SecretRow;
use crate::error::StorageError;
use crate::schema::{client_secrets, clients};
use crate::transaction::Reads;

/// How many secrets one page of what is due looks at.
const LOOKED_AT: i64 = 2_000;

/// A secret that ought to be replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueSecret {
    /// The client whose it is.
    pub client: ClientId,
    /// The client's name.
    pub client_name: String,
    /// Where the client lives.
    pub organization: OrganizationId,
    /// The secret.
    pub secret: ClientSecret,
    /// Why.
    pub due: RotationDue,
}

#[derive(QueryableByName)]
struct Looked {
    #[diesel(sql_type = SqlUuid)]
    client_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Bool)]
    due: bool,
}

impl Looked {
    fn place(&self) -> Held {
        (
            ClientId::from_uuid(self.client_id),
            SecretId::from_uuid(self.id),
        )
    }
}

// Along the secrets that are not revoked, from after a place, as many as a page looks at. Which of them it is has an index
// of its own each, so it is told outside the values: a plan for any value would go through all of them.
fn look(of_exposed: bool) -> String {
    let which = if of_exposed {
        " AND due_since IS NOT NULL"
    } else {
        ""
    };
    format!(
        "SELECT looked.client_id, looked.id, \
           ((looked.expires_at IS NULL OR looked.expires_at > $5) AND client.id IS NOT NULL \
             AND ($6 IS NULL OR client.organization_id IN (SELECT unnest($6))) \
             AND (coalesce(looked.due_why, CASE WHEN looked.created_at <= mark.marked_at THEN 'precaution' END) = $7 \
               OR $7 IS NULL AND (looked.due_why IS NOT NULL OR looked.created_at <= mark.marked_at))) IS TRUE AS due \
         FROM (SELECT client_id, id, expires_at, created_at, due_why FROM client_secrets \
           WHERE tenant_id = $1 AND revoked_at IS NULL AND (client_id, id) > ($2, $3){which} \
           ORDER BY client_id, id LIMIT $4) AS looked \
         LEFT JOIN LATERAL (SELECT id, organization_id FROM clients WHERE tenant_id = $1 AND id = looked.client_id LIMIT 1) \
           AS client ON true \
         LEFT JOIN LATERAL (SELECT marked_at FROM rotation_marks WHERE tenant_id = $1 \
           AND organization_id = client.organization_id LIMIT 1) AS mark ON true \
         ORDER BY looked.client_id, looked.id"
    )
}

/// What a page of what is due comes to.
#[derive(Debug, Default)]
pub struct DuePage {
    /// What was found.
    pub found: Vec<DueSecret>,
    /// Where looking ended before the page was full, if there may be more.
    pub on: Option<Held>,
}

/// Which secrets are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DueFilter {
    /// Of clients that live in one of these organizations; their subtrees are not looked into.
    pub organizations: Option<Vec<OrganizationId>>,
    /// Of this urgency.
    pub why: Option<DueWhy>,
}

/// Up to `limit` live secrets that ought to be replaced, in the order of their clients, from after a place. A page looks
/// at a bounded number of secrets.
pub fn due(
    tx: &mut impl Reads,
    tenant: TenantId,
    filter: &DueFilter,
    after: Option<Held>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<DuePage, StorageError> {
    let (client, secret) = after.map_or((Uuid::nil(), Uuid::nil()), |(client, secret)| {
        (client.uuid(), secret.uuid())
    });
    let organizations: Option<Vec<Uuid>> = filter
        .organizations
        .as_ref()
        .map(|all| all.iter().map(|one| one.uuid()).collect());
    let looked: Vec<Looked> = diesel::sql_query(look(filter.why == Some(DueWhy::Exposed)))
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<SqlUuid, _>(client)
        .bind::<SqlUuid, _>(secret)
        .bind::<BigInt, _>(LOOKED_AT)
        .bind::<Timestamptz, _>(now)
        .bind::<Nullable<Array<SqlUuid>>, _>(organizations)
        .bind::<Nullable<Text>, _>(filter.why.map(DueWhy::as_str))
        .load(tx.connection())?;
    let looked_at_all = i64::try_from(looked.len()).is_ok_and(|many| many < LOOKED_AT);
    let end = looked.last().map(Looked::place);
    let wanted = usize::try_from(limit).unwrap_or_default();
    let due: Vec<Held> = looked
        .iter()
        .filter(|row| row.due)
        .take(wanted)
        .map(Looked::place)
        .collect();
    let stopped_at = if due.len() < wanted {
        end.filter(|_| !looked_at_all)
    } else {
        due.last().copied()
    };
    let found = with_particulars(tx, tenant, &due)?;
    // What went between one statement and the next leaves a page short, and not the last.
    let on = stopped_at.filter(|_| found.len() < wanted);
    Ok(DuePage { found, on })
}

fn with_particulars(
    tx: &mut impl Reads,
    tenant: TenantId,
    places: &[Held],
) -> Result<Vec<DueSecret>, StorageError> {
    let of: Vec<Uuid> = places.iter().map(|(client, _)| client.uuid()).collect();
    let ids: Vec<Uuid> = places.iter().map(|(_, secret)| secret.uuid()).collect();
    let rows: Vec<(Uuid, String, Uuid, SecretRow)> = client_secrets::table
        .inner_join(
            clients::table.on(clients::tenant_id
                .eq(client_secrets::tenant_id)
                .and(clients::id.eq(client_secrets::client_id))),
        )
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::client_id.eq_any(of))
        .filter(client_secrets::id.eq_any(ids))
        .order((client_secrets::client_id, client_secrets::id))
        .select((
            clients::id,
            clients::name,
            clients::organization_id,
            SecretRow::as_select(),
        ))
        .load(tx.connection())?;
    let organizations: BTreeSet<OrganizationId> = rows
        .iter()
        .map(|(_, _, place, _)| OrganizationId::from_uuid(*place))
        .collect();
    let marks: HashMap<_, _> = marks(tx, tenant, organizations)?;
    let mut found = Vec::with_capacity(rows.len());
    for (client, client_name, place, row) in rows {
        let organization = OrganizationId::from_uuid(place);
        let (secret, _) = row.into_domain()?;
        if let Some(due) = ownership::due(&secret, marks.get(&organization)) {
            found.push(DueSecret {
                client: ClientId::from_uuid(client),
                client_name,
                organization,
                secret,
                due,
            });
        }
    }
    Ok(found)
}
