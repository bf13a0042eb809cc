//! Secrets that an admin chooses for a client (`secret_4`): what is taken, and what is told of one that is not.
//!
//! Nobody can tell by looking whether a text was drawn by chance. So it must be long, and what people type when they
//! draw nothing is refused: patterns, rows of keys in the order of the alphabet, and what everybody knows of the client.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::ids::ClientId;
use crate::text::ClientName;

/// The fewest characters that it may have.
const LEAST: usize = 32;
/// The most characters that it may have.
const MOST: usize = 128;
/// How many different characters it has at least.
const LEAST_DIFFERENT: usize = 12;
/// The fewest characters of a name that are looked for: shorter ones are in many texts by chance.
const LEAST_OF_A_NAME: usize = 4;
/// What the secrets, tokens and links of ours begin with.
const GENERATED_PREFIXES: [&str; 4] = ["gsec_", "gat_", "grt_", "glk_"];

/// A secret that a client may have by an admin's choice.
///
/// It prints nothing, cannot be compared and is wiped on drop; [`ChosenSecret::expose`] is the one way to its text.
pub struct ChosenSecret(Zeroizing<String>);

/// What a chosen secret is measured by.
#[derive(Debug, Clone)]
pub struct ChosenSecretRules {
    /// The name of its client, which everybody knows.
    pub client_name: ClientName,
    /// The id of its client, which everybody knows.
    pub client_id: ClientId,
}

/// Why a chosen secret was refused. Each sentence says the mend, and none says the secret, or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChosenSecretError {
    /// Too many characters.
    #[error("must have at most {MOST} characters; shorten it")]
    TooLong,
    /// A character that a form or a header could change on the way.
    #[error("must have only ASCII letters, digits and punctuation, and no spaces; remove all else")]
    Character,
    /// Too few characters.
    #[error("must have at least {LEAST} characters; let a password generator draw it")]
    TooShort,
    /// It begins like what is generated here, which has a form and a checksum of its own.
    #[error(
        "must not begin like the secrets and tokens that are generated here; choose another beginning, or let one be generated"
    )]
    Generated,
    /// Hardly any different characters.
    #[error(
        "must have at least {LEAST_DIFFERENT} different characters; let a password generator draw it"
    )]
    TooUniform,
    /// One character again and again.
    #[error(
        "must not have one character for more than a quarter of it; let a password generator draw it"
    )]
    Dominated,
    /// A block that is written twice or more often.
    #[error("must not be one block again and again; choose a text that does not repeat itself")]
    Repeated,
    /// The alphabet or the digits, forwards or backwards.
    #[error(
        "must not follow the order of the alphabet or of numbers; let a password generator draw it"
    )]
    Run,
    /// What everybody knows of its client.
    #[error("must not contain the name or the id of its client; leave them out")]
    Known,
}

impl ChosenSecret {
    /// Takes what an admin chose, by the rules for its client.
    pub fn parse(text: &str, rules: &ChosenSecretRules) -> Result<Self, ChosenSecretError> {
        // The bytes are counted first, so that a text of a megabyte is not walked through.
        if text.len() > MOST {
            return Err(ChosenSecretError::TooLong);
        }
        // RFC 6749 appendix A.2: client-secret = *VSCHAR, here without the space.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ChosenSecretError::Character);
        }
        if text.len() < LEAST {
            return Err(ChosenSecretError::TooShort);
        }
        if GENERATED_PREFIXES
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            return Err(ChosenSecretError::Generated);
        }
        let mut counts = BTreeMap::<u8, usize>::new();
        for byte in text.bytes() {
            *counts.entry(byte).or_default() += 1;
        }
        if counts.len() < LEAST_DIFFERENT {
            return Err(ChosenSecretError::TooUniform);
        }
        if counts.values().any(|count| count * 4 > text.len()) {
            return Err(ChosenSecretError::Dominated);
        }
        // Whoever guesses tries capital letters too.
        let small = Zeroizing::new(text.to_ascii_lowercase());
        if is_repeated(small.as_bytes()) {
            return Err(ChosenSecretError::Repeated);
        }
        if is_run(small.as_bytes()) {
            return Err(ChosenSecretError::Run);
        }
        if is_known(&small, rules) {
            return Err(ChosenSecretError::Known);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// Whether a text could be one at all, whosever it is: what is none need not be held against a slow hash.
    pub fn could_be(text: &str) -> bool {
        (LEAST..=MOST).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic())
            && !GENERATED_PREFIXES
                .iter()
                .any(|prefix| text.starts_with(prefix))
    }

    /// The text, to be hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Whether it is a block of at most half its length, written until it was long enough.
