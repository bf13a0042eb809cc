//! Texts that people type: names, descriptions, mail addresses. Parsed once, then known to be harmless.
//!
//! Refused everywhere: control characters (NUL among them) and the invisible characters that turn the
//! direction of writing or hide text, for they let one name pass for another on a consent page.

use std::fmt;

use thiserror::Error;

/// Why a text was refused; each sentence says the mend.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must have at most {limit} characters")]
    TooLong {
        /// The limit, in characters.
        limit: usize,
    },
    /// A control character.
    #[error("must not contain control characters (found U+{code:04X}); remove it")]
    Control {
        /// The character's code point.
        code: u32,
    },
    /// A character that is invisible or turns the direction of writing.
    #[error(
        "must not contain invisible or direction-changing characters (found U+{code:04X}); remove it"
    )]
    Invisible {
        /// The character's code point.
        code: u32,
    },
    /// White space at an end.
    #[error("must not start or end with white space")]
    Untrimmed,
    /// Not a mail address.
    #[error("must be a mail address such as `name@example.com`")]
    NotAnAddress,
}

/// Characters that are invisible or change the direction of what follows.
pub(crate) fn is_invisible(character: char) -> bool {
    matches!(u32::from(character),
        0x00AD | 0x034F | 0x061C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
        | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF
        | 0xFFA0 | 0xFFF0..=0xFFFB | 0xE0000..=0xE0FFF)
}

fn check(text: &str, limit: usize, line_breaks: bool) -> Result<(), TextError> {
    // The bytes are counted first, so that a text of a megabyte is not walked through.
    if text.len() > limit * 4 || text.chars().count() > limit {
        return Err(TextError::TooLong { limit });
    }
    for character in text.chars() {
        let code = u32::from(character);
        if character.is_control() && !(line_breaks && character == '\n') {
            return Err(TextError::Control { code });
        }
        if is_invisible(character) {
            return Err(TextError::Invisible { code });
        }
    }
    if text.trim().len() != text.len() && !text.trim().is_empty() {
        return Err(TextError::Untrimmed);
    }
    Ok(())
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident { limit: $limit:expr, empty: $empty:expr, lines: $lines:expr };)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The most characters that it may have.
            pub const LIMIT: usize = $limit;

            /// Parses what somebody typed.
            pub fn parse(text: &str) -> Result<Self, TextError> {
                check(text, Self::LIMIT, $lines)?;
                if !$empty && text.trim().is_empty() {
                    return Err(TextError::Empty);
                }
                Ok(Self(text.to_owned()))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str { &self.0 }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(&self.0) }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { fmt::Debug::fmt(&self.0, f) }
        }
    )*};
}

texts! {
    /// The name of a client.
    ClientName { limit: 100, empty: false, lines: false };
    /// What a client, scope or resource server is for; may be empty and have several lines.
    Description { limit: 1_000, empty: true, lines: true };
    /// The name of a tenant or an organization.
    OrganizationName { limit: 100, empty: false, lines: false };
    /// The name of a person.
    PersonName { limit: 100, empty: false, lines: false };
    /// Why something was done, told to those it concerns.
    Reason { limit: 500, empty: false, lines: true };
}

