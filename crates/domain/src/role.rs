//! The roles that every tenant has (`role_1`), and what they permit.

use std::collections::BTreeSet;

use crate::ids::OrganizationId;
use crate::permission::Permission;

/// A role that every tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BuiltInRole {
    /// Owns the root organization.
    Owner,
    /// Administers an organization and what lies below it.
    Admin,
    /// Registers apps.
    Developer,
    /// Reads, disables, contacts.
    Support,
    /// Manages nothing.
    Member,
    /// Runs the installation; held in the platform tenant alone.
    Operator,
}

impl BuiltInRole {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Owner,
        Self::Admin,
        Self::Developer,
        Self::Support,
        Self::Member,
        Self::Operator,
    ];

    /// The name, as in `admin`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Developer => "developer",
            Self::Support => "support",
            Self::Member => "member",
            Self::Operator => "operator",
        }
    }

    /// Finds a role by its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == text)
    }

    /// Whether the role permits something, in its organization and below.
    pub fn permits(self, permission: Permission) -> bool {
        match self {
            Self::Operator => true,
            // role_3: owners and admins hold every permission of their subtree.
            Self::Owner | Self::Admin => !permission.is_for_operators(),
            Self::Support => {
                matches!(
                    permission,
                    Permission::ClientsRead | Permission::ClientsDisable
                )
            }
            Self::Developer | Self::Member => false,
        }
    }
}

/// A role that somebody holds over one organization and what lies below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldRole {
    /// The role.
    pub role: BuiltInRole,
    /// The organization at the top of the subtree.
    pub organization: OrganizationId,
}

/// Everything that a set of roles permits over the root organization, which is the only one for now.
pub fn permissions_of(roles: &[HeldRole]) -> BTreeSet<Permission> {
    Permission::ALL
        .iter()
        .copied()
        .filter(|permission| roles.iter().any(|held| held.role.permits(*permission)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_1_each_role_permits_what_it_says() {
        for permission in Permission::ALL {
            assert!(BuiltInRole::Operator.permits(*permission));
            assert_eq!(
                BuiltInRole::Owner.permits(*permission),
                !permission.is_for_operators()
            );
            assert_eq!(
                BuiltInRole::Admin.permits(*permission),
                !permission.is_for_operators()
            );
            assert!(!BuiltInRole::Member.permits(*permission));
        }
        assert!(BuiltInRole::Support.permits(Permission::ClientsDisable));
        assert!(!BuiltInRole::Support.permits(Permission::ClientsDelete));
    }

    #[test]
    fn role_3_without_a_role_there_is_no_permission() {
        assert!(permissions_of(&[]).is_empty());
    }

    #[test]
    fn names_lead_back_to_roles() {
        for role in BuiltInRole::ALL {
            assert_eq!(BuiltInRole::parse(role.as_str()), Some(*role));
        }
        assert_eq!(BuiltInRole::parse("root"), None);
    }
}
