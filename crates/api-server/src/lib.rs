//! The management API: one file per resource, each handler short: extract, authorize, decide, store, answer.
//!
//! An operation is declared once ([`operation`]): the router, the OpenAPI document and all that comes before a
//! handler are made from that. A request goes one way ([`incoming`]): its caller is checked, then its query,
//! headers and body are parsed into types that can't hold a bad value, and its handler decides within one
//! transaction ([`call`]). Whatever goes wrong ends in a [`problem::Problem`], in one place.

pub mod alerts;
pub mod answer;
pub mod audit_events;
pub mod bootstrap;
pub mod bulk;
pub mod call;
pub mod changes;
pub mod client_state;
pub mod clients;
pub mod incoming;
pub mod me;
pub mod members;
pub mod openapi;
pub mod operation;
pub mod organizations;
pub mod outbox;
pub mod ownership;
pub mod problem;
pub mod program;
pub mod reference;
mod repeat;
pub mod requests;
pub mod resource_servers;
pub mod role_assignments;
mod roles;
pub mod routes;
pub mod schemas;
pub mod secrets;
pub mod serve;
pub mod settings;
pub mod tenants;
mod tokens;
pub mod words;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use grantor_authority::Authority;
use grantor_domain::ids::TypedId;
use grantor_keys::uuid_v7;
use grantor_server_kit::Clock;

use crate::changes::Watch;
use crate::problem::Problem;
use crate::reference::Pages;

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
    /// How long a request of many parts goes on beginning further ones.
    pub patience: Duration,
    /// Wakes those who follow the change feed.
    pub watch: Watch,
    /// What describes the API, made when it is first asked for.
    pub pages: Arc<OnceLock<Pages>>,
}

impl Api {
    /// The API over an authority, reached at these addresses.
    pub fn new(authority: Authority, clock: Arc<dyn Clock>, base: &str, issuer_base: &str) -> Self {
        Self {
            authority,
            clock,
            base: base.to_owned(),
            issuer_base: issuer_base.to_owned(),
            patience: Duration::from_secs(3),
            watch: Watch::default(),
            pages: Arc::default(),
        }
    }

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
