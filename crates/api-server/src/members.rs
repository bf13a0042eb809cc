//! Members: the users of a tenant.

mod authority;
mod create;
mod impact;
mod links;
mod offboarding;
mod role_assignments;
mod root_owner;
mod shapes;
mod state;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{MemberId, OrganizationId};
use grantor_domain::member::{Member, MemberStatus};
use grantor_domain::permission::Permission;
use grantor_storage::member_search::{self, MemberFilter, MemberOrder};
use grantor_storage::ownership::{self, Among};
use grantor_storage::{
    Change, ChangeTx, Reads, StorageError, authenticators, credential_links, members,
    organizations, root_owner as root_owners,
};

use self::authority::{check_holds_as_much, check_may_be};
use self::create::{CreatedMember, NewMemberInput};
use self::shapes::{MemberInput, MemberOutput, Standing, for_the_log};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::organizations::check_brings_nothing;
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Filter, FilterKind, Json, ListRules, MergePatch, Whole, sought};
use crate::schemas::Page;
use crate::words;

const MEMBERS: &str = "/v1/tenants/{tenant}/members";
const MEMBER: &str = "/v1/tenants/{tenant}/members/{member}";

const LIST: &ListRules = &ListRules {
    filters: &[
        Filter {
            name: "status",
            kind: FilterKind::Words(words::MemberStatus::WORDS),
            about: "Only members that are so.",
            example: "disabled",
        },
        Filter {
            name: "organization_id",
            kind: FilterKind::Organization,
            about: "Only members who live in this organization itself.",
            example: "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        },
        Filter {
            name: "email",
            kind: FilterKind::Text(254),
            about: "Only the member with this address, whichever letters of it are capital.",
            example: "colleague@acme.example",
        },
        Filter {
            name: "q",
            kind: FilterKind::Text(100),
            about: "Only members of whose name or address words begin so, each of several. Then the order is that of \
                    these words, and `sort` can't be given. By several words that many have each and few together, pages \
                    may be short: go on until `next_cursor` is `null`.",
            example: "coll",
        },
    ],
    sorts: &["created_at", "name", "email"],
};

/// The operations on members.
pub fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::post("createMember", MEMBERS)
            .about(
                Tag::Members,
                "Create a member",
                "Makes a member of the tenant, who holds no role yet. They set their first password by a link that works \
                 once, which is mailed to them or shown in this answer; or they are given one; or neither, and they \
                 are invited later.",
            )
            .needs(Permission::MembersWrite)
            .takes::<Json<NewMemberInput>>()
            .answers::<CreatedMember>(Success::Created)
            .tagged()
            .may_fail(&[ProblemCode::Conflict, ProblemCode::QuotaReached])
            .records(&[Action::MemberCreated])
            .by(create::create),
        Operation::get("listMembers", MEMBERS)
            .about(Tag::Members, "List members", "Those who live where you may see members.")
            .needs(Permission::MembersRead)
            .lists(LIST)
            .answers::<Page<MemberOutput>>(Success::Ok)
            .by(list),
        Operation::get("readMember", MEMBER)
            .about(Tag::Members, "Read a member", "Never with a password or a link.")
            .needs(Permission::MembersRead)
            .answers::<MemberOutput>(Success::Ok)
            .tagged()
            .by(read),
        Operation::patch("updateMember", MEMBER)
            .about(
                Tag::Members,
                "Change a member",
                "Changes what is given, and nothing else. For another address you must hold whatever the member \
                 holds; the root owner lives in the root organization. Whoever leaves the root organization leaves \
                 their clients to the root owner, and the secrets that they know are due to be rotated.",
            )
            .needs(Permission::MembersWrite)
            .conditional()
            .takes::<MergePatch<MemberInput>>()
            .answers::<MemberOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::Conflict, ProblemCode::RootOwner])
            .records(&[Action::MemberUpdated])
            .by(update),
        Operation::put("replaceMember", MEMBER)
            .about(
                Tag::Members,
                "Replace a member's settings",
                "Gives them these settings, and every one that is absent its default. They must exist. Whoever leaves \
                 the root organization leaves their clients to the root owner.",
            )
            .needs(Permission::MembersWrite)
            .conditional()
            .takes::<Whole<MemberInput>>()
            .answers::<MemberOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::Conflict, ProblemCode::RootOwner])
            .records(&[Action::MemberUpdated])
            .by(replace),
    ];
    operations.extend(state::operations());
    operations.push(impact::operation());
    operations.push(offboarding::operation());
    operations.extend(links::operations());
    operations.extend(role_assignments::operations());
    operations.extend(root_owner::operations());
    operations
}

/// The member with this id, if the caller may see them.
pub(crate) fn find(tx: &mut impl Reads, acting: &Acting, id: MemberId) -> Result<Member, Stop> {
    let member = members::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.reach(tx, member.settings.organization)?;
    Ok(member)
}

