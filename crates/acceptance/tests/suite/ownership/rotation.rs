//! The list of secrets that are due to be rotated.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{client_by, client_of, due, path, transfer};
use crate::members::acme::{Acme, of};
use crate::operations::expect_problem;

fn is(client: &str, why: &str) -> (String, String) {
    (client.to_owned(), why.to_owned())
}

fn sorted<const N: usize>(mut all: [(String, String); N]) -> [(String, String); N] {
    all.sort();
    all
}

#[test]
fn owner_3_what_the_former_owner_knows_is_exposed_and_the_rest_of_the_organization_a_precaution() {
    let acme = Acme::new();
    let admin = &acme.scene.admin;
    let (ada, by_ada) = acme.admin_of(&acme.a, "ada@acme.example");
    let (bob, _) = acme.admin_of(&acme.a, "bob@acme.example");
    let theirs = client_of(&acme, "Theirs", &acme.a, &ada);
    let made = client_by(&acme, &by_ada, "Made", &acme.a, &bob).client_id;
    let beside = client_of(&acme, "Beside", &acme.a, &bob);
    let below = client_by(&acme, &by_ada, "Below", &acme.a1, &bob).client_id;
    assert!(due(&acme, admin, "").is_empty());
    transfer(&acme, admin, &theirs, &bob).expect(200);
    let exposed = sorted([is(&theirs, "exposed"), is(&made, "exposed")]);
    let precaution = [is(&beside, "precaution")];
    assert_eq!(due(&acme, admin, "&why=exposed"), exposed);
    assert_eq!(due(&acme, admin, "&why=precaution"), precaution);
    let all = sorted([
        exposed[0].clone(),
        exposed[1].clone(),
        precaution[0].clone(),
    ]);
    assert_eq!(due(&acme, admin, ""), all);
    let page = acme.get("/rotation-due?why=exposed");
    let items = page["items"].as_array().unwrap();
    let item = items
        .iter()
        .find(|item| item["client_id"] == json!(theirs))
        .unwrap();
    let since = &acme.events("client.transferred")[0]["at"];
    let wanted = json!({ "secret_id": item["secret_id"], "hint": item["hint"], "client_id": theirs,
        "client_name": "Theirs", "organization_id": acme.a, "why": "exposed", "cause": "transferred",
        "former_owner_id": ada, "since": since, "created_at": item["created_at"], "last_used_at": null });
    assert_eq!(item, &wanted);
    assert!(item["hint"].as_str().unwrap().starts_with("gsec_"));
    assert!(item["secret_id"].as_str().unwrap().starts_with("sec_"));
    // What is rotated is due no more; what is made after the mark never was.
    acme.world().advance(chrono::TimeDelta::seconds(1));
    for client in [&theirs, &beside] {
        let name = acme.get(&path(client, ""))["name"].clone();
        let body = json!({ "confirm_name": name });
        acme.send("POST", &path(client, "/secrets/rotate"), &body)
            .expect(200);
    }
    client_of(&acme, "New", &acme.a, &bob);
    assert_eq!(due(&acme, admin, ""), [is(&made, "exposed")]);
    // Whoever goes has seen what they made wherever that is.
    acme.send("POST", &of(&ada, "/disable"), &Value::Null)
        .expect(200);
    assert_eq!(
        due(&acme, admin, ""),
        sorted([is(&made, "exposed"), is(&below, "exposed")])
    );
    // And what is deleted is nowhere.
    acme.send("DELETE", &path(&made, "?confirm_name=Made"), &Value::Null)
        .expect(204);
    assert_eq!(due(&acme, admin, ""), [is(&below, "exposed")]);
}

#[test]
fn owner_3_of_a_chosen_secret_no_first_characters_are_told() {
    let acme = Acme::new();
    let (ada, _) = acme.admin_of(&acme.a, "ada@acme.example");
    let (bob, _) = acme.admin_of(&acme.a, "bob@acme.example");
    let theirs = client_of(&acme, "Theirs", &acme.a, &ada);
    let value = json!({ "value": "Vq7-mX2_kT9wR4zB8nLpC3sYd6hJ1gFe" });
    let chosen = acme
        .send("POST", &path(&theirs, "/secrets/choose"), &value)
        .expect(201);
    let tells_none = |secrets: &Value| {
        let mut all = secrets.as_array().unwrap().iter();
        let found = all.find(|one| one["secret_id"] == chosen["id"]).unwrap();
        assert_eq!(found["hint"], Value::Null);
    };
    tells_none(&acme.get(&of(&ada, "/offboarding-impact"))["exposed_secrets"]);
    transfer(&acme, &acme.scene.admin, &theirs, &bob).expect(200);
    tells_none(&acme.get("/rotation-due")["items"]);
}

