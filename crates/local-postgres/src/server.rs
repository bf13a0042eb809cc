//! Starts and stops the server.

use std::ffi::OsString;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::folder::Folder;
use crate::guardian::Guardian;
use crate::installation::{self, Installation};
use crate::{Error, Options, initdb, leftover, logfile, pause, pidfile, socket, url};

const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(10);
const BETWEEN_STARTS: Duration = Duration::from_millis(200);

/// The role that `initdb` makes. Servers must not connect as it: it passes row-level security.
pub fn superuser() -> &'static str {
    "grantor_superuser"
}

/// A private PostgreSQL server, running until this value is stopped or dropped, or its process ends.
#[derive(Debug)]
pub struct LocalPostgres {
    guardian: Guardian,
    socket: PathBuf,
    version: String,
    // Last: the folder is released when the server is gone.
    folder: Folder,
}

impl LocalPostgres {
    /// Starts the server in its folder, making its data when there is none, and waits until it accepts connections.
    pub fn start(options: &Options) -> Result<Self, Error> {
        Self::start_from(options, &installation::places())
    }

    fn start_from(options: &Options, places: &[PathBuf]) -> Result<Self, Error> {
        let found = installation::scan(places);
        let folder = Folder::hold(&options.folder)?;
        initdb::remove_unfinished(folder.base());
        let data = folder.data();
        let installation = match initdb::data_major(&data)? {
            Some(major) => installation::matching(found, major, &data)?,
            None => installation::newest(found)?,
        };
        leftover::stop(&folder)?;
        if !data.exists() {
            initdb::make_data(&folder, &installation, options.durable)?;
        }
        let socket = socket::make(folder.base(), folder.account())?;
        let command = server_command(&installation, &folder, &socket, options);
        let guardian = start_until_ready(&folder, &installation, &socket, &command)?;
        Ok(Self {
            guardian,
            socket,
            version: installation.version().to_owned(),
            folder,
        })
    }

    /// A libpq connection URI for this role and database.
    pub fn url(&self, user: &str, database: &str) -> String {
        url::connection(&self.socket, user, database)
    }

    /// The folder of the server's unix socket.
    pub fn socket_folder(&self) -> &Path {
        &self.socket
    }

    /// The folder of the server's data.
    pub fn data_folder(&self) -> PathBuf {
        self.folder.data()
    }

    /// The server's own log.
    pub fn log_file(&self) -> PathBuf {
        self.folder.log()
    }

    /// Where the data is instead of the folder that was asked for, if the unprivileged user can't reach that one.
    pub fn relocated(&self) -> Option<&Path> {
        self.folder.relocated()
    }

    /// The server's version, such as `17.5`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The process id of the server.
    pub fn postmaster_pid(&self) -> u32 {
        pidfile::number(self.guardian.postmaster())
    }

    /// Whether the server's process lives.
    pub fn is_running(&self) -> bool {
        pidfile::lives(self.guardian.postmaster())
    }

    /// How the server ended, if it has: it was not asked to, so something went wrong.
    pub fn try_exit(&mut self) -> io::Result<Option<ExitStatus>> {
        self.guardian.try_exit()
    }

    /// Stops the server and waits for its end. Clients that are connected are cut off.
    pub fn stop(mut self) -> Result<(), Error> {
        self.stop_here()
    }

    fn stop_here(&mut self) -> Result<(), Error> {
        let ended = self.guardian.stop(STOP_LIMIT)?;
        let Some(status) = ended else {
            return Err(Error::NotStopped {
                pid: self.postmaster_pid(),
                seconds: STOP_LIMIT.as_secs(),
            });
        };
        socket::remove(&self.socket, self.folder.base());
        if status.success() {
            return Ok(());
        }
        Err(Error::Died {
            status,
            log: logfile::tail(&self.folder.log()),
        })
    }
}

impl Drop for LocalPostgres {
    fn drop(&mut self) {
        if self.guardian.is_told_to_stop() {
            return;
        }
        if let Err(error) = self.stop_here() {
            log::warn!("the private PostgreSQL did not stop cleanly: {error}");
        }
    }
}

fn server_command(
    installation: &Installation,
    folder: &Folder,
    socket: &Path,
    options: &Options,
) -> Command {
    let mut command = Command::new(installation.bin().join("postgres"));
    command.arg("-D").arg(folder.data());
    let mut set = |name: &str, value: OsString| {
        let mut setting = OsString::from(format!("{name}="));
        setting.push(value);
        command.arg("-c").arg(setting);
    };
    set("logging_collector", "off".into());
    set("log_destination", "stderr".into());
    if !options.durable {
        for name in ["fsync", "full_page_writes", "synchronous_commit"] {
            set(name, "off".into());
        }
    }
    for (name, value) in &options.settings {
        set(name, value.into());
    }
    // Last, so that no further setting opens the server to others.
    set("listen_addresses", OsString::new());
    set("port", socket::PORT.into());
    let mut quoted = OsString::from("\"");
    quoted.push(socket);
    quoted.push("\"");
    set("unix_socket_directories", quoted);
    command
}

/// Starts the server; again, when a server that is just ending is still in its way.
fn start_until_ready(
    folder: &Folder,
    installation: &Installation,
    socket: &Path,
    command: &Command,
) -> Result<Guardian, Error> {
    let start = Instant::now();
    loop {
        leftover::stop(folder)?;
        socket::clear(socket);
        let log = logfile::begin(&folder.log())?;
        let mut guardian = Guardian::start(folder.account(), command, PATIENCE, &log)?;
        let left = START_LIMIT.saturating_sub(start.elapsed());
        let ready = pause::until(left, || {
            if let Some(status) = guardian
                .try_exit()
                .map_err(Error::io("wait for", &folder.data()))?
            {
                return Ok(Some(ControlFlow::Break(status)));
            }
            let up = accepts(folder, installation, socket, &guardian);
            Ok::<_, Error>(up.then_some(ControlFlow::Continue(())))
        })?;
        let log = logfile::tail(&folder.log());
        match ready {
            Some(ControlFlow::Continue(())) => return Ok(guardian),
            Some(ControlFlow::Break(_)) if is_in_the_way(&log) && !left.is_zero() => {
                pause::until(BETWEEN_STARTS, || Ok::<Option<()>, Error>(None))?;
            }
            Some(ControlFlow::Break(status)) => return Err(Error::Died { status, log }),
            None => {
                guardian.stop(STOP_LIMIT)?;
                return Err(Error::NotReady {
                    seconds: START_LIMIT.as_secs(),
                    log,
                });
            }
        }
    }
}

/// Whether the server takes a connection. Its own word in `postmaster.pid` comes first, as it costs no process.
fn accepts(
    folder: &Folder,
    installation: &Installation,
    socket: &Path,
    guardian: &Guardian,
) -> bool {
    let says_ready = pidfile::read(&folder.data())
        .is_some_and(|found| found.pid == guardian.postmaster() && found.ready);
    let Some(program) = installation.program("pg_isready").filter(|_| says_ready) else {
        return says_ready;
    };
    let mut ask = folder.account().command(program);
    ask.arg("-h").arg(socket).args([
        "-p",
        socket::PORT,
        "-U",
        superuser(),
        "-d",
        "postgres",
        "-q",
    ]);
    ask.stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What the server says when the one before has not quite gone. `LC_ALL` is C, so the words are these.
fn is_in_the_way(log: &str) -> bool {
    log.contains("pre-existing shared memory block")
        || (log.contains("lock file \"") && log.contains("\" already exists"))
}
