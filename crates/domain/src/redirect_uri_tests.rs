use super::ClientProfile::Web;
use super::RedirectUriError as Error;
use super::*;

#[track_caller]
fn refused(text: &str, expected: &Error) {
    for profile in ClientProfile::ALL {
        let found = RedirectUri::parse(text, profile);
        assert_eq!(found.as_ref(), Err(expected), "{text:?} of {profile:?}");
    }
}

/// Each is refused, and its mend is taken.
#[track_caller]
fn mended(texts: &[(&str, &str)], error: fn(String) -> Error) {
    for (text, normal) in texts {
        refused(text, &error((*normal).to_owned()));
        let mended = RedirectUri::parse(normal, Web).unwrap();
        assert_eq!(mended.as_str(), *normal);
    }
}

fn matches(registered: &str, presented: &str, profile: ClientProfile) -> bool {
    RedirectUri::parse(registered, profile)
        .unwrap()
        .matches(presented, profile)
}

#[test]
fn client_3_https_and_http_on_this_machine_are_taken_as_they_are_written() {
    for good in [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/callback",
        "https://app.example.com:8443/callback/",
        "https://app.example.com/callback?tenant=a&x=%20",
        "https://app.example.com/callback?",
        "https://app.example.com//callback;v=1",
        "https://app.example.com/%C3%BCber/...",
        "https://xn--bcher-kva.example/callback",
        "https://a_b.example/",
        "https://192.0.2.7/callback",
        "https://[2001:db8::7]:8443/callback",
        "http://localhost/callback",
        "http://localhost:3000",
        "http://127.0.0.1:3000/callback",
        "http://127.0.0.1/callback?x=1",
    ] {
        for profile in ClientProfile::ALL {
            let uri = RedirectUri::parse(good, profile).unwrap();
            assert_eq!(uri.to_string(), good);
            assert!(uri.matches(good, profile), "{good}");
        }
    }
}

#[test]
fn client_3_no_wildcard_anywhere() {
    for bad in [
        "*",
        "https://*.example.com/callback",
        "https://app.example.com/*",
        "https://app.example.com:*/callback",
        "https://app.example.com/callback?x=*",
        "https://%2a.example.com/callback",
        "https://app.example.com/%2A",
        "*://app.example.com/",
    ] {
        refused(bad, &Error::Wildcard);
    }
}

#[test]
fn client_3_no_fragment_even_an_empty_one() {
    for bad in [
        "https://app.example.com/callback#f",
        "https://app.example.com/callback#",
        "https://app.example.com#",
        "https://app.example.com/callback?x#",
    ] {
        refused(bad, &Error::Fragment);
    }
}

#[test]
fn client_3_no_user_info_even_an_empty_one() {
    for bad in [
        "https://u@app.example.com/",
        "https://u:p@app.example.com/",
        "https://@app.example.com/",
        "https://app.example.com@evil.example/",
        "http://localhost:3000@evil.example/",
        "http://127.0.0.1@evil.example",
    ] {
        refused(bad, &Error::UserInfo);
    }
}

#[test]
fn client_3_plain_http_stays_on_the_machine() {
    for bad in [
        "http://app.example.com/callback",
        "http://localhost.evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://evil.example/localhost",
        "http://127.0.0.1%2eevil.example/",
        "http://127.0.0.2/",
        "http://127.1/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://0/",
        "http://0.0.0.0/",
        "http://10.0.0.1/",
        "http://[::2]/",
        "http://[0:0:0:0:0:0:0:1]/",
        "http://[::ffff:127.0.0.1]/",
        "HTTP://app.example.com/",
    ] {
        refused(bad, &Error::Insecure);
    }
}

#[test]
fn client_3_a_host_is_there_and_ends_without_a_dot() {
    for bad in [
        "https:",
        "https://",
        "https:///callback",
        "https:/app.example.com/callback",
        "https:app.example.com",
        "https://:8443/callback",
        "https://?x",
        "http:///localhost/",
    ] {
        refused(bad, &Error::EmptyHost);
    }
    for bad in [
        "https://app.example.com./callback",
        "https://app.example.com.:8443/",
        "http://localhost./callback",
        "http://127.0.0.1./",
        "https://./",
    ] {
        refused(bad, &Error::TrailingDot);
    }
}

