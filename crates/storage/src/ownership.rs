//! Whose clients are, and what becomes of their secrets when they change hands (`owner_1` to `owner_3`).
//!
//! Whatever can take away what an owner owns by calls this from where it is written, so that no caller has to think of
//! it: a member deleted, disabled or moved, a role taken away or changed, a group or a client moved. What follows from
//! it stands in the same transaction, with events of its own.
//!
//! Whoever becomes an owner is locked before their rights are looked at, as is the tree, and whoever takes rights away
//! has locked or written the same rows: so of two at once the second sees what the first has done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, RoleId, SecretId, TenantId};
use grantor_domain::member::Member;
use grantor_domain::ownership::{DueWhy, RotationMark, TransferCause, may_own};
use grantor_domain::text::EmailAddress;
use serde_json::json;
use uuid::Uuid;

use crate::error::StorageError;
use crate::role_assignments::Holder;
use crate::schema::{
    client_secrets, clients, members as members_table, organizations as organizations_table,
    role_assignments as assignments_table, rotation_marks,
};
use crate::stored;
use crate::transaction::{ChangeTx, Connected, Reads, Subject};
use crate::{members, organizations, role_assignments, root_owner, tenants};

/// Why a client goes when its owner can't own it any more where it lives.
pub(crate) const RIGHTS_LOST: TransferCause = TransferCause::RightsLost;

/// Whether a member may own what lives in an organization. They and the tree stay as they are until this change has
/// ended, so that what is found holds when it is committed.
pub fn check(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    organization: OrganizationId,
) -> Result<bool, StorageError> {
    hold_tree(tx, tenant)?;
    if !hold(tx, tenant, owner)? {
        return Ok(false);
    }
    is_able(tx, tenant, owner, organization)
}

fn is_able(
    tx: &mut impl Reads,
    tenant: TenantId,
    owner: MemberId,
    organization: OrganizationId,
) -> Result<bool, StorageError> {
    let (Some(member), Some(home)) = (
        members::find(tx, tenant, owner)?,
        tenants::find(tx, tenant)?.map(|tenant| tenant.home()),
    ) else {
        return Ok(false);
    };
    let roles = role_assignments::roles_of(tx, tenant, Holder::Member(owner))?;
    let path = organizations::path(tx, tenant, organization)?;
    Ok(may_own(&member, &roles, home, &path))
}

/// Keeps the tree from changing; others may do the same.
fn hold_tree(tx: &mut ChangeTx<'_>, tenant: TenantId) -> Result<(), StorageError> {
    let _root: Option<Uuid> = organizations_table::table
        .filter(organizations_table::tenant_id.eq(tenant.uuid()))
        .filter(organizations_table::parent_id.is_null())
        .select(organizations_table::id)
        .for_share()
        .first(tx.connection())
        .optional()?;
    Ok(())
}

/// Keeps a member from changing; tells whether they are there.
fn hold(tx: &mut ChangeTx<'_>, tenant: TenantId, member: MemberId) -> Result<bool, StorageError> {
    let held: Option<Uuid> = members_table::table
        .find((tenant.uuid(), member.uuid()))
        .select(members_table::id)
        .for_share()
        .first(tx.connection())
        .optional()?;
    Ok(held.is_some())
}

/// Hands a client over to a member who may own it, on behalf of an administrator.
pub fn transfer(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    client: &Client,
    to: MemberId,
) -> Result<(), StorageError> {
    let moved = vec![(client.id, client.organization)];
    hand(
        tx,
        tenant,
        client.owner,
        Some(to),
        moved,
        TransferCause::Transferred,
    )
}

/// Hands over to the root owner whatever of a member's clients they can't own any more where it lives.
pub(crate) fn settle(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    cause: TransferCause,
) -> Result<(), StorageError> {
    let owned = owned(tx, tenant, owner)?;
    let mut able: BTreeMap<OrganizationId, bool> = BTreeMap::new();
    let mut lost = Vec::new();
    for (client, organization) in owned {
        let is_able = match able.get(&organization) {
            Some(known) => *known,
            None => {
                let found = is_able(tx, tenant, owner, organization)?;
                able.insert(organization, found);
                found
            }
        };
        if !is_able {
            lost.push((client, organization));
        }
    }
    to_root_owner(tx, tenant, owner, lost, cause)
}

