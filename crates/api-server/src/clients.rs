//! Clients: create, list, read, change, replace, delete.

pub mod prepared;
mod shapes;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::{Client, ClientStatus, ScopeRefusal, check_allowed_scopes};
use grantor_domain::ids::{ClientId, OrganizationId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::permission::Permission;
use grantor_domain::quota::Counted;
use grantor_protocol::scope::Scopes;
use grantor_storage::clients::{ClientFilter, ClientOrder};
use grantor_storage::{
    Change, ChangeTx, Reads, clients, organizations, quotas, resource_servers, settings, tenants,
};
use serde_json::json;

use self::prepared::PreparedClient;
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm, refusal_event};
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Filter, FilterKind, Json, ListRules, MergePatch, Place, Whole};
use crate::schemas::Page;
use crate::words;

pub use shapes::{
    ClientInput, ClientOutput, CreatedClient, OwnerContactShape, PauseOutput, for_the_log, pauses,
};

const CLIENTS: &str = "/v1/tenants/{tenant}/clients";
const CLIENT: &str = "/v1/tenants/{tenant}/clients/{client}";

const LIST: &ListRules = &ListRules {
    filters: &[Filter {
        name: "status",
        kind: FilterKind::Words(words::ClientStatus::WORDS),
        about: "Only clients that are so.",
        example: "disabled",
    }],
    sorts: &["created_at", "name"],
};

const CONFIRM_NAME: &[QueryParameter] = &[QueryParameter {
    name: "confirm_name",
    required: true,
    max_length: 100,
    about: "The client's name, exactly.",
    example: "Nightly export",
}];

/// The operations on clients.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("createClient", CLIENTS)
            .about(
                Tag::Clients,
                "Create a client",
                "Makes a confidential service client with a secret, which is shown in this answer and never again.",
            )
            .needs(Permission::ClientsWrite)
            .takes::<Json<ClientInput>>()
            .answers::<CreatedClient>(Success::Created)
            .tagged()
            .may_fail(&[ProblemCode::QuotaReached])
            .records(&[Action::ClientCreated, Action::SecretShown])
            .by(create),
        Operation::get("listClients", CLIENTS)
            .about(Tag::Clients, "List clients", "Those that you may see.")
            .needs(Permission::ClientsRead)
            .open_to_operators(Permission::PlatformSupport)
            .lists(LIST)
            .answers::<Page<ClientOutput>>(Success::Ok)
            .by(list),
        Operation::get("readClient", CLIENT)
            .about(Tag::Clients, "Read a client", "Every setting, and never a secret.")
            .needs(Permission::ClientsRead)
            .open_to_operators(Permission::PlatformSupport)
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .by(read),
        Operation::patch("updateClient", CLIENT)
            .about(
                Tag::Clients,
                "Change a client",
                "Changes the settings given, and no other. What can't be set may be sent along as it is.",
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
                "Gives the client these settings, and every one that is absent its default. The client must exist.",
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
    ]
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

/// The answer that shows a client as it stands now.
pub fn shown(
    tx: &mut impl Reads,
    acting: &Acting,
    id: ClientId,
) -> Result<Answer<ClientOutput>, Stop> {
    let client = clients::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    Ok(show(&client)?)
}

fn show(client: &Client) -> Result<Answer<ClientOutput>, Problem> {
    Ok(Answer::ok(&ClientOutput::from(client))?.tagged(client.revision))
}

