//! The issuer: one spelling, used everywhere (RFC 8414 §2, OpenID Connect Discovery §4).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;
use url::{Host, Url};

/// The longest issuer that is accepted, in bytes.
pub const MAX_ISSUER_BYTES: usize = 1024;

/// Why a text is not an issuer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IssuerError {
    /// Not an absolute URL.
    #[error("the issuer is not a URL; write it as https://host/path")]
    NotAUrl(#[source] url::ParseError),
    /// Longer than [`MAX_ISSUER_BYTES`].
    #[error("the issuer is longer than {MAX_ISSUER_BYTES} bytes; shorten it")]
    TooLong,
    /// Another scheme than `https` or `http`.
    #[error("the issuer has another scheme than https or http; use https")]
    Scheme,
    /// A user name or a password.
    #[error("the issuer has a user name or password; remove it")]
    UserInfo,
    /// A query, even an empty one.
    #[error("the issuer has a query; remove it from the ? on")]
    Query,
    /// A fragment, even an empty one.
    #[error("the issuer has a fragment; remove it from the # on")]
    Fragment,
    /// A slash at the end, which would make two spellings of one issuer.
    #[error("the issuer ends with a slash; remove it")]
    TrailingSlash,
    /// Not the spelling that a URL parser writes.
    #[error("the issuer is not in its normal spelling; write it as {normal}")]
    Spelling {
        /// The normal spelling.
        normal: String,
    },
}

/// The identifier of an authorization server, compared byte by byte.
///
/// RFC 8414 §2: a URL without query and fragment. Plain `http` is accepted too; whether a
/// deployment may use it is not decided here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, example = "https://id.example.com/t/ten_1"))]
pub struct Issuer(String);

