//! Floods of what is wrong, idle or slow: who is good goes on, and the server's memory stays within bounds.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use grantor_acceptance::{Credentials, Http};
use grantor_test_support::TestDatabase;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use super::Course;
use super::fleet::{Fleet, Ground, Setup};
use super::lane::FORMATS;
use super::report::{Report, rounds};
use super::talk::{Said, Talk};
use crate::outages::site::until;

/// A secret as somebody would choose it who lets a machine draw it.
const CHOSEN: &str = "Vq7-mX2_kT9wR4zB8nLpC3sYd6hJ1gFe";
/// How many flood at once.
const FLOODING: usize = 8;
/// Where a tenant's keys are.
const KEYS: &str = "jwks";
/// How much memory a server may take beyond what it had, for each hash that runs at once.
const MEMORY_OF_A_HASH: u64 = 19 << 20;
/// And for each connection that is held open.
const MEMORY_OF_A_CONNECTION: u64 = 32 << 10;
/// And for all else.
const MEMORY_BESIDES: u64 = 48 << 20;

/// What a flood may come to, in bytes.
fn memory_bound(connections: usize) -> u64 {
    // Guesses may take half of the cores.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let hashes = (cores / 2).max(1) as u64;
    MEMORY_BESIDES + MEMORY_OF_A_HASH * hashes + MEMORY_OF_A_CONNECTION * connections as u64
}

/// What the good ask for meanwhile, and how long it took them.
#[derive(Default)]
struct Good {
    took: Mutex<Vec<Duration>>,
    done: AtomicUsize,
    /// So often they were told to come again.
    put_off: AtomicUsize,
}

impl Good {
    fn ask(&self, ground: &Ground, by: &Credentials, course: &Course, number: usize) {
        let _part = course.following();
        let talk = Talk::new(ground);
        for round in (number..).take_while(|_| course.goes_on()) {
            let begun = Instant::now();
            match talk.token(0, by, FORMATS[round % 2]) {
                Said::Yes(token) => {
                    let mut took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
                    took.push(begun.elapsed());
                    drop(took);
                    let said = talk.active(0, &token);
                    assert_ne!(said, Said::No, "what was just issued is not active");
                    let form = format!("token={token}");
                    let revoked = talk.form(0, "revoke", by, &form);
                    if revoked.is_some_and(|answer| answer.status == 200) {
                        let said = talk.active(0, &token);
                        assert!(!said.is_yes(), "what was revoked is active");
                    }
                    self.done.fetch_add(1, Ordering::SeqCst);
                }
                Said::No => panic!("a good client was refused"),
                Said::Busy => {
                    self.put_off.fetch_add(1, Ordering::SeqCst);
                }
            }
        }
    }

    /// How long the slowest of a hundred took, since this was asked the last time, when so many more were answered.
    fn p99_of(&self, wanted: usize, course: &Course) -> Duration {
        self.took
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let goal = self.done.load(Ordering::SeqCst) + wanted;
        while self.done.load(Ordering::SeqCst) < goal && course.goes_on() {
            // However slow the machine is, there is always a next one.
            let so_far = self.done.load(Ordering::SeqCst);
            until("the good are served", || {
                self.done.load(Ordering::SeqCst) > so_far || !course.goes_on()
            });
        }
        let mut took = self
            .took
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        took.sort();
        let place = took.len() * 99 / 100;
        took.get(place).copied().unwrap_or_default()
    }
}

/// What somebody says who has no business here, and from where.
struct Wrong {
    tenant: String,
    endpoint: &'static str,
    client: String,
    secret: String,
    from: String,
}

/// Says it again and again; counts the answers by their status.
fn flood(
    ground: &Ground,
    course: &Course,
    answers: &Mutex<BTreeMap<u16, usize>>,
    number: usize,
    say: impl Fn(usize) -> Wrong,
) {
    let _part = course.following();
    let http = Http::default();
    for round in (number..)
        .step_by(FLOODING)
        .take_while(|_| course.goes_on())
    {
        let Wrong {
            tenant,
            endpoint,
            client: client_id,
            secret: client_secret,
            from,
        } = say(round);
        let by = Credentials {
            client_id,
            client_secret,
        };
        let by = by.basic();
        let headers = [
            ("authorization", by.as_str()),
            ("x-forwarded-for", from.as_str()),
        ];
        let form = "grant_type=client_credentials&scope=signed.api%3Aread&token=x";
        let url = format!("{}/t/{tenant}/{endpoint}", ground.tokens[0]);
        let answer = match endpoint {
            KEYS => http.get(&url, &headers),
            _ => http.post_form(&url, &headers, form),
        };
        let is_no = match endpoint {
            KEYS => 404,
            _ => 401,
        };
        assert!(
            [is_no, 429, 503].contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.body
        );
        let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
        *answers.entry(answer.status).or_default() += 1;
    }
}

