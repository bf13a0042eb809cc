//! Scopes by the grammar of RFC 6749 §3.3.

use std::borrow::Borrow;
use std::collections::{BTreeSet, btree_set};
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// The longest scope that is accepted, in characters.
pub const MAX_SCOPE_CHARS: usize = 128;

/// The most scopes that one text may name.
pub const MAX_SCOPES: usize = 100;

/// Why a text is not a scope, or not a list of scopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ScopeError {
    /// Nothing was named.
    #[error("the scope is empty; name at least one, or leave the parameter out")]
    Empty,
    /// A space at the beginning, at the end, or two in a row.
    #[error(
        "the scope has a leading, trailing or double space; put exactly one space between two scopes"
    )]
    Spacing,
    /// A character that the grammar does not allow.
    #[error(
        "the scope has the character U+{:04X}; use printable ASCII without spaces, quotation marks and backslashes",
        u32::from(*.0)
    )]
    Character(char),
    /// One scope is longer than [`MAX_SCOPE_CHARS`].
    #[error("a scope is longer than {MAX_SCOPE_CHARS} characters; name one that exists")]
    TooLong,
    /// More scopes than [`MAX_SCOPES`].
    #[error("more than {MAX_SCOPES} scopes are named; ask for fewer at once")]
    TooMany,
}

/// One scope: a `scope-token` of RFC 6749 §3.3, at most [`MAX_SCOPE_CHARS`] long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 128))]
pub struct ScopeToken(String);

impl ScopeToken {
    /// Parses one scope.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        if let Some(other) = text.chars().find(|&c| !is_scope_char(c)) {
            return Err(ScopeError::Character(other));
        }
        match text.len() {
            0 => Err(ScopeError::Empty),
            1..=MAX_SCOPE_CHARS => Ok(Self(text.to_owned())),
            _ => Err(ScopeError::TooLong),
        }
    }

    /// The scope as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_scope_char(c: char) -> bool {
    matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e')
}

impl fmt::Display for ScopeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for ScopeToken {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for ScopeToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// A set of scopes, in the order of their bytes.
///
/// The empty set exists (what remains of an intersection), but the grammar has no text for it:
/// [`Scopes::parse`] refuses `""`, as a request that wants no scope leaves the parameter out.
/// Serde writes the empty set as `""` and reads it back, so that a stored set survives.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, example = "billing:read billing:write"))]
pub struct Scopes(BTreeSet<ScopeToken>);

impl Scopes {
    /// Parses a space-delimited list; the order does not matter and repeated scopes collapse.
    ///
    /// RFC 6749 §3.3: `scope = scope-token *( SP scope-token )`. Leading, trailing and double
    /// spaces are refused, and so are more than [`MAX_SCOPES`] tokens, repeated ones included.
    pub fn parse(text: &str) -> Result<Self, ScopeError> {
        if text.is_empty() {
            return Err(ScopeError::Empty);
        }
        let mut scopes = BTreeSet::new();
        for (index, token) in text.split(' ').enumerate() {
            if index >= MAX_SCOPES {
                return Err(ScopeError::TooMany);
            }
            let token = ScopeToken::parse(token).map_err(|error| match error {
                ScopeError::Empty => ScopeError::Spacing,
                other => other,
            })?;
            scopes.insert(token);
        }
        Ok(Self(scopes))
    }

    /// The scopes in order.
    pub fn iter(&self) -> btree_set::Iter<'_, ScopeToken> {
        self.0.iter()
    }

    /// Whether no scope is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many scopes are in the set.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether this scope (a [`ScopeToken`] or its text) is in the set.
    pub fn contains<Q: Ord + ?Sized>(&self, scope: &Q) -> bool
    where
        ScopeToken: Borrow<Q>,
    {
        self.0.contains(scope)
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(&self.0 & &other.0)
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        Self(&self.0 - &other.0)
    }

