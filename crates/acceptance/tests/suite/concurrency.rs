//! What must hold although much happens at once, on several replicas.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, mpsc};

use grantor_acceptance::{Answer, Credentials, Replica, World};
use serde_json::json;

use crate::oauth::Orders;
use crate::tokens::verified;

const GRANT: &str = "grant_type=client_credentials&scope=orders.api:read";

/// Posts to an endpoint of a replica. A server that is crowded says 503: then nothing happened, and it is asked again.
fn post(
    world: &World,
    replica: &Replica,
    tenant: &str,
    endpoint: &str,
    by: &Credentials,
    form: &str,
) -> Answer {
    loop {
        let answer = world.http.post_form(
            &format!("{}/t/{tenant}/{endpoint}", replica.token),
            &[("authorization", &by.basic())],
            form,
        );
        if answer.status != 503 {
            return answer;
        }
    }
}

#[test]
fn pause_4_once_disabling_has_returned_no_replica_issues_or_accepts_although_50_ask_at_once() {
    let orders = Orders::new();
    let other = orders.world.another_replica();
    let replicas = [&orders.world.replica, &other];
    let Orders {
        world,
        tenant,
        checker,
        machine,
    } = &orders;
    let admin = world.as_admin(tenant);
    // Odd while disabling has returned and enabling has not begun.
    let turn = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let (tell, told) = mpsc::channel::<String>();
    let mut issued = Vec::new();
    let late = Mutex::new(Vec::new());
    let set = |verb: &str| {
        loop {
            let url = world.api(&format!(
                "/v1/tenants/{}/clients/{}/{verb}",
                tenant.id, machine.client_id
            ));
            let answer = world
                .http
                .send("POST", &url, &[("authorization", &admin)], b"");
            if answer.status != 503 {
                assert_eq!(answer.status, 200, "{}", answer.body);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..50 {
            let (turn, over, late, tell) = (&turn, &over, &late, tell.clone());
            let replica = replicas[number % 2];
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let before = turn.load(Ordering::SeqCst);
                    let answer = post(world, replica, &tenant.id, "token", machine, GRANT);
                    match answer.status {
                        200 => tell.send(answer.text("/access_token")).unwrap(),
                        // So many noes are not all confirmed.
                        401 | 429 => {}
                        _ => late.lock().unwrap().push(answer.body.clone()),
                    }
                    let after = turn.load(Ordering::SeqCst);
                    if before == after && before % 2 == 1 && answer.status == 200 {
                        late.lock()
                            .unwrap()
                            .push(format!("issued in turn {before}"));
                    }
                }
            });
        }
        for _ in 0..3 {
            // The flood is under way once some more tokens came.
            issued.extend(told.iter().take(60));
            set("disable");
            turn.fetch_add(1, Ordering::SeqCst);
            issued.extend(told.try_iter());
            let known: Vec<String> = issued.iter().rev().take(8).cloned().collect();
            for replica in replicas {
                for token in &known {
                    let form = format!("token={token}");
                    let answer = post(world, replica, &tenant.id, "introspect", checker, &form);
                    assert_eq!(answer.body, r#"{"active":false}"#);
                }
                let refused = post(world, replica, &tenant.id, "token", machine, GRANT);
                assert!([401, 429].contains(&refused.status), "{}", refused.body);
            }
            turn.fetch_add(1, Ordering::SeqCst);
            set("enable");
            for replica in replicas {
                let form = format!("token={}", known[0]);
                let answer = post(world, replica, &tenant.id, "introspect", checker, &form);
                assert_eq!(answer.json()["active"], json!(true), "pause_3");
            }
        }
        set("disable");
        over.store(true, Ordering::SeqCst);
    });
    assert_eq!(*late.lock().unwrap(), Vec::<String>::new());
    // A request that was under way at the last disabling may have had its token: it is good for nothing.
    drop(tell);
    issued.extend(told);
    for token in issued.iter().rev().take(60) {
        let answer = post(
            world,
            &other,
            &tenant.id,
            "introspect",
            checker,
            &format!("token={token}"),
        );
        assert_eq!(answer.body, r#"{"active":false}"#);
    }
}

#[test]
fn the_first_key_of_a_tenant_is_made_once_however_many_ask_at_once() {
    let orders = Orders::new();
    let world = &orders.world;
    let other = world.another_replica();
    for round in 0..3 {
        let tenant = world.tenant(&format!("New {round}"));
        let start = Barrier::new(16);
        let (start, tenant) = (&start, &tenant);
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..16)
                .map(|number| {
                    let replica = if number % 2 == 0 {
                        &world.replica
                    } else {
                        &other
                    };
                    scope.spawn(move || {
                        start.wait();
                        let form = "grant_type=client_credentials&scope=grantor:clients.read";
                        post(world, replica, &tenant.id, "token", &tenant.admin, form)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        for replica in [&world.replica, &other] {
            let keys = world
                .http
                .get(&format!("{}/t/{}/jwks", replica.token, tenant.id), &[])
                .expect(200);
            let mut algorithms: Vec<_> = keys["keys"]
                .as_array()
                .unwrap()
                .iter()
                .map(|key| &key["alg"])
                .collect();
            let all = algorithms.len();
            algorithms.sort_by_key(|algorithm| algorithm.as_str());
            algorithms.dedup();
            assert_eq!(algorithms.len(), all, "one of each algorithm: {keys}");
            let mut ids = BTreeSet::new();
            for answer in &answers {
                assert_eq!(answer.status, 200, "{}", answer.body);
                let (_, claims) = verified(&answer.text("/access_token"), &keys).unwrap();
                ids.insert(claims["jti"].to_string());
            }
            assert_eq!(ids.len(), 16);
        }
    }
}

#[test]
fn rfc7009_2_1_of_many_revocations_at_once_each_is_answered_and_the_token_is_dead() {
    let orders = Orders::new();
    let other = orders.world.another_replica();
    let token = orders.token("orders.api:read");
    let form = format!("token={token}");
    let (world, tenant) = (&orders.world, &orders.tenant.id);
    let start = Barrier::new(8);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (start, form, orders) = (&start, &form, &orders);
            let replica = if number % 2 == 0 {
                &world.replica
            } else {
                &other
            };
            scope.spawn(move || {
                start.wait();
                let revoked = post(world, replica, tenant, "revoke", &orders.machine, form);
                assert_eq!(revoked.status, 200, "{}", revoked.body);
                let told = post(world, replica, tenant, "introspect", &orders.checker, form);
                assert_eq!(told.body, r#"{"active":false}"#);
            });
        }
    });
}
