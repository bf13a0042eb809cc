//! The change feed: its order is the order of commits, and each change raises what it touches by one.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_domain::client_secret::ClientSecret;
use grantor_domain::ids::{ClientId, TenantId};
use grantor_keys::Verifier;
use grantor_storage::client_secrets::{self, NewSecret, SecretVerifier};
use grantor_storage::clients;
use grantor_storage::{Change, FlowTx, ReadTx, Scope, StorageError, feed_since, suspensions};
use grantor_test_support::builders;

use crate::support::{Fixture, numbers, wait_for};

#[derive(QueryableByName)]
struct Sequence {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
}

/// Polls as a follower does, each poll a transaction of its own, until told that nothing comes any more.
fn follow(connection: &mut PgConnection, ended: &AtomicBool) -> Vec<i64> {
    let mut seen: Vec<i64> = Vec::new();
    loop {
        // Looked at before the poll: what was committed by then is in the poll.
        let last = ended.load(Ordering::SeqCst);
        let rows: Vec<Sequence> =
            diesel::sql_query("SELECT sequence FROM changes WHERE sequence > $1 ORDER BY sequence")
                .bind::<BigInt, _>(seen.last().copied().unwrap_or(0))
                .load(connection)
                .unwrap();
        seen.extend(rows.into_iter().map(|row| row.sequence));
        if last {
            return seen;
        }
    }
}

fn revision(fixture: &Fixture, client: ClientId) -> i64 {
    fixture.number(&format!(
        "SELECT revision FROM clients WHERE id = '{}'",
        client.uuid()
    ))
}

fn feed_length(fixture: &Fixture) -> i64 {
    fixture.number("SELECT count(*) FROM changes")
}

