//! Why a private server could not be found, started or stopped, in sentences for the person at the terminal.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// What went wrong with a private PostgreSQL server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No folder holds both `initdb` and `postgres`.
    #[error(
        "no PostgreSQL server is installed: run `apt-get install postgresql` (Debian, Ubuntu) or `brew install postgresql@17` (macOS)"
    )]
    NotInstalled,
    /// Servers were found, all of them before version 14.
    #[error(
        "only PostgreSQL {newest} is installed, and 14 or newer is needed: run `apt-get install postgresql` (Debian, Ubuntu) or `brew install postgresql@17` (macOS)"
    )]
    TooOld {
        /// The newest version that was found.
        newest: String,
    },
    /// The data was written by a major version that is not installed.
    #[error(
        "the data in {} was written by PostgreSQL {major}, but only {installed} is installed: install PostgreSQL {major}, or remove the folder to start afresh",
        data.display()
    )]
    OtherMajor {
        /// The data folder.
        data: PathBuf,
        /// The major version in its `PG_VERSION`.
        major: u32,
        /// The versions that are installed.
        installed: String,
    },
    /// The place of the data holds something else.
    #[error("{} holds no PostgreSQL data: move it away, or choose another folder", .0.display())]
    NotData(PathBuf),
    /// Another process owns the folder.
    #[error("{} is in use by {}", folder.display(), holder_words(*holder))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The process that holds it, where it is known.
        holder: Option<u32>,
    },
    /// Running as root, and no other user can be found.
    #[error(
        "PostgreSQL does not run as root, and neither `postgres` nor `nobody` is in /etc/passwd"
    )]
    NoUnprivilegedUser,
    /// There is data, but its user can no longer reach it.
    #[error("the user {user}, who runs PostgreSQL, can't reach the data in {}: a folder above it is closed", folder.display())]
    Unreachable {
        /// The folder that can't be entered.
        folder: PathBuf,
        /// The user who can't.
        user: String,
    },
    /// A folder that must be private belongs to someone else, or is open to others.
    #[error("{} belongs to another user or is open to others: remove it", .0.display())]
    NotPrivate(PathBuf),
    /// No place for the data or the socket fits.
    #[error("no folder serves for {purpose}: tried {tried}")]
    NoPlace {
        /// What the folder is for.
        purpose: &'static str,
        /// The folders that were tried.
        tried: String,
    },
    /// `initdb` failed.
    #[error("initdb failed ({status}):\n{output}")]
    Initdb {
        /// How it ended.
        status: ExitStatus,
        /// What it said last.
        output: String,
    },
    /// The server ended instead of accepting connections, or did not end cleanly.
    #[error("PostgreSQL ended ({status}):\n{log}")]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its log.
        log: String,
    },
    /// The server did not accept connections in time.
    #[error("PostgreSQL accepted no connection within {seconds} s:\n{log}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// The last lines of its log.
        log: String,
    },
    /// A server does not end, although it was told to.
    #[error("PostgreSQL (process {pid}) did not stop within {seconds} s")]
    NotStopped {
        /// The postmaster.
        pid: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The operating system refused something.
    #[error("could not {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file, folder or program.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: says what was tried, and on which path.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}

fn holder_words(holder: Option<u32>) -> String {
    holder.map_or_else(
        || "another process".to_owned(),
        |pid| format!("another process ({pid}): stop it first, or choose another folder"),
    )
}