/// A mail address: one `@`, a domain with a dot or `localhost`, nothing exotic.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// The most characters that it may have (RFC 5321 §4.5.3.1.3).
    pub const LIMIT: usize = 254;

    /// Parses what somebody typed.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check(text, Self::LIMIT, false)?;
        let (local, domain) = text.rsplit_once('@').ok_or(TextError::NotAnAddress)?;
        // RFC 5321 §4.1.2: words with single dots between them. Whoever takes more can't send there.
        let local_is_good = local.split('.').all(|word| !word.is_empty())
            && local.len() <= 64
            && !local.contains(|c: char| c.is_whitespace() || "\"(),:;<>@[\\]".contains(c));
        let domain_is_good = domain.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
        // What ends in a number is an address of a host, or nothing.
        let last = domain.rsplit('.').next().unwrap_or_default();
        let is_name = !last.starts_with("0x") && last.contains(|c: char| !c.is_ascii_digit());
        if local_is_good && domain_is_good && is_name {
            Ok(Self(text.to_owned()))
        } else {
            Err(TextError::NotAnAddress)
        }
    }

    /// The address itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same for all addresses that differ by capital letters alone, of whichever script: by it people sign in.
    pub fn key(&self) -> String {
        Self::key_of(&self.0)
    }

    /// The key of what may be an address.
    pub fn key_of(text: &str) -> String {
        text.to_lowercase()
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_taken() {
        for name in [
            "Nightly export",
            "Überweisung",
            "夜間エクスポート",
            "تصدير",
            "a",
            "O'Brien; DROP TABLE clients;--",
            "100% _legal_",
        ] {
            assert_eq!(ClientName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn what_could_deceive_or_break_is_refused() {
        assert_eq!(ClientName::parse("").unwrap_err(), TextError::Empty);
        assert_eq!(ClientName::parse("   ").unwrap_err(), TextError::Empty);
        assert_eq!(ClientName::parse(" a").unwrap_err(), TextError::Untrimmed);
        assert_eq!(
            ClientName::parse("a\0b").unwrap_err(),
            TextError::Control { code: 0 }
        );
        assert_eq!(
            ClientName::parse("a\nb").unwrap_err(),
            TextError::Control { code: 10 }
        );
        assert_eq!(
            ClientName::parse("a\u{85}b").unwrap_err(),
            TextError::Control { code: 0x85 }
        );
        assert_eq!(
            ClientName::parse("pay\u{202E}lap").unwrap_err(),
            TextError::Invisible { code: 0x202E }
        );
        assert_eq!(
            ClientName::parse("a\u{200B}b").unwrap_err(),
            TextError::Invisible { code: 0x200B }
        );
        assert_eq!(
            ClientName::parse(&"x".repeat(101)).unwrap_err(),
            TextError::TooLong { limit: 100 }
        );
        assert_eq!(
            ClientName::parse(&"x".repeat(1 << 20)).unwrap_err(),
            TextError::TooLong { limit: 100 }
        );
        assert!(ClientName::parse(&"界".repeat(100)).is_ok());
    }

    #[test]
    fn descriptions_may_have_lines_and_be_empty() {
        assert!(Description::parse("").is_ok());
        assert!(Description::parse("two\nlines").is_ok());
        assert!(Description::parse("bell\u{7}").is_err());
    }

    #[test]
    fn addresses_that_differ_by_capital_letters_alone_have_one_key() {
        for same in [
            ["ada@b.example", "ADA@B.Example"],
            ["ünal@münchen.example", "Ünal@MÜNCHEN.example"],
            ["οδος@b.example", "ΟΔΟΣ@b.example"],
        ] {
            let [one, other] = same.map(|text| EmailAddress::parse(text).unwrap().key());
            assert_eq!(one, other);
        }
        let key = |text| EmailAddress::parse(text).unwrap().key();
        assert_ne!(key("u@b.example"), key("ü@b.example"));
    }

    #[test]
    fn mail_addresses() {
        for good in [
            "a@b.example",
            "first.last+tag@sub.example.com",
            "ops@localhost",
            "ü@münchen.example",
        ] {
            assert!(EmailAddress::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b.example",
            "a@b..example",
            "a b@c.example",
            "a@b.example\n",
            "a@-b.example",
            "<a@b.example>",
            "a@b@c.example",
            ".a@b.example",
            "a.@b.example",
            "a..b@c.example",
            "a@192.0.2.7",
            "a@b.7",
            "a@0x7f",
        ] {
            assert!(EmailAddress::parse(bad).is_err(), "{bad}");
        }
    }
}
