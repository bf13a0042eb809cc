//! Quotas: a tenant gets as many of a kind as it may have, and not one more, however many ask at once.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection as _;
use grantor_acceptance::Tenant;
use grantor_domain::ids::TenantId;
use serde_json::json;

use crate::asking::{client_named, number, send, send_at};
use crate::operations::{Scene, expect_problem};

fn uuid_of(tenant: &Tenant) -> String {
    let id: TenantId = tenant.id.parse().unwrap();
    id.uuid().to_string()
}

/// How many of a kind a tenant has, by counting them.
fn how_many(scene: &Scene, table: &str) -> i64 {
    let tenant = uuid_of(&scene.tenant);
    number(
        &scene.world,
        &format!("SELECT count(*) FROM {table} WHERE tenant_id = '{tenant}'"),
    )
}

/// Lets the tenant have so many more of a kind than it has.
fn allow_more(scene: &Scene, table: &str, more: i64) -> i64 {
    let tenant = uuid_of(&scene.tenant);
    let limit = how_many(scene, table) + more;
    let sql = format!(
        "INSERT INTO tenant_quotas (tenant_id, {table}) VALUES ('{tenant}', {limit}) \
         ON CONFLICT (tenant_id) DO UPDATE SET {table} = {limit}"
    );
    scene
        .world
        .database
        .superuser()
        .batch_execute(&sql)
        .unwrap();
    limit
}

/// The path below the tenant by which a kind is made, and the body for one with this number.
fn making(table: &str, number: usize) -> (&'static str, String) {
    match table {
        "clients" => ("/clients", client_named(&format!("Client {number}"))),
        "organizations" => ("/organizations", json!({ "name": "Group" }).to_string()),
        _ => {
            let body = json!({ "key": format!("api.n{number}"), "name": format!("API {number}"),
                "identifier": format!("https://{number}.example") });
            ("/resource-servers", body.to_string())
        }
    }
}

const KINDS: [&str; 3] = ["organizations", "clients", "resource_servers"];

#[test]
fn of_20_that_are_made_at_once_on_two_replicas_exactly_as_many_succeed_as_are_allowed() {
    let scene = Scene::new();
    let other = scene.world.another_replica();
    let replicas = [&scene.world.replica, &other];
    for table in KINDS {
        let limit = allow_more(&scene, table, 7);
        let mut came: BTreeMap<u16, usize> = BTreeMap::new();
        std::thread::scope(|scope| {
            let asked: Vec<_> = (0..20)
                .map(|number| {
                    let (scene, replica) = (&scene, replicas[number % 2]);
                    scope.spawn(move || {
                        let (path, body) = making(table, number);
                        send_at(scene, replica, "POST", path, &[], &body)
                    })
                })
                .collect();
            for asked in asked {
                let answer = asked.join().unwrap();
                *came.entry(answer.status).or_default() += 1;
                if answer.status != 201 {
                    expect_problem_of_any_replica(&answer.json(), table, limit);
                }
            }
        });
        assert_eq!(came, BTreeMap::from([(201, 7), (409, 13)]), "{table}");
        assert_eq!(how_many(&scene, table), limit, "{table}");
    }
}

fn expect_problem_of_any_replica(problem: &serde_json::Value, table: &str, limit: i64) {
    assert_eq!(problem["code"], "quota-reached", "{problem}");
    let told = format!("a tenant may have {limit} {}", table.replace('_', " "));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with(&told), "{detail}");
}

#[test]
fn what_is_deleted_makes_room_and_what_is_refused_takes_none() {
    let scene = Scene::new();
    let limit = allow_more(&scene, "clients", 1);
    let make = |query: &str, name: &str| {
        let path = format!("/clients{query}");
        send(&scene, "POST", &path, &[], &client_named(name))
    };
    make("?dry_run=true", "First").expect(201);
    let first = make("", "First");
    let id = first.text("/id");
    first.expect(201);
    for query in ["", "?dry_run=true"] {
        let refused = make(query, "Second");
        expect_problem(&scene.world, &refused, 409, "quota-reached");
    }
    assert_eq!(how_many(&scene, "clients"), limit);
    let path = format!("/clients/{id}?confirm_name=First");
    send(&scene, "DELETE", &path, &[], "").expect(204);
    make("", "Second").expect(201);
    let refused = make("", "Third");
    expect_problem(&scene.world, &refused, 409, "quota-reached");
}

#[test]
fn a_tenant_whose_quota_is_lowered_keeps_what_it_has_and_gets_nothing_more() {
    let scene = Scene::new();
    for table in KINDS {
        for number in 0..3 {
            allow_more(&scene, table, 1);
            let (path, body) = making(table, number);
            send(&scene, "POST", path, &[], &body).expect(201);
        }
        allow_more(&scene, table, -2);
        let (path, body) = making(table, 9);
        let refused = send(&scene, "POST", path, &[], &body);
        expect_problem(&scene.world, &refused, 409, "quota-reached");
        let before = how_many(&scene, table);
        allow_more(&scene, table, 1);
        send(&scene, "POST", path, &[], &body).expect(201);
        assert_eq!(how_many(&scene, table), before + 1);
    }
}

#[test]
fn tenant_1_each_tenant_has_its_own_quota_and_by_default_100_resource_servers() {
    let scene = Scene::new();
    let full = allow_more(&scene, "clients", 0);
    assert!(full > 0);
    let refused = send(&scene, "POST", "/clients", &[], &client_named("One more"));
    expect_problem(&scene.world, &refused, 409, "quota-reached");
    let other = scene.world.tenant("Other");
    scene.world.client(&other, "Free", &[]);
    for number in 0..100 {
        let (path, body) = making("resource_servers", number);
        send(&scene, "POST", path, &[], &body).expect(201);
    }
    let (path, body) = making("resource_servers", 100);
    let refused = send(&scene, "POST", path, &[], &body);
    expect_problem(&scene.world, &refused, 409, "quota-reached");
}
