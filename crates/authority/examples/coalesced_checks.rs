//! How many callers are checked in a second when 64 ask at once: by coalesced reads, by the same statement for
//! one caller at a time, and by a transaction with a statement for each thing that is looked at.
//!
//! Two threads ask, as two workers of a server would, 32 tasks on each. The three take turns within one run,
//! so that what else the machine does concerns them alike: what counts is the ratio.
//! `cargo run -p grantor-authority --example coalesced_checks`; it takes half a minute.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement tells its numbers, and ends when something is wrong"
)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use grantor_authority::{Authority, CallerCheck};
use grantor_domain::ids::{ClientId, TokenId};
use grantor_domain::role::BuiltInRole;
use grantor_keys::peek_claims;
use grantor_storage::callers::{self, TokenKey};
use grantor_storage::role_assignments::Holder;
use grantor_storage::{ReadTx, Scope, StorageError, clients, role_assignments, tenants, tokens};
use tokio::task::JoinSet;

#[path = "../tests/suite/site.rs"]
mod site;

use site::{Machine, Site, now, runtime};

const THREADS: usize = 2;
const CALLERS: usize = 64;
const CLIENTS: usize = 64;
const TURN: Duration = Duration::from_millis(1_500);
const TURNS: u32 = 3;

#[derive(Clone, Copy)]
enum Way {
    Coalesced,
    OneByOne,
    ManyStatements,
}

/// A token, and where its record is.
#[derive(Clone)]
struct Held {
    token: String,
    key: TokenKey,
}

fn main() {
    let site = Site::new(8);
    let held: Vec<Held> = (0..CLIENTS)
        .map(|number| {
            hold(
                &site,
                &site.machine(&format!("Machine {number}"), BuiltInRole::Admin),
            )
        })
        .collect();
    // As the database does by itself once there are rows.
    site.test.superuser().batch_execute("ANALYZE").unwrap();
    let ways = [Way::Coalesced, Way::OneByOne, Way::ManyStatements];
    let mut totals = [0_usize; 3];
    // The first turn warms up connections, plans and caches, and doesn't count.
    for turn in 0..=TURNS {
        for (way, total) in ways.iter().zip(&mut totals) {
            let checked = checks(&site, &held, *way);
            if turn > 0 {
                *total += checked;
            }
        }
    }
    let [coalesced, one_by_one, many] =
        totals.map(|total| f64::from(u32::try_from(total).unwrap()) / (TURN * TURNS).as_secs_f64());
    println!("{CALLERS} callers at once, checks in a second:");
    println!("  coalesced                       {coalesced:>8.0}");
    println!(
        "  the same statement, one by one  {one_by_one:>8.0}   1 : {:.1}",
        coalesced / one_by_one
    );
    println!(
        "  a statement for each thing      {many:>8.0}   1 : {:.1}",
        coalesced / many
    );
}

fn hold(site: &Site, machine: &Machine) -> Held {
    let token = site.token(machine);
    let id: TokenId = peek_claims(&token).unwrap()["jti"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let key = TokenKey {
        tenant: site.tenant.id,
        client: machine.id,
        id,
    };
    Held { token, key }
}

/// How many checks are made in one turn.
fn checks(site: &Site, held: &[Held], way: Way) -> usize {
    let count = AtomicUsize::new(0);
    let until = Instant::now() + TURN;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let count = &count;
            scope.spawn(move || {
                let tasks = (0..CALLERS / THREADS).map(|task| {
                    let held = held[(thread + task * THREADS) % held.len()].clone();
                    let authority = site.authority.clone();
                    async move {
                        let mut checked = 0;
                        while Instant::now() < until {
                            check(&authority, &held, way).await;
                            checked += 1;
                        }
                        checked
                    }
                });
                let checked = runtime()
                    .block_on(async { tasks.collect::<JoinSet<usize>>().join_all().await });
                count.fetch_add(checked.iter().sum(), Ordering::SeqCst);
            });
        }
    });
    count.into_inner()
}

async fn check(authority: &Authority, held: &Held, way: Way) {
    let Held { token, key } = held.clone();
    match way {
        Way::Coalesced => match authority.check_caller(token, None, now()).await {
            Ok(CallerCheck::Good(_)) => {}
            other => panic!("{other:?}"),
        },
        Way::OneByOne => {
            let found: Result<_, StorageError> = authority
                .database()
                .flow(move |tx| callers::find(tx, &[key]))
                .await;
            assert!(found.unwrap()[&key].recorded.hash.matches(&token));
        }
        Way::ManyStatements => {
            let found: Result<_, StorageError> = authority
                .database()
                .read(Scope::Tenant(key.tenant), move |tx: &mut ReadTx<'_>| {
                    let tenant = tenants::find(tx, key.tenant)?;
                    let recorded = tokens::find(tx, key.tenant, key.client, key.id)?;
                    let client = clients::find(tx, key.tenant, key.client)?;
                    let roles =
                        role_assignments::roles_of(tx, key.tenant, Holder::Client(key.client))?;
                    Ok((tenant, recorded, client, roles))
                })
                .await;
            let (tenant, recorded, client, roles) = found.unwrap();
            let id: ClientId = client.unwrap().id;
            assert!(tenant.is_some() && id == key.client && !roles.is_empty());
            assert!(recorded.unwrap().hash.matches(&token));
        }
    }
}
