//! What can go wrong with storage, told apart by what the caller can do about it.

use diesel::result::{DatabaseErrorKind, Error as DieselError};
use grantor_domain::ids::TenantId;
use thiserror::Error;

/// A failure of storage.
#[derive(Debug, Error)]
pub enum StorageError {
    /// PostgreSQL can't be used now; trying again later may help.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// A unique key is taken; the name of the constraint tells which.
    #[error("the unique key {constraint} is taken")]
    Taken {
        /// The constraint.
        constraint: String,
    },
    /// Something refers to it, or what it refers to is not there; the name of the constraint tells which.
    #[error("the reference {constraint} does not hold")]
    Referenced {
        /// The constraint.
        constraint: String,
    },
    /// The tenant is suspended or deleted, and takes no change (`tenant_2`).
    #[error("{tenant} is suspended, and takes no change")]
    Suspended {
        /// The tenant.
        tenant: TenantId,
    },
    /// What a row holds can't be read as what it should be.
    #[error("the stored {what} is not readable: {value:?}")]
    Corrupt {
        /// What it should be.
        what: &'static str,
        /// What stands there instead.
        value: String,
    },
    /// Randomness for an id could not be had.
    #[error(transparent)]
    Entropy(#[from] grantor_keys::EntropyError),
    /// A change touched something of a tenant in whose log it said nothing: a defect of ours.
    #[error("a change touched {tenant} and has no event for its log")]
    Unsaid {
        /// The tenant.
        tenant: TenantId,
    },
    /// A change said that it was refused, and had touched something all the same: a defect of ours.
    #[error("a refused change touched {tenant}")]
    RefusedAndTouched {
        /// The tenant.
        tenant: TenantId,
    },
    /// Any other failure of a statement: a defect of ours.
    #[error("a statement failed")]
    Statement(#[source] DieselError),
}

impl StorageError {
    /// Whether trying again later may help.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Suspended { .. })
    }

    /// Whether one row of many may be the cause, so that the others could be written without it.
    pub fn may_be_of_one_row(&self) -> bool {
        match self {
            Self::Unavailable(why) => why.contains(NO_PARTITION),
            Self::Taken { .. } | Self::Corrupt { .. } | Self::Statement(_) => true,
            _ => false,
        }
    }

    pub(crate) fn corrupt(what: &'static str, value: impl Into<String>) -> Self {
        Self::Corrupt {
            what,
            value: value.into(),
        }
    }
}

impl From<DieselError> for StorageError {
    fn from(error: DieselError) -> Self {
        let DieselError::DatabaseError(kind, details) = &error else {
            return match error {
                DieselError::BrokenTransactionManager => {
                    Self::Unavailable("the connection broke".into())
                }
                other => Self::Statement(other),
            };
        };
        match kind {
            DatabaseErrorKind::UniqueViolation => Self::Taken {
                constraint: details.constraint_name().unwrap_or("unnamed").to_owned(),
            },
            DatabaseErrorKind::ForeignKeyViolation => Self::Referenced {
                constraint: details.constraint_name().unwrap_or("unnamed").to_owned(),
            },
            DatabaseErrorKind::ClosedConnection
            | DatabaseErrorKind::UnableToSendCommand
            | DatabaseErrorKind::ReadOnlyTransaction
            | DatabaseErrorKind::SerializationFailure => {
                Self::Unavailable(details.message().to_owned())
            }
            _ if passes_by_itself(details.message()) => {
                Self::Unavailable(details.message().to_owned())
            }
            _ => Self::Statement(error),
        }
    }
}

/// What PostgreSQL says of a row that no partition takes.
const NO_PARTITION: &str = "no partition of relation";

/// diesel doesn't hand on the SQLSTATE, so the few conditions that pass by themselves are told by their
/// words. Where the server speaks another language, the connection's state is looked at besides.
fn passes_by_itself(message: &str) -> bool {
    const SIGNS: [&str; 14] = [
        "deadlock detected",
        // Partitions are made a week ahead; should one be missing, the next round makes it.
        NO_PARTITION,
        "canceling statement due to",
        "terminating connection due to",
        "server closed the connection unexpectedly",
        "the database system is",
        "could not connect to server",
        "connection to server",
        "no connection to the server",
        "could not receive data from server",
        "could not send data to server",
        "SSL connection has been closed unexpectedly",
        "remaining connection slots are reserved",
        "sorry, too many clients already",
    ];
    SIGNS.iter().any(|sign| message.contains(sign))
}
