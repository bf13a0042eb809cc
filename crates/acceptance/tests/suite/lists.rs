//! Lists: whole, in order and each thing once, whatever happens meanwhile and whatever is asked of them; and
//! to everybody what they may see.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::TimeDelta;
use grantor_acceptance::{Answer, Credentials, World, raw_exchange};
use grantor_domain::ids::{ClientId, OrganizationId, TenantId};
use grantor_domain::role::BuiltInRole;
use serde_json::{Value, json};

use crate::asking::{
    client_named, count_of, give_role, group_under, number, organization_of, path_of, read, send,
    send_to,
};
use crate::operations::{Scene, expect_problem};

/// Walks a list from its beginning, and does something between its pages.
fn walk(scene: &Scene, query: &str, mut between: impl FnMut(usize)) -> Vec<Value> {
    let mut walked = Vec::new();
    let mut path = format!("/clients?{query}");
    for page in 0.. {
        let answer = send(scene, "GET", &path, &[], "").expect(200);
        walked.extend(answer["items"].as_array().unwrap().clone());
        let Some(cursor) = answer["next_cursor"].as_str() else {
            break;
        };
        path = format!("/clients?{query}&cursor={cursor}");
        between(page);
    }
    walked
}

fn texts(items: &[Value], field: &str) -> Vec<String> {
    items
        .iter()
        .map(|item| item[field].as_str().unwrap().to_owned())
        .collect()
}

fn make(scene: &Scene, name: &str) -> String {
    let body = client_named(name);
    let made = send(scene, "POST", "/clients", &[], &body);
    assert_eq!(made.status, 201, "{}", made.body);
    made.text("/id")
}

fn first_cursor(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("/next_cursor")
}

#[test]
fn client_8_names_are_sorted_both_ways_with_equals_and_letters_of_any_script() {
    let scene = Scene::new();
    let mut made: Vec<(String, String)> = Vec::new();
    for name in [
        "same", "Ärger", "same", "zebra", "Zebra", "é", "e", "日本", "same", "🦀", "a b", "a",
        "a_b", "a%b", "same", "ä", "А", "0",
    ] {
        scene.world.advance(TimeDelta::milliseconds(3));
        made.push((name.to_owned(), make(&scene, name)));
    }
    let all = texts(&walk(&scene, "sort=name&limit=200", |_| {}), "name");
    assert_eq!(
        all.len(),
        made.len() + 2,
        "the administrator's and the subject"
    );
    // By code points, and equal names by their age.
    made.sort();
    for (sort, turned) in [("name", false), ("-name", true)] {
        for limit in [1, 2, 3, 7, 200] {
            let walked = walk(&scene, &format!("sort={sort}&limit={limit}"), |_| {});
            let mut found: Vec<(String, String)> = texts(&walked, "name")
                .into_iter()
                .zip(texts(&walked, "id"))
                .filter(|one| made.contains(one))
                .collect();
            if turned {
                found.reverse();
            }
            assert_eq!(found, made, "{sort} by {limit}");
            assert_eq!(walked.len(), made.len() + 2, "{sort} by {limit}");
        }
    }
    let by_age = texts(&walk(&scene, "limit=5", |_| {}), "id");
    let mut turned = texts(&walk(&scene, "limit=4&sort=-created_at", |_| {}), "id");
    turned.reverse();
    assert_eq!(by_age, turned);
    assert!(by_age.is_sorted());
}