/// The same, kept from other changes until this one has ended, and in the state that the caller named.
pub(crate) fn find_for_change(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    id: MemberId,
) -> Result<Member, Stop> {
    let member = members::find_for_change(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.reach(tx, member.settings.organization)?;
    acting.condition.check(member.revision)?;
    Ok(member)
}

fn output(tx: &mut impl Reads, acting: &Acting, member: &Member) -> Result<MemberOutput, Stop> {
    let standing = Standing {
        is_root_owner: root_owners::find(tx, acting.tenant)? == Some(member.id),
        has_password: authenticators::has_password(tx, acting.tenant, member.id)?,
    };
    Ok(MemberOutput::of(member, standing))
}

/// The answer that shows a member as they stand now.
fn shown(tx: &mut impl Reads, acting: &Acting, id: MemberId) -> Result<Answer<MemberOutput>, Stop> {
    let member = members::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    Ok(Answer::ok(&output(tx, acting, &member)?)?.tagged(member.revision))
}

/// What stands in the way of a member as they are to be, told as the field at fault.
fn conflict(error: StorageError) -> Stop {
    match error {
        StorageError::Taken { constraint } if constraint == "members_email" => {
            let fault = FieldFault::pointer("/email", "is another member's address already");
            Problem::Conflict(fault).into()
        }
        // The organization went in this very moment.
        StorageError::Referenced { .. } => no_home(),
        other => other.into(),
    }
}

/// Demands that a member can live where they are to: in an organization that the caller reaches. One that is not
/// there is told alike.
fn check_home(
    tx: &mut impl Reads,
    acting: &Acting,
    organization: OrganizationId,
) -> Result<(), Stop> {
    let path = organizations::path(tx, acting.tenant, organization)?;
    if acting
        .caller
        .may_in(Permission::MembersWrite, &path)
        .is_ok()
    {
        return Ok(());
    }
    Err(no_home())
}

fn no_home() -> Stop {
    let detail = "is no organization in which you may make members; name one that you see";
    Problem::field("/organization_id", detail).into()
}

async fn list(call: Call) -> Result<Answer<Page<MemberOutput>>, Problem> {
    let page = call.page()?;
    let sought = sought(&page, &call.query)?;
    let organization: Option<OrganizationId> = page.filters.id("organization_id")?;
    let status = page.filters.text("status").map(|word| match word {
        "disabled" => MemberStatus::Disabled,
        _ => MemberStatus::Active,
    });
    let email = page.filters.text("email").map(str::to_owned);
    let order = match page.sort {
        "name" => MemberOrder::Name,
        "email" => MemberOrder::Email,
        _ => MemberOrder::Made,
    };
    let (after, descending, fetch) = (page.after_place(), page.descending, page.fetch());
    let part = call
        .read(move |tx, acting| {
            let filter = MemberFilter {
                organizations: acting.visible_among(tx, organization)?,
                status,
                email,
            };
            let tenant = acting.tenant;
            let part = match &sought {
                Some(sought) => member_search::search(tx, tenant, sought, &filter, after, fetch)?,
                None => member_search::list(tx, tenant, &filter, order, descending, after, fetch)?,
            };
            let root_owner = root_owners::find(tx, tenant)?;
            let ids = part.found.iter().map(|(_, member)| member.id);
            let with_password = authenticators::with_password(tx, tenant, ids)?;
            Ok(part.map(|member| {
                let standing = Standing {
                    is_root_owner: root_owner == Some(member.id),
                    has_password: with_password.contains(&member.id),
                };
                MemberOutput::of(&member, standing)
            }))
        })
        .await?;
    Answer::ok(&page.page_of(part)?)
}

async fn read(call: Call) -> Result<Answer<MemberOutput>, Problem> {
    let id = call.id("member")?;
    call.read(move |tx, acting| {
        let member = find(tx, acting, id)?;
        Ok(Answer::ok(&output(tx, acting, &member)?)?.tagged(member.revision))
    })
    .await
}

async fn update(
    call: Call,
    patch: MergePatch<MemberInput>,
) -> Result<Answer<MemberOutput>, Problem> {
    set(call, |current, shown| patch.apply(current, shown)).await
}

async fn replace(call: Call, whole: Whole<MemberInput>) -> Result<Answer<MemberOutput>, Problem> {
    set(call, |current, shown| whole.apply(current, shown)).await
}

/// Gives a member the settings that `wanted` makes of the present ones.
async fn set(
    call: Call,
    wanted: impl FnOnce(&MemberInput, &MemberOutput) -> Result<MemberInput, Problem> + Send + 'static,
) -> Result<Answer<MemberOutput>, Problem> {
    let id = call.id("member")?;
    call.change(move |tx, acting| {
        let root_owner = root_owners::lock(tx, acting.tenant)?;
        let member = find_for_change(tx, acting, id)?;
        let before = &member.settings;
        let present = output(tx, acting, &member)?;
        let settings = wanted(&before.into(), &present)?.verified(acting.caller.root)?;
        if settings == *before {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        }
        if settings.organization != before.organization {
            if root_owner == Some(id) {
                return Err(Problem::RootOwner.into());
            }
            check_home(tx, acting, settings.organization)?;
            check_brings_nothing(tx, acting, before.organization, settings.organization)?;
            // owner_2: whoever leaves the root organization loses what they own, as by being disabled.
            if before.organization == acting.caller.root
                && !ownership::owned_clients(tx, acting.tenant, id, Among::All, 1)?.is_empty()
            {
                check_holds_as_much(tx, acting, &member)?;
            }
        }
        if settings.email != before.email {
            // Whoever reads the member's mail can be the member.
            check_may_be(tx, acting, &member)?;
            credential_links::revoke_all(tx, acting.tenant, id)?;
        }
        members::update(tx, acting.tenant, id, &settings).map_err(conflict)?;
        let event = Event::new(acting.tenant, Action::MemberUpdated, Target::Member(id))
            .before(for_the_log(before))
            .after(for_the_log(&settings));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}
