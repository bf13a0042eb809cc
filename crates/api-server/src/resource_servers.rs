//! Resource servers: the APIs whose tokens are issued here. A tenant has private ones; operators make platform-wide
//! ones, which are the same for every tenant. The operations on either are declared once and done by the same code.

mod built_in;
mod catalogue;
mod scopes;
mod shapes;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::permission::Permission;
use grantor_domain::quota::Counted;
use grantor_domain::resource_server::{ServerIdentifier, ServerKind};
use grantor_storage::resource_servers::{Home, ServerOrder, StoredResourceServer};
use grantor_storage::{Change, ChangeTx, Reads, StorageError, clients, quotas, resource_servers};
use serde::de::DeserializeOwned;
use utoipa::ToSchema;

use self::shapes::{NewPlatformServer, NewServer, ServerOutput, ServerSettings, Wanted};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm};
use crate::operation::{Draft, Operation, QueryParameter, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Json, ListRules, MergePatch, Place, Whole};
use crate::schemas::Page;

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

/// What tells the operations on one kind from those on the other: paths, and ids with what they do in a few words.
struct Twin {
    kind: ServerKind,
    servers: &'static str,
    server: &'static str,
    scope: &'static str,
    create: (&'static str, &'static str),
    list: (&'static str, &'static str),
    read: (&'static str, &'static str),
    update: (&'static str, &'static str),
    replace: (&'static str, &'static str),
    delete: (&'static str, &'static str),
    put_scope: (&'static str, &'static str),
    remove_scope: (&'static str, &'static str),
}

const PRIVATE: &Twin = &Twin {
    kind: ServerKind::Private,
    servers: "/v1/tenants/{tenant}/resource-servers",
    server: "/v1/tenants/{tenant}/resource-servers/{resource_server}",
    scope: "/v1/tenants/{tenant}/resource-servers/{resource_server}/scopes/{scope}",
    create: ("createResourceServer", "Create a resource server"),
    list: ("listResourceServers", "List resource servers"),
    read: ("readResourceServer", "Read a resource server"),
    update: ("updateResourceServer", "Change a resource server"),
    replace: (
        "replaceResourceServer",
        "Replace a resource server's settings",
    ),
    delete: ("deleteResourceServer", "Delete a resource server"),
    put_scope: ("putScope", "Make a scope be"),
    remove_scope: ("removeScope", "Remove a scope"),
};

const PLATFORM_WIDE: &Twin = &Twin {
    kind: ServerKind::PlatformWide,
    servers: "/v1/resource-servers",
    server: "/v1/resource-servers/{resource_server}",
    scope: "/v1/resource-servers/{resource_server}/scopes/{scope}",
    create: (
        "createPlatformResourceServer",
        "Create a platform-wide resource server",
    ),
    list: (
        "listPlatformResourceServers",
        "List platform-wide resource servers",
    ),
    read: (
        "readPlatformResourceServer",
        "Read a platform-wide resource server",
    ),
    update: (
        "updatePlatformResourceServer",
        "Change a platform-wide resource server",
    ),
    replace: (
        "replacePlatformResourceServer",
        "Replace a platform-wide resource server's settings",
    ),
    delete: (
        "deletePlatformResourceServer",
        "Delete a platform-wide resource server",
    ),
    put_scope: ("putPlatformScope", "Make a platform-wide scope be"),
    remove_scope: ("removePlatformScope", "Remove a platform-wide scope"),
};

impl Twin {
    /// An operation that writes: of the tenant's administrators, or of operators.
    fn written<B, A>(&self, draft: Draft<B, A>) -> Draft<B, A> {
        match self.kind {
            ServerKind::Private => draft.needs_over_whole_tenant(Permission::ResourceServersWrite),
            ServerKind::PlatformWide => {
                draft.needs_on_platform(Permission::PlatformResourceServersWrite)
            }
        }
    }

    /// An operation that reads.
    fn seen<B, A>(&self, draft: Draft<B, A>) -> Draft<B, A> {
        match self.kind {
            ServerKind::Private => draft.needs(Permission::ResourceServersRead),
            // Whoever sees the resource servers of their own tenant sees what is the same for all.
            ServerKind::PlatformWide => draft.needs_on_platform(Permission::ResourceServersRead),
        }
    }

