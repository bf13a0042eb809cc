//! How many live tokens a client has, as lists and details show it (`client_8`).

use chrono::TimeDelta;
use grantor_acceptance::{Credentials, World};
use grantor_domain::ids::ClientId;
use serde_json::{Value, json};

use crate::members::acme::Acme;

fn shown(acme: &Acme, who: &str, client: &Credentials) -> Value {
    let one = acme
        .send_as(
            who,
            "GET",
            &format!("/clients/{}", client.client_id),
            &Value::Null,
        )
        .expect(200);
    // The list says the same.
    let listed = acme
        .send_as(who, "GET", "/clients?limit=200", &Value::Null)
        .expect(200);
    let in_list = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|item| item["id"] == one["id"])
        .unwrap();
    for name in ["live_access_tokens", "my_live_access_tokens"] {
        assert_eq!(in_list[name], one[name]);
    }
    one
}

#[track_caller]
fn assert_all(acme: &Acme, client: &Credentials, count: u32, label: &str) {
    let shown = shown(acme, &acme.scene.admin, client);
    let expected = json!({ "count": count, "more": label.ends_with('+'), "label": label });
    assert_eq!(shown["live_access_tokens"], expected);
    assert_eq!(shown["my_live_access_tokens"], Value::Null);
}

fn machine(acme: &Acme) -> Credentials {
    let scopes = ["grantor:clients.read"];
    acme.world().client(&acme.scene.tenant, "Machine", &scopes)
}

#[test]
fn client_8_counts_what_has_neither_expired_nor_been_removed() {
    let acme = Acme::new();
    let machine = machine(&acme);
    assert_all(&acme, &machine, 0, "0");
    let world = acme.world();
    let tenant = &acme.scene.tenant.id;
    let issue = || world.token(tenant, &machine, "grantor:clients.read");
    let first = issue();
    issue();
    issue();
    assert_all(&acme, &machine, 3, "3");
    world.revoke(tenant, &machine, &first).expect(200);
    assert_all(&acme, &machine, 2, "2");
    // A pause removes nothing: what sleeps is counted.
    let path = format!("/clients/{}", machine.client_id);
    acme.send("POST", &format!("{path}/disable"), &Value::Null)
        .expect(200);
    assert_all(&acme, &machine, 2, "2");
    acme.send("POST", &format!("{path}/enable"), &Value::Null)
        .expect(200);
    // To the millisecond: an hour after they were issued they are over.
    world.advance(TimeDelta::milliseconds(3_599_999));
    let admin = world.as_admin(&acme.scene.tenant);
    let at = |admin: &str| shown(&acme, admin, &machine)["live_access_tokens"]["count"].clone();
    assert_eq!(at(&admin), json!(2));
    world.advance(TimeDelta::milliseconds(1));
    assert_eq!(at(&admin), json!(0));
}

#[test]
fn client_8_counts_exactly_up_to_a_thousand_and_no_further() {
    let acme = Acme::new();
    let machine = machine(&acme);
    acme.world()
        .token(&acme.scene.tenant.id, &machine, "grantor:clients.read");
    let client: ClientId = machine.client_id.parse().unwrap();
    let copies = |many: u32, from: u32| {
        // Ids of the same expiry, each once.
        acme.sql(&format!(
            "INSERT INTO grantor.access_tokens (tenant_id, client_id, id, token_hash, scopes, audiences, issued_at, epoch, decided_at) \
             SELECT tenant_id, client_id, (left(id::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, token_hash, scopes, audiences, \
               issued_at, epoch, decided_at \
             FROM (SELECT * FROM grantor.access_tokens WHERE client_id = '{}' ORDER BY id DESC LIMIT 1) AS one, \
               generate_series({from}, {from} + {many} - 1) AS n",
            client.uuid()
        ));
    };
    copies(999, 1);
    assert_all(&acme, &machine, 1_000, "1000");
    copies(1, 5_000);
    assert_all(&acme, &machine, 1_000, "1000+");
}

#[test]
fn client_8_counts_those_of_the_asking_member_apart() {
    let acme = Acme::new();
    let machine = machine(&acme);
    let tenant = &acme.scene.tenant;
    let world = acme.world();
    let (member, token) = acme.admin_of(&acme.root, "ada@example.com");
    let (_, other) = acme.admin_of(&acme.root, "grace@example.com");
    for _ in 0..2 {
        world.as_member(tenant, &machine, &member, "grantor:clients.read");
    }
    world.token(&tenant.id, &machine, "grantor:clients.read");
    let counts = |who: &str| {
        let shown = shown(&acme, who, &machine);
        [
            shown["live_access_tokens"]["label"].clone(),
            shown["my_live_access_tokens"]["label"].clone(),
        ]
    };
    assert_eq!(counts(&token), ["3", "2"]);
    assert_eq!(counts(&other), ["3", "0"]);
}

#[test]
fn client_8_a_cut_counts_as_a_removal() {
    let acme = Acme::new();
    let machine = machine(&acme);
    let issue = || {
        acme.world()
            .token(&acme.scene.tenant.id, &machine, "grantor:clients.read")
    };
    let token = issue();
    let rotate = json!({ "confirm_name": "Machine", "revoke_tokens": true });
    let path = format!("/clients/{}/secrets/rotate", machine.client_id);
    let rotated = acme.send("POST", &path, &rotate);
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    assert_all(&acme, &machine, 0, "0");
    let status = acme.status_at(&acme.world().replica, &World::bearer(&token), "/clients");
    assert_eq!(status, 401);
}
