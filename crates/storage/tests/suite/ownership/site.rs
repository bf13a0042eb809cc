//! A tenant with a tree, members with roles, and clients that are theirs.

use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::audit::{Action, Actor, Event, Origin, Target};
use grantor_domain::ids::{
    ClientId, MemberId, OrganizationId, RoleAssignmentId, RoleId, SecretId, TenantId, TypedId,
};
use grantor_domain::member::{Member, MemberSettings, NewMember};
use grantor_domain::own_role::{OwnRoleName, OwnRoleSettings};
use grantor_domain::ownership::DueWhy;
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole, Role};
use grantor_domain::text::{Description, EmailAddress, OrganizationName, PersonName};
use grantor_keys::Verifier;
use grantor_storage::client_secrets::{self, NewSecret, SecretVerifier};
use grantor_storage::ownership::{self, DueFilter};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{
    Change, ChangeTx, ReadTx, Scope, StorageError, clients, members, organizations, roles,
    suspensions,
};
use grantor_test_support::builders;
use serde_json::Value;

use crate::support::{Fixture, now, texts, wait_for};

/// `Home(A(A1) B)`, with a root owner.
pub(super) struct Site {
    pub(super) fixture: Fixture,
    pub(super) root: OrganizationId,
    pub(super) a: OrganizationId,
    pub(super) a1: OrganizationId,
    pub(super) b: OrganizationId,
    pub(super) root_owner: MemberId,
    made: AtomicI64,
}

impl Site {
    pub(super) fn new() -> Self {
        let fixture = Fixture::new();
        let root = fixture.home.root_organization;
        let mut site = Self {
            root,
            a: root,
            a1: root,
            b: root,
            root_owner: MemberId::from_uuid(root.uuid()),
            made: AtomicI64::new(0),
            fixture,
        };
        site.a = site.group(root, "A");
        site.a1 = site.group(site.a, "A1");
        site.b = site.group(root, "B");
        site.root_owner = site.member("Root", root);
        site.give(site.root_owner, BuiltInRole::Owner, root);
        site
    }

    /// An id after all before it.
    pub(super) fn id<T: TypedId>(&self) -> T {
        let number = self.made.fetch_add(1, Ordering::SeqCst);
        let at = now() + TimeDelta::milliseconds(number);
        builders::id_at(at, self.fixture.entropy.as_ref())
    }

    pub(super) fn tenant(&self) -> TenantId {
        self.fixture.home.id
    }

    /// Makes a change as somebody at some time.
    pub(super) fn change_as<T: Send + 'static>(
        &self,
        who: Option<MemberId>,
        at: DateTime<Utc>,
        work: impl FnOnce(&mut ChangeTx<'_>, TenantId) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let tenant = self.tenant();
        let origin = match who {
            None => builders::origin(),
            Some(member) => Origin::without_request(Actor::Member {
                tenant,
                member,
                client: None,
            }),
        };
        let change = self
            .fixture
            .database
            .change(Scope::Tenant(tenant), origin, at, move |tx| {
                let result = work(tx, tenant)?;
                let event = Event::new(tenant, Action::MemberUpdated, Target::Tenant(tenant));
                Ok(Change::made(result, event))
            });
        wait_for(change)
    }

