//! Secrets that this server makes: shown once, recognisable by their prefix, with a checksum that
//! catches a slip of the hand before anything is looked up.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    Entropy, EntropyError,
    base62::{self, DecodeError},
    crc32::crc32,
};

/// 62⁴³ is the first power of 62 above 2²⁵⁶.
const BODY: usize = 43;
/// 62⁶ is the first power of 62 above 2³².
const CHECKSUM: usize = 6;
/// How much of the body a list may show.
const HINT: usize = 4;

/// What a secret is for; its prefix says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretKind {
    /// A client's secret.
    Client,
    /// An access token that means nothing by itself.
    OpaqueAccess,
    /// A refresh token.
    Refresh,
}

impl SecretKind {
    /// The text that secrets of this kind begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Client => "gsec_",
            Self::OpaqueAccess => "gat_",
            Self::Refresh => "grt_",
        }
    }
}

/// A secret in the clear: prefix, 256 random bits, checksum.
///
/// It prints nothing, cannot be compared and is wiped on drop; [`PlainSecret::expose`] is the one way to
/// its text.
pub struct PlainSecret {
    kind: SecretKind,
    text: Zeroizing<String>,
}

/// Why a text is not a secret that was made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedSecret {
    /// It does not begin as secrets of this kind do.
    #[error("the secret does not begin with its prefix")]
    Prefix,
    /// It is cut off, or more follows.
    #[error("the secret does not have the right length")]
    Length,
    /// Something else than letters and digits.
    #[error("the secret holds a character that secrets do not have")]
    Alphabet,
    /// More than 256 bits.
    #[error("the secret is not a value that is ever given out")]
    Range,
    /// A slip of the hand.
    #[error("the secret's checksum is wrong")]
    Checksum,
}

impl PlainSecret {
    /// Makes a new secret of 256 bits.
    pub fn generate(kind: SecretKind, entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut random = Zeroizing::new([0u8; 32]);
        entropy.fill(random.as_mut_slice())?;
        let body = base62::encode::<BODY>(random.as_slice());
        let checksum = checksum(kind, body.as_slice());

        // Room for all of it, so that growing leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(kind.prefix().len() + BODY + CHECKSUM));
        text.push_str(kind.prefix());
        text.extend(body.iter().chain(checksum.iter()).copied().map(char::from));
        Ok(Self { kind, text })
    }

    /// Accepts what [`PlainSecret::generate`] can have made, and nothing else.
    pub fn parse(kind: SecretKind, text: &str) -> Result<Self, MalformedSecret> {
        let digits = text
            .strip_prefix(kind.prefix())
            .ok_or(MalformedSecret::Prefix)?
            .as_bytes();
        let (body, presented) = digits
            .split_first_chunk::<BODY>()
            .filter(|(_, rest)| rest.len() == CHECKSUM)
            .ok_or(MalformedSecret::Length)?;
        if !digits.iter().all(u8::is_ascii_alphanumeric) {
            return Err(MalformedSecret::Alphabet);
        }
        if presented != checksum(kind, body).as_slice() {
            return Err(MalformedSecret::Checksum);
        }
        match base62::decode::<32>(body) {
            Ok(_) => Ok(Self {
                kind,
                text: Zeroizing::new(text.to_owned()),
            }),
            Err(DecodeError::Alphabet) => Err(MalformedSecret::Alphabet),
            Err(DecodeError::Range) => Err(MalformedSecret::Range),
        }
    }

    /// The text, to be shown to its owner or to be hashed.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// What the secret is for.
    pub fn kind(&self) -> SecretKind {
        self.kind
    }

    /// Enough to tell secrets apart in a list: the prefix and the first four characters.
    pub fn hint(&self) -> String {
        self.text
            .chars()
            .take(self.kind.prefix().len() + HINT)
            .collect()
    }
}

impl fmt::Debug for PlainSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainSecret({}..)", self.kind.prefix())
    }
}

