use super::*;

fn rule(text: &str) -> IpRule {
    IpRule::parse(text).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn client_13_addresses_and_ranges_have_one_spelling() {
    for (text, normal) in [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7/32", "192.0.2.7"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("0.0.0.0", "0.0.0.0"),
        ("255.255.255.255", "255.255.255.255"),
        ("2001:DB8:0:0::7", "2001:db8::7"),
        ("2001:0db8::7/128", "2001:db8::7"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::1/128", "::1"),
        ("64:ff9b::192.0.2.7", "64:ff9b::c000:207"),
        ("::/80", "::/80"),
    ] {
        assert_eq!(rule(text).to_string(), normal);
        assert_eq!(rule(normal), rule(text));
    }
    let longest = "1111:2222:3333:4444:5555:6666:123.123.123.123/128";
    assert_eq!(longest.len(), LIMIT);
    assert!(IpRule::parse(longest).is_ok());
}

#[test]
fn client_13_what_could_be_read_in_two_ways_is_refused() {
    use IpRuleError as Error;
    for (text, error) in [
        ("", Error::Empty),
        (" ", Error::WhiteSpace),
        (" 192.0.2.7", Error::WhiteSpace),
        ("192.0.2.7\n", Error::WhiteSpace),
        ("192.0.2.0 /24", Error::WhiteSpace),
        ("fe80::1%eth0", Error::Zone),
        ("fe80::%1/64", Error::Zone),
        ("192.0.2.7:443", Error::Port),
        ("192.0.2.7:443/32", Error::Port),
        ("[::1]:443", Error::Port),
        ("[::1]", Error::Port),
        ("010.0.0.1", Error::LeadingZero),
        ("10.0.0.00", Error::LeadingZero),
        ("64:ff9b::192.0.2.07", Error::LeadingZero),
        ("10.0.0.0/08", Error::LeadingZero),
        ("10.0.0.0/", Error::Prefix),
        ("10.0.0.0/+8", Error::Prefix),
        ("10.0.0.0/-1", Error::Prefix),
        ("10.0.0.0/8/8", Error::Prefix),
        ("10.0.0.0/255.0.0.0", Error::Prefix),
        ("10.0.0.0/\u{668}", Error::Prefix),
        ("0.0.0.0/33", Error::PrefixTooLong { longest: 32 }),
        ("0.0.0.0/4294967304", Error::PrefixTooLong { longest: 32 }),
        ("::/129", Error::PrefixTooLong { longest: 128 }),
        ("::/264", Error::PrefixTooLong { longest: 128 }),
        ("/8", Error::Malformed),
        ("1.2.3", Error::Malformed),
        ("1.2.3/24", Error::Malformed),
        ("1.2.3.4.5", Error::Malformed),
        ("256.0.0.1", Error::Malformed),
        ("0x7f.0.0.1", Error::Malformed),
        ("2130706433", Error::Malformed),
        ("192.0.2.7,192.0.2.8", Error::Malformed),
        ("192.0.2.7-9", Error::Malformed),
        ("192.0.2.*", Error::Malformed),
        ("2001:db8::1::2", Error::Malformed),
        ("localhost", Error::Malformed),
        ("192.0.2.\u{667}", Error::Malformed),
        ("192.0.2.7\0", Error::Malformed),
    ] {
        assert_eq!(IpRule::parse(text), Err(error), "{text:?}");
    }
    for long in ["1".repeat(LIMIT + 1), " ".repeat(1 << 20)] {
        assert_eq!(IpRule::parse(&long), Err(Error::TooLong));
    }
}

#[test]
fn client_13_a_refusal_names_the_range_that_was_meant() {
    for (text, mend) in [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("192.0.2.129/25", "192.0.2.128/25"),
        ("0.0.0.1/0", "0.0.0.0/0"),
        ("192.0.2.1/31", "192.0.2.0/31"),
        ("2001:db8::1/32", "2001:db8::/32"),
        ("::1/0", "::/0"),
        ("::ffff:0:0/80", "::/80"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::FFFF:102:304/128", "1.2.3.4"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ] {
        let refusal = IpRule::parse(text).unwrap_err().to_string();
        assert!(
            refusal.ends_with(&format!(" `{mend}`")),
            "{text}: {refusal}"
        );
        assert_eq!(rule(mend).to_string(), mend);
    }
}

#[test]
fn client_13_ranges_end_where_their_prefix_says() {
    for (text, inside, outside) in [
        (
            "10.0.0.0/8",
            ["10.0.0.0", "10.255.255.255"],
            ["9.255.255.255", "11.0.0.0"],
        ),
        (
            "192.168.4.0/22",
            ["192.168.4.0", "192.168.7.255"],
            ["192.168.3.255", "192.168.8.0"],
        ),
        (
            "192.0.2.6/31",
            ["192.0.2.6", "192.0.2.7"],
            ["192.0.2.5", "192.0.2.8"],
        ),
        (
            "192.0.2.7",
            ["192.0.2.7", "::ffff:192.0.2.7"],
            ["192.0.2.6", "::192.0.2.7"],
        ),
        ("0.0.0.0/0", ["0.0.0.0", "255.255.255.255"], ["::", "::1"]),
        ("::/0", ["::", "ffff::"], ["0.0.0.0", "::ffff:1.2.3.4"]),
        ("fd00::/8", ["fd00::", "fdff::1"], ["fcff::", "fe00::"]),
        ("a00::/8", ["a00::", "aff::"], ["10.0.0.1", "b00::"]),
        (
            "10.0.0.0/8",
            ["::ffff:10.0.0.1", "10.0.0.1"],
            ["::10.0.0.1", "a00::"],
        ),
    ] {
        assert!(
            inside.iter().all(|peer| rule(text).admits(ip(peer))),
            "{text}"
        );
        assert!(
            !outside.iter().any(|peer| rule(text).admits(ip(peer))),
            "{text}"
        );
    }
}

#[test]
fn client_13_an_empty_list_means_all_and_an_unknown_peer_passes_no_other() {
    let none = IpRules::default();
    assert!(none.is_empty() && none.admits(None) && none.admits(Some(ip("192.0.2.7"))));
    let some = IpRules::parse(&["10.0.0.0/8", "2001:db8::/32"]).unwrap();
    assert!(!some.is_empty() && !some.admits(None));
    for peer in ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::7"] {
        assert!(some.admits(Some(ip(peer))), "{peer}");
    }
    for peer in ["11.0.0.1", "2001:db9::", "::ffff:11.0.0.1", "::"] {
        assert!(!some.admits(Some(ip(peer))), "{peer}");
    }
    let everybody: IpRules = [rule("0.0.0.0/0"), rule("::/0")].into_iter().collect();
    assert!(everybody.admits(Some(ip("::1"))) && !everybody.admits(None));
}

#[test]
fn client_13_a_list_is_a_set_in_order_with_an_end() {
    let rules = IpRules::parse(&["::1", "10.0.0.0/8", "9.9.9.9", "::1/128", "10.0.0.0"]).unwrap();
    let written = rules.to_vec();
    assert_eq!(written, ["9.9.9.9", "10.0.0.0/8", "10.0.0.0", "::1"]);
    assert_eq!(IpRules::parse(&written), Ok(rules.clone()));
    assert_eq!(rules.iter().copied().collect::<IpRules>(), rules);

    let refusal = IpRules::parse(&["::1", "1.2.3"]).unwrap_err().to_string();
    assert!(
        refusal.starts_with("entry 2 must be an IP address"),
        "{refusal}"
    );
    let many: Vec<String> = (0..=100).map(|last| format!("192.0.2.{last}")).collect();
    assert!(IpRules::parse(&many[..100]).is_ok());
    assert_eq!(IpRules::parse(&many), Err(IpRulesError::TooMany));
}