#[test]
fn client_8_nobody_is_missed_or_told_twice_while_others_come_and_go() {
    let scene = Scene::new();
    let stable: BTreeSet<String> = (0..14)
        .map(|index| {
            scene.world.advance(TimeDelta::milliseconds(2));
            // Some with equal names, spread over the alphabet.
            make(
                &scene,
                &format!("{} stable", ["b", "h", "h", "p", "w"][index % 5]),
            )
        })
        .collect();
    for sort in ["created_at", "-created_at", "name", "-name"] {
        let mut coming_and_going = Vec::new();
        let remove = |id: String| {
            let path = format!("/clients/{id}");
            let name = send(&scene, "GET", &path, &[], "").text("/name");
            let path = format!("{path}?confirm_name={}", name.replace(' ', "%20"));
            assert_eq!(send(&scene, "DELETE", &path, &[], "").status, 204);
        };
        let walked = walk(&scene, &format!("sort={sort}&limit=3"), |page| {
            scene.world.advance(TimeDelta::milliseconds(2));
            // Before, behind and just at the place where the list was cut.
            for name in ["a coming", "h stable", "z coming"] {
                coming_and_going.push(make(&scene, name));
            }
            if page % 2 == 1 {
                for id in coming_and_going.drain(..2) {
                    remove(id);
                }
            }
            // What is renamed in a list by age stays where it is.
            if sort.ends_with("created_at") && page == 1 {
                let path = path_of(&scene.subject);
                let body = json!({ "name": format!("{sort} renamed") }).to_string();
                assert_eq!(send(&scene, "PATCH", &path, &[], &body).status, 200);
            }
            // The list of newcomers must not grow for ever.
            if page > 12 {
                for id in coming_and_going.drain(..) {
                    remove(id);
                }
            }
        });
        let ids = texts(&walked, "id");
        let seen: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(ids.len(), seen.len(), "{sort}: somebody came twice");
        assert!(seen.is_superset(&stable), "{sort}: somebody is missing");
        for id in coming_and_going {
            remove(id);
        }
    }
}

#[test]
fn client_8_nobody_is_missed_while_another_replica_changes_what_it_can() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let stable: BTreeSet<String> = (0..12)
        .map(|index| make(&scene, &format!("s{index}")))
        .collect();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let base = format!("{}/v1/tenants/{}/clients", other.api, scene.tenant.id);
            let by = |method: &str, url: &str, body: &str| {
                send_to(&scene.world, method, url, &scene.admin, &[], body)
            };
            while !over.load(Ordering::SeqCst) {
                let made = by("POST", &base, &client_named("s5 passing"));
                assert_eq!(made.status, 201, "{}", made.body);
                let url = format!("{base}/{}?confirm_name=s5%20passing", made.text("/id"));
                assert_eq!(by("DELETE", &url, "").status, 204);
            }
        });
        for _ in 0..6 {
            for sort in ["name", "-name", "created_at"] {
                let ids = texts(&walk(&scene, &format!("sort={sort}&limit=2"), |_| {}), "id");
                let seen: BTreeSet<String> = ids.iter().cloned().collect();
                assert_eq!(ids.len(), seen.len(), "{sort}: somebody came twice");
                assert!(seen.is_superset(&stable), "{sort}: somebody is missing");
            }
        }
        over.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_cursor_is_good_for_its_own_list_filter_and_order_alone() {
    let scene = Scene::new();
    let Scene { world, .. } = &scene;
    let other = world.tenant("Other");
    for index in 0..3 {
        make(&scene, &format!("Client {index}"));
        world.client(&other, "Theirs", &[]);
    }
    let others = world.as_admin(&other);
    let theirs = |path: &str| {
        let url = world.api(&format!("/v1/tenants/{}{path}", other.id));
        send_to(world, "GET", &url, &others, &[], "")
    };
    let own = |path: &str| send(&scene, "GET", path, &[], "");
    let by_name = first_cursor(&own("/clients?limit=1&sort=name"));
    let active = first_cursor(&own("/clients?limit=1&status=active"));
    let plain = first_cursor(&own("/clients?limit=1"));
    let events = first_cursor(&own("/audit-events?limit=1"));
    let made = first_cursor(&own("/audit-events?limit=1&action=client.created"));
    let foreign = first_cursor(&theirs("/clients?limit=1"));
    let foreign_names = first_cursor(&theirs("/clients?limit=1&sort=name"));
    let later = "from=2025-06-01T00:00:00Z";
    for (path, cursor) in [
        ("/clients?sort=-name", &by_name),
        ("/clients", &by_name),
        ("/clients?sort=created_at", &by_name),
        ("/clients?sort=name&status=active", &by_name),
        ("/clients?status=disabled", &active),
        ("/clients", &active),
        ("/clients?sort=-created_at", &plain),
        ("/clients?sort=name", &plain),
        ("/clients?status=active", &plain),
        ("/audit-events", &plain),
        ("/clients", &events),
        ("/audit-events?action=client.created", &events),
        ("/audit-events?sort=at", &events),
        (&format!("/audit-events?{later}"), &events),
        ("/audit-events?action=client.deleted", &made),
        ("/audit-events?action=client.created&target=cli_x", &made),
        ("/audit-events", &made),
        ("/clients", &foreign),
        ("/clients?sort=name", &foreign_names),
    ] {
        let mark = if path.contains('?') { '&' } else { '?' };
        let answer = own(&format!("{path}{mark}cursor={cursor}"));
        expect_problem(world, &answer, 400, "invalid-cursor");
    }
    // Every letter of it counts.
    for index in 0..plain.len() {
        let mut letters = plain.clone().into_bytes();
        letters[index] = if letters[index] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(letters).unwrap();
        let answer = own(&format!("/clients?cursor={forged}"));
        assert_eq!(answer.status, 400, "letter {index}");
    }
    for odd in [
        format!("{plain}%3D"),
        format!("{plain}A"),
        format!("%20{plain}"),
    ] {
        let answer = own(&format!("/clients?cursor={odd}"));
        expect_problem(world, &answer, 400, "invalid-cursor");
    }
    // The size of a page may change on the way, and the order of parameters is nothing.
    let answer = own(&format!("/clients?cursor={by_name}&sort=name&limit=200"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let of_another_token = world.as_admin(&scene.tenant);
    let url = scene.url(&format!("/clients?cursor={plain}"));
    let answer = send_to(world, "GET", &url, &of_another_token, &[], "");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[test]
fn a_list_can_be_narrowed_down_by_status() {
    let scene = Scene::new();
    let disabled: BTreeSet<String> = (0..5)
        .filter_map(|index| {
            let id = make(&scene, &format!("Client {index}"));
            let path = format!("/clients/{id}/disable");
            (index % 2 == 0).then(|| send(&scene, "POST", &path, &[], "").text("/id"))
        })
        .collect();
    let of = |query: &str| {
        let walked = walk(&scene, query, |_| {});
        texts(&walked, "id").into_iter().collect::<BTreeSet<_>>()
    };
    let all = of("limit=200");
    assert_eq!(of("limit=2&status=disabled"), disabled);
    assert_eq!(of("limit=2&sort=-name&status=disabled"), disabled);
    let active: BTreeSet<String> = all.difference(&disabled).cloned().collect();
    assert_eq!(of("limit=2&status=active"), active);
    for odd in [
        "Active",
        "deleted",
        "active,disabled",
        "%25",
        "*",
        "active%20",
    ] {
        let answer = send(&scene, "GET", &format!("/clients?status={odd}"), &[], "");
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], "status");
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("active, disabled"), "{detail}");
    }
    for odd in [
        "",
        "+name",
        "NAME",
        "name,created_at",
        "revision",
        "--name",
        "-",
    ] {
        let answer = send(&scene, "GET", &format!("/clients?sort={odd}"), &[], "");
        let problem = expect_problem(&scene.world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], "sort", "{odd}");
    }
}

