//! What goes wrong, as RFC 9457 problems: a stable type and code, the field at fault, and the mend.
//!
//! Here is the one place where a failure becomes an answer. What the caller sees and what the log sees are
//! different texts: a failure of ours is logged once, with its sources, and told without particulars.

mod answer;
mod code;

use std::fmt;
use std::net::IpAddr;

use grantor_authority::{Failure, Refusal};
use grantor_domain::permission::Permission;
use grantor_protocol::bearer::{BearerChallenge, BearerErrorCode};
use grantor_protocol::scope::{ScopeToken, Scopes};
use grantor_server_kit::log_failure;
use grantor_storage::StorageError;
use grantor_storage::quotas::QuotaCheckError;
use serde::Serialize;
use utoipa::ToSchema;

pub use answer::ProblemBody;
pub use code::ProblemCode;

/// One field or parameter at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldFault {
    /// Where in the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/owner_contact/email", nullable = false)]
    pub pointer: Option<String>,
    /// Which parameter of the query, or which header.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub parameter: Option<String>,
    /// What is wrong with it, and the mend.
    #[schema(example = "must be a mail address such as `name@example.com`")]
    pub detail: String,
}

impl FieldFault {
    /// A field of the body.
    pub fn pointer(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self {
            pointer: Some(pointer.into()),
            parameter: None,
            detail: detail.to_string(),
        }
    }

    /// A parameter of the query.
    pub fn parameter(name: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self {
            pointer: None,
            parameter: Some(name.into()),
            detail: detail.to_string(),
        }
    }
}

/// Everything that a call can fail with.
#[derive(Debug, Clone)]
pub enum Problem {
    /// No bearer token, or one that is malformed.
    Unauthenticated(BearerChallenge),
    /// The caller lacks a permission.
    Forbidden(Permission),
    /// The root owner alone, or an operator, may do this.
    NotTheRootOwner,
    /// The caller's client may not come from this address (`client_13`).
    AddressNotAllowed(Option<IpAddr>),
    /// There is no such thing, or it is another tenant's: both are told alike.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed(Vec<String>),
    /// The body is not JSON.
    MalformedJson(String),
    /// The body is not said to be of a type that is taken here.
    UnsupportedMediaType(&'static [&'static str]),
    /// The body is too large.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// Fields or parameters are at fault.
    InvalidFields(Vec<FieldFault>),
    /// The cursor is not one of ours, or belongs to another list.
    InvalidCursor,
    /// The name that confirms does not match.
    ConfirmationMismatch(FieldFault),
    /// What is to be made would stand in the way of something that exists.
    Conflict(FieldFault),
    /// It would leave a tenant without its root owner.
    RootOwner,
    /// It can't go while something hangs on it: what, and the mend.
    NotEmpty(String),
    /// A public client has no secret, and never will.
    PublicClient,
    /// As many secrets of the client are live as may be; how that is mended.
    TooManySecrets(&'static str),
    /// The tenant of the operators can be neither suspended nor deleted.
    PlatformTenant,
    /// The tenant has as many of these as it may.
    QuotaReached {
        /// Of what.
        what: &'static str,
        /// How many it may have.
        limit: i64,
    },
    /// `If-Match` names another state than the present one.
    PreconditionFailed {
        /// The present one.
        current: String,
    },
    /// The `Idempotency-Key` is not one.
    InvalidIdempotencyKey,
    /// The `Idempotency-Key` came with another request before.
    IdempotencyKeyReused,
    /// The change feed does not reach back to this position any more.
    PositionExpired,
    /// Too many requests came from this address or caller.
    TooManyRequests {
        /// When to come again.
        retry_after_seconds: u64,
    },
    /// PostgreSQL can't be reached, or not in time.
    Unavailable,
    /// A failure of ours.
    Internal,
}

