//! Sources of randomness for this crate's tests: repeatable, constant, broken.

use std::sync::atomic::{AtomicU64, Ordering};

use ring::{digest, rand::SecureRandom};

use crate::{Entropy, EntropyError, SystemEntropy};

/// A repeatable stream: block `n` is SHA-256 of `n`. Key pairs and signatures stay random.
#[derive(Debug, Default)]
pub(crate) struct CountingEntropy {
    next: AtomicU64,
    system: SystemEntropy,
}

impl Entropy for CountingEntropy {
    fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in buf.chunks_mut(32) {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let block = digest::digest(&digest::SHA256, &n.to_be_bytes());
            chunk.copy_from_slice(&block.as_ref()[..chunk.len()]);
        }
        Ok(())
    }

    fn ring(&self) -> &dyn SecureRandom {
        self.system.ring()
    }
}

/// Fills with one byte over and over.
#[derive(Debug)]
pub(crate) struct ConstantEntropy(pub(crate) u8, SystemEntropy);

impl ConstantEntropy {
    pub(crate) fn new(byte: u8) -> Self {
        Self(byte, SystemEntropy::default())
    }
}

impl Entropy for ConstantEntropy {
    fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError> {
        buf.fill(self.0);
        Ok(())
    }

    fn ring(&self) -> &dyn SecureRandom {
        self.1.ring()
    }
}

/// Never yields a byte.
#[derive(Debug, Default)]
pub(crate) struct BrokenEntropy(SystemEntropy);

impl Entropy for BrokenEntropy {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }

    fn ring(&self) -> &dyn SecureRandom {
        self.0.ring()
    }
}
