//! What is kept of a client's secret: a keyed hash, worthless without the master key.
//!
//! Generated secrets have 256 random bits, so a slow hash would protect nothing; the key keeps a
//! stolen table from being tested against secrets found elsewhere.

use std::{fmt, hint::black_box};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::hmac;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{KeyId, Keyring, PlainSecret};

/// Says how the hash is made; a change of the making takes the next number.
const VERSION: &str = "h1";

/// The stored form: version, master key's id, HMAC-SHA256, separated by dots.
#[derive(Clone)]
pub struct Verifier(String);

/// A verifier that this server cannot check: the data and the configuration do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnknownVerifier {
    /// Not of the version that is known here, or damaged.
    #[error("a stored verifier has an unknown form")]
    Form,
    /// Made under a master key that is not configured.
    #[error("a verifier was made under master key {0}, which is not configured")]
    Key(KeyId),
}

impl Verifier {
    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes what was stored; whether it can be checked shows when it is.
    pub fn from_stored(stored: String) -> Self {
        Self(stored)
    }

    /// The verifier of no secret: its hash is all zeros.
    pub(crate) fn nobody(key: KeyId) -> Self {
        Self::write(key, &[0; 32])
    }

    fn write(key: KeyId, hash: &[u8]) -> Self {
        Self(format!("{VERSION}.{key}.{}", URL_SAFE_NO_PAD.encode(hash)))
    }

    fn read(&self) -> Option<(KeyId, Vec<u8>)> {
        let (version, rest) = self.0.split_once('.')?;
        let (key, hash) = rest.split_once('.')?;
        let key = KeyId::parse(key)?;
        let hash = URL_SAFE_NO_PAD.decode(hash).ok()?;
        (version == VERSION && hash.len() == 32).then_some((key, hash))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verifier(..)")
    }
}

impl Keyring {
    /// Makes what to store of an owner's secret.
    pub fn verifier(&self, secret: &PlainSecret, owner: Uuid) -> Verifier {
        let keys = self.current();
        let hash = hmac::sign(&keys.verifying, &message(owner, secret.expose()));
        Verifier::write(keys.id, hash.as_ref())
    }

    /// Whether the presented text is the owner's secret; the comparison takes constant time.
    pub fn verify(
        &self,
        verifier: &Verifier,
        owner: Uuid,
        presented: &str,
    ) -> Result<bool, UnknownVerifier> {
        let (id, hash) = verifier.read().ok_or(UnknownVerifier::Form)?;
        let keys = self.find(id).ok_or(UnknownVerifier::Key(id))?;
        Ok(hmac::verify(&keys.verifying, &message(owner, presented), &hash).is_ok())
    }

    /// Spends the time of [`Keyring::verify`] where there is no owner, so that its absence does not show.
    pub fn verify_nobody(&self, owner: Uuid, presented: &str) {
        let _ = black_box(self.verify(black_box(self.nobody()), owner, presented));
    }
}

/// The owner's id has a fixed length, so the two parts cannot run into each other.
fn message(owner: Uuid, secret: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([owner.as_bytes(), secret.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        MasterKey, SecretKind,
        test_entropy::{ConstantEntropy, CountingEntropy},
    };

    const OWNER: Uuid = Uuid::from_u128(7);

    fn master(byte: u8) -> MasterKey {
        MasterKey::generate(&ConstantEntropy::new(byte)).unwrap()
    }

    fn keyring(byte: u8) -> Keyring {
        Keyring::new(master(byte), Vec::new())
    }

    fn secret() -> PlainSecret {
        PlainSecret::generate(SecretKind::Client, &CountingEntropy::default()).unwrap()
    }

    #[test]
    fn the_secret_verifies_and_no_other_text_does() {
        let (keyring, secret) = (keyring(1), secret());
        let verifier = keyring.verifier(&secret, OWNER);
        assert_eq!(keyring.verify(&verifier, OWNER, secret.expose()), Ok(true));
        let text = secret.expose();
        for wrong in ["", &text[1..], &text[..text.len() - 1], &format!("{text} ")] {
            assert_eq!(keyring.verify(&verifier, OWNER, wrong), Ok(false));
        }
    }

    #[test]
    fn what_older_versions_stored_still_verifies() {
        // Made by another implementation of the same description.
        let secret = PlainSecret::generate(SecretKind::Client, &ConstantEntropy::new(0)).unwrap();
        assert_eq!(
            keyring(1).verifier(&secret, OWNER).as_str(),
            "h1.8f2a27a1e4b512fb.v88lKpfYCJawqfpk0Zaaxqsl_06JVOIwJb_BE51mmvI"
        );
    }

    #[test]
    fn a_verifier_moved_to_another_owner_verifies_nothing() {
        let (keyring, secret) = (keyring(1), secret());
        let verifier = keyring.verifier(&secret, OWNER);
        assert_eq!(
            keyring.verify(&verifier, Uuid::from_u128(8), secret.expose()),
            Ok(false)
        );
    }

    #[test]
    fn it_survives_storage_and_a_change_of_master_key() {
        let secret = secret();
        let stored = keyring(1).verifier(&secret, OWNER).as_str().to_owned();
        assert!(stored.starts_with(&format!("h1.{}.", master(1).id())));
        assert_eq!(stored.len(), 2 + 1 + 16 + 1 + 43);
        let rotated = Keyring::new(master(2), vec![master(1)]);
        let verifier = Verifier::from_stored(stored);
        assert_eq!(rotated.verify(&verifier, OWNER, secret.expose()), Ok(true));
        assert_eq!(rotated.verify(&verifier, OWNER, "gsec_"), Ok(false));
        assert_eq!(
            keyring(2).verify(&verifier, OWNER, secret.expose()),
            Err(UnknownVerifier::Key(master(1).id()))
        );
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_never_a_match() {
        let (keyring, secret) = (keyring(1), secret());
        let good = keyring.verifier(&secret, OWNER).as_str().to_owned();
        let id = master(1).id().to_string();
        for stored in [
            String::new(),
            good.replace("h1.", "h2."),
            good.replace("h1.", ""),
            good.replace(&id, "0"),
            good[..good.len() - 1].to_owned(),
            format!("{good}="),
            format!("{good}.x"),
            format!("h1.{id}."),
            format!("h1.{id}.{}", URL_SAFE_NO_PAD.encode([0; 31])),
            secret.expose().to_owned(),
        ] {
            let verifier = Verifier::from_stored(stored.clone());
            assert_eq!(
                keyring.verify(&verifier, OWNER, secret.expose()),
                Err(UnknownVerifier::Form),
                "{stored}"
            );
        }
    }

    #[test]
    fn nobody_is_checked_like_somebody_and_never_matches() {
        let keyring = keyring(1);
        // The dummy takes the whole way: readable, under a known key, and unequal.
        assert_eq!(
            keyring.verify(keyring.nobody(), OWNER, secret().expose()),
            Ok(false)
        );
        keyring.verify_nobody(OWNER, secret().expose());
        keyring.verify_nobody(OWNER, "");
    }

    #[test]
    fn debug_prints_nothing_of_the_hash() {
        let verifier = keyring(1).verifier(&secret(), OWNER);
        assert_eq!(format!("{verifier:?}"), "Verifier(..)");
    }
}