    fn operations<N>(&self) -> Vec<Operation>
    where
        N: DeserializeOwned + ToSchema + Into<Wanted> + 'static,
    {
        let kind = self.kind;
        let mut operations = vec![
            self.written(Operation::post(self.create.0, self.servers))
                .about(
                    Tag::ResourceServers,
                    self.create.1,
                    "Makes it with its first scopes. Its key can't be changed later: it stands in every scope.",
                )
                .takes::<Json<N>>()
                .answers::<ServerOutput>(Success::Created)
                .tagged()
                .may_fail(&[ProblemCode::Conflict, ProblemCode::QuotaReached])
                .records(&[Action::ResourceServerCreated])
                .by(move |call, Json(input): Json<N>| create(call, kind, input.into())),
            self.seen(Operation::get(self.list.0, self.servers))
                .about(Tag::ResourceServers, self.list.1, "With their scopes.")
                .lists(LIST)
                .answers::<Page<ServerOutput>>(Success::Ok)
                .by(move |call| list(call, kind)),
            self.seen(Operation::get(self.read.0, self.server))
                .about(Tag::ResourceServers, self.read.1, "With its scopes.")
                .answers::<ServerOutput>(Success::Ok)
                .tagged()
                .by(move |call| read(call, kind)),
            self.written(Operation::patch(self.update.0, self.server))
                .about(
                    Tag::ResourceServers,
                    self.update.1,
                    "Changes the settings given, and no other. Its key stays; its scopes have operations of their own.",
                )
                .conditional()
                .takes::<MergePatch<ServerSettings>>()
                .answers::<ServerOutput>(Success::Ok)
                .tagged()
                .may_fail(&[ProblemCode::Conflict])
                .records(&[Action::ResourceServerUpdated])
                .by(move |call, patch: MergePatch<ServerSettings>| {
                    set(call, kind, |current, shown| patch.apply(current, shown))
                }),
            self.written(Operation::put(self.replace.0, self.server))
                .about(
                    Tag::ResourceServers,
                    self.replace.1,
                    "Gives it these settings, and every one that is absent its default. It must exist.",
                )
                .conditional()
                .takes::<Whole<ServerSettings>>()
                .answers::<ServerOutput>(Success::Ok)
                .tagged()
                .may_fail(&[ProblemCode::Conflict])
                .records(&[Action::ResourceServerUpdated])
                .by(move |call, whole: Whole<ServerSettings>| {
                    set(call, kind, |current, shown| whole.apply(current, shown))
                }),
            self.written(Operation::delete(self.delete.0, self.server))
                .about(
                    Tag::ResourceServers,
                    self.delete.1,
                    "With its scopes, for good: nobody gets a token for it any more, and in the tokens that are out \
                     its scopes count for nothing from now on. Whoever only verifies signatures sees that when the \
                     token expires. Its key is never used again. Its name must be typed in `confirm_name`.",
                )
                .conditional()
                .query(CONFIRM_NAME)
                .may_fail(&[ProblemCode::ConfirmationMismatch])
                .records(&[Action::ResourceServerDeleted])
                .by(move |call| delete(call, kind)),
        ];
        operations.extend(scopes::operations(self));
        operations
    }
}

/// The operations on resource servers.
pub fn operations() -> Vec<Operation> {
    let mut operations = PRIVATE.operations::<NewServer>();
    operations.push(catalogue::operation());
    operations.extend(PLATFORM_WIDE.operations::<NewPlatformServer>());
    operations
}

/// The address of something below the resource servers of a kind.
fn address(call: &Call, kind: ServerKind, below: &str) -> String {
    match kind {
        ServerKind::Private => call.address(&format!(
            "/v1/tenants/{}/resource-servers/{below}",
            call.tenant()
        )),
        ServerKind::PlatformWide => call.address(&format!("/v1/resource-servers/{below}")),
    }
}

