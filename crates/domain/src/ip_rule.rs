//! From where a client may come (`client_13`): single addresses and CIDR ranges.

use std::collections::{BTreeSet, btree_set};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use thiserror::Error;

/// The most characters of an address with a prefix: eight groups, the last two as IPv4, and `/128`.
const LIMIT: usize = 49;

/// One address, or all that share its first bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpRule {
    /// Never IPv4 mapped into IPv6, and no bits beyond the prefix.
    base: IpAddr,
    prefix: u8,
}

/// Why a text is neither an address nor a range; each sentence says the mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IpRuleError {
    /// Nothing.
    #[error("must not be empty; leave the list empty to allow every address")]
    Empty,
    /// Longer than any address.
    #[error("must have at most {LIMIT} characters; put each address in an entry of its own")]
    TooLong,
    /// White space.
    #[error("must not contain white space; remove it")]
    WhiteSpace,
    /// A zone id, which means something on one machine alone.
    #[error("must have no zone; remove it from the % on")]
    Zone,
    /// A port, or the brackets that go with one.
    #[error("must be an address without port and brackets; write the address alone")]
    Port,
    /// A zero before a number, which some programs read as octal.
    #[error("must have no zeros before its numbers; write `10.0.0.1`, not `010.0.0.1`")]
    LeadingZero,
    /// What stands behind the slash is no prefix length.
    #[error("must have the length of a prefix behind the slash, such as `/24`")]
    Prefix,
    /// A prefix that is longer than the address.
    #[error("must have a prefix of at most /{longest}")]
    PrefixTooLong {
        /// The longest prefix of such an address.
        longest: u8,
    },
    /// Bits beyond the prefix are set, so the prefix or the address is mistyped.
    #[error("must have no bits beyond its prefix; write the range as `{network}`")]
    BitsBeyondPrefix {
        /// The range with this prefix in which the address lies.
        network: IpRule,
    },
    /// IPv4 written as IPv6. A peer that comes so counts as IPv4.
    #[error("must be written as IPv4; write `{ipv4}`")]
    Mapped {
        /// The same addresses as IPv4.
        ipv4: IpRule,
    },
    /// Not an address.
    #[error(
        "must be an IP address such as `192.0.2.7`, or a range such as `192.0.2.0/24` or `2001:db8::/32`"
    )]
    Malformed,
}

impl IpRule {
    /// Parses an address such as `192.0.2.7`, or a range such as `2001:db8::/32`.
    pub fn parse(text: &str) -> Result<Self, IpRuleError> {
        // The bytes are counted first, so that a text of a megabyte is not walked through.
        if text.len() > LIMIT {
            return Err(IpRuleError::TooLong);
        }
        if text.is_empty() {
            return Err(IpRuleError::Empty);
        }
        if text.contains(char::is_whitespace) {
            return Err(IpRuleError::WhiteSpace);
        }
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| why_no_address(address))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => parse_prefix(prefix, longest)?,
            None => longest,
        };
        // ::ffff:10.0.0.0/104 is 10.0.0.0/8; a shorter prefix than 96 reaches beyond what is mapped.
        let (base, mapped) = match (address.to_canonical(), prefix.checked_sub(96)) {
            (base, Some(mapped)) if base != address => (base, Some(mapped)),
            _ => (address, None),
        };
        let prefix = mapped.unwrap_or(prefix);
        let network = Self {
            base: masked(base, prefix),
            prefix,
        };
        if mapped.is_some() {
            Err(IpRuleError::Mapped { ipv4: network })
        } else if network.base != base {
            Err(IpRuleError::BitsBeyondPrefix { network })
        } else {
            Ok(network)
        }
    }

    /// Whether a peer may come from this address; IPv4 mapped into IPv6 counts as IPv4.
    pub fn admits(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        peer.is_ipv4() == self.base.is_ipv4() && masked(peer, self.prefix) == self.base
    }
}

/// An address with all bits after the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let beyond = |bits: u32| bits.saturating_sub(u32::from(prefix));
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(beyond(32)).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(beyond(128)).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

fn parse_prefix(digits: &str, longest: u8) -> Result<u8, IpRuleError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(IpRuleError::Prefix);
    }
    if digits.len() > 1 && digits.starts_with('0') {
        return Err(IpRuleError::LeadingZero);
    }
    digits
        .parse()
        .ok()
        .filter(|prefix| *prefix <= longest)
        .ok_or(IpRuleError::PrefixTooLong { longest })
}

fn why_no_address(text: &str) -> IpRuleError {
    let has_zero_before = |number: &str| {
        number.len() > 1 && number.starts_with('0') && number.bytes().all(|b| b.is_ascii_digit())
    };
    if text.contains('%') {
        IpRuleError::Zone
    } else if text.starts_with('[') || text.parse::<SocketAddr>().is_ok() {
        IpRuleError::Port
    } else if text.contains('.') && text.split(['.', ':']).any(has_zero_before) {
        IpRuleError::LeadingZero
    } else {
        IpRuleError::Malformed
    }
}

impl fmt::Display for IpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.base, f)?;
        match (self.base, self.prefix) {
            (IpAddr::V4(_), 32) | (IpAddr::V6(_), 128) => Ok(()),
            (_, prefix) => write!(f, "/{prefix}"),
        }
    }
}

impl fmt::Debug for IpRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// All from which a client may come, in order and each once; none means that it may come from everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IpRules(BTreeSet<IpRule>);

/// Why a list of addresses and ranges was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IpRulesError {
    /// More than [`IpRules::MOST`].
    #[error(
        "must have at most {} entries; put neighbouring addresses into one range",
        IpRules::MOST
    )]
    TooMany,
    /// One of them is neither an address nor a range.
    #[error("entry {} {error}", .index + 1)]
    Entry {
        /// Its place, from 0.
        index: usize,
        /// Why.
        #[source]
        error: IpRuleError,
    },
}

impl IpRules {
    /// The most entries that somebody may send, repeated ones included.
    pub const MOST: usize = 100;

    /// Parses what somebody sent; repeated entries collapse.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, IpRulesError> {
        if texts.len() > Self::MOST {
            return Err(IpRulesError::TooMany);
        }
        texts
            .iter()
            .enumerate()
            .map(|(index, text)| {
                IpRule::parse(text.as_ref()).map_err(|error| IpRulesError::Entry { index, error })
            })
            .collect()
    }

    /// Whether a peer may come, as far as it is known.
    pub fn admits(&self, peer: Option<IpAddr>) -> bool {
        self.is_empty() || peer.is_some_and(|peer| self.iter().any(|rule| rule.admits(peer)))
    }

    /// Whether there is none, so that everybody may come.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rules in order.
    pub fn iter(&self) -> btree_set::Iter<'_, IpRule> {
        self.0.iter()
    }

    /// The rules as they are written, in order.
    pub fn to_vec(&self) -> Vec<String> {
        self.iter().map(IpRule::to_string).collect()
    }
}

impl FromIterator<IpRule> for IpRules {
    fn from_iter<I: IntoIterator<Item = IpRule>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

impl<'a> IntoIterator for &'a IpRules {
    type Item = &'a IpRule;
    type IntoIter = btree_set::Iter<'a, IpRule>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
#[path = "ip_rule_tests.rs"]
mod tests;
