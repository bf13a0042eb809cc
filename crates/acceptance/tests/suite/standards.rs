//! The lines of the standards, each by a test that is named after it: one module per RFC. `docs/STANDARDS.md` lists them.

mod page;
mod rfc6749;
mod rfc6750;
mod rfc7009;
mod rfc7662;
mod rfc8414;
mod rfc9068;
mod rfc9700;
