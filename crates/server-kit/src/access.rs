//! What happens around every request: it gets its id, one access line, one count, and the headers that every answer has.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::{Error, HttpMessage as _};

use crate::metrics::{Metrics, UNFINISHED, UNMATCHED};
use crate::misplaced::without_secrets;
use crate::request_id::{
    REQUEST_ID_HEADER, RequestId, RequestIdMaker, in_request, with_request_id,
};

/// The log target of access lines.
pub const ACCESS_TARGET: &str = "access";

/// Of a path no more than this is logged.
const LONGEST_PATH: usize = 512;

/// The outermost middleware of a server.
#[derive(Debug, Clone)]
pub struct Access {
    server: &'static str,
    ids: RequestIdMaker,
    metrics: Metrics,
}

impl Access {
    /// For the server of this name.
    pub fn new(server: &'static str, ids: RequestIdMaker, metrics: Metrics) -> Self {
        Self {
            server,
            ids,
            metrics,
        }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Access
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Transform = AccessService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AccessService {
            service,
            access: self.clone(),
        }))
    }
}

/// What [`Access`] makes of a service.
#[derive(Debug)]
pub struct AccessService<S> {
    service: S,
    access: Access,
}

impl<S, B> Service<ServiceRequest> for AccessService<S>
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
        let id = self
            .access
            .ids
            .accept_or_make(request.headers().get(REQUEST_ID_HEADER));
        request.extensions_mut().insert(id.clone());
        let visit = Visit {
            id: id.clone(),
            server: self.access.server,
            metrics: self.access.metrics.clone(),
            method: request.method().clone(),
            path: shortened(request.path()),
            began: Instant::now(),
            told: false,
        };
        let name = Some(id.as_str().to_owned());
        let answering = with_request_id(name.clone(), || self.service.call(request));
        Box::pin(in_request(name, async move {
            match answering.await {
                Ok(mut response) => {
                    mark(response.headers_mut(), &id);
                    let route = response.request().match_pattern();
                    visit.end(
                        route.as_deref().unwrap_or(UNMATCHED),
                        response.status().as_str(),
                    );
                    Ok(response)
                }
                Err(mut error) => {
                    let status = error.as_response_error().status_code();
                    error.add_response_mapper(move |mut response| {
                        mark(response.headers_mut(), &id);
                        response
                    });
                    visit.end(UNFINISHED, status.as_str());
                    Err(error)
                }
            }
        }))
    }
}

/// One request on its way; whatever becomes of it, it is told once.
struct Visit {
    id: RequestId,
    server: &'static str,
    metrics: Metrics,
    method: Method,
    path: String,
    began: Instant,
    told: bool,
}

impl Visit {
    fn end(mut self, route: &str, status: &str) {
        self.tell(route, status);
    }

    fn tell(&mut self, route: &str, status: &str) {
        self.told = true;
        let took = self.began.elapsed();
        self.metrics
            .count_request(self.server, &self.method, route, status, took);
        with_request_id(Some(self.id.as_str().to_owned()), || {
            log::info!(
                target: ACCESS_TARGET,
                "{} {} {} {status} {}us",
                self.server,
                without_secrets(self.method.as_str()),
                self.path,
                took.as_micros()
            );
        });
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // The caller has left, or the handler panicked.
        if !self.told {
            self.tell(UNFINISHED, "aborted");
        }
    }
}

fn mark(headers: &mut HeaderMap, id: &RequestId) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        headers.insert(HeaderName::from_static(REQUEST_ID_HEADER), value);
    }
}