impl Problem {
    /// What kind of problem it is. Exhaustive: a new problem needs its code here.
    pub fn code(&self) -> ProblemCode {
        match self {
            Self::Unauthenticated(_) => ProblemCode::Unauthenticated,
            Self::Forbidden(_) | Self::NotTheRootOwner => ProblemCode::Forbidden,
            Self::AddressNotAllowed(_) => ProblemCode::AddressNotAllowed,
            Self::NotFound => ProblemCode::NotFound,
            Self::MethodNotAllowed(_) => ProblemCode::MethodNotAllowed,
            Self::MalformedJson(_) => ProblemCode::MalformedJson,
            Self::UnsupportedMediaType(_) => ProblemCode::UnsupportedMediaType,
            Self::TooLarge { .. } => ProblemCode::TooLarge,
            Self::InvalidFields(_) => ProblemCode::InvalidField,
            Self::InvalidCursor => ProblemCode::InvalidCursor,
            Self::ConfirmationMismatch(_) => ProblemCode::ConfirmationMismatch,
            Self::Conflict(_) => ProblemCode::Conflict,
            Self::RootOwner => ProblemCode::RootOwner,
            Self::NotEmpty(_) => ProblemCode::NotEmpty,
            Self::PublicClient => ProblemCode::PublicClient,
            Self::TooManySecrets(_) => ProblemCode::TooManySecrets,
            Self::PlatformTenant => ProblemCode::PlatformTenant,
            Self::QuotaReached { .. } => ProblemCode::QuotaReached,
            Self::PreconditionFailed { .. } => ProblemCode::PreconditionFailed,
            Self::InvalidIdempotencyKey => ProblemCode::InvalidIdempotencyKey,
            Self::IdempotencyKeyReused => ProblemCode::IdempotencyKeyReused,
            Self::PositionExpired => ProblemCode::PositionExpired,
            Self::TooManyRequests { .. } => ProblemCode::TooManyRequests,
            Self::Unavailable => ProblemCode::Unavailable,
            Self::Internal => ProblemCode::Internal,
        }
    }

    /// What happened this time, and the mend.
    pub fn detail(&self) -> String {
        match self {
            Self::Unauthenticated(challenge) => challenge.description.clone().unwrap_or_else(|| {
                "send an access token for urn:grantor:api in the header `Authorization: Bearer …`".to_owned()
            }),
            Self::Forbidden(permission) => format!(
                "this needs the permission {} and a token with the scope {}",
                permission.as_str(),
                permission.scope_name()
            ),
            Self::NotTheRootOwner => "this is for the root owner alone, through a client that acts for them; an operator \
                of the installation can hand the root ownership over for one who is gone"
                .to_owned(),
            Self::AddressNotAllowed(ip) => format!(
                "your client may not come{}; send from one of its `allowed_ips`, or have an administrator add this \
                 address",
                ip.map_or_else(String::new, |ip| format!(" from {ip}"))
            ),
            Self::NotFound => {
                "nothing with this id is visible to you; check the id and the tenant in the path".to_owned()
            }
            Self::MethodNotAllowed(allowed) => format!("use {}", allowed.join(" or ")),
            Self::MalformedJson(detail) => detail.clone(),
            Self::UnsupportedMediaType(taken) => format!(
                "send the body with the header `Content-Type: {}`",
                taken.join("` or `")
            ),
            Self::TooLarge { limit } => format!("send at most {limit} bytes"),
            Self::InvalidFields(faults) => sentence(faults),
            Self::InvalidCursor => "use `next_cursor` of the answer before, unchanged, on the same list with the same \
                filters and sorting, or leave it out to begin anew"
                .to_owned(),
            Self::ConfirmationMismatch(fault) | Self::Conflict(fault) => sentence(std::slice::from_ref(fault)),
            Self::RootOwner => "this member is the tenant's root owner, who can't be disabled, deleted or demoted; hand \
                the root ownership over first, with `PUT /v1/tenants/{tenant}/root-owner`"
                .to_owned(),
            Self::NotEmpty(sentence) => sentence.clone(),
            Self::PublicClient => "this client is public and can't keep a secret; make it confidential first, with \
                `POST …/change-type`"
                .to_owned(),
            Self::TooManySecrets(mend) => format!(
                "a client has at most {} live secrets, and there is no room for another; {mend}",
                grantor_domain::client_secret::MOST_LIVE
            ),
            Self::PlatformTenant => "this is the tenant of the operators, which can be neither suspended nor deleted; \
                disable what must stop in it"
                .to_owned(),
            Self::QuotaReached { what, limit } => format!(
                "a tenant may have {limit} {what}, and this one has them; delete some, or ask an operator for a higher \
                 quota"
            ),
            Self::PreconditionFailed { current } => format!(
                "it was changed since you read it: its ETag is now {current}; read it again, and send your change \
                 with that ETag in If-Match"
            ),
            Self::InvalidIdempotencyKey => {
                "Idempotency-Key must be 16 to 255 visible ASCII characters; a random UUID for each new request is \
                 a good one"
                    .to_owned()
            }
            Self::IdempotencyKeyReused => "this Idempotency-Key came with another request before; take a new key for a \
                new request, and the same key for the same request alone"
                .to_owned(),
            Self::PositionExpired => "the change feed does not reach back to this position any more; read what you \
                need anew, then follow from the position of `?after=now`"
                .to_owned(),
            Self::TooManyRequests { retry_after_seconds } => {
                format!("come again in {retry_after_seconds} s; the header RateLimit tells what is left")
            }
            Self::Unavailable => "try again in a moment; whether a change took place shows when you read it back, and \
                a request with an Idempotency-Key may simply be sent again"
                .to_owned(),
            Self::Internal => "this is a defect; please report it with the request_id".to_owned(),
        }
    }

