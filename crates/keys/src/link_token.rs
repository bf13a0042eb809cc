//! The token in a link by which a member sets a password: it says whose it is, and proves it by 256 random bits.
//!
//! What stands in it in the clear (ids) only tells where to look: nothing of it is believed before the hash of the whole
//! token has matched the one that is kept.

use std::fmt;

use uuid::Uuid;
use zeroize::Zeroizing;

use crate::base62::{self, DecodeError};
use crate::crc32::crc32;
use crate::{Entropy, EntropyError, MalformedSecret, TokenHash};

/// What every such token begins with.
const PREFIX: &str = "glk_";
/// Three ids and 256 random bits.
const BYTES: usize = 3 * 16 + 32;
/// 62¹⁰⁸ is the first power of 62 above 2⁶⁴⁰.
const BODY: usize = 108;
/// 62⁶ is the first power of 62 above 2³².
const CHECKSUM: usize = 6;

/// The token in the clear. It prints nothing, cannot be compared and is wiped on drop; [`LinkToken::expose`] is the one
/// way to its text.
pub struct LinkToken {
    tenant: Uuid,
    member: Uuid,
    id: Uuid,
    text: Zeroizing<String>,
}

impl LinkToken {
    /// Makes the token of a link.
    pub fn generate(
        tenant: Uuid,
        member: Uuid,
        id: Uuid,
        entropy: &dyn Entropy,
    ) -> Result<Self, EntropyError> {
        let mut random = Zeroizing::new([0u8; 32]);
        entropy.fill(random.as_mut_slice())?;
        let ids = [tenant.as_bytes(), member.as_bytes(), id.as_bytes()];
        let mut bytes = Zeroizing::new([0u8; BYTES]);
        let parts = ids.iter().flat_map(|id| id.iter()).chain(random.iter());
        for (to, from) in bytes.iter_mut().zip(parts) {
            *to = *from;
        }
        let body = base62::encode::<BODY>(bytes.as_slice());
        let checksum = checksum(body.as_slice());
        // Room for all of it, so that growing leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + BODY + CHECKSUM));
        text.push_str(PREFIX);
        text.extend(body.iter().chain(checksum.iter()).copied().map(char::from));
        Ok(Self {
            tenant,
            member,
            id,
            text,
        })
    }

    /// Accepts what [`LinkToken::generate`] can have made, and nothing else.
    pub fn parse(text: &str) -> Result<Self, MalformedSecret> {
        let digits = text
            .strip_prefix(PREFIX)
            .ok_or(MalformedSecret::Prefix)?
            .as_bytes();
        let (body, presented) = digits
            .split_first_chunk::<BODY>()
            .filter(|(_, rest)| rest.len() == CHECKSUM)
            .ok_or(MalformedSecret::Length)?;
        if !digits.iter().all(u8::is_ascii_alphanumeric) {
            return Err(MalformedSecret::Alphabet);
        }
        if presented != checksum(body).as_slice() {
            return Err(MalformedSecret::Checksum);
        }
        let bytes = base62::decode::<BYTES>(body).map_err(|error| match error {
            DecodeError::Alphabet => MalformedSecret::Alphabet,
            DecodeError::Range => MalformedSecret::Range,
        })?;
        let id = |place: usize| {
            let bytes = bytes.chunks_exact(16).nth(place);
            bytes
                .and_then(|bytes| Uuid::from_slice(bytes).ok())
                .ok_or(MalformedSecret::Length)
        };
        Ok(Self {
            tenant: id(0)?,
            member: id(1)?,
            id: id(2)?,
            text: Zeroizing::new(text.to_owned()),
        })
    }

    /// The tenant that it says to be of.
    pub fn tenant(&self) -> Uuid {
        self.tenant
    }

    /// The member whose it says to be.
    pub fn member(&self) -> Uuid {
        self.member
    }

