//! Answers of the endpoints: never cached, and errors exactly as RFC 6749 §5.2 has them.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CACHE_CONTROL, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use grantor_authority::{Failure, Refusal, TooMany};
use grantor_domain::authentication::AuthenticationFailure;
use grantor_protocol::error::{ErrorCode, OAuthError};
use grantor_protocol::form::FormError;
use grantor_protocol::scope::ScopeError;
use grantor_server_kit::log_failure;
use serde::Serialize;

/// An answer with a body that must not be stored anywhere on its way.
pub fn uncached(body: &impl Serialize) -> HttpResponse {
    never_stored(&mut HttpResponse::Ok()).json(body)
}

/// RFC 6749 §5.1: the server MUST include Cache-Control with the value no-store, and Pragma with no-cache.
pub fn never_stored(builder: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    builder
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((PRAGMA, "no-cache"))
}

/// Everything that an endpoint can answer instead of what was asked for.
#[derive(Debug)]
pub enum Oops {
    /// An error of OAuth, with the status that its code has.
    OAuth(OAuthError),
    /// The client has as many tokens as it may (`client_15`).
    TooMany(TooMany),
    /// The answer would be a no, and too many of these were asked for to tell whether it is still one.
    Unconfirmed {
        /// In how many seconds there may be an answer.
        retry_after_seconds: u64,
    },
    /// The body is not a form.
    NotAForm,
    /// The body is of another media type than these.
    OtherMediaType(&'static str),
    /// The body is too large.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The path exists, but not with this method.
    MethodNotAllowed(&'static str),
    /// There is no such issuer, or no such endpoint.
    NotFound,
}

impl Oops {
    fn told(&self) -> (StatusCode, OAuthError) {
        let invalid =
            |status, sentence: &str| (status, OAuthError::new(ErrorCode::InvalidRequest, sentence));
        match self {
            Self::OAuth(error) => {
                let status = StatusCode::from_u16(error.error.http_status());
                (
                    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
                    error.clone(),
                )
            }
            // The code of the standard that says: not now, and the same request may succeed later.
            Self::TooMany(held) => (
                StatusCode::TOO_MANY_REQUESTS,
                OAuthError::new(ErrorCode::TemporarilyUnavailable, held.to_string()),
            ),
            Self::Unconfirmed { .. } => (
                StatusCode::TOO_MANY_REQUESTS,
                OAuthError::new(
                    ErrorCode::TemporarilyUnavailable,
                    "too much was asked for that failed; wait as long as Retry-After says",
                ),
            ),
            Self::NotAForm => invalid(
                StatusCode::BAD_REQUEST,
                "send the parameters in the body with Content-Type application/x-www-form-urlencoded",
            ),
            Self::TooLarge { limit } => invalid(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("send at most {limit} bytes"),
            ),
            Self::OtherMediaType(taken) => invalid(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &format!("send the body with Content-Type {taken}"),
            ),
            Self::MethodNotAllowed(allowed) => invalid(
                StatusCode::METHOD_NOT_ALLOWED,
                &format!("use {} here", allowed.replace(", ", " or ")),
            ),
            Self::NotFound => invalid(
                StatusCode::NOT_FOUND,
                "there is no such issuer or endpoint; check the address",
            ),
        }
    }
}

impl fmt::Display for Oops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, error) = self.told();
        write!(f, "{error}")
    }
}

impl ResponseError for Oops {
    fn status_code(&self) -> StatusCode {
        self.told().0
    }

    fn error_response(&self) -> HttpResponse {
        let (status, error) = self.told();
        let mut builder = HttpResponse::build(status);
        never_stored(&mut builder);
        match (self, error.error) {
            // RFC 6749 §5.2: 401 with the scheme by which the client may authenticate.
            (_, ErrorCode::InvalidClient) => {
                builder.insert_header((
                    WWW_AUTHENTICATE,
                    "Basic realm=\"grantor\", charset=\"UTF-8\"",
                ));
            }
            (Self::TooMany(held), _) => {
                builder.insert_header((RETRY_AFTER, held.retry_after_seconds.to_string()));
            }
            (
                Self::Unconfirmed {
                    retry_after_seconds,
                },
                _,
            ) => {
                builder.insert_header((RETRY_AFTER, *retry_after_seconds));
            }
            (_, ErrorCode::TemporarilyUnavailable) => {
                builder.insert_header((RETRY_AFTER, "1"));
            }
            (Self::MethodNotAllowed(allowed), _) => {
                builder.insert_header((ALLOW, *allowed));
            }
            _ => {}
        }
        builder.json(error)
    }
}

/// What is told when PostgreSQL can't be reached, or not in time.
pub fn unavailable() -> OAuthError {
    OAuthError::new(
        ErrorCode::TemporarilyUnavailable,
        "the service can't answer now; try again in a moment",
    )
}

impl From<OAuthError> for Oops {
    fn from(error: OAuthError) -> Self {
        Self::OAuth(error)
    }
}

impl From<FormError> for Oops {
    fn from(error: FormError) -> Self {
        Self::OAuth(error.into())
    }
}

impl From<ScopeError> for Oops {
    fn from(error: ScopeError) -> Self {
        Self::OAuth(error.into())
    }
}

impl From<Refusal> for Oops {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NoSuchTenant => Self::NotFound,
            Refusal::Unauthenticated(AuthenticationFailure::Unproved) => Self::OAuth(
                OAuthError::new(ErrorCode::InvalidClient, "unknown client or wrong secret"),
            ),
            Refusal::Unauthenticated(AuthenticationFailure::OtherAddress { peer }) => {
                let from = peer.map_or_else(String::new, |peer| format!(" from {peer}"));
                let sentence = format!(
                    "this client may not come{from}; send from one of its allowed_ips, or have an administrator add \
                     this address"
                );
                Self::OAuth(OAuthError::new(ErrorCode::InvalidClient, sentence))
            }
            Refusal::Unauthenticated(AuthenticationFailure::OtherMethod { registered }) => {
                let sentence = format!(
                    "this client is registered for {}; use that",
                    registered.as_str()
                );
                Self::OAuth(OAuthError::new(ErrorCode::InvalidClient, sentence))
            }
            Refusal::Unconfirmed { retry_after } => Self::Unconfirmed {
                retry_after_seconds: retry_after.as_secs() + 1,
            },
            Refusal::Refused { error, description } => {
                Self::OAuth(OAuthError::new(error, description))
            }
            Refusal::TooMany(held) => Self::TooMany(held),
            Refusal::Failed(failure) => failure.into(),
        }
    }
}

impl From<Failure> for Oops {
    fn from(failure: Failure) -> Self {
        if failure.is_unavailable() {
            log::warn!("{failure}");
            return Self::OAuth(unavailable());
        }
        log_failure(&failure);
        Self::OAuth(OAuthError::new(
            ErrorCode::ServerError,
            "something of ours failed; please report it",
        ))
    }
}
