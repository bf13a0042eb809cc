//! Roles that a tenant makes for itself out of the catalogue of permissions (`role_1`).

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::ids::RoleId;
use crate::permission::Permission;
use crate::role::BuiltInRole;
use crate::text::{Description, OrganizationName};

/// The name of a role of a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRoleName(OrganizationName);

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OwnRoleNameError {
    /// It is no name at all.
    #[error(transparent)]
    Text(#[from] crate::text::TextError),
    /// Every tenant has a role of that name.
    #[error("is the name of a role that every tenant has; choose another")]
    BuiltIn,
}

impl OwnRoleName {
    /// Parses a name.
    pub fn parse(text: &str) -> Result<Self, OwnRoleNameError> {
        let name = OrganizationName::parse(text)?;
        let is_built_in = BuiltInRole::ALL
            .iter()
            .any(|role| role.as_str().eq_ignore_ascii_case(name.as_str()));
        if is_built_in {
            Err(OwnRoleNameError::BuiltIn)
        } else {
            Ok(Self(name))
        }
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// What can be set of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRoleSettings {
    /// Its name.
    pub name: OwnRoleName,
    /// What it is for.
    pub description: Description,
    /// What it permits.
    pub permissions: BTreeSet<Permission>,
}

/// A role of a tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRole {
    /// Its id.
    pub id: RoleId,
    /// What was set of it.
    pub settings: OwnRoleSettings,
    /// Raised by every change to it.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_1_a_tenants_own_role_is_named_like_none_that_every_tenant_has() {
        for role in BuiltInRole::ALL {
            for text in [role.as_str().to_owned(), role.as_str().to_uppercase()] {
                assert_eq!(OwnRoleName::parse(&text), Err(OwnRoleNameError::BuiltIn));
            }
        }
        assert_eq!(OwnRoleName::parse("Auditor").unwrap().as_str(), "Auditor");
        for bad in ["", " ", "a\u{7}b", &"x".repeat(101)] {
            assert!(matches!(
                OwnRoleName::parse(bad),
                Err(OwnRoleNameError::Text(_))
            ));
        }
    }
}
