//! What is kept of a token: enough to recognise it, nothing to present.

use std::{fmt, hint::black_box};

use ring::digest;

/// The SHA-256 of a token's text. Tokens carry 256 random bits or a signature, so no salt is needed.
#[derive(Clone, Copy)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token as it was presented.
    pub fn of(token: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, token.as_bytes());
        let mut hash = [0u8; 32];
        for (to, from) in hash.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(hash)
    }

    /// The bytes to store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes what was stored; nothing, if that is not 32 bytes.
    pub fn from_stored(stored: &[u8]) -> Option<Self> {
        stored.try_into().ok().map(Self)
    }

    /// Whether this is the hash of the token, in constant time.
    pub fn matches(&self, token: &str) -> bool {
        let other = Self::of(token);
        // Every byte is looked at, whatever the ones before said.
        let difference = self
            .0
            .iter()
            .zip(&other.0)
            .fold(0u8, |seen, (a, b)| black_box(seen | (a ^ b)));
        difference == 0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fips_180_the_hash_of_abc() {
        let expected = [
            0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae,
            0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61,
            0xf2, 0x00, 0x15, 0xad,
        ];
        assert_eq!(TokenHash::of("abc").as_bytes(), &expected);
    }

    #[test]
    fn only_the_token_itself_matches() {
        let hash = TokenHash::of("gat_token");
        assert!(hash.matches("gat_token"));
        for other in ["", "gat_toke", "gat_token ", "GAT_token"] {
            assert!(!hash.matches(other));
        }
    }

    #[test]
    fn a_difference_in_any_bit_is_seen() {
        let right = *TokenHash::of("token").as_bytes();
        for bit in 0..256 {
            let mut wrong = right;
            wrong[bit / 8] ^= 1 << (bit % 8);
            assert!(!TokenHash::from_stored(&wrong).unwrap().matches("token"));
        }
    }

    #[test]
    fn storage_gives_back_only_32_bytes() {
        let hash = TokenHash::of("token");
        assert!(
            TokenHash::from_stored(hash.as_bytes())
                .unwrap()
                .matches("token")
        );
        for length in [0, 31, 33, 64] {
            assert!(TokenHash::from_stored(&vec![0; length]).is_none());
        }
    }

    #[test]
    fn debug_prints_nothing_of_the_hash() {
        assert_eq!(format!("{:?}", TokenHash::of("token")), "TokenHash(..)");
    }
}
