//! The end of every token of a tenant.

use grantor_acceptance::World;
use serde_json::{Value, json};

use super::{issued, machine, works};
use crate::members::acme::Acme;
use crate::operations::{events, expect_problem};

const ALL: &str = "/tokens/remove-all";

#[test]
fn token_2_all_of_a_tenant_are_dead_at_once_and_none_of_another() {
    let acme = Acme::new();
    let world = acme.world();
    let other = world.another_replica();
    let machine = machine(&acme, "Machine");
    let token = issued(&acme, &machine);
    let (_, of_member) = acme.admin_of(&acme.root, "ada@acme.example");
    let elsewhere = world.tenant("Elsewhere");
    let foreign = world.as_admin(&elsewhere);
    assert!(works(&acme, &other, &token) && works(&acme, &other, &of_member));
    let removed = acme.send("POST", ALL, &Value::Null);
    assert_eq!((removed.status, removed.body.as_str()), (204, ""));
    for dead in [&token, &of_member, &acme.scene.admin] {
        assert!(!works(&acme, &other, dead), "the one that asked for it too");
    }
    let url = world.api(&format!("/v1/tenants/{}/clients", elsewhere.id));
    world
        .http
        .get(&url, &[("authorization", &foreign)])
        .expect(200);
    // Clients get new ones at once.
    assert!(works(&acme, &other, &issued(&acme, &machine)));
    let [event] = acme.events("tenant.tokens_removed").try_into().unwrap();
    assert_eq!(event["target"]["id"], json!(acme.scene.tenant.id));
    assert_eq!(event["after"], json!({ "by": "tenant" }));
}

#[test]
fn token_2_an_operator_ends_them_too_and_both_logs_tell_of_it() {
    let acme = Acme::new();
    let world = acme.world();
    let other = world.another_replica();
    let token = issued(&acme, &machine(&acme, "Machine"));
    let operator = world.operator_with("grantor:tenants.suspend grantor:audit.read");
    let without = world.operator_with("grantor:tenants.read grantor:tokens.remove");
    let refused = acme.send_as(&without, "POST", ALL, &Value::Null);
    expect_problem(world, &refused, 404, "not-found");
    assert!(works(&acme, &other, &token));
    assert_eq!(
        acme.send_as(&operator, "POST", ALL, &Value::Null).status,
        204
    );
    assert!(!works(&acme, &other, &token));
    let [event] = events(world, &acme.scene.tenant)
        .into_iter()
        .filter(|event| event["action"] == "tenant.tokens_removed")
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(event["after"], json!({ "by": "operator" }));
    let url = world.api(&format!("/v1/tenants/{}/audit-events", world.platform_id));
    let log = world
        .http
        .get(&url, &[("authorization", &operator)])
        .expect(200);
    assert_eq!(log["items"][0]["action"], "tenant.tokens_removed");
    let nowhere = world.api("/v1/tenants/ten_01kb2q3r4s5t6v7w8x9y0z1a2b/tokens/remove-all");
    let answer = world
        .http
        .send("POST", &nowhere, &[("authorization", &operator)], b"");
    expect_problem(world, &answer, 404, "not-found");
}

#[test]
fn role_2_only_who_manages_the_whole_tenant_ends_them_all() {
    let acme = Acme::new();
    let other = acme.world().another_replica();
    let token = issued(&acme, &machine(&acme, "Machine"));
    for (index, (role, over)) in [
        ("admin", &acme.a),
        ("support", &acme.root),
        ("member", &acme.root),
    ]
    .into_iter()
    .enumerate()
    {
        let (_, who) = acme.holder_of(role, over, &format!("m{index}@acme.example"));
        let refused = acme.send_as(&who, "POST", ALL, &Value::Null);
        expect_problem(acme.world(), &refused, 403, "forbidden");
    }
    assert!(works(&acme, &other, &token));
    let (_, who) = acme.admin_of(&acme.root, "ada@acme.example");
    assert_eq!(acme.send_as(&who, "POST", ALL, &Value::Null).status, 204);
    assert!(!works(&acme, &other, &token));
}

#[test]
fn a_retry_with_the_same_key_cuts_off_nothing_more() {
    let acme = Acme::new();
    let world = acme.world();
    let key = [("idempotency-key", "0f8b1c9e-93a4-4f0e-8a55-2f6f6a6f1d11")];
    let send = |who: &str| acme.send_at(&world.replica, who, "POST", ALL, &key, &Value::Null);
    assert_eq!(send(&acme.scene.admin).status, 204);
    // The first token is dead, so it is asked for with another of the same client.
    let fresh = World::bearer(&world.token(
        &acme.scene.tenant.id,
        &acme.scene.tenant.admin,
        "grantor:tokens.remove",
    ));
    let again = send(&fresh);
    assert_eq!(
        (again.status, again.header("idempotent-replayed")),
        (204, Some("true"))
    );
    assert_eq!(send(&fresh).status, 204, "the token of the retry lives");
    assert_eq!(acme.events("tenant.tokens_removed").len(), 1);
}
