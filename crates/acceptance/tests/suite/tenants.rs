//! What operators do to tenants: change, suspend, restore, delete. While a tenant is suspended nothing of it works
//! anywhere; a deleted one answers like one that never existed.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_acceptance::{Answer, Credentials, Replica, Tenant, World};
use grantor_domain::ids::TenantId;
use serde_json::{Value, json};

use crate::outages::site::until;
use crate::outbox::MailFolder;

const REASON: &str = "Invoices of three months are open";
const NEVER: &str = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b";

/// A tenant with an API, a client that gets tokens for it, and one that introspects them.
struct Acme {
    world: World,
    tenant: Tenant,
    machine: Credentials,
    introspector: Credentials,
    operator: String,
}

impl Acme {
    fn new() -> Self {
        Self::of(World::new())
    }

    fn of(world: World) -> Self {
        let tenant = world.tenant("Acme");
        let introspector = world.client(&tenant, "Orders", &[]);
        world.orders_api(&tenant, &[&introspector]);
        let machine = world.client(&tenant, "Machine", &["orders.api:read"]);
        let operator = world.as_operator();
        Self {
            world,
            tenant,
            machine,
            introspector,
            operator,
        }
    }

    fn token(&self) -> String {
        self.world
            .token(&self.tenant.id, &self.machine, "orders.api:read")
    }

    fn is_active(&self, token: &str) -> bool {
        self.world
            .is_active(&self.tenant.id, &self.introspector, token)
    }

    /// An operator's request about a tenant, on a replica.
    fn operate(
        &self,
        replica: &Replica,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut all = vec![
            ("authorization", self.operator.as_str()),
            ("content-type", "application/json"),
        ];
        all.extend_from_slice(headers);
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let url = format!("{}/v1/tenants/{path}", replica.api);
        self.world.http.send(method, &url, &all, body.as_bytes())
    }

    fn on(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("{}{path}", self.tenant.id);
        self.operate(&self.world.replica, method, &path, &[], body)
    }

    #[track_caller]
    fn suspend(&self) -> Value {
        self.on("POST", "/suspend", &json!({ "reason": REASON }))
            .expect(200)
    }

    #[track_caller]
    fn restore(&self) -> Value {
        self.on("POST", "/restore", &Value::Null).expect(200)
    }

    fn delete(&self, replica: &Replica) -> Answer {
        let path = format!("{}?confirm_name=Acme", self.tenant.id);
        self.operate(replica, "DELETE", &path, &[], &Value::Null)
    }

    /// Whether a management token works on a replica.
    fn works(&self, replica: &Replica, authorization: &str) -> u16 {
        let url = format!("{}/v1/tenants/{}/clients", replica.api, self.tenant.id);
        let headers = [("authorization", authorization)];
        self.world.http.get(&url, &headers).status
    }

    fn events(&self, tenant: &str, authorization: &str, action: &str) -> Vec<Value> {
        let path = format!("/v1/tenants/{tenant}/audit-events?action={action}");
        let headers = [("authorization", authorization)];
        let found = self.world.http.get(&self.world.api(&path), &headers);
        found.expect(200)["items"].as_array().unwrap().clone()
    }

    fn in_platform_log(&self, action: &str) -> Vec<Value> {
        let operator = self.world.operator_with("grantor:audit.read");
        self.events(&self.world.platform_id, &operator, action)
    }

    fn number(&self, sql: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            number: i64,
        }
        let row: Row = diesel::sql_query(format!("SELECT ({sql})::bigint AS number"))
            .get_result(&mut self.world.database.superuser())
            .unwrap();
        row.number
    }

    fn uuid(&self) -> uuid::Uuid {
        self.tenant.id.parse::<TenantId>().unwrap().uuid()
    }
}

/// A problem without what differs from request to request.
fn essence(answer: &Answer) -> (u16, Value) {
    let mut body = answer.json();
    body["request_id"] = Value::Null;
    (answer.status, body)
}

