//! Disabling and enabling a client: a pause, which writes no token. The tenant's pause and that of the operators are
//! apart, and each lifts its own alone.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::Client;
use grantor_domain::ids::{ClientId, TenantId};
use grantor_domain::permission::Permission;
use grantor_domain::suspension::Pause;
use grantor_domain::text::Reason;
use grantor_storage::{Change, ChangeTx, StorageError, suspensions};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::call::{Acting, Call};
use crate::clients::{ClientOutput, find_for_change, shown};
use crate::operation::{Operation, Success, Tag};
use crate::outbox::{Letter, Outbox};
use crate::problem::Problem;
use crate::requests::{Fields, OptionalJson};

/// Why a client or a member is disabled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Disabling, example = json!({ "reason": "It hammers the orders API" }))]
pub struct DisableInput {
    /// Shown with the pause; of a client it is told to the owner contact by mail.
    #[schema(
        example = "It hammers the orders API",
        min_length = 1,
        max_length = 500
    )]
    reason: Option<String>,
}

impl DisableInput {
    pub(crate) fn verified(&self) -> Result<Option<Reason>, Problem> {
        let mut fields = Fields::default();
        match self
            .reason
            .as_deref()
            .map(|text| fields.parse("/reason", text, Reason::parse))
        {
            None => Ok(None),
            Some(Some(reason)) => Ok(Some(reason)),
            Some(None) => Err(fields.into_problem()),
        }
    }
}

/// The operations on a client's state.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("disableClient", "/v1/tenants/{tenant}/clients/{client}/disable")
            .about(
                Tag::Clients,
                "Disable a client",
                "Until it is enabled again it gets no token, and its tokens are good nowhere; when this has returned, \
                 that holds on every server. A reason is told to the client's owner contact by mail. Disabling what \
                 is disabled changes nothing.",
            )
            .needs(Permission::ClientsDisable)
            .open_to_operators(Permission::PlatformSupport)
            .urgent()
            .conditional()
            .takes::<OptionalJson<DisableInput>>()
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .records(&[Action::ClientDisabled])
            .by(disable),
        Operation::post("enableClient", "/v1/tenants/{tenant}/clients/{client}/enable")
            .about(
                Tag::Clients,
                "Enable a client",
                "Ends the tenant's own pause; what did not expire meanwhile works again. A pause by an operator \
                 stays, and an operator ends that one alone. Enabling what is not disabled changes nothing.",
            )
            .needs(Permission::ClientsDisable)
            .open_to_operators(Permission::PlatformSupport)
            .conditional()
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .records(&[Action::ClientEnabled])
            .by(enable),
    ]
}

type Pausing =
    fn(&mut ChangeTx<'_>, TenantId, ClientId, Option<&Reason>) -> Result<(), StorageError>;
type Telling = fn(&Client, &Reason) -> Letter;

/// The pause of the party that the caller acts for.
fn own_pause<'a>(acting: &Acting, client: &'a Client) -> Option<&'a Pause> {
    let suspension = &client.suspension;
    if acting.is_for_platform() {
        suspension.by_operator.as_ref()
    } else {
        suspension.by_tenant.as_ref()
    }
}

/// What an event tells, and of an operator's doing where it was.
fn particulars(acting: &Acting, name: &str, value: &Value) -> Value {
    if acting.is_for_platform() {
        json!({ name: value, "by": "operator", "tenant_id": acting.tenant })
    } else {
        json!({ name: value })
    }
}

async fn disable(
    call: Call,
    OptionalJson(input): OptionalJson<DisableInput>,
) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    let reason = input.verified()?;
    let outbox = Outbox::of(call.api());
    let scope = call.scope();
    call.change_in(scope, move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        if own_pause(acting, &client).is_some() {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        }
        let (pause, letter): (Pausing, Telling) = if acting.is_for_platform() {
            (
                suspensions::pause_client_for_operator,
                Letter::client_disabled_by_operator,
            )
        } else {
            (suspensions::pause_client, Letter::client_disabled)
        };
        pause(tx, acting.tenant, id, reason.as_ref())?;
        if let Some(reason) = &reason {
            outbox.post(tx, acting.tenant, &letter(&client, reason))?;
        }
        let events = acting.in_logs(|log| {
            let reason = reason.as_ref().map(Reason::as_str);
            Event::new(log, Action::ClientDisabled, Target::Client(id)).after(particulars(
                acting,
                "reason",
                &json!(reason),
            ))
        });
        Ok(Change::made(shown(tx, acting, id)?, events))
    })
    .await
}

async fn enable(call: Call) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    let scope = call.scope();
    call.change_in(scope, move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        let Some(pause) = own_pause(acting, &client) else {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        };
        if acting.is_for_platform() {
            suspensions::resume_client_for_operator(tx, acting.tenant, id)?;
        } else {
            suspensions::resume_client(tx, acting.tenant, id)?;
        }
        let events = acting.in_logs(|log| {
            Event::new(log, Action::ClientEnabled, Target::Client(id)).before(particulars(
                acting,
                "disabled_since",
                &json!(pause.since),
            ))
        });
        Ok(Change::made(shown(tx, acting, id)?, events))
    })
    .await
}
