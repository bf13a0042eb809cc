//! A private PostgreSQL server in a folder, for `grantor dev` and for tests.
//!
//! The server is an installed PostgreSQL (14 or newer), listens on a unix socket alone, and lives exactly as long as
//! the [`LocalPostgres`] value that started it: a small guardian process stops it at the end of a pipe, so that even
//! after `kill -9` of its owner nothing stays behind. What is left after a crash is recovered by the next start on
//! the same folder. Run as root, the server drops to an unprivileged user.
//!
//! Inside the folder: `lock` (held by the owner), `postgres` (the data), `postgres.log`, and mostly `run` (the
//! socket). A root-owned folder that the unprivileged user can't reach has its contents elsewhere, named in
//! `relocated`.

mod error;
mod folder;
mod guardian;
mod initdb;
mod installation;
mod leftover;
mod logfile;
mod options;
mod pause;
mod pidfile;
mod server;
mod socket;
mod unprivileged;
mod url;

pub use error::Error;
pub use installation::Installation;
pub use options::Options;
pub use server::{LocalPostgres, superuser};
