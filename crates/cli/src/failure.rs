//! Why a command did not do what it was told.

use grantor_api_server::problem::Problem;
use grantor_authority::Refusal;
use grantor_foundation::OpenError;
use grantor_server_kit::{BindError, Mistakes, logging::LoggingError};
use grantor_storage::StorageError;
use grantor_storage::installation::UnfitDatabase;
use grantor_storage::migrate::MigrateError;
use thiserror::Error;

/// A failure, in a sentence that says the mend.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// Settings are at fault.
    #[error(transparent)]
    Settings(#[from] Mistakes),
    /// The installation can't be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database is not fit.
    #[error(transparent)]
    Unfit(#[from] UnfitDatabase),
    /// The schema could not be changed.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// A port is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The log could not be set up.
    #[error(transparent)]
    Logging(#[from] LoggingError),
    /// The private PostgreSQL did not start or stop.
    #[error(transparent)]
    Postgres(#[from] grantor_local_postgres::Error),
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// What `authority` was asked for failed.
    #[error(transparent)]
    Authority(#[from] grantor_authority::Failure),
    /// A key could not be made or read.
    #[error(transparent)]
    Entropy(#[from] grantor_keys::EntropyError),
    /// A file or a socket failed.
    #[error("{what}: {source}")]
    Io {
        /// Doing what.
        what: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Anything else, in a sentence of its own.
    #[error("{0}")]
    Told(String),
}

impl Failure {
    /// Adds what was being done to what the system says.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Told(problem.to_string())
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Told(refusal.to_string())
    }
}
