//! Members found by how words of theirs begin.
//!
//! A page is found on one of two ways. *Along the words*: the first sought word leads through the index in the order
//! of the list, and who does not meet the rest is skipped. That is short when many meet it, so a short piece of that way
//! is tried first. *From few*: where a word or the filter leaves few members altogether, these are looked at one by one.
//! Where neither helps, because many members meet each thing that is asked for and few meet all of them, a longer piece
//! of the way along the words is gone, and it is told where that ended.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Text, Uuid as SqlUuid};
use grantor_domain::ids::{MemberId, TenantId};
use grantor_domain::member::{Member, MemberStatus};
use grantor_domain::search::{Sought, above};
use uuid::Uuid;

use super::{MemberFilter, Part, by_ids};
use crate::error::StorageError;
use crate::transaction::Reads;

/// So many members, or words of theirs, are looked at one by one at most.
const LOOKS: i64 = 2_000;

#[derive(QueryableByName)]
struct FoundRow {
    #[diesel(sql_type = Text)]
    word: String,
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
    #[diesel(sql_type = Bool)]
    stopped: bool,
}

#[derive(QueryableByName)]
struct Candidate {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

// The place stands at the lowest word that is sought, or after it: a second lower bound would keep the index from
// being entered there. Each member comes once, at the first of their words that begins so. What they must meet besides
// is looked up by their keys: the subqueries with their limits keep the planner from beginning with it. After those found
// comes the last of the `$12` that were looked at, if there were as many: in the same statement, for between two others
// may come and go.
const ALONG_WORDS: &str = "SELECT part.word, part.member_id, part.stopped FROM ( \
       (SELECT found.word, found.member_id, false AS stopped \
       FROM (SELECT word, member_id FROM member_words \
         WHERE tenant_id = $1 AND (word, member_id) > ($4, $5) AND word < $3 \
         ORDER BY word, member_id LIMIT $12) AS found \
       CROSS JOIN LATERAL (SELECT id FROM members WHERE tenant_id = $1 AND id = found.member_id \
         AND ($8 IS NULL OR organization_id IN (SELECT unnest($8))) \
         AND ($9 IS NULL OR status = $9) AND ($10 IS NULL OR email_key = $10) LIMIT 1) AS member \
       WHERE found.word = (SELECT min(word) FROM member_words AS first WHERE first.tenant_id = $1 \
           AND first.member_id = found.member_id AND first.word >= $2) \
         AND NOT EXISTS (SELECT FROM unnest($6, $7) AS wanted (low, high) WHERE NOT EXISTS ( \
           SELECT FROM member_words AS other WHERE other.tenant_id = $1 AND other.member_id = found.member_id \
             AND other.word >= wanted.low AND other.word < wanted.high)) \
       ORDER BY found.word, found.member_id LIMIT $11) \
     UNION ALL \
       (SELECT word, member_id, true FROM member_words \
       WHERE tenant_id = $1 AND (word, member_id) > ($4, $5) AND word < $3 \
       ORDER BY word, member_id OFFSET $12 - 1 LIMIT 1)) AS part \
     ORDER BY part.stopped, part.word, part.member_id";

// The same of the members of `$13`, who are few.
const FROM_FEW: &str = "SELECT found.word, found.member_id, false AS stopped \
     FROM (SELECT (SELECT min(word) FROM member_words AS first WHERE first.tenant_id = $1 \
         AND first.member_id = few.id AND first.word >= $2) AS word, few.id AS member_id FROM unnest($13) AS few (id)) AS found \
     CROSS JOIN LATERAL (SELECT id FROM members WHERE tenant_id = $1 AND id = found.member_id \
       AND ($8 IS NULL OR organization_id IN (SELECT unnest($8))) \
       AND ($9 IS NULL OR status = $9) AND ($10 IS NULL OR email_key = $10) LIMIT 1) AS member \
     WHERE found.word < $3 AND (found.word, found.member_id) > ($4, $5) \
       AND NOT EXISTS (SELECT FROM unnest($6, $7) AS wanted (low, high) WHERE NOT EXISTS ( \
         SELECT FROM member_words AS other WHERE other.tenant_id = $1 AND other.member_id = found.member_id \
           AND other.word >= wanted.low AND other.word < wanted.high)) \
     ORDER BY found.word, found.member_id LIMIT $11";

// The orders here are those of the indexes, and for the planner alone: it might go through the table else.
const WITH_WORD: &str = "SELECT member_id AS id FROM member_words WHERE tenant_id = $1 AND word >= $2 AND word < $3 \
     ORDER BY word, member_id LIMIT $4";

const WITH_STATUS: &str =
    "SELECT id FROM members WHERE tenant_id = $1 AND status = $2 ORDER BY id LIMIT $3";

const WITHIN: &str = "SELECT within.id FROM unnest($2) AS o (organization_id) CROSS JOIN unnest($3) AS s (status) \
     CROSS JOIN LATERAL (SELECT id FROM members WHERE tenant_id = $1 AND organization_id = o.organization_id \
       AND status = s.status ORDER BY id LIMIT $4) AS within LIMIT $4";

/// A place in what is found: a word, and the member who has it.
pub type AtWord = (String, MemberId);

/// Reads up to `limit` members of whom words begin as sought, in the order of those words, from after a place.
/// With each comes the word that places them.
///
/// It looks at a bounded number of members, and tells where it stopped.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    sought: &Sought,
    filter: &MemberFilter,
    after: Option<AtWord>,
    limit: i64,
) -> Result<Part<(String, Member), AtWord>, StorageError> {
    let (after_word, after_id) = after
        .map(|(word, id)| (word, id.uuid()))
        .filter(|(word, _)| *word >= sought.first)
        .unwrap_or_else(|| (sought.first.clone(), Uuid::nil()));
    let highs: Vec<String> = sought.others.iter().map(|word| above(word)).collect();
    let organizations = filter.organizations();
    let look = |connection: &mut PgConnection, way: Way| -> Result<Looked, StorageError> {
        let (statement, at_most, few) = match way {
            Way::Along(at_most) => (ALONG_WORDS, Some(at_most), None),
            Way::From(few) => (FROM_FEW, None, Some(few)),
        };
        let mut found: Vec<FoundRow> = diesel::sql_query(statement)
            .bind::<SqlUuid, _>(tenant.uuid())
            .bind::<Text, _>(&sought.first)
            .bind::<Text, _>(above(&sought.first))
            .bind::<Text, _>(&after_word)
            .bind::<SqlUuid, _>(after_id)
            .bind::<Array<Text>, _>(&sought.others)
            .bind::<Array<Text>, _>(&highs)
            .bind::<Nullable<Array<SqlUuid>>, _>(&organizations)
            .bind::<Nullable<Text>, _>(filter.status.map(MemberStatus::as_str))
            .bind::<Nullable<Text>, _>(filter.email_key())
            .bind::<BigInt, _>(limit)
            .bind::<Nullable<BigInt>, _>(at_most)
            .bind::<Nullable<Array<SqlUuid>>, _>(few)
            .load(connection)?;
        let stopped_at = found.pop_if(|row| row.stopped);
        let full = i64::try_from(found.len()).is_ok_and(|many| many >= limit);
        Ok(Looked {
            found,
            stopped_at: stopped_at.filter(|_| !full),
        })
    };
    let near = limit.saturating_mul(4).min(LOOKS);
    let mut looked = look(tx.connection(), Way::Along(near))?;
    if looked.stopped_at.is_some() {
        let few = few(
            tx.connection(),
            tenant,
            sought,
            filter,
            organizations.as_deref(),
        )?;
        looked = look(tx.connection(), few.map_or(Way::Along(LOOKS), Way::From))?;
    }
    let ids: Vec<Uuid> = looked.found.iter().map(|row| row.member_id).collect();
    let mut members = by_ids(tx, tenant, &ids)?;
    Ok(Part {
        found: looked
            .found
            .into_iter()
            .filter_map(|row| Some((row.word, members.remove(&row.member_id)?)))
            .collect(),
        stopped_at: looked
            .stopped_at
            .map(|row| (row.word, MemberId::from_uuid(row.member_id))),
    })
}

