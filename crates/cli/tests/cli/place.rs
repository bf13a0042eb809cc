//! A folder and four ports for each test, and a look at the processes that it may have left behind.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

static PLACES: AtomicU32 = AtomicU32::new(0);
static PORTS: AtomicU32 = AtomicU32::new(0);

/// A folder that others can pass through, so that the unprivileged user of `PostgreSQL` reaches it.
pub(crate) struct Place {
    folder: PathBuf,
    pub(crate) ports: Ports,
}

/// Ports that were free a moment ago, and that no other test of this run gets.
pub(crate) struct Ports {
    pub(crate) api: u16,
    pub(crate) api_operations: u16,
    pub(crate) token: u16,
    pub(crate) token_operations: u16,
}

impl Ports {
    pub(crate) fn new() -> Self {
        Self {
            api: free_port(),
            api_operations: free_port(),
            token: free_port(),
            token_operations: free_port(),
        }
    }
}

/// Below those that systems take for outgoing connections: between the look and the use, one of these would be
/// taken by whichever test calls its server.
fn free_port() -> u16 {
    const LOWEST: u32 = 12_000;
    const COUNT: u32 = 18_000;
    loop {
        let number = PORTS.fetch_add(1, Ordering::Relaxed);
        assert!(number < COUNT, "no port is free");
        let port = LOWEST + (process::id() * 61 + number) % COUNT;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let count = PLACES.fetch_add(1, Ordering::Relaxed);
        let name = format!("grantor-cli-{}-{count}", process::id());
        let folder = fs::canonicalize(env::temp_dir()).unwrap().join(name);
        fs::DirBuilder::new().mode(0o755).create(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        Self {
            folder,
            ports: Ports::new(),
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where `grantor dev`, started here, keeps its things.
    pub(crate) fn kept(&self) -> PathBuf {
        self.folder.join(".grantor")
    }

    /// Processes that have to do with this folder: named on their command line, or working in it.
    pub(crate) fn processes(&self) -> BTreeSet<u32> {
        let folder = self.folder.to_str().unwrap();
        let output = Command::new("ps")
            .args(["-A", "-ww", "-o", "pid=,stat=,args="])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let named = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (pid, state) = (words.next()?, words.next()?);
            // A zombie is over, however long it takes whoever inherits it to notice.
            (line.contains(folder) && !state.starts_with('Z')).then(|| pid.parse().unwrap())
        });
        // PostgreSQL's processes have titles of their own, and their data for a working folder.
        let working = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                fs::read_link(entry.path().join("cwd"))
                    .is_ok_and(|place| place.starts_with(&self.folder))
            })
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        named.chain(working).collect()
    }

    /// Waits until none is left: the guardian of a program that was killed takes a moment.
    pub(crate) fn assert_left_alone(&self) {
        until("no process is left in the folder", || {
            self.processes().is_empty()
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let start = Instant::now();
        while !self.processes().is_empty() && start.elapsed() < Duration::from_secs(30) {
            thread::park_timeout(Duration::from_millis(50));
        }
        let removed = fs::remove_dir_all(&self.folder);
        assert!(removed.is_ok() || thread::panicking(), "{removed:?}");
    }
}

/// Waits for something that comes about in another process.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "not within half a minute: {what}"
        );
        thread::park_timeout(Duration::from_millis(20));
    }
}
