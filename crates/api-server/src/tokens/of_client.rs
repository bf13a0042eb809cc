//! The live tokens of one client.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, MemberId, TokenId};
use grantor_domain::permission::Permission;
use grantor_storage::live_tokens::{self, Whose};
use grantor_storage::{Change, suspensions};

use super::shapes::{RemovalInput, RemovedTokens, TokenOutput};
use super::{home, remove_one, remove_some, shown};
use crate::answer::Answer;
use crate::call::Call;
use crate::clients::{TokenCount, find, find_for_change};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Filter, FilterKind, Json, ListRules};
use crate::schemas::Page;

const TOKENS: &str = "/v1/tenants/{tenant}/clients/{client}/tokens";

const LIST: &ListRules = &ListRules {
    filters: &[Filter {
        name: "member_id",
        kind: FilterKind::Member,
        about: "Only tokens by which the client acts for this member.",
        example: "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
    }],
    sorts: &[],
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listClientTokens", TOKENS)
            .about(
                Tag::Tokens,
                "List a client's live tokens",
                "Access tokens that have neither expired nor been removed, those first that expire last. Those of a client \
                 or member that is disabled are among them: they sleep. Where very many dead ones lie in between, as they \
                 do for a while after all were removed, a page may be short: the end is where `next_cursor` is `null`.",
            )
            .needs(Permission::TokensRead)
            .lists(LIST)
            .answers::<Page<TokenOutput>>(Success::Ok)
            .by(list),
        Operation::get("countClientTokens", "/v1/tenants/{tenant}/clients/{client}/tokens/count")
            .about(
                Tag::Tokens,
                "Count a client's live tokens",
                "Exactly up to 1,000, and \"more\" beyond.",
            )
            .needs(Permission::TokensRead)
            .answers::<TokenCount>(Success::Ok)
            .by(count),
        Operation::delete(
            "removeClientToken",
            "/v1/tenants/{tenant}/clients/{client}/tokens/{token}",
        )
        .about(
            Tag::Tokens,
            "Remove a token of a client",
            "It is dead everywhere when this has answered. Neither the client's other tokens nor its way to a new one are \
             touched. A token that is dead already is told like one that never was. If-Match takes the client's ETag.",
        )
        .needs(Permission::TokensRemove)
        .urgent()
        .conditional()
        .records(&[Action::TokenRemoved])
        .by(remove),
        Operation::post(
            "removeClientTokens",
            "/v1/tenants/{tenant}/clients/{client}/tokens/remove",
        )
        .about(
            Tag::Tokens,
            "Remove several tokens of a client",
            "Up to 200, all in one transaction. The answer is 200 whatever came of them: those that are dead already, of \
             another client or never were are `not_found`.",
        )
        .needs(Permission::TokensRemove)
        .urgent()
        .conditional()
        .takes::<Json<RemovalInput>>()
        .answers::<RemovedTokens>(Success::Ok)
        .records(&[Action::TokenRemoved])
        .by(remove_several),
        Operation::post(
            "removeAllClientTokens",
            "/v1/tenants/{tenant}/clients/{client}/tokens/remove-all",
        )
        .about(
            Tag::Tokens,
            "Remove all tokens of a client",
            "Every access token is dead everywhere when this has answered that was issued to the client before, however \
             many there are, also of one that is disabled. It gets new ones at once: to keep it from that, disable it.",
        )
        .needs(Permission::TokensRemove)
        .urgent()
        .conditional()
        .records(&[Action::ClientTokensRemoved])
        .by(remove_all),
    ]
}

async fn list(call: Call) -> Result<Answer<Page<TokenOutput>>, Problem> {
    let id: ClientId = call.id("client")?;
    let page = call.page()?;
    let member: Option<MemberId> = page.filters.id("member_id")?;
    let whose = match member {
        Some(member) => Whose::ClientFor(id, member),
        None => Whose::Client(id),
    };
    let (after, fetch) = (page.after_place(), page.fetch());
    let part = call
        .read(move |tx, acting| {
            find(tx, acting, id)?;
            let home = home(tx, acting)?;
            let found = live_tokens::list(tx, &home, whose, acting.now, after, fetch)?;
            // Whoever sees the tokens sees the client whose they are.
            shown(tx, acting, &home, found, None)
        })
        .await?;
    Answer::ok(&page.page_of(part)?)
}

async fn count(call: Call) -> Result<Answer<TokenCount>, Problem> {
    let id: ClientId = call.id("client")?;
    let counted = call
        .read(move |tx, acting| {
            find(tx, acting, id)?;
            let home = home(tx, acting)?;
            Ok(live_tokens::count_of(tx, &home, id, None, acting.now)?)
        })
        .await?;
    Answer::ok(&TokenCount::from(counted.all))
}

async fn remove(call: Call) -> Result<Answer<()>, Problem> {
    let id: ClientId = call.id("client")?;
    let token: TokenId = call.id("token")?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        remove_one(tx, acting, Whose::Client(id), token)
    })
    .await
}

async fn remove_several(
    call: Call,
    Json(input): Json<RemovalInput>,
) -> Result<Answer<RemovedTokens>, Problem> {
    let id: ClientId = call.id("client")?;
    let ids = input.verified(&call)?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        remove_some(tx, acting, Whose::Client(id), &ids)
    })
    .await
}

async fn remove_all(call: Call) -> Result<Answer<()>, Problem> {
    let id: ClientId = call.id("client")?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        suspensions::cut_client_off(tx, acting.tenant, id)?;
        let event = Event::new(
            acting.tenant,
            Action::ClientTokensRemoved,
            Target::Client(id),
        );
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