#[test]
fn tenant_2_a_suspended_tenant_issues_nothing_and_takes_nothing_on_any_replica_from_then_on() {
    let acme = Acme::new();
    let Acme { world, tenant, .. } = &acme;
    let other = world.another_replica();
    let (token, admin) = (acme.token(), world.as_admin(tenant));
    assert!(acme.is_active(&token));

    let suspended = acme.suspend();
    assert_eq!(suspended["status"], "suspended");
    assert_eq!(suspended["suspension"]["reason"], REASON);
    for replica in [&world.replica, &other] {
        assert_eq!(acme.works(replica, &admin), 401);
        let url = format!("{}/v1/tenants/{}/clients", replica.api, tenant.id);
        let body = json!({ "name": "Late", "profile": "service", "owner_contact": { "email": "o@example.com" } });
        let headers = [("authorization", admin.as_str())];
        let change = world.http.post_json(&url, &headers, &body);
        assert_eq!(change.status, 401, "{}", change.body);
        let at = |name: &str| format!("{}/t/{}/{name}", replica.token, tenant.id);
        let asked = |name: &str, client: &Credentials, form: &str| {
            let headers = [("authorization", client.basic())];
            let headers = [("authorization", headers[0].1.as_str())];
            world.http.post_form(&at(name), &headers, form)
        };
        let grant = "grant_type=client_credentials&scope=orders.api:read";
        let issued = asked("token", &acme.machine, grant);
        assert_eq!(
            (issued.status, issued.text("/error").as_str()),
            (401, "invalid_client")
        );
        let introspected = asked("introspect", &acme.introspector, &format!("token={token}"));
        assert_eq!(introspected.status, 401, "{}", introspected.body);
    }
    let clients = format!(
        "SELECT count(*) FROM clients WHERE tenant_id = '{}'",
        acme.uuid()
    );
    assert_eq!(acme.number(&clients), 3);
}

#[test]
fn pause_3_what_did_not_expire_while_a_tenant_was_suspended_works_again() {
    let acme = Acme::new();
    let (token, admin) = (acme.token(), acme.world.as_admin(&acme.tenant));
    acme.suspend();
    acme.world.advance(TimeDelta::minutes(59));
    // The operator's own token has gone on ageing as well.
    let acme = Acme {
        operator: acme.world.as_operator(),
        ..acme
    };
    let restored = acme.restore();
    assert_eq!(restored["status"], "active");
    assert_eq!(restored.get("suspension"), None);
    assert!(acme.is_active(&token));
    assert_eq!(acme.works(&acme.world.replica, &admin), 200);
    acme.world.advance(TimeDelta::minutes(2));
    assert!(!acme.is_active(&token), "lifetimes ran on");
    assert_eq!(acme.works(&acme.world.replica, &admin), 401);
}

#[test]
fn tenant_2_of_tokens_issued_while_a_tenant_is_being_suspended_none_works() {
    let acme = Acme::new();
    let Acme { world, tenant, .. } = &acme;
    let other = world.another_replica();
    let mut issued = 0;
    for round in 0..50 {
        let replica = if round % 2 == 0 {
            &world.replica
        } else {
            &other
        };
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let issuing: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let form = "grant_type=client_credentials&scope=grantor:clients.read";
                        let url = format!("{}/t/{}/token", replica.token, tenant.id);
                        let basic = tenant.admin.basic();
                        world
                            .http
                            .post_form(&url, &[("authorization", &basic)], form)
                    })
                })
                .collect();
            acme.suspend();
            issuing.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut tokens = Vec::new();
        for answer in answers {
            match answer.status {
                200 => tokens.push(World::bearer(&answer.text("/access_token"))),
                // Whoever was about to issue when the tenant was suspended is told to come again.
                401 | 503 => {}
                other => panic!("{other}: {}", answer.body),
            }
        }
        for token in &tokens {
            assert_eq!(acme.works(&world.replica, token), 401, "round {round}");
            assert_eq!(acme.works(&other, token), 401, "round {round}");
        }
        acme.restore();
        for token in &tokens {
            assert_eq!(acme.works(&other, token), 200, "round {round}");
        }
        issued += tokens.len();
    }
    assert!(issued > 0, "nothing was ever issued, so nothing was tested");
}

