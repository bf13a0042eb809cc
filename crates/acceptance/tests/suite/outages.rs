//! PostgreSQL stopped, killed, frozen, out of reach for one replica, or busy: a 503 in time and never a wrong
//! answer, and service by itself afterwards.

pub(crate) mod site;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use grantor_test_support::{SocketProxy, TestDatabase};

use site::{OwnServer, Site, assert_unavailable, until};

#[derive(QueryableByName)]
struct Made {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    events: i64,
}

/// The clients whose names begin so, each with the number of events that tell of its making.
fn made(url: &str, prefix: &str) -> Vec<Made> {
    let mut connection = PgConnection::establish(url).unwrap();
    diesel::sql_query(
        "SELECT name::text, (SELECT count(*) FROM grantor.audit_events \
           WHERE action = 'client.created' AND after_change ->> 'name' = clients.name) AS events \
         FROM grantor.clients WHERE starts_with(name, $1)",
    )
    .bind::<Text, _>(prefix)
    .load(&mut connection)
    .unwrap()
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn number(url: &str, sql: &str) -> i64 {
    let mut connection = PgConnection::establish(url).unwrap();
    let row: Number = diesel::sql_query(format!("SELECT ({sql}) AS number"))
        .get_result(&mut connection)
        .unwrap();
    row.number
}

/// How many events of that kind name a client whose name begins so.
fn events_of(url: &str, prefix: &str) -> i64 {
    number(
        url,
        &format!(
            "SELECT count(*) FROM grantor.audit_events \
             WHERE action = 'client.created' AND starts_with(after_change ->> 'name', '{prefix}')"
        ),
    )
}

#[test]
fn stopped_and_started_again() {
    let mut postgres = OwnServer::new();
    let site = Site::new(&postgres.url());
    let replica = site.replica();
    site.until_ready(&replica);
    let (kept, revoked) = (site.machine_token(&replica), site.machine_token(&replica));
    site.in_the_end(&site.ask_revocation(&replica, &revoked));

    postgres.stop();
    site.assert_all_unavailable(&replica, &kept);
    site.assert_all_unavailable(&replica, &revoked);

    postgres.start();
    assert!(site.is_active(&replica, &kept));
    assert!(!site.is_active(&replica, &revoked));
    let fresh = site.machine_token(&replica);
    assert!(site.is_active(&replica, &fresh));
    site.until_ready(&replica);
}

#[test]
fn killed_in_the_middle_of_work() {
    let mut postgres = OwnServer::new();
    let site = Site::new(&postgres.url());
    let replica = site.replica();
    let old = site.machine_token(&replica);
    let (issued, revoked, created) = (
        std::sync::Mutex::new(Vec::new()),
        std::sync::Mutex::new(Vec::new()),
        std::sync::Mutex::new(BTreeSet::new()),
    );
    let (ended, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (site, replica, ended, done) = (&site, &replica, &ended, &done);
            let (issued, revoked, created) = (&issued, &revoked, &created);
            scope.spawn(move || {
                let mut round = 0;
                while !ended.load(Ordering::SeqCst) {
                    round += 1;
                    let token = site.ask_token(replica);
                    let (answer, took) = site.send(&token);
                    if answer.status != 200 {
                        assert_unavailable(&token, &answer, took);
                        continue;
                    }
                    let text = answer.text("/access_token");
                    if round % 2 == 0 {
                        let revoke = site.ask_revocation(replica, &text);
                        let (answer, took) = site.send(&revoke);
                        if answer.status == 200 {
                            revoked.lock().unwrap().push(text);
                        } else {
                            assert_unavailable(&revoke, &answer, took);
                        }
                    } else {
                        issued.lock().unwrap().push(text);
                    }
                    let name = format!("Killed {worker} {round}");
                    let create = site.create(replica, &name, &[]);
                    let (answer, took) = site.send(&create);
                    if answer.status == 201 {
                        created.lock().unwrap().insert(name);
                    } else {
                        assert_unavailable(&create, &answer, took);
                    }
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        until("some work is done", || done.load(Ordering::SeqCst) >= 20);
        postgres.kill();
        ended.store(true, Ordering::SeqCst);
    });
    site.assert_all_unavailable(&replica, &old);

    postgres.start();
    site.until_ready(&replica);
    assert!(site.is_active(&replica, &old));
    for token in issued.into_inner().unwrap() {
        assert!(site.is_active(&replica, &token), "an issued token is gone");
    }
    let revoked = revoked.into_inner().unwrap();
    assert!(!revoked.is_empty());
    for token in revoked {
        assert!(!site.is_active(&replica, &token), "a revoked token is back");
    }
    let there = made(&postgres.superuser_url(), "Killed ");
    assert!(there.iter().all(|client| client.events == 1));
    let there: BTreeSet<String> = there.into_iter().map(|client| client.name).collect();
    let created = created.into_inner().unwrap();
    assert!(
        created.is_subset(&there),
        "{:?}",
        created.difference(&there)
    );
}

#[test]
fn frozen_while_many_ask() {
    const THREADS: usize = 40;
    let postgres = OwnServer::new();
    let site = Site::new(&postgres.url());
    let replica = site.replica();
    let (kept, revoked, in_vain) = (
        site.machine_token(&replica),
        site.machine_token(&replica),
        site.machine_token(&replica),
    );
    site.in_the_end(&site.ask_revocation(&replica, &revoked));

    let frozen = postgres.freeze();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (site, replica, in_vain) = (&site, &replica, &in_vain);
            scope.spawn(move || {
                let mut asks = site.everything(replica, in_vain);
                // A pause that was answered 503 may have happened; what follows is about other things.
                asks.retain(|ask| ask.name != "disable" && ask.name != "secrets/rotate");
                asks.push(site.create(replica, &format!("Frozen {thread}"), &[]));
                for ask in asks.iter().cycle().skip(thread).take(3) {
                    let (answer, took) = site.send(ask);
                    assert_unavailable(ask, &answer, took);
                }
            });
        }
    });
    site.assert_all_unavailable(&replica, &in_vain);
    drop(frozen);

    site.until_ready(&replica);
    // `disable` may have come through after its 503.
    site.in_the_end(&site.verb(&replica, "enable"));
    assert!(site.is_active(&replica, &kept));
    assert!(!site.is_active(&replica, &revoked));
    let sound = site.in_the_end(&site.create(&replica, "Frozen no more", &[]));
    assert_eq!(sound.status, 201);
    let url = postgres.superuser_url();
    let there = made(&url, "Frozen ");
    assert!(
        there.iter().all(|client| client.events == 1),
        "a change without its event"
    );
    assert_eq!(
        i64::try_from(there.len()),
        Ok(events_of(&url, "Frozen ")),
        "an event without its change"
    );
    let connections = number(
        &url,
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'grantor_server'",
    );
    // Four for ordinary work and two that are kept, and a few that were being made or left in the freeze.
    assert!(connections <= 12, "{connections} connections");
}

