//! The scopes of a resource server, each put and removed by its name.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::ResourceServerId;
use grantor_domain::permission::Permission;
use grantor_domain::text::Description;
use grantor_storage::{Change, resource_servers};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::find_for_change;
use super::shapes::{ScopeOutput, scope_of};
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Fields, Json};

const SCOPE: &str = "/v1/tenants/{tenant}/resource-servers/{resource_server}/scopes/{scope}";
const LIMIT: usize = 200;

/// What a scope is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "description": "Refund invoices." }))]
pub struct ScopeSettings {
    /// What it allows, in a sentence for people.
    #[schema(example = "Refund invoices.", max_length = 1000)]
    description: String,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::put("putScope", SCOPE)
            .about(
                Tag::ResourceServers,
                "Make a scope be",
                "Adds the scope with the name in the path, or gives it another description (then the event is \
                 `resource_server.scope_updated`). If-Match takes the \
                 resource server's ETag.",
            )
            .needs_over_whole_tenant(Permission::ResourceServersWrite)
            .conditional()
            .takes::<Json<ScopeSettings>>()
            .answers::<ScopeOutput>(Success::CreatedOrOk)
            .records(&[Action::ScopeAdded])
            .by(put),
        Operation::delete("removeScope", SCOPE)
            .about(
                Tag::ResourceServers,
                "Remove a scope",
                "Nobody gets it any more; tokens that have it keep it until they expire. If-Match takes the resource \
                 server's ETag.",
            )
            .needs_over_whole_tenant(Permission::ResourceServersWrite)
            .conditional()
            .records(&[Action::ScopeRemoved])
            .by(remove),
    ]
}

async fn put(call: Call, Json(input): Json<ScopeSettings>) -> Result<Answer<ScopeOutput>, Problem> {
    let id: ResourceServerId = call.id("resource_server")?;
    let name = call.text("scope").to_owned();
    let mut fields = Fields::default();
    let Some(description) = fields.parse(
        "/description",
        input.description.as_str(),
        Description::parse,
    ) else {
        return Err(fields.into_problem());
    };
    let location = call.address(&format!(
        "/v1/tenants/{}/resource-servers/{id}/scopes/{name}",
        call.tenant()
    ));
    call.change(move |tx, acting| {
        let server = find_for_change(tx, acting, id)?.server;
        let scope =
            scope_of(Some(&server.key), &name).map_err(|mend| Problem::parameter("scope", mend))?;
        let shown = ScopeOutput::of(&scope, &description);
        let before = server.scopes.get(&scope);
        if before == Some(&description) {
            return Ok(Change::Nothing(Answer::ok(&shown)?));
        }
        if before.is_none() && server.scopes.len() >= LIMIT {
            let detail =
                format!("would be one too many: a resource server has at most {LIMIT} scopes");
            return Err(Problem::parameter("scope", detail).into());
        }
        let was_added = resource_servers::put_scope(tx, acting.tenant, id, &scope, &description)?;
        let action = if was_added {
            Action::ScopeAdded
        } else {
            Action::ScopeUpdated
        };
        let mut event = Event::new(acting.tenant, action, Target::ResourceServer(id))
            .after(json!({ "scope": scope, "description": description.as_str() }));
        if let Some(before) = before {
            event = event.before(json!({ "scope": scope, "description": before.as_str() }));
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

async fn remove(call: Call) -> Result<Answer<()>, Problem> {
    let id = call.id("resource_server")?;
    let name = call.text("scope").to_owned();
    call.change(move |tx, acting| {
        let server = find_for_change(tx, acting, id)?.server;
        let scope = scope_of(Some(&server.key), &name).map_err(|_| Problem::NotFound)?;
        let before = server.scopes.get(&scope).ok_or(Problem::NotFound)?;
        resource_servers::remove_scope(tx, acting.tenant, id, &scope)?;
        let event = Event::new(
            acting.tenant,
            Action::ScopeRemoved,
            Target::ResourceServer(id),
        )
        .before(json!({ "scope": scope, "description": before.as_str() }));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
