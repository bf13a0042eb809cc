//! Where a browser goes back to after a sign-in or a sign-out (`client_3`).
//!
//! Codes are sent there, so two programs must never disagree about where it leads: what a browser would read
//! otherwise than it is written is refused when it is registered, and later compared byte by byte (RFC 9700 §4.1.3).

use std::fmt;

use thiserror::Error;
use url::Url;

use crate::client::ClientProfile;
use crate::text::is_invisible;

/// A redirect URI or post-logout redirect URI of a client.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RedirectUri(String);

/// Why a text is not a redirect URI; each sentence says the mend.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedirectUriError {
    /// Too long.
    #[error(
        "must have at most {} bytes; keep what changes in `state`",
        RedirectUri::LIMIT
    )]
    TooLong,
    /// A control character, percent-encoded or not.
    #[error("must not contain control characters (found U+{code:04X}); remove it")]
    Control {
        /// The character's code point.
        code: u32,
    },
    /// A character that is invisible or turns the direction of writing.
    #[error(
        "must not contain invisible or direction-changing characters (found U+{code:04X}); remove it"
    )]
    Invisible {
        /// The character's code point.
        code: u32,
    },
    /// White space, which some programs cut away and others encode.
    #[error("must not contain white space; remove it, or write it as `%20`")]
    WhiteSpace,
    /// A backslash, which browsers take for a slash.
    #[error("must not contain a backslash; write `/`, or `%5C` if it is meant")]
    Backslash,
    /// A wildcard, percent-encoded or not.
    #[error("must not contain a `*`; register each redirect URI by itself")]
    Wildcard,
    /// A fragment, even an empty one.
    #[error("must have no fragment; remove it from the # on")]
    Fragment,
    /// A `%` that encodes nothing.
    #[error(
        "must have two hexadecimal digits behind every `%`; write the character itself as `%25`"
    )]
    PercentEncoding,
    /// No scheme.
    #[error("must be absolute; write it whole, such as `https://app.example.com/callback`")]
    Relative,
    /// A scheme that only a native client could have, or nobody.
    #[error(
        "must begin with `https://`; a scheme of its own, such as `com.example.app:`, is for a `native` client alone"
    )]
    Scheme,
    /// A scheme that could be any program's, or that a browser runs.
    #[error(
        "must begin with `https://`, or with the reverse of a domain that is yours, such as `com.example.app:/callback`"
    )]
    PrivateScheme,
    /// No slash behind a private-use scheme, so that what follows is no path.
    #[error("must have a / behind its scheme, such as `com.example.app:/callback`")]
    PrivatePath,
    /// A user name or a password, even an empty one.
    #[error("must have no user name or password; remove what stands before the @, and the @")]
    UserInfo,
    /// No host.
    #[error("must have a host behind `//`, such as `https://app.example.com/callback`")]
    EmptyHost,
    /// A dot behind the host, which makes another host of it for some programs.
    #[error("must have no dot behind its host; remove it")]
    TrailingDot,
    /// Plain HTTP to another machine: whoever listens would read the code.
    #[error(
        "must begin with `https://`; plain `http://` is for `localhost` and `127.0.0.1` alone, and `[::1]` of a `native` client"
    )]
    Insecure,
    /// The port that the scheme has anyway.
    #[error("must not name the port that its scheme has anyway; remove `:{port}`")]
    DefaultPort {
        /// The port.
        port: u16,
    },
    /// A `.` or `..` in the path, percent-encoded or not.
    #[error("must have no `.` or `..` in its path; write the path that it leads to")]
    DotSegment,
    /// What no URI may have in its path or query.
    #[error("must not contain `{character}`; write it as `%{:02X}`", u32::from(*.character))]
    Character {
        /// The character.
        character: char,
    },
    /// Not a URI at all.
    #[error("can't be read as a URI; check its host and its port")]
    Malformed,
    /// A host in other letters than ASCII.
    #[error("must have a host in ASCII; write it as `{normal}`")]
    UnicodeHost {
        /// The normal spelling.
        normal: String,
    },
    /// Upper case in the scheme or the host.
    #[error("must have its scheme and host in lower case; write it as `{normal}`")]
    UpperCase {
        /// The normal spelling.
        normal: String,
    },
    /// Not the spelling that a URL parser writes.
    #[error("must be in its normal spelling; write it as `{normal}`")]
    Spelling {
        /// The normal spelling.
        normal: String,
    },
}

