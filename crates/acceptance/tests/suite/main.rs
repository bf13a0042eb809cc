//! Every test that speaks HTTP to running servers.
#![cfg(test)]

mod authorization;
mod bad_input_api;
mod clients;
mod concurrency;
mod coverage;
mod exactness;
mod oauth;
mod operations;
mod outages;
mod slice;
mod tokens;
