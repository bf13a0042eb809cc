//! Links by which members set their password, made through the API: mailed or shown, good once, and for nobody else.

use chrono::TimeDelta;
use grantor_acceptance::{Answer, World};
use serde_json::{Value, json};

use crate::asking::{everything_at_rest, hexadecimal};
use crate::members::acme::{Acme, of};
use crate::operations::{expect_problem, without_request_id};
use crate::outbox::MailFolder;

const PASSWORD: &str = "correct horse battery staple";

/// The token in a link, or in a mail with one.
#[track_caller]
fn token_in(text: &str) -> String {
    let (_, rest) = text.split_once("credentials?token=").expect("a link");
    let end = rest.find(|c: char| c.is_whitespace()).unwrap_or(rest.len());
    rest.get(..end).unwrap().to_owned()
}

fn redeem(acme: &Acme, token: &str, password: &str) -> Answer {
    let tenant = &acme.scene.tenant.id;
    let body = json!({ "token": token, "password": password });
    let url = acme.world().endpoint(tenant, "credentials");
    acme.world().http.post_json(&url, &[], &body)
}

#[track_caller]
fn is_dead(acme: &Acme, token: &str, why: &str) {
    let answer = redeem(acme, token, PASSWORD);
    assert_eq!(answer.status, 410, "{why}: {}", answer.body);
    let page = acme.world().endpoint(&acme.scene.tenant.id, "credentials");
    let opened = acme.world().http.get(&format!("{page}?token={token}"), &[]);
    assert_eq!(opened.status, 410, "{why}");
}

#[track_caller]
fn is_good(acme: &Acme, token: &str) {
    let answer = redeem(acme, token, PASSWORD);
    assert_eq!(answer.status, 204, "{}", answer.body);
}

/// A link of a member's, shown.
#[track_caller]
fn link(acme: &Acme, member: &str, what: &str) -> String {
    let shown = acme.send("POST", &of(member, what), &json!({ "deliver": "show" }));
    assert_eq!(shown.header("cache-control"), Some("no-store"));
    token_in(shown.expect(200)["url"].as_str().unwrap())
}

#[test]
fn an_invitation_that_is_shown_works_once() {
    let acme = Acme::new();
    let body = json!({ "name": "Ada", "email": "ada@acme.example", "invitation": "show" });
    let made = acme.send("POST", "/members", &body);
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let made = made.expect(201);
    let ada = made["id"].as_str().unwrap();
    let url = made["invitation"]["url"].as_str().unwrap();
    let issuer = &acme.scene.tenant.issuer;
    assert!(
        url.starts_with(&format!("{issuer}/credentials?token=")),
        "{url}"
    );
    assert_eq!(made["invitation"]["deliver"], "show");
    let token = token_in(url);
    let read = acme.send("GET", &of(ada, ""), &Value::Null);
    assert!(!read.body.contains("url") && !read.body.contains(&token));
    assert_eq!(redeem(&acme, &token, "short").status, 422);
    is_good(&acme, &token);
    assert_eq!(acme.get(&of(ada, ""))["has_password"], true);
    is_dead(&acme, &token, "used");
    for action in ["member.invited", "member.link_shown", "member.password_set"] {
        let events = acme.events(action);
        assert_eq!(events.len(), 1, "{action}");
        assert_eq!(events[0]["after"]["link_id"], made["invitation"]["id"]);
    }
    assert_eq!(
        acme.events("member.password_set")[0]["actor"]["id"],
        json!(ada)
    );
}