fn is_repeated(text: &[u8]) -> bool {
    (1..=text.len() / 2).any(|block| {
        text.iter()
            .zip(text.iter().skip(block))
            .all(|(a, b)| a == b)
    })
}

/// Whether all of it rises or falls, or most of its neighbours are neighbours in the alphabet too.
fn is_run(text: &[u8]) -> bool {
    let pairs = || text.iter().zip(text.iter().skip(1));
    let steps = pairs().filter(|(a, b)| a.abs_diff(**b) <= 1).count();
    text.is_sorted() || text.iter().rev().is_sorted() || steps * 2 > text.len()
}

/// Whether the name or the id of its client is in it, whatever stands between their letters.
fn is_known(small: &str, rules: &ChosenSecretRules) -> bool {
    let name = rules.client_name.as_str().to_lowercase();
    let id = rules.client_id.to_string();
    // The letters behind the prefix tell the client as well as all of it.
    let id = id.rsplit('_').next().unwrap_or(&id);
    let squeezed = Zeroizing::new(letters_and_digits(small));
    let has =
        |text: &str, known: &str| known.chars().count() >= LEAST_OF_A_NAME && text.contains(known);
    has(small, &name) || has(&squeezed, &letters_and_digits(&name)) || has(&squeezed, id)
}

fn letters_and_digits(text: &str) -> String {
    // As long as it may get, for a text that grows leaves copies behind that nobody wipes.
    let mut kept = String::with_capacity(text.len());
    kept.extend(text.chars().filter(|c| c.is_alphanumeric()));
    kept
}

