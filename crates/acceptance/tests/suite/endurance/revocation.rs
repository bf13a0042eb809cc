//! A call that ends something has returned: nothing of it succeeds later, on either server, though many ask.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use grantor_acceptance::Credentials;
use grantor_test_support::TestDatabase;
use serde_json::{Value, json};

use super::Course;
use super::fleet::{Fleet, Setup};
use super::lane::{FORMATS, Lane};
use super::report::{Report, rounds};
use super::talk::{Said, Talk, at_last};
use crate::outages::site::until;

/// What is done to a client or to a token of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stroke {
    Revoke,
    RotateWithTokens,
    Disable,
    RemoveAll,
    Remove,
    Rotate,
    RevokeSecret,
    Delete,
}

impl Stroke {
    pub(super) const ALL: [Self; 8] = [
        Self::Revoke,
        Self::RotateWithTokens,
        Self::Disable,
        Self::RemoveAll,
        Self::Remove,
        Self::Rotate,
        Self::RevokeSecret,
        Self::Delete,
    ];
}

/// What was asked after a stroke, and how often the answer was certain.
#[derive(Debug, Default)]
pub(super) struct Tally {
    asked: AtomicUsize,
    certain: AtomicUsize,
}

impl Tally {
    /// Whatever was asked, it must not be yes.
    #[track_caller]
    pub(super) fn not(&self, said: &Said, what: &str, stroke: Stroke) {
        assert!(!said.is_yes(), "{what} after {stroke:?}");
        self.asked.fetch_add(1, Ordering::SeqCst);
        let certain = usize::from(*said == Said::No);
        self.certain.fetch_add(certain, Ordering::SeqCst);
    }

    pub(super) fn told(&self) -> String {
        let (asked, certain) = (
            self.asked.load(Ordering::SeqCst),
            self.certain.load(Ordering::SeqCst),
        );
        assert!(certain > 0, "none of {asked} were certain");
        format!("{asked} ({certain} certain)")
    }
}

/// A token is good for nothing, anywhere.
pub(super) fn assert_dead(talk: &Talk<'_>, token: &str, stroke: Stroke, tally: &Tally) {
    for server in [0, 1] {
        let said = talk.active(server, token);
        tally.not(&said, "a token is active", stroke);
    }
    let said = talk.usable(token);
    tally.not(&said, "a token is good at the API", stroke);
}

/// A secret is good for nothing, on either server.
pub(super) fn assert_refused(
    talk: &Talk<'_>,
    by: &Credentials,
    round: usize,
    stroke: Stroke,
    tally: &Tally,
) {
    for server in [0, 1] {
        let said = talk.token(server, by, FORMATS[round % 2]);
        tally.not(&said, "a secret gets a token", stroke);
        // It must not say whether others' tokens are active either.
        let answer = talk.form(server, "introspect", by, "token=x");
        let is_let_in = answer.is_some_and(|answer| answer.status == 200);
        let said = if is_let_in {
            Said::Yes(String::new())
        } else {
            Said::Busy
        };
        assert!(!said.is_yes(), "a secret introspects after {stroke:?}");
    }
}

#[track_caller]
pub(super) fn assert_alive(talk: &Talk<'_>, token: &str) {
    for server in [0, 1] {
        let said = at_last(|| talk.active(server, token));
        assert!(said.is_yes(), "a token that nothing ended is not active");
    }
    let said = at_last(|| talk.usable(token));
    assert!(said.is_yes(), "a token that nothing ended is refused");
}

/// Removes one token by its id, which introspection tells.
fn remove(talk: &Talk<'_>, lane: &Lane, token: &str) {
    let mut id = None;
    until("its id", || {
        let answer = talk.introspect(0, token);
        let answer = answer.filter(|answer| answer.status == 200);
        id = answer.map(|answer| answer.text("/jti"));
        id.is_some()
    });
    let id = id.expect("its id");
    let done = talk.change("DELETE", &lane.path(&format!("/tokens/{id}")), &Value::Null);
    // Asked once more after a 503 that was none: it is gone all the same.
    assert!(matches!(done.status, 204 | 404), "{}", done.body);
}

