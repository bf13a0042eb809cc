//! One connection to PostgreSQL, and the pool of them.
//!
//! A connection that failed at `BEGIN`, `COMMIT` or `ROLLBACK` marks itself broken, so that the pool drops
//! it; none is tried out at checkout, which would cost a round trip each time.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use crate::error::StorageError;

pub(crate) struct Link {
    pub(crate) connection: PgConnection,
    pub(crate) broken: bool,
}

/// Makes links for the pool.
pub(crate) struct LinkMaker {
    url: String,
    set_up: String,
}

impl LinkMaker {
    pub(crate) fn new(url: &str, statement_timeout: Duration) -> Self {
        let url = with_deadlines(url);
        // Whatever a plan is thought to cost, its statement ends before it would have been compiled.
        let set_up = format!(
            "SET search_path = grantor; SET timezone = 'UTC'; \
             SET default_transaction_isolation = 'read committed'; \
             SET jit = off; SET idle_in_transaction_session_timeout = '2s'; SET lock_timeout = '{}ms'; \
             SET statement_timeout = '{}ms'",
            statement_timeout.as_millis() / 2,
            statement_timeout.as_millis()
        );
        Self { url, set_up }
    }
}

/// Adds the deadlines of the connection itself to its address, where libpq looks for its options, and that
/// it must be to a server that takes writes: a replica could know too little. They come first, so that what
/// the installation sets itself wins.
pub(crate) fn with_deadlines(url: &str) -> String {
    let deadlines = "connect_timeout=2&tcp_user_timeout=5000&keepalives_idle=10&keepalives_interval=3\
                     &keepalives_count=3&application_name=grantor&target_session_attrs=read-write";
    let (address, own) = url.split_once('?').unwrap_or((url, ""));
    format!("{address}?{deadlines}&{own}")
        .trim_end_matches('&')
        .to_owned()
}

impl r2d2::ManageConnection for LinkMaker {
    type Connection = Link;
    type Error = StorageError;

    fn connect(&self) -> Result<Link, StorageError> {
        let mut connection = PgConnection::establish(&self.url)
            .map_err(|error| StorageError::Unavailable(error.to_string()))?;
        connection.batch_execute(&self.set_up)?;
        Ok(Link {
            connection,
            broken: false,
        })
    }

    fn is_valid(&self, link: &mut Link) -> Result<(), StorageError> {
        Ok(link.connection.batch_execute("SELECT 1")?)
    }

    fn has_broken(&self, link: &mut Link) -> bool {
        link.broken || std::thread::panicking()
    }
}

/// Says in the log why the pool could not connect.
#[derive(Debug)]
struct Log;

impl r2d2::HandleError<StorageError> for Log {
    fn handle_error(&self, error: StorageError) {
        log::warn!("can't connect to the database: {error}");
    }
}

pub(crate) type Pool = r2d2::Pool<LinkMaker>;

pub(crate) fn pool(url: &str, size: u32, statement_timeout: Duration) -> Pool {
    r2d2::Pool::builder()
        .max_size(size)
        .min_idle(Some(1))
        .test_on_check_out(false)
        // How long a checkout waits, and twice the longest pause between two tries to connect.
        .connection_timeout(Duration::from_secs(1))
        .error_handler(Box::new(Log))
        .build_unchecked(LinkMaker::new(url, statement_timeout))
}
