//! Live tokens of clients: seen, counted, and removed, and dead at once when they are.

mod members;
mod tenants;

use chrono::TimeDelta;
use grantor_acceptance::{Answer, Credentials, World};
use grantor_domain::ids::ClientId;
use serde_json::{Value, json};

use crate::members::acme::{Acme, alike};
use crate::operations::expect_problem;

const SCOPES: [&str; 2] = ["grantor:clients.read", "grantor:members.read"];
const NEVER: &str = "tok_01kb2q3r4s5t6v7w8x9y0z1a2b";

/// A client that administers, so that its tokens are of use here.
fn machine(acme: &Acme, name: &str) -> Credentials {
    let machine = acme.world().client(&acme.scene.tenant, name, &SCOPES);
    let path = format!("/clients/{}/service-roles", machine.client_id);
    let given = acme.send("POST", &path, &json!({ "role": "admin" }));
    assert_eq!(given.status, 201, "{}", given.body);
    machine
}

/// A token of it, a second after the one before; tells the header that presents it.
fn issued(acme: &Acme, machine: &Credentials) -> String {
    let world = acme.world();
    world.advance(TimeDelta::seconds(1));
    World::bearer(&world.token(&acme.scene.tenant.id, machine, &SCOPES.join(" ")))
}

fn tokens_of(machine: &Credentials, what: &str) -> String {
    format!("/clients/{}/tokens{what}", machine.client_id)
}

#[track_caller]
fn listed(acme: &Acme, path: &str) -> Vec<Value> {
    acme.get(path)["items"].as_array().unwrap().clone()
}

