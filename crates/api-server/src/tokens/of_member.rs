//! The live tokens by which clients act for one member.

use grantor_domain::audit::Action;
use grantor_domain::ids::{MemberId, TokenId};
use grantor_domain::permission::Permission;
use grantor_storage::live_tokens::{self, Whose};

use super::shapes::{RemovalInput, RemovedTokens, TokenOutput};
use super::{home, remove_all_of_member, remove_one, remove_some, shown};
use crate::answer::Answer;
use crate::call::Call;
use crate::members::{find, find_for_change};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Json, ListRules};
use crate::schemas::Page;

const TOKENS: &str = "/v1/tenants/{tenant}/members/{member}/tokens";

pub(super) const LIST: &ListRules = &ListRules {
    filters: &[],
    sorts: &[],
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listMemberTokens", TOKENS)
            .about(
                Tag::Tokens,
                "List the live tokens for a member",
                "Access tokens by which clients act for the member, client by client, and of each those first that expire \
                 last. Those of whoever is disabled are among them: they sleep. A page may be short: the end is where \
                 `next_cursor` is `null`.",
            )
            .needs(Permission::TokensRead)
            .lists(LIST)
            .answers::<Page<TokenOutput>>(Success::Ok)
            .by(list),
        Operation::delete(
            "removeMemberToken",
            "/v1/tenants/{tenant}/members/{member}/tokens/{token}",
        )
        .about(
            Tag::Tokens,
            "Remove a token for a member",
            "It is dead everywhere when this has answered. What lets its client get a new one is not touched. A token that \
             is dead already is told like one that never was. If-Match takes the member's ETag.",
        )
        .needs(Permission::TokensRemove)
        .urgent()
        .conditional()
        .records(&[Action::TokenRemoved])
        .by(remove),
        Operation::post(
            "removeMemberTokens",
            "/v1/tenants/{tenant}/members/{member}/tokens/remove",
        )
        .about(
            Tag::Tokens,
            "Remove several tokens for a member",
            "Up to 200, of whichever clients, all in one transaction. The answer is 200 whatever came of them: those that \
             are dead already, for another member or never were are `not_found`.",
        )
        .needs(Permission::TokensRemove)
        .urgent()
        .conditional()
        .takes::<Json<RemovalInput>>()
        .answers::<RemovedTokens>(Success::Ok)
        .records(&[Action::TokenRemoved])
        .by(remove_several),
        Operation::post(
            "removeAllMemberTokens",
            "/v1/tenants/{tenant}/members/{member}/tokens/remove-all",
        )
        .about(
            Tag::Tokens,
            "Remove all tokens for a member",
            "Every access token is dead everywhere when this has answered by which a client acts for the member and that \
             was issued before, however many there are.",
        )
        .needs(Permission::TokensRemove)
        .urgent()
        .conditional()
        .records(&[Action::MemberTokensRemoved])
        .by(remove_all),
    ]
}

async fn list(call: Call) -> Result<Answer<Page<TokenOutput>>, Problem> {
    let id: MemberId = call.id("member")?;
    let page = call.page()?;
    let (after, fetch) = (page.after_place(), page.fetch());
    let part = call
        .read(move |tx, acting| {
            find(tx, acting, id)?;
            let home = home(tx, acting)?;
            let named = acting.visible(tx)?;
            let found = live_tokens::list(tx, &home, Whose::Member(id), acting.now, after, fetch)?;
            shown(tx, acting, &home, found, named.as_deref())
        })
        .await?;
    Answer::ok(&page.page_of(part)?)
}

async fn remove(call: Call) -> Result<Answer<()>, Problem> {
    let id: MemberId = call.id("member")?;
    let token: TokenId = call.id("token")?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        remove_one(tx, acting, Whose::Member(id), token)
    })
    .await
}

async fn remove_several(
    call: Call,
    Json(input): Json<RemovalInput>,
) -> Result<Answer<RemovedTokens>, Problem> {
    let id: MemberId = call.id("member")?;
    let ids = input.verified(&call)?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        remove_some(tx, acting, Whose::Member(id), &ids)
    })
    .await
}

async fn remove_all(call: Call) -> Result<Answer<()>, Problem> {
    let id: MemberId = call.id("member")?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        remove_all_of_member(tx, acting, id)
    })
    .await
}
