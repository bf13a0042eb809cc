//! Everything in Grantor that touches key material.
//!
//! One operator-held [`MasterKey`] is the root: a [`Keyring`] derives from it, by HKDF with a label
//! per purpose, the keys that seal values at rest, key the verifiers of generated secrets and
//! authenticate cursors. Previous master keys stay usable for reading, so that a change of master key
//! needs no pause. Next to it stand the tokens' own tools: [`PlainSecret`] (what a caller is
//! shown once), [`TokenHash`] (what is kept of a token), [`PasswordVerifier`] (what is kept of a password), and a small JWS over `ring`
//! ([`SigningKey`], [`verify_jws`]) with the JWK forms that are published.
//!
//! Nothing here reads a file, a socket or the clock; randomness comes in as [`Entropy`]. Types that
//! hold a secret print nothing of it and are not comparable or serializable by accident. What is
//! handed to `ring` (derived keys, key pairs) lives in `ring`'s own types, which do not wipe
//! themselves; what this crate holds itself is wiped on drop.

mod base62;
mod crc32;
mod derive;
mod entropy;
mod held;
mod jwk;
mod jws;
mod keyring;
mod link_token;
mod master;
mod opaque;
mod password;
mod refresh_token;
mod rsa;
mod seal;
mod secret;
mod signing;
#[cfg(test)]
mod test_entropy;
mod token_hash;
mod uuid7;
mod verifier;

pub use derive::Mac;
pub use entropy::{Entropy, EntropyError, SystemEntropy};
pub use jwk::{
    Coordinate, Curve, EdwardsCurve, Exponent, Jwks, KeyUse, MalformedCoordinate, MalformedModulus,
    Modulus, PublicJwk, PublicParameters,
};
pub use jws::{MAX_JWS_LENGTH, SignError, VerifyError, peek_claims, verify_jws};
pub use keyring::Keyring;
pub use link_token::LinkToken;
pub use master::{KeyId, MasterKey, MasterKeyError};
pub use opaque::{OpaqueToken, TokenPlace};
pub use password::{HashMemory, PasswordHashError, PasswordVerifier, UnknownPasswordVerifier};
pub use refresh_token::{RefreshPlace, RefreshToken};
pub use seal::{OpenError, SealContext, SealError};
pub use secret::{MalformedSecret, PlainSecret, SecretKind};
pub use signing::{Algorithm, KeyError, NewSigningKey, SigningKey, generate_signing_key};
pub use token_hash::TokenHash;
pub use uuid7::{uuid_v7, uuid_v7_millis};
pub use verifier::{UnknownVerifier, Verifier};
