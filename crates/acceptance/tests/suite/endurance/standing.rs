//! A server that stood still, was cut off, or was reached late: it says nothing, or the truth.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use grantor_acceptance::Credentials;
use grantor_test_support::{SocketProxy, TcpProxy, TestDatabase};

use super::Course;
use super::fleet::{Fleet, Ground, Setup};
use super::lane::{FORMATS, Lane};
use super::report::{Report, rounds};
use super::revocation::{Stroke, Tally, assert_alive, assert_dead};
use super::talk::{Said, Talk, at_last};

/// The strokes that end a token.
const ENDING: [Stroke; 5] = [
    Stroke::RotateWithTokens,
    Stroke::Disable,
    Stroke::RemoveAll,
    Stroke::Revoke,
    Stroke::Delete,
];

/// Which of the two token servers something happens to.
const FAR: usize = 1;

/// What one stroke has ended: the tokens, and what nobody gets a token by any more.
struct Ended {
    tokens: Vec<String>,
    secret: Option<Credentials>,
}

/// Strikes without the far server's help.
fn strike_from_near(talk: &Talk<'_>, lane: &Lane, stroke: Stroke, token: &str) -> Ended {
    let token = token.to_owned();
    let (secret, mut tokens) = match stroke {
        Stroke::RotateWithTokens => {
            let (old, others) = lane.rotate(talk, true);
            (Some(old), others)
        }
        Stroke::Disable => {
            lane.disable(talk);
            (Some(lane.current()), Vec::new())
        }
        Stroke::Delete => {
            let (old, others) = lane.replace(talk);
            (Some(old), others)
        }
        Stroke::RemoveAll => {
            lane.remove_all(talk);
            (None, Vec::new())
        }
        Stroke::Revoke | Stroke::Remove | Stroke::Rotate | Stroke::RevokeSecret => {
            talk.revoke(0, &lane.current(), &token);
            (None, Vec::new())
        }
    };
    tokens.truncate(2);
    tokens.push(token);
    Ended { tokens, secret }
}

/// Asks the far server for everything that was ended, all at once; `meanwhile` happens while it is asked.
fn ask_for_the_ended(
    ground: &Ground,
    ended: &Ended,
    stroke: Stroke,
    tally: &Tally,
    meanwhile: impl FnOnce(),
) {
    thread::scope(|scope| {
        for token in &ended.tokens {
            scope.spawn(move || {
                let said = Talk::new(ground).active(FAR, token);
                tally.not(&said, "a token is active", stroke);
            });
        }
        for (secret, format) in ended.secret.iter().zip(FORMATS) {
            scope.spawn(move || {
                let said = Talk::new(ground).token(FAR, secret, format);
                tally.not(&said, "a secret gets a token", stroke);
            });
        }
        meanwhile();
    });
}

/// Undoes what can be undone, and looks whether everything is as it should be.
fn settle(talk: &Talk<'_>, lane: &Lane, stroke: Stroke, token: String, tally: &Tally) {
    if stroke == Stroke::Disable {
        lane.enable(talk);
        assert_alive(talk, &token);
    } else {
        assert_dead(talk, &token, stroke, tally);
        lane.bury(token);
    }
    // Whatever a request that was under way has brought home by a secret that is dead: it is dead too.
    for late in lane.issued_by_dead_secrets().iter().take(8) {
        assert_dead(talk, late, stroke, tally);
    }
}

#[test]
fn pause_4_a_server_that_stood_still_meanwhile_says_the_truth_when_it_wakes() {
    let database = TestDatabase::new();
    let fleet = Fleet::start(&database.url(), Setup::PATIENT);
    let ground = &fleet.ground;
    let mut report = Report::begin("a server that stood still");
    let (course, tally, asked) = (Course::of(1), Tally::default(), AtomicUsize::new(0));
    let lane = Lane::make(&Talk::new(ground), "Lane");
    let rounds = rounds(600) as usize;
    thread::scope(|scope| {
        // Somebody is always under way there when it is held.
        for number in 0..4 {
            let (lane, course, asked) = (&lane, &course, &asked);
            scope.spawn(move || {
                let _part = course.following();
                let talk = Talk::new(ground);
                for round in (number..).take_while(|_| course.goes_on()) {
                    asked.fetch_add(lane.ask(&talk, FAR, round), Ordering::SeqCst);
                }
            });
        }
        let _part = course.leading();
        let talk = Talk::new(ground);
        for round in (0..rounds).take_while(|_| course.goes_on()) {
            let stroke = ENDING[round % ENDING.len()];
            let token = talk.token_at_last(round / 5 % 2, &lane.current(), FORMATS[round / 10 % 2]);
            assert_alive(&talk, &token);
            let held = Held::hold(&fleet);
            let ended = strike_from_near(&talk, &lane, stroke, &token);
            ask_for_the_ended(ground, &ended, stroke, &tally, || drop(held));
            settle(&talk, &lane, stroke, token, &tally);
        }
    });
    report.tell("times held", rounds);
    report.tell("asked afterwards", tally.told());
    report.tell("answered meanwhile", asked.load(Ordering::SeqCst));
    report.end();
}