fn ids(items: &[Value]) -> Vec<String> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Whether a token is good, on each of two replicas.
fn works(acme: &Acme, other: &grantor_acceptance::Replica, bearer: &str) -> bool {
    let here = acme.status_at(&acme.world().replica, bearer, "/clients");
    let there = acme.status_at(other, bearer, "/clients");
    assert_eq!(here, there, "the same everywhere");
    match here {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

fn delete(acme: &Acme, path: &str) -> Answer {
    acme.send("DELETE", path, &Value::Null)
}

#[test]
fn token_1_a_list_shows_who_got_each_token_when_and_from_where() {
    let acme = Acme::new();
    let world = acme.world();
    let machine = machine(&acme, "Machine");
    let url = world.endpoint(&acme.scene.tenant.id, "token");
    let form = "grant_type=client_credentials&scope=grantor:members.read+grantor:clients.read";
    let basic = machine.basic();
    let headers = [
        ("authorization", basic.as_str()),
        ("user-agent", "export/1.4"),
    ];
    world.http.post_form(&url, &headers, form).expect(200);
    let [token] = listed(&acme, &tokens_of(&machine, "")).try_into().unwrap();
    assert!(token["id"].as_str().unwrap().starts_with("tok_"));
    let mut told = token.clone();
    told["id"] = Value::Null;
    let at = |time: chrono::DateTime<chrono::Utc>| {
        json!(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    };
    assert_eq!(
        told,
        json!({
            "id": null, "client_id": machine.client_id, "client_name": "Machine", "member_id": null,
            "state": "active", "scopes": SCOPES, "effective_scopes": SCOPES,
            "audiences": ["urn:grantor:api"], "format": "jwt", "issued_at": at(world.now()),
            "expires_at": at(world.now() + TimeDelta::hours(1)), "user_agent": "export/1.4", "ip": "127.0.0.1",
        })
    );
}

#[test]
fn token_8_a_list_tells_what_tokens_are_good_for_now() {
    let acme = Acme::new();
    let machine = machine(&acme, "Machine");
    issued(&acme, &machine);
    let path = format!("/clients/{}", machine.client_id);
    let allow = |scopes: &[&str]| {
        acme.send("PATCH", &path, &json!({ "allowed_scopes": scopes }))
            .expect(200);
        let [token] = listed(&acme, &tokens_of(&machine, "")).try_into().unwrap();
        assert_eq!(token["scopes"], json!(SCOPES));
        (token["state"].clone(), token["effective_scopes"].clone())
    };
    assert_eq!(allow(&SCOPES[..1]), (json!("active"), json!(&SCOPES[..1])));
    assert_eq!(allow(&[]), (json!("powerless"), json!([])));
    assert_eq!(allow(&SCOPES), (json!("active"), json!(SCOPES)));
}

#[test]
fn pause_3_tokens_of_a_disabled_client_sleep_and_are_told_to() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let machine = machine(&acme, "Machine");
    let token = issued(&acme, &machine);
    let path = format!("/clients/{}", machine.client_id);
    let state = || listed(&acme, &tokens_of(&machine, ""))[0]["state"].clone();
    assert_eq!(state(), "active");
    acme.send("POST", &format!("{path}/disable"), &Value::Null)
        .expect(200);
    assert_eq!(state(), "sleeping");
    assert!(!works(&acme, &other, &token));
    assert_eq!(acme.get(&tokens_of(&machine, "/count"))["label"], "1");
    acme.send("POST", &format!("{path}/enable"), &Value::Null)
        .expect(200);
    assert_eq!(state(), "active");
    assert!(works(&acme, &other, &token));
    // What sleeps can be removed, and does not wake up.
    acme.send("POST", &format!("{path}/disable"), &Value::Null)
        .expect(200);
    let id = ids(&listed(&acme, &tokens_of(&machine, "")))[0].clone();
    assert_eq!(
        delete(&acme, &tokens_of(&machine, &format!("/{id}"))).status,
        204
    );
    acme.send("POST", &format!("{path}/enable"), &Value::Null)
        .expect(200);
    assert!(!works(&acme, &other, &token));
}

#[test]
fn token_2_a_removed_token_is_dead_at_once_and_no_other_is() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let machine = machine(&acme, "Machine");
    let tokens = [(); 3].map(|()| issued(&acme, &machine));
    assert!(tokens.iter().all(|token| works(&acme, &other, token)));
    // Those first that expire last.
    let all = ids(&listed(&acme, &tokens_of(&machine, "")));
    assert_eq!(all.len(), 3);
    let middle = tokens_of(&machine, &format!("/{}", all[1]));
    let removed = delete(&acme, &middle);
    assert_eq!((removed.status, removed.body.as_str()), (204, ""));
    let alive = tokens.each_ref().map(|token| works(&acme, &other, token));
    assert_eq!(alive, [true, false, true]);
    assert_eq!(
        ids(&listed(&acme, &tokens_of(&machine, ""))),
        [all[0].clone(), all[2].clone()]
    );
    // Removed, never there, of another client, and no id at all: all alike.
    let stranger = acme.world().client(&acme.scene.tenant, "Stranger", &[]);
    let again = delete(&acme, &middle);
    expect_problem(acme.world(), &again, 404, "not-found");
    for path in [
        tokens_of(&machine, &format!("/{NEVER}")),
        tokens_of(&machine, "/nothing"),
        tokens_of(&stranger, &format!("/{}", all[0])),
    ] {
        alike(&delete(&acme, &path), &again);
    }
    assert!(works(&acme, &other, &tokens[0]));
    // audit_1: one removal, one event, of just this token.
    let [event] = acme.events("token.removed").try_into().unwrap();
    assert_eq!(event["target"], json!({ "kind": "token", "id": all[1] }));
    assert_eq!(
        event["after"],
        json!({ "client_id": machine.client_id, "member_id": null })
    );
    // token_3: it gets another at once.
    assert!(works(&acme, &other, &issued(&acme, &machine)));
}

#[test]
fn token_2_an_expired_token_is_neither_listed_nor_removed() {
    let acme = Acme::new();
    let machine = machine(&acme, "Machine");
    issued(&acme, &machine);
    let [id] = ids(&listed(&acme, &tokens_of(&machine, "")))
        .try_into()
        .unwrap();
    let world = acme.world();
    // It was issued at a whole second.
    world.advance(TimeDelta::milliseconds(3_599_999));
    let admin = world.as_admin(&acme.scene.tenant);
    let send = |method: &str, what: &str| {
        acme.send_as(&admin, method, &tokens_of(&machine, what), &Value::Null)
    };
    assert_eq!(send("GET", "").expect(200)["items"][0]["id"], json!(id));
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(send("GET", "").expect(200)["items"], json!([]));
    assert_eq!(send("GET", "/count").expect(200)["count"], 0);
    let removed = send("DELETE", &format!("/{id}"));
    expect_problem(world, &removed, 404, "not-found");
}

#[test]
fn token_2_several_are_removed_in_one_call_each_with_its_own_result() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let (machine, second) = (machine(&acme, "Machine"), machine(&acme, "Second"));
    let tokens = [(); 3].map(|()| issued(&acme, &machine));
    let of_second = issued(&acme, &second);
    let all = ids(&listed(&acme, &tokens_of(&machine, "")));
    let foreign = ids(&listed(&acme, &tokens_of(&second, "")))[0].clone();
    let path = tokens_of(&machine, "/remove");
    let asked = json!({ "ids": [all[0], foreign, NEVER, all[2], all[0]] });
    let answer = acme.send("POST", &path, &asked).expect(200);
    let of = |id: &str, result: &str| json!({ "id": id, "result": result });
    assert_eq!(
        answer,
        json!({ "removed": 2, "results": [of(&all[0], "removed"), of(&foreign, "not_found"),
            of(NEVER, "not_found"), of(&all[2], "removed"), of(&all[0], "removed")] })
    );
    let alive = tokens.each_ref().map(|token| works(&acme, &other, token));
    assert_eq!(alive, [false, true, false]);
    assert!(works(&acme, &other, &of_second));
    let mut on_record: Vec<Value> = acme
        .events("token.removed")
        .iter()
        .map(|event| event["target"]["id"].clone())
        .collect();
    on_record.sort_by_key(ToString::to_string);
    let mut wanted = vec![json!(all[0]), json!(all[2])];
    wanted.sort_by_key(ToString::to_string);
    assert_eq!(on_record, wanted);
    // Again there is nothing to do, and nothing is put on record.
    let again = acme.send("POST", &path, &asked).expect(200);
    assert_eq!(again["removed"], 0);
    assert_eq!(acme.events("token.removed").len(), 2);
}

