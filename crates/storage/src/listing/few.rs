//! Whether one of the things that are asked for leaves few.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Array, Nullable, Uuid as SqlUuid};
use grantor_domain::search::above;
use uuid::Uuid;

use super::statement::{Given, Value};
use super::{Asked, LOOKS, Listed, Order};
use crate::error::StorageError;

#[derive(QueryableByName)]
struct Met {
    #[diesel(sql_type = Nullable<Array<SqlUuid>>)]
    ids: Option<Vec<Uuid>>,
}

/// All, each once, that meet one of the things that are asked for, if there is one that no more than [`LOOKS`] meet.
pub(super) fn all(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
) -> Result<Option<Vec<Uuid>>, StorageError> {
    for (given, statement) in ways(listed, asked) {
        let statement = format!(
            "SELECT CASE WHEN count(*) <= {LOOKS} THEN coalesce(array_agg(met.id), '{{}}') END AS ids FROM ({statement}) AS met"
        );
        let met: Vec<Met> = given.load(connection, statement)?;
        if let Some(mut ids) = met.into_iter().find_map(|met| met.ids) {
            ids.sort_unstable();
            ids.dedup();
            return Ok(Some(ids));
        }
    }
    Ok(None)
}

/// A statement for each thing that is asked for, which reads one more than would be few; more are not brought here. The orders in them are those of
/// the indexes, and for the planner alone: it might go through the table else.
fn ways<'a>(listed: &'a Listed, asked: &'a Asked<'_>) -> impl Iterator<Item = (Given, String)> {
    let Listed {
        table,
        words,
        whose,
        ..
    } = listed;
    let narrowed = asked.narrowed;
    let begin = || {
        let mut given = Given::default();
        let tenant = given.uuid(asked.tenant.uuid());
        let enough = given.number(LOOKS + 1);
        (given, tenant, enough)
    };
    let equal = move |(column, value): &(&'static str, Value)| {
        let (mut given, tenant, enough) = begin();
        let value = given.call(value.clone());
        let statement = format!(
            "SELECT id FROM {table} WHERE tenant_id = {tenant} AND {column} = {value} ORDER BY id LIMIT {enough}"
        );
        (given, statement)
    };
    let sought = match asked.order {
        Order::Found(sought) => Some(sought),
        Order::Made | Order::By(_) => None,
    };
    let with_word = move |word: &String| {
        let (mut given, tenant, enough) = begin();
        let (low, high) = (given.text(word), given.text(&above(word)));
        let statement = format!(
            "SELECT {whose} AS id FROM {words} WHERE tenant_id = {tenant} AND word >= {low} AND word < {high} \
             ORDER BY word, {whose} LIMIT {enough}"
        );
        (given, statement)
    };
    let within = move |organizations: &Vec<Uuid>| {
        let (mut given, tenant, enough) = begin();
        let organizations = given.uuids(organizations);
        let states = given.texts(&asked.states(listed));
        let statement = format!(
            "SELECT within.id FROM unnest({organizations}) AS o (organization_id) CROSS JOIN unnest({states}) AS s (status) \
             CROSS JOIN LATERAL (SELECT id FROM {table} WHERE tenant_id = {tenant} AND organization_id = o.organization_id \
             AND status = s.status ORDER BY id LIMIT {enough}) AS within LIMIT {enough}"
        );
        (given, statement)
    };
    // Among organizations the state is looked for with them.
    let status = narrowed
        .status
        .filter(|_| narrowed.organizations.is_none())
        .map(|status| ("status", Value::Text(status.to_owned())));
    narrowed
        .equal
        .iter()
        .map(equal)
        .chain(
            sought
                .into_iter()
                .flat_map(|sought| std::iter::once(&sought.first).chain(&sought.others))
                .map(with_word),
        )
        .chain(narrowed.organizations.iter().map(within))
        .chain(status.into_iter().map(move |status| equal(&status)))
}
