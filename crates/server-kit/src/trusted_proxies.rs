//! Which peers may speak for others: the networks of one's own reverse proxies.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

/// Why a network was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor a network.
    #[error("is neither an IP address nor a network such as 10.0.0.0/8")]
    Malformed,
    /// A network of prefix length 0.
    #[error("is every address there is, so anybody could forge a caller's address")]
    Everybody,
    /// Bits beyond the prefix are set, so the prefix or the address is mistyped.
    #[error("has bits set beyond its prefix")]
    BitsBeyondPrefix,
}

/// An address with a prefix length; IPv4 written as mapped IPv6 is kept as IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        masked(address, self.prefix) == Some(self.base)
    }
}

/// `address` with all bits after `prefix` cleared; none if the prefix is too long for its kind.
fn masked(address: IpAddr, prefix: u8) -> Option<IpAddr> {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32_u32.checked_sub(prefix)?)
                .unwrap_or(0);
            Some(IpAddr::V4((u32::from(v4) & mask).into()))
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128_u32.checked_sub(prefix)?)
                .unwrap_or(0);
            Some(IpAddr::V6((u128::from(v6) & mask).into()))
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| NetworkError::Malformed)?;
        let base = given.to_canonical();
        let longest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(NetworkError::Malformed);
            }
            Some(digits) => {
                let written: u8 = digits.parse().map_err(|_| NetworkError::Malformed)?;
                // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
                if base.is_ipv4() && given.is_ipv6() {
                    written.checked_sub(96).ok_or(NetworkError::Malformed)?
                } else {
                    written
                }
            }
        };
        if prefix == 0 {
            return Err(NetworkError::Everybody);
        }
        match masked(base, prefix) {
            None => Err(NetworkError::Malformed),
            Some(kept) if kept != base => Err(NetworkError::BitsBeyondPrefix),
            Some(base) => Ok(Self { base, prefix }),
        }
    }
}

/// The networks whose `X-Forwarded-For` is believed; by default none. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Arc<[Network]>);

impl TrustedProxies {
    /// Nobody is trusted.
    pub fn none() -> Self {
        Self::default()
    }

    /// Reads addresses and networks separated by commas; every wrong entry is told with its place (from 1).
    pub fn parse(list: &str) -> Result<Self, Vec<(usize, NetworkError)>> {
        let mut networks = Vec::new();
        let mut wrong = Vec::new();
        for (index, entry) in list.split(',').enumerate() {
            match entry.trim().parse() {
                Ok(network) => networks.push(network),
                Err(error) => wrong.push((index + 1, error)),
            }
        }
        if wrong.is_empty() {
            Ok(Self(networks.into()))
        } else {
            Err(wrong)
        }
    }

    /// Whether this peer may speak for others.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl fmt::Display for TrustedProxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}/{}", network.base, network.prefix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(list: &str, address: &str) -> bool {
        TrustedProxies::parse(list)
            .unwrap()
            .contains(address.parse().unwrap())
    }

    #[test]
    fn networks_end_where_their_prefix_says() {
        assert!(contains("10.0.0.0/8", "10.255.255.255"));
        assert!(!contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("192.168.4.0/22", "192.168.7.255"));
        assert!(!contains("192.168.4.0/22", "192.168.8.0"));
        assert!(contains("127.0.0.1", "127.0.0.1"));
        assert!(!contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("fd00::/8, ::1", "fdff::1"));
        assert!(contains("fd00::/8, ::1", "::1"));
        assert!(!contains("fd00::/8, ::1", "fe00::1"));
    }

    #[test]
    fn an_ipv4_address_is_the_same_in_its_ipv6_form() {
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(contains("::ffff:10.0.0.1", "10.0.0.1"));
        assert!(!contains("fd00::/8", "10.0.0.1"));
        assert!(!contains("a00::/8", "10.0.0.1"));
    }

    #[test]
    fn every_wrong_entry_is_told_with_its_place() {
        assert_eq!(
            TrustedProxies::parse(
                "10.0.0.0/8,proxy,0.0.0.0/0, ::/0,10.0.0.1/8,10.0.0.0/33,::/129,,10.0.0.0/+8,1.2.3.4/,::ffff:1.2.3.4/8"
            ),
            Err(vec![
                (2, NetworkError::Malformed),
                (3, NetworkError::Everybody),
                (4, NetworkError::Everybody),
                (5, NetworkError::BitsBeyondPrefix),
                (6, NetworkError::Malformed),
                (7, NetworkError::Malformed),
                (8, NetworkError::Malformed),
                (9, NetworkError::Malformed),
                (10, NetworkError::Malformed),
                (11, NetworkError::Malformed),
            ])
        );
    }

    #[test]
    fn nobody_is_trusted_by_default() {
        assert!(!TrustedProxies::none().contains("127.0.0.1".parse().unwrap()));
        assert_eq!(TrustedProxies::none().to_string(), "");
    }

    #[test]
    fn it_is_shown_as_it_is_read() {
        let proxies = TrustedProxies::parse("10.0.0.0/8, ::1").unwrap();
        assert_eq!(proxies.to_string(), "10.0.0.0/8, ::1/128");
        assert_eq!(TrustedProxies::parse(&proxies.to_string()), Ok(proxies));
    }
}
