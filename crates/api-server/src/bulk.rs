//! Many operations in one request: each goes the way of a request of its own, in its own transaction, and has
//! a result of its own.
//!
//! With an `Idempotency-Key` each item has a key derived from it. So a request that was cut off is sent again
//! as it was: what was done is answered as before, and the rest is done.

mod items;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::call::Call;
use crate::incoming::{Headers, Incoming};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemBody};
use crate::requests::{Body, BodyShape, Json, RawBody, unique};
use crate::routes;
use crate::words::OnFailure;

/// The most items of one request.
pub const ITEMS_LIMIT: usize = 100;
/// The most bytes of one request.
const BYTES_LIMIT: usize = 1024 * 1024;

/// Operations to be done, one after the other.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "items": [
    { "operation": "createClient", "body": { "name": "Nightly export",
        "profile": "service", "owner_contact": { "email": "operations@acme.example" } } },
    { "operation": "disableClient", "path": { "client": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b" },
        "body": { "reason": "It hammers the orders API" } }] }))]
pub struct Bulk {
    /// The operations.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<BulkItem>,
    /// What to do when one fails. The others stand either way: each is a change of its own.
    #[serde(default = "go_on")]
    #[schema(default = "continue")]
    on_failure: OnFailure,
}

fn go_on() -> OnFailure {
    OnFailure::Continue
}

/// One operation. Its schema is told by `items`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BulkItem {
    /// The `operationId` of a change in this tenant.
    pub operation: String,
    /// The parameters of its path but the tenant.
    #[serde(default, deserialize_with = "unique::texts")]
    pub path: BTreeMap<String, String>,
    /// The parameters of its query.
    #[serde(default, deserialize_with = "unique::texts")]
    pub query: BTreeMap<String, String>,
    /// Its `If-Match`.
    pub if_match: Option<String>,
    /// Its body.
    #[serde(default, deserialize_with = "unique::optional_value")]
    pub body: Option<Value>,
}

/// What came of each.
#[derive(Debug, Serialize, ToSchema)]
pub struct BulkResult {
    /// One result for each item, in their order.
    results: Vec<ItemResult>,
    /// How many went well.
    succeeded: usize,
    /// How many did not.
    failed: usize,
}

/// What came of one item.
#[derive(Debug, Serialize, ToSchema)]
pub struct ItemResult {
    /// The HTTP status that the operation would have answered with; 0 for what was left out.
    #[schema(example = 201)]
    status: u16,
    /// The body that it would have answered with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Value>>, nullable = false)]
    body: Option<Box<RawValue>>,
    /// The state of the thing now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    etag: Option<String>,
    /// Where what was made is found.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    location: Option<String>,
    /// Whether it is the answer to an earlier request with the same Idempotency-Key.
    replayed: bool,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    problem: Option<ProblemBody>,
}

/// A body of many items.
struct Items(Bulk);

impl Body for Items {
    fn shape() -> BodyShape {
        BodyShape {
            limit: BYTES_LIMIT,
            ..Json::<Bulk>::shape()
        }
    }

    fn read(raw: &RawBody) -> Result<Self, Problem> {
        let Json(bulk) = Json::<Bulk>::read(raw)?;
        if (1..=ITEMS_LIMIT).contains(&bulk.items.len()) {
            Ok(Self(bulk))
        } else {
            let detail = format!("must have 1 to {ITEMS_LIMIT} items");
            Err(Problem::field("/items", detail))
        }
    }
}

/// The operation on many things.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("bulk", "/v1/tenants/{tenant}/bulk")
            .about(
                Tag::Bulk,
                "Do many operations",
                "Does up to 100 changes, one after the other, and answers with a result for each. Each is a \
                 transaction of its own, and needs what its operation needs. The answer is 200 whatever came of \
                 them. What there was no time for comes back as `unavailable`: send the same request with the same \
                 Idempotency-Key again, and it goes on from there.",
            )
            .takes::<Items>()
            .answers::<BulkResult>(Success::Ok)
            .by(bulk),
    ]
}

async fn bulk(call: Call, Items(bulk): Items) -> Result<Answer<BulkResult>, Problem> {
    run(&call, bulk.items.into_iter().map(Ok), bulk.on_failure).await
}

/// Does one after the other; an item that is at fault already has its problem for a result.
pub async fn run(
    call: &Call,
    items: impl ExactSizeIterator<Item = Result<BulkItem, Problem>>,
    on_failure: OnFailure,
) -> Result<Answer<BulkResult>, Problem> {
    let further = u32::try_from(items.len().saturating_sub(1)).unwrap_or(u32::MAX);
    call.incoming.charge(further)?;
    let offered = routes::operations();
    let mut results: Vec<ItemResult> = Vec::with_capacity(items.len());
    let mut stopped = false;
    for (index, item) in items.enumerate() {
        if stopped {
            results.push(ItemResult::left_out());
            continue;
        }
        let result = if call.incoming.began.elapsed() < call.api().patience {
            match item {
                Ok(item) => perform(call, &offered, index, item).await,
                Err(problem) => Err(problem),
            }
        } else {
            Err(Problem::Unavailable)
        };
        let result = ItemResult::of(result, &call.api().base);
        stopped = on_failure == OnFailure::Stop && result.problem.is_some();
        results.push(result);
    }
    let succeeded = results
        .iter()
        .filter(|result| (200..300).contains(&result.status))
        .count();
    Answer::ok(&BulkResult {
        failed: results.len() - succeeded,
        succeeded,
        results,
    })
}

