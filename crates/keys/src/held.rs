//! Values that only somebody who holds a key of their own can have opened: answers that are kept for a
//! retry, above all, whose secrets must stay shut for whoever has the database and even the master key.
//!
//! The key is RFC 5869 (HKDF-SHA256) over the holder's key, salted with a key that comes from the master key:
//! neither alone is enough. What is stored is a format byte, the eight bytes of the master key's id, a random
//! nonce, then AES-256-GCM's ciphertext and tag, bound to its place like every sealed value.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::keyring::{DerivedKeys, expand};
use crate::seal::{Sealed, bound};
use crate::{Entropy, Keyring, OpenError, SealContext, SealError};

const FORMAT: u8 = 2;
const SALT_PURPOSE: &str = "kept for a holder v1";

impl Keyring {
    /// Seals for one place and one holder.
    pub fn seal_for_holder(
        &self,
        entropy: &dyn Entropy,
        context: &SealContext<'_>,
        holder: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let keys = self.current();
        let mut nonce = [0u8; NONCE_LEN];
        entropy.fill(&mut nonce)?;
        let mut body = Zeroizing::new(Vec::with_capacity(
            plaintext.len().saturating_add(AES_256_GCM.tag_len()),
        ));
        body.extend_from_slice(plaintext);
        key_of(keys, holder)
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bound(keys.id, context)),
                &mut *body,
            )
            .map_err(|_| SealError::TooLong)?;
        Ok([&[FORMAT], keys.id.as_bytes().as_slice(), &nonce, &body].concat())
    }

    /// Opens what was sealed for this place and holder, under whichever configured master key it names.
    pub fn open_for_holder(
        &self,
        context: &SealContext<'_>,
        holder: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let Sealed { id, nonce, body } = Sealed::parse(FORMAT, sealed).ok_or(OpenError::Format)?;
        let keys = self.find(id).ok_or(OpenError::UnknownKey(id))?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = key_of(keys, holder)
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
}

fn key_of(keys: &DerivedKeys, holder: &[u8]) -> LessSafeKey {
    let key = keys.salt(SALT_PURPOSE).extract(holder);
    let key: UnboundKey = expand(&key, &[b"seal"], &AES_256_GCM);
    LessSafeKey::new(key)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::{MasterKey, test_entropy::ConstantEntropy};

    const PLACE: SealContext<'static> = SealContext {
        tenant: Some(Uuid::from_u128(1)),
        table: "idempotency_records",
        row: Uuid::from_u128(2),
    };

    fn master(byte: u8) -> MasterKey {
        MasterKey::generate(&ConstantEntropy::new(byte)).unwrap()
    }

    fn sealed(keyring: &Keyring) -> Vec<u8> {
        keyring
            .seal_for_holder(
                &ConstantEntropy::new(7),
                &PLACE,
                b"the holder's key",
                b"gsec_x",
            )
            .unwrap()
    }

    #[test]
    fn it_opens_with_the_holders_key_and_the_master_key_together() {
        let keyring = Keyring::new(master(1), Vec::new());
        let sealed = sealed(&keyring);
        let open =
            |keyring: &Keyring, holder: &[u8]| keyring.open_for_holder(&PLACE, holder, &sealed);
        assert_eq!(*open(&keyring, b"the holder's key").unwrap(), b"gsec_x");
        assert_eq!(open(&keyring, b"another key"), Err(OpenError::Wrong));
        assert_eq!(open(&keyring, b""), Err(OpenError::Wrong));
        // The master key alone, by the way that opens everything else.
        assert_eq!(keyring.open(&PLACE, &sealed), Err(OpenError::Format));
        let other = Keyring::new(master(2), Vec::new());
        assert!(matches!(
            open(&other, b"the holder's key"),
            Err(OpenError::UnknownKey(_))
        ));
        let rotated = Keyring::new(master(2), vec![master(1)]);
        assert_eq!(*open(&rotated, b"the holder's key").unwrap(), b"gsec_x");
    }

    #[test]
    fn it_opens_nowhere_else() {
        let keyring = Keyring::new(master(1), Vec::new());
        let sealed = sealed(&keyring);
        for place in [
            SealContext {
                tenant: None,
                ..PLACE
            },
            SealContext {
                row: Uuid::nil(),
                ..PLACE
            },
            SealContext {
                table: "clients",
                ..PLACE
            },
        ] {
            assert_eq!(
                keyring.open_for_holder(&place, b"the holder's key", &sealed),
                Err(OpenError::Wrong)
            );
        }
        for length in 0..sealed.len() {
            assert!(
                keyring
                    .open_for_holder(&PLACE, b"the holder's key", &sealed[..length])
                    .is_err()
            );
        }
    }
}
