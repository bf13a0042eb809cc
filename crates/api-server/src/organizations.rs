//! The tree of organizations: create, list, read, rename, move, delete (`org_1`).
//!
//! Every permission here reaches over subtrees. Whoever holds one over a business group sees that group and what lies
//! below it, and of what lies above or beside nothing: neither a name nor an id.

mod shapes;
mod sight;
mod tree;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::OrganizationId;
use grantor_domain::organization::{Organization, may_be_put_under};
use grantor_domain::permission::Permission;
use grantor_domain::quota::Counted;
use grantor_storage::organizations::{self, OrganizationFilter, OrganizationOrder};
use grantor_storage::{Change, ChangeTx, Reads, StorageError, quotas, role_assignments};
use serde_json::json;

use self::shapes::{
    NewOrganization, NewPlace, OrganizationOutput, OrganizationSettings, for_the_log,
};
use self::sight::{Sight, output};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm};
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Filter, FilterKind, Json, ListRules, MergePatch, Place};
use crate::schemas::Page;

const ORGANIZATIONS: &str = "/v1/tenants/{tenant}/organizations";
const ORGANIZATION: &str = "/v1/tenants/{tenant}/organizations/{organization}";
const MOVE: &str = "/v1/tenants/{tenant}/organizations/{organization}/move";

const LIST: &ListRules = &ListRules {
    filters: &[
        Filter {
            name: "parent",
            kind: FilterKind::Organization,
            about: "Only those right under this organization.",
            example: "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        },
        Filter {
            name: "name",
            kind: FilterKind::Text(100),
            about: "Only those whose name begins so, letters large and small as they are.",
            example: "Eng",
        },
    ],
    sorts: &["created_at", "name"],
};

const CONFIRM_NAME: &[QueryParameter] = &[QueryParameter {
    name: "confirm_name",
    required: true,
    max_length: 100,
    about: "The organization's name, exactly.",
    example: "Engineering",
}];

/// The operations on organizations.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("createOrganization", ORGANIZATIONS)
            .about(
                Tag::Organizations,
                "Create a business group",
                "Under an organization over which you hold `organizations.write`. A tree is at most 32 deep.",
            )
            .needs(Permission::OrganizationsWrite)
            .takes::<Json<NewOrganization>>()
            .answers::<OrganizationOutput>(Success::Created)
            .tagged()
            .may_fail(&[ProblemCode::QuotaReached])
            .records(&[Action::OrganizationCreated])
            .by(create),
        Operation::get("listOrganizations", ORGANIZATIONS)
            .about(Tag::Organizations, "List organizations", "Those that you may see, one by one.")
            .needs(Permission::OrganizationsRead)
            .lists(LIST)
            .answers::<Page<OrganizationOutput>>(Success::Ok)
            .by(list),
        tree::operation(),
        Operation::get("readOrganization", ORGANIZATION)
            .about(Tag::Organizations, "Read an organization", "The root, or a business group.")
            .needs(Permission::OrganizationsRead)
            .answers::<OrganizationOutput>(Success::Ok)
            .tagged()
            .by(read),
        Operation::patch("updateOrganization", ORGANIZATION)
            .about(
                Tag::Organizations,
                "Rename an organization",
                "The root too. What can't be set here may be sent along as it is.",
            )
            .needs(Permission::OrganizationsWrite)
            .conditional()
            .takes::<MergePatch<OrganizationSettings>>()
            .answers::<OrganizationOutput>(Success::Ok)
            .tagged()
            .records(&[Action::OrganizationUpdated])
            .by(update),
        Operation::post("moveOrganization", MOVE)
            .about(
                Tag::Organizations,
                "Move a business group",
                "Puts it, with all that lies below and in it, under another organization. From then on it is managed by \
                 whoever manages that one. You need `organizations.write` over the organization that it leaves as well \
                 as over the one that it comes under. Clients whose owners administer them there no more go to the root \
                 owner.",
            )
            .needs(Permission::OrganizationsWrite)
            .conditional()
            .takes::<Json<NewPlace>>()
            .answers::<OrganizationOutput>(Success::Ok)
            .tagged()
            .records(&[Action::OrganizationMoved])
            .by(move_to),
        Operation::delete("deleteOrganization", ORGANIZATION)
            .about(
                Tag::Organizations,
                "Delete a business group",
                "For good, once nothing is in it: no business groups, clients or members, and no roles held over it. Its \
                 name must be typed in `confirm_name`. You need `organizations.write` over the organization above it.",
            )
            .needs(Permission::OrganizationsWrite)
            .conditional()
            .query(CONFIRM_NAME)
            .may_fail(&[ProblemCode::ConfirmationMismatch, ProblemCode::NotEmpty])
            .records(&[Action::OrganizationDeleted])
            .by(delete),
    ]
}