#[test]
fn what_is_no_list_of_tokens_is_refused_and_nothing_is_removed() {
    let acme = Acme::new();
    let machine = machine(&acme, "Machine");
    issued(&acme, &machine);
    let id = ids(&listed(&acme, &tokens_of(&machine, "")))[0].clone();
    let path = tokens_of(&machine, "/remove");
    for (body, pointer) in [
        (json!({ "ids": [] }), "/ids"),
        (json!({ "ids": vec![id.clone(); 201] }), "/ids"),
        (
            json!({ "ids": [id, "cli_01kb2q3r4s5t6v7w8x9y0z1a2b"] }),
            "/ids/1",
        ),
        (json!({ "ids": [id, ""] }), "/ids/1"),
    ] {
        let refused = acme.send("POST", &path, &body);
        expect_problem(acme.world(), &refused, 422, "invalid-field");
        assert_eq!(refused.json()["errors"][0]["pointer"], json!(pointer));
    }
    for body in [
        json!({}),
        json!({ "ids": "all" }),
        json!({ "ids": [1] }),
        json!({ "ids": [], "all": true }),
    ] {
        assert_eq!(acme.send("POST", &path, &body).status, 422, "{body}");
    }
    // As many as fit, once each.
    let many: Vec<String> = std::iter::repeat_n(NEVER.to_owned(), 199)
        .chain([id])
        .collect();
    let removed = acme
        .send("POST", &path, &json!({ "ids": many }))
        .expect(200);
    assert_eq!(removed["removed"], 1);
    assert_eq!(removed["results"].as_array().unwrap().len(), 200);
}

#[test]
fn token_2_all_of_a_client_are_dead_at_once_and_it_gets_new_ones() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let (machine, second) = (machine(&acme, "Machine"), machine(&acme, "Second"));
    let tokens = [(); 3].map(|()| issued(&acme, &machine));
    let of_second = issued(&acme, &second);
    let path = tokens_of(&machine, "/remove-all");
    let before = acme.get("/changes?after=now")["position"]
        .as_str()
        .unwrap()
        .to_owned();
    let removed = acme.send("POST", &path, &Value::Null);
    assert_eq!((removed.status, removed.body.as_str()), (204, ""));
    assert!(!tokens.iter().any(|token| works(&acme, &other, token)));
    assert!(works(&acme, &other, &of_second));
    assert_eq!(listed(&acme, &tokens_of(&machine, "")), [json!(null); 0]);
    assert_eq!(acme.get(&tokens_of(&machine, "/count"))["label"], "0");
    // In the very second of the cut.
    let world = acme.world();
    let fresh = World::bearer(&world.token(&acme.scene.tenant.id, &machine, &SCOPES.join(" ")));
    assert!(works(&acme, &other, &fresh));
    assert_eq!(listed(&acme, &tokens_of(&machine, "")).len(), 1);
    let [event] = acme.events("client.tokens_removed").try_into().unwrap();
    assert_eq!(event["target"]["id"], json!(machine.client_id));
    let feed = acme.get(&format!("/changes?after={before}"));
    assert_eq!(feed["items"][0]["type"], "client.tokens_removed");
    // It is no pause: neither does a disabled client keep what was cut off.
    let client = format!("/clients/{}", machine.client_id);
    acme.send("POST", &format!("{client}/disable"), &Value::Null)
        .expect(200);
    assert_eq!(acme.send("POST", &path, &Value::Null).status, 204);
    acme.send("POST", &format!("{client}/enable"), &Value::Null)
        .expect(200);
    assert!(!works(&acme, &other, &fresh));
}

