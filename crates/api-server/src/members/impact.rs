//! What a member's leaving touches: told beforehand, and again by the offboarding itself.

use std::collections::BTreeSet;

use grantor_domain::access::Reach;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, SecretId};
use grantor_domain::permission::Permission;
use grantor_storage::ownership::{self, Among, KnownSecret, OwnedClient};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{Reads, organizations, root_owner};
use serde::Serialize;
use utoipa::ToSchema;

use super::find;
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::role_assignments::AssignmentOutput;
use crate::secrets;
use crate::words::ClientStatus;

/// No more of one kind are listed.
const LISTED: usize = 200;
/// More than these are not counted.
const COUNTED: usize = 1_000;

/// A number: exact up to 1,000.
#[derive(Debug, Serialize, ToSchema)]
pub struct Count {
    /// How many there are; 1,000 if there are more.
    #[schema(example = 3, maximum = 1000)]
    count: usize,
    /// Whether there are more than that.
    more: bool,
}

impl Count {
    /// Of as many as were found, of which one more was looked for than are counted.
    fn of(found: usize) -> Self {
        Self {
            count: found.min(COUNTED),
            more: found > COUNTED,
        }
    }
}

/// A client that a member owns.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnedClientOutput {
    /// Its id.
    #[schema(value_type = String, example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: ClientId,
    /// Its name.
    #[schema(example = "Nightly export")]
    name: String,
    /// Where it lives.
    #[schema(value_type = String, example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    organization_id: OrganizationId,
    /// Whether it may act.
    status: ClientStatus,
}

/// A secret that a member knows.
#[derive(Debug, Serialize, ToSchema)]
pub struct KnownSecretOutput {
    /// The secret's id.
    #[schema(value_type = String, example = "sec_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    secret_id: SecretId,
    /// The client whose it is.
    #[schema(value_type = String, example = "cli_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    client_id: ClientId,
    /// Its first characters; `null` for one that somebody chose.
    #[schema(required = true, example = "gsec_Ab3d")]
    hint: Option<String>,
    /// Whether they have made it; if not, they own its client.
    made_by_them: bool,
}

/// What a member's leaving touches. Of clients, and of what hangs on them, what you may see is listed, and of the rest is
/// told how many there are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OffboardingTouches)]
pub struct Touched {
    /// The clients that they own, the first 200.
    clients: Vec<OwnedClientOutput>,
    /// How many of them you may see.
    client_count: Count,
    /// How many there are besides that you may not see.
    hidden_client_count: Count,
    /// Who gets them. `null` where you see none of them, or the tenant has no root owner.
    #[schema(required = true, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    new_owner_id: Option<String>,
    /// The live secrets that they know, the first 200: of their clients, and those that they have made. They are marked
    /// as exposed, where they are not already.
    exposed_secrets: Vec<KnownSecretOutput>,
    /// How many of them are of clients that you may see.
    exposed_secret_count: Count,
    /// How many there are besides.
    hidden_secret_count: Count,
    /// The organizations in which they own something: all other live secrets there are marked as a precaution.
    #[schema(example = json!(["org_01kb2q3r4s5t6v7w8x9y0z1a2b"]))]
    marked_organization_ids: Vec<String>,
    /// How many there are besides in which you may see no clients.
    hidden_organization_count: usize,
    /// The roles that they hold, which end.
    roles: Vec<AssignmentOutput>,
}

/// What a member's leaving would touch.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OffboardingImpact, example = json!({ "member_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "is_root_owner": false, "obstacle": null, "clients": [{ "id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "name": "Nightly export", "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "status": "active" }],
    "client_count": { "count": 1, "more": false }, "hidden_client_count": { "count": 0, "more": false },
    "new_owner_id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2c", "exposed_secrets": [{
    "secret_id": "sec_01kb2q3r4s5t6v7w8x9y0z1a2b", "client_id": "cli_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "hint": "gsec_Ab3d", "made_by_them": true }], "exposed_secret_count": { "count": 1, "more": false },
    "hidden_secret_count": { "count": 0, "more": false },
    "marked_organization_ids": ["org_01kb2q3r4s5t6v7w8x9y0z1a2b"], "hidden_organization_count": 0, "roles": [] }))]
pub struct ImpactOutput {
    /// The member.
    #[schema(value_type = String, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    member_id: MemberId,
    /// Whether they are the tenant's root owner.
    is_root_owner: bool,
    /// What stands in the way of their leaving, and the mend; `null` if nothing does.
    #[schema(
        required = true,
        example = "is the root owner, who can't leave: they, or an operator, hand the root ownership over first"
    )]
    obstacle: Option<&'static str>,
    #[serde(flatten)]
    touched: Touched,
}

