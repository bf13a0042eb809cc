//! A member leaves: what they own goes to somebody else, their roles and links end, and they are deleted or disabled.

use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, TenantId};
use grantor_domain::member::Member;
use grantor_domain::ownership::TransferCause;
use grantor_domain::permission::Permission;
use grantor_storage::role_assignments::{self, Assignment, Holder};
use grantor_storage::{
    Change, ChangeTx, credential_links, members, ownership, root_owner, suspensions,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::authority::check_holds_as_much;
use super::find_for_change;
use super::impact::{Sight, Touched};
use super::shapes::for_the_log;
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Fields, Json};
use crate::role_assignments::for_the_log as role_for_the_log;
use crate::words::{Departure, MemberFate};

/// No more clients are named that somebody can't own.
const NAMED: usize = 20;

/// How a member leaves.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Offboarding, example = json!({ "confirm_name": "A new colleague", "then": "delete" }))]
pub struct OffboardingInput {
    /// The member's name, exactly.
    #[schema(example = "A new colleague", max_length = 100)]
    confirm_name: String,
    /// What becomes of the member.
    #[serde(default = "delete")]
    #[schema(default = "delete")]
    then: Departure,
    /// Who gets their clients: an active member who administers each of the organizations in which these live, or one
    /// above. The root owner, unless told otherwise. Where there is nothing to get it has no effect.
    #[schema(
        example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2c",
        pattern = "^mem_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    new_owner_id: Option<String>,
}

fn delete() -> Departure {
    Departure::Delete
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OffboardingReport, example = json!({ "member_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "outcome": "deleted", "clients": [{ "id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "name": "Nightly export", "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "status": "active" }],
    "client_count": { "count": 1, "more": false }, "hidden_client_count": { "count": 0, "more": false },
    "new_owner_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2c", "exposed_secrets": [{
    "secret_id": "sec_01kb2q3r4s5t6v7w8x9y0z1a2b", "client_id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "hint": "gsec_Ab3d", "made_by_them": true }], "exposed_secret_count": { "count": 1, "more": false },
    "hidden_secret_count": { "count": 0, "more": false },
    "marked_organization_ids": ["org_01kb2q3r4s5t6v7w8x9y0z1a2b"], "hidden_organization_count": 0, "roles": [] }))]
pub struct OffboardingReport {
    /// The member.
    #[schema(value_type = String, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    member_id: MemberId,
    /// What became of them.
    outcome: MemberFate,
    #[serde(flatten)]
    touched: Touched,
}

pub(super) fn operation() -> Operation {
    Operation::post("offboardMember", "/v1/tenants/{tenant}/members/{member}/offboard")
        .about(
            Tag::Members,
            "Offboard a member",
            "In one change: their clients go to the new owner, or else to the root owner; the secrets that they know \
             are marked as exposed, the others of those organizations as a precaution; their roles and links end; \
             and they are deleted for good, or disabled. No client stops working by it. You must hold whatever the \
             member holds. The root owner can't be offboarded. `readOffboardingImpact` tells the same beforehand. A \
             member who is disabled is on record as `member.disabled` instead of deleted.",
        )
        .needs(Permission::MembersDelete)
        .urgent()
        .conditional()
        .takes::<Json<OffboardingInput>>()
        .answers::<OffboardingReport>(Success::Ok)
        .may_fail(&[ProblemCode::ConfirmationMismatch, ProblemCode::RootOwner])
        .records(&[
            Action::MemberOffboarded,
            Action::MemberDeleted,
            Action::RoleUnassigned,
        ])
        .by(offboard)
}

async fn offboard(
    call: Call,
    Json(input): Json<OffboardingInput>,
) -> Result<Answer<OffboardingReport>, Problem> {
    let id: MemberId = call.id("member")?;
    let mut fields = Fields::default();
    let named = input
        .new_owner_id
        .as_deref()
        .map(|text| fields.parse("/new_owner_id", text, str::parse::<MemberId>));
    if named == Some(None) {
        return Err(fields.into_problem());
    }
    let named = named.flatten();
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        let root_owner = root_owner::lock(tx, tenant)?;
        let member = find_for_change(tx, acting, id)?;
        confirm(
            Some(&input.confirm_name),
            member.settings.name.as_str(),
            FieldFault::pointer(
                "/confirm_name",
                "must be the member's name, exactly; nothing was changed",
            ),
        )?;
        if root_owner == Some(id) {
            return Err(Problem::RootOwner.into());
        }
        check_holds_as_much(tx, acting, &member)?;
        let heir = named.or(root_owner);
        if let Some(heir) = heir {
            ownership::hold(tx, tenant, heir)?;
        }
        let owned = ownership::hold_all_of(tx, tenant, id)?;
        // While it is so still.
        let touched = Touched::by(tx, acting, id, heir)?;
        let roles = role_assignments::of(tx, tenant, Holder::Member(id))?;
        let is_idle = member.suspension.by_tenant.is_some() && roles.is_empty() && owned.is_empty();
        let report = Answer::ok(&OffboardingReport {
            member_id: id,
            outcome: input.then.into(),
            touched,
        })?;
        if input.then == Departure::Disable && is_idle {
            return Ok(Change::Nothing(report));
        }
        if let Some(heir) = named {
            pass_on(tx, acting, id, heir, input.then, &owned)?;
        }
        let events = leave(tx, tenant, &member, &roles, input.then)?;
        let event = Event::new(tenant, Action::MemberOffboarded, Target::Member(id)).after(json!({
            "outcome": MemberFate::from(input.then).as_str(),
            "new_owner_id": heir.filter(|_| !owned.is_empty()),
            "clients": owned.len(),
        }));
        Ok(Change::Made(report, Events::from(event).then(events)))
    })
    .await
}

