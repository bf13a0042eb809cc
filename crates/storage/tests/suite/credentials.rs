//! Passwords and the links by which they are set: single use, every way in which a link dies, and two tenants.

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::credential_link::{LinkKey, LinkPurpose};
use grantor_domain::ids::{CredentialLinkId, MemberId, TenantId};
use grantor_domain::member::{MemberSettings, NewMember};
use grantor_domain::tenant::NewTenant;
use grantor_domain::text::{EmailAddress, PersonName};
use grantor_keys::{PasswordVerifier, TokenHash};
use grantor_storage::credential_links::{self, LiveLink, NewLink};
use grantor_storage::{
    Change, ChangeTx, ReadTx, Scope, StorageError, authenticators, members, suspensions,
};
use grantor_test_support::builders;

use crate::support::{Fixture, now, wait_for};

/// Changes something about a member.
fn change(
    fixture: &Fixture,
    key: LinkKey,
    at: DateTime<Utc>,
    work: impl FnOnce(&mut ChangeTx<'_>) -> Result<bool, StorageError> + Send + 'static,
) -> bool {
    let result: Result<bool, StorageError> = wait_for(fixture.database.change(
        Scope::Tenant(key.tenant),
        builders::origin(),
        at,
        move |tx| {
            Ok(if work(tx)? {
                Change::made(true, event(key))
            } else {
                Change::Nothing(false)
            })
        },
    ));
    result.unwrap()
}

fn event(key: LinkKey) -> Event {
    Event::new(key.tenant, Action::PasswordSet, Target::Member(key.member))
}

fn member(fixture: &Fixture, tenant: &NewTenant, email: &str) -> MemberId {
    let made = NewMember {
        id: fixture.id(),
        settings: MemberSettings {
            name: PersonName::parse("Ada").unwrap(),
            email: EmailAddress::parse(email).unwrap(),
            organization: tenant.root_organization,
        },
    };
    let (tenant, id) = (tenant.id, made.id);
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            members::insert(tx, tenant, &made)?;
            let event = Event::new(tenant, Action::MemberCreated, Target::Member(id));
            Ok(Change::made((), event))
        })
        .unwrap();
    id
}

fn in_an_hour() -> DateTime<Utc> {
    now() + TimeDelta::hours(1)
}

/// A link of this member's that is good for an hour.
fn link(fixture: &Fixture, tenant: TenantId, member: MemberId, purpose: LinkPurpose) -> LinkKey {
    let id: CredentialLinkId =
        credential_links::new_id(in_an_hour(), fixture.entropy.as_ref()).unwrap();
    let key = LinkKey { tenant, member, id };
    let link = NewLink {
        key,
        purpose,
        hash: TokenHash::of("token"),
    };
    assert!(change(fixture, key, now(), move |tx| {
        credential_links::insert(tx, &link).map(|()| true)
    }));
    key
}

fn live(fixture: &Fixture, key: LinkKey, at: DateTime<Utc>) -> Option<LiveLink> {
    let found: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(key.tenant), move |tx: &mut ReadTx<'_>| {
                credential_links::find_live(tx, key, at)
            }),
    );
    found.unwrap()
}

fn redeem(fixture: &Fixture, key: LinkKey, at: DateTime<Utc>) -> bool {
    change(fixture, key, at, move |tx| {
        credential_links::redeem(tx, key)
    })
}

/// A tenant, a member of it, and a link of theirs.
fn one() -> (Fixture, LinkKey) {
    let (fixture, _, key) = one_of();
    (fixture, key)
}

/// The same with the tenant.
fn one_of() -> (Fixture, NewTenant, LinkKey) {
    let fixture = Fixture::new();
    let tenant = fixture.tenant("Acme");
    let ada = member(&fixture, &tenant, "Ada@example.com");
    let key = link(&fixture, tenant.id, ada, LinkPurpose::Invitation);
    (fixture, tenant, key)
}

fn is_dead(fixture: &Fixture, key: LinkKey) {
    assert!(live(fixture, key, now()).is_none());
    assert!(!redeem(fixture, key, now()));
}

#[test]
fn a_link_is_found_with_what_its_use_needs_and_works_once() {
    let (fixture, key) = one();
    let found = live(&fixture, key, now()).unwrap();
    assert_eq!(found.purpose, LinkPurpose::Invitation);
    assert_eq!(found.expires_at, in_an_hour());
    assert_eq!(found.member.settings.name.as_str(), "Ada");
    assert_eq!(found.member.id, key.member);
    assert!(found.hash.matches("token") && !found.hash.matches("other"));
    assert!(redeem(&fixture, key, now()));
    is_dead(&fixture, key);
}

