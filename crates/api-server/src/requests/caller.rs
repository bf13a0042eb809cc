//! Who calls, and whether they may: the first thing that every handler asks.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, USER_AGENT};
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Utc};
use grantor_authority::CallerCheck;
use grantor_domain::access::{AccessRefusal, Caller};
use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::permission::Permission;
use grantor_protocol::bearer::BearerToken;
use grantor_server_kit::{CallerAddress, request_id};
use grantor_storage::{Change, Scope, StorageError};
use serde_json::json;

use crate::Api;
use crate::problem::Problem;

/// The longest user agent that is kept.
const USER_AGENT_LIMIT: usize = 200;

/// A call whose token is good. It is not authorized for anything yet.
pub struct Call {
    /// Who calls.
    pub caller: Caller,
    /// The same, with from where, for the log of record.
    pub origin: Origin,
    /// When the call came.
    pub now: DateTime<Utc>,
    api: web::Data<Api>,
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let api = request.app_data::<web::Data<Api>>().cloned();
        let token = presented(request);
        let address = CallerAddress::from_request(request, payload);
        let user_agent = request.headers().get(USER_AGENT).map(|value| {
            String::from_utf8_lossy(value.as_bytes())
                .chars()
                .take(USER_AGENT_LIMIT)
                .collect()
        });
        let request_id = Some(request_id(request));
        Box::pin(async move {
            let api = api.ok_or(Problem::Internal)?;
            let now = api.now();
            let token = token?;
            let caller = match api.authority.check_caller(token, now).await? {
                CallerCheck::Good(caller) => caller,
                CallerCheck::NotGood => {
                    return Err(Problem::bad_token(
                        "the access token is unknown, expired, revoked or suspended; get a new one",
                    ));
                }
                CallerCheck::OtherAudience => {
                    return Err(Problem::bad_token(
                        "the access token is not for urn:grantor:api; ask for a scope that begins with grantor:",
                    ));
                }
            };
            let ip = address.await.ok().map(|address| address.0);
            let actor = Actor::Client {
                tenant: caller.tenant,
                client: caller.client,
            };
            Ok(Self {
                caller,
                origin: Origin {
                    actor,
                    ip,
                    user_agent,
                    request_id,
                },
                now,
                api,
            })
        })
    }
}

/// RFC 6750 §2.1: one Authorization header with the scheme Bearer.
fn presented(request: &HttpRequest) -> Result<String, Problem> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let header = headers.next().ok_or_else(Problem::no_token)?;
    if headers.next().is_some() {
        return Err(Problem::bad_token(
            "send one Authorization header, not several",
        ));
    }
    match BearerToken::parse(header.as_bytes()) {
        Ok(Some(token)) => Ok(token.expose().to_owned()),
        Ok(None) => Err(Problem::no_token()),
        Err(error) => Err(Problem::bad_token(&error.to_string())),
    }
}

/// Lets the call through if the caller may do this in the tenant that the path names; tells which tenant.
pub async fn authorized(
    call: &Call,
    permission: Permission,
    tenant: &str,
) -> Result<TenantId, Problem> {
    // tenant_1: what is no id, and the id of another tenant, answer like an id that never existed.
    let tenant: TenantId = tenant.parse().map_err(|_| Problem::NotFound)?;
    match call.caller.may(permission, tenant) {
        Ok(()) => Ok(tenant),
        Err(AccessRefusal::ForeignTenant) => Err(Problem::NotFound),
        Err(AccessRefusal::MissingPermission(permission)) => refused(call, permission).await,
    }
}

/// Lets the call through if the caller may do something that concerns the platform.
pub async fn authorized_for_platform(call: &Call, permission: Permission) -> Result<(), Problem> {
    match call.caller.holds(permission) {
        Ok(()) => Ok(()),
        Err(_) => refused(call, permission).await,
    }
}

/// `audit_1`: the refusal of an authenticated actor leaves an event. If it can't be written, that is told
/// instead of the refusal; the caller gets nothing either way.
async fn refused<T>(call: &Call, permission: Permission) -> Result<T, Problem> {
    let Caller { tenant, client, .. } = call.caller;
    let event = Event::new(tenant, Action::AccessRefused, Target::Client(client))
        .after(json!({ "missing_permission": permission.as_str() }));
    call.api
        .authority
        .database()
        .change(
            Scope::Tenant(tenant),
            call.origin.clone(),
            call.now,
            move |_tx| Ok::<_, StorageError>(Change::made((), event)),
        )
        .await?;
    Err(Problem::Forbidden(permission))
}