    /// The fields or parameters at fault.
    pub fn faults(&self) -> &[FieldFault] {
        match self {
            Self::InvalidFields(faults) => faults,
            Self::ConfirmationMismatch(fault) | Self::Conflict(fault) => {
                std::slice::from_ref(fault)
            }
            _ => &[],
        }
    }

    /// It can't go while this lies in it.
    pub fn not_empty(contents: impl fmt::Display) -> Self {
        Self::NotEmpty(format!(
            "it still has {contents}; move them elsewhere or delete them first"
        ))
    }

    /// One field of the body at fault.
    pub fn field(pointer: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::InvalidFields(vec![FieldFault::pointer(pointer, detail)])
    }

    /// One parameter of the query at fault.
    pub fn parameter(name: impl Into<String>, detail: impl fmt::Display) -> Self {
        Self::InvalidFields(vec![FieldFault::parameter(name, detail)])
    }

    /// No bearer token at all (RFC 6750 §3.1: then no error code is given).
    pub fn no_token() -> Self {
        Self::Unauthenticated(BearerChallenge {
            error: None,
            description: None,
            scope: None,
        })
    }

    /// A bearer token that is good for nothing now; why is not told.
    pub fn not_good() -> Self {
        Self::bad_token("the access token is unknown, expired, revoked or suspended; get a new one")
    }

    /// A bearer token that is not good.
    pub fn bad_token(description: &str) -> Self {
        Self::Unauthenticated(BearerChallenge {
            error: Some(BearerErrorCode::InvalidToken),
            description: Some(description.to_owned()),
            scope: None,
        })
    }

    fn challenge(&self) -> Option<BearerChallenge> {
        match self {
            Self::Unauthenticated(challenge) => Some(challenge.clone()),
            Self::Forbidden(permission) => Some(BearerChallenge {
                error: Some(BearerErrorCode::InsufficientScope),
                description: None,
                // RFC 6750 §3: the scope that is needed may be named.
                scope: ScopeToken::parse(&permission.scope_name())
                    .ok()
                    .map(|scope| [scope].into_iter().collect::<Scopes>()),
            }),
            // No scope is: it is another's token that would do.
            Self::NotTheRootOwner => Some(BearerChallenge {
                error: Some(BearerErrorCode::InsufficientScope),
                description: None,
                scope: None,
            }),
            _ => None,
        }
    }
}

fn sentence(faults: &[FieldFault]) -> String {
    let mut parts: Vec<String> = Vec::with_capacity(faults.len());
    for fault in faults {
        let place = fault
            .pointer
            .as_deref()
            .or(fault.parameter.as_deref())
            .unwrap_or_default();
        parts.push(if place.is_empty() {
            fault.detail.clone()
        } else {
            format!("{place} {}", fault.detail)
        });
    }
    parts.join("; ")
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code().as_str(), self.detail())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        // tenant_2: between the check of the token and the change its tenant was suspended. The next call would
        // be told so, and so is this one.
        if let Failure::Storage(StorageError::Suspended { .. }) = failure {
            return Self::not_good();
        }
        if failure.is_unavailable() {
            log::warn!("{failure}");
            return Self::Unavailable;
        }
        log_failure(&failure);
        Self::Internal
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        Failure::from(error).into()
    }
}

impl From<QuotaCheckError> for Problem {
    fn from(error: QuotaCheckError) -> Self {
        match error {
            QuotaCheckError::Reached(reached) => Self::QuotaReached {
                what: reached.counted.for_people(),
                limit: reached.limit,
            },
            QuotaCheckError::Storage(error) => error.into(),
        }
    }
}

impl From<grantor_keys::EntropyError> for Problem {
    fn from(error: grantor_keys::EntropyError) -> Self {
        Failure::from(error).into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchTenant => Self::NotFound,
            Refusal::Failed(failure) => failure.into(),
            // These come from the token endpoints alone.
            Refusal::Unauthenticated(_)
            | Refusal::Unconfirmed { .. }
            | Refusal::Refused { .. }
            | Refusal::TooMany(_) => {
                log_failure(&refusal);
                Self::Internal
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::WWW_AUTHENTICATE;

    use super::*;

    #[test]
    fn a_403_for_lack_of_rights_has_a_challenge() {
        let lacking = Problem::Forbidden(Permission::ClientsRead);
        for (problem, names_a_scope) in [(lacking, true), (Problem::NotTheRootOwner, false)] {
            let answer = problem.answer("");
            assert_eq!(answer.status(), 403);
            let challenge = answer.headers().get(WWW_AUTHENTICATE).unwrap();
            let challenge = challenge.to_str().unwrap();
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
            assert_eq!(challenge.contains("scope=\"grantor:"), names_a_scope);
        }
    }
}
