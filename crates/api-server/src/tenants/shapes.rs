//! What tenants look like on the wire.

use chrono::{DateTime, Utc};
use grantor_domain::ids::TenantId;
use grantor_domain::suspension::Pause;
use grantor_domain::tenant::{Tenant, chosen_issuer};
use grantor_domain::text::{EmailAddress, OrganizationName, PersonName, Reason};
use grantor_protocol::issuer::Issuer;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::clients::prepared::ClientCredentials;
use crate::problem::Problem;
use crate::requests::Fields;
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
    pub(super) admin_client: bool,
}

/// All that can be set of a tenant once it is made.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TenantChange, example = json!({ "name": "Acme Industries" }))]
pub struct TenantChange {
    /// The name of the organisation. Its root organization keeps its own.
    #[schema(example = "Acme Industries", min_length = 1, max_length = 100)]
    name: String,
    /// The issuer of its tokens: an `https` URL that no other tenant has or had.
    #[schema(
        example = "https://id.example.com/acme",
        min_length = 8,
        max_length = 1024,
        pattern = "^https?://[^ ?#@]+$"
    )]
    issuer: String,
}

impl TenantChange {
    /// Parses both. An issuer that stays is as it was allowed once.
    pub(super) fn verified(self, now: &Tenant) -> Result<(OrganizationName, Issuer), Problem> {
        let mut fields = Fields::default();
        let name = fields.parse("/name", self.name.as_str(), OrganizationName::parse);
        let issuer = if self.issuer == now.issuer.as_str() {
            Some(now.issuer.clone())
        } else {
            fields.parse("/issuer", self.issuer.as_str(), chosen_issuer)
        };
        match (name, issuer) {
            (Some(name), Some(issuer)) => Ok((name, issuer)),
            _ => Err(fields.into_problem()),
        }
    }
}

impl From<&Tenant> for TenantChange {
    fn from(tenant: &Tenant) -> Self {
        Self {
            name: tenant.name.to_string(),
            issuer: tenant.issuer.to_string(),
        }
    }
}

/// Why a tenant is suspended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Suspending, example = json!({ "reason": "Invoices of three months are open" }))]
pub struct SuspendInput {
    /// Told to the tenant's root owner by mail.
    #[schema(
        example = "Invoices of three months are open",
        min_length = 1,
        max_length = 500
    )]
    reason: String,
}

/// Why a tenant is restored.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Restoring, example = json!({ "reason": "The invoices are paid" }))]
pub struct RestoreInput {
    /// Told to the tenant's root owner by mail.
    #[schema(example = "The invoices are paid", min_length = 1, max_length = 500)]
    reason: Option<String>,
}

impl SuspendInput {
    pub(super) fn verified(&self) -> Result<Reason, Problem> {
        Reason::parse(&self.reason).map_err(|error| Problem::field("/reason", error))
    }
}

impl RestoreInput {
    pub(super) fn verified(&self) -> Result<Option<Reason>, Problem> {
        let parse = |text| Reason::parse(text).map_err(|error| Problem::field("/reason", error));
        self.reason.as_deref().map(parse).transpose()
    }
}

/// Since when a tenant is suspended, and why.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TenantSuspension)]
pub struct SuspensionOutput {
    /// Since when.
    since: DateTime<Utc>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
}

impl From<&Pause> for SuspensionOutput {
    fn from(pause: &Pause) -> Self {
        Self {
            since: pause.since,
            reason: pause.reason.as_ref().map(ToString::to_string),
        }
    }
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
    /// Since when it is suspended and why, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    suspension: Option<SuspensionOutput>,
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
    pub(super) tenant: TenantOutput,
    /// The id of its first owner.
    #[schema(example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    pub(super) owner_id: String,
    /// The client with the role `admin`, if one was asked for. Its secret is shown this once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub(super) admin_client: Option<ClientCredentials>,
}

impl From<&Tenant> for TenantOutput {
    fn from(tenant: &Tenant) -> Self {
        Self {
            id: tenant.id,
            name: tenant.name.as_str().to_owned(),
            issuer: tenant.issuer.as_str().to_owned(),
            status: tenant.status().into(),
            suspension: tenant.suspension.by_operator.as_ref().map(Into::into),
            is_platform: tenant.is_platform,
            root_organization_id: tenant.root_organization.to_string(),
            created_at: tenant.created_at,
            updated_at: tenant.updated_at,
            revision: tenant.revision,
        }
    }
}

impl TenantInput {
    pub(super) fn verified(self) -> Result<(OrganizationName, PersonName, EmailAddress), Problem> {
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

/// What can be set of a tenant, as the log of record shows it.
pub(super) fn for_the_log(name: &OrganizationName, issuer: &Issuer) -> Value {
    json!({ "name": name.as_str(), "issuer": issuer.as_str() })
}
