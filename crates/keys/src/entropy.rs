//! Where randomness comes from: handed in, so that a test can repeat a run.

use std::fmt;

use ring::rand::{SecureRandom, SystemRandom};

/// A source of random bytes fit for keys.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills the whole buffer with random bytes.
    fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError>;

    /// The source in the form that `ring` wants for key generation and signing.
    ///
    /// `ring` seals its trait, so this can only hand on one of `ring`'s own sources.
    fn ring(&self) -> &dyn SecureRandom;
}

/// The random source failed; nothing that depends on it may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source failed")]
pub struct EntropyError;

/// The operating system's random source.
#[derive(Debug)]
pub struct SystemEntropy(SystemRandom);

impl Default for SystemEntropy {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the ambient source is turned into an injected one"
    )]
    fn default() -> Self {
        Self(SystemRandom::new())
    }
}

impl Entropy for SystemEntropy {
    fn fill(&self, buf: &mut [u8]) -> Result<(), EntropyError> {
        self.0.fill(buf).map_err(|_| EntropyError)
    }

    fn ring(&self) -> &dyn SecureRandom {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_from_the_system_differ() {
        let entropy = SystemEntropy::default();
        let (mut first, mut second) = ([0u8; 32], [0u8; 32]);
        entropy.fill(&mut first).unwrap();
        entropy.fill(&mut second).unwrap();
        assert_ne!(first, second);
    }
}