fn shortened(path: &str) -> String {
    let path = without_secrets(path);
    let mut end = path.len().min(LONGEST_PATH);
    while !path.is_char_boundary(end) {
        end -= 1;
    }
    path.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service, read_body, try_call_service};
    use actix_web::{App, HttpRequest, HttpResponse, web};

    use super::*;
    use crate::deadline::Deadline;
    use crate::request_id::{current_request_id, request_id};

    /// Remembers access lines with the request id that was current when they were written.
    struct Lines(Mutex<Vec<(Option<String>, String)>>);

    static LINES: Lines = Lines(Mutex::new(Vec::new()));

    impl log::Log for Lines {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.target() == ACCESS_TARGET
        }

        fn log(&self, record: &log::Record<'_>) {
            if self.enabled(record.metadata()) {
                let line = (current_request_id(), record.args().to_string());
                self.0.lock().unwrap().push(line);
            }
        }

        fn flush(&self) {}
    }

    async fn tell_ids(request: HttpRequest, id: RequestId) -> String {
        tokio::task::yield_now().await;
        format!(
            "{} {id} {}",
            request_id(&request),
            current_request_id().unwrap()
        )
    }

    async fn never() -> HttpResponse {
        std::future::pending().await
    }

    fn busy() -> HttpResponse {
        HttpResponse::ServiceUnavailable().finish()
    }

    /// An application wrapped as the servers wrap theirs.
    macro_rules! app {
        ($metrics:expr) => {
            init_service(
                App::new()
                    .service(
                        web::scope("/t/{tenant}")
                            .service(web::resource("/ids").get(tell_ids))
                            .route("/never", web::get().to(never)),
                    )
                    .wrap(Deadline::new(Duration::from_millis(1), busy))
                    .wrap(Access::new("api", RequestIdMaker::new(1), $metrics.clone())),
            )
            .await
        };
    }

    #[actix_web::test]
    async fn handler_log_and_answer_know_the_same_id() {
        let app = app!(Metrics::new());
        let request = TestRequest::get()
            .uri("/t/a/ids")
            .insert_header((REQUEST_ID_HEADER, "caller-id-1"));
        let answer = call_service(&app, request.to_request()).await;
        assert_eq!(
            answer.headers().get(REQUEST_ID_HEADER).unwrap(),
            "caller-id-1"
        );
        assert_eq!(
            answer.headers().get(X_CONTENT_TYPE_OPTIONS).unwrap(),
            "nosniff"
        );
        assert_eq!(
            read_body(answer).await,
            "caller-id-1 caller-id-1 caller-id-1"
        );
    }

    #[actix_web::test]
    async fn a_bad_id_is_replaced_and_never_echoed() {
        let app = app!(Metrics::new());
        for bad in ["short", "has space in it", "a\tb-forged-line"] {
            let request = TestRequest::get()
                .uri("/t/a/ids")
                .insert_header((REQUEST_ID_HEADER, bad));
            let answer = call_service(&app, request.to_request()).await;
            let id = answer
                .headers()
                .get(REQUEST_ID_HEADER)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            assert_eq!(id.len(), 16, "{id}");
            assert_eq!(read_body(answer).await, format!("{id} {id} {id}"));
        }
    }

    #[actix_web::test]
    async fn each_request_is_told_once_in_its_name_and_without_its_query() {
        log::set_logger(&LINES).unwrap();
        log::set_max_level(log::LevelFilter::Info);
        let app = app!(Metrics::new());
        for (path, id) in [
            ("/t/a/ids?code=hunter2", "access-answered"),
            ("/t/a/never?code=hunter2", "access-deadline"),
        ] {
            let request = TestRequest::get()
                .uri(path)
                .insert_header((REQUEST_ID_HEADER, id));
            let _ = try_call_service(&app, request.to_request()).await;
        }
        // Other tests log at the same time, under other ids.
        let lines = LINES.0.lock().unwrap().clone();
        for (id, begin) in [
            ("access-answered", "api GET /t/a/ids 200 "),
            ("access-deadline", "api GET /t/a/never 503 "),
        ] {
            let of_request: Vec<_> = lines
                .iter()
                .filter(|(named, _)| named.as_deref() == Some(id))
                .collect();
            assert_eq!(of_request.len(), 1, "{lines:?}");
            let line = &of_request[0].1;
            assert!(line.starts_with(begin) && line.ends_with("us"), "{line}");
            assert!(!line.contains("hunter2"), "{line}");
        }
    }

    #[actix_web::test]
    async fn requests_are_counted_by_pattern_and_never_by_path() {
        let metrics = Metrics::new();
        let app = app!(metrics);
        for path in [
            "/t/secret-1/ids",
            "/t/secret-2/ids?token=secret",
            "/secret-3",
            "/t/secret-4/none",
        ] {
            call_service(&app, TestRequest::get().uri(path).to_request()).await;
        }
        call_service(
            &app,
            TestRequest::delete().uri("/t/secret-5/ids").to_request(),
        )
        .await;
        let text = metrics.render();
        for series in [
            r#"{method="GET",route="/t/{tenant}/ids",server="api",status="200"} 2"#,
            r#"{method="GET",route="unmatched",server="api",status="404"} 2"#,
            r#"{method="DELETE",route="/t/{tenant}/ids",server="api",status="405"} 1"#,
        ] {
            assert!(text.contains(series), "{series} is not in {text}");
        }
        assert!(!text.contains("secret"), "{text}");
    }

    #[actix_web::test]
    async fn an_answer_at_the_deadline_has_the_id_and_is_counted() {
        let metrics = Metrics::new();
        let app = app!(metrics);
        let request = TestRequest::get()
            .uri("/t/a/never")
            .insert_header((REQUEST_ID_HEADER, "caller-id-1"));
        let error = try_call_service(&app, request.to_request())
            .await
            .unwrap_err();
        let answer = error.error_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            answer.headers().get(REQUEST_ID_HEADER).unwrap(),
            "caller-id-1"
        );
        assert_eq!(
            answer.headers().get(X_CONTENT_TYPE_OPTIONS).unwrap(),
            "nosniff"
        );
        assert!(
            metrics
                .render()
                .contains(r#"route="unfinished",server="api",status="503"} 1"#)
        );
    }

    #[actix_web::test]
    async fn a_caller_who_leaves_is_counted_once() {
        let metrics = Metrics::new();
        let app = app!(metrics);
        let request = TestRequest::get().uri("/t/a/never").to_request();
        drop(app.call(request));
        let text = metrics.render();
        assert!(
            text.contains(r#"route="unfinished",server="api",status="aborted"} 1"#),
            "{text}"
        );
        assert!(!text.contains("503"), "{text}");
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        assert_eq!(shortened("/short"), "/short");
        let long = format!("/{}", "é".repeat(LONGEST_PATH));
        assert_eq!(shortened(&long).len(), LONGEST_PATH - 1);
    }
}