#[test]
fn links_that_are_mailed_reach_the_address_and_nobody_who_asked() {
    let folder = MailFolder::new();
    let acme = Acme::of(World::with(&folder.settings()));
    let body = json!({ "name": "Ada", "email": "ada@acme.example", "invitation": "mail" });
    let rehearsed = acme.send("POST", "/members?dry_run=true", &body);
    assert_eq!(rehearsed.status, 201, "{}", rehearsed.body);
    let made = acme.send("POST", "/members", &body).expect(201);
    assert!(made["invitation"].get("url").is_none(), "{made}");
    let ada = made["id"].as_str().unwrap();
    let [mail] = folder.until(1).try_into().unwrap();
    assert!(mail.contains("To: Ada <ada@acme.example>\r\n"), "{mail}");
    assert!(
        mail.contains("Subject: You are invited to Acme\r\n"),
        "{mail}"
    );
    let first = token_in(&mail);
    // Without a body it is by mail.
    let reset = acme.send("POST", &of(ada, "/reset-password"), &Value::Null);
    let reset = reset.expect(200);
    assert_eq!(
        (&reset["deliver"], reset.get("url")),
        (&json!("mail"), None)
    );
    let mails = folder.until(2);
    let mail = mails
        .iter()
        .find(|mail| mail.contains("Your password at"))
        .unwrap();
    is_dead(&acme, &first, "there is a newer one");
    is_good(&acme, &token_in(mail));
    assert!(acme.events("member.link_shown").is_empty());
}

#[test]
fn a_link_dies_of_whatever_ends_it_and_of_nothing_else() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let bob = acme.member_in(&acme.root, "Bob", "bob@acme.example");
    let bobs = link(&acme, &bob, "/invite");
    let path = of(&ada, "");
    for (newer, older) in [
        ("/invite", "/reset-password"),
        ("/reset-password", "/invite"),
        ("/invite", "/invite"),
    ] {
        let old = link(&acme, &ada, older);
        let new = link(&acme, &ada, newer);
        is_dead(&acme, &old, "there is a newer one");
        is_good(&acme, &new);
    }
    let old = link(&acme, &ada, "/invite");
    acme.send("PATCH", &path, &json!({ "email": "new@acme.example" }))
        .expect(200);
    is_dead(&acme, &old, "another address");
    // Back to the address that it was sent to, it stays dead.
    acme.send("PATCH", &path, &json!({ "email": "ada@acme.example" }))
        .expect(200);
    is_dead(&acme, &old, "once dead");
    let old = link(&acme, &ada, "/reset-password");
    acme.send("POST", &of(&ada, "/revoke-links"), &Value::Null)
        .expect(204);
    is_dead(&acme, &old, "revoked");
    assert_eq!(acme.events("member.links_revoked").len(), 1);

    // Another name or home, or a role that permits nothing, leaves it, and so does a rehearsal of what would end it.
    let kept = link(&acme, &ada, "/reset-password");
    acme.send(
        "PATCH",
        &path,
        &json!({ "name": "Ada L", "organization_id": acme.a }),
    )
    .expect(200);
    acme.assign(&ada, "member", &acme.a);
    for what in ["/invite", "/revoke-links", "/disable"] {
        let path = of(&ada, &format!("{what}?dry_run=true"));
        let rehearsed = acme.send("POST", &path, &Value::Null);
        assert!(rehearsed.status < 300, "{}", rehearsed.body);
    }
    acme.send("POST", &of(&ada, "/disable"), &Value::Null)
        .expect(200);
    is_dead(&acme, &kept, "disabled");
    for what in ["/invite", "/reset-password"] {
        let refused = acme.send("POST", &of(&ada, what), &Value::Null);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], "member");
    }
    acme.send("POST", &of(&ada, "/enable"), &Value::Null)
        .expect(200);
    is_good(&acme, &kept);

    let old = link(&acme, &ada, "/invite");
    acme.send("DELETE", &of(&ada, "?confirm_name=Ada%20L"), &Value::Null)
        .expect(204);
    is_dead(&acme, &old, "deleted");
    // Nor is their address kept with it.
    for (table, row) in everything_at_rest(acme.world()) {
        let of_links = table.contains("credential_links");
        assert!(!of_links || !row.contains("ada@acme.example"), "{row}");
    }
    acme.member_in(&acme.root, "Ada", "ada@acme.example");
    is_dead(&acme, &old, "of somebody before");
    is_good(&acme, &bobs);
}

