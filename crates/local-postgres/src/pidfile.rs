//! What the server says of itself in `postmaster.pid`.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, test_kill_process};

/// The lines that matter here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: Pid,
    pub(crate) ready: bool,
}

/// Where the server writes it.
pub(crate) fn path(data: &Path) -> PathBuf {
    data.join("postmaster.pid")
}

/// Reads it; `None` when it is missing or not yet written.
pub(crate) fn read(data: &Path) -> Option<PidFile> {
    parse(&fs::read_to_string(path(data)).ok()?)
}

/// The pid is on the first line (negative for a server without postmaster), the state on the eighth.
fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    let number: i32 = lines.next()?.trim().parse().ok()?;
    let pid = Some(number)
        .filter(|number| *number > 1)
        .and_then(Pid::from_raw)?;
    let ready = lines.nth(6).is_some_and(|state| state.trim() == "ready");
    Some(PidFile { pid, ready })
}

/// Whether a process with this id lives, whoever owns it.
pub(crate) fn lives(pid: Pid) -> bool {
    !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))
}

/// The id as it is shown.
pub(crate) fn number(pid: Pid) -> u32 {
    pid.as_raw_nonzero().get().unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_on_the_eighth_line() {
        let text = |state| format!("4711\n/data\n1700000000\n5432\n/run\n\n 1 2\n{state}\n");
        let pid = Pid::from_raw(4711).unwrap();
        assert_eq!(parse(&text("ready   ")), Some(PidFile { pid, ready: true }));
        assert_eq!(
            parse(&text("starting")),
            Some(PidFile { pid, ready: false })
        );
        assert_eq!(parse("4711\n/data\n"), Some(PidFile { pid, ready: false }));
    }

    #[test]
    fn no_pid_that_a_signal_must_never_go_to() {
        for text in [
            "",
            "\n",
            "x\n",
            "0\n",
            "1\n",
            "-1\n",
            "-4711\n",
            "99999999999\n",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