#[test]
fn of_many_at_once_one_redeems_it() {
    let (fixture, key) = one();
    let before = fixture.number("SELECT count(*) FROM audit_events");
    let fixture = &fixture;
    let redeemed: usize = std::thread::scope(|scope| {
        let all: Vec<_> = (0..16)
            .map(|_| scope.spawn(move || redeem(fixture, key, now())))
            .collect();
        all.into_iter()
            .filter_map(|one| one.join().unwrap().then_some(()))
            .count()
    });
    assert_eq!(redeemed, 1);
    let after = fixture.number("SELECT count(*) FROM audit_events");
    assert_eq!(after, before + 1);
}

#[test]
fn a_link_ends_at_the_very_millisecond_of_its_expiry() {
    let (fixture, key) = one();
    let last = in_an_hour() - TimeDelta::microseconds(1);
    for over in [in_an_hour(), in_an_hour() + TimeDelta::microseconds(1)] {
        assert!(live(&fixture, key, over).is_none());
        assert!(!redeem(&fixture, key, over));
    }
    assert!(live(&fixture, key, last).is_some());
    assert!(redeem(&fixture, key, last));
}

#[test]
fn a_newer_link_ends_the_ones_before_whatever_they_are_for() {
    let (fixture, first) = one();
    let second = link(
        &fixture,
        first.tenant,
        first.member,
        LinkPurpose::PasswordReset,
    );
    is_dead(&fixture, first);
    let third = link(
        &fixture,
        first.tenant,
        first.member,
        LinkPurpose::Invitation,
    );
    is_dead(&fixture, second);
    assert!(redeem(&fixture, third, now()));
}

#[test]
fn another_members_link_goes_on() {
    let (fixture, tenant, first) = one_of();
    let grace = member(&fixture, &tenant, "grace@example.com");
    let other = link(&fixture, first.tenant, grace, LinkPurpose::Invitation);
    assert!(redeem(&fixture, first, now()));
    assert!(redeem(&fixture, other, now()));
}

#[test]
fn a_change_of_address_ends_a_link_and_changing_back_does_not_bring_back_what_was_revoked() {
    let (fixture, key) = one();
    let address = |address: &str| {
        fixture.superuser_runs(&format!(
            "UPDATE members SET email = '{address}', email_key = lower('{address}') WHERE id = '{}'",
            key.member.uuid()
        ));
    };
    address("other@example.com");
    is_dead(&fixture, key);
    // Whichever letters are capital, it is the same address.
    address("ADA@EXAMPLE.COM");
    assert!(live(&fixture, key, now()).is_some());
    assert!(change(&fixture, key, now(), move |tx| {
        credential_links::revoke_all(tx, key.tenant, key.member).map(|()| true)
    }));
    is_dead(&fixture, key);
}

#[test]
fn a_new_password_ends_every_link() {
    let (fixture, key) = one();
    set_password(&fixture, key, "p1$one");
    is_dead(&fixture, key);
}

#[test]
fn no_address_stays_with_a_link_that_has_ended() {
    let (fixture, first) = one();
    let second = link(
        &fixture,
        first.tenant,
        first.member,
        LinkPurpose::PasswordReset,
    );
    assert_eq!(
        fixture.number("SELECT count(*) FROM credential_links WHERE address = 'ada@example.com'"),
        1
    );
    assert!(redeem(&fixture, second, now()));
    assert_eq!(
        fixture.number("SELECT count(*) FROM credential_links WHERE address <> ''"),
        0
    );
}

#[test]
fn a_link_is_of_its_epoch_and_none_comes_back_with_a_backup() {
    let (fixture, tenant, key) = one_of();
    assert!(live(&fixture, key, now()).is_some());
    fixture.superuser_runs("UPDATE grantor.installation SET epoch = epoch + 1");
    is_dead(&fixture, key);
    let new = link(&fixture, tenant.id, key.member, LinkPurpose::PasswordReset);
    assert!(redeem(&fixture, new, now()));
}

#[test]
fn tenant_2_a_link_sleeps_while_its_tenant_is_suspended() {
    let (fixture, key) = one();
    let pause = |since| {
        fixture
            .change(Scope::Platform(Some(key.tenant)), move |tx| {
                suspensions::set_tenant_pause(tx, key.tenant, since, None)?;
                let target = Target::Tenant(key.tenant);
                let event = Event::new(key.tenant, Action::TenantSuspended, target);
                Ok(Change::made((), event))
            })
            .unwrap();
    };
    pause(Some(now()));
    is_dead(&fixture, key);
    pause(None);
    assert!(redeem(&fixture, key, now()));
}

