//! Reading values one by one while gathering what is wrong with them.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::RangeInclusive;

use zeroize::Zeroizing;

use crate::config::Mistakes;
use crate::secret_text::SecretText;

/// A file of secrets is short; a longer one is some other file.
const LONGEST_SECRET_FILE: u64 = 64 * 1024;

/// The two names of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The option, with its dashes.
    pub option: &'static str,
    /// The environment variable.
    pub env: &'static str,
}

impl Name {
    /// Names a setting.
    pub const fn new(option: &'static str, env: &'static str) -> Self {
        Self { option, env }
    }
}

/// A value that was given, if it is not empty.
pub(super) fn given(raw: Option<&String>) -> Option<&str> {
    raw.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// A whole number within `range`, or `default` when none is given or it is wrong.
pub(super) fn number(
    mistakes: &mut Mistakes,
    name: Name,
    raw: Option<&String>,
    range: RangeInclusive<u32>,
    default: u32,
) -> u32 {
    let Some(text) = given(raw) else {
        return default;
    };
    match text.parse() {
        Ok(number) if range.contains(&number) => number,
        _ => {
            let (least, most) = range.into_inner();
            mistakes.add(
                name,
                format!("is not a whole number from {least} to {most}"),
                format!("give one, or nothing for {default}"),
            );
            default
        }
    }
}

/// `true` or `false`; not given is `false`.
pub(super) fn boolean(mistakes: &mut Mistakes, name: Name, raw: Option<&String>) -> bool {
    match given(raw) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            mistakes.add(name, "is neither true nor false", "give one of these");
            false
        }
    }
}

/// A secret, given itself or by the name of a file that holds it.
pub(super) fn secret(
    mistakes: &mut Mistakes,
    (name, raw): (Name, Option<&String>),
    (file_name, raw_file): (Name, Option<&String>),
) -> Option<SecretText> {
    match (given(raw), given(raw_file)) {
        (None, None) => None,
        (Some(text), None) => Some(SecretText::from(text)),
        (None, Some(path)) => match read_file(path) {
            Ok(secret) => Some(secret),
            Err(error) => {
                // The path is not repeated: it may be the secret itself, given under the wrong name.
                mistakes.add(
                    file_name,
                    format!("names a file that {error}"),
                    format!("check the path and its permissions, or give {}", name.env),
                );
                None
            }
        },
        (Some(_), Some(_)) => {
            mistakes.add(
                name,
                format!("is given, and {} ({}) too", file_name.option, file_name.env),
                "keep one of the two",
            );
            None
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot be read ({0})")]
    Unreadable(io::ErrorKind),
    #[error("is too long for a secret")]
    TooLong,
    #[error("is empty")]
    Empty,
}

fn read_file(path: &str) -> Result<SecretText, FileError> {
    let unreadable = |error: io::Error| FileError::Unreadable(error.kind());
    let file = File::open(path).map_err(unreadable)?;
    let mut text = Zeroizing::new(String::new());
    file.take(LONGEST_SECRET_FILE + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    if text.len() as u64 > LONGEST_SECRET_FILE {
        return Err(FileError::TooLong);
    }
    match text.trim() {
        "" => Err(FileError::Empty),
        trimmed => Ok(SecretText::from(trimmed)),
    }
}
