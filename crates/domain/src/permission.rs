//! The catalogue of permissions of the management API.
//!
//! A permission is also a scope of that API, `grantor:` and its name: a token needs the scope, and its
//! holder the permission (`role_4`).

use grantor_protocol::scope::ScopeToken;

use crate::resource_server::MANAGEMENT_API_KEY;

macro_rules! permissions {
    ($($(#[doc = $doc:literal])* $name:ident = $text:literal;)*) => {
        /// Something that a caller of the management API may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Permission { $($(#[doc = $doc])* $name),* }

        impl Permission {
            /// All of them, in the order of the catalogue.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The name, as in `clients.read`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// What it allows, in a sentence for people.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii()),* }
            }
        }
    };
}

permissions! {
    /// Create tenants (operators alone).
    TenantsCreate = "tenants.create";
    /// List and read tenants (operators alone).
    TenantsRead = "tenants.read";
    /// Change tenants, their issuers and their quotas (operators alone).
    TenantsWrite = "tenants.write";
    /// Suspend and restore tenants (operators alone).
    TenantsSuspend = "tenants.suspend";
    /// Delete tenants for good (operators alone).
    TenantsDelete = "tenants.delete";
    /// See and disable clients in any tenant (operators alone).
    PlatformSupport = "platform.support";
    /// Create, change and delete the platform-wide resource servers (operators alone).
    PlatformResourceServersWrite = "platform_resource_servers.write";
    /// See the tenant's settings and quotas.
    SettingsRead = "settings.read";
    /// Change the tenant's settings.
    SettingsWrite = "settings.write";
    /// See the organizations.
    OrganizationsRead = "organizations.read";
    /// Create, rename, move and delete business groups.
    OrganizationsWrite = "organizations.write";
    /// See the members, and which roles they hold.
    MembersRead = "members.read";
    /// Create, invite and change members, and let them set a new password.
    MembersWrite = "members.write";
    /// Disable and enable members.
    MembersDisable = "members.disable";
    /// Delete members for good.
    MembersDelete = "members.delete";
    /// See the roles, and what they permit.
    RolesRead = "roles.read";
    /// Create, change and delete the tenant's own roles.
    RolesWrite = "roles.write";
    /// Give roles to members, and take them away.
    RolesAssign = "roles.assign";
    /// See the tenant's clients and their settings.
    ClientsRead = "clients.read";
    /// Create clients and change their settings.
    ClientsWrite = "clients.write";
    /// Disable and enable clients.
    ClientsDisable = "clients.disable";
    /// Delete clients for good.
    ClientsDelete = "clients.delete";
    /// Generate, rotate and revoke secrets of clients.
    SecretsWrite = "secrets.write";
    /// See the live access tokens of clients and members, and from where they were asked for.
    TokensRead = "tokens.read";
    /// Remove access tokens: one, several, or all of a client, of a member or of the tenant.
    TokensRemove = "tokens.remove";
    /// See the tenant's resource servers and their scopes.
    ResourceServersRead = "resource_servers.read";
    /// Create, change and delete resource servers and their scopes.
    ResourceServersWrite = "resource_servers.write";
    /// Read the log of record.
    AuditRead = "audit.read";
    /// Erase a person from the log of record.
    AuditErase = "audit.erase";
    /// Follow the change feed.
    ChangesRead = "changes.read";
}

impl Permission {
    /// Finds a permission by its name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.as_str() == text)
    }

    /// Whether it concerns the whole platform, and so can be held in the platform tenant alone.
    pub fn is_for_operators(self) -> bool {
        matches!(
            self,
            Self::TenantsCreate
                | Self::TenantsRead
                | Self::TenantsWrite
                | Self::TenantsSuspend
                | Self::TenantsDelete
                | Self::PlatformSupport
                | Self::PlatformResourceServersWrite
        )
    }

    /// The name of the scope that a token needs for it.
    pub fn scope_name(self) -> String {
        format!("{MANAGEMENT_API_KEY}:{}", self.as_str())
    }

    /// The permission that a scope of the management API stands for.
    pub fn from_scope(scope: &ScopeToken) -> Option<Self> {
        let (key, name) = scope.as_str().split_once(':')?;
        if key == MANAGEMENT_API_KEY {
            Self::parse(name)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_permission_is_found_by_its_name_and_scope() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Some(*permission));
            let scope = ScopeToken::parse(&permission.scope_name()).unwrap();
            assert_eq!(Permission::from_scope(&scope), Some(*permission));
            assert!(permission.description().ends_with('.'));
        }
    }

    #[test]
    fn a_scope_of_another_api_is_no_permission() {
        for scope in [
            "clients.read",
            "orders.api:clients.read",
            "grantor:nothing",
            "grantor.x:clients.read",
        ] {
            assert_eq!(
                Permission::from_scope(&ScopeToken::parse(scope).unwrap()),
                None,
                "{scope}"
            );
        }
    }
}
