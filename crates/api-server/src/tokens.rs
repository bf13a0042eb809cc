//! Live access tokens (`token_2`): of a client, of a member, of whoever asks; listed, and removed one by one or all at
//! once. Removing all is a cut: one small row, however many tokens there are.

mod of_client;
mod of_member;
mod of_tenant;
mod own;
mod shapes;

use std::collections::{BTreeSet, HashMap};

use grantor_domain::audit::{Action, Event, Events, Target};
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, TokenId};
use grantor_domain::resource_server::Catalogue;
use grantor_domain::role::HeldPermissions;
use grantor_domain::tenant::Tenant;
use grantor_domain::token::TokenSurroundings;
use grantor_protocol::scope::Scopes;
use grantor_storage::listing::Part;
use grantor_storage::live_tokens::{self, LiveToken, Removed, TokenClient, Whose};
use grantor_storage::{
    Change, ChangeTx, Reads, resource_servers, role_assignments, suspensions, tenants,
};
use serde_json::json;

use self::shapes::{RemovedTokens, TokenOutput};
use crate::answer::Answer;
use crate::call::{Acting, Outcome, Stop};
use crate::operation::Operation;
use crate::problem::Problem;

/// The operations on tokens.
pub fn operations() -> Vec<Operation> {
    [
        of_client::operations(),
        of_member::operations(),
        own::operations(),
        of_tenant::operations(),
    ]
    .concat()
}

/// The tenant that the call is about.
fn home(tx: &mut impl Reads, acting: &Acting) -> Result<Tenant, Stop> {
    Ok(tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?)
}

/// Of which clients the caller is told the names: all, or those that live in these organizations. Ids alone tell nothing
/// of a client that somebody may not see (`role_2`).
type Named<'a> = Option<&'a [OrganizationId]>;

/// What is shown of tokens: with what they are good for at this moment.
fn shown(
    tx: &mut impl Reads,
    acting: &Acting,
    home: &Tenant,
    part: Part<LiveToken>,
    named: Named<'_>,
) -> Result<Part<TokenOutput>, Stop> {
    let tokens = || part.found.iter().map(|(_, live)| &live.token);
    let clients: BTreeSet<ClientId> = tokens().map(|token| token.client).collect();
    let members: BTreeSet<MemberId> = tokens().filter_map(|token| token.member).collect();
    let now = Now {
        catalogue: resource_servers::catalogue(tx, home.id)?,
        clients: live_tokens::clients_of(tx, home.id, clients)?,
        rights: role_assignments::roles_of_members(tx, home.id, members)?
            .into_iter()
            .map(|(member, roles)| (member, HeldPermissions::of(&roles, home.home())))
            .collect(),
    };
    Ok(part.keep(|live| {
        let allowed_now = now.allowed(&live);
        let around = TokenSurroundings {
            epoch: live.epoch,
            tenant: &home.suspension,
            client: &live.client_suspension,
            member: &live.member_suspension,
            allowed_now: &allowed_now,
        };
        // The statement that found it has seen it alive; what has died since is left out.
        let standing = live.token.standing(acting.now, &around)?;
        let client = now.clients.get(&live.token.client);
        let name = client
            .filter(|client| named.is_none_or(|seen| seen.contains(&client.organization)))
            .map(|client| &client.name);
        Some(TokenOutput::of(&live, standing, name, &now.catalogue))
    }))
}

/// What decides what tokens are good for.
struct Now {
    catalogue: Catalogue,
    clients: HashMap<ClientId, TokenClient>,
    rights: HashMap<MemberId, HeldPermissions>,
}

impl Now {
    /// Those of a token's scopes that are allowed at this moment, as introspection has it (`token_8`, `role_4`).
    fn allowed(&self, live: &LiveToken) -> Scopes {
        let Some(client) = self.clients.get(&live.token.client) else {
            return Scopes::default();
        };
        let allowed = live.token.scopes.intersection(&client.allowed_scopes);
        let existing = self.catalogue.existing(&allowed);
        match live.token.member {
            Some(member) => {
                let nothing = HeldPermissions::default();
                let held = self.rights.get(&member).unwrap_or(&nothing);
                self.catalogue.for_member(&existing, held)
            }
            None => existing,
        }
    }
}

/// Removes one token. One that is dead is told like one that never was.
fn remove_one(tx: &mut ChangeTx<'_>, acting: &Acting, whose: Whose, id: TokenId) -> Outcome<()> {
    let home = home(tx, acting)?;
    match events(acting, &live_tokens::remove(tx, &home, whose, &[id])?) {
        Some(events) => Ok(Change::made(Answer::no_content(), events)),
        None => Err(Problem::NotFound.into()),
    }
}

/// Removes several, and tells what came of each.
fn remove_some(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    whose: Whose,
    ids: &[TokenId],
) -> Outcome<RemovedTokens> {
    let home = home(tx, acting)?;
    let removed = live_tokens::remove(tx, &home, whose, ids)?;
    let answer = Answer::ok(&RemovedTokens::of(ids, &removed))?;
    Ok(match events(acting, &removed) {
        Some(events) => Change::made(answer, events),
        None => Change::Nothing(answer),
    })
}

/// Removes all tokens by which clients act for a member.
fn remove_all_of_member(tx: &mut ChangeTx<'_>, acting: &Acting, member: MemberId) -> Outcome<()> {
    suspensions::cut_member_off(tx, acting.tenant, member)?;
    let event = Event::new(
        acting.tenant,
        Action::MemberTokensRemoved,
        Target::Member(member),
    );
    Ok(Change::made(Answer::no_content(), event))
}

/// `audit_1`: each removal is on record by itself.
fn events(acting: &Acting, removed: &[Removed]) -> Option<Events> {
    let mut events = removed.iter().map(|removed| {
        Event::new(
            acting.tenant,
            Action::TokenRemoved,
            Target::Token(removed.id),
        )
        .after(json!({ "client_id": removed.client, "member_id": removed.member }))
    });
    let first = Events::from(events.next()?);
    Some(events.fold(first, Events::and))
}
