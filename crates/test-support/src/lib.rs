//! What tests share: a database each from one template, a clock that they move, randomness that repeats,
//! and builders. It knows storage and the domain, and not the servers.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test that can't be set up should end at once"
)]

pub mod builders;
mod clock;
mod database;
mod entropy;
mod postgres;
mod proxy;
mod socket_proxy;
mod tcp_proxy;

pub use clock::FixedClock;
pub use database::{TestDatabase, master_key};
pub use entropy::SeededEntropy;
pub use postgres::{TestServer, shared};
pub use socket_proxy::SocketProxy;
pub use tcp_proxy::TcpProxy;
