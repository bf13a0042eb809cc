//! The body of a request: `application/x-www-form-urlencoded`, read strictly.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use thiserror::Error;

use crate::error::{ErrorCode, OAuthError, fit_description};
use crate::percent::{self, DecodeError};

/// The most parameters that a form may have, valueless and unknown ones included.
pub const MAX_PARAMETERS: usize = 50;

/// The longest name of a parameter, in bytes after decoding.
pub const MAX_NAME_BYTES: usize = 64;

/// The longest value of a parameter, in bytes after decoding.
///
/// RFC 7662 §2.2: whatever somebody presented as a token may be asked about, and is inactive, not an error; so a value
/// may be as long as any request whose body is read.
pub const MAX_VALUE_BYTES: usize = 64 * 1024;

/// How much of a parameter's name an error repeats.
const SHOWN_NAME_CHARS: usize = 40;

/// Why a body is refused; the names in it are safe to repeat in an `error_description`.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormError {
    /// A parameter is there more than once.
    #[error("the parameter {0} is sent more than once; send it once")]
    Repeated(String),
    /// A name cannot be decoded.
    #[error("the name of a parameter {0}")]
    Name(DecodeError),
    /// A value cannot be decoded.
    #[error("the value of the parameter {name} {cause}")]
    Value {
        /// The parameter's name.
        name: String,
        /// What is wrong with its value.
        cause: DecodeError,
    },
    /// A value without a name.
    #[error("a parameter has no name; write name=value")]
    Nameless,
    /// A name is longer than [`MAX_NAME_BYTES`].
    #[error(
        "the name of a parameter is longer than {MAX_NAME_BYTES} bytes; no such parameter exists"
    )]
    NameTooLong,
    /// A value is longer than [`MAX_VALUE_BYTES`].
    #[error("the value of the parameter {0} is longer than {MAX_VALUE_BYTES} bytes; shorten it")]
    ValueTooLong(String),
    /// More parameters than [`MAX_PARAMETERS`].
    #[error("the form has more than {MAX_PARAMETERS} parameters; send only those that are needed")]
    TooMany,
}

impl From<FormError> for OAuthError {
    /// RFC 6749 §5.2: a repeated parameter or an otherwise malformed request is `invalid_request`.
    fn from(error: FormError) -> Self {
        Self::new(ErrorCode::InvalidRequest, error.to_string())
    }
}

/// The parameters of a request, each at most once.
///
/// Values may be secrets, so `Debug` prints the names only.
#[derive(Clone, PartialEq, Eq)]
pub struct Form {
    /// A parameter without a value is kept as `None`: seen, but not there.
    parameters: BTreeMap<String, Option<String>>,
}

impl Form {
    /// Parses a body, and refuses whatever two readers could understand differently.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let mut parameters = BTreeMap::new();
        let pairs = body
            .split(|&byte| byte == b'&')
            .filter(|pair| !pair.is_empty());
        for (index, pair) in pairs.enumerate() {
            if index >= MAX_PARAMETERS {
                return Err(FormError::TooMany);
            }
            let (name, value) = split_pair(pair);
            let name = parse_name(name)?;
            let value = parse_value(&name, value)?;
            match parameters.entry(name) {
                // RFC 6749 §3.2: parameters MUST NOT be included more than once. That holds for
                // unknown ones too, as a reader behind this one may know them.
                Entry::Occupied(seen) => return Err(FormError::Repeated(shown(seen.key()))),
                Entry::Vacant(place) => place.insert(value),
            };
        }
        Ok(Self { parameters })
    }

    /// The value of a parameter; `None` when it is absent or without a value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name)?.as_deref()
    }

    /// The names of all parameters, those without a value among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parameters.keys().map(String::as_str)
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form ")?;
        f.debug_set().entries(self.parameters.keys()).finish()
    }
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let mut halves = pair.splitn(2, |&byte| byte == b'=');
    let name = halves.next().unwrap_or_default();
    let value = halves.next().unwrap_or_default();
    (name, value)
}

fn parse_name(encoded: &[u8]) -> Result<String, FormError> {
    let name = percent::decode(encoded).map_err(FormError::Name)?;
    match name.len() {
        0 => Err(FormError::Nameless),
        1..=MAX_NAME_BYTES => Ok(name),
        _ => Err(FormError::NameTooLong),
    }
}

/// RFC 6749 §3.2: parameters sent without a value MUST be treated as if they were omitted.
fn parse_value(name: &str, encoded: &[u8]) -> Result<Option<String>, FormError> {
    let value = percent::decode(encoded).map_err(|cause| FormError::Value {
        name: shown(name),
        cause,
    })?;
    if value.len() > MAX_VALUE_BYTES {
        return Err(FormError::ValueTooLong(shown(name)));
    }
    Ok(Some(value).filter(|value| !value.is_empty()))
}

