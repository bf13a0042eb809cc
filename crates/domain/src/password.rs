//! Passwords that members choose: what is taken, and what is told of one that is not.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::settings::PasswordMinLength;
use crate::text::{EmailAddress, PersonName};

/// The most bytes that a password may have: enough for any sentence, and little for a hash.
pub const MOST_BYTES: usize = 256;
/// How many different characters it has at least.
const LEAST_DIFFERENT: usize = 5;

/// A password that its owner may have.
///
/// It prints nothing, cannot be compared and is wiped on drop; [`Password::expose`] is the one way to its text.
pub struct Password(Zeroizing<String>);

/// What a password is measured by.
#[derive(Debug, Clone)]
pub struct PasswordRules {
    /// How many characters it has at least.
    pub least: PasswordMinLength,
    /// The name of its owner, which everybody knows.
    pub name: PersonName,
    /// The address of its owner, which everybody knows.
    pub email: EmailAddress,
}

/// Why a password was refused. Each sentence says the mend, and none says the password, or whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error(
        "must have at least {least} characters; a few words that don't belong together make a good one"
    )]
    TooShort {
        /// How many it needs.
        least: u32,
    },
    /// Too many bytes.
    #[error("must have at most {MOST_BYTES} bytes; shorten it")]
    TooLong,
    /// A control character, which many keyboards can't type.
    #[error("must not contain control characters such as tabs or line breaks; remove them")]
    Control,
    /// Hardly any different characters.
    #[error(
        "must have at least {LEAST_DIFFERENT} different characters; use more than a pattern of a few keys"
    )]
    TooUniform,
    /// What everybody knows of its owner.
    #[error(
        "must not be the name or the mail address of its owner; choose something that nobody knows of them"
    )]
    Known,
}

impl Password {
    /// Takes what somebody chose, by the rules for its owner.
    pub fn parse(text: &str, rules: &PasswordRules) -> Result<Self, PasswordError> {
        // The bytes are counted first, so that a text of a megabyte is not walked through.
        if text.len() > MOST_BYTES {
            return Err(PasswordError::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(PasswordError::Control);
        }
        let least = rules.least.get();
        if u32::try_from(text.chars().count()).is_ok_and(|count| count < least) {
            return Err(PasswordError::TooShort { least });
        }
        if text.chars().collect::<BTreeSet<_>>().len() < LEAST_DIFFERENT {
            return Err(PasswordError::TooUniform);
        }
        if is_known(text, rules) {
            return Err(PasswordError::Known);
        }
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// The text, to be hashed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Whether it is what its owner is called or written to by, in whichever letters, spaces at its ends aside.
fn is_known(text: &str, rules: &PasswordRules) -> bool {
    let same = Zeroizing::new(text.trim().to_lowercase());
    let email = rules.email.as_str();
    let local = email.rsplit_once('@').map_or(email, |(local, _)| local);
    [rules.name.as_str(), email, local]
        .iter()
        .any(|known| known.to_lowercase() == *same)
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> PasswordRules {
        PasswordRules {
            least: PasswordMinLength::DEFAULT,
            name: PersonName::parse("Ada Lovelace").unwrap(),
            email: EmailAddress::parse("ada.lovelace@example.com").unwrap(),
        }
    }

    fn refused(text: &str) -> PasswordError {
        Password::parse(text, &rules()).unwrap_err()
    }

    #[test]
    fn good_ones_are_taken_as_they_are() {
        for good in [
            "correct horse battery staple",
            "пароль на месяц",
            " spaces count too ",
            "🦀🐙🦑🐡🐠🦐🦞🐚🪼🪸🐟🐬",
            &"abcde123".repeat(32),
        ] {
            let password = Password::parse(good, &rules()).unwrap();
            assert_eq!(password.expose(), good);
        }
    }

    #[test]
    fn the_least_is_counted_in_characters_and_is_the_tenants() {
        assert_eq!(
            refused("11 letters!"),
            PasswordError::TooShort { least: 12 }
        );
        assert!(Password::parse("12 letters!!", &rules()).is_ok());
        assert_eq!(refused(""), PasswordError::TooShort { least: 12 });
        // Each is of several bytes.
        assert_eq!(
            refused("ÄÖÜäöüßéèêç"),
            PasswordError::TooShort { least: 12 }
        );
        let strict = PasswordRules {
            least: PasswordMinLength::parse(20).unwrap(),
            ..rules()
        };
        assert_eq!(
            Password::parse("nineteen characters", &strict).unwrap_err(),
            PasswordError::TooShort { least: 20 }
        );
        assert!(Password::parse("nineteen characters!", &strict).is_ok());
    }

    #[test]
    fn the_most_is_counted_in_bytes() {
        let most = "abcde".repeat(60);
        assert!(Password::parse(&most[..256], &rules()).is_ok());
        assert_eq!(refused(&most[..257]), PasswordError::TooLong);
        assert_eq!(refused(&"abcdeé".repeat(40)), PasswordError::TooLong);
        assert_eq!(refused(&"x".repeat(10 << 20)), PasswordError::TooLong);
    }

    #[test]
    fn control_characters_are_refused_whatever_else_holds() {
        for bad in [
            "tab\tin the middle",
            "ends in a line break\n",
            "nul\0 in the middle",
            "\u{85}next line and more",
        ] {
            assert_eq!(refused(bad), PasswordError::Control, "{bad:?}");
        }
    }

    #[test]
    fn a_pattern_of_a_few_keys_is_refused() {
        for bad in [
            "aaaaaaaaaaaaaaaa",
            "abcdabcdabcdabcd",
            "121212121212",
            "ääääöööößßßß",
        ] {
            assert_eq!(refused(bad), PasswordError::TooUniform, "{bad}");
        }
        assert!(Password::parse("abcdeabcdeabcde", &rules()).is_ok());
    }

    #[test]
    fn what_everybody_knows_of_its_owner_is_refused() {
        for bad in [
            "Ada Lovelace",
            "aDA lOVELACE",
            " ada lovelace ",
            "ada.lovelace@example.com",
            "ADA.LOVELACE@EXAMPLE.COM",
            "Ada.Lovelace",
        ] {
            assert_eq!(refused(bad), PasswordError::Known, "{bad}");
        }
        assert!(Password::parse("Ada Lovelace's engine", &rules()).is_ok());
    }

    #[test]
    fn no_sentence_holds_the_password_and_debug_prints_nothing_of_it() {
        let secret = "ada.lovelace";
        assert!(!refused(secret).to_string().contains(secret));
        let password = Password::parse("correct horse battery staple", &rules()).unwrap();
        assert_eq!(format!("{password:?}"), "Password(..)");
    }
}
