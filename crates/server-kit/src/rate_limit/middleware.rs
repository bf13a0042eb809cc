//! Where limits meet requests: before anything reads the body or looks at who calls.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::EitherBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{Error, HttpMessage as _, HttpResponse};

use super::{Account, LimitReached, RateLimits};
use crate::caller_address::CallerAddress;

/// Middleware that answers in the server's place when a budget is spent, and tells every caller how they stand. Without
/// limits it lets everything through.
#[derive(Debug, Clone)]
pub(crate) struct RateLimiting(pub(crate) Option<RateLimits>);

impl<S, B> Transform<S, ServiceRequest> for RateLimiting
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Transform = RateLimitingService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(RateLimitingService {
            service,
            limits: self.0.clone(),
        }))
    }
}

/// What [`RateLimiting`] makes of a service.
#[derive(Debug)]
pub(crate) struct RateLimitingService<S> {
    service: S,
    limits: Option<RateLimits>,
}

impl<S, B> Service<ServiceRequest> for RateLimitingService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let Some(limits) = self.limits.clone() else {
            let answering = self.service.call(request);
            return Box::pin(async move { Ok(answering.await?.map_into_left_body()) });
        };
        let address = CallerAddress::of(request.request());
        let payer = limits.payer(address.0, request.headers());
        if let Err(reached) = limits.admit(payer) {
            let mut answer = refusal(&limits, reached);
            limits.tell(payer, answer.headers_mut());
            let answer = request.into_response(answer).map_into_right_body();
            return Box::pin(ready(Ok(answer)));
        }
        request.extensions_mut().insert(Account {
            limits: limits.clone(),
            payer,
        });
        let answering = self.service.call(request);
        Box::pin(async move {
            match answering.await {
                Ok(mut answer) => {
                    limits.tell(payer, answer.headers_mut());
                    Ok(answer.map_into_left_body())
                }
                Err(mut error) => {
                    error.add_response_mapper(move |mut answer| {
                        limits.tell(payer, answer.headers_mut());
                        answer
                    });
                    Err(error)
                }
            }
        })
    }
}