fn checksum(kind: SecretKind, body: &[u8]) -> Zeroizing<[u8; CHECKSUM]> {
    base62::encode(&crc32(&[kind.prefix().as_bytes(), body]).to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_entropy::{BrokenEntropy, ConstantEntropy, CountingEntropy};

    const KINDS: [SecretKind; 3] = [
        SecretKind::Client,
        SecretKind::OpaqueAccess,
        SecretKind::Refresh,
    ];

    fn secret(kind: SecretKind) -> PlainSecret {
        PlainSecret::generate(kind, &CountingEntropy::default()).unwrap()
    }

    #[test]
    fn secret_1_what_is_generated_parses_as_its_kind_only() {
        for kind in KINDS {
            let secret = secret(kind);
            assert_eq!(secret.expose().len(), kind.prefix().len() + 49);
            for other in KINDS {
                let parsed = PlainSecret::parse(other, secret.expose());
                if other == kind {
                    let parsed = parsed.unwrap();
                    assert_eq!(parsed.expose(), secret.expose());
                    assert_eq!(parsed.kind(), kind);
                } else {
                    assert_eq!(parsed.unwrap_err(), MalformedSecret::Prefix);
                }
            }
        }
    }

    #[test]
    fn the_smallest_and_the_largest_value_are_secrets() {
        for byte in [0x00, 0xff] {
            let edge =
                PlainSecret::generate(SecretKind::Refresh, &ConstantEntropy::new(byte)).unwrap();
            assert!(PlainSecret::parse(SecretKind::Refresh, edge.expose()).is_ok());
        }
    }

    #[test]
    fn the_form_stays_what_was_given_out() {
        let zeros = PlainSecret::generate(SecretKind::Client, &ConstantEntropy::new(0)).unwrap();
        assert_eq!(
            zeros.expose(),
            "gsec_00000000000000000000000000000000000000000000KHJsP"
        );
    }

    #[test]
    fn secret_1_any_changed_character_is_refused() {
        let secret = secret(SecretKind::Client);
        for at in 0..secret.expose().len() {
            for replacement in (b'!'..=b'~').map(char::from) {
                let mut text = secret.expose().to_owned();
                text.replace_range(at..=at, replacement.encode_utf8(&mut [0; 4]));
                if text == secret.expose() {
                    continue;
                }
                let error = PlainSecret::parse(SecretKind::Client, &text).unwrap_err();
                if at < 5 {
                    assert_eq!(error, MalformedSecret::Prefix);
                } else if replacement.is_ascii_alphanumeric() {
                    assert_eq!(error, MalformedSecret::Checksum, "{at} {replacement}");
                } else {
                    assert_eq!(error, MalformedSecret::Alphabet, "{at} {replacement}");
                }
            }
        }
    }

    #[test]
    fn two_exchanged_characters_are_refused() {
        let secret = secret(SecretKind::Client);
        for at in 5..secret.expose().len() - 1 {
            let mut bytes = secret.expose().as_bytes().to_vec();
            bytes.swap(at, at + 1);
            let text = String::from_utf8(bytes).unwrap();
            assert_eq!(
                PlainSecret::parse(SecretKind::Client, &text).is_ok(),
                text == secret.expose()
            );
        }
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let secret = secret(SecretKind::Client);
        for length in 0..secret.expose().len() {
            let error =
                PlainSecret::parse(SecretKind::Client, &secret.expose()[..length]).unwrap_err();
            let expected = if length < 5 {
                MalformedSecret::Prefix
            } else {
                MalformedSecret::Length
            };
            assert_eq!(error, expected);
        }
        let longer = format!("{}0", secret.expose());
        assert_eq!(
            PlainSecret::parse(SecretKind::Client, &longer).unwrap_err(),
            MalformedSecret::Length
        );
    }

    #[test]
    fn characters_of_several_bytes_are_refused_without_a_panic() {
        // 49 bytes, with a character astride the border between body and checksum.
        let text = format!("gsec_{}é{}", "0".repeat(42), "0".repeat(5));
        assert_eq!(
            PlainSecret::parse(SecretKind::Client, &text).unwrap_err(),
            MalformedSecret::Alphabet
        );
    }

    #[test]
    fn a_value_beyond_256_bits_is_refused_though_its_checksum_is_right() {
        let body = [b'z'; BODY];
        let checksum = checksum(SecretKind::Client, &body);
        let text = format!(
            "gsec_{}{}",
            "z".repeat(BODY),
            str::from_utf8(checksum.as_slice()).unwrap()
        );
        assert_eq!(
            PlainSecret::parse(SecretKind::Client, &text).unwrap_err(),
            MalformedSecret::Range
        );
    }

    #[test]
    fn the_checksum_covers_the_prefix() {
        let text = secret(SecretKind::OpaqueAccess)
            .expose()
            .replace("gat_", "grt_");
        assert_eq!(
            PlainSecret::parse(SecretKind::Refresh, &text).unwrap_err(),
            MalformedSecret::Checksum
        );
    }

    #[test]
    fn the_hint_is_the_prefix_and_four_characters() {
        let secret = secret(SecretKind::Client);
        assert_eq!(secret.hint(), secret.expose()[..9]);
    }

    #[test]
    fn debug_prints_the_prefix_alone() {
        assert_eq!(
            format!("{:?}", secret(SecretKind::Refresh)),
            "PlainSecret(grt_..)"
        );
    }

    #[test]
    fn without_randomness_there_is_no_secret() {
        assert!(PlainSecret::generate(SecretKind::Client, &BrokenEntropy::default()).is_err());
    }
}
