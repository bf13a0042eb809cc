//! What the `Authorization` schemes have in common.

/// The longest `Authorization` value that is looked at.
pub(crate) const MAX_CREDENTIALS_BYTES: usize = 8 * 1024;

/// What follows the scheme in an `Authorization` value; `None` when the scheme is another.
///
/// RFC 9110 §11.1: the scheme is case-insensitive; §11.4: `auth-scheme [ 1*SP token68 ]`. A scheme
/// that stands alone gives empty credentials, which the caller refuses.
pub(crate) fn credentials_of<'a>(header_value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let end = header_value
        .iter()
        .position(|&byte| byte == b' ')
        .unwrap_or(header_value.len());
    let (found, rest) = header_value.split_at_checked(end)?;
    if !found.eq_ignore_ascii_case(scheme.as_bytes()) {
        return None;
    }
    let credentials = rest
        .iter()
        .position(|&byte| byte != b' ')
        .and_then(|start| rest.get(start..))
        .unwrap_or_default();
    Some(credentials)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc9110_11_1_the_scheme_is_case_insensitive() {
        for value in ["Basic abc", "basic abc", "BASIC   abc"] {
            assert_eq!(
                credentials_of(value.as_bytes(), "Basic"),
                Some(&b"abc"[..]),
                "{value}"
            );
        }
    }

    #[test]
    fn another_scheme_is_not_ours() {
        for value in [
            "",
            " ",
            "Bearer abc",
            "Basicabc",
            "Basic\tabc",
            " Basic abc",
            "Basi",
        ] {
            assert_eq!(credentials_of(value.as_bytes(), "Basic"), None, "{value:?}");
        }
    }

    #[test]
    fn a_scheme_alone_has_empty_credentials() {
        assert_eq!(credentials_of(b"Basic", "Basic"), Some(&b""[..]));
        assert_eq!(credentials_of(b"Basic  ", "Basic"), Some(&b""[..]));
    }
}
