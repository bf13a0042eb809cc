//! Looking at things one by one: a bounded number of them.

use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use grantor_domain::search::above;
use uuid::Uuid;

use super::statement::{Given, Ordered, Value};
use super::{Asked, LOOKS, Listed, Order, Part};
use crate::error::StorageError;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Bool)]
    stopped: bool,
}

/// Goes along an index in the order of the list, and skips who does not meet the rest. It takes no more than so many
/// steps, nor more than [`LOOKS`]; where nothing need be skipped, as many as fill the page.
pub(super) fn along(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
    steps: i64,
) -> Result<Part<()>, StorageError> {
    let mut statement = Statement::new(listed, asked);
    let Way { from, key, id, led } = statement.way();
    let by = statement.ordered.by(key, id);
    let select = format!("SELECT {key} AS key, {id} AS id");
    let checks = statement.checks(led);
    let limit = statement.given.number(asked.limit);
    if checks.is_empty() {
        let sql = format!("{select}, false AS stopped FROM {from} ORDER BY {by} LIMIT {limit}");
        return statement.load(connection, sql);
    }
    // After those found comes the last step, if all were taken: in the same statement, for between two others may come
    // and go.
    let steps = statement.given.number(steps.min(LOOKS));
    let sql = format!(
        "SELECT part.key, part.id, part.stopped FROM ( \
           (SELECT step.key, step.id, false AS stopped FROM ({select} FROM {from} ORDER BY {by} LIMIT {steps}) AS step{checks} \
           ORDER BY {found} LIMIT {limit}) \
         UNION ALL \
           ({select}, true FROM {from} ORDER BY {by} OFFSET {steps} - 1 LIMIT 1)) AS part \
         ORDER BY part.stopped, {parts}",
        checks = checks.said(),
        found = statement.ordered.by("step.key", "step.id"),
        parts = statement.ordered.by("part.key", "part.id"),
    );
    statement.load(connection, sql)
}

/// Looks at these.
pub(super) fn among(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
    few: &[Uuid],
) -> Result<Part<()>, StorageError> {
    if few.is_empty() {
        return Ok(Part::default());
    }
    let mut statement = Statement::new(listed, asked);
    let few = statement.given.uuids(few);
    let (keyed, mut checks) = match asked.order {
        Order::Made | Order::By(_) => {
            // The key stands in the row in which the rest is looked up.
            let mut held = statement.held(Led::ByIds);
            held.insert(
                0,
                format!("tenant_id = {} AND id = few.id", statement.tenant),
            );
            let keyed = format!(
                "SELECT own.key, few.id FROM unnest({few}) AS few (id) \
                 CROSS JOIN LATERAL (SELECT {key} AS key FROM {table} WHERE {held} LIMIT 1) AS own",
                key = statement.ordered.key(),
                table = listed.table,
                held = held.join(" AND "),
            );
            (keyed, Checks::default())
        }
        Order::Found(sought) => {
            let first = statement.given.text(&sought.first);
            let first = statement.first_word("few.id", &first);
            let keyed = format!("SELECT {first} AS key, few.id FROM unnest({few}) AS few (id)");
            let mut checks = statement.checks(Led::ByIds);
            let above = statement.given.text(&above(&sought.first));
            checks.conditions.push(format!("step.key < {above}"));
            (keyed, checks)
        }
    };
    if let Some(place) = statement.place() {
        let after = statement.ordered.after("step.key", "step.id", &place);
        checks.conditions.push(after);
    }
    let sql = format!(
        "SELECT step.key, step.id, false AS stopped FROM ({keyed}) AS step{checks} ORDER BY {by} LIMIT {limit}",
        checks = checks.said(),
        by = statement.ordered.by("step.key", "step.id"),
        limit = statement.given.number(asked.limit),
    );
    statement.load(connection, sql)
}

/// The way that is gone along.
struct Way {
    /// The rows on it, from after the place.
    from: String,
    /// Which column is the key, and which the id.
    key: &'static str,
    id: &'static str,
    led: Led,
}

/// By what things were come upon: that need not be checked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Led {
    ByIds,
    ByWord,
    /// By this column, or by the tenant alone.
    By(Option<&'static str>),
}

/// What things that were come upon must meet, called `step`.
#[derive(Default)]
struct Checks {
    /// A row that must be there.
    row: Option<String>,
    conditions: Vec<String>,
}

impl Checks {
    fn is_empty(&self) -> bool {
        self.row.is_none() && self.conditions.is_empty()
    }

    fn said(&self) -> String {
        let mut said = self.row.clone().unwrap_or_default();
        if !self.conditions.is_empty() {
            said = format!("{said} WHERE {}", self.conditions.join(" AND "));
        }
        said
    }
}

/// A statement that is being put together.
struct Statement<'a> {
    listed: &'a Listed,
    asked: &'a Asked<'a>,
    ordered: Ordered,
    given: Given,
    tenant: String,
}

impl<'a> Statement<'a> {
    fn new(listed: &'a Listed, asked: &'a Asked<'a>) -> Self {
        let mut given = Given::default();
        let tenant = given.uuid(asked.tenant.uuid());
        Self {
            listed,
            asked,
            ordered: Ordered::of(asked),
            given,
            tenant,
        }
    }