fn home(acting: &Acting, kind: ServerKind) -> Home {
    Home {
        tenant: acting.tenant,
        kind,
    }
}

fn find(
    tx: &mut impl Reads,
    acting: &Acting,
    kind: ServerKind,
    id: ResourceServerId,
) -> Result<StoredResourceServer, Stop> {
    Ok(resource_servers::find(tx, home(acting, kind), id)?.ok_or(Problem::NotFound)?)
}

/// The same, kept from other changes until this one has ended, and in the state that the caller named.
fn find_for_change(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    kind: ServerKind,
    id: ResourceServerId,
) -> Result<StoredResourceServer, Stop> {
    if kind == ServerKind::PlatformWide && built_in::is(id) {
        let what = "is built in: it can't be changed";
        return Err(Problem::parameter("resource_server", what).into());
    }
    let found =
        resource_servers::find_for_change(tx, home(acting, kind), id)?.ok_or(Problem::NotFound)?;
    acting.condition.check(found.revision)?;
    Ok(found)
}

fn show(stored: &StoredResourceServer) -> Result<Answer<ServerOutput>, Problem> {
    Ok(Answer::ok(&ServerOutput::from(stored))?.tagged(stored.revision))
}

/// Whose unique key it would take, told as the field at fault.
fn conflict(error: StorageError) -> Stop {
    let (field, what) = match &error {
        StorageError::Taken { constraint } => match constraint.as_str() {
            "resource_servers_key" => ("/key", "is another resource server's key already"),
            "resource_server_keys_pkey" => (
                "/key",
                "was used before by a resource server that is gone, whose scopes tokens and clients may still name; \
                 choose another",
            ),
            "resource_servers_identifier" => (
                "/identifier",
                "is another resource server's identifier already",
            ),
            _ => return error.into(),
        },
        // A client that was there when it was looked for is deleted in this very moment.
        StorageError::Referenced { .. } => {
            let detail = "names a client that is not there any more";
            return Problem::field("/introspector_client_ids", detail).into();
        }
        _ => return error.into(),
    };
    Problem::Conflict(FieldFault::pointer(field, what)).into()
}

