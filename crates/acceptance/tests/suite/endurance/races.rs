//! Issuing against what ends or narrows tokens: judged by the order of events as clients see them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use grantor_acceptance::Credentials;
use grantor_test_support::TestDatabase;
use serde_json::{Value, json};

use super::Course;
use super::fleet::{Fleet, Ground, Setup};
use super::report::{Report, rounds};
use super::talk::{Said, Talk, at_last};
use crate::outages::site::until;

/// How many threads issue for each client.
const ISSUING: usize = 3;
/// How many tokens of a kind are looked at; the newest, for they ran against the change.
const LOOKED_AT: usize = 6;
/// The same of those that must be dead.
const DEAD_LOOKED_AT: usize = 24;
const SCOPES: [&str; 2] = [
    "signed.api:read signed.api:write",
    "opaque.api:read opaque.api:write",
];

/// What issuing runs against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Against {
    Disabling,
    RemovingAll,
    Rotating,
    ShrinkingScopes,
    TighteningAddresses,
}

impl Against {
    const ALL: [Self; 5] = [
        Self::Disabling,
        Self::RemovingAll,
        Self::Rotating,
        Self::ShrinkingScopes,
        Self::TighteningAddresses,
    ];
}

/// A token, between the moments at which it was asked for and had.
#[derive(Debug, Clone)]
struct Had {
    asked: u64,
    answered: u64,
    generation: u64,
    token: String,
}

/// A client, and all that was got for it.
struct Race<'a> {
    /// Moments in the order in which all threads see them.
    clock: &'a AtomicU64,
    by: Mutex<(u64, Credentials)>,
    had: Mutex<Vec<Had>>,
    /// For each thread that issues: when it asked what was last answered for certain.
    certain: [AtomicU64; ISSUING],
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Race<'_> {
    fn moment(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    fn issue(&self, ground: &Ground, course: &Course, number: usize, scope: &str) {
        let _part = course.following();
        let talk = Talk::new(ground);
        for round in (number..).take_while(|_| course.goes_on()) {
            let (generation, by) = locked(&self.by).clone();
            let asked = self.moment();
            let said = talk.token(round % 2, &by, scope);
            let answered = self.moment();
            if said != Said::Busy {
                self.certain[number].store(asked, Ordering::SeqCst);
            }
            if let Said::Yes(token) = said {
                locked(&self.had).push(Had {
                    asked,
                    answered,
                    generation,
                    token,
                });
            }
        }
    }

    /// Waits until everybody who issues has asked after this moment, and was answered for certain.
    fn until_all_asked_after(&self, moment: u64, course: &Course) {
        until("everybody is answered", || {
            let asked = |certain: &AtomicU64| certain.load(Ordering::SeqCst) > moment;
            self.certain.iter().all(asked) || !course.goes_on()
        });
    }

    /// What was had that fits, the newest first.
    fn those(&self, fits: impl Fn(&Had) -> bool) -> Vec<Had> {
        let had = locked(&self.had);
        had.iter().rev().filter(|had| fits(had)).cloned().collect()
    }

    /// Changes the client; tells the moments before it was asked for and after the answer was read.
    fn change(
        &self,
        talk: &Talk<'_>,
        method: &str,
        below: &str,
        body: &Value,
    ) -> (u64, u64, Value) {
        let client = locked(&self.by).1.client_id.clone();
        let before = self.moment();
        let done = talk.change(method, &format!("/clients/{client}{below}"), body);
        let after = self.moment();
        assert!(matches!(done.status, 200 | 204), "{}", done.body);
        let told = (done.status == 200).then(|| done.json());
        (before, after, told.unwrap_or_default())
    }

    /// A change and what undoes it; nothing that was asked for in between is issued, and what was had before or
    /// afterwards is active in the end.
    fn against(&self, talk: &Talk<'_>, course: &Course, to: &(&str, Value), back: &(&str, Value)) {
        let method = |body: &Value| if body.is_null() { "POST" } else { "PATCH" };
        let (_, from, _) = self.change(talk, method(&to.1), to.0, &to.1);
        self.until_all_asked_after(from, course);
        let (until, over, _) = self.change(talk, method(&back.1), back.0, &back.1);
        let wrong = self.those(|had| had.asked > from && had.answered < until);
        assert!(wrong.is_empty(), "issued meanwhile: {wrong:?}");
        self.until_all_asked_after(over, course);
        assert_active(talk, &self.those(|had| had.answered < from), "before");
        assert_active(talk, &self.those(|had| had.asked > over), "after");
    }

    fn remove_all(&self, talk: &Talk<'_>, course: &Course) {
        let (until, from, _) = self.change(talk, "POST", "/tokens/remove-all", &Value::Null);
        self.until_all_asked_after(from, course);
        let dead = self.those(|had| had.answered < until);
        for (number, had) in dead.iter().take(DEAD_LOOKED_AT).enumerate() {
            let said = at_last(|| talk.active(number % 2, &had.token));
            assert_eq!(said, Said::No, "survived: {had:?}");
        }
        assert_active(talk, &self.those(|had| had.asked > from), "after");
        // What was asked for meanwhile is dead or alive, and the same everywhere.
        for had in self.those(|had| had.answered > until && had.asked < from) {
            let [near, far] = [0, 1].map(|server| at_last(|| talk.active(server, &had.token)));
            assert_eq!(near, far, "{had:?}");
        }
        locked(&self.had).retain(|had| had.asked > from);
    }

    fn rotate(&self, talk: &Talk<'_>, course: &Course) {
        let body = json!({ "confirm_name": "Racer", "revoke_tokens": true });
        let (_, after, done) = self.change(talk, "POST", "/secrets/rotate", &body);
        let new = {
            let mut by = locked(&self.by);
            by.0 += 1;
            by.1.client_secret = done["secret"]["value"].as_str().unwrap().to_owned();
            by.0
        };
        let begun = self.moment();
        self.until_all_asked_after(begun, course);
        let late = self.those(|had| had.generation < new && had.asked > after);
        assert!(late.is_empty(), "issued by a dead secret: {late:?}");
        let dead = self.those(|had| had.generation < new);
        for (number, had) in dead.iter().take(DEAD_LOOKED_AT).enumerate() {
            let said = at_last(|| talk.active(number % 2, &had.token));
            assert_eq!(said, Said::No, "survived: {had:?}");
        }
        assert_active(talk, &self.those(|had| had.generation == new), "after");
    }

    fn shrink(&self, talk: &Talk<'_>, course: &Course, format: usize) {
        let [read, write] = ["read", "write"].map(|name| scope(format, name));
        let narrow = json!({ "allowed_scopes": [read] });
        let (_, from, _) = self.change(talk, "PATCH", "", &narrow);
        self.until_all_asked_after(from, course);
        // token_8: what was got before is narrowed, also what ran against the change.
        assert_scope(talk, &self.those(|_| true), &read);
        let wide = json!({ "allowed_scopes": [read, write] });
        let (until, over, _) = self.change(talk, "PATCH", "", &wide);
        let wrong = self.those(|had| had.asked > from && had.answered < until);
        assert!(wrong.is_empty(), "issued with a scope too many: {wrong:?}");
        self.until_all_asked_after(over, course);
        let both = format!("{read} {write}");
        assert_scope(talk, &self.those(|had| had.asked > over), &both);
        assert_scope(talk, &self.those(|had| had.answered < from), &both);
    }
}

