//! Clients: list, read, change, replace, delete; what else can be done with them has files of its own.

mod bulk;
mod change_type;
mod conveyed;
mod create;
mod enablements;
mod endpoints;
mod input;
mod limits;
mod list;
pub mod prepared;
mod profiles;
mod service_roles;
mod shapes;
mod usage;

use std::collections::HashMap;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::{Client, ScopeRefusal, check_allowed_scopes};
use grantor_domain::ids::{ClientId, OrganizationId};
use grantor_domain::permission::Permission;
use grantor_protocol::scope::Scopes;
use grantor_storage::live_tokens::LiveTokens;
use grantor_storage::{
    Change, ChangeTx, Reads, clients, last_uses, live_tokens, organizations, resource_servers,
    settings, tenants,
};
use serde_json::json;

use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm, refusal_event};
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::organizations::check_brings_nothing;
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{MergePatch, Whole};
use crate::role_assignments::out_of_reach;

pub use conveyed::check_may_act_as;
use conveyed::opens;
pub(crate) use create::check_owner;
pub use input::{ClientInput, OwnerContactShape};
use limits::check_limits;
pub use shapes::{ClientOutput, CreatedClient, PauseOutput, TokenCount, for_the_log, pauses};
use shapes::{LIVE, Live};
pub use usage::MOST_HOURS;

const CLIENTS: &str = "/v1/tenants/{tenant}/clients";
const CLIENT: &str = "/v1/tenants/{tenant}/clients/{client}";

const CONFIRM_NAME: &[QueryParameter] = &[QueryParameter {
    name: "confirm_name",
    required: true,
    max_length: 100,
    about: "The client's name, exactly.",
    example: "Nightly export",
}];

/// The operations on clients.
pub fn operations() -> Vec<Operation> {
    let mut operations = create::operations();
    operations.extend(list::operations());
    operations.extend([
        Operation::get("readClient", CLIENT)
            .about(Tag::Clients, "Read a client", "Every setting, and never a secret.")
            .needs(Permission::ClientsRead)
            .open_to_operators(Permission::PlatformSupport)
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .live()
            .by(read),
        Operation::patch("updateClient", CLIENT)
            .about(
                Tag::Clients,
                "Change a client",
                "Changes the settings given, and no other. What can't be set may be sent along as it is. Its type and its \
                 owner have operations of their own. Another organization takes the same permission there.",
            )
            .needs(Permission::ClientsWrite)
            .conditional()
            .takes::<MergePatch<ClientInput>>()
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .records(&[Action::ClientUpdated])
            .by(update),
        Operation::put("replaceClient", CLIENT)
            .about(
                Tag::Clients,
                "Replace a client's settings",
                "Gives the client these settings, and every one that is absent its default; it stays where it lives and \
                 whose it is unless told otherwise. The client must exist.",
            )
            .needs(Permission::ClientsWrite)
            .conditional()
            .takes::<Whole<ClientInput>>()
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .records(&[Action::ClientUpdated])
            .by(replace),
        Operation::delete("deleteClient", CLIENT)
            .about(
                Tag::Clients,
                "Delete a client",
                "For good: its secrets and tokens die with it, and its id is never used again. The client's name must \
                 be typed in `confirm_name`.",
            )
            .needs(Permission::ClientsDelete)
            .urgent()
            .conditional()
            .query(CONFIRM_NAME)
            .may_fail(&[ProblemCode::ConfirmationMismatch])
            .records(&[Action::ClientDeleted])
            .by(delete),
    ]);
    operations.extend(profiles::operations());
    operations.extend(endpoints::operations());
    operations.extend(change_type::operations());
    operations.extend(usage::operations());
    operations.extend(enablements::operations());
    operations.extend(service_roles::operations());
    operations.extend(bulk::operations());
    operations
}

/// The client with this id, if the caller may see it.
pub fn find(tx: &mut impl Reads, acting: &Acting, id: ClientId) -> Result<Client, Stop> {
    demand_tenant(tx, acting)?;
    let client = clients::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.reach(tx, client.organization)?;
    Ok(client)
}

