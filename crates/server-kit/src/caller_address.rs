//! The address that a request comes from, which allowlists and rate limits rest on.
//!
//! Of the headers by which proxies tell it, `X-Forwarded-For` alone is read (`Forwarded` is ignored), and only when the
//! peer is one of the configured proxies: whoever else sends it could write whatever they like.

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{Error, FromRequest, HttpRequest};

use crate::trusted_proxies::TrustedProxies;

/// A chain longer than this is not looked through; no honest one is.
const MOST_HOPS: usize = 32;

/// Where the request comes from; IPv4 is never written as IPv6.
///
/// As an extractor it is [`CallerAddress::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CallerAddress(pub IpAddr);

impl CallerAddress {
    /// Of a request: by the [`TrustedProxies`] in the application's data, and trusting nobody without.
    pub fn of(request: &HttpRequest) -> Self {
        // Every TCP connection has a peer; one without lies in no network that anybody would allow.
        let peer = request
            .peer_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        let nobody = TrustedProxies::none();
        let trusted = request.app_data::<TrustedProxies>().unwrap_or(&nobody);
        Self::find(peer, request.headers(), trusted)
    }

    /// The peer, or the right-most address that is not a proxy of ours when the peer is one.
    ///
    /// Each proxy appends the address it was called from, so whatever stands to the left of the first stranger was
    /// written by that stranger. A malformed entry on the way there means that the peer is taken.
    pub fn find(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Self {
        let peer = peer.to_canonical();
        if !trusted.contains(peer) {
            return Self(peer);
        }
        Self(told_by_proxies(headers, trusted).unwrap_or(peer))
    }
}

fn told_by_proxies(headers: &HeaderMap, trusted: &TrustedProxies) -> Option<IpAddr> {
    let mut lines = Vec::new();
    for line in headers.get_all("x-forwarded-for") {
        lines.push(line.to_str().ok());
    }
    let mut farthest = None;
    let mut hops = 0;
    // RFC 9110 §5.3: several lines of one header are one list, in their order.
    for line in lines.into_iter().rev() {
        for entry in line?.rsplit(',') {
            hops += 1;
            if hops > MOST_HOPS {
                return None;
            }
            let address = entry_address(entry.trim())?;
            if !trusted.contains(address) {
                return Some(address);
            }
            farthest = Some(address);
        }
    }
    farthest
}

/// An entry is an address; some proxies add the port.
fn entry_address(entry: &str) -> Option<IpAddr> {
    let address = entry
        .parse()
        .or_else(|_| entry.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()?;
    Some(IpAddr::to_canonical(&address))
}

impl FromRequest for CallerAddress {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use actix_web::test::TestRequest;

    use super::*;

    fn found_bytes(peer: &str, lines: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(
                HeaderName::from_static("x-forwarded-for"),
                HeaderValue::from_bytes(line).unwrap(),
            );
        }
        headers.append(
            HeaderName::from_static("forwarded"),
            HeaderValue::from_static("for=192.0.2.99"),
        );
        let trusted = TrustedProxies::parse("10.0.0.0/8, ::1").unwrap();
        CallerAddress::find(peer.parse().unwrap(), &headers, &trusted)
            .0
            .to_string()
    }

    fn found(peer: &str, lines: &[&str]) -> String {
        let lines: Vec<_> = lines.iter().map(|line| line.as_bytes()).collect();
        found_bytes(peer, &lines)
    }

    #[test]
    fn rfc9700_4_13_a_stranger_cannot_speak_for_another() {
        assert_eq!(found("203.0.113.5", &["192.0.2.1"]), "203.0.113.5");
        assert_eq!(found("203.0.113.5", &["10.0.0.1"]), "203.0.113.5");
    }

    #[test]
    fn a_proxy_is_believed_about_its_caller() {
        assert_eq!(found("10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
        assert_eq!(found("::1", &["2001:db8::7"]), "2001:db8::7");
        assert_eq!(found("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_a_caller_wrote_to_the_left_is_not_believed() {
        assert_eq!(
            found("10.0.0.1", &["192.0.2.66, 203.0.113.5"]),
            "203.0.113.5"
        );
        assert_eq!(
            found("10.0.0.1", &["10.0.0.7, 203.0.113.5, 10.0.0.2"]),
            "203.0.113.5"
        );
        assert_eq!(found("10.0.0.1", &["nonsense, 203.0.113.5"]), "203.0.113.5");
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(
            found("10.0.0.1", &["192.0.2.66", "203.0.113.5, 10.0.0.3"]),
            "203.0.113.5"
        );
        assert_eq!(
            found("10.0.0.1", &["203.0.113.5", "10.0.0.3"]),
            "203.0.113.5"
        );
    }

    #[test]
    fn a_malformed_chain_gives_the_peer() {
        for chain in [
            "unknown",
            "",
            "192.0.2.1,",
            "192.0.2.1, _hidden",
            "192.0.2.1, 10.0.0",
            "\"192.0.2.1\"",
            "192.0.2.1:port",
        ] {
            assert_eq!(found("10.0.0.1", &[chain]), "10.0.0.1", "{chain}");
        }
        assert_eq!(
            found_bytes("10.0.0.1", &[b"192.0.2.1", b"\xff"]),
            "10.0.0.1"
        );
    }

    #[test]
    fn a_chain_of_proxies_alone_gives_the_farthest() {
        assert_eq!(found("10.0.0.1", &["10.0.0.9, 10.0.0.8"]), "10.0.0.9");
    }

    #[test]
    fn an_endless_chain_gives_the_peer() {
        let chain = format!("192.0.2.1{}", ",10.0.0.2".repeat(MOST_HOPS));
        assert_eq!(found("10.0.0.1", &[&chain]), "10.0.0.1");
    }

    #[test]
    fn ports_are_left_out_and_mapped_addresses_are_ipv4() {
        assert_eq!(found("10.0.0.1", &["192.0.2.1:4711"]), "192.0.2.1");
        assert_eq!(found("10.0.0.1", &["[2001:db8::7]:4711"]), "2001:db8::7");
        assert_eq!(found("::ffff:10.0.0.1", &["::ffff:192.0.2.1"]), "192.0.2.1");
        assert_eq!(found("::ffff:203.0.113.5", &["192.0.2.1"]), "203.0.113.5");
    }

    #[actix_web::test]
    async fn the_extractor_trusts_nobody_unless_told() {
        let request = || {
            TestRequest::default()
                .peer_addr("10.0.0.1:5000".parse().unwrap())
                .insert_header(("x-forwarded-for", "192.0.2.1"))
        };
        let without = CallerAddress::extract(&request().to_http_request())
            .await
            .unwrap();
        assert_eq!(without.0.to_string(), "10.0.0.1");
        let trusted = TrustedProxies::parse("10.0.0.0/8").unwrap();
        let with = request().app_data(trusted).to_http_request();
        assert_eq!(
            CallerAddress::extract(&with).await.unwrap().0.to_string(),
            "192.0.2.1"
        );
    }
}
