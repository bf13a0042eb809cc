//! The change feed: what has changed in a tenant, in the order in which it was committed.
//!
//! A follower asks for what comes after the position that it has reached, and misses nothing: no change
//! arrives late. The same is there as server-sent events. An event is thin: it says what changed, and whoever
//! wants to know how reads it anew.

mod event;
mod position;
mod stream;
mod watch;

use grantor_domain::permission::Permission;
use grantor_storage::{Reads, changes};
use serde::Serialize;
use utoipa::ToSchema;

use self::position::Positions;
use crate::answer::{Answer, Reply};
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::{Problem, ProblemCode};

pub use event::ChangeEvent;
pub use watch::{Watch, follow};

/// How many events one page has at most, unless the caller wants fewer.
const PAGE: i64 = 200;

const QUERY: &[QueryParameter] = &[
    QueryParameter {
        name: "after",
        required: false,
        max_length: 200,
        about: "The `position` up to which you have got, from an answer before; `now` for the newest. Absent: from \
                the oldest change that is kept.",
        example: "now",
    },
    QueryParameter {
        name: "limit",
        required: false,
        max_length: 3,
        about: "How many at most, 1 to 200; 200 when absent.",
        example: "50",
    },
];

/// Part of the change feed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Changes {
    /// The changes, in the order of their commits.
    items: Vec<ChangeEvent>,
    /// Up to where this answer goes: what to send as `after` next, even when there were no items.
    #[schema(max_length = 200)]
    position: String,
    /// Whether more is there already.
    has_more: bool,
}

/// The operations on the feed.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listChanges", "/v1/tenants/{tenant}/changes")
            .about(
                Tag::Changes,
                "Follow the changes",
                "What has changed after a position, in the order of commits: nothing is missing, and nothing comes \
                 late. Ask again with the `position` of the answer. With `Accept: text/event-stream` the same comes \
                 as server-sent events: `id` is the position, `event` the type, `data` the item. After a break, browsers go on where they were. \
                 To begin with a full picture, ask for `after=now` first, then read what you need, then follow. \
                 Changes are kept for 30 days by default; a position from before that is answered 410.",
            )
            .needs_over_whole_tenant(Permission::ChangesRead)
            .query(QUERY)
            .streams()
            .may_fail(&[ProblemCode::PositionExpired])
            .answers::<Changes>(Success::Ok)
            .by(list),
    ]
}

async fn list(call: Call) -> Result<Reply<Changes>, Problem> {
    let limit = match call.query.get("limit").map(str::parse) {
        None => PAGE,
        Some(Ok(limit)) if (1..=PAGE).contains(&limit) => limit,
        Some(_) => {
            let detail = format!("must be a number from 1 to {PAGE}");
            return Err(Problem::parameter("limit", detail));
        }
    };
    let positions = Positions::of(&call);
    let after = call
        .incoming
        .headers
        .last_event_id
        .as_deref()
        .or(call.query.get("after"));
    let start = positions.start(after)?;
    let streamed = call
        .incoming
        .headers
        .accept
        .as_deref()
        .is_some_and(|accept| accept.contains("text/event-stream"));
    if streamed {
        return stream::open(call, positions, start).await;
    }
    let newest = changes::newest(call.api().authority.database()).await?;
    let page = call
        .read(move |tx, acting| Part::read(tx, acting, start, limit, newest))
        .await?;
    Ok(Reply::Answer(Answer::ok(&page.told(&positions)?)?))
}

/// Where a follower begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// With the oldest change that is kept.
    Oldest,
    /// With what comes from now on.
    Now,
    /// After this number, of this epoch.
    After {
        /// The installation's epoch when it was given out.
        epoch: i64,
        /// The number.
        sequence: i64,
    },
}

/// What was read of the feed.
pub(crate) struct Part {
    entries: Vec<changes::FeedEntry>,
    epoch: i64,
    /// Up to where it goes.
    reached: i64,
    more: bool,
}

impl Part {
    /// Reads what follows a start. `newest` is the newest number of all tenants, read before.
    fn read(
        tx: &mut impl Reads,
        acting: &Acting,
        start: Start,
        limit: i64,
        newest: i64,
    ) -> Result<Self, Stop> {
        let bounds = changes::bounds(tx, acting.tenant)?;
        let after = match start {
            Start::Oldest => bounds.floor - 1,
            Start::Now => bounds.head.max(newest),
            Start::After { epoch, sequence } => {
                // After a restore from a backup numbers repeat: what they meant is not known any more.
                if epoch != bounds.epoch {
                    return Err(Problem::PositionExpired.into());
                }
                sequence
            }
        };
        let mut entries = changes::page(tx, acting.tenant, after, limit + 1)?;
        // The floor after the page: what was dropped before the page was read is below it by now, and a page
        // with a gap is never told.
        let floor = changes::bounds(tx, acting.tenant)?.floor;
        if after < floor - 1 && start != Start::Oldest {
            return Err(Problem::PositionExpired.into());
        }
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = entries.len() > limit;
        entries.truncate(limit);
        let last = entries.last().map_or(after, |last| last.sequence);
        Ok(Self {
            // Who is at the head has gone past the changes of others as well: as these leave, the floor rises
            // above a quiet tenant's last change, and must not rise above the place of who follows it.
            reached: if more {
                last
            } else {
                last.max(newest).max(floor - 1)
            },
            entries,
            epoch: bounds.epoch,
            more,
        })
    }

    fn told(self, positions: &Positions) -> Result<Changes, Problem> {
        let Self {
            entries,
            epoch,
            reached,
            more,
        } = self;
        Ok(Changes {
            position: positions.write(epoch, reached)?,
            items: entries
                .into_iter()
                .map(|entry| ChangeEvent::of(entry, epoch, positions))
                .collect::<Result<_, _>>()?,
            has_more: more,
        })
    }
}
