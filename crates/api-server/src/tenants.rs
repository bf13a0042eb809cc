//! Tenants, for operators: create, list, read, change, delete.

pub mod prepared;
pub mod purge;
mod quotas;
mod shapes;
mod standing;

use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::TenantId;
use grantor_domain::permission::Permission;
use grantor_domain::tenant::{Tenant, TenantStatus};
use grantor_storage::tenants::{TenantFilter, TenantOrder};
use grantor_storage::{Change, ChangeTx, Reads, Scope, StorageError, tenants};

use self::prepared::PreparedTenant;
use self::shapes::{CreatedTenant, TenantChange, TenantInput, TenantOutput, for_the_log};
use crate::answer::Answer;
use crate::call::{Acting, Call, Stop, confirm};
use crate::operation::{Operation, QueryParameter, Success, Tag};
use crate::problem::{FieldFault, Problem, ProblemCode};
use crate::requests::{Filter, FilterKind, Json, ListRules, MergePatch, Place};
use crate::schemas::Page;
use crate::words;

const TENANT: &str = "/v1/tenants/{tenant}";

const LIST: &ListRules = &ListRules {
    filters: &[
        Filter {
            name: "status",
            kind: FilterKind::Words(words::TenantStatus::WORDS),
            about: "Only tenants that are so.",
            example: "suspended",
        },
        Filter {
            name: "name",
            kind: FilterKind::Text(100),
            about: "Only tenants whose name begins so, capital letters and all.",
            example: "Acme",
        },
    ],
    sorts: &["created_at", "name"],
};

const CONFIRM_NAME: &[QueryParameter] = &[QueryParameter {
    name: "confirm_name",
    required: true,
    max_length: 100,
    about: "The tenant's name, exactly.",
    example: "Acme",
}];

/// The operations on tenants.
pub fn operations() -> Vec<Operation> {
    vec![
        Operation::post("createTenant", "/v1/tenants")
            .about(
                Tag::Tenants,
                "Create a tenant",
                "Makes the tenant, its root organization, its first owner and, if asked for, a client with the role \
                 `admin`, whose secret is shown in this answer alone. The tenant's own log has the same event, and \
                 those of the client and its secret.",
            )
            .needs_on_platform(Permission::TenantsCreate)
            .takes::<Json<TenantInput>>()
            .answers::<CreatedTenant>(Success::Created)
            .tagged()
            .records(&[Action::TenantCreated])
            .by(create),
        Operation::get("listTenants", "/v1/tenants")
            .about(
                Tag::Tenants,
                "List tenants",
                "Every tenant of the installation that is not deleted.",
            )
            .needs_on_platform(Permission::TenantsRead)
            .lists(LIST)
            .answers::<Page<TenantOutput>>(Success::Ok)
            .by(list),
        Operation::get("readTenant", TENANT)
            .about(Tag::Tenants, "Read a tenant", "For operators.")
            .needs_on_any_tenant(Permission::TenantsRead)
            .answers::<TenantOutput>(Success::Ok)
            .tagged()
            .by(read),
        Operation::patch("updateTenant", TENANT)
            .about(
                Tag::Tenants,
                "Change a tenant",
                "Its name and its issuer. With the issuer the addresses in its metadata change, so see to it that \
                 what comes there reaches the token server; new tokens name the new issuer, and those that are out \
                 go on being good at our endpoints until they expire.",
            )
            .needs_on_any_tenant(Permission::TenantsWrite)
            .conditional()
            .takes::<MergePatch<TenantChange>>()
            .answers::<TenantOutput>(Success::Ok)
            .tagged()
            .may_fail(&[ProblemCode::Conflict])
            .records(&[Action::TenantUpdated])
            .by(update),
        Operation::delete("deleteTenant", TENANT)
            .about(
                Tag::Tenants,
                "Delete a tenant",
                "For good, and at once: its tokens are dead, and everywhere it answers like one that never existed. \
                 What lies in it is removed in the background; its log of record stays for its time. Its id and \
                 issuer are never used again. The tenant's name must be typed in `confirm_name`.",
            )
            .needs_on_any_tenant(Permission::TenantsDelete)
            .urgent()
            .conditional()
            .query(CONFIRM_NAME)
            .may_fail(&[
                ProblemCode::ConfirmationMismatch,
                ProblemCode::PlatformTenant,
            ])
            .records(&[Action::TenantDeleted])
            .by(delete),
    ]
    .into_iter()
    .chain(standing::operations())
    .chain(quotas::operations())
    .collect()
}

