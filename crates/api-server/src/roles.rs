//! Roles: those that every tenant has, to be read, and a tenant's own, made of the catalogue of permissions.

mod shapes;

use std::collections::BTreeSet;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::RoleId;
use grantor_domain::own_role::{OwnRole, OwnRoleSettings};
use grantor_domain::permission::Permission;
use grantor_domain::quota::Counted;
use grantor_domain::role::{BuiltInRole, RoleReference};
use grantor_domain::tenant::Tenant;
use grantor_storage::{
    Change, ChangeTx, Reads, StorageError, credential_links, quotas, role_assignments, roles,
    tenants,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use self::shapes::{PermissionOutput, RoleInput, RoleOutput};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Json, ListRules, MergePatch, Place, Whole};
use crate::schemas::Page;

const ROLES: &str = "/v1/tenants/{tenant}/roles";
const ROLE: &str = "/v1/tenants/{tenant}/roles/{role}";

const LIST: &ListRules = &ListRules {
    filters: &[],
    sorts: &[],
};

/// The catalogue of permissions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Permissions)]
pub struct Catalogue {
    /// All of them.
    items: Vec<PermissionOutput>,
}

/// The operations on roles.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listPermissions", "/v1/permissions")
            .about(
                Tag::Roles,
                "List the permissions",
                "Everything that can be permitted: what roles are made of. Each is a scope of this API too.",
            )
            .needs_a_known_caller()
            .answers::<Catalogue>(Success::Ok)
            .by(list_permissions),
        Operation::post("createRole", ROLES)
            .about(
                Tag::Roles,
                "Create a role",
                "Makes a role of the tenant's own. You must hold all that it permits, over the root organization.",
            )
            .needs_over_whole_tenant(Permission::RolesWrite)
            .takes::<Json<RoleInput>>()
            .answers::<RoleOutput>(Success::Created)
            .tagged()
            .may_fail(&[ProblemCode::Conflict, ProblemCode::QuotaReached])
            .records(&[Action::RoleCreated])
            .by(create),
        Operation::get("listRoles", ROLES)
            .about(
                Tag::Roles,
                "List roles",
                "First those that every tenant has, then the tenant's own in the order of their making.",
            )
            .needs(Permission::RolesRead)
            .lists(LIST)
            .answers::<Page<RoleOutput>>(Success::Ok)
            .by(list),
        Operation::get("readRole", ROLE)
            .about(
                Tag::Roles,
                "Read a role",
                "One of the tenant's own by its id, or one that every tenant has by its name.",
            )
            .needs(Permission::RolesRead)
            .answers::<RoleOutput>(Success::Ok)
            .tagged()
            .by(read),
        Operation::patch("updateRole", ROLE)
            .about(
                Tag::Roles,
                "Change a role",
                "Changes what is given, and nothing else; whoever holds the role has what it then permits, at once. \
                 You must hold what is added, over the root organization. Clients that a holder can't own any more without \
                 what is taken away go to the root owner.",
            )
            .needs_over_whole_tenant(Permission::RolesWrite)
            .conditional()
            .takes::<MergePatch<RoleInput>>()
            .answers::<RoleOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::RoleUpdated])
            .by(update),
        Operation::put("replaceRole", ROLE)
            .about(
                Tag::Roles,
                "Replace a role",
                "Gives it these settings, and every one that is absent its default. It must exist.",
            )
            .needs_over_whole_tenant(Permission::RolesWrite)
            .conditional()
            .takes::<Whole<RoleInput>>()
            .answers::<RoleOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::RoleUpdated])
            .by(replace),
        Operation::delete("deleteRole", ROLE)
            .about(
                Tag::Roles,
                "Delete a role",
                "For good. A role that somebody holds can't be deleted.",
            )
            .needs_over_whole_tenant(Permission::RolesWrite)
            .conditional()
            .may_fail(&[ProblemCode::NotEmpty])
            .records(&[Action::RoleDeleted])
            .by(delete),
    ]
}

