//! Access tokens that have neither expired nor been removed: of a client, or of a member at whatever client; listed,
//! counted and removed one by one. What removes all of them is a cut ([`crate::suspensions`]), and writes no token.
//!
//! Dead ones may lie between live ones, as many as were issued in a day. So each statement looks at so many at most, the
//! ones that expire last first: after a cut these are mostly the ones that live.

mod count;
mod page;
mod remove;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::suspension::Suspension;
use grantor_domain::text::ClientName;
use grantor_domain::token::AccessToken;
use grantor_protocol::scope::Scopes;
use uuid::Uuid;

pub use self::count::{COUNTED, Count, LiveTokens, count, count_of};
pub use self::page::list;
pub use self::remove::{Removed, remove};
use crate::error::StorageError;
use crate::schema::clients;
use crate::stored;
use crate::transaction::Reads;

/// Whose tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Of a client, for whomever.
    Client(ClientId),
    /// Of a client that acts for this member.
    ClientFor(ClientId, MemberId),
    /// Of every client that acts for this member.
    Member(MemberId),
}

impl Whose {
    /// What demands it of a row, by an index that begins so: `$7` is the client, `$8` the member.
    fn condition(self) -> &'static str {
        match self {
            Self::Client(_) => "client_id = $7",
            Self::ClientFor(..) => "member_id = $8 AND client_id = $7",
            Self::Member(_) => "member_id = $8",
        }
    }

    fn client(self) -> Uuid {
        match self {
            Self::Client(client) | Self::ClientFor(client, _) => client.uuid(),
            Self::Member(_) => Uuid::nil(),
        }
    }

    fn member(self) -> Uuid {
        match self {
            Self::ClientFor(_, member) | Self::Member(member) => member.uuid(),
            Self::Client(_) => Uuid::nil(),
        }
    }
}

/// A token that is on record, with what of the two it hangs on decides whether it sleeps.
#[derive(Debug, Clone)]
pub struct LiveToken {
    /// The token.
    pub token: AccessToken,
    /// What program asked for it.
    pub user_agent: Option<String>,
    /// What suspends its client.
    pub client_suspension: Suspension,
    /// What suspends the member for whom it was issued; nothing does when there is none.
    pub member_suspension: Suspension,
    /// The installation's epoch.
    pub epoch: i64,
}

/// What of a client is told with its tokens.
#[derive(Debug, Clone)]
pub struct TokenClient {
    /// Its name.
    pub name: ClientName,
    /// The organization in which it lives.
    pub organization: OrganizationId,
    /// The scopes that it may ask for now.
    pub allowed_scopes: Scopes,
}

/// Reads what is told of clients with their tokens; of those that are there.
pub fn clients_of(
    tx: &mut impl Reads,
    tenant: TenantId,
    ids: impl IntoIterator<Item = ClientId>,
) -> Result<HashMap<ClientId, TokenClient>, StorageError> {
    let ids: Vec<Uuid> = ids.into_iter().map(ClientId::uuid).collect();
    let rows: Vec<(Uuid, String, Uuid, Vec<String>)> = clients::table
        .filter(clients::tenant_id.eq(tenant.uuid()))
        .filter(clients::id.eq_any(ids))
        .select((
            clients::id,
            clients::name,
            clients::organization_id,
            clients::allowed_scopes,
        ))
        .load(tx.connection())?;
    rows.into_iter()
        .map(|(id, name, organization, scopes)| {
            let client = TokenClient {
                name: stored::parsed("client name", &name, ClientName::parse)?,
                organization: OrganizationId::from_uuid(organization),
                allowed_scopes: stored::scopes(&scopes)?,
            };
            Ok((ClientId::from_uuid(id), client))
        })
        .collect()
}

/// By how long the clocks of servers that issue tokens may be ahead, at the very most, in seconds.
const AHEAD: i64 = 3_600;

/// The ids of what has not expired: from the first on, before the second. No token expires later, so what partitions are
/// beyond need not be looked into.
pub(crate) fn unexpired(now: DateTime<Utc>) -> (Uuid, Uuid) {
    let longest = i64::from(AccessTokenLifetime::LONGEST) + AHEAD;
    // What expires at this very moment has expired.
    let first = now.timestamp_millis().saturating_add(1);
    let end = now.timestamp_millis().saturating_add(longest * 1_000);
    (stored::lowest_id(first), stored::lowest_id(end))
}

/// Reads along an index in its order. Partitions that are empty yet are cheaper to go through whole, so where few tokens are
/// expected the planner would read all that a client has, and sort them: be they a million.
fn in_order<R: Reads, T>(
    tx: &mut R,
    read: impl FnOnce(&mut R) -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    diesel::sql_query("SELECT set_config('enable_sort', 'off', true)").execute(tx.connection())?;
    let found = read(tx)?;
    // Where it failed, the transaction ends and the setting with it.
    diesel::sql_query("SELECT set_config('enable_sort', 'on', true)").execute(tx.connection())?;
    Ok(found)
}

/// Whether what a token hangs on, which this column of it names, was cut off after it or is deleted. One look by the
/// primary key for each token, and none where the column is empty: the statement leaves no other way.
fn ended(column: &str) -> String {
    format!(
        "coalesce((SELECT of_{column}.deleted_at IS NOT NULL OR of_{column}.cut_below > token.decided_at \
           FROM suspensions AS of_{column} WHERE of_{column}.tenant_id = $1 \
           AND of_{column}.subject_id = token.{column}), false)"
    )
}

/// That a token is alive, whether or not it sleeps, as [`AccessToken::standing`] has it: `$2` is the epoch, `$3` where the
/// tenant is cut.
fn alive() -> String {
    format!(
        "token.revoked_at IS NULL AND token.epoch = $2 AND token.decided_at >= $3 AND NOT {} AND NOT {}",
        ended("client_id"),
        ended("member_id")
    )
}
