//! Clients: create, list, read, delete.

pub mod prepared;
mod shapes;

use actix_web::{HttpResponse, delete, get, post, web};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::{Client, ScopeRefusal, check_allowed_scopes, confirms};
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::permission::Permission;
use grantor_storage::{
    Change, ReadTx, Reads, Scope, StorageError, clients, resource_servers, tenants,
};

use self::prepared::PreparedClient;
use crate::Api;
use crate::problem::{FieldFault, Problem, ProblemBody};
use crate::requests::{Call, Cursors, QueryString, RawBody, refusal_event};
use serde_json::json;

pub use shapes::{
    ClientInput, ClientOutput, ClientPage, CreatedClient, OwnerContactShape, for_the_log,
};

/// The client that the path names, within a transaction. What is no id is told like an unknown one.
pub fn find(tx: &mut impl Reads, tenant: TenantId, client: &str) -> Result<Client, Problem> {
    let id: ClientId = client.parse().map_err(|_| Problem::NotFound)?;
    clients::find(tx, tenant, id)?.ok_or(Problem::NotFound)
}

/// Create a client
///
/// Makes a confidential service client with a secret, which is shown in this answer and never again. Needs
/// the permission `clients.write`.
#[utoipa::path(
    operation_id = "createClient", tag = "Clients", request_body = ClientInput,
    params(("tenant" = String, Path, description = "The tenant's id")),
    responses((status = 201, body = CreatedClient),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:clients.write"])))]
#[post("/v1/tenants/{tenant}/clients")]
pub async fn create(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<String>,
    body: RawBody,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let call = call.authorized(Permission::ClientsWrite, &path).await?;
    let tenant = call.tenant;
    query.only(&[])?;
    let input: ClientInput = body.read()?;
    let asked = input.allowed_scopes.clone();
    let prepared = PreparedClient::new(&api, input.verified()?)?;
    let id = prepared.id;

    let caller = call.caller;
    let (client, secret) = api
        .authority
        .database()
        .change(Scope::Tenant(tenant), call.origin, call.now, move |tx| {
            let catalogue = resource_servers::catalogue(tx, tenant)?;
            let held = |permission| caller.holds(permission).is_ok();
            let scopes = &prepared.settings().allowed_scopes;
            if let Err(refusal) = check_allowed_scopes(scopes, &catalogue, held) {
                let problem = refused_scope(&asked, &refusal);
                return match refusal {
                    ScopeRefusal::Unknown(_) => Err(problem),
                    // audit_1: this one is a refusal of somebody who is known.
                    ScopeRefusal::NotHeld(scope) => {
                        let why = json!({ "scope_not_held": scope });
                        let event = refusal_event(&caller, Target::Client(caller.client), why);
                        Ok(Change::made(Err(problem), event))
                    }
                };
            }
            let root = tenants::find(tx, tenant)?
                .ok_or(Problem::NotFound)?
                .root_organization;
            prepared.insert(tx, tenant, root)?;
            let client = clients::find(tx, tenant, id)?.ok_or(Problem::Internal)?;
            let events = prepared.events(tenant);
            let secret = prepared.show_secret(tx.now());
            Ok::<_, Problem>(Change::Made(Ok((client, secret)), events))
        })
        .await??;
    let location = format!("{}/v1/tenants/{tenant}/clients/{id}", api.base);
    Ok(HttpResponse::Created()
        .insert_header(("Location", location))
        .insert_header(("Cache-Control", "no-store"))
        .json(CreatedClient {
            client: (&client).into(),
            secret,
        }))
}

/// Points at the scope as it was sent: the set that is stored has another order.
fn refused_scope(asked: &[String], refusal: &ScopeRefusal) -> Problem {
    let (ScopeRefusal::Unknown(scope) | ScopeRefusal::NotHeld(scope)) = refusal;
    let index = asked
        .iter()
        .position(|text| text == scope.as_str())
        .unwrap_or_default();
    Problem::InvalidFields(vec![FieldFault::pointer(
        format!("/allowed_scopes/{index}"),
        refusal,
    )])
}

/// List clients
///
/// In the order of their making. Needs the permission `clients.read`.
#[utoipa::path(
    operation_id = "listClients", tag = "Clients",
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("limit" = Option<u32>, Query, description = "How many at most, 1 to 200; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, body = ClientPage),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:clients.read"])))]
#[get("/v1/tenants/{tenant}/clients")]
pub async fn list(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<String>,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let tenant = call
        .authorized(Permission::ClientsRead, &path)
        .await?
        .tenant;
    let cursors = Cursors::new(api.authority.keyring(), format!("clients of {tenant}"));
    let page = cursors.page(&query)?;
    let found = api
        .authority
        .database()
        .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
            clients::list(
                tx,
                tenant,
                page.after.map(ClientId::from_uuid),
                page.limit + 1,
            )
        })
        .await?;
    let page = cursors.cut(found, page.limit, |client| client.id.uuid());
    let items = page.items.iter().map(ClientOutput::from).collect();
    Ok(HttpResponse::Ok().json(ClientPage {
        items,
        next_cursor: page.next,
    }))
}