#[test]
fn one_replica_out_of_reach_never_says_what_is_not_true_any_more() {
    let database = TestDatabase::new();
    let site = Site::new(&database.url());
    let near = site.replica();
    let proxy = SocketProxy::start(&database.url());
    let far = site.replica_by(Some(&proxy.url()), 4);
    for outage in [SocketProxy::cut, SocketProxy::freeze] {
        let (kept, revoked) = (site.machine_token(&near), site.machine_token(&near));
        assert!(site.is_active(&far, &revoked));
        outage(&proxy);
        site.assert_all_unavailable(&far, &kept);
        assert_eq!(
            site.in_the_end(&site.ask_revocation(&near, &revoked))
                .status,
            200
        );
        for _ in 0..3 {
            let ask = site.ask_introspection(&far, &revoked);
            let (answer, took) = site.send(&ask);
            assert_unavailable(&ask, &answer, took);
        }
        proxy.heal();
        assert!(
            !site.is_active(&far, &revoked),
            "the first answer after the outage"
        );
        site.until_ready(&far);

        outage(&proxy);
        assert_eq!(site.in_the_end(&site.verb(&near, "disable")).status, 200);
        let ask = site.ask_token(&far);
        let (answer, took) = site.send(&ask);
        assert_unavailable(&ask, &answer, took);
        proxy.heal();
        assert!(!site.is_active(&far, &kept), "its client is disabled");
        site.in_the_end(&site.verb(&near, "enable"));
        assert!(site.is_active(&far, &kept));
    }
}

