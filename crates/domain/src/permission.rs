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
        matches!(self, Self::TenantsCreate | Self::TenantsRead)
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
