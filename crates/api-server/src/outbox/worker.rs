//! Sending what is in the outbox: any number of servers share the work, and what one of them took and did not
//! finish is taken again by another.

use std::time::Duration;

use chrono::TimeDelta;
use grantor_mail::{Mail, Mailbox, MessageId, SendError, Sender, Subject, Text};
use grantor_storage::StorageError;
use grantor_storage::deliveries::{self, Claimed};
use thiserror::Error;

use super::{Letter, Posted, place};
use crate::Api;

/// How often the outbox is looked into.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many are taken at once.
const BATCH: i64 = 20;
/// For how long what was taken is one's own: longer than the sending of a batch may take.
const LEASE: TimeDelta = TimeDelta::minutes(15);

/// By what mails are sent, and from whom they are.
pub struct Mailing {
    /// By what.
    pub sender: Sender,
    /// From whom.
    pub from: Mailbox,
}

/// Why a letter could not be sent.
#[derive(Debug, Error)]
enum Undelivered {
    #[error("the letter does not open: {0}")]
    Sealed(#[from] grantor_keys::OpenError),
    #[error("the letter is not one: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("the address {0}")]
    Address(#[from] grantor_mail::MailboxError),
    #[error("the subject {0}")]
    Text(#[from] grantor_mail::TextError),
    #[error("the id {0}")]
    MessageId(#[from] grantor_mail::MessageIdError),
    #[error(transparent)]
    Sending(#[from] SendError),
}

impl Undelivered {
    /// Whether another try may go better. What doesn't open now may do so once the right key is configured.
    fn is_passing(&self) -> bool {
        match self {
            Self::Sealed(_) => true,
            Self::Sending(error) => error.is_transient(),
            Self::Unreadable(_) | Self::Address(_) | Self::Text(_) | Self::MessageId(_) => false,
        }
    }
}

/// How long to wait after so many tries: a minute, then ever longer, up to six hours.
fn pause(tries: i32) -> TimeDelta {
    let doublings = u32::try_from(tries.clamp(1, 10) - 1).unwrap_or(0);
    TimeDelta::minutes(2_i64.pow(doublings)).min(TimeDelta::hours(6))
}

/// Sends mails for as long as it is polled. Without a way to send, letters wait until they are given up.
pub async fn send_mails(api: Api, mailing: Option<Mailing>) {
    let Some(mailing) = mailing else {
        log::warn!(
            "no way to send mails is configured: they wait in the outbox, for 7 days at most"
        );
        return std::future::pending().await;
    };
    loop {
        match send_some(&api, &mailing).await {
            // There may be more.
            Ok(sent) if i64::try_from(sent).is_ok_and(|sent| sent >= BATCH) => continue,
            Ok(_) => {}
            Err(error) => log::warn!("the outbox can't be looked into: {error}"),
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn send_some(api: &Api, mailing: &Mailing) -> Result<usize, StorageError> {
    let database = api.authority.database();
    let claimed = deliveries::claim(database, api.now(), LEASE, BATCH).await?;
    let count = claimed.len();
    for claimed in claimed {
        let Claimed { id, attempts, .. } = claimed;
        // Whether it still was this server's to tell makes no difference: another one has it then.
        let _is_told = match send(api, mailing, &claimed).await {
            Ok(()) => deliveries::delivered(database, claimed.tenant, id, api.now()).await?,
            Err(error) if error.is_passing() => {
                let next = api.now() + pause(attempts);
                log::warn!("mail {id}, try {attempts}: {error}; again at {next}");
                deliveries::postpone(database, &claimed, next, &error.to_string()).await?
            }
            Err(error) => {
                log::error!("mail {id} is given up: {error}");
                deliveries::give_up(database, &claimed, api.now(), &error.to_string()).await?
            }
        };
    }
    Ok(count)
}

async fn send(api: &Api, mailing: &Mailing, claimed: &Claimed) -> Result<(), Undelivered> {
    let Claimed { tenant, id, .. } = *claimed;
    let keyring = api.authority.keyring();
    let plain = keyring.open(&place(tenant, id), &claimed.sealed)?;
    let Posted { at, letter }: Posted<Letter> = serde_json::from_slice(&plain)?;
    let mail = Mail {
        // The same at each try, so that a mail server that got it before can tell.
        message_id: MessageId::parse(&format!("{id}@{}", mailing.from.domain()))?,
        date: at,
        from: mailing.from.clone(),
        to: Mailbox::new(letter.to_name.as_deref().unwrap_or_default(), &letter.to)?,
        subject: Subject::parse(&letter.subject)?,
        text: Text::parse(&letter.text)?,
    };
    mailing.sender.send(&mail).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_grow_apart_up_to_six_hours() {
        let minutes: Vec<_> = [0, 1, 2, 3, 4, 9, 100]
            .into_iter()
            .map(|tries| pause(tries).num_minutes())
            .collect();
        assert_eq!(minutes, [1, 1, 2, 4, 8, 256, 360]);
    }
}
