//! Who calls, and whether they may: the first thing that every handler asks.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, web};
use chrono::{DateTime, Utc};
use grantor_authority::{Authority, CallerCheck};
use grantor_domain::access::{AccessRefusal, Caller};
use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::permission::Permission;
use grantor_protocol::bearer::BearerToken;
use grantor_server_kit::{CallerAddress, request_id, user_agent};
use grantor_storage::{Change, Scope, StorageError};
use serde_json::{Value, json};

use crate::Api;
use crate::problem::Problem;

/// A call as it came in. Nobody is known yet: the token is checked when a handler asks, and by then the
/// whole request has been read. A slow sender can't have a token checked long before it is used.
pub struct Call {
    token: Result<String, Problem>,
    ip: Option<IpAddr>,
    user_agent: Option<String>,
    request_id: String,
    now: DateTime<Utc>,
    authority: Authority,
}

/// A call whose token is good and whose caller may do what was asked about.
pub struct Allowed {
    /// The tenant that the call is about.
    pub tenant: TenantId,
    /// Who calls.
    pub caller: Caller,
    /// The same, with from where, for the log of record.
    pub origin: Origin,
    /// When the call came.
    pub now: DateTime<Utc>,
}

impl FromRequest for Call {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let api = request.app_data::<web::Data<Api>>().cloned();
        let token = presented(request);
        let address = CallerAddress::from_request(request, payload);
        let user_agent = user_agent(request);
        let request_id = request_id(request);
        Box::pin(async move {
            let api = api.ok_or(Problem::Internal)?;
            Ok(Self {
                token,
                ip: address.await.ok().map(|address| address.0),
                user_agent,
                request_id,
                now: api.now(),
                authority: api.authority.clone(),
            })
        })
    }
}

impl Call {
    /// Makes the check of the caller go through however crowded the connections are: for what stops something.
    #[must_use]
    pub fn urgent(mut self) -> Self {
        self.authority = self.authority.reserved();
        self
    }

    /// Lets the call through if its token is good, and tells who calls.
    async fn identified(self) -> Result<(Allowed, Authority), Problem> {
        let Self {
            token,
            ip,
            user_agent,
            request_id,
            now,
            authority,
        } = self;
        let caller = match authority.check_caller(token?, now).await? {
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
        let actor = Actor::Client {
            tenant: caller.tenant,
            client: caller.client,
        };
        let origin = Origin {
            actor,
            ip,
            user_agent,
            request_id: Some(request_id),
        };
        let allowed = Allowed {
            tenant: caller.tenant,
            caller,
            origin,
            now,
        };
        Ok((allowed, authority))
    }

    /// Lets the call through if the caller may do this in the tenant that the path names.
    pub async fn authorized(
        self,
        permission: Permission,
        tenant: &str,
    ) -> Result<Allowed, Problem> {
        let (allowed, authority) = self.identified().await?;
        // tenant_1: what is no id, and the id of another tenant, answer like an id that never existed.
        let tenant: TenantId = tenant.parse().map_err(|_| Problem::NotFound)?;
        match allowed.caller.may(permission, tenant) {
            Ok(()) => Ok(allowed),
            Err(AccessRefusal::ForeignTenant) => {
                let why = json!({ "reason": "another tenant" });
                allowed
                    .record_refusal(&authority, why, Target::Tenant(tenant))
                    .await?;
                Err(Problem::NotFound)
            }
            Err(AccessRefusal::MissingPermission(permission)) => {
                allowed.forbidden(&authority, permission).await
            }
        }
    }

    /// Lets the call through if the caller may do something that concerns the platform.
    pub async fn authorized_for_platform(self, permission: Permission) -> Result<Allowed, Problem> {
        let (allowed, authority) = self.identified().await?;
        match allowed.caller.holds(permission) {
            Ok(()) => Ok(allowed),
            Err(_) => allowed.forbidden(&authority, permission).await,
        }
    }

    /// Lets the call through if the caller may look at a tenant as operators do. To whoever may not, every
    /// other tenant is one that never existed (`tenant_1`).
    pub async fn authorized_to_look_at(
        self,
        permission: Permission,
        tenant: &str,
    ) -> Result<(Allowed, TenantId), Problem> {
        let (allowed, authority) = self.identified().await?;
        let tenant: TenantId = tenant.parse().map_err(|_| Problem::NotFound)?;
        if allowed.caller.holds(permission).is_ok() {
            return Ok((allowed, tenant));
        }
        if allowed.caller.tenant == tenant {
            return allowed.forbidden(&authority, permission).await;
        }
        let why = json!({ "reason": "another tenant" });
        allowed
            .record_refusal(&authority, why, Target::Tenant(tenant))
            .await?;
        Err(Problem::NotFound)
    }
}

impl Allowed {
    /// Refuses for want of a permission.
    pub async fn forbidden<T>(
        &self,
        authority: &Authority,
        permission: Permission,
    ) -> Result<T, Problem> {
        let target = Target::Client(self.caller.client);
        let why = json!({ "missing_permission": permission.as_str() });
        self.record_refusal(authority, why, target).await?;
        Err(Problem::Forbidden(permission))
    }

    /// `audit_1`: the refusal of an authenticated actor leaves an event, in the log of its own tenant. If it
    /// can't be written, that is told instead of the refusal; the caller gets nothing either way.
    pub async fn record_refusal(
        &self,
        authority: &Authority,
        why: Value,
        target: Target,
    ) -> Result<(), Problem> {
        let tenant = self.caller.tenant;
        let event = refusal_event(&self.caller, target, why);
        authority
            .database()
            .change(
                Scope::Tenant(tenant),
                self.origin.clone(),
                self.now,
                move |_tx| Ok::<_, StorageError>(Change::made((), event)),
            )
            .await?;
        Ok(())
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

/// What a change comes to when a rule refuses it in its course: nothing but the event of the refusal.
pub fn refused<T>(caller: &Caller, refusal: AccessRefusal) -> Change<Result<T, Problem>> {
    let (problem, why) = match refusal {
        AccessRefusal::ForeignTenant => (Problem::NotFound, json!({ "reason": "another tenant" })),
        AccessRefusal::MissingPermission(permission) => (
            Problem::Forbidden(permission),
            json!({ "missing_permission": permission.as_str() }),
        ),
    };
    Change::made(
        Err(problem),
        refusal_event(caller, Target::Client(caller.client), why),
    )
}

/// The event of a refusal stands in the log of the tenant whose actor was refused.
pub fn refusal_event(caller: &Caller, target: Target, why: Value) -> Event {
    Event::new(caller.tenant, Action::AccessRefused, target).after(why)
}
