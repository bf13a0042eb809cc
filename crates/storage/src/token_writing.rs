//! Putting tokens on record: many by one statement, which itself looks whether what each of them rests on is current.
//!
//! Memory proposes, PostgreSQL disposes. A token was decided upon from memory that had applied the changes up to its
//! position. The statement reads, in its own snapshot, the changes after the lowest of these positions; it writes the
//! tokens that none of the changes after their own touches, and tells of the others that it did not. The order of the
//! feed is the order of the commits, so no change is missed: one that is not in the snapshot had not been committed when
//! the statement began, and whoever made it had no answer yet.

use std::collections::HashSet;
use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bytea, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use grantor_domain::ids::{MemberId, TokenId};
use grantor_domain::suspension::Position;
use grantor_domain::token::AccessToken;
use grantor_keys::TokenHash;
use uuid::Uuid;

use crate::error::StorageError;
use crate::feed_since::{Since, SinceRow, fence, later};
use crate::transaction::FlowTx;
use crate::user_agents::UserAgent;

/// A token that was decided upon.
#[derive(Debug, Clone)]
pub struct ProposedToken {
    /// What goes on record.
    pub token: AccessToken,
    /// What recognises it.
    pub hash: TokenHash,
    /// By what program it was asked for. Its name is put by [`crate::user_agents::put`], before the token or with it.
    pub user_agent: Option<UserAgent>,
}

/// What became of proposed tokens.
#[derive(Debug)]
pub struct Written {
    /// Those that are on record.
    pub ids: HashSet<TokenId>,
    /// The position that the statement looked from: the lowest of all.
    pub after: Position,
    /// What has happened since; where there is nothing, all are on record.
    pub since: Since,
}

// A change touches a token if it touches its client, or what all clients share of its tenant or of the platform.
const WRITE: &str = concat!(
    "WITH later AS MATERIALIZED (",
    later!(),
    "), fence AS MATERIALIZED (",
    fence!(),
    "), written AS (INSERT INTO access_tokens \
        (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, epoch, decided_at, ip, user_agent_number) \
     SELECT tenant_id, client_id, id, token_hash, member_id, string_to_array(scopes, ' '), \
        string_to_array(audiences, E'\\n'), issued_at, epoch, decided_at, ip, user_agent_number \
     FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS proposed \
        (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, epoch, decided_at, ip, user_agent_number) \
     WHERE proposed.epoch = (SELECT epoch FROM fence) \
       AND proposed.decided_at BETWEEN (SELECT floor - 1 FROM fence) AND (SELECT head FROM fence) \
       AND (SELECT count(*) FROM later) <= 1000 \
       AND NOT EXISTS (SELECT FROM later WHERE later.sequence > proposed.decided_at \
         AND (later.tenant_id = proposed.tenant_id AND (later.shared OR proposed.client_id = ANY (later.touched) \
             OR proposed.member_id = ANY (later.touched)) \
           OR later.shared AND later.tenant_id = (SELECT id FROM tenants WHERE is_platform))) \
     RETURNING id) \
     SELECT fence.*, later.*, (SELECT array_agg(id) FROM written) AS written \
     FROM fence LEFT JOIN later ON true ORDER BY later.sequence"
);

#[derive(QueryableByName)]
struct WrittenRow {
    #[diesel(embed)]
    since: SinceRow,
    #[diesel(sql_type = Nullable<Array<SqlUuid>>)]
    written: Option<Vec<Uuid>>,
}

