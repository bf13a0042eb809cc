//! Who holds which role, over which organization.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, RoleAssignmentId, RoleId, TenantId};
use grantor_domain::ownership::TransferCause;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole, Role, RoleReference};
use uuid::Uuid;

use crate::error::StorageError;
use crate::ownership;
use crate::schema::{role_assignments, roles};
use crate::stored;
use crate::transaction::{ChangeTx, Reads, Subject};

/// Who holds a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A member.
    Member(MemberId),
    /// A client, for which it is a service role.
    Client(ClientId),
}

impl Holder {
    fn subject(self) -> Subject {
        match self {
            Self::Member(member) => Subject::Member(member),
            Self::Client(client) => Subject::Client(client),
        }
    }
}

/// A role as somebody holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: RoleAssignmentId,
    /// Who holds it.
    pub holder: Holder,
    /// Which role, over which organization.
    pub held: HeldRole,
    /// Since when.
    pub created_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = role_assignments)]
struct AssignmentRow {
    id: Uuid,
    member_id: Option<Uuid>,
    client_id: Option<Uuid>,
    role: String,
    organization_id: Uuid,
    created_at: DateTime<Utc>,
}

impl AssignmentRow {
    fn into_domain(self, permissions: Option<Vec<String>>) -> Result<Assignment, StorageError> {
        let holder = match (self.member_id, self.client_id) {
            (Some(member), None) => Holder::Member(MemberId::from_uuid(member)),
            (None, Some(client)) => Holder::Client(ClientId::from_uuid(client)),
            _ => return Err(StorageError::corrupt("role's holder", self.id.to_string())),
        };
        let permissions = permissions.unwrap_or_default();
        Ok(Assignment {
            id: RoleAssignmentId::from_uuid(self.id),
            holder,
            held: HeldRole {
                role: role(&self.role, permissions.iter().map(String::as_str))?,
                organization: OrganizationId::from_uuid(self.organization_id),
            },
            created_at: self.created_at,
        })
    }
}

/// Reads a stored role. A permission that this release doesn't know is none that anybody could use here.
pub(crate) fn role<'p>(
    stored_role: &str,
    permissions: impl Iterator<Item = &'p str>,
) -> Result<Role, StorageError> {
    let reference: RoleReference = stored::parsed("role", stored_role, str::parse)?;
    Ok(match reference {
        RoleReference::BuiltIn(role) => Role::BuiltIn(role),
        RoleReference::Own(id) => Role::Own {
            id,
            permissions: permissions
                .filter_map(Permission::parse)
                .collect::<BTreeSet<_>>(),
        },
    })
}

/// Gives a role.
pub fn insert(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: RoleAssignmentId,
    holder: Holder,
    held: &HeldRole,
) -> Result<(), StorageError> {
    let now = tx.now();
    let (member, client) = match holder {
        Holder::Member(member) => (Some(member.uuid()), None),
        Holder::Client(client) => (None, Some(client.uuid())),
    };
    let reference = held.role.reference();
    let own = match reference {
        RoleReference::BuiltIn(_) => None,
        RoleReference::Own(id) => Some(id.uuid()),
    };
    diesel::insert_into(role_assignments::table)
        .values((
            role_assignments::tenant_id.eq(tenant.uuid()),
            role_assignments::id.eq(id.uuid()),
            role_assignments::member_id.eq(member),
            role_assignments::client_id.eq(client),
            role_assignments::role.eq(reference.to_string()),
            role_assignments::role_id.eq(own),
            role_assignments::organization_id.eq(held.organization.uuid()),
            role_assignments::created_at.eq(now),
        ))
        .execute(tx.touching(tenant, holder.subject())?)?;
    Ok(())
}

/// Takes a role away; tells whether it was held. What its holder owned by it goes to the root owner.
pub fn delete(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    id: RoleAssignmentId,
    holder: Holder,
) -> Result<bool, StorageError> {
    let deleted = diesel::delete(role_assignments::table.find((tenant.uuid(), id.uuid())))
        .execute(tx.touching(tenant, holder.subject())?)?;
    if let Holder::Member(member) = holder {
        ownership::settle(tx, tenant, member, TransferCause::RightsLost)?;
    }
    Ok(deleted == 1)
}

/// Assignments with what their roles permit, by any filter.
macro_rules! assignments {
    ($connection:expr, $tenant:expr, |$query:ident| $narrowed:expr) => {{
        let $query = role_assignments::table
            .left_join(
                roles::table.on(roles::tenant_id
                    .nullable()
                    .eq(role_assignments::tenant_id.nullable())
                    .and(roles::id.nullable().eq(role_assignments::role_id))),
            )
            .filter(role_assignments::tenant_id.eq($tenant.uuid()))
            .order(role_assignments::id)
            .select((AssignmentRow::as_select(), roles::permissions.nullable()));
        let rows: Vec<(AssignmentRow, Option<Vec<String>>)> = $narrowed.load($connection)?;
        rows.into_iter()
            .map(|(row, permissions)| row.into_domain(permissions))
            .collect::<Result<Vec<Assignment>, StorageError>>()
    }};
}