pub(super) fn operation() -> Operation {
    Operation::get(
        "readOffboardingImpact",
        "/v1/tenants/{tenant}/members/{member}/offboarding-impact",
    )
    .about(
        Tag::Members,
        "Read what a member's leaving would touch",
        "Their clients and who would get them, the secrets that would be marked for rotation, their roles. It is what \
         `offboardMember` reports if nothing changes meanwhile and no new owner is named.",
    )
    .needs(Permission::MembersRead)
    .answers::<ImpactOutput>(Success::Ok)
    .by(read)
}

async fn read(call: Call) -> Result<Answer<ImpactOutput>, Problem> {
    let id = call.id("member")?;
    call.read(move |tx, acting| {
        let member = find(tx, acting, id)?;
        let root_owner = root_owner::find(tx, acting.tenant)?;
        let is_root_owner = root_owner == Some(member.id);
        let heir = root_owner.filter(|_| !is_root_owner);
        Ok(Answer::ok(&ImpactOutput {
            member_id: member.id,
            is_root_owner,
            obstacle: is_root_owner.then_some(
                "is the root owner, who can't leave: they, or an operator, hand the root ownership over first",
            ),
            touched: Touched::by(tx, acting, member.id, heir)?,
        })?)
    })
    .await
}

/// The organizations whose clients a caller may see: all if none are named.
pub(super) struct Sight(Option<Vec<OrganizationId>>);

impl Sight {
    pub(super) fn of(tx: &mut impl Reads, acting: &Acting) -> Result<Self, Stop> {
        Ok(Self(match acting.caller.tops(Permission::ClientsRead) {
            Reach::Everything => None,
            Reach::Subtrees(tops) => {
                let tops: Vec<_> = tops.into_iter().collect();
                Some(organizations::subtree(tx, acting.tenant, &tops)?)
            }
        }))
    }

    fn within(&self) -> Among<'_> {
        self.0.as_deref().map_or(Among::All, Among::These)
    }

    fn beyond(&self) -> Among<'_> {
        Among::Others(self.0.as_deref().unwrap_or_default())
    }

    /// Whether anything is out of sight.
    fn is_bounded(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn has(&self, organization: OrganizationId) -> bool {
        self.0
            .as_ref()
            .is_none_or(|seen| seen.contains(&organization))
    }
}

impl Touched {
    /// What a member's leaving touches, whose clients go to somebody.
    pub(super) fn by(
        tx: &mut impl Reads,
        acting: &Acting,
        member: MemberId,
        heir: Option<MemberId>,
    ) -> Result<Self, Stop> {
        let (tenant, now) = (acting.tenant, acting.now);
        let most = i64::try_from(COUNTED + 1).unwrap_or(i64::MAX);
        let sight = Sight::of(tx, acting)?;
        let clients = ownership::owned_clients(tx, tenant, member, sight.within(), most)?;
        let secrets = ownership::known_secrets(tx, tenant, member, sight.within(), now, most)?;
        let (hidden_clients, hidden_secrets) = if sight.is_bounded() {
            (
                ownership::owned_clients(tx, tenant, member, sight.beyond(), most)?.len(),
                ownership::known_secrets(tx, tenant, member, sight.beyond(), now, most)?.len(),
            )
        } else {
            (0, 0)
        };
        let (seen, hidden): (BTreeSet<_>, BTreeSet<_>) = ownership::places_of(tx, tenant, member)?
            .into_iter()
            .partition(|place| sight.has(*place));
        let roles = role_assignments::of(tx, tenant, Holder::Member(member))?;
        Ok(Self {
            new_owner_id: heir
                .filter(|_| !clients.is_empty())
                .map(|heir| heir.to_string()),
            client_count: Count::of(clients.len()),
            clients: clients.into_iter().take(LISTED).map(Into::into).collect(),
            hidden_client_count: Count::of(hidden_clients),
            exposed_secret_count: Count::of(secrets.len()),
            exposed_secrets: secrets.into_iter().take(LISTED).map(Into::into).collect(),
            hidden_secret_count: Count::of(hidden_secrets),
            marked_organization_ids: seen.iter().map(ToString::to_string).collect(),
            hidden_organization_count: hidden.len(),
            roles: roles.iter().map(AssignmentOutput::from).collect(),
        })
    }
}

impl From<OwnedClient> for OwnedClientOutput {
    fn from(client: OwnedClient) -> Self {
        Self {
            id: client.id,
            name: client.name,
            organization_id: client.organization,
            status: client.status.into(),
        }
    }
}

impl From<KnownSecret> for KnownSecretOutput {
    fn from(secret: KnownSecret) -> Self {
        Self {
            secret_id: secret.id,
            client_id: secret.client,
            hint: secrets::shown_hint(secret.hint),
            made_by_them: secret.made,
        }
    }
}
