//! One straight way through the house.

use chrono::TimeDelta;
use grantor_acceptance::World;

#[test]
fn a_tenant_a_client_a_token_its_check_its_revocation_and_the_trail() {
    let world = World::new();
    let tenant = world.tenant("Acme");
    world.advance(TimeDelta::seconds(1));
    let checker = world.client(&tenant, "Orders API", &[]);
    world.orders_api(&tenant, &[&checker]);
    let machine = world.client(&tenant, "Nightly export", &["orders.api:read"]);

    let token = world.token(&tenant.id, &machine, "orders.api:read");
    assert!(world.is_active(&tenant.id, &checker, &token));
    assert!(
        !world.is_active(&tenant.id, &machine, &token),
        "it is not named as an introspector"
    );

    assert_eq!(world.revoke(&tenant.id, &machine, &token).status, 200);
    assert!(!world.is_active(&tenant.id, &checker, &token));

    let events = world
        .http
        .get(
            &world.api(&format!("/v1/tenants/{}/audit-events", tenant.id)),
            &[("authorization", &world.as_admin(&tenant))],
        )
        .expect(200);
    let actions: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["action"].as_str().unwrap())
        .collect();
    assert!(
        actions.contains(&"client.created") && actions.contains(&"secret.shown"),
        "{actions:?}"
    );
    assert!(
        actions[actions.len() - 3..].contains(&"tenant.created"),
        "the oldest last: {actions:?}"
    );
}
