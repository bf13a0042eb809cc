//! A follower that was away goes on where it was, and misses nothing of what was answered meanwhile.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use grantor_acceptance::{EventStream, Replica};
use serde_json::{Value, json};

use super::target;
use crate::outages::site::{OwnServer, Site, until};

/// Makes clients until told to stop; one whose making was answered 503 is asked for again with the same key,
/// on another server, until there is an answer.
fn make(
    site: &Site,
    replicas: &Mutex<[String; 2]>,
    worker: usize,
    ended: &AtomicBool,
    made: &Mutex<BTreeSet<String>>,
    counted: &AtomicUsize,
) {
    let mut round = 0;
    while !ended.load(Ordering::SeqCst) {
        round += 1;
        let name = format!("Made {worker} {round}");
        let key = format!("away-follower-{worker:03}-{round:06}");
        let body = json!({ "name": name, "profile": "service", "owner_contact": { "email": "owner@example.com" } });
        let mut turn = worker;
        until("a client is made", || {
            turn += 1;
            let base = replicas.lock().unwrap()[turn % 2].clone();
            let url = format!("{base}/v1/tenants/{}/clients", site.tenant);
            let headers = [
                ("authorization", site.admin.as_str()),
                ("idempotency-key", &key),
                ("content-type", "application/json"),
            ];
            let body = body.to_string();
            // A server that is being stopped may cut the connection: that is no answer either.
            let Ok(answer) = site.http.try_send("POST", &url, &headers, body.as_bytes()) else {
                return false;
            };
            if answer.status == 503 {
                return false;
            }
            assert_eq!(answer.status, 201, "{}", answer.body);
            made.lock().unwrap().insert(answer.text("/id"));
            true
        });
        counted.fetch_add(1, Ordering::SeqCst);
    }
}

struct Follower<'a> {
    site: &'a Site,
    position: String,
    seen: Vec<Value>,
}

impl Follower<'_> {
    /// Asks a replica once; whether it has come to the end.
    fn poll(&mut self, base: &str, limit: usize) -> bool {
        let Self { site, position, .. } = self;
        let url = format!(
            "{base}/v1/tenants/{}/changes?after={position}&limit={limit}",
            site.tenant
        );
        let mut answer = Value::Null;
        until("the feed is answered", || {
            let told = site.http.get(&url, &[("authorization", &site.admin)]);
            if told.status == 503 {
                return false;
            }
            answer = told.expect(200);
            true
        });
        answer["position"]
            .as_str()
            .unwrap()
            .clone_into(&mut self.position);
        self.seen
            .extend(answer["items"].as_array().unwrap().iter().cloned());
        answer["has_more"] == false
    }
}

fn started(site: &Site) -> Replica {
    let replica = site.replica();
    site.until_ready(&replica);
    replica
}

#[test]
fn a_follower_that_was_away_while_postgresql_was_killed_and_servers_restarted_misses_nothing() {
    let mut postgres = OwnServer::new();
    let site = Site::new(&postgres.url());
    let (mut first, mut second) = (started(&site), started(&site));
    let bases = Mutex::new([first.api.clone(), second.api.clone()]);
    let (ended, counted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let made = Mutex::new(BTreeSet::new());
    let mut polling = Follower {
        site: &site,
        position: "now".to_owned(),
        seen: Vec::new(),
    };
    assert!(polling.poll(&first.api, 1));
    assert!(polling.seen.is_empty());
    let url = |replica: &Replica, after: &str| {
        format!(
            "{}/v1/tenants/{}/changes?after={after}",
            replica.api, site.tenant
        )
    };
    let authorization = [("authorization", site.admin.as_str())];
    let mut heard = Vec::new();
    let mut listened = polling.position.clone();
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (site, bases, ended, made, counted) = (&site, &bases, &ended, &made, &counted);
            scope.spawn(move || make(site, bases, worker, ended, made, counted));
        }
        let some_more = |by: usize| {
            let before = counted.load(Ordering::SeqCst);
            until("more is made", || {
                counted.load(Ordering::SeqCst) >= before + by
            });
        };
        some_more(10);
        // Both come as far as the middle, and are away from then on.
        while polling.seen.len() < 5 {
            polling.poll(&first.api, 2);
        }
        let mut stream = EventStream::open(&url(&first, &listened), &authorization);
        for _ in 0..5 {
            let event = stream.event();
            listened = event.id;
            heard.push(event.data);
        }
        drop(stream);

        some_more(5);
        postgres.kill();
        postgres.start();
        some_more(10);
        // On a replica that is another, and after the kill.
        polling.poll(&second.api, 3);
        first.stop();
        first = started(&site);
        bases.lock().unwrap()[0].clone_from(&first.api);
        some_more(5);
        second.stop();
        second = started(&site);
        bases.lock().unwrap()[1].clone_from(&second.api);
        some_more(5);
        ended.store(true, Ordering::SeqCst);
    });
    let made = made.into_inner().unwrap();

    while !polling.poll(&first.api, 7) {}
    let mut stream = EventStream::open(&url(&second, &listened), &authorization);
    while heard.len() < polling.seen.len() {
        heard.push(stream.event().data);
    }
    let once: BTreeSet<String> = polling
        .seen
        .iter()
        .map(|event| target(event).into())
        .collect();
    assert_eq!(once.len(), polling.seen.len(), "something came twice");
    assert_eq!(once, made);
    let ids = |events: &[Value]| -> Vec<Value> {
        let id = |event: &Value| event["audit_event_id"].clone();
        events.iter().map(id).collect()
    };
    assert_eq!(ids(&heard), ids(&polling.seen));
}