async fn list_permissions(_call: Call) -> Result<Answer<Catalogue>, Problem> {
    Answer::ok(&Catalogue {
        items: Permission::ALL
            .iter()
            .map(|permission| (*permission).into())
            .collect(),
    })
}

fn tenant(tx: &mut impl Reads, acting: &Acting) -> Result<Tenant, Stop> {
    Ok(tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?)
}

/// One of the tenant's own, kept from other changes until this one has ended, and in the state that the caller
/// named. Those that every tenant has can't be changed.
fn find_for_change(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    reference: RoleReference,
) -> Result<OwnRole, Stop> {
    let RoleReference::Own(id) = reference else {
        let detail = "is a role that every tenant has, and can't be changed; make one of your own";
        return Err(Problem::parameter("role", detail).into());
    };
    let role = roles::find_for_change(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.condition.check(role.revision)?;
    Ok(role)
}

fn show(role: &OwnRole) -> Result<Answer<RoleOutput>, Problem> {
    Ok(Answer::ok(&RoleOutput::from(role))?.tagged(role.revision))
}

/// `role_3`: what a role permits may come to be held over the root organization, so whoever makes it permit
/// something must hold that there.
fn check_held(acting: &Acting, added: impl IntoIterator<Item = Permission>) -> Result<(), Stop> {
    let root = [acting.caller.root];
    acting
        .caller
        .may_come_by(added.into_iter().map(|permission| (permission, root)))
        .map_err(|refusal| acting.refuse(refusal))
}

/// Whose name it would take, told as the field at fault.
fn conflict(error: StorageError) -> Stop {
    match error {
        StorageError::Taken { constraint } if constraint == "roles_name" => {
            let fault = FieldFault::pointer("/name", "is another role's name already");
            Problem::Conflict(fault).into()
        }
        other => other.into(),
    }
}

async fn create(call: Call, Json(input): Json<RoleInput>) -> Result<Answer<RoleOutput>, Problem> {
    let id: RoleId = call.api().new_id()?;
    let location = call.address(&format!("/v1/tenants/{}/roles/{id}", call.tenant()));
    call.change(move |tx, acting| {
        let settings = input.verified(tenant(tx, acting)?.is_platform)?;
        check_held(acting, settings.permissions.iter().copied())?;
        roles::insert(tx, acting.tenant, id, &settings).map_err(conflict)?;
        quotas::check(tx, acting.tenant, Counted::Roles)?;
        let role = roles::find(tx, acting.tenant, id)?.ok_or(Problem::Internal)?;
        let event = Event::new(acting.tenant, Action::RoleCreated, Target::Role(id))
            .after(shapes::for_the_log(&settings));
        let answer = Answer::created(&RoleOutput::from(&role), location)?;
        Ok(Change::made(answer.tagged(role.revision), event))
    })
    .await
}

/// Where a role that every tenant has stands in the list: before all that were ever made.
fn place_of(index: usize) -> Uuid {
    Uuid::from_u128(index as u128 + 1)
}

async fn list(call: Call) -> Result<Answer<Page<RoleOutput>>, Problem> {
    let page = call.page()?;
    let (after, fetch) = (page.after_id().unwrap_or_default(), page.fetch());
    let found = call
        .read(move |tx, acting| {
            let is_platform = tenant(tx, acting)?.is_platform;
            let built_in = BuiltInRole::ALL
                .iter()
                .filter(|role| is_platform || **role != BuiltInRole::Operator)
                .enumerate()
                .map(|(index, role)| (place_of(index), RoleOutput::built_in(*role, is_platform)))
                .filter(|(place, _)| *place > after);
            let own = roles::list(
                tx,
                acting.tenant,
                Some(RoleId::from_uuid(after)),
                false,
                fetch,
            )?;
            let own = own
                .iter()
                .map(|role| (role.id.uuid(), RoleOutput::from(role)));
            let most = usize::try_from(fetch).unwrap_or_default();
            Ok(built_in.chain(own).take(most).collect::<Vec<_>>())
        })
        .await?;
    let place = |(place, _): &(Uuid, RoleOutput)| Place::of(*place);
    Answer::ok(&page.page(found, place, |(_, role)| role)?)
}

async fn read(call: Call) -> Result<Answer<RoleOutput>, Problem> {
    let reference = call.id("role")?;
    call.read(move |tx, acting| match reference {
        RoleReference::BuiltIn(role) => {
            let is_platform = tenant(tx, acting)?.is_platform;
            if role == BuiltInRole::Operator && !is_platform {
                return Err(Problem::NotFound.into());
            }
            Ok(Answer::ok(&RoleOutput::built_in(role, is_platform))?.tagged(0))
        }
        RoleReference::Own(id) => Ok(show(
            &roles::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?,
        )?),
    })
    .await
}

async fn update(call: Call, patch: MergePatch<RoleInput>) -> Result<Answer<RoleOutput>, Problem> {
    set(call, |current, shown| patch.apply(current, shown)).await
}

async fn replace(call: Call, whole: Whole<RoleInput>) -> Result<Answer<RoleOutput>, Problem> {
    set(call, |current, shown| whole.apply(current, shown)).await
}

/// Gives a role the settings that `wanted` makes of the present ones.
async fn set(
    call: Call,
    wanted: impl FnOnce(&RoleInput, &RoleOutput) -> Result<RoleInput, Problem> + Send + 'static,
) -> Result<Answer<RoleOutput>, Problem> {
    let reference = call.id("role")?;
    call.change(move |tx, acting| {
        let role = find_for_change(tx, acting, reference)?;
        let is_platform = tenant(tx, acting)?.is_platform;
        let settings = wanted(&(&role.settings).into(), &(&role).into())?.verified(is_platform)?;
        if settings == role.settings {
            return Ok(Change::Nothing(show(&role)?));
        }
        let added = added(&role.settings, &settings);
        if !added.is_empty() {
            // Whoever was shown a link of a holder's would come by it.
            let now = tx.now();
            let shown = credential_links::shown_to_holders(tx, acting.tenant, role.id, now)?;
            credential_links::revoke_shown(tx, acting.tenant, &shown)?;
        }
        check_held(acting, added)?;
        roles::update(tx, acting.tenant, role.id, &settings).map_err(conflict)?;
        let after = roles::find(tx, acting.tenant, role.id)?.ok_or(Problem::Internal)?;
        let event = Event::new(acting.tenant, Action::RoleUpdated, Target::Role(role.id))
            .before(shapes::for_the_log(&role.settings))
            .after(shapes::for_the_log(&settings));
        Ok(Change::made(show(&after)?, event))
    })
    .await
}

fn added(before: &OwnRoleSettings, after: &OwnRoleSettings) -> BTreeSet<Permission> {
    after
        .permissions
        .difference(&before.permissions)
        .copied()
        .collect()
}

/// No more holders than these are counted.
const MANY: i64 = 100;

fn held_by(holders: usize) -> Problem {
    let who = match holders {
        1 => "1 member or client holds".to_owned(),
        100.. => "100 members and clients or more hold".to_owned(),
        some => format!("{some} members and clients hold"),
    };
    Problem::NotEmpty(format!("{who} it; take it from them first"))
}

async fn delete(call: Call) -> Result<Answer<()>, Problem> {
    let reference = call.id("role")?;
    call.change(move |tx, acting| {
        let role = find_for_change(tx, acting, reference)?;
        let holders = role_assignments::holders(tx, acting.tenant, role.id, MANY)?;
        if holders > 0 {
            return Err(held_by(holders).into());
        }
        match roles::delete(tx, acting.tenant, role.id) {
            Ok(_) => {}
            // Somebody was given it in this very moment.
            Err(StorageError::Referenced { .. }) => {
                return Err(held_by(1).into());
            }
            Err(error) => return Err(error.into()),
        }
        let event = Event::new(acting.tenant, Action::RoleDeleted, Target::Role(role.id))
            .before(shapes::for_the_log(&role.settings));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
