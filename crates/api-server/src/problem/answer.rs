//! A problem as it is answered.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use grantor_server_kit::current_request_id;
use serde::Serialize;
use utoipa::ToSchema;

use super::{FieldFault, Problem, ProblemCode};

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem, example = json!({
    "type": "http://127.0.0.1:8080/problems/invalid-field", "code": "invalid-field",
    "title": "Something given is not valid", "status": 422,
    "detail": "/name must not be empty", "request_id": "7913b93040001093",
    "errors": [{ "pointer": "/name", "detail": "must not be empty" }] }))]
pub struct ProblemBody {
    /// What kind of problem, for programs: stable. A page about it is there.
    #[serde(rename = "type")]
    #[schema(example = "http://127.0.0.1:8080/problems/invalid-field")]
    pub kind: String,
    /// The last part of the type.
    pub code: ProblemCode,
    /// What kind of problem, for people.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What happened this time, and the mend.
    pub detail: String,
    /// The request, as in the `X-Request-Id` header and in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub request_id: Option<String>,
    /// The fields or parameters at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldFault>,
}

impl Problem {
    /// The body of the answer, with types below the address at which the API is reached.
    pub fn body(&self, base: &str) -> ProblemBody {
        let code = self.code();
        ProblemBody {
            kind: format!("{base}/problems/{}", code.as_str()),
            code,
            title: code.title(),
            status: code.status(),
            detail: self.detail(),
            request_id: current_request_id(),
            errors: self.faults().to_vec(),
        }
    }

    /// The answer.
    pub fn answer(&self, base: &str) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status_code());
        if let Some(challenge) = self.challenge()
            && let Ok(value) = HeaderValue::from_str(&challenge.to_string())
        {
            answer.insert_header((WWW_AUTHENTICATE, value));
        }
        match self {
            Self::Unavailable => answer.insert_header((RETRY_AFTER, "1")),
            Self::TooManyRequests {
                retry_after_seconds,
            } => answer.insert_header((RETRY_AFTER, retry_after_seconds.to_string())),
            Self::MethodNotAllowed(allowed) => answer.insert_header((ALLOW, allowed.join(", "))),
            _ => &mut answer,
        };
        answer
            .insert_header((CACHE_CONTROL, "no-store"))
            .content_type("application/problem+json")
            .body(serde_json::to_vec(&self.body(base)).unwrap_or_default())
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        self.answer("")
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
