//! How limits are told to callers: the `RateLimit-Policy` and `RateLimit` header fields of
//! draft-ietf-httpapi-ratelimit-headers, which are lists of structured fields (RFC 9651 §3.1).
//!
//! `q` is the quota and `w` its window in seconds; `r` is what remains, and `t` tells in how many seconds all of the
//! quota is there again.

use std::fmt::Write as _;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::budgets::Standing;
use super::rate::Rate;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// One limit as the caller is told it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) name: &'static str,
    pub(super) rate: Rate,
    pub(super) standing: Standing,
}

/// Writes both fields, if there is anything to tell.
pub(super) fn write(headers: &mut HeaderMap, limits: &[Told]) {
    let (mut policies, mut standings) = (String::new(), String::new());
    for (index, limit) in limits.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(
            policies,
            "{comma}\"{}\";q={};w={}",
            limit.name,
            limit.rate.requests(),
            limit.rate.window().as_secs()
        );
        let _ = write!(
            standings,
            "{comma}\"{}\";r={};t={}",
            limit.name, limit.standing.remaining, limit.standing.whole_in
        );
    }
    for (name, text) in [(POLICY, policies), (LIMIT, standings)] {
        match HeaderValue::try_from(text) {
            // RFC 9651 §3.1: an empty list is told by leaving the field out.
            Ok(value) if !value.is_empty() => headers.insert(name, value),
            Ok(_) | Err(_) => headers.remove(name),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_to_tell_is_no_header() {
        let mut headers = HeaderMap::new();
        write(&mut headers, &[]);
        assert!(headers.is_empty());
    }

    #[test]
    fn each_limit_is_a_member_of_both_lists() {
        let mut headers = HeaderMap::new();
        let told = |name, requests, remaining, whole_in| Told {
            name,
            rate: Rate::new(requests, 10).unwrap(),
            standing: Standing {
                remaining,
                whole_in,
            },
        };
        write(
            &mut headers,
            &[told("address", 1000, 997, 1), told("caller", 500, 0, 10)],
        );
        assert_eq!(
            headers.get("RateLimit-Policy").unwrap(),
            r#""address";q=1000;w=10, "caller";q=500;w=10"#
        );
        assert_eq!(
            headers.get("RateLimit").unwrap(),
            r#""address";r=997;t=1, "caller";r=0;t=10"#
        );
    }
}
