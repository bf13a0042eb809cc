//! The private keys that tokens are signed with.

use std::fmt;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Entropy, KeyUse, PublicJwk, PublicParameters, rsa};

/// The registered signature algorithms that are in use (RFC 7518 §3.1, RFC 8037 §3.1).
///
/// There is no `none` and nothing symmetric, so a token cannot ask for either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519, under the name that it has in JOSE.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// Whether a key is made in no time. One of RSA takes tenths of a second, so it is made ahead.
    pub fn is_quickly_made(self) -> bool {
        match self {
            Self::Es256 | Self::EdDsa => true,
            Self::Rs256 => false,
        }
    }

    /// The registered name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// The algorithm of this registered name; names are case-sensitive (RFC 7515 §4.1.1).
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            "RS256" => Some(Self::Rs256),
            _ => None,
        }
    }
}

/// A key pair just made: the private part to be sealed, the public part to be published.
pub struct NewSigningKey {
    /// The RFC 7638 thumbprint of the public part.
    pub kid: String,
    /// What the key signs with.
    pub algorithm: Algorithm,
    /// The private part as PKCS#8.
    pub pkcs8: Zeroizing<Vec<u8>>,
    /// The public part.
    pub public: PublicJwk,
}

impl fmt::Debug for NewSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Why there is no key to sign with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The random source failed.
    #[error("a signing key could not be generated")]
    Generation,
    /// The stored bytes are not a private key of the algorithm.
    #[error("a stored signing key is not a private key of its algorithm")]
    Malformed,
}

/// A private key, ready to sign.
pub struct SigningKey {
    kid: String,
    pair: Pair,
    public: PublicParameters,
}

/// The key pair by its algorithm, so that the two cannot contradict each other.
enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

/// Makes a key pair, named by its thumbprint. One for RS256 takes tenths of a second and is of OpenSSL's own
/// randomness, for `ring` makes none.
pub fn generate_signing_key(
    algorithm: Algorithm,
    entropy: &dyn Entropy,
) -> Result<NewSigningKey, KeyError> {
    let kept = |document: Result<ring::pkcs8::Document, _>| {
        document
            .map(|document| Zeroizing::new(document.as_ref().to_vec()))
            .map_err(|_: ring::error::Unspecified| KeyError::Generation)
    };
    let pkcs8 = match algorithm {
        Algorithm::Es256 => kept(EcdsaKeyPair::generate_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            entropy.ring(),
        ))?,
        Algorithm::EdDsa => kept(Ed25519KeyPair::generate_pkcs8(entropy.ring()))?,
        Algorithm::Rs256 => rsa::generate_pkcs8()?,
    };
    NewSigningKey::from_pkcs8(algorithm, pkcs8, entropy)
}

impl NewSigningKey {
    /// A key pair that was made ahead, named by its thumbprint.
    pub fn from_pkcs8(
        algorithm: Algorithm,
        pkcs8: Zeroizing<Vec<u8>>,
        entropy: &dyn Entropy,
    ) -> Result<Self, KeyError> {
        let unnamed = SigningKey::from_pkcs8(algorithm, String::new(), &pkcs8, entropy)?;
        let kid = unnamed.public.thumbprint();
        let public = SigningKey {
            kid: kid.clone(),
            ..unnamed
        }
        .public();
        Ok(Self {
            kid,
            algorithm,
            pkcs8,
            public,
        })
    }
}