impl RedirectUri {
    /// The most bytes that it may have.
    pub const LIMIT: usize = 2_000;

    /// Parses what is registered for a client of this profile, and refuses every spelling but the normal one.
    pub fn parse(text: &str, profile: ClientProfile) -> Result<Self, RedirectUriError> {
        if text.len() > Self::LIMIT {
            return Err(RedirectUriError::TooLong);
        }
        check_characters(text)?;
        let parts = Parts::of(text).ok_or(RedirectUriError::Relative)?;
        if parts.authority.is_some_and(|it| it.contains('@')) {
            return Err(RedirectUriError::UserInfo);
        }
        let scheme = parts.scheme.to_ascii_lowercase();
        let is_web = matches!(scheme.as_str(), "https" | "http");
        if is_web {
            check_host(&scheme, &parts, profile)?;
        } else if profile == ClientProfile::Native {
            check_private_use(&scheme, &parts)?;
        } else {
            return Err(RedirectUriError::Scheme);
        }
        if parts.path().split('/').any(is_dot_segment) {
            return Err(RedirectUriError::DotSegment);
        }
        let url = Url::parse(text).map_err(|_| RedirectUriError::Malformed)?;
        check_spelling(text, &parts, &url, is_web)?;
        Ok(Self(text.to_owned()))
    }

    /// Takes what was verified before it was stored.
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The URI.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is where a client of this profile asks to be sent back to.
    pub fn matches(&self, presented: &str, profile: ClientProfile) -> bool {
        if self.0 == presented {
            return true;
        }
        // RFC 8252 §7.3: the authorization server MUST allow any port to be specified at the time of the
        // request for loopback IP redirect URIs.
        profile == ClientProfile::Native
            && without_loopback_port(&self.0)
                .is_some_and(|same| without_loopback_port(presented) == Some(same))
    }
}

/// What stands before and behind the port of a loopback literal; none if it isn't one, or its port can't be one.
fn without_loopback_port(text: &str) -> Option<(&str, &str)> {
    let (scheme, after) = text.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let literal = ["127.0.0.1", "[::1]"]
        .into_iter()
        .find(|literal| after.starts_with(literal))?;
    let (before, after) = text.split_at_checked(scheme.len() + 3 + literal.len())?;
    let Some(after) = after.strip_prefix(':') else {
        return Some((before, after));
    };
    let end = after.find(|c: char| !c.is_ascii_digit());
    let (port, after) = after.split_at_checked(end.unwrap_or(after.len()))?;
    let is_port = (port == "0" || !port.starts_with('0')) && port.parse::<u16>().is_ok();
    is_port.then_some((before, after))
}

/// A URI taken apart as it is written, before a parser mends it.
struct Parts<'t> {
    scheme: &'t str,
    /// What stands between `//` and the path, if there is a `//`.
    authority: Option<&'t str>,
    /// Path and query.
    tail: &'t str,
}

impl<'t> Parts<'t> {
    fn of(text: &'t str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        // RFC 3986 §3.1: scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
        let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        if !is_scheme {
            return None;
        }
        let (authority, tail) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, tail) =
                    rest.split_at_checked(rest.find(['/', '?']).unwrap_or(rest.len()))?;
                (Some(authority), tail)
            }
            None => (None, rest),
        };
        Some(Self {
            scheme,
            authority,
            tail,
        })
    }

    fn host_and_port(&self) -> (&'t str, Option<&'t str>) {
        let authority = self.authority.unwrap_or_default();
        match authority.rsplit_once(':') {
            // The last colon of [::1] stands before no port.
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        }
    }

    fn path(&self) -> &'t str {
        self.tail
            .split_once('?')
            .map_or(self.tail, |(path, _)| path)
    }
}

