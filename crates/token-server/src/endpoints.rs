//! The endpoints below an issuer, one file each.

pub mod credentials;
pub mod discovery;
pub mod introspection;
pub mod jwks;
pub mod revocation;
pub mod token;
