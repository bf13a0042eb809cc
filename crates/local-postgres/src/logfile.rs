//! The server's own log: begun anew at each start, with the one before kept.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::Error;

const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 20;

/// Moves the last log aside and opens a new one.
pub(crate) fn begin(log: &Path) -> Result<File, Error> {
    match fs::rename(log, log.with_extension("log.old")) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("move aside", log)(error)),
    }
    OpenOptions::new()
        .append(true)
        .create_new(true)
        .mode(0o600)
        .open(log)
        .map_err(Error::io("make", log))
}

/// The last lines, as far as they can be read.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(TAIL_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::folder::tests::TestFolder;
    use std::io::Write;

    #[test]
    fn one_log_is_kept_and_no_more() {
        let test = TestFolder::new();
        let log = test.path().join("postgres.log");
        for run in ["first", "second", "third"] {
            begin(&log).unwrap().write_all(run.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(&log).unwrap(), "third");
        assert_eq!(
            fs::read_to_string(test.path().join("postgres.log.old")).unwrap(),
            "second"
        );
        assert_eq!(fs::read_dir(test.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_tail_is_short_whatever_the_log_holds() {
        let test = TestFolder::new();
        let log = test.path().join("postgres.log");
        assert_eq!(tail(&log), "");
        let lines: Vec<_> = (0..1000)
            .map(|number| format!("line {number} \u{fc}"))
            .collect();
        fs::write(&log, lines.join("\n")).unwrap();
        assert_eq!(tail(&log), lines[980..].join("\n"));
        fs::write(&log, "x".repeat(10_000)).unwrap();
        assert_eq!(tail(&log).len(), 4096);
    }
}
