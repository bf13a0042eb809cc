//! Storage on a real PostgreSQL: what the catalogue says, what a transaction may see, in which order changes
//! are told, and what stays after a failure.
#![cfg(test)]

mod callers;
mod catalogue;
mod changes;
mod feed;
mod fitness;
mod migrations;
mod partitions;
mod schema;
mod support;
mod tenants_apart;
