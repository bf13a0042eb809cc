//! Many tokens by one statement: which of them go on record, by what has changed since they were decided upon.

use std::sync::Arc;

use chrono::TimeDelta;
use grantor_domain::ids::{ClientId, TenantId, TokenId};
use grantor_domain::suspension::Position;
use grantor_domain::tenant::NewTenant;
use grantor_domain::token::AccessToken;
use grantor_keys::TokenHash;
use grantor_protocol::scope::Scopes;
use grantor_storage::feed_since::{self, MOST_LATER, Since};
use grantor_storage::token_writing::{self, ProposedToken, Written};
use grantor_storage::user_agents::UserAgent;
use grantor_storage::{Change, FlowTx, Scope, StorageError, suspensions};
use grantor_test_support::builders;

use crate::support::{EPOCH, Fixture, about_tenant, now, wait_for};

pub(crate) const PROGRAM: &str = "program/1 {\"a\", b}";

pub(crate) fn proposed(
    fixture: &Fixture,
    tenant: TenantId,
    client: ClientId,
    position: Position,
) -> ProposedToken {
    let expires_at = now() + TimeDelta::hours(1);
    let id: TokenId = builders::id_at(expires_at, fixture.entropy.as_ref());
    ProposedToken {
        hash: TokenHash::of(&id.to_string()),
        token: AccessToken {
            tenant,
            client,
            id,
            member: None,
            scopes: Scopes::parse("orders.api:read orders.api:write").unwrap(),
            audiences: vec!["https://a.example/x".into(), "urn:b".into()],
            issued_at: now(),
            expires_at,
            revoked_at: None,
            position,
            ip: Some("2001:db8::1".parse().unwrap()),
        },
        user_agent: Some(UserAgent::of(tenant, id, PROGRAM.to_owned())),
    }
}

fn try_write(fixture: &Fixture, proposed: &[ProposedToken]) -> Result<Written, StorageError> {
    let proposed: Vec<Arc<ProposedToken>> = proposed.iter().cloned().map(Arc::new).collect();
    wait_for(
        fixture
            .database
            .flow(move |tx: &mut FlowTx<'_>| token_writing::write(tx, &proposed)),
    )
}

/// Which of the proposed are on record.
fn write(fixture: &Fixture, proposed: &[ProposedToken]) -> Vec<bool> {
    let written = try_write(fixture, proposed).unwrap();
    let on_record = fixture.number("SELECT count(*) FROM access_tokens");
    let told: Vec<bool> = proposed
        .iter()
        .map(|proposed| written.ids.contains(&proposed.token.id))
        .collect();
    let there = told.iter().filter(|told| **told).count();
    assert!(on_record >= i64::try_from(there).unwrap());
    told
}

pub(crate) fn position(fixture: &Fixture) -> Position {
    wait_for(
        fixture
            .database
            .flow(|tx: &mut FlowTx<'_>| feed_since::position(tx)),
    )
    .unwrap()
}

fn touch(fixture: &Fixture, tenant: TenantId, client: ClientId) {
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            suspensions::cut_client_off(tx, tenant, client)?;
            Ok(Change::made((), builders::client_event(tenant, client)))
        })
        .unwrap();
}

fn touch_shared(fixture: &Fixture, tenant: &NewTenant) {
    let id = tenant.id;
    fixture
        .change(Scope::Platform(Some(id)), move |tx| {
            suspensions::cut_tenant_off(tx, id)?;
            Ok(Change::made((), about_tenant(id)))
        })
        .unwrap();
}

#[test]
fn token_1_what_is_written_stands_on_record_as_it_was_decided() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let client = fixture.client(&acme, "Mine");
    let proposed = proposed(&fixture, acme.id, client, position(&fixture));
    assert_eq!(write(&fixture, std::slice::from_ref(&proposed)), [true]);
    let (tenant, id) = (acme.id, proposed.token.id);
    let found = wait_for(fixture.database.read(Scope::Tenant(tenant), move |tx| {
        grantor_storage::tokens::find(tx, tenant, client, id)
    }));
    let found: Result<_, StorageError> = found;
    let found = found.unwrap().unwrap();
    assert_eq!(found.token, proposed.token);
    assert!(found.hash.matches(&id.to_string()));
}

#[test]
fn exactness_c_a_change_keeps_back_what_rests_on_it_and_nothing_else() {
    let fixture = Fixture::new();
    let (acme, other) = (fixture.tenant("Acme"), fixture.tenant("Other"));
    let (one, two) = (fixture.client(&acme, "One"), fixture.client(&acme, "Two"));
    let theirs = fixture.client(&other, "Theirs");
    let before = position(&fixture);
    let all = |position| {
        [(acme.id, one), (acme.id, two), (other.id, theirs)]
            .map(|(tenant, client)| proposed(&fixture, tenant, client, position))
    };
    touch(&fixture, acme.id, one);
    assert_eq!(write(&fixture, &all(before)), [false, true, true]);
    // What all clients of the tenant share.
    let between = position(&fixture);
    touch_shared(&fixture, &acme);
    assert_eq!(write(&fixture, &all(between)), [false, false, true]);
    // What all tenants rest on.
    let between = position(&fixture);
    touch_shared(&fixture, &fixture.home);
    assert_eq!(
        fixture.number("SELECT count(*) FROM tenants WHERE is_platform"),
        0,
        "the fixture's first tenant is none of operators"
    );
    assert_eq!(write(&fixture, &all(between)), [true, true, true]);
    fixture.superuser_runs(&format!(
        "UPDATE tenants SET is_platform = true WHERE id = '{}'",
        fixture.home.id.uuid()
    ));
    assert_eq!(write(&fixture, &all(between)), [false, false, false]);
    assert_eq!(write(&fixture, &all(position(&fixture))), [true; 3]);
}