/// The same of everybody who owns anything, after the tree has changed.
pub(crate) fn settle_everybody(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
) -> Result<(), StorageError> {
    for owner in owners(tx, tenant)? {
        settle(tx, tenant, owner, RIGHTS_LOST)?;
    }
    Ok(())
}

/// The same of everybody who holds a role, after that permits something else.
pub(crate) fn settle_holders(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    role: RoleId,
) -> Result<(), StorageError> {
    let holders: BTreeSet<Uuid> = assignments_table::table
        .filter(assignments_table::tenant_id.eq(tenant.uuid()))
        .filter(assignments_table::role_id.eq(role.uuid()))
        .filter(assignments_table::member_id.is_not_null())
        .select(assignments_table::member_id.assume_not_null())
        .load(tx.connection())?
        .into_iter()
        .collect();
    let all: Vec<Uuid> = holders.iter().copied().collect();
    // Whoever just becomes an owner by this role has locked their row until that is committed.
    let _held: Vec<Uuid> = members_table::table
        .filter(members_table::tenant_id.eq(tenant.uuid()))
        .filter(members_table::id.eq_any(all))
        .select(members_table::id)
        .order(members_table::id)
        .for_no_key_update()
        .load(tx.connection())?;
    for holder in holders {
        settle(tx, tenant, MemberId::from_uuid(holder), RIGHTS_LOST)?;
    }
    Ok(())
}

/// Hands over to the root owner whatever a member owns who goes away, and marks the secrets that they have made.
pub fn release(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    cause: TransferCause,
) -> Result<(), StorageError> {
    let owned = owned(tx, tenant, owner)?;
    to_root_owner(tx, tenant, owner, owned, cause)?;
    // Those besides that they have made elsewhere.
    let made = live_secrets_made_by(tx, tenant, owner, None)?;
    expose(tx, tenant, owner, made, cause)
}

/// Hands over everything that a member owns to another who may own all of it, because the one goes away. Tells the
/// clients that the other may not own.
pub fn pass_on(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    to: MemberId,
    cause: TransferCause,
) -> Result<Vec<ClientId>, StorageError> {
    let owned = owned(tx, tenant, owner)?;
    let places: BTreeSet<OrganizationId> = owned.iter().map(|(_, place)| *place).collect();
    let mut unable = BTreeSet::new();
    for place in places {
        if !check(tx, tenant, to, place)? {
            unable.insert(place);
        }
    }
    let refused: Vec<ClientId> = owned
        .iter()
        .filter(|(_, place)| unable.contains(place))
        .map(|(client, _)| *client)
        .collect();
    if refused.is_empty() {
        hand(tx, tenant, Some(owner), Some(to), owned, cause)?;
    }
    Ok(refused)
}

/// Everything that a member owns, with where it lives, in the order of its making.
pub fn owned(
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
    Ok(found
        .into_iter()
        .map(|(client, place)| {
            (
                ClientId::from_uuid(client),
                OrganizationId::from_uuid(place),
            )
        })
        .collect())
}

#[derive(QueryableByName)]
struct Owner {
    #[diesel(sql_type = SqlUuid)]
    owner_id: Uuid,
}

// From each owner to the next along the index, however much each of them owns.
const OWNERS: &str = "WITH RECURSIVE owner (owner_id) AS ( \
       (SELECT owner_id FROM clients WHERE tenant_id = $1 AND owner_id IS NOT NULL ORDER BY owner_id LIMIT 1) \
       UNION ALL \
       SELECT (SELECT next.owner_id FROM clients AS next WHERE next.tenant_id = $1 AND next.owner_id > owner.owner_id \
         ORDER BY next.owner_id LIMIT 1) FROM owner WHERE owner.owner_id IS NOT NULL) \
     SELECT owner_id FROM owner WHERE owner_id IS NOT NULL";

fn owners(tx: &mut impl Reads, tenant: TenantId) -> Result<Vec<MemberId>, StorageError> {
    let found: Vec<Owner> = diesel::sql_query(OWNERS)
        .bind::<SqlUuid, _>(tenant.uuid())
        .load(tx.connection())?;
    Ok(found
        .into_iter()
        .map(|owner| MemberId::from_uuid(owner.owner_id))
        .collect())
}

