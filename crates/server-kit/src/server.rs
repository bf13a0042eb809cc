//! Starting one HTTP server with its operations port, and stopping it so that no answer is lost.

use std::io;
use std::net::TcpListener;
use std::pin::{Pin, pin};
use std::time::Duration;

use actix_web::body::{self, BodySize, BoxBody, MessageBody as _};
use actix_web::dev::{Server, ServerHandle, Service as _, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::X_CONTENT_TYPE_OPTIONS;
use actix_web::middleware::DefaultHeaders;
use actix_web::web::ServiceConfig;
use actix_web::{App, HttpResponse, HttpServer};

use crate::access::Access;
use crate::deadline::Deadline;
use crate::metrics::Metrics;
use crate::operations;
use crate::rate_limit::{RateLimiting, RateLimits};
use crate::readiness::Readiness;
use crate::request_id::RequestIdMaker;
use crate::trusted_proxies::TrustedProxies;

/// Load balancers keep idle connections for 60 s; whoever closes first loses no request, so it must not be us.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A request's head must have come by then; slower ones only hold a connection.
const HEAD_LIMIT: Duration = Duration::from_secs(5);

/// How long a connection may take to close.
const DISCONNECT_LIMIT: Duration = Duration::from_secs(1);

/// Operators and scrapers need few connections.
const OPERATIONS_CONNECTIONS: usize = 64;

/// What a server is started with. [`HttpServerOptions::new`] takes what has no default; the rest may be set afterwards.
#[derive(Debug)]
pub struct HttpServerOptions {
    /// The name in log lines and metrics.
    pub name: &'static str,
    /// Where it serves.
    pub listener: TcpListener,
    /// Where it answers operators.
    pub operations: TcpListener,
    /// Threads that serve.
    pub workers: usize,
    /// Connections that one worker holds at most; further ones wait.
    pub max_connections: usize,
    /// How long requests may take after the stop has begun.
    pub drain: Duration,
    /// How long it goes on serving after it has said that it is not ready, so that load balancers notice.
    pub drain_notice: Duration,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether it should be sent requests.
    pub readiness: Readiness,
    /// How long a handler may take.
    pub deadline: Duration,
    /// The 503 for a handler that took longer, in the server's own words.
    pub deadline_answer: fn() -> HttpResponse,
    /// What callers may ask for in how long; without, they are not counted.
    pub rate_limits: Option<RateLimits>,
    /// Where request ids come from.
    pub request_ids: RequestIdMaker,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: TrustedProxies,
}

impl HttpServerOptions {
    /// One worker, 8,192 connections, a drain of 10 s without notice, a deadline of 5 s with a bare 503, no rate limits, no
    /// trusted proxies.
    pub fn new(
        name: &'static str,
        listener: TcpListener,
        operations: TcpListener,
        metrics: Metrics,
        readiness: Readiness,
        request_ids: RequestIdMaker,
    ) -> Self {
        Self {
            name,
            listener,
            operations,
            workers: 1,
            max_connections: 8192,
            drain: Duration::from_secs(10),
            drain_notice: Duration::ZERO,
            metrics,
            readiness,
            deadline: Duration::from_secs(5),
            deadline_answer: || HttpResponse::ServiceUnavailable().finish(),
            rate_limits: None,
            request_ids,
            trusted_proxies: TrustedProxies::none(),
        }
    }
}

/// Serves what `configure` adds until `shutdown` completes: then readiness goes first, requests under way are answered
/// within the drain, and the operations port closes last. The caller waits for signals; none are caught here.
pub async fn run<F>(
    options: HttpServerOptions,
    configure: F,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()>
where
    F: Fn(&mut ServiceConfig) + Send + Clone + 'static,
{
    let (name, notice) = (options.name, options.drain_notice);
    let readiness = options.readiness.clone();
    let operations = start_operations(&options)?;
    let serving = start(options, configure)?;
    let (serving_handle, operations_handle) = (serving.handle(), operations.handle());
    let (mut serving, mut operations) = (pin!(serving), pin!(operations));

    // In this order: a server starts when it is first polled, and a stop that was asked for before must find it started.
    tokio::select! {
        biased;
        ended = &mut serving => {
            readiness.set_draining();
            stop(&operations_handle, operations).await?;
            return ended;
        }
        ended = &mut operations => {
            // Blind to its operators a server should not go on.
            readiness.set_draining();
            stop(&serving_handle, serving).await?;
            return ended;
        }
        () = shutdown => {}
    }

    readiness.set_draining();
    log::info!("{name}: stopping");
    if !notice.is_zero() {
        tokio::time::sleep(notice).await;
    }
    stop(&serving_handle, serving).await?;
    stop(&operations_handle, operations).await?;
    log::info!("{name}: stopped");
    Ok(())
}

/// A server acts on its handle only while it is polled.
async fn stop(handle: &ServerHandle, server: Pin<&mut Server>) -> io::Result<()> {
    let ((), ended) = tokio::join!(handle.stop(true), server);
    ended
}

fn start<F>(options: HttpServerOptions, configure: F) -> io::Result<Server>
where
    F: Fn(&mut ServiceConfig) + Send + Clone + 'static,
{
    let deadline = Deadline::new(options.deadline, options.deadline_answer);
    let access = Access::new(options.name, options.request_ids, options.metrics);
    let limiting = RateLimiting(options.rate_limits);
    let proxies = options.trusted_proxies;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(proxies.clone())
            .configure(|config| configure(config))
            .wrap_fn(|mut request, service| {
                // RFC 9110 §9.1: HEAD works wherever GET does. The answer's body is left out on its way.
                let is_head = request.method() == Method::HEAD;
                if is_head {
                    request.head_mut().method = Method::GET;
                }
                let answering = service.call(request);
                async move {
                    let answer = answering.await?;
                    Ok(if is_head {
                        without_stream(answer)
                    } else {
                        answer
                    })
                }
            })
            .wrap(deadline)
            .wrap(limiting.clone())
            .wrap(access.clone())
    })
    .workers(options.workers)
    .max_connections(options.max_connections)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_LIMIT)
    .client_disconnect_timeout(DISCONNECT_LIMIT)
    .tcp_nodelay(true)
    .shutdown_timeout(whole_seconds(options.drain))
    .disable_signals()
    .listen(options.listener)?;
    Ok(server.run())
}

