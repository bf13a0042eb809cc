//! Every test that speaks HTTP to running servers.
#![cfg(test)]

mod asking;
mod authorization;
mod bad_input_api;
mod clients;
mod concurrency;
mod conditions;
mod coverage;
mod exactness;
mod idempotency;
mod oauth;
mod operations;
mod outages;
mod patching;
mod slice;
mod tokens;
