//! The process between us and the server: it stops the server when we are gone.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::Pid;

use crate::unprivileged::Account;
use crate::{Error, pause};

const SCRIPT: &str = include_str!("guardian.sh");
const SHELL: &str = "/bin/sh";

/// A running guardian with its server.
#[derive(Debug)]
pub(crate) struct Guardian {
    process: Child,
    // The server lives as long as this is open. Rust opens pipes so that no other child inherits them.
    lifeline: Option<ChildStdin>,
    postmaster: Pid,
}

impl Guardian {
    /// Starts the server; what it says goes to the log. When it is to stop it has this long to end in good order, the
    /// same again to end anyhow, and is killed then.
    pub(crate) fn start(
        account: &Account,
        server: &Command,
        patience: Duration,
        log: &File,
    ) -> Result<Self, Error> {
        let failed = || Error::io("run", Path::new(SHELL));
        let mut command = account.command(SHELL);
        command.args(["-c", SCRIPT, "grantor-postgres-guardian"]);
        command.arg(patience.as_secs().to_string());
        command.arg(server.get_program()).args(server.get_args());
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().map_err(failed())?);
        // A Ctrl-C in the terminal is for us; we stop the server when it is due.
        command.process_group(0);
        let mut process = command.spawn().map_err(failed())?;
        let lifeline = process.stdin.take();
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output)
                .read_line(&mut line)
                .map_err(failed())?;
        }
        let postmaster = line.trim().parse().ok().and_then(Pid::from_raw);
        let postmaster = postmaster.ok_or_else(|| failed()(io::ErrorKind::UnexpectedEof.into()))?;
        Ok(Self {
            process,
            lifeline,
            postmaster,
        })
    }

    pub(crate) fn postmaster(&self) -> Pid {
        self.postmaster
    }

    /// Whether the server was told to stop.
    pub(crate) fn is_told_to_stop(&self) -> bool {
        self.lifeline.is_none()
    }

    /// How the server ended, if it has.
    pub(crate) fn try_exit(&mut self) -> io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Has the server stopped and waits for its end; `None` when it takes longer than this.
    pub(crate) fn stop(&mut self, limit: Duration) -> Result<Option<ExitStatus>, Error> {
        self.lifeline = None;
        pause::until(limit, || self.try_exit()).map_err(Error::io("wait for", Path::new(SHELL)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::TestFolder;
    use crate::pidfile::lives;
    use rustix::process::{Signal, kill_process};
    use std::fs;

    const LIMIT: Duration = Duration::from_secs(30);

    fn start(test: &TestFolder, script: &str) -> Guardian {
        let mut server = Command::new(SHELL);
        server.args(["-c", script]);
        let log = File::create(test.path().join("log")).unwrap();
        Guardian::start(&Account::Own, &server, Duration::from_secs(1), &log).unwrap()
    }

    fn log_line(test: &TestFolder, line: &str) -> Option<()> {
        let log = fs::read_to_string(test.path().join("log")).unwrap();
        log.lines().any(|found| found == line).then_some(())
    }

    #[test]
    fn ends_with_the_server_and_tells_how() {
        let test = TestFolder::new();
        let mut guardian = start(&test, "echo said; exit 7");
        let status = pause::until(LIMIT, || guardian.try_exit())
            .unwrap()
            .unwrap();
        assert_eq!(status.code(), Some(7));
        log_line(&test, "said").unwrap();
    }

    #[test]
    fn kills_what_does_not_end_otherwise() {
        let test = TestFolder::new();
        let mut guardian = start(
            &test,
            "trap '' INT QUIT; echo up; while :; do sleep 0.1; done",
        );
        pause::until(LIMIT, || Ok::<_, ()>(log_line(&test, "up")))
            .unwrap()
            .unwrap();
        let status = guardian.stop(LIMIT).unwrap().unwrap();
        assert_eq!(status.code(), Some(128 + 9));
        assert!(!lives(guardian.postmaster()));
    }

    #[test]
    fn ignores_the_signals_of_a_terminal() {
        let test = TestFolder::new();
        let mut guardian = start(&test, "exec sleep 1000");
        let process = Pid::from_raw(guardian.process.id().cast_signed()).unwrap();
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            kill_process(process, signal).unwrap();
        }
        assert_eq!(guardian.try_exit().unwrap(), None);
        assert!(lives(guardian.postmaster()));
        kill_process(guardian.postmaster(), Signal::KILL).unwrap();
        let status = pause::until(LIMIT, || guardian.try_exit())
            .unwrap()
            .unwrap();
        assert_eq!(status.code(), Some(128 + 9));
    }
}
