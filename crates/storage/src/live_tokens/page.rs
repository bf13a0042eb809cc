//! A page of live tokens.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use grantor_domain::ids::{MemberId, TenantId};
use grantor_domain::suspension::Suspension;
use grantor_domain::tenant::Tenant;
use grantor_domain::token::AccessToken;
use uuid::Uuid;

use super::{LiveToken, Whose, alive, in_order, unexpired};
use crate::error::StorageError;
use crate::installation;
use crate::listing::{Part, Place};
use crate::schema::suspensions;
use crate::stored;
use crate::suspensions::SuspensionRow;
use crate::tokens::TokenRow;
use crate::transaction::Reads;
use crate::user_agents;

/// So many tokens are looked at for one page at most, live or dead.
const LOOKS: i64 = 5_000;

#[derive(QueryableByName, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    #[diesel(sql_type = SqlUuid)]
    client_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Where the list of [`list`] stands: the client too, where there may be several.
fn place(whose: Whose, key: Key) -> Place {
    let client = match whose {
        Whose::Client(_) | Whose::ClientFor(..) => None,
        Whose::Member(_) => Some(key.client_id.to_string()),
    };
    (client, key.id)
}

/// Finds up to so many live tokens, from after a place: of one client, what expires last first; of a member, client by
/// client, and of each the same.
pub fn list(
    tx: &mut impl Reads,
    tenant: &Tenant,
    whose: Whose,
    now: DateTime<Utc>,
    after: Option<Place>,
    limit: i64,
) -> Result<Part<LiveToken>, StorageError> {
    let asked = Asked::new(tx, tenant, whose, now, after, limit)?;
    let keys = in_order(tx, |tx| asked.keys(tx))?;
    let found: Vec<Key> = keys.found.iter().map(|(_, key)| *key).collect();
    let mut tokens = tokens(tx, tenant.id, &found)?;
    Ok(keys.keep(|key| tokens.remove(&key.id)))
}

/// A page that is asked for.
struct Asked {
    whose: Whose,
    tenant: Uuid,
    epoch: i64,
    cut_below: i64,
    first: Uuid,
    end: Uuid,
    /// The client at which a list of a member goes on; before all when it begins.
    from: Option<Key>,
    limit: i64,
}

impl Asked {
    fn new(
        tx: &mut impl Reads,
        tenant: &Tenant,
        whose: Whose,
        now: DateTime<Utc>,
        after: Option<Place>,
        limit: i64,
    ) -> Result<Self, StorageError> {
        let (first, mut end) = unexpired(now);
        let mut from = None;
        match (whose, after) {
            (Whose::Client(_) | Whose::ClientFor(..), Some((_, id))) => end = end.min(id),
            (Whose::Member(_), Some((client, id))) => {
                let client = client.unwrap_or_default();
                from = Some(Key {
                    client_id: stored::parsed("place", &client, Uuid::parse_str)?,
                    id,
                });
            }
            (_, None) => {}
        }
        Ok(Self {
            whose,
            tenant: tenant.id.uuid(),
            epoch: installation::epoch(tx)?,
            cut_below: tenant.suspension.cut_below,
            first,
            end,
            from,
            limit,
        })
    }

    fn order(&self) -> &'static str {
        match self.whose {
            Whose::Client(_) | Whose::ClientFor(..) => "id DESC",
            Whose::Member(_) => "client_id DESC, id DESC",
        }
    }

    /// The columns of the tokens that are looked at, in the order of the list, along an index.
    fn looked_at(&self) -> String {
        let beyond = match self.from {
            Some(_) => " AND (client_id, id) < ($9, $10)",
            None => "",
        };
        format!(
            "(SELECT client_id, id, member_id, revoked_at, epoch, decided_at FROM access_tokens \
              WHERE tenant_id = $1 AND {} AND id >= $4 AND id < $5{beyond} ORDER BY {} LIMIT $6) AS token",
            self.whose.condition(),
            self.order()
        )
    }

    /// The live ones among those looked at; looking ends with the last that is wanted.
    fn keys(&self, tx: &mut impl Reads) -> Result<Part<Key>, StorageError> {
        let (looked_at, order) = (self.looked_at(), self.order());
        let found = self.load(
            tx,
            format!(
                "SELECT token.client_id, token.id FROM {looked_at} WHERE {} ORDER BY {order} LIMIT $11",
                alive()
            ),
            self.limit,
        )?;
        let is_full = i64::try_from(found.len()).is_ok_and(|many| many >= self.limit);
        let stopped_at = if is_full {
            None
        } else {
            // The last of them all, if there are as many as may be looked at.
            let last = self.load(
                tx,
                format!(
                    "SELECT token.client_id, token.id FROM {looked_at} ORDER BY {order} OFFSET $11"
                ),
                LOOKS - 1,
            )?;
            // What was issued between the two statements is no reason to tell anything twice.
            last.first()
                .map(|last| found.last().map_or(*last, |found| *last.min(found)))
        };
        let placed = |key: Key| (place(self.whose, key), key);
        Ok(Part {
            found: found.into_iter().map(placed).collect(),
            stopped_at: stopped_at.map(|key| place(self.whose, key)),
        })
    }

    fn load(
        &self,
        tx: &mut impl Reads,
        statement: String,
        last: i64,
    ) -> Result<Vec<Key>, StorageError> {
        let from = self.from.unwrap_or(Key {
            client_id: Uuid::nil(),
            id: Uuid::nil(),
        });
        Ok(diesel::sql_query(statement)
            .bind::<SqlUuid, _>(self.tenant)
            .bind::<BigInt, _>(self.epoch)
            .bind::<BigInt, _>(self.cut_below)
            .bind::<SqlUuid, _>(self.first)
            .bind::<SqlUuid, _>(self.end)
            .bind::<BigInt, _>(LOOKS)
            .bind::<SqlUuid, _>(self.whose.client())
            .bind::<SqlUuid, _>(self.whose.member())
            .bind::<SqlUuid, _>(from.client_id)
            .bind::<SqlUuid, _>(from.id)
            .bind::<BigInt, _>(last)
            .load(tx.connection())?)
    }
}

