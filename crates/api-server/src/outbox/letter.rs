//! What is written to people, in plain words.

use chrono::{DateTime, Utc};
use grantor_domain::client::{Client, OwnerContact};
use grantor_domain::text::Reason;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::problem::Problem;

/// A mail to one person.
#[derive(Serialize, Deserialize)]
pub struct Letter {
    /// Their name.
    pub to_name: Option<String>,
    /// Their address.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub text: String,
}

/// A letter in the outbox.
#[derive(Serialize, Deserialize)]
pub struct Posted<L> {
    /// When it was posted: the date of the mail, at each try.
    pub at: DateTime<Utc>,
    /// The letter.
    pub letter: L,
}

impl Letter {
    /// Tells the owner contact why a client was disabled (`client_10`).
    pub fn client_disabled(client: &Client, reason: &Reason) -> Self {
        let name = &client.settings.name;
        Self::to(
            &client.settings.owner_contact,
            format!("{name} was disabled"),
            format!(
                "The client {name} ({}) was disabled. Until somebody enables it again it gets no tokens, and the \
                 ones it has are not accepted.\n\nThe reason given is:\n\n    {}\n\nYou get this because your \
                 address is the client's owner contact.\n",
                client.id,
                reason.as_str().replace('\n', "\n    "),
            ),
        )
    }

    fn to(contact: &OwnerContact, subject: String, text: String) -> Self {
        Self {
            to_name: contact.name.as_ref().map(ToString::to_string),
            to: contact.email.to_string(),
            subject,
            text,
        }
    }

    pub(super) fn written(&self, at: DateTime<Utc>) -> Result<Zeroizing<Vec<u8>>, Problem> {
        serde_json::to_vec(&Posted { at, letter: self })
            .map(Zeroizing::new)
            .map_err(|error| {
                log::error!("a letter can't be written as JSON: {error}");
                Problem::Internal
            })
    }
}