#[test]
fn a_link_ends_when_the_tenant_has_said() {
    let acme = Acme::new();
    let shorter = json!({ "invitation_seconds": 86_400, "password_reset_seconds": 600 });
    acme.send("PATCH", "/settings", &shorter).expect(200);
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let bob = acme.member_in(&acme.root, "Bob", "bob@acme.example");
    let (invited, reset) = (
        link(&acme, &ada, "/invite"),
        link(&acme, &bob, "/reset-password"),
    );
    acme.world().advance(TimeDelta::seconds(600));
    is_dead(&acme, &reset, "its time is over");
    is_good(&acme, &invited);
}

#[test]
fn whatever_is_wrong_with_a_link_is_told_alike() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let used = link(&acme, &ada, "/invite");
    is_good(&acme, &used);
    let old = link(&acme, &ada, "/invite");
    link(&acme, &ada, "/invite");
    let gone = acme.member_in(&acme.root, "Bob", "bob@acme.example");
    let deleted = link(&acme, &gone, "/invite");
    acme.send("DELETE", &of(&gone, "?confirm_name=Bob"), &Value::Null)
        .expect(204);
    let other = acme.world().tenant("Other");
    let theirs = acme.world().member(&other, "Eve", "eve@acme.example");
    let url = acme
        .world()
        .api(&format!("/v1/tenants/{}/members/{theirs}/invite", other.id));
    let admin = acme.world().as_admin(&other);
    let http = &acme.world().http;
    let foreign = http.post_json(
        &url,
        &[("authorization", &admin)],
        &json!({ "deliver": "show" }),
    );
    let foreign = token_in(foreign.expect(200)["url"].as_str().unwrap());
    let mut told: Vec<_> = [used.as_str(), &old, &deleted, &foreign, "glk_nothing", ""]
        .map(|token| without_request_id(&redeem(&acme, token, PASSWORD)))
        .into();
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].0, 410);
}

#[test]
fn secret_1_a_retry_shows_the_same_link_which_is_on_record_and_a_dry_run_shows_none() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let path = of(&ada, "/reset-password");
    let body = json!({ "deliver": "show" });
    let key = [("idempotency-key", "0123456789abcdef-link")];
    let ask = || {
        let here = &acme.world().replica;
        acme.send_at(here, &acme.scene.admin, "POST", &path, &key, &body)
    };
    let first = ask();
    assert_eq!(first.status, 200, "{}", first.body);
    for times in 2..=3 {
        let again = ask();
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(acme.events("member.link_shown").len(), times);
    }
    assert_eq!(acme.events("member.password_reset_offered").len(), 1);
    let making = json!({ "name": "Bob", "email": "bob@acme.example", "invitation": "show" });
    let here = &acme.world().replica;
    let key = [("idempotency-key", "0123456789abcdef-made")];
    let bodies = [(); 2].map(|()| {
        let made = acme.send_at(here, &acme.scene.admin, "POST", "/members", &key, &making);
        assert_eq!(made.status, 201, "{}", made.body);
        made.body
    });
    assert_eq!(bodies[0], bodies[1]);
    let bobs = token_in(
        serde_json::from_str::<Value>(&bodies[0]).unwrap()["invitation"]["url"]
            .as_str()
            .unwrap(),
    );

    let events = acme.scene.events().len();
    let making = json!({ "name": "C", "email": "c@acme.example", "invitation": "show" });
    for (path, body, at) in [
        (format!("{path}?dry_run=true"), body.clone(), "/url"),
        (
            "/members?dry_run=true".to_owned(),
            making,
            "/invitation/url",
        ),
    ] {
        let rehearsed = acme.send("POST", &path, &body);
        assert!(!rehearsed.text(at).contains("token="), "{}", rehearsed.body);
    }
    assert_eq!(acme.scene.events().len(), events);
    // secret_2: neither is at rest anywhere, the kept answers of the retries included.
    let tokens = [token_in(&first.text("/url")), bobs];
    is_good(&acme, &tokens[0]);
    for (table, row) in everything_at_rest(acme.world()) {
        for secret in [tokens[0].as_str(), &tokens[1], PASSWORD] {
            // Its end is the part that is secret.
            let (_, part) = secret.split_at(secret.len() / 2);
            assert!(!row.contains(part), "{table}");
            assert!(!row.contains(&hexadecimal(part)), "{table}");
        }
    }
    is_good(&acme, &tokens[1]);
}