/// What a look has found, and the last that it looked at if there is more to look at before the page is full.
struct Looked {
    found: Vec<FoundRow>,
    stopped_at: Option<FoundRow>,
}

/// On which way a page is looked for.
enum Way {
    /// Along so many of the words.
    Along(i64),
    /// From these members.
    From(Vec<Uuid>),
}

/// All members, each once, who meet one of the things that are asked for, if there is one that few meet.
fn few(
    connection: &mut PgConnection,
    tenant: TenantId,
    sought: &Sought,
    filter: &MemberFilter,
    organizations: Option<&[Uuid]>,
) -> Result<Option<Vec<Uuid>>, StorageError> {
    let tenant = tenant.uuid();
    let few = |found: Vec<Candidate>| {
        let enough = i64::try_from(found.len()).is_ok_and(|many| many <= LOOKS);
        let mut ids: Vec<Uuid> = found.into_iter().map(|candidate| candidate.id).collect();
        ids.sort_unstable();
        ids.dedup();
        enough.then_some(ids)
    };
    if let Some(email) = filter.email_key() {
        let one =
            diesel::sql_query("SELECT id FROM members WHERE tenant_id = $1 AND email_key = $2")
                .bind::<SqlUuid, _>(tenant)
                .bind::<Text, _>(email)
                .load(connection)?;
        return Ok(few(one));
    }
    for word in std::iter::once(&sought.first).chain(&sought.others) {
        let with_word = diesel::sql_query(WITH_WORD)
            .bind::<SqlUuid, _>(tenant)
            .bind::<Text, _>(word)
            .bind::<Text, _>(above(word))
            .bind::<BigInt, _>(LOOKS + 1)
            .load(connection)?;
        if let Some(ids) = few(with_word) {
            return Ok(Some(ids));
        }
    }
    let met = match (organizations, filter.status) {
        (Some(organizations), _) => diesel::sql_query(WITHIN)
            .bind::<SqlUuid, _>(tenant)
            .bind::<Array<SqlUuid>, _>(organizations)
            .bind::<Array<Text>, _>(filter.statuses())
            .bind::<BigInt, _>(LOOKS + 1)
            .load(connection)?,
        (None, Some(status)) => diesel::sql_query(WITH_STATUS)
            .bind::<SqlUuid, _>(tenant)
            .bind::<Text, _>(status.as_str())
            .bind::<BigInt, _>(LOOKS + 1)
            .load(connection)?,
        (None, None) => return Ok(None),
    };
    Ok(few(met))
}
