//! Every place in which something could be left lying, and the search through them.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use grantor_acceptance::World;
use grantor_server_kit::current_request_id;
use log::{LevelFilter, Metadata, Record};

use crate::asking::{everything_at_rest, hexadecimal, send};
use crate::operations::Scene;

/// Something that was kept, with where.
#[derive(Debug)]
pub struct Kept {
    pub place: String,
    pub text: String,
    /// The same in small letters, for what is looked for in any case.
    small: String,
}

impl Kept {
    pub fn new(place: impl Into<String>, text: String) -> Self {
        Self {
            place: place.into(),
            small: text.to_lowercase(),
            text,
        }
    }
}

/// All that was kept anywhere.
pub struct Places(Vec<Kept>);

/// Prefixes of secrets, as `keys` gives them out.
const PREFIXES: [&str; 4] = ["gsec_", "gat_", "grt_", "glk_"];

impl Places {
    pub fn of(kept: Vec<Kept>) -> Self {
        Self(kept)
    }

    /// The database and a dump of it, the log of record and the feed by the API, metrics, and what came along.
    pub fn all(scene: &Scene, mut kept: Vec<Kept>, lines: Vec<String>) -> Self {
        let world = &scene.world;
        assert!(
            lines
                .iter()
                .any(|line| line.contains("access") && line.contains("/v1/tenants")),
            "the servers' lines were caught"
        );
        kept.extend(lines.into_iter().map(|line| Kept::new("a log line", line)));
        let rows = everything_at_rest(world);
        for table in [
            "audit_events",
            "idempotency_records",
            "client_secrets",
            "access_tokens",
            "deliveries",
        ] {
            assert!(
                rows.iter().any(|(name, _)| name.contains(table)),
                "{table} is empty"
            );
        }
        kept.extend(rows.into_iter().map(|(table, row)| Kept::new(table, row)));
        kept.extend(dump(world));
        for (path, what) in [
            ("/audit-events", "items"),
            ("/changes", "items"),
            ("/clients", "items"),
        ] {
            kept.extend(pages(scene, path, what));
        }
        for operations in [
            &world.replica.api_operations,
            &world.replica.token_operations,
        ] {
            let metrics = world.http.get(&format!("{operations}/metrics"), &[]);
            assert!(metrics.body.contains("requests"), "{}", metrics.body);
            kept.push(Kept::new("the metrics", metrics.body));
        }
        Self(kept)
    }

    /// Where a secret is, as it is, in half, or in another writing.
    pub fn with(&self, what: &str, secret: &str) -> Vec<String> {
        // What all secrets of a kind begin with is none.
        let core = PREFIXES
            .iter()
            .find_map(|prefix| secret.strip_prefix(prefix))
            .unwrap_or(secret);
        // The beginning of a signed token tells its kind, and is the same in all.
        let halves = if core.contains('.') {
            (core, core)
        } else {
            core.split_at(core.len() / 2)
        };
        let mut looked_for = vec![
            ("itself", core.to_owned()),
            ("its first half", halves.0.to_owned()),
            ("its second half", halves.1.to_owned()),
            ("it as bytes", hexadecimal(core)),
        ];
        // Base64 of a text within another depends on where it begins.
        for (skipped, before) in [(0, ""), (2, "a"), (3, "ab")] {
            let encoded = encoded(&format!("{before}{core}"));
            let end = encoded.len() - 3;
            looked_for.push(("it in base64", encoded[skipped..end].to_owned()));
        }
        let mut found = Vec::new();
        for (how, text) in looked_for {
            assert!(text.len() >= 15, "{what} is too short to be looked for");
            let small = text.to_lowercase();
            for kept in self.0.iter().filter(|kept| kept.small.contains(&small)) {
                found.push(format!(
                    "{what} ({how}) in {}: {}",
                    kept.place,
                    cut(&kept.text)
                ));
            }
        }
        found
    }

    /// Where there is anything that looks like a secret, whosever it is.
    pub fn with_anything_like_a_secret(&self) -> Vec<String> {
        let mut found = Vec::new();
        for kept in &self.0 {
            for prefix in PREFIXES {
                let is_long = |rest: &str| {
                    let letters = rest.chars().take_while(char::is_ascii_alphanumeric);
                    letters.count() >= 40
                };
                if kept.text.split(prefix).skip(1).any(is_long) {
                    found.push(format!("{prefix}… in {}: {}", kept.place, cut(&kept.text)));
                }
            }
        }
        found
    }
}

fn cut(text: &str) -> String {
    text.chars().take(300).collect()
}

pub fn encoded(text: &str) -> String {
    STANDARD_NO_PAD.encode(text)
}

/// The database as a backup has it, where the program for that is at hand; of the search by SQL it is but
/// another look.
fn dump(world: &World) -> Vec<Kept> {
    let url = world.database.superuser_url();
    let Ok(dumped) = Command::new("pg_dump").args(["--dbname", &url]).output() else {
        return Vec::new();
    };
    if !dumped.status.success() {
        // One that is older than the server declines.
        let why = String::from_utf8_lossy(&dumped.stderr);
        assert!(why.contains("server version mismatch"), "{why}");
        return Vec::new();
    }
    let text = String::from_utf8(dumped.stdout).unwrap();
    assert!(text.contains("client.created"), "the log is in the dump");
    text.lines()
        .map(|line| Kept::new("a dump", line.to_owned()))
        .collect()
}

/// A list by the API, page by page.
fn pages(scene: &Scene, path: &str, items: &str) -> Vec<Kept> {
    let mut kept = Vec::new();
    let mut next = format!("{path}?limit=200");
    loop {
        let page = send(scene, "GET", &next, &[], "").expect(200);
        for item in page[items].as_array().unwrap() {
            kept.push(Kept::new(format!("GET {path}"), item.to_string()));
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("{path}?limit=200&cursor={cursor}"),
            None => break,
        }
    }
    assert!(!kept.is_empty(), "{path} is empty");
    kept
}

/// Everything that the servers of this process log while it lasts.
pub struct Log(());

struct Caught(Mutex<Vec<String>>);

static CAUGHT: Caught = Caught(Mutex::new(Vec::new()));

impl Caught {
    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl log::Log for Caught {
    fn enabled(&self, of: &Metadata<'_>) -> bool {
        // The HTTP client of the tests is in this process too, and no part of the servers.
        !of.target().starts_with("ureq")
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let request = current_request_id().unwrap_or_default();
            let (target, message) = (record.target(), record.args());
            self.lines().push(format!("{target} [{request}] {message}"));
        }
    }

    fn flush(&self) {}
}

impl Log {
    /// Begins to catch. A process has one logger, so this happens once in it.
    pub fn begin() -> Self {
        log::set_logger(&CAUGHT).expect("no other logger");
        // More than a server that nobody watches over says by itself.
        log::set_max_level(LevelFilter::Debug);
        Self(())
    }

    /// What was caught.
    pub fn end(self) -> Vec<String> {
        let Self(()) = self;
        log::set_max_level(LevelFilter::Off);
        std::mem::take(&mut CAUGHT.lines())
    }
}
