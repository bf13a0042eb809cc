//! The feed as server-sent events.
//!
//! A stream outlives the check of the call that opened it. So the caller is checked anew before anything is
//! sent, and at every sign of life: a token that was revoked gets nothing more, whichever server it is on.

use std::fmt::Write as _;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::stream;
use grantor_domain::permission::Permission;
use grantor_storage::changes;
use tokio::time::Instant;

use super::position::Positions;
use super::watch::Follower;
use super::{Changes, PAGE, Part, Start};
use crate::answer::Reply;
use crate::call::Call;
use crate::incoming::{Checked, check};
use crate::problem::Problem;

/// How often a sign of life is sent, so that no proxy takes the connection for dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);
/// How long a stream lives. Then the client connects anew, perhaps to another server.
const LIFETIME: Duration = Duration::from_secs(3600);
/// When clients should come again after the stream has ended.
const RETRY_MILLIS: u32 = 1000;

struct Stream {
    call: Call,
    positions: Positions,
    at: Start,
    follower: Follower,
    until: Instant,
    /// Whether there is more to read before waiting.
    behind: bool,
}

/// Opens a stream.
pub(super) async fn open(
    call: Call,
    positions: Positions,
    start: Start,
) -> Result<Reply<Changes>, Problem> {
    // To follow comes before the first reading: what happens in between wakes the follower.
    let follower = call
        .api()
        .watch
        .follow(call.tenant())
        .ok_or(Problem::TooManyRequests {
            retry_after_seconds: 5,
        })?;
    let mut opened = Stream {
        positions,
        at: start,
        follower,
        until: Instant::now() + LIFETIME,
        behind: true,
        call,
    };
    // A position that has expired must be told as a problem, while there still is a status to tell it by.
    let mut first = format!("retry: {RETRY_MILLIS}\n\n");
    first.push_str(&opened.news().await?);
    let first = stream::iter([Ok(Bytes::from(first))]);
    let rest = stream::unfold(opened, |mut stream| async move {
        let text = stream.next().await?;
        Some((Ok(Bytes::from(text)), stream))
    });
    Ok(Reply::Stream(Box::pin(stream::StreamExt::chain(
        first, rest,
    ))))
}

impl Stream {
    /// What to send next; nothing when the stream has come to its end.
    async fn next(&mut self) -> Option<String> {
        if !self.behind {
            let has_news = tokio::select! {
                news = self.follower.news.changed() => news.map(|()| true).ok()?,
                _ = self.follower.draining.wait_for(|draining| *draining) => return None,
                () = tokio::time::sleep_until(self.until) => return None,
                () = tokio::time::sleep(SIGN_OF_LIFE) => false,
            };
            if !has_news {
                let _turn = self.follower.turn().await?;
                self.check().await.ok()?;
                return Some(": still here\n\n".to_owned());
            }
        }
        let _turn = self.follower.turn().await?;
        if *self.follower.draining.borrow() {
            return None;
        }
        // An end is no loss: the client comes again with the last position that it got.
        let news = self.news().await.ok()?;
        // After the reading, so that nothing gets out that happened after the caller lost the right to hear of it.
        self.check().await.ok()?;
        Some(news)
    }

    async fn check(&self) -> Result<(), Problem> {
        let incoming = &self.call.incoming;
        let checked = check(
            &incoming.api.authority,
            &incoming.token,
            incoming.ip,
            incoming.api.now(),
        );
        let Checked::Admitted(caller) = checked.await? else {
            return Err(Problem::AddressNotAllowed(incoming.ip));
        };
        caller
            .may(Permission::ChangesRead, self.call.tenant())
            .map_err(|_| Problem::NotFound)
    }

    async fn news(&mut self) -> Result<String, Problem> {
        self.follower.news.borrow_and_update();
        let start = self.at;
        let newest = changes::newest(self.call.api().authority.database()).await?;
        let part = self
            .call
            .read(move |tx, acting| Part::read(tx, acting, start, PAGE, newest))
            .await?;
        self.behind = part.more;
        self.at = Start::After {
            epoch: part.epoch,
            sequence: part.reached,
        };
        let told = part.told(&self.positions)?;
        if told.items.is_empty() {
            // Without data it dispatches nothing, but is where a client goes on after a break.
            return Ok(format!("id: {}\n\n", told.position));
        }
        let mut text = String::new();
        for event in told.items {
            let data = serde_json::to_string(&event).unwrap_or_default();
            let (id, kind) = (event.position(), event.kind());
            let _ = write!(text, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
        }
        Ok(text)
    }
}
