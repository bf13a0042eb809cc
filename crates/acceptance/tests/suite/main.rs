//! Every test that speaks HTTP to running servers.
#![cfg(test)]

mod asking;
mod authorization;
mod bad_input_api;
mod bulk;
mod canary;
mod clients;
mod concurrency;
mod conditions;
mod coverage;
mod credentials;
mod dry_run;
mod exactness;
mod feed;
mod feed_stream;
mod idempotency;
mod lists;
mod log_of_record;
mod oauth;
mod operations;
mod organizations;
mod outages;
mod outbox;
mod patching;
mod platform_introspection;
mod platform_servers;
mod platform_support;
mod quotas;
mod rate_limits;
mod reference_pages;
mod scopes;
mod settings;
mod slice;
mod tenants;
mod token_formats;
mod tokens;
