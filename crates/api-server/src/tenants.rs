//! Tenants, for operators: create, list, read.

use actix_web::{HttpResponse, get, post, web};
use chrono::{DateTime, Utc};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::client::OwnerContact;
use grantor_domain::ids::{MemberId, RoleAssignmentId, TenantId};
use grantor_domain::member::NewMember;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole};
use grantor_domain::tenant::{NewTenant, Tenant, TenantStatus, default_issuer};
use grantor_domain::text::{EmailAddress, OrganizationName, PersonName};
use grantor_storage::role_assignments::Holder;
use grantor_storage::{Change, ReadTx, Scope, members, role_assignments, tenants};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::Api;
use crate::clients::prepared::{ClientCredentials, PreparedClient};
use crate::problem::{Problem, ProblemBody};
use crate::requests::{Call, Cursors, Fields, QueryString, RawBody};

/// A person as given at the making of a tenant.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerInput {
    /// Their name.
    #[schema(example = "Ada Moreno", max_length = 100)]
    name: String,
    /// Their mail address.
    #[schema(example = "ada@acme.example", max_length = 254)]
    email: String,
}

/// A tenant to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantInput {
    /// The name of the organisation; its root organization gets the same.
    #[schema(example = "Acme", max_length = 100)]
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
pub struct TenantOutput {
    /// Its id.
    #[schema(value_type = String, example = "ten_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: TenantId,
    /// The name of the organisation.
    name: String,
    /// The issuer of its tokens.
    #[schema(example = "http://127.0.0.1:8081/t/ten_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    issuer: String,
    /// `active`, or `suspended`: then it issues nothing and takes no change.
    #[schema(example = "active")]
    status: &'static str,
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
    admin_client: Option<ClientCredentials>,
}

/// One page of tenants.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantPage {
    /// The tenants, in the order of their making.
    items: Vec<TenantOutput>,
    /// What to send as `cursor` for the next page; `null` on the last one.
    next_cursor: Option<String>,
}

impl From<&Tenant> for TenantOutput {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id,
            name: tenant.name.as_str().to_owned(),
            issuer: tenant.issuer.as_str().to_owned(),
            status: match tenant.status() {
                TenantStatus::Active => "active",
                TenantStatus::Suspended => "suspended",
            },
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

/// Create a tenant
///
/// Makes the tenant, its root organization, its first owner and, if asked for, a client with the role
/// `admin`. Needs the permission `tenants.create`.
#[utoipa::path(
    operation_id = "createTenant", tag = "Tenants", request_body = TenantInput,
    responses((status = 201, body = CreatedTenant),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:tenants.create"])))]
#[post("/v1/tenants")]
pub async fn create(
    api: web::Data<Api>,
    call: Call,
    body: RawBody,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let call = call
        .authorized_for_platform(Permission::TenantsCreate)
        .await?;
    query.only(&[])?;
    let input: TenantInput = body.read()?;
    let with_admin = input.admin_client;
    let (name, owner_name, owner_email) = input.verified()?;

    let id: TenantId = api.new_id()?;
    let issuer = default_issuer(&api.issuer_base, id).map_err(|error| {
        log::error!("the issuer of a new tenant is not valid: {error}");
        Problem::Internal
    })?;
    let tenant = NewTenant {
        id,
        name,
        issuer,
        is_platform: false,
        root_organization: api.new_id()?,
    };
    let owner = NewMember {
        id: api.new_id::<MemberId>()?,
        name: owner_name,
        email: owner_email,
    };
    let owner_role: RoleAssignmentId = api.new_id()?;
    let contact = OwnerContact {
        name: Some(owner.name.clone()),
        email: owner.email.clone(),
    };
    let admin = if with_admin {
        Some(PreparedClient::with_role(
            &api,
            "Administration",
            BuiltInRole::Admin,
            contact,
        )?)
    } else {
        None
    };

    let platform = call.caller.tenant;
    let owner_id = owner.id.to_string();
    let (made, admin_client) = api
        .authority
        .database()
        .change(Scope::Platform(Some(id)), call.origin, call.now, move |tx| {
            tenants::insert(tx, &tenant)?;
            members::insert(tx, id, &owner)?;
            let held = HeldRole { role: BuiltInRole::Owner, organization: tenant.root_organization };
            role_assignments::insert(tx, id, owner_role, Holder::Member(owner.id), held)?;
            let particulars = json!({ "name": tenant.name.as_str(), "issuer": tenant.issuer.as_str(),
                "owner": owner.id });
            // Both the operators and the tenant read of it in their logs.
            let created = |log| {
                Event::new(log, Action::TenantCreated, Target::Tenant(id)).after(particulars.clone())
            };
            let mut events = grantor_domain::audit::Events::from(created(id)).and(created(platform));
            let mut shown = None;
            if let Some(admin) = admin {
                admin.insert(tx, id, tenant.root_organization)?;
                events = events.then(admin.events(id));
                shown = Some(admin.show());
            }
            let made = tenants::find(tx, id)?.ok_or(Problem::Internal)?;
            Ok::<_, Problem>(Change::Made((made, shown), events))
        })
        .await?;
    let location = format!("{}/v1/tenants/{id}", api.base);
    Ok(HttpResponse::Created()
        .insert_header(("Location", location))
        .insert_header(("Cache-Control", "no-store"))
        .json(CreatedTenant {
            tenant: (&made).into(),
            owner_id,
            admin_client,
        }))
}

/// List tenants
///
/// In the order of their making. Needs the permission `tenants.read`.
#[utoipa::path(
    operation_id = "listTenants", tag = "Tenants",
    params(("limit" = Option<u32>, Query, description = "How many at most, 1 to 200; 50 by default"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before")),
    responses((status = 200, body = TenantPage),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:tenants.read"])))]
#[get("/v1/tenants")]
pub async fn list(
    api: web::Data<Api>,
    call: Call,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    call.authorized_for_platform(Permission::TenantsRead)
        .await?;
    let cursors = Cursors::new(api.authority.keyring(), "tenants");
    let page = cursors.page(&query)?;
    let found = api
        .authority
        .database()
        .read(Scope::Platform(None), move |tx: &mut ReadTx<'_>| {
            tenants::list(tx, page.after.map(TenantId::from_uuid), page.limit + 1)
        })
        .await?;
    let page = cursors.cut(found, page.limit, |tenant| tenant.id.uuid());
    let items = page.items.iter().map(TenantOutput::from).collect();
    Ok(HttpResponse::Ok().json(TenantPage {
        items,
        next_cursor: page.next,
    }))
}

/// Read a tenant
///
/// Needs the permission `tenants.read`.
#[utoipa::path(
    operation_id = "readTenant", tag = "Tenants",
    params(("tenant" = String, Path, description = "The tenant's id")),
    responses((status = 200, body = TenantOutput),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")),
    security(("bearer" = ["grantor:tenants.read"])))]
#[get("/v1/tenants/{tenant}")]
pub async fn read(
    api: web::Data<Api>,
    call: Call,
    path: web::Path<String>,
    query: QueryString,
) -> Result<HttpResponse, Problem> {
    let (_, id) = call
        .authorized_to_look_at(Permission::TenantsRead, &path)
        .await?;
    query.only(&[])?;
    let tenant = api
        .authority
        .database()
        .read(Scope::Platform(None), move |tx: &mut ReadTx<'_>| {
            tenants::find(tx, id)
        })
        .await?
        .ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().json(TenantOutput::from(&tenant)))
}
