//! Randomness that repeats: the same seed, the same ids and secrets.

use std::sync::atomic::{AtomicU64, Ordering};

use grantor_keys::{Entropy, EntropyError, SystemEntropy};
use ring::digest::{SHA256, digest};
use ring::rand::SecureRandom;

/// Seeded randomness. Key pairs and signatures are random all the same: ring takes only its own source.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    drawn: AtomicU64,
    system: SystemEntropy,
}

impl SeededEntropy {
    /// A source that repeats for this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            drawn: AtomicU64::new(0),
            system: SystemEntropy::default(),
        }
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in buf.chunks_mut(32) {
            let drawn = self.drawn.fetch_add(1, Ordering::SeqCst);
            let block = digest(
                &SHA256,
                &[self.seed.to_be_bytes(), drawn.to_be_bytes()].concat(),
            );
            for (byte, random) in chunk.iter_mut().zip(block.as_ref()) {
                *byte = *random;
            }
        }
        Ok(())
    }

    fn ring(&self) -> &dyn SecureRandom {
        self.system.ring()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_another_another() {
        let draw = |seed| {
            let entropy = SeededEntropy::new(seed);
            let mut bytes = [0; 100];
            entropy.fill(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[..32], draw(1)[32..64]);
    }
}