fn shown(name: &str) -> String {
    fit_description(name, SHOWN_NAME_CHARS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(body: &str) -> Form {
        Form::parse(body.as_bytes()).unwrap()
    }

    fn refusal(body: &str) -> FormError {
        Form::parse(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn names_and_values_are_decoded() {
        let form = form("grant_type=client_credentials&sc%6Fpe=a+b%20c&x=1=2&raw=\u{e9}");
        assert_eq!(form.get("grant_type"), Some("client_credentials"));
        assert_eq!(form.get("scope"), Some("a b c"));
        assert_eq!(form.get("x"), Some("1=2"));
        assert_eq!(form.get("raw"), Some("\u{e9}"));
        assert_eq!(form.get("Scope"), None);
    }

    #[test]
    fn rfc6749_3_2_no_repeated_parameters() {
        for body in [
            "scope=a&scope=b",
            "scope=a&scope=a",
            "scope=a&x=1&sc%6fpe=b",
            "scope=&scope=a",
            "scope&scope",
        ] {
            assert_eq!(refusal(body), FormError::Repeated("scope".into()), "{body}");
        }
        assert_eq!(
            refusal("nobody_knows_me=1&nobody_knows_me=1"),
            FormError::Repeated("nobody_knows_me".into())
        );
        let answer = OAuthError::from(refusal("a=1&a=2"));
        assert_eq!(answer.error, ErrorCode::InvalidRequest);
    }

    #[test]
    fn rfc6749_3_1_a_parameter_without_value_is_omitted() {
        for body in ["scope=", "scope", "scope=&a=1", "a=1&scope"] {
            assert_eq!(form(body).get("scope"), None, "{body}");
        }
    }

    #[test]
    fn empty_sequences_are_no_parameters() {
        assert_eq!(form(""), form("&&"));
        assert_eq!(form("&a=1&&b=2&").get("b"), Some("2"));
        assert_eq!(refusal("=1"), FormError::Nameless);
        assert_eq!(refusal("="), FormError::Nameless);
    }

    #[test]
    fn bad_encoding_is_refused_and_named() {
        let value = |cause| FormError::Value {
            name: "a".into(),
            cause,
        };
        assert_eq!(refusal("a=%zz"), value(DecodeError::Percent));
        assert_eq!(refusal("a=%ff"), value(DecodeError::NotUtf8));
        assert_eq!(refusal("a=1\r\n"), value(DecodeError::Control));
        assert_eq!(refusal("%0=1"), FormError::Name(DecodeError::Percent));
        assert_eq!(refusal("%c3=1"), FormError::Name(DecodeError::NotUtf8));
    }

    #[test]
    fn every_control_character_is_refused_raw_and_encoded() {
        for byte in (0..32).chain([127_u8]) {
            let name = Form::parse(&[b'a', byte, b'=', b'1']).unwrap_err();
            assert_eq!(name, FormError::Name(DecodeError::Control), "{byte}");
            let value = refusal(&format!("a=1%{byte:02X}2"));
            assert!(
                matches!(
                    value,
                    FormError::Value {
                        cause: DecodeError::Control,
                        ..
                    }
                ),
                "{byte}"
            );
        }
    }

    #[test]
    fn sizes_are_bounded_exactly() {
        let of = |count: usize| -> String {
            let pairs: Vec<String> = (0..count).map(|index| format!("p{index}=1")).collect();
            pairs.join("&")
        };
        assert_eq!(form(&of(50)).get("p49"), Some("1"));
        assert_eq!(refusal(&of(51)), FormError::TooMany);
        assert!(Form::parse("n".repeat(64).as_bytes()).is_ok());
        assert_eq!(refusal(&"n".repeat(65)), FormError::NameTooLong);
        let value = |length: usize| format!("a={}", "%41".repeat(length));
        assert_eq!(
            form(&value(MAX_VALUE_BYTES)).get("a").unwrap().len(),
            MAX_VALUE_BYTES
        );
        assert_eq!(
            refusal(&value(MAX_VALUE_BYTES + 1)),
            FormError::ValueTooLong("a".into())
        );
    }

    #[test]
    fn rfc6749_5_2_a_name_in_an_error_is_safe_to_repeat() {
        let long = "n".repeat(64);
        for (body, name) in [
            ("a%22%5C%C3%A9=1&a%22%5C%C3%A9=1".to_owned(), "a'??"),
            (format!("{long}&{long}"), &"n".repeat(40)),
        ] {
            assert_eq!(refusal(&body), FormError::Repeated(name.to_owned()));
        }
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", form("client_secret=hunter2&scope=x"));
        assert_eq!(shown, r#"Form {"client_secret", "scope"}"#);
    }

    #[test]
    fn nothing_makes_the_parser_panic() {
        let body = "grant_type=client_credentials&scope=a+b%20%C3%A9&x=&y&client_secret=%25%26";
        for end in 0..=body.len() {
            for start in 0..=end {
                let _ = Form::parse(&body.as_bytes()[start..end]);
            }
        }
        for position in 0..body.len() {
            for byte in 0..=u8::MAX {
                let mut changed = body.as_bytes().to_vec();
                changed[position] = byte;
                if let Err(error) = Form::parse(&changed) {
                    let told = error.to_string();
                    assert_eq!(fit_description(&told, 300), told);
                }
            }
        }
        for byte in 0..=u8::MAX {
            let _ = Form::parse(&[byte]);
        }
    }
}