/// Takes a stream off an answer that is sent without its body: it would be made, for nobody, until its end, and
/// the connection waits for that.
fn without_stream(answer: ServiceResponse) -> ServiceResponse {
    answer.map_body(|_, body| match body.size() {
        BodySize::Stream => BoxBody::new(body::None::new()),
        BodySize::None | BodySize::Sized(_) => body,
    })
}

fn start_operations(options: &HttpServerOptions) -> io::Result<Server> {
    let (metrics, readiness) = (options.metrics.clone(), options.readiness.clone());
    let server = HttpServer::new(move || {
        App::new()
            .configure(|config| operations::configure(config, metrics.clone(), readiness.clone()))
            .wrap(DefaultHeaders::new().add((X_CONTENT_TYPE_OPTIONS, "nosniff")))
    })
    .workers(1)
    .max_connections(OPERATIONS_CONNECTIONS)
    .client_request_timeout(HEAD_LIMIT)
    .client_disconnect_timeout(DISCONNECT_LIMIT)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(options.operations.try_clone()?)?;
    Ok(server.run())
}

/// The framework counts the drain in seconds; a part of one is rounded up.
fn whole_seconds(drain: Duration) -> u64 {
    drain.as_secs() + u64::from(drain.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use actix_web::web;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::sync::{Notify, oneshot};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::bind::bind;
    use crate::rate_limit::{ProcessClock, RateLimitsOptions};

    /// A running server, and what a test needs of it.
    struct Running {
        address: SocketAddr,
        operations: SocketAddr,
        shutdown: oneshot::Sender<()>,
        ended: JoinHandle<io::Result<()>>,
        entered: Arc<Notify>,
        release: Arc<Notify>,
    }

    fn started(change: impl FnOnce(&mut HttpServerOptions)) -> Running {
        let port = || bind("127.0.0.1:0", "--api-listen", "GRANTOR_API_LISTEN").unwrap();
        let mut options = HttpServerOptions::new(
            "api",
            port(),
            port(),
            Metrics::new(),
            Readiness::new(),
            RequestIdMaker::new(1),
        );
        change(&mut options);
        let address = options.listener.local_addr().unwrap();
        let operations = options.operations.local_addr().unwrap();
        let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (told, held) = (Arc::clone(&entered), Arc::clone(&release));
        let configure = move |config: &mut ServiceConfig| {
            let (told, held) = (Arc::clone(&told), Arc::clone(&held));
            let wait = move || {
                let (told, held) = (Arc::clone(&told), Arc::clone(&held));
                async move {
                    told.notify_one();
                    held.notified().await;
                    "released"
                }
            };
            config
                .route("/quick/{id}", web::get().to(|| async { "quick" }))
                .route("/wait", web::get().to(wait))
                .default_service(web::to(|| async {
                    HttpResponse::NotFound().body("no such place")
                }));
        };
        let (shutdown, asked) = oneshot::channel();
        let ended = tokio::spawn(run(options, configure, async {
            let _ = asked.await;
        }));
        Running {
            address,
            operations,
            shutdown,
            ended,
            entered,
            release,
        }
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn both_ports_answer_and_stop() {
        let server = started(|_| {});
        let quick = get(server.address, "/quick/7").await;
        assert!(quick.starts_with("HTTP/1.1 200"), "{quick}");
        assert!(quick.contains("x-content-type-options: nosniff"), "{quick}");
        assert!(quick.contains("x-request-id: 0000000000000001"), "{quick}");
        assert!(
            get(server.address, "/nowhere")
                .await
                .ends_with("no such place")
        );
        assert!(
            get(server.operations, "/healthz")
                .await
                .starts_with("HTTP/1.1 200")
        );
        assert!(
            get(server.operations, "/readyz")
                .await
                .starts_with("HTTP/1.1 200")
        );
        let metrics = get(server.operations, "/metrics").await;
        assert!(
            metrics.contains(r#"route="/quick/{id}",server="api",status="200"} 1"#),
            "{metrics}"
        );
        assert!(
            get(server.address, "/metrics")
                .await
                .starts_with("HTTP/1.1 404")
        );
        server.shutdown.send(()).unwrap();
        server.ended.await.unwrap().unwrap();
        assert!(TcpStream::connect(server.address).await.is_err());
        assert!(TcpStream::connect(server.operations).await.is_err());
    }

    #[tokio::test]
    async fn a_handler_beyond_the_deadline_gets_the_servers_own_503() {
        let server = started(|options| {
            options.deadline = Duration::from_millis(1);
            options.deadline_answer = || HttpResponse::ServiceUnavailable().body("busy");
        });
        let answer = get(server.address, "/wait").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.contains("retry-after: 1"), "{answer}");
        assert!(
            answer.contains("x-request-id: 0000000000000001"),
            "{answer}"
        );
        assert!(
            answer.contains("x-content-type-options: nosniff"),
            "{answer}"
        );
        assert!(answer.ends_with("busy"), "{answer}");
        server.shutdown.send(()).unwrap();
        server.ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn limits_span_the_workers_and_a_refusal_does_not_wait_for_the_body() {
        let server = started(|options| {
            options.workers = 2;
            options.rate_limits = Some(RateLimits::new(RateLimitsOptions {
                per_address: Some("2/24h".parse().unwrap()),
                per_caller: None,
                secret: [7; 32],
                clock: Arc::new(ProcessClock::start()),
                answer: |seconds| HttpResponse::TooManyRequests().body(format!("in {seconds} s")),
            }));
        });
        for left in ["1", "0"] {
            let answer = get(server.address, "/quick/7").await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            let told = format!("ratelimit: \"address\";r={left};t=");
            assert!(answer.contains(&told), "{answer}");
        }
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = b"POST /quick/7 HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut begin = [0; 12];
        stream.read_exact(&mut begin).await.unwrap();
        assert_eq!(&begin, b"HTTP/1.1 429");
        let answer = get(server.address, "/quick/7").await;
        assert!(answer.contains("\r\nretry-after: 43"), "{answer}");
        assert!(answer.contains("\r\nx-request-id: "), "{answer}");
        assert!(answer.ends_with(" s"), "{answer}");
        server.shutdown.send(()).unwrap();
        drop(stream);
        server.ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_request_under_way_is_answered_and_operators_see_the_drain() {
        let server = started(|_| {});
        let address = server.address;
        let waiting = tokio::spawn(async move { get(address, "/wait").await });
        server.entered.notified().await;
        server.shutdown.send(()).unwrap();
        let not_ready = loop {
            let answer = get(server.operations, "/readyz").await;
            if answer.starts_with("HTTP/1.1 503") {
                break answer;
            }
        };
        assert!(not_ready.contains("draining"), "{not_ready}");
        assert!(!server.ended.is_finished());
        server.release.notify_one();
        let answer = waiting.await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("released"), "{answer}");
        server.ended.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn during_the_notice_it_is_not_ready_and_still_serves() {
        let server = started(|options| options.drain_notice = Duration::from_secs(3600));
        server.shutdown.send(()).unwrap();
        while !get(server.operations, "/readyz")
            .await
            .starts_with("HTTP/1.1 503")
        {}
        let quick = get(server.address, "/quick/7").await;
        assert!(quick.starts_with("HTTP/1.1 200"), "{quick}");
        assert!(!server.ended.is_finished());
        server.ended.abort();
    }

    #[tokio::test]
    async fn without_a_drain_a_request_under_way_does_not_hold_the_stop() {
        let server = started(|options| options.drain = Duration::ZERO);
        let address = server.address;
        let waiting = tokio::spawn(async move { get(address, "/wait").await });
        server.entered.notified().await;
        server.shutdown.send(()).unwrap();
        server.ended.await.unwrap().unwrap();
        waiting.abort();
    }

    #[test]
    fn a_part_of_a_second_is_a_second_of_drain() {
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
    }
}
