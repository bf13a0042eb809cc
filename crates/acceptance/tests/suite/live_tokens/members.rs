//! Tokens by which clients act for members: by whoever manages the members, and by the members themselves.

use chrono::TimeDelta;
use grantor_acceptance::{Answer, Credentials, Replica};
use serde_json::{Value, json};

use super::{NEVER, SCOPES, ids, machine, tokens_of};
use crate::members::acme::{Acme, alike, of};
use crate::operations::expect_problem;

/// A member with a token at each of two clients, and somebody else with one at the first; nobody holds a role.
struct Site {
    acme: Acme,
    other: Replica,
    clients: [Credentials; 2],
    ada: String,
    grace: String,
    /// Ada's at the first and at the second client, and Grace's.
    tokens: [String; 3],
}

impl Site {
    fn new() -> Self {
        let acme = Acme::new();
        let clients = [machine(&acme, "First"), machine(&acme, "Second")];
        let ada = acme.member_in(&acme.a, "Ada", "ada@acme.example");
        let grace = acme.member_in(&acme.a, "Grace", "grace@acme.example");
        let tokens = [(0, &ada), (1, &ada), (0, &grace)].map(|(client, member)| {
            let world = acme.world();
            world.advance(TimeDelta::seconds(1));
            world.as_member(
                &acme.scene.tenant,
                &clients[client],
                member,
                &SCOPES.join(" "),
            )
        });
        Self {
            other: acme.world().another_replica(),
            acme,
            clients,
            ada,
            grace,
            tokens,
        }
    }

    /// Which of the three are good, on both replicas.
    fn alive(&self) -> [bool; 3] {
        self.tokens.each_ref().map(|token| {
            let status = |replica: &Replica| {
                let url = format!("{}/v1/me", replica.api);
                let http = &self.acme.world().http;
                http.get(&url, &[("authorization", token)]).status
            };
            let (here, there) = (status(&self.acme.world().replica), status(&self.other));
            assert_eq!(here, there, "the same everywhere");
            here == 200
        })
    }

    /// A call below `/v1/me/tokens` with one of the three tokens.
    fn as_own(&self, token: usize, method: &str, what: &str, body: &Value) -> Answer {
        let world = self.acme.world();
        let url = world.api(&format!("/v1/me/tokens{what}"));
        let mut headers = vec![("authorization", self.tokens[token].as_str())];
        let mut text = String::new();
        if !body.is_null() {
            headers.push(("content-type", "application/json"));
            text = body.to_string();
        }
        world.http.send(method, &url, &headers, text.as_bytes())
    }

    fn listed(&self, member: &str) -> Vec<Value> {
        let list = self.acme.get(&of(member, "/tokens"));
        list["items"].as_array().unwrap().clone()
    }

    /// The id of Ada's token at a client.
    fn id_at(&self, client: usize) -> String {
        let items = self.listed(&self.ada);
        let client = json!(self.clients[client].client_id);
        let found = items.iter().find(|item| item["client_id"] == client);
        found.unwrap()["id"].as_str().unwrap().to_owned()
    }
}