/// Demands that the one who is named can own every client of the member's, and hands them over.
fn pass_on(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    from: MemberId,
    to: MemberId,
    then: Departure,
    owned: &[(ClientId, OrganizationId)],
) -> Result<(), Stop> {
    let cause = match then {
        Departure::Delete => TransferCause::OwnerDeleted,
        Departure::Disable => TransferCause::OwnerDisabled,
    };
    let fault = |clients: &str| {
        let detail = format!(
            "is no active member who may own {clients}; name one with the role `owner` or `admin` over the \
             organizations in which they live or above, or leave it out for the root owner"
        );
        Err(Problem::field("/new_owner_id", detail).into())
    };
    if from == to {
        return fault("what the member leaves, who is the same");
    }
    let refused = ownership::pass_on(tx, acting.tenant, from, to, cause)?;
    if refused.is_empty() {
        return Ok(());
    }
    let sight = Sight::of(tx, acting)?;
    let mut named: Vec<String> = owned
        .iter()
        .filter(|(client, place)| refused.contains(client) && sight.has(*place))
        .map(|(client, _)| client.to_string())
        .take(NAMED)
        .collect();
    let more = refused.len() - named.len();
    if more > 0 {
        named.push(format!("{more} more"));
    }
    fault(&named.join(", "))
}

/// Takes everything from a member that they hold, and deletes or disables them; tells what the log of record says of it.
fn leave(
    tx: &mut ChangeTx<'_>,
    tenant: TenantId,
    member: &Member,
    roles: &[Assignment],
    then: Departure,
) -> Result<Events, Stop> {
    let target = Target::Member(member.id);
    let mut events = match then {
        Departure::Delete => {
            members::delete(tx, tenant, member.id)?;
            let event = Event::new(tenant, Action::MemberDeleted, target);
            Events::from(event.before(for_the_log(&member.settings)))
        }
        Departure::Disable => {
            credential_links::revoke_all(tx, tenant, member.id)?;
            let mut events = Events::from(Event::new(tenant, Action::LinksRevoked, target));
            // A pause that there is stays as it is.
            if member.suspension.by_tenant.is_none() {
                let now = tx.now();
                suspensions::set_member_pause(tx, tenant, member.id, Some(now), None)?;
                let event = Event::new(tenant, Action::MemberDisabled, target);
                events = events.and(event.after(json!({ "reason": null })));
            }
            for assignment in roles {
                let holder = Holder::Member(member.id);
                role_assignments::delete(tx, tenant, assignment.id, holder)?;
            }
            events
        }
    };
    for assignment in roles {
        let event = Event::new(tenant, Action::RoleUnassigned, target);
        events = events.and(event.before(role_for_the_log(assignment)));
    }
    Ok(events)
}