/// Addresses of a network that nobody good is in.
fn stranger(round: usize) -> String {
    format!("198.51.100.{}", round % 250 + 1)
}

/// Connections to the token server, as many as are asked for.
fn connect(ground: &Ground, count: usize) -> Vec<TcpStream> {
    let address = ground.tokens[0].trim_start_matches("http://");
    let one = |_| TcpStream::connect(address).expect("a connection");
    (0..count).map(one).collect()
}

/// Lets this process and its children hold as many files as they may.
fn raise_limit() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _as_it_was = setrlimit(Resource::Nofile, limit);
    let now = getrlimit(Resource::Nofile).current.unwrap_or(1 << 20);
    usize::try_from(now).unwrap()
}

/// Sends a request byte by byte until the server has had enough, or the course is over. Tells the status, if one came.
fn send_slowly(ground: &Ground, course: &Course, request: &str) -> Option<u16> {
    let mut stream = connect(ground, 1).pop()?;
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let mut answer = [0; 64];
    for byte in request.as_bytes().iter().cycle() {
        if !course.goes_on() || stream.write_all(&[*byte]).is_err() {
            return None;
        }
        // The wait is the slowness.
        match stream.read(&mut answer) {
            Ok(0) => return None,
            Ok(read) => {
                let text = String::from_utf8_lossy(&answer[..read]).into_owned();
                return text.split(' ').nth(1)?.parse().ok();
            }
            Err(_) => {}
        }
    }
    None
}

/// What every flood runs against.
struct Scene<'a> {
    ground: &'a Ground,
    good: Good,
    /// As long as the good ask.
    course: Course,
    /// So many of their requests are waited for.
    wanted: usize,
}

impl Scene<'_> {
    /// How long the slowest of a hundred good requests takes now.
    fn p99(&self) -> Duration {
        self.good.p99_of(self.wanted, &self.course)
    }

    /// The same while many say what is wrong; and how they were answered.
    fn p99_among(&self, say: &(dyn Fn(usize) -> Wrong + Sync)) -> (Duration, String) {
        let (course, answers) = (Course::of(1), Mutex::default());
        let p99 = thread::scope(|scope| {
            let _part = course.leading();
            for number in 0..FLOODING {
                let (course, answers) = (&course, &answers);
                scope.spawn(move || flood(self.ground, course, answers, number, say));
            }
            let some = || {
                let answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                !answers.is_empty()
            };
            until("the flood is under way", || some() || !course.goes_on());
            self.p99()
        });
        let answers: BTreeMap<u16, usize> = answers.into_inner().unwrap();
        (p99, format!("{answers:?}"))
    }

    /// The same while many send their requests byte by byte, some the head and some the body.
    fn p99_among_the_slow(&self) -> Duration {
        let course = Course::of(1);
        let begin = format!(
            "POST /t/{}/token HTTP/1.1\r\nHost: slow\r\n",
            self.ground.tenant
        );
        let form =
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 3000\r\n\r\n";
        thread::scope(|scope| {
            let _part = course.leading();
            for number in 0..FLOODING * 4 {
                let request = if number % 2 == 0 {
                    format!("{begin}X-Slow: ")
                } else {
                    format!("{begin}{form}grant_type=")
                };
                let course = &course;
                scope.spawn(move || {
                    let _part = course.following();
                    while course.goes_on() {
                        let status = send_slowly(self.ground, course, &request);
                        let fits = |status| matches!(status, 400 | 401 | 408 | 429 | 503);
                        assert!(status.is_none_or(fits), "{status:?}");
                    }
                });
            }
            self.p99()
        })
    }
}

/// A flood, and what its p99 is told as.
type Flood<'a> = (&'static str, Box<dyn Fn(usize) -> Wrong + Sync + 'a>);

