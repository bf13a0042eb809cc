//! Lists of clients: by state, type, owner, organization and words, within what the caller sees (`client_8`, `role_2`).

use serde_json::{Value, json};

use crate::members::acme::{Acme, NEVER, NO_ORGANIZATION, alike};
use crate::operations::expect_problem;

/// Clients of every kind in every organization.
struct Shelf {
    acme: Acme,
    ada: String,
    admin_a: String,
}

impl Shelf {
    fn new() -> Self {
        let acme = Acme::new();
        let (ada, admin_a) = acme.admin_of(&acme.a, "ada@example.com");
        let make = |who: &str, name: &str, profile: &str, organization: &str| {
            let mut body = json!({ "name": name, "profile": profile, "organization_id": organization,
                "description": format!("For the {name} team"), "owner_contact": { "email": "zephyr@example.com" } });
            if profile != "service" {
                body["redirect_uris"] = json!(["https://app.example/"]);
            }
            let made = acme.send_as(who, "POST", "/clients", &body);
            assert_eq!(made.status, 201, "{}", made.body);
            made.text("/id")
        };
        let admin = acme.scene.admin.clone();
        make(&admin, "Nightly export", "service", &acme.root);
        make(&admin, "Web shop", "web", &acme.b);
        make(&admin, "Shop app", "spa", &acme.b);
        make(&admin_a, "Nightly import", "service", &acme.a);
        let paused = make(&admin_a, "Field app", "native", &acme.a1);
        acme.send("POST", &format!("/clients/{paused}/disable"), &Value::Null)
            .expect(200);
        Self { acme, ada, admin_a }
    }

    /// The names on a list, as somebody sees it, by pages of one and all at once.
    #[track_caller]
    fn names_as(&self, who: &str, query: &str) -> Vec<String> {
        let mut all = self.walk(who, query, 200);
        assert_eq!(self.walk(who, query, 1), all, "{query}");
        if !query.contains("sort=") {
            // Made in the same millisecond.
            all.sort();
        }
        all
    }

    fn walk(&self, who: &str, query: &str, limit: u32) -> Vec<String> {
        let mut names = Vec::new();
        let mut cursor = String::new();
        for _ in 0..100 {
            let path = format!("/clients?limit={limit}&{query}{cursor}");
            let page = self
                .acme
                .send_as(who, "GET", &path, &Value::Null)
                .expect(200);
            for item in page["items"].as_array().unwrap() {
                names.push(item["name"].as_str().unwrap().to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return names,
            }
        }
        panic!("{query} has no end");
    }

    #[track_caller]
    fn names(&self, query: &str) -> Vec<String> {
        self.names_as(&self.acme.scene.admin, query)
    }
}

#[test]
fn client_8_each_filter_leaves_what_meets_it_and_all_of_them_what_meets_all() {
    let shelf = Shelf::new();
    let Shelf { acme, ada, .. } = &shelf;
    assert_eq!(shelf.names("status=disabled"), ["Field app"]);
    assert_eq!(
        shelf.names("type=public&sort=name"),
        ["Field app", "Shop app"]
    );
    assert_eq!(
        shelf.names("type=public&sort=-name"),
        ["Shop app", "Field app"]
    );
    assert_eq!(
        shelf.names(&format!("owner_id={ada}")),
        ["Field app", "Nightly import"]
    );
    let in_b = format!("organization_id={}", acme.b);
    assert_eq!(shelf.names(&in_b), ["Shop app", "Web shop"]);
    assert_eq!(shelf.names("q=night"), ["Nightly export", "Nightly import"]);
    assert_eq!(shelf.names("q=shop+APP"), ["Shop app"]);
    // By what it is for, and by whom to write to.
    assert_eq!(shelf.names("q=field+team"), ["Field app"]);
    assert_eq!(shelf.names("q=zephyr@example.com").len(), 5);
    let all = format!(
        "q=app&type=public&status=disabled&owner_id={ada}&organization_id={}",
        acme.a1
    );
    assert_eq!(shelf.names(&all), ["Field app"]);
    assert_eq!(shelf.names(&format!("q=night&{in_b}")), [""; 0]);
    assert_eq!(shelf.names(&format!("owner_id={NEVER}")), [""; 0]);
    assert_eq!(
        shelf.names("sort=name").len(),
        7,
        "with those that the tenant came with"
    );
    // A change moves it on every list at once.
    let first = acme.get("/clients?q=field")["items"][0].clone();
    let path = format!("/clients/{}", first["id"].as_str().unwrap());
    acme.send("POST", &format!("{path}/enable"), &Value::Null)
        .expect(200);
    acme.send("PATCH", &path, &json!({ "name": "Meadow app" }))
        .expect(200);
    assert_eq!(shelf.names("status=disabled"), [""; 0]);
    assert_eq!(shelf.names("q=meadow"), ["Meadow app"]);
    assert_eq!(
        shelf.names("q=field+app").len(),
        1,
        "its description still says so"
    );
}

#[test]
fn role_2_a_list_ends_where_the_callers_subtree_does_whatever_is_asked() {
    let shelf = Shelf::new();
    let Shelf { acme, admin_a, .. } = &shelf;
    for (query, wanted) in [
        ("sort=name", vec!["Field app", "Nightly import"]),
        ("type=public", vec!["Field app"]),
        ("q=night", vec!["Nightly import"]),
        ("q=app", vec!["Field app"]),
        ("status=active", vec!["Nightly import"]),
    ] {
        assert_eq!(shelf.names_as(admin_a, query), wanted, "{query}");
    }
    for organization in [&acme.b, &acme.root, &NO_ORGANIZATION.to_owned()] {
        let query = format!("organization_id={organization}");
        assert_eq!(shelf.names_as(admin_a, &query), [""; 0], "{query}");
    }
    // Nor does a list tell of another tenant's things from things that are not there.
    let other = acme.world().tenant("Other");
    let foreign = acme.send(
        "GET",
        &format!("/clients?owner_id={}", other.owner),
        &Value::Null,
    );
    let never = acme.send("GET", &format!("/clients?owner_id={NEVER}"), &Value::Null);
    alike(&foreign, &never);
}

#[test]
fn client_8_what_can_not_be_asked_is_told_with_the_mend() {
    let shelf = Shelf::new();
    let acme = &shelf.acme;
    for (query, parameter) in [
        ("status=paused", "status"),
        ("type=secret", "type"),
        ("owner_id=cli_01kb2q3r4s5t6v7w8x9y0z1a2b", "owner_id"),
        ("owner_id=me", "owner_id"),
        ("organization_id=root", "organization_id"),
        ("q=--", "q"),
        ("q=a&sort=name", "sort"),
        ("sort=last_used_at", "sort"),
        ("limit=201", "limit"),
    ] {
        let refused = acme.send("GET", &format!("/clients?{query}"), &Value::Null);
        let problem = expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(
            problem["errors"][0]["parameter"],
            json!(parameter),
            "{query}"
        );
    }
    // A cursor belongs to the filters that it was made with.
    let page = acme.get("/clients?limit=1&type=confidential");
    let cursor = page["next_cursor"].as_str().unwrap();
    let other = acme.send(
        "GET",
        &format!("/clients?limit=1&type=public&cursor={cursor}"),
        &Value::Null,
    );
    expect_problem(acme.world(), &other, 400, "invalid-cursor");
}