#[test]
fn what_operators_do_to_a_suspended_tenant_goes_on_and_doing_it_twice_changes_nothing() {
    let acme = Acme::new();
    let first = acme.suspend();
    let again = acme
        .on("POST", "/suspend", &json!({ "reason": "Another" }))
        .expect(200);
    assert_eq!(again, first, "the first reason stays");
    assert_eq!(acme.in_platform_log("tenant.suspended").len(), 1);
    let renamed = acme
        .on("PATCH", "", &json!({ "name": "Acme Industries" }))
        .expect(200);
    assert_eq!(
        (&renamed["name"], &renamed["status"]),
        (&json!("Acme Industries"), &json!("suspended"))
    );
    acme.on("PUT", "/quotas", &json!({ "clients": 7 }))
        .expect(200);
    acme.restore();
    let again = acme.restore();
    assert_eq!(again["status"], "active");
    assert_eq!(acme.in_platform_log("tenant.restored").len(), 1);

    // Both logs have it, by the same actor.
    let admin = acme.world.as_admin(&acme.tenant);
    for action in ["tenant.suspended", "tenant.restored", "tenant.updated"] {
        let own = acme.events(&acme.tenant.id, &admin, action);
        let platform = acme.in_platform_log(action);
        assert_eq!(own.len(), platform.len(), "{action}");
        for (own, platform) in own.iter().zip(&platform) {
            for field in ["actor", "target", "before", "after"] {
                assert_eq!(own[field], platform[field], "{action} {field}");
            }
        }
    }

    acme.suspend();
    let path = format!("{}?confirm_name=Acme%20Industries", acme.tenant.id);
    let deleted = acme.operate(&acme.world.replica, "DELETE", &path, &[], &Value::Null);
    assert_eq!(deleted.status, 204, "{}", deleted.body);
}

#[test]
fn the_root_owner_is_told_why_a_tenant_was_suspended_and_that_it_was_restored() {
    let folder = MailFolder::new();
    let acme = Acme::of(World::with(&folder.settings()));
    let dry = acme.on(
        "POST",
        "/suspend?dry_run=true",
        &json!({ "reason": REASON }),
    );
    assert_eq!(dry.json()["status"], "suspended");
    assert_eq!(acme.on("GET", "", &Value::Null).json()["status"], "active");
    acme.suspend();
    let mails = folder.until(1);
    assert!(mails[0].contains("owner@example.com"), "{}", mails[0]);
    assert!(mails[0].contains("Acme was suspended"), "{}", mails[0]);
    acme.restore();
    let mails = folder.until(2);
    assert!(
        mails.iter().any(|mail| mail.contains("Acme was restored")),
        "{mails:?}"
    );
}

#[test]
fn the_platform_tenant_can_be_neither_suspended_nor_deleted() {
    let acme = Acme::new();
    let platform = &acme.world.platform_id;
    let ask = |method: &str, path: &str, body: &Value| {
        let path = format!("{platform}{path}");
        acme.operate(&acme.world.replica, method, &path, &[], body)
    };
    let name = ask("GET", "", &Value::Null)
        .text("/name")
        .replace(' ', "%20");
    let deleting = format!("?confirm_name={name}");
    for refused in [
        ask("POST", "/suspend", &json!({ "reason": REASON })),
        ask("DELETE", &deleting, &Value::Null),
    ] {
        assert_eq!(refused.status, 409, "{}", refused.body);
        assert_eq!(refused.text("/code"), "platform-tenant");
    }
    assert_eq!(ask("GET", "", &Value::Null).json()["status"], "active");
    // Restoring it, which never was suspended, is nothing.
    assert_eq!(ask("POST", "/restore", &Value::Null).status, 200);
}