impl fmt::Debug for ChosenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChosenSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const GOOD: &str = "k7#Qw2!zRt9$Lp4&Xv8*Nb3^Hj6(Fd1)";

    fn rules_of(name: &str) -> ChosenSecretRules {
        ChosenSecretRules {
            client_name: ClientName::parse(name).unwrap(),
            client_id: ClientId::from_uuid(Uuid::from_u128(
                0x0192_f0a1_b2c3_7d4e_8f5a_6b7c_8d9e_0f1a,
            )),
        }
    }

    fn refused(text: &str) -> ChosenSecretError {
        let error = ChosenSecret::parse(text, &rules_of("Nightly export")).unwrap_err();
        assert!(text.is_empty() || !error.to_string().contains(text));
        error
    }

    #[test]
    fn secret_4_strong_ones_are_taken_as_they_are() {
        for good in [
            GOOD,
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=",
            "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
            "correct-horse-battery-staple-and-more",
            &format!("{GOOD}{}", "Mq5%".repeat(24)),
        ] {
            let secret = ChosenSecret::parse(good, &rules_of("Nightly export")).unwrap();
            assert_eq!(secret.expose(), good);
        }
    }

    #[test]
    fn secret_4_the_length_has_bounds_and_is_looked_at_first() {
        use ChosenSecretError as Error;
        assert_eq!(refused(""), Error::TooShort);
        assert_eq!(refused(&GOOD[..31]), Error::TooShort);
        let most = format!("{GOOD}{}", "Mq5%".repeat(24));
        assert_eq!(most.len(), 128);
        assert_eq!(refused(&(most + "x")), Error::TooLong);
        assert_eq!(refused(&"\0".repeat(1 << 20)), Error::TooLong);
    }

    #[test]
    fn secret_4_what_a_form_or_a_header_could_change_is_refused() {
        for bad in [
            ' ',
            '\t',
            '\n',
            '\0',
            '\u{7f}',
            '\u{fc}',
            '\u{a0}',
            '\u{200b}',
            '\u{1f980}',
        ] {
            for text in [
                format!("{bad}{GOOD}"),
                format!("{GOOD}{bad}"),
                format!("{}{bad}{}", &GOOD[..16], &GOOD[16..]),
            ] {
                assert_eq!(refused(&text), ChosenSecretError::Character, "{bad:?}");
            }
        }
    }

    #[test]
    fn secret_4_it_does_not_pass_for_a_generated_one() {
        for prefix in GENERATED_PREFIXES {
            let text = format!("{prefix}{GOOD}");
            assert_eq!(refused(&text), ChosenSecretError::Generated, "{prefix}");
            let text = format!("{GOOD}{prefix}");
            assert!(ChosenSecret::parse(&text, &rules_of("Nightly export")).is_ok());
        }
    }

    #[test]
    fn secret_4_few_characters_or_one_above_all_are_refused() {
        use ChosenSecretError as Error;
        assert_eq!(refused(&"a".repeat(32)), Error::TooUniform);
        assert_eq!(
            refused("31415926535897932384626433832795"),
            Error::TooUniform
        );
        assert_eq!(
            refused("aqbwcedrftgaqwbecrdtfgaqbwcedrfa"),
            Error::TooUniform
        );
        // A quarter is no more than a quarter.
        let with = |count: usize| format!("{}{}", &GOOD[..24], "x".repeat(count));
        assert!(ChosenSecret::parse(&with(8), &rules_of("Nightly export")).is_ok());
        assert_eq!(refused(&with(9)), Error::Dominated);
    }

    #[test]
    fn secret_4_a_block_again_and_again_is_refused() {
        for bad in [
            "k7#Qw2!zRt9$Lp4&k7#Qw2!zRt9$Lp4&",
            "K7#QW2!ZRT9$LP4&k7#qw2!zrt9$lp4&",
            "Correct-horse.72Correct-horse.72Corr",
            &GOOD.repeat(4),
        ] {
            assert_eq!(refused(bad), ChosenSecretError::Repeated, "{bad}");
        }
    }

    #[test]
    fn secret_4_the_alphabet_and_the_numbers_are_refused() {
        for bad in [
            "abcdefghijklmnopqrstuvwxyz012345",
            "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
            "zyxwvutsrqponmlkjihgfedcba987654",
            "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN",
            "aabbccddeeffgghhiijjkkllmmnnoopp",
            "!#%')+-/13579;=?[]_acegikmoqsuwy",
            "ywusqomkigeca_][?=;97531/-+)'%#!",
        ] {
            assert_eq!(refused(bad), ChosenSecretError::Run, "{bad}");
        }
    }

    #[test]
    fn secret_4_what_everybody_knows_of_the_client_is_refused() {
        let rules = rules_of("Nightly export");
        let id = rules.client_id.to_string();
        for known in [
            "nightlyexport",
            "NIGHTLY-EXPORT",
            "Nightly_Export",
            &id,
            &id[4..],
            &id.to_uppercase(),
            &id.replace('_', "-"),
        ] {
            for text in [
                format!("{known}{GOOD}"),
                format!("{GOOD}{known}"),
                format!("{}{known}{}", &GOOD[..16], &GOOD[16..]),
            ] {
                assert_eq!(refused(&text), ChosenSecretError::Known, "{known}");
            }
        }
        // Of a name that is no word, and of one that chance could write.
        let known = |name: &str, text: &str| ChosenSecret::parse(text, &rules_of(name)).err();
        let text = format!("{GOOD}-C++-");
        assert_eq!(known("-c++-", &text), Some(ChosenSecretError::Known));
        assert_eq!(known("c++", &text), None);
        assert_eq!(known("----", GOOD), None);
        assert_eq!(known("\u{dc}berweisung", GOOD), None);
    }

    #[test]
    fn secret_2_a_chosen_secret_prints_nothing() {
        let secret = ChosenSecret::parse(GOOD, &rules_of("Nightly export")).unwrap();
        assert_eq!(format!("{secret:?}"), "ChosenSecret(..)");
    }
}
