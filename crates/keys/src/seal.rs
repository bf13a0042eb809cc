//! Values at rest: encrypted, and bound to the place where they lie.
//!
//! A sealed value is a format byte, the eight bytes of the key's id, a nonce of twelve bytes, then
//! AES-256-GCM's ciphertext and tag. Nonces are random: NIST SP 800-38D §8.3 bounds one key to 2³²
//! of them, far beyond what an installation seals between two changes of its master key.

use ring::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{Entropy, EntropyError, KeyId, Keyring};

const FORMAT: u8 = 1;

/// What the installation row holds under the master key, to notice a wrong one at the start.
const CHECK_PLAINTEXT: &[u8] = b"grantor key check v1";
const CHECK_CONTEXT: SealContext<'static> = SealContext {
    tenant: None,
    table: "installation",
    row: Uuid::nil(),
};

/// Where a sealed value lies. It opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub struct SealContext<'a> {
    /// The tenant that owns the row; none for what belongs to the platform.
    pub tenant: Option<Uuid>,
    /// The table, with the column where a table has several sealed ones.
    pub table: &'a str,
    /// The row's id.
    pub row: Uuid,
}

/// Why a value could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No nonce.
    #[error("a value could not be sealed")]
    Entropy(#[from] EntropyError),
    /// Longer than AES-GCM can encrypt at once.
    #[error("a value is too long to be sealed")]
    TooLong,
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Too short, or of a format that this version does not know.
    #[error("a sealed value is cut off or has an unknown format")]
    Format,
    /// Sealed under a master key that is not configured.
    #[error("a value is sealed under master key {0}, which is not configured")]
    UnknownKey(KeyId),
    /// Altered, or moved from another tenant, table or row.
    #[error("a sealed value was altered or does not belong where it lies")]
    Wrong,
}

impl Keyring {
    /// Seals under the current master key for one place.
    pub fn seal(
        &self,
        entropy: &dyn Entropy,
        context: &SealContext<'_>,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let keys = self.current();
        let mut nonce = [0u8; NONCE_LEN];
        entropy.fill(&mut nonce)?;

        // Room for the tag, so that no copy of the plaintext is left behind by growing.
        let mut body = Zeroizing::new(Vec::with_capacity(
            plaintext.len().saturating_add(AES_256_GCM.tag_len()),
        ));
        body.extend_from_slice(plaintext);
        keys.sealing
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(keys.id, context)),
                &mut *body,
            )
            .map_err(|_| SealError::TooLong)?;
        Ok([&[FORMAT], keys.id.as_bytes().as_slice(), &nonce, &body].concat())
    }

    /// Opens a value in its place, under whichever configured master key it names.
    pub fn open(
        &self,
        context: &SealContext<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let Sealed { id, nonce, body } = Sealed::parse(FORMAT, sealed).ok_or(OpenError::Format)?;
        let keys = self.find(id).ok_or(OpenError::UnknownKey(id))?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = keys
            .sealing
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(id, context)),
                &mut body,
            )
            .map_err(|_| OpenError::Wrong)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// Whether the value names the current master key; if not, it should be sealed anew.
    pub fn sealed_with_current(&self, sealed: &[u8]) -> bool {
        Sealed::parse(FORMAT, sealed).is_some_and(|sealed| sealed.id == *self.current_id())
    }

    /// A sealed constant for the installation row, by which a later start knows its master key.
    pub fn check_value(&self, entropy: &dyn Entropy) -> Result<Vec<u8>, SealError> {
        self.seal(entropy, &CHECK_CONTEXT, CHECK_PLAINTEXT)
    }

    /// Whether the installation was made with one of these master keys.
    pub fn check(&self, stored: &[u8]) -> Result<(), OpenError> {
        if self.open(&CHECK_CONTEXT, stored)?.as_slice() == CHECK_PLAINTEXT {
            Ok(())
        } else {
            Err(OpenError::Wrong)
        }
    }
}

/// The parts of a sealed value.
pub(crate) struct Sealed<'a> {
    pub(crate) id: KeyId,
    pub(crate) nonce: [u8; NONCE_LEN],
    pub(crate) body: &'a [u8],
}

