//! What members look like on the wire.

use chrono::{DateTime, Utc};
use grantor_domain::audit::Person;
use grantor_domain::ids::{MemberId, OrganizationId};
use grantor_domain::member::{Member, MemberSettings};
use grantor_domain::text::{EmailAddress, PersonName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::clients::{PauseOutput, pauses};
use crate::problem::Problem;
use crate::requests::Fields;
use crate::words::MemberStatus;

/// All that can be set of a member.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MemberSettings, example = json!({ "name": "A new colleague", "email": "colleague@acme.example" }))]
pub struct MemberInput {
    /// Their name.
    #[schema(example = "A new colleague", min_length = 1, max_length = 100)]
    pub(super) name: String,
    /// Their mail address; in one tenant no two members have the same. Another address ends every link that was
    /// sent to the one before.
    #[schema(example = "colleague@acme.example", format = Email, max_length = 254)]
    pub(super) email: String,
    /// Where they live in the tree; the root organization unless told otherwise.
    #[schema(
        example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        pattern = "^org_[0-7][0-9a-hjkmnp-tv-z]{25}$"
    )]
    pub(super) organization_id: Option<String>,
}

impl MemberInput {
    /// Who lives nowhere in particular lives in the root organization.
    pub(super) fn verified(self, root: OrganizationId) -> Result<MemberSettings, Problem> {
        let mut fields = Fields::default();
        let name = fields.parse("/name", self.name.as_str(), PersonName::parse);
        let email = fields.parse("/email", self.email.as_str(), EmailAddress::parse);
        let organization = match self.organization_id.as_deref() {
            None => Some(root),
            Some(id) => fields.parse("/organization_id", id, str::parse),
        };
        match (name, email, organization) {
            (Some(name), Some(email), Some(organization)) => Ok(MemberSettings {
                name,
                email,
                organization,
            }),
            _ => Err(fields.into_problem()),
        }
    }
}

impl From<&MemberSettings> for MemberInput {
    fn from(settings: &MemberSettings) -> Self {
        Self {
            name: settings.name.to_string(),
            email: settings.email.to_string(),
            organization_id: Some(settings.organization.to_string()),
        }
    }
}

/// A member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member, example = json!({ "id": "mem_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "A new colleague",
    "email": "colleague@acme.example", "organization_id": "org_01kb2q3r4s5t6v7w8x9y0z1a2b", "status": "active",
    "pauses": [], "is_root_owner": false, "has_password": true, "created_at": "2026-01-31T12:00:00Z",
    "updated_at": "2026-01-31T12:00:00Z", "revision": 1 }))]
pub struct MemberOutput {
    /// Their id.
    #[schema(value_type = String, example = "mem_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: MemberId,
    /// Their name.
    name: String,
    /// Their mail address.
    email: String,
    /// Where they live in the tree.
    #[schema(example = "org_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    organization_id: String,
    /// Whether they may sign in and act.
    status: MemberStatus,
    /// Why they are disabled: each pause, by whom. Any one of them suffices.
    pauses: Vec<PauseOutput>,
    /// Whether they are the tenant's root owner.
    is_root_owner: bool,
    /// Whether they have set a password, or were given one.
    has_password: bool,
    /// When they were made.
    created_at: DateTime<Utc>,
    /// When they or what hangs on them last changed.
    updated_at: DateTime<Utc>,
    /// Counts their changes; the `ETag` is made of it.
    revision: i64,
}

/// What is told of a member besides what is kept of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    pub(super) is_root_owner: bool,
    pub(super) has_password: bool,
}

impl MemberOutput {
    pub(super) fn of(member: &Member, standing: Standing) -> Self {
        let settings = &member.settings;
        Self {
            id: member.id,
            name: settings.name.to_string(),
            email: settings.email.to_string(),
            organization_id: settings.organization.to_string(),
            status: member.status().into(),
            pauses: pauses(&member.suspension),
            is_root_owner: standing.is_root_owner,
            has_password: standing.has_password,
            created_at: member.created_at,
            updated_at: member.updated_at,
            revision: member.revision,
        }
    }
}

/// A member as the log of record shows them.
pub(super) fn for_the_log(settings: &MemberSettings) -> Value {
    let person = Person {
        name: Some(settings.name.clone()),
        email: Some(settings.email.clone()),
    };
    let mut particulars = Map::new();
    let organization = json!(settings.organization);
    particulars.insert("organization_id".to_owned(), organization);
    person.beside(particulars)
}
