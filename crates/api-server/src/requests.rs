//! What a request is made of, and how each part of it is taken: the body, the query, the headers.

mod body;
mod condition;
mod cursor;
mod fields;
mod idempotency;
mod list;
mod patch;
mod query;
pub mod unique;

pub use body::{BODY_LIMIT, Body, BodyShape, Json, OptionalJson, RawBody, parse_value};
pub use condition::Condition;
pub use cursor::Place;
pub use fields::Fields;
pub use idempotency::IdempotencyKey;
pub use list::{Filter, FilterKind, Filters, ListQuery, ListRules, sought};
pub use patch::{MergePatch, Whole};
pub use query::Query;
