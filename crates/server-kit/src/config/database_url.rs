//! The database's URL: looked at just enough to show it without its password.
//!
//! libpq reads it, with several hosts if need be, which the URL standard does not know; so it is taken apart by hand.
//! What could make a part of the password pass for a host or a database is refused.

use crate::secret_text::REDACTED;

/// Why a database URL is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum DatabaseUrlError {
    /// Another scheme, or none.
    #[error("does not begin with postgres:// or postgresql://")]
    Scheme,
    /// A character that must be percent-encoded stands in the wrong place.
    #[error("has a space, @, /, # or : where none may stand")]
    Reserved,
    /// A percent sign that begins no code, or the code of a zero byte.
    #[error("has a % that two hexadecimal digits other than 00 don't follow")]
    Percent,
}

struct Parts<'a> {
    scheme: &'a str,
    has_user: bool,
    hosts: &'a str,
    name: &'a str,
}

fn parts(url: &str) -> Result<Parts<'_>, DatabaseUrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(DatabaseUrlError::Scheme)?;
    if !matches!(scheme, "postgres" | "postgresql") {
        return Err(DatabaseUrlError::Scheme);
    }
    if rest.contains('#') || rest.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(DatabaseUrlError::Reserved);
    }
    let (before_query, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, name) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (user, hosts) = match authority.split_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    let stray = |part: &str| part.contains('@');
    if stray(hosts) || stray(name) || stray(query) || name.contains('/') {
        return Err(DatabaseUrlError::Reserved);
    }
    if user.is_some_and(|user| user.matches(':').count() > 1)
        || !hosts.split(',').all(has_port_at_most)
    {
        return Err(DatabaseUrlError::Reserved);
    }
    if !has_whole_codes(rest) {
        return Err(DatabaseUrlError::Percent);
    }
    Ok(Parts {
        scheme,
        has_user: user.is_some(),
        hosts,
        name,
    })
}

/// libpq refuses other codes with a sentence that repeats what they stand in, which may be the password.
fn has_whole_codes(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        matches!(after.as_bytes(), [high, low, ..]
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() && (*high, *low) != (b'0', b'0'))
    })
}

/// A host may be followed by a port and by nothing else.
fn has_port_at_most(host: &str) -> bool {
    let after = match host.strip_prefix('[') {
        Some(v6) => match v6.split_once(']') {
            Some((_, after)) => after,
            None => return false,
        },
        None => host.find(':').and_then(|at| host.get(at..)).unwrap_or(""),
    };
    match after.strip_prefix(':') {
        Some(port) => port.parse::<u16>().is_ok(),
        None => after.is_empty(),
    }
}

/// Whether the URL may be used.
pub(super) fn check(url: &str) -> Result<(), DatabaseUrlError> {
    parts(url).map(|_| ())
}

/// Host and database, and neither user nor password nor parameters.
pub(super) fn shown(url: &str) -> String {
    match parts(url) {
        Ok(Parts {
            scheme,
            has_user,
            hosts,
            name,
        }) => {
            let user = if has_user {
                format!("{REDACTED}@")
            } else {
                String::new()
            };
            format!("{scheme}://{user}{hosts}/{name}")
        }
        Err(_) => REDACTED.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_database_are_shown_and_nothing_else() {
        for (url, expected) in [
            (
                "postgres://app:hunter2@db.example:5432/grantor?password=hunter2",
                "postgres://[redacted]@db.example:5432/grantor",
            ),
            (
                "postgresql://hunter2@db.example/grantor",
                "postgresql://[redacted]@db.example/grantor",
            ),
            (
                "postgres://a:hunter2@one:5432,two:5433/grantor?target_session_attrs=read-write",
                "postgres://[redacted]@one:5432,two:5433/grantor",
            ),
            (
                "postgres://a:hunter2@[::1]:5432/grantor",
                "postgres://[redacted]@[::1]:5432/grantor",
            ),
            (
                "postgres:///grantor?host=/run/hunter2",
                "postgres:///grantor",
            ),
            ("postgres://localhost", "postgres://localhost/"),
            (
                "postgres://app:hunter2%25%2F%c3%a9%01%10@%2Frun%2Fdb/grantor?password=hunter2%3D",
                "postgres://[redacted]@%2Frun%2Fdb/grantor",
            ),
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
            assert_eq!(shown(url), expected);
        }
    }

    #[test]
    fn a_password_that_would_spill_over_is_refused_and_never_shown() {
        for password in [
            "12/hunter2",
            "12?hunter2",
            "12#hunter2",
            "12@hunter2",
            "hunter2@x",
            "12:hunter2",
            "12/34/hunter2",
            "hun ter2",
            "hunter2\n",
        ] {
            let url = format!("postgres://app:{password}@db.example:5432/grantor");
            assert_eq!(check(&url), Err(DatabaseUrlError::Reserved), "{url}");
            assert_eq!(shown(&url), REDACTED);
        }
        for url in [
            "postgres://app:hunter2",
            "postgres://[::1",
            "postgres://[::1]hunter2/x",
        ] {
            assert_eq!(check(url), Err(DatabaseUrlError::Reserved), "{url}");
        }
    }

    #[test]
    fn a_percent_sign_that_begins_no_code_is_refused_and_never_shown() {
        for code in ["%zz", "%", "%4", "%4z", "%z4", "%%41", "%+1", "%é", "%00"] {
            for url in [
                format!("postgres://app:hunter2{code}@db.example/grantor"),
                format!("postgres://hunter2{code}@db.example/grantor"),
                format!("postgres://hunter2{code}/grantor"),
                format!("postgres://db.example/hunter2{code}"),
                format!("postgres://db.example/grantor?password=hunter2{code}"),
            ] {
                let error = check(&url).unwrap_err();
                assert_eq!(error, DatabaseUrlError::Percent, "{url}");
                assert!(!error.to_string().contains("hunter2"));
                assert_eq!(shown(&url), REDACTED);
            }
        }
    }

    #[test]
    fn other_schemes_are_refused_and_never_shown() {
        for url in [
            "",
            "hunter2",
            "mysql://a:hunter2@db/x",
            "host=db password=hunter2",
        ] {
            assert_eq!(check(url), Err(DatabaseUrlError::Scheme), "{url}");
            assert_eq!(shown(url), REDACTED);
        }
    }
}
