//! A year of partitions, made and dropped by the clock: nothing that lives is lost, nothing that is dead is kept,
//! and issuing goes on all the while.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Timestamptz};
use grantor_acceptance::{Credentials, Tenant};
use grantor_storage::partitions;
use serde_json::json;

use super::Course;
use super::report::{Report, rounds};
use crate::oauth::Orders;
use crate::outages::site::{until, wait_for};

/// How long a partition is.
const SPAN: TimeDelta = TimeDelta::hours(6);

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = BigInt)]
    overdue: i64,
    #[diesel(sql_type = BigInt)]
    partitions: i64,
}

/// What is kept of the tokens, by the time that each partition ends.
fn found(connection: &mut PgConnection, now: DateTime<Utc>) -> Found {
    diesel::sql_query(
        "SELECT count(*) FILTER (WHERE ends <= $1) AS overdue, count(*) AS partitions \
         FROM (SELECT obj_description(inhrelid, 'pg_class')::timestamptz AS ends FROM pg_inherits \
               WHERE inhparent = 'access_tokens'::regclass) parts",
    )
    .bind::<Timestamptz, _>(now)
    .get_result(connection)
    .unwrap()
}

/// A token that is looked after, and when it ends.
struct Kept {
    token: String,
    ends: DateTime<Utc>,
}

/// Whoever issues, all the time.
fn issue(orders: &Orders, by: &Credentials, course: &Course, issued: &AtomicUsize) {
    let _part = course.following();
    while course.goes_on() {
        let answer = orders
            .world
            .request_token(&orders.tenant.id, by, "orders.api:read");
        match answer.status {
            200 => {
                issued.fetch_add(1, Ordering::SeqCst);
            }
            503 | 429 => {}
            status => panic!("{status}: {}", answer.body),
        }
    }
}

fn make_client(orders: &Orders, tenant: &Tenant, seconds: i64) -> Credentials {
    let url = orders
        .world
        .api(&format!("/v1/tenants/{}/clients", tenant.id));
    let body = json!({ "name": format!("For {seconds} s"), "profile": "service",
        "allowed_scopes": ["orders.api:read"], "access_token_lifetime_seconds": seconds,
        "owner_contact": { "email": "owner@example.com" } });
    let admin = orders.world.as_admin(tenant);
    let headers = [("authorization", admin.as_str())];
    let made = orders.world.http.post_json(&url, &headers, &body);
    assert_eq!(made.status, 201, "{}", made.body);
    Credentials {
        client_id: made.text("/id"),
        client_secret: made.text("/secret/value"),
    }
}

#[test]
fn token_7_a_year_of_partitions_keeps_what_lives_drops_what_is_dead_and_holds_up_nobody() {
    let orders = Orders::new();
    let (world, tenant) = (&orders.world, &orders.tenant);
    let mut report = Report::begin("partitions");
    // Three lifetimes, from the shortest to the longest there is.
    let lasting =
        [60, 3_600, 86_400].map(|seconds| (seconds, make_client(&orders, tenant, seconds)));
    let steps = i64::from(rounds(365)) * 4;
    let (course, issued) = (Course::of(1), AtomicUsize::new(0));
    let storage = world.storage();
    let mut behind = world.database.superuser();
    let mut kept: Vec<Kept> = Vec::new();
    let (mut made, mut dropped, mut most) = (0, 0, 0);
    thread::scope(|scope| {
        let _part = course.leading();
        let (issuing, course_of_all, issued_by_all) = (&orders, &course, &issued);
        scope.spawn(move || {
            let by = &issuing.machine;
            issue(issuing, by, course_of_all, issued_by_all);
        });
        for step in 0..steps {
            // A little more than a partition at times, so that it does not always meet the border.
            world.advance(SPAN + TimeDelta::seconds(step * 97 % 61 - 30));
            let now = world.now();
            let round = wait_for(partitions::keep(&storage, now)).unwrap();
            (made, dropped) = (made + round.made, dropped + round.dropped);
            let seen = found(&mut behind, now);
            assert!(
                round.postponed > 0 || seen.overdue == 0,
                "the dead are kept"
            );
            most = most.max(seen.partitions);
            kept.retain(|token| {
                let active = world.is_active(&tenant.id, &orders.checker, &token.token);
                let lives = token.ends > now;
                assert_eq!(active, lives, "ends {}, now {now}", token.ends);
                lives
            });
            for (seconds, by) in &lasting {
                let token = world.token(&tenant.id, by, "orders.api:read");
                let ends = now + TimeDelta::seconds(*seconds);
                kept.push(Kept { token, ends });
            }
            let before = issued.load(Ordering::SeqCst);
            until("issuing goes on", || {
                issued.load(Ordering::SeqCst) > before || !course.goes_on()
            });
        }
    });
    // What is over stands at most in the partition that is under way, and eight days are made ahead.
    assert!(most <= 4 * 9 + 2, "{most} partitions");
    assert!(dropped > 0 && made > 0);
    report.tell("steps", steps);
    report.tell("partitions made", made);
    report.tell("dropped", dropped);
    report.tell("tokens issued meanwhile", issued.load(Ordering::SeqCst));
    report.end();
}

#[test]
fn token_7_who_reads_for_long_holds_up_the_dropping_and_neither_holds_up_issuing() {
    let orders = Orders::new();
    let world = &orders.world;
    let mut report = Report::begin("dropping against a long read");
    let (course, issued) = (Course::of(1), AtomicUsize::new(0));
    let storage = world.storage();
    let (mut reader, mut behind) = (world.database.superuser(), world.database.superuser());
    let tries = rounds(100).max(3);
    let mut postponed = 0;
    thread::scope(|scope| {
        let _part = course.leading();
        for _ in 0..2 {
            let (orders, course, issued) = (&orders, &course, &issued);
            scope.spawn(move || issue(orders, &orders.machine, course, issued));
        }
        world.advance(TimeDelta::days(2));
        reader
            .batch_execute("BEGIN; SELECT FROM access_tokens LIMIT 1")
            .unwrap();
        for _ in 0..tries {
            let before = issued.load(Ordering::SeqCst);
            let kept = wait_for(partitions::keep(&storage, world.now())).unwrap();
            let seen = found(&mut behind, world.now());
            assert!(seen.overdue > 0, "dropped under somebody who reads");
            postponed += kept.postponed;
            until("issuing goes on", || {
                issued.load(Ordering::SeqCst) > before || !course.goes_on()
            });
        }
        reader.batch_execute("ROLLBACK").unwrap();
        // Whoever issues may be in the way of a round, and not for long.
        until("what is over is dropped", || {
            wait_for(partitions::keep(&storage, world.now())).unwrap();
            found(&mut behind, world.now()).overdue == 0
        });
    });
    assert!(postponed > 0);
    report.tell("tries", tries);
    report.tell("tokens issued meanwhile", issued.load(Ordering::SeqCst));
    report.end();
}