/// The organization with this id, if the caller may see it.
fn find(tx: &mut impl Reads, acting: &Acting, id: OrganizationId) -> Result<Organization, Stop> {
    let found = organizations::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.reach(tx, id)?;
    Ok(found)
}

/// The same, kept from other changes until this one has ended, and in the state that the caller named.
fn find_for_change(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    id: OrganizationId,
) -> Result<Organization, Stop> {
    let found = organizations::find_for_change(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.reach(tx, id)?;
    acting.condition.check(found.revision)?;
    Ok(found)
}

/// Demands that the caller manages an organization; another problem is told than that there is none.
fn manages(
    tx: &mut impl Reads,
    acting: &Acting,
    organization: OrganizationId,
    otherwise: Problem,
) -> Result<(), Stop> {
    acting.reach(tx, organization).map_err(|stop| match stop {
        Stop::Refused(_, event) => Stop::Refused(otherwise, event),
        other @ Stop::Problem(_) => other,
    })
}

/// Demands that an organization is there and that the caller manages it: which of both it is not, nobody learns.
fn find_new_parent(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    id: OrganizationId,
) -> Result<Vec<OrganizationId>, Stop> {
    let unseen = || {
        let detail = "must be an organization over which you hold organizations.write";
        Problem::field("/parent_id", detail)
    };
    let path = organizations::path(tx, acting.tenant, id)?;
    if path.is_empty() {
        return Err(unseen().into());
    }
    manages(tx, acting, id, unseen())?;
    Ok(path)
}

/// The parent of a business group; what the root is refused is told so.
fn parent_of(organization: &Organization, refused: &str) -> Result<OrganizationId, Problem> {
    organization
        .parent
        .ok_or_else(|| Problem::parameter("organization", refused))
}

/// The answer that shows an organization as it stands now.
fn shown(
    tx: &mut impl Reads,
    acting: &Acting,
    id: OrganizationId,
) -> Result<Answer<OrganizationOutput>, Stop> {
    let found = organizations::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    Ok(Answer::ok(&output(tx, acting, &found)?)?.tagged(found.revision))
}

async fn create(
    call: Call,
    Json(input): Json<NewOrganization>,
) -> Result<Answer<OrganizationOutput>, Problem> {
    let (name, parent) = input.verified()?;
    let id: OrganizationId = call.api().new_id()?;
    let location = call.address(&format!("/v1/tenants/{}/organizations/{id}", call.tenant()));
    call.change(move |tx, acting| {
        let root = organizations::lock_tree(tx, acting.tenant)?;
        let parent = parent.unwrap_or(root);
        let path = find_new_parent(tx, acting, parent)?;
        may_be_put_under(&path, None, 1).map_err(|error| Problem::field("/parent_id", error))?;
        organizations::insert_group(tx, acting.tenant, parent, id, &name)?;
        quotas::check(tx, acting.tenant, Counted::Organizations)?;
        let event = Event::new(
            acting.tenant,
            Action::OrganizationCreated,
            Target::Organization(id),
        )
        .after(for_the_log(&name, Some(parent)));
        let made = organizations::find(tx, acting.tenant, id)?.ok_or(Problem::Internal)?;
        let answer = Answer::created(&output(tx, acting, &made)?, location)?;
        Ok(Change::made(answer.tagged(made.revision), event))
    })
    .await
}

async fn list(call: Call) -> Result<Answer<Page<OrganizationOutput>>, Problem> {
    let page = call.page()?;
    let parent = page
        .filters
        .text("parent")
        .map(|id| {
            id.parse::<OrganizationId>()
                .map_err(|error| Problem::parameter("parent", error))
        })
        .transpose()?;
    let name_begins = page.filters.text("name").map(str::to_owned);
    let order = match page.sort {
        "name" => OrganizationOrder::Name,
        _ => OrganizationOrder::Made,
    };
    let (after, descending, fetch) = (page.after.clone(), page.descending, page.fetch());
    let (found, sight) = call
        .read(move |tx, acting| {
            let among = acting.visible(tx)?;
            let sight = Sight::of(tx, acting)?;
            // Under what is not seen nothing is found: it would tell that it lies there.
            if parent.is_some_and(|parent| !sight.has(parent)) {
                return Ok((Vec::new(), sight));
            }
            let filter = OrganizationFilter {
                parent,
                name_begins,
                among,
            };
            let after = after.map(|place| (place.key, OrganizationId::from_uuid(place.id)));
            let found =
                organizations::search(tx, acting.tenant, &filter, order, descending, after, fetch)?;
            Ok((found, sight))
        })
        .await?;
    let place = |organization: &Organization| Place {
        key: (order == OrganizationOrder::Name).then(|| organization.name.to_string()),
        id: organization.id.uuid(),
    };
    Answer::ok(&page.page(found, place, |organization| sight.show(&organization))?)
}

async fn read(call: Call) -> Result<Answer<OrganizationOutput>, Problem> {
    let id = call.id("organization")?;
    call.read(move |tx, acting| {
        find(tx, acting, id)?;
        shown(tx, acting, id)
    })
    .await
}

async fn update(
    call: Call,
    patch: MergePatch<OrganizationSettings>,
) -> Result<Answer<OrganizationOutput>, Problem> {
    let id = call.id("organization")?;
    call.change(move |tx, acting| {
        let found = find_for_change(tx, acting, id)?;
        let shown_now = output(tx, acting, &found)?;
        let name = patch.apply(&(&found).into(), &shown_now)?.verified()?;
        if name == found.name {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        }
        organizations::rename(tx, acting.tenant, id, &name)?;
        let event = Event::new(
            acting.tenant,
            Action::OrganizationUpdated,
            Target::Organization(id),
        )
        .before(json!({ "name": found.name.as_str() }))
        .after(json!({ "name": name.as_str() }));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}

/// `role_3`: whoever holds a role over the new place, and not over the old one, comes to hold it over what is moved.
/// Nobody brings that about who could not give it there themselves.
pub fn check_brings_nothing(
    tx: &mut impl Reads,
    acting: &Acting,
    from: OrganizationId,
    to: OrganizationId,
) -> Result<(), Stop> {
    let old = organizations::path(tx, acting.tenant, from)?;
    let new = organizations::path(tx, acting.tenant, to)?;
    let beyond: Vec<OrganizationId> = new
        .into_iter()
        .filter(|place| !old.contains(place))
        .collect();
    let roles = role_assignments::kinds_over(tx, acting.tenant, &beyond)?;
    let brought = Permission::ALL
        .iter()
        .filter(|permission| !permission.is_for_operators())
        .filter(|permission| roles.iter().any(|role| role.permits(**permission)))
        .map(|permission| (*permission, old.as_slice()));
    acting
        .caller
        .may_come_by(brought)
        .map_err(|refusal| acting.refuse(refusal))
}

async fn move_to(
    call: Call,
    Json(input): Json<NewPlace>,
) -> Result<Answer<OrganizationOutput>, Problem> {
    let id = call.id("organization")?;
    let to = input.verified()?;
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        organizations::lock_tree(tx, tenant)?;
        let found = find_for_change(tx, acting, id)?;
        let from = parent_of(&found, "is the root organization, which can't be moved")?;
        // It is seen, so that it is there is no secret; that it lies under something isn't either.
        let forbidden = Problem::Forbidden(Permission::OrganizationsWrite);
        manages(tx, acting, from, forbidden)?;
        let path = find_new_parent(tx, acting, to)?;
        if from == to {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        }
        let levels = organizations::levels(tx, tenant, id)?;
        may_be_put_under(&path, Some(id), levels)
            .map_err(|error| Problem::field("/parent_id", error))?;
        check_brings_nothing(tx, acting, from, to)?;
        organizations::put_under(tx, tenant, id, from, to)?;
        let event = Event::new(tenant, Action::OrganizationMoved, Target::Organization(id))
            .before(json!({ "parent_id": from }))
            .after(json!({ "parent_id": to }));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}

async fn delete(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.id("organization")?;
    let typed = call.query.get("confirm_name").map(str::to_owned);
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        organizations::lock_tree(tx, tenant)?;
        let found = find_for_change(tx, acting, id)?;
        let refused = "is the root organization, which goes with its tenant alone";
        let parent = parent_of(&found, refused)?;
        let forbidden = Problem::Forbidden(Permission::OrganizationsWrite);
        manages(tx, acting, parent, forbidden)?;
        confirm(
            typed.as_deref(),
            found.name.as_str(),
            FieldFault::parameter(
                "confirm_name",
                "must be the organization's name, exactly; nothing was deleted",
            ),
        )?;
        let left = organizations::contents_for_deletion(tx, tenant, id)?;
        if !left.is_empty() {
            return Err(Problem::not_empty(left).into());
        }
        organizations::delete(tx, tenant, id, parent).map_err(|error| match error {
            // By something that is none of the contents.
            StorageError::Referenced { .. } => {
                Stop::Problem(Problem::not_empty("something that refers to it"))
            }
            other => other.into(),
        })?;
        let event = Event::new(
            tenant,
            Action::OrganizationDeleted,
            Target::Organization(id),
        )
        .before(for_the_log(&found.name, found.parent));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
