//! The master key as the operator holds it, and the id by which stored values name it.

use std::fmt;

use base64::{
    Engine,
    engine::general_purpose::{URL_SAFE_NO_PAD, URL_SAFE_NO_PAD_INDIFFERENT},
};
use ring::digest;
use zeroize::Zeroizing;

use crate::{Entropy, EntropyError};

/// Keeps the id apart from any other hash ever taken of the key.
const ID_LABEL: &[u8] = b"grantor master key id v1\0";

/// The 32 bytes from which all keys of the installation derive.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Why a configured master key cannot be used. The value itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// A character or an ending that base64url does not have.
    #[error("the master key is not base64url (letters, digits, '-' and '_')")]
    Encoding,
    /// Not 32 bytes.
    #[error("the master key must be 32 bytes long, this one has {bytes}")]
    Length {
        /// How many bytes were given.
        bytes: usize,
    },
}

impl MasterKey {
    /// Reads base64url, with or without padding.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        let decoded = URL_SAFE_NO_PAD_INDIFFERENT
            .decode(text)
            .map(Zeroizing::new)
            .map_err(|_| MasterKeyError::Encoding)?;
        let mut key = Zeroizing::new([0u8; 32]);
        if decoded.len() != key.len() {
            return Err(MasterKeyError::Length {
                bytes: decoded.len(),
            });
        }
        key.copy_from_slice(&decoded);
        Ok(Self(key))
    }

    /// Makes a new one.
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut key = Zeroizing::new([0u8; 32]);
        entropy.fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// The form that [`MasterKey::parse`] reads: base64url without padding.
    pub fn encode(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// The public name of this key.
    pub fn id(&self) -> KeyId {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(ID_LABEL);
        context.update(self.0.as_slice());
        let mut id = [0u8; KeyId::LENGTH];
        // SHA-256 yields 32 bytes; the id is the first eight.
        for (to, from) in id.iter_mut().zip(context.finish().as_ref()) {
            *to = *from;
        }
        KeyId(id)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.id())
    }
}

/// Names a master key without telling anything of it: eight bytes of a hash, shown as hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; KeyId::LENGTH]);

impl KeyId {
    pub(crate) const LENGTH: usize = 8;

    pub(crate) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Reads exactly what `Display` writes: sixteen lower-case hex digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let id = Self(u64::from_str_radix(text, 16).ok()?.to_be_bytes());
        // One spelling per id: no upper case, no sign, no missing zeros.
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entropy::{BrokenEntropy, ConstantEntropy, CountingEntropy};

    #[test]
    fn what_is_encoded_parses_with_and_without_padding() {
        let key = MasterKey::generate(&CountingEntropy::default()).unwrap();
        let text = key.encode();
        assert_eq!(text.len(), 43);
        assert_eq!(MasterKey::parse(&text).unwrap().id(), key.id());
        let padded = format!("{}=", text.as_str());
        assert_eq!(MasterKey::parse(&padded).unwrap().id(), key.id());
    }

    #[test]
    fn a_wrong_length_is_told_in_bytes() {
        for bytes in [0, 1, 16, 31, 33, 64] {
            let text = URL_SAFE_NO_PAD.encode(vec![7u8; bytes]);
            assert_eq!(
                MasterKey::parse(&text).unwrap_err(),
                MasterKeyError::Length { bytes }
            );
        }
    }

    #[test]
    fn what_is_not_base64url_is_refused_and_not_repeated() {
        let all_ones = URL_SAFE_NO_PAD.encode([0xffu8; 32]);
        for text in [
            all_ones.replace('_', "/"),
            format!(" {all_ones}"),
            format!("{all_ones}\n"),
            format!("{all_ones}=="),
            // The last character holds two bits that must be zero.
            format!("{}9", &all_ones[..42]),
            "sésame ouvre-toi".to_owned(),
        ] {
            let error = MasterKey::parse(&text).unwrap_err();
            assert_eq!(error, MasterKeyError::Encoding, "{text:?}");
            assert!(!format!("{error} {error:?}").contains(text.trim()));
        }
    }

    #[test]
    fn ids_differ_by_key_and_are_sixteen_hex_digits() {
        let zeros = MasterKey::generate(&ConstantEntropy::new(0)).unwrap().id();
        let ones = MasterKey::generate(&ConstantEntropy::new(1)).unwrap().id();
        assert_ne!(zeros, ones);
        assert_eq!(zeros.to_string().len(), 16);
    }

    #[test]
    fn the_id_stays_what_stored_values_name() {
        let key = MasterKey::generate(&ConstantEntropy::new(0)).unwrap();
        assert_eq!(key.id().to_string(), "0d68eef45d1a3f3c");
    }

    #[test]
    fn a_key_id_has_one_spelling() {
        let id = KeyId::from_bytes([0, 1, 2, 3, 0xab, 0xcd, 0xef, 0xff]);
        assert_eq!(id.to_string(), "00010203abcdefff");
        assert_eq!(KeyId::parse("00010203abcdefff"), Some(id));
        for other in [
            "00010203ABCDEFFF",
            "10203abcdefff",
            "+0010203abcdefff",
            "00010203abcdefff0",
            "00010203abcdefg0",
            "",
        ] {
            assert_eq!(KeyId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn debug_prints_the_id_and_no_key() {
        let key = MasterKey::generate(&CountingEntropy::default()).unwrap();
        let printed = format!("{key:?}");
        assert_eq!(printed, format!("MasterKey({})", key.id()));
        assert!(!printed.contains(key.encode().as_str()));
    }

    #[test]
    fn without_randomness_there_is_no_key() {
        assert_eq!(
            MasterKey::generate(&BrokenEntropy::default()).unwrap_err(),
            EntropyError
        );
    }
}
