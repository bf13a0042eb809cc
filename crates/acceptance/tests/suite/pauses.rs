//! What pauses of client, member and tenant do together, to what was issued and to what is asked for. Each by itself is
//! shown where it is made: `clients`, `me`, `tenants`.

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::Text;
use grantor_acceptance::{Credentials, Replica, World};
use serde_json::{Value, json};

use crate::asking::like;
use crate::oauth::{GRANT, Orders, expect_error};
use crate::platform_servers::{Vendor, send};

/// A machine of Acme's that also acts for a member, and a checker that no pause of Acme's stops.
struct Standing {
    vendor: Vendor,
    other: Replica,
    checker: Credentials,
    admin: String,
    member: String,
    for_payments: String,
    for_management: String,
}

impl Standing {
    fn new() -> Self {
        let vendor = Vendor::new();
        let checker = vendor.client("Payments API");
        let named = json!({ "introspector_client_ids": [checker.client_id] });
        vendor
            .send(&vendor.operator, "PATCH", "", &named)
            .expect(200);
        let Vendor {
            world,
            acme,
            machine,
            ..
        } = &vendor;
        let admin = world.as_admin(acme);
        let path = format!("/v1/tenants/{}/clients/{}", acme.id, machine.client_id);
        let both = json!({ "allowed_scopes": ["payments:read", "grantor:clients.read"] });
        send(world, &admin, "PATCH", &path, &both).expect(200);
        let member = world.member(acme, "Ada", "ada@acme.example");
        let (for_payments, for_management) = (
            world.member_token(
                acme,
                machine,
                &member,
                "payments:read",
                "https://payments.example",
            ),
            world.as_member(acme, machine, &member, "grantor:clients.read"),
        );
        Self {
            other: world.another_replica_with(&like(world)),
            checker,
            admin,
            member,
            for_payments,
            for_management,
            vendor,
        }
    }

    /// Whether the member's tokens are good, and whether the machine gets one: on every replica, or it is an error.
    #[track_caller]
    fn works(&self) -> (bool, bool) {
        let Vendor {
            world,
            acme,
            machine,
            ..
        } = &self.vendor;
        let found = [&world.replica, &self.other].map(|replica| {
            let post = |path: &str, by: &Credentials, form: &str| {
                let url = format!("{}{path}", replica.token);
                world
                    .http
                    .post_form(&url, &[("authorization", &by.basic())], form)
            };
            let form = format!("token={}", self.for_payments);
            let told = post("/introspect", &self.checker, &form).expect(200);
            let active = told["active"] == true;
            assert!(active || told == json!({ "active": false }), "{told}");
            let url = format!("{}/v1/tenants/{}/clients", replica.api, acme.id);
            let headers = [("authorization", self.for_management.as_str())];
            // The member has no role: known is 403, not known is 401.
            let called = world.http.get(&url, &headers).status;
            assert_eq!(called, if active { 403 } else { 401 });
            let form = "grant_type=client_credentials&scope=payments:read";
            let issued = post(&format!("/t/{}/token", acme.id), machine, form);
            assert!(matches!(issued.status, 200 | 401), "{}", issued.body);
            (active, issued.status == 200)
        });
        assert_eq!(found[0], found[1], "the replicas differ");
        found[0]
    }