#[test]
fn token_2_a_members_tokens_are_listed_at_whichever_clients_they_are() {
    let site = Site::new();
    let items = site.listed(&site.ada);
    // They expire at the same moment, so either may come first.
    let mut names: Vec<_> = items
        .iter()
        .map(|item| item["client_name"].to_string())
        .collect();
    names.sort();
    assert_eq!(names, [r#""First""#, r#""Second""#]);
    assert!(
        items
            .iter()
            .all(|item| item["member_id"] == json!(site.ada))
    );
    // role_4: who may not do it has no such scope, whatever the token says.
    assert_eq!(items[0]["scopes"], json!(SCOPES));
    assert_eq!(
        (&items[0]["state"], &items[0]["effective_scopes"]),
        (&json!("powerless"), &json!([]))
    );
    let first = &site.clients[0];
    let narrowed = site
        .acme
        .get(&tokens_of(first, &format!("?member_id={}", site.grace)));
    assert_eq!(narrowed["items"].as_array().unwrap().len(), 1);
    assert_eq!(narrowed["items"][0]["member_id"], json!(site.grace));
    let page = site.acme.get(&of(&site.ada, "/tokens?limit=1"));
    let cursor = page["next_cursor"].as_str().unwrap();
    let next = site
        .acme
        .get(&of(&site.ada, &format!("/tokens?limit=1&cursor={cursor}")));
    assert_eq!(
        [&page["items"][0], &next["items"][0]],
        [&items[0], &items[1]]
    );
    assert_eq!(next["next_cursor"], Value::Null);
    // pause_3: a member who is disabled has them still, and they sleep.
    site.acme
        .send("POST", &of(&site.ada, "/disable"), &Value::Null)
        .expect(200);
    assert_eq!(site.listed(&site.ada)[1]["state"], "sleeping");
    assert_eq!(site.alive(), [false, false, true]);
}

#[test]
fn token_2_one_several_and_all_of_a_members_tokens_are_removed() {
    let site = Site::new();
    let (first, second) = (site.id_at(0), site.id_at(1));
    let of_grace = site.listed(&site.grace)[0]["id"].clone();
    let remove = |what: &str| {
        site.acme.send(
            "DELETE",
            &of(&site.ada, &format!("/tokens/{what}")),
            &Value::Null,
        )
    };
    let never = remove(NEVER);
    expect_problem(site.acme.world(), &never, 404, "not-found");
    alike(&remove(of_grace.as_str().unwrap()), &never);
    assert_eq!(remove(&first).status, 204);
    assert_eq!(site.alive(), [false, true, true]);
    let several = json!({ "ids": [first, second, of_grace] });
    let told = site
        .acme
        .send("POST", &of(&site.ada, "/tokens/remove"), &several)
        .expect(200);
    let results: Vec<_> = told["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["result"].clone())
        .collect();
    assert_eq!(results, ["not_found", "removed", "not_found"]);
    assert_eq!(site.alive(), [false, false, true]);
    let [latest, earlier] = site.acme.events("token.removed").try_into().unwrap();
    assert_eq!(
        (&latest["target"]["id"], &earlier["target"]["id"]),
        (&json!(second), &json!(first))
    );
    assert_eq!(latest["after"]["member_id"], json!(site.ada));
    let all = of(&site.grace, "/tokens/remove-all");
    assert_eq!(site.acme.send("POST", &all, &Value::Null).status, 204);
    assert_eq!(site.alive(), [false; 3]);
    assert_eq!(site.listed(&site.grace), [json!(null); 0]);
    assert_eq!(
        site.acme.events("member.tokens_removed")[0]["target"]["id"],
        json!(site.grace)
    );
    // token_3: another one is good at once.
    let world = site.acme.world();
    let fresh = world.as_member(
        &site.acme.scene.tenant,
        &site.clients[0],
        &site.grace,
        SCOPES[0],
    );
    let me = world
        .http
        .get(&world.api("/v1/me"), &[("authorization", &fresh)]);
    assert_eq!(me.status, 200);
}

#[test]
fn token_2_a_cut_of_a_member_leaves_what_a_client_has_for_itself_and_for_others() {
    let site = Site::new();
    let own = super::issued(&site.acme, &site.clients[0]);
    let all = of(&site.ada, "/tokens/remove-all");
    assert_eq!(site.acme.send("POST", &all, &Value::Null).status, 204);
    assert_eq!(site.alive(), [false, false, true]);
    assert!(super::works(&site.acme, &site.other, &own));
    let counted = site.acme.get(&tokens_of(&site.clients[0], "/count"));
    assert_eq!(counted["count"], 2);
}

#[test]
fn token_2_members_see_and_remove_their_own_without_any_permission() {
    let site = Site::new();
    let listed = |token| {
        let answer = site.as_own(token, "GET", "", &Value::Null).expect(200);
        answer["items"].as_array().unwrap().clone()
    };
    let mine = listed(0);
    assert_eq!(mine, listed(1), "whichever client asks for them");
    assert_eq!(mine, site.listed(&site.ada));
    let theirs = listed(2);
    assert_eq!(theirs.len(), 1);
    let of_grace = ids(&theirs)[0].clone();
    // Nobody else's.
    let never = site.as_own(0, "DELETE", &format!("/{NEVER}"), &Value::Null);
    expect_problem(site.acme.world(), &never, 404, "not-found");
    alike(
        &site.as_own(0, "DELETE", &format!("/{of_grace}"), &Value::Null),
        &never,
    );
    let asked = json!({ "ids": [of_grace] });
    let told = site.as_own(0, "POST", "/remove", &asked).expect(200);
    assert_eq!(told["removed"], 0);
    assert_eq!(site.alive(), [true; 3]);
    // One, by the other client.
    let second = site.id_at(1);
    assert_eq!(
        site.as_own(0, "DELETE", &format!("/{second}"), &Value::Null)
            .status,
        204
    );
    assert_eq!(site.alive(), [true, false, true]);
    // audit_1: the member did it.
    let [event] = site.acme.events("token.removed").try_into().unwrap();
    assert_eq!(event["actor"]["id"], json!(site.ada));
    // All: this one too.
    assert_eq!(
        site.as_own(0, "POST", "/remove-all", &Value::Null).status,
        204
    );
    assert_eq!(site.alive(), [false, false, true]);
    assert_eq!(site.as_own(0, "GET", "", &Value::Null).status, 401);
}

#[test]
fn a_client_that_acts_for_itself_has_no_tokens_of_a_member() {
    let acme = Acme::new();
    for (method, what, body) in [
        ("GET", String::new(), Value::Null),
        ("DELETE", format!("/{NEVER}"), Value::Null),
        ("POST", "/remove".to_owned(), json!({ "ids": [NEVER] })),
        ("POST", "/remove-all".to_owned(), Value::Null),
    ] {
        let world = acme.world();
        let url = world.api(&format!("/v1/me/tokens{what}"));
        let mut headers = vec![("authorization", acme.scene.admin.as_str())];
        let mut text = String::new();
        if !body.is_null() {
            headers.push(("content-type", "application/json"));
            text = body.to_string();
        }
        let answer = world.http.send(method, &url, &headers, text.as_bytes());
        expect_problem(world, &answer, 404, "not-found");
    }
    assert_eq!(acme.events("member.tokens_removed").len(), 0);
}

#[test]
fn role_2_a_members_tokens_are_for_who_manages_where_the_member_lives() {
    let site = Site::new();
    let acme = &site.acme;
    let first = site.id_at(0);
    let rows = [
        ("admin", &acme.a, 200, 204),
        ("support", &acme.a, 200, 403),
        ("admin", &acme.b, 404, 404),
        ("member", &acme.a, 403, 403),
    ];
    for (index, (role, over, sees, removes)) in rows.into_iter().enumerate() {
        let (_, who) = acme.holder_of(role, over, &format!("m{index}@acme.example"));
        let seen = acme.send_as(&who, "GET", &of(&site.ada, "/tokens"), &Value::Null);
        assert_eq!(seen.status, sees, "{role}");
        if sees == 200 {
            // The clients live in the root: whoever does not see them is not told what they are called.
            let items = seen.json()["items"].clone();
            assert_eq!(items[0]["client_name"], Value::Null, "{role}");
            assert_eq!(
                items[0]["client_id"].as_str().map(|id| &id[..4]),
                Some("cli_")
            );
        }
        if removes == 204 {
            continue;
        }
        let path = of(&site.ada, &format!("/tokens/{first}"));
        assert_eq!(
            acme.send_as(&who, "DELETE", &path, &Value::Null).status,
            removes
        );
        let path = of(&site.ada, "/tokens/remove-all");
        assert_eq!(
            acme.send_as(&who, "POST", &path, &Value::Null).status,
            removes
        );
    }
    assert_eq!(site.alive(), [true; 3]);
    let (_, admin) = acme.admin_of(&acme.a, "last@acme.example");
    let path = of(&site.ada, &format!("/tokens/{first}"));
    assert_eq!(
        acme.send_as(&admin, "DELETE", &path, &Value::Null).status,
        204
    );
    assert_eq!(site.alive(), [false, true, true]);
}

#[test]
fn tokens_of_a_deleted_client_are_on_no_list() {
    let site = Site::new();
    let client = &site.clients[1].client_id;
    let path = format!("/clients/{client}?confirm_name=Second");
    assert_eq!(site.acme.send("DELETE", &path, &Value::Null).status, 204);
    let items = site.listed(&site.ada);
    assert_eq!(items.len(), 1);
    assert_eq!(items[0]["client_name"], "First");
    assert_eq!(site.alive(), [true, false, true]);
    let gone = site
        .acme
        .send("GET", &tokens_of(&site.clients[1], ""), &Value::Null);
    expect_problem(site.acme.world(), &gone, 404, "not-found");
}
