//! The world that acceptance tests live in: both servers on free ports over a database of the test's own,
//! spoken to by HTTP alone.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a test that can't be set up should end at once"
)]

mod events;
mod http;
mod installation;
mod members;
mod premises;
mod process;
pub mod program;
mod servers;
mod world;

pub use events::{EventStream, Heard, SentEvent};
pub use http::{Answer, Http, raw_exchange};
pub use installation::Installation;
pub use premises::Premises;
pub use process::{Launch, ServerKind, ServerProcess};
pub use servers::{Replica, ServerSettings};
pub use world::{Credentials, Tenant, World};
