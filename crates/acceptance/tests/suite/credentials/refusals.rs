//! Passwords that are refused, and requests that are not what either page sends. Each leaves the link as good as before.

use std::sync::Arc;

use grantor_acceptance::{Answer, raw_exchange};
use grantor_domain::settings::{PasswordMinLength, TenantSettings};
use serde_json::{Value, json};

use super::scene::{Invited, Office, form_of};
use super::{NEXT, PASSWORD, is_page};

fn office() -> (Office, Invited) {
    let office = Office::new();
    let ada = office.invited("Ada Lovelace", "ada.lovelace@example.com");
    (office, ada)
}

#[track_caller]
fn still_good(office: &Office, ada: &Invited) {
    assert!(!office.has_password(ada.member));
    assert_eq!(office.set(&ada.token, PASSWORD).status, 204);
}

#[test]
fn a_password_that_is_refused_says_the_mend_and_leaves_the_link() {
    let (office, ada) = office();
    let long = "abcde ".repeat(43);
    for (password, mend) in [
        ("short", "must have at least 12 characters"),
        ("", "must have at least 12 characters"),
        (&long, "must have at most 256 bytes"),
        ("tab\tin the middle", "must not contain control characters"),
        (
            "aaaaaaaaaaaaaaaa",
            "must have at least 5 different characters",
        ),
        (
            "ADA.lovelace@example.com",
            "must not be the name or the mail address",
        ),
        ("ada lovelace", "must not be the name or the mail address"),
        ("Ada.Lovelace", "must not be the name or the mail address"),
    ] {
        let refused = office.set(&ada.token, password);
        assert_eq!(refused.header("cache-control"), Some("no-store"));
        let refused = refused.expect(422);
        assert_eq!(refused["error"], "weak_password");
        let sentence = refused["error_description"].as_str().unwrap();
        assert!(
            sentence.starts_with(&format!("the password {mend}")),
            "{sentence}"
        );
        if password.is_empty() || password.contains('\t') {
            // The first is missing on the page, the second no form's.
            continue;
        }
        let page = office.fill_in(&ada.token, password);
        is_page(&page, 422, "Set your password");
        assert!(
            page.body
                .contains("<p class=\"mistake\" id=\"mistake\" role=\"alert\">The password must")
        );
        assert!(
            !page.body.contains(&format!("\"{password}\"")),
            "{}",
            page.body
        );
    }
    still_good(&office, &ada);
}

#[test]
fn the_least_length_is_the_tenants() {
    let (office, ada) = office();
    office.set_settings(TenantSettings {
        password_min_length: PasswordMinLength::parse(20).unwrap(),
        ..TenantSettings::default()
    });
    assert!(
        office
            .open(&ada.token)
            .body
            .contains("At least 20 characters.")
    );
    let refused = office.set(&ada.token, "nineteen characters").expect(422);
    let sentence = refused["error_description"].as_str().unwrap();
    assert!(sentence.contains("at least 20 characters"), "{sentence}");
    assert_eq!(office.set(&ada.token, "nineteen characters!").status, 204);
}

#[test]
fn the_page_wants_the_password_twice_the_same() {
    let (office, ada) = office();
    let sent = |form: &str| office.world.http.post_form(&office.address(), &[], form);
    let different = sent(&form_of(&ada.token, PASSWORD, NEXT));
    is_page(&different, 422, "Set your password");
    assert!(
        different
            .body
            .contains("The two passwords are not the same.")
    );
    for form in [
        form_of(&ada.token, PASSWORD, ""),
        form_of(&ada.token, "", PASSWORD),
        format!("token={}", ada.token),
    ] {
        let missing = sent(&form);
        is_page(&missing, 422, "Set your password");
        assert!(missing.body.contains("in both fields"), "{}", missing.body);
    }
    still_good(&office, &ada);
}

#[test]
fn another_site_can_not_make_a_browser_send_the_form() {
    let (office, ada) = office();
    let sent = |site: &str| {
        let form = form_of(&ada.token, PASSWORD, PASSWORD);
        let headers = [("sec-fetch-site", site)];
        office
            .world
            .http
            .post_form(&office.address(), &headers, &form)
    };
    is_page(&sent("cross-site"), 403, "Nothing was changed");
    assert!(!office.has_password(ada.member));
    is_page(&sent("same-origin"), 200, "Your password is set");
}

#[test]
fn a_form_that_can_be_read_in_two_ways_or_none_is_refused() {
    let (office, ada) = office();
    let form = form_of(&ada.token, PASSWORD, PASSWORD);
    for body in [
        format!("{form}&token={}", ada.token).into_bytes(),
        format!("{form}&password=other").into_bytes(),
        format!("{form}&x=%zz").into_bytes(),
        format!("{form}&x=%ff").into_bytes(),
        [form.as_bytes(), b"&x=\xff"].concat(),
    ] {
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let refused = office
            .world
            .http
            .send("POST", &office.address(), &kind, &body);
        is_page(&refused, 400, "Nothing was changed");
    }
    still_good(&office, &ada);
}

