//! What a caller may choose.

use std::path::PathBuf;

/// How a private server is started.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder that the server lives in; made when it is missing.
    pub folder: PathBuf,
    /// Whether what is committed survives. `false` is faster, and meant for tests: a crash of the machine may ruin the
    /// data, and `kill -9` of PostgreSQL loses what was committed last (unless `synchronous_commit` is set to `on`).
    pub durable: bool,
    /// Further server settings, name and value, as in `postgresql.conf`.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// A durable server in this folder, without further settings.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            durable: true,
            settings: Vec::new(),
        }
    }
}