#[test]
fn exactness_a_each_token_is_held_against_its_own_position() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let client = fixture.client(&acme, "Mine");
    let before = position(&fixture);
    touch(&fixture, acme.id, client);
    let after = position(&fixture);
    let batch = [before, after, before].map(|at| proposed(&fixture, acme.id, client, at));
    let written = try_write(&fixture, &batch).unwrap();
    assert_eq!(written.ids, [batch[1].token.id].into());
    assert_eq!(written.after, before);
    let Since::Changes(changes) = written.since else {
        panic!("{:?}", written.since);
    };
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].sequence, after.sequence);
    assert_eq!((changes[0].tenant, changes[0].shared), (acme.id, false));
    assert_eq!(changes[0].touched, [client.uuid()]);
}

#[test]
fn exactness_c_a_change_that_does_not_tell_all_kinds_counts_as_shared() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let (one, two) = (fixture.client(&acme, "One"), fixture.client(&acme, "Two"));
    let before = position(&fixture);
    touch(&fixture, acme.id, one);
    let others = proposed(&fixture, acme.id, two, before);
    // As a server of an earlier release would have written it.
    fixture.superuser_runs(&format!(
        "UPDATE changes SET subjects = '{{}}' WHERE sequence > {}",
        before.sequence
    ));
    assert_eq!(write(&fixture, &[others]), [false]);
}

#[test]
fn exactness_d_nothing_is_written_from_a_place_that_the_feed_cannot_tell_of() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let client = fixture.client(&acme, "Mine");
    let good = position(&fixture);
    assert_eq!(good.epoch, EPOCH);
    let floor = fixture.number("SELECT floor FROM change_feed");
    let beyond = [
        // Of another life of the database.
        Position {
            epoch: EPOCH + 1,
            ..good
        },
        // Beyond its end: it was set back.
        Position {
            sequence: good.sequence + 1,
            ..good
        },
        // Before what is kept.
        Position {
            sequence: floor - 2,
            ..good
        },
    ];
    for at in beyond {
        let written = try_write(&fixture, &[proposed(&fixture, acme.id, client, at)]).unwrap();
        assert!(written.ids.is_empty(), "{at:?}");
        assert_eq!(written.since, Since::Unknown(good), "{at:?}");
    }
    // Just after what has left the feed all is known.
    let edge = Position {
        sequence: floor - 1,
        ..good
    };
    let written = try_write(&fixture, &[proposed(&fixture, acme.id, client, edge)]).unwrap();
    assert!(matches!(written.since, Since::Changes(_)));
}

#[test]
fn exactness_d_whoever_is_a_thousand_changes_behind_begins_anew() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let client = fixture.client(&acme, "Mine");
    let before = position(&fixture);
    let insert = |count: usize| {
        fixture.superuser_runs(&format!(
            "INSERT INTO changes (tenant_id, sequence, audit_event_id, action, target_kind, target_id, touched, subjects, at) \
             SELECT '{}', nextval('changes_sequence'), gen_random_uuid(), 'client.updated', 'client', 'cli_x', \
               ARRAY[gen_random_uuid()], '{{cli_x}}', '2025-06-01T12:00:00Z' FROM generate_series(1, {count})",
            acme.id.uuid()
        ));
    };
    insert(MOST_LATER);
    let again = || proposed(&fixture, acme.id, client, before);
    assert_eq!(
        write(&fixture, &[again()]),
        [true],
        "none of them is of this client"
    );
    insert(1);
    let written = try_write(&fixture, &[again()]).unwrap();
    assert!(written.ids.is_empty());
    assert_eq!(written.since, Since::Unknown(position(&fixture)));
}

#[test]
fn exactness_h_a_token_that_cannot_be_written_is_told_as_the_fault_of_one_row() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let client = fixture.client(&acme, "Mine");
    let good = proposed(&fixture, acme.id, client, position(&fixture));
    // No partition takes what expires in a hundred years.
    let mut far = good.clone();
    far.token.id = builders::id_at(now() + TimeDelta::days(36_500), fixture.entropy.as_ref());
    let error = try_write(&fixture, &[good.clone(), far.clone()]).unwrap_err();
    assert!(error.may_be_of_one_row(), "{error}");
    assert_eq!(fixture.number("SELECT count(*) FROM access_tokens"), 0);
    assert_eq!(write(&fixture, std::slice::from_ref(&good)), [true]);
    // The same id twice.
    let error = try_write(&fixture, &[good]).unwrap_err();
    assert!(error.may_be_of_one_row(), "{error}");
}
