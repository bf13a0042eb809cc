//! Suspending and restoring a tenant: a mark, which writes no token and nothing that lies in the tenant.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::OwnerContact;
use grantor_domain::permission::Permission;
use grantor_domain::tenant::Tenant;
use grantor_domain::text::Reason;
use grantor_storage::{Change, ChangeTx, Scope, suspensions, tenants};
use serde_json::json;

use super::shapes::{RestoreInput, SuspendInput, TenantOutput};
use super::{find_for_change, show, shown};
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::outbox::{Letter, Outbox};
use crate::problem::{Problem, ProblemCode};
use crate::requests::{Json, OptionalJson};

/// The operations on a tenant's standing.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("suspendTenant", "/v1/tenants/{tenant}/suspend")
            .about(
                Tag::Tenants,
                "Suspend a tenant",
                "Until it is restored it issues nothing, logs nobody in and takes no change, and its tokens are good \
                 nowhere; when this has returned, that holds on every server. The reason is told to its root owner \
                 by mail. Suspending what is suspended changes nothing.",
            )
            .needs_on_any_tenant(Permission::TenantsSuspend)
            .urgent()
            .conditional()
            .takes::<Json<SuspendInput>>()
            .answers::<TenantOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::PlatformTenant])
            .records(&[Action::TenantSuspended])
            .by(suspend),
        Operation::post("restoreTenant", "/v1/tenants/{tenant}/restore")
            .about(
                Tag::Tenants,
                "Restore a tenant",
                "What did not expire meanwhile works again. Its root owner is told by mail. Restoring what is not \
                 suspended changes nothing.",
            )
            .needs_on_any_tenant(Permission::TenantsSuspend)
            .conditional()
            .takes::<OptionalJson<RestoreInput>>()
            .answers::<TenantOutput>(Success::Ok)
            .tagged()
            .records(&[Action::TenantRestored])
            .by(restore),
    ]
}

async fn suspend(
    call: Call,
    Json(input): Json<SuspendInput>,
) -> Result<Answer<TenantOutput>, Problem> {
    let reason = input.verified()?;
    let outbox = Outbox::of(call.api());
    let scope = Scope::Platform(Some(call.tenant()));
    call.change_in(scope, move |tx, acting| {
        let tenant = find_for_change(tx, acting)?;
        if tenant.is_platform {
            return Err(Problem::PlatformTenant.into());
        }
        if tenant.suspension.by_operator.is_some() {
            return Ok(Change::Nothing(show(&tenant)?));
        }
        let since = tx.now();
        suspensions::set_tenant_pause(tx, tenant.id, Some(since), Some(&reason))?;
        tell_root_owner(tx, &outbox, &tenant, |to| {
            Letter::tenant_suspended(to, &tenant, &reason)
        })?;
        let events = acting.in_logs(|log| {
            Event::new(log, Action::TenantSuspended, Target::Tenant(tenant.id))
                .after(json!({ "reason": reason.as_str() }))
        });
        Ok(Change::made(shown(tx, acting)?, events))
    })
    .await
}

async fn restore(
    call: Call,
    OptionalJson(input): OptionalJson<RestoreInput>,
) -> Result<Answer<TenantOutput>, Problem> {
    let reason = input.verified()?;
    let outbox = Outbox::of(call.api());
    let scope = Scope::Platform(Some(call.tenant()));
    call.change_in(scope, move |tx, acting| {
        let tenant = find_for_change(tx, acting)?;
        let Some(pause) = &tenant.suspension.by_operator else {
            return Ok(Change::Nothing(show(&tenant)?));
        };
        suspensions::set_tenant_pause(tx, tenant.id, None, None)?;
        tell_root_owner(tx, &outbox, &tenant, |to| {
            Letter::tenant_restored(to, &tenant, reason.as_ref())
        })?;
        let events = acting.in_logs(|log| {
            Event::new(log, Action::TenantRestored, Target::Tenant(tenant.id))
                .before(json!({ "suspended_since": pause.since }))
                .after(json!({ "reason": reason.as_ref().map(Reason::as_str) }))
        });
        Ok(Change::made(shown(tx, acting)?, events))
    })
    .await
}

/// Posts a letter to the tenant's root owner, if it has one.
fn tell_root_owner(
    tx: &mut ChangeTx<'_>,
    outbox: &Outbox,
    tenant: &Tenant,
    letter: impl FnOnce(&OwnerContact) -> Letter,
) -> Result<(), Problem> {
    let Some((name, email)) = tenants::root_owner(tx, tenant.id)? else {
        return Ok(());
    };
    let to = OwnerContact {
        name: Some(name),
        email,
    };
    outbox.post(tx, tenant.id, &letter(&to))
}
