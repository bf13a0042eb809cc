//! Refresh tokens: prefix, tenant, family, generation, a code over these, checksum.
//!
//! Nothing of a token is kept. It is derived from its family and generation under the master key, so whoever asks again
//! for a successor gets the same one, and the code proves that it was given out here. Whether it still counts is for the
//! family's record to say.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base62;
use crate::crc32::crc32;
use crate::{Keyring, SecretKind};

/// What the code is for; no other code is made over the same bytes.
const PURPOSE: &str = "refresh token";
/// Two ids and the generation.
const PLACE: usize = 2 * 16 + 4;
/// And the code.
const BYTES: usize = PLACE + 32;
/// 62⁹² is the first power of 62 above 2⁵⁴⁴.
const BODY: usize = 92;
/// 62⁶ is the first power of 62 above 2³².
const CHECKSUM: usize = 6;

/// Which token of which family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshPlace {
    /// The tenant whose it is.
    pub tenant: Uuid,
    /// The family.
    pub family: Uuid,
    /// Counts up with each rotation.
    pub generation: u32,
}

impl RefreshPlace {
    fn bytes(&self) -> [u8; PLACE] {
        let mut bytes = [0; PLACE];
        let parts = self.tenant.as_bytes().iter().chain(self.family.as_bytes());
        let parts = parts.copied().chain(self.generation.to_be_bytes());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = from;
        }
        bytes
    }
}

/// A refresh token in the clear. It prints nothing, cannot be compared and is wiped on drop;
/// [`RefreshToken::expose`] is the one way to its text.
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    /// The token of this place, always the same under one master key.
    pub fn derive(keyring: &Keyring, place: RefreshPlace) -> Self {
        let place = place.bytes();
        let code = keyring.mac(PURPOSE, &place);
        let mut bytes = Zeroizing::new([0; BYTES]);
        for (to, from) in bytes.iter_mut().zip(place.iter().chain(code.as_bytes())) {
            *to = *from;
        }
        let body = base62::encode::<BODY>(bytes.as_slice());
        let checksum = checksum(body.as_slice());
        // Room for all of it, so that growing leaves no copy behind.
        let prefix = SecretKind::Refresh.prefix();
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + BODY + CHECKSUM));
        text.push_str(prefix);
        text.extend(body.iter().chain(checksum.iter()).copied().map(char::from));
        Self(text)
    }

    /// Which token this is; none for what was not derived here, under the current master key or a previous one.
    pub fn place(keyring: &Keyring, text: &str) -> Option<RefreshPlace> {
        let digits = text.strip_prefix(SecretKind::Refresh.prefix())?.as_bytes();
        let (body, presented) = digits.split_first_chunk::<BODY>()?;
        if presented != checksum(body).as_slice() {
            return None;
        }
        let bytes = base62::decode::<BYTES>(body).ok()?;
        let (place, code) = bytes.split_first_chunk::<PLACE>()?;
        if !keyring.mac_matches(PURPOSE, place, code) {
            return None;
        }
        let (tenant, rest) = place.split_first_chunk::<16>()?;
        let (family, generation) = rest.split_first_chunk::<16>()?;
        Some(RefreshPlace {
            tenant: Uuid::from_bytes(*tenant),
            family: Uuid::from_bytes(*family),
            generation: u32::from_be_bytes(generation.try_into().ok()?),
        })
    }

    /// The text, to be given to its client.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshToken({}..)", SecretKind::Refresh.prefix())
    }
}

fn checksum(body: &[u8]) -> Zeroizing<[u8; CHECKSUM]> {
    let prefix = SecretKind::Refresh.prefix().as_bytes();
    base62::encode(&crc32(&[prefix, body]).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MasterKey, test_entropy::ConstantEntropy};

    fn master(byte: u8) -> MasterKey {
        MasterKey::generate(&ConstantEntropy::new(byte)).unwrap()
    }

    fn keyring(current: u8, previous: &[u8]) -> Keyring {
        let previous = previous.iter().map(|byte| master(*byte)).collect();
        Keyring::new(master(current), previous)
    }

    const PLACE: RefreshPlace = RefreshPlace {
        tenant: Uuid::from_u128(u128::MAX),
        family: Uuid::from_u128(7),
        generation: 3,
    };

    #[test]
    fn a_token_is_the_same_each_time_and_tells_its_place() {
        let keyring = keyring(1, &[]);
        for place in [
            PLACE,
            RefreshPlace {
                tenant: Uuid::nil(),
                family: Uuid::nil(),
                generation: 0,
            },
            RefreshPlace {
                family: Uuid::max(),
                generation: u32::MAX,
                ..PLACE
            },
        ] {
            let token = RefreshToken::derive(&keyring, place);
            assert_eq!(token.expose().len(), 4 + 92 + 6);
            assert!(token.expose().starts_with("grt_"));
            assert_eq!(
                token.expose(),
                RefreshToken::derive(&keyring, place).expose()
            );
            assert_eq!(RefreshToken::place(&keyring, token.expose()), Some(place));
        }
    }

    #[test]
    fn another_generation_family_tenant_or_master_key_makes_another_token() {
        let one = RefreshToken::derive(&keyring(1, &[]), PLACE);
        for other in [
            RefreshPlace {
                generation: 4,
                ..PLACE
            },
            RefreshPlace {
                family: Uuid::from_u128(8),
                ..PLACE
            },
            RefreshPlace {
                tenant: Uuid::from_u128(8),
                ..PLACE
            },
        ] {
            let other = RefreshToken::derive(&keyring(1, &[]), other);
            assert_ne!(one.expose(), other.expose());
        }
        let other = RefreshToken::derive(&keyring(2, &[]), PLACE);
        assert_ne!(one.expose(), other.expose());
        assert_eq!(RefreshToken::place(&keyring(2, &[]), one.expose()), None);
        // A former master key still knows its own.
        assert_eq!(
            RefreshToken::place(&keyring(2, &[1]), one.expose()),
            Some(PLACE)
        );
    }

    #[test]
    fn no_character_can_be_changed_cut_or_added() {
        let keyring = keyring(1, &[]);
        let token = RefreshToken::derive(&keyring, PLACE);
        let text = token.expose();
        for at in 0..text.len() {
            assert_eq!(RefreshToken::place(&keyring, &text[..at]), None);
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(RefreshToken::place(&keyring, &changed), None, "{at}");
        }
        for wrong in [
            format!("{text}0"),
            format!(" {text}"),
            text.replacen("grt_", "gat_", 1),
        ] {
            assert_eq!(RefreshToken::place(&keyring, &wrong), None);
        }
    }

    #[test]
    fn a_place_that_was_altered_with_its_checksum_is_not_believed() {
        let keyring = keyring(1, &[]);
        let token = RefreshToken::derive(&keyring, PLACE);
        let body = token.expose().strip_prefix("grt_").unwrap().as_bytes();
        let mut bytes = base62::decode::<BYTES>(&body[..BODY]).unwrap();
        for bit in 0..BYTES * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let body = base62::encode::<BODY>(bytes.as_slice());
            let digits = [body.as_slice(), checksum(body.as_slice()).as_slice()].concat();
            let forged = format!("grt_{}", String::from_utf8(digits).unwrap());
            assert_eq!(RefreshToken::place(&keyring, &forged), None, "{bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn debug_prints_nothing_of_it() {
        let token = RefreshToken::derive(&keyring(1, &[]), PLACE);
        assert_eq!(format!("{token:?}"), "RefreshToken(grt_..)");
    }
}
