//! The scopes of a resource server, each put and removed by its name.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::ResourceServerId;
use grantor_domain::permission::Permission;
use grantor_domain::resource_server::{ScopeFacts, ServerKind};
use grantor_protocol::scope::ScopeToken;
use grantor_storage::{Change, resource_servers};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::shapes::{ScopeOutput, facts, scope_of};
use super::{Twin, address, find_for_change};
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Fields, Json};
use crate::words::PermissionName;

const LIMIT: usize = 200;

/// What a scope is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "description": "Refund invoices." }))]
pub struct ScopeSettings {
    /// What it allows, in a sentence for people.
    #[schema(example = "Refund invoices.", max_length = 1000)]
    description: String,
    /// A permission that a member must hold, over whichever organization, for a client that acts for them to have
    /// the scope.
    #[schema(value_type = Option<PermissionName>)]
    needs_permission: Option<String>,
    /// Whether no further client is allowed it. Who is allowed it goes on.
    #[serde(default)]
    #[schema(default = false)]
    deprecated: bool,
}

pub(super) fn operations(twin: &Twin) -> Vec<Operation> {
    let kind = twin.kind;
    vec![
        twin.written(Operation::put(twin.put_scope.0, twin.scope))
            .about(
                Tag::ResourceServers,
                twin.put_scope.1,
                "Adds the scope with the name in the path, or gives it these settings (then the event is \
                 `resource_server.scope_updated`). If-Match takes the \
                 resource server's ETag.",
            )
            .conditional()
            .takes::<Json<ScopeSettings>>()
            .answers::<ScopeOutput>(Success::CreatedOrOk)
            .records(&[Action::ScopeAdded])
            .by(move |call, body| put(call, kind, body)),
        twin.written(Operation::delete(twin.remove_scope.0, twin.scope))
            .about(
                Tag::ResourceServers,
                twin.remove_scope.1,
                "Nobody gets it any more, and in the tokens that have it it counts for nothing from now on: one whose \
                 last scope it was is inactive. Whoever only verifies signatures sees that when the token expires. \
                 If-Match takes the resource server's ETag.",
            )
            .conditional()
            .records(&[Action::ScopeRemoved])
            .by(move |call| remove(call, kind)),
    ]
}

fn of_the_log(scope: &ScopeToken, facts: &ScopeFacts) -> Value {
    json!({ "scope": scope, "description": facts.description.as_str(),
        "needs_permission": facts.needs_permission.map(Permission::as_str), "deprecated": facts.deprecated })
}

async fn put(
    call: Call,
    kind: ServerKind,
    Json(input): Json<ScopeSettings>,
) -> Result<Answer<ScopeOutput>, Problem> {
    let id: ResourceServerId = call.id("resource_server")?;
    let name = call.text("scope").to_owned();
    let mut fields = Fields::default();
    let Some(facts) = facts(
        &mut fields,
        "",
        &input.description,
        input.needs_permission.as_deref(),
        input.deprecated,
    ) else {
        return Err(fields.into_problem());
    };
    let location = address(&call, kind, &format!("{id}/scopes/{name}"));
    call.change(move |tx, acting| {
        let server = find_for_change(tx, acting, kind, id)?.server;
        let scope =
            scope_of(Some(&server.key), &name).map_err(|mend| Problem::parameter("scope", mend))?;
        let shown = ScopeOutput::of(&scope, &facts);
        let before = server.scopes.get(&scope);
        if before == Some(&facts) {
            return Ok(Change::Nothing(Answer::ok(&shown)?));
        }
        if before.is_none() && server.scopes.len() >= LIMIT {
            let detail =
                format!("would be one too many: a resource server has at most {LIMIT} scopes");
            return Err(Problem::parameter("scope", detail).into());
        }
        let was_added = resource_servers::put_scope(tx, acting.tenant, &server, &scope, &facts)?;
        let action = if was_added {
            Action::ScopeAdded
        } else {
            Action::ScopeUpdated
        };
        let mut event = Event::new(acting.tenant, action, Target::ResourceServer(id))
            .after(of_the_log(&scope, &facts));
        if let Some(before) = before {
            event = event.before(of_the_log(&scope, before));
        }
        let answer = if was_added {
            Answer::created(&shown, location)?
        } else {
            Answer::ok(&shown)?
        };
        Ok(Change::made(answer, event))
    })
    .await
}

async fn remove(call: Call, kind: ServerKind) -> Result<Answer<()>, Problem> {
    let id = call.id("resource_server")?;
    let name = call.text("scope").to_owned();
    call.change(move |tx, acting| {
        let server = find_for_change(tx, acting, kind, id)?.server;
        let scope = scope_of(Some(&server.key), &name).map_err(|_| Problem::NotFound)?;
        let before = server.scopes.get(&scope).ok_or(Problem::NotFound)?;
        resource_servers::remove_scope(tx, acting.tenant, id, &scope)?;
        let event = Event::new(
            acting.tenant,
            Action::ScopeRemoved,
            Target::ResourceServer(id),
        )
        .before(of_the_log(&scope, before));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
