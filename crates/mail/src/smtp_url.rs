//! Where the mail server is, and how to talk to it, in one setting.

use std::fmt;

use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroizing;

/// How a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From the first byte on (`smtps`, RFC 8314 §3.3).
    Implicit,
    /// After STARTTLS, and nothing is sent without.
    Required,
    /// After STARTTLS if the server offers it. Whoever sits between can hide the offer.
    Opportunistic,
    /// Never.
    None,
}

/// Why a URL was refused. No error repeats what was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// No URL.
    #[error("is not a URL")]
    Malformed,
    /// A URL of something else.
    #[error("begins neither with smtps:// nor with smtp://")]
    Scheme,
    /// No server.
    #[error("names no host")]
    Host,
    /// Port 0.
    #[error("names port 0")]
    Port,
    /// A name without a password, or the other way round.
    #[error("has a user without a password or a password without a user")]
    HalfLogin,
    /// Not text in UTF-8, or with control characters.
    #[error("has a user or a password that is not text")]
    Login,
    /// Something behind the host.
    #[error("has a path or a fragment")]
    Path,
    /// A parameter that is not known.
    #[error("has a parameter other than one tls=required, tls=opportunistic or tls=none")]
    Parameter,
    /// `smtps` is always encrypted.
    #[error("says tls= although smtps is always encrypted")]
    TlsTwice,
    /// The password could be read on its way.
    #[error("would send the password to another machine without encryption being certain")]
    Exposed,
}

/// A name and a password.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: Zeroizing<String>,
    pub(crate) password: Zeroizing<String>,
}

/// A mail server: `smtps://user:password@host:465` or `smtp://user:password@host:587?tls=required`. Shown without name and
/// password.
#[derive(Clone)]
pub struct SmtpUrl {
    host: Host,
    port: u16,
    tls: Tls,
    login: Option<Login>,
}

impl SmtpUrl {
    /// Reads a URL. Special characters in name and password are percent-encoded. `smtp` demands encryption unless `tls=`
    /// says otherwise; a password needs certain encryption, except on the way to this very machine.
    pub fn parse(text: &str) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::EmptyHost => SmtpUrlError::Host,
            _ => SmtpUrlError::Malformed,
        })?;
        let (implicit, default_port) = match url.scheme() {
            "smtps" => (true, 465),
            // RFC 6409 §3.1: programs hand their mails in at 587; 25 is for servers among themselves.
            "smtp" => (false, 587),
            _ => return Err(SmtpUrlError::Scheme),
        };
        let host = url.host_str().filter(|host| !host.is_empty());
        // The URL standard leaves hosts of other schemes as they are.
        let host = Host::parse(host.ok_or(SmtpUrlError::Host)?).map_err(|_| SmtpUrlError::Host)?;
        let port = url.port().unwrap_or(default_port);
        if port == 0 {
            return Err(SmtpUrlError::Port);
        }
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpUrlError::Path);
        }
        let tls = match (implicit, url.query()) {
            (true, None) => Tls::Implicit,
            (true, Some(_)) => return Err(SmtpUrlError::TlsTwice),
            (false, None | Some("tls=required")) => Tls::Required,
            (false, Some("tls=opportunistic")) => Tls::Opportunistic,
            (false, Some("tls=none")) => Tls::None,
            (false, Some(_)) => return Err(SmtpUrlError::Parameter),
        };
        let login = login(&url)?;
        let certain = matches!(tls, Tls::Implicit | Tls::Required);
        if login.is_some() && !certain && !is_this_machine(&host) {
            return Err(SmtpUrlError::Exposed);
        }
        Ok(Self {
            host,
            port,
            tls,
            login,
        })
    }

    /// The host as it is looked up, and as its certificate names it.
    pub fn host(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.clone(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// How the connection is encrypted.
    pub fn tls(&self) -> Tls {
        self.tls
    }

    pub(crate) fn login(&self) -> Option<&Login> {
        self.login.as_ref()
    }
}

fn login(url: &Url) -> Result<Option<Login>, SmtpUrlError> {
    match (url.username(), url.password().unwrap_or_default()) {
        ("", "") => Ok(None),
        ("", _) | (_, "") => Err(SmtpUrlError::HalfLogin),
        (user, password) => Ok(Some(Login {
            user: decoded(user)?,
            password: decoded(password)?,
        })),
    }
}

fn decoded(text: &str) -> Result<Zeroizing<String>, SmtpUrlError> {
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| SmtpUrlError::Login)?;
    if decoded.contains(char::is_control) {
        return Err(SmtpUrlError::Login);
    }
    Ok(Zeroizing::new(decoded.into_owned()))
}

fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

