//! `kill -9` in the midst of use: what was answered holds.

use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::demo::{Demo, Made};
use crate::place::{Place, until};
use crate::program::{Running, dev};

/// What was answered.
#[derive(Default)]
struct Answered {
    tokens: Vec<String>,
    revoked: Vec<String>,
    clients: Vec<Made>,
}

impl Answered {
    fn is_enough(&self) -> bool {
        self.tokens.len() >= 30 && self.revoked.len() >= 8 && self.clients.len() >= 8
    }
}

/// Issues tokens until no answer comes, and gives every third back.
fn issue(demo: &Demo, answered: &Mutex<Answered>) {
    for number in 1_u64.. {
        let Some(token) = demo.try_token(&demo.machine, "orders.api:read") else {
            return;
        };
        if number % 3 > 0 {
            answered.lock().unwrap().tokens.push(token);
        } else if demo.revoke(&token) {
            answered.lock().unwrap().revoked.push(token);
        } else {
            return;
        }
    }
}

fn make_clients(demo: &Demo, admin_token: &str, answered: &Mutex<Answered>) {
    for number in 1_u64.. {
        let Some(made) = demo.try_client(admin_token, &format!("Crash {number}")) else {
            return;
        };
        answered.lock().unwrap().clients.push(made);
    }
}

#[test]
fn what_was_answered_survives_a_kill_in_the_midst_of_use() {
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let demo = Demo::read(&running.welcome);
    let admin_token = demo.admin_token();
    let (answered, killed) = (Mutex::new(Answered::default()), AtomicBool::new(false));
    thread::scope(|scope| {
        for _issuer in 0..3 {
            scope.spawn(|| {
                issue(&demo, &answered);
                assert!(
                    killed.load(Ordering::SeqCst),
                    "an answer was missing before"
                );
            });
        }
        scope.spawn(|| {
            make_clients(&demo, &admin_token, &answered);
            assert!(
                killed.load(Ordering::SeqCst),
                "an answer was missing before"
            );
        });
        until("enough was answered", || {
            answered.lock().unwrap().is_enough()
        });
        killed.store(true, Ordering::SeqCst);
        assert_eq!(running.kill().status.code(), None);
    });
    place.assert_left_alone();

    let Answered {
        tokens,
        revoked,
        clients,
    } = mem::take(&mut *answered.lock().unwrap());
    let running = Running::start(&mut dev(&place));
    assert!(tokens.iter().all(|token| demo.is_active(token)));
    assert!(!revoked.iter().any(|token| demo.is_active(token)));
    let there = demo.client_ids();
    assert!(clients.iter().all(|made| there.contains(&made.id)));
    // Not only on a list: they work.
    let last = clients.last().unwrap();
    let basic = format!("{}:{}", last.id, last.secret);
    assert!(demo.is_active(&demo.try_token(&basic, "orders.api:read").unwrap()));
    running.stop(&place);
}

#[test]
fn a_first_start_that_is_killed_is_no_hindrance_to_the_next() {
    let place = Place::new();
    let mut command = dev(&place);
    for sign in ["postgres.log", "master.key", "postgres/postmaster.pid"] {
        let sign = place.kept().join(sign);
        Running::start_and_kill(&mut command, || sign.exists());
    }
    let running = Running::start(&mut command);
    assert!(Demo::read(&running.welcome).machine_token().contains('.'));
    running.stop(&place);
}
