//! Unknown clients and wrong secrets take the same work. How long that takes is measured by the example `alike_in_time`:
//! a clock decides nothing here.

use grantor_acceptance::{Credentials, ServerSettings};
use grantor_test_support::SocketProxy;
use serde_json::{Value, json};

use crate::asking::{like, replica_at};
use crate::oauth::{ENDPOINTS, GRANT, Orders, expect_error};

/// So often each is asked: whatever a server does besides in between only adds to what it sends.
const TIMES: usize = 6;

#[test]
fn rfc6749_5_2_unknown_client_and_wrong_secret_have_postgresql_asked_alike() {
    let orders = Orders::new();
    let proxy = SocketProxy::start(&orders.world.database.url());
    // By one connection, on which every statement is prepared already when it is counted.
    let settings = ServerSettings {
        pool_size: Some(1),
        ..like(&orders.world)
    };
    let replica = replica_at(&orders.world, &proxy.url(), 72, &settings);
    let paused = orders.client(&json!({ "name": "Paused" }));
    let path = format!("/clients/{}", paused.client_id);
    orders
        .manage("POST", &format!("{path}/disable"), &Value::Null)
        .expect(200);
    let gone = orders.client(&json!({ "name": "Gone" }));
    let path = format!("/clients/{}?confirm_name=Gone", gone.client_id);
    orders.manage("DELETE", &path, &Value::Null).expect(204);
    let by_post = orders.client(&json!({ "token_endpoint_auth_method": "client_secret_post" }));
    let elsewhere = orders.client(&json!({ "allowed_ips": ["192.0.2.1"] }));
    let other = orders.world.tenant("Globex");
    let wrong = &orders.checker.client_secret;
    let mut slip = orders.machine.client_secret.clone();
    slip.pop();
    for endpoint in ENDPOINTS {
        let least = |client_id: &str, client_secret: &str| {
            let by = Credentials {
                client_id: client_id.to_owned(),
                client_secret: client_secret.to_owned(),
            };
            let form = format!("{GRANT}&token=x");
            let sent = (0..TIMES).map(|_| {
                let before = proxy.sent();
                let answer = orders.post_at(&replica, endpoint, &by, &form);
                expect_error(&answer, 401, "invalid_client");
                proxy.sent() - before
            });
            sent.min().unwrap()
        };
        least(&orders.machine.client_id, wrong);
        let expected = least(&orders.machine.client_id, wrong);
        assert!(expected > 0, "PostgreSQL was not asked at all");
        for (who, client_id, secret) in [
            (
                "another wrong secret",
                orders.machine.client_id.as_str(),
                "x",
            ),
            ("a slip of the hand", &orders.machine.client_id, &slip),
            ("disabled", &paused.client_id, wrong),
            ("deleted", &gone.client_id, &gone.client_secret),
            ("by another method", &by_post.client_id, wrong),
            ("from elsewhere", &elsewhere.client_id, wrong),
            (
                "of another tenant",
                &other.admin.client_id,
                &other.admin.client_secret,
            ),
            ("never existed", "cli_01kb2q3r4s5t6v7w8x9y0z1a2b", wrong),
            ("not an id", "nobody", wrong),
        ] {
            assert_eq!(least(client_id, secret), expected, "{endpoint}: {who}");
        }
    }
}

#[test]
fn secret_1_any_character_of_a_secret_counts_and_a_slip_is_told_as_any_wrong_one() {
    let orders = Orders::new();
    let secret = &orders.machine.client_secret;
    assert!(secret.starts_with("gsec_"));
    let ask = |client_secret: String| {
        let by = Credentials {
            client_secret,
            ..orders.machine.clone()
        };
        let answer = orders.post_as(&by, "token", GRANT);
        expect_error(&answer, 401, "invalid_client");
        crate::operations::without_request_id(&answer)
    };
    let expected = ask("another".to_owned());
    for at in 0..secret.len() {
        let mut altered = secret.clone();
        let other = if secret.as_bytes()[at] == b'a' {
            "b"
        } else {
            "a"
        };
        altered.replace_range(at..=at, other);
        assert_eq!(ask(altered), expected, "{at}");
    }
    for altered in [
        secret.to_uppercase(),
        secret.trim_start_matches("gsec_").to_owned(),
        format!("{secret}0"),
        format!("{secret}\u{a0}"),
        secret.repeat(2),
    ] {
        assert_eq!(ask(altered), expected);
    }
    assert_eq!(orders.ask(GRANT).status, 200);
}