impl<'a> Sealed<'a> {
    pub(crate) fn parse(expected: u8, sealed: &'a [u8]) -> Option<Self> {
        let (&format, rest) = sealed.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (nonce, body) = rest.split_first_chunk()?;
        (format == expected && body.len() >= AES_256_GCM.tag_len()).then(|| Self {
            id: KeyId::from_bytes(*id),
            nonce: *nonce,
            body,
        })
    }
}

/// The additional data. Each part has a fixed length or comes after its length, so that no two places
/// are written alike.
pub(crate) fn bound(id: KeyId, context: &SealContext<'_>) -> Vec<u8> {
    let mut bound = vec![FORMAT];
    bound.extend_from_slice(id.as_bytes());
    match context.tenant {
        None => bound.push(0),
        Some(tenant) => {
            bound.push(1);
            bound.extend_from_slice(tenant.as_bytes());
        }
    }
    bound.extend_from_slice(&(context.table.len() as u64).to_be_bytes());
    bound.extend_from_slice(context.table.as_bytes());
    bound.extend_from_slice(context.row.as_bytes());
    bound
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{
        MasterKey,
        test_entropy::{BrokenEntropy, ConstantEntropy, CountingEntropy},
    };

    const HERE: SealContext<'static> = SealContext {
        tenant: Some(Uuid::from_u128(1)),
        table: "signing_keys",
        row: Uuid::from_u128(2),
    };

    fn keyring(current: u8, previous: &[u8]) -> Keyring {
        let master = |byte: u8| MasterKey::generate(&ConstantEntropy::new(byte)).unwrap();
        Keyring::new(
            master(current),
            previous.iter().map(|byte| master(*byte)).collect(),
        )
    }

    fn sealed(keyring: &Keyring, plaintext: &[u8]) -> Vec<u8> {
        keyring
            .seal(&CountingEntropy::default(), &HERE, plaintext)
            .unwrap()
    }

    #[test]
    fn what_is_sealed_opens_in_its_place() {
        let keyring = keyring(1, &[]);
        for plaintext in [b"".as_slice(), b"x", &[0xa5; 4096]] {
            let sealed = sealed(&keyring, plaintext);
            assert_eq!(sealed.len(), 1 + 8 + 12 + plaintext.len() + 16);
            assert_eq!(keyring.open(&HERE, &sealed).unwrap().as_slice(), plaintext);
        }
    }

    #[test]
    fn what_older_versions_sealed_still_opens() {
        // Made by another implementation of the same description.
        let stored = "AY8qJ6HktRL7CQkJCQkJCQkJCQkJCT6TetHXVwREXbh3Ocj0YeKvgreX-A";
        let keyring = keyring(1, &[]);
        let entropy = ConstantEntropy::new(9);
        let sealed = keyring.seal(&entropy, &HERE, b"secret").unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(&sealed), stored);
        assert_eq!(keyring.open(&HERE, &sealed).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn the_same_value_never_looks_the_same_twice() {
        let (keyring, entropy) = (keyring(1, &[]), CountingEntropy::default());
        let first = keyring.seal(&entropy, &HERE, b"secret").unwrap();
        assert_ne!(first, keyring.seal(&entropy, &HERE, b"secret").unwrap());
        assert!(!first.windows(6).any(|window| window == b"secret"));
    }

    #[test]
    fn another_tenant_table_or_row_does_not_open_it() {
        let keyring = keyring(1, &[]);
        let sealed = sealed(&keyring, b"secret");
        let elsewhere = [
            SealContext {
                tenant: None,
                ..HERE
            },
            SealContext {
                tenant: Some(Uuid::from_u128(3)),
                ..HERE
            },
            SealContext {
                tenant: Some(Uuid::nil()),
                ..HERE
            },
            SealContext {
                table: "signing_key",
                ..HERE
            },
            SealContext {
                table: "signing_keys2",
                ..HERE
            },
            SealContext { table: "", ..HERE },
            SealContext {
                row: Uuid::from_u128(3),
                ..HERE
            },
            // Tenant and row changed places.
            SealContext {
                tenant: Some(HERE.row),
                row: Uuid::from_u128(1),
                ..HERE
            },
        ];
        for context in elsewhere {
            assert_eq!(
                keyring.open(&context, &sealed).unwrap_err(),
                OpenError::Wrong,
                "{context:?}"
            );
        }
    }

    #[test]
    fn no_table_name_can_imitate_a_tenant() {
        let id = *keyring(1, &[]).current_id();
        let platform = SealContext {
            tenant: None,
            table: "ab",
            row: Uuid::nil(),
        };
        let mut seen = vec![bound(id, &platform)];
        for table in ["a", "b", "ab\0", "\0ab", "abab"] {
            for tenant in [None, Some(Uuid::nil())] {
                let bytes = bound(
                    id,
                    &SealContext {
                        tenant,
                        table,
                        ..platform
                    },
                );
                assert!(!seen.contains(&bytes));
                seen.push(bytes);
            }
        }
    }

    #[test]
    fn a_value_cut_anywhere_is_refused() {
        let keyring = keyring(1, &[]);
        let sealed = sealed(&keyring, b"secret");
        for length in 0..sealed.len() {
            let expected = if length < 1 + 8 + 12 + 16 {
                OpenError::Format
            } else {
                OpenError::Wrong
            };
            assert_eq!(
                keyring.open(&HERE, &sealed[..length]).unwrap_err(),
                expected,
                "{length}"
            );
        }
    }

    #[test]
    fn any_altered_byte_is_refused() {
        let keyring = keyring(1, &[]);
        let sealed = sealed(&keyring, b"secret");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 0x10;
            let error = keyring.open(&HERE, &altered).unwrap_err();
            match at {
                0 => assert_eq!(error, OpenError::Format),
                1..=8 => assert!(matches!(error, OpenError::UnknownKey(_))),
                _ => assert_eq!(error, OpenError::Wrong),
            }
        }
        let longer = [sealed.as_slice(), &[0]].concat();
        assert_eq!(keyring.open(&HERE, &longer).unwrap_err(), OpenError::Wrong);
    }

    #[test]
    fn a_previous_key_still_opens_and_says_that_it_is_old() {
        let before = keyring(1, &[]);
        let old = sealed(&before, b"secret");
        let after = keyring(2, &[3, 1]);
        assert_eq!(after.open(&HERE, &old).unwrap().as_slice(), b"secret");
        assert!(before.sealed_with_current(&old));
        assert!(!after.sealed_with_current(&old));
        assert!(after.sealed_with_current(&sealed(&after, b"secret")));
        assert!(!after.sealed_with_current(b"no sealed value at all"));
        assert!(!after.sealed_with_current(b""));
    }

    #[test]
    fn an_unknown_key_is_named() {
        let before = keyring(1, &[]);
        let error = keyring(2, &[3])
            .open(&HERE, &sealed(&before, b"secret"))
            .unwrap_err();
        assert_eq!(error, OpenError::UnknownKey(*before.current_id()));
        assert!(error.to_string().contains(&before.current_id().to_string()));
    }

    #[test]
    fn another_key_under_a_forged_id_does_not_open() {
        let mut forged = sealed(&keyring(1, &[]), b"secret");
        let other = keyring(2, &[]);
        forged[1..9].copy_from_slice(other.current_id().as_bytes());
        assert_eq!(other.open(&HERE, &forged).unwrap_err(), OpenError::Wrong);
    }

    #[test]
    fn nothing_is_sealed_without_randomness() {
        assert_eq!(
            keyring(1, &[]).seal(&BrokenEntropy::default(), &HERE, b"secret"),
            Err(SealError::Entropy(EntropyError))
        );
    }

    #[test]
    fn the_key_check_tells_a_right_master_key_from_a_wrong_one() {
        let entropy = CountingEntropy::default();
        let stored = keyring(1, &[]).check_value(&entropy).unwrap();
        assert_eq!(keyring(1, &[]).check(&stored), Ok(()));
        assert_eq!(keyring(2, &[1]).check(&stored), Ok(()));
        assert_eq!(
            keyring(2, &[]).check(&stored),
            Err(OpenError::UnknownKey(*keyring(1, &[]).current_id()))
        );
        assert_eq!(keyring(1, &[]).check(b""), Err(OpenError::Format));
        let other = keyring(1, &[])
            .seal(&entropy, &CHECK_CONTEXT, b"another constant")
            .unwrap();
        assert_eq!(keyring(1, &[]).check(&other), Err(OpenError::Wrong));
    }
}