#[test]
fn client_3_the_port_of_the_scheme_is_left_out() {
    refused(
        "https://app.example.com:443/",
        &Error::DefaultPort { port: 443 },
    );
    refused(
        "https://app.example.com:0443",
        &Error::DefaultPort { port: 443 },
    );
    refused("http://localhost:80/", &Error::DefaultPort { port: 80 });
    assert!(RedirectUri::parse("https://app.example.com:80/", Web).is_ok());
    assert!(RedirectUri::parse("http://localhost:443/", Web).is_ok());
}

#[test]
fn client_3_upper_case_is_told_in_lower_case() {
    mended(
        &[
            (
                "https://App.example.com/Callback",
                "https://app.example.com/Callback",
            ),
            ("https://APP.EXAMPLE.COM", "https://app.example.com"),
            ("HTTPS://app.example.com/", "https://app.example.com/"),
            ("http://LOCALHOST:3000/", "http://localhost:3000/"),
            ("https://[2001:DB8::7]/", "https://[2001:db8::7]/"),
        ],
        |normal| Error::UpperCase { normal },
    );
}

#[test]
fn client_3_a_host_of_other_letters_is_told_as_a_browser_sends_it() {
    mended(
        &[
            (
                "https://b\u{fc}cher.example/c",
                "https://xn--bcher-kva.example/c",
            ),
            // A Cyrillic letter that looks like a Latin one.
            ("https://\u{430}pp.example", "https://xn--pp-6kc.example"),
            // Full-width letters and an ideographic full stop.
            ("https://\u{ff41}pp\u{3002}example/", "https://app.example/"),
        ],
        |normal| Error::UnicodeHost { normal },
    );
}

#[test]
fn client_3_other_spellings_are_told_the_normal_one() {
    mended(
        &[
            (
                "https://app.example/b\u{fc}cher",
                "https://app.example/b%C3%BCcher",
            ),
            (
                "https://app.example/?q=\u{fc}",
                "https://app.example/?q=%C3%BC",
            ),
            ("https://app.example/a\"b", "https://app.example/a%22b"),
            ("https://app.example/<a>", "https://app.example/%3Ca%3E"),
            ("https://app.example/?q='", "https://app.example/?q=%27"),
            ("https://app.example?q=1", "https://app.example/?q=1"),
            ("https://app.example:/", "https://app.example/"),
            ("https://app.example:08443/", "https://app.example:8443/"),
            ("https://app%2eexample/", "https://app.example/"),
            ("https://0x7f.1/", "https://127.0.0.1/"),
            ("https://[0:0::1]/", "https://[::1]/"),
        ],
        |normal| Error::Spelling { normal },
    );
}

#[test]
fn client_3_no_dot_segments() {
    for bad in [
        "https://app.example.com/a/../b",
        "https://app.example.com/..",
        "https://app.example.com/./b",
        "https://app.example.com/a/.",
        "https://app.example.com/a/%2e%2E/b",
        "https://app.example.com/a/.%2e?x",
    ] {
        refused(bad, &Error::DotSegment);
    }
}

#[test]
fn client_3_no_control_characters() {
    for (bad, code) in [
        ("https://app.example.com/\0", 0),
        ("https://app.example.com/\r\nLocation: x", 13),
        ("https://app.ex\tample.com/", 9),
        ("\nhttps://app.example.com/", 10),
        ("https://app.example.com/\u{7f}", 0x7f),
        ("https://app.example.com/\u{85}", 0x85),
        ("https://app.example.com/%00", 0),
        ("https://app.example.com/%0d%0aSet-Cookie:x", 13),
        ("https://app.example.com/?x=%7F", 0x7f),
    ] {
        refused(bad, &Error::Control { code });
    }
}

#[test]
fn client_3_no_characters_that_hide_or_turn_others() {
    for (bad, code) in [
        ("https://app.example.com/\u{202e}kcabllac", 0x202e),
        ("https://app\u{200b}.example.com/", 0x200b),
        ("https://app\u{ad}.example.com/", 0xad),
        ("https://app.example.com/\u{2066}", 0x2066),
        ("\u{feff}https://app.example.com/", 0xfeff),
    ] {
        refused(bad, &Error::Invisible { code });
    }
}

