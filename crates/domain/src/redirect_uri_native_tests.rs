use super::ClientProfile::{Native, Service, Spa, Web};
use super::RedirectUriError as Error;
use super::*;

/// What may not stand behind a loopback literal where `/cb` was registered.
const GARBAGE: [&str; 20] = [
    "",
    "x/cb",
    ":/cb",
    ":03000/cb",
    ":65536/cb",
    ":+1/cb",
    ":-1/cb",
    ":3000",
    ":3000/",
    ":3000/cb/",
    ":3000/cb?",
    ":3000/cb#",
    ":3000/CB",
    ":3000:3000/cb",
    ":3000@evil.example/cb",
    ".evil.example/cb",
    "\0/cb",
    ":\u{663}/cb",
    ":3000\u{fc}/cb",
    "\u{fc}",
];

fn matches(registered: &str, presented: &str, profile: ClientProfile) -> bool {
    RedirectUri::parse(registered, profile)
        .unwrap()
        .matches(presented, profile)
}

#[test]
fn client_3_a_native_client_may_have_the_ipv6_loopback_and_a_scheme_of_its_own() {
    for good in [
        "com.example.app:/callback",
        "com.example.app:/oauth2redirect/example-provider?x=1",
        "com.example.app://callback",
        "com.example.app://callback/there",
        "com.example.app:///callback",
        "com.example.app://",
        "com.googleusercontent.apps.123-abc:/callback",
        "xn--p1ai.example:/callback",
    ] {
        assert_eq!(RedirectUri::parse(good, Native).unwrap().as_str(), good);
        for profile in [Web, Spa, Service] {
            let refused = RedirectUri::parse(good, profile);
            assert_eq!(refused, Err(Error::Scheme), "{good}");
        }
    }
    for good in ["http://[::1]/callback", "http://[::1]:3000"] {
        assert_eq!(RedirectUri::parse(good, Native).unwrap().as_str(), good);
        for profile in [Web, Spa, Service] {
            let refused = RedirectUri::parse(good, profile);
            assert_eq!(refused, Err(Error::Insecure), "{good}");
        }
    }
}

#[test]
fn client_3_a_scheme_that_could_be_anybodys_is_refused() {
    for bad in [
        "javascript:alert(1)",
        "javascript://app.example.com/alert(1)",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:https://app.example.com/x",
        "about:blank",
        "ftp://app.example.com/",
        "ws://app.example.com/",
        "urn:ietf:wg:oauth:2.0:oob",
        "intent://scan/",
        "myapp:/callback",
        "myapp://callback",
        "localhost:3000/callback",
        "com.:/callback",
        "c.example:/callback",
        "com..example:/callback",
        "com.example.:/callback",
        "com.-example:/callback",
        "com.example-:/callback",
        "com.example+app:/callback",
        "z39.50:/callback",
    ] {
        let found = RedirectUri::parse(bad, Native);
        assert_eq!(found, Err(Error::PrivateScheme), "{bad}");
        let found = RedirectUri::parse(bad, Web);
        assert_eq!(found, Err(Error::Scheme), "{bad}");
    }
}

#[test]
fn client_3_behind_a_private_use_scheme_is_a_path() {
    for bad in [
        "com.example.app:",
        "com.example.app:callback",
        "com.example.app:?x",
        "app.example.com:443/callback",
    ] {
        let found = RedirectUri::parse(bad, Native);
        assert_eq!(found, Err(Error::PrivatePath), "{bad}");
    }
}

#[test]
fn client_3_a_private_use_scheme_is_held_to_the_same_spelling() {
    for (bad, error) in [
        ("com.example.app:/a/../b", Error::DotSegment),
        ("com.example.app:/callback#", Error::Fragment),
        ("com.example.app:/*", Error::Wildcard),
        ("com.example.app://u@callback/", Error::UserInfo),
        (
            "com.example.app://call\"back/",
            Error::Character { character: '"' },
        ),
        ("com.example.app://callback:port/", Error::Malformed),
        (
            "Com.Example.App:/callback",
            Error::UpperCase {
                normal: "com.example.app:/callback".to_owned(),
            },
        ),
        (
            "com.example.app:/b\u{fc}cher",
            Error::Spelling {
                normal: "com.example.app:/b%C3%BCcher".to_owned(),
            },
        ),
    ] {
        assert_eq!(RedirectUri::parse(bad, Native), Err(error), "{bad}");
    }
}

#[test]
fn client_3_a_native_client_may_come_with_any_port_of_a_loopback_literal() {
    for host in ["127.0.0.1", "[::1]"] {
        let (bare, with_port) = (
            format!("http://{host}/cb"),
            format!("http://{host}:3000/cb"),
        );
        for registered in [&bare, &with_port] {
            for presented in [
                bare.clone(),
                with_port.clone(),
                format!("http://{host}:1/cb"),
                format!("http://{host}:80/cb"),
                format!("http://{host}:65535/cb"),
            ] {
                assert!(matches(registered, &presented, Native), "{presented}");
            }
            for garbage in GARBAGE {
                let presented = format!("http://{host}{garbage}");
                assert!(!matches(registered, &presented, Native), "{presented:?}");
            }
            let https = with_port.replace("http:", "https:");
            assert!(!matches(registered, &https, Native));
        }
    }
    assert!(matches("http://127.0.0.1", "http://127.0.0.1:5000", Native));
    assert!(!matches("http://127.0.0.1/cb", "http://[::1]/cb", Native));
    assert!(!matches(
        "http://127.0.0.1/cb",
        "http://localhost/cb",
        Native
    ));
    assert!(!matches(
        "http://localhost/cb",
        "http://localhost:3000/cb",
        Native
    ));
    assert!(!matches(
        "http://localhost:1/cb",
        "http://localhost:2/cb",
        Native
    ));
    for profile in [Web, Spa, Service] {
        assert!(!matches(
            "http://127.0.0.1/cb",
            "http://127.0.0.1:3000/cb",
            profile
        ));
    }
}

#[test]
fn client_3_what_is_presented_is_never_a_reason_to_stop() {
    let registered = RedirectUri::parse("http://127.0.0.1:3210/cb", Native).unwrap();
    let long = format!("http://127.0.0.1:{}/cb", "9".repeat(1 << 20));
    assert!(!registered.matches(&long, Native));
    // Each single byte changed, left out or cut off: a digit of the port matters not, all else does.
    let text = registered.as_str();
    for (place, _) in text.char_indices() {
        for put in ["", "\u{fc}", "/", ":", "@", "\0", "7"] {
            let changed = format!("{}{put}{}", &text[..place], &text[place + 1..]);
            let is_port = (17..21).contains(&place) && (put == "7" || put.is_empty());
            let expected = is_port || changed == text;
            assert_eq!(
                registered.matches(&changed, Native),
                expected,
                "{changed:?}"
            );
            assert_eq!(registered.matches(&changed, Web), changed == text);
        }
        assert!(!registered.matches(&text[..place], Native));
    }
}

#[test]
fn client_3_the_port_and_the_slashes_of_a_private_use_scheme_matter() {
    for (registered, presented) in [
        ("com.example.app:/a", "com.example.app://a"),
        ("com.example.app:/a", "com.example.app:///a"),
        ("com.example.app://h:1/", "com.example.app://h:2/"),
        (
            "com.example.app://127.0.0.1/",
            "com.example.app://127.0.0.1/x",
        ),
    ] {
        assert!(matches(registered, registered, Native));
        assert!(!matches(registered, presented, Native), "{presented}");
    }
}