#[test]
fn bad_input_names_the_field_and_the_mend() {
    let acme = Acme::new();
    let long = "x".repeat(101);
    for (method, path, body, pointer) in [
        ("PATCH", "", json!({ "name": "" }), "/name"),
        ("PATCH", "", json!({ "name": long }), "/name"),
        ("PATCH", "", json!({ "name": "a\u{202e}b" }), "/name"),
        ("PATCH", "", json!({ "name": null }), ""),
        ("PATCH", "", json!({ "name": 7 }), "/name"),
        ("PATCH", "", json!({ "issuer": "" }), "/issuer"),
        ("PATCH", "", json!({ "issuer": null }), ""),
        (
            "PATCH",
            "",
            json!({ "issuer": "id.example.com" }),
            "/issuer",
        ),
        (
            "PATCH",
            "",
            json!({ "issuer": "http://id.example.com" }),
            "/issuer",
        ),
        (
            "PATCH",
            "",
            json!({ "issuer": "https://id.example.com/" }),
            "/issuer",
        ),
        (
            "PATCH",
            "",
            json!({ "issuer": "https://id.example.com?x" }),
            "/issuer",
        ),
        (
            "PATCH",
            "",
            json!({ "issuer": "https://u@id.example.com" }),
            "/issuer",
        ),
        (
            "PATCH",
            "",
            json!({ "issuer": "ftp://id.example.com" }),
            "/issuer",
        ),
        ("PATCH", "", json!({ "status": "suspended" }), "/status"),
        ("PATCH", "", json!({ "is_platform": true }), "/is_platform"),
        ("PATCH", "", json!({ "colour": "red" }), "/colour"),
        ("POST", "/suspend", json!({ "reason": "" }), "/reason"),
        (
            "POST",
            "/suspend",
            json!({ "reason": "x".repeat(501) }),
            "/reason",
        ),
        ("POST", "/suspend", json!({}), ""),
        ("POST", "/restore", json!({ "reason": " " }), "/reason"),
        ("PUT", "/quotas", json!({ "clients": 0 }), "/clients"),
        (
            "PUT",
            "/quotas",
            json!({ "members": 10_000_001 }),
            "/members",
        ),
        ("PUT", "/quotas", json!({ "roles": -1 }), "/roles"),
        (
            "PUT",
            "/quotas",
            json!({ "organizations": "many" }),
            "/organizations",
        ),
        ("PUT", "/quotas", json!({ "tokens": 1 }), "/tokens"),
    ] {
        let answer = acme.on(method, path, &body);
        assert_eq!(
            answer.status, 422,
            "{method} {path} {body}: {}",
            answer.body
        );
        assert_eq!(
            answer.text("/errors/0/pointer"),
            pointer,
            "{body}: {}",
            answer.body
        );
    }
    let two = acme.on("PATCH", "", &json!({ "name": "", "issuer": "x" }));
    assert_eq!(
        two.json()["errors"].as_array().unwrap().len(),
        2,
        "{}",
        two.body
    );
    assert_eq!(acme.in_platform_log("tenant.updated").len(), 0);
}