/// Floods of what is wrong. Each asks all the time from somewhere else.
fn floods<'a>(
    tenant: &'a str,
    attacked: &'a Credentials,
    with_chosen: &'a Credentials,
) -> [Flood<'a>; 5] {
    let wrong_secret = move |round: usize| Wrong {
        tenant: tenant.to_owned(),
        endpoint: "token",
        client: attacked.client_id.clone(),
        secret: format!("gsec_wrong{round}"),
        from: stranger(round),
    };
    let unknown_client = move |round: usize| Wrong {
        client: format!("cli_01kb2q3r4s5t6v7w8x9y{:06}", round % 1_000_000),
        ..wrong_secret(round)
    };
    let guess = move |round: usize| Wrong {
        client: with_chosen.client_id.clone(),
        secret: format!("{CHOSEN}-{round}"),
        ..wrong_secret(round)
    };
    let at_revocation = move |round: usize| Wrong {
        endpoint: "revoke",
        ..unknown_client(round)
    };
    let unknown_tenant = move |round: usize| Wrong {
        tenant: format!("ten_01kb2q3r4s5t6v7w8x9y{:06}", round % 1_000_000),
        endpoint: KEYS,
        ..unknown_client(round)
    };
    [
        ("p99 among wrong secrets", Box::new(wrong_secret)),
        ("p99 among unknown clients", Box::new(unknown_client)),
        ("p99 among guesses at a chosen secret", Box::new(guess)),
        (
            "p99 among unknown clients that revoke",
            Box::new(at_revocation),
        ),
        (
            "p99 among who wants keys of unknown tenants",
            Box::new(unknown_tenant),
        ),
    ]
}

#[test]
fn secret_4_floods_of_what_is_wrong_idle_or_slow_hold_up_nobody_who_is_good() {
    let files = raise_limit();
    let database = TestDatabase::new();
    let fleet = Fleet::start(&database.url(), Setup::PATIENT);
    let ground = &fleet.ground;
    let mut report = Report::begin("floods");
    let talk = Talk::new(ground);
    let make_client = |name| {
        let scopes = ["signed.api:read", "opaque.api:read", "grantor:clients.read"];
        talk.make_client(name, &scopes)
    };
    let (attacked, with_chosen) = (make_client("Attacked"), make_client("Chosen"));
    let path = format!("/clients/{}/secrets/choose", with_chosen.client_id);
    let chosen = talk.change("POST", &path, &json!({ "value": CHOSEN }));
    assert_eq!(chosen.status, 201, "{}", chosen.body);
    // One that nobody is after, and those that all are after.
    let good = [
        make_client("Good"),
        attacked.clone(),
        Credentials {
            client_secret: CHOSEN.to_owned(),
            ..with_chosen.clone()
        },
    ];
    let scene = Scene {
        ground,
        good: Good::default(),
        course: Course::of(1),
        wanted: rounds(2_000) as usize,
    };
    let floods = floods(&ground.tenant, &attacked, &with_chosen);
    thread::scope(|scope| {
        let _part = scene.course.leading();
        for (number, by) in good.iter().enumerate() {
            let scene = &scene;
            scope.spawn(move || scene.good.ask(ground, by, &scene.course, number));
        }
        scene.p99();
        let calm = scene.p99();
        report.tell("p99 without", format!("{:.1} ms", calm.as_secs_f64() * 1e3));
        let compared = |p99: Duration| {
            let ratio = p99.as_secs_f64() / calm.as_secs_f64();
            format!("× {ratio:.2} of that")
        };
        let memory = fleet.near.memory_peak();
        for (name, say) in floods {
            let (p99, answers) = scene.p99_among(say.as_ref());
            report.tell(name, format!("{} (answers {answers})", compared(p99)));
        }
        // Half of what may be open is this test's; and some are in use.
        let idle = (rounds(5_000) as usize).min((files / 2).saturating_sub(200));
        let held_open = connect(ground, idle);
        let p99 = scene.p99();
        report.tell(&format!("p99 among {idle} that are idle"), compared(p99));
        drop(held_open);
        report.tell(
            "p99 among slow senders",
            compared(scene.p99_among_the_slow()),
        );

        if let (Some(before), Some(after)) = (memory, fleet.near.memory_peak()) {
            let bound = before + memory_bound(idle);
            report.tell("MiB of memory before", before >> 20);
            report.tell("and in the end", after >> 20);
            assert!(after < bound, "{after} bytes, where {bound} are allowed");
        }
    });
    report.tell("good requests", scene.good.done.load(Ordering::SeqCst));
    report.tell("put off", scene.good.put_off.load(Ordering::SeqCst));
    report.end();
}
