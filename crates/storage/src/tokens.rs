//! Access tokens. Their statements and those of `callers.rs` alone run on the fast path, and each of them
//! names the tenant.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bytea, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::ids::{ClientId, MemberId, TenantId, TokenId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::suspension::{Position, Suspension};
use grantor_domain::tenant::Tenant;
use grantor_domain::token::AccessToken;
use grantor_keys::{TokenHash, uuid_v7_millis};
use uuid::Uuid;

use crate::changes;
use crate::error::StorageError;
use crate::installation;
use crate::schema::access_tokens;
use crate::stored;
use crate::suspensions;
use crate::transaction::{FlowTx, Reads};

#[derive(Queryable, Selectable)]
#[diesel(table_name = access_tokens)]
pub(crate) struct TokenRow {
    tenant_id: Uuid,
    client_id: Uuid,
    id: Uuid,
    token_hash: Vec<u8>,
    member_id: Option<Uuid>,
    scopes: Vec<String>,
    audiences: Vec<String>,
    issued_at: DateTime<Utc>,
    epoch: i64,
    decided_at: i64,
    revoked_at: Option<DateTime<Utc>>,
    ip: Option<String>,
    user_agent: Option<String>,
}

impl TokenRow {
    pub(crate) fn into_domain(self) -> Result<(AccessToken, TokenHash), StorageError> {
        let hash = TokenHash::from_stored(&self.token_hash).ok_or_else(|| {
            StorageError::corrupt("token hash", self.token_hash.len().to_string())
        })?;
        let expires_at = expiry(self.id)
            .ok_or_else(|| StorageError::corrupt("token id", self.id.to_string()))?;
        let token = AccessToken {
            tenant: TenantId::from_uuid(self.tenant_id),
            client: ClientId::from_uuid(self.client_id),
            id: TokenId::from_uuid(self.id),
            member: self.member_id.map(MemberId::from_uuid),
            scopes: stored::scopes(&self.scopes)?,
            audiences: self.audiences,
            issued_at: self.issued_at,
            expires_at,
            revoked_at: self.revoked_at,
            position: Position {
                epoch: self.epoch,
                sequence: self.decided_at,
            },
            ip: self.ip.and_then(|ip| ip.parse().ok()),
            user_agent: self.user_agent,
        };
        Ok((token, hash))
    }
}

/// The time of a token's id is the token's expiry.
fn expiry(id: Uuid) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(uuid_v7_millis(id)).ok()?)
}

/// The position that a decision rests on, when it is read before everything else: the newest change of all
/// tenants.
///
/// A decision rests on its own tenant and, through the platform-wide resource servers, on the platform tenant. One
/// number stands for both because the feed's order is the order of commits and none comes late: whatever is read
/// after it has seen all changes up to it, whosever they are, and a change that it may have missed has a higher
/// number, which [`insert`] looks for. So a position is never too high; and a tenant in which nothing happens gets
/// a new one with each attempt, so that a change of the platform is decided upon once more and not for ever.
///
/// A cut of a client or tenant is a change as well: below it is dead what may not have seen it, and nothing else.
/// Where all changes have left the feed, the position is the number below the lowest that is kept: whatever was
/// cut off by one of those changes was cut off below it.
pub fn position(tx: &mut impl Reads) -> Result<Position, StorageError> {
    let (epoch, sequence) = changes::head(tx)?;
    Ok(Position { epoch, sequence })
}

/// What a decision to issue rested on, beside the token's own tenant.
#[derive(Debug, Clone, Default)]
pub struct RestedOn {
    /// Further tenants in whose feeds changes of the subjects stand.
    pub tenants: Vec<TenantId>,
    /// The subjects whose change makes the decision an old one.
    pub subjects: Vec<Uuid>,
}

// Memory proposes, PostgreSQL disposes: the statement itself looks, in its own snapshot, whether the decision
// is still current. It looks at the changes of the tenants whose subjects it rested on, in the partitions of the
// feed that hold numbers after the position, and no others.
const ISSUE: &str = "INSERT INTO access_tokens \
        (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, epoch, decided_at, ip, user_agent) \
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 \
     WHERE NOT EXISTS (SELECT FROM changes WHERE tenant_id = ANY ($14) AND sequence > $10 AND touched && $13)";

