//! The organizations in which a client acts that acts for itself (`client_12`).

use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, OrganizationId};
use grantor_domain::permission::Permission;
use grantor_protocol::grant_type::GrantType;
use grantor_storage::{Change, StorageError, enablements};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{check_home, find, find_for_change};
use crate::answer::Answer;
use crate::call::{Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Fields, Json};

const OF_CLIENT: &str = "/v1/tenants/{tenant}/clients/{client}/enablements";
const ONE: &str = "/v1/tenants/{tenant}/clients/{client}/enablements/{organization}";

/// A client is enabled in no more organizations than this: its tokens name all of them.
const MOST: usize = 50;

/// An organization in which a client is to act.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEnablement, example = json!({ "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b" }))]
pub struct EnablementInput {
    /// The organization; you must administer clients there.
    #[schema(
        example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    organization_id: String,
}

/// An organization in which a client acts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enablement, example = json!({ "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "created_at": "2026-01-31T12:00:00Z" }))]
pub struct EnablementOutput {
    /// The organization.
    #[schema(value_type = String, example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    organization_id: OrganizationId,
    /// Since when; `null` for its own, in which it acts while it is enabled in no other.
    #[schema(required = true)]
    created_at: Option<DateTime<Utc>>,
}

/// Where a client acts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Enablements)]
pub struct EnablementsOutput {
    /// The organizations, of which its tokens name each.
    items: Vec<EnablementOutput>,
}

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listEnablements", OF_CLIENT)
            .about(
                Tag::Clients,
                "List where a client acts",
                "The organizations in which a client is enabled that acts for itself, or its own if it is enabled in \
                 none. Its tokens name them in `organizations`.",
            )
            .needs(Permission::ClientsRead)
            .answers::<EnablementsOutput>(Success::Ok)
            .by(list),
        Operation::post("enableClientIn", OF_CLIENT)
            .about(
                Tag::Clients,
                "Enable a client in an organization",
                "From its next token on a client that acts for itself does so in this organization, and not in its own \
                 unless it is enabled there too. If-Match takes the client's ETag.",
            )
            .needs(Permission::ClientsWrite)
            .conditional()
            .takes::<Json<EnablementInput>>()
            .answers::<EnablementOutput>(Success::Created)
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::EnablementAdded])
            .by(add),
        Operation::delete("disableClientIn", ONE)
            .about(
                Tag::Clients,
                "Disable a client in an organization",
                "From its next token on it does not act there. What was issued names the organization until it \
                 expires; introspection does not.",
            )
            .needs(Permission::ClientsWrite)
            .urgent()
            .conditional()
            .records(&[Action::EnablementRemoved])
            .by(remove),
    ]
}

async fn list(call: Call) -> Result<Answer<EnablementsOutput>, Problem> {
    let id = call.id("client")?;
    call.read(move |tx, acting| {
        let client = find(tx, acting, id)?;
        let mut items: Vec<_> = enablements::of(tx, acting.tenant, id)?
            .into_iter()
            .map(|(organization_id, since)| EnablementOutput {
                organization_id,
                created_at: Some(since),
            })
            .collect();
        if items.is_empty() {
            items.push(EnablementOutput {
                organization_id: client.organization,
                created_at: None,
            });
        }
        Ok(Answer::ok(&EnablementsOutput { items })?)
    })
    .await
}

async fn add(
    call: Call,
    Json(input): Json<EnablementInput>,
) -> Result<Answer<EnablementOutput>, Problem> {
    let id: ClientId = call.id("client")?;
    let mut fields = Fields::default();
    let text = input.organization_id.as_str();
    let organization = fields.parse("/organization_id", text, str::parse::<OrganizationId>);
    let Some(organization) = organization else {
        return Err(fields.into_problem());
    };
    let path = format!(
        "/v1/tenants/{}/clients/{id}/enablements/{organization}",
        call.tenant()
    );
    let location = call.address(&path);
    call.change(move |tx, acting| {
        let client = find_for_change(tx, acting, id)?;
        let acts = &client.settings.grant_types;
        if !acts.contains(&GrantType::ClientCredentials) {
            let detail = "can't be enabled anywhere: the client does not act for itself; give it the grant \
                          `client_credentials` first";
            return Err(Problem::field("", detail).into());
        }
        check_home(tx, acting, organization)?;
        if enablements::of(tx, acting.tenant, id)?.len() >= MOST {
            let detail =
                format!("would be one too many: a client acts in at most {MOST} organizations");
            return Err(Problem::field("/organization_id", detail).into());
        }
        enablements::insert(tx, acting.tenant, id, organization).map_err(
            |error| -> Stop {
                match error {
                    StorageError::Taken { .. } => {
                        let detail = "has the client enabled already";
                        Problem::Conflict(FieldFault::pointer("/organization_id", detail)).into()
                    }
                    // The organization went in this very moment.
                    StorageError::Referenced { .. } => {
                        Problem::field("/organization_id", "is not there any more").into()
                    }
                    other => other.into(),
                }
            },
        )?;
        let event = Event::new(acting.tenant, Action::EnablementAdded, Target::Client(id))
            .after(json!({ "organization_id": organization }));
        let made = EnablementOutput {
            organization_id: organization,
            created_at: Some(tx.now()),
        };
        Ok(Change::made(Answer::created(&made, location)?, event))
    })
    .await
}

async fn remove(call: Call) -> Result<Answer<()>, Problem> {
    let id: ClientId = call.id("client")?;
    let organization: OrganizationId = call.id("organization")?;
    call.change(move |tx, acting| {
        find_for_change(tx, acting, id)?;
        if !enablements::delete(tx, acting.tenant, id, organization)? {
            return Err(Problem::NotFound.into());
        }
        let event = Event::new(acting.tenant, Action::EnablementRemoved, Target::Client(id))
            .before(json!({ "organization_id": organization }));
        Ok(Change::made(Answer::no_content(), event))
    })
    .await
}
