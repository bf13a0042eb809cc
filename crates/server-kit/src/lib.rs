//! What both servers share besides decisions: configuration whose mistakes are told all at once, log lines that nobody
//! can forge, request ids, metrics, readiness, deadlines, rate limits, the caller's address, and one way to start and
//! stop an HTTP server. Nothing here knows a tenant or a client.

pub mod access;
pub mod bind;
pub mod caller_address;
pub mod clock;
pub mod config;
pub mod deadline;
pub mod error_chain;
pub mod logging;
pub mod metrics;
mod misplaced;
pub mod operations;
pub mod rate_limit;
pub mod readiness;
pub mod request_id;
pub mod secret_text;
pub mod server;
pub mod shutdown;
pub mod trusted_proxies;
pub mod user_agent;

pub use bind::{BindError, bind};
pub use caller_address::CallerAddress;
pub use clock::{Clock, SystemClock};
pub use config::{
    ApiArgs, ApiSettings, CommonArgs, CommonSettings, MailRoute, MailSettings, Mistake, Mistakes,
    Origin, TokenArgs, TokenSettings,
};
pub use deadline::Deadline;
pub use error_chain::log_failure;
pub use logging::LogFormat;
pub use metrics::Metrics;
pub use rate_limit::{LimitReached, Monotonic, ProcessClock, Rate, RateLimits, RateLimitsOptions};
pub use readiness::Readiness;
pub use request_id::{RequestId, RequestIdMaker, current_request_id, request_id, with_request_id};
pub use secret_text::SecretText;
pub use server::{HttpServerOptions, run};
pub use shutdown::shutdown_signal;
pub use trusted_proxies::TrustedProxies;
pub use user_agent::user_agent;
