//! Storage on a real PostgreSQL: what the catalogue says, what a transaction may see, in which order changes
//! are told, and what stays after a failure.
#![cfg(test)]

mod callers;
mod catalogue;
mod changes;
mod credentials;
mod deleted_tenants;
mod deliveries;
mod feed;
mod fitness;
mod followers;
mod idempotency;
mod lists;
mod live_tokens;
mod log_of_record;
mod member_lists;
mod migrations;
mod organizations;
mod ownership;
mod partitions;
mod refresh_families;
mod rehearsals;
mod resource_servers;
mod retention;
mod schema;
mod settings;
mod signing_keys;
mod spare_keys;
mod standing;
mod support;
mod tenant_lists;
mod tenants_apart;
mod token_writing;
mod user_agents;