fn assert_active(talk: &Talk<'_>, those: &[Had], when: &str) {
    for (number, had) in those.iter().take(LOOKED_AT).enumerate() {
        let said = at_last(|| talk.active(number % 2, &had.token));
        assert!(said.is_yes(), "killed although got {when}: {had:?}");
    }
}

fn assert_scope(talk: &Talk<'_>, those: &[Had], wanted: &str) {
    for (number, had) in those.iter().take(LOOKED_AT).enumerate() {
        let mut told = Value::Null;
        until("an answer that is certain", || {
            let answer = talk.introspect(number % 2, &had.token);
            let answer = answer.filter(|answer| answer.status == 200);
            told = answer.map_or(Value::Null, |answer| answer.json());
            !told.is_null()
        });
        assert_eq!(told["scope"], wanted, "{had:?}");
    }
}

fn scope(format: usize, name: &str) -> String {
    let both = SCOPES[format].split(' ');
    let mut fitting = both.filter(|scope| scope.ends_with(name));
    fitting.next().unwrap().to_owned()
}

#[test]
fn pause_2_issuing_that_runs_against_a_change_yields_to_it_and_to_nothing_else() {
    let database = TestDatabase::new();
    let fleet = Fleet::start(&database.url(), Setup::PATIENT);
    let ground = &fleet.ground;
    let mut report = Report::begin("issuing against changes");
    let rounds = rounds(2_000) as usize / 2;
    let (clock, course) = (AtomicU64::new(1), Course::of(2));
    let mut got = 0;
    thread::scope(|scope| {
        let leading: Vec<_> = [0, 1]
            .map(|format| {
                let (clock, course) = (&clock, &course);
                scope.spawn(move || run(ground, clock, course, format, rounds))
            })
            .into_iter()
            .collect();
        for race in leading {
            got += race.join().unwrap();
        }
    });
    report.tell("rounds", rounds * 2);
    report.tell("tokens got meanwhile", got);
    report.end();
}

/// One client against which everything is done, in turn. Tells how many tokens it got.
fn run(ground: &Ground, clock: &AtomicU64, course: &Course, format: usize, rounds: usize) -> usize {
    let _part = course.leading();
    let talk = Talk::new(ground);
    let scopes: Vec<&str> = SCOPES[format].split(' ').collect();
    let race = Race {
        clock,
        by: Mutex::new((0, talk.make_client("Racer", &scopes))),
        had: Mutex::default(),
        certain: Default::default(),
    };
    let own = Course::of(1);
    let mut got = 0;
    thread::scope(|scope| {
        let _own = own.leading();
        for number in 0..ISSUING {
            let (race, own) = (&race, &own);
            scope.spawn(move || race.issue(ground, own, number, SCOPES[format]));
        }
        race.until_all_asked_after(0, &own);
        for round in 0..rounds {
            if !(own.goes_on() && course.goes_on()) {
                break;
            }
            let patch = |rules: &[&str]| ("", json!({ "allowed_ips": rules }));
            match Against::ALL[round % Against::ALL.len()] {
                Against::Disabling => {
                    let (to, back) = (("/disable", Value::Null), ("/enable", Value::Null));
                    race.against(&talk, &own, &to, &back);
                }
                Against::TighteningAddresses => {
                    race.against(&talk, &own, &patch(&["10.0.0.0/8"]), &patch(&[]));
                }
                Against::RemovingAll => race.remove_all(&talk, &own),
                Against::ShrinkingScopes => race.shrink(&talk, &own, format),
                Against::Rotating => {
                    race.rotate(&talk, &own);
                    got += locked(&race.had).len();
                    let mut had = locked(&race.had);
                    let newest = had.iter().map(|had| had.generation).max();
                    had.retain(|had| Some(had.generation) == newest);
                    got -= had.len();
                }
            }
        }
    });
    got + locked(&race.had).len()
}
