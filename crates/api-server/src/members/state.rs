//! Disabling and enabling a member, and deleting one for good.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::permission::Permission;
use grantor_domain::text::Reason;
use grantor_storage::{Change, members, root_owner, suspensions};
use serde_json::json;

use super::authority::check_holds_as_much;
use super::shapes::{MemberOutput, for_the_log};
use super::{MEMBER, find_for_change, shown};
use crate::answer::Answer;
use crate::call::{Call, confirm};
use crate::client_state::DisableInput;
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::OptionalJson;

const CONFIRM_NAME: &[QueryParameter] = &[QueryParameter {
    name: "confirm_name",
    required: true,
    max_length: 100,
    about: "The member's name, exactly.",
    example: "A new colleague",
}];

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("disableMember", "/v1/tenants/{tenant}/members/{member}/disable")
            .about(
                Tag::Members,
                "Disable a member",
                "Until they are enabled again they don't sign in, and tokens of clients that act for them are good \
                 nowhere; when this has returned, that holds on every server. Their clients go to the root owner, go on \
                 working, and don't come back; the secrets that they know are due to be rotated. You must hold \
                 whatever the member holds. The root owner can't be disabled.",
            )
            .needs(Permission::MembersDisable)
            .urgent()
            .conditional()
            .takes::<OptionalJson<DisableInput>>()
            .answers::<MemberOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::RootOwner])
            .records(&[Action::MemberDisabled])
            .by(disable),
        Operation::post("enableMember", "/v1/tenants/{tenant}/members/{member}/enable")
            .about(
                Tag::Members,
                "Enable a member",
                "What did not expire meanwhile works again. You must hold whatever the member holds.",
            )
            .needs(Permission::MembersDisable)
            .conditional()
            .answers::<MemberOutput>(Success::Ok)
            .tagged()
            .records(&[Action::MemberEnabled])
            .by(enable),
        Operation::delete("deleteMember", MEMBER)
            .about(
                Tag::Members,
                "Delete a member",
                "For good: their roles and password go, and tokens of clients that act for them die. You must hold \
                 whatever the member holds. Their clients go to the root owner and go on working; the secrets that they \
                 know are due to be rotated. The root owner can't be deleted. The member's name must be typed in \
                 `confirm_name`.",
            )
            .needs(Permission::MembersDelete)
            .urgent()
            .conditional()
            .query(CONFIRM_NAME)
            .may_fail(&[ProblemCode::ConfirmationMismatch, ProblemCode::RootOwner])
            .records(&[Action::MemberDeleted])
            .by(delete),
    ]
}

async fn disable(
    call: Call,
    OptionalJson(input): OptionalJson<DisableInput>,
) -> Result<Answer<MemberOutput>, Problem> {
    let id = call.id("member")?;
    let reason = input.verified()?;
    call.change(move |tx, acting| {
        let root_owner = root_owner::lock(tx, acting.tenant)?;
        let member = find_for_change(tx, acting, id)?;
        if member.suspension.by_tenant.is_some() {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        }
        if root_owner == Some(id) {
            return Err(Problem::RootOwner.into());
        }
        check_holds_as_much(tx, acting, &member)?;
        let now = tx.now();
        suspensions::set_member_pause(tx, acting.tenant, id, Some(now), reason.as_ref())?;
        let event = Event::new(acting.tenant, Action::MemberDisabled, Target::Member(id))
            .after(json!({ "reason": reason.as_ref().map(Reason::as_str) }));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}

async fn enable(call: Call) -> Result<Answer<MemberOutput>, Problem> {
    let id = call.id("member")?;
    call.change(move |tx, acting| {
        let member = find_for_change(tx, acting, id)?;
        let Some(pause) = &member.suspension.by_tenant else {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        };
        check_holds_as_much(tx, acting, &member)?;
        suspensions::set_member_pause(tx, acting.tenant, id, None, None)?;
        let event = Event::new(acting.tenant, Action::MemberEnabled, Target::Member(id))
            .before(json!({ "disabled_since": pause.since }));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}

async fn delete(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.id("member")?;
    let typed = call.query.get("confirm_name").map(str::to_owned);
    call.change(move |tx, acting| {
        let root_owner = root_owner::lock(tx, acting.tenant)?;
        let member = find_for_change(tx, acting, id)?;
        confirm(
            typed.as_deref(),
            member.settings.name.as_str(),
            FieldFault::parameter(
                "confirm_name",
                "must be the member's name, exactly; nothing was deleted",
            ),
        )?;
        if root_owner == Some(id) {
            return Err(Problem::RootOwner.into());
        }
        check_holds_as_much(tx, acting, &member)?;
        members::delete(tx, acting.tenant, id)?;
        let event = Event::new(acting.tenant, Action::MemberDeleted, Target::Member(id))
            .before(for_the_log(&member.settings));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