#[test]
fn role_2_each_sees_what_is_due_of_the_clients_that_they_see() {
    let acme = Acme::new();
    let (_, of_a) = acme.admin_of(&acme.a, "a@acme.example");
    let (_, support) = acme.holder_of("support", &acme.b, "support@acme.example");
    let (_, member) = acme.holder_of("member", &acme.root, "member@acme.example");
    let (ada, _) = acme.admin_of(&acme.root, "ada@acme.example");
    let in_a = client_of(&acme, "In A", &acme.a1, &ada);
    let in_b = client_of(&acme, "In B", &acme.b, &ada);
    acme.send("POST", &of(&ada, "/disable"), &Value::Null)
        .expect(200);
    let (in_a, in_b) = (is(&in_a, "exposed"), is(&in_b, "exposed"));
    assert_eq!(due(&acme, &of_a, ""), std::slice::from_ref(&in_a));
    assert_eq!(due(&acme, &support, ""), std::slice::from_ref(&in_b));
    assert_eq!(due(&acme, &acme.scene.admin, ""), sorted([in_a, in_b]));
    let refused = acme.send_as(&member, "GET", "/rotation-due", &Value::Null);
    expect_problem(acme.world(), &refused, 403, "forbidden");
    let other = acme.world().tenant("Other");
    let theirs = acme.world().as_admin(&other);
    let foreign = acme.send_as(&theirs, "GET", "/rotation-due", &Value::Null);
    expect_problem(acme.world(), &foreign, 404, "not-found");
    let url = acme
        .world()
        .api(&format!("/v1/tenants/{}/rotation-due", other.id));
    let page = acme
        .world()
        .http
        .get(&url, &[("authorization", &theirs)])
        .expect(200);
    assert_eq!(page, json!({ "items": [], "next_cursor": null }));
    for bad in [
        "?why=",
        "?why=Exposed",
        "?why=killed",
        "?limit=0",
        "?limit=201",
        "?sort=since",
    ] {
        let refused = acme.send("GET", &format!("/rotation-due{bad}"), &Value::Null);
        expect_problem(acme.world(), &refused, 422, "invalid-field");
    }
    let refused = acme.send("GET", "/rotation-due?cursor=abc", &Value::Null);
    expect_problem(acme.world(), &refused, 400, "invalid-cursor");
}

#[test]
fn owner_3_the_list_comes_by_pages_that_meet_though_some_are_short() {
    let acme = Acme::new();
    let (ada, _) = acme.admin_of(&acme.root, "ada@acme.example");
    // Behind many secrets of which none is due.
    let many = client_of(&acme, "Many", &acme.b, &acme.scene.tenant.owner);
    let uuid: grantor_domain::ids::ClientId = many.parse().unwrap();
    let (tenant, uuid) = (acme.tenant_uuid(), uuid.uuid());
    acme.sql(&format!(
        "INSERT INTO client_secrets (tenant_id, client_id, id, hint, verifier, created_by, created_at) \
         SELECT '{tenant}', '{uuid}', gen_random_uuid(), '', 'h1.key.hash', 'test', now() FROM generate_series(1, 4100)"
    ));
    acme.world().advance(chrono::TimeDelta::seconds(1));
    let clients: Vec<String> = (0..5)
        .map(|number| client_of(&acme, &format!("C{number}"), &acme.a, &ada))
        .collect();
    client_of(&acme, "Precaution", &acme.a, &acme.scene.tenant.owner);
    acme.send("POST", &of(&ada, "/disable"), &Value::Null)
        .expect(200);
    for (limit, query, wanted) in [(1, "", 6), (2, "", 6), (200, "", 6), (2, "&why=exposed", 5)] {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        let (mut cursor, mut pages, mut empty) = (String::new(), 0, 0);
        loop {
            let page = acme.get(&format!("/rotation-due?limit={limit}{query}{cursor}"));
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            empty += usize::from(items.is_empty());
            for item in items {
                let client = item["client_id"].as_str().unwrap();
                *found.entry(client.to_owned()).or_default() += 1;
            }
            pages += 1;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(
            (found.len(), found.values().sum::<usize>()),
            (wanted, wanted),
            "{limit}{query}"
        );
        for client in &clients {
            assert!(found.contains_key(client));
        }
        // Looking stops twice among the many, unless it is for what stands apart from them.
        assert_eq!(
            empty,
            if query.is_empty() { 2 } else { 0 },
            "{limit}{query} in {pages}"
        );
    }
    // A cursor is good for its own list alone.
    let page = acme.get("/rotation-due?limit=1&why=exposed");
    let cursor = page["next_cursor"].as_str().unwrap();
    let refused = acme.send(
        "GET",
        &format!("/rotation-due?cursor={cursor}"),
        &Value::Null,
    );
    expect_problem(acme.world(), &refused, 400, "invalid-cursor");
}
