//! What is kept of a password that a person chose: a slow, salted hash (argon2id, RFC 9106).
//!
//! It is made for one owner, whose id is hashed along: moved to another row it verifies nothing. The stored form tells
//! its parameters, so they can grow with the machines; [`PasswordVerifier::is_dated`] tells which were made with less.

use std::fmt;

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{Entropy, EntropyError};

/// Says what is hashed, and how its parts are joined; a change of that takes the next number.
const VERSION: &str = "p1";
/// How much memory one hash takes, in KiB: 19 MiB, the least that OWASP advises for two passes.
const MEMORY_KIB: u32 = 19 * 1024;
/// How often it goes through that memory.
const PASSES: u32 = 2;
/// How many lanes it computes side by side.
const LANES: u32 = 1;
/// RFC 9106 §3.1: 16 bytes of salt are recommended.
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// What a stored verifier may ask for at most: a row that was tampered with must not take all of the memory.
const MOST_MEMORY_KIB: u32 = 4 * MEMORY_KIB;
const MOST_PASSES: u32 = 16;
const MOST_LANES: u32 = 4;

/// How many blocks are allocated at least: glibc maps and unmaps whatever exceeds 32 MiB. What isn't used costs nothing.
const ALLOCATED_BLOCKS: usize = (32 << 20) / Block::SIZE + 1;

/// The memory in which hashes are computed. Whoever computes many of them keeps it: a third of the time of one goes to having
/// new memory mapped. It is at its size after the first, and nothing of one hash reaches the next.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// So many blocks, with whatever is in them: each is written before it is read.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            // One of this size is given back to the system when it is freed. A smaller one stays with the heap of its
            // thread, and as any of many threads may hash, that would come to many times the memory of those that hash at
            // once.
            self.0 = Vec::with_capacity(count.max(ALLOCATED_BLOCKS));
            self.0.resize(count, Block::default());
        }
        self.0.get_mut(..count).unwrap_or_default()
    }

    /// Leaves nothing in it of the last hash: from all of it, a password could be tried out fast.
    pub fn wipe(&mut self) {
        self.0.fill(Block::default());
    }

    /// Whether it is no more than a hash takes that is made now: more is not worth keeping.
    pub fn is_worth_keeping(&self) -> bool {
        self.0.len() <= MEMORY_KIB as usize
    }
}

impl fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashMemory(..)")
    }
}

/// The stored form: a version, then what the password hashing competition's format says, salt and hash included.
#[derive(Clone)]
pub struct PasswordVerifier(String);

/// Why no verifier could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// There was no salt.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The hash could not be computed: a defect of ours, for the parameters are fixed.
    #[error("the password's hash could not be computed")]
    Hash,
}

/// A stored verifier of a password that can't be read, or that asks for more than is ever spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored verifier of a password has an unknown form")]
pub struct UnknownPasswordVerifier;

impl PasswordVerifier {
    /// Hashes a password for its owner. It takes about 20 ms and 19 MiB, so not on a thread that others wait for.
    pub fn hash(
        password: &str,
        owner: Uuid,
        entropy: &dyn Entropy,
        memory: &mut HashMemory,
    ) -> Result<Self, PasswordHashError> {
        let mut salt = [0; SALT_BYTES];
        entropy.fill(&mut salt)?;
        Self::with(password, owner, &salt, MEMORY_KIB, PASSES, memory)
            .ok_or(PasswordHashError::Hash)
    }