#[test]
fn json_that_is_not_two_texts_is_refused_and_never_repeated() {
    let (office, ada) = office();
    let token = &ada.token;
    let sent = |body: &[u8]| {
        let kind = [("content-type", "application/json")];
        office
            .world
            .http
            .send("POST", &office.address(), &kind, body)
    };
    for body in [
        json!({ "token": token }).to_string(),
        json!({ "password": PASSWORD }).to_string(),
        json!({ "token": token, "password": 271_828_182_845_904_i64 }).to_string(),
        json!({ "token": token, "password": null }).to_string(),
        json!({ "token": [token], "password": PASSWORD }).to_string(),
        json!({ "token": token, "password": PASSWORD, "271828182845904": 1 }).to_string(),
        format!(r#"{{"token":"{token}","token":"{token}","password":"{PASSWORD}"}}"#),
        json!([token, PASSWORD]).to_string(),
        "\"271828182845904\"".to_owned(),
        "null".to_owned(),
    ] {
        let refused = sent(body.as_bytes());
        assert!(
            !refused.body.contains("271828182845904"),
            "{}",
            refused.body
        );
        let refused = refused.expect(400);
        assert_eq!(refused["error"], "invalid_request", "{body}");
        let sentence = refused["error_description"].as_str().unwrap();
        assert!(
            sentence.contains("two texts, token and password"),
            "{sentence}"
        );
    }
    let not_utf8 = [
        b"{\"token\":\"\xff\",\"password\":\"",
        PASSWORD.as_bytes(),
        b"\"}",
    ]
    .concat();
    let whole = json!({ "token": token, "password": PASSWORD }).to_string();
    for body in [
        b"".as_slice(),
        b"{",
        b"token=x",
        &not_utf8,
        format!("{whole}x").as_bytes(),
    ] {
        let refused = sent(body).expect(400);
        let sentence = refused["error_description"].as_str().unwrap();
        assert!(
            sentence.starts_with("the body is not JSON (line 1, "),
            "{sentence}"
        );
    }
    still_good(&office, &ada);
}

#[test]
fn other_media_types_are_refused() {
    let (office, ada) = office();
    let form = form_of(&ada.token, PASSWORD, PASSWORD);
    for kind in [
        "text/plain",
        "multipart/form-data; boundary=x",
        "application/xml",
        "text/html",
        "",
    ] {
        let headers = [("content-type", kind)];
        let refused = office
            .world
            .http
            .send("POST", &office.address(), &headers, form.as_bytes());
        let refused = refused.expect(415);
        assert_eq!(
            refused["error_description"],
            "send the body with Content-Type application/json or application/x-www-form-urlencoded"
        );
    }
    let none = office.world.http.send("POST", &office.address(), &[], b"");
    assert_eq!(none.status, 415);
    still_good(&office, &ada);
}

#[test]
fn a_body_of_ten_megabytes_is_refused_before_it_is_read() {
    let (office, ada) = office();
    for kind in ["application/json", "application/x-www-form-urlencoded"] {
        for length in [8 * 1024 + 1, 10 << 20] {
            let head = format!(
                "POST /t/{}/credentials HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: {kind}\r\n\
                 content-length: {length}\r\n\r\n",
                office.tenant.id
            );
            // What goes with it is too little: the length alone is enough to refuse it.
            let answer = raw_exchange(&office.world.replica.token, head.as_bytes());
            assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        }
    }
    still_good(&office, &ada);
}

#[test]
fn other_methods_are_told_which_there_are() {
    let (office, ada) = office();
    let http = &office.world.http;
    for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
        let address = format!("{}?token={}", office.address(), ada.token);
        let refused = http.send(method, &address, &[], b"");
        assert_eq!(refused.status, 405, "{method}");
        assert_eq!(refused.header("allow"), Some("GET, POST"));
    }
    // HEAD is GET without the page.
    let address = |token: &str| format!("{}?token={token}", office.address());
    for (token, status) in [(ada.token.as_str(), 200), ("nothing", 410)] {
        let head = http.send("HEAD", &address(token), &[], b"");
        assert_eq!((head.status, head.body.as_str()), (status, ""));
    }
    still_good(&office, &ada);
}

#[test]
fn where_there_is_no_such_issuer_there_is_no_such_page() {
    let (office, ada) = office();
    let http = Arc::clone(&office.world);
    let http = &http.http;
    let strange = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b";
    let unknown = http.get(&office.world.endpoint(strange, "nothing"), &[]);
    let form = form_of(&ada.token, PASSWORD, PASSWORD);
    let body = json!({ "token": ada.token, "password": PASSWORD });
    for tenant in [strange, "ten_", "x"] {
        let address = office.world.endpoint(tenant, "credentials");
        let answers: [Answer; 3] = [
            http.get(&format!("{address}?token={}", ada.token), &[]),
            http.post_form(&address, &[], &form),
            http.post_json(&address, &[], &body),
        ];
        for answer in answers {
            assert_eq!((answer.status, &answer.body), (404, &unknown.body));
        }
    }
    still_good(&office, &ada);
}

#[test]
fn the_endpoint_is_in_the_document() {
    let document: Value = serde_json::to_value(grantor_token_server::routes::document()).unwrap();
    let path = &document["paths"]["/t/{tenant}/credentials"];
    assert_eq!(path["get"]["operationId"], "credentialsPage");
    assert_eq!(path["post"]["operationId"], "setPassword");
    let taken = path["post"]["requestBody"]["content"].as_object().unwrap();
    assert_eq!(taken.len(), 2);
}
