//! The roles of a client that acts for itself (`role_3`): without one it may do nothing at the management API.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, RoleAssignmentId};
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole, Role};
use grantor_storage::Change;
use grantor_storage::role_assignments::{self, Holder};

use super::{find, find_for_change};
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::{Problem, ProblemCode};
use crate::requests::Json;
use crate::role_assignments::{
    AssignmentInput, AssignmentOutput, Assignments, check_over, for_the_log, give, home,
    is_of_the_root, role,
};

const OF_CLIENT: &str = "/v1/tenants/{tenant}/clients/{client}/service-roles";
const ONE: &str = "/v1/tenants/{tenant}/clients/{client}/service-roles/{role_assignment}";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listServiceRoles", OF_CLIENT)
            .about(
                Tag::Clients,
                "List a client's service roles",
                "What the client may do at this API when it acts for itself, as far as its scopes name it.",
            )
            .needs(Permission::ClientsRead)
            .answers::<Assignments>(Success::Ok)
            .by(list),
        Operation::post("grantServiceRole", OF_CLIENT)
            .about(
                Tag::Clients,
                "Give a client a service role",
                "You must see the client, and hold whatever the role permits, over the same organization or one above \
                 it. It works at once, for tokens that are out already too. `owner` is for members alone. If-Match \
                 takes the client's ETag.",
            )
            .needs(Permission::RolesAssign)
            .conditional()
            .takes::<Json<AssignmentInput>>()
            .answers::<AssignmentOutput>(Success::Created)
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::RoleAssigned])
            .by(grant),
        Operation::delete("revokeServiceRole", ONE)
            .about(
                Tag::Clients,
                "Take a service role from a client",
                "You must hold whatever the role permits. No call of the client's that begins after this has returned \
                 can do by it what it permitted.",
            )
            .needs(Permission::RolesAssign)
            .urgent()
            .conditional()
            .records(&[Action::RoleUnassigned])
            .by(revoke),
    ]
}

async fn list(call: Call) -> Result<Answer<Assignments>, Problem> {
    let id: ClientId = call.id("client")?;
    call.read(move |tx, acting| {
        find(tx, acting, id)?;
        let found = role_assignments::of(tx, acting.tenant, Holder::Client(id))?;
        let items = found.iter().map(AssignmentOutput::from).collect();
        Ok(Answer::ok(&Assignments { items })?)
    })
    .await
}

async fn grant(
    call: Call,
    Json(input): Json<AssignmentInput>,
) -> Result<Answer<AssignmentOutput>, Problem> {
    let client: ClientId = call.id("client")?;
    let id: RoleAssignmentId = call.api().new_id()?;
    let organization = input.organization()?;
    let path = format!(
        "/v1/tenants/{}/clients/{client}/service-roles/{id}",
        call.tenant()
    );
    let location = call.address(&path);
    call.change(move |tx, acting| {
        find_for_change(tx, acting, client)?;
        let home = home(tx, acting)?;
        let organization = organization.unwrap_or(home.root);
        check_over(tx, acting, organization)?;
        let role = role(tx, acting, &input.role, home.is_platform)?;
        // role_1: there is always an owner, who is a member.
        if role == Role::BuiltIn(BuiltInRole::Owner) {
            let detail = "is for members alone; give the client `admin` over the root organization";
            return Err(Problem::field("/role", detail).into());
        }
        if is_of_the_root(&role) && organization != home.root {
            let detail = "is held over the root organization alone; leave it out";
            return Err(Problem::field("/organization_id", detail).into());
        }
        let held = HeldRole { role, organization };
        acting.check_holds(tx, &held.conveys(home))?;
        give(tx, acting, id, Holder::Client(client), &held)?;
        let assignment = role_assignments::find(tx, acting.tenant, id)?.ok_or(Problem::Internal)?;
        let event = Event::new(acting.tenant, Action::RoleAssigned, Target::Client(client))
            .after(for_the_log(&assignment));
        let answer = Answer::created(&AssignmentOutput::from(&assignment), location)?;
        Ok(Change::made(answer, event))
    })
    .await
}

async fn revoke(call: Call) -> Result<Answer<()>, Problem> {
    let client: ClientId = call.id("client")?;
    let id: RoleAssignmentId = call.id("role_assignment")?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, client)?;
        let holder = Holder::Client(client);
        let assignment = role_assignments::find(tx, acting.tenant, id)?
            .filter(|assignment| assignment.holder == holder)
            .ok_or(Problem::NotFound)?;
        acting.reach(tx, assignment.held.organization)?;
        let home = home(tx, acting)?;
        acting.check_holds(tx, &assignment.held.conveys(home))?;
        role_assignments::delete(tx, acting.tenant, id, holder)?;
        let event = Event::new(
            acting.tenant,
            Action::RoleUnassigned,
            Target::Client(client),
        )
        .before(for_the_log(&assignment));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
