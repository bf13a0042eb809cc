//! Secrets that were sent where they don't belong: as part of a path, as the name of a program, as a request's id.
//!
//! All of these are written down. So whatever is long enough to be a secret is left out of them: it is no id, and no
//! word that anybody will look for.

use std::fmt::Write as _;

/// The longest word that is written down. An id has 30 characters; a secret of ours has 49 beside its prefix, and tokens
/// and the secrets of others are longer still.
const LONGEST_WORD: usize = 48;

/// What the secrets of ours begin with.
const PREFIXES: [&str; 4] = ["gsec_", "gat_", "grt_", "glk_"];

/// The text without the words in it that could be secrets; how long each was stands in its place.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut safe = String::with_capacity(text.len().min(1_024));
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|c| !is_of_a_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word);
        if word.len() > LONGEST_WORD {
            // Writing to a String cannot fail.
            let _ = write!(safe, "[{} characters]", word.len());
        } else {
            safe.push_str(word);
        }
        let between = after.find(is_of_a_word).unwrap_or(after.len());
        let (between, next) = after.split_at(between);
        safe.push_str(between);
        rest = next;
    }
    safe
}

/// Whether a text has a secret of ours in it, or the beginning of one.
pub(crate) fn has_secret(text: &str) -> bool {
    PREFIXES.iter().any(|prefix| text.contains(prefix))
}

/// Letters that secrets and tokens are made of, as they are and as an address writes them.
fn is_of_a_word(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || matches!(character, '_' | '-' | '.' | '~' | '%' | '+' | '=' | ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_long_as_a_secret_is_left_out() {
        let secret = format!("gsec_{}", "aB3".repeat(16) + "x");
        for (text, safe) in [
            (
                format!("/v1/tenants/{secret}/clients"),
                "/v1/tenants/[54 characters]/clients",
            ),
            (secret.clone(), "[54 characters]"),
            (format!("/{}", &secret[5..]), "/[49 characters]"),
            (format!("/%67{}", &secret[1..]), "/[56 characters]"),
            (
                format!("app/1 (key {secret}; x)"),
                "app/1 (key [54 characters]; x)",
            ),
            (format!("é{secret}é"), "é[54 characters]é"),
            (format!("/a.{}.c", "b".repeat(60)), "/[64 characters]"),
        ] {
            assert_eq!(without_secrets(&text), safe);
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in [
            "",
            "/",
            "//",
            "/v1/tenants/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/clients/cli_01kb2q3r4s5t6v7w8x9y0z1a2b/secrets/rotate",
            "/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/.well-known/openid-configuration",
            "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "agent/4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            "日本語 🦀",
        ] {
            assert_eq!(without_secrets(text), text);
        }
    }

    #[test]
    fn a_secret_is_known_by_its_beginning() {
        assert!(has_secret("x-gat_0123"));
        assert!(has_secret("glk_"));
        assert!(!has_secret(
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        ));
    }
}