fn check_characters(text: &str) -> Result<(), RedirectUriError> {
    for character in text.chars() {
        let code = u32::from(character);
        if character.is_control() {
            return Err(RedirectUriError::Control { code });
        }
        if is_invisible(character) {
            return Err(RedirectUriError::Invisible { code });
        }
        match character {
            '\\' => return Err(RedirectUriError::Backslash),
            '*' => return Err(RedirectUriError::Wildcard),
            '#' => return Err(RedirectUriError::Fragment),
            _ if character.is_whitespace() => return Err(RedirectUriError::WhiteSpace),
            _ => {}
        }
    }
    for after in text.split('%').skip(1) {
        let digits = after
            .get(..2)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            None => return Err(RedirectUriError::PercentEncoding),
            Some(b'*') => return Err(RedirectUriError::Wildcard),
            Some(byte) if byte.is_ascii_control() => {
                let code = u32::from(byte);
                return Err(RedirectUriError::Control { code });
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Checks what stands between `https://` or `http://` and the path.
fn check_host(scheme: &str, parts: &Parts, profile: ClientProfile) -> Result<(), RedirectUriError> {
    let (host, port) = parts.host_and_port();
    if host.is_empty() {
        return Err(RedirectUriError::EmptyHost);
    }
    if host.ends_with('.') {
        return Err(RedirectUriError::TrailingDot);
    }
    let is_on_this_machine = match host.to_ascii_lowercase().as_str() {
        "localhost" | "127.0.0.1" => true,
        "[::1]" => profile == ClientProfile::Native,
        _ => false,
    };
    if scheme == "http" && !is_on_this_machine {
        return Err(RedirectUriError::Insecure);
    }
    let default_port = if scheme == "http" { 80 } else { 443 };
    match port.and_then(|port| port.parse().ok()) {
        Some(port) if port == default_port => Err(RedirectUriError::DefaultPort { port }),
        _ => Ok(()),
    }
}

/// Checks a scheme that is none of the web's, and that a path or host follows it.
fn check_private_use(scheme: &str, parts: &Parts) -> Result<(), RedirectUriError> {
    // RFC 8252 §7.1: apps MUST use a URI scheme based on a domain name under their control, expressed in
    // reverse order.
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !label.contains('+')
    };
    let is_reverse_domain = scheme.split_once('.').is_some_and(|(top, below)| {
        let is_top = top.bytes().all(|byte| byte.is_ascii_lowercase()) || top.starts_with("xn--");
        is_top && top.len() >= 2 && below.split('.').all(is_label)
    });
    if !is_reverse_domain {
        return Err(RedirectUriError::PrivateScheme);
    }
    if parts.authority.is_none() && !parts.tail.starts_with('/') {
        return Err(RedirectUriError::PrivatePath);
    }
    Ok(())
}

fn is_dot_segment(segment: &str) -> bool {
    // Three characters stand for one dot at most.
    segment.len() <= 6
        && matches!(
            segment.to_ascii_lowercase().replace("%2e", ".").as_str(),
            "." | ".."
        )
}

/// Refuses what a parser would write otherwise, and what it lets pass although no URI may have it.
fn check_spelling(
    text: &str,
    parts: &Parts,
    url: &Url,
    is_web: bool,
) -> Result<(), RedirectUriError> {
    let mut normal = url.as_str();
    if is_web && parts.tail.is_empty() {
        // A host alone is spelled without the slash by people, and with it by parsers.
        normal = normal.strip_suffix('/').unwrap_or(normal);
    }
    if text != normal {
        let normal = normal.to_owned();
        let host = parts.host_and_port().0;
        let is_upper = |part: &str| part.contains(|c: char| c.is_ascii_uppercase());
        return Err(if !host.is_ascii() {
            RedirectUriError::UnicodeHost { normal }
        } else if is_upper(parts.scheme) || is_web && is_upper(host) {
            RedirectUriError::UpperCase { normal }
        } else {
            RedirectUriError::Spelling { normal }
        });
    }
    // A parser lets hosts pass that no name server knows, such as `a;b`, and what they would break out of elsewhere.
    let is_of_a_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if is_web
        && !parts
            .authority
            .unwrap_or_default()
            .chars()
            .all(is_of_a_host)
    {
        return Err(RedirectUriError::Malformed);
    }
    // RFC 3986 appendix A: unreserved, sub-delims and what else path and query may have.
    let is_of_a_uri = |c: &char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/?%".contains(*c);
    let rest = if is_web { parts.tail } else { text };
    match rest.chars().find(|c| !is_of_a_uri(c)) {
        Some(character) => Err(RedirectUriError::Character { character }),
        None => Ok(()),
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
#[path = "redirect_uri_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "redirect_uri_native_tests.rs"]
mod native_tests;
