//! The one statement that reads who calls: what it tells, of whom, and what its role can't see.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, RoleId, TenantId, TokenId};
use grantor_domain::member::{MemberSettings, NewMember};
use grantor_domain::own_role::{OwnRoleName, OwnRoleSettings};
use grantor_domain::permission::Permission;
use grantor_domain::role::{BuiltInRole, HeldRole, Role, RoleReference};
use grantor_domain::suspension::Position;
use grantor_domain::tenant::NewTenant;
use grantor_domain::text::{Description, EmailAddress, PersonName, Reason};
use grantor_domain::token::AccessToken;
use grantor_keys::TokenHash;
use grantor_protocol::scope::Scopes;
use grantor_storage::callers::{self, CallerRecord, TokenKey};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::tokens::RecordedToken;
use grantor_storage::{
    Change, ChangeTx, ReadTx, Scope, StorageError, clients, members, roles, suspensions, tenants,
    tokens,
};
use grantor_test_support::builders;

use crate::support::{EPOCH, Fixture, about_tenant, now, wait_for};

/// Puts a token on record whose text is its own id.
fn token(fixture: &Fixture, tenant: TenantId, client: ClientId) -> TokenKey {
    token_for(fixture, tenant, client, None)
}

fn token_for(
    fixture: &Fixture,
    tenant: TenantId,
    client: ClientId,
    member: Option<MemberId>,
) -> TokenKey {
    let expires_at = now() + TimeDelta::hours(1);
    let id: TokenId = builders::id_at(expires_at, fixture.entropy.as_ref());
    let token = AccessToken {
        tenant,
        client,
        id,
        member,
        scopes: Scopes::parse("orders.api:read grantor:clients.read").unwrap(),
        audiences: vec!["https://orders.example".to_owned()],
        issued_at: now(),
        expires_at,
        revoked_at: None,
        position: Position {
            epoch: EPOCH,
            sequence: 1,
        },
        ip: Some("2001:db8::1".parse().unwrap()),
    };
    let stored: Result<(), StorageError> = wait_for(
        fixture
            .database
            .flow(move |tx| tokens::insert(tx, &token, TokenHash::of(&id.to_string()))),
    );
    stored.unwrap();
    TokenKey { tenant, client, id }
}

fn find(fixture: &Fixture, keys: &[TokenKey]) -> HashMap<TokenKey, CallerRecord> {
    let keys = keys.to_vec();
    let found: Result<_, StorageError> =
        wait_for(fixture.database.flow(move |tx| callers::find(tx, &keys)));
    found.unwrap()
}

/// The one record that is found for a key.
fn record(fixture: &Fixture, key: TokenKey) -> CallerRecord {
    let mut found = find(fixture, &[key]);
    assert_eq!(found.len(), 1);
    found.remove(&key).unwrap()
}

fn change(
    fixture: &Fixture,
    tenant: TenantId,
    client: ClientId,
    work: impl FnOnce(&mut ChangeTx<'_>) -> Result<(), StorageError> + Send + 'static,
) {
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            work(tx)?;
            Ok(Change::made((), builders::client_event(tenant, client)))
        })
        .unwrap();
}

fn give(
    fixture: &Fixture,
    tenant: &NewTenant,
    client: ClientId,
    holder: Holder,
    role: BuiltInRole,
) {
    let (id, tenant, organization) = (fixture.id(), tenant.id, tenant.root_organization);
    change(fixture, tenant, client, move |tx| {
        let held = HeldRole::new(role, organization);
        role_assignments::insert(tx, tenant, id, holder, &held)
    });
}

fn roles_of(record: &CallerRecord) -> Vec<(RoleReference, OrganizationId)> {
    let mut roles: Vec<_> = record
        .roles
        .iter()
        .map(|held| (held.role.reference(), held.organization))
        .collect();
    roles.sort_unstable();
    roles
}