#[test]
fn of_10_links_that_are_made_at_once_on_two_replicas_one_is_good() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let replicas = [&acme.world().replica, &other];
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..10)
            .map(|number| {
                let (acme, replica) = (&acme, replicas[number % 2]);
                let path = of(
                    &ada,
                    if number % 3 == 0 {
                        "/invite"
                    } else {
                        "/reset-password"
                    },
                );
                scope.spawn(move || {
                    let body = json!({ "deliver": "show" });
                    acme.send_at(replica, &acme.scene.admin, "POST", &path, &[], &body)
                })
            })
            .collect();
        let answers = asked.into_iter().map(|asked| asked.join().unwrap());
        answers
            .map(|answer| token_in(answer.expect(200)["url"].as_str().unwrap()))
            .collect()
    });
    let redeemed = tokens
        .iter()
        .map(|token| redeem(&acme, token, PASSWORD).status);
    let good = redeemed.filter(|status| *status == 204).count();
    assert_eq!(good, 1);
}

#[test]
fn how_a_link_is_delivered_is_one_of_two_words_and_where_it_leads_is_the_tenants() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    for (body, pointer) in [
        (json!({ "deliver": "pigeon" }), "/deliver"),
        (json!({ "deliver": "" }), "/deliver"),
        (json!({ "deliver": null }), "/deliver"),
        (json!({ "deliver": ["mail"] }), "/deliver"),
        (json!({ "to": "me@acme.example" }), "/to"),
    ] {
        for what in ["/invite", "/reset-password"] {
            let refused = acme.send("POST", &of(&ada, what), &body);
            let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{problem}");
        }
    }
    let page = json!({ "credential_page": "https://console.acme.example/password" });
    acme.send("PATCH", "/settings", &page).expect(200);
    let shown = acme.send("POST", &of(&ada, "/invite"), &json!({ "deliver": "show" }));
    let url = shown.expect(200)["url"].as_str().unwrap().to_owned();
    let (leads_to, token) = url.split_once("?token=").unwrap();
    assert_eq!(leads_to, "https://console.acme.example/password");
    is_good(&acme, token);
}

#[test]
fn role_3_a_link_that_was_shown_ends_when_its_member_comes_to_hold_more_and_a_mailed_one_does_not()
{
    let folder = MailFolder::new();
    let acme = Acme::of(World::with(&folder.settings()));
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let shown = link(&acme, &ada, "/invite");
    let role = acme.role("Reader", &["clients.read"]);
    acme.assign(&ada, &role, &acme.a);
    is_dead(&acme, &shown, "a role was given");

    let shown = link(&acme, &ada, "/invite");
    let path = format!("/roles/{role}");
    let wider = json!({ "permissions": ["clients.read", "members.read"] });
    acme.send("PATCH", &path, &wider).expect(200);
    is_dead(&acme, &shown, "the role permits more");
    let shown = link(&acme, &ada, "/invite");
    let narrower = json!({ "permissions": ["clients.read"] });
    acme.send("PATCH", &path, &narrower).expect(200);
    is_good(&acme, &shown);

    let reset = of(&ada, "/reset-password");
    acme.send("POST", &reset, &Value::Null).expect(200);
    let [mail] = folder.until(1).try_into().unwrap();
    acme.assign(&ada, "admin", &acme.b);
    is_good(&acme, &token_in(&mail));
}

#[test]
fn an_invitation_of_who_has_a_password_lives_no_longer_than_a_reset() {
    let acme = Acme::new();
    let ada = acme.member_in(&acme.root, "Ada", "ada@acme.example");
    let lives = || {
        let path = of(&ada, "/invite");
        let made = acme
            .send("POST", &path, &json!({ "deliver": "show" }))
            .expect(200);
        let until: chrono::DateTime<chrono::Utc> =
            made["expires_at"].as_str().unwrap().parse().unwrap();
        let token = token_in(made["url"].as_str().unwrap());
        ((until - acme.world().now()).num_seconds(), token)
    };
    let (first, token) = lives();
    assert_eq!(first, 7 * 24 * 3_600);
    is_good(&acme, &token);
    assert_eq!(lives().0, 3_600);
}