#[test]
fn a_stop_answers_what_is_under_way_and_readiness_goes_first() {
    let database = TestDatabase::new();
    let site = Site::new(&database.url());
    let proxy = SocketProxy::start(&database.url());
    let mut replica = Site::patient_replica_by(&proxy.url());
    let token = site.machine_token(&replica);
    site.until_ready(&replica);
    let ready = format!("{}/readyz", replica.token_operations);
    let asks = [
        site.ask_introspection(&replica, &token),
        site.create(&replica, "Under way", &[]),
    ];
    proxy.freeze();
    let (answered, answers) = mpsc::channel();
    std::thread::scope(|scope| {
        for ask in &asks {
            let (answered, site) = (answered.clone(), &site);
            scope.spawn(move || answered.send(site.send(ask).0));
        }
        until("both are under way", || proxy.holding() >= 2);
        let stopping = scope.spawn(|| replica.stop());
        until("it says that it drains", || {
            let answer = site
                .http
                .try_send("GET", &ready, &[], b"")
                .expect("readiness goes last");
            answer.status == 503 && answer.body.contains("draining")
        });
        assert!(answers.try_recv().is_err(), "nothing was answered before");
        proxy.heal();
        stopping.join().unwrap();
    });
    drop(answered);
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 201]);
    let there = made(&database.superuser_url(), "Under way");
    assert_eq!(there.len(), 1);
}

#[test]
fn a_pool_that_is_exhausted_keeps_revocation_and_health() {
    let database = TestDatabase::new();
    let site = Site::new(&database.url());
    let replica = site.replica_by(None, 1);
    let tokens: Vec<String> = (0..5).map(|_| site.machine_token(&replica)).collect();
    site.until_ready(&replica);
    let mut holder = database.superuser();
    holder
        .batch_execute("BEGIN; SELECT FROM clients FOR UPDATE")
        .unwrap();
    let ended = AtomicBool::new(false);
    let slow = site.verb(&replica, "enable");
    let refused = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while !ended.load(Ordering::SeqCst) {
                    let (answer, took) = site.send(&slow);
                    assert_unavailable(&slow, &answer, took);
                    refused.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        until("the one connection waits", || {
            number(
                &database.superuser_url(),
                "SELECT count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND wait_event_type = 'Lock'",
            ) > 0
        });
        for token in &tokens {
            let (answer, took) = site.send(&site.ask_revocation(&replica, token));
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(took < Duration::from_secs(2), "{took:?}");
            for operations in [&replica.api_operations, &replica.token_operations] {
                let ready = site.http.get(&format!("{operations}/readyz"), &[]);
                assert_eq!(ready.status, 200, "{}", ready.body);
            }
            let ask = site.ask_token(&replica);
            let (answer, took) = site.send(&ask);
            if answer.status != 200 {
                assert_unavailable(&ask, &answer, took);
            }
        }
        until("others are refused meanwhile", || {
            refused.load(Ordering::SeqCst) >= 8
        });
        ended.store(true, Ordering::SeqCst);
    });
    holder.batch_execute("ROLLBACK").unwrap();
    for token in &tokens {
        assert!(!site.is_active(&replica, token));
    }
    assert_eq!(site.in_the_end(&slow).status, 200);
}