/// Puts a token on record, unless something that the decision rested on has changed since its position:
/// then nothing is written, and it must be decided anew. It may leave once this is committed, and not before
/// (`token_1`).
pub fn insert(
    tx: &mut FlowTx<'_>,
    token: &AccessToken,
    hash: TokenHash,
    rested_on: &RestedOn,
) -> Result<bool, StorageError> {
    let tenants: Vec<Uuid> = std::iter::once(&token.tenant)
        .chain(&rested_on.tenants)
        .map(|tenant| tenant.uuid())
        .collect();
    let written = diesel::sql_query(ISSUE)
        .bind::<SqlUuid, _>(token.tenant.uuid())
        .bind::<SqlUuid, _>(token.client.uuid())
        .bind::<SqlUuid, _>(token.id.uuid())
        .bind::<Bytea, _>(hash.as_bytes().as_slice())
        .bind::<Nullable<SqlUuid>, _>(token.member.map(MemberId::uuid))
        .bind::<Array<Text>, _>(token.scopes.to_vec())
        .bind::<Array<Text>, _>(&token.audiences)
        .bind::<Timestamptz, _>(token.issued_at)
        .bind::<BigInt, _>(token.position.epoch)
        .bind::<BigInt, _>(token.position.sequence)
        .bind::<Nullable<Text>, _>(token.ip.map(|ip| ip.to_string()))
        .bind::<Nullable<Text>, _>(token.user_agent.as_deref())
        .bind::<Array<SqlUuid>, _>(&rested_on.subjects)
        .bind::<Array<SqlUuid>, _>(tenants)
        .execute(tx.connection)?;
    Ok(written == 1)
}

/// A token as it stands on record, with what its client's suspension says.
#[derive(Debug)]
pub struct RecordedToken {
    /// The token.
    pub token: AccessToken,
    /// What recognises it.
    pub hash: TokenHash,
    /// What suspends its client, whether or not the client still exists.
    pub client_suspension: Suspension,
    /// What suspends the member for whom it was issued, whether or not the member still exists.
    pub member_suspension: Suspension,
    /// The installation's epoch.
    pub epoch: i64,
}

/// Finds a token by what it says of itself. Whether it is the one is for its hash to say.
pub fn find(
    tx: &mut impl Reads,
    tenant: TenantId,
    client: ClientId,
    id: TokenId,
) -> Result<Option<RecordedToken>, StorageError> {
    let row: Option<TokenRow> = access_tokens::table
        .find((tenant.uuid(), client.uuid(), id.uuid()))
        .select(TokenRow::as_select())
        .first(tx.connection())
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let (token, hash) = row.into_domain()?;
    let client_suspension = suspensions::of_subject(tx.connection(), tenant, client.uuid())?;
    let member_suspension = match token.member {
        Some(member) => suspensions::of_subject(tx.connection(), tenant, member.uuid())?,
        None => Suspension::default(),
    };
    let epoch = installation::epoch(tx)?;
    Ok(Some(RecordedToken {
        token,
        hash,
        client_suspension,
        member_suspension,
        epoch,
    }))
}

/// The most tokens of one client that are counted (`client_8`).
pub const COUNTED: u32 = 1_000;

/// How many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// Just so many.
    Exactly(u32),
    /// More than so many.
    MoreThan(u32),
}

impl Count {
    fn of(counted: i64) -> Self {
        match u32::try_from(counted) {
            Ok(counted) if counted <= COUNTED => Self::Exactly(counted),
            _ => Self::MoreThan(COUNTED),
        }
    }
}

/// How many access tokens of a client have neither expired nor been removed. Whether it is disabled doesn't matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveTokens {
    /// All of them.
    pub all: Count,
    /// Those that act for one member, if one was named.
    pub of_member: Option<Count>,
}

#[derive(QueryableByName)]
struct CountRow {
    #[diesel(sql_type = SqlUuid)]
    client_id: Uuid,
    #[diesel(sql_type = BigInt)]
    all_of_them: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    of_member: Option<i64>,
}

// Along the primary key from the first id that has not expired, and of each client no further than is counted; so far
// that no token expires later, for what partitions are beyond need not be looked into.
const LIVE: &str = "SELECT asked.client_id, \
       (SELECT count(*) FROM (SELECT FROM access_tokens AS token WHERE token.tenant_id = $1 \
         AND token.client_id = asked.client_id AND token.id >= $3 AND token.id < $8 AND token.revoked_at IS NULL \
         AND token.epoch = $4 AND token.decided_at >= coalesce(cut.cut_below, 0) AND token.decided_at >= $5 LIMIT $6) \
         AS live) AS all_of_them, \
       CASE WHEN $7 IS NULL THEN NULL ELSE (SELECT count(*) FROM (SELECT FROM access_tokens AS token WHERE token.tenant_id = $1 \
         AND token.member_id = $7 AND token.client_id = asked.client_id AND token.id >= $3 AND token.id < $8 \
         AND token.revoked_at IS NULL AND token.epoch = $4 AND token.decided_at >= coalesce(cut.cut_below, 0) \
         AND token.decided_at >= $5 LIMIT $6) AS live) END AS of_member \
     FROM unnest($2) AS asked (client_id) LEFT JOIN LATERAL (SELECT cut_below FROM suspensions \
       WHERE suspensions.tenant_id = $1 AND suspensions.subject_id = asked.client_id LIMIT 1) AS cut ON true";

