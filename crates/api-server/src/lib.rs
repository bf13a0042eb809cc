//! The management API: one file per resource, each handler short: extract, authorize, decide, store, answer.
//!
//! A request comes in as raw bytes and a bearer token. The token is checked first ([`requests::authorized`]),
//! then the path and the body are parsed into types that can't hold a bad value, and whatever goes wrong ends
//! in a [`problem::Problem`], in one place.

pub mod audit_events;
pub mod bootstrap;
pub mod client_state;
pub mod clients;
pub mod problem;
pub mod requests;
pub mod routes;
pub mod secrets;
pub mod serve;
pub mod tenants;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use grantor_authority::Authority;
use grantor_domain::ids::TypedId;
use grantor_keys::uuid_v7;
use grantor_server_kit::Clock;

use crate::problem::Problem;

/// What every handler works with. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    /// Checks callers, and leads to storage and keys.
    pub authority: Authority,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where this API is reached, for links in answers.
    pub base: String,
    /// Where issuers are reached, for new tenants.
    pub issuer_base: String,
}

impl Api {
    /// The time.
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Makes an id of any kind.
    pub fn new_id<T: TypedId>(&self) -> Result<T, Problem> {
        let millis = u64::try_from(self.now().timestamp_millis()).unwrap_or_default();
        Ok(T::from_uuid(uuid_v7(millis, self.authority.entropy())?))
    }
}
