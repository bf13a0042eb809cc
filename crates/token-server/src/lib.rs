//! The token service: one file per endpoint, one per grant.
//!
//! Each endpoint is a short pipeline: never cached → form parsed → client authenticated → asked of
//! `authority` → answered. Errors are exactly those of RFC 6749 §5.2, made in one place ([`answer`]).

pub mod answer;
mod credentials_page;
pub mod endpoints;
mod grants;
pub mod program;
pub mod requests;
pub mod routes;
pub mod serve;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use grantor_authority::Authority;
use grantor_server_kit::Clock;

/// What every endpoint works with. Cheap to clone.
#[derive(Clone)]
pub struct TokenService {
    /// Answers what is asked of tokens and clients.
    pub authority: Authority,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl TokenService {
    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}