#[test]
fn a_new_issuer_is_in_metadata_and_new_tokens_and_those_that_are_out_go_on_working() {
    let acme = Acme::new();
    let Acme { world, tenant, .. } = &acme;
    let (token, admin) = (acme.token(), world.as_admin(tenant));
    let issuer = "https://id.example.com/acme";
    let changed = acme
        .on("PATCH", "", &json!({ "issuer": issuer }))
        .expect(200);
    assert_eq!(
        (&changed["issuer"], &changed["name"]),
        (&json!(issuer), &json!("Acme"))
    );
    let base = &world.replica.token;
    for url in [
        format!("{base}/t/{}/.well-known/openid-configuration", tenant.id),
        format!(
            "{base}/.well-known/oauth-authorization-server/t/{}",
            tenant.id
        ),
    ] {
        // Metadata are told from memory, which follows within a moment.
        until("the new issuer is told", || {
            world.http.get(&url, &[]).expect(200)["issuer"] == issuer
        });
        let metadata = world.http.get(&url, &[]).expect(200);
        assert_eq!(metadata["issuer"], issuer, "{url}");
        assert_eq!(
            metadata["token_endpoint"],
            format!("{issuer}/token"),
            "{url}"
        );
        assert_eq!(metadata["jwks_uri"], format!("{issuer}/jwks"), "{url}");
    }
    assert!(acme.is_active(&token));
    assert_eq!(acme.works(&world.replica, &admin), 200);
    let new = acme.token();
    let told = world
        .introspect(&tenant.id, &acme.introspector, &new)
        .expect(200);
    assert_eq!(
        (&told["active"], &told["iss"]),
        (&json!(true), &json!(issuer))
    );

    // What is so already changes nothing, and is on no record.
    acme.on("PATCH", "", &json!({ "issuer": issuer }))
        .expect(200);
    assert_eq!(acme.in_platform_log("tenant.updated").len(), 1);
}

#[test]
fn no_two_tenants_have_one_issuer_not_even_when_both_ask_at_once() {
    let acme = Acme::new();
    let other = acme.world.tenant("Other");
    let replica = acme.world.another_replica();
    let body = json!({ "issuer": other.issuer });
    let taken = acme.on("PATCH", "", &body);
    assert_eq!(taken.status, 409, "{}", taken.body);
    assert_eq!(taken.text("/code"), "conflict");
    assert_eq!(taken.text("/errors/0/pointer"), "/issuer");

    let body = json!({ "issuer": "https://id.example.com" });
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = scope.spawn(|| acme.on("PATCH", "", &body).status);
        let two = scope.spawn(|| {
            acme.operate(&replica, "PATCH", &other.id, &[], &body)
                .status
        });
        vec![one.join().unwrap(), two.join().unwrap()]
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[test]
fn of_two_changes_to_one_state_one_goes_through() {
    let acme = Acme::new();
    let replica = acme.world.another_replica();
    let etag = acme
        .on("GET", "", &Value::Null)
        .header("etag")
        .unwrap()
        .to_owned();
    let change = |replica: &Replica, name: &str| {
        let headers = [("if-match", etag.as_str())];
        let body = json!({ "name": name });
        acme.operate(replica, "PATCH", &acme.tenant.id, &headers, &body)
            .status
    };
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let one = scope.spawn(|| change(&acme.world.replica, "One"));
        let two = scope.spawn(|| change(&replica, "Two"));
        vec![one.join().unwrap(), two.join().unwrap()]
    });
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
}

#[test]
fn tenants_are_found_by_state_and_name_and_sorted_by_name() {
    let world = World::new();
    for name in ["Beta", "alpha", "Alpine", "Alpha", "Alp"] {
        world.tenant(name);
    }
    let suspended = world.tenant("Alps");
    let acme = Acme::of(world);
    let path = format!("{}/suspend", suspended.id);
    let reason = json!({ "reason": REASON });
    acme.operate(&acme.world.replica, "POST", &path, &[], &reason)
        .expect(200);
    let list = |query: &str| -> (Vec<String>, Option<String>) {
        let url = acme.world.api(&format!("/v1/tenants?{query}"));
        let headers = [("authorization", acme.operator.as_str())];
        let page = acme.world.http.get(&url, &headers).expect(200);
        let names = page["items"].as_array().unwrap().iter();
        let names = names.map(|item| item["name"].as_str().unwrap().to_owned());
        (
            names.collect(),
            page["next_cursor"].as_str().map(str::to_owned),
        )
    };
    assert_eq!(
        list("name=Alp&sort=name").0,
        ["Alp", "Alpha", "Alpine", "Alps"]
    );
    assert_eq!(
        list("name=Alp&sort=-name").0,
        ["Alps", "Alpine", "Alpha", "Alp"]
    );
    assert_eq!(list("name=al").0, ["alpha"]);
    assert_eq!(list("name=Alpz").0, [""; 0]);
    assert_eq!(list("status=suspended").0, ["Alps"]);
    assert_eq!(list("status=active&name=Alps").0, [""; 0]);
    let mut all = Vec::new();
    let mut query = "name=Alp&sort=name&limit=1".to_owned();
    loop {
        let (names, next) = list(&query);
        all.extend(names);
        let Some(next) = next else { break };
        query = format!("name=Alp&sort=name&limit=1&cursor={next}");
    }
    assert_eq!(all, ["Alp", "Alpha", "Alpine", "Alps"]);
}

