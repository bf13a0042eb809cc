//! A page of what lives in several organizations, merged of what each of them has.
//!
//! An index holds what lives in an organization in a state in each order. Of every such run the first after the place
//! is looked up. Only runs whose first is among the page's many lowest can have a part in the page, and of these only
//! what is no higher than the highest of those firsts.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::statement::{Given, Ordered};
use super::{Asked, LOOKS, Listed, Part, looks};
use crate::error::StorageError;

/// So many rows of all runs together may be merged of which some are skipped.
const ROWS: usize = 10_000;
/// However many runs there are, so many are merged.
const FEWEST: usize = 200;

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
struct Row {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// A page of what lives in one of these organizations, whatever else is asked for but the state.
pub(super) fn page(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
    organizations: &[Uuid],
) -> Result<Part<()>, StorageError> {
    let rows = lowest(connection, listed, asked, organizations, asked.limit)?;
    let found = rows
        .into_iter()
        .map(|row| (asked.place(row.key, row.id), ()));
    Ok(Part {
        found: found.collect(),
        stopped_at: None,
    })
}

/// A page of what lives in one of these organizations and meets the rest. It looks at a bounded number of them.
pub(super) fn looked_at(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
    organizations: &[Uuid],
) -> Result<Part<()>, StorageError> {
    let runs = organizations
        .len()
        .saturating_mul(asked.states(listed).len());
    let most = usize::try_from(LOOKS).unwrap_or(FEWEST);
    let steps = (ROWS / runs.max(1)).clamp(FEWEST, most);
    let mut rows = lowest(
        connection,
        listed,
        asked,
        organizations,
        i64::try_from(steps).unwrap_or(LOOKS),
    )?;
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let mut part = looks::among(connection, listed, asked, &ids)?;
    let last = rows
        .pop()
        .filter(|_| ids.len() >= steps && !asked.is_filled_by(&part.found));
    part.stopped_at = last.map(|row| asked.place(row.key, row.id));
    Ok(part)
}

/// The lowest after the place.
fn lowest(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
    organizations: &[Uuid],
    limit: i64,
) -> Result<Vec<Row>, StorageError> {
    let heads: Vec<Head> = heads(connection, listed, asked, organizations, limit)?;
    let full = i64::try_from(heads.len()).is_ok_and(|many| many >= limit);
    let highest = heads.last().filter(|_| full);
    let mut given = Given::default();
    let ordered = Ordered::of(asked);
    let run = run(listed, asked, ordered, &mut given, highest);
    let (runs, states): (Vec<Uuid>, Vec<&str>) = heads
        .iter()
        .map(|head| (head.organization_id, head.status.as_str()))
        .unzip();
    let (runs, states) = (given.uuids(&runs), given.texts(&states));
    let limit = given.number(limit);
    let statement = format!(
        "SELECT found.key, found.id FROM unnest({runs}, {states}) AS run (organization_id, status) \
         CROSS JOIN LATERAL ({run} LIMIT {limit}) AS found ORDER BY {by} LIMIT {limit}",
        by = ordered.by("found.key", "found.id"),
    );
    given.load(connection, statement)
}

/// The first of each run, every organization with every state; of these firsts the lowest.
fn heads(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
    organizations: &[Uuid],
    limit: i64,
) -> Result<Vec<Head>, StorageError> {
    let mut given = Given::default();
    let ordered = Ordered::of(asked);
    let run = run(listed, asked, ordered, &mut given, None);
    let organizations = given.uuids(organizations);
    let states = given.texts(&asked.states(listed));
    let limit = given.number(limit);
    let statement = format!(
        "SELECT run.organization_id, run.status, head.key, head.id \
         FROM (SELECT organization_id, status FROM unnest({organizations}) AS o (organization_id) \
           CROSS JOIN unnest({states}) AS s (status)) AS run \
         CROSS JOIN LATERAL ({run} LIMIT 1) AS head ORDER BY {by} LIMIT {limit}",
        by = ordered.by("head.key", "head.id"),
    );
    given.load(connection, statement)
}

/// A run from after the place, and up to the highest if there is one.
fn run(
    listed: &Listed,
    asked: &Asked<'_>,
    ordered: Ordered,
    given: &mut Given,
    highest: Option<&Head>,
) -> String {
    let (table, key) = (listed.table, ordered.key());
    let tenant = given.uuid(asked.tenant.uuid());
    let mut run = format!(
        "SELECT {key} AS key, id FROM {table} WHERE tenant_id = {tenant} AND organization_id = run.organization_id \
         AND status = run.status"
    );
    if let Some((key_of_place, id)) = &asked.after {
        let place = ordered.place(given, key_of_place.as_deref().unwrap_or_default(), *id);
        run = format!("{run} AND {}", ordered.after(key, "id", &place));
    }
    if let Some(head) = highest {
        let place = ordered.place(given, &head.key, head.id);
        run = format!("{run} AND {}", ordered.until(key, "id", &place));
    }
    format!("{run} ORDER BY {}", ordered.by(key, "id"))
}
