//! How the parts of a mail are written so that every mail server passes them on as they are: in ASCII and in short lines.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// RFC 5322 §2.1.1: no line may have more characters, and none should have more than 78.
const LONGEST_LINE: usize = 998;
/// A text of a header that is longer is encoded, since only what is encoded can be folded anywhere.
const LONGEST_PLAIN: usize = 60;
/// Bytes in one encoded word: with what is around them, and with the name of the header, they fit into 76 characters.
const WORD: usize = 36;
/// RFC 2045 §6.8: base64 comes in lines of 76 characters, which are 57 bytes.
const BASE64_LINE: usize = 57;

/// A text as a header's value (RFC 2047). What somebody typed as if it were encoded is encoded itself, or
/// readers would decode it.
pub(crate) fn unstructured(text: &str) -> String {
    if is_plain(text) {
        text.to_owned()
    } else {
        encoded_words(text)
    }
}

/// A name in front of an address (RFC 5322 §3.2.5). One that could be taken for an address is encoded.
pub(crate) fn phrase(name: &str) -> String {
    if !is_plain(name) || name.contains(['"', '\\', '<', '>', '@']) {
        return encoded_words(name);
    }
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || byte == b' ';
    if name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("\"{name}\"")
    }
}

fn is_plain(text: &str) -> bool {
    text.is_ascii() && !text.contains("=?") && text.len() <= LONGEST_PLAIN
}

/// RFC 2047 §5: each word is whole characters.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let encoded: Vec<_> = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)))
        .collect();
    encoded.join("\r\n ")
}

/// A text as a mail's body, and the name of its encoding.
pub(crate) fn body(text: &str) -> (&'static str, String) {
    let text = text.replace('\n', "\r\n");
    if text.is_ascii() && text.split("\r\n").all(|line| line.len() <= LONGEST_LINE) {
        let ended = text.is_empty() || text.ends_with("\r\n");
        return ("7bit", if ended { text } else { text + "\r\n" });
    }
    let lines = text.as_bytes().chunks(BASE64_LINE);
    let lines = lines.map(|line| STANDARD.encode(line) + "\r\n");
    ("base64", lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(words: &str) -> String {
        words
            .split("\r\n ")
            .map(|word| {
                let inner = word.strip_prefix("=?utf-8?B?").unwrap();
                let bytes = STANDARD.decode(inner.strip_suffix("?=").unwrap()).unwrap();
                // Fails if a character was cut in two.
                String::from_utf8(bytes).unwrap()
            })
            .collect()
    }

    #[test]
    fn plain_texts_stay_as_they_are() {
        assert_eq!(
            unstructured("Two secrets are due: see \"x\""),
            "Two secrets are due: see \"x\""
        );
        assert_eq!(phrase("Night Ops"), "Night Ops");
        assert_eq!(phrase("O'Brien, Night"), "\"O'Brien, Night\"");
        let led_astray = phrase("Ops <eve@evil.example>, \\\"");
        assert!(led_astray.starts_with("=?utf-8?B?"), "{led_astray}");
    }

    #[test]
    fn all_others_are_encoded_in_whole_characters_and_short_lines() {
        for text in [
            "ü".to_owned(),
            "夜間エクスポート🔑".repeat(20),
            format!("a{}", "🔑".repeat(60)),
            "x".repeat(250),
            "=?utf-8?q?=0D=0ABcc:_eve?=".to_owned(),
        ] {
            for words in [unstructured(&text), phrase(&text)] {
                assert!(words.is_ascii());
                // With the longest name of a header before it.
                assert!(
                    words
                        .split("\r\n")
                        .all(|line| line.len() + "Subject: ".len() <= 76)
                );
                assert_eq!(decoded(&words), text);
            }
        }
    }

    #[test]
    fn a_body_is_plain_as_long_as_it_can_be() {
        let longest = "x".repeat(LONGEST_LINE);
        assert_eq!(body(&longest), ("7bit", format!("{longest}\r\n")));
        assert_eq!(body("a\n\n.\n"), ("7bit", "a\r\n\r\n.\r\n".to_owned()));
        assert_eq!(body(""), ("7bit", String::new()));
        for text in ["x".repeat(LONGEST_LINE + 1), "ä\nb".repeat(100)] {
            let (encoding, written) = body(&text);
            assert_eq!(encoding, "base64");
            assert!(written.split("\r\n").all(|line| line.len() <= 76));
            let bytes = STANDARD.decode(written.replace("\r\n", "")).unwrap();
            assert_eq!(
                String::from_utf8(bytes).unwrap(),
                text.replace('\n', "\r\n")
            );
        }
    }
}