#[test]
fn a_filter_means_its_letters_and_nothing_else() {
    let scene = Scene::new();
    let events = |filter: &str| send(&scene, "GET", &format!("/audit-events?{filter}"), &[], "");
    // What means something elsewhere matches nothing here, and every parameter takes it.
    for letters in [
        "%25",
        "_",
        "client.create_",
        "%25client%25",
        "'",
        "''",
        "%27%20OR%201=1--",
        "%5C",
        "%5C%27",
        "%22",
        "%60",
        "%24%24",
        "*",
        "client.*",
        "CLIENT.CREATED",
        "client.created%20",
        "%E6%97%A5",
        "%F0%9F%A6%80",
        "%E2%80%AE",
        "%C2%AD",
        "a%2Bb",
        "%26",
        "%3Cscript%3E",
        "null",
        "%5B%5D",
    ] {
        for name in ["actor", "action", "target"] {
            let found = events(&format!("{name}={letters}"));
            assert_eq!(found.status, 200, "{name}={letters}: {}", found.body);
            assert_eq!(found.json()["items"], json!([]), "{name}={letters}");
        }
    }
    assert!(
        !events("action=client.created").json()["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    for letters in [
        "%00",
        "a%00b",
        "%0A",
        "%7F",
        "%1B%5B2J",
        "%C2%85",
        "%FF",
        "%C0%AF",
        "%ED%A0%80",
        "%",
        "%2",
        "%zz",
    ] {
        for name in ["actor", "action", "target", "from", "status", "cursor"] {
            let list = if name == "status" {
                "clients"
            } else {
                "audit-events"
            };
            let answer = send(&scene, "GET", &format!("/{list}?{name}={letters}"), &[], "");
            let status = answer.status;
            assert!(
                status == 422 || (name == "cursor" && status == 400),
                "{name}={letters}: {status}"
            );
            assert!(answer.text("/detail").len() > 10);
        }
    }
}

#[test]
fn a_filter_has_a_length_and_a_time_a_form() {
    let scene = Scene::new();
    let world = &scene.world;
    let events = |filter: &str| {
        let path = format!("/audit-events?{filter}");
        send(&scene, "GET", &path, &[], "")
    };
    let long = "x".repeat(300);
    for name in ["actor", "action", "target", "from"] {
        let answer = events(&format!("{name}={long}"));
        let problem = expect_problem(world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], name);
        assert!(!answer.body.contains(&long));
    }
    for odd in [
        "yesterday",
        "2025-06-01",
        "2025-13-01T00:00:00Z",
        "0",
        "2025-06-01T12:00:00",
    ] {
        let answer = events(&format!("until={odd}"));
        let problem = expect_problem(world, &answer, 422, "invalid-field");
        assert_eq!(problem["errors"][0]["parameter"], "until");
    }
    for extreme in [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "+262142-12-31T23:59:59Z",
        "-9999-01-01T00:00:00Z",
    ] {
        let answer = events(&format!("from={}", extreme.replace('+', "%2B")));
        assert!(
            [200, 422].contains(&answer.status),
            "{extreme}: {}",
            answer.body
        );
    }
}

