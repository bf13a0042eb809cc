//! Folders that go away with a test, and questions to a running server.

use std::env;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use grantor_local_postgres::{Installation, LocalPostgres, Options, superuser};

const LIMIT: Duration = Duration::from_secs(60);

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A folder that others can pass through.
pub(crate) struct TestFolder(PathBuf);

impl TestFolder {
    pub(crate) fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("grantor-test-{}-{count}", process::id());
        let path = fs::canonicalize(env::temp_dir()).unwrap().join(name);
        fs::DirBuilder::new().mode(0o755).create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn server_folder(&self) -> PathBuf {
        self.0.join(".grantor")
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn fast(folder: impl Into<PathBuf>) -> Options {
    Options {
        durable: false,
        ..Options::new(folder)
    }
}

pub(crate) fn start(folder: impl Into<PathBuf>) -> LocalPostgres {
    LocalPostgres::start(&fast(folder)).unwrap()
}

pub(crate) fn sql(server: &LocalPostgres, statement: &str) -> String {
    let psql = Installation::find().unwrap().bin().join("psql");
    let url = server.url(superuser(), "postgres");
    let mut command = Command::new(psql);
    // The port of the URI must win over the environment's.
    command
        .env("PGPORT", "1")
        .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-c", statement, &url]);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LIMIT, "not within a minute: {what}");
        thread::park_timeout(Duration::from_millis(20));
    }
}

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The ids that a program such as `ps` or `pgrep` prints.
pub(crate) fn ids(program: &str, arguments: &[&str]) -> Vec<u32> {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace()
        .map(|id| id.parse().unwrap())
        .collect()
}

pub(crate) fn lives(pid: u32) -> bool {
    // A zombie is over, however long it takes whoever inherits it to notice.
    let output = Command::new("ps")
        .args(["-o", "stat=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    let state = String::from_utf8(output.stdout).unwrap();
    !state.trim().is_empty() && !state.trim().starts_with('Z')
}
