//! Families of refresh tokens on a real PostgreSQL: many at once, replays, and what ends with a family (`token_4`).

use std::sync::Barrier;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use grantor_domain::ids::{ClientId, MemberId, RefreshFamilyId, TenantId, TokenId};
use grantor_domain::refresh::{
    FamilyEnd, FamilyState, Generation, RefreshFamily, RefreshOutcome, RefreshRequest,
};
use grantor_domain::suspension::Position;
use grantor_keys::{RefreshPlace, RefreshToken};
use grantor_protocol::scope::Scopes;
use grantor_storage::{Change, Database, Scope, StorageError, refresh_families, suspensions};
use grantor_test_support::{TestDatabase, builders};

use crate::support::{EPOCH, Fixture, now, number, wait_for};

/// Begins a family of a client, for a member who is known by an id alone.
pub(crate) fn begin_family(fixture: &Fixture, tenant: TenantId, client: ClientId) -> RefreshFamily {
    let expires_at = now() + TimeDelta::days(30);
    let family = RefreshFamily {
        tenant,
        id: refresh_families::new_id(expires_at, fixture.entropy.as_ref()).unwrap(),
        client,
        member: fixture.id::<MemberId>(),
        scopes: Scopes::parse("orders.api:read orders.api:write").unwrap(),
        state: FamilyState::Live {
            current: Generation::FIRST,
            since: now(),
        },
        expires_at,
        idle: Some(TimeDelta::days(7)),
        position: Position {
            epoch: EPOCH,
            sequence: 1,
        },
    };
    let begun = family.clone();
    let stored: Result<(), StorageError> = wait_for(
        fixture
            .database
            .flow(move |tx| refresh_families::insert(tx, &begun, now())),
    );
    stored.unwrap();
    family
}

fn scene() -> (Fixture, RefreshFamily) {
    let fixture = Fixture::with(16, Duration::from_secs(20));
    let home = fixture.home.clone();
    let client = fixture.client(&home, "App");
    let family = begin_family(&fixture, home.id, client);
    (fixture, family)
}

/// Presents a generation; tells what came of it.
fn redeem(
    database: &Database,
    family: &RefreshFamily,
    presented: u32,
    at: DateTime<Utc>,
) -> RefreshOutcome {
    let (tenant, id) = (family.tenant, family.id);
    let request = RefreshRequest {
        client: family.client,
        presented: Generation::new(presented),
        scopes: None,
    };
    let redeemed: Result<_, StorageError> =
        wait_for(database.flow(move |tx| refresh_families::redeem(tx, tenant, id, &request, at)));
    redeemed.unwrap().unwrap().decision.outcome
}

fn stored(database: &Database, family: &RefreshFamily) -> RefreshFamily {
    let (tenant, id) = (family.tenant, family.id);
    let found: Result<_, StorageError> =
        wait_for(database.flow(move |tx| refresh_families::find(tx, tenant, id)));
    found.unwrap().unwrap()
}

/// The token that the client is given.
fn successor(family: &RefreshFamily, outcome: &RefreshOutcome) -> Option<String> {
    let generation = match outcome {
        RefreshOutcome::Rotate { from, .. } => from.next(),
        RefreshOutcome::Repeat { current, .. } => *current,
        RefreshOutcome::End | RefreshOutcome::Refuse => return None,
    };
    let place = RefreshPlace {
        tenant: family.tenant.uuid(),
        family: family.id.uuid(),
        generation: generation.number(),
    };
    let token = RefreshToken::derive(&TestDatabase::keyring(), place);
    Some(token.expose().to_owned())
}

/// An access token of the family that is good for an hour.
fn access_token(fixture: &Fixture, family: &RefreshFamily) -> TokenId {
    let id: TokenId = builders::id_at(now() + TimeDelta::hours(1), fixture.entropy.as_ref());
    fixture.superuser_runs(&format!(
        "INSERT INTO grantor.access_tokens (tenant_id, client_id, id, token_hash, member_id, family_id, scopes, audiences, \
           issued_at, epoch, decided_at) \
         VALUES ('{}', '{}', '{}', '', '{}', '{}', '{{}}', '{{}}', '2025-06-01', {EPOCH}, 1)",
        family.tenant.uuid(),
        family.client.uuid(),
        id.uuid(),
        family.member.uuid(),
        family.id.uuid(),
    ));
    id
}

fn revoked(fixture: &Fixture, token: TokenId) -> bool {
    let sql = format!(
        "SELECT count(*) FROM access_tokens WHERE id = '{}' AND revoked_at IS NOT NULL",
        token.uuid()
    );
    number(&mut fixture.test.superuser(), &sql) == 1
}

#[test]
fn a_family_comes_back_from_storage_as_it_was() {
    let (fixture, family) = scene();
    assert_eq!(stored(&fixture.database, &family), family);
}

#[test]
fn token_4_twelve_who_redeem_one_token_at_once_make_one_rotation_and_get_one_successor() {
    let (fixture, family) = scene();
    let at = now() + TimeDelta::seconds(60);
    let begin = Barrier::new(12);
    let outcomes: Vec<RefreshOutcome> = std::thread::scope(|threads| {
        let redeeming: Vec<_> = (0..12)
            .map(|_| {
                let (begin, fixture, family) = (&begin, &fixture, &family);
                threads.spawn(move || {
                    begin.wait();
                    redeem(&fixture.database, family, 1, at)
                })
            })
            .collect();
        redeeming
            .into_iter()
            .map(|redeeming| redeeming.join().unwrap())
            .collect()
    });
    let rotations = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, RefreshOutcome::Rotate { .. }));
    assert_eq!(rotations.count(), 1, "{outcomes:?}");
    let first = successor(&family, &outcomes[0]);
    assert!(first.is_some());
    for outcome in &outcomes {
        assert_eq!(successor(&family, outcome), first, "{outcome:?}");
    }
    let current = FamilyState::Live {
        current: Generation::new(2),
        since: at,
    };
    assert_eq!(stored(&fixture.database, &family).state, current);
}