#[test]
fn what_is_enormous_or_deceives_is_refused_and_the_server_lives_on() {
    let scene = Scene::new();
    let world = &scene.world;
    // Ten megabytes, in the query and in the body.
    let huge = "x".repeat(10_000_000);
    let head = format!(
        "GET /v1/tenants/{}/audit-events?actor={huge} HTTP/1.1\r\nHost: api\r\nAuthorization: {}\r\n\
         Connection: close\r\n\r\n",
        scene.tenant.id, scene.admin
    );
    let answer = raw_exchange(&world.replica.api, head.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
    assert_eq!(send(&scene, "GET", "/clients", &[], "").status, 200);
    let body = format!(
        r#"{{"name":"{huge}","profile": "service", "owner_contact":{{"email":"a@example.com"}}}}"#
    );
    let request = format!(
        "POST /v1/tenants/{}/clients HTTP/1.1\r\nHost: api\r\nAuthorization: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        scene.tenant.id,
        scene.admin,
        body.len()
    );
    let answer = raw_exchange(&world.replica.api, request.as_bytes());
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413"),
        "{answer}"
    );
    // A surrogate alone is no character.
    for lone in [r"\ud800", r"\udfff", r"\ud800\ud800", r"a\udc00", r"\ud83e"] {
        for (method, path, body) in [
            (
                "POST",
                "/clients".to_owned(),
                format!(r#"{{"name":"{lone}"}}"#),
            ),
            (
                "PATCH",
                path_of(&scene.subject),
                format!(r#"{{"description":"{lone}"}}"#),
            ),
            (
                "PATCH",
                path_of(&scene.subject),
                format!(r#"{{"{lone}":1}}"#),
            ),
            (
                "POST",
                "/bulk".to_owned(),
                format!(r#"{{"items":[{{"operation":"{lone}"}}]}}"#),
            ),
        ] {
            let answer = send(&scene, method, &path, &[], &body);
            expect_problem(world, &answer, 400, "malformed-json");
        }
    }
    // What turns the direction of writing or can't be seen is pointed at.
    for deceiving in [
        r"\u202e",
        r"\u2066",
        r"\u200f",
        r"\u061c",
        r"\u200b",
        r"\ufeff",
        r"\u0000",
        r"\u001b",
        r"\udb40\udc41",
    ] {
        for (field, body) in [
            ("/name", format!(r#"{{"name":"a{deceiving}b"}}"#)),
            (
                "/description",
                format!(r#"{{"description":"a{deceiving}b"}}"#),
            ),
            (
                "/owner_contact/email",
                format!(
                    r#"{{"profile": "service", "owner_contact":{{"email":"a{deceiving}b@example.com"}}}}"#
                ),
            ),
        ] {
            let answer = send(&scene, "PATCH", &path_of(&scene.subject), &[], &body);
            let problem = expect_problem(world, &answer, 422, "invalid-field");
            assert_eq!(problem["errors"][0]["pointer"], field, "{deceiving}");
        }
    }
    let long = json!({ "name": "x".repeat(300) }).to_string();
    let answer = send(&scene, "PATCH", &path_of(&scene.subject), &[], &long);
    let problem = expect_problem(world, &answer, 422, "invalid-field");
    assert_eq!(problem["errors"][0]["pointer"], "/name");
    assert_eq!(read(&scene, &scene.subject).0["revision"], 1);
}

/// A tenant with a tree of groups, a client in each, and a client whose role is over one of the groups.
struct Tree {
    scene: Scene,
    /// In the root, the group, below the group, and in a group beside it.
    clients: [Credentials; 4],
    group: OrganizationId,
    group_admin: Credentials,
}

impl Tree {
    fn new(role: BuiltInRole, scopes: &[&str]) -> Self {
        let scene = Scene::new();
        let Scene { world, tenant, .. } = &scene;
        let root = organization_of(&scene, &scene.subject);
        let group = group_under(world, tenant, root, "Group");
        let below = group_under(world, tenant, group, "Below");
        let beside = group_under(world, tenant, root, "Beside");
        let clients = [
            ("In root", root),
            ("In group", group),
            ("Below", below),
            ("Beside", beside),
        ]
        .map(|(name, organization)| {
            let client = world.client(tenant, name, &[]);
            move_to(world, &client, organization);
            client
        });
        let group_admin = world.client(tenant, "Group's administrator", scopes);
        give_role(world, tenant, &group_admin, role, group);
        Self {
            scene,
            clients,
            group,
            group_admin,
        }
    }

    fn ask(&self, scopes: &str, method: &str, path: &str, body: &str) -> Answer {
        let Scene { world, tenant, .. } = &self.scene;
        let by = World::bearer(&world.token(&tenant.id, &self.group_admin, scopes));
        send_to(world, method, &self.scene.url(path), &by, &[], body)
    }
}

/// Lets a client live in another organization. Its endpoint comes later.
fn move_to(world: &World, client: &Credentials, organization: OrganizationId) {
    use diesel::RunQueryDsl as _;
    let id: ClientId = client.client_id.parse().unwrap();
    let moved = diesel::sql_query(format!(
        "UPDATE clients SET organization_id = '{}' WHERE id = '{}'",
        organization.uuid(),
        id.uuid()
    ))
    .execute(&mut world.database.superuser())
    .unwrap();
    assert_eq!(moved, 1);
}

const ALL: &[&str] = &[
    "grantor:clients.read",
    "grantor:clients.write",
    "grantor:clients.disable",
    "grantor:clients.delete",
    "grantor:secrets.write",
    "grantor:audit.read",
    "grantor:audit.erase",
    "grantor:changes.read",
];

#[test]
fn role_2_a_role_over_a_group_reaches_what_lives_in_it_and_below_and_nothing_else() {
    let tree = Tree::new(BuiltInRole::Admin, ALL);
    let all = ALL.join(" ");
    let [_, in_group, below, _] = &tree.clients;
    let outside = [&tree.clients[0], &tree.clients[3]];
    let seen: BTreeSet<String> = [in_group, below]
        .map(|client| client.client_id.clone())
        .into();
    for query in [
        "limit=1",
        "limit=200",
        "sort=-name&limit=1",
        "status=active",
    ] {
        let mut found = BTreeSet::new();
        let mut path = format!("/clients?{query}");
        loop {
            let page = tree.ask(&all, "GET", &path, "").expect(200);
            for id in texts(page["items"].as_array().unwrap(), "id") {
                assert!(found.insert(id), "{query}: twice");
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("/clients?{query}&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(found, seen, "{query}");
    }
    let put = |name: &str| client_named(name);
    let operations = |name: &str| {
        let named = json!({ "confirm_name": name }).to_string();
        let in_address = name.replace(' ', "%20");
        vec![
            ("GET", String::new(), String::new()),
            (
                "PATCH",
                String::new(),
                r#"{"description":"Changed"}"#.to_owned(),
            ),
            ("PUT", String::new(), put(name)),
            ("POST", "/disable".to_owned(), String::new()),
            ("POST", "/enable".to_owned(), String::new()),
            ("POST", "/secrets/rotate".to_owned(), named),
            (
                "DELETE",
                format!("?confirm_name={in_address}"),
                String::new(),
            ),
        ]
    };
    let nothing = tree.ask(&all, "GET", "/clients/cli_01kb2q3r4s5t6v7w8x9y0z1a2b", "");
    let told = |answer: &Answer| {
        let mut body = answer.json();
        body["request_id"] = Value::Null;
        body
    };
    for (client, name) in outside.iter().zip(["In root", "Beside"]) {
        let before = read(&tree.scene, client);
        for (method, below, body) in operations(name) {
            let refusals = count_of(&tree.scene, "access.refused");
            let path = format!("{}{below}", path_of(client));
            let answer = tree.ask(&all, method, &path, &body);
            expect_problem(&tree.scene.world, &answer, 404, "not-found");
            assert_eq!(told(&answer), told(&nothing), "{method} {path}");
            // audit_1: who reaches for what is not theirs is on record.
            assert_eq!(
                count_of(&tree.scene, "access.refused"),
                refusals + 1,
                "{method} {path}"
            );
        }
        // In bulk and in a rehearsal neither.
        let item = json!({ "items": [
            { "operation": "disableClient", "path": { "client": client.client_id } } ] });
        let bulk = tree
            .ask(&all, "POST", "/bulk", &item.to_string())
            .expect(200);
        assert_eq!(bulk["results"][0]["status"], 404, "{bulk}");
        assert_eq!(read(&tree.scene, client), before, "{name}");
    }
    for (client, name) in [in_group, below].iter().zip(["In group", "Below"]) {
        for (method, below, body) in operations(name) {
            let path = format!("{}{below}", path_of(client));
            let answer = tree.ask(&all, method, &path, &body);
            assert!(
                (200..300).contains(&answer.status),
                "{method} {path}: {}",
                answer.body
            );
        }
    }
    // New clients live in the root, which is not theirs.
    let answer = tree.ask(&all, "POST", "/clients", &client_named("New"));
    expect_problem(&tree.scene.world, &answer, 404, "not-found");
    assert_eq!(crate::asking::clients_named(&tree.scene.world, "New"), 0);
}

#[test]
fn role_2_the_log_and_the_feed_tell_of_the_whole_tenant_and_so_are_for_who_holds_it_whole() {
    let tree = Tree::new(BuiltInRole::Admin, ALL);
    let all = ALL.join(" ");
    let world = &tree.scene.world;
    let events = send(&tree.scene, "GET", "/audit-events?limit=1", &[], "").text("/items/0/id");
    let erasure = json!({ "subject": tree.clients[0].client_id }).to_string();
    for (method, path, body) in [
        ("GET", "/audit-events".to_owned(), ""),
        ("GET", format!("/audit-events/{events}"), ""),
        ("POST", "/audit-events/erase".to_owned(), erasure.as_str()),
        ("GET", "/changes".to_owned(), ""),
    ] {
        let refusals = count_of(&tree.scene, "access.refused");
        let answer = tree.ask(&all, method, &path, body);
        assert_eq!(answer.status, 403, "{method} {path}: {}", answer.body);
        expect_problem(world, &answer, 403, "forbidden");
        assert_eq!(
            count_of(&tree.scene, "access.refused"),
            refusals + 1,
            "{path}"
        );
    }
}

#[test]
fn role_2_support_over_a_group_sees_and_disables_there() {
    let scopes = &[
        "grantor:clients.read",
        "grantor:clients.write",
        "grantor:clients.disable",
    ];
    let tree = Tree::new(BuiltInRole::Support, scopes);
    let all = scopes.join(" ");
    let [in_root, in_group, ..] = &tree.clients;
    let list = tree.ask(&all, "GET", "/clients", "").expect(200);
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let disable = |client: &Credentials| {
        let path = format!("{}/disable", path_of(client));
        tree.ask(&all, "POST", &path, "").status
    };
    assert_eq!((disable(in_group), disable(in_root)), (200, 404));
    let patched = tree.ask(&all, "PATCH", &path_of(in_group), r#"{"name":"No"}"#);
    expect_problem(&tree.scene.world, &patched, 403, "forbidden");
    // Once the role is over nothing any more, nothing is left.
    let tenant: TenantId = tree.scene.tenant.id.parse().unwrap();
    let roles = number(
        &tree.scene.world,
        &format!(
            "SELECT count(*) FROM role_assignments WHERE tenant_id = '{}' AND organization_id = '{}'",
            tenant.uuid(),
            tree.group.uuid()
        ),
    );
    assert_eq!(roles, 1);
}
