//! Links by which members set a password: the built-in page, the same as JSON, and every way in which a link is not good.

mod refusals;
mod scene;

use chrono::TimeDelta;
use grantor_acceptance::Answer;
use grantor_domain::credential_link::LinkPurpose;
use serde_json::{Value, json};

use crate::asking::{everything_at_rest, hexadecimal, number};
use scene::{Invited, Office, form_of};

const PASSWORD: &str = "correct horse battery staple";
const NEXT: &str = "a tin of purple thunder";

#[track_caller]
fn is_page(answer: &Answer, status: u16, title: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let heading = format!("<h1>{title}</h1>");
    assert!(answer.body.contains(&heading), "{}", answer.body);
}

#[track_caller]
fn is_not_good(answer: &Answer) {
    assert_eq!(answer.status, 410, "{}", answer.body);
}

#[test]
fn a_member_sets_their_first_password_on_the_page() {
    let office = Office::new();
    let ada = office.invited("Ada Lovelace", "ada@example.com");
    let page = office.open(&ada.token);
    is_page(&page, 200, "Set your password");
    assert!(page.body.contains("At least 12 characters."));
    // Opening it again changes nothing: mail programs look at links before their readers do.
    is_page(&office.open(&ada.token), 200, "Set your password");
    is_page(
        &office.fill_in(&ada.token, PASSWORD),
        200,
        "Your password is set",
    );
    assert!(office.is_password(ada.member, PASSWORD));
    assert!(!office.is_password(ada.member, NEXT));
    is_not_good(&office.open(&ada.token));
    is_not_good(&office.fill_in(&ada.token, NEXT));
    assert!(office.is_password(ada.member, PASSWORD));
}

#[test]
fn a_tenants_own_page_sets_it_by_json() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    let set = office.set(&ada.token, PASSWORD);
    assert_eq!((set.status, set.body.as_str()), (204, ""));
    assert_eq!(set.header("cache-control"), Some("no-store"));
    assert!(office.is_password(ada.member, PASSWORD));
    let again = office.set(&ada.token, NEXT);
    assert_eq!(
        again.expect(410),
        json!({ "error": "link_not_good", "error_description": "the link is not good, or not any more" })
    );
}

#[test]
fn a_reset_replaces_the_password_and_cuts_off_what_was_issued_before() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    assert_eq!(office.set(&ada.token, PASSWORD).status, 204);
    let reset = office.link(ada.member, LinkPurpose::PasswordReset);
    assert_eq!(office.set(&reset, NEXT).status, 204);
    assert!(office.is_password(ada.member, NEXT) && !office.is_password(ada.member, PASSWORD));
    let cuts = format!(
        "SELECT count(*) FROM suspensions WHERE subject_id = '{}' AND cut_below > 0",
        ada.member.uuid()
    );
    assert_eq!(number(&office.world, &cuts), 1);
}

#[test]
fn audit_1_a_password_that_was_set_is_on_record_with_who_and_from_where() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    let before = office.events("member.password_set");
    assert_eq!(before, [Value::Null; 0]);
    let headers = [
        ("user-agent", "Browser/1.0"),
        ("x-request-id", "request-of-ada"),
    ];
    let body = json!({ "token": ada.token, "password": PASSWORD });
    let set = office
        .world
        .http
        .post_json(&office.address(), &headers, &body);
    assert_eq!(set.status, 204);
    let events = office.events("member.password_set");
    assert_eq!(events.len(), 1);
    let event = &events[0];
    let member = ada.member.to_string();
    for (pointer, is) in [
        ("/actor_kind", "member"),
        ("/actor_name", member.as_str()),
        ("/target_id", &member),
        ("/user_agent", "Browser/1.0"),
        ("/request_id", "request-of-ada"),
        ("/ip", "127.0.0.1"),
        ("/after_change/purpose", "invitation"),
    ] {
        assert_eq!(
            event.pointer(pointer).and_then(Value::as_str),
            Some(is),
            "{event}"
        );
    }
    // What changed nothing says nothing.
    office.set(&ada.token, NEXT);
    assert_eq!(office.events("member.password_set").len(), 1);
}