fn to_root_owner(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    owner: MemberId,
    lost: Vec<(ClientId, OrganizationId)>,
    cause: TransferCause,
) -> Result<(), StorageError> {
    if lost.is_empty() {
        return Ok(());
    }
    let to = hold_root_owner(tx, tenant)?;
    hand(tx, tenant, Some(owner), to, lost, cause)
}

/// The root owner, who stays as they are until this change has ended.
pub fn hold_root_owner(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
) -> Result<Option<MemberId>, StorageError> {
    let mut found = root_owner::find(tx, tenant)?;
    while let Some(owner) = found {
        hold(tx, tenant, owner)?;
        // By the time that the row is had it may be another.
        let now = root_owner::find(tx, tenant)?;
        if now == found {
            break;
        }
        found = now;
    }
    Ok(found)
}

/// Gives clients to a new owner: with the contact, where that was the former owner's own address; with an event for each
/// of them; and with what it means for secrets.
fn hand(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    from: Option<MemberId>,
    to: Option<MemberId>,
    moved: Vec<(ClientId, OrganizationId)>,
    cause: TransferCause,
) -> Result<(), StorageError> {
    if moved.is_empty() || from == to {
        return Ok(());
    }
    let ids: Vec<ClientId> = moved.iter().map(|(client, _)| *client).collect();
    let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    diesel::update(clients::table)
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(&uuids))
        .set(clients::owner_id.eq(to.map(MemberId::uuid)))
        .execute(tx.touching_clients(tenant, &ids)?)?;
    if let (Some(from), Some(to)) = (from, to)
        && let Some(former) = members::find(tx, tenant, from)?
        && let Some(next) = members::find(tx, tenant, to)?
    {
        write_to_next(tx, tenant, &uuids, &former, &next)?;
    }
    for (client, _) in &moved {
        let event = Event::new(tenant, Action::ClientTransferred, Target::Client(*client))
            .before(json!({ "owner_id": from }))
            .after(json!({ "owner_id": to, "cause": cause.as_str() }));
        tx.also(event);
    }
    let Some(former) = from else { return Ok(()) };
    let places: BTreeSet<OrganizationId> = moved.iter().map(|(_, place)| *place).collect();
    let mut exposed = live_secrets_of(tx, tenant, &uuids)?;
    exposed.extend(live_secrets_made_by(tx, tenant, former, Some(&places))?);
    expose(tx, tenant, former, exposed, cause)?;
    mark(tx, tenant, former, &places, cause)
}

/// Whoever was written to at the former owner's own address is written to at the next one's.
fn write_to_next(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    clients: &[Uuid],
    former: &Member,
    next: &Member,
) -> Result<(), StorageError> {
    let contacts: Vec<(Uuid, String)> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(clients))
        .select((clients::id, clients::owner_email))
        .load(tx.connection())?;
    let theirs: Vec<Uuid> = contacts
        .into_iter()
        .filter(|(_, address)| EmailAddress::key_of(address) == former.settings.email.key())
        .map(|(client, _)| client)
        .collect();
    diesel::update(clients::table)
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(&theirs))
        .set((
            clients::owner_name.eq(next.settings.name.as_str()),
            clients::owner_email.eq(next.settings.email.as_str()),
        ))
        .execute(tx.connection())?;
    crate::clients::find_words_anew(tx, tenant, &theirs)
}

/// A secret with the client whose it is.
type Held = (ClientId, SecretId);

macro_rules! live_secrets {
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
            .select((client_secrets::client_id, client_secrets::id));
        let found: Vec<(Uuid, Uuid)> = $narrowed.load($tx.connection())?;
        Ok(found
            .into_iter()
            .map(|(client, id)| (ClientId::from_uuid(client), SecretId::from_uuid(id)))
            .collect())
    }};
}

fn live_secrets_of(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    of: &[Uuid],
) -> Result<BTreeSet<Held>, StorageError> {
    live_secrets!(tx, tenant, |query| query
        .filter(client_secrets::client_id.eq_any(of)))
}

/// The live secrets that a member has made, and so has seen: of clients in these organizations, or of all.
fn live_secrets_made_by(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: MemberId,
    places: Option<&BTreeSet<OrganizationId>>,
) -> Result<BTreeSet<Held>, StorageError> {
    match places {
        None => live_secrets!(tx, tenant, |query| query
            .filter(client_secrets::created_by_member.eq(member.uuid()))),
        Some(places) => {
            let places: Vec<Uuid> = places.iter().map(|place| place.uuid()).collect();
            live_secrets!(tx, tenant, |query| query
                .filter(client_secrets::created_by_member.eq(member.uuid()))
                .filter(clients::organization_id.eq_any(places)))
        }
    }
}

