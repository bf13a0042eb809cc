//! Who calls the management API, and whether they may.

use std::collections::BTreeSet;

use grantor_protocol::scope::Scopes;
use thiserror::Error;

use crate::audit::{Actor, Target};
use crate::ids::{ClientId, MemberId, OrganizationId, TenantId};
use crate::permission::Permission;
use crate::resource_server::MANAGEMENT_API_AUDIENCE;
use crate::role::{HeldPermissions, HeldRole, HomeTenant};
use crate::token::AccessToken;

/// A caller whose token is good, with what it may do at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The tenant that the caller belongs to.
    pub tenant: TenantId,
    /// The client that calls.
    pub client: ClientId,
    /// The member for whom it does, unless it acts for itself.
    pub member: Option<MemberId>,
    /// The organization at the top of the tenant's tree.
    pub root: OrganizationId,
    /// The token's scopes ∩ what the roles of whoever acts permit now (`role_4`), and over which organizations.
    pub reach: HeldPermissions,
}

/// How much of a tenant a caller sees of something that lies in organizations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All of it.
    Everything,
    /// What lies in these organizations and below them; one may lie below another. None: nothing.
    Subtrees(BTreeSet<OrganizationId>),
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

impl Caller {
    /// Decides who calls by a token that is good for `scopes` now. The roles are those of the member for whom the
    /// client acts, or, if it acts for itself, its own. Nobody calls by a token for another audience.
    pub fn identify(
        token: &AccessToken,
        scopes: &Scopes,
        home: HomeTenant,
        roles: &[HeldRole],
    ) -> Option<Self> {
        let audiences = &mut token.audiences.iter();
        if !audiences.any(|audience| audience == MANAGEMENT_API_AUDIENCE) {
            return None;
        }
        Some(Self {
            tenant: token.tenant,
            client: token.client,
            member: token.member,
            root: home.root,
            reach: HeldPermissions::of(roles, home).within(scopes),
        })
    }

    /// Who acts, for the log of record.
    pub fn actor(&self) -> Actor {
        match self.member {
            Some(member) => Actor::Member {
                tenant: self.tenant,
                member,
                client: Some(self.client),
            },
            None => Actor::Client {
                tenant: self.tenant,
                client: self.client,
            },
        }
    }

    /// The caller as what an event is about.
    pub fn target(&self) -> Target {
        match self.member {
            Some(member) => Target::Member(member),
            None => Target::Client(self.client),
        }
    }

    /// What the caller may do over any organization at all.
    pub fn permissions(&self) -> BTreeSet<Permission> {
        self.reach.permissions()
    }

    /// Decides whether the caller may do something over any organization at all: enough for what concerns
    /// the platform, and to ask for a list, of which [`Self::tops`] then says how much is seen.
    pub fn holds(&self, permission: Permission) -> Result<(), AccessRefusal> {
        if self.reach.contains(permission) {
            Ok(())
        } else {
            Err(AccessRefusal::MissingPermission(permission))
        }
    }

    /// Decides the same, of a tenant. What lies in an organization is for [`Self::may_in`] to decide besides.
    pub fn may(&self, permission: Permission, tenant: TenantId) -> Result<(), AccessRefusal> {
        if self.tenant != tenant {
            return Err(AccessRefusal::ForeignTenant);
        }
        self.holds(permission)
    }

    /// Decides whether the caller may do something to what lies in an organization (`role_2`). `path` leads
    /// there from the root of the tenant's tree, both included; one that begins elsewhere is not of this tenant.
    pub fn may_in(
        &self,
        permission: Permission,
        path: &[OrganizationId],
    ) -> Result<(), AccessRefusal> {
        if path.first() != Some(&self.root) {
            return Err(AccessRefusal::ForeignTenant);
        }
        if self.reach.tops(permission).any(|top| path.contains(&top)) {
            Ok(())
        } else {
            Err(AccessRefusal::MissingPermission(permission))
        }
    }

    /// How much of the tenant the caller may do this to.
    pub fn tops(&self, permission: Permission) -> Reach {
        let tops: BTreeSet<OrganizationId> = self.reach.tops(permission).collect();
        if tops.contains(&self.root) {
            Reach::Everything
        } else {
            Reach::Subtrees(tops)
        }
    }