#[test]
fn tenant_1_tokens_of_another_tenant_are_told_like_none() {
    let acme = Acme::new();
    let world = acme.world();
    let machine = machine(&acme, "Machine");
    let token = issued(&acme, &machine);
    let id = ids(&listed(&acme, &tokens_of(&machine, "")))[0].clone();
    let theirs = world.tenant("Theirs");
    let their_client = world.client(&theirs, "Theirs", &[]);
    let stranger = world.as_admin(&theirs);
    let send = |tenant: &str, method: &str, path: &str, body: &str| {
        let url = world.api(&format!("/v1/tenants/{tenant}{path}"));
        let headers = [
            ("authorization", stranger.as_str()),
            ("content-type", "application/json"),
        ];
        world.http.send(method, &url, &headers, body.as_bytes())
    };
    let removal = json!({ "ids": [id] }).to_string();
    for (method, what, body) in [
        ("GET", String::new(), ""),
        ("GET", "/count".to_owned(), ""),
        ("DELETE", format!("/{id}"), ""),
        ("POST", "/remove".to_owned(), removal.as_str()),
        ("POST", "/remove-all".to_owned(), ""),
    ] {
        let path = tokens_of(&machine, &what);
        let foreign = send(&acme.scene.tenant.id, method, &path, body);
        expect_problem(world, &foreign, 404, "not-found");
        // The other's client below one's own tenant.
        alike(&send(&theirs.id, method, &path, body), &foreign);
    }
    // The other's token below one's own client.
    let own = tokens_of(&their_client, &format!("/{id}"));
    assert_eq!(send(&theirs.id, "DELETE", &own, "").status, 404);
    let own = tokens_of(&their_client, "/remove");
    let told = send(&theirs.id, "POST", &own, &removal).expect(200);
    assert_eq!(told["results"][0]["result"], "not_found");
    assert!(works(&acme, &world.another_replica(), &token));
}

#[test]
fn role_2_who_manages_sees_and_removes_and_support_only_sees() {
    let acme = Acme::new();
    let settings = json!({ "name": "Inside", "profile": "service", "organization_id": acme.a,
        "owner_contact": { "email": "o@acme.example" } });
    let inside = Credentials {
        client_id: acme.send("POST", "/clients", &settings).text("/id"),
        client_secret: String::new(),
    };
    let roles = [
        ("admin", &acme.root, 200, 404),
        ("admin", &acme.a, 200, 404),
        ("support", &acme.a, 200, 403),
        ("admin", &acme.b, 404, 404),
        ("support", &acme.b, 404, 403),
        ("developer", &acme.a, 403, 403),
        ("member", &acme.a, 403, 403),
    ];
    for (index, (role, over, sees, removes)) in roles.into_iter().enumerate() {
        let (_, who) = acme.holder_of(role, over, &format!("m{index}@acme.example"));
        let status = |method: &str, what: &str| {
            acme.send_as(&who, method, &tokens_of(&inside, what), &Value::Null)
                .status
        };
        assert_eq!(status("GET", ""), sees, "{role}");
        assert_eq!(status("GET", "/count"), sees, "{role}");
        assert_eq!(status("DELETE", &format!("/{NEVER}")), removes, "{role}");
        let all = if sees == 200 && removes == 404 {
            204
        } else {
            removes
        };
        assert_eq!(status("POST", "/remove-all"), all, "{role}");
    }
    // role_2: whoever supports the platform sees clients, and no tokens.
    let operator = acme
        .world()
        .operator_with("grantor:platform.support grantor:tokens.read");
    let seen = acme.send_as(&operator, "GET", &tokens_of(&inside, ""), &Value::Null);
    expect_problem(acme.world(), &seen, 404, "not-found");
}

