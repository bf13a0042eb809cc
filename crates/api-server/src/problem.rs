//! What goes wrong, as RFC 9457 problems: a stable type and code, the field at fault, and the mend.
//!
//! Here is the one place where a failure becomes an answer. What the caller sees and what the log sees are
//! different texts: a failure of ours is logged once, with its sources, and told without particulars.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use grantor_authority::{Failure, Refusal};
use grantor_domain::permission::Permission;
use grantor_protocol::bearer::{BearerChallenge, BearerErrorCode};
use grantor_protocol::scope::{ScopeToken, Scopes};
use grantor_server_kit::{current_request_id, log_failure};
use grantor_storage::StorageError;
use serde::Serialize;
use utoipa::ToSchema;

/// One field or parameter at fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldFault {
    /// Where in the body, as a JSON pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/owner_contact/email")]
    pub pointer: Option<String>,
    /// Which parameter of the query.
    #[serde(skip_serializing_if = "Option::is_none")]
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
#[derive(Debug)]
pub enum Problem {
    /// No bearer token, or one that is malformed.
    Unauthenticated(BearerChallenge),
    /// The caller lacks a permission.
    Forbidden(Permission),
    /// There is no such thing, or it is another tenant's: both are told alike.
    NotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed(Vec<String>),
    /// The body is not JSON.
    MalformedJson(String),
    /// The body is not said to be JSON.
    UnsupportedMediaType,
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
    /// PostgreSQL can't be reached, or not in time.
    Unavailable,
    /// A failure of ours.
    Internal,
}

/// A problem as it is answered.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// What kind of problem, for programs: stable.
    #[serde(rename = "type")]
    #[schema(example = "http://127.0.0.1:8080/problems/invalid-field")]
    pub kind: String,
    /// The last part of the type.
    #[schema(example = "invalid-field")]
    pub code: &'static str,
    /// What kind of problem, for people.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened this time, and the mend.
    pub detail: String,
    /// The request, as in the `X-Request-Id` header and in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The fields or parameters at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldFault>,
}

struct Told {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: String,
}

impl Problem {
    fn told(&self) -> Told {
        let told = |status, code, title, detail: &str| Told {
            status,
            code,
            title,
            detail: detail.to_owned(),
        };
        match self {
            Self::Unauthenticated(challenge) => told(
                StatusCode::UNAUTHORIZED,
                "unauthenticated",
                "A valid access token is needed",
                challenge.description.as_deref().unwrap_or(
                    "send an access token for urn:grantor:api in the header `Authorization: Bearer …`",
                ),
            ),
            Self::Forbidden(permission) => told(
                StatusCode::FORBIDDEN,
                "forbidden",
                "A permission is missing",
                &format!(
                    "this needs the permission {} and a token with the scope {}",
                    permission.as_str(),
                    permission.scope_name()
                ),
            ),
            Self::NotFound => told(
                StatusCode::NOT_FOUND,
                "not-found",
                "There is no such thing",
                "nothing with this id is visible to you; check the id and the tenant in the path",
            ),
            Self::MethodNotAllowed(allowed) => told(
                StatusCode::METHOD_NOT_ALLOWED,
                "method-not-allowed",
                "This method is not offered here",
                &format!("use {}", allowed.join(" or ")),
            ),
            Self::MalformedJson(detail) => {
                told(StatusCode::BAD_REQUEST, "malformed-json", "The body is not readable as JSON", detail)
            }
            Self::UnsupportedMediaType => told(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported-media-type",
                "The body must be JSON",
                "send the body with the header `Content-Type: application/json`",
            ),
            Self::TooLarge { limit } => told(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body is too large",
                &format!("send at most {limit} bytes"),
            ),
            Self::InvalidFields(faults) => told(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid-field",
                "Something given is not valid",
                &sentence(faults),
            ),
            Self::InvalidCursor => told(
                StatusCode::BAD_REQUEST,
                "invalid-cursor",
                "The cursor is not valid",
                "use `next_cursor` of the answer before, unchanged and on the same list, or leave it out to begin anew",
            ),
            Self::ConfirmationMismatch(fault) => told(
                StatusCode::UNPROCESSABLE_ENTITY,
                "confirmation-mismatch",
                "The name typed to confirm is not the client's",
                &fault.detail,
            ),
            Self::Unavailable => told(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The service can't answer now",
                "try again in a moment; whether a change took place shows when you read it back",
            ),
            Self::Internal => told(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something of ours failed",
                "this is a defect; please report it with the request_id",
            ),
        }
    }

    fn faults(&self) -> Vec<FieldFault> {
        match self {
            Self::InvalidFields(faults) => faults.clone(),
            Self::ConfirmationMismatch(fault) => vec![fault.clone()],
            _ => Vec::new(),
        }
    }

    /// No bearer token at all (RFC 6750 §3.1: then no error code is given).
    pub fn no_token() -> Self {
        Self::Unauthenticated(BearerChallenge {
            error: None,
            description: None,
            scope: None,
        })
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
        let Told { code, detail, .. } = self.told();
        write!(f, "{code}: {detail}")
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.told().status
    }

    fn error_response(&self) -> HttpResponse {
        self.answer("")
    }
}

impl Problem {
    /// The answer, with types below the address at which the API is reached.
    pub fn answer(&self, base: &str) -> HttpResponse {
        let Told {
            status,
            code,
            title,
            detail,
        } = self.told();
        let mut answer = HttpResponse::build(status);
        if let Some(challenge) = self.challenge()
            && let Ok(value) = HeaderValue::from_str(&challenge.to_string())
        {
            answer.insert_header((WWW_AUTHENTICATE, value));
        }
        if let Self::Unavailable = self {
            answer.insert_header((RETRY_AFTER, "1"));
        }
        if let Self::MethodNotAllowed(allowed) = self {
            answer.insert_header(("Allow", allowed.join(", ")));
        }
        let body = ProblemBody {
            kind: format!("{base}/problems/{code}"),
            code,
            title,
            status: status.as_u16(),
            detail,
            request_id: current_request_id(),
            errors: self.faults(),
        };
        answer
            .insert_header(("Cache-Control", "no-store"))
            .content_type("application/problem+json")
            .body(serde_json::to_vec(&body).unwrap_or_default())
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
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
            Refusal::Unauthenticated(_) | Refusal::Refused { .. } => {
                log_failure(&refusal);
                Self::Internal
            }
        }
    }
}
