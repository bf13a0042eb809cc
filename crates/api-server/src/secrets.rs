//! Secrets of clients: made or chosen, shown once, listed, rotated, revoked.

mod choose;
mod generate;
mod prepared;
mod revoke;
mod rotate;
mod shapes;

use chrono::{DateTime, SubsecRound as _, Utc};
use grantor_domain::client::{Client, ClientType};
use grantor_domain::client_secret::{self, MOST_LIVE};
use grantor_domain::ids::{ClientId, SecretId};
use grantor_domain::permission::Permission;
use grantor_storage::{ChangeTx, client_secrets, last_uses, ownership};

use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::clients::{check_may_act_as, find, find_for_change};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{ListRules, Place};
use crate::schemas::Page;

pub use prepared::{DRY_RUN_SECRET, PreparedSecret, ShownSecret};
use shapes::SecretOutput;
pub use shapes::shown_hint;

const SECRETS: &str = "/v1/tenants/{tenant}/clients/{client}/secrets";

const LIST: &ListRules = &ListRules {
    filters: &[],
    sorts: &[],
};

/// How room is made for another secret.
pub const REVOKE_ONE: &str = "revoke one first, or wait until one has ended";

/// The operations on secrets.
pub fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::get("listClientSecrets", SECRETS)
            .about(
                Tag::Secrets,
                "List a client's secrets",
                "All that it ever had, the newest first: where each comes from, whether it is live, when it was last \
                 used, and whether it ought to be replaced. What they are is never told.",
            )
            .needs(Permission::ClientsRead)
            .lists(LIST)
            .answers::<Page<SecretOutput>>(Success::Ok)
            .by(list),
    ];
    operations.extend(generate::operations());
    operations.extend(choose::operations());
    operations.extend(rotate::operations());
    operations.extend(revoke::operations());
    operations
}

async fn list(call: Call) -> Result<Answer<Page<SecretOutput>>, Problem> {
    let id: ClientId = call.id("client")?;
    let page = call.page()?;
    let (after, fetch) = (page.after_id().map(SecretId::from_uuid), page.fetch());
    let found = call
        .read(move |tx, acting| {
            let client = find(tx, acting, id)?;
            let secrets = client_secrets::list(tx, acting.tenant, id, after, fetch)?;
            let ids = secrets.iter().map(|secret| secret.id.uuid());
            let uses = last_uses::of(tx, acting.tenant, ids)?;
            let marks = ownership::marks(tx, acting.tenant, [client.organization])?;
            let mark = marks.get(&client.organization);
            Ok(secrets
                .into_iter()
                .map(|secret| {
                    let last_used_at = uses.get(&secret.id.uuid()).copied();
                    let shown = SecretOutput::of(&secret, mark, last_used_at, acting.now);
                    (secret.id, shown)
                })
                .collect::<Vec<_>>())
        })
        .await?;
    Answer::ok(&page.page(found, |(id, _)| Place::of(id.uuid()), |(_, shown)| shown)?)
}

/// The client in the state that the caller named, if it can have a secret at all.
fn find_holder(tx: &mut ChangeTx<'_>, acting: &Acting, id: ClientId) -> Result<Client, Stop> {
    let client = find_for_change(tx, acting, id)?;
    // client_4: a public client has no secret.
    match client.settings.client_type {
        ClientType::Confidential => Ok(client),
        ClientType::Public => Err(Problem::PublicClient.into()),
    }
}

/// Demands that the caller holds all that whoever has a secret of the client comes by (`role_3`).
fn check_conveyed(tx: &mut ChangeTx<'_>, acting: &Acting, client: &Client) -> Result<(), Stop> {
    check_may_act_as(tx, acting, client.id, &client.settings)
}

/// Demands that one more secret may be live. The client's row is locked, so nobody comes in between.
fn check_room(tx: &mut ChangeTx<'_>, acting: &Acting, id: ClientId) -> Result<(), Stop> {
    let now = tx.now();
    if client_secrets::live(tx, acting.tenant, id, now)?.len() < MOST_LIVE {
        Ok(())
    } else {
        Err(Problem::TooManySecrets(REVOKE_ONE).into())
    }
}

/// When a secret is to end, as it is stored.
fn as_stored(expires_at: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
    expires_at.map(|end| end.trunc_subsecs(6))
}

fn check_expiry(expires_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<(), Problem> {
    match expires_at.map(|end| client_secret::check_expiry(end, now)) {
        Some(Err(error)) => Err(Problem::field("/expires_at", error)),
        Some(Ok(())) | None => Ok(()),
    }
}

/// Where a secret is found that was just made.
fn location(call: &Call, client: ClientId, secret: SecretId) -> String {
    let tenant = call.tenant();
    call.address(&format!(
        "/v1/tenants/{tenant}/clients/{client}/secrets/{secret}"
    ))
}
