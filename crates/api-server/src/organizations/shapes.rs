//! What organizations look like on the wire.

use chrono::{DateTime, Utc};
use grantor_domain::ids::OrganizationId;
use grantor_domain::organization::Organization;
use grantor_domain::text::OrganizationName;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;

/// A business group to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Engineering" }))]
pub struct NewOrganization {
    /// Its name. Others may have the same.
    #[schema(example = "Engineering", min_length = 1, max_length = 100)]
    name: String,
    /// The organization that it will lie under; by default the root.
    #[schema(
        example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    parent_id: Option<String>,
}

/// All that can be set of an organization where it is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationSettings {
    /// Its name. Others may have the same.
    #[schema(example = "Engineering", min_length = 1, max_length = 100)]
    name: String,
}

/// Where a business group is to lie.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "parent_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2c" }))]
pub struct NewPlace {
    /// The organization that it will lie under.
    #[schema(
        example = "org_01kb2q3r4s5t6v7w8x9y0z1a2c",
        pattern = "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    parent_id: String,
}

impl NewOrganization {
    pub(super) fn verified(self) -> Result<(OrganizationName, Option<OrganizationId>), Problem> {
        let mut fields = Fields::default();
        let name = fields.parse("/name", self.name.as_str(), OrganizationName::parse);
        let parent = match self.parent_id.as_deref() {
            None => Some(None),
            Some(id) => fields.parse("/parent_id", id, str::parse).map(Some),
        };
        name.zip(parent).ok_or_else(|| fields.into_problem())
    }
}

impl OrganizationSettings {
    pub(super) fn verified(self) -> Result<OrganizationName, Problem> {
        let mut fields = Fields::default();
        let name = fields.parse("/name", self.name.as_str(), OrganizationName::parse);
        name.ok_or_else(|| fields.into_problem())
    }
}

impl NewPlace {
    pub(super) fn verified(self) -> Result<OrganizationId, Problem> {
        let mut fields = Fields::default();
        let parent = fields.parse("/parent_id", self.parent_id.as_str(), str::parse);
        parent.ok_or_else(|| fields.into_problem())
    }
}

impl From<&Organization> for OrganizationSettings {
    fn from(organization: &Organization) -> Self {
        Self {
            name: organization.name.to_string(),
        }
    }
}

/// An organization.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Organization, example = json!({ "id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
    "parent_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2c", "name": "Engineering", "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z", "revision": 1 }))]
pub struct OrganizationOutput {
    /// Its id.
    #[schema(value_type = String, example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: OrganizationId,
    /// The organization that it lies under. `null` for the root, and for a business group above which you see nothing:
    /// what lies there is not yours to know, so that one is the root to you.
    #[schema(required = true, example = "org_01kb2q3r4s5t6v7w8x9y0z1a2c")]
    parent_id: Option<String>,
    /// Its name.
    name: String,
    /// When it was made.
    created_at: DateTime<Utc>,
    /// When it, or what lies right below it, last changed.
    updated_at: DateTime<Utc>,
    /// Counts its changes; the `ETag` is made of it.
    revision: i64,
}

impl OrganizationOutput {
    /// As somebody sees it who may or may not know of the organization above.
    pub(super) fn of(organization: &Organization, knows_parent: bool) -> Self {
        Self {
            id: organization.id,
            parent_id: organization
                .parent
                .filter(|_| knows_parent)
                .map(|parent| parent.to_string()),
            name: organization.name.to_string(),
            created_at: organization.created_at,
            updated_at: organization.updated_at,
            revision: organization.revision,
        }
    }
}

/// An organization as the log of record shows it.
pub(super) fn for_the_log(name: &OrganizationName, parent: Option<OrganizationId>) -> Value {
    json!({ "name": name.as_str(), "parent_id": parent })
}