/// Read a client
///
/// Every setting, and never a secret. Needs the permission `clients.read`.
#[utoipa::path(
    operation_id = "readClient", tag = "Clients",
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("client" = String, Path, description = "The client's id")),
    responses((status = 200, body = ClientOutput),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:clients.read"])))]
#[get("/v1/tenants/{tenant}/clients/{client}")]
pub async fn read(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<(String, String)>,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let (tenant, client) = path.into_inner();
    let tenant = call
        .authorized(Permission::ClientsRead, &tenant)
        .await?
        .tenant;
    query.only(&[])?;
    let client = api
        .authority
        .database()
        .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
            find(tx, tenant, &client)
        })
        .await?;
    Ok(HttpResponse::Ok().json(ClientOutput::from(&client)))
}

/// Delete a client
///
/// For good: its secrets and tokens die with it, and its id is never used again. The client's name must be
/// typed in `confirm_name`. Needs the permission `clients.delete`.
#[utoipa::path(
    operation_id = "deleteClient", tag = "Clients",
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("client" = String, Path, description = "The client's id"),
        ("confirm_name" = String, Query, description = "The client's name, exactly")),
    responses((status = 204, description = "It is gone."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:clients.delete"])))]
#[delete("/v1/tenants/{tenant}/clients/{client}")]
pub async fn delete(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<(String, String)>,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let (tenant, client) = path.into_inner();
    let call = call
        .urgent()
        .authorized(Permission::ClientsDelete, &tenant)
        .await?;
    let tenant = call.tenant;
    query.only(&["confirm_name"])?;
    let typed = query.get("confirm_name").unwrap_or_default().to_owned();
    api.authority
        .database()
        .reserved()
        .change(Scope::Tenant(tenant), call.origin, call.now, move |tx| {
            let client = find_for_change(tx, tenant, &client)?;
            if !confirms(&client, &typed) {
                let fault = FieldFault::parameter(
                    "confirm_name",
                    "must be the client's name, exactly; nothing was deleted",
                );
                return Err(Problem::ConfirmationMismatch(fault));
            }
            clients::delete(tx, tenant, client.id)?;
            let event = Event::new(tenant, Action::ClientDeleted, Target::Client(client.id))
                .before(for_the_log(&client.settings));
            Ok(Change::made((), event))
        })
        .await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The client that the path names, kept from other changes until this one has ended.
pub fn find_for_change(
    tx: &mut grantor_storage::ChangeTx<'_>,
    tenant: TenantId,
    client: &str,
) -> Result<Client, Problem> {
    let id: ClientId = client.parse().map_err(|_| Problem::NotFound)?;
    clients::find_for_change(tx, tenant, id)
        .map_err(|error: StorageError| error.into())
        .and_then(|found| found.ok_or(Problem::NotFound))
}
