//! A request as it came in, and the way from there to a handler: the same for every operation.
//!
//! Who calls is checked once the whole request is here, so a slow sender can't have a token checked long
//! before it is used; and before anything in it is told to be wrong, so that nobody unknown learns of it.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, HeaderName, IF_MATCH, IF_NONE_MATCH};
use actix_web::{FromRequest, HttpRequest};
use grantor_authority::{Authority, CallerCheck};
use grantor_domain::access::{AccessRefusal, Caller, Reach};
use grantor_domain::audit::{Origin, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::permission::Permission;
use grantor_protocol::bearer::BearerToken;
use grantor_server_kit::rate_limit::RateLimits;
use grantor_server_kit::{CallerAddress, request_id, user_agent};
use serde_json::{Value, json};

use crate::Api;
use crate::answer::AnyAnswer;
use crate::call::{Acting, Call, record_refusal, refusal_event};
use crate::operation::{Facts, Needs, Operation};
use crate::problem::Problem;
use crate::requests::{BODY_LIMIT, Condition, IdempotencyKey, Query, RawBody};

/// What a request brings with it, whichever operation it is for.
#[derive(Clone)]
pub struct Incoming {
    /// Where everything is.
    pub api: Api,
    /// The bearer token.
    pub token: String,
    /// From where.
    pub ip: Option<IpAddr>,
    /// By what program.
    pub user_agent: Option<String>,
    /// The request's id.
    pub request_id: String,
    /// What the path's parameters are.
    pub path: Vec<(&'static str, String)>,
    /// The query.
    pub query: String,
    /// The headers that mean something here.
    pub headers: Headers,
    /// The key of this part of a request whose own key came in its header. It is longer than that one.
    pub derived_key: Option<IdempotencyKey>,
    /// When it began.
    pub began: Instant,
    /// The request itself, for what it is charged.
    pub http: HttpRequest,
}

/// The headers that mean something to operations.
#[derive(Debug, Clone, Default)]
pub struct Headers {
    /// `If-Match`.
    pub if_match: Option<String>,
    /// `If-None-Match`.
    pub if_none_match: Option<String>,
    /// `Idempotency-Key`.
    pub idempotency_key: Option<Vec<u8>>,
    /// `Accept`.
    pub accept: Option<String>,
    /// `Last-Event-ID`.
    pub last_event_id: Option<String>,
}

/// Answers a request to an operation.
pub async fn answer(
    operation: &Operation,
    api: Api,
    request: HttpRequest,
    mut payload: Payload,
) -> Result<actix_web::HttpResponse, Problem> {
    let began = Instant::now();
    // Without anything that looks like a token there is no need to read on.
    let token = presented(&request)?;
    let limit = operation
        .facts
        .body
        .as_ref()
        .map_or(BODY_LIMIT, |body| body.limit);
    let body = RawBody::receive(&request, &mut payload, limit).await;
    let address = CallerAddress::from_request(&request, &mut payload).await;
    let incoming = Incoming {
        api,
        token,
        ip: address.ok().map(|address| address.0),
        user_agent: user_agent(&request),
        request_id: request_id(&request),
        path: operation
            .facts
            .path_parameters()
            .map(|name| {
                let value = request.match_info().get(name).unwrap_or_default();
                (name, value.to_owned())
            })
            .collect(),
        query: request.query_string().to_owned(),
        headers: Headers::of(&request),
        derived_key: None,
        began,
        http: request,
    };
    let if_none_match = incoming.headers.if_none_match.clone();
    let is_change = operation.facts.is_change();
    let (answer, dry_run) = incoming.run(operation, body).await?;
    let answer = if is_change || operation.facts.live {
        answer
    } else {
        answer.unless_known(if_none_match.as_deref())
    };
    Ok(answer.into_response(dry_run))
}

impl Headers {
    fn of(request: &HttpRequest) -> Self {
        let bytes = |name: HeaderName| {
            let mut values = request.headers().get_all(name);
            let first = values.next()?.as_bytes().to_vec();
            // Several lines are one list (RFC 9110 §5.3).
            Some(values.fold(first, |mut all, next| {
                all.extend_from_slice(b", ");
                all.extend_from_slice(next.as_bytes());
                all
            }))
        };
        let text = |name| bytes(name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Self {
            if_match: text(IF_MATCH),
            if_none_match: text(IF_NONE_MATCH),
            idempotency_key: bytes(HeaderName::from_static("idempotency-key")),
            accept: text(ACCEPT),
            last_event_id: text(HeaderName::from_static("last-event-id")),
        }
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

impl Incoming {
    /// Charges the caller for more than the one request that this is.
    pub fn charge(&self, more: u32) -> Result<(), Problem> {
        RateLimits::charge(&self.http, more).map_err(|reached| Problem::TooManyRequests {
            retry_after_seconds: reached.retry_after_seconds,
        })
    }

    /// Goes the whole way: who calls, whether they may, what they ask for, and the handler. Tells besides
    /// whether it was a dry run.
    pub async fn run(
        self,
        operation: &Operation,
        body: Result<RawBody, Problem>,
    ) -> Result<(AnyAnswer, bool), Problem> {
        let facts = &operation.facts;
        let now = self.api.now();
        let authority = if facts.urgent {
            self.api.authority.reserved()
        } else {
            self.api.authority.clone()
        };
        let checked = check(&authority, &self.token, self.ip, now).await?;
        let (Checked::Admitted(caller) | Checked::FromElsewhere(caller)) = &checked;
        let origin = Origin {
            actor: caller.actor(),
            ip: self.ip,
            user_agent: self.user_agent.clone(),
            request_id: Some(self.request_id.clone()),
        };
        let gate = Gate {
            caller,
            origin: &origin,
            // A refusal is urgent to nobody: whoever is refused again and again must not hold up who revokes.
            authority: &self.api.authority,
            now,
        };
        if let Checked::FromElsewhere(_) = checked {
            return gate.refuse_address(self.ip).await;
        }
        let named = self
            .path
            .iter()
            .find(|(name, _)| *name == "tenant")
            .map(|(_, value)| value.as_str());
        let tenant = gate.pass(facts, named).await?;
        let caller = caller.clone();

        let body = body?;
        let query = Query::parse(&self.query, facts)?;
        let condition = if facts.conditional {
            Condition::parse(self.headers.if_match.as_deref())?
        } else {
            Condition::None
        };
        let key = match &self.derived_key {
            Some(key) => Some(key.clone()),
            None if facts.is_change() => {
                IdempotencyKey::parse(self.headers.idempotency_key.as_deref())?
            }
            None => None,
        };
        let dry_run = query.flag("dry_run")?;
        let key = key.map(|key| (key, essence(&self, facts, &query, &body)));
        let call = Call {
            acting: Acting {
                tenant,
                caller,
                permission: facts.needs.permission(),
                condition,
                dry_run,
                now,
            },
            facts: facts.clone(),
            origin,
            now,
            query,
            key,
            incoming: self,
        };
        let answer = operation.handle(call, body).await?;
        Ok((answer, dry_run))
    }
}

/// What two requests with one `Idempotency-Key` must have in common.
fn essence(incoming: &Incoming, facts: &Facts, query: &Query, body: &RawBody) -> Vec<u8> {
    let if_match = incoming.headers.if_match.as_deref().unwrap_or_default();
    [
        facts.id.as_bytes(),
        format!("{:?}", incoming.path).as_bytes(),
        query.essence(&["dry_run"]).as_bytes(),
        if_match.as_bytes(),
        &body.essence(),
    ]
    // Each after its length, so that no two requests are written alike.
    .map(|part| [&(part.len() as u64).to_be_bytes(), part].concat())
    .concat()
}

/// Whose a good token is.
#[derive(Debug)]
pub enum Checked {
    /// Of somebody who comes from where their client may.
    Admitted(Caller),
    /// Of somebody who doesn't (`client_13`).
    FromElsewhere(Caller),
}

/// Checks a bearer token, in the words of this API.
pub async fn check(
    authority: &Authority,
    token: &str,
    ip: Option<IpAddr>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<Checked, Problem> {
    match authority.check_caller(token.to_owned(), ip, now).await? {
        CallerCheck::Good(caller) => Ok(Checked::Admitted(caller)),
        CallerCheck::OtherAddress(caller) => Ok(Checked::FromElsewhere(caller)),
        CallerCheck::NotGood => Err(Problem::not_good()),
        CallerCheck::OtherAudience => Err(Problem::bad_token(
            "the access token is not for urn:grantor:api; ask for a scope that begins with grantor:",
        )),
    }
}

/// Decides whether the caller may, and puts on record when not (`audit_1`).
struct Gate<'a> {
    caller: &'a Caller,
    origin: &'a Origin,
    authority: &'a Authority,
    now: chrono::DateTime<chrono::Utc>,
}

impl Gate<'_> {
    /// Tells the tenant that the call is about.
    async fn pass(&self, facts: &Facts, named: Option<&str>) -> Result<TenantId, Problem> {
        // tenant_1: what is no id, and the id of another tenant, answer like an id that never existed.
        let named = named
            .map(|named| named.parse::<TenantId>().map_err(|_| Problem::NotFound))
            .transpose()?;
        let own = self.caller.tenant;
        let tenant = named.unwrap_or(own);
        // role_2: whoever supports the platform sees and deactivates clients in any tenant.
        if let Some(permission) = facts.open_to_operators
            && tenant != own
            && self.caller.holds(permission).is_ok()
        {
            return Ok(tenant);
        }
        match facts.needs {
            Needs::OnPlatform(permission) => match self.caller.holds(permission) {
                Ok(()) => Ok(tenant),
                Err(_) => self.forbidden(permission).await,
            },
            Needs::OnAnyTenant(permission) if self.caller.holds(permission).is_ok() => Ok(tenant),
            Needs::OnAnyTenant(permission) if tenant == own => self.forbidden(permission).await,
            Needs::KnownCaller => Ok(own),
            Needs::Membership if tenant == own => Ok(tenant),
            Needs::OnAnyTenant(_) | Needs::Membership => self.foreign(tenant).await,
            Needs::InTenant(permission) => match self.caller.may(permission, tenant) {
                Ok(()) => Ok(tenant),
                Err(AccessRefusal::ForeignTenant) => self.foreign(tenant).await,
                Err(AccessRefusal::MissingPermission(missing)) => self.forbidden(missing).await,
            },
            // role_2: whoever manages a business group learns nothing of what lies beside it.
            Needs::OverWholeTenant(_) if tenant != own => self.foreign(tenant).await,
            Needs::OverWholeTenant(permission) => match self.caller.tops(permission) {
                Reach::Everything => Ok(tenant),
                Reach::Subtrees(_) => self.forbidden(permission).await,
            },
        }
    }

    /// What the address was stands with the event, as with any.
    async fn refuse_address<T>(&self, ip: Option<IpAddr>) -> Result<T, Problem> {
        let why = json!({ "reason": "another address" });
        self.record(why, Target::Client(self.caller.client)).await?;
        Err(Problem::AddressNotAllowed(ip))
    }

    async fn forbidden<T>(&self, permission: Permission) -> Result<T, Problem> {
        let why = json!({ "missing_permission": permission.as_str() });
        self.record(why, self.caller.target()).await?;
        Err(Problem::Forbidden(permission))
    }

    async fn foreign<T>(&self, tenant: TenantId) -> Result<T, Problem> {
        let why = json!({ "reason": "another tenant" });
        self.record(why, Target::Tenant(tenant)).await?;
        Err(Problem::NotFound)
    }

    async fn record(&self, why: Value, target: Target) -> Result<(), Problem> {
        let event = refusal_event(self.caller, target, why);
        let database = self.authority.database();
        record_refusal(database, self.origin.clone(), self.now, event).await?;
        Ok(())
    }
}
