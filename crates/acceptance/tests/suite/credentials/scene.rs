//! A tenant with members who have links. What makes members and links by the API comes besides; here storage does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use grantor_acceptance::{Answer, Replica, Tenant, World};
use grantor_authority::PreparedLink;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::credential_link::LinkPurpose;
use grantor_domain::ids::{MemberId, TenantId};
use grantor_domain::member::{MemberSettings, NewMember};
use grantor_domain::settings::TenantSettings;
use grantor_domain::text::{EmailAddress, PersonName};
use grantor_keys::{HashMemory, PasswordVerifier};
use grantor_storage::{
    Change, ChangeTx, Database, DatabaseOptions, ReadTx, Scope, StorageError, authenticators,
    members, settings, suspensions, tenants,
};
use grantor_test_support::{SeededEntropy, builders};
use serde_json::{Value, json};

use crate::asking::{Line, wait_for};

/// A world, and one tenant in it.
pub struct Office {
    pub world: Arc<World>,
    pub tenant: Tenant,
    id: TenantId,
    /// Of its own, for the servers draw from theirs.
    entropy: Arc<SeededEntropy>,
}

/// A member with a link that is good for an hour.
pub struct Invited {
    pub member: MemberId,
    pub token: String,
}

/// The form as a browser sends it.
pub fn form_of(token: &str, password: &str, again: &str) -> String {
    let encoded = |text: &str| text.replace(' ', "+").replace('\t', "%09");
    format!(
        "token={token}&password={}&password_again={}",
        encoded(password),
        encoded(again)
    )
}

impl Office {
    pub fn new() -> Self {
        Self::in_world(Arc::new(World::new()), "Acme")
    }

    /// Another tenant of the same world.
    pub fn tenant_of(office: &Self, name: &str) -> Self {
        Self::in_world(office.world.clone(), name)
    }

    fn in_world(world: Arc<World>, name: &str) -> Self {
        static SEED: AtomicU64 = AtomicU64::new(70_000);
        let tenant = world.tenant(name);
        Self {
            id: tenant.id.parse().unwrap(),
            tenant,
            entropy: Arc::new(SeededEntropy::new(SEED.fetch_add(1, Ordering::SeqCst))),
            world,
        }
    }

    fn database(&self) -> Database {
        Database::new(DatabaseOptions {
            url: self.world.database.url(),
            pool_size: 2,
            deadline: Duration::from_secs(20),
            entropy: self.entropy.clone(),
        })
    }

