//! Roles (`role_1`): those that every tenant has, those of a tenant's own, and what they permit.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use grantor_protocol::scope::Scopes;
use thiserror::Error;

use crate::ids::{OrganizationId, RoleId};
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
            // role_1: it reads, disables, contacts.
            Self::Support => {
                matches!(
                    permission,
                    Permission::ClientsRead
                        | Permission::ClientsDisable
                        | Permission::TokensRead
                        | Permission::OrganizationsRead
                        | Permission::MembersRead
                        | Permission::MembersDisable
                        | Permission::RolesRead
                        | Permission::ResourceServersRead
                        | Permission::SettingsRead
                )
            }
            Self::Developer | Self::Member => false,
        }
    }

    /// What it is for, in a sentence for people.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Owner => {
                "Owns the tenant: holds every permission, over the root organization alone."
            }
            Self::Admin => "Holds every permission over an organization and what lies below it.",
            Self::Developer => "Registers apps.",
            Self::Support => {
                "Sees what there is, and disables clients and members in an emergency."
            }
            Self::Member => "Manages nothing.",
            Self::Operator => "Runs the installation; in the platform tenant alone.",
        }
    }
}

/// Which role: one that every tenant has, by its name, or one of the tenant's own, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoleReference {
    /// One that every tenant has.
    BuiltIn(BuiltInRole),
    /// One of the tenant's own.
    Own(RoleId),
}

/// A text names no role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "must be `owner`, `admin`, `developer`, `support`, `member`, or the id of a role, which begins with `rol_`"
)]
pub struct RoleReferenceError;

impl FromStr for RoleReference {
    type Err = RoleReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match BuiltInRole::parse(text) {
            Some(role) => Ok(Self::BuiltIn(role)),
            None => text.parse().map(Self::Own).map_err(|_| RoleReferenceError),
        }
    }
}

impl fmt::Display for RoleReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn(role) => f.write_str(role.as_str()),
            Self::Own(id) => id.fmt(f),
        }
    }
}

/// A role with what it permits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// One that every tenant has.
    BuiltIn(BuiltInRole),
    /// One of the tenant's own.
    Own {
        /// Its id.
        id: RoleId,
        /// What it permits.
        permissions: BTreeSet<Permission>,
    },
}

impl From<BuiltInRole> for Role {
    fn from(role: BuiltInRole) -> Self {
        Self::BuiltIn(role)
    }
}

impl Role {
    /// Which one it is.
    pub fn reference(&self) -> RoleReference {
        match self {
            Self::BuiltIn(role) => RoleReference::BuiltIn(*role),
            Self::Own { id, .. } => RoleReference::Own(*id),
        }
    }

    /// Whether it permits something, in its organization and below.
    pub fn permits(&self, permission: Permission) -> bool {
        match self {
            Self::BuiltIn(role) => role.permits(permission),
            Self::Own { permissions, .. } => permissions.contains(&permission),
        }
    }
}

/// A role that somebody holds over one organization and what lies below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRole {
    /// The role.
    pub role: Role,
    /// The organization at the top of the subtree.
    pub organization: OrganizationId,
}

impl HeldRole {
    /// A role over an organization.
    pub fn new(role: impl Into<Role>, organization: OrganizationId) -> Self {
        Self {
            role: role.into(),
            organization,
        }
    }

    /// What it comes to in a tenant: each permission, over its organization.
    pub fn conveys(&self, home: HomeTenant) -> HeldPermissions {
        HeldPermissions::of(std::slice::from_ref(self), home)
    }
}

/// What of a tenant decides how far a role reaches in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HomeTenant {
    /// The organization at the top of its tree.
    pub root: OrganizationId,
    /// Whether it is the tenant of the operators.
    pub is_platform: bool,
}

/// Permissions, each with the organizations over whose subtrees it is held.
///
/// It can only be made out of roles, and then only shrink: so a permission for operators is in it nowhere
/// but over the root of the platform tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HeldPermissions(BTreeMap<Permission, BTreeSet<OrganizationId>>);

impl HeldPermissions {
    /// Everything that a set of roles permits.
    pub fn of(roles: &[HeldRole], home: HomeTenant) -> Self {
        let mut held: BTreeMap<Permission, BTreeSet<OrganizationId>> = BTreeMap::new();
        for role in roles {
            let over_the_platform = home.is_platform && role.organization == home.root;
            let permitted = Permission::ALL
                .iter()
                .filter(|permission| role.role.permits(**permission))
                .filter(|permission| over_the_platform || !permission.is_for_operators());
            for permission in permitted {
                held.entry(*permission)
                    .or_default()
                    .insert(role.organization);
            }
        }
        Self(held)
    }