#[test]
fn token_4_a_retry_gets_the_same_for_ten_seconds_and_ends_the_family_after() {
    for (later, ends) in [(0, false), (9, false), (10, true), (3_600, true)] {
        let (fixture, family) = scene();
        let first = redeem(&fixture.database, &family, 1, now());
        // By a server that was started anew, too: nothing of it was in memory.
        let anew = Fixture::reopened(&fixture.test, Duration::from_secs(20));
        let again = redeem(&anew, &family, 1, now() + TimeDelta::seconds(later));
        assert_eq!(again == RefreshOutcome::End, ends, "{later}");
        if !ends {
            assert_eq!(successor(&family, &again), successor(&family, &first));
        }
    }
}

#[test]
fn token_4_a_replay_ends_the_family_and_its_access_tokens_for_good_and_nothing_else() {
    let (fixture, family) = scene();
    let other = begin_family(&fixture, family.tenant, family.client);
    for (turn, presented) in [(0, 1), (1, 2), (2, 3)] {
        let at = now() + TimeDelta::seconds(turn);
        let outcome = redeem(&fixture.database, &family, presented, at);
        assert!(matches!(outcome, RefreshOutcome::Rotate { .. }));
    }
    let tokens = [(); 3].map(|()| access_token(&fixture, &family));
    let others = access_token(&fixture, &other);
    let at = now() + TimeDelta::seconds(3);
    assert_eq!(
        redeem(&fixture.database, &family, 2, at),
        RefreshOutcome::End
    );
    assert!(tokens.iter().all(|token| revoked(&fixture, *token)));
    assert!(!revoked(&fixture, others));
    let anew = Fixture::reopened(&fixture.test, Duration::from_secs(20));
    for database in [&fixture.database, &anew] {
        for presented in 0..6 {
            let outcome = redeem(database, &family, presented, at);
            assert_eq!(outcome, RefreshOutcome::Refuse, "{presented}");
        }
        let dead = FamilyState::Dead {
            at,
            why: FamilyEnd::Replayed,
        };
        assert_eq!(stored(database, &family).state, dead);
    }
    let outcome = redeem(&fixture.database, &other, 1, at);
    assert!(matches!(outcome, RefreshOutcome::Rotate { .. }));
}

#[test]
fn a_replay_and_a_rotation_at_once_leave_no_token_behind() {
    for _ in 0..10 {
        let (fixture, family) = scene();
        for presented in [1, 2] {
            redeem(&fixture.database, &family, presented, now());
        }
        let begin = Barrier::new(2);
        let at = now() + TimeDelta::seconds(1);
        std::thread::scope(|threads| {
            let (begin, fixture, family) = (&begin, &fixture, &family);
            threads.spawn(move || {
                begin.wait();
                assert_eq!(
                    redeem(&fixture.database, family, 1, at),
                    RefreshOutcome::End
                );
            });
            threads.spawn(move || {
                begin.wait();
                let outcome = redeem(&fixture.database, family, 3, at);
                assert_ne!(outcome, RefreshOutcome::End);
            });
        });
        let state = stored(&fixture.database, &family).state;
        assert!(matches!(state, FamilyState::Dead { .. }), "{state:?}");
        assert_eq!(
            redeem(&fixture.database, &family, 4, at),
            RefreshOutcome::Refuse
        );
    }
}

#[test]
fn pause_3_a_disabled_client_rotates_nothing_and_goes_on_once_enabled() {
    let (fixture, family) = scene();
    let (tenant, client) = (family.tenant, family.client);
    let change = |pause: bool| {
        fixture
            .change(Scope::Tenant(tenant), move |tx| {
                if pause {
                    suspensions::pause_client(tx, tenant, client, None)?;
                } else {
                    suspensions::resume_client(tx, tenant, client)?;
                }
                Ok(Change::made((), builders::client_event(tenant, client)))
            })
            .unwrap();
    };
    change(true);
    assert_eq!(
        redeem(&fixture.database, &family, 1, now()),
        RefreshOutcome::Refuse
    );
    assert_eq!(
        stored(&fixture.database, &family),
        family,
        "nothing is written"
    );
    change(false);
    let outcome = redeem(&fixture.database, &family, 1, now());
    assert!(matches!(outcome, RefreshOutcome::Rotate { .. }));
}

#[test]
fn what_began_before_a_restore_is_dead() {
    let (fixture, family) = scene();
    fixture.superuser_runs("UPDATE grantor.installation SET epoch = epoch + 1");
    assert_eq!(
        redeem(&fixture.database, &family, 1, now()),
        RefreshOutcome::Refuse
    );
}

#[test]
fn tenant_1_a_family_is_not_found_in_another_tenant() {
    let (fixture, family) = scene();
    let other = fixture.tenant("Other").id;
    let id: RefreshFamilyId = family.id;
    let found: Result<_, StorageError> = wait_for(
        fixture
            .database
            .flow(move |tx| refresh_families::find(tx, other, id)),
    );
    assert_eq!(found.unwrap(), None);
}