#[test]
fn of_twenty_at_once_over_two_replicas_exactly_one_sets_the_password() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    let other = office.world.another_replica();
    let addresses = [office.address(), office.address_at(&other)];
    let (world, token) = (&office.world, &ada.token);
    let answers: Vec<(String, u16)> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..20)
            .map(|number| {
                let address = &addresses[number % 2];
                scope.spawn(move || {
                    let password = format!("{PASSWORD} {number}");
                    let answer = if number % 4 < 2 {
                        let body = json!({ "token": token, "password": password });
                        world.http.post_json(address, &[], &body)
                    } else {
                        world
                            .http
                            .post_form(address, &[], &form_of(token, &password, &password))
                    };
                    (password, answer.status)
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let won: Vec<_> = answers
        .iter()
        .filter(|(_, status)| matches!(status, 200 | 204))
        .collect();
    assert_eq!(won.len(), 1, "{answers:?}");
    assert!(office.is_password(ada.member, &won[0].0));
    // On a crowded machine some are told to come again; nobody is told anything else.
    let others = |status: u16| matches!(status, 200 | 204 | 410 | 503);
    assert!(
        answers.iter().all(|(_, status)| others(*status)),
        "{answers:?}"
    );
    assert_eq!(office.events("member.password_set").len(), 1);
}

#[test]
fn a_link_ends_at_the_edge_of_its_time() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    office
        .world
        .advance(TimeDelta::hours(1) - TimeDelta::milliseconds(1));
    is_page(&office.open(&ada.token), 200, "Set your password");
    office.world.advance(TimeDelta::milliseconds(1));
    is_not_good(&office.open(&ada.token));
    is_not_good(&office.set(&ada.token, PASSWORD));
    assert!(!office.has_password(ada.member));
}

#[test]
fn tenant_2_a_link_sleeps_with_its_tenant_and_works_again() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    office.suspend(true);
    is_not_good(&office.open(&ada.token));
    is_not_good(&office.set(&ada.token, PASSWORD));
    office.suspend(false);
    assert_eq!(office.set(&ada.token, PASSWORD).status, 204);
}

/// Tokens that are not good, each for another reason.
fn bad_ones(office: &Office) -> Vec<(&'static str, String)> {
    let good = |name: &str| office.invited(name, &format!("{}@example.com", name.to_lowercase()));
    let used = good("Used");
    assert_eq!(office.set(&used.token, PASSWORD).status, 204);
    let newer = good("Newer");
    office.link(newer.member, LinkPurpose::PasswordReset);
    let moved = good("Moved");
    let elsewhere = "email = 'elsewhere@example.com', email_key = 'elsewhere@example.com'";
    office.edit_member(moved.member, elsewhere);
    let disabled = good("Disabled");
    office.disable(disabled.member);
    let deleted = good("Deleted");
    office.delete(deleted.member);
    let elsewhere = Office::tenant_of(office, "Elsewhere").invited("Far", "far@example.com");
    let slip = good("Slip").token;
    let slip = format!(
        "{}{}",
        &slip[..slip.len() - 1],
        if slip.ends_with('x') { 'y' } else { 'x' }
    );
    vec![
        ("used", used.token),
        ("replaced by a newer one", newer.token),
        ("of an address that changed", moved.token),
        ("of a disabled member", disabled.token),
        ("of a deleted member", deleted.token),
        ("of another tenant", elsewhere.token),
        ("with a slip", slip),
        ("never given out", office.token_of_nobody()),
        ("of another kind", "gsec_0123456789".to_owned()),
        ("empty", String::new()),
        ("of megabytes", "x".repeat(3_000)),
    ]
}

#[test]
fn tenant_1_whatever_is_wrong_with_a_link_the_answer_is_the_same() {
    let office = Office::new();
    let bad = bad_ones(&office);
    let asks: [fn(&Office, &str) -> Answer; 4] = [
        |office, token| office.open(token),
        |office, token| office.fill_in(token, PASSWORD),
        // Not even a password that is refused, or two that differ, tell a good link from another.
        |office, token| office.fill_in(token, "short"),
        |office, token| office.set(token, PASSWORD),
    ];
    for ask in asks {
        let told = |token: &str| {
            let answer = ask(&office, token);
            is_not_good(&answer);
            let headers: Vec<_> = answer
                .headers
                .iter()
                .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
                .cloned()
                .collect();
            (headers, answer.body)
        };
        let first = told(&bad[0].1);
        for (what, token) in &bad[1..] {
            assert_eq!(told(token), first, "{what}");
        }
    }
    // An expired one too.
    let late = office.invited("Late", "late@example.com");
    office.world.advance(TimeDelta::hours(2));
    for ask in asks {
        assert_eq!(ask(&office, &late.token).body, ask(&office, &bad[0].1).body);
    }
}

#[test]
fn the_page_says_nothing_of_the_member_or_the_tenant() {
    let office = Office::new();
    let Invited { member, token } = office.invited("Ada Lovelace", "ada.lovelace@example.com");
    let pages = [
        office.open(&token),
        office.fill_in(&token, "Ada Lovelace"),
        office.fill_in(&token, PASSWORD),
        office.open(&token),
    ];
    for page in pages {
        let body = page.body.to_lowercase();
        for told in [
            "ada",
            "lovelace",
            "example.com",
            "acme",
            &member.to_string(),
        ] {
            assert!(!body.contains(told), "{told} in {body}");
        }
    }
}

#[test]
fn the_page_is_stored_nowhere_framed_by_nobody_and_tells_no_other_site() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    for page in [
        office.open(&ada.token),
        office.fill_in(&ada.token, "short"),
        office.open("nothing"),
        office.fill_in(&ada.token, PASSWORD),
    ] {
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let policy = page.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains("script"),
            "{policy}"
        );
        assert!(!page.body.contains("<script"), "{}", page.body);
        // The form leads back without the token in the address.
        assert!(!page.body.contains("credentials?"), "{}", page.body);
    }
}

#[test]
fn secret_2_neither_the_token_nor_the_password_is_at_rest() {
    let office = Office::new();
    let ada = office.invited("Ada", "ada@example.com");
    let grace = office.invited("Grace", "grace@example.com");
    assert_eq!(office.fill_in(&ada.token, PASSWORD).status, 200);
    assert_eq!(office.set(&grace.token, "short").status, 422);
    let rows = everything_at_rest(&office.world);
    let of = |table: &str| rows.iter().filter(|(name, _)| name.contains(table)).count();
    assert!(of("credential_links") == 2 && of("authenticators") == 1);
    // The ids in a token are no secret; its random bits are in its second half.
    let secrets = [&ada.token, &grace.token].map(|token| token[70..].to_owned());
    for secret in secrets.iter().map(String::as_str).chain([PASSWORD]) {
        let hex = hexadecimal(secret);
        for (table, row) in &rows {
            assert!(
                !row.contains(secret) && !row.contains(&hex),
                "{table}: {row}"
            );
        }
    }
}
