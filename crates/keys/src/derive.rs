//! Message authentication for what leaves the server and comes back, cursors above all.

use std::fmt;

use ring::hmac;

use crate::Keyring;
use crate::keyring::DerivedKeys;

/// An authentication code over a message, for one purpose.
///
/// It cannot be compared: [`Keyring::mac_matches`] does that, in constant time.
#[derive(Clone, Copy)]
pub struct Mac([u8; 32]);

impl Mac {
    /// The bytes to send along with the message.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mac(..)")
    }
}

impl Keyring {
    /// HMAC-SHA256 under a key that only this purpose has.
    pub fn mac(&self, purpose: &'static str, message: &[u8]) -> Mac {
        mac_under(self.current(), purpose, message)
    }

    /// The same under each configured master key, the current one first: for what is found again by its code.
    pub fn macs(&self, purpose: &'static str, message: &[u8]) -> impl Iterator<Item = Mac> {
        self.all()
            .map(move |keys| mac_under(keys, purpose, message))
    }

    /// Whether this code was made here for this purpose and message, by the current or a previous key.
    pub fn mac_matches(&self, purpose: &'static str, message: &[u8], presented: &[u8]) -> bool {
        self.all()
            .any(|keys| hmac::verify(&keys.mac_key(purpose), message, presented).is_ok())
    }
}

fn mac_under(keys: &DerivedKeys, purpose: &str, message: &[u8]) -> Mac {
    let tag = hmac::sign(&keys.mac_key(purpose), message);
    let mut mac = [0u8; 32];
    for (to, from) in mac.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    Mac(mac)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;
    use crate::{MasterKey, test_entropy::ConstantEntropy};

    fn master(byte: u8) -> MasterKey {
        MasterKey::generate(&ConstantEntropy::new(byte)).unwrap()
    }

    #[test]
    fn a_code_matches_its_message_and_purpose_only() {
        let keyring = Keyring::new(master(1), Vec::new());
        let mac = keyring.mac("cursor", b"page 2");
        assert!(keyring.mac_matches("cursor", b"page 2", mac.as_bytes()));
        assert!(!keyring.mac_matches("cursor", b"page 3", mac.as_bytes()));
        assert!(!keyring.mac_matches("state", b"page 2", mac.as_bytes()));
        // Purpose and message do not run into each other.
        assert!(!keyring.mac_matches("curso", b"rpage 2", mac.as_bytes()));
    }

    #[test]
    fn the_code_stays_what_older_versions_gave_out() {
        // Made by another implementation of the same description.
        let mac = Keyring::new(master(1), Vec::new()).mac("cursor", b"page 2");
        assert_eq!(
            URL_SAFE_NO_PAD.encode(mac.as_bytes()),
            "S1k4AKkOVBTnpydstR77Gd0kWL1tUoGDqZxtS_7q3iQ"
        );
    }

    #[test]
    fn what_was_found_by_a_previous_key_is_found_again() {
        let mac = Keyring::new(master(1), Vec::new()).mac("cursor", b"m");
        let rotated = Keyring::new(master(2), vec![master(1)]);
        let macs: Vec<_> = rotated
            .macs("cursor", b"m")
            .map(|mac| *mac.as_bytes())
            .collect();
        assert_eq!(
            macs,
            [*rotated.mac("cursor", b"m").as_bytes(), *mac.as_bytes()]
        );
    }

    #[test]
    fn a_code_of_another_length_never_matches() {
        let keyring = Keyring::new(master(1), Vec::new());
        let mut presented = keyring.mac("cursor", b"m").as_bytes().to_vec();
        for length in 0..32 {
            assert!(!keyring.mac_matches("cursor", b"m", &presented[..length]));
        }
        presented.push(0);
        assert!(!keyring.mac_matches("cursor", b"m", &presented));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let keyring = Keyring::new(master(1), Vec::new());
        let mac = *keyring.mac("cursor", b"m").as_bytes();
        for bit in 0..256 {
            let mut presented = mac;
            presented[bit / 8] ^= 1 << (bit % 8);
            assert!(!keyring.mac_matches("cursor", b"m", &presented));
        }
    }

    #[test]
    fn a_previous_key_is_accepted_and_a_strange_one_is_not() {
        let mac = Keyring::new(master(1), Vec::new()).mac("cursor", b"m");
        let rotated = Keyring::new(master(2), vec![master(3), master(1)]);
        assert!(rotated.mac_matches("cursor", b"m", mac.as_bytes()));
        let strange = Keyring::new(master(2), vec![master(3)]);
        assert!(!strange.mac_matches("cursor", b"m", mac.as_bytes()));
        assert_ne!(rotated.mac("cursor", b"m").as_bytes(), mac.as_bytes());
    }

    #[test]
    fn debug_prints_nothing_of_the_code() {
        let mac = Keyring::new(master(1), Vec::new()).mac("cursor", b"m");
        assert_eq!(format!("{mac:?}"), "Mac(..)");
    }
}
