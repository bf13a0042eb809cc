//! Roles that members and clients hold: what is said of them on the wire, and what giving one demands, whoever gets it.

use chrono::{DateTime, Utc};
use grantor_domain::audit::Target;
use grantor_domain::ids::{OrganizationId, RoleAssignmentId};
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole, HomeTenant, Role, RoleReference};
use grantor_storage::role_assignments::{self, Assignment, Holder};
use grantor_storage::{ChangeTx, Reads, StorageError, organizations, roles, tenants};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::call::{Acting, Stop, refusal_event};
use crate::problem::{FieldFault, Problem};
use crate::requests::Fields;

/// Nobody holds more roles than this.
const MOST: usize = 200;

/// A role to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRoleAssignment, example = json!({ "role": "admin" }))]
pub struct AssignmentInput {
    /// One that every tenant has, by its name, or one of the tenant's own, by its id.
    #[schema(
        example = "admin",
        pattern = "^(owner|admin|developer|support|member|operator|rol_[0-7][0-9a-hjkmnp-tv-z]{25})$"
    )]
    pub role: String,
    /// Over which organization and all that lies below it; over the root organization unless told otherwise.
    #[schema(
        example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    organization_id: Option<String>,
}

impl AssignmentInput {
    /// The organization that is named, if one is.
    pub fn organization(&self) -> Result<Option<OrganizationId>, Problem> {
        let mut fields = Fields::default();
        let organization = self
            .organization_id
            .as_deref()
            .map(|text| fields.parse("/organization_id", text, str::parse::<OrganizationId>));
        match organization {
            Some(None) => Err(fields.into_problem()),
            named => Ok(named.flatten()),
        }
    }
}

/// A role that somebody holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoleAssignment, example = json!({ "id": "ras_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "member_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b", "client_id": null, "role": "admin",
    "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "created_at": "2026-01-31T12:00:00Z" }))]
pub struct AssignmentOutput {
    /// Its id.
    #[schema(value_type = String, example = "ras_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: RoleAssignmentId,
    /// The member who holds it.
    #[schema(required = true)]
    member_id: Option<String>,
    /// The client that holds it, for which it is a service role.
    #[schema(required = true)]
    client_id: Option<String>,
    /// Which role: a name, or the id of one of the tenant's own.
    #[schema(example = "admin")]
    role: String,
    /// Over which organization and all that lies below it.
    #[schema(example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    organization_id: String,
    /// Since when.
    created_at: DateTime<Utc>,
}

impl From<&Assignment> for AssignmentOutput {
    fn from(assignment: &Assignment) -> Self {
        let (member, client) = match assignment.holder {
            Holder::Member(member) => (Some(member.to_string()), None),
            Holder::Client(client) => (None, Some(client.to_string())),
        };
        Self {
            id: assignment.id,
            member_id: member,
            client_id: client,
            role: assignment.held.role.reference().to_string(),
            organization_id: assignment.held.organization.to_string(),
            created_at: assignment.created_at,
        }
    }
}

/// The roles of one member or client.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RoleAssignments)]
pub struct Assignments {
    /// All of them, in the order in which they were given.
    pub items: Vec<AssignmentOutput>,
}

/// How far roles reach in the tenant that the call is about.
pub fn home(tx: &mut impl Reads, acting: &Acting) -> Result<HomeTenant, Stop> {
    let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
    Ok(tenant.home())
}

/// The role that is meant, with what it permits.
pub fn role(
    tx: &mut impl Reads,
    acting: &Acting,
    text: &str,
    is_platform: bool,
) -> Result<Role, Stop> {
    let fault = |detail: &str| Stop::from(Problem::field("/role", detail));
    let reference: RoleReference = text
        .parse()
        .map_err(|error| Stop::from(Problem::field("/role", format_args!("{error}"))))?;
    match reference {
        RoleReference::BuiltIn(BuiltInRole::Operator) if !is_platform => {
            Err(fault("is held in the tenant of the operators alone"))
        }
        RoleReference::BuiltIn(role) => Ok(Role::BuiltIn(role)),
        RoleReference::Own(id) => match roles::find(tx, acting.tenant, id)? {
            Some(role) => Ok(Role::Own {
                id,
                permissions: role.settings.permissions,
            }),
            None => Err(fault("is no role of this tenant; `GET …/roles` lists them")),
        },
    }
}

/// Demands that the caller may give and take roles there. An organization that is not there is told alike.
pub fn check_over(
    tx: &mut impl Reads,
    acting: &Acting,
    organization: OrganizationId,
) -> Result<(), Stop> {
    let path = organizations::path(tx, acting.tenant, organization)?;
    if acting.caller.may_in(Permission::RolesAssign, &path).is_ok() {
        return Ok(());
    }
    let detail = "is no organization over which you may give roles; name one that you see";
    Err(out_of_reach(acting, &path, organization, detail))
}

/// One out of reach is told like one that is not there, and on record (`audit_1`).
pub fn out_of_reach(
    acting: &Acting,
    path: &[OrganizationId],
    organization: OrganizationId,
    detail: &str,
) -> Stop {
    let problem = Problem::field("/organization_id", detail);
    if path.is_empty() {
        return problem.into();
    }
    let why = json!({ "reason": "another organization" });
    let target = Target::Organization(organization);
    Stop::refused(problem, refusal_event(&acting.caller, target, why))
}

/// Roles that are held over the root organization alone.
pub fn is_of_the_root(role: &Role) -> bool {
    matches!(
        role,
        Role::BuiltIn(BuiltInRole::Owner | BuiltInRole::Operator)
    )
}

/// Gives somebody a role that they don't hold there yet.
pub fn give(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    id: RoleAssignmentId,
    holder: Holder,
    held: &HeldRole,
) -> Result<(), Stop> {
    if role_assignments::of(tx, acting.tenant, holder)?.len() >= MOST {
        let detail = format!("would be one too many: nobody holds more than {MOST} roles");
        return Err(Problem::field("", detail).into());
    }
    match role_assignments::insert(tx, acting.tenant, id, holder, held) {
        Ok(()) => Ok(()),
        Err(StorageError::Taken { constraint })
            if ["role_assignments_of_members", "role_assignments_of_clients"]
                .contains(&constraint.as_str()) =>
        {
            let fault = FieldFault::pointer("/role", "is held there already");
            Err(Problem::Conflict(fault).into())
        }
        // Organization or role went in this very moment.
        Err(StorageError::Referenced { .. }) => Err(Problem::field(
            "",
            "names a role or an organization that is not there any more",
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}

/// What the log of record says of it.
pub fn for_the_log(assignment: &Assignment) -> Value {
    json!({ "role_assignment_id": assignment.id, "role": assignment.held.role.reference().to_string(),
        "organization_id": assignment.held.organization })
}
