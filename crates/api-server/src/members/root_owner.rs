//! The root owner: handed over, never lost.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::MemberId;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, RoleReference};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{Change, ChangeTx, members, root_owner as root_owners, tenants};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Fields, Json};
use crate::role_assignments::home;

const ROOT_OWNER: &str = "/v1/tenants/{tenant}/root-owner";

/// Who is to be the root owner.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RootOwnerInput, example = json!({ "member_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b" }))]
pub struct RootOwnerInput {
    /// An active member who holds the role `owner`.
    #[schema(
        example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^mem_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    member_id: String,
}

/// Who the root owner is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RootOwner)]
pub struct RootOwnerOutput {
    /// The member; null in a tenant without owners, which that of the operators may be.
    #[schema(required = true, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    member_id: Option<String>,
}

impl From<Option<MemberId>> for RootOwnerOutput {
    fn from(owner: Option<MemberId>) -> Self {
        Self {
            member_id: owner.map(|owner| owner.to_string()),
        }
    }
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("readRootOwner", ROOT_OWNER)
            .about(
                Tag::Members,
                "Read the root owner",
                "Every tenant has exactly one: an owner whom nobody can disable, delete or demote.",
            )
            .needs_over_whole_tenant(Permission::MembersRead)
            .open_to_operators(Permission::TenantsRead)
            .answers::<RootOwnerOutput>(Success::Ok)
            .by(read),
        Operation::put("handOverRootOwnership", ROOT_OWNER)
            .about(
                Tag::Members,
                "Hand the root ownership over",
                "Makes another active owner the root owner. The root owner does it, through a client that acts for \
                 them; or an operator, for one who is gone. Who was it remains an owner.",
            )
            .needs_over_whole_tenant(Permission::RolesAssign)
            .open_to_operators(Permission::TenantsWrite)
            .takes::<Json<RootOwnerInput>>()
            .answers::<RootOwnerOutput>(Success::Ok)
            .records(&[Action::RootOwnerChanged])
            .by(hand_over),
    ]
}

async fn read(call: Call) -> Result<Answer<RootOwnerOutput>, Problem> {
    let scope = call.scope();
    let owner = call
        .read_in(scope, |tx, acting| {
            tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
            Ok(root_owners::find(tx, acting.tenant)?)
        })
        .await?;
    Answer::ok(&owner.into())
}

async fn hand_over(
    call: Call,
    Json(input): Json<RootOwnerInput>,
) -> Result<Answer<RootOwnerOutput>, Problem> {
    let mut fields = Fields::default();
    let parsed = fields.parse(
        "/member_id",
        input.member_id.as_str(),
        str::parse::<MemberId>,
    );
    let Some(heir) = parsed else {
        return Err(fields.into_problem());
    };
    let scope = call.scope();
    call.change_in(scope, move |tx, acting| {
        if acting.is_for_platform() {
            tenants::find_and_hold(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
        }
        let former = root_owners::lock(tx, acting.tenant)?;
        check_may(acting, former)?;
        if former == Some(heir) {
            return Ok(Change::Nothing(Answer::ok(&former.into())?));
        }
        check_heir(tx, acting, heir)?;
        root_owners::set(tx, acting.tenant, former, heir)?;
        let events = acting.in_logs(|log| {
            let target = Target::Tenant(acting.tenant);
            Event::new(log, Action::RootOwnerChanged, target)
                .before(json!({ "root_owner_id": former }))
                .after(json!({ "root_owner_id": heir }))
        });
        Ok(Change::made(Answer::ok(&Some(heir).into())?, events))
    })
    .await
}

/// The root owner themselves. An operator may too, for one who is gone.
fn check_may(acting: &Acting, owner: Option<MemberId>) -> Result<(), Stop> {
    let is_theirs = owner.is_some() && acting.caller.member == owner;
    if is_theirs || acting.caller.holds(Permission::TenantsWrite).is_ok() {
        return Ok(());
    }
    Err(acting.refuse_to_others_than_the_root_owner())
}

/// Demands that somebody can be the root owner, and keeps them so until this change has ended.
fn check_heir(tx: &mut ChangeTx<'_>, acting: &Acting, heir: MemberId) -> Result<(), Stop> {
    let root = home(tx, acting)?.root;
    let member = members::find_for_change(tx, acting.tenant, heir)?;
    let is_active = member.is_some_and(|member| {
        !member.suspension.is_suspended() && member.settings.organization == root
    });
    let is_owner = role_assignments::roles_of(tx, acting.tenant, Holder::Member(heir))?
        .iter()
        .any(|held| held.role.reference() == RoleReference::BuiltIn(BuiltInRole::Owner));
    if is_active && is_owner {
        return Ok(());
    }
    let detail = "must be an active member who lives in the root organization and holds the role `owner`; give them \
                  the role first";
    Err(Problem::field("/member_id", detail).into())
}
