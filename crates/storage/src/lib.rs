//! Everything that is kept, by diesel on PostgreSQL: one file per aggregate, its rows private to it.
//!
//! A statement runs in one of three kinds of transaction, each a type of its own and, in the database, a
//! role of its own:
//!
//! * [`Database::read`] sees one tenant, or the platform, and writes nothing;
//! * [`Database::change`] writes configuration. It can't commit without events for the log of record: its
//!   closure has no way to return a value that was written without them. Whatever it writes names the
//!   subject that it touches, which raises the subject's revision and puts it on the change feed;
//! * [`Database::flow`] writes tokens, which are their own record, and can't reach configuration.
//!
//! Deadlines are the caller's: a call returns in time although PostgreSQL doesn't, and what comes too late
//! is rolled back.

pub mod alerts;
pub mod audit_events;
pub mod authenticators;
pub mod callers;
pub mod changes;
pub mod client_limits;
pub mod client_search;
pub mod client_secrets;
pub mod clients;
pub mod credential_links;
pub mod database;
pub mod deliveries;
pub mod enablements;
pub mod error;
mod event_ids;
pub mod failures;
pub mod feed_since;
pub mod idempotency;
pub mod installation;
mod keyset;
pub mod last_uses;
mod link;
pub mod listing;
pub mod live_tokens;
pub mod member_search;
pub mod members;
pub mod migrate;
pub mod organizations;
pub mod ownership;
pub mod partitions;
#[cfg(test)]
mod plans;
pub mod purge;
pub mod quotas;
pub mod refresh_families;
pub mod resource_servers;
pub mod restore_fence;
pub mod retention;
pub mod role_assignments;
pub mod roles;
pub mod root_owner;
mod schema;
pub mod settings;
pub mod signing_keys;
pub mod spare_keys;
mod standing;
mod stored;
pub mod suspensions;
pub mod tenants;
pub mod token_writing;
pub mod tokens;
pub mod transaction;
pub mod user_agents;

pub use database::{Database, DatabaseOptions, RESERVED_CONNECTIONS};
pub use error::StorageError;
pub use transaction::{Change, ChangeTx, FlowTx, ReadTx, Reads, Scope};
