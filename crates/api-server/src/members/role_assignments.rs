//! Which roles a member holds, given and taken; and who holds some over an organization.

use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::ids::{MemberId, OrganizationId, RoleAssignmentId};
use grantor_domain::member::Member;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole, HomeTenant, Role, RoleReference};
use grantor_storage::role_assignments::{self, Assignment, Holder};
use grantor_storage::{
    Change, credential_links, organizations, ownership, root_owner as root_owners,
};
use serde_json::json;

use super::{find, find_for_change};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{Problem, ProblemCode};
use crate::requests::{Json, ListRules, Place};
use crate::role_assignments::{
    AssignmentInput, AssignmentOutput, Assignments, check_over, for_the_log, give, home,
    is_of_the_root, role,
};
use crate::schemas::Page;

const OF_MEMBER: &str = "/v1/tenants/{tenant}/members/{member}/role-assignments";
const ONE: &str = "/v1/tenants/{tenant}/members/{member}/role-assignments/{role_assignment}";
const OVER: &str = "/v1/tenants/{tenant}/organizations/{organization}/role-assignments";

const LIST: &ListRules = &ListRules {
    filters: &[],
    sorts: &[],
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listMemberRoles", OF_MEMBER)
            .about(
                Tag::Members,
                "List a member's roles",
                "Every role that the member holds, over whichever organization.",
            )
            .needs(Permission::MembersRead)
            .answers::<Assignments>(Success::Ok)
            .by(of_member),
        Operation::post("assignRole", OF_MEMBER)
            .about(
                Tag::Members,
                "Give a member a role",
                "You must see the member, and hold whatever the role permits, over the same organization or one above \
                 it. A link of the member's that was shown, and not mailed, ends by it. `owner` is held over the root organization alone. It works at once, everywhere. If-Match takes the \
                 member's ETag.",
            )
            .needs(Permission::RolesAssign)
            .conditional()
            .takes::<Json<AssignmentInput>>()
            .answers::<AssignmentOutput>(Success::Created)
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::RoleAssigned])
            .by(assign),
        Operation::delete("unassignRole", ONE)
            .about(
                Tag::Members,
                "Take a role from a member",
                "You must hold whatever the role permits, over the same organization or one above it. The root owner \
                 can't lose `owner`. No call that begins after this has returned can do by it what it permitted. \
                 Clients of theirs that they can't own any more without it go to the root owner, and the secrets that \
                 they know of these are due to be rotated.",
            )
            .needs(Permission::RolesAssign)
            .urgent()
            .conditional()
            .may_fail(&[ProblemCode::RootOwner])
            .records(&[Action::RoleUnassigned])
            .by(unassign),
        Operation::get("listRoleAssignments", OVER)
            .about(
                Tag::Organizations,
                "List who holds roles over an organization",
                "Members and clients that hold one over this organization itself. Who holds one over an organization \
                 above reaches it too, and is not listed.",
            )
            .needs(Permission::MembersRead)
            .lists(LIST)
            .answers::<Page<AssignmentOutput>>(Success::Ok)
            .by(over),
    ]
}

async fn of_member(call: Call) -> Result<Answer<Assignments>, Problem> {
    let id = call.id("member")?;
    let found = call
        .read(move |tx, acting| {
            let member = find(tx, acting, id)?;
            let found = role_assignments::of(tx, acting.tenant, Holder::Member(member.id))?;
            Ok(found.iter().map(AssignmentOutput::from).collect())
        })
        .await?;
    Answer::ok(&Assignments { items: found })
}

