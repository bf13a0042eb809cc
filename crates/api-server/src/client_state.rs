//! Disabling and enabling a client: a pause, which writes no token.

use actix_web::{HttpResponse, post, web};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::permission::Permission;
use grantor_domain::text::Reason;
use grantor_storage::{Change, Scope, clients, suspensions};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::Api;
use crate::clients::{ClientOutput, find_for_change};
use crate::problem::{Problem, ProblemBody};
use crate::requests::{Call, Fields, QueryString, RawBody};

/// Why a client is disabled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisableInput {
    /// Told to those whom it concerns.
    #[schema(example = "It hammers the orders API", max_length = 500)]
    reason: Option<String>,
}

impl DisableInput {
    fn verified(&self) -> Result<Option<Reason>, Problem> {
        let mut fields = Fields::default();
        match self
            .reason
            .as_deref()
            .map(|text| fields.parse("/reason", text, Reason::parse))
        {
            None => Ok(None),
            Some(Some(reason)) => Ok(Some(reason)),
            Some(None) => Err(fields.into_problem()),
        }
    }
}

/// Disable a client
///
/// Until it is enabled again it gets no token, and its tokens are good nowhere; when this has returned,
/// that holds on every server. Needs the permission `clients.disable`.
#[utoipa::path(
    operation_id = "disableClient", tag = "Clients", request_body = Option<DisableInput>,
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("client" = String, Path, description = "The client's id")),
    responses((status = 200, body = ClientOutput),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:clients.disable"])))]
#[post("/v1/tenants/{tenant}/clients/{client}/disable")]
pub async fn disable(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<(String, String)>,
    body: RawBody,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let (tenant, client) = path.into_inner();
    let call = call
        .urgent()
        .authorized(Permission::ClientsDisable, &tenant)
        .await?;
    let tenant = call.tenant;
    query.only(&[])?;
    let reason = body.read_or_default::<DisableInput>()?.verified()?;
    let client = api
        .authority
        .database()
        .reserved()
        .change(Scope::Tenant(tenant), call.origin, call.now, move |tx| {
            let client = find_for_change(tx, tenant, &client)?;
            if client.suspension.by_tenant.is_some() {
                return Ok(Change::Nothing(client));
            }
            suspensions::pause_client(tx, tenant, client.id, reason.as_ref())?;
            let event = Event::new(tenant, Action::ClientDisabled, Target::Client(client.id))
                .after(json!({ "reason": reason.as_ref().map(Reason::as_str) }));
            let disabled = clients::find(tx, tenant, client.id)?.ok_or(Problem::NotFound)?;
            Ok::<_, Problem>(Change::made(disabled, event))
        })
        .await?;
    Ok(HttpResponse::Ok().json(ClientOutput::from(&client)))
}

/// Enable a client
///
/// Ends the tenant's own pause; what did not expire meanwhile works again. A pause by an operator stays.
/// Needs the permission `clients.disable`.
#[utoipa::path(
    operation_id = "enableClient", tag = "Clients",
    params(("tenant" = String, Path, description = "The tenant's id"),
        ("client" = String, Path, description = "The client's id")),
    responses((status = 200, body = ClientOutput),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:clients.disable"])))]
#[post("/v1/tenants/{tenant}/clients/{client}/enable")]
pub async fn enable(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<(String, String)>,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let (tenant, client) = path.into_inner();
    let call = call.authorized(Permission::ClientsDisable, &tenant).await?;
    let tenant = call.tenant;
    query.only(&[])?;
    let client = api
        .authority
        .database()
        .change(Scope::Tenant(tenant), call.origin, call.now, move |tx| {
            let client = find_for_change(tx, tenant, &client)?;
            let Some(pause) = &client.suspension.by_tenant else {
                return Ok(Change::Nothing(client));
            };
            let before = json!({ "disabled_since": pause.since });
            suspensions::resume_client(tx, tenant, client.id)?;
            let event =
                Event::new(tenant, Action::ClientEnabled, Target::Client(client.id)).before(before);
            let enabled = clients::find(tx, tenant, client.id)?.ok_or(Problem::NotFound)?;
            Ok::<_, Problem>(Change::made(enabled, event))
        })
        .await?;
    Ok(HttpResponse::Ok().json(ClientOutput::from(&client)))
}