/// Demands that the tenant exists which an operator named: one's own does, or one would not have come so far.
fn demand_tenant(tx: &mut impl Reads, acting: &Acting) -> Result<(), Stop> {
    if acting.is_for_platform() && tenants::find(tx, acting.tenant)?.is_none() {
        return Err(Problem::NotFound.into());
    }
    Ok(())
}

/// The same, kept from other changes until this one has ended, and in the state that the caller named.
pub fn find_for_change(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    id: ClientId,
) -> Result<Client, Stop> {
    // A transaction of the tenant's own holds its tenant already.
    if acting.is_for_platform() && tenants::find_and_hold(tx, acting.tenant)?.is_none() {
        return Err(Problem::NotFound.into());
    }
    let client = clients::find_for_change(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.reach(tx, client.organization)?;
    acting.condition.check(client.revision)?;
    Ok(client)
}

/// What is shown of clients, with what of them changes without a change of theirs.
fn outputs(
    tx: &mut impl Reads,
    acting: &Acting,
    found: &[Client],
) -> Result<Vec<ClientOutput>, Stop> {
    let ids = || found.iter().map(|client| client.id);
    let uses = last_uses::of(tx, acting.tenant, ids().map(ClientId::uuid))?;
    // role_2: whoever supports the platform sees clients, and no tokens.
    let tokens: HashMap<ClientId, LiveTokens> = if acting.is_for_platform() {
        HashMap::new()
    } else {
        let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
        live_tokens::count(tx, &tenant, ids(), acting.caller.member, acting.now)?
    };
    Ok(found
        .iter()
        .map(|client| {
            let live = Live {
                last_used_at: uses.get(&client.id.uuid()).copied(),
                tokens: tokens.get(&client.id).copied(),
            };
            ClientOutput::of(client, live)
        })
        .collect())
}

fn output(tx: &mut impl Reads, acting: &Acting, client: &Client) -> Result<ClientOutput, Stop> {
    let mut shown = outputs(tx, acting, std::slice::from_ref(client))?;
    Ok(shown.pop().ok_or(Problem::Internal)?)
}

/// The answer that shows a client as it stands now.
pub fn shown(
    tx: &mut impl Reads,
    acting: &Acting,
    id: ClientId,
) -> Result<Answer<ClientOutput>, Stop> {
    let client = clients::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    show(tx, acting, &client)
}

fn show(
    tx: &mut impl Reads,
    acting: &Acting,
    client: &Client,
) -> Result<Answer<ClientOutput>, Stop> {
    Ok(Answer::ok(&output(tx, acting, client)?)?.tagged(client.revision))
}

async fn read(call: Call) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    call.read_in(call.scope(), move |tx, acting| {
        let client = find(tx, acting, id)?;
        show(tx, acting, &client)
    })
    .await
}

async fn update(
    call: Call,
    patch: MergePatch<ClientInput>,
) -> Result<Answer<ClientOutput>, Problem> {
    set(call, |current, shown| {
        patch.without(LIVE).apply(current, shown)
    })
    .await
}

async fn replace(call: Call, whole: Whole<ClientInput>) -> Result<Answer<ClientOutput>, Problem> {
    set(call, |current, shown| {
        whole.without(LIVE).apply(current, shown)
    })
    .await
}

