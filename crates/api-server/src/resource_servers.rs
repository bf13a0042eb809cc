//! Resource servers: the tenant's own APIs, whose tokens are issued here.

mod scopes;
mod shapes;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::permission::Permission;
use grantor_domain::quota::Counted;
use grantor_storage::resource_servers::{ServerOrder, StoredResourceServer};
use grantor_storage::{Change, ChangeTx, Reads, StorageError, clients, quotas, resource_servers};

use self::shapes::{NewServer, ServerOutput, ServerSettings};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm};
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Json, ListRules, MergePatch, Place, Whole};
use crate::schemas::Page;

const SERVERS: &str = "/v1/tenants/{tenant}/resource-servers";
const SERVER: &str = "/v1/tenants/{tenant}/resource-servers/{resource_server}";

const LIST: &ListRules = &ListRules {
    filters: &[],
    sorts: &["created_at", "key"],
};

const CONFIRM_NAME: &[QueryParameter] = &[QueryParameter {
    name: "confirm_name",
    required: true,
    max_length: 100,
    about: "The resource server's name, exactly.",
    example: "Orders",
}];

/// The operations on resource servers.
pub fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::post("createResourceServer", SERVERS)
            .about(
                Tag::ResourceServers,
                "Create a resource server",
                "Makes it with its first scopes. Its key can't be changed later: it stands in every scope.",
            )
            .needs_over_whole_tenant(Permission::ResourceServersWrite)
            .takes::<Json<NewServer>>()
            .answers::<ServerOutput>(Success::Created)
            .tagged()
            .may_fail(&[ProblemCode::Conflict, ProblemCode::QuotaReached])
            .records(&[Action::ResourceServerCreated])
            .by(create),
        Operation::get("listResourceServers", SERVERS)
            .about(Tag::ResourceServers, "List resource servers", "With their scopes.")
            .needs(Permission::ResourceServersRead)
            .lists(LIST)
            .answers::<Page<ServerOutput>>(Success::Ok)
            .by(list),
        Operation::get("readResourceServer", SERVER)
            .about(Tag::ResourceServers, "Read a resource server", "With its scopes.")
            .needs(Permission::ResourceServersRead)
            .answers::<ServerOutput>(Success::Ok)
            .tagged()
            .by(read),
        Operation::patch("updateResourceServer", SERVER)
            .about(
                Tag::ResourceServers,
                "Change a resource server",
                "Changes the settings given, and no other. Its key stays; its scopes have operations of their own.",
            )
            .needs_over_whole_tenant(Permission::ResourceServersWrite)
            .conditional()
            .takes::<MergePatch<ServerSettings>>()
            .answers::<ServerOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::ResourceServerUpdated])
            .by(update),
        Operation::put("replaceResourceServer", SERVER)
            .about(
                Tag::ResourceServers,
                "Replace a resource server's settings",
                "Gives it these settings, and every one that is absent its default. It must exist.",
            )
            .needs_over_whole_tenant(Permission::ResourceServersWrite)
            .conditional()
            .takes::<Whole<ServerSettings>>()
            .answers::<ServerOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::ResourceServerUpdated])
            .by(replace),
        Operation::delete("deleteResourceServer", SERVER)
            .about(
                Tag::ResourceServers,
                "Delete a resource server",
                "With its scopes, for good: nobody gets a token for it any more. Tokens that are out live until they \
                 expire. Its name must be typed in `confirm_name`.",
            )
            .needs_over_whole_tenant(Permission::ResourceServersWrite)
            .conditional()
            .query(CONFIRM_NAME)
            .may_fail(&[ProblemCode::ConfirmationMismatch])
            .records(&[Action::ResourceServerDeleted])
            .by(delete),
    ];
    operations.extend(scopes::operations());
    operations
}