#[test]
fn a_deleted_tenant_answers_everywhere_like_one_that_never_existed() {
    let acme = Acme::new();
    let Acme { world, tenant, .. } = &acme;
    let other = world.another_replica();
    let (token, admin) = (acme.token(), world.as_admin(tenant));

    for wrong in [
        "",
        "?confirm_name=",
        "?confirm_name=acme",
        "?confirm_name=Other",
    ] {
        let refused = acme.on("DELETE", wrong, &Value::Null);
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.body);
    }
    let dry = acme.on("DELETE", "?confirm_name=Acme&dry_run=true", &Value::Null);
    assert_eq!(dry.status, 204);
    assert!(acme.is_active(&token), "nothing came of any of these");

    assert_eq!(acme.delete(&world.replica).status, 204);
    let support = world.operator_with("grantor:platform.support");
    let reason = json!({ "reason": REASON });
    for replica in [&world.replica, &other] {
        for (method, path, body) in [
            ("GET", "", Value::Null),
            ("PATCH", "", json!({ "name": "Back" })),
            ("POST", "/suspend", reason.clone()),
            ("POST", "/restore", Value::Null),
            ("DELETE", "?confirm_name=Acme", Value::Null),
            ("GET", "/quotas", Value::Null),
            ("PUT", "/quotas", json!({})),
        ] {
            let ask = |id: &str| {
                essence(&acme.operate(replica, method, &format!("{id}{path}"), &[], &body))
            };
            let gone = ask(&tenant.id);
            assert_eq!(gone.0, 404, "{method} {path}");
            assert_eq!(gone, ask(NEVER), "{method} {path}");
        }
        let seen = |id: &str, path: &str| {
            let url = format!("{}/v1/tenants/{id}/clients{path}", replica.api);
            essence(&world.http.get(&url, &[("authorization", &support)]))
        };
        let client = format!("/{}", acme.machine.client_id);
        assert_eq!(seen(&tenant.id, "").0, 404);
        assert_eq!(seen(&tenant.id, ""), seen(NEVER, ""));
        assert_eq!(seen(&tenant.id, &client), seen(NEVER, &client));
        let url = format!("{}/v1/tenants?limit=200", replica.api);
        let listed = world.http.get(&url, &[("authorization", &acme.operator)]);
        assert!(!listed.body.contains(&tenant.id), "{}", listed.body);

        // Its own callers are nobody.
        assert_eq!(acme.works(replica, &admin), 401);
        let basic = acme.machine.basic();
        let ask = |id: &str, method: &str, path: &str| {
            let url = format!("{}{}", replica.token, path.replace("{tenant}", id));
            let headers = [
                ("authorization", basic.as_str()),
                ("content-type", "application/x-www-form-urlencoded"),
            ];
            let form = format!("grant_type=client_credentials&scope=orders.api:read&token={token}");
            let form = if method == "POST" {
                form.as_bytes()
            } else {
                b""
            };
            let answer = world.http.send(method, &url, &headers, form);
            (answer.status, answer.body)
        };
        for (method, path) in [
            ("GET", "/t/{tenant}/.well-known/openid-configuration"),
            ("GET", "/.well-known/oauth-authorization-server/t/{tenant}"),
            ("GET", "/t/{tenant}/jwks"),
            ("POST", "/t/{tenant}/token"),
            ("POST", "/t/{tenant}/introspect"),
            ("POST", "/t/{tenant}/revoke"),
        ] {
            let gone = ask(&tenant.id, method, path);
            assert_eq!(gone.0, 404, "{method} {path}: {}", gone.1);
            assert_eq!(gone, ask(NEVER, method, path), "{method} {path}");
        }
    }
    assert_eq!(acme.in_platform_log("tenant.deleted").len(), 1);
    let stays = format!(
        "SELECT count(*) FROM audit_events WHERE tenant_id = '{}' AND action = 'tenant.deleted'",
        acme.uuid()
    );
    assert_eq!(acme.number(&stays), 1);

    // Neither its issuer nor its name's tenant comes back.
    let new = world.tenant("Acme");
    let body = json!({ "issuer": tenant.issuer });
    let refused = acme.operate(&world.replica, "PATCH", &new.id, &[], &body);
    assert_eq!(refused.status, 409, "{}", refused.body);
}

