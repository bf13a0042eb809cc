//! The making of RSA keys, which `ring` leaves to others: OpenSSL does it, which is compiled in for libpq anyway.

use openssl::{pkey::PKey, rsa::Rsa};
use zeroize::Zeroizing;

use crate::KeyError;

/// How large the keys are. RFC 7518 §3.3: a key of size 2048 bits or larger MUST be used.
const BITS: u32 = 2048;

/// The private part of a new key, as PKCS#8. OpenSSL takes the randomness from the operating system by itself and wipes
/// what it holds.
pub(crate) fn generate_pkcs8() -> Result<Zeroizing<Vec<u8>>, KeyError> {
    Rsa::generate(BITS)
        .and_then(PKey::from_rsa)
        .and_then(|key| key.private_key_to_pkcs8())
        .map(Zeroizing::new)
        .map_err(|_| KeyError::Generation)
}

#[cfg(test)]
#[path = "rsa_tests.rs"]
mod tests;