#[test]
fn a_follower_that_polls_misses_nothing_whoever_commits_when() {
    const THREADS: usize = 16;
    const CHANGES: usize = 20;
    let fixture = Fixture::with(16, std::time::Duration::from_secs(30));
    let tenants = [fixture.tenant("One"), fixture.tenant("Two")];
    let clients: Vec<(TenantId, ClientId)> = (0..THREADS)
        .map(|number| {
            let tenant = &tenants[number % 2];
            (tenant.id, fixture.client(tenant, "Client"))
        })
        .collect();
    let ended = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let follower = scope.spawn(|| follow(&mut fixture.test.superuser(), &ended));
        let fixture = &fixture;
        let writers: Vec<_> = clients
            .iter()
            .copied()
            .map(|(tenant, client)| {
                scope.spawn(move || {
                    for number in 0..CHANGES {
                        let aborts = number % 4 == 3;
                        let changed = fixture.change(Scope::Tenant(tenant), move |tx| {
                            suspensions::pause_client(tx, tenant, client, None)?;
                            if aborts {
                                return Err(StorageError::Unavailable("as the test wants".into()));
                            }
                            Ok(Change::made((), builders::client_event(tenant, client)))
                        });
                        assert_eq!(changed.is_err(), aborts, "{changed:?}");
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        ended.store(true, Ordering::SeqCst);
        follower.join().unwrap()
    });
    assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "{seen:?}");
    let all = numbers(
        &mut fixture.test.superuser(),
        "SELECT sequence FROM changes ORDER BY 1",
    );
    assert_eq!(seen, all, "what came late was missed");
    // The installation, two tenants, their clients, and what did not abort.
    assert_eq!(all.len(), 3 + THREADS + THREADS * CHANGES * 3 / 4);
    for (_, client) in clients {
        assert_eq!(revision(&fixture, client), 1 + 15);
    }
}

#[test]
fn a_change_that_touches_nothing_appends_nothing_and_waits_for_nobody() {
    let fixture = Fixture::new();
    let tenant = fixture.home.clone();
    let before = feed_length(&fixture);
    // Another change is just committing: it holds the feed's lock.
    let mut committing = fixture.test.superuser();
    diesel::sql_query("SELECT pg_advisory_lock(7105013120164716)")
        .execute(&mut committing)
        .unwrap();
    let events = fixture.number("SELECT count(*) FROM audit_events");
    let id = fixture.id();
    fixture
        .change(Scope::Tenant(tenant.id), move |_tx| {
            Ok(Change::made((), builders::client_event(tenant.id, id)))
        })
        .unwrap();
    assert_eq!(
        fixture.number("SELECT count(*) FROM audit_events"),
        events + 1
    );
    assert_eq!(feed_length(&fixture), before);
}

#[test]
fn a_cut_is_at_the_number_of_the_very_change() {
    let fixture = Fixture::new();
    let tenant = fixture.home.id;
    let client = fixture.client(&fixture.home, "Client");
    let other = fixture.client(&fixture.home, "Other");
    let mut cuts = Vec::new();
    for round in 0..3 {
        fixture
            .change(Scope::Tenant(tenant), move |tx| {
                suspensions::cut_client_off(tx, tenant, client)?;
                Ok(Change::made((), builders::client_event(tenant, client)))
            })
            .unwrap();
        let cut = fixture.number(&format!(
            "SELECT cut_below FROM suspensions WHERE subject_id = '{}'",
            client.uuid()
        ));
        assert_eq!(
            cut,
            fixture.number("SELECT max(sequence) FROM changes"),
            "{round}"
        );
        let position: Result<_, StorageError> = wait_for(
            fixture
                .database
                .flow(|tx: &mut FlowTx<'_>| feed_since::position(tx)),
        );
        // What is decided from now on lives.
        assert_eq!(position.unwrap().sequence, cut);
        cuts.push(cut);
    }
    assert!(cuts.windows(2).all(|pair| pair[0] < pair[1]));
    let others = format!(
        "SELECT count(*) FROM suspensions WHERE subject_id = '{}'",
        other.uuid()
    );
    assert_eq!(fixture.number(&others), 0, "nobody else is cut off");
}

#[test]
fn a_change_raises_a_revision_by_one_whatever_it_writes() {
    let fixture = Fixture::new();
    let tenant = fixture.home.id;
    let client = fixture.client(&fixture.home, "Client");
    let other = fixture.client(&fixture.home, "Other");
    assert_eq!(revision(&fixture, client), 1);
    let secrets: Vec<NewSecret> = (0..2)
        .map(|_| NewSecret {
            id: fixture.id(),
            hint: "gsec_".to_owned(),
            verifier: SecretVerifier::Keyed(Verifier::from_stored("h1.key.hash".to_owned())),
            expires_at: None,
        })
        .collect();
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            client_secrets::revoke_all(tx, tenant, client)?;
            for secret in &secrets {
                client_secrets::insert(tx, tenant, client, secret)?;
            }
            suspensions::pause_client(tx, tenant, client, None)?;
            suspensions::cut_client_off(tx, tenant, client)?;
            suspensions::resume_client(tx, tenant, client)?;
            Ok(Change::made((), builders::client_event(tenant, client)))
        })
        .unwrap();
    assert_eq!(
        (revision(&fixture, client), revision(&fixture, other)),
        (2, 1)
    );
    let stored: Result<Vec<ClientSecret>, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                client_secrets::list(tx, tenant, client, None, 10)
            }),
    );
    assert_eq!(stored.unwrap().len(), 2);
    // The last writing change of a client names it on the feed, once.
    let named = fixture.number(&format!(
        "SELECT count(*) FROM changes WHERE '{}' = ANY (touched) AND cardinality(touched) = 1",
        client.uuid()
    ));
    assert_eq!(named, 2);
}

#[test]
fn of_changes_to_one_client_at_once_each_counts() {
    let fixture = Fixture::with(8, std::time::Duration::from_secs(30));
    let tenant = fixture.home.id;
    let client = fixture.client(&fixture.home, "Client");
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    fixture
                        .change(Scope::Tenant(tenant), move |tx| {
                            assert!(clients::find_for_change(tx, tenant, client)?.is_some());
                            suspensions::pause_client(tx, tenant, client, None)?;
                            Ok(Change::made((), builders::client_event(tenant, client)))
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(revision(&fixture, client), 41);
}