    fn change(
        &self,
        scope: Scope,
        target: Target,
        work: impl FnOnce(&mut ChangeTx<'_>) -> Result<(), StorageError> + Send + 'static,
    ) {
        let tenant = self.id;
        let made: Result<(), StorageError> = wait_for(self.database().change(
            scope,
            builders::origin(),
            self.world.now(),
            move |tx| {
                work(tx)?;
                let event = Event::new(tenant, Action::MemberUpdated, target);
                Ok(Change::made((), event))
            },
        ));
        made.unwrap();
    }

    fn change_member(
        &self,
        member: MemberId,
        work: impl FnOnce(&mut ChangeTx<'_>) -> Result<(), StorageError> + Send + 'static,
    ) {
        self.change(Scope::Tenant(self.id), Target::Member(member), work);
    }

    /// A new member with an invitation.
    pub fn invited(&self, name: &str, email: &str) -> Invited {
        let member: MemberId = builders::id_at(self.world.now(), self.entropy.as_ref());
        let (tenant, name, email) = (self.id, name.to_owned(), email.to_owned());
        self.change_member(member, move |tx| {
            let organization = tenants::find(tx, tenant)?.unwrap().root_organization;
            let settings = MemberSettings {
                name: PersonName::parse(&name).unwrap(),
                email: EmailAddress::parse(&email).unwrap(),
                organization,
            };
            members::insert(
                tx,
                tenant,
                &NewMember {
                    id: member,
                    settings,
                },
            )
        });
        let token = self.link(member, LinkPurpose::Invitation);
        Invited { member, token }
    }

    /// One more link of a member's.
    pub fn link(&self, member: MemberId, purpose: LinkPurpose) -> String {
        let link = self.prepared(member, purpose);
        let token = link.token().to_owned();
        self.change_member(member, move |tx| link.store(tx));
        token
    }

    fn prepared(&self, member: MemberId, purpose: LinkPurpose) -> PreparedLink {
        let until = self.world.now() + TimeDelta::hours(1);
        PreparedLink::new(self.entropy.as_ref(), self.id, member, purpose, until).unwrap()
    }

    /// A token as they are given out, which never was.
    pub fn token_of_nobody(&self) -> String {
        let nobody = builders::id_at(self.world.now(), self.entropy.as_ref());
        let link = self.prepared(nobody, LinkPurpose::Invitation);
        link.token().to_owned()
    }

    pub fn disable(&self, member: MemberId) {
        let (tenant, now) = (self.id, self.world.now());
        self.change_member(member, move |tx| {
            suspensions::set_member_pause(tx, tenant, member, Some(now), None)
        });
    }

    pub fn delete(&self, member: MemberId) {
        let tenant = self.id;
        self.change_member(member, move |tx| {
            members::delete(tx, tenant, member).map(drop)
        });
    }

    /// Changes a member's row as no link hears of it.
    pub fn edit_member(&self, member: MemberId, set: &str) {
        let sql = format!("UPDATE members SET {set} WHERE id = '{}'", member.uuid());
        self.world.database.superuser().batch_execute(&sql).unwrap();
    }

    pub fn suspend(&self, suspended: bool) {
        let (tenant, since) = (self.id, suspended.then(|| self.world.now()));
        self.change(
            Scope::Platform(Some(tenant)),
            Target::Tenant(tenant),
            move |tx| suspensions::set_tenant_pause(tx, tenant, since, None),
        );
    }

    pub fn set_settings(&self, given: TenantSettings) {
        let tenant = self.id;
        self.change(Scope::Tenant(tenant), Target::Tenant(tenant), move |tx| {
            settings::update(tx, tenant, &given, 0)
        });
    }

    /// Whether this is the member's password, as what is kept of it says.
    pub fn is_password(&self, member: MemberId, password: &str) -> bool {
        let verifier = self.verifier(member);
        let memory = &mut HashMemory::default();
        verifier.is_some_and(|kept| kept.verify(password, member.uuid(), memory).unwrap())
    }

    pub fn has_password(&self, member: MemberId) -> bool {
        self.verifier(member).is_some()
    }

    fn verifier(&self, member: MemberId) -> Option<PasswordVerifier> {
        let tenant = self.id;
        let found: Result<_, StorageError> = wait_for(
            self.database()
                .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                    authenticators::password_of(tx, tenant, member)
                }),
        );
        found.unwrap()
    }

    /// The events of this tenant with this action, as they stand in the log.
    pub fn events(&self, action: &str) -> Vec<Value> {
        let rows: Vec<Line> = diesel::sql_query(format!(
            "SELECT to_jsonb(e)::text AS line FROM audit_events AS e WHERE action = '{action}' \
             AND tenant_id = '{}' ORDER BY id",
            self.id.uuid()
        ))
        .load(&mut self.world.database.superuser())
        .unwrap();
        rows.iter()
            .map(|row| serde_json::from_str(&row.line).unwrap())
            .collect()
    }

    /// Where links lead and passwords are sent to.
    pub fn address(&self) -> String {
        self.address_at(&self.world.replica)
    }

    pub fn address_at(&self, replica: &Replica) -> String {
        format!("{}/t/{}/credentials", replica.token, self.tenant.id)
    }

    pub fn open(&self, token: &str) -> Answer {
        self.world
            .http
            .get(&format!("{}?token={token}", self.address()), &[])
    }

    pub fn fill_in(&self, token: &str, password: &str) -> Answer {
        let form = form_of(token, password, password);
        self.world.http.post_form(&self.address(), &[], &form)
    }

    pub fn set(&self, token: &str, password: &str) -> Answer {
        let body = json!({ "token": token, "password": password });
        self.world.http.post_json(&self.address(), &[], &body)
    }
}
