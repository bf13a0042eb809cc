//! The style of all pages, and the policy that lets a browser use it and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};

/// The style, exactly as it stands between `<style>` and `</style>`.
pub(crate) const STYLE: &str = include_str!("style.css");

/// The source that a Content-Security-Policy allows this style by: `'sha256-…'`, of the very text that the pages
/// hold.
pub fn style_source() -> String {
    source_of(STYLE)
}

/// The Content-Security-Policy for every page of this crate: the style in the page, and nothing from anywhere.
pub fn content_security_policy() -> String {
    format!(
        "default-src 'none'; style-src {}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        style_source()
    )
}

fn source_of(style: &str) -> String {
    let hash = digest(&SHA256, style.as_bytes());
    format!("'sha256-{}'", STANDARD.encode(hash.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::{STYLE, content_security_policy, source_of, style_source};

    #[test]
    fn the_source_is_as_the_policy_language_writes_it() {
        // The example of Content Security Policy Level 3, §7.2.
        assert_eq!(
            source_of("alert('Hello, world.');"),
            "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
        );
        assert!(content_security_policy().contains(&style_source()));
    }

    #[test]
    fn a_browser_reads_the_style_as_it_was_hashed() {
        // It would end the element at `</style`, and make one character of a carriage return and a line feed.
        assert!(!STYLE.contains(['<', '\r', '\0']));
    }

    #[test]
    fn the_style_asks_for_nothing() {
        for asks in ["url(", "@import", "@font-face", "image-set", "src("] {
            assert!(!STYLE.contains(asks), "{asks}");
        }
    }
}