    /// The link's id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The text, to be put into a link.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What is kept of it. The ids are hashed along, so that it is good for its own link alone.
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.text)
    }

    /// Whether this is the token that a hash was kept of; the comparison takes constant time.
    pub fn is_of(&self, kept: TokenHash) -> bool {
        kept.matches(&self.text)
    }
}

impl fmt::Debug for LinkToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LinkToken({PREFIX}..)")
    }
}

fn checksum(body: &[u8]) -> Zeroizing<[u8; CHECKSUM]> {
    base62::encode(&crc32(&[PREFIX.as_bytes(), body]).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entropy::{BrokenEntropy, ConstantEntropy, CountingEntropy};

    fn ids() -> [Uuid; 3] {
        [1, 2, u128::MAX].map(Uuid::from_u128)
    }

    fn token(entropy: &dyn Entropy) -> LinkToken {
        let [tenant, member, id] = ids();
        LinkToken::generate(tenant, member, id, entropy).unwrap()
    }

    /// The same digits with a checksum that fits.
    fn sealed(body: &str) -> String {
        let checksum = checksum(body.as_bytes());
        format!(
            "glk_{body}{}",
            std::str::from_utf8(checksum.as_slice()).unwrap()
        )
    }

    #[test]
    fn it_says_whose_it_is_and_comes_back_from_its_text() {
        for byte in [0x00, 0xff] {
            let token = token(&ConstantEntropy::new(byte));
            assert_eq!(token.expose().len(), 118);
            let parsed = LinkToken::parse(token.expose()).unwrap();
            assert_eq!([parsed.tenant(), parsed.member(), parsed.id()], ids());
            assert!(parsed.is_of(token.hash()));
        }
    }

    #[test]
    fn two_tokens_of_one_link_differ_and_neither_is_of_the_others_hash() {
        let entropy = CountingEntropy::default();
        let (one, two) = (token(&entropy), token(&entropy));
        assert_ne!(one.expose(), two.expose());
        assert!(!one.is_of(two.hash()));
    }

    #[test]
    fn the_ids_are_bound_by_the_hash() {
        let [tenant, member, id] = ids();
        let entropy = ConstantEntropy::new(9);
        let one = LinkToken::generate(tenant, member, id, &entropy).unwrap();
        let other = LinkToken::generate(tenant, tenant, id, &entropy).unwrap();
        assert!(!other.is_of(one.hash()));
    }

    #[test]
    fn what_was_not_made_here_is_refused() {
        let good = token(&CountingEntropy::default()).expose().to_owned();
        let body = &good[4..112];
        for (text, why) in [
            ("", MalformedSecret::Prefix),
            (&good[1..], MalformedSecret::Prefix),
            (&good.replace("glk_", "gat_"), MalformedSecret::Prefix),
            ("glk_", MalformedSecret::Length),
            (&good[..117], MalformedSecret::Length),
            (&format!("{good}0"), MalformedSecret::Length),
            (
                &good.replacen(&body[..2], "é", 1),
                MalformedSecret::Alphabet,
            ),
            (
                &format!("glk_{}", "-".repeat(114)),
                MalformedSecret::Alphabet,
            ),
            (&sealed(&"z".repeat(108)), MalformedSecret::Range),
        ] {
            assert_eq!(LinkToken::parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn a_slip_in_any_place_is_noticed() {
        let good = token(&CountingEntropy::default()).expose().to_owned();
        for place in 4..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[place] = if bytes[place] == b'a' { b'b' } else { b'a' };
            let slipped = String::from_utf8(bytes).unwrap();
            assert_eq!(
                LinkToken::parse(&slipped).unwrap_err(),
                MalformedSecret::Checksum
            );
        }
    }

    #[test]
    fn without_randomness_there_is_none_and_debug_prints_nothing_of_it() {
        let [tenant, member, id] = ids();
        assert!(LinkToken::generate(tenant, member, id, &BrokenEntropy::default()).is_err());
        assert_eq!(
            format!("{:?}", token(&CountingEntropy::default())),
            "LinkToken(glk_..)"
        );
    }
}
