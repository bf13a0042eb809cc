//! The demo tenant: an administrator, an API with scopes, a machine that calls it, and the API's own client
//! that checks tokens.

use std::collections::BTreeMap;

use grantor_api_server::Api;
use grantor_api_server::bootstrap::replace_secret;
use grantor_api_server::clients::prepared::{PreparedClient, service};
use grantor_api_server::problem::Problem;
use grantor_api_server::tenants::prepared::PreparedTenant;
use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::client::OwnerContact;
use grantor_domain::ids::{ClientId, ResourceServerId, TenantId};
use grantor_domain::resource_server::{
    ResourceServer, ScopeFacts, ServerIdentifier, ServerKey, SigningAlgorithm, TokenFormat,
    Verification,
};
use grantor_domain::role::BuiltInRole;
use grantor_domain::text::{Description, EmailAddress, OrganizationName, PersonName};
use grantor_protocol::scope::{ScopeToken, Scopes};
use grantor_storage::{Change, ReadTx, Scope, clients, resource_servers, tenants};
use serde_json::json;

use crate::dev::folder::Folder;
use crate::failure::Failure;

/// Where the ids of the demo are kept, one `name=id` a line.
const FILE: &str = "demo";
const READ: &str = "orders.api:read";
const WRITE: &str = "orders.api:write";

/// A client of the demo.
pub(crate) struct DemoClient {
    /// Its id.
    pub(crate) id: String,
    /// Its secret, when it was made in this start.
    pub(crate) secret: Option<String>,
}

/// The demo.
pub(crate) struct Demo {
    /// The tenant.
    pub(crate) tenant: String,
    /// The client with the role `admin`.
    pub(crate) admin: DemoClient,
    /// The machine that gets tokens for the API.
    pub(crate) machine: DemoClient,
    /// The API's own client, which may introspect them.
    pub(crate) checker: DemoClient,
}

/// Makes the demo at the first start, and finds it again later.
pub(crate) async fn prepare(
    api: &Api,
    folder: &Folder,
    new_secrets: bool,
) -> Result<Demo, Failure> {
    let Some(mut demo) = find(api, folder).await? else {
        return make(api, folder).await;
    };
    if new_secrets {
        let tenant: TenantId = parsed(&demo.tenant)?;
        for client in [&mut demo.admin, &mut demo.machine, &mut demo.checker] {
            let id: ClientId = parsed(&client.id)?;
            let there = api
                .authority
                .database()
                .read(Scope::Platform(Some(tenant)), move |tx: &mut ReadTx<'_>| {
                    clients::find(tx, tenant, id)
                })
                .await?;
            if there.is_some() {
                client.secret = Some(replace_secret(api, tenant, id, false).await?);
            }
        }
    }
    Ok(demo)
}

fn parsed<T: std::str::FromStr<Err = grantor_domain::ids::ParseIdError>>(
    text: &str,
) -> Result<T, Failure> {
    text.parse().map_err(|error| {
        Failure::Told(format!(
            "the file {FILE} of the folder holds no id: {error}"
        ))
    })
}

/// The demo that the folder remembers, if its tenant is in this database.
async fn find(api: &Api, folder: &Folder) -> Result<Option<Demo>, Failure> {
    let Some(text) = folder.read(FILE)? else {
        return Ok(None);
    };
    let ids: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .collect();
    let (Some(tenant), Some(admin), Some(machine), Some(checker)) = (
        ids.get("tenant"),
        ids.get("admin"),
        ids.get("machine"),
        ids.get("checker"),
    ) else {
        return Ok(None);
    };
    let id: TenantId = parsed(tenant)?;
    let there = api
        .authority
        .database()
        .read(Scope::Platform(None), move |tx: &mut ReadTx<'_>| {
            tenants::find(tx, id)
        })
        .await?;
    let client = |id: &str| DemoClient {
        id: id.to_owned(),
        secret: None,
    };
    Ok(there.map(|_tenant| Demo {
        tenant: (*tenant).to_owned(),
        admin: client(admin),
        machine: client(machine),
        checker: client(checker),
    }))
}

