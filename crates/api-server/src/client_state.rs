//! Disabling and enabling a client: a pause, which writes no token.

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::permission::Permission;
use grantor_domain::text::Reason;
use grantor_storage::{Change, suspensions};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::answer::Answer;
use crate::call::Call;
use crate::clients::{ClientOutput, find_for_change, shown};
use crate::operation::{Operation, Success, Tag};
use crate::outbox::{Letter, Outbox};
use crate::problem::Problem;
use crate::requests::{Fields, OptionalJson};

/// Why a client is disabled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Disabling, example = json!({ "reason": "It hammers the orders API" }))]
pub struct DisableInput {
    /// Told to the client's owner contact by mail.
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
                 stays. Enabling what is not disabled changes nothing.",
            )
            .needs(Permission::ClientsDisable)
            .conditional()
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .records(&[Action::ClientEnabled])
            .by(enable),
    ]
}

async fn disable(
    call: Call,
    OptionalJson(input): OptionalJson<DisableInput>,
) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    let reason = input.verified()?;
    let outbox = Outbox::of(call.api());
    call.change(move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        if client.suspension.by_tenant.is_some() {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        }
        suspensions::pause_client(tx, acting.tenant, id, reason.as_ref())?;
        if let Some(reason) = &reason {
            let letter = Letter::client_disabled(&client, reason);
            outbox.post(tx, acting.tenant, &letter)?;
        }
        let event = Event::new(acting.tenant, Action::ClientDisabled, Target::Client(id))
            .after(json!({ "reason": reason.as_ref().map(Reason::as_str) }));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}

async fn enable(call: Call) -> Result<Answer<ClientOutput>, Problem> {
    let id = call.id("client")?;
    call.change(move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        let Some(pause) = &client.suspension.by_tenant else {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        };
        suspensions::resume_client(tx, acting.tenant, id)?;
        let event = Event::new(acting.tenant, Action::ClientEnabled, Target::Client(id))
            .before(json!({ "disabled_since": pause.since }));
        Ok(Change::made(shown(tx, acting, id)?, event))
    })
    .await
}
