//! Where a server is reached from outside: scheme, host and port, and nothing after them.

use std::fmt;

use url::{Host, Url};

/// An origin: `https://host[:port]`, lower case, the default port left out, no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin(String);

/// Why a text is no origin that may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// Not a URL with a host.
    #[error("is not an origin such as https://login.example.com")]
    Malformed,
    /// Neither https nor http.
    #[error("is neither https nor http")]
    Scheme,
    /// A path, a query, a fragment or a user stands in it.
    #[error("has more than scheme, host and port")]
    MoreThanOrigin,
    /// http beyond this machine.
    #[error("is http on a host other than localhost, 127.0.0.1 and [::1]")]
    PlainHttp,
}

impl Origin {
    /// Reads an origin; http beyond this machine only when `allow_http`.
    pub fn parse(text: &str, allow_http: bool) -> Result<Self, OriginError> {
        // The URL parser forgives what browsers forgive (https:host, https:\\host, line feeds); here nothing is forgiven.
        if !text.contains("://") || !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(OriginError::Malformed);
        }
        let url = Url::parse(text).map_err(|_| OriginError::Malformed)?;
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return Err(OriginError::Scheme),
        };
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && !text.contains('@');
        if !bare {
            return Err(OriginError::MoreThanOrigin);
        }
        let host = url.host().ok_or(OriginError::Malformed)?;
        if !secure && !allow_http && !is_loopback(&host) {
            return Err(OriginError::PlainHttp);
        }
        Ok(Self(url.origin().ascii_serialization()))
    }

    /// The origin as text, without a trailing slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is https, so that cookies may be `Secure`.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost",
        Host::Ipv4(address) => *address == std::net::Ipv4Addr::LOCALHOST,
        Host::Ipv6(address) => *address == std::net::Ipv6Addr::LOCALHOST,
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String, OriginError> {
        Origin::parse(text, false).map(|origin| origin.to_string())
    }

    #[test]
    fn origins_are_brought_into_one_form() {
        assert_eq!(
            parsed("https://login.example.com").unwrap(),
            "https://login.example.com"
        );
        assert_eq!(
            parsed("HTTPS://Login.Example.com:443/").unwrap(),
            "https://login.example.com"
        );
        assert_eq!(
            parsed("https://login.example.com:8443").unwrap(),
            "https://login.example.com:8443"
        );
        assert_eq!(
            parsed("https://[2001:db8::1]:8443").unwrap(),
            "https://[2001:db8::1]:8443"
        );
    }

    #[test]
    fn http_stays_on_this_machine_unless_allowed() {
        for local in [
            "http://localhost:8081",
            "http://127.0.0.1:8081",
            "http://[::1]:8081",
        ] {
            assert_eq!(parsed(local).unwrap(), local);
        }
        for remote in [
            "http://login.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://127.0.0.1.example.com",
        ] {
            assert_eq!(parsed(remote), Err(OriginError::PlainHttp), "{remote}");
            let allowed = Origin::parse(remote, true).unwrap();
            assert_eq!(allowed.as_str(), remote);
            assert!(!allowed.is_https());
        }
    }

    #[test]
    fn nothing_follows_an_origin() {
        for text in [
            "https://h.example/path",
            "https://h.example//",
            "https://h.example/?",
            "https://h.example?a=b",
            "https://h.example#f",
            "https://user@h.example",
            "https://user:pw@h.example",
            "https://@h.example",
        ] {
            assert_eq!(parsed(text), Err(OriginError::MoreThanOrigin), "{text}");
        }
    }

    #[test]
    fn what_browsers_forgive_is_not_forgiven() {
        for text in [
            "",
            "login.example.com",
            "https:h.example",
            "https:\\\\h.example",
            "https://",
            "https://h.exa\nmple",
            "https://h example",
            "https://h.example:99999",
        ] {
            assert_eq!(parsed(text), Err(OriginError::Malformed), "{text:?}");
        }
        assert_eq!(parsed("ftp://h.example"), Err(OriginError::Scheme));
    }
}