    fn way(&mut self) -> Way {
        let tenant = &self.tenant;
        let (listed, asked) = (self.listed, self.asked);
        if let Order::Found(sought) = asked.order {
            // The place stands at the lowest word that is sought, or after it: a second lower bound would keep the index
            // from being entered there.
            let (word, id) = match &asked.after {
                Some((Some(word), id)) if *word >= sought.first => (word.as_str(), *id),
                _ => (sought.first.as_str(), Uuid::nil()),
            };
            let place = self.ordered.place(&mut self.given, word, id);
            let after = self.ordered.after("word", listed.whose, &place);
            let above = self.given.text(&above(&sought.first));
            return Way {
                from: format!(
                    "{} WHERE tenant_id = {tenant} AND {after} AND word < {above}",
                    listed.words
                ),
                key: "word",
                id: listed.whose,
                led: Led::ByWord,
            };
        }
        let status = asked.narrowed.status;
        let leading = match asked.narrowed.equal.first() {
            Some((column, value)) => Some((*column, value.clone())),
            None => status.map(|status| ("status", Value::Text(status.to_owned()))),
        };
        let mut from = format!("{} WHERE tenant_id = {tenant}", listed.table);
        let led = Led::By(leading.as_ref().map(|(column, _)| *column));
        if let Some((column, value)) = leading {
            from = format!("{from} AND {column} = {}", self.given.call(value));
        }
        let key = self.ordered.key();
        if let Some(place) = self.place() {
            from = format!("{from} AND {}", self.ordered.after(key, "id", &place));
        }
        Way {
            from,
            key,
            id: "id",
            led,
        }
    }

    /// The place from after which the page is.
    fn place(&mut self) -> Option<String> {
        let (key, id) = self.asked.after.as_ref()?;
        let key = key.as_deref().unwrap_or_default();
        Some(self.ordered.place(&mut self.given, key, *id))
    }

    /// The first of the words of something from this one on.
    fn first_word(&self, id: &str, from: &str) -> String {
        let Listed { words, whose, .. } = self.listed;
        let tenant = &self.tenant;
        format!(
            "(SELECT min(word) FROM {words} AS first WHERE first.tenant_id = {tenant} AND first.{whose} = {id} \
             AND first.word >= {from})"
        )
    }

    /// What the rows of things that were come upon must hold.
    fn held(&mut self, led: Led) -> Vec<String> {
        let narrowed = self.asked.narrowed;
        let mut held = Vec::new();
        if let Some(organizations) = &narrowed.organizations {
            let among = self.given.uuids(organizations);
            // Looked up in what is hashed once. With `= ANY` planning would weigh each of them, and without the test they
            // might be joined anew at each step.
            held.push(format!(
                "(organization_id IN (SELECT unnest({among}))) IS TRUE"
            ));
        }
        let status = narrowed
            .status
            .map(|status| ("status", Value::Text(status.to_owned())));
        for (column, value) in narrowed.equal.iter().cloned().chain(status) {
            if led != Led::By(Some(column)) {
                held.push(format!("{column} = {}", self.given.call(value)));
            }
        }
        held
    }

    /// What must be met besides that by which things were come upon. It is looked up by their keys: the subqueries with
    /// their limits keep the planner from beginning with it.
    fn checks(&mut self, led: Led) -> Checks {
        let Listed {
            table,
            words,
            whose,
            ..
        } = self.listed;
        let held = self.held(led);
        let tenant = &self.tenant;
        let row = (!held.is_empty()).then(|| {
            let held = held.join(" AND ");
            format!(
                " CROSS JOIN LATERAL (SELECT FROM {table} WHERE tenant_id = {tenant} AND id = step.id AND {held} LIMIT 1) AS met"
            )
        });
        let mut conditions = Vec::new();
        if let Order::Found(sought) = self.asked.order {
            if led == Led::ByWord {
                // Each comes once, at the first of its words that begins so.
                let first = self.given.text(&sought.first);
                let first = self.first_word("step.id", &first);
                conditions.push(format!("step.key = {first}"));
            }
            if !sought.others.is_empty() {
                let lows: Vec<&str> = sought.others.iter().map(String::as_str).collect();
                let highs: Vec<String> = sought.others.iter().map(|word| above(word)).collect();
                let lows = self.given.texts(&lows);
                let highs = self.given.call(Value::Texts(highs));
                conditions.push(format!(
                    "NOT EXISTS (SELECT FROM unnest({lows}, {highs}) AS wanted (low, high) WHERE NOT EXISTS ( \
                     SELECT FROM {words} AS other WHERE other.tenant_id = {tenant} AND other.{whose} = step.id \
                     AND other.word >= wanted.low AND other.word < wanted.high))",
                    tenant = self.tenant,
                ));
            }
        }
        Checks { row, conditions }
    }

    fn load(self, connection: &mut PgConnection, sql: String) -> Result<Part<()>, StorageError> {
        let asked = self.asked;
        let mut rows: Vec<Row> = self.given.load(connection, sql)?;
        let stopped = rows.pop_if(|row| row.stopped);
        let full = asked.is_filled_by(&rows);
        let found = rows
            .into_iter()
            .map(|row| (asked.place(row.key, row.id), ()));
        Ok(Part {
            found: found.collect(),
            stopped_at: stopped
                .filter(|_| !full)
                .map(|row| asked.place(row.key, row.id)),
        })
    }
}
