//! Statements that are put together: the values that they are given, and the orders that they are in.

use diesel::deserialize::FromSqlRow;
use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Untyped, Uuid as SqlUuid};
use uuid::Uuid;

use super::{Asked, Order};
use crate::error::StorageError;

/// A value that a statement is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Uuid(Uuid),
    Text(String),
    Number(i64),
    Uuids(Vec<Uuid>),
    Texts(Vec<String>),
}

/// The values of a statement, in the order of their numbers.
#[derive(Debug, Default)]
pub(super) struct Given(Vec<Value>);

impl Given {
    /// Takes a value, and tells what the statement calls it.
    pub(super) fn call(&mut self, value: Value) -> String {
        self.0.push(value);
        format!("${}", self.0.len())
    }

    pub(super) fn uuid(&mut self, id: Uuid) -> String {
        self.call(Value::Uuid(id))
    }

    pub(super) fn text(&mut self, text: &str) -> String {
        self.call(Value::Text(text.to_owned()))
    }

    pub(super) fn number(&mut self, number: i64) -> String {
        self.call(Value::Number(number))
    }

    pub(super) fn uuids(&mut self, ids: &[Uuid]) -> String {
        self.call(Value::Uuids(ids.to_vec()))
    }

    pub(super) fn texts(&mut self, texts: &[&str]) -> String {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        self.call(Value::Texts(texts))
    }

    /// Sends the statement with the values.
    pub(super) fn load<R>(
        self,
        connection: &mut PgConnection,
        statement: String,
    ) -> Result<Vec<R>, StorageError>
    where
        R: FromSqlRow<Untyped, Pg> + 'static,
    {
        let mut query = diesel::sql_query(statement).into_boxed::<Pg>();
        for value in self.0 {
            query = match value {
                Value::Uuid(value) => query.bind::<SqlUuid, _>(value),
                Value::Text(value) => query.bind::<Text, _>(value),
                Value::Number(value) => query.bind::<BigInt, _>(value),
                Value::Uuids(value) => query.bind::<Array<SqlUuid>, _>(value),
                Value::Texts(value) => query.bind::<Array<Text>, _>(value),
            };
        }
        Ok(query.load(connection)?)
    }
}

/// An order as a statement says it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordered {
    /// The column that it is by, and then the id.
    column: Option<&'static str>,
    descending: bool,
}

impl Ordered {
    pub(super) fn of(asked: &Asked<'_>) -> Self {
        let (column, descending) = match asked.order {
            Order::Made => (None, asked.descending),
            Order::By(column) => (Some(column), asked.descending),
            Order::Found(_) => (Some("word"), false),
        };
        Self { column, descending }
    }

    /// What is read as the key.
    pub(super) fn key(self) -> &'static str {
        self.column.unwrap_or("''")
    }

    /// The columns to order by, where the key and the id are called so.
    pub(super) fn by(self, key: &str, id: &str) -> String {
        let direction = if self.descending { " DESC" } else { "" };
        match self.column {
            Some(_) => format!("{key}{direction}, {id}{direction}"),
            None => format!("{id}{direction}"),
        }
    }

    /// That they come after a place: as one comparison, so that an index is entered right there.
    pub(super) fn after(self, key: &str, id: &str, place: &str) -> String {
        let after = if self.descending { "<" } else { ">" };
        format!("{} {after} {place}", self.columns(key, id))
    }

    /// That they come no later than a place.
    pub(super) fn until(self, key: &str, id: &str, place: &str) -> String {
        let until = if self.descending { ">=" } else { "<=" };
        format!("{} {until} {place}", self.columns(key, id))
    }

    /// A place, as it is compared with.
    pub(super) fn place(self, given: &mut Given, key: &str, id: Uuid) -> String {
        match self.column {
            Some(_) => format!("({}, {})", given.text(key), given.uuid(id)),
            None => given.uuid(id),
        }
    }

    fn columns(self, key: &str, id: &str) -> String {
        match self.column {
            Some(_) => format!("({key}, {id})"),
            None => id.to_owned(),
        }
    }
}
