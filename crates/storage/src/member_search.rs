//! Lists of members: in some order, narrowed, or found by how words of theirs begin.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use grantor_domain::ids::{MemberId, OrganizationId, TenantId};
use grantor_domain::member::{Member, MemberStatus};
use grantor_domain::search::{Sought, above};
use grantor_domain::text::EmailAddress;
use uuid::Uuid;

use crate::error::StorageError;
use crate::members::MemberRow;
use crate::schema::{members, suspensions};
use crate::suspensions::SuspensionRow;
use crate::transaction::Reads;

/// In which order members are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberOrder {
    /// That of their making.
    Made,
    /// That of their names.
    Name,
    /// That of their addresses.
    Email,
}

/// Which members are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberFilter {
    /// Those who live in one of these.
    pub organizations: Option<Vec<OrganizationId>>,
    /// Those in this state.
    pub status: Option<MemberStatus>,
    /// The one with this address.
    pub email: Option<String>,
}

/// Reads up to `limit` members in an order, from after a place in it. Where the order is not that of their
/// making, the place has the member's name or address.
pub fn list(
    tx: &mut impl Reads,
    tenant: TenantId,
    filter: &MemberFilter,
    order: MemberOrder,
    descending: bool,
    after: Option<&(Option<String>, MemberId)>,
    limit: i64,
) -> Result<Vec<Member>, StorageError> {
    let mut query = members::table
        .left_join(
            suspensions::table.on(suspensions::tenant_id
                .eq(members::tenant_id)
                .and(suspensions::subject_id.eq(members::id))),
        )
        .filter(members::tenant_id.eq(tenant.uuid()))
        .limit(limit)
        .select((MemberRow::as_select(), Option::<SuspensionRow>::as_select()))
        .into_boxed();
    if let Some(organizations) = &filter.organizations {
        let organizations: Vec<Uuid> = organizations.iter().map(|id| id.uuid()).collect();
        query = query.filter(members::organization_id.eq_any(organizations));
    }
    if let Some(status) = filter.status {
        query = query.filter(members::status.eq(status.as_str()));
    }
    if let Some(email) = &filter.email {
        query = query.filter(members::email_key.eq(EmailAddress::key_of(email)));
    }
    macro_rules! keyset {
        ($column:expr) => {{
            if let Some((Some(key), id)) = after {
                let (key, id) = (key.clone(), id.uuid());
                query = if descending {
                    query
                        .filter(
                            $column
                                .lt(key.clone())
                                .or($column.eq(key).and(members::id.lt(id))),
                        )
                        .filter($column.le(after_key(after)))
                } else {
                    query
                        .filter(
                            $column
                                .gt(key.clone())
                                .or($column.eq(key).and(members::id.gt(id))),
                        )
                        .filter($column.ge(after_key(after)))
                };
            }
            query = if descending {
                query.order(($column.desc(), members::id.desc()))
            } else {
                query.order(($column.asc(), members::id.asc()))
            };
        }};
    }
    match order {
        MemberOrder::Name => keyset!(members::name),
        MemberOrder::Email => keyset!(members::email_key),
        MemberOrder::Made => {
            let after = after.map(|(_, id)| id.uuid());
            query = if descending {
                query
                    .filter(members::id.lt(after.unwrap_or(Uuid::max())))
                    .order(members::id.desc())
            } else {
                query
                    .filter(members::id.gt(after.unwrap_or(Uuid::nil())))
                    .order(members::id.asc())
            };
        }
    }
    query
        .load::<(MemberRow, Option<SuspensionRow>)>(tx.connection())?
        .into_iter()
        .map(|(member, suspension)| member.into_domain(suspension))
        .collect()
}

/// The key of a place, once more: by it alone the index is entered at the right place.
fn after_key(after: Option<&(Option<String>, MemberId)>) -> String {
    after.and_then(|(key, _)| key.clone()).unwrap_or_default()
}

#[derive(QueryableByName)]
struct FoundRow {
    #[diesel(sql_type = Text)]
    word: String,
    #[diesel(sql_type = SqlUuid)]
    member_id: Uuid,
}

// Each member once, at the first of their words that begins so: a second one is not looked at again. What the
// others are narrowed by is looked up by their keys.
const SEARCH: &str = "SELECT found.word, found.member_id FROM member_words AS found \
     JOIN members ON members.tenant_id = $1 AND members.id = found.member_id \
     WHERE found.tenant_id = $1 AND found.word >= $2 AND found.word < $3 \
       AND (found.word, found.member_id) > ($4, $5) \
       AND NOT EXISTS (SELECT FROM member_words AS earlier WHERE earlier.tenant_id = $1 \
         AND earlier.member_id = found.member_id AND earlier.word >= $2 AND earlier.word < found.word) \
       AND NOT EXISTS (SELECT FROM unnest($6, $7) AS wanted (low, high) WHERE NOT EXISTS ( \
         SELECT FROM member_words AS other WHERE other.tenant_id = $1 AND other.member_id = found.member_id \
           AND other.word >= wanted.low AND other.word < wanted.high)) \
       AND ($8 IS NULL OR members.organization_id = ANY ($8)) \
       AND ($9 IS NULL OR members.status = $9) \
       AND ($10 IS NULL OR members.email_key = $10) \
     ORDER BY found.word, found.member_id LIMIT $11";

/// Reads up to `limit` members of whom words begin as sought, in the order of those words, from after a place.
/// With each comes the word that places them.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    sought: &Sought,
    filter: &MemberFilter,
    after: Option<(String, MemberId)>,
    limit: i64,
) -> Result<Vec<(String, Member)>, StorageError> {
    let (after_word, after_id) = after.map_or_else(
        || (String::new(), Uuid::nil()),
        |(word, id)| (word, id.uuid()),
    );
    let highs: Vec<String> = sought.others.iter().map(|word| above(word)).collect();
    let organizations: Option<Vec<Uuid>> = filter
        .organizations
        .as_ref()
        .map(|ids| ids.iter().map(|id| id.uuid()).collect());
    let found: Vec<FoundRow> = diesel::sql_query(SEARCH)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Text, _>(&sought.first)
        .bind::<Text, _>(above(&sought.first))
        .bind::<Text, _>(after_word)
        .bind::<SqlUuid, _>(after_id)
        .bind::<Array<Text>, _>(&sought.others)
        .bind::<Array<Text>, _>(highs)
        .bind::<Nullable<Array<SqlUuid>>, _>(organizations)
        .bind::<Nullable<Text>, _>(filter.status.map(MemberStatus::as_str))
        .bind::<Nullable<Text>, _>(
            filter
                .email
                .as_ref()
                .map(|email| EmailAddress::key_of(email)),
        )
        .bind::<BigInt, _>(limit)
        .load(tx.connection())?;
    let ids: Vec<Uuid> = found.iter().map(|row| row.member_id).collect();
    let rows: Vec<(MemberRow, Option<SuspensionRow>)> = members::table
        .left_join(
            suspensions::table.on(suspensions::tenant_id
                .eq(members::tenant_id)
                .and(suspensions::subject_id.eq(members::id))),
        )
        .filter(members::tenant_id.eq(tenant.uuid()))
        .filter(members::id.eq_any(ids))
        .select((MemberRow::as_select(), Option::<SuspensionRow>::as_select()))
        .load(tx.connection())?;
    let mut members = std::collections::HashMap::new();
    for (row, suspension) in rows {
        let member = row.into_domain(suspension)?;
        members.insert(member.id.uuid(), member);
    }
    Ok(found
        .into_iter()
        .filter_map(|row| Some((row.word, members.remove(&row.member_id)?)))
        .collect())
}
