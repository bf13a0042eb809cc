//! The master keys in use, turned once into the keys that are needed again and again.

use std::{fmt, iter, sync::Arc};

use ring::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    hkdf::{HKDF_SHA256, KeyType, Okm, Prk, Salt},
    hmac::{self, HMAC_SHA256},
};

use crate::{KeyId, MasterKey, Verifier};

const SALT: &[u8] = b"grantor keyring v1";
const SEAL_LABEL: &[u8] = b"seal v1";
const VERIFIER_LABEL: &[u8] = b"verifier v1";
/// Followed by the purpose; no other label begins like it.
const MAC_LABEL: &[u8] = b"mac v1/";
/// Likewise.
const SALT_LABEL: &[u8] = b"salt v1/";

/// The current master key, under which everything new is written, and the previous ones, which can
/// still be read. Cloning shares.
#[derive(Clone)]
pub struct Keyring(Arc<Keys>);

struct Keys {
    current: DerivedKeys,
    previous: Vec<DerivedKeys>,
    nobody: Verifier,
}

impl Keyring {
    /// Derives the working keys; the master keys themselves are wiped.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "taking the master keys is what wipes them"
    )]
    pub fn new(current: MasterKey, previous: Vec<MasterKey>) -> Self {
        let current = DerivedKeys::from_master(&current);
        Self(Arc::new(Keys {
            nobody: Verifier::nobody(current.id),
            current,
            previous: previous.iter().map(DerivedKeys::from_master).collect(),
        }))
    }

    /// The id of the key under which new values are written.
    pub fn current_id(&self) -> &KeyId {
        &self.0.current.id
    }

    /// Whether values under this key can be read.
    pub fn knows(&self, id: &KeyId) -> bool {
        self.find(*id).is_some()
    }

    pub(crate) fn current(&self) -> &DerivedKeys {
        &self.0.current
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &DerivedKeys> {
        iter::once(&self.0.current).chain(&self.0.previous)
    }

    pub(crate) fn find(&self, id: KeyId) -> Option<&DerivedKeys> {
        self.all().find(|keys| keys.id == id)
    }

    /// A verifier that no secret satisfies.
    pub(crate) fn nobody(&self) -> &Verifier {
        &self.0.nobody
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let previous: Vec<KeyId> = self.0.previous.iter().map(|keys| keys.id).collect();
        f.debug_struct("Keyring")
            .field("current", &self.0.current.id)
            .field("previous", &previous)
            .finish_non_exhaustive()
    }
}

/// What one master key yields: RFC 5869 (HKDF-SHA256), one label per purpose.
pub(crate) struct DerivedKeys {
    pub(crate) id: KeyId,
    pub(crate) sealing: LessSafeKey,
    pub(crate) verifying: hmac::Key,
    root: Prk,
}

impl DerivedKeys {
    fn from_master(master: &MasterKey) -> Self {
        let root = Salt::new(HKDF_SHA256, SALT).extract(master.bytes());
        let sealing: UnboundKey = expand(&root, &[SEAL_LABEL], &AES_256_GCM);
        Self {
            id: master.id(),
            sealing: LessSafeKey::new(sealing),
            verifying: expand(&root, &[VERIFIER_LABEL], HMAC_SHA256),
            root,
        }
    }

    pub(crate) fn salt(&self, purpose: &str) -> Salt {
        expand(&self.root, &[SALT_LABEL, purpose.as_bytes()], HKDF_SHA256)
    }

    pub(crate) fn mac_key(&self, purpose: &str) -> hmac::Key {
        expand(&self.root, &[MAC_LABEL, purpose.as_bytes()], HMAC_SHA256)
    }
}

#[expect(
    clippy::expect_used,
    reason = "HKDF-SHA256 refuses only outputs beyond 8160 bytes, and every key made here has 32"
)]
pub(crate) fn expand<K, T>(root: &Prk, info: &[&[u8]], kind: K) -> T
where
    K: KeyType,
    T: for<'a> From<Okm<'a, K>>,
{
    root.expand(info, kind)
        .map(T::from)
        .expect("a key of 32 bytes is within HKDF's bound")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entropy::ConstantEntropy;

    fn master(byte: u8) -> MasterKey {
        MasterKey::generate(&ConstantEntropy::new(byte)).unwrap()
    }

    #[test]
    fn current_and_previous_are_known_and_nothing_else() {
        let keyring = Keyring::new(master(1), vec![master(2), master(3)]);
        assert_eq!(*keyring.current_id(), master(1).id());
        for known in [1, 2, 3] {
            assert!(keyring.knows(&master(known).id()));
        }
        assert!(!keyring.knows(&master(4).id()));
    }

    #[test]
    fn a_clone_shares_the_keys() {
        let keyring = Keyring::new(master(1), Vec::new());
        let clone = keyring.clone();
        assert!(Arc::ptr_eq(&keyring.0, &clone.0));
    }

    #[test]
    fn debug_prints_ids_and_no_key() {
        let keyring = Keyring::new(master(1), vec![master(2)]);
        assert_eq!(
            format!("{keyring:?}"),
            format!(
                "Keyring {{ current: {:?}, previous: [{:?}], .. }}",
                master(1).id(),
                master(2).id()
            )
        );
    }
}