#[test]
fn pages_lead_on_and_a_cursor_is_good_on_its_own_list_alone() {
    let acme = Acme::new();
    let (machine, second) = (machine(&acme, "Machine"), machine(&acme, "Second"));
    for _ in 0..5 {
        issued(&acme, &machine);
    }
    let whole = ids(&listed(&acme, &tokens_of(&machine, "")));
    let (mut seen, mut after) = (Vec::new(), String::new());
    let mut cursors = Vec::new();
    loop {
        let page = acme.get(&tokens_of(&machine, &format!("?limit=2{after}")));
        seen.extend(ids(page["items"].as_array().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        cursors.push(cursor.to_owned());
        after = format!("&cursor={cursor}");
        // What is issued meanwhile moves nothing.
        issued(&acme, &machine);
    }
    assert_eq!(seen, whole);
    assert_eq!(cursors.len(), 2);
    let elsewhere = acme.send(
        "GET",
        &tokens_of(&second, &format!("?cursor={}", cursors[0])),
        &Value::Null,
    );
    expect_problem(acme.world(), &elsewhere, 400, "invalid-cursor");
    let refused = acme.send("GET", &tokens_of(&machine, "?limit=201"), &Value::Null);
    expect_problem(acme.world(), &refused, 422, "invalid-field");
}

#[test]
fn client_8_a_count_is_exact_up_to_a_thousand_and_stays_short_where_many_are_dead() {
    let acme = Acme::new();
    let machine = machine(&acme, "Machine");
    issued(&acme, &machine);
    let client: ClientId = machine.client_id.parse().unwrap();
    let copies = |many: u32, from: u32, revoked: &str| {
        acme.sql(&format!(
            "INSERT INTO grantor.access_tokens (tenant_id, client_id, id, token_hash, scopes, audiences, issued_at, epoch, \
               decided_at, revoked_at) \
             SELECT tenant_id, client_id, (left(id::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, token_hash, scopes, audiences, \
               issued_at, epoch, decided_at, {revoked} \
             FROM (SELECT * FROM grantor.access_tokens WHERE client_id = '{}' AND revoked_at IS NULL ORDER BY id LIMIT 1) AS one, \
               generate_series({from}, {from} + {many} - 1) AS n",
            client.uuid()
        ));
    };
    let count = || acme.get(&tokens_of(&machine, "/count"));
    let told = |count: u32, label: &str| json!({ "count": count, "more": label.ends_with('+'), "label": label });
    copies(999, 1, "NULL");
    assert_eq!(count(), told(1_000, "1000"));
    copies(1, 2_000, "NULL");
    assert_eq!(count(), told(1_000, "1000+"));
    acme.send("POST", &tokens_of(&machine, "/remove-all"), &Value::Null);
    assert_eq!(count(), told(0, "0"));
    issued(&acme, &machine);
    // The list of clients looks at fewer than the count of one does.
    copies(12_000, 10_000, "now()");
    assert_eq!(count(), told(1, "1"));
    let shown = acme.get(&format!("/clients/{}", machine.client_id));
    assert_eq!(shown["live_access_tokens"], told(1, "1+"));
}

#[test]
fn token_2_of_many_that_remove_one_at_once_one_does_and_the_log_has_it_once() {
    let acme = Acme::new();
    let machine = machine(&acme, "Machine");
    issued(&acme, &machine);
    let id = ids(&listed(&acme, &tokens_of(&machine, "")))[0].clone();
    let path = tokens_of(&machine, &format!("/{id}"));
    let other = acme.world().another_replica();
    let url = format!("/v1/tenants/{}{path}", acme.scene.tenant.id);
    let (http, admin) = (&acme.world().http, &acme.scene.admin);
    let bases = [acme.world().replica.api.clone(), other.api.clone()];
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let removing: Vec<_> = (0..6)
            .map(|turn: usize| {
                let url = format!("{}{url}", bases[turn % 2]);
                scope.spawn(move || {
                    http.send("DELETE", &url, &[("authorization", admin)], b"")
                        .status
                })
            })
            .collect();
        removing
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 404, 404, 404, 404, 404]);
    assert_eq!(acme.events("token.removed").len(), 1);
}

#[test]
fn a_state_that_is_not_the_clients_present_one_stops_a_removal() {
    let acme = Acme::new();
    let machine = machine(&acme, "Machine");
    let token = issued(&acme, &machine);
    let id = ids(&listed(&acme, &tokens_of(&machine, "")))[0].clone();
    let send = |etag: &str| {
        let path = tokens_of(&machine, &format!("/{id}"));
        let headers = [("if-match", etag)];
        acme.send_at(
            &acme.world().replica,
            &acme.scene.admin,
            "DELETE",
            &path,
            &headers,
            &Value::Null,
        )
    };
    expect_problem(acme.world(), &send("\"999\""), 412, "precondition-failed");
    assert!(works(&acme, &acme.world().another_replica(), &token));
    let client = acme.send(
        "GET",
        &format!("/clients/{}", machine.client_id),
        &Value::Null,
    );
    let etag = client.header("etag").unwrap().to_owned();
    assert_eq!(send(&etag).status, 204);
    // A removal is no change of the client.
    let after = acme.send(
        "GET",
        &format!("/clients/{}", machine.client_id),
        &Value::Null,
    );
    assert_eq!(after.header("etag"), Some(etag.as_str()));
}
