//! A page of the members of several organizations, merged of what each of them has.
//!
//! An index holds the members of an organization in a state in each order. Of every such run the first after the place
//! is looked up. Only runs whose first is among the page's many lowest can have a part in the page, and of these only
//! what is no higher than the highest of those firsts.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use grantor_domain::ids::TenantId;
use uuid::Uuid;

use super::{MemberOrder, Place};
use crate::error::StorageError;

#[derive(QueryableByName)]
struct Head {
    #[diesel(sql_type = SqlUuid)]
    organization_id: Uuid,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// What differs in the statements from order to order.
struct Words {
    /// What is shown of the key.
    key: &'static str,
    /// The columns of the order.
    columns: &'static str,
    /// The place, and the highest that can be in the page.
    bounds: [&'static str; 2],
    /// The columns with their direction.
    order: &'static str,
    /// What comes after the place, and what does not come after the highest.
    compares: [&'static str; 2],
    /// The direction of each column.
    direction: &'static str,
}

impl Words {
    fn of(order: MemberOrder, descending: bool) -> Self {
        let both = ["($4, $5)", "($7, $8)"];
        let (key, columns, bounds, order) = match (order, descending) {
            (MemberOrder::Made, false) => ("''", "id", ["$5", "$8"], "id"),
            (MemberOrder::Made, true) => ("''", "id", ["$5", "$8"], "id DESC"),
            (MemberOrder::Name, false) => ("name", "(name, id)", both, "name, id"),
            (MemberOrder::Name, true) => ("name", "(name, id)", both, "name DESC, id DESC"),
            (MemberOrder::Email, false) => ("email_key", "(email_key, id)", both, "email_key, id"),
            (MemberOrder::Email, true) => (
                "email_key",
                "(email_key, id)",
                both,
                "email_key DESC, id DESC",
            ),
        };
        Self {
            key,
            columns,
            bounds,
            order,
            compares: if descending { ["<", ">="] } else { [">", "<="] },
            direction: if descending { "DESC" } else { "" },
        }
    }

    /// A run from after the place, and with `highest` up to it.
    fn run(&self, placed: bool, highest: bool) -> String {
        let Self {
            key,
            columns,
            bounds: [place, high],
            compares: [after, until],
            ..
        } = self;
        let mut run = format!(
            "SELECT {key} AS key, id FROM members WHERE tenant_id = $1 AND organization_id = run.organization_id \
             AND status = run.status"
        );
        if placed {
            run = format!("{run} AND {columns} {after} {place}");
        }
        if highest {
            run = format!("{run} AND {columns} {until} {high}");
        }
        format!("{run} ORDER BY {}", self.order)
    }
}

/// The first of each run of `$2` and `$3`, every one with every one; of these firsts the lowest `$6`.
fn heads(order: MemberOrder, descending: bool, placed: bool) -> String {
    let words = Words::of(order, descending);
    format!(
        "SELECT run.organization_id, run.status, head.key, head.id \
         FROM (SELECT organization_id, status FROM unnest($2) AS o (organization_id) CROSS JOIN unnest($3) AS s (status)) AS run \
         CROSS JOIN LATERAL ({run} LIMIT 1) AS head \
         ORDER BY head.key {direction}, head.id {direction} LIMIT $6",
        run = words.run(placed, false),
        direction = words.direction,
    )
}

/// The lowest `$6` of the runs of `$2` and `$3`, one with one.
fn rows(order: MemberOrder, descending: bool, placed: bool, highest: bool) -> String {
    let words = Words::of(order, descending);
    format!(
        "SELECT found.id FROM unnest($2, $3) AS run (organization_id, status) \
         CROSS JOIN LATERAL ({run} LIMIT $6) AS found \
         ORDER BY found.key {direction}, found.id {direction} LIMIT $6",
        run = words.run(placed, highest),
        direction = words.direction,
    )
}

/// The ids of up to `limit` members who live in one of these organizations and are in one of these states.
pub(super) fn page(
    connection: &mut PgConnection,
    tenant: TenantId,
    (organizations, statuses): (&[Uuid], &[&str]),
    (order, descending): (MemberOrder, bool),
    after: Option<Place>,
    limit: i64,
) -> Result<Vec<Uuid>, StorageError> {
    let place = after.map(|(key, id)| (key.unwrap_or_default(), id.uuid()));
    let placed = place.is_some();
    let (place_key, place_id) = place.unwrap_or_default();
    let heads: Vec<Head> = diesel::sql_query(heads(order, descending, placed))
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Array<SqlUuid>, _>(organizations)
        .bind::<Array<Text>, _>(statuses)
        .bind::<Text, _>(&place_key)
        .bind::<SqlUuid, _>(place_id)
        .bind::<BigInt, _>(limit)
        .load(connection)?;
    let full = i64::try_from(heads.len()).is_ok_and(|many| many >= limit);
    let highest = heads.last().filter(|_| full);
    let (runs, states): (Vec<Uuid>, Vec<&str>) = heads
        .iter()
        .map(|head| (head.organization_id, head.status.as_str()))
        .unzip();
    let found: Vec<Found> = diesel::sql_query(rows(order, descending, placed, highest.is_some()))
        .bind::<SqlUuid, _>(tenant.uuid())
        .bind::<Array<SqlUuid>, _>(runs)
        .bind::<Array<Text>, _>(states)
        .bind::<Text, _>(&place_key)
        .bind::<SqlUuid, _>(place_id)
        .bind::<BigInt, _>(limit)
        .bind::<Text, _>(highest.map_or("", |head| head.key.as_str()))
        .bind::<SqlUuid, _>(highest.map_or(Uuid::nil(), |head| head.id))
        .load(connection)?;
    Ok(found.into_iter().map(|row| row.id).collect())
}
