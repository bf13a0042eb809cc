//! What a handler answers, in a form that can also be kept for a retry.

use std::marker::PhantomData;
use std::pin::Pin;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, LOCATION};
use actix_web::web::Bytes;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, CredentialLinkId, MemberId, SecretId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;

use crate::problem::Problem;

/// Events as they are sent.
pub type EventStream =
    Pin<Box<dyn futures_util::Stream<Item = Result<Bytes, std::convert::Infallible>>>>;

/// An answer whose body is a `T`.
#[derive(Debug)]
pub struct Answer<T> {
    kept: KeptAnswer,
    of: PhantomData<fn() -> T>,
}

/// An answer, or events as they come.
pub enum Reply<T> {
    /// All at once.
    Answer(Answer<T>),
    /// As they come.
    Stream(EventStream),
}

/// An answer, whatever its body.
pub struct AnyAnswer {
    kept: KeptAnswer,
    stream: Option<EventStream>,
}

impl<T> From<Answer<T>> for AnyAnswer {
    fn from(answer: Answer<T>) -> Self {
        Self {
            kept: answer.kept,
            stream: None,
        }
    }
}

impl<T> From<Reply<T>> for AnyAnswer {
    fn from(reply: Reply<T>) -> Self {
        match reply {
            Reply::Answer(answer) => answer.into(),
            Reply::Stream(events) => Self {
                kept: Answer::<T>::new(StatusCode::OK).kept,
                stream: Some(events),
            },
        }
    }
}

/// What answers with a `T`.
pub trait Answers<T>: Into<AnyAnswer> {}
impl<T> Answers<T> for Answer<T> {}
impl<T> Answers<T> for Reply<T> {}

/// What an answer shows that is as good as a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Shown {
    /// A secret of a client.
    Secret(TenantId, ClientId, SecretId),
    /// A link by which a member sets a password.
    Link(TenantId, MemberId, CredentialLinkId),
}

impl Shown {
    /// That it was shown once more, for the log of record.
    pub fn again(self) -> Event {
        match self {
            Self::Secret(tenant, client, secret) => {
                Event::new(tenant, Action::SecretShown, Target::Secret(secret))
                    .after(json!({ "client_id": client, "again": true }))
            }
            Self::Link(tenant, member, link) => {
                Event::new(tenant, Action::LinkShown, Target::Member(member))
                    .after(json!({ "link_id": link, "again": true }))
            }
        }
    }
}

/// All of an answer that a retry must get again.
#[derive(Default, Serialize, Deserialize)]
pub struct KeptAnswer {
    status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
    /// The secret or link that it shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shows: Option<Shown>,
    #[serde(skip)]
    is_repeated: bool,
}

impl std::fmt::Debug for KeptAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The body may hold a secret.
        f.debug_struct("KeptAnswer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl<T> Answer<T> {
    fn new(status: StatusCode) -> Self {
        let kept = KeptAnswer {
            status: status.as_u16(),
            ..KeptAnswer::default()
        };
        Self {
            kept,
            of: PhantomData,
        }
    }

    fn with(status: StatusCode, body: &T) -> Result<Self, Problem>
    where
        T: Serialize,
    {
        let mut answer = Self::new(status);
        answer.kept.body = Some(serde_json::value::to_raw_value(body).map_err(|error| {
            log::error!("an answer can't be written as JSON: {error}");
            Problem::Internal
        })?);
        Ok(answer)
    }

    /// 200 with a body.
    pub fn ok(body: &T) -> Result<Self, Problem>
    where
        T: Serialize,
    {
        Self::with(StatusCode::OK, body)
    }

    /// 201 with a body, and where what was made is found.
    pub fn created(body: &T, location: String) -> Result<Self, Problem>
    where
        T: Serialize,
    {
        let mut answer = Self::with(StatusCode::CREATED, body)?;
        answer.kept.location = Some(location);
        Ok(answer)
    }

    /// Names the state of the thing that the body shows.
    #[must_use]
    pub fn tagged(mut self, revision: i64) -> Self {
        self.kept.etag = Some(entity_tag(revision));
        self
    }

    /// Says that the body shows a secret.
    #[must_use]
    pub fn showing(mut self, tenant: TenantId, client: ClientId, secret: SecretId) -> Self {
        self.kept.shows = Some(Shown::Secret(tenant, client, secret));
        self
    }

    /// Says that the body shows a link.
    #[must_use]
    pub fn showing_link(
        mut self,
        tenant: TenantId,
        member: MemberId,
        link: CredentialLinkId,
    ) -> Self {
        self.kept.shows = Some(Shown::Link(tenant, member, link));
        self
    }

    /// The same answer given again.
    pub fn again(mut kept: KeptAnswer) -> Self {
        kept.is_repeated = true;
        Self {
            kept,
            of: PhantomData,
        }
    }

    /// What a retry must get.
    pub fn kept(&self) -> &KeptAnswer {
        &self.kept
    }
}