/// What the statements one by one say of the same token, in a transaction of its tenant.
fn one_by_one(fixture: &Fixture, key: TokenKey) -> RecordedToken {
    let found: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(key.tenant), move |tx: &mut ReadTx<'_>| {
                tokens::find(tx, key.tenant, key.client, key.id)
            }),
    );
    found.unwrap().unwrap()
}

#[test]
fn one_statement_tells_of_tokens_of_many_tenants_each_its_own() {
    let fixture = Fixture::new();
    let (acme, other) = (fixture.tenant("Acme"), fixture.tenant("Other"));
    let mine = fixture.client(&acme, "Mine");
    let theirs = fixture.client(&other, "Theirs");
    give(
        &fixture,
        &acme,
        mine,
        Holder::Client(mine),
        BuiltInRole::Admin,
    );
    give(
        &fixture,
        &acme,
        mine,
        Holder::Client(mine),
        BuiltInRole::Support,
    );
    give(
        &fixture,
        &other,
        theirs,
        Holder::Client(theirs),
        BuiltInRole::Support,
    );
    let keys = [
        token(&fixture, acme.id, mine),
        token(&fixture, acme.id, mine),
        token(&fixture, other.id, theirs),
    ];

    let found = find(&fixture, &keys);
    assert_eq!(found.len(), 3);
    for key in keys {
        let record = &found[&key];
        let home = if key.tenant == acme.id { &acme } else { &other };
        assert_eq!(record.recorded.token.id, key.id);
        assert!(record.recorded.hash.matches(&key.id.to_string()));
        assert_eq!(record.home.root, home.root_organization);
        assert!(!record.home.is_platform);
        assert_eq!(
            record.allowed_now,
            Scopes::parse("orders.api:read").unwrap()
        );
        let expected = if key.tenant == acme.id {
            vec![BuiltInRole::Admin, BuiltInRole::Support]
        } else {
            vec![BuiltInRole::Support]
        };
        let expected: Vec<_> = expected
            .into_iter()
            .map(|role| (RoleReference::BuiltIn(role), home.root_organization))
            .collect();
        assert_eq!(roles_of(record), expected);
    }
}

#[test]
fn it_tells_of_a_token_what_the_statements_one_by_one_tell() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let client = fixture.client(&tenant, "Client");
    let key = token(&fixture, tenant.id, client);
    let reason = Reason::parse("for a while").unwrap();
    change(&fixture, tenant.id, client, move |tx| {
        suspensions::pause_client(tx, tenant.id, client, Some(&reason))?;
        suspensions::cut_client_off(tx, tenant.id, client)
    });
    let by_operator = Reason::parse("unpaid").unwrap();
    fixture
        .change(Scope::Platform(Some(tenant.id)), move |tx| {
            suspensions::set_tenant_pause(tx, tenant.id, Some(now()), Some(&by_operator))?;
            suspensions::cut_tenant_off(tx, tenant.id)?;
            Ok(Change::made((), about_tenant(tenant.id)))
        })
        .unwrap();

    let (together, alone) = (record(&fixture, key), one_by_one(&fixture, key));
    assert_eq!(together.recorded.token, alone.token);
    assert_eq!(together.recorded.hash.as_bytes(), alone.hash.as_bytes());
    assert_eq!(together.recorded.epoch, EPOCH);
    assert_eq!(together.recorded.client_suspension, alone.client_suspension);
    assert!(alone.client_suspension.is_suspended() && alone.client_suspension.cut_below > 0);
    let read: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant.id), move |tx: &mut ReadTx<'_>| {
                tenants::find(tx, tenant.id)
            }),
    );
    let suspension = read.unwrap().unwrap().suspension;
    assert!(suspension.is_suspended() && suspension.cut_below > 0);
    assert_eq!(together.tenant_suspension, suspension);
}