    /// What is left of it for a token with these scopes (`role_4`).
    #[must_use]
    pub fn within(mut self, scopes: &Scopes) -> Self {
        let named: BTreeSet<Permission> =
            scopes.iter().filter_map(Permission::from_scope).collect();
        self.0.retain(|permission, _| named.contains(permission));
        self
    }

    /// Whether a permission is held over any organization at all.
    pub fn contains(&self, permission: Permission) -> bool {
        self.0.contains_key(&permission)
    }

    /// The organizations over whose subtrees a permission is held. One may lie below another.
    pub fn tops(&self, permission: Permission) -> impl Iterator<Item = OrganizationId> {
        self.0.get(&permission).into_iter().flatten().copied()
    }

    /// The permissions that are held over any organization at all.
    pub fn permissions(&self) -> BTreeSet<Permission> {
        self.0.keys().copied().collect()
    }

    /// Each permission with each organization over whose subtree it is held.
    pub fn iter(&self) -> impl Iterator<Item = (Permission, OrganizationId)> {
        self.0
            .iter()
            .flat_map(|(permission, tops)| tops.iter().map(|top| (*permission, *top)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn organization(number: u128) -> OrganizationId {
        OrganizationId::from_uuid(Uuid::from_u128(number))
    }

    fn held(roles: &[(BuiltInRole, u128)], is_platform: bool) -> HeldPermissions {
        let roles: Vec<HeldRole> = roles
            .iter()
            .map(|(role, over)| HeldRole::new(*role, organization(*over)))
            .collect();
        let home = HomeTenant {
            root: organization(1),
            is_platform,
        };
        HeldPermissions::of(&roles, home)
    }

    fn for_operators() -> BTreeSet<Permission> {
        let all = Permission::ALL.iter().copied();
        all.filter(|permission| permission.is_for_operators())
            .collect()
    }

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
        assert!(BuiltInRole::Support.permits(Permission::TokensRead));
        assert!(!BuiltInRole::Support.permits(Permission::TokensRemove));
    }

    #[test]
    fn role_1_a_permission_is_held_over_the_organization_of_each_role_that_gives_it() {
        let held = held(
            &[
                (BuiltInRole::Support, 1),
                (BuiltInRole::Admin, 2),
                (BuiltInRole::Member, 3),
            ],
            false,
        );
        let tops =
            |permission| -> Vec<OrganizationId> { held.tops(permission).collect::<Vec<_>>() };
        assert_eq!(
            tops(Permission::ClientsRead),
            [organization(1), organization(2)]
        );
        assert_eq!(tops(Permission::ClientsDelete), [organization(2)]);
        assert!(!held.iter().any(|(_, over)| over == organization(3)));
        assert_eq!(tops(Permission::TenantsRead), []);
    }

    #[test]
    fn role_1_permissions_for_operators_are_held_at_the_root_of_the_platform_alone() {
        let there = held(&[(BuiltInRole::Operator, 1)], true);
        assert!(there.permissions().is_superset(&for_operators()));
        for elsewhere in [
            held(&[(BuiltInRole::Operator, 2)], true),
            held(&[(BuiltInRole::Operator, 1)], false),
            held(&[(BuiltInRole::Operator, 2)], false),
            held(&[(BuiltInRole::Owner, 1), (BuiltInRole::Admin, 1)], true),
        ] {
            assert!(elsewhere.permissions().is_disjoint(&for_operators()));
            assert!(elsewhere.contains(Permission::ClientsRead));
        }
    }

    #[test]
    fn role_3_without_a_role_there_is_no_permission() {
        assert_eq!(held(&[], true), HeldPermissions::default());
        assert!(HeldPermissions::default().permissions().is_empty());
    }

    #[test]
    fn role_4_scopes_shrink_what_is_held_and_never_add_to_it() {
        let support = held(&[(BuiltInRole::Support, 2)], false);
        let both = Scopes::parse("grantor:clients.read grantor:clients.write").unwrap();
        let left: Vec<_> = support.clone().within(&both).iter().collect();
        assert_eq!(left, [(Permission::ClientsRead, organization(2))]);
        let others = Scopes::parse("orders.api:read grantor:nothing").unwrap();
        assert_eq!(support.within(&others), HeldPermissions::default());
    }

    #[test]
    fn names_lead_back_to_roles() {
        for role in BuiltInRole::ALL {
            assert_eq!(BuiltInRole::parse(role.as_str()), Some(*role));
        }
        assert_eq!(BuiltInRole::parse("root"), None);
    }
}
