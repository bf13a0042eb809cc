//! The program as a process: commands that end by themselves, and `grantor dev`, which is told to.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::place::{Place, Ports, until};

const START_LIMIT: Duration = Duration::from_secs(90);

/// The program, without what the environment of the test run says about it or about `PostgreSQL`.
pub(crate) fn grantor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grantor"));
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("GRANTOR_") || text.starts_with("PG") {
            command.env_remove(&name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// `grantor dev` in this place.
pub(crate) fn dev(place: &Place) -> Command {
    dev_on(place, &place.ports)
}

/// `grantor dev` in this place, on ports of one's own.
pub(crate) fn dev_on(place: &Place, ports: &Ports) -> Command {
    let mut command = grantor(&["dev"]);
    command
        .arg(format!("--api-listen=127.0.0.1:{}", ports.api))
        .arg(format!(
            "--api-operations-listen=127.0.0.1:{}",
            ports.api_operations
        ))
        .arg(format!("--token-listen=127.0.0.1:{}", ports.token))
        .arg(format!(
            "--token-operations-listen=127.0.0.1:{}",
            ports.token_operations
        ))
        .env(
            "GRANTOR_API_BASE",
            format!("http://127.0.0.1:{}", ports.api),
        )
        .env(
            "GRANTOR_ISSUER_BASE",
            format!("http://127.0.0.1:{}", ports.token),
        )
        .current_dir(place.folder());
    command
}

/// What a command said, and how it ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) output: String,
    pub(crate) complaints: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            status: output.status,
            output: String::from_utf8(output.stdout).unwrap(),
            complaints: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs a command to its end. One that wrongly goes on is killed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ended {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut process = Guard(command.spawn().unwrap());
    let output = read_all(process.0.stdout.take().unwrap());
    let complaints = read_all(process.0.stderr.take().unwrap());
    let status = process.wait(START_LIMIT);
    Ended {
        status,
        output: output.join().unwrap(),
        complaints: complaints.join().unwrap(),
    }
}

/// Runs a command that must do what it was told; tells what it said.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let ended = run(command);
    assert!(
        ended.status.success(),
        "{command:?}: {}\n{}",
        ended.output,
        ended.complaints
    );
    ended.output
}

/// Runs a command that must refuse; tells its complaint.
#[track_caller]
pub(crate) fn refused(command: &mut Command) -> String {
    let ended = run(command);
    assert_eq!(
        ended.status.code(),
        Some(1),
        "{}\n{}",
        ended.output,
        ended.complaints
    );
    ended.complaints
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    })
}

/// A process that does not outlive its test.
struct Guard(Child);

impl Guard {
    #[track_caller]
    fn wait(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < limit, "the program does not end");
            thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            let _gone = self.0.kill();
            let _gone = self.0.wait();
        }
    }
}

/// A running `grantor dev`.
pub(crate) struct Running {
    process: Guard,
    /// What it said when it was ready.
    pub(crate) welcome: String,
    rest: JoinHandle<String>,
    complaints: JoinHandle<String>,
}

impl Running {
    /// Starts it, and waits until it says that it runs.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::try_start(command).unwrap_or_else(|complaint| panic!("it ended: {complaint}"))
    }

    /// Starts it; tells its complaint when it ends instead.
    pub(crate) fn try_start(command: &mut Command) -> Result<Self, String> {
        // A group of its own, as a shell gives to what it starts.
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut process = Guard(command.spawn().unwrap());
        let complaints = read_all(process.0.stderr.take().unwrap());
        let mut output = BufReader::new(process.0.stdout.take().unwrap());
        let (say, said) = mpsc::channel();
        let rest = thread::spawn(move || {
            let (mut rest, mut line) = (String::new(), String::new());
            while output.read_line(&mut line).unwrap() > 0 {
                if let Err(unheard) = say.send(std::mem::take(&mut line)) {
                    rest.push_str(&unheard.0);
                }
            }
            rest
        });
        let mut welcome = String::new();
        let start = Instant::now();
        while !is_whole(&welcome) {
            match said.recv_timeout(START_LIMIT.saturating_sub(start.elapsed())) {
                Ok(line) => welcome.push_str(&line),
                Err(RecvTimeoutError::Timeout) => panic!("not ready in time: {welcome}"),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(welcome + &complaints.join().unwrap());
                }
            }
        }
        Ok(Self {
            process,
            welcome,
            rest,
            complaints,
        })
    }

    /// Starts it, and sends `kill -9` as soon as something holds.
    #[track_caller]
    pub(crate) fn start_and_kill(command: &mut Command, holds: impl FnMut() -> bool) {
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        let _killed = Guard(command.spawn().unwrap());
        until("the start got so far", holds);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.process.0.id().cast_signed()).unwrap()
    }

    /// Ctrl-C in a terminal: the signal goes to the whole group.
    #[track_caller]
    pub(crate) fn ctrl_c(self) -> Ended {
        kill_process_group(self.pid(), Signal::INT).unwrap();
        self.end()
    }

    /// What `kill` and service managers send.
    #[track_caller]
    pub(crate) fn terminate(self) -> Ended {
        kill_process(self.pid(), Signal::TERM).unwrap();
        self.end()
    }

    /// `kill -9`.
    #[track_caller]
    pub(crate) fn kill(self) -> Ended {
        kill_process(self.pid(), Signal::KILL).unwrap();
        self.end()
    }

    /// Whether it still runs.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.process.0.try_wait(), Ok(None))
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let status = self.process.wait(Duration::from_secs(45));
        until("its output ends", || {
            self.rest.is_finished() && self.complaints.is_finished()
        });
        Ended {
            status,
            output: self.rest.join().unwrap(),
            complaints: self.complaints.join().unwrap(),
        }
    }

    /// Stops it, and sees to it that it ends well and leaves nothing behind.
    #[track_caller]
    pub(crate) fn stop(self, place: &Place) {
        self.stop_beside_a_database();
        assert!(place.processes().is_empty(), "{:?}", place.processes());
    }

    /// The same where the database, in the same place, is not the program's own and goes on.
    #[track_caller]
    pub(crate) fn stop_beside_a_database(self) {
        let ended = self.terminate();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.complaints);
        assert!(
            ended.complaints.contains("SIGTERM received, stopping"),
            "{}",
            ended.complaints
        );
    }
}

/// The text ends with an empty line, after the last line to paste or the hint at new credentials. Where a client
/// was deleted there is nothing to try, so the last line is the issuer's.
fn is_whole(welcome: &str) -> bool {
    let last = welcome.lines().rev().nth(1);
    welcome.ends_with("; echo\n\n")
        || welcome.ends_with("--new-secrets)\n\n")
        || (welcome.contains(" was deleted, ")
            && welcome.ends_with("\n\n")
            && last.is_some_and(|line| line.starts_with("ISSUER=")))
}
