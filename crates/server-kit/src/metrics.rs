//! What is counted, in Prometheus' words.
//!
//! Labels hold only what a server of ours chose: the pattern of a route and never a path, a known method and never an
//! invented one. Otherwise callers could fill the memory with series, and read ids out of them.

use std::time::Duration;

use actix_web::http::Method;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

/// The route label of a request that matched no route.
pub const UNMATCHED: &str = "unmatched";

/// The route label of a request whose handler did not finish: its deadline passed, or the caller left.
pub const UNFINISHED: &str = "unfinished";

/// From half a millisecond, which the token path stays below, to beyond the default deadline.
const SECONDS: [f64; 13] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// The metrics of a process, with a registry of their own. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
}

impl Metrics {
    /// Metrics that have counted nothing yet.
    #[expect(
        clippy::expect_used,
        clippy::missing_panics_doc,
        reason = "the names are constants and the registry is empty, which a test proves to be good"
    )]
    pub fn new() -> Self {
        let registry = Registry::new();
        let requests = IntCounterVec::new(
            Opts::new("grantor_http_requests_total", "HTTP requests answered."),
            &["server", "method", "route", "status"],
        )
        .expect("constant names");
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "grantor_http_request_duration_seconds",
                "Time from a request's head to its answer's head.",
            )
            .buckets(SECONDS.to_vec()),
            &["server", "method", "route"],
        )
        .expect("constant names");
        registry
            .register(Box::new(requests.clone()))
            .expect("an empty registry");
        registry
            .register(Box::new(seconds.clone()))
            .expect("distinct names");
        Self {
            registry,
            requests,
            seconds,
        }
    }

    /// Where others register what they count.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Tells a number that somebody else counts, and that only grows. The name is a constant; one that is no name or is
    /// taken is not told.
    pub fn tell(
        &self,
        name: &'static str,
        about: &'static str,
        number: impl Fn() -> u64 + Send + Sync + 'static,
    ) {
        let told = IntCounter::new(name, about).and_then(|counter| {
            self.registry.register(Box::new(Told {
                counter,
                number: Box::new(number),
            }))
        });
        if let Err(error) = told {
            log::error!("{name} cannot be told: {error}");
        }
    }

    /// Counts one request. `route` is the route's pattern, [`UNMATCHED`] or [`UNFINISHED`], and never the path.
    pub fn count_request(
        &self,
        server: &str,
        method: &Method,
        route: &str,
        status: &str,
        took: Duration,
    ) {
        let method = known_method(method);
        self.requests
            .with_label_values(&[server, method, route, status])
            .inc();
        self.seconds
            .with_label_values(&[server, method, route])
            .observe(took.as_secs_f64());
    }

    /// Everything registered, in Prometheus' text format.
    pub fn render(&self) -> String {
        match TextEncoder::new().encode_to_string(&self.registry.gather()) {
            Ok(text) => text,
            Err(error) => {
                log::error!("the metrics cannot be written: {error}");
                String::new()
            }
        }
    }
}

/// A number that is asked for when the metrics are.
struct Told {
    /// Describes it, and counts up to it.
    counter: IntCounter,
    number: Box<dyn Fn() -> u64 + Send + Sync>,
}

impl Collector for Told {
    fn desc(&self) -> Vec<&Desc> {
        self.counter.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let number = (self.number)();
        self.counter
            .inc_by(number.saturating_sub(self.counter.get()));
        self.counter.collect()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn known_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounter;

    use super::*;

    #[test]
    fn clones_count_together_and_instances_apart() {
        let metrics = Metrics::new();
        let took = Duration::from_millis(3);
        metrics.count_request("api", &Method::GET, "/v1/{id}", "200", took);
        metrics
            .clone()
            .count_request("api", &Method::GET, "/v1/{id}", "200", took);
        let text = metrics.render();
        assert!(
            text.contains(r#"grantor_http_requests_total{method="GET",route="/v1/{id}",server="api",status="200"} 2"#),
            "{text}"
        );
        assert!(text.contains(r#"le="0.0025"} 0"#), "{text}");
        assert!(text.contains(r#"le="0.005"} 2"#), "{text}");
        assert!(!Metrics::new().render().contains("/v1"));
    }

    #[test]
    fn an_invented_method_makes_no_series_of_its_own() {
        let metrics = Metrics::new();
        for name in ["BREW", "WHEN"] {
            let method = Method::from_bytes(name.as_bytes()).unwrap();
            metrics.count_request("api", &method, UNMATCHED, "405", Duration::ZERO);
        }
        let text = metrics.render();
        assert!(
            text.contains(r#"{method="other",route="unmatched",server="api",status="405"} 2"#),
            "{text}"
        );
        assert!(!text.contains("BREW"));
    }

    #[test]
    fn others_may_register_their_own_but_not_the_same_twice() {
        let metrics = Metrics::new();
        let counter = || Box::new(IntCounter::new("grantor_tokens_total", "Tokens.").unwrap());
        metrics.registry().register(counter()).unwrap();
        assert!(metrics.registry().register(counter()).is_err());
        assert!(metrics.render().contains("grantor_tokens_total 0"));
    }

    #[test]
    fn what_somebody_else_counts_is_told_as_it_is_then() {
        let metrics = Metrics::new();
        let number = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(3));
        let counted = number.clone();
        metrics.tell("grantor_things_total", "Things.", move || {
            counted.load(std::sync::atomic::Ordering::Relaxed)
        });
        assert!(metrics.render().contains("\ngrantor_things_total 3\n"));
        number.store(5, std::sync::atomic::Ordering::Relaxed);
        assert!(metrics.render().contains("\ngrantor_things_total 5\n"));
        // A name that is taken is told as before.
        metrics.tell("grantor_things_total", "Things.", || 9);
        assert!(metrics.render().contains("\ngrantor_things_total 5\n"));
    }
}
