//! The same for many clients: disable, enable or delete them.

use std::collections::BTreeMap;

use grantor_domain::client::confirms;
use grantor_domain::ids::ClientId;
use grantor_domain::permission::Permission;
use grantor_storage::{clients, organizations};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::bulk::{BulkItem, BulkResult, ITEMS_LIMIT, run};
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem};
use crate::requests::Json;
use crate::words::{ClientsAction, OnFailure};

/// The same for many clients.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "action": "disable", "reason": "They hammer the orders API",
    "items": [{ "id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b", "confirm_name": "Nightly export" }] }))]
pub struct BulkClients {
    /// What to do with each of them.
    action: ClientsAction,
    /// Why they are disabled, as it is told to their owner contacts.
    #[schema(
        example = "They hammer the orders API",
        min_length = 1,
        max_length = 500
    )]
    reason: Option<String>,
    /// The clients.
    #[schema(min_items = 1, max_items = 100)]
    items: Vec<ConfirmedClient>,
}

/// A client with its name, so that nobody takes one for another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConfirmedClient {
    /// Its id.
    #[schema(
        example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^cli_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    id: String,
    /// Its name, exactly; mandatory to delete it, and looked at wherever it is given.
    #[schema(example = "Nightly export", max_length = 100)]
    confirm_name: Option<String>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("bulkClients", "/v1/tenants/{tenant}/clients/bulk")
            .about(
                Tag::Clients,
                "Disable, enable or delete many clients",
                "Up to 100, one after the other. Each is a change of its own with its own result and events, and needs \
                 what the operation on one client needs. The answer is 200 whatever came of them. What there was no \
                 time for comes back as `unavailable`: send the same request with the same Idempotency-Key again.",
            )
            .takes::<Json<BulkClients>>()
            .answers::<BulkResult>(Success::Ok)
            .by(bulk),
    ]
}

async fn bulk(call: Call, Json(input): Json<BulkClients>) -> Result<Answer<BulkResult>, Problem> {
    if !(1..=ITEMS_LIMIT).contains(&input.items.len()) {
        let detail = format!("must have 1 to {ITEMS_LIMIT} items");
        return Err(Problem::field("/items", detail));
    }
    if input.reason.is_some() && input.action != ClientsAction::Disable {
        let detail = "is for disabling alone; leave it out";
        return Err(Problem::field("/reason", detail));
    }
    let mut items = Vec::with_capacity(input.items.len());
    for (index, one) in input.items.into_iter().enumerate() {
        items.push(item(&call, input.action, input.reason.as_deref(), index, one).await?);
    }
    run(&call, items.into_iter(), OnFailure::Continue).await
}

/// The operation on one client; or the problem that it has already.
async fn item(
    call: &Call,
    action: ClientsAction,
    reason: Option<&str>,
    index: usize,
    one: ConfirmedClient,
) -> Result<Result<BulkItem, Problem>, Problem> {
    let mut query = BTreeMap::new();
    let mut body: Option<Value> = None;
    let operation = match action {
        ClientsAction::Disable => {
            body = reason.map(|reason| json!({ "reason": reason }));
            "disableClient"
        }
        ClientsAction::Enable => "enableClient",
        ClientsAction::Delete => {
            query.insert(
                "confirm_name".to_owned(),
                one.confirm_name.clone().unwrap_or_default(),
            );
            "deleteClient"
        }
    };
    // Deleting looks at the name itself.
    if action != ClientsAction::Delete
        && let Some(typed) = one.confirm_name
        && !is_named(call, &one.id, typed).await?
    {
        let pointer = format!("/items/{index}/confirm_name");
        let detail = "must be the client's name, exactly; nothing was done with it";
        let fault = FieldFault::pointer(pointer, detail);
        return Ok(Err(Problem::ConfirmationMismatch(fault)));
    }
    Ok(Ok(BulkItem {
        operation: operation.to_owned(),
        path: BTreeMap::from([("client".to_owned(), one.id)]),
        query,
        if_match: None,
        body,
    }))
}

/// Whether a client has this name. One that is not there, or not to be seen, is left to the operation to tell of.
async fn is_named(call: &Call, id: &str, typed: String) -> Result<bool, Problem> {
    let Ok(id) = id.parse::<ClientId>() else {
        return Ok(true);
    };
    call.read(move |tx, acting| {
        let Some(client) = clients::find(tx, acting.tenant, id)? else {
            return Ok(true);
        };
        let path = organizations::path(tx, acting.tenant, client.organization)?;
        let is_seen = acting
            .caller
            .may_in(Permission::ClientsDisable, &path)
            .is_ok();
        Ok(!is_seen || confirms(client.settings.name.as_str(), &typed))
    })
    .await
}