    fn with(
        password: &str,
        owner: Uuid,
        salt: &[u8],
        memory_kib: u32,
        passes: u32,
        memory: &mut HashMemory,
    ) -> Option<Self> {
        let params = Params::new(memory_kib, passes, LANES, Some(HASH_BYTES)).ok()?;
        let hash = computed(params.clone(), password, owner, salt, memory)?;
        let salt = SaltString::encode_b64(salt).ok()?;
        let stored = PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params).ok()?,
            salt: Some(salt.as_salt()),
            hash: Some(Output::new(hash.as_slice()).ok()?),
        };
        Some(Self(format!("{VERSION}{stored}")))
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Takes what was stored; whether it can be checked shows when it is.
    pub fn from_stored(stored: String) -> Self {
        Self(stored)
    }

    /// Whether this is the owner's password. It takes as long as the hash; the comparison takes constant time.
    pub fn verify(
        &self,
        password: &str,
        owner: Uuid,
        memory: &mut HashMemory,
    ) -> Result<bool, UnknownPasswordVerifier> {
        let (params, salt, expected) = self.read().ok_or(UnknownPasswordVerifier)?;
        let hash =
            computed(params, password, owner, &salt, memory).ok_or(UnknownPasswordVerifier)?;
        // `Output` compares in constant time.
        Ok(Output::new(hash.as_slice()).is_ok_and(|hash| hash == expected))
    }

    /// Whether it was made with other parameters than are used now, so that it should be made anew once the password
    /// is at hand.
    pub fn is_dated(&self) -> bool {
        self.read().is_none_or(|(params, ..)| {
            (params.m_cost(), params.t_cost(), params.p_cost()) != (MEMORY_KIB, PASSES, LANES)
        })
    }

    /// Spends the time of [`PasswordVerifier::verify`] where there is no password, so that its absence does not show.
    pub fn verify_nobody(password: &str, owner: Uuid, memory: &mut HashMemory) {
        let _ = std::hint::black_box(Self::with(
            password,
            owner,
            &[0; SALT_BYTES],
            MEMORY_KIB,
            PASSES,
            memory,
        ));
    }

    fn read(&self) -> Option<(Params, Vec<u8>, Output)> {
        let parsed = PasswordHash::new(self.0.strip_prefix(VERSION)?).ok()?;
        let is_known = parsed.algorithm == Algorithm::Argon2id.ident()
            && parsed.version == Some(Version::V0x13.into());
        let params = Params::try_from(&parsed).ok()?;
        let is_affordable = params.m_cost() <= MOST_MEMORY_KIB
            && params.t_cost() <= MOST_PASSES
            && params.p_cost() <= MOST_LANES;
        let salt = decoded(parsed.salt?)?;
        let hash = parsed.hash.filter(|hash| hash.len() == HASH_BYTES)?;
        (is_known && is_affordable).then_some((params, salt, hash))
    }
}

fn decoded(salt: Salt<'_>) -> Option<Vec<u8>> {
    let mut bytes = [0; Salt::MAX_LENGTH];
    salt.decode_b64(&mut bytes).ok().map(<[u8]>::to_vec)
}

fn computed(
    params: Params,
    password: &str,
    owner: Uuid,
    salt: &[u8],
    memory: &mut HashMemory,
) -> Option<Zeroizing<[u8; HASH_BYTES]>> {
    // The owner's id has a fixed length, so the two parts cannot run into each other.
    let message = Zeroizing::new([owner.as_bytes(), password.as_bytes()].concat());
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    let blocks = memory.blocks(params.block_count());
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(&message, salt, hash.as_mut_slice(), blocks)
        .ok()?;
    Some(hash)
}

