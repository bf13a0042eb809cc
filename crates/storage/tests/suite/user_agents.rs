//! The programs that tokens were asked for by: told with each token, and on record once for many.

use std::collections::HashSet;
use std::sync::{Arc, Barrier};
use std::thread;

use chrono::TimeDelta;
use grantor_domain::ids::{ClientId, TenantId, TokenId};
use grantor_storage::live_tokens::{self, Whose};
use grantor_storage::token_writing::{self, ProposedToken};
use grantor_storage::user_agents::{self, UserAgent};
use grantor_storage::{Database, FlowTx, Scope, StorageError, tenants};
use grantor_test_support::builders;

use crate::support::{Fixture, now, wait_for};
use crate::token_writing::{PROGRAM, position, proposed};

fn put(database: &Database, names: Vec<UserAgent>) -> Result<(), StorageError> {
    wait_for(database.flow(move |tx: &mut FlowTx<'_>| user_agents::put(tx, &names)))
}

fn write(fixture: &Fixture, proposed: Vec<ProposedToken>) {
    let names = proposed
        .iter()
        .filter_map(|each| each.user_agent.clone())
        .collect();
    put(&fixture.database, names).unwrap();
    let proposed: Vec<_> = proposed.into_iter().map(Arc::new).collect();
    let written: Result<_, StorageError> = wait_for(
        fixture
            .database
            .flow(move |tx: &mut FlowTx<'_>| token_writing::write(tx, &proposed)),
    );
    written.unwrap();
}

/// By which program each token of a client was asked for.
fn told(fixture: &Fixture, tenant: TenantId, client: ClientId) -> Vec<(TokenId, Option<String>)> {
    let listed: Result<_, StorageError> =
        wait_for(fixture.database.read(Scope::Tenant(tenant), move |tx| {
            let home = tenants::find(tx, tenant)?.unwrap();
            live_tokens::list(tx, &home, Whose::Client(client), now(), None, 100)
        }));
    let all = listed.unwrap().found.into_iter();
    let mut told: Vec<_> = all
        .map(|(_, live)| (live.token.id, live.user_agent))
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn token_1_each_token_is_told_with_the_program_that_asked_for_it() {
    let fixture = Fixture::new();
    let (acme, other) = (fixture.tenant("Acme"), fixture.tenant("Other"));
    let client = fixture.client(&acme, "Mine");
    let theirs = fixture.client(&other, "Theirs");
    let position = position(&fixture);
    let one = |tenant, client, program: Option<&str>| {
        let mut one = proposed(&fixture, tenant, client, position);
        let named = |name: &str| UserAgent::of(tenant, one.token.id, name.to_owned());
        one.user_agent = program.map(named);
        one
    };
    let programs = [
        Some(PROGRAM),
        Some("curl/8"),
        None,
        Some(""),
        Some("curl/8"),
        Some("Überall/1"),
    ];
    let mine = programs.map(|program| one(acme.id, client, program));
    let mut wanted: Vec<_> = mine
        .iter()
        .zip(programs)
        .map(|(one, program)| (one.token.id, program.map(str::to_owned)))
        .collect();
    wanted.sort_unstable();
    write(&fixture, mine.into());
    write(&fixture, vec![one(other.id, theirs, Some("curl/8"))]);
    assert_eq!(told(&fixture, acme.id, client), wanted);
    assert_eq!(
        told(&fixture, other.id, theirs)[0].1.as_deref(),
        Some("curl/8")
    );
    // Once for each tenant: all of them expire on one day.
    assert_eq!(fixture.number("SELECT count(*) FROM user_agents"), 4 + 1);
}

#[test]
fn what_a_server_of_an_earlier_release_wrote_is_told() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let client = fixture.client(&acme, "Mine");
    let mut token = proposed(&fixture, acme.id, client, position(&fixture));
    token.user_agent = None;
    write(&fixture, vec![token]);
    fixture.superuser_runs("UPDATE access_tokens SET user_agent = 'old/1'");
    assert_eq!(
        told(&fixture, acme.id, client)[0].1.as_deref(),
        Some("old/1")
    );
}

#[test]
fn many_at_once_keep_the_same_names_and_none_waits_for_one_that_waits_for_it() {
    let fixture = Fixture::new();
    let acme = fixture.tenant("Acme");
    let (threads, rounds, names) = (8, 12, 40);
    let together = Barrier::new(threads);
    let round = |number: usize, first: usize| {
        let expiry = now() + TimeDelta::hours(1);
        let token: TokenId = builders::id_at(expiry, fixture.entropy.as_ref());
        let mut all: Vec<UserAgent> = (0..names)
            .map(|name| UserAgent::of(acme.id, token, format!("round {number} name {name}")))
            .collect();
        // Each comes with them in an order of its own.
        all.rotate_left(first * names / threads);
        all
    };
    thread::scope(|scope| {
        for first in 0..threads {
            let (round, together, database) = (&round, &together, &fixture.database);
            scope.spawn(move || {
                for number in 0..rounds {
                    let all = round(number, first);
                    together.wait();
                    put(database, all).unwrap();
                }
            });
        }
    });
    let wanted: HashSet<UserAgent> = (0..rounds).flat_map(|number| round(number, 0)).collect();
    assert_eq!(
        fixture.number("SELECT count(*) FROM user_agents"),
        i64::try_from(wanted.len()).unwrap()
    );
}