/// All that a member or a client holds, in the order in which it was given.
pub fn of(
    tx: &mut impl Reads,
    tenant: TenantId,
    holder: Holder,
) -> Result<Vec<Assignment>, StorageError> {
    of_holder(tx.connection(), tenant, holder)
}

fn of_holder(
    connection: &mut PgConnection,
    tenant: TenantId,
    holder: Holder,
) -> Result<Vec<Assignment>, StorageError> {
    match holder {
        Holder::Member(member) => assignments!(connection, tenant, |query| query
            .filter(role_assignments::member_id.eq(member.uuid()))),
        Holder::Client(client) => assignments!(connection, tenant, |query| query
            .filter(role_assignments::client_id.eq(client.uuid()))),
    }
}

/// The roles that a member or a client holds.
pub fn roles_of(
    tx: &mut impl Reads,
    tenant: TenantId,
    holder: Holder,
) -> Result<Vec<HeldRole>, StorageError> {
    let assignments = of(tx, tenant, holder)?;
    Ok(assignments
        .into_iter()
        .map(|assignment| assignment.held)
        .collect())
}

/// The roles of many members.
pub fn roles_of_members(
    tx: &mut impl Reads,
    tenant: TenantId,
    members: impl IntoIterator<Item = MemberId>,
) -> Result<HashMap<MemberId, Vec<HeldRole>>, StorageError> {
    let members: Vec<Uuid> = members.into_iter().map(MemberId::uuid).collect();
    let found = assignments!(tx.connection(), tenant, |query| query
        .filter(role_assignments::member_id.eq_any(members)))?;
    let mut roles: HashMap<MemberId, Vec<HeldRole>> = HashMap::new();
    for assignment in found {
        if let Holder::Member(member) = assignment.holder {
            roles.entry(member).or_default().push(assignment.held);
        }
    }
    Ok(roles)
}

/// Reads one.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    id: RoleAssignmentId,
) -> Result<Option<Assignment>, StorageError> {
    let found = assignments!(tx.connection(), tenant, |query| query
        .filter(role_assignments::id.eq(id.uuid())));
    Ok(found?.pop())
}

/// Reads up to `limit` roles that are held over an organization itself, from after one.
pub fn over(
    tx: &mut impl Reads,
    tenant: TenantId,
    organization: OrganizationId,
    after: Option<RoleAssignmentId>,
    limit: i64,
) -> Result<Vec<Assignment>, StorageError> {
    let after = after.map_or(Uuid::nil(), RoleAssignmentId::uuid);
    assignments!(tx.connection(), tenant, |query| query
        .filter(role_assignments::organization_id.eq(organization.uuid()))
        .filter(role_assignments::id.gt(after))
        .limit(limit))
}

/// Which roles anybody holds over any of these organizations themselves, each once.
pub fn kinds_over(
    tx: &mut impl Reads,
    tenant: TenantId,
    organizations: &[OrganizationId],
) -> Result<Vec<Role>, StorageError> {
    let organizations: Vec<Uuid> = organizations.iter().map(|id| id.uuid()).collect();
    let kinds: Vec<(String, Option<Uuid>)> = role_assignments::table
        .filter(role_assignments::tenant_id.eq(tenant.uuid()))
        .filter(role_assignments::organization_id.eq_any(organizations))
        .select((role_assignments::role, role_assignments::role_id))
        .distinct()
        .load(tx.connection())?;
    let own: Vec<Uuid> = kinds.iter().filter_map(|(_, id)| *id).collect();
    let mut permissions: HashMap<Uuid, Vec<String>> = roles::table
        .filter(roles::tenant_id.eq(tenant.uuid()))
        .filter(roles::id.eq_any(own))
        .select((roles::id, roles::permissions))
        .load(tx.connection())?
        .into_iter()
        .collect();
    kinds
        .into_iter()
        .map(|(word, id)| {
            let permitted = id
                .and_then(|id| permissions.remove(&id))
                .unwrap_or_default();
            role(&word, permitted.iter().map(String::as_str))
        })
        .collect()
}

/// How many hold a role of the tenant's own: as many as `most` are counted.
pub fn holders(
    tx: &mut impl Reads,
    tenant: TenantId,
    role: RoleId,
    most: i64,
) -> Result<usize, StorageError> {
    let found: Vec<Uuid> = role_assignments::table
        .filter(role_assignments::tenant_id.eq(tenant.uuid()))
        .filter(role_assignments::role_id.eq(role.uuid()))
        .select(role_assignments::id)
        .limit(most)
        .load(tx.connection())?;
    Ok(found.len())
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