    /// Whether the other set has all of these.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The scopes as strings, in order.
    pub fn to_vec(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl FromIterator<ScopeToken> for Scopes {
    fn from_iter<I: IntoIterator<Item = ScopeToken>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a Scopes {
    type Item = &'a ScopeToken;
    type IntoIter = btree_set::Iter<'a, ScopeToken>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl IntoIterator for Scopes {
    type Item = ScopeToken;
    type IntoIter = btree_set::IntoIter<ScopeToken>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

impl Serialize for Scopes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scopes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self::default());
        }
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> Scopes {
        Scopes::parse(text).unwrap()
    }

    #[test]
    fn rfc6749_3_3_scope_grammar() {
        for code in 0..=0x17f_u32 {
            let c = char::from_u32(code).unwrap();
            let allowed = matches!(code, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
            let expected = if allowed {
                Ok(c.to_string())
            } else {
                Err(ScopeError::Character(c))
            };
            let parsed = ScopeToken::parse(&c.to_string()).map(|token| token.to_string());
            assert_eq!(parsed, expected, "U+{code:04X}");
        }
        assert_eq!(ScopeToken::parse(""), Err(ScopeError::Empty));
    }

    #[test]
    fn rfc6749_3_3_exactly_one_space_between() {
        assert_eq!(Scopes::parse(""), Err(ScopeError::Empty));
        for bad in [" ", " a", "a ", "a  b", "  "] {
            assert_eq!(Scopes::parse(bad), Err(ScopeError::Spacing), "{bad:?}");
        }
        for (bad, c) in [("a\tb", '\t'), ("a\nb", '\n'), ("a\u{a0}b", '\u{a0}')] {
            assert_eq!(Scopes::parse(bad), Err(ScopeError::Character(c)));
        }
    }

    #[test]
    fn rfc6749_3_3_order_does_not_matter_and_case_does() {
        assert_eq!(scopes("b a"), scopes("a b"));
        assert_ne!(scopes("a"), scopes("A"));
        assert_eq!(scopes("b a b a").to_string(), "a b");
        assert_eq!(scopes("b a b").to_vec(), ["a", "b"]);
    }

    #[test]
    fn lengths_and_counts_are_bounded() {
        assert!(ScopeToken::parse(&"x".repeat(128)).is_ok());
        assert_eq!(
            ScopeToken::parse(&"x".repeat(129)),
            Err(ScopeError::TooLong)
        );
        let named = |count: usize| -> String {
            let tokens: Vec<String> = (0..count).map(|index| format!("s{index}")).collect();
            tokens.join(" ")
        };
        assert_eq!(scopes(&named(100)).len(), 100);
        assert_eq!(Scopes::parse(&named(101)), Err(ScopeError::TooMany));
        let repeated = ["a"; 101].join(" ");
        assert_eq!(Scopes::parse(&repeated), Err(ScopeError::TooMany));
    }

    #[test]
    fn sets_meet_and_differ() {
        let (left, right) = (scopes("a b c"), scopes("b c d"));
        assert_eq!(left.intersection(&right), scopes("b c"));
        assert_eq!(left.difference(&right), scopes("a"));
        assert!(scopes("b").is_subset_of(&left));
        assert!(!right.is_subset_of(&left));
        assert!(Scopes::default().is_subset_of(&left));
        assert!(left.contains("a"));
        assert!(!left.contains(&ScopeToken::parse("d").unwrap()));
        assert!(left.difference(&left).is_empty());
    }

    #[test]
    fn what_is_read_is_validated_and_survives() {
        for set in [
            Scopes::default(),
            scopes("grantor:clients.read"),
            scopes("a b"),
        ] {
            let text = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<Scopes>(&text).unwrap(), set);
        }
        for bad in [r#"" ""#, r#""a  b""#, r#""a\\b""#, r#"["a"]"#, "null"] {
            assert!(serde_json::from_str::<Scopes>(bad).is_err(), "{bad}");
        }
        for bad in [r#""""#, r#""a b""#, r#""a\"""#] {
            assert!(serde_json::from_str::<ScopeToken>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_tells_the_character_without_repeating_it() {
        let told = ScopeError::Character('"').to_string();
        assert!(told.contains("U+0022"), "{told}");
        assert!(!told.contains('"'), "{told}");
    }
}
