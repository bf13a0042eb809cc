//! What roles and permissions look like on the wire.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use grantor_domain::own_role::{OwnRole, OwnRoleName, OwnRoleSettings};
use grantor_domain::permission::Permission;
use grantor_domain::role::BuiltInRole;
use grantor_domain::text::Description;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::requests::Fields;
use crate::words::PermissionName;

/// Something that a caller may do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CataloguePermission, example = json!({ "name": "clients.read", "scope": "grantor:clients.read",
    "description": "See the tenant's clients and their settings.", "for_operators": false }))]
pub struct PermissionOutput {
    /// Its name, as roles have it.
    #[schema(value_type = PermissionName)]
    name: &'static str,
    /// The scope that a token needs for it.
    #[schema(example = "grantor:clients.read")]
    scope: String,
    /// What it allows.
    description: &'static str,
    /// Whether it can be held in the tenant of the operators alone.
    for_operators: bool,
}

impl From<Permission> for PermissionOutput {
    fn from(permission: Permission) -> Self {
        Self {
            name: permission.as_str(),
            scope: permission.scope_name(),
            description: permission.description(),
            for_operators: permission.is_for_operators(),
        }
    }
}

/// All that can be set of a role.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RoleSettings, example = json!({ "name": "Auditor", "description": "Reads the log of record.",
    "permissions": ["audit.read", "changes.read"] }))]
pub struct RoleInput {
    /// Its name; in one tenant no two roles have the same.
    #[schema(example = "Auditor", min_length = 1, max_length = 100)]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(default = "", max_length = 1000)]
    description: String,
    /// What it permits, out of the catalogue at `/v1/permissions`.
    #[schema(value_type = Vec<PermissionName>, min_items = 1, max_items = 100, example = json!(["audit.read"]))]
    pub(super) permissions: Vec<String>,
}

impl RoleInput {
    pub(super) fn verified(self, is_platform: bool) -> Result<OwnRoleSettings, Problem> {
        let mut fields = Fields::default();
        let name = fields.parse("/name", self.name.as_str(), OwnRoleName::parse);
        let description = fields.parse(
            "/description",
            self.description.as_str(),
            Description::parse,
        );
        if self.permissions.is_empty() || self.permissions.len() > 100 {
            fields.fault("/permissions", "must name 1 to 100 permissions");
            return Err(fields.into_problem());
        }
        let permissions: Vec<Option<Permission>> = self
            .permissions
            .iter()
            .enumerate()
            .map(|(index, name)| {
                fields.parse(&format!("/permissions/{index}"), name.as_str(), |name| {
                    permission(name, is_platform)
                })
            })
            .collect();
        let permissions: Option<BTreeSet<Permission>> = permissions.into_iter().collect();
        match (name, description, permissions) {
            (Some(name), Some(description), Some(permissions)) => Ok(OwnRoleSettings {
                name,
                description,
                permissions,
            }),
            _ => Err(fields.into_problem()),
        }
    }
}

fn permission(name: &str, is_platform: bool) -> Result<Permission, &'static str> {
    match Permission::parse(name) {
        None => Err("is no permission; `GET /v1/permissions` lists them"),
        Some(permission) if permission.is_for_operators() && !is_platform => {
            Err("is for operators alone; leave it out")
        }
        Some(permission) => Ok(permission),
    }
}

/// A role.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Role, example = json!({ "id": "rol_01kb2q3r4s5t6v7w8x9y0z1a2b", "name": "Auditor",
    "description": "Reads the log of record.", "permissions": ["audit.read", "changes.read"], "built_in": false,
    "created_at": "2026-01-31T12:00:00Z", "updated_at": "2026-01-31T12:00:00Z", "revision": 1 }))]
pub struct RoleOutput {
    /// Its id; of a role that every tenant has, its name.
    #[schema(example = "rol_01kb2q3r4s5t6v7w8x9y0z1a2b")]
    id: String,
    /// Its name.
    name: String,
    /// What it is for.
    description: String,
    /// What it permits.
    #[schema(value_type = Vec<PermissionName>)]
    permissions: Vec<&'static str>,
    /// Whether every tenant has it; then it can't be changed.
    built_in: bool,
    /// When it was made.
    #[schema(required = true)]
    created_at: Option<DateTime<Utc>>,
    /// When it last changed.
    #[schema(required = true)]
    updated_at: Option<DateTime<Utc>>,
    /// Counts its changes; the `ETag` is made of it.
    revision: i64,
}

impl From<&OwnRole> for RoleOutput {
    fn from(role: &OwnRole) -> Self {
        Self {
            id: role.id.to_string(),
            name: role.settings.name.as_str().to_owned(),
            description: role.settings.description.to_string(),
            permissions: names(role.settings.permissions.iter().copied()),
            built_in: false,
            created_at: Some(role.created_at),
            updated_at: Some(role.updated_at),
            revision: role.revision,
        }
    }
}

impl RoleOutput {
    pub(super) fn built_in(role: BuiltInRole, is_platform: bool) -> Self {
        let permitted = Permission::ALL
            .iter()
            .copied()
            .filter(|permission| role.permits(*permission))
            .filter(|permission| is_platform || !permission.is_for_operators());
        Self {
            id: role.as_str().to_owned(),
            name: role.as_str().to_owned(),
            description: role.description().to_owned(),
            permissions: names(permitted),
            built_in: true,
            created_at: None,
            updated_at: None,
            revision: 0,
        }
    }
}

fn names(permissions: impl Iterator<Item = Permission>) -> Vec<&'static str> {
    permissions.map(Permission::as_str).collect()
}

impl From<&OwnRoleSettings> for RoleInput {
    fn from(settings: &OwnRoleSettings) -> Self {
        Self {
            name: settings.name.as_str().to_owned(),
            description: settings.description.to_string(),
            permissions: settings
                .permissions
                .iter()
                .map(|permission| permission.as_str().to_owned())
                .collect(),
        }
    }
}

/// A role as the log of record shows it.
pub(super) fn for_the_log(settings: &OwnRoleSettings) -> Value {
    json!(RoleInput::from(settings))
}