impl fmt::Display for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, query) = match self.tls {
            Tls::Implicit => ("smtps", ""),
            Tls::Required => ("smtp", "?tls=required"),
            Tls::Opportunistic => ("smtp", "?tls=opportunistic"),
            Tls::None => ("smtp", "?tls=none"),
        };
        let login = self.login.as_ref().map_or("", |_| "[redacted]@");
        write!(f, "{scheme}://{login}{}:{}{query}", self.host, self.port)
    }
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_with_their_defaults_and_shown_without_their_secrets() {
        for (written, shown) in [
            ("smtps://mail.acme.example", "smtps://mail.acme.example:465"),
            (
                "smtps://ops%40acme.example:hunter2@Mail.acme.example:4650/",
                "smtps://[redacted]@mail.acme.example:4650",
            ),
            (
                "smtp://mail.acme.example",
                "smtp://mail.acme.example:587?tls=required",
            ),
            (
                "smtp://ops:hunter2@mail.acme.example:25?tls=required",
                "smtp://[redacted]@mail.acme.example:25?tls=required",
            ),
            (
                "smtp://mail.acme.example?tls=opportunistic",
                "smtp://mail.acme.example:587?tls=opportunistic",
            ),
            ("smtp://[::1]:1025?tls=none", "smtp://[::1]:1025?tls=none"),
            (
                "smtps://münchen.example",
                "smtps://xn--mnchen-3ya.example:465",
            ),
        ] {
            let url = SmtpUrl::parse(written).unwrap();
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("SmtpUrl({shown})"));
        }
        assert_eq!(SmtpUrl::parse("smtp://[::1]").unwrap().host(), "::1");
    }

    #[test]
    fn name_and_password_are_decoded() {
        let url =
            SmtpUrl::parse("smtps://ops%40acme.example:h%C3%BCnter%2F%3A+2@mail.acme.example");
        let login = url.unwrap().login.unwrap();
        assert_eq!(login.user.as_str(), "ops@acme.example");
        assert_eq!(login.password.as_str(), "hünter/:+2");
    }

    #[test]
    fn what_is_wrong_is_told_and_what_was_given_is_not() {
        for (written, error) in [
            ("hunter2", SmtpUrlError::Malformed),
            (
                "smtps://ops:hun#ter2@mail.acme.example",
                SmtpUrlError::Malformed,
            ),
            (
                "https://ops:hunter2@mail.acme.example",
                SmtpUrlError::Scheme,
            ),
            ("smtps:hunter2", SmtpUrlError::Host),
            ("smtps://", SmtpUrlError::Host),
            ("smtps://mail acme", SmtpUrlError::Malformed),
            ("smtps://mail%20acme", SmtpUrlError::Host),
            ("smtps://mail.acme.example:0", SmtpUrlError::Port),
            ("smtps://mail.acme.example:65536", SmtpUrlError::Malformed),
            ("smtps://ops@mail.acme.example", SmtpUrlError::HalfLogin),
            (
                "smtps://:hunter2@mail.acme.example",
                SmtpUrlError::HalfLogin,
            ),
            (
                "smtps://ops:%00hunter2@mail.acme.example",
                SmtpUrlError::Login,
            ),
            (
                "smtps://ops:%ffhunter2@mail.acme.example",
                SmtpUrlError::Login,
            ),
            (
                "smtps://ops:hunter2@mail.acme.example/x",
                SmtpUrlError::Path,
            ),
            ("smtps://mail.acme.example#x", SmtpUrlError::Path),
            ("smtps://mail.acme.example?tls=none", SmtpUrlError::TlsTwice),
            ("smtp://mail.acme.example?tls=", SmtpUrlError::Parameter),
            (
                "smtp://mail.acme.example?tls=none&tls=required",
                SmtpUrlError::Parameter,
            ),
            (
                "smtp://mail.acme.example?TLS=required",
                SmtpUrlError::Parameter,
            ),
        ] {
            let told = SmtpUrl::parse(written).unwrap_err();
            assert_eq!(told, error, "{written}");
            assert!(!told.to_string().contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn a_password_goes_to_another_machine_only_encrypted() {
        for tls in ["none", "opportunistic"] {
            let to = |host| SmtpUrl::parse(&format!("smtp://ops:hunter2@{host}:25?tls={tls}"));
            for far in [
                "mail.acme.example",
                "192.0.2.1",
                "[2001:db8::1]",
                "localhost.acme.example",
            ] {
                assert_eq!(to(far).unwrap_err(), SmtpUrlError::Exposed, "{far}");
            }
            for here in ["localhost", "127.0.0.1", "[::1]"] {
                assert!(to(here).is_ok(), "{here}");
            }
        }
    }
}