/// One stroke, and all that must not succeed after it.
pub(super) fn strike(talk: &Talk<'_>, lane: &Lane, stroke: Stroke, round: usize, tally: &Tally) {
    let format = FORMATS[round / 8 % 2];
    let token = talk.token_at_last(round % 2, &lane.current(), format);
    assert_alive(talk, &token);
    match stroke {
        Stroke::Revoke => {
            talk.revoke(round / 2 % 2, &lane.current(), &token);
            assert_dead(talk, &token, stroke, tally);
            lane.bury(token);
        }
        Stroke::RemoveAll => {
            lane.remove_all(talk);
            assert_dead(talk, &token, stroke, tally);
            lane.bury(token);
        }
        Stroke::Remove => {
            let others = talk.token_at_last(round % 2, &lane.current(), format);
            remove(talk, lane, &token);
            assert_dead(talk, &token, stroke, tally);
            // token_3: the others live on.
            assert_alive(talk, &others);
            lane.bury(token);
        }
        Stroke::RotateWithTokens => {
            let (old, others) = lane.rotate(talk, true);
            assert_dead(talk, &token, stroke, tally);
            assert_refused(talk, &old, round, stroke, tally);
            for other in others.iter().rev().take(4) {
                assert_dead(talk, other, stroke, tally);
            }
            lane.bury(token);
        }
        Stroke::Disable => {
            lane.disable(talk);
            assert_dead(talk, &token, stroke, tally);
            assert_refused(talk, &lane.current(), round, stroke, tally);
            lane.enable(talk);
            // pause_3: what did not expire works again.
            assert_alive(talk, &token);
        }
        Stroke::Rotate => {
            let (old, _) = lane.rotate(talk, false);
            assert_refused(talk, &old, round, stroke, tally);
            assert_alive(talk, &token);
        }
        Stroke::RevokeSecret => {
            let made = talk.change("POST", &lane.path("/secrets"), &json!({}));
            assert_eq!(made.status, 201, "{}", made.body);
            let further = Credentials {
                client_secret: made.text("/secret/value"),
                ..lane.current()
            };
            talk.token_at_last(round % 2, &further, format);
            let path = lane.path(&format!("/secrets/{}", made.text("/secret/id")));
            let gone = talk.change("DELETE", &path, &Value::Null);
            assert!(matches!(gone.status, 200 | 204), "{}", gone.body);
            assert_refused(talk, &further, round, stroke, tally);
        }
        Stroke::Delete => {
            let (old, others) = lane.replace(talk);
            assert_dead(talk, &token, stroke, tally);
            assert_refused(talk, &old, round, stroke, tally);
            for other in others.iter().rev().take(4) {
                assert_dead(talk, other, stroke, tally);
            }
            lane.bury(token);
        }
    }
    // What was made anew, rotated or enabled works at once, on both.
    for server in [0, 1] {
        talk.token_at_last(server, &lane.current(), format);
    }
}

#[test]
fn pause_4_what_a_call_has_ended_is_good_for_nothing_on_any_server_once_it_has_returned() {
    const LANES: usize = 4;
    const ASKING: usize = 4;
    let database = TestDatabase::new();
    let fleet = Fleet::start(&database.url(), Setup::PATIENT);
    let mut report = Report::begin("what a call has ended");
    let tries = rounds(10_000) as usize / LANES;
    let (course, tally) = (Course::of(LANES), Tally::default());
    let asked = AtomicUsize::new(0);
    let ground = &fleet.ground;
    let lanes: Vec<Lane> = (0..LANES)
        .map(|number| Lane::make(&Talk::new(ground), &format!("Lane {number}")))
        .collect();
    thread::scope(|scope| {
        for (number, lane) in lanes.iter().enumerate() {
            let (tally, course) = (&tally, &course);
            scope.spawn(move || {
                let _part = course.leading();
                let talk = Talk::new(ground);
                for round in (0..tries).take_while(|_| course.goes_on()) {
                    let stroke = Stroke::ALL[(round + number) % Stroke::ALL.len()];
                    strike(&talk, lane, stroke, round, tally);
                }
            });
        }
        for number in 0..ASKING {
            let (lanes, asked, course) = (&lanes, &asked, &course);
            scope.spawn(move || {
                let _part = course.following();
                let talk = Talk::new(ground);
                for round in (number..).take_while(|_| course.goes_on()) {
                    let certain = lanes[round / 2 % LANES].ask(&talk, round % 2, round);
                    asked.fetch_add(certain, Ordering::SeqCst);
                }
            });
        }
    });
    report.tell("strokes", tries * LANES);
    report.tell("asked afterwards", tally.told());
    report.tell("answered meanwhile", asked.load(Ordering::SeqCst));
    report.end();
}
