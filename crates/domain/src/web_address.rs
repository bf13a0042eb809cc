//! Addresses of pages and pictures that a console shows: a client's homepage and its logo.

use std::fmt;

use grantor_protocol::issuer::is_loopback;
use thiserror::Error;
use url::Url;

/// The address of a homepage or a logo: safe to follow, and spelled in one way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebAddress(String);

/// Why a text is not the address of a page.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WebAddressError {
    /// Not an absolute URL.
    #[error("must be an absolute URL such as `https://www.example.com/about`")]
    NotAUrl,
    /// Too long.
    #[error("must have at most {} bytes", WebAddress::LIMIT)]
    TooLong,
    /// Plain HTTP to another machine, or what is no web page at all.
    #[error("must begin with `https://`; plain `http://` is for loopback addresses alone")]
    Insecure,
    /// A user name or a password.
    #[error("must have no user name or password; remove what stands before the @")]
    UserInfo,
    /// A fragment, even an empty one.
    #[error("must have no fragment; remove it from the # on")]
    Fragment,
    /// Not the spelling that a URL parser writes.
    #[error("must be in its normal spelling; write it as `{normal}`")]
    Spelling {
        /// The normal spelling.
        normal: String,
    },
}

impl WebAddress {
    /// The most bytes that it may have.
    pub const LIMIT: usize = 1_024;

    /// Parses an address, and refuses every spelling but the normal one.
    pub fn parse(text: &str) -> Result<Self, WebAddressError> {
        let url = safe_url(text)?;
        check_spelling(text, &url)?;
        Ok(Self(text.to_owned()))
    }

    /// Takes what was verified before it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads an address that a browser may safely be sent to; how it is spelled is not looked at.
pub(crate) fn safe_url(text: &str) -> Result<Url, WebAddressError> {
    if text.len() > WebAddress::LIMIT {
        return Err(WebAddressError::TooLong);
    }
    let url = Url::parse(text).map_err(|_| WebAddressError::NotAUrl)?;
    // A parser lets hosts pass that no name server knows, such as `a"b`, and what they would break out of elsewhere.
    let is_of_a_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if !url.host_str().unwrap_or_default().chars().all(is_of_a_host) {
        return Err(WebAddressError::NotAUrl);
    }
    if !(url.scheme() == "https" || url.scheme() == "http" && is_loopback(&url)) {
        return Err(WebAddressError::Insecure);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(WebAddressError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(WebAddressError::Fragment);
    }
    Ok(url)
}

/// Refuses every spelling of a URL but the parser's.
pub(crate) fn check_spelling(text: &str, url: &Url) -> Result<(), WebAddressError> {
    // A host alone is spelled without the slash by people, and with it by parsers.
    let normal = url.as_str();
    if text == normal || Some(text) == normal.strip_suffix('/') {
        return Ok(());
    }
    Err(WebAddressError::Spelling {
        normal: normal.to_owned(),
    })
}

impl fmt::Display for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for WebAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn client_1_a_homepage_is_https_or_on_loopback() {
        for good in [
            "https://www.example.com",
            "https://www.example.com/",
            "https://www.example.com/logo.svg?size=64&x=%20",
            "https://www.example.com:8443/a/",
            "https://xn--bcher-kva.example/",
            "http://localhost:5173/",
            "http://127.0.0.1/logo.png",
            "http://[::1]:5173",
        ] {
            assert_eq!(WebAddress::parse(good).unwrap().to_string(), good);
        }
        for insecure in [
            "http://www.example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "ftp://www.example.com/",
            "javascript:alert(1)",
            "data:image/svg+xml,<svg/>",
            "file:///etc/passwd",
        ] {
            let refused = WebAddress::parse(insecure);
            assert_eq!(refused, Err(WebAddressError::Insecure), "{insecure}");
        }
    }

    #[test]
    fn client_1_a_homepage_has_no_fragment_and_nobody_before_its_host() {
        use WebAddressError as Error;
        for (text, error) in [
            ("https://a.example/p#f", Error::Fragment),
            ("https://a.example/p#", Error::Fragment),
            ("https://u@a.example/p", Error::UserInfo),
            ("https://u:p@a.example/p", Error::UserInfo),
            ("", Error::NotAUrl),
            ("a.example/p", Error::NotAUrl),
            ("//a.example/p", Error::NotAUrl),
            ("https://", Error::NotAUrl),
            ("https://a\"b.example/", Error::NotAUrl),
            ("https://a;b.example/", Error::NotAUrl),
        ] {
            assert_eq!(WebAddress::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn client_1_a_homepage_has_one_spelling() {
        for (text, normal) in [
            ("HTTPS://a.example/p", "https://a.example/p"),
            ("https://A.example/p", "https://a.example/p"),
            ("https://a.example:443/p", "https://a.example/p"),
            ("https://a.example/q/../p", "https://a.example/p"),
            ("https:\\\\a.example\\p", "https://a.example/p"),
            (" https://a.example/p", "https://a.example/p"),
            ("https://a.example/\np", "https://a.example/p"),
            ("https://@a.example/p", "https://a.example/p"),
            ("https://a.example/?x", "https://a.example/?x"),
            (
                "https://a.example/\u{202e}p",
                "https://a.example/%E2%80%AEp",
            ),
            (
                "https://b\u{fc}cher.example/",
                "https://xn--bcher-kva.example/",
            ),
        ] {
            let normal = normal.to_owned();
            assert_eq!(WebAddress::parse(&normal).unwrap().as_str(), normal);
            if text != normal {
                let refused = WebAddress::parse(text);
                assert_eq!(refused, Err(WebAddressError::Spelling { normal }), "{text}");
            }
        }
    }

    #[test]
    fn client_1_the_length_of_a_homepage_is_bounded() {
        let most = format!("https://a.example/{}", "x".repeat(1_024 - 18));
        assert!(WebAddress::parse(&most).is_ok());
        for long in [most + "x", "x".repeat(1 << 20)] {
            assert_eq!(WebAddress::parse(&long), Err(WebAddressError::TooLong));
        }
    }
}
