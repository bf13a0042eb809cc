//! Crowds of those who prove nothing take neither the connections of revocation nor those of health.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use grantor_acceptance::Credentials;

use crate::oauth::{GRANT, Orders};

/// More than an address may have refused at once.
const GUESSES: usize = 840;
const GUESSING: usize = 8;

#[test]
fn rfc7009_2_1_a_crowd_that_guesses_at_revocation_is_held_and_who_is_known_revokes() {
    let orders = Orders::new();
    let by = orders.machine.basic();
    let good = [("authorization", by.as_str())];
    let revoke = |token: &str| {
        orders
            .post("revoke", &good, &format!("token={token}"))
            .status
    };
    let is_over = AtomicBool::new(false);
    let mut revoked = 0;
    let mut answers = BTreeMap::new();
    thread::scope(|scope| {
        let guessing: Vec<_> = (0..GUESSING)
            .map(|first| {
                let orders = &orders;
                scope.spawn(move || {
                    let guesses = (first..GUESSES).step_by(GUESSING).map(|number| {
                        let by = Credentials {
                            client_id: format!("cli_01kb2q3r4s5t6v7w8x9y{number:06}"),
                            client_secret: "gsec_wrong".to_owned(),
                        };
                        let headers = [("authorization", by.basic())];
                        let headers = headers.each_ref().map(|(name, by)| (*name, by.as_str()));
                        orders.post("revoke", &headers, "token=x").status
                    });
                    guesses.collect::<Vec<u16>>()
                })
            })
            .collect();
        let good = scope.spawn(|| {
            let mut revoked = 0;
            while !is_over.load(Ordering::SeqCst) {
                let token = orders.post("token", &good, GRANT).expect(200)["access_token"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                assert_eq!(revoke(&token), 200);
                let told = orders
                    .world
                    .introspect(&orders.tenant.id, &orders.checker, &token);
                assert_eq!(told.expect(200)["active"], false);
                revoked += 1;
            }
            revoked
        });
        for one in guessing {
            for status in one.join().unwrap() {
                *answers.entry(status).or_insert(0) += 1;
            }
        }
        is_over.store(true, Ordering::SeqCst);
        revoked = good.join().unwrap();
    });
    assert!(revoked > 0);
    assert!(
        answers.keys().all(|status| [401, 429].contains(status)),
        "{answers:?}"
    );
    assert!(answers.contains_key(&429), "{answers:?}");
}
