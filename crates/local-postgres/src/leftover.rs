//! A server that a killed owner left behind is stopped before the next one starts on its data.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::folder::Folder;
use crate::{Error, pause, pidfile};

/// Clients are cut off first; then the server gives up without a checkpoint; then the system ends it.
const STEPS: [(Duration, Signal); 3] = [
    (Duration::ZERO, Signal::INT),
    (Duration::from_secs(10), Signal::QUIT),
    (Duration::from_secs(20), Signal::KILL),
];
const LIMIT: Duration = Duration::from_secs(30);

/// Stops the server that still runs on this data, if there is one. The folder's lock is held, so it has no owner; its
/// guardian may be stopping it already, in which case the first signal changes nothing.
pub(crate) fn stop(folder: &Folder) -> Result<(), Error> {
    let data = folder.data();
    let Some(found) = pidfile::read(&data) else {
        return Ok(());
    };
    if !pidfile::lives(found.pid) {
        return Ok(());
    }
    if !is_postmaster(found.pid, &data) {
        // The pid has gone to another process, and PostgreSQL would take that for itself. It can tell everything else.
        let path = pidfile::path(&data);
        return match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("remove", &path)(error))
            }
            // It may have ended in good order just now.
            _ => Ok(()),
        };
    }
    log::warn!(
        "stopping the PostgreSQL (process {}) that was left behind in {}",
        found.pid,
        data.display()
    );
    let start = Instant::now();
    let mut steps = STEPS.iter().peekable();
    let ended = pause::until(LIMIT, || {
        if !is_postmaster(found.pid, &data) {
            return Ok(Some(()));
        }
        if let Some((_, signal)) = steps.next_if(|(after, _)| start.elapsed() >= *after) {
            match kill_process(found.pid, *signal) {
                Ok(()) | Err(rustix::io::Errno::SRCH) => {}
                Err(error) => return Err(Error::io("stop the server in", &data)(error.into())),
            }
        }
        Ok(None)
    })?;
    ended.ok_or(Error::NotStopped {
        pid: pidfile::number(found.pid),
        seconds: LIMIT.as_secs(),
    })
}

/// Whether this process is the server of this data: it works in the data folder.
#[cfg(target_os = "linux")]
fn is_postmaster(pid: Pid, data: &Path) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let is_postgres = fs::read(process.join("cmdline")).is_ok_and(|line| {
        let program = line.split(|byte| *byte == 0).next().unwrap_or_default();
        program.ends_with(b"/postgres")
    });
    is_postgres && fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == data)
}

/// Whether this process is the server of this data: its command line says so.
#[cfg(not(target_os = "linux"))]
fn is_postmaster(pid: Pid, data: &Path) -> bool {
    use std::process::{Command, Stdio};

    let mut ps = Command::new("ps");
    ps.args(["-ww", "-o", "command=", "-p"])
        .arg(pid.to_string())
        .stdin(Stdio::null());
    ps.output().is_ok_and(|output| {
        let line = String::from_utf8_lossy(&output.stdout);
        line.contains("/postgres ") && line.contains(&format!(" -D {} ", data.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::TestFolder;
    use std::process;

    #[test]
    fn a_pid_that_went_to_another_process_is_neither_signalled_nor_believed() {
        let test = TestFolder::new();
        let folder = Folder::hold(test.path()).unwrap();
        let data = folder.data();
        fs::create_dir(&data).unwrap();
        fs::write(
            pidfile::path(&data),
            format!("{}\n{}\n", process::id(), data.display()),
        )
        .unwrap();
        stop(&folder).unwrap();
        assert!(!pidfile::path(&data).exists());
    }

    #[test]
    fn the_file_of_a_dead_server_stays_for_postgres_to_judge() {
        let test = TestFolder::new();
        let folder = Folder::hold(test.path()).unwrap();
        let data = folder.data();
        fs::create_dir(&data).unwrap();
        let mut ended = process::Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        fs::write(pidfile::path(&data), format!("{}\n", ended.id())).unwrap();
        stop(&folder).unwrap();
        assert!(pidfile::path(&data).exists());
    }
}