async fn create(
    call: Call,
    Json(input): Json<ClientInput>,
) -> Result<Answer<CreatedClient>, Problem> {
    let asked = input.allowed_scopes.clone();
    let names_lifetime = input.names_lifetime();
    let settings = input.verified(AccessTokenLifetime::DEFAULT)?;
    let mut prepared = PreparedClient::new(call.api(), settings)?;
    let id = prepared.id;
    let location = call.address(&format!("/v1/tenants/{}/clients/{id}", call.tenant()));
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        let root = tenants::find(tx, tenant)?
            .ok_or(Problem::NotFound)?
            .root_organization;
        acting.reach(tx, root)?;
        if !names_lifetime {
            let default = settings::find(tx, tenant)?.default_access_token_lifetime;
            prepared.settings_mut().access_token_lifetime = default.0;
        }
        let scopes = &prepared.settings().allowed_scopes;
        check_scopes(tx, acting, root, scopes, &asked)?;
        prepared.insert(tx, tenant, root)?;
        quotas::check(tx, tenant, Counted::Clients)?;
        let client = clients::find(tx, tenant, id)?.ok_or(Problem::Internal)?;
        let events = prepared.events(tenant);
        let secret = prepared.show_secret(tx.now(), acting.dry_run);
        let shown = secret.id();
        let created = CreatedClient {
            client: (&client).into(),
            secret,
        };
        let answer = Answer::created(&created, location)?
            .tagged(client.revision)
            .showing(tenant, id, shown);
        Ok(Change::Made(answer, events))
    })
    .await
}

async fn list(call: Call) -> Result<Answer<Page<ClientOutput>>, Problem> {
    let page = call.page()?;
    let status = page.filters.text("status").map(|word| match word {
        "disabled" => ClientStatus::Disabled,
        _ => ClientStatus::Active,
    });
    let order = match page.sort {
        "name" => ClientOrder::Name,
        _ => ClientOrder::Made,
    };
    let (after, descending, fetch) = (page.after.clone(), page.descending, page.fetch());
    let found = call
        .read_in(call.scope(), move |tx, acting| {
            demand_tenant(tx, acting)?;
            let filter = ClientFilter {
                status,
                organizations: acting.visible(tx)?,
            };
            let after = after.map(|place| (place.key, ClientId::from_uuid(place.id)));
            Ok(clients::search(
                tx,
                acting.tenant,
                &filter,
                order,
                descending,
                after,
                fetch,
            )?)
        })
        .await?;
    let place = |client: &Client| Place {
        key: (order == ClientOrder::Name).then(|| client.settings.name.to_string()),
        id: client.id.uuid(),
    };
    Answer::ok(&page.page(found, place, |client| ClientOutput::from(&client)))
}

async fn read(call: Call) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    let client = call
        .read_in(call.scope(), move |tx, acting| find(tx, acting, id))
        .await?;
    show(&client)
}

async fn update(
    call: Call,
    patch: MergePatch<ClientInput>,
) -> Result<Answer<ClientOutput>, Problem> {
    set(call, |current, shown| patch.apply(current, shown)).await
}

async fn replace(call: Call, whole: Whole<ClientInput>) -> Result<Answer<ClientOutput>, Problem> {
    set(call, |current, shown| whole.apply(current, shown)).await
}

/// Gives a client the settings that `wanted` makes of the present ones.
async fn set(
    call: Call,
    wanted: impl FnOnce(&ClientInput, &ClientOutput) -> Result<ClientInput, Problem> + Send + 'static,
) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    call.change(move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        let input = wanted(&(&client.settings).into(), &(&client).into())?;
        let asked = input.allowed_scopes.clone();
        let default = settings::find(tx, acting.tenant)?.default_access_token_lifetime;
        let settings = input.verified(default.0)?;
        if settings == client.settings {
            return Ok(Change::Nothing(show(&client)?));
        }
        // What it has already stays, whoever changes something else.
        let new = settings
            .allowed_scopes
            .difference(&client.settings.allowed_scopes);
        check_scopes(tx, acting, client.organization, &new, &asked)?;
        clients::update(tx, acting.tenant, id, &settings)?;
        let event = Event::new(acting.tenant, Action::ClientUpdated, Target::Client(id))
            .before(for_the_log(&client.settings))
            .after(for_the_log(&settings));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
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
            .before(for_the_log(&client.settings));
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
