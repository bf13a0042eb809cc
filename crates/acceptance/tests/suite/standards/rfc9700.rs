//! RFC 9700, the lines that concern machines. Those of the authorization endpoint come with it.

use diesel::prelude::*;
use diesel::sql_types::Text;
use grantor_acceptance::{ServerSettings, World};
use grantor_domain::ids::{ClientId, MemberId};
use serde_json::json;

use crate::asking::scene_in;
use crate::oauth::{ENDPOINTS, GRANT, Orders, expect_error};
use crate::operations::Scene;

#[test]
fn rfc9700_2_4_no_password_grant_and_rfc9700_2_1_2_no_implicit_one() {
    let orders = Orders::new();
    for form in [
        "grant_type=password&username=owner@example.com&password=x&scope=orders.api:read",
        "grant_type=implicit&scope=orders.api:read",
        "response_type=token&grant_type=token&scope=orders.api:read",
    ] {
        expect_error(&orders.ask(form), 400, "unsupported_grant_type");
    }
    // Nor can a client be registered for one.
    for grant in ["password", "implicit"] {
        let body = json!({ "name": "Old", "profile": "service", "grant_types": [grant],
            "owner_contact": { "email": "ada@example.com" } });
        let refused = orders.manage("POST", "/clients", &body);
        assert_eq!(refused.status, 422, "{}", refused.body);
    }
}

#[test]
fn rfc9700_4_3_2_no_token_and_no_secret_is_taken_from_a_query() {
    let orders = Orders::new();
    let token = orders.token("orders.api:read");
    let (id, secret) = (&orders.machine.client_id, &orders.machine.client_secret);
    let ask = |endpoint: &str, query: &str, headers: &[(&str, &str)], form: &str| {
        let url = orders.world.endpoint(&orders.tenant.id, endpoint);
        orders
            .world
            .http
            .post_form(&format!("{url}?{query}"), headers, form)
    };
    let (machine, checker) = (orders.machine.basic(), orders.checker.basic());
    for endpoint in ENDPOINTS {
        let in_query = format!("client_id={id}&client_secret={secret}");
        let answer = ask(endpoint, &in_query, &[], &format!("{GRANT}&token={token}"));
        expect_error(&answer, 401, "invalid_client");
    }
    let query = format!("token={token}");
    for (endpoint, by) in [("introspect", &checker), ("revoke", &machine)] {
        let answer = ask(endpoint, &query, &[("authorization", by)], "");
        expect_error(&answer, 400, "invalid_request");
    }
    assert!(orders.is_active(&token), "nothing was revoked");
    // What stands in the body counts, whatever the query says.
    let other = "token=x&grant_type=password&scope=no.such:scope";
    let answer = ask("token", other, &[("authorization", &machine)], GRANT);
    assert_eq!(answer.text("/scope"), "orders.api:read");
    let form = format!("token={token}");
    let answer = ask("introspect", other, &[("authorization", &checker)], &form);
    assert_eq!(answer.expect(200)["active"], true);
}

#[derive(QueryableByName)]
struct Recorded {
    #[diesel(sql_type = Text)]
    ip: String,
}

/// The address on record with the newest token, got with these headers.
fn recorded(scene: &Scene, headers: &[(&str, &str)]) -> String {
    let Scene { world, tenant, .. } = scene;
    let by = tenant.admin.basic();
    let mut all = vec![("authorization", by.as_str())];
    all.extend_from_slice(headers);
    let form = "grant_type=client_credentials&scope=grantor:audit.read";
    world.advance(chrono::TimeDelta::seconds(1));
    world
        .http
        .post_form(&world.endpoint(&tenant.id, "token"), &all, form)
        .expect(200);
    let newest: Recorded = diesel::sql_query(
        "SELECT ip FROM access_tokens WHERE scopes = '{grantor:audit.read}' ORDER BY issued_at DESC LIMIT 1",
    )
    .get_result(&mut world.database.superuser())
    .unwrap();
    newest.ip
}

#[test]
fn rfc9700_4_13_without_a_trusted_proxy_no_header_tells_an_address() {
    let scene = Scene::new();
    for headers in [
        &[][..],
        &[("x-forwarded-for", "192.0.2.1")],
        &[("x-forwarded-for", "127.0.0.1, 192.0.2.1")],
        &[("forwarded", "for=192.0.2.1")],
        &[("x-real-ip", "192.0.2.1")],
        &[
            ("x-client-ip", "192.0.2.1"),
            ("cf-connecting-ip", "192.0.2.1"),
            ("true-client-ip", "192.0.2.1"),
        ],
    ] {
        assert_eq!(recorded(&scene, headers), "127.0.0.1", "{headers:?}");
    }
}

#[test]
fn rfc9700_4_13_a_trusted_proxy_is_believed_about_the_last_stranger_alone() {
    let scene = scene_in(World::with(&ServerSettings {
        trusted_proxies: Some("127.0.0.1, 10.0.0.0/8, 2001:db8:1::/48".to_owned()),
        ..ServerSettings::default()
    }));
    for (told, address) in [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::7", "2001:db8::7"),
        // IPv4 as a socket for both kinds has it.
        ("::ffff:192.0.2.1", "192.0.2.1"),
        // Several hops of ours, by both kinds of address.
        ("192.0.2.1, 10.0.0.1", "192.0.2.1"),
        (
            "192.0.2.1, 2001:db8:1::9, 10.1.2.3, ::ffff:10.0.0.1",
            "192.0.2.1",
        ),
        // What a stranger wrote before.
        ("198.51.100.7, 192.0.2.1", "192.0.2.1"),
        ("10.0.0.1, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
        // What is no address: the peer.
        ("192.0.2.1, unknown", "127.0.0.1"),
        ("", "127.0.0.1"),
    ] {
        assert_eq!(
            recorded(&scene, &[("x-forwarded-for", told)]),
            address,
            "{told}"
        );
    }
    // Of headers that nobody configured nothing is believed, whoever sends them.
    assert_eq!(
        recorded(&scene, &[("forwarded", "for=192.0.2.1")]),
        "127.0.0.1"
    );
}

#[test]
fn rfc9700_4_15_a_client_id_never_equals_a_subject() {
    let orders = Orders::new();
    let Orders { world, tenant, .. } = &orders;
    let member = world.member(tenant, "Ada", "ada@acme.example");
    let for_member = world.member_token(
        tenant,
        &orders.machine,
        &member,
        "orders.api:read",
        "https://orders.example",
    );
    let told = world
        .introspect(&tenant.id, &orders.checker, &for_member)
        .expect(200);
    assert_eq!(told["client_id"], orders.machine.client_id.as_str());
    assert_eq!(told["sub"], member.as_str());
    // A member's id can't be read as a client's, nor a client's as a member's.
    assert!(member.parse::<MemberId>().is_ok() && member.parse::<ClientId>().is_err());
    let id = &orders.machine.client_id;
    assert!(id.parse::<ClientId>().is_ok() && id.parse::<MemberId>().is_err());
    // Nobody chooses one.
    for field in ["id", "client_id"] {
        let mut body = json!({ "name": "Chosen", "profile": "service",
            "owner_contact": { "email": "ada@example.com" } });
        body[field] = json!(member);
        let refused = orders.manage("POST", "/clients", &body);
        assert_eq!(refused.status, 422, "{}", refused.body);
        let mut body = json!({ "name": "Chosen", "email": "chosen@acme.example" });
        body[field] = json!(id);
        let refused = orders.manage("POST", "/members", &body);
        assert_eq!(refused.status, 422, "{}", refused.body);
    }
}
