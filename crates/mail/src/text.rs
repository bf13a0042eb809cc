//! What a mail says: its subject and its text.

use std::fmt;

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A subject of white space alone.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must have at most {limit} characters")]
    TooLong {
        /// The limit.
        limit: usize,
    },
    /// A control character, by which a header could be added or a reader's terminal be led astray.
    #[error("must not contain control characters (found U+{code:04X}); remove it")]
    Control {
        /// The character's code point.
        code: u32,
    },
}

/// The subject of a mail, on one line.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// The most characters that it may have.
    pub const LIMIT: usize = 250;

    /// Checks a subject.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        check(text, Self::LIMIT, |_| false)?;
        match text.trim() {
            "" => Err(TextError::Empty),
            trimmed => Ok(Self(trimmed.to_owned())),
        }
    }

    /// The subject itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text of a mail: lines of any length, without markup.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// The most characters that it may have.
    pub const LIMIT: usize = 100_000;

    /// Checks a text. Lines end with LF or with CR LF; tabs are allowed.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        let text = text.replace("\r\n", "\n");
        check(&text, Self::LIMIT, |character| {
            matches!(character, '\n' | '\t')
        })?;
        Ok(Self(text))
    }

    /// The text itself, its lines ended by LF.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn check(
    text: &str,
    limit: usize,
    allowed: impl Fn(char) -> bool,
) -> Result<(), TextError> {
    // The bytes are counted first, so that a text of megabytes is not walked through.
    if text.len() > limit * 4 || text.chars().count() > limit {
        return Err(TextError::TooLong { limit });
    }
    let control = |character: &char| character.is_control() && !allowed(*character);
    match text.chars().find(control) {
        Some(character) => Err(TextError::Control {
            code: character.into(),
        }),
        None => Ok(()),
    }
}

/// What a mail says is between the sender and the reader: it is not shown.
impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_that_could_add_a_header_is_refused() {
        for (text, code) in [
            ("Hello\r\nBcc: eve@evil.example", 13),
            ("Hello\nBcc: eve@evil.example", 10),
            ("Hello\rBcc: eve@evil.example", 13),
            ("Hello\0", 0),
            ("Hello\u{85}Bcc: eve@evil.example", 0x85),
            ("Hello\u{1b}[2J", 0x1b),
        ] {
            assert_eq!(
                Subject::parse(text),
                Err(TextError::Control { code }),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_subject_is_neither_empty_nor_endless() {
        assert_eq!(Subject::parse(" "), Err(TextError::Empty));
        assert!(Subject::parse(&"é".repeat(250)).is_ok());
        for long in ["é".repeat(251), "x".repeat(1 << 20)] {
            assert_eq!(
                Subject::parse(&long),
                Err(TextError::TooLong { limit: 250 })
            );
        }
        assert_eq!(Subject::parse(" Hello ").unwrap().as_str(), "Hello");
    }

    #[test]
    fn a_text_has_lines_and_tabs_and_no_other_control_characters() {
        let text = Text::parse("one\r\ntwo\n\tthree\n").unwrap();
        assert_eq!(text.as_str(), "one\ntwo\n\tthree\n");
        assert!(Text::parse("").is_ok());
        for bad in ["one\rtwo", "bell\u{7}", "\0", "\u{9b}31m"] {
            assert!(
                matches!(Text::parse(bad), Err(TextError::Control { .. })),
                "{bad:?}"
            );
        }
        assert!(Text::parse(&"x".repeat(100_001)).is_err());
    }

    #[test]
    fn debug_does_not_show_what_a_mail_says() {
        let shown = format!(
            "{:?} {:?}",
            Subject::parse("hunter2"),
            Text::parse("hunter2")
        );
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