type Performed = Result<crate::answer::AnyAnswer, Problem>;

async fn perform(call: &Call, offered: &[Operation], index: usize, item: BulkItem) -> Performed {
    let operation = offered
        .iter()
        .find(|operation| operation.facts.id == item.operation && is_offered(operation))
        .ok_or_else(|| {
            let names: Vec<_> = offered
                .iter()
                .filter(|operation| is_offered(operation))
                .map(|operation| operation.facts.id)
                .collect();
            Problem::field(
                format!("/items/{index}/operation"),
                format!("must be one of {}", names.join(", ")),
            )
        })?;
    let incoming = Incoming {
        path: path_of(call, operation, index, &item)?,
        query: query_of(call.acting.dry_run, &item),
        headers: Headers {
            if_match: item.if_match,
            ..Headers::default()
        },
        derived_key: call.key.as_ref().map(|(key, _)| key.of_item(index)),
        ..call.incoming.clone()
    };
    let body = RawBody::of_value(item.body.as_ref());
    let (answer, _) = incoming.run(operation, Ok(body)).await?;
    Ok(answer)
}

fn is_offered(operation: &Operation) -> bool {
    let facts = &operation.facts;
    facts.is_change()
        // Whoever ends their own token can't go on to the next item.
        && !["bulk", "bulkClients", "removeAllTokens"].contains(&facts.id)
        && facts.path_parameters().next() == Some("tenant")
}

fn path_of(
    call: &Call,
    operation: &Operation,
    index: usize,
    item: &BulkItem,
) -> Result<Vec<(&'static str, String)>, Problem> {
    let wanted: Vec<_> = operation.facts.path_parameters().collect();
    let mut faults = Vec::new();
    for name in item.path.keys() {
        if !wanted.contains(&name.as_str()) || name == "tenant" {
            let name: String = name.chars().take(100).collect();
            let pointer = format!("/items/{index}/path/{name}");
            faults.push(FieldFault::pointer(
                pointer,
                "is no parameter of this operation's path",
            ));
        }
    }
    let mut path = Vec::new();
    for name in wanted {
        if name == "tenant" {
            path.push((name, call.tenant().to_string()));
        } else if let Some(value) = item.path.get(name) {
            path.push((name, value.clone()));
        } else {
            let pointer = format!("/items/{index}/path/{name}");
            faults.push(FieldFault::pointer(pointer, "is missing"));
        }
    }
    if faults.is_empty() {
        Ok(path)
    } else {
        Err(Problem::InvalidFields(faults))
    }
}

/// Whoever asked for a rehearsal of the whole gets one, whatever an item says.
fn query_of(rehearsed: bool, item: &BulkItem) -> String {
    let mut query = item.query.clone();
    if rehearsed {
        let of_item = query.entry("dry_run".to_owned()).or_default();
        // What is neither `true` nor `false` is left to be refused.
        if of_item.is_empty() || of_item == "false" {
            "true".clone_into(of_item);
        }
    }
    let mut text = url::form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(&query);
    text.finish()
}

impl ItemResult {
    fn of(performed: Performed, base: &str) -> Self {
        match performed {
            Ok(answer) => Self {
                status: answer.status(),
                body: answer.body().map(ToOwned::to_owned),
                etag: answer.etag().map(str::to_owned),
                location: answer.location().map(str::to_owned),
                replayed: answer.is_repeated(),
                problem: None,
            },
            Err(problem) => Self {
                status: problem.code().status(),
                problem: Some(problem.body(base)),
                ..Self::left_out()
            },
        }
    }

    fn left_out() -> Self {
        Self {
            status: 0,
            body: None,
            etag: None,
            location: None,
            replayed: false,
            problem: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(rehearsed: bool, given: &[(&str, &str)]) -> String {
        let item = BulkItem {
            operation: "deleteClient".to_owned(),
            path: BTreeMap::new(),
            query: given
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            if_match: None,
            body: None,
        };
        query_of(rehearsed, &item)
    }

    #[test]
    fn no_item_escapes_the_rehearsal_of_the_whole() {
        assert_eq!(query(true, &[]), "dry_run=true");
        assert_eq!(query(true, &[("dry_run", "false")]), "dry_run=true");
        assert_eq!(query(true, &[("dry_run", "AAA")]), "dry_run=AAA");
        assert_eq!(query(false, &[("dry_run", "true")]), "dry_run=true");
        assert_eq!(query(false, &[("dry_run", "false")]), "dry_run=false");
        assert_eq!(
            query(false, &[("confirm_name", "a b&c")]),
            "confirm_name=a+b%26c"
        );
    }
}