fn remember(
    folder: &Folder,
    tenant: &str,
    [admin, machine, checker]: &[String; 3],
) -> Result<(), Failure> {
    folder.write(
        FILE,
        &format!("tenant={tenant}\nadmin={admin}\nmachine={machine}\nchecker={checker}\n"),
    )
}

fn orders(api: &Api, checker: ClientId) -> Result<ResourceServer, Problem> {
    let ours = |_: &dyn std::fmt::Debug| Problem::Internal;
    let scope = |name: &str, description: &str| {
        Ok::<_, Problem>((
            ScopeToken::parse(name).map_err(|error| ours(&error))?,
            ScopeFacts::described(Description::parse(description).map_err(|error| ours(&error))?),
        ))
    };
    Ok(ResourceServer {
        id: api.new_id::<ResourceServerId>()?,
        key: ServerKey::private("orders.api").map_err(|error| ours(&error))?,
        identifier: ServerIdentifier::parse("https://orders.example")
            .map_err(|error| ours(&error))?,
        name: OrganizationName::parse("Orders").map_err(|error| ours(&error))?,
        verification: Verification::Introspection,
        token_format: TokenFormat::Jwt,
        signing_algorithm: SigningAlgorithm::Es256,
        lifetime_cap: None,
        scopes: [scope(READ, "See orders.")?, scope(WRITE, "Change orders.")?]
            .into_iter()
            .collect(),
        introspectors: vec![checker],
    })
}

async fn make(api: &Api, folder: &Folder) -> Result<Demo, Failure> {
    let ours = |_: &dyn std::fmt::Debug| Problem::Internal;
    let owner = (
        PersonName::parse("Demo administrator").map_err(|error| ours(&error))?,
        EmailAddress::parse("admin@demo.example").map_err(|error| ours(&error))?,
    );
    let contact = OwnerContact {
        name: Some(owner.0.clone()),
        email: owner.1.clone(),
    };
    let name = OrganizationName::parse("Demo").map_err(|error| ours(&error))?;
    let prepared = PreparedTenant::new(api, name, owner, false)?;
    let (id, root) = (prepared.tenant.id, prepared.tenant.root_organization);
    let owner_id = prepared.owner.id;

    let scopes = Scopes::parse(&format!("{READ} {WRITE}")).map_err(|error| ours(&error))?;
    let admin =
        PreparedClient::with_role(api, "Administration", BuiltInRole::Admin, contact.clone())?;
    let machine_settings = service(
        "Nightly export",
        "Reads and changes orders.",
        scopes,
        contact.clone(),
    )?;
    let machine = PreparedClient::new(api, machine_settings)?;
    let checker_settings = service(
        "Orders API",
        "Checks the tokens that it is sent.",
        Scopes::default(),
        contact,
    )?;
    let checker = PreparedClient::new(api, checker_settings)?;
    let orders = orders(api, checker.id)?;

    // Before the demo is there: ids that lead nowhere do no harm, and a demo that nobody remembers would.
    let ids = [&admin, &machine, &checker].map(|client| client.id.to_string());
    remember(folder, &id.to_string(), &ids)?;
    let origin = Origin::without_request(Actor::Command("grantor dev"));
    let made = api
        .authority
        .database()
        .change(Scope::Platform(Some(id)), origin, api.now(), move |tx| {
            prepared.insert(tx)?;
            let mut events = prepared.events(id);
            for client in [&admin, &machine, &checker] {
                client.insert(tx, id, root, Some(owner_id))?;
                events = events.then(client.events(id, root, Some(owner_id)));
            }
            resource_servers::insert(tx, id, &orders)?;
            events = events.and(
                Event::new(
                    id,
                    Action::ResourceServerCreated,
                    Target::ResourceServer(orders.id),
                )
                .after(
                    json!({ "key": orders.key.as_str(), "identifier": orders.identifier.as_str() }),
                ),
            );
            let shown = |client: PreparedClient| {
                let credentials = client.show(false);
                DemoClient {
                    id: credentials.client_id,
                    secret: Some(credentials.client_secret),
                }
            };
            let demo = Demo {
                tenant: id.to_string(),
                admin: shown(admin),
                machine: shown(machine),
                checker: shown(checker),
            };
            Ok::<_, Problem>(Change::Made(demo, events))
        })
        .await?;
    Ok(made)
}
