//! `kill -9`, of a token server and of PostgreSQL, while many ask: what was answered is on record, and what was
//! revoked stays so.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use grantor_test_support::TestDatabase;

use super::Course;
use super::fleet::{Fleet, Ground, Setup};
use super::lane::{FORMATS, Lane};
use super::report::{Report, rounds};
use super::talk::{Said, Talk, at_last};
use crate::outages::site::{OwnServer, until};

/// How many ask.
const ASKING: usize = 4;
/// How many tokens come before each kill.
const BETWEEN: usize = 24;

/// How many may come while a server is killed and all are looked at. One looks at what many were answered: without an end
/// there would be more each time.
const MEANWHILE: usize = 400;

/// How often those who wait look whether all is over.
const PATIENCE: Duration = Duration::from_millis(100);

/// What was answered.
#[derive(Default)]
struct Answered {
    issued: Vec<String>,
    revoked: Vec<String>,
}

/// What all know together.
struct Ledger {
    answered: Mutex<Answered>,
    count: AtomicUsize,
    /// Up to which count tokens may come.
    until: Mutex<usize>,
    goes_on: Condvar,
}

impl Ledger {
    fn new() -> Self {
        Self {
            answered: Mutex::default(),
            count: AtomicUsize::new(0),
            until: Mutex::default(),
            goes_on: Condvar::new(),
        }
    }

    /// Issues tokens, and revokes every third, until the course is over.
    fn fill(&self, ground: &Ground, lane: &Lane, course: &Course, number: usize) {
        let _part = course.following();
        let talk = Talk::new(ground);
        let by = lane.current();
        for round in (number..).take_while(|_| course.goes_on()) {
            self.wait_for_room(course);
            let server = round % 2;
            let token = match talk.token(server, &by, FORMATS[round / 2 % 2]) {
                Said::Yes(token) => token,
                Said::No => panic!("a good client was refused"),
                Said::Busy => continue,
            };
            self.count.fetch_add(1, Ordering::SeqCst);
            if round % 3 == 0 {
                // What was asked for and not answered may have happened, so such a token is not looked at again.
                let form = format!("token={token}");
                let answer = talk.form(server, "revoke", &by, &form);
                if answer.is_some_and(|answer| answer.status == 200) {
                    self.known().revoked.push(token);
                }
            } else {
                self.known().issued.push(token);
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Answered> {
        self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for_room(&self, course: &Course) {
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        while self.count.load(Ordering::SeqCst) >= *until && course.goes_on() {
            let waited = self.goes_on.wait_timeout(until, PATIENCE);
            (until, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn until_some_more(&self, course: &Course) {
        let before = self.count.load(Ordering::SeqCst);
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = before + BETWEEN + MEANWHILE;
        self.goes_on.notify_all();
        until("some more tokens", || {
            self.count.load(Ordering::SeqCst) >= before + BETWEEN || !course.goes_on()
        });
    }

    /// Looks at everything that was answered so far, and forgets all but a few.
    fn check(&self, talk: &Talk<'_>, looked_at: &mut usize) {
        let answered = std::mem::take(&mut *self.known());
        for (number, token) in answered.issued.iter().enumerate() {
            let said = at_last(|| talk.active(number % 2, token));
            assert!(said.is_yes(), "a token that was answered is gone");
        }
        for (number, token) in answered.revoked.iter().enumerate() {
            let said = at_last(|| talk.active(number % 2, token));
            assert_eq!(said, Said::No, "a revoked token is back");
        }
        *looked_at += answered.issued.len() + answered.revoked.len();
    }
}

/// Lets many ask, and kills again and again.
fn among_many(ground: &Ground, kills: u32, mut kill_and_start: impl FnMut()) -> usize {
    let (ledger, course) = (Ledger::new(), Course::of(1));
    let mut looked_at = 0;
    let talk = Talk::new(ground);
    let lanes: Vec<Lane> = (0..ASKING)
        .map(|number| Lane::make(&talk, &format!("Lane {number}")))
        .collect();
    thread::scope(|scope| {
        let _part = course.leading();
        for (number, lane) in lanes.iter().enumerate() {
            let (ledger, course) = (&ledger, &course);
            scope.spawn(move || ledger.fill(ground, lane, course, number));
        }
        for _ in 0..kills {
            ledger.until_some_more(&course);
            kill_and_start();
            ledger.check(&talk, &mut looked_at);
        }
        ledger.until_some_more(&course);
        ledger.check(&talk, &mut looked_at);
    });
    looked_at
}

#[test]
fn token_1_a_token_whose_answer_arrived_is_on_record_although_its_server_was_killed() {
    let database = TestDatabase::new();
    let mut fleet = Fleet::start(&database.url(), Setup::PATIENT);
    let ground = fleet.ground.clone();
    let mut report = Report::begin("kill -9 of a token server");
    let kills = rounds(50);
    let looked_at = among_many(&ground, kills, || {
        fleet.far.kill();
        fleet.far.start_again();
    });
    report.tell("kills", kills);
    report.tell("tokens looked at", looked_at);
    report.end();
}

#[test]
fn token_1_a_token_whose_answer_arrived_is_on_record_although_postgresql_was_killed() {
    let mut postgres = OwnServer::new();
    let fleet = Fleet::start(&postgres.url(), Setup::SHORT);
    let ground = fleet.ground.clone();
    let mut report = Report::begin("kill -9 of PostgreSQL");
    let kills = rounds(50);
    let looked_at = among_many(&ground, kills, || {
        postgres.kill();
        postgres.start();
    });
    report.tell("kills", kills);
    report.tell("tokens looked at", looked_at);
    report.end();
    drop(fleet);
}