/// By how long the clocks of servers that issue tokens may be ahead, at the very most, in seconds.
const AHEAD: i64 = 3_600;

/// Between which ids the tokens are that have not expired: from the first on, and below the second.
pub(crate) fn live_range(now: DateTime<Utc>) -> (Uuid, Uuid) {
    let millis = now.timestamp_millis();
    let longest = i64::from(AccessTokenLifetime::LONGEST) + AHEAD;
    // What expires at this very moment has expired.
    let first = stored::lowest_id(millis.saturating_add(1));
    (
        first,
        stored::lowest_id(millis.saturating_add(longest * 1_000)),
    )
}

/// Counts the live tokens of clients, of all members and of one.
pub fn count_live(
    tx: &mut impl Reads,
    tenant: &Tenant,
    clients: impl IntoIterator<Item = ClientId>,
    member: Option<MemberId>,
    now: DateTime<Utc>,
) -> Result<HashMap<ClientId, LiveTokens>, StorageError> {
    let clients: Vec<Uuid> = clients.into_iter().map(ClientId::uuid).collect();
    let epoch = installation::epoch(tx)?;
    let (first, end) = live_range(now);
    let rows: Vec<CountRow> = diesel::sql_query(LIVE)
        .bind::<SqlUuid, _>(tenant.id.uuid())
        .bind::<Array<SqlUuid>, _>(clients)
        .bind::<SqlUuid, _>(first)
        .bind::<BigInt, _>(epoch)
        .bind::<BigInt, _>(tenant.suspension.cut_below)
        .bind::<BigInt, _>(i64::from(COUNTED) + 1)
        .bind::<Nullable<SqlUuid>, _>(member.map(MemberId::uuid))
        .bind::<SqlUuid, _>(end)
        .load(tx.connection())?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let live = LiveTokens {
                all: Count::of(row.all_of_them),
                of_member: row.of_member.map(Count::of),
            };
            (ClientId::from_uuid(row.client_id), live)
        })
        .collect())
}

/// Revokes a token that is not revoked yet; tells whether this call did it.
pub fn revoke(
    tx: &mut FlowTx<'_>,
    tenant: TenantId,
    client: ClientId,
    id: TokenId,
    now: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let revoked =
        diesel::update(access_tokens::table.find((tenant.uuid(), client.uuid(), id.uuid())))
            .filter(access_tokens::revoked_at.is_null())
            .set(access_tokens::revoked_at.eq(now))
            .execute(tx.connection)?;
    Ok(revoked == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel::connection::SimpleConnection as _;
    use grantor_test_support::TestDatabase;

    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }

    /// The plan of issuing at a position, by the role that issues.
    fn plan(plans: &str, position: i64) -> String {
        let test = TestDatabase::new();
        let mut connection = test.superuser();
        connection
            .batch_execute(&format!(
                "SET plan_cache_mode = {plans}; \
                 PREPARE issue (uuid, uuid, uuid, bytea, uuid, text[], text[], timestamptz, bigint, bigint, text, text, uuid[], uuid[]) \
                 AS {ISSUE}; \
                 BEGIN; SET LOCAL ROLE grantor_fast"
            ))
            .unwrap();
        let nobody = Uuid::nil();
        let lines: Vec<Line> = diesel::sql_query(format!(
            "EXPLAIN (COSTS OFF) EXECUTE issue ('{nobody}', '{nobody}', '{nobody}', '', NULL, '{{}}', '{{}}', 'epoch', 1, {position}, \
             NULL, NULL, '{{{nobody}}}', '{{{nobody},{nobody}}}')"
        ))
        .load(&mut connection)
        .unwrap();
        lines
            .into_iter()
            .map(|line| line.line)
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn issuing_looks_at_no_partition_of_the_feed_below_its_position() {
        for plans in ["force_custom_plan", "force_generic_plan"] {
            let plan = plan(plans, 1_200_000);
            for below in [0, 500_000] {
                assert!(!plan.contains(&format!("changes_{below:019}")), "{plan}");
            }
            for above in [1_000_000, 1_500_000, 2_000_000] {
                assert!(plan.contains(&format!("changes_{above:019}")), "{plan}");
            }
            assert!(!plan.contains("Seq Scan"), "{plan}");
        }
    }
}
