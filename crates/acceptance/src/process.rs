//! A server as a process of its own, which can be held, killed, and started again in its place.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use grantor_test_support::master_key;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::http::Http;

/// How long a start may take on a busy machine.
const START_LIMIT: Duration = Duration::from_secs(90);
/// How many of the lines that it says are kept.
const LINES_KEPT: usize = 40;

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// The token server.
    Token,
    /// The management API.
    Api,
}

/// With what a server is started.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The program that runs either server (see [`crate::program`]).
    pub program: PathBuf,
    /// Which one.
    pub kind: ServerKind,
    /// How it reaches the database.
    pub database_url: String,
    /// What the stored issuers begin with.
    pub issuer_base: String,
    /// Further variables.
    pub environment: Vec<(&'static str, String)>,
}

/// The process. It ends with the value.
pub struct ServerProcess {
    launch: Launch,
    ports: [u16; 2],
    child: Option<Child>,
    said: Arc<Mutex<Vec<String>>>,
}

/// Below those that systems take for outgoing connections: between two starts one of these would be taken by
/// whichever test calls its server.
fn free_port() -> u16 {
    const LOWEST: u32 = 12_000;
    const COUNT: u32 = 18_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(number < COUNT, "no port is free");
        let port = LOWEST + (std::process::id() * 61 + number) % COUNT;
        let port = u16::try_from(port).expect("a port");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl ServerProcess {
    /// Starts it, and returns when it says that it is ready.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(launch: Launch) -> Self {
        let mut process = Self {
            launch,
            ports: [free_port(), free_port()],
            child: None,
            said: Arc::default(),
        };
        process.start_again();
        process
    }

    /// Starts it in the same place, after it was killed.
    ///
    /// # Panics
    /// When it does not start, or runs.
    pub fn start_again(&mut self) {
        self.spawn();
        self.until_ready();
    }

    /// The same without waiting for it.
    ///
    /// # Panics
    /// When it can't be started, or runs.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let [serving, operations] = self.ports.map(|port| format!("127.0.0.1:{port}"));
        let mut command = Command::new(&self.launch.program);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("GRANTOR_") || text.starts_with("PG") {
                command.env_remove(&name);
            }
        }
        let [name, listen, operations_listen] = match self.launch.kind {
            ServerKind::Token => [
                "token",
                "GRANTOR_TOKEN_LISTEN",
                "GRANTOR_TOKEN_OPERATIONS_LISTEN",
            ],
            ServerKind::Api => ["api", "GRANTOR_API_LISTEN", "GRANTOR_API_OPERATIONS_LISTEN"],
        };
        command
            .arg(name)
            .env(listen, serving)
            .env(operations_listen, operations)
            .env("GRANTOR_DATABASE_URL", &self.launch.database_url)
            .env("GRANTOR_MASTER_KEY", master_key().encode().as_str())
            .env("GRANTOR_ISSUER_BASE", &self.launch.issuer_base)
            .env("GRANTOR_LOG", "warn,access=off")
            .envs(self.launch.environment.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server's program");
        let lines = BufReader::new(child.stderr.take().expect("its words")).lines();
        let said = self.said.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                if said.len() == LINES_KEPT {
                    said.remove(0);
                }
                said.push(line);
            }
        });
        self.child = Some(child);
    }

    /// Waits until it says that it is ready.
    ///
    /// # Panics
    /// When it ends instead, or takes too long.
    pub fn until_ready(&mut self) {
        let http = Http::default();
        let url = format!("{}/readyz", self.operations());
        let begun = Instant::now();
        loop {
            let answer = http.try_send("GET", &url, &[], b"");
            if answer.is_ok_and(|answer| answer.status == 200) {
                return;
            }
            let child = self.child.as_mut().expect("it runs");
            let ended = child.try_wait().expect("a look at it");
            let said = || self.words();
            assert!(ended.is_none(), "it ended: {}", said());
            assert!(begun.elapsed() < START_LIMIT, "not ready: {}", said());
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// The last lines that it said.
    pub fn words(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.join("\n")
    }

    /// Where it serves, such as `http://127.0.0.1:12345`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[0])
    }

    /// Where it answers operators.
    pub fn operations(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[1])
    }

    fn pid(&self) -> Pid {
        let child = self.child.as_ref().expect("it runs");
        Pid::from_raw(child.id().cast_signed()).expect("a process id")
    }

    /// Holds it where it is, until [`Self::wake`].
    ///
    /// # Panics
    /// When it does not run.
    pub fn hold(&self) {
        kill_process(self.pid(), Signal::STOP).expect("a signal");
        // Only now does every thread of it stand still.
        waitpid(Some(self.pid()), WaitOptions::UNTRACED).expect("that it stands still");
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn wake(&self) {
        kill_process(self.pid(), Signal::CONT).expect("a signal");
    }

    /// `kill -9`; it is gone when this returns.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("a signal");
        child.wait().expect("its end");
    }

    /// The most memory that it ever held, in bytes, where the system tells.
    pub fn memory_peak(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid().as_raw_nonzero()));
        let status = status.ok()?;
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = peak.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            if thread::panicking() {
                log_words(&self.words());
            }
            // It ends so even while it is held. One that has ended by itself is as good.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a test fails, and what the server said tells why"
)]
fn log_words(words: &str) {
    if !words.is_empty() {
        eprintln!("the server said:\n{words}");
    }
}
