//! Tenants, for operators: create, list, read.

pub mod prepared;

use chrono::{DateTime, Utc};
use grantor_domain::audit::Action;
use grantor_domain::ids::TenantId;
use grantor_domain::permission::Permission;
use grantor_domain::tenant::Tenant;
use grantor_domain::text::{EmailAddress, OrganizationName, PersonName};
use grantor_storage::{Change, Scope, tenants};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use self::prepared::PreparedTenant;
use crate::answer::Answer;
use crate::call::Call;
use crate::clients::prepared::ClientCredentials;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Fields, Json, ListRules, Place};
use crate::schemas::Page;
use crate::words::TenantStatus;

/// A person as given at the making of a tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOwner)]
pub struct OwnerInput {
    /// Their name.
    #[schema(example = "The first owner", min_length = 1, max_length = 100)]
    name: String,
    /// Their mail address.
    #[schema(example = "owner@acme.example", format = Email, max_length = 254)]
    email: String,
}

/// A tenant to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTenant, example = json!({ "name": "Acme",
    "owner": { "name": "The first owner", "email": "owner@acme.example" }, "admin_client": true }))]
pub struct TenantInput {
    /// The name of the organisation; its root organization gets the same.
    #[schema(example = "Acme", min_length = 1, max_length = 100)]
    name: String,
    /// Its first owner, who becomes a member without a way to sign in yet.
    owner: OwnerInput,
    /// Whether to make a service client with the role `admin` besides, and show its secret once.
    #[serde(default)]
    #[schema(default = false)]
    admin_client: bool,
}

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant, example = json!({ "id": "ten_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "Acme",
    "issuer": "http://127.0.0.1:8081/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b", "status": "active", "is_platform": false,
    "root_organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z", "revision": 1 }))]
pub struct TenantOutput {
    /// Its id.
    #[schema(value_type = String, example = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: TenantId,
    /// The name of the organisation.
    name: String,
    /// The issuer of its tokens.
    #[schema(example = "http://127.0.0.1:8081/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    issuer: String,
    /// Whether it may act.
    status: TenantStatus,
    /// Whether it is the tenant of the operators.
    is_platform: bool,
    /// The organization at the top of its tree.
    root_organization_id: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it or what hangs on it last changed.
    updated_at: DateTime<Utc>,
    /// Counts its changes.
    revision: i64,
}

/// A tenant that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedTenant {
    #[serde(flatten)]
    tenant: TenantOutput,
    /// The id of its first owner.
    #[schema(example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    owner_id: String,
    /// The client with the role `admin`, if one was asked for. Its secret is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    admin_client: Option<ClientCredentials>,
}

impl From<&Tenant> for TenantOutput {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id,
            name: tenant.name.as_str().to_owned(),
            issuer: tenant.issuer.as_str().to_owned(),
            status: tenant.status().into(),
            is_platform: tenant.is_platform,
            root_organization_id: tenant.root_organization.to_string(),
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
            revision: tenant.revision,
        }
    }
}

impl TenantInput {
    fn verified(self) -> Result<(OrganizationName, PersonName, EmailAddress), Problem> {
        let mut fields = Fields::default();
        let name = fields.parse("/name", self.name.as_str(), OrganizationName::parse);
        let owner = fields.parse("/owner/name", self.owner.name.as_str(), PersonName::parse);
        let email = fields.parse(
            "/owner/email",
            self.owner.email.as_str(),
            EmailAddress::parse,
        );
        match (name, owner, email) {
            (Some(name), Some(owner), Some(email)) => Ok((name, owner, email)),
            _ => Err(fields.into_problem()),
        }
    }
}

const LIST: &ListRules = &ListRules {
    filters: &[],
    sorts: &["created_at"],
};

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
            .about(Tag::Tenants, "List tenants", "Every tenant of the installation.")
            .needs_on_platform(Permission::TenantsRead)
            .lists(LIST)
            .answers::<Page<TenantOutput>>(Success::Ok)
            .by(list),
        Operation::get("readTenant", "/v1/tenants/{tenant}")
            .about(Tag::Tenants, "Read a tenant", "For operators.")
            .needs_on_any_tenant(Permission::TenantsRead)
            .answers::<TenantOutput>(Success::Ok)
            .tagged()
            .by(read),
    ]
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
            .map(|admin| (admin.id, admin.secret_id()));
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
    let (after, descending, fetch) = (page.after_id(), page.descending, page.fetch());
    let found = call
        .read_in(Scope::Platform(None), move |tx, _| {
            Ok(tenants::list(
                tx,
                after.map(TenantId::from_uuid),
                descending,
                fetch,
            )?)
        })
        .await?;
    let place = |tenant: &Tenant| Place::of(tenant.id.uuid());
    Answer::ok(&page.page(found, place, |tenant| TenantOutput::from(&tenant)))
}

async fn read(call: Call) -> Result<Answer<TenantOutput>, Problem> {
    let id = call.tenant();
    let tenant = call
        .read_in(Scope::Platform(None), move |tx, _| {
            Ok(tenants::find(tx, id)?)
        })
        .await?
        .ok_or(Problem::NotFound)?;
    Ok(Answer::ok(&TenantOutput::from(&tenant))?.tagged(tenant.revision))
}
