//! Searching by how words begin: what is found by, and what is looked for.

use std::collections::BTreeSet;

/// The most characters of a word that are kept.
const WORD_LENGTH: usize = 64;
/// The most words that are kept of one thing, or looked for at once.
const WORDS: usize = 32;

/// The words of some texts, in small letters, each once: what stands between characters that are neither
/// letters nor digits.
pub fn words<'t>(texts: impl IntoIterator<Item = &'t str>) -> BTreeSet<String> {
    texts
        .into_iter()
        .flat_map(|text| text.split(|character: char| !character.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .map(|word| word.to_lowercase().chars().take(WORD_LENGTH).collect())
        .take(WORDS)
        .collect()
}

/// What is looked for: things of which every one of these begins a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// The longest of them, which the fewest words begin with.
    pub first: String,
    /// The others.
    pub others: Vec<String>,
}

impl Sought {
    /// Reads what somebody typed; nothing if there is no word in it.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words: Vec<String> = words([text]).into_iter().collect();
        words.sort_by_key(|word| std::cmp::Reverse(word.chars().count()));
        let mut words = words.into_iter();
        Some(Self {
            first: words.next()?,
            others: words.collect(),
        })
    }
}

/// The lowest text that is above all that begin with these letters, where texts are ordered by their bytes.
pub fn above(prefix: &str) -> String {
    format!("{prefix}\u{10FFFF}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_small_and_told_apart_by_whatever_is_no_letter_or_digit() {
        let found = words(["Zoë van-der Berg", "zoe.berg+x@Example.com"]);
        let found: Vec<_> = found.iter().map(String::as_str).collect();
        assert_eq!(
            found,
            ["berg", "com", "der", "example", "van", "x", "zoe", "zoë"]
        );
        assert!(words(["", " \u{301}--%_' "]).is_empty());
    }

    #[test]
    fn a_long_word_and_many_words_are_cut() {
        let long = "é".repeat(500);
        assert_eq!(words([long.as_str()]).first().unwrap().chars().count(), 64);
        let many: Vec<String> = (0..1_000).map(|number| format!("w{number}")).collect();
        assert_eq!(words(many.iter().map(String::as_str)).len(), 32);
    }

    #[test]
    fn the_longest_word_is_looked_for_first() {
        let sought = Sought::parse("an Example%").unwrap();
        assert_eq!((&*sought.first, sought.others.len()), ("example", 1));
        assert_eq!(Sought::parse(" %_'\" "), None);
    }

    #[test]
    fn what_begins_with_the_letters_lies_below() {
        for word in ["an", "anna", "an\u{FFFF}z", "anzzz"] {
            assert!(word < above("an").as_str() && word >= "an");
        }
        assert!(above("an").as_str() < "ao");
    }
}
