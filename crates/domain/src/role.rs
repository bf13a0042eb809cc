//! The roles that every tenant has (`role_1`), and what they permit.

use std::collections::{BTreeMap, BTreeSet};

use grantor_protocol::scope::Scopes;

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
            .map(|(role, over)| HeldRole {
                role: *role,
                organization: organization(*over),
            })
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