#[test]
fn the_platform_is_told_apart() {
    let fixture = Fixture::new();
    let platform = NewTenant {
        is_platform: true,
        ..builders::tenant("Platform", now(), fixture.entropy.as_ref())
    };
    let made = platform.clone();
    fixture
        .change(Scope::Platform(Some(made.id)), move |tx| {
            tenants::insert(tx, &made)?;
            Ok(Change::made((), about_tenant(made.id)))
        })
        .unwrap();
    let client = fixture.client(&platform, "Operations");
    let record = record(&fixture, token(&fixture, platform.id, client));
    assert!(record.home.is_platform);
    assert_eq!(record.home.root, platform.root_organization);
    assert!(record.roles.is_empty());
}

#[test]
fn tenant_1_parts_of_different_keys_make_no_key() {
    let fixture = Fixture::new();
    let (acme, other) = (fixture.tenant("Acme"), fixture.tenant("Other"));
    let (mine, second) = (
        fixture.client(&acme, "Mine"),
        fixture.client(&acme, "Second"),
    );
    let theirs = fixture.client(&other, "Theirs");
    let mine = token(&fixture, acme.id, mine);
    let theirs = token(&fixture, other.id, theirs);
    let unknown: TokenId = fixture.id();
    let found = find(
        &fixture,
        &[
            TokenKey {
                tenant: other.id,
                ..mine
            },
            TokenKey {
                client: second,
                ..mine
            },
            TokenKey {
                client: theirs.client,
                ..mine
            },
            TokenKey {
                id: theirs.id,
                ..mine
            },
            TokenKey {
                id: unknown,
                ..mine
            },
            // Older than any partition, and newer.
            TokenKey {
                id: TokenId::from_uuid(uuid::Uuid::nil()),
                ..mine
            },
            TokenKey {
                id: TokenId::from_uuid(uuid::Uuid::max()),
                ..mine
            },
            mine,
        ],
    );
    assert_eq!(found.into_keys().collect::<Vec<_>>(), [mine]);
    assert!(find(&fixture, &[]).is_empty());
}

#[test]
fn client_7_of_a_deleted_client_the_mark_is_left_and_nothing_that_it_was_allowed() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let client = fixture.client(&tenant, "Client");
    give(
        &fixture,
        &tenant,
        client,
        Holder::Client(client),
        BuiltInRole::Admin,
    );
    let key = token(&fixture, tenant.id, client);
    assert_eq!(record(&fixture, key).roles.len(), 1);
    change(&fixture, tenant.id, client, move |tx| {
        clients::delete(tx, tenant.id, client)
    });
    let record = record(&fixture, key);
    assert!(record.recorded.client_suspension.deleted_at.is_some());
    assert!(record.allowed_now.is_empty());
    assert!(record.roles.is_empty());
}

#[test]
fn token_2_a_revoked_token_says_when() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let client = fixture.client(&tenant, "Client");
    let (key, other) = (
        token(&fixture, tenant.id, client),
        token(&fixture, tenant.id, client),
    );
    let revoked: Result<bool, StorageError> = wait_for(
        fixture
            .database
            .flow(move |tx| tokens::revoke(tx, key.tenant, key.client, key.id, now())),
    );
    assert!(revoked.unwrap());
    let found = find(&fixture, &[key, other]);
    let at = |key: &TokenKey| -> Option<DateTime<Utc>> { found[key].recorded.token.revoked_at };
    assert_eq!((at(&key), at(&other)), (Some(now()), None));
}