    pub(super) fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut ChangeTx<'_>, TenantId) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        self.change_as(None, now(), work).unwrap()
    }

    pub(super) fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut ReadTx<'_>, TenantId) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        let tenant = self.tenant();
        let scope = Scope::Tenant(tenant);
        let database = &self.fixture.database;
        wait_for(database.read(scope, move |tx: &mut ReadTx<'_>| work(tx, tenant))).unwrap()
    }

    pub(super) fn group(&self, parent: OrganizationId, name: &str) -> OrganizationId {
        let id = self.id();
        let name = OrganizationName::parse(name).unwrap();
        self.change(move |tx, tenant| organizations::insert_group(tx, tenant, parent, id, &name));
        id
    }

    /// A member who lives there; their address is their name's.
    pub(super) fn member(&self, name: &str, organization: OrganizationId) -> MemberId {
        let id = self.id();
        let settings = settings(name, organization);
        self.change(move |tx, tenant| members::insert(tx, tenant, &NewMember { id, settings }));
        id
    }

    pub(super) fn give(
        &self,
        member: MemberId,
        role: impl Into<Role>,
        over: OrganizationId,
    ) -> RoleAssignmentId {
        let id = self.id();
        let held = HeldRole {
            role: role.into(),
            organization: over,
        };
        self.change(move |tx, tenant| {
            role_assignments::insert(tx, tenant, id, Holder::Member(member), &held)
        });
        id
    }

    /// Somebody who lives there and administers it.
    pub(super) fn admin(&self, name: &str, over: OrganizationId) -> (MemberId, RoleAssignmentId) {
        let member = self.member(name, over);
        let role = self.give(member, BuiltInRole::Admin, over);
        (member, role)
    }

    /// A role of the tenant's own.
    pub(super) fn role(&self, name: &str, permissions: &[Permission]) -> Role {
        let id: RoleId = self.id();
        let settings = own_role(name, permissions);
        self.change(move |tx, tenant| roles::insert(tx, tenant, id, &settings));
        Role::Own {
            id,
            permissions: permissions.iter().copied().collect(),
        }
    }

    pub(super) fn client(
        &self,
        name: &str,
        organization: OrganizationId,
        owner: MemberId,
    ) -> ClientId {
        self.client_of(name, organization, Some(owner), "shared@example.com")
    }

    pub(super) fn client_of(
        &self,
        name: &str,
        organization: OrganizationId,
        owner: Option<MemberId>,
        contact: &str,
    ) -> ClientId {
        let id = self.id();
        let mut settings = builders::client(name, "");
        settings.owner_contact.email = EmailAddress::parse(contact).unwrap();
        self.change(move |tx, tenant| {
            let mut new = builders::new_client(id, organization, &settings);
            new.owner = owner;
            clients::insert(tx, tenant, &new)
        });
        id
    }

    pub(super) fn secret(&self, client: ClientId, maker: Option<MemberId>) -> SecretId {
        self.secret_at(client, maker, now(), None)
    }

    pub(super) fn new_secret(&self, expires_at: Option<DateTime<Utc>>) -> NewSecret {
        NewSecret {
            id: self.id(),
            hint: "gsec_Ab3d".to_owned(),
            verifier: SecretVerifier::Keyed(Verifier::from_stored("h1.key.hash".to_owned())),
            expires_at,
        }
    }

    pub(super) fn secret_at(
        &self,
        client: ClientId,
        maker: Option<MemberId>,
        at: DateTime<Utc>,
        expires_at: Option<DateTime<Utc>>,
    ) -> SecretId {
        let secret = self.new_secret(expires_at);
        let id = secret.id;
        self.change_as(maker, at, move |tx, tenant| {
            client_secrets::insert(tx, tenant, client, &secret)
        })
        .unwrap();
        id
    }

    pub(super) fn owner(&self, client: ClientId) -> Option<MemberId> {
        self.found(client).owner
    }

    pub(super) fn found(&self, client: ClientId) -> grantor_domain::client::Client {
        self.read(move |tx, tenant| clients::find(tx, tenant, client))
            .unwrap()
    }

    pub(super) fn find_member(&self, member: MemberId) -> Option<Member> {
        self.read(move |tx, tenant| members::find(tx, tenant, member))
    }

    /// Hands a client over on behalf of an administrator; tells whether anything changed.
    pub(super) fn transfer(&self, client: ClientId, to: MemberId) -> bool {
        self.transfer_at(client, to, now())
    }

    pub(super) fn transfer_at(&self, client: ClientId, to: MemberId, at: DateTime<Utc>) -> bool {
        let tenant = self.tenant();
        let database = &self.fixture.database;
        let scope = Scope::Tenant(tenant);
        wait_for(database.change(scope, builders::origin(), at, move |tx| {
            let found = clients::find_for_change(tx, tenant, client)?.unwrap();
            Ok::<_, StorageError>(match ownership::transfer(tx, tenant, &found, to)? {
                Some(events) => Change::made(true, events),
                None => Change::Nothing(false),
            })
        }))
        .unwrap()
    }

    pub(super) fn take(&self, member: MemberId, role: RoleAssignmentId) {
        self.change(move |tx, tenant| {
            role_assignments::delete(tx, tenant, role, Holder::Member(member))
        });
    }

    pub(super) fn disable(&self, member: MemberId) {
        self.change(move |tx, tenant| {
            suspensions::set_member_pause(tx, tenant, member, Some(now()), None)
        });
    }

    pub(super) fn delete(&self, member: MemberId) {
        assert!(self.change(move |tx, tenant| members::delete(tx, tenant, member)));
    }

    /// Moves a member.
    pub(super) fn move_to(&self, member: MemberId, organization: OrganizationId) {
        let mut settings = self.find_member(member).unwrap().settings;
        settings.organization = organization;
        self.change(move |tx, tenant| members::update(tx, tenant, member, &settings));
    }

    pub(super) fn put_under(
        &self,
        group: OrganizationId,
        from: OrganizationId,
        to: OrganizationId,
    ) {
        let put =
            self.change(move |tx, tenant| organizations::put_under(tx, tenant, group, from, to));
        assert!(put);
    }

    pub(super) fn put_into(&self, client: ClientId, organization: OrganizationId) {
        self.put_into_at(client, organization, now());
    }

    pub(super) fn put_into_at(
        &self,
        client: ClientId,
        organization: OrganizationId,
        at: DateTime<Utc>,
    ) {
        self.change_as(None, at, move |tx, tenant| {
            let found = clients::find_for_change(tx, tenant, client)?.unwrap();
            clients::put_into(tx, tenant, &found, organization)
        })
        .unwrap();
    }

    /// The events of an action in the order of their writing: target, before and after.
    pub(super) fn events(&self, action: &str) -> Vec<(String, Value, Value)> {
        let sql = format!(
            "SELECT json_build_array(target_id, before_change, after_change) FROM audit_events \
             WHERE action = '{action}' ORDER BY id"
        );
        texts(&mut self.fixture.test.superuser(), &sql)
            .into_iter()
            .map(|row| {
                let parts: Vec<Value> = serde_json::from_str(&row).unwrap();
                let target = parts[0].as_str().unwrap().to_owned();
                (target, parts[1].clone(), parts[2].clone())
            })
            .collect()
    }

    /// What is due, in the order of its list, by pages of one.
    pub(super) fn due(&self, filter: &DueFilter) -> Vec<(SecretId, DueWhy)> {
        self.due_at(filter, now() + TimeDelta::seconds(10))
    }

    pub(super) fn due_at(&self, filter: &DueFilter, at: DateTime<Utc>) -> Vec<(SecretId, DueWhy)> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let filter = filter.clone();
            let page =
                self.read(move |tx, tenant| ownership::due(tx, tenant, &filter, after, 1, at));
            let last = page.found.last().map(|due| (due.client, due.secret.id));
            all.extend(page.found.iter().map(|due| (due.secret.id, due.due.why)));
            match page.on.or(last) {
                Some(place) => after = Some(place),
                None => return all,
            }
        }
    }
}

pub(super) fn address(name: &str) -> String {
    format!("{}@acme.example", name.to_lowercase())
}

pub(super) fn settings(name: &str, organization: OrganizationId) -> MemberSettings {
    MemberSettings {
        name: PersonName::parse(name).unwrap(),
        email: EmailAddress::parse(&address(name)).unwrap(),
        organization,
    }
}

pub(super) fn own_role(name: &str, permissions: &[Permission]) -> OwnRoleSettings {
    OwnRoleSettings {
        name: OwnRoleName::parse(name).unwrap(),
        description: Description::parse("").unwrap(),
        permissions: permissions.iter().copied().collect(),
    }
}