/// The far server stands still until this is dropped: also when the test fails, for others wait for its answers.
struct Held<'a>(&'a Fleet);

impl<'a> Held<'a> {
    fn hold(fleet: &'a Fleet) -> Self {
        fleet.far.hold();
        Self(fleet)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.far.wake();
    }
}

#[test]
fn pause_4_a_server_that_is_cut_off_from_postgresql_says_503_or_the_truth() {
    let database = TestDatabase::new();
    let fleet = Fleet::start(&database.url(), Setup::SHORT);
    let ground = &fleet.ground;
    let mut report = Report::begin("a server that was cut off");
    let (tally, talk) = (Tally::default(), Talk::new(ground));
    let lane = Lane::make(&talk, "Lane");
    let rounds = rounds(200) as usize;
    for round in 0..rounds {
        let stroke = ENDING[round / 2 % ENDING.len()];
        let token = talk.token_at_last(1, &lane.current(), FORMATS[round / 10 % 2]);
        assert_alive(&talk, &token);
        let outage = [SocketProxy::cut, SocketProxy::freeze][round % 2];
        outage(&fleet.proxy);
        let ended = strike_from_near(&talk, &lane, stroke, &token);
        ask_for_the_ended(ground, &ended, stroke, &tally, || {});
        fleet.proxy.heal();
        // Connections that were cut may cost another 503; the first answer that is certain is the truth.
        for token in &ended.tokens {
            assert_eq!(at_last(|| talk.active(FAR, token)), Said::No, "{stroke:?}");
        }
        if let Some(secret) = &ended.secret {
            let said = at_last(|| talk.token(FAR, secret, FORMATS[0]));
            assert_eq!(said, Said::No, "{stroke:?}");
        }
        settle(&talk, &lane, stroke, token, &tally);
    }
    report.tell("times cut off", rounds);
    report.end();
}

#[test]
fn pause_4_a_request_that_is_held_up_on_its_way_is_judged_when_it_arrives() {
    let database = TestDatabase::new();
    let fleet = Fleet::start(&database.url(), Setup::PATIENT);
    let mut report = Report::begin("a request that was held up");
    let far = fleet.ground.tokens[FAR].trim_start_matches("http://");
    let proxy = TcpProxy::start(far);
    let mut ground = fleet.ground.clone();
    ground.tokens[FAR] = format!("http://{}", proxy.address());
    let (tally, talk) = (Tally::default(), Talk::new(&ground));
    let lane = Lane::make(&talk, "Lane");
    let rounds = rounds(500) as usize;
    for round in 0..rounds {
        let stroke = ENDING[round % ENDING.len()];
        let before = lane.current();
        let token = talk.token_at_last(0, &before, FORMATS[round / 5 % 2]);
        assert_alive(&talk, &token);
        proxy.freeze();
        // These are sent before, and arrive after.
        thread::scope(|scope| {
            let (ground, tally, token) = (&ground, &tally, &token);
            scope.spawn(move || {
                let said = Talk::new(ground).active(FAR, token);
                tally.not(&said, "a token is active", stroke);
            });
            let asking = (!matches!(stroke, Stroke::Revoke | Stroke::RemoveAll)).then(|| {
                scope.spawn(move || {
                    let said = Talk::new(ground).token(FAR, &before, FORMATS[0]);
                    tally.not(&said, "a secret gets a token", stroke);
                })
            });
            let wanted = 1 + usize::from(asking.is_some());
            crate::outages::site::until("they are held up", || proxy.holding() >= wanted);
            let ended = strike_from_near(&talk, &lane, stroke, token);
            assert!(ended.tokens.contains(token));
            proxy.heal();
        });
        settle(&talk, &lane, stroke, token, &tally);
    }
    report.tell("times held up", rounds);
    report.tell("asked afterwards", tally.told());
    report.end();
}
