//! Which addresses a page may link to, and how a text stands in one.

/// The address itself, if a page may link to it: the web, a mailbox, a place on this page, or a path of this server.
///
/// A list of what is allowed, not of what is not: browsers read `java\tscript:` as a script, and `/\host` as
/// another host.
pub(crate) fn allowed(address: &str) -> Option<String> {
    let is_plain = !address
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '\\');
    let is_path = address.starts_with('/') && !address.starts_with("//");
    let is_known = is_path
        || address.starts_with('#')
        || ["https://", "http://", "mailto:"]
            .iter()
            .any(|scheme| address.starts_with(scheme));
    (is_plain && is_known).then(|| address.to_owned())
}

/// A text as one segment or value of an address: what has a meaning there is percent-encoded (RFC 3986 §2.1).
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{allowed, encoded};

    #[test]
    fn an_encoded_text_has_nothing_but_itself() {
        assert_eq!(encoded("a-b._~9"), "a-b._~9");
        assert_eq!(encoded("a/b ?&=#%é"), "a%2Fb%20%3F%26%3D%23%25%C3%A9");
    }

    #[test]
    fn the_web_and_this_server_are_allowed() {
        for address in [
            "https://example.com/a?b=c#d",
            "http://127.0.0.1:8080/",
            "mailto:a@example.com",
            "#schema/Client",
            "/problems/invalid-field",
        ] {
            assert_eq!(allowed(address).as_deref(), Some(address));
        }
    }

    #[test]
    fn all_else_is_not() {
        for address in [
            "",
            "javascript:alert(1)",
            "java\tscript:alert(1)",
            " https://example.com",
            "JavaScript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "//elsewhere.example",
            "/\\elsewhere.example",
            "page.html",
            "https://a\nb",
        ] {
            assert_eq!(allowed(address), None, "{address:?}");
        }
    }
}