#[test]
fn pause_2_a_link_sleeps_while_its_member_is_disabled_and_dies_with_the_member() {
    let (fixture, key) = one();
    let subject = key.member.uuid();
    for column in ["paused_by_tenant_at", "paused_by_operator_at", "deleted_at"] {
        fixture.superuser_runs(&format!(
            "INSERT INTO suspensions (tenant_id, subject_id, {column}) VALUES ('{}', '{subject}', now())",
            key.tenant.uuid()
        ));
        is_dead(&fixture, key);
        fixture.superuser_runs(&format!(
            "DELETE FROM suspensions WHERE subject_id = '{subject}'"
        ));
        assert!(live(&fixture, key, now()).is_some());
    }
    fixture.superuser_runs(&format!("DELETE FROM members WHERE id = '{subject}'"));
    is_dead(&fixture, key);
}

#[test]
fn tenant_1_a_link_is_good_under_its_own_ids_alone() {
    let (fixture, tenant, key) = one_of();
    let other = fixture.tenant("Other").id;
    let grace = member(&fixture, &tenant, "grace@example.com");
    let id = link(&fixture, key.tenant, grace, LinkPurpose::Invitation).id;
    for strange in [
        LinkKey {
            tenant: other,
            ..key
        },
        LinkKey {
            member: grace,
            ..key
        },
        LinkKey { id, ..key },
        LinkKey {
            member: fixture.id(),
            ..key
        },
    ] {
        is_dead(&fixture, strange);
    }
    assert!(redeem(&fixture, key, now()));
}

fn set_password(fixture: &Fixture, key: LinkKey, verifier: &'static str) {
    assert!(change(fixture, key, now(), move |tx| {
        let verifier = PasswordVerifier::from_stored(verifier.to_owned());
        authenticators::set_password(tx, key.tenant, key.member, &verifier).map(|()| true)
    }));
}

fn password(fixture: &Fixture, key: LinkKey) -> Option<String> {
    let found: Result<_, StorageError> = wait_for(fixture.database.read(
        Scope::Tenant(key.tenant),
        move |tx: &mut ReadTx<'_>| {
            let found = authenticators::password_of(tx, key.tenant, key.member)?;
            let has = authenticators::has_password(tx, key.tenant, key.member)?;
            assert_eq!(found.is_some(), has);
            Ok(found.map(|verifier| verifier.as_str().to_owned()))
        },
    ));
    found.unwrap()
}

fn cut_below(fixture: &Fixture, key: LinkKey) -> i64 {
    fixture.number(&format!(
        "SELECT coalesce(max(cut_below), 0) FROM suspensions WHERE subject_id = '{}'",
        key.member.uuid()
    ))
}

#[test]
fn a_password_is_the_members_own_and_raises_their_revision() {
    let (fixture, tenant, key) = one_of();
    let other = LinkKey {
        tenant: fixture.tenant("Other").id,
        ..key
    };
    let grace = LinkKey {
        member: member(&fixture, &tenant, "grace@example.com"),
        ..key
    };
    let revision = || {
        fixture.number(&format!(
            "SELECT revision FROM members WHERE id = '{}'",
            key.member.uuid()
        ))
    };
    let before = revision();
    assert_eq!(password(&fixture, key), None);
    set_password(&fixture, key, "p1$one");
    assert_eq!(password(&fixture, key).as_deref(), Some("p1$one"));
    assert_eq!(revision(), before + 1);
    assert_eq!(password(&fixture, grace), None);
    assert_eq!(password(&fixture, other), None);
    fixture.superuser_runs(&format!(
        "DELETE FROM members WHERE id = '{}'",
        key.member.uuid()
    ));
    assert_eq!(password(&fixture, key), None);
}

#[test]
fn a_second_password_cuts_off_what_was_issued_before_and_a_first_does_not() {
    let (fixture, key) = one();
    set_password(&fixture, key, "p1$one");
    assert_eq!(cut_below(&fixture, key), 0);
    set_password(&fixture, key, "p1$two");
    assert_eq!(password(&fixture, key).as_deref(), Some("p1$two"));
    let head = fixture.number("SELECT max(sequence) FROM changes");
    assert_eq!(cut_below(&fixture, key), head);
}