const EXPOSE: &str = "UPDATE client_secrets SET due_since = $2, due_why = 'exposed', due_cause = $3, due_former_owner = $4 \
     FROM unnest($5, $6) AS seen (client_id, id) \
     WHERE client_secrets.tenant_id = $1 AND client_secrets.client_id = seen.client_id AND client_secrets.id = seen.id \
       AND client_secrets.due_why IS DISTINCT FROM 'exposed'";

/// Marks secrets that somebody has seen who should not have them any more. What is marked so already stays as it is.
fn expose(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    former: MemberId,
    secrets: BTreeSet<Held>,
    cause: TransferCause,
) -> Result<(), StorageError> {
    let mut of_clients: BTreeMap<ClientId, Vec<SecretId>> = BTreeMap::new();
    for (client, secret) in secrets {
        of_clients.entry(client).or_default().push(secret);
    }
    if of_clients.is_empty() {
        return Ok(());
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
    for (client, secrets) in of_clients {
        let event = Event::new(tenant, Action::RotationDue, Target::Client(client)).after(json!({
            "why": DueWhy::Exposed.as_str(),
            "cause": cause.as_str(),
            "former_owner_id": former,
            "secret_ids": secrets,
        }));
        tx.also(event);
    }
    Ok(())
}

/// Marks the organizations in which something changed hands: one row says it of all secrets there.
fn mark(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    former: MemberId,
    places: &BTreeSet<OrganizationId>,
    cause: TransferCause,
) -> Result<(), StorageError> {
    let now = tx.now();
    for place in places {
        let mark = (
            rotation_marks::marked_at.eq(now),
            rotation_marks::cause.eq(cause.as_str()),
            rotation_marks::former_owner.eq(former.uuid()),
        );
        diesel::insert_into(rotation_marks::table)
            .values((
                rotation_marks::tenant_id.eq(tenant.uuid()),
                rotation_marks::organization_id.eq(place.uuid()),
                mark,
            ))
            .on_conflict((rotation_marks::tenant_id, rotation_marks::organization_id))
            .do_update()
            .set(mark)
            .execute(tx.connection())?;
        let target = Target::Organization(*place);
        let event = Event::new(tenant, Action::RotationDue, target).after(json!({
            "why": DueWhy::Precaution.as_str(),
            "cause": cause.as_str(),
            "former_owner_id": former,
        }));
        tx.also(event);
    }
    Ok(())
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
    pub secret: grantor_domain::client_secret::ClientSecret,
    /// Why.
    pub due: grantor_domain::ownership::RotationDue,
}

#[derive(QueryableByName)]
struct Looked {
    #[diesel(sql_type = SqlUuid)]
    client_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    organization_id: Option<Uuid>,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    due: bool,
}

// Along the secrets that are not revoked, from after a place, as many as a page looks at.
const LOOK: &str = "SELECT looked.client_id, looked.id, client.organization_id, \
       ((looked.expires_at IS NULL OR looked.expires_at > $5) AND client.id IS NOT NULL \
         AND ($6 IS NULL OR client.organization_id IN (SELECT unnest($6))) \
         AND (coalesce(looked.due_why, CASE WHEN looked.created_at <= mark.marked_at THEN 'precaution' END) = $7 \
           OR $7 IS NULL AND (looked.due_why IS NOT NULL OR looked.created_at <= mark.marked_at))) IS TRUE AS due \
     FROM (SELECT client_id, id, expires_at, created_at, due_why FROM client_secrets \
       WHERE tenant_id = $1 AND revoked_at IS NULL AND (client_id, id) > ($2, $3) \
         AND ($7 IS DISTINCT FROM 'exposed' OR due_since IS NOT NULL) \
       ORDER BY client_id, id LIMIT $4) AS looked \
     LEFT JOIN LATERAL (SELECT id, organization_id FROM clients WHERE tenant_id = $1 AND id = looked.client_id LIMIT 1) AS client ON true \
     LEFT JOIN LATERAL (SELECT marked_at FROM rotation_marks WHERE tenant_id = $1 AND organization_id = client.organization_id LIMIT 1) \
       AS mark ON true \
     ORDER BY looked.client_id, looked.id";

/// What a page of what is due comes to.
#[derive(Debug, Default)]
pub struct DuePage {
    /// What was found.
    pub found: Vec<DueSecret>,
    /// Where looking ended before the page was full, if there may be more.
    pub on: Option<(ClientId, SecretId)>,
}

/// Up to `limit` live secrets that ought to be replaced, in the order of their clients, from after a place: those of
/// these organizations, and those of one urgency, if any is named. A page looks at a bounded number of secrets.
pub fn due(
    tx: &mut impl Reads,
    tenant: TenantId,
    organizations: Option<&[OrganizationId]>,
    why: Option<DueWhy>,
    after: Option<(ClientId, SecretId)>,
    limit: i64,
    now: DateTime<Utc>,
) -> Result<DuePage, StorageError> {
    let (client, secret) = after.map_or((Uuid::nil(), Uuid::nil()), |(client, secret)| {
        (client.uuid(), secret.uuid())
    });
    let organizations: Option<Vec<Uuid>> =
        organizations.map(|all| all.iter().map(|one| one.uuid()).collect());
    let looked: Vec<Looked> = diesel::sql_query(LOOK)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<SqlUuid, _>(client)
        .bind::<SqlUuid, _>(secret)
        .bind::<diesel::sql_types::BigInt, _>(LOOKED_AT)
        .bind::<Timestamptz, _>(now)
        .bind::<Nullable<Array<SqlUuid>>, _>(organizations)
        .bind::<Nullable<Text>, _>(why.map(DueWhy::as_str))
        .load(tx.connection())?;
    let all = i64::try_from(looked.len()).is_ok_and(|many| many < LOOKED_AT);
    let end = looked.last().map(|row| {
        (
            ClientId::from_uuid(row.client_id),
            SecretId::from_uuid(row.id),
        )
    });
    let wanted = usize::try_from(limit).unwrap_or_default();
    let due: Vec<&Looked> = looked.iter().filter(|row| row.due).take(wanted).collect();
    let on = end.filter(|_| !all && due.len() < wanted);
    let places: BTreeSet<OrganizationId> = due
        .iter()
        .filter_map(|row| row.organization_id.map(OrganizationId::from_uuid))
        .collect();
    let marks = marks(tx, tenant, places)?;
    let mut found = Vec::with_capacity(due.len());
    for row in due {
        let client = ClientId::from_uuid(row.client_id);
        let id = SecretId::from_uuid(row.id);
        let name: Option<(String, Uuid)> = clients::table
            .find((tenant.uuid(), row.client_id))
            .select((clients::name, clients::organization_id))
            .first(tx.connection())
            .optional()?;
        let secret = crate::client_secrets::find(tx, tenant, client, id)?;
        let (Some((client_name, place)), Some(secret)) = (name, secret) else {
            continue;
        };
        let organization = OrganizationId::from_uuid(place);
        if let Some(due) = grantor_domain::ownership::due(&secret, marks.get(&organization)) {
            found.push(DueSecret {
                client,
                client_name,
                organization,
                secret,
                due,
            });
        }
    }
    Ok(DuePage { found, on })
}

/// Up to `limit` live secrets that a member has made, with their clients.
pub fn made_by(
    tx: &mut impl Reads,
    tenant: TenantId,
    member: MemberId,
    now: DateTime<Utc>,
    limit: i64,
) -> Result<Vec<(ClientId, SecretId)>, StorageError> {
    let found: Vec<(Uuid, Uuid)> = client_secrets::table
        .filter(client_secrets::tenant_id.eq(tenant.uuid()))
        .filter(client_secrets::created_by_member.eq(member.uuid()))
        .filter(client_secrets::revoked_at.is_null())
        .filter(
            client_secrets::expires_at
                .is_null()
                .or(client_secrets::expires_at.gt(now)),
        )
        .order((client_secrets::client_id, client_secrets::id))
        .limit(limit)
        .select((client_secrets::client_id, client_secrets::id))
        .load(tx.connection())?;
    Ok(found
        .into_iter()
        .map(|(client, id)| (ClientId::from_uuid(client), SecretId::from_uuid(id)))
        .collect())
}