/// Gives a client the settings that `wanted` makes of the present ones.
async fn set(
    call: Call,
    wanted: impl FnOnce(&ClientInput, &ClientOutput) -> Result<ClientInput, Problem> + Send + 'static,
) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    call.change(move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        let present = output(tx, acting, &client)?;
        let mut input = wanted(&(&client).into(), &present)?;
        input.check_fixed(&client)?;
        let asked = input.allowed_scopes.clone();
        let default = settings::find(tx, acting.tenant)?.default_access_token_lifetime;
        let wanted = input.verified(default.0)?;
        let organization = wanted.organization.unwrap_or(client.organization);
        let moves = organization != client.organization;
        let settings = wanted.settings;
        if settings == client.settings && !moves {
            return Ok(Change::Nothing(show(tx, acting, &client)?));
        }
        if moves {
            check_home(tx, acting, organization)?;
            check_brings_nothing(tx, acting, client.organization, organization)?;
        }
        // What it has already stays, whoever changes something else.
        let new = settings
            .allowed_scopes
            .difference(&client.settings.allowed_scopes);
        check_scopes(tx, acting, client.organization, &new, &asked)?;
        check_limits(tx, acting, &client.settings.limits, &settings.limits)?;
        if opens(&client.settings, &settings) {
            check_may_act_as(tx, acting, id, &settings)?;
        }
        clients::update(tx, acting.tenant, id, &client.settings, &settings)?;
        if moves {
            clients::put_into(tx, acting.tenant, &client, organization)?;
        }
        let event = Event::new(acting.tenant, Action::ClientUpdated, Target::Client(id))
            .before(for_the_log(&client.settings, client.organization))
            .after(for_the_log(&settings, organization));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}

/// Demands that a client can live or act where it is to: in an organization that the caller manages. One that is not there is
/// told alike.
fn check_home(
    tx: &mut impl Reads,
    acting: &Acting,
    organization: OrganizationId,
) -> Result<(), Stop> {
    let path = organizations::path(tx, acting.tenant, organization)?;
    if acting
        .caller
        .may_in(Permission::ClientsWrite, &path)
        .is_ok()
    {
        return Ok(());
    }
    let detail = "is no organization in which you may have clients; name one that you see";
    Err(out_of_reach(acting, &path, organization, detail))
}

async fn delete(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.id("client")?;
    let typed = call.query.get("confirm_name").map(str::to_owned);
    call.change(move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        confirm(
            typed.as_deref(),
            client.settings.name.as_str(),
            FieldFault::parameter(
                "confirm_name",
                "must be the client's name, exactly; nothing was deleted",
            ),
        )?;
        clients::delete(tx, acting.tenant, id)?;
        let event = Event::new(acting.tenant, Action::ClientDeleted, Target::Client(id))
            .before(for_the_log(&client.settings, client.organization));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}

/// Demands that the scopes that a client newly gets exist and are not deprecated, and that the caller holds what they stand for where the
/// client lives.
fn check_scopes(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    organization: OrganizationId,
    new: &Scopes,
    asked: &[String],
) -> Result<(), Stop> {
    if new.is_empty() {
        return Ok(());
    }
    let catalogue = resource_servers::catalogue(tx, acting.tenant)?;
    let path = organizations::path(tx, acting.tenant, organization)?;
    let held = |permission| acting.caller.may_in(permission, &path).is_ok();
    let Err(refusal) = check_allowed_scopes(new, &catalogue, held) else {
        return Ok(());
    };
    let problem = refused_scope(asked, &refusal);
    Err(match refusal {
        ScopeRefusal::Unknown(_) | ScopeRefusal::Deprecated(_) => Stop::Problem(problem),
        // audit_1: this one is a refusal of somebody who is known.
        ScopeRefusal::NotHeld(scope) => {
            let why = json!({ "scope_not_held": scope });
            let target = acting.caller.target();
            Stop::refused(problem, refusal_event(&acting.caller, target, why))
        }
    })
}

/// Points at the scope as it was sent: the set that is stored has another order.
fn refused_scope(asked: &[String], refusal: &ScopeRefusal) -> Problem {
    let (ScopeRefusal::Unknown(scope)
    | ScopeRefusal::Deprecated(scope)
    | ScopeRefusal::NotHeld(scope)) = refusal;
    let index = asked
        .iter()
        .position(|text| text == scope.as_str())
        .unwrap_or_default();
    Problem::field(format!("/allowed_scopes/{index}"), refusal)
}