impl Answer<()> {
    /// 204.
    pub fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT)
    }
}

impl KeptAnswer {
    /// The secret or link that it shows.
    pub fn shows(&self) -> Option<Shown> {
        self.shows
    }
}

/// The strong validator of a revision (RFC 9110 §8.8.3).
pub fn entity_tag(revision: i64) -> String {
    format!("\"{revision}\"")
}

impl AnyAnswer {
    /// The status.
    pub fn status(&self) -> u16 {
        self.kept.status
    }

    /// The state of the thing that the body shows.
    pub fn etag(&self) -> Option<&str> {
        self.kept.etag.as_deref()
    }

    /// Where what was made is found.
    pub fn location(&self) -> Option<&str> {
        self.kept.location.as_deref()
    }

    /// The body.
    pub fn body(&self) -> Option<&RawValue> {
        self.kept.body.as_deref()
    }

    /// Whether this is the answer to an earlier request with the same key.
    pub fn is_repeated(&self) -> bool {
        self.kept.is_repeated
    }

    /// 304 instead, when the caller has the present state already (RFC 9110 §13.1.2).
    #[must_use]
    pub fn unless_known(self, if_none_match: Option<&str>) -> Self {
        let known = match (if_none_match, self.etag()) {
            (Some(known), Some(etag)) => known
                .split(',')
                .map(str::trim)
                .any(|known| known == "*" || known.trim_start_matches("W/") == etag),
            _ => false,
        };
        if !known {
            return self;
        }
        Self {
            kept: KeptAnswer {
                status: StatusCode::NOT_MODIFIED.as_u16(),
                body: None,
                ..self.kept
            },
            stream: None,
        }
    }

    /// The HTTP answer.
    pub fn into_response(self, dry_run: bool) -> HttpResponse {
        let status =
            StatusCode::from_u16(self.kept.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponse::build(status);
        // Nothing here is for anybody but the caller, and what was read may change at any moment.
        let caching = match (&self.kept.shows, &self.kept.etag) {
            (None, Some(_)) => "private, no-cache",
            _ => "no-store",
        };
        answer.insert_header((CACHE_CONTROL, caching));
        if let Some(etag) = self.kept.etag {
            answer.insert_header((ETAG, etag));
        }
        if let Some(location) = self.kept.location {
            answer.insert_header((LOCATION, location));
        }
        if self.kept.is_repeated {
            answer.insert_header(("Idempotent-Replayed", "true"));
        }
        if dry_run {
            answer.insert_header(("Dry-Run", "true"));
        }
        if let Some(events) = self.stream {
            return answer.content_type("text/event-stream").streaming(events);
        }
        match self.kept.body {
            Some(body) => answer
                .content_type("application/json")
                .body(String::from(Box::<str>::from(body))),
            None => answer.finish(),
        }
    }
}