/// The tenant that a call is about, kept from others until this change has ended, and in the state that the caller
/// named.
fn find_for_change(tx: &mut ChangeTx<'_>, acting: &Acting) -> Result<Tenant, Stop> {
    let tenant = tenants::find_for_change(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
    acting.condition.check(tenant.revision)?;
    Ok(tenant)
}

fn show(tenant: &Tenant) -> Result<Answer<TenantOutput>, Problem> {
    Ok(Answer::ok(&TenantOutput::from(tenant))?.tagged(tenant.revision))
}

fn shown(tx: &mut impl Reads, acting: &Acting) -> Result<Answer<TenantOutput>, Stop> {
    let tenant = tenants::find(tx, acting.tenant)?.ok_or(Problem::NotFound)?;
    Ok(show(&tenant)?)
}

async fn create(
    call: Call,
    Json(input): Json<TenantInput>,
) -> Result<Answer<CreatedTenant>, Problem> {
    let with_admin = input.admin_client;
    let (name, owner_name, owner_email) = input.verified()?;
    let owner = (owner_name, owner_email);
    let prepared = PreparedTenant::new(call.api(), name, owner, with_admin)?;
    let platform = call.acting.caller.tenant;
    let id = prepared.tenant.id;
    let location = call.address(&format!("/v1/tenants/{id}"));
    call.change_in(Scope::Platform(Some(id)), move |tx, acting| {
        prepared.insert(tx)?;
        // Both the operators and the tenant read of it in their logs.
        let events = prepared.events(id).and(prepared.created(platform));
        let tenant = tenants::find(tx, id)?.ok_or(Problem::Internal)?;
        let shown = prepared
            .admin
            .as_ref()
            .and_then(|admin| Some((admin.id, admin.secret_id()?)));
        let created = CreatedTenant {
            tenant: (&tenant).into(),
            owner_id: prepared.owner.id.to_string(),
            admin_client: prepared.admin.map(|admin| admin.show(acting.dry_run)),
        };
        let answer = Answer::created(&created, location)?.tagged(tenant.revision);
        Ok(Change::Made(
            match shown {
                Some((client, secret)) => answer.showing(id, client, secret),
                None => answer,
            },
            events,
        ))
    })
    .await
}

async fn list(call: Call) -> Result<Answer<Page<TenantOutput>>, Problem> {
    let page = call.page()?;
    let filter = TenantFilter {
        status: page.filters.text("status").map(|word| match word {
            "suspended" => TenantStatus::Suspended,
            _ => TenantStatus::Active,
        }),
        name: page.filters.text("name").map(str::to_owned),
    };
    let order = match page.sort {
        "name" => TenantOrder::Name,
        _ => TenantOrder::Made,
    };
    let (after, descending, fetch) = (page.after.clone(), page.descending, page.fetch());
    let found = call
        .read_in(Scope::Platform(None), move |tx, _| {
            let after = after.map(|place| (place.key, TenantId::from_uuid(place.id)));
            Ok(tenants::search(
                tx, &filter, order, descending, after, fetch,
            )?)
        })
        .await?;
    let place = |tenant: &Tenant| Place {
        key: (order == TenantOrder::Name).then(|| tenant.name.to_string()),
        id: tenant.id.uuid(),
    };
    Answer::ok(&page.page(found, place, |tenant| TenantOutput::from(&tenant))?)
}

async fn read(call: Call) -> Result<Answer<TenantOutput>, Problem> {
    call.read_in(Scope::Platform(None), |tx, acting| shown(tx, acting))
        .await
}

/// Whose issuer it would take, told as the field at fault.
fn conflict(error: StorageError) -> Stop {
    match &error {
        StorageError::Taken { constraint } if constraint == "tenants_issuer_key" => {
            let detail = "is another tenant's issuer, or was; choose one that none ever had";
            Problem::Conflict(FieldFault::pointer("/issuer", detail)).into()
        }
        _ => error.into(),
    }
}

async fn update(
    call: Call,
    patch: MergePatch<TenantChange>,
) -> Result<Answer<TenantOutput>, Problem> {
    let scope = Scope::Platform(Some(call.tenant()));
    call.change_in(scope, move |tx, acting| {
        let tenant = find_for_change(tx, acting)?;
        let wanted = patch.apply(&(&tenant).into(), &TenantOutput::from(&tenant))?;
        let (name, issuer) = wanted.verified(&tenant)?;
        if name == tenant.name && issuer == tenant.issuer {
            return Ok(Change::Nothing(show(&tenant)?));
        }
        tenants::update(tx, tenant.id, &name, &issuer).map_err(conflict)?;
        let events = acting.in_logs(|log| {
            Event::new(log, Action::TenantUpdated, Target::Tenant(tenant.id))
                .before(for_the_log(&tenant.name, &tenant.issuer))
                .after(for_the_log(&name, &issuer))
        });
        Ok(Change::made(shown(tx, acting)?, events))
    })
    .await
}

async fn delete(call: Call) -> Result<Answer<()>, Problem> {
    let typed = call.query.get("confirm_name").map(str::to_owned);
    let scope = Scope::Platform(Some(call.tenant()));
    call.change_in(scope, move |tx, acting| {
        let tenant = find_for_change(tx, acting)?;
        if tenant.is_platform {
            return Err(Problem::PlatformTenant.into());
        }
        confirm(
            typed.as_deref(),
            tenant.name.as_str(),
            FieldFault::parameter(
                "confirm_name",
                "must be the tenant's name, exactly; nothing was deleted",
            ),
        )?;
        tenants::delete(tx, tenant.id)?;
        let events = acting.in_logs(|log| {
            Event::new(log, Action::TenantDeleted, Target::Tenant(tenant.id))
                .before(for_the_log(&tenant.name, &tenant.issuer))
        });
        Ok(Change::made(Answer::no_content(), events))
    })
    .await
}