impl Issuer {
    /// Parses an issuer, and refuses every spelling but the normal one.
    pub fn parse(text: &str) -> Result<Self, IssuerError> {
        if text.len() > MAX_ISSUER_BYTES {
            return Err(IssuerError::TooLong);
        }
        let url = Url::parse(text).map_err(IssuerError::NotAUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(IssuerError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(IssuerError::UserInfo);
        }
        if url.query().is_some() {
            return Err(IssuerError::Query);
        }
        if url.fragment().is_some() {
            return Err(IssuerError::Fragment);
        }
        if text.ends_with('/') {
            return Err(IssuerError::TrailingSlash);
        }
        // Upper case, default ports, dot segments and characters that a parser drops silently: two
        // programs could disagree about whether such a text is the same issuer.
        let normal = url.as_str().trim_end_matches('/');
        if text != normal {
            return Err(IssuerError::Spelling {
                normal: normal.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }

    /// Whether what is sent there is safe on its way: by `https`, or not leaving the machine.
    pub fn is_safe(&self) -> bool {
        Url::parse(&self.0).is_ok_and(|url| url.scheme() == "https" || is_loopback(&url))
    }

    /// The issuer as it is written everywhere.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URL of an endpoint below the issuer, such as `token`.
    pub fn endpoint(&self, name: &str) -> String {
        format!("{}/{name}", self.0)
    }

    /// Where RFC 8414 §3.1 puts the metadata: the well-known part between host and path.
    pub fn well_known_oauth(&self) -> String {
        let (origin, path) = self.origin_and_path();
        format!("{origin}/.well-known/oauth-authorization-server{path}")
    }

    /// Where OpenID Connect Discovery §4.1 puts the metadata: after the path.
    pub fn well_known_openid(&self) -> String {
        format!("{}/.well-known/openid-configuration", self.0)
    }

    fn origin_and_path(&self) -> (&str, &str) {
        let authority = self.0.find("://").map_or(0, |scheme| scheme + 3);
        self.0
            .bytes()
            .skip(authority)
            .position(|byte| byte == b'/')
            .and_then(|path| self.0.split_at_checked(authority + path))
            .unwrap_or((&self.0, ""))
    }
}

/// Whether a URL leads to the machine itself, whatever names mean elsewhere.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Issuer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(text: &str) -> Issuer {
        Issuer::parse(text).unwrap()
    }

    #[test]
    fn rfc8414_path_insertion() {
        for (text, expected) in [
            (
                "https://example.com",
                "https://example.com/.well-known/oauth-authorization-server",
            ),
            (
                "https://example.com/issuer1",
                "https://example.com/.well-known/oauth-authorization-server/issuer1",
            ),
            (
                "http://127.0.0.1:8081/t/ten_1",
                "http://127.0.0.1:8081/.well-known/oauth-authorization-server/t/ten_1",
            ),
            (
                "http://[::1]:8081/t/ten_1",
                "http://[::1]:8081/.well-known/oauth-authorization-server/t/ten_1",
            ),
        ] {
            assert_eq!(issuer(text).well_known_oauth(), expected);
        }
    }

    #[test]
    fn oidc_discovery_4_1_appends() {
        assert_eq!(
            issuer("https://example.com/t/a").well_known_openid(),
            "https://example.com/t/a/.well-known/openid-configuration"
        );
    }

    #[test]
    fn endpoints_are_below_the_issuer() {
        assert_eq!(
            issuer("https://example.com/t/a").endpoint("token"),
            "https://example.com/t/a/token"
        );
    }

    #[test]
    fn rfc8414_2_no_query_and_no_fragment() {
        for (text, error) in [
            ("https://a.example?x=1", IssuerError::Query),
            ("https://a.example/t?", IssuerError::Query),
            ("https://a.example#f", IssuerError::Fragment),
            ("https://a.example/t#", IssuerError::Fragment),
            ("https://u@a.example", IssuerError::UserInfo),
            ("https://:p@a.example", IssuerError::UserInfo),
            ("ftp://a.example", IssuerError::Scheme),
            ("javascript:alert(1)", IssuerError::Scheme),
            ("urn:grantor:api", IssuerError::Scheme),
            ("https://a.example/", IssuerError::TrailingSlash),
            ("https://a.example/t/", IssuerError::TrailingSlash),
        ] {
            assert_eq!(Issuer::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_url_is_refused() {
        for text in ["", "a.example", "/t/a", "https://", "https://a b"] {
            let refused = Issuer::parse(text);
            assert!(
                matches!(refused, Err(IssuerError::NotAUrl(_))),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn one_issuer_has_one_spelling() {
        for (text, normal) in [
            ("HTTPS://a.example", "https://a.example"),
            ("https://A.example/T", "https://a.example/T"),
            ("https://a.example:443", "https://a.example"),
            ("https://a.example/t/../u", "https://a.example/u"),
            ("https://a.example\\t", "https://a.example/t"),
            ("https:a.example", "https://a.example"),
            ("https:///a.example", "https://a.example"),
            (" https://a.example", "https://a.example"),
            ("https://a.ex\nample", "https://a.example"),
            ("https://@a.example", "https://a.example"),
            (
                "https://b\u{fc}cher.example",
                "https://xn--bcher-kva.example",
            ),
            ("https://0x7f.1", "https://127.0.0.1"),
        ] {
            let normal = normal.to_owned();
            assert_eq!(Issuer::parse(&normal).unwrap().as_str(), normal);
            assert_eq!(Issuer::parse(text), Err(IssuerError::Spelling { normal }));
        }
    }

    #[test]
    fn plain_http_is_safe_on_the_machine_itself_alone() {
        for safe in [
            "https://a.example",
            "http://localhost:8081/t/a",
            "http://127.0.0.1:8081",
            "http://127.8.9.1",
            "http://[::1]/t",
        ] {
            assert!(issuer(safe).is_safe(), "{safe}");
        }
        for unsafe_ in [
            "http://a.example",
            "http://localhost.example",
            "http://127.0.0.1.example",
            "http://10.0.0.1",
            "http://[::2]",
            "http://[::ffff:127.0.0.1]",
        ] {
            assert!(
                !Issuer::parse(unsafe_).is_ok_and(|issuer| issuer.is_safe()),
                "{unsafe_}"
            );
        }
    }

    #[test]
    fn the_length_is_bounded() {
        let long = format!("https://a.example/{}", "x".repeat(MAX_ISSUER_BYTES));
        assert_eq!(Issuer::parse(&long), Err(IssuerError::TooLong));
    }

    #[test]
    fn what_is_read_is_validated() {
        let read = |text: &str| serde_json::from_str::<Issuer>(text);
        assert_eq!(
            read(r#""https://a.example""#).unwrap(),
            issuer("https://a.example")
        );
        assert!(read(r#""https://a.example/""#).is_err());
    }
}