    /// Decides whether the caller may come into possession of something, or give it to somebody, that conveys
    /// these permissions, each over the subtree at the end of a path from the root: nobody gets more by it
    /// than they have (`role_3`). A permission over all the parts of a subtree is less than one over the
    /// subtree, in which there will be further parts.
    pub fn may_come_by<P: AsRef<[OrganizationId]>>(
        &self,
        conveyed: impl IntoIterator<Item = (Permission, P)>,
    ) -> Result<(), AccessRefusal> {
        conveyed
            .into_iter()
            .try_for_each(|(permission, path)| self.may_in(permission, path.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};
    use uuid::Uuid;

    use super::*;
    use crate::ids::TokenId;
    use crate::role::BuiltInRole::{self, Admin, Operator, Support};
    use crate::suspension::Position;

    /// The tree of the tests: 1 is the root, 2 and 3 lie below it, 4 below 2.
    const ROOT: u128 = 1;

    fn organization(number: u128) -> OrganizationId {
        OrganizationId::from_uuid(Uuid::from_u128(number))
    }

    fn path(numbers: &[u128]) -> Vec<OrganizationId> {
        numbers.iter().copied().map(organization).collect()
    }

    fn tenant(number: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(number))
    }

    fn token(scopes: &str, audience: &str) -> AccessToken {
        AccessToken {
            tenant: tenant(1),
            client: ClientId::from_uuid(Uuid::from_u128(2)),
            id: TokenId::from_uuid(Uuid::from_u128(3)),
            member: None,
            scopes: Scopes::parse(scopes).unwrap(),
            audiences: vec!["https://orders.example".to_owned(), audience.to_owned()],
            issued_at: DateTime::UNIX_EPOCH,
            expires_at: DateTime::UNIX_EPOCH + TimeDelta::hours(1),
            revoked_at: None,
            position: Position {
                epoch: 1,
                sequence: 1,
            },
            ip: None,
        }
    }

    fn identified(
        token: &AccessToken,
        roles: &[(BuiltInRole, u128)],
        is_platform: bool,
    ) -> Option<Caller> {
        let roles: Vec<HeldRole> = roles
            .iter()
            .map(|(role, over)| HeldRole::new(*role, organization(*over)))
            .collect();
        let home = HomeTenant {
            root: organization(ROOT),
            is_platform,
        };
        Caller::identify(token, &token.scopes, home, &roles)
    }

    /// A caller with every scope, or with some.
    fn caller_with(roles: &[(BuiltInRole, u128)], scopes: Option<&str>) -> Caller {
        let every: Vec<String> = Permission::ALL
            .iter()
            .map(|permission| permission.scope_name())
            .collect();
        let every = every.join(" ");
        let token = token(scopes.unwrap_or(&every), MANAGEMENT_API_AUDIENCE);
        identified(&token, roles, false).unwrap()
    }

    fn caller(roles: &[(BuiltInRole, u128)]) -> Caller {
        caller_with(roles, None)
    }

    fn missing(permission: Permission) -> Result<(), AccessRefusal> {
        Err(AccessRefusal::MissingPermission(permission))
    }

    #[test]
    fn role_4_a_token_conveys_scopes_that_its_holder_may_use() {
        let both = "grantor:clients.read grantor:tenants.create";
        let caller = caller_with(&[(Admin, ROOT)], Some(both));
        assert_eq!(
            caller.permissions(),
            BTreeSet::from([Permission::ClientsRead])
        );
        assert_eq!(
            caller.may(Permission::ClientsWrite, tenant(1)),
            missing(Permission::ClientsWrite),
            "the role would permit it, the token does not name it"
        );
    }

    #[test]
    fn role_4_a_client_that_acts_for_a_member_is_on_record_as_the_member_through_the_client() {
        let member = MemberId::from_uuid(Uuid::from_u128(9));
        let own = token("grantor:clients.read", MANAGEMENT_API_AUDIENCE);
        let for_a_member = AccessToken {
            member: Some(member),
            ..own.clone()
        };
        let actor = |token: &AccessToken| identified(token, &[], false).unwrap().actor();
        assert_eq!((actor(&own).kind(), actor(&own).client()), ("client", None));
        let acting = actor(&for_a_member);
        assert_eq!(
            (acting.kind(), acting.name()),
            ("member", member.to_string())
        );
        assert_eq!(acting.client(), Some(for_a_member.client));
    }

    #[test]
    fn role_3_without_a_role_scopes_convey_nothing() {
        let caller = caller(&[]);
        assert!(caller.permissions().is_empty());
        for permission in Permission::ALL {
            assert_eq!(caller.holds(*permission), missing(*permission));
            assert_eq!(
                caller.may_in(*permission, &path(&[ROOT])),
                missing(*permission)
            );
            assert_eq!(caller.tops(*permission), Reach::Subtrees(BTreeSet::new()));
        }
    }

    #[test]
    fn a_token_for_other_audiences_alone_is_nobodys() {
        let other = token("grantor:clients.read", "https://billing.example");
        assert_eq!(identified(&other, &[(Admin, ROOT)], false), None);
    }

    #[test]
    fn tenant_1_a_foreign_tenant_is_refused_before_any_permission_is_looked_at() {
        let support = caller(&[(Support, ROOT)]);
        assert_eq!(support.may(Permission::ClientsRead, tenant(1)), Ok(()));
        for permission in Permission::ALL {
            assert_eq!(
                support.may(*permission, tenant(2)),
                Err(AccessRefusal::ForeignTenant)
            );
        }
        assert_eq!(
            support.may(Permission::ClientsWrite, tenant(1)),
            missing(Permission::ClientsWrite)
        );
    }

    #[test]
    fn tenant_1_an_organization_that_is_not_below_the_callers_root_is_of_another_tenant() {
        let admin = caller(&[(Admin, ROOT), (Admin, 4)]);
        for elsewhere in [path(&[]), path(&[7]), path(&[7, 4]), path(&[2, ROOT])] {
            for permission in [Permission::ClientsRead, Permission::TenantsRead] {
                assert_eq!(
                    admin.may_in(permission, &elsewhere),
                    Err(AccessRefusal::ForeignTenant)
                );
            }
        }
    }

    #[test]
    fn role_2_a_role_reaches_its_organization_and_what_lies_below_and_nothing_else() {
        let admin = caller(&[(Admin, 2)]);
        let delete = Permission::ClientsDelete;
        assert_eq!(admin.holds(delete), Ok(()), "over some organization");
        for within in [path(&[ROOT, 2]), path(&[ROOT, 2, 4])] {
            assert_eq!(admin.may_in(delete, &within), Ok(()));
        }
        for outside in [path(&[ROOT]), path(&[ROOT, 3]), path(&[ROOT, 3, 5])] {
            assert_eq!(admin.may_in(delete, &outside), missing(delete));
        }
    }

    #[test]
    fn role_2_each_permission_has_a_reach_of_its_own() {
        let caller = caller(&[(Support, ROOT), (Admin, 2), (Admin, 4)]);
        assert_eq!(caller.tops(Permission::ClientsRead), Reach::Everything);
        assert_eq!(
            caller.tops(Permission::ClientsDelete),
            Reach::Subtrees(BTreeSet::from([organization(2), organization(4)]))
        );
        assert_eq!(
            caller.may_in(Permission::ClientsRead, &path(&[ROOT, 3])),
            Ok(())
        );
        assert_eq!(
            caller.may_in(Permission::ClientsDelete, &path(&[ROOT, 3])),
            missing(Permission::ClientsDelete),
            "support over all and admin over a part is no admin over all"
        );
    }

    #[test]
    fn role_1_operators_are_operators_at_the_root_of_the_platform_alone() {
        let create = Permission::TenantsCreate;
        let token = token("grantor:tenants.create", MANAGEMENT_API_AUDIENCE);
        let operator = |over, is_platform| {
            let caller = identified(&token, &[(Operator, over)], is_platform).unwrap();
            caller.holds(create)
        };
        assert_eq!(operator(ROOT, true), Ok(()));
        assert_eq!(operator(2, true), missing(create));
        assert_eq!(operator(ROOT, false), missing(create));
    }

    #[test]
    fn role_3_nobody_comes_by_more_than_they_have() {
        let root = path(&[ROOT]);
        let rotating = caller_with(&[(Admin, ROOT)], Some("grantor:secrets.write"));
        let nothing: [(Permission, &[OrganizationId]); 0] = [];
        assert_eq!(rotating.may_come_by(nothing), Ok(()));
        assert_eq!(
            rotating.may_come_by([(Permission::SecretsWrite, &root)]),
            Ok(())
        );
        assert_eq!(
            rotating.may_come_by([
                (Permission::SecretsWrite, &root),
                (Permission::ClientsRead, &root)
            ]),
            missing(Permission::ClientsRead),
            "one that is not held is enough to refuse"
        );
    }

    #[test]
    fn role_3_a_permission_over_a_part_does_not_come_by_the_same_over_more() {
        let read = Permission::ClientsRead;
        let group = caller(&[(Admin, 2)]);
        for within in [path(&[ROOT, 2]), path(&[ROOT, 2, 4])] {
            assert_eq!(group.may_come_by([(read, within)]), Ok(()));
        }
        for beyond in [path(&[ROOT]), path(&[ROOT, 3])] {
            assert_eq!(group.may_come_by([(read, beyond)]), missing(read));
        }
        assert_eq!(
            group.may_come_by([(read, path(&[ROOT, 2, 4])), (read, path(&[ROOT, 3]))]),
            missing(read),
            "each of them counts"
        );
        let parts = caller(&[(Admin, 2), (Admin, 3)]);
        assert_eq!(
            parts.may_come_by([(read, path(&[ROOT]))]),
            missing(read),
            "all the parts there are today are not the whole"
        );
    }

    #[test]
    fn role_3_a_permission_of_operators_is_come_by_by_operators_alone() {
        let create = Permission::TenantsCreate;
        let admin = caller(&[(Admin, ROOT), (Operator, ROOT)]);
        assert_eq!(
            admin.may_come_by([(create, path(&[ROOT]))]),
            missing(create)
        );
        let token = token("grantor:tenants.create", MANAGEMENT_API_AUDIENCE);
        let operator = identified(&token, &[(Operator, ROOT)], true).unwrap();
        assert_eq!(operator.may_come_by([(create, path(&[ROOT]))]), Ok(()));
    }
}
