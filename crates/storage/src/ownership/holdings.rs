//! What hangs on a member: the clients that are theirs, and the secrets that they know.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::client::ClientStatus;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, SecretId, TenantId};
use uuid::Uuid;

use super::Held;
use crate::error::StorageError;
use crate::schema::{client_secrets, clients};
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads};

/// A client that somebody owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedClient {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// Where it lives.
    pub organization: OrganizationId,
    /// Whether it may act.
    pub status: ClientStatus,
}

/// A live secret that somebody knows: of a client that is theirs, or of their own making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSecret {
    /// The client whose it is.
    pub client: ClientId,
    /// Where that lives.
    pub organization: OrganizationId,
    /// The secret's id.
    pub id: SecretId,
    /// Its first characters.
    pub hint: String,
    /// Whether they have made it.
    pub made: bool,
}

/// In which organizations is looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among<'o> {
    /// In all.
    All,
    /// In these; their subtrees are not looked into.
    These(&'o [OrganizationId]),
    /// In all but these.
    Others(&'o [OrganizationId]),
}

/// Narrows a query by where the clients live.
macro_rules! narrowed {
    ($query:expr, $among:expr) => {{
        let uuids = |places: &[OrganizationId]| -> Vec<Uuid> {
            places.iter().map(|place| place.uuid()).collect()
        };
        match $among {
            Among::All => $query,
            Among::These(places) => $query.filter(clients::organization_id.eq_any(uuids(places))),
            Among::Others(places) => $query.filter(clients::organization_id.ne_all(uuids(places))),
        }
    }};
}

/// Up to `limit` clients that a member owns, in the order of their making.
pub fn owned_clients(
    tx: &mut impl Reads,
    tenant: TenantId,
    owner: MemberId,
    among: Among<'_>,
    limit: i64,
) -> Result<Vec<OwnedClient>, StorageError> {
    let query = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::owner_id.eq(owner.uuid()))
        .order(clients::id)
        .limit(limit)
        .select((
            clients::id,
            clients::name,
            clients::organization_id,
            clients::status,
        ))
        .into_boxed();
    narrowed!(query, among)
        .load::<(Uuid, String, Uuid, String)>(tx.connection())?
        .into_iter()
        .map(|(id, name, place, status)| {
            Ok(OwnedClient {
                id: ClientId::from_uuid(id),
                name,
                organization: OrganizationId::from_uuid(place),
                status: stored::word("status", &status, |word| {
                    [ClientStatus::Active, ClientStatus::Disabled]
                        .into_iter()
                        .find(|status| status.as_str() == word)
                })?,
            })
        })
        .collect()
}

/// The organizations in which a member owns something.
pub fn places_of(
    tx: &mut impl Reads,
    tenant: TenantId,
    owner: MemberId,
) -> Result<Vec<OrganizationId>, StorageError> {
    let found: Vec<Uuid> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::owner_id.eq(owner.uuid()))
        .select(clients::organization_id)
        .distinct()
        .order(clients::organization_id)
        .load(tx.connection())?;
    Ok(found.into_iter().map(OrganizationId::from_uuid).collect())
}

/// Up to `limit` live secrets that a member knows, in the order of their clients.
pub fn known_secrets(
    tx: &mut impl Reads,
    tenant: TenantId,
    member: MemberId,
    among: Among<'_>,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<KnownSecret>, StorageError> {
    macro_rules! secrets {
        ($theirs:expr) => {{
            let query = client_secrets::table
                .inner_join(
                    clients::table.on(clients::tenant_id
                        .eq(client_secrets::tenant_id)
                        .and(clients::id.eq(client_secrets::client_id))),
                )
                .filter(client_secrets::tenant_id.eq(tenant.uuid()))
                .filter(client_secrets::revoked_at.is_null())
                .filter(
                    client_secrets::expires_at
                        .is_null()
                        .or(client_secrets::expires_at.gt(now)),
                )
                .filter($theirs)
                .order((client_secrets::client_id, client_secrets::id))
                .limit(limit)
                .select((
                    client_secrets::client_id,
                    client_secrets::id,
                    clients::organization_id,
                    client_secrets::hint,
                    client_secrets::created_by_member,
                ))
                .into_boxed();
            narrowed!(query, among)
                .load::<(Uuid, Uuid, Uuid, String, Option<Uuid>)>(tx.connection())?
        }};
    }
    // Each by an index of its own.
    let mut found = secrets!(clients::owner_id.eq(member.uuid()));
    found.extend(secrets!(
        client_secrets::created_by_member.eq(member.uuid())
    ));
    let known: BTreeMap<Held, KnownSecret> = found
        .into_iter()
        .map(|(client, id, place, hint, maker)| {
            let secret = KnownSecret {
                client: ClientId::from_uuid(client),
                organization: OrganizationId::from_uuid(place),
                id: SecretId::from_uuid(id),
                hint,
                made: maker == Some(member.uuid()),
            };
            ((secret.client, secret.id), secret)
        })
        .collect();
    let most = usize::try_from(limit).unwrap_or_default();
    Ok(known.into_values().take(most).collect())
}

/// Everything that a member owns, with where it lives.
pub(super) fn owned_by(
    tx: &mut impl Reads,
    tenant: TenantId,
    owner: MemberId,
) -> Result<Vec<(ClientId, OrganizationId)>, StorageError> {
    let found: Vec<(Uuid, Uuid)> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::owner_id.eq(owner.uuid()))
        .order(clients::id)
        .select((clients::id, clients::organization_id))
        .load(tx.connection())?;
    Ok(typed(found))
}

/// Everything that anybody owns in these organizations, by owner, with where it lives.
pub(super) fn owned_within(
    tx: &mut impl Reads,
    tenant: TenantId,
    organizations: &[OrganizationId],
) -> Result<BTreeMap<MemberId, Vec<(ClientId, OrganizationId)>>, StorageError> {
    let places: Vec<Uuid> = organizations.iter().map(|place| place.uuid()).collect();
    let found: Vec<(Option<Uuid>, Uuid, Uuid)> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::organization_id.eq_any(places))
        .filter(clients::owner_id.is_not_null())
        .order(clients::id)
        .select((clients::owner_id, clients::id, clients::organization_id))
        .load(tx.connection())?;
    let mut owned: BTreeMap<MemberId, Vec<(ClientId, OrganizationId)>> = BTreeMap::new();
    for (owner, client, place) in found {
        if let Some(owner) = owner {
            let theirs = owned.entry(MemberId::from_uuid(owner)).or_default();
            theirs.push((
                ClientId::from_uuid(client),
                OrganizationId::from_uuid(place),
            ));
        }
    }
    Ok(owned)
}

/// Keeps what a member owns from changing until this change has ended, and tells it: of these clients those that are
/// theirs still, where they live by then. Whoever had one of them before has had their way.
pub(super) fn hold_owned(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    among: &[ClientId],
) -> Result<Vec<(ClientId, OrganizationId)>, StorageError> {
    let among: Vec<Uuid> = among.iter().map(|id| id.uuid()).collect();
    let held: Vec<(Uuid, Uuid)> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(among))
        .filter(clients::owner_id.eq(owner.uuid()))
        .order(clients::id)
        .select((clients::id, clients::organization_id))
        .for_no_key_update()
        .load(tx.connection())?;
    Ok(typed(held))
}

fn typed(rows: Vec<(Uuid, Uuid)>) -> Vec<(ClientId, OrganizationId)> {
    rows.into_iter()
        .map(|(client, place)| {
            (
                ClientId::from_uuid(client),
                OrganizationId::from_uuid(place),
            )
        })
        .collect()
}
