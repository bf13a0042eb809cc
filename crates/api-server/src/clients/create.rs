//! Making a client.

use grantor_domain::audit::Action;
use grantor_domain::ids::{MemberId, OrganizationId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::limits::Limits;
use grantor_domain::permission::Permission;
use grantor_domain::quota::Counted;
use grantor_storage::{Change, ChangeTx, clients, ownership, quotas, settings};

use super::prepared::PreparedClient;
use super::{CLIENTS, ClientInput, CreatedClient, check_home, check_limits, check_scopes, output};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop};
use crate::operation::{Operation, Success, Tag};
use crate::problem::{Problem, ProblemCode};
use crate::requests::Json;
use crate::secrets::ShownSecret;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("createClient", CLIENTS)
            .about(
                Tag::Clients,
                "Create a client",
                "Makes a client: of the profile's kind, or of the type and with the grants given. A confidential one \
                 comes with a secret, which is shown in this answer and never again.",
            )
            .needs(Permission::ClientsWrite)
            .takes::<Json<ClientInput>>()
            .answers::<CreatedClient>(Success::Created)
            .tagged()
            .may_fail(&[ProblemCode::QuotaReached])
            .records(&[Action::ClientCreated, Action::SecretShown])
            .by(create),
    ]
}

async fn create(
    call: Call,
    Json(input): Json<ClientInput>,
) -> Result<Answer<CreatedClient>, Problem> {
    let asked = input.allowed_scopes.clone();
    let names_lifetime = input.names_lifetime();
    let wanted = input.verified(AccessTokenLifetime::DEFAULT)?;
    let mut prepared = PreparedClient::new(call.api(), wanted.settings)?;
    let id = prepared.id;
    let location = call.address(&format!("/v1/tenants/{}/clients/{id}", call.tenant()));
    call.change(move |tx, acting| {
        let tenant = acting.tenant;
        let organization = wanted.organization.unwrap_or(acting.caller.root);
        if wanted.organization.is_some() {
            check_home(tx, acting, organization)?;
        } else {
            acting.reach(tx, organization)?;
        }
        if !names_lifetime {
            let default = settings::find(tx, tenant)?.default_access_token_lifetime;
            prepared.settings_mut().access_token_lifetime = default.0;
        }
        let limits = &prepared.settings().limits;
        check_limits(tx, acting, &Limits::default(), limits)?;
        let scopes = &prepared.settings().allowed_scopes;
        check_scopes(tx, acting, organization, scopes, &asked)?;
        let owner = owner(tx, acting, wanted.owner, organization)?;
        prepared.insert(tx, tenant, organization, owner)?;
        quotas::check(tx, tenant, Counted::Clients)?;
        let client = clients::find(tx, tenant, id)?.ok_or(Problem::Internal)?;
        let events = prepared.events(tenant, organization, owner);
        let secret = prepared.show_secret(tx.now(), acting.dry_run);
        let shown = secret.as_ref().map(ShownSecret::id);
        let created = CreatedClient {
            client: output(tx, acting, &client)?,
            secret,
        };
        let mut answer = Answer::created(&created, location)?.tagged(client.revision);
        if let Some(shown) = shown {
            answer = answer.showing(tenant, id, shown);
        }
        Ok(Change::Made(answer, events))
    })
    .await
}

/// Whose the client will be: the member who is named, or else the one who makes it, or else the root owner.
fn owner(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    named: Option<MemberId>,
    organization: OrganizationId,
) -> Result<Option<MemberId>, Stop> {
    if let Some(owner) = named {
        check_owner(tx, acting, owner, organization, "/owner_id")?;
        return Ok(named);
    }
    if let Some(maker) = acting.caller.member
        && ownership::check(tx, acting.tenant, maker, organization)?
    {
        return Ok(Some(maker));
    }
    Ok(ownership::hold_root_owner(tx, acting.tenant)?)
}

/// Demands that a member can own what lives in an organization. One that is not there is told alike.
pub(crate) fn check_owner(
    tx: &mut ChangeTx<'_>,
    acting: &Acting,
    owner: MemberId,
    organization: OrganizationId,
    field: &str,
) -> Result<(), Stop> {
    if ownership::check(tx, acting.tenant, owner, organization)? {
        return Ok(());
    }
    let detail = "is no active member who administers the organization in which the client lives; name one with the \
                  role `owner` or `admin` there or above";
    Err(Problem::field(field, detail).into())
}
