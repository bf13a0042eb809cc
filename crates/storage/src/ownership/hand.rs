//! Clients changing hands, with all that follows from it.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::OwnerContact;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, TenantId};
use grantor_domain::ownership::TransferCause;
use grantor_domain::text::{EmailAddress, PersonName};
use serde_json::json;
use uuid::Uuid;

use super::marks;
use crate::error::StorageError;
use crate::members;
use crate::schema::clients;
use crate::transaction::{ChangeTx, Connected, Reads};

// Once for all that there is to write of a client, which stands in many indexes.
const HAND: &str = "UPDATE clients SET owner_id = $3, \
       revision = revision + CASE WHEN id = ANY ($4) THEN 1 ELSE 0 END, updated_at = $5, \
       owner_name = CASE WHEN id = ANY ($6) THEN $7 ELSE owner_name END, \
       owner_email = CASE WHEN id = ANY ($6) THEN $8 ELSE owner_email END \
     WHERE tenant_id = $1 AND id = ANY ($2)";

/// Gives clients that are locked to a new owner: with the contact, where that was the former owner's own address; and
/// with what it means for secrets. Tells what the log of record says of it: of each of the clients first.
pub(super) fn hand(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    from: Option<MemberId>,
    to: Option<MemberId>,
    moved: &[(ClientId, OrganizationId)],
    cause: TransferCause,
) -> Result<Vec<Event>, StorageError> {
    if moved.is_empty() || from == to {
        return Ok(Vec::new());
    }
    let ids: Vec<ClientId> = moved.iter().map(|(client, _)| *client).collect();
    let uuids: Vec<Uuid> = ids.iter().map(|id| id.uuid()).collect();
    let contact = contact_of(tx, tenant, to)?;
    let written_to = match &contact {
        Some(contact) => written_to(tx, tenant, &uuids, from, contact)?,
        None => Vec::new(),
    };
    let (name, email) = contact.map_or((None, None), |contact| (contact.name, Some(contact.email)));
    let new = tx.about_to_touch(tenant, &ids);
    let now = tx.now();
    diesel::sql_query(HAND)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Array<SqlUuid>, _>(&uuids)
        .bind::<Nullable<SqlUuid>, _>(to.map(MemberId::uuid))
        .bind::<Array<SqlUuid>, _>(new)
        .bind::<Timestamptz, _>(now)
        .bind::<Array<SqlUuid>, _>(written_to)
        .bind::<Nullable<Text>, _>(name.as_ref().map(PersonName::as_str))
        .bind::<Nullable<Text>, _>(email.as_ref().map(EmailAddress::as_str))
        .execute(tx.connection())?;
    let mut events: Vec<Event> = ids
        .iter()
        .map(|client| {
            Event::new(tenant, Action::ClientTransferred, Target::Client(*client))
                .before(json!({ "owner_id": from }))
                .after(json!({ "owner_id": to, "cause": cause.as_str() }))
        })
        .collect();
    let Some(former) = from else {
        return Ok(events);
    };
    let places: BTreeSet<OrganizationId> = moved.iter().map(|(_, place)| *place).collect();
    let mut exposed = marks::unexposed_of(tx, tenant, &uuids)?;
    exposed.extend(marks::unexposed_made_by(tx, tenant, former, Some(&places))?);
    events.extend(marks::expose(tx, tenant, former, exposed, cause)?);
    events.extend(marks::mark(tx, tenant, former, &places, cause)?);
    Ok(events)
}

fn contact_of(
    tx: &mut impl Reads,
    tenant: TenantId,
    owner: Option<MemberId>,
) -> Result<Option<OwnerContact>, StorageError> {
    let found = match owner {
        Some(owner) => members::find(tx, tenant, owner)?,
        None => None,
    };
    Ok(found.map(|member| OwnerContact {
        name: Some(member.settings.name),
        email: member.settings.email,
    }))
}

/// Those of these clients about which the former owner was written to at their own address, and the next one will be. They
/// are found by the words of that.
fn written_to(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    clients: &[Uuid],
    former: Option<MemberId>,
    next: &OwnerContact,
) -> Result<Vec<Uuid>, StorageError> {
    let Some(former) = contact_of(tx, tenant, former)? else {
        return Ok(Vec::new());
    };
    let contacts: Vec<(Uuid, String)> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(clients))
        .select((clients::id, clients::owner_email))
        .load(tx.connection())?;
    let theirs: Vec<Uuid> = contacts
        .into_iter()
        .filter(|(_, address)| EmailAddress::key_of(address) == former.email.key())
        .map(|(client, _)| client)
        .collect();
    crate::clients::find_by_contact(tx, tenant, &theirs, next)?;
    Ok(theirs)
}
