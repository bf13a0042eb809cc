//! A limit on how long a handler may take: after it the caller is told to come again, and the handler's work is dropped.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderValue, RETRY_AFTER};
use actix_web::{Error, HttpResponse};

/// Middleware that answers in the handler's place when the deadline has passed. It covers reading the request's body
/// and ends with the answer's head, so a streamed answer may take longer.
///
/// The answer comes as an [`Error`] that carries it, because the request itself is gone with the handler.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    limit: Duration,
    answer: fn() -> HttpResponse,
}

impl Deadline {
    /// Handlers may take `limit`; `answer` makes the 503 that is given otherwise. `Retry-After: 1` is added to an answer without.
    pub fn new(limit: Duration, answer: fn() -> HttpResponse) -> Self {
        Self { limit, answer }
    }

    fn error(self) -> Error {
        let mut answer = (self.answer)();
        let headers = answer.headers_mut();
        if !headers.contains_key(RETRY_AFTER) {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        InternalError::from_response("the handler's deadline has passed", answer).into()
    }
}

impl<S, B> Transform<S, ServiceRequest> for Deadline
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = DeadlineService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(DeadlineService {
            service,
            deadline: *self,
        }))
    }
}

/// What [`Deadline`] makes of a service.
#[derive(Debug)]
pub struct DeadlineService<S> {
    service: S,
    deadline: Deadline,
}

impl<S, B> Service<ServiceRequest> for DeadlineService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<ServiceResponse<B>, Error>>>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(context)
    }

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let deadline = self.deadline;
        let answering = self.service.call(request);
        Box::pin(async move {
            match tokio::time::timeout(deadline.limit, answering).await {
                Ok(answered) => answered,
                Err(_) => Err(deadline.error()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, web};

    use super::*;

    struct Dropped(Arc<AtomicBool>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn busy() -> HttpResponse {
        HttpResponse::ServiceUnavailable().body("busy")
    }

    #[actix_web::test]
    async fn a_handler_that_takes_too_long_is_dropped_and_the_caller_gets_a_503() {
        let dropped = Arc::new(AtomicBool::new(false));
        let witness = Arc::clone(&dropped);
        let app = init_service(
            App::new()
                .wrap(Deadline::new(Duration::from_millis(1), busy))
                .route(
                    "/never",
                    web::get().to(move || {
                        let guard = Dropped(Arc::clone(&witness));
                        async move {
                            let _guard = guard;
                            std::future::pending::<HttpResponse>().await
                        }
                    }),
                ),
        )
        .await;
        let error = try_call_service(&app, TestRequest::get().uri("/never").to_request())
            .await
            .unwrap_err();
        assert!(dropped.load(Ordering::SeqCst));
        let answer = error.error_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "1");
    }

    #[actix_web::test]
    async fn an_answer_in_time_is_left_as_it_is() {
        let app = init_service(
            App::new()
                .wrap(Deadline::new(Duration::from_secs(60), busy))
                .route("/", web::get().to(|| async { "done" })),
        )
        .await;
        let answer = try_call_service(&app, TestRequest::get().to_request())
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert!(!answer.headers().contains_key(RETRY_AFTER));
    }

    #[test]
    fn an_answer_with_its_own_retry_after_keeps_it() {
        let later = || {
            HttpResponse::ServiceUnavailable()
                .insert_header((RETRY_AFTER, "9"))
                .finish()
        };
        let answer = Deadline::new(Duration::ZERO, later)
            .error()
            .error_response();
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "9");
    }
}
