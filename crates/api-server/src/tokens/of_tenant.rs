//! The end of every token of a tenant: what was issued before is dead.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::permission::Permission;
use grantor_storage::{Change, suspensions, tenants};
use serde_json::json;

use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Tag};
use crate::problem::Problem;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("removeAllTokens", "/v1/tenants/{tenant}/tokens/remove-all")
            .about(
                Tag::Tokens,
                "Remove all tokens of a tenant",
                "Every access token is dead everywhere when this has answered that was issued in the tenant before, however \
                 many there are; the one that this was asked with too, if it is of this tenant. Clients get new ones at once.",
            )
            .needs_over_whole_tenant(Permission::TokensRemove)
            .open_to_operators(Permission::TenantsSuspend)
            .urgent()
            .records(&[Action::TenantTokensRemoved])
            .by(remove_all),
    ]
}

async fn remove_all(call: Call) -> Result<Answer<()>, Problem> {
    let scope = call.scope();
    call.change_in(scope, move |tx, acting| {
        // A transaction of the tenant's own holds its tenant already.
        if acting.is_for_platform() && tenants::find_and_hold(tx, acting.tenant)?.is_none() {
            return Err(Problem::NotFound.into());
        }
        suspensions::cut_tenant_off(tx, acting.tenant)?;
        let events = acting.in_logs(|log| {
            let by = if acting.is_for_platform() {
                "operator"
            } else {
                "tenant"
            };
            Event::new(
                log,
                Action::TenantTokensRemoved,
                Target::Tenant(acting.tenant),
            )
            .after(json!({ "by": by }))
        });
        Ok(Change::made(Answer::no_content(), events))
    })
    .await
}
