//! Who calls the management API, and whether they may.

use std::collections::BTreeSet;

use grantor_protocol::scope::Scopes;
use thiserror::Error;

use crate::ids::{ClientId, TenantId};
use crate::permission::Permission;
use crate::resource_server::MANAGEMENT_API_AUDIENCE;

/// A caller whose token is good, with what it may do at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant that the caller belongs to.
    pub tenant: TenantId,
    /// The client that calls.
    pub client: ClientId,
    /// The token's scopes ∩ what the client's roles permit now (`role_4`).
    pub permissions: BTreeSet<Permission>,
}

/// Why a call is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AccessRefusal {
    /// The path names another tenant: it answers as if that tenant had never existed (`tenant_1`).
    #[error("another tenant")]
    ForeignTenant,
    /// The caller may not do this.
    #[error("the permission `{}` is missing", .0.as_str())]
    MissingPermission(Permission),
}

/// The permissions that a token conveys: those its scopes name and its holder has.
pub fn effective_permissions(
    scopes: &Scopes,
    audiences: &[String],
    held: &BTreeSet<Permission>,
) -> BTreeSet<Permission> {
    if !audiences
        .iter()
        .any(|audience| audience == MANAGEMENT_API_AUDIENCE)
    {
        return BTreeSet::new();
    }
    scopes
        .iter()
        .filter_map(Permission::from_scope)
        .filter(|wanted| held.contains(wanted))
        .collect()
}

impl Caller {
    /// Decides whether the caller may do something in a tenant.
    pub fn may(&self, permission: Permission, tenant: TenantId) -> Result<(), AccessRefusal> {
        if self.tenant != tenant {
            return Err(AccessRefusal::ForeignTenant);
        }
        self.holds(permission)
    }

    /// Decides whether the caller may come into possession of a secret that conveys these permissions:
    /// nobody gets more by it than they have (`role_3`).
    pub fn may_come_by(&self, conveyed: &BTreeSet<Permission>) -> Result<(), AccessRefusal> {
        match conveyed.difference(&self.permissions).next() {
            None => Ok(()),
            Some(beyond) => Err(AccessRefusal::MissingPermission(*beyond)),
        }
    }

    /// Decides whether the caller may do something that concerns the platform. Permissions of that kind
    /// come from the role `operator` alone, which is held in the platform tenant alone.
    pub fn holds(&self, permission: Permission) -> Result<(), AccessRefusal> {
        if self.permissions.contains(&permission) {
            Ok(())
        } else {
            Err(AccessRefusal::MissingPermission(permission))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrganizationId;
    use crate::role::{BuiltInRole, HeldRole, permissions_of};
    use uuid::Uuid;

    fn admin() -> BTreeSet<Permission> {
        let organization = OrganizationId::from_uuid(Uuid::nil());
        permissions_of(&[HeldRole {
            role: BuiltInRole::Admin,
            organization,
        }])
    }

    fn effective(
        scopes: &str,
        audience: &str,
        held: &BTreeSet<Permission>,
    ) -> BTreeSet<Permission> {
        effective_permissions(
            &Scopes::parse(scopes).unwrap(),
            &[audience.to_owned()],
            held,
        )
    }

    #[test]
    fn role_4_a_token_conveys_scopes_that_its_holder_may_use() {
        let both = "grantor:clients.read grantor:tenants.create";
        let conveyed = effective(both, MANAGEMENT_API_AUDIENCE, &admin());
        assert_eq!(conveyed, BTreeSet::from([Permission::ClientsRead]));
    }

    #[test]
    fn role_3_without_a_role_scopes_convey_nothing() {
        assert!(
            effective(
                "grantor:clients.read",
                MANAGEMENT_API_AUDIENCE,
                &BTreeSet::new()
            )
            .is_empty()
        );
    }

    #[test]
    fn a_token_for_another_audience_conveys_nothing() {
        assert!(effective("grantor:clients.read", "https://orders.example", &admin()).is_empty());
    }

    #[test]
    fn role_3_nobody_comes_by_more_than_they_have() {
        let caller = Caller {
            tenant: TenantId::from_uuid(Uuid::from_u128(1)),
            client: ClientId::from_uuid(Uuid::from_u128(3)),
            permissions: BTreeSet::from([Permission::SecretsWrite]),
        };
        assert_eq!(caller.may_come_by(&BTreeSet::new()), Ok(()));
        assert_eq!(caller.may_come_by(&caller.permissions), Ok(()));
        assert!(caller.may_come_by(&admin()).is_err());
    }

    #[test]
    fn tenant_1_a_foreign_tenant_is_refused_before_any_permission_is_looked_at() {
        let (own, other) = (
            TenantId::from_uuid(Uuid::from_u128(1)),
            TenantId::from_uuid(Uuid::from_u128(2)),
        );
        let client = ClientId::from_uuid(Uuid::from_u128(3));
        let caller = Caller {
            tenant: own,
            client,
            permissions: BTreeSet::from([Permission::ClientsRead]),
        };
        assert_eq!(caller.may(Permission::ClientsRead, own), Ok(()));
        assert_eq!(
            caller.may(Permission::ClientsRead, other),
            Err(AccessRefusal::ForeignTenant)
        );
        assert_eq!(
            caller.may(Permission::ClientsWrite, other),
            Err(AccessRefusal::ForeignTenant)
        );
        assert_eq!(
            caller.may(Permission::ClientsWrite, own),
            Err(AccessRefusal::MissingPermission(Permission::ClientsWrite))
        );
    }
}
