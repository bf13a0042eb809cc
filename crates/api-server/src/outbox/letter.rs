//! What is written to people, in plain words.

use chrono::{DateTime, Utc};
use grantor_domain::client::{Client, OwnerContact};
use grantor_domain::member::Member;
use grantor_domain::settings::SupportContact;
use grantor_domain::tenant::Tenant;
use grantor_domain::text::{OrganizationName, Reason};
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
                indented(reason),
            ),
        )
    }

    /// Tells the owner contact why an operator disabled a client (`client_10`).
    pub fn client_disabled_by_operator(client: &Client, reason: &Reason) -> Self {
        let name = &client.settings.name;
        Self::to(
            &client.settings.owner_contact,
            format!("{name} was disabled by an operator"),
            format!(
                "The client {name} ({}) was disabled by an operator of the platform. Until an operator enables it again it \
                 gets no tokens, and the ones it has are not accepted.\n\nThe reason given is:\n\n    {}\n\nYou get \
                 this because your address is the client's owner contact.\n",
                client.id,
                indented(reason),
            ),
        )
    }

    /// Tells the owner contact that a client fails again and again (`client_10`).
    pub fn client_fails(client: &Client, count: u64, since: DateTime<Utc>) -> Self {
        let name = &client.settings.name;
        Self::to(
            &client.settings.owner_contact,
            format!("{name} fails again and again"),
            format!(
                "Since {} the client {name} ({}) was refused {count} times: for its secret, its address, its scopes or \
                 something else that it asked for wrongly.\n\nEither it is set up wrongly, or somebody else tries to be \
                 it. Its usage tells what failed how often; an administrator can disable it.\n\nYou get this because \
                 your address is the client's owner contact.\n",
                when(since),
                client.id,
            ),
        )
    }

    /// Tells the root owner why their tenant was suspended (`tenant_2`).
    pub fn tenant_suspended(to: &OwnerContact, tenant: &Tenant, reason: &Reason) -> Self {
        let name = &tenant.name;
        Self::to(
            to,
            format!("{name} was suspended"),
            format!(
                "The tenant {name} ({}) was suspended by an operator of the platform. Until it is restored nobody can sign \
                 in, no tokens are issued, and the ones that are out are not accepted.\n\nThe reason given is:\n\n    \
                 {}\n\nYou get this because you are the tenant's root owner.\n",
                tenant.id,
                indented(reason),
            ),
        )
    }

    /// Tells the root owner that their tenant was restored.
    pub fn tenant_restored(to: &OwnerContact, tenant: &Tenant, reason: Option<&Reason>) -> Self {
        let name = &tenant.name;
        let given = reason.map_or_else(String::new, |reason| {
            format!("The reason given is:\n\n    {}\n\n", indented(reason))
        });
        Self::to(
            to,
            format!("{name} was restored"),
            format!(
                "The tenant {name} ({}) is not suspended any more. What did not expire meanwhile works again.\n\n{given}You \
                 get this because you are the tenant's root owner.\n",
                tenant.id,
            ),
        )
    }

    /// Invites a member to set their first password.
    pub fn invitation(
        member: &Member,
        tenant: &OrganizationName,
        contact: Option<&SupportContact>,
        url: &str,
        until: DateTime<Utc>,
    ) -> Self {
        let text = format!(
            "You were made a member of {tenant}. Choose a password here:\n\n    {url}\n\nThe link works once, until {}. \
             Whoever has it can come in as you: don't hand it on.\n\n{}",
            when(until),
            questions(contact),
        );
        Self::to_member(member, format!("You are invited to {tenant}"), text)
    }

    /// Lets a member set a new password.
    pub fn password_reset(
        member: &Member,
        tenant: &OrganizationName,
        contact: Option<&SupportContact>,
        url: &str,
        until: DateTime<Utc>,
    ) -> Self {
        let text = format!(
            "An administrator of {tenant} lets you choose a new password. Do so here:\n\n    {url}\n\nThe link works \
             once, until {}. Until you use it, the password you have goes on working. Whoever has the link can come in \
             as you: don't hand it on.\n\n{}",
            when(until),
            questions(contact),
        );
        Self::to_member(member, format!("Your password at {tenant}"), text)
    }

    fn to_member(member: &Member, subject: String, text: String) -> Self {
        let settings = &member.settings;
        Self {
            to_name: Some(settings.name.to_string()),
            to: settings.email.to_string(),
            subject,
            text,
        }
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

/// A reason as it stands in a letter, each line as far in as the first.
fn indented(reason: &Reason) -> String {
    reason.as_str().replace('\n', "\n    ")
}

/// A time as people read it.
fn when(at: DateTime<Utc>) -> String {
    at.format("%-d %B %Y, %H:%M UTC").to_string()
}

/// Whom to turn to.
fn questions(contact: Option<&SupportContact>) -> String {
    match contact {
        Some(SupportContact {
            name: Some(name),
            email,
        }) => format!("If you have questions, write to {name} <{email}>.\n"),
        Some(SupportContact { name: None, email }) => {
            format!("If you have questions, write to {email}.\n")
        }
        None => "If you did not expect this, you need not do anything.\n".to_owned(),
    }
}