impl fmt::Debug for PasswordVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordVerifier(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entropy::{BrokenEntropy, ConstantEntropy, CountingEntropy};

    const OWNER: Uuid = Uuid::from_u128(7);
    const PASSWORD: &str = "correct horse battery staple";

    fn fresh() -> HashMemory {
        HashMemory::default()
    }

    fn verifier() -> PasswordVerifier {
        PasswordVerifier::hash(PASSWORD, OWNER, &CountingEntropy::default(), &mut fresh()).unwrap()
    }

    #[test]
    fn the_password_verifies_and_no_other_text_does() {
        let verifier = verifier();
        assert_eq!(verifier.verify(PASSWORD, OWNER, &mut fresh()), Ok(true));
        for wrong in [
            "",
            &PASSWORD[1..],
            "Correct horse battery staple",
            &format!("{PASSWORD} "),
        ] {
            assert_eq!(
                verifier.verify(wrong, OWNER, &mut fresh()),
                Ok(false),
                "{wrong}"
            );
        }
    }

    #[test]
    fn what_was_stored_still_verifies_and_says_how_it_was_made() {
        let made = PasswordVerifier::hash(PASSWORD, OWNER, &ConstantEntropy::new(1), &mut fresh())
            .unwrap();
        assert!(
            made.as_str()
                .starts_with("p1$argon2id$v=19$m=19456,t=2,p=1$AQEBAQEBAQEBAQEBAQEBAQ$"),
            "{}",
            made.as_str()
        );
        let stored = PasswordVerifier::from_stored(made.as_str().to_owned());
        assert_eq!(stored.verify(PASSWORD, OWNER, &mut fresh()), Ok(true));
        assert!(!stored.is_dated());
    }

    #[test]
    fn two_salts_make_two_verifiers_of_one_password() {
        let entropy = CountingEntropy::default();
        let [one, two] = [(); 2]
            .map(|()| PasswordVerifier::hash(PASSWORD, OWNER, &entropy, &mut fresh()).unwrap());
        assert_ne!(one.as_str(), two.as_str());
    }

    #[test]
    fn a_verifier_moved_to_another_owner_verifies_nothing() {
        assert_eq!(
            verifier().verify(PASSWORD, Uuid::from_u128(8), &mut fresh()),
            Ok(false)
        );
    }

    #[test]
    fn one_made_with_other_parameters_verifies_and_is_dated() {
        for (memory, passes) in [(64, 1), (MEMORY_KIB, 1), (MEMORY_KIB + 8, PASSES)] {
            let other =
                PasswordVerifier::with(PASSWORD, OWNER, &[1; 16], memory, passes, &mut fresh())
                    .unwrap();
            assert_eq!(other.verify(PASSWORD, OWNER, &mut fresh()), Ok(true));
            assert_eq!(other.verify("another", OWNER, &mut fresh()), Ok(false));
            assert!(other.is_dated());
        }
    }

    #[test]
    fn what_cannot_be_read_or_asks_for_too_much_is_an_error_and_never_a_match() {
        let good = verifier().as_str().to_owned();
        for stored in [
            String::new(),
            "p1".to_owned(),
            good[2..].to_owned(),
            good.replace("p1$", "p2$"),
            good.replace("argon2id", "argon2i"),
            good.replace("v=19", "v=16"),
            good.replace("$v=19", ""),
            good.replace("m=19456", "m=4294967295"),
            good.replace("m=19456", "m=77825"),
            good.replace("t=2", "t=17"),
            good.replace("p=1", "p=5"),
            good.replace("p=1", "p=0"),
            good[..good.len() - 8].to_owned(),
            format!("{good}$x"),
            PASSWORD.to_owned(),
        ] {
            let verifier = PasswordVerifier::from_stored(stored.clone());
            assert_eq!(
                verifier.verify(PASSWORD, OWNER, &mut fresh()),
                Err(UnknownPasswordVerifier),
                "{stored}"
            );
            assert!(verifier.is_dated(), "{stored}");
        }
    }

    #[test]
    fn without_randomness_there_is_no_verifier() {
        assert_eq!(
            PasswordVerifier::hash(PASSWORD, OWNER, &BrokenEntropy::default(), &mut fresh())
                .unwrap_err(),
            PasswordHashError::Entropy(EntropyError)
        );
    }

    #[test]
    fn whatever_a_memory_was_used_for_before_the_hash_is_the_same() {
        let memory = &mut fresh();
        let made = |memory: &mut HashMemory| {
            PasswordVerifier::hash(PASSWORD, OWNER, &ConstantEntropy::new(1), memory).unwrap()
        };
        let first = made(memory);
        let bigger =
            PasswordVerifier::with("another", OWNER, &[2; 16], 2 * MEMORY_KIB, 1, memory).unwrap();
        assert!(!memory.is_worth_keeping());
        assert_eq!(bigger.verify("another", OWNER, memory), Ok(true));
        assert_eq!(made(memory).as_str(), first.as_str());
        assert_eq!(first.verify(PASSWORD, OWNER, memory), Ok(true));
        assert_eq!(first.verify("another", OWNER, memory), Ok(false));
        assert_eq!(format!("{memory:?}"), "HashMemory(..)");
        memory.wipe();
        assert!(
            memory
                .0
                .iter()
                .all(|block| block.as_ref().iter().all(|word| *word == 0))
        );
        let memory = &mut fresh();
        assert_eq!(first.verify(PASSWORD, OWNER, memory), Ok(true));
        assert!(memory.is_worth_keeping());
    }

    #[test]
    fn nobody_costs_a_hash_and_debug_prints_nothing_of_it() {
        PasswordVerifier::verify_nobody(PASSWORD, OWNER, &mut fresh());
        assert_eq!(format!("{:?}", verifier()), "PasswordVerifier(..)");
    }
}
