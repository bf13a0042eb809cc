//! A member's own live tokens: whoever they are, they see and remove these without any permission (`token_2`).

use grantor_domain::audit::Action;
use grantor_domain::ids::{MemberId, TokenId};
use grantor_storage::ChangeTx;
use grantor_storage::live_tokens::{self, Whose};

use super::of_member::LIST;
use super::shapes::{RemovalInput, RemovedTokens, TokenOutput};
use super::{home, remove_all_of_member, remove_one, remove_some, shown};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::members::find_for_change;
use crate::operation::{Operation, Success, Tag};
use crate::problem::{Problem, ProblemCode};
use crate::requests::Json;
use crate::schemas::Page;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listMyTokens", "/v1/me/tokens")
            .about(
                Tag::Tokens,
                "List my live tokens",
                "Access tokens by which clients act for the member who asks, this one among them; client by client, and of \
                 each those first that expire last. It needs no permission. A client that acts for itself has no member: \
                 404. A page may be short: the end is where `next_cursor` is `null`.",
            )
            .needs_a_known_caller()
            .lists(LIST)
            .answers::<Page<TokenOutput>>(Success::Ok)
            .may_fail(&[ProblemCode::NotFound])
            .by(list),
        Operation::delete("removeMyToken", "/v1/me/tokens/{token}")
            .about(
                Tag::Tokens,
                "Remove a token of mine",
                "It is dead everywhere when this has answered. What lets its client get a new one is not touched. It needs no \
                 permission. If-Match takes the ETag of the member who asks.",
            )
            .needs_a_known_caller()
            .urgent()
            .conditional()
            .records(&[Action::TokenRemoved])
            .by(remove),
        Operation::post("removeMyTokens", "/v1/me/tokens/remove")
            .about(
                Tag::Tokens,
                "Remove several tokens of mine",
                "Up to 200, of whichever clients, all in one transaction. It needs no permission. The answer is 200 whatever \
                 came of them: those that are dead already, for another member or never were are `not_found`.",
            )
            .needs_a_known_caller()
            .urgent()
            .takes::<Json<RemovalInput>>()
            .answers::<RemovedTokens>(Success::Ok)
            .may_fail(&[ProblemCode::NotFound])
            .records(&[Action::TokenRemoved])
            .by(remove_several),
        Operation::post("removeAllMyTokens", "/v1/me/tokens/remove-all")
            .about(
                Tag::Tokens,
                "Remove all my tokens",
                "Every access token is dead everywhere when this has answered by which a client acts for the member who asks, \
                 the one that this was asked with among them. It needs no permission.",
            )
            .needs_a_known_caller()
            .urgent()
            .may_fail(&[ProblemCode::NotFound])
            .records(&[Action::MemberTokensRemoved])
            .by(remove_all),
    ]
}

/// The member who asks. A client that acts for itself is told that there is none.
fn member(acting: &Acting) -> Result<MemberId, Stop> {
    Ok(acting.caller.member.ok_or(Problem::NotFound)?)
}

/// The same, kept from other changes until this one has ended.
fn member_for_change(tx: &mut ChangeTx<'_>, acting: &Acting) -> Result<MemberId, Stop> {
    let id = member(acting)?;
    find_for_change(tx, acting, id)?;
    Ok(id)
}

async fn list(call: Call) -> Result<Answer<Page<TokenOutput>>, Problem> {
    let page = call.page()?;
    let (after, fetch) = (page.after_place(), page.fetch());
    let part = call
        .read(move |tx, acting| {
            let whose = Whose::Member(member(acting)?);
            let home = home(tx, acting)?;
            let found = live_tokens::list(tx, &home, whose, acting.now, after, fetch)?;
            // Members know the clients that act for them.
            shown(tx, acting, &home, found, None)
        })
        .await?;
    Answer::ok(&page.page_of(part)?)
}

async fn remove(call: Call) -> Result<Answer<()>, Problem> {
    let token: TokenId = call.id("token")?;
    call.change(move |tx, acting| {
        let id = member_for_change(tx, acting)?;
        remove_one(tx, acting, Whose::Member(id), token)
    })
    .await
}

async fn remove_several(
    call: Call,
    Json(input): Json<RemovalInput>,
) -> Result<Answer<RemovedTokens>, Problem> {
    let ids = input.verified(&call)?;
    call.change(move |tx, acting| {
        let id = member_for_change(tx, acting)?;
        remove_some(tx, acting, Whose::Member(id), &ids)
    })
    .await
}

async fn remove_all(call: Call) -> Result<Answer<()>, Problem> {
    call.change(move |tx, acting| {
        let id = member_for_change(tx, acting)?;
        remove_all_of_member(tx, acting, id)
    })
    .await
}
