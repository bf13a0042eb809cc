//! The name of a request, by which its log lines, its answer and a caller's complaint find each other.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderValue;
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};

use crate::misplaced::has_secret;

/// The header that carries the id, in requests and in answers.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

tokio::task_local! {
    static CURRENT: Option<String>;
}

/// The id of the request that this task or thread works for, if any.
pub fn current_request_id() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Runs `work` in the name of a request: for threads that a request hands work to, so that their log lines carry its id.
pub fn with_request_id<T>(id: Option<String>, work: impl FnOnce() -> T) -> T {
    CURRENT.sync_scope(id, work)
}

/// Lets a future run in the name of a request, also across its waits.
pub async fn in_request<F: Future>(id: Option<String>, future: F) -> F::Output {
    CURRENT.scope(id, future).await
}

/// The id of a request: 8 to 64 letters, digits, dots, dashes and underscores; nothing that looks like a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    /// Takes an id that a caller gave, if it has the shape of one: nothing else may reach the logs under that name.
    pub fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (8..=64).contains(&text.len()) && text.bytes().all(plain) && !has_secret(text);
        fits.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromRequest for RequestId {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(request_id(request))))
    }
}

/// The id of this request; a dash when it came by no server of ours, as in a unit test.
pub fn request_id(request: &HttpRequest) -> String {
    request
        .extensions()
        .get::<RequestId>()
        .map_or_else(|| "-".to_owned(), |id| id.0.clone())
}

/// Makes ids: a counter that starts somewhere at random, so that two processes do not tell the same ones. They are names
/// and no secrets. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct RequestIdMaker(Arc<AtomicU64>);

impl RequestIdMaker {
    /// Starts counting at `seed`, which should be random.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(AtomicU64::new(seed)))
    }

    /// A fresh id.
    pub fn make(&self) -> RequestId {
        RequestId(format!("{:016x}", self.0.fetch_add(1, Ordering::Relaxed)))
    }

    /// The id that the caller gave if it is a good one, else a fresh one.
    pub fn accept_or_make(&self, given: Option<&HeaderValue>) -> RequestId {
        given
            .and_then(|value| value.to_str().ok())
            .and_then(RequestId::parse)
            .unwrap_or_else(|| self.make())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_plain_ids_are_taken() {
        for good in ["abcdefgh", "A.b_c-012345", &"x".repeat(64)] {
            assert_eq!(RequestId::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "short77",
            &"x".repeat(65),
            "with space",
            "line\nfeed1",
            "quote\"id1",
            "ünicode1",
            "semi;colon",
            "[bracket]",
            "gsec_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM",
        ] {
            assert_eq!(RequestId::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_bad_id_is_replaced() {
        let maker = RequestIdMaker::new(7);
        let given = |text: &'static [u8]| HeaderValue::from_bytes(text).unwrap();
        assert_eq!(
            maker.accept_or_make(Some(&given(b"caller-id-1"))).as_str(),
            "caller-id-1"
        );
        assert_eq!(
            maker.accept_or_make(Some(&given(b"x"))).as_str(),
            "0000000000000007"
        );
        assert_eq!(
            maker
                .accept_or_make(Some(&given(b"\xff\xff\xff\xff\xff\xff\xff\xff")))
                .as_str(),
            "0000000000000008"
        );
        assert_eq!(
            maker.clone().accept_or_make(None).as_str(),
            "0000000000000009"
        );
        assert_eq!(maker.make().as_str(), "000000000000000a");
    }

    #[test]
    fn the_counter_wraps_and_its_ids_are_good_ones() {
        let maker = RequestIdMaker::new(u64::MAX);
        for _ in 0..2 {
            let id = maker.make();
            assert_eq!(RequestId::parse(id.as_str()), Some(id));
        }
    }

    #[tokio::test]
    async fn work_in_a_requests_name_knows_it_and_nothing_else_does() {
        assert_eq!(current_request_id(), None);
        let id = Some("request-1".to_owned());
        in_request(id.clone(), async {
            tokio::task::yield_now().await;
            assert_eq!(current_request_id(), id);
            let carried = current_request_id();
            // A blocking thread is outside until it is told.
            tokio::task::spawn_blocking(move || {
                assert_eq!(current_request_id(), None);
                with_request_id(carried.clone(), || {
                    assert_eq!(current_request_id(), carried);
                });
                assert_eq!(current_request_id(), None);
            })
            .await
            .unwrap();
            with_request_id(None, || assert_eq!(current_request_id(), None));
        })
        .await;
        assert_eq!(current_request_id(), None);
    }

    #[test]
    fn a_request_without_one_has_a_dash() {
        assert_eq!(request_id(&TestRequest::default().to_http_request()), "-");
    }
}