/// Puts those of the tokens on record that rest on nothing that has changed. They may leave once this is committed, and
/// not before (`token_1`).
pub fn write(
    tx: &mut FlowTx<'_>,
    proposed: &[Arc<ProposedToken>],
) -> Result<Written, StorageError> {
    let lowest = proposed
        .iter()
        .map(|proposed| proposed.token.position)
        .min_by_key(|position| position.sequence)
        .ok_or_else(|| StorageError::corrupt("batch of tokens", "it is empty"))?;
    let each = |part: fn(&AccessToken) -> Uuid| -> Vec<Uuid> {
        proposed
            .iter()
            .map(|proposed| part(&proposed.token))
            .collect()
    };
    let lines = |part: fn(&AccessToken) -> String| -> Vec<String> {
        proposed
            .iter()
            .map(|proposed| part(&proposed.token))
            .collect()
    };
    let numbers = |part: fn(&AccessToken) -> i64| -> Vec<i64> {
        proposed
            .iter()
            .map(|proposed| part(&proposed.token))
            .collect()
    };
    let hashes: Vec<&[u8]> = proposed
        .iter()
        .map(|proposed| proposed.hash.as_bytes().as_slice())
        .collect();
    let members: Vec<Option<Uuid>> = proposed
        .iter()
        .map(|proposed| proposed.token.member.map(MemberId::uuid))
        .collect();
    let issued: Vec<_> = proposed
        .iter()
        .map(|proposed| proposed.token.issued_at)
        .collect();
    let addresses: Vec<Option<String>> = proposed
        .iter()
        .map(|proposed| proposed.token.ip.map(|ip| ip.to_string()))
        .collect();
    let programs: Vec<Option<i64>> = proposed
        .iter()
        .map(|proposed| proposed.user_agent.as_ref().map(UserAgent::number))
        .collect();
    let rows: Vec<WrittenRow> = diesel::sql_query(WRITE)
        .bind::<BigInt, _>(lowest.sequence)
        .bind::<Array<SqlUuid>, _>(each(|token| token.tenant.uuid()))
        .bind::<Array<SqlUuid>, _>(each(|token| token.client.uuid()))
        .bind::<Array<SqlUuid>, _>(each(|token| token.id.uuid()))
        .bind::<Array<Bytea>, _>(hashes)
        .bind::<Array<Nullable<SqlUuid>>, _>(members)
        .bind::<Array<Text>, _>(lines(|token| token.scopes.to_string()))
        // The identifiers of resource servers are URIs, without control characters.
        .bind::<Array<Text>, _>(lines(|token| token.audiences.join("\n")))
        .bind::<Array<Timestamptz>, _>(issued)
        .bind::<Array<BigInt>, _>(numbers(|token| token.position.epoch))
        .bind::<Array<BigInt>, _>(numbers(|token| token.position.sequence))
        .bind::<Array<Nullable<Text>>, _>(addresses)
        .bind::<Array<Nullable<BigInt>>, _>(programs)
        .load(tx.connection)?;
    let ids = rows
        .first()
        .and_then(|row| row.written.as_ref())
        .into_iter()
        .flatten()
        .map(|id| TokenId::from_uuid(*id))
        .collect();
    let since = rows.into_iter().map(|row| row.since).collect();
    Ok(Written {
        ids,
        after: lowest,
        since: Since::of(lowest, since)?,
    })
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

    /// The plan of putting tokens on record from a position on, by the role that does.
    fn plan(plans: &str, position: i64) -> String {
        let test = TestDatabase::new();
        let mut connection = test.superuser();
        connection
            .batch_execute(&format!(
                "SET plan_cache_mode = {plans}; SET enable_seqscan = off; \
                 PREPARE issue (bigint, uuid[], uuid[], uuid[], bytea[], uuid[], text[], text[], timestamptz[], bigint[], \
                   bigint[], text[], bigint[]) AS {WRITE}; \
                 BEGIN; SET LOCAL ROLE grantor_fast"
            ))
            .unwrap();
        let nobody = Uuid::nil();
        let lines: Vec<Line> = diesel::sql_query(format!(
            "EXPLAIN (COSTS OFF) EXECUTE issue ({position}, '{{{nobody}}}', '{{{nobody}}}', '{{{nobody}}}', '{{a}}', '{{NULL}}', \
             '{{a}}', '{{b}}', '{{epoch}}', '{{1}}', '{{{position}}}', '{{NULL}}', '{{NULL}}')"
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
    fn issuing_looks_for_changes_in_no_partition_of_the_feed_below_its_position() {
        for plans in ["force_custom_plan", "force_generic_plan"] {
            let plan = plan(plans, 1_200_000);
            let (_, later) = plan.split_once("CTE later").unwrap();
            let (later, _) = later.split_once("CTE ").unwrap();
            for below in [0, 500_000] {
                assert!(!later.contains(&format!("changes_{below:019}")), "{plan}");
            }
            for above in [1_000_000, 1_500_000, 2_000_000] {
                assert!(later.contains(&format!("changes_{above:019}")), "{plan}");
            }
            assert!(!plan.contains("Seq Scan on changes"), "{plan}");
        }
    }
}
