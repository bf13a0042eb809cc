//! Lists of members: in every order, narrowed, found by how words begin, and to everybody what they may see.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use serde_json::Value;

use super::acme::{Acme, NO_ORGANIZATION, encoded, of, organization_uuid};
use crate::operations::expect_problem;

/// Walks a list by pages; tells the names, and that nobody came twice.
#[track_caller]
fn walk(acme: &Acme, who: &str, query: &str, limit: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut ids = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/members?limit={limit}{query}{cursor}");
        let page = acme.send_as(who, "GET", &path, &Value::Null).expect(200);
        for item in page["items"].as_array().unwrap() {
            names.push(item["name"].as_str().unwrap().to_owned());
            let id = item["id"].as_str().unwrap().to_owned();
            assert!(ids.insert(id), "{query}: somebody came twice");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return names,
        }
    }
}

/// The same in one text, whichever pages.
#[track_caller]
fn names(acme: &Acme, query: &str) -> String {
    let [whole, by_one, by_two] =
        [200, 1, 2].map(|limit| walk(acme, &acme.scene.admin, query, limit));
    assert_eq!(whole, by_one, "{query}");
    assert_eq!(whole, by_two, "{query}");
    whole.join(" ")
}

#[test]
fn members_are_sorted_both_ways_paged_over_equal_names_and_narrowed() {
    let acme = Acme::new();
    let mut made = Vec::new();
    for (name, email, home) in [
        ("Same", "d@acme.example", &acme.root),
        ("Zoe", "C@acme.example", &acme.a),
        ("Same", "b@acme.example", &acme.a1),
        ("Same", "A@acme.example", &acme.b),
        ("Äda", "e@acme.example", &acme.a),
        ("ada", "f@acme.example", &acme.a),
    ] {
        acme.world().advance(TimeDelta::milliseconds(5));
        made.push(acme.member_in(home, name, email));
    }
    let made_order = "Owner Same Zoe Same Same Äda ada";
    assert_eq!(names(&acme, ""), made_order);
    assert_eq!(names(&acme, "&sort=created_at"), made_order);
    assert_eq!(
        names(&acme, "&sort=-created_at"),
        "ada Äda Same Same Zoe Same Owner"
    );
    assert_eq!(
        names(&acme, "&sort=name"),
        "Owner Same Same Same Zoe ada Äda"
    );
    assert_eq!(
        names(&acme, "&sort=-name"),
        "Äda ada Zoe Same Same Same Owner"
    );
    // By the address whichever letters are capital.
    assert_eq!(
        names(&acme, "&sort=email"),
        "Same Same Zoe Same Äda ada Owner"
    );
    assert_eq!(
        names(&acme, "&sort=-email"),
        "Owner ada Äda Same Zoe Same Same"
    );
    acme.send("POST", &of(&made[2], "/disable"), &Value::Null)
        .expect(200);
    assert_eq!(names(&acme, "&status=disabled"), "Same");
    assert_eq!(
        names(&acme, "&status=active&sort=name"),
        "Owner Same Same Zoe ada Äda"
    );
    let within = |id: &str| names(&acme, &format!("&organization_id={id}&sort=name"));
    assert_eq!(within(&acme.a), "Zoe ada Äda", "and not those below it");
    assert_eq!(within(&acme.a1), "Same");
    assert_eq!(within(NO_ORGANIZATION), "");
    assert_eq!(names(&acme, "&email=c@ACME.example"), "Zoe");
    assert_eq!(names(&acme, "&email=%25"), "");
    let all = format!(
        "&email=b@acme.example&status=disabled&organization_id={}",
        acme.a1
    );
    assert_eq!(names(&acme, &all), "Same");
    assert_eq!(names(&acme, "&email=b@acme.example&status=active"), "");
    for (query, parameter) in [
        ("status=gone", "status"),
        ("organization_id=mem_1", "organization_id"),
        ("sort=status", "sort"),
        ("limit=201", "limit"),
        ("q=%25", "q"),
        ("q=ada&sort=name", "sort"),
        ("name=ada", "name"),
    ] {
        let refused = acme.send("GET", &format!("/members?{query}"), &Value::Null);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], parameter, "{query}");
    }
    for query in ["q=%00", "email=a%00b", "status=%00"] {
        let refused = acme.send("GET", &format!("/members?{query}"), &Value::Null);
        expect_problem(acme.world(), &refused, 422, "invalid-field");
    }
}