async fn assign(
    call: Call,
    Json(input): Json<AssignmentInput>,
) -> Result<Answer<AssignmentOutput>, Problem> {
    let member: MemberId = call.id("member")?;
    let id: RoleAssignmentId = call.api().new_id()?;
    let organization = input.organization()?;
    let location = call.address(&format!(
        "/v1/tenants/{}/members/{member}/role-assignments/{id}",
        call.tenant()
    ));
    call.change(move |tx, acting| {
        // Whoever gives the first `owner` makes the root owner.
        let root_owner = root_owners::lock(tx, acting.tenant)?;
        let member = find_for_change(tx, acting, member)?;
        let home = home(tx, acting)?;
        let organization = organization.unwrap_or(home.root);
        check_over(tx, acting, organization)?;
        let role = role(tx, acting, &input.role, home.is_platform)?;
        if is_of_the_root(&role) && organization != home.root {
            let detail = "is held over the root organization alone; leave it out";
            return Err(Problem::field("/organization_id", detail).into());
        }
        let becomes_root_owner = root_owner.is_none() && role == Role::BuiltIn(BuiltInRole::Owner);
        let held = HeldRole { role, organization };
        let conveyed = held.conveys(home);
        acting.check_holds(tx, &conveyed)?;
        if becomes_root_owner {
            check_first_owner(&member, home)?;
        }
        give(tx, acting, id, Holder::Member(member.id), &held)?;
        if conveyed.iter().next().is_some() {
            // Whoever was shown a link before would come by it.
            credential_links::revoke_shown(tx, acting.tenant, &[member.id])?;
        }
        let assignment = role_assignments::find(tx, acting.tenant, id)?.ok_or(Problem::Internal)?;
        let event = Event::new(
            acting.tenant,
            Action::RoleAssigned,
            Target::Member(member.id),
        )
        .after(for_the_log(&assignment));
        let mut events = Events::from(event);
        if becomes_root_owner {
            root_owners::set(tx, acting.tenant, None, member.id)?;
            ownership::adopt(tx, acting.tenant, member.id)?;
            events = events.and(first_root_owner(acting, member.id));
        }
        let answer = Answer::created(&AssignmentOutput::from(&assignment), location)?;
        Ok(Change::Made(answer, events))
    })
    .await
}

/// The first owner becomes the root owner, whom nobody can disable or move.
fn check_first_owner(member: &Member, home: HomeTenant) -> Result<(), Stop> {
    if !member.suspension.is_suspended() && member.settings.organization == home.root {
        return Ok(());
    }
    let detail = "can't be given to this member: the first owner becomes the root owner, who is active and lives in \
                  the root organization";
    Err(Problem::field("/role", detail).into())
}

fn first_root_owner(acting: &Acting, member: MemberId) -> Event {
    let target = Target::Tenant(acting.tenant);
    Event::new(acting.tenant, Action::RootOwnerChanged, target)
        .before(json!({ "root_owner_id": null }))
        .after(json!({ "root_owner_id": member }))
}

async fn unassign(call: Call) -> Result<Answer<()>, Problem> {
    let member: MemberId = call.id("member")?;
    let id: RoleAssignmentId = call.id("role_assignment")?;
    call.change(move |tx, acting| {
        let root_owner = root_owners::lock(tx, acting.tenant)?;
        let member = find_for_change(tx, acting, member)?;
        let holder = Holder::Member(member.id);
        let assignment = role_assignments::find(tx, acting.tenant, id)?
            .filter(|assignment| assignment.holder == holder)
            .ok_or(Problem::NotFound)?;
        acting.reach(tx, assignment.held.organization)?;
        if root_owner == Some(member.id)
            && assignment.held.role.reference() == RoleReference::BuiltIn(BuiltInRole::Owner)
        {
            return Err(Problem::RootOwner.into());
        }
        let home = home(tx, acting)?;
        acting.check_holds(tx, &assignment.held.conveys(home))?;
        role_assignments::delete(tx, acting.tenant, id, holder)?;
        let event = Event::new(
            acting.tenant,
            Action::RoleUnassigned,
            Target::Member(member.id),
        )
        .before(for_the_log(&assignment));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}

async fn over(call: Call) -> Result<Answer<Page<AssignmentOutput>>, Problem> {
    let page = call.page()?;
    let organization: OrganizationId = call.id("organization")?;
    let (after, fetch) = (page.after_id(), page.fetch());
    let found = call
        .read(move |tx, acting| {
            let path = organizations::path(tx, acting.tenant, organization)?;
            if path.is_empty() {
                return Err(Problem::NotFound.into());
            }
            acting.reach(tx, organization)?;
            let after = after.map(RoleAssignmentId::from_uuid);
            Ok(role_assignments::over(
                tx,
                acting.tenant,
                organization,
                after,
                fetch,
            )?)
        })
        .await?;
    let place = |assignment: &Assignment| Place::of(assignment.id.uuid());
    Answer::ok(&page.page(found, place, |assignment| (&assignment).into())?)
}