#[test]
fn client_3_no_white_space() {
    for bad in [
        " https://app.example.com/",
        "https://app.example.com/ ",
        "https://app.example.com/a b",
        "https://app.example.com/\u{a0}",
        "https://app.example.com/\u{3000}",
        "https://a.example https://b.example",
    ] {
        refused(bad, &Error::WhiteSpace);
    }
}

#[test]
fn client_3_no_backslashes() {
    for bad in [
        "https:\\\\app.example.com\\callback",
        "https://app.example.com\\@evil.example/",
        "https://evil.example\\.app.example.com/",
        "http://localhost\\.evil.example/",
    ] {
        refused(bad, &Error::Backslash);
    }
}

#[test]
fn client_3_a_percent_sign_encodes_something() {
    for bad in [
        "https://app.example.com/%",
        "https://app.example.com/%4",
        "https://app.example.com/%zz",
        "https://app.example.com/%+f",
        "https://app.example.com/%%41",
        "https://app.example.com/%u00fc",
        "https://app.example.com/?x=100%",
        "https://app.example.com/%\u{fc}",
    ] {
        refused(bad, &Error::PercentEncoding);
    }
}

#[test]
fn client_3_what_no_uri_has_is_refused_though_a_parser_takes_it() {
    for (bad, character) in [
        ("https://app.example.com/a|b", '|'),
        ("https://app.example.com/a[]", '['),
        ("https://app.example.com/?a]=1", ']'),
        ("https://app.example.com/?a={b}", '{'),
        ("https://app.example.com/?a=`", '`'),
    ] {
        refused(bad, &Error::Character { character });
    }
    let told = Error::Character { character: '[' }.to_string();
    assert_eq!(told, "must not contain `[`; write it as `%5B`");
    for bad in [
        "https://a;b.example/",
        "https://a\"b.example/",
        "https://a'b.example/",
        "https://a,b.example/",
        "https://a{b}.example/",
        "https://a!b.example/",
        "https://a|b.example/",
        "https://1.2.3.4.5/",
        "https://256.1.1.1/",
        "https://[::1/",
        "https://[::1%25lo]/",
        "https://app.example.com:65536/",
        "https://app.example.com:port/",
        "https://xn--a.example/",
    ] {
        refused(bad, &Error::Malformed);
    }
}

#[test]
fn client_3_a_redirect_uri_is_absolute() {
    for bad in [
        "",
        "/callback",
        "callback",
        "//app.example.com/callback",
        "app.example.com/callback",
        "?x=1",
        ":/callback",
        "1a:/callback",
        "b\u{fc}cher:/callback",
    ] {
        refused(bad, &Error::Relative);
    }
}

#[test]
fn client_3_the_length_is_looked_at_first() {
    let most = format!("https://a.example/{}", "x".repeat(2_000 - 18));
    assert!(RedirectUri::parse(&most, Web).is_ok());
    for long in [most + "x", "\0".repeat(1 << 20), "*".repeat(1 << 20)] {
        refused(&long, &Error::TooLong);
    }
}

#[test]
fn client_3_matching_is_exact() {
    let registered = "https://app.example.com/callback?x=1";
    for profile in ClientProfile::ALL {
        assert!(matches(registered, registered, profile));
        for other in [
            "",
            "https://app.example.com/callback",
            "https://app.example.com/callback?x=1&y=2",
            "https://app.example.com/callback?x=1#",
            "https://app.example.com:443/callback?x=1",
            "https://app.example.com/Callback?x=1",
            "https://app.example.com/a/../callback?x=1",
            "https://app.example.com/c%61llback?x=1",
            "HTTPS://app.example.com/callback?x=1",
            "http://app.example.com/callback?x=1",
            " https://app.example.com/callback?x=1",
            "https://app.example.com/callback?x=1\0",
        ] {
            assert!(!matches(registered, other, profile), "{other:?}");
        }
        let localhost = "http://localhost:3000/";
        assert!(!matches(localhost, "http://localhost:3001/", profile));
        let bare = "https://app.example.com";
        assert!(!matches(bare, "https://app.example.com/", profile));
    }
}