/// A member with a role of the tenant's own, a client that has a service role, and a token of the client for the
/// member.
fn for_a_member(fixture: &Fixture, tenant: &NewTenant) -> (MemberId, RoleId, ClientId, TokenKey) {
    let client = fixture.client(tenant, "Client");
    let (id, root) = (tenant.id, tenant.root_organization);
    let (member, role, assignment): (MemberId, RoleId, _) =
        (fixture.id(), fixture.id(), fixture.id());
    let new = NewMember {
        id: member,
        settings: MemberSettings {
            name: PersonName::parse("Member").unwrap(),
            email: EmailAddress::parse("member@example.com").unwrap(),
            organization: root,
        },
    };
    change(fixture, id, client, move |tx| {
        members::insert(tx, id, &new)?;
        roles::insert(
            tx,
            id,
            role,
            &auditor([Permission::AuditRead, Permission::ClientsRead]),
        )?;
        let own = Role::Own {
            id: role,
            permissions: BTreeSet::new(),
        };
        let held = HeldRole::new(own, root);
        role_assignments::insert(tx, id, assignment, Holder::Member(member), &held)
    });
    give(
        fixture,
        tenant,
        client,
        Holder::Client(client),
        BuiltInRole::Admin,
    );
    (
        member,
        role,
        client,
        token_for(fixture, id, client, Some(member)),
    )
}

fn auditor(permissions: [Permission; 2]) -> OwnRoleSettings {
    OwnRoleSettings {
        name: OwnRoleName::parse("Auditor").unwrap(),
        description: Description::parse("").unwrap(),
        permissions: permissions.into_iter().collect(),
    }
}

#[test]
fn role_4_who_acts_for_a_member_has_the_members_roles_as_they_are_now_and_none_of_the_clients() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let (_, role, client, key) = for_a_member(&fixture, &tenant);
    let permitted = || -> Vec<BTreeSet<Permission>> {
        let permissions = |held: HeldRole| match held.role {
            Role::Own { permissions, .. } => permissions,
            Role::BuiltIn(role) => panic!("{role:?} is the client's"),
        };
        record(&fixture, key)
            .roles
            .into_iter()
            .map(permissions)
            .collect()
    };
    assert_eq!(
        permitted(),
        [BTreeSet::from([
            Permission::AuditRead,
            Permission::ClientsRead
        ])]
    );
    let id = tenant.id;
    change(&fixture, id, client, move |tx| {
        let narrowed = auditor([Permission::AuditRead, Permission::AuditRead]);
        assert!(roles::update(tx, id, role, &narrowed)?);
        Ok(())
    });
    assert_eq!(permitted(), [BTreeSet::from([Permission::AuditRead])]);
    let own = record(&fixture, token(&fixture, id, client));
    assert_eq!(
        roles_of(&own),
        [(
            RoleReference::BuiltIn(BuiltInRole::Admin),
            tenant.root_organization
        )]
    );
}

#[test]
fn pause_1_a_members_suspension_comes_with_the_token_also_when_the_member_is_gone() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let (member, _, client, key) = for_a_member(&fixture, &tenant);
    let id = tenant.id;
    let suspended = || {
        let found = record(&fixture, key).recorded.member_suspension;
        assert_eq!(found, one_by_one(&fixture, key).member_suspension);
        found.is_suspended()
    };
    assert!(!suspended());
    for since in [Some(now()), None] {
        change(&fixture, id, client, move |tx| {
            suspensions::set_member_pause(tx, id, member, since, None)
        });
        assert_eq!(suspended(), since.is_some());
    }
    change(&fixture, id, client, move |tx| {
        assert!(members::delete(tx, id, member)?);
        Ok(())
    });
    assert!(suspended());
    let own = record(&fixture, token(&fixture, id, client));
    assert!(!own.recorded.member_suspension.is_suspended());
}

#[test]
fn a_role_that_nobody_knows_is_told_as_such() {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let client = fixture.client(&tenant, "Client");
    give(
        &fixture,
        &tenant,
        client,
        Holder::Client(client),
        BuiltInRole::Admin,
    );
    let key = token(&fixture, tenant.id, client);
    fixture.superuser_runs("UPDATE role_assignments SET role = 'emperor'");
    let found: Result<_, StorageError> =
        wait_for(fixture.database.flow(move |tx| callers::find(tx, &[key])));
    match found {
        Err(StorageError::Corrupt { what, value }) => {
            assert_eq!(what, "role");
            assert!(value.starts_with("emperor: "), "{value}");
        }
        other => panic!("{other:?}"),
    }
}
