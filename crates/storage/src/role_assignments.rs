//! Who holds which role, over which organization.

use diesel::prelude::*;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, RoleAssignmentId, TenantId};
use grantor_domain::role::{BuiltInRole, HeldRole};
use uuid::Uuid;

use crate::error::StorageError;
use crate::schema::role_assignments;
use crate::stored;
use crate::transaction::{ChangeTx, Reads, Subject};

/// Who holds a role.
#[derive(Debug, Clone, Copy)]
pub enum Holder {
    /// A member.
    Member(MemberId),
    /// A client, for which it is a service role.
    Client(ClientId),
}

/// Gives a role.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: RoleAssignmentId,
    holder: Holder,
    held: HeldRole,
) -> Result<(), StorageError> {
    let now = tx.now();
    let (member, client, subject) = match holder {
        Holder::Member(member) => (Some(member.uuid()), None, Subject::Member(member)),
        Holder::Client(client) => (None, Some(client.uuid()), Subject::Client(client)),
    };
    diesel::insert_into(role_assignments::table)
        .values((
            role_assignments::tenant_id.eq(tenant.uuid()),
            role_assignments::id.eq(id.uuid()),
            role_assignments::member_id.eq(member),
            role_assignments::client_id.eq(client),
            role_assignments::role.eq(held.role.as_str()),
            role_assignments::organization_id.eq(held.organization.uuid()),
            role_assignments::created_at.eq(now),
        ))
        .execute(tx.touching(tenant, subject)?)?;
    Ok(())
}

/// The service roles of a client.
pub fn of_client(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
) -> Result<Vec<HeldRole>, StorageError> {
    role_assignments::table
        .filter(role_assignments::tenant_id.eq(tenant.uuid()))
        .filter(role_assignments::client_id.eq(client.uuid()))
        .select((role_assignments::role, role_assignments::organization_id))
        .load::<(String, Uuid)>(tx.connection())?
        .into_iter()
        .map(|(role, organization)| {
            Ok(HeldRole {
                role: stored::word("role", &role, BuiltInRole::parse)?,
                organization: OrganizationId::from_uuid(organization),
            })
        })
        .collect()
}

/// The client that has held a role for the longest time, if any does.
pub fn first_client_with(
    tx: &mut impl Reads,
    tenant: TenantId,
    role: BuiltInRole,
) -> Result<Option<ClientId>, StorageError> {
    let client: Option<Option<Uuid>> = role_assignments::table
        .filter(role_assignments::tenant_id.eq(tenant.uuid()))
        .filter(role_assignments::role.eq(role.as_str()))
        .filter(role_assignments::client_id.is_not_null())
        .order(role_assignments::id)
        .select(role_assignments::client_id)
        .first(tx.connection())
        .optional()?;
    Ok(client.flatten().map(ClientId::from_uuid))
}