#[test]
fn of_two_deletions_at_once_one_finds_the_tenant() {
    for _ in 0..5 {
        let acme = Acme::new();
        let other = acme.world.another_replica();
        let mut statuses: Vec<u16> = std::thread::scope(|scope| {
            let one = scope.spawn(|| acme.delete(&acme.world.replica).status);
            let two = scope.spawn(|| acme.delete(&other).status);
            vec![one.join().unwrap(), two.join().unwrap()]
        });
        statuses.sort_unstable();
        assert_eq!(statuses, [204, 404]);
        assert_eq!(acme.in_platform_log("tenant.deleted").len(), 1);
    }
}

#[test]
fn the_servers_remove_what_a_deleted_tenant_left_by_themselves() {
    let acme = Acme::new();
    acme.token();
    let others = "SELECT count(*) FROM clients";
    let before = acme.number(others);
    assert_eq!(acme.delete(&acme.world.replica).status, 204);
    let id = acme.uuid();
    until("what the tenant left is gone", || {
        acme.number(&format!(
            "SELECT count(*) FROM tenant_suspensions WHERE tenant_id = '{id}' AND purged_at IS NOT NULL"
        )) == 1
    });
    assert_eq!(acme.number(others), before - 3);
    for table in [
        "clients",
        "client_secrets",
        "signing_keys",
        "organizations",
        "members",
    ] {
        let left = format!("SELECT count(*) FROM {table} WHERE tenant_id = '{id}'");
        assert_eq!(acme.number(&left), 0, "{table}");
    }
    let gone = acme.on("GET", "", &Value::Null);
    assert_eq!(gone.status, 404);
    assert_eq!(acme.in_platform_log("tenant.deleted").len(), 1);
}

#[test]
fn operators_decide_how_much_a_tenant_may_have() {
    let acme = Acme::new();
    let quotas = acme.on("GET", "/quotas", &Value::Null);
    assert_eq!(quotas.json()["clients"], Value::Null);
    let set = acme
        .on("PUT", "/quotas", &json!({ "clients": 3 }))
        .expect(200);
    assert_eq!(set["clients"], 3);
    let admin = acme.world.as_admin(&acme.tenant);
    let headers = [("authorization", admin.as_str())];
    let settings = acme
        .world
        .api(&format!("/v1/tenants/{}/settings", acme.tenant.id));
    let shown = acme.world.http.get(&settings, &headers).expect(200);
    assert_eq!(
        (&shown["quotas"]["clients"], &shown["usage"]["clients"]),
        (&json!(3), &json!(3))
    );
    let clients = acme
        .world
        .api(&format!("/v1/tenants/{}/clients", acme.tenant.id));
    let body = json!({ "name": "Fourth", "profile": "service", "owner_contact": { "email": "o@example.com" } });
    let refused = acme.world.http.post_json(&clients, &headers, &body);
    assert_eq!(refused.text("/code"), "quota-reached", "{}", refused.body);
    acme.on("PUT", "/quotas", &json!({})).expect(200);
    let made = acme.world.http.post_json(&clients, &headers, &body);
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(acme.in_platform_log("tenant.updated").len(), 2);
}