#[test]
fn members_are_found_by_how_their_words_begin_and_each_is_listed_once() {
    let acme = Acme::new();
    for (name, email) in [
        ("Anna Annan", "anna.annan@acme.example"),
        ("Anton Berg", "berg@acme.example"),
        ("Zoë Ångström", "zoe@acme.example"),
        ("O'Brien-Smith", "obrien@other.example"),
        ("夜間 担当", "yakan@acme.example"),
        ("100% _legal_", "legal@acme.example"),
    ] {
        acme.member_in(&acme.root, name, email);
    }
    let found = |q: &str| {
        let found = names(&acme, &format!("&q={}", encoded(q)));
        if found.is_empty() {
            Vec::new()
        } else {
            vec![found]
        }
    };
    let nobody: [&str; 0] = [];
    assert_eq!(found("an"), ["Anna Annan Anton Berg"]);
    assert_eq!(found("AN"), ["Anna Annan Anton Berg"]);
    assert_eq!(found("anna"), ["Anna Annan"]);
    assert_eq!(found("anna annan"), ["Anna Annan"]);
    assert_eq!(found("berg ant"), ["Anton Berg"]);
    assert_eq!(found("berg anna"), nobody);
    assert_eq!(found("nna"), nobody, "not in the middle of a word");
    assert_eq!(found("ZOË"), ["Zoë Ångström"]);
    assert_eq!(found("ång"), ["Zoë Ångström"]);
    assert_eq!(found("Smith"), ["O'Brien-Smith"]);
    assert_eq!(found("o'b"), ["O'Brien-Smith"]);
    assert_eq!(found("夜"), ["夜間 担当"]);
    assert_eq!(found("100%"), ["100% _legal_"]);
    assert_eq!(found("le_"), ["100% _legal_"]);
    assert_eq!(found("berg@acme.example"), ["Anton Berg"]);
    assert_eq!(found("\u{10FFFF}anna\u{10FFFF}"), ["Anna Annan"]);
    assert_eq!(found("'; DROP TABLE members;--"), nobody);
    // Everybody by one word, of which each has two.
    assert_eq!(walk(&acme, &acme.scene.admin, "&q=e", 2).len(), 7);
    // What was another's name is so no more.
    let anna = acme.get("/members?q=anna")["items"][0]["id"].clone();
    let path = of(anna.as_str().unwrap(), "");
    let change = serde_json::json!({ "name": "Berta", "email": "berta@acme.example" });
    acme.send("PATCH", &path, &change).expect(200);
    assert_eq!(found("anna"), nobody);
    assert_eq!(found("bert"), ["Berta"]);
    let narrowed = format!("&q=be&email={}", encoded("BERG@acme.example"));
    assert_eq!(names(&acme, &narrowed), "Anton Berg");
    assert_eq!(names(&acme, "&q=be&status=disabled"), "");
}

#[test]
fn a_page_of_a_search_may_be_empty_and_have_a_cursor_that_leads_to_what_is_found() {
    let acme = Acme::new();
    acme.member_in(&acme.root, "South Coast", "north@acme.example");
    // Many of the north and as many of the south, all made before the one who is of both.
    acme.sql(&format!(
        "INSERT INTO members (tenant_id, id, organization_id, name, email, created_at, updated_at) \
         SELECT '{tenant}', lpad(to_hex(n), 32, '0')::uuid, '{root}', 'Many', n || '@acme.example', now(), now() \
         FROM generate_series(1, 4200) AS n; \
         INSERT INTO member_words (tenant_id, word, member_id) \
         SELECT tenant_id, CASE WHEN id::text ~ '[02468ace]$' THEN 'north' ELSE 'south' END, id FROM members WHERE name = 'Many'",
        tenant = acme.tenant_uuid(),
        root = organization_uuid(&acme.root),
    ));
    let first = acme.get("/members?q=north+south&limit=2");
    assert_eq!(first["items"], Value::Array(Vec::new()));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = acme.get(&format!("/members?q=north+south&limit=2&cursor={cursor}"));
    assert_eq!(second["items"][0]["name"], "South Coast");
    assert_eq!(second["next_cursor"], Value::Null);
    assert_eq!(names(&acme, "&q=north+south"), "South Coast");
}

#[test]
fn role_2_every_list_shows_those_of_a_subtree_and_nobody_else() {
    let acme = Acme::new();
    for (name, home) in [
        ("InA", &acme.a),
        ("InA1", &acme.a1),
        ("InB", &acme.b),
        ("InRoot", &acme.root),
    ] {
        acme.member_in(home, name, &format!("{name}@acme.example"));
    }
    let (somebody, admin) = acme.admin_of(&acme.a, "admin@acme.example");
    let seen = |query: &str| walk(&acme, &admin, query, 2).join(" ");
    assert_eq!(seen("&sort=name"), "InA InA1 Somebody");
    assert_eq!(seen("&sort=-email"), "InA InA1 Somebody");
    assert_eq!(seen("&q=in"), "InA InA1");
    assert_eq!(seen("&q=example&status=active").split(' ').count(), 3);
    for (outside, email) in [
        (&acme.b, "InB@acme.example"),
        (&acme.root, "InRoot@acme.example"),
    ] {
        assert_eq!(seen(&format!("&organization_id={outside}")), "");
        assert_eq!(seen(&format!("&q=in&organization_id={outside}")), "");
        assert_eq!(seen(&format!("&email={email}")), "");
        let path = format!("/organizations/{outside}/role-assignments");
        let refused = acme.send_as(&admin, "GET", &path, &Value::Null);
        expect_problem(acme.world(), &refused, 404, "not-found");
    }
    let path = format!("/organizations/{}/role-assignments", acme.a);
    let over = acme.send_as(&admin, "GET", &path, &Value::Null).expect(200);
    assert_eq!(over["items"][0]["member_id"], somebody);
    assert_eq!(over["items"].as_array().unwrap().len(), 1);
    // The next request already shows what a further role lets them see.
    acme.assign(&somebody, "support", &acme.b);
    assert_eq!(seen("&sort=name"), "InA InA1 InB Somebody");
}
