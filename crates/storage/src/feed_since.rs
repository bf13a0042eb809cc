//! What has changed since a place in the feed, as decisions out of memory ask it: in the snapshot of the very statement
//! that writes or reads what was decided.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Uuid as SqlUuid};
use grantor_domain::ids::TenantId;
use grantor_domain::suspension::Position;
use uuid::Uuid;

use crate::error::StorageError;
use crate::installation;
use crate::transaction::FlowTx;

/// So many changes are looked at; who has more to catch up with begins anew.
pub const MOST_LATER: usize = 1_000;

/// The changes after `$1`, no more than one above [`MOST_LATER`], each with whether it touches what all clients of its
/// tenant share. Everything does that isn't known to be of one client, member, organization or role alone; so does what
/// a server of an earlier release changed, which didn't tell the kinds of all that it touched.
macro_rules! later {
    () => {
        "SELECT sequence, tenant_id, touched, \
           (cardinality(subjects) <> cardinality(touched) OR EXISTS (SELECT FROM unnest(subjects) AS subject \
             WHERE NOT starts_with(subject, 'cli_') AND NOT starts_with(subject, 'mem_') \
               AND NOT starts_with(subject, 'org_') AND NOT starts_with(subject, 'rol_'))) AS shared \
         FROM changes WHERE sequence > $1 ORDER BY sequence LIMIT 1001"
    };
}

/// Where the feed begins and ends, and of which epoch it is.
macro_rules! fence {
    () => {
        "SELECT (SELECT epoch FROM installation) AS epoch, floor, \
           coalesce((SELECT max(sequence) FROM changes), floor - 1) AS head FROM change_feed"
    };
}
pub(crate) use {fence, later};

/// A change, as far as decisions that it may have crossed must know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Later {
    /// Its number.
    pub sequence: i64,
    /// Whose it is.
    pub tenant: TenantId,
    /// The ids of all that it touches.
    pub touched: Vec<Uuid>,
    /// Whether it touches what all clients of the tenant share.
    pub shared: bool,
}

/// What has happened since a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// These changes, in order and without a gap; mostly none.
    Changes(Vec<Later>),
    /// That can't be told: another epoch, or a place that the feed doesn't have or that lies too far back. Here is where
    /// the feed stands.
    Unknown(Position),
}

/// One row of what a statement tells of the feed: the fence, and a change if there is one.
#[derive(QueryableByName)]
pub(crate) struct SinceRow {
    #[diesel(sql_type = Nullable<BigInt>)]
    epoch: Option<i64>,
    #[diesel(sql_type = BigInt)]
    floor: i64,
    #[diesel(sql_type = BigInt)]
    head: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    sequence: Option<i64>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    tenant_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Array<SqlUuid>>)]
    touched: Option<Vec<Uuid>>,
    #[diesel(sql_type = Nullable<Bool>)]
    shared: Option<bool>,
}

impl Since {
    /// Reads what the rows tell, of which there is one at least.
    pub(crate) fn of(after: Position, rows: Vec<SinceRow>) -> Result<Self, StorageError> {
        let Some(first) = rows.first() else {
            return Err(installation::not_bootstrapped());
        };
        let epoch = first.epoch.ok_or_else(installation::not_bootstrapped)?;
        let now = Position {
            epoch,
            sequence: first.head,
        };
        let is_known = after.epoch == epoch
            && (first.floor - 1..=first.head).contains(&after.sequence)
            && rows.len() <= MOST_LATER;
        if !is_known {
            return Ok(Self::Unknown(now));
        }
        let changes = rows.into_iter().filter_map(|row| {
            Some(Later {
                sequence: row.sequence?,
                tenant: TenantId::from_uuid(row.tenant_id?),
                touched: row.touched?,
                shared: row.shared?,
            })
        });
        Ok(Self::Changes(changes.collect()))
    }
}

const SINCE: &str = concat!(
    "WITH later AS MATERIALIZED (",
    later!(),
    "), fence AS MATERIALIZED (",
    fence!(),
    ") SELECT fence.*, later.* FROM fence LEFT JOIN later ON true ORDER BY later.sequence"
);

/// Reads what has changed since a position, in one snapshot.
pub fn since(tx: &mut FlowTx<'_>, after: Position) -> Result<Since, StorageError> {
    let rows = diesel::sql_query(SINCE)
        .bind::<BigInt, _>(after.sequence)
        .load(tx.connection)?;
    Since::of(after, rows)
}

/// The place after which nothing has happened yet: the newest change of all tenants, which a decision rests on when it is
/// read before everything else.
///
/// A decision rests on its own tenant and, through the platform-wide resource servers, on the platform tenant. One
/// number stands for both because the feed's order is the order of commits and none comes late: whatever is read
/// after it has seen all changes up to it, whosever they are, and a change that it may have missed has a higher
/// number, for which the statement looks that puts a token on record. So a position is never too high.
///
/// A cut of a client or tenant is a change as well: below it is dead what may not have seen it, and nothing else.
/// Where all changes have left the feed, the position is the number below the lowest that is kept: whatever was
/// cut off by one of those changes was cut off below it.
pub fn position(tx: &mut FlowTx<'_>) -> Result<Position, StorageError> {
    let nowhere = Position {
        epoch: 0,
        sequence: i64::MAX,
    };
    match since(tx, nowhere)? {
        Since::Unknown(position) => Ok(position),
        Since::Changes(_) => Err(StorageError::corrupt("feed", "it has no end")),
    }
}