impl SigningKey {
    /// Takes up a stored private key under its name.
    pub fn from_pkcs8(
        algorithm: Algorithm,
        kid: String,
        pkcs8: &[u8],
        entropy: &dyn Entropy,
    ) -> Result<Self, KeyError> {
        match algorithm {
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(
                    &ECDSA_P256_SHA256_FIXED_SIGNING,
                    pkcs8,
                    entropy.ring(),
                )
                .map_err(|_| KeyError::Malformed)?;
                let public = PublicParameters::p256_from_point(pair.public_key().as_ref())
                    .ok_or(KeyError::Malformed)?;
                Ok(Self {
                    kid,
                    pair: Pair::Es256(pair),
                    public,
                })
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Malformed)?;
                let public = PublicParameters::ed25519(pair.public_key().as_ref())
                    .ok_or(KeyError::Malformed)?;
                Ok(Self {
                    kid,
                    pair: Pair::EdDsa(pair),
                    public,
                })
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(pkcs8).map_err(|_| KeyError::Malformed)?;
                let parts: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                let public = PublicParameters::rsa(parts.n, &parts.e).ok_or(KeyError::Malformed)?;
                Ok(Self {
                    kid,
                    pair: Pair::Rs256(pair),
                    public,
                })
            }
        }
    }

    /// The name that goes into the headers.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Es256(_) => Algorithm::Es256,
            Pair::EdDsa(_) => Algorithm::EdDsa,
            Pair::Rs256(_) => Algorithm::Rs256,
        }
    }

    /// The public part, as it is published.
    pub fn public(&self) -> PublicJwk {
        PublicJwk {
            parameters: self.public.clone(),
            kid: self.kid.clone(),
            usage: KeyUse::Signature,
            alg: self.algorithm(),
        }
    }

    /// The raw signature over a message; none when the random source fails, which Ed25519 does without.
    pub(crate) fn sign_raw(&self, message: &[u8], entropy: &dyn Entropy) -> Option<Vec<u8>> {
        match &self.pair {
            Pair::Es256(pair) => {
                let signature = pair.sign(entropy.ring(), message).ok()?;
                Some(signature.as_ref().to_vec())
            }
            Pair::EdDsa(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Pair::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, entropy.ring(), message, &mut signature)
                    .ok()?;
                Some(signature)
            }
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::SystemEntropy;

    /// Those whose keys are made in no time; RS256 has tests of its own, which share their keys.
    const ALL: [Algorithm; 2] = [Algorithm::Es256, Algorithm::EdDsa];

    fn new_key(algorithm: Algorithm) -> NewSigningKey {
        generate_signing_key(algorithm, &SystemEntropy::default()).unwrap()
    }

    fn load(algorithm: Algorithm, pkcs8: &[u8]) -> Result<SigningKey, KeyError> {
        let entropy = SystemEntropy::default();
        SigningKey::from_pkcs8(algorithm, "k".to_owned(), pkcs8, &entropy)
    }

    #[test]
    fn a_new_key_is_named_by_its_thumbprint_and_comes_back_from_storage() {
        for algorithm in ALL {
            let new = new_key(algorithm);
            assert_eq!(new.algorithm, algorithm);
            assert_eq!(new.public.alg, algorithm);
            assert_eq!(new.kid, new.public.thumbprint());
            assert_eq!(new.kid, new.public.kid);
            assert_eq!(new.kid.len(), 43);
            let entropy = SystemEntropy::default();
            let stored =
                SigningKey::from_pkcs8(new.algorithm, new.kid.clone(), &new.pkcs8, &entropy)
                    .unwrap();
            assert_eq!(stored.public(), new.public);
            assert_eq!(stored.kid(), new.kid);
            assert_eq!(stored.algorithm(), algorithm);
        }
    }

    #[test]
    fn two_keys_differ() {
        for algorithm in ALL {
            assert_ne!(new_key(algorithm).kid, new_key(algorithm).kid);
        }
    }

    #[test]
    fn what_is_signed_verifies_under_the_public_part_only() {
        for algorithm in ALL {
            let (new, other) = (new_key(algorithm), new_key(algorithm));
            let key = load(algorithm, &new.pkcs8).unwrap();
            let signature = key.sign_raw(b"message", &SystemEntropy::default()).unwrap();
            assert_eq!(signature.len(), 64);
            assert!(new.public.verifies(b"message", &signature));
            assert!(!new.public.verifies(b"massage", &signature));
            assert!(!other.public.verifies(b"message", &signature));
        }
    }

    #[test]
    fn damaged_private_keys_are_refused_at_every_length() {
        for algorithm in ALL {
            let new = new_key(algorithm);
            let refused = |pkcs8: &[u8]| load(algorithm, pkcs8).unwrap_err();
            for length in 0..new.pkcs8.len() {
                assert_eq!(refused(&new.pkcs8[..length]), KeyError::Malformed);
            }
            let longer = [new.pkcs8.as_slice(), &[0]].concat();
            assert_eq!(refused(&longer), KeyError::Malformed);
        }
    }

    #[test]
    fn a_private_key_with_another_public_part_is_refused() {
        // ring's PKCS#8 ends with the public key: a point, or the 32 bytes of Ed25519.
        for (algorithm, public) in [(Algorithm::Es256, 64), (Algorithm::EdDsa, 32)] {
            let (new, other) = (new_key(algorithm), new_key(algorithm));
            let cut = new.pkcs8.len() - public;
            let mixed = [&new.pkcs8[..cut], &other.pkcs8[cut..]].concat();
            assert_eq!(load(algorithm, &mixed).unwrap_err(), KeyError::Malformed);
        }
    }

    #[test]
    fn a_private_key_of_another_algorithm_is_refused() {
        for (made, taken) in [
            (Algorithm::Es256, Algorithm::EdDsa),
            (Algorithm::EdDsa, Algorithm::Es256),
        ] {
            let new = new_key(made);
            assert_eq!(load(taken, &new.pkcs8).unwrap_err(), KeyError::Malformed);
        }
    }

    #[test]
    fn only_the_names_in_use_are_algorithms() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::parse(algorithm.as_str()), Some(algorithm));
            assert_eq!(serde_json::to_value(algorithm).unwrap(), algorithm.as_str());
        }
        for name in [
            "none", "None", "NONE", "", "es256", "HS256", "ES384", "ES256 ", "EDDSA", "eddsa",
            "Ed25519", "rs256", "RS384", "PS256",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
    }

    #[test]
    fn debug_prints_no_private_part() {
        for algorithm in ALL {
            let new = new_key(algorithm);
            let key = load(algorithm, &new.pkcs8).unwrap();
            assert_eq!(
                format!("{new:?}"),
                format!(
                    "NewSigningKey {{ kid: {:?}, algorithm: {algorithm:?}, .. }}",
                    new.kid
                )
            );
            assert_eq!(
                format!("{key:?}"),
                format!(r#"SigningKey {{ kid: "k", algorithm: {algorithm:?}, .. }}"#)
            );
            assert!(!format!("{new:?}").contains(&URL_SAFE_NO_PAD.encode(&*new.pkcs8)));
        }
    }
}