/// A token with what tells the program that asked for it.
#[derive(QueryableByName)]
struct ListedRow {
    #[diesel(embed)]
    token: TokenRow,
    /// Its number.
    #[diesel(sql_type = Nullable<BigInt>)]
    user_agent_number: Option<i64>,
    /// Its name, as servers of an earlier release wrote it.
    #[diesel(sql_type = Nullable<Text>)]
    user_agent: Option<String>,
}

/// Each by its key. LIMIT keeps the planner from any other way than a look into one partition for each.
const BY_KEY: &str = "SELECT token.* FROM unnest($2, $3) AS asked (client_id, id) \
     CROSS JOIN LATERAL (SELECT * FROM access_tokens WHERE access_tokens.tenant_id = $1 \
       AND access_tokens.client_id = asked.client_id AND access_tokens.id = asked.id LIMIT 1) AS token";

fn tokens(
    tx: &mut impl Reads,
    tenant: TenantId,
    keys: &[Key],
) -> Result<HashMap<Uuid, LiveToken>, StorageError> {
    let (clients, ids): (Vec<Uuid>, Vec<Uuid>) =
        keys.iter().map(|key| (key.client_id, key.id)).unzip();
    let rows: Vec<ListedRow> = diesel::sql_query(BY_KEY)
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Array<SqlUuid>, _>(clients)
        .bind::<Array<SqlUuid>, _>(ids)
        .load(tx.connection())?;
    let (tokens, programs): (Vec<AccessToken>, Vec<_>) = rows
        .into_iter()
        .map(|row| {
            let (token, _) = row.token.into_domain()?;
            let number = row.user_agent_number;
            let id = number.map(|number| user_agents::id(token.id.uuid(), number));
            Ok((token, (id, row.user_agent)))
        })
        .collect::<Result<_, StorageError>>()?;
    let named = user_agents::named(tx, tenant, programs.iter().filter_map(|(id, _)| *id))?;
    let suspended = suspended(tx, tenant, &tokens)?;
    let epoch = installation::epoch(tx)?;
    let of = |subject: Uuid| suspended.get(&subject).cloned().unwrap_or_default();
    Ok(tokens
        .into_iter()
        .zip(programs)
        .map(|(token, (program, written))| {
            let live = LiveToken {
                user_agent: program.and_then(|id| named.get(&id).cloned()).or(written),
                client_suspension: of(token.client.uuid()),
                member_suspension: token
                    .member
                    .map(|member| of(member.uuid()))
                    .unwrap_or_default(),
                token,
                epoch,
            };
            (live.token.id.uuid(), live)
        })
        .collect())
}

/// What suspends the clients and members of tokens.
fn suspended(
    tx: &mut impl Reads,
    tenant: TenantId,
    tokens: &[AccessToken],
) -> Result<HashMap<Uuid, Suspension>, StorageError> {
    let mut subjects: Vec<Uuid> = tokens
        .iter()
        .flat_map(|token| {
            std::iter::once(token.client.uuid()).chain(token.member.map(MemberId::uuid))
        })
        .collect();
    subjects.sort_unstable();
    subjects.dedup();
    let rows: Vec<(Uuid, SuspensionRow)> = suspensions::table
        .filter(suspensions::tenant_id.eq(tenant.uuid()))
        .filter(suspensions::subject_id.eq_any(subjects))
        .select((suspensions::subject_id, SuspensionRow::as_select()))
        .load(tx.connection())?;
    rows.into_iter()
        .map(|(subject, row)| Ok((subject, row.into_domain()?)))
        .collect()
}
