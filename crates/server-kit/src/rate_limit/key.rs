//! Whose budget a request is taken from, without keeping who that is.
//!
//! A key is a keyed hash under a secret of this process. A token can't be read out of it, nobody can make up
//! a credential or an address that falls on somebody else's key, and nobody can choose which budgets share a set.

use std::net::IpAddr;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use ring::hmac;

/// Whom a budget belongs to: 128 bits of a keyed hash.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    high: u64,
    low: u64,
}

impl Key {
    /// Nobody's.
    pub(super) const NONE: Self = Self { high: 0, low: 0 };

    /// One of `number` places, all equally likely.
    pub(super) fn spread(self, number: usize) -> usize {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        usize::try_from(self.high.checked_rem(number).unwrap_or(0)).unwrap_or(0)
    }
}

/// Makes keys.
#[derive(Debug)]
pub(super) struct KeyMaker(hmac::Key);

impl KeyMaker {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The key of an address. IPv6 counts by /64: that much each customer of a provider has to themselves.
    pub(super) fn address(&self, address: IpAddr) -> Key {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.hash(b'4', &v4.octets()),
            IpAddr::V6(v6) => self.hash(b'6', &(u128::from(v6) >> 64).to_be_bytes()),
        }
    }

    /// The key of the credential that is presented, if one is.
    ///
    /// RFC 9110 §11.1, §11.4: the scheme is told in any case, and any number of spaces may follow it. The same credential
    /// is the same caller however it is written.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Option<Key> {
        let mut lines = headers.get_all(AUTHORIZATION);
        let mut presented = lines.next()?.as_bytes().trim_ascii().to_vec();
        let scheme = presented.iter().take_while(|byte| **byte != b' ').count();
        if let Some((scheme, rest)) = presented.split_at_checked(scheme) {
            presented = [
                &scheme.to_ascii_lowercase(),
                b" ".as_slice(),
                rest.trim_ascii(),
            ]
            .concat();
        }
        // Several are refused later on. Until then they are a caller of their own.
        for line in lines {
            presented.push(0);
            presented.extend_from_slice(line.as_bytes());
        }
        Some(self.hash(b'c', &presented))
    }

    fn hash(&self, kind: u8, what: &[u8]) -> Key {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[kind]);
        context.update(what);
        let tag = context.sign();
        let mut halves = tag.as_ref().chunks_exact(8).map(|half| {
            half.iter()
                .fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        });
        Key {
            high: halves.next().unwrap_or(0),
            low: halves.next().unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn address(text: &str) -> Key {
        KeyMaker::new(&[7; 32]).address(text.parse().unwrap())
    }

    fn caller(lines: &[&str]) -> Option<Key> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_str(line).unwrap());
        }
        KeyMaker::new(&[7; 32]).caller(&headers)
    }

    #[test]
    fn an_ipv6_network_is_one_caller_and_its_neighbour_another() {
        let home = address("2001:db8:1:2::7");
        assert!(home == address("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(home != address("2001:db8:1:3::7"));
        assert!(home != address("2001:db8:2:2::7"));
    }

    #[test]
    fn ipv4_counts_by_address_in_whichever_form() {
        assert!(address("192.0.2.1") == address("::ffff:192.0.2.1"));
        assert!(address("192.0.2.1") != address("192.0.2.2"));
        // Both are zero in the part that counts.
        assert!(address("0.0.0.0") != address("::"));
    }

    #[test]
    fn a_credential_is_the_same_however_it_is_written() {
        let token = caller(&["Bearer abc"]);
        assert!(token.is_some());
        for written in ["bearer abc", "BEARER   abc", " Bearer abc ", "bEaReR abc  "] {
            assert!(caller(&[written]) == token, "{written}");
        }
        for other in ["Bearer abd", "Bearer ABC", "Basic abc", "Bearerabc", "abc"] {
            assert!(caller(&[other]) != token, "{other}");
        }
    }

    #[test]
    fn several_credentials_are_none_of_those_alone_and_no_credential_is_nobody() {
        let both = caller(&["Bearer abc", "Bearer def"]);
        assert!(both.is_some());
        assert!(both != caller(&["Bearer abc"]) && both != caller(&["Bearer def"]));
        assert!(caller(&[]).is_none());
    }

    #[test]
    fn another_process_has_other_keys() {
        let other = KeyMaker::new(&[8; 32]).address("192.0.2.1".parse().unwrap());
        assert!(other != address("192.0.2.1"));
    }
}