/// Demands that an audience is nobody's that all tenants know: its tokens would be taken for that one's.
fn check_identifier(
    tx: &mut impl Reads,
    kind: ServerKind,
    identifier: &ServerIdentifier,
) -> Result<(), Stop> {
    // Among platform-wide ones the unique key sees to it.
    if kind == ServerKind::Private && resource_servers::is_platform_wide_audience(tx, identifier)? {
        let what = "is a platform-wide resource server's identifier already";
        return Err(Problem::Conflict(FieldFault::pointer("/identifier", what)).into());
    }
    Ok(())
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

async fn create(
    call: Call,
    kind: ServerKind,
    wanted: Wanted,
) -> Result<Answer<ServerOutput>, Problem> {
    let server = wanted.verified(kind, call.api().new_id()?)?;
    let id = server.id;
    let location = address(&call, kind, &id.to_string());
    call.change(move |tx, acting| {
        check_introspectors(tx, acting.tenant, &server.introspectors)?;
        check_identifier(tx, kind, &server.identifier)?;
        resource_servers::insert(tx, acting.tenant, &server).map_err(conflict)?;
        // The platform-wide ones count among those of the operators' tenant.
        quotas::check(tx, acting.tenant, Counted::ResourceServers)?;
        let event = Event::new(
            acting.tenant,
            Action::ResourceServerCreated,
            Target::ResourceServer(id),
        )
        .after(shapes::for_the_log(&server));
        let stored = find(tx, acting, kind, id)?;
        let answer = Answer::created(&ServerOutput::from(&stored), location)?;
        Ok(Change::made(answer.tagged(stored.revision), event))
    })
    .await
}

async fn list(call: Call, kind: ServerKind) -> Result<Answer<Page<ServerOutput>>, Problem> {
    let page = call.page()?;
    let order = match page.sort {
        "key" => ServerOrder::Key,
        _ => ServerOrder::Made,
    };
    let (after, descending, fetch) = (page.after.clone(), page.descending, page.fetch());
    let place = move |server: &ServerOutput| Place {
        key: (order == ServerOrder::Key).then(|| server.key.clone()),
        id: server.id.uuid(),
    };
    let found = call
        .read(move |tx, acting| {
            let from = after
                .clone()
                .map(|place| (place.key, ResourceServerId::from_uuid(place.id)));
            let stored =
                resource_servers::search(tx, home(acting, kind), order, descending, from, fetch)?;
            let mut found: Vec<ServerOutput> = stored.iter().map(ServerOutput::from).collect();
            if kind == ServerKind::PlatformWide {
                // By key, or by id where there is none: as the places are ordered that storage goes by.
                let rank = |place: &Place| match &place.key {
                    Some(key) => (key.clone(), None),
                    None => (String::new(), Some(place.id)),
                };
                let comes = |server: &ServerOutput| {
                    let (own, after) = (rank(&place(server)), after.as_ref().map(rank));
                    after.is_none_or(|after| if descending { own < after } else { own > after })
                };
                found.extend(built_in::all(tx)?.into_iter().filter(comes));
                found.sort_by_key(|server| rank(&place(server)));
                if descending {
                    found.reverse();
                }
                found.truncate(usize::try_from(fetch).unwrap_or(0));
            }
            Ok(found)
        })
        .await?;
    Answer::ok(&page.page(found, place, |server| server)?)
}

async fn read(call: Call, kind: ServerKind) -> Result<Answer<ServerOutput>, Problem> {
    let id = call.id("resource_server")?;
    let found = call
        .read(move |tx, acting| {
            if kind == ServerKind::PlatformWide && built_in::is(id) {
                let mut all = built_in::all(tx)?.into_iter();
                return Ok(all
                    .find(|server| server.id == id)
                    .ok_or(Problem::NotFound)?);
            }
            Ok(ServerOutput::from(&find(tx, acting, kind, id)?))
        })
        .await?;
    Ok(Answer::ok(&found)?.tagged(found.revision))
}

/// Gives a resource server the settings that `wanted` makes of the present ones.
async fn set(
    call: Call,
    kind: ServerKind,
    wanted: impl FnOnce(&ServerSettings, &ServerOutput) -> Result<ServerSettings, Problem>
    + Send
    + 'static,
) -> Result<Answer<ServerOutput>, Problem> {
    let id = call.id("resource_server")?;
    call.change(move |tx, acting| {
        let stored = find_for_change(tx, acting, kind, id)?;
        let before = &stored.server;
        let (settings, introspectors) = wanted(&before.into(), &(&stored).into())?.verified()?;
        let mut after = before.clone();
        after.identifier = settings.identifier.clone();
        after.name = settings.name.clone();
        after.verification = settings.verification;
        after.token_format = settings.token_format;
        after.signing_algorithm = settings.signing_algorithm;
        after.lifetime_cap = settings.lifetime_cap;
        after.introspectors.clone_from(&introspectors);
        if after == *before {
            return Ok(Change::Nothing(show(&stored)?));
        }
        check_introspectors(tx, acting.tenant, &introspectors)?;
        if after.identifier != before.identifier {
            check_identifier(tx, kind, &after.identifier)?;
        }
        resource_servers::update(tx, acting.tenant, id, &settings).map_err(conflict)?;
        resource_servers::set_introspectors(tx, acting.tenant, id, &introspectors)
            .map_err(conflict)?;
        let event = Event::new(
            acting.tenant,
            Action::ResourceServerUpdated,
            Target::ResourceServer(id),
        )
        .before(shapes::for_the_log(before))
        .after(shapes::for_the_log(&after));
        Ok(Change::made(show(&find(tx, acting, kind, id)?)?, event))
    })
    .await
}

async fn delete(call: Call, kind: ServerKind) -> Result<Answer<()>, Problem> {
    let id = call.id("resource_server")?;
    let typed = call.query.get("confirm_name").map(str::to_owned);
    call.change(move |tx, acting| {
        let stored = find_for_change(tx, acting, kind, id)?;
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