    fn turn(&self, by: &str, path: &str, verb: &str) {
        let path = format!("/v1/tenants/{}{path}/{verb}", self.vendor.acme.id);
        let body = match verb {
            "suspend" | "disable" => json!({ "reason": "A test" }),
            _ => Value::Null,
        };
        let answer = send(&self.vendor.world, by, "POST", &path, &body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
}

#[test]
fn pause_1_client_member_and_tenant_pause_apart_and_any_one_suspends() {
    let standing = Standing::new();
    let operator = standing.vendor.world.as_operator();
    let client = format!("/clients/{}", standing.vendor.machine.client_id);
    let member = format!("/members/{}", standing.member);
    assert_eq!(standing.works(), (true, true));
    // Every combination, reached by one change at a time; that of the tenant on top of each.
    for (path, verb, paused) in [
        (&client, "disable", [true, false]),
        (&member, "disable", [true, true]),
        (&client, "enable", [false, true]),
        (&client, "disable", [true, true]),
        (&member, "enable", [true, false]),
        (&client, "enable", [false, false]),
    ] {
        standing.turn(&standing.admin, path, verb);
        let [client_paused, member_paused] = paused;
        let expected = (!client_paused && !member_paused, !client_paused);
        assert_eq!(standing.works(), expected, "{paused:?}");
        standing.turn(&operator, "", "suspend");
        assert_eq!(standing.works(), (false, false), "{paused:?}");
        standing.turn(&operator, "", "restore");
        assert_eq!(standing.works(), expected, "{paused:?}");
    }
}

#[derive(QueryableByName)]
struct Written {
    #[diesel(sql_type = Text)]
    rows: String,
}

/// Every token as it stands, with the transaction that wrote it last.
fn tokens_at_rest(world: &World) -> String {
    let found: Written = diesel::sql_query(
        "SELECT string_agg(row_number || xmin::text || tokens::text, ';') AS rows FROM \
         (SELECT row_number() OVER (ORDER BY id), xmin, access_tokens.* FROM access_tokens) AS tokens",
    )
    .get_result(&mut world.database.superuser())
    .unwrap();
    found.rows
}

#[test]
fn pause_3_disabling_writes_no_token_and_neither_does_enabling() {
    let standing = Standing::new();
    let operator = standing.vendor.world.as_operator();
    let before = tokens_at_rest(&standing.vendor.world);
    assert!(before.contains("payments:read"), "they are there");
    for (by, path, verbs) in [
        (
            &standing.admin,
            format!("/clients/{}", standing.vendor.machine.client_id),
            ["disable", "enable"],
        ),
        (
            &standing.admin,
            format!("/members/{}", standing.member),
            ["disable", "enable"],
        ),
        (&operator, String::new(), ["suspend", "restore"]),
    ] {
        for verb in verbs {
            standing.turn(by, &path, verb);
            assert_eq!(
                tokens_at_rest(&standing.vendor.world),
                before,
                "{path} {verb}"
            );
        }
    }
    assert_eq!(standing.works(), (true, true));
}

#[test]
fn pause_3_a_token_that_expires_while_its_client_is_disabled_is_over() {
    let orders = Orders::new();
    let path = format!("/clients/{}", orders.machine.client_id);
    let turn = |verb: &str| {
        let path = format!("{path}/{verb}");
        orders.manage("POST", &path, &Value::Null).expect(200);
    };
    let short = orders.token("orders.api:read");
    orders.world.advance(TimeDelta::minutes(30));
    let long = orders.token("orders.api:read");
    turn("disable");
    orders.world.advance(TimeDelta::minutes(30));
    turn("enable");
    assert!(!orders.is_active(&short), "its hour is over");
    assert!(orders.is_active(&long));
    // And what is got anew lives its whole time.
    let fresh = orders.token("orders.api:read");
    orders.world.advance(TimeDelta::seconds(3_599));
    assert!(orders.is_active(&fresh));
    assert!(!orders.is_active(&long));
}

#[test]
fn pause_2_a_disabled_client_makes_no_request_of_any_kind_on_any_replica() {
    let orders = Orders::new();
    let other = orders.world.another_replica();
    let token = orders.token("orders.api:read");
    let path = format!("/clients/{}/disable", orders.checker.client_id);
    orders.manage("POST", &path, &Value::Null).expect(200);
    let path = format!("/clients/{}/disable", orders.machine.client_id);
    orders.manage("POST", &path, &Value::Null).expect(200);
    for replica in [&orders.world.replica, &other] {
        for (by, endpoint, form) in [
            (&orders.machine, "token", GRANT.to_owned()),
            (&orders.machine, "revoke", format!("token={token}")),
            (&orders.checker, "introspect", format!("token={token}")),
            (&orders.checker, "introspect", "token=x".to_owned()),
        ] {
            let answer = orders.post_at(replica, endpoint, by, &form);
            expect_error(&answer, 401, "invalid_client");
        }
    }
}
