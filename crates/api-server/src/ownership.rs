//! Whose clients are: handed over by an administrator, and the secrets that ought to be replaced since clients have
//! changed hands.

use chrono::{DateTime, Utc};
use grantor_domain::audit::Action;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, SecretId};
use grantor_domain::ownership::DueWhy as Why;
use grantor_domain::permission::Permission;
use grantor_storage::listing::{Part, Place};
use grantor_storage::ownership::{self, DueFilter, DueSecret, Held};
use grantor_storage::{Change, last_uses};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::answer::Answer;
use crate::call::Call;
use crate::clients::{ClientOutput, check_owner, find_for_change, shown};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Fields, Filter, FilterKind, Json, ListRules};
use crate::schemas::Page;
use crate::secrets;
use crate::words::{DueWhy, TransferCause};

const LIST: &ListRules = &ListRules {
    filters: &[Filter {
        name: "why",
        kind: FilterKind::Words(DueWhy::WORDS),
        about: "Only secrets that are so urgent.",
        example: "exposed",
    }],
    sorts: &[],
};

/// The operations on whose clients are.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("transferClient", "/v1/tenants/{tenant}/clients/{client}/transfer")
            .about(
                Tag::Clients,
                "Hand a client over",
                "Gives it to another member who administers the organization in which it lives, or one above. Its secrets \
                 and tokens go on working; those that the former owner knows are due to be rotated from then on, the \
                 others of the organization as a precaution. Where the owner contact was the former owner's own \
                 address, it becomes the new one's. To whoever has it already nothing changes.",
            )
            .needs(Permission::ClientsWrite)
            .conditional()
            .takes::<Json<TransferInput>>()
            .answers::<ClientOutput>(Success::Ok)
            .tagged()
            .records(&[Action::ClientTransferred])
            .by(transfer),
        Operation::get("listRotationDue", "/v1/tenants/{tenant}/rotation-due")
            .about(
                Tag::Secrets,
                "List secrets that are due to be rotated",
                "Live secrets of the clients that you may see, since clients have changed hands: exposed, if the former \
                 owner owned the client or has made the secret; a precaution, if it is of another client of the \
                 organization. They go on working until they are rotated. A page may be short, even empty, and have a \
                 cursor all the same.",
            )
            .needs(Permission::ClientsRead)
            .lists(LIST)
            .answers::<Page<DueSecretOutput>>(Success::Ok)
            .by(due),
    ]
}

/// To whom a client goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Transfer, example = json!({ "owner_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b" }))]
pub struct TransferInput {
    /// An active member who administers the organization in which the client lives, or one above.
    #[schema(
        example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^mem_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    owner_id: String,
}

/// A secret that is due to be rotated.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DueSecret, example = json!({ "secret_id": "sec_01kb2q3r4s5t6v7w8x9y0z1a2b", "hint": "gsec_Ab3d",
    "client_id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b", "client_name": "Nightly export",
    "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "why": "exposed", "cause": "owner_deleted",
    "former_owner_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b", "since": "2026-01-31T12:00:00Z",
    "created_at": "2025-11-30T12:00:00Z", "last_used_at": "2026-01-31T11:00:00Z" }))]
pub struct DueSecretOutput {
    /// The secret's id.
    #[schema(value_type = String, example = "sec_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    secret_id: SecretId,
    /// Its first characters; `null` for one that somebody chose.
    #[schema(required = true, example = "gsec_Ab3d")]
    hint: Option<String>,
    /// The client whose it is.
    #[schema(value_type = String, example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    client_id: ClientId,
    /// The client's name.
    client_name: String,
    /// Where the client lives.
    #[schema(value_type = String, example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    organization_id: OrganizationId,
    /// How urgent it is.
    why: DueWhy,
    /// What brought it about.
    cause: TransferCause,
    /// Whose client it was, who made it, or who owned something else in the organization.
    #[schema(value_type = String, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    former_owner_id: MemberId,
    /// Since when it is due.
    since: DateTime<Utc>,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it last proved its client, some seconds late; `null` if it never did.
    #[schema(required = true)]
    last_used_at: Option<DateTime<Utc>>,
}

impl DueSecretOutput {
    fn of(found: DueSecret, last_used_at: Option<DateTime<Utc>>) -> Self {
        let DueSecret {
            client,
            client_name,
            organization,
            secret,
            due,
        } = found;
        Self {
            secret_id: secret.id,
            hint: secrets::shown_hint(secret.hint),
            client_id: client,
            client_name,
            organization_id: organization,
            why: due.why.into(),
            cause: due.cause.into(),
            former_owner_id: due.former_owner,
            since: due.since,
            created_at: secret.created_at,
            last_used_at,
        }
    }
}

async fn transfer(
    call: Call,
    Json(input): Json<TransferInput>,
) -> Result<Answer<ClientOutput>, Problem> {
    let id: ClientId = call.id("client")?;
    let mut fields = Fields::default();
    let parsed = fields.parse("/owner_id", input.owner_id.as_str(), str::parse::<MemberId>);
    let Some(owner) = parsed else {
        return Err(fields.into_problem());
    };
    call.change(move |tx, acting| {
        // Before the client, in the order in which those are locked whose rights go.
        ownership::hold(tx, acting.tenant, owner)?;
        let client = find_for_change(tx, acting, id)?;
        if client.owner == Some(owner) {
            return Ok(Change::Nothing(shown(tx, acting, id)?));
        }
        check_owner(tx, acting, owner, client.organization, "/owner_id")?;
        let events = ownership::transfer(tx, acting.tenant, &client, owner)?;
        let answer = shown(tx, acting, id)?;
        Ok(match events {
            Some(events) => Change::Made(answer, events),
            None => Change::Nothing(answer),
        })
    })
    .await
}

/// Where a secret stands in the list: those of one client stand together.
fn place((client, secret): Held) -> Place {
    (Some(client.uuid().to_string()), secret.uuid())
}

fn held((client, secret): Place) -> Option<Held> {
    let client = client?.parse::<Uuid>().ok()?;
    Some((ClientId::from_uuid(client), SecretId::from_uuid(secret)))
}

async fn due(call: Call) -> Result<Answer<Page<DueSecretOutput>>, Problem> {
    let page = call.page()?;
    let why = page.filters.text("why").and_then(Why::parse);
    let after = match page.after_place() {
        Some(place) => Some(held(place).ok_or(Problem::InvalidCursor)?),
        None => None,
    };
    let fetch = page.fetch();
    let part = call
        .read(move |tx, acting| {
            let filter = DueFilter {
                organizations: acting.visible(tx)?,
                why,
            };
            let due = ownership::due(tx, acting.tenant, &filter, after, fetch, acting.now)?;
            let secrets = due.found.iter().map(|found| found.secret.id.uuid());
            let uses = last_uses::of(tx, acting.tenant, secrets)?;
            let found = due.found.into_iter().map(|found| {
                let last_used_at = uses.get(&found.secret.id.uuid()).copied();
                let at = place((found.client, found.secret.id));
                (at, DueSecretOutput::of(found, last_used_at))
            });
            Ok(Part {
                found: found.collect(),
                stopped_at: due.on.map(place),
            })
        })
        .await?;
    Answer::ok(&page.page_of(part)?)
}