fn refusal(limits: &RateLimits, reached: LimitReached) -> HttpResponse {
    let mut answer = (limits.0.answer)(reached.retry_after_seconds);
    let headers = answer.headers_mut();
    if !headers.contains_key(RETRY_AFTER) {
        headers.insert(RETRY_AFTER, HeaderValue::from(reached.retry_after_seconds));
    }
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
    use std::time::Duration;

    use actix_web::http::StatusCode;
    use actix_web::http::header::AUTHORIZATION;
    use actix_web::test::{TestRequest, call_service, init_service, read_body, try_call_service};
    use actix_web::{App, HttpRequest, web};

    use super::*;
    use crate::access::Access;
    use crate::deadline::Deadline;
    use crate::metrics::Metrics;
    use crate::rate_limit::{Monotonic, Rate, RateLimitsOptions};
    use crate::request_id::{REQUEST_ID_HEADER, RequestIdMaker};
    use crate::trusted_proxies::TrustedProxies;

    /// A clock that goes on when it is told to.
    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Hand {
        fn advance(&self, millis: u64) {
            self.0.fetch_add(millis, Ordering::SeqCst);
        }
    }

    impl Monotonic for Hand {
        fn elapsed(&self) -> Duration {
            Duration::from_millis(self.0.load(Ordering::SeqCst))
        }
    }

    fn slow_down(seconds: u64) -> HttpResponse {
        HttpResponse::TooManyRequests().body(format!("wait {seconds}"))
    }

    fn limits(per_address: Option<&str>, per_caller: Option<&str>) -> (RateLimits, Arc<Hand>) {
        let clock = Arc::new(Hand::default());
        let rate = |text: Option<&str>| text.map(|text| text.parse::<Rate>().unwrap());
        let limits = RateLimits::new(RateLimitsOptions {
            per_address: rate(per_address),
            per_caller: rate(per_caller),
            secret: [7; 32],
            clock: Arc::clone(&clock) as Arc<dyn Monotonic>,
            answer: slow_down,
        });
        (limits, clock)
    }

    async fn bulk(request: HttpRequest, more: web::Path<u32>) -> HttpResponse {
        match RateLimits::charge(&request, *more) {
            Ok(()) => HttpResponse::Ok().finish(),
            Err(reached) => HttpResponse::TooManyRequests()
                .body(format!("charged {}", reached.retry_after_seconds)),
        }
    }

    async fn never() -> HttpResponse {
        std::future::pending().await
    }

    fn busy() -> HttpResponse {
        HttpResponse::ServiceUnavailable().finish()
    }

    /// An application wrapped as servers wrap theirs; 10.0.0.0/8 are its proxies.
    macro_rules! app {
        ($limits:expr, $metrics:expr) => {
            init_service(
                App::new()
                    .app_data(TrustedProxies::parse("10.0.0.0/8").unwrap())
                    .route("/", web::get().to(|| async { "let through" }))
                    .route("/bulk/{more}", web::get().to(bulk))
                    .route("/never", web::get().to(never))
                    .wrap(Deadline::new(Duration::from_millis(1), busy))
                    .wrap(RateLimiting($limits))
                    .wrap(Access::new("api", RequestIdMaker::new(1), $metrics.clone())),
            )
            .await
        };
        ($limits:expr) => {
            app!($limits, Metrics::new())
        };
    }

    fn from(peer: &str, token: &str) -> TestRequest {
        let socket = std::net::SocketAddr::new(peer.parse().unwrap(), 5000);
        let request = TestRequest::get().peer_addr(socket);
        if token.is_empty() {
            request
        } else {
            request.insert_header((AUTHORIZATION, format!("Bearer {token}")))
        }
    }

    fn header<'a, B>(answer: &'a ServiceResponse<B>, name: &str) -> &'a str {
        answer
            .headers()
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// How many requests are let through before the first that is not.
    macro_rules! let_through {
        ($app:expr, $peer:expr, $token:expr) => {{
            let mut number = 0;
            loop {
                let answer = call_service(&$app, from($peer, $token).to_request()).await;
                if answer.status() != StatusCode::OK {
                    break number;
                }
                number += 1;
            }
        }};
    }

    #[actix_web::test]
    async fn the_number_of_the_rate_is_let_through_and_the_next_is_told_to_wait() {
        let (limits, clock) = limits(Some("3/6s"), None);
        let app = app!(Some(limits));
        assert_eq!(let_through!(app, "192.0.2.1", ""), 3);
        let answer = call_service(&app, from("192.0.2.1", "").to_request()).await;
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(header(&answer, "retry-after"), "2");
        assert_eq!(header(&answer, "ratelimit-policy"), r#""address";q=3;w=6"#);
        assert_eq!(header(&answer, "ratelimit"), r#""address";r=0;t=6"#);
        assert!(!header(&answer, REQUEST_ID_HEADER).is_empty());
        assert_eq!(read_body(answer).await, "wait 2");
        clock.advance(1_999);
        assert_eq!(let_through!(app, "192.0.2.1", ""), 0);
        clock.advance(1);
        assert_eq!(let_through!(app, "192.0.2.1", ""), 1);
        clock.advance(6_000);
        assert_eq!(let_through!(app, "192.0.2.1", ""), 3);
    }

    #[actix_web::test]
    async fn addresses_are_apart_and_an_ipv6_network_is_one() {
        let (limits, _) = limits(Some("3/10s"), None);
        let app = app!(Some(limits));
        assert_eq!(let_through!(app, "192.0.2.1", ""), 3);
        assert_eq!(let_through!(app, "192.0.2.2", ""), 3);
        assert_eq!(let_through!(app, "::ffff:192.0.2.1", ""), 0);
        assert_eq!(let_through!(app, "2001:db8::1", ""), 3);
        assert_eq!(let_through!(app, "2001:db8::ffff:2", ""), 0);
        assert_eq!(let_through!(app, "2001:db8:0:1::1", ""), 3);
    }

    #[actix_web::test]
    async fn a_callers_budget_spans_addresses_and_is_apart_from_other_callers() {
        let (limits, _) = limits(Some("100/10s"), Some("4/10s"));
        let app = app!(Some(limits));
        assert_eq!(let_through!(app, "192.0.2.1", "alice"), 4);
        assert_eq!(let_through!(app, "192.0.2.2", "alice"), 0);
        assert_eq!(let_through!(app, "192.0.2.2", "bob"), 4);
    }

    #[actix_web::test]
    async fn who_lacks_the_token_cannot_spend_its_budget() {
        let (limits, _) = limits(Some("100/10s"), Some("4/10s"));
        let app = app!(Some(limits));
        for guess in ["alicf", "ALICE", "alice1", "alic", "alice,alice"] {
            let_through!(app, "192.0.2.66", guess);
        }
        assert_eq!(let_through!(app, "192.0.2.1", "alice"), 4);
    }

    #[actix_web::test]
    async fn what_a_spent_caller_goes_on_asking_for_is_not_taken_from_the_neighbours() {
        let (limits, _) = limits(Some("6/10s"), Some("2/10s"));
        let app = app!(Some(limits));
        assert_eq!(let_through!(app, "192.0.2.1", "loop"), 2);
        for _ in 0..20 {
            assert_eq!(let_through!(app, "192.0.2.1", "loop"), 0);
        }
        assert_eq!(let_through!(app, "192.0.2.1", ""), 4);
    }

    #[actix_web::test]
    async fn one_address_with_many_made_up_tokens_is_held_by_its_address() {
        let (limits, _) = limits(Some("5/10s"), Some("3/10s"));
        let app = app!(Some(limits));
        let mut passed = 0;
        for number in 0..20 {
            passed += let_through!(app, "192.0.2.1", &format!("guess-{number}"));
        }
        assert_eq!(passed, 5);
    }

    #[actix_web::test]
    async fn behind_a_trusted_proxy_the_caller_counts_and_a_stranger_speaks_for_nobody() {
        let (limits, _) = limits(Some("2/10s"), None);
        let app = app!(Some(limits));
        let through = async |peer: &str, forwarded: &str| {
            let request = from(peer, "").insert_header(("x-forwarded-for", forwarded));
            call_service(&app, request.to_request()).await.status() == StatusCode::OK
        };
        for address in ["192.0.2.1", "192.0.2.2"] {
            assert!(through("10.0.0.1", address).await);
            assert!(through("10.0.0.2", address).await);
            assert!(!through("10.0.0.1", address).await);
        }
        assert!(through("203.0.113.5", "192.0.2.3").await);
        assert!(through("203.0.113.5", "192.0.2.4").await);
        assert!(!through("203.0.113.5", "192.0.2.5").await);
        assert!(through("10.0.0.1", "192.0.2.3").await);
    }

    #[actix_web::test]
    async fn every_answer_tells_both_standings_and_an_anonymous_one_its_addresss_alone() {
        let (limits, _) = limits(Some("1000/10s"), Some("500/10s"));
        let app = app!(Some(limits));
        let answer = call_service(&app, from("192.0.2.1", "").to_request()).await;
        assert_eq!(
            header(&answer, "ratelimit-policy"),
            r#""address";q=1000;w=10"#
        );
        assert_eq!(header(&answer, "ratelimit"), r#""address";r=999;t=1"#);
        let answer = call_service(&app, from("192.0.2.1", "t").uri("/none").to_request()).await;
        assert_eq!(answer.status(), StatusCode::NOT_FOUND);
        assert_eq!(
            header(&answer, "ratelimit-policy"),
            r#""address";q=1000;w=10, "caller";q=500;w=10"#
        );
        assert_eq!(
            header(&answer, "ratelimit"),
            r#""address";r=998;t=1, "caller";r=499;t=1"#
        );
    }

    #[actix_web::test]
    async fn an_answer_at_the_deadline_tells_it_too() {
        let (limits, _) = limits(Some("3/10s"), None);
        let app = app!(Some(limits));
        let request = from("192.0.2.1", "").uri("/never").to_request();
        let answer = try_call_service(&app, request)
            .await
            .unwrap_err()
            .error_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            answer.headers().get("ratelimit").unwrap(),
            r#""address";r=2;t=4"#
        );
    }

    #[actix_web::test]
    async fn a_handler_charges_what_a_call_holds_and_the_answer_tells_what_is_left() {
        let (limits, clock) = limits(Some("100/10s"), Some("10/10s"));
        let app = app!(Some(limits));
        let bulk = async |more: u32| {
            let request = from("192.0.2.1", "t").uri(&format!("/bulk/{more}"));
            let answer = call_service(&app, request.to_request()).await;
            (
                answer.status().as_u16(),
                header(&answer, "ratelimit").to_owned(),
            )
        };
        assert_eq!(
            bulk(6).await,
            (200, r#""address";r=93;t=1, "caller";r=3;t=7"#.to_owned())
        );
        // Its own request is taken, and the rest of it is not.
        assert_eq!(
            bulk(3).await,
            (429, r#""address";r=92;t=1, "caller";r=2;t=8"#.to_owned())
        );
        assert_eq!(
            bulk(2).await.1,
            r#""address";r=91;t=1, "caller";r=1;t=9"#.to_owned()
        );
        clock.advance(10_000);
        // More than the whole budget goes through when nothing else was asked for, and takes all of it.
        assert_eq!(
            bulk(1_000).await,
            (200, r#""address";r=0;t=10, "caller";r=0;t=10"#.to_owned())
        );
    }

    #[actix_web::test]
    async fn without_limits_everything_is_let_through_and_nothing_is_told() {
        let (none, _) = limits(None, None);
        for off in [None, Some(none)] {
            let app = app!(off);
            for _ in 0..2_000 {
                let answer = call_service(&app, from("192.0.2.1", "t").to_request()).await;
                assert_eq!(answer.status(), StatusCode::OK);
                assert!(!answer.headers().contains_key("ratelimit"));
                assert!(!answer.headers().contains_key("ratelimit-policy"));
            }
            let request = from("192.0.2.1", "t").uri("/bulk/1000000");
            assert_eq!(
                call_service(&app, request.to_request()).await.status(),
                StatusCode::OK
            );
        }
    }

    #[actix_web::test]
    async fn a_refusal_is_counted_by_its_route_and_never_reaches_the_handler() {
        let metrics = Metrics::new();
        let (limits, _) = limits(Some("2/10s"), None);
        let reached = Arc::new(AtomicU32::new(0));
        let witness = Arc::clone(&reached);
        let app = init_service(
            App::new()
                .route(
                    "/v1/{id}",
                    web::post().to(move |_: web::Bytes| {
                        witness.fetch_add(1, Ordering::SeqCst);
                        async { "done" }
                    }),
                )
                .wrap(RateLimiting(Some(limits)))
                .wrap(Access::new("api", RequestIdMaker::new(1), metrics.clone())),
        )
        .await;
        for _ in 0..5 {
            let request = TestRequest::post()
                .peer_addr("192.0.2.1:5000".parse().unwrap())
                .uri("/v1/7")
                .set_payload("body");
            call_service(&app, request.to_request()).await;
        }
        assert_eq!(reached.load(Ordering::SeqCst), 2);
        let text = metrics.render();
        let refused = r#"{method="POST",route="/v1/{id}",server="api",status="429"} 3"#;
        assert!(text.contains(refused), "{text}");
    }

    #[test]
    fn an_answer_with_its_own_retry_after_keeps_it() {
        let (limits, _) = limits(None, None);
        let Some(mut inner) = Arc::into_inner(limits.0) else {
            panic!("nobody else holds it");
        };
        inner.answer = |_| {
            HttpResponse::TooManyRequests()
                .insert_header((RETRY_AFTER, "99"))
                .finish()
        };
        let reached = LimitReached {
            retry_after_seconds: 3,
        };
        let answer = refusal(&RateLimits(Arc::new(inner)), reached);
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "99");
    }

    #[test]
    fn debug_shows_rates_and_nobodys_key() {
        let (limits, _) = limits(Some("3/10s"), None);
        let shown = format!("{limits:?}");
        assert!(
            shown.contains("requests: 3") && shown.len() < 200,
            "{shown}"
        );
    }
}
