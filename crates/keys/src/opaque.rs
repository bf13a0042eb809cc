//! Access tokens that tell nothing to who holds them: prefix, where their record is, 256 random bits, checksum.
//!
//! Where the record is, is written so that it is found by its key. It proves nothing: the hash of the whole token
//! does, which alone is kept.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base62;
use crate::crc32::crc32;
use crate::{Entropy, EntropyError, SecretKind};

/// Three ids and 256 bits.
const BYTES: usize = 3 * 16 + 32;
/// 62¹⁰⁸ is the first power of 62 above 2⁶⁴⁰.
const BODY: usize = 108;
/// 62⁶ is the first power of 62 above 2³².
const CHECKSUM: usize = 6;

/// Where the record of a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenPlace {
    /// The tenant whose it is.
    pub tenant: Uuid,
    /// The client that got it.
    pub client: Uuid,
    /// Its id.
    pub id: Uuid,
}

/// An opaque access token in the clear. It prints nothing, cannot be compared and is wiped on drop;
/// [`OpaqueToken::expose`] is the one way to its text.
pub struct OpaqueToken(Zeroizing<String>);

impl OpaqueToken {
    /// Makes a new token whose record is in this place.
    pub fn generate(place: TokenPlace, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = Zeroizing::new([0u8; BYTES]);
        let (ids, secret) = bytes.split_at_mut(3 * 16);
        for (to, id) in ids
            .chunks_exact_mut(16)
            .zip([place.tenant, place.client, place.id])
        {
            to.copy_from_slice(id.as_bytes());
        }
        entropy.fill(secret)?;
        let body = base62::encode::<BODY>(bytes.as_slice());
        let checksum = checksum(body.as_slice());
        // Room for all of it, so that growing leaves no copy behind.
        let prefix = SecretKind::OpaqueAccess.prefix();
        let mut text = Zeroizing::new(String::with_capacity(prefix.len() + BODY + CHECKSUM));
        text.push_str(prefix);
        text.extend(body.iter().chain(checksum.iter()).copied().map(char::from));
        Ok(Self(text))
    }

    /// The text, to be given to its client or to be hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for OpaqueToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpaqueToken({}..)", SecretKind::OpaqueAccess.prefix())
    }
}

impl TokenPlace {
    /// Where the record of a token would be, **believed by nobody**; none for what no token is that
    /// [`OpaqueToken::generate`] can have made.
    pub fn of(token: &str) -> Option<Self> {
        let digits = token
            .strip_prefix(SecretKind::OpaqueAccess.prefix())?
            .as_bytes();
        let (body, presented) = digits.split_first_chunk::<BODY>()?;
        if presented != checksum(body).as_slice() {
            return None;
        }
        let bytes = base62::decode::<BYTES>(body).ok()?;
        let mut ids = bytes
            .chunks_exact(16)
            .map_while(|id| Uuid::from_slice(id).ok());
        Some(Self {
            tenant: ids.next()?,
            client: ids.next()?,
            id: ids.next()?,
        })
    }
}

fn checksum(body: &[u8]) -> Zeroizing<[u8; CHECKSUM]> {
    let prefix = SecretKind::OpaqueAccess.prefix().as_bytes();
    base62::encode(&crc32(&[prefix, body]).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entropy::{BrokenEntropy, ConstantEntropy, CountingEntropy};

    fn place() -> TokenPlace {
        TokenPlace {
            tenant: Uuid::from_u128(1),
            client: Uuid::from_u128(u128::MAX),
            id: Uuid::from_u128(3 << 80),
        }
    }

    fn token() -> String {
        let made = OpaqueToken::generate(place(), &CountingEntropy::default()).unwrap();
        made.expose().to_owned()
    }

    #[test]
    fn token_6_a_token_leads_to_its_record() {
        let token = token();
        assert_eq!(token.len(), "gat_".len() + 114);
        assert_eq!(TokenPlace::of(&token), Some(place()));
        for ends in [0x00, 0xff] {
            let place = TokenPlace {
                tenant: Uuid::from_bytes([ends; 16]),
                client: Uuid::from_bytes([ends; 16]),
                id: Uuid::from_bytes([ends; 16]),
            };
            let made = OpaqueToken::generate(place, &ConstantEntropy::new(ends)).unwrap();
            assert_eq!(TokenPlace::of(made.expose()), Some(place));
        }
    }

    #[test]
    fn token_6_two_tokens_of_one_place_differ() {
        let entropy = CountingEntropy::default();
        let texts = [(); 2].map(|()| {
            let made = OpaqueToken::generate(place(), &entropy).unwrap();
            made.expose().to_owned()
        });
        assert_ne!(texts[0], texts[1]);
    }

    #[test]
    fn any_changed_character_and_any_other_length_leads_nowhere() {
        let token = token();
        for at in 0..token.len() {
            for replacement in ['0', 'A', 'z', '.', ' '] {
                let mut text = token.clone();
                text.replace_range(at..=at, replacement.encode_utf8(&mut [0; 4]));
                assert_eq!(TokenPlace::of(&text).is_some(), text == token, "{at}");
            }
            assert_eq!(TokenPlace::of(&token[..at]), None, "{at}");
        }
        assert_eq!(TokenPlace::of(&format!("{token}0")), None);
        let astride = format!("gat_{}é{}", "0".repeat(107), "0".repeat(5));
        assert_eq!(TokenPlace::of(&astride), None);
    }

    #[test]
    fn a_value_beyond_the_range_leads_nowhere_though_its_checksum_is_right() {
        let body = [b'z'; BODY];
        let checksum = checksum(&body);
        let text = format!(
            "gat_{}{}",
            "z".repeat(BODY),
            str::from_utf8(checksum.as_slice()).unwrap()
        );
        assert_eq!(TokenPlace::of(&text), None);
    }

    #[test]
    fn debug_prints_the_prefix_alone_and_without_randomness_there_is_no_token() {
        let made = OpaqueToken::generate(place(), &CountingEntropy::default()).unwrap();
        assert_eq!(format!("{made:?}"), "OpaqueToken(gat_..)");
        assert!(OpaqueToken::generate(place(), &BrokenEntropy::default()).is_err());
    }
}