fn find(
    tx: &mut impl Reads,
    acting: &Acting,
    id: ResourceServerId,
) -> Result<StoredResourceServer, Stop> {
    Ok(resource_servers::find(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?)
}

/// The same, kept from other changes until this one has ended, and in the state that the caller named.
fn find_for_change(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    id: ResourceServerId,
) -> Result<StoredResourceServer, Stop> {
    let found =
        resource_servers::find_for_change(tx, acting.tenant, id)?.ok_or(Problem::NotFound)?;
    acting.condition.check(found.revision)?;
    Ok(found)
}

fn show(stored: &StoredResourceServer) -> Result<Answer<ServerOutput>, Problem> {
    Ok(Answer::ok(&ServerOutput::from(stored))?.tagged(stored.revision))
}

fn shown(
    tx: &mut impl Reads,
    acting: &Acting,
    id: ResourceServerId,
) -> Result<Answer<ServerOutput>, Stop> {
    Ok(show(&find(tx, acting, id)?)?)
}

/// Whose unique key it would take, told as the field at fault.
fn conflict(error: StorageError) -> Stop {
    let (field, what) = match &error {
        StorageError::Taken { constraint } if constraint == "resource_servers_key" => {
            ("/key", "is another resource server's key already")
        }
        StorageError::Taken { constraint } if constraint == "resource_servers_identifier" => (
            "/identifier",
            "is another resource server's identifier already",
        ),
        _ => return error.into(),
    };
    Problem::Conflict(FieldFault::pointer(field, what)).into()
}

/// Demands that all who may introspect are clients of the tenant.
fn check_introspectors(
    tx: &mut impl Reads,
    tenant: TenantId,
    introspectors: &[ClientId],
) -> Result<(), Stop> {
    for (index, client) in introspectors.iter().enumerate() {
        if clients::find(tx, tenant, *client)?.is_none() {
            let pointer = format!("/introspector_client_ids/{index}");
            return Err(Problem::field(pointer, "is no client of this tenant").into());
        }
    }
    Ok(())
}

async fn create(call: Call, Json(input): Json<NewServer>) -> Result<Answer<ServerOutput>, Problem> {
    let server = input.verified(call.api().new_id()?)?;
    let id = server.id;
    let location = call.address(&format!(
        "/v1/tenants/{}/resource-servers/{id}",
        call.tenant()
    ));
    call.change(move |tx, acting| {
        check_introspectors(tx, acting.tenant, &server.introspectors)?;
        resource_servers::insert(tx, acting.tenant, &server).map_err(conflict)?;
        quotas::check(tx, acting.tenant, Counted::ResourceServers)?;
        let event = Event::new(
            acting.tenant,
            Action::ResourceServerCreated,
            Target::ResourceServer(id),
        )
        .after(shapes::for_the_log(&server));
        let stored = find(tx, acting, id)?;
        let answer = Answer::created(&ServerOutput::from(&stored), location)?;
        Ok(Change::made(answer.tagged(stored.revision), event))
    })
    .await
}

async fn list(call: Call) -> Result<Answer<Page<ServerOutput>>, Problem> {
    let page = call.page()?;
    let order = match page.sort {
        "key" => ServerOrder::Key,
        _ => ServerOrder::Made,
    };
    let (after, descending, fetch) = (page.after.clone(), page.descending, page.fetch());
    let found = call
        .read(move |tx, acting| {
            let after = after.map(|place| (place.key, ResourceServerId::from_uuid(place.id)));
            Ok(resource_servers::search(
                tx,
                acting.tenant,
                order,
                descending,
                after,
                fetch,
            )?)
        })
        .await?;
    let place = |stored: &StoredResourceServer| Place {
        key: (order == ServerOrder::Key).then(|| stored.server.key.as_str().to_owned()),
        id: stored.server.id.uuid(),
    };
    Answer::ok(&page.page(found, place, |stored| ServerOutput::from(&stored)))
}

async fn read(call: Call) -> Result<Answer<ServerOutput>, Problem> {
    let id = call.id("resource_server")?;
    let stored = call.read(move |tx, acting| find(tx, acting, id)).await?;
    show(&stored)
}

async fn update(
    call: Call,
    patch: MergePatch<ServerSettings>,
) -> Result<Answer<ServerOutput>, Problem> {
    set(call, |current, shown| patch.apply(current, shown)).await
}

async fn replace(
    call: Call,
    whole: Whole<ServerSettings>,
) -> Result<Answer<ServerOutput>, Problem> {
    set(call, |current, shown| whole.apply(current, shown)).await
}

/// Gives a resource server the settings that `wanted` makes of the present ones.
async fn set(
    call: Call,
    wanted: impl FnOnce(&ServerSettings, &ServerOutput) -> Result<ServerSettings, Problem>
    + Send
    + 'static,
) -> Result<Answer<ServerOutput>, Problem> {
    let id = call.id("resource_server")?;
    call.change(move |tx, acting| {
        let stored = find_for_change(tx, acting, id)?;
        let before = &stored.server;
        let (settings, introspectors) = wanted(&before.into(), &(&stored).into())?.verified()?;
        let mut after = before.clone();
        after.identifier = settings.identifier.clone();
        after.name = settings.name.clone();
        after.verification = settings.verification;
        after.lifetime_cap = settings.lifetime_cap;
        after.introspectors.clone_from(&introspectors);
        if after == *before {
            return Ok(Change::Nothing(show(&stored)?));
        }
        check_introspectors(tx, acting.tenant, &introspectors)?;
        resource_servers::update(tx, acting.tenant, id, &settings).map_err(conflict)?;
        resource_servers::set_introspectors(tx, acting.tenant, id, &introspectors)?;
        let event = Event::new(
            acting.tenant,
            Action::ResourceServerUpdated,
            Target::ResourceServer(id),
        )
        .before(shapes::for_the_log(before))
        .after(shapes::for_the_log(&after));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}

async fn delete(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.id("resource_server")?;
    let typed = call.query.get("confirm_name").map(str::to_owned);
    call.change(move |tx, acting| {
        let stored = find_for_change(tx, acting, id)?;
        confirm(
            typed.as_deref(),
            stored.server.name.as_str(),
            FieldFault::parameter(
                "confirm_name",
                "must be the resource server's name, exactly; nothing was deleted",
            ),
        )?;
        resource_servers::delete(tx, acting.tenant, id)?;
        let event = Event::new(
            acting.tenant,
            Action::ResourceServerDeleted,
            Target::ResourceServer(id),
        )
        .before(shapes::for_the_log(&stored.server));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
