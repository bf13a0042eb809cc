//! Places in an order by two columns, a text and an id.

use diesel::expression::{AppearsOnTable, Expression, ValidGrouping, is_aggregate};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment, QueryId};
use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use uuid::Uuid;

/// That a row comes after a place, as one comparison of both columns: an index is entered right there. By two
/// comparisons with OR it would be entered at the text, and all rows with the same text be walked through.
#[derive(Debug)]
pub(crate) struct Beyond<K, I> {
    key: K,
    id: I,
    descending: bool,
    place: (String, Uuid),
}

/// Demands of rows that are ordered by `key` and `id` that they come after a place.
pub(crate) fn beyond<K, I>(key: K, id: I, descending: bool, place: (String, Uuid)) -> Beyond<K, I> {
    Beyond {
        key,
        id,
        descending,
        place,
    }
}

impl<K, I> Expression for Beyond<K, I> {
    type SqlType = Bool;
}

impl<K, I> ValidGrouping<()> for Beyond<K, I> {
    type IsAggregate = is_aggregate::No;
}

impl<K: AppearsOnTable<T>, I: AppearsOnTable<T>, T> AppearsOnTable<T> for Beyond<K, I> {}

impl<K, I> QueryId for Beyond<K, I> {
    type QueryId = ();
    // The text differs with the direction: it is known by itself.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<K: QueryFragment<Pg>, I: QueryFragment<Pg>> QueryFragment<Pg> for Beyond<K, I> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("(");
        self.key.walk_ast(out.reborrow())?;
        out.push_sql(", ");
        self.id.walk_ast(out.reborrow())?;
        out.push_sql(if self.descending { ") < (" } else { ") > (" });
        out.push_bind_param::<Text, _>(&self.place.0)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&self.place.1)?;
        out.push_sql(")");
        Ok(())
    }
}
