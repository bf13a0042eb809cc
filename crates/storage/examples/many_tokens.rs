//! Whether what stops a client, lists its tokens and removes them takes longer when it has a million tokens: the same calls
//! on a client that has one and on one that has 1,000,000, in turns, so that what else the machine does concerns both alike.
//! What counts is the ratio. Beside the time it tells how much of the write-ahead log a call has written.
//!
//! `cargo run -p grantor-storage --example many_tokens`; it takes a minute or two.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement tells its numbers, and ends when something is wrong"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use grantor_domain::audit::{Action, Event, Target};
use grantor_domain::ids::{ClientId, MemberId, TenantId, TokenId};
use grantor_domain::tenant::{NewTenant, Tenant};
use grantor_storage::live_tokens::{self, Whose};
use grantor_storage::{
    Change, ChangeTx, Database, DatabaseOptions, ReadTx, Scope, StorageError, clients,
    installation, suspensions, tenants,
};
use grantor_test_support::{FixedClock, SeededEntropy, TestDatabase, builders};
use uuid::Uuid;

/// How many tokens the two have.
const TOKENS: [u32; 2] = [1, 1_000_000];
/// How often each call is made of which the times are told.
const CALLS: usize = 50;
/// How often each is made before.
const BEFORE: usize = 8;
const EPOCH: i64 = 42;
const PAGE: i64 = 51;

struct World {
    runtime: tokio::runtime::Runtime,
    database: Database,
    home: NewTenant,
    clients: [ClientId; 2],
    members: [MemberId; 2],
    // Last: it is dropped when nobody is connected.
    test: TestDatabase,
}

/// The id of a token, as [`World::fill`] gives it.
fn token(place: usize, number: u32) -> TokenId {
    let expiry = FixedClock::start() + chrono::TimeDelta::minutes(30);
    let millis = u128::try_from(expiry.timestamp_millis()).unwrap();
    let id = millis << 80 | 7 << 76 | 8 << 60 | u128::try_from(place).unwrap() << 32;
    TokenId::from_uuid(Uuid::from_u128(id | u128::from(number)))
}

impl World {
    fn new() -> Self {
        let test = TestDatabase::new();
        let entropy = Arc::new(SeededEntropy::new(9));
        let database = Database::new(DatabaseOptions {
            url: test.url(),
            pool_size: 1,
            deadline: Duration::from_secs(60),
            entropy: entropy.clone(),
        });
        let start = FixedClock::start();
        let id = || builders::id_at(start, entropy.as_ref());
        let world = Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            database,
            home: builders::tenant("Acme", start, entropy.as_ref()),
            clients: [id(), id()],
            members: [
                builders::id_at(start, entropy.as_ref()),
                builders::id_at(start, entropy.as_ref()),
            ],
            test,
        };
        let home = world.home.clone();
        let made: Result<(), StorageError> = world.runtime.block_on(world.database.change(
            Scope::Platform(Some(home.id)),
            builders::origin(),
            start,
            move |tx| {
                installation::insert(tx, EPOCH, b"check")?;
                tenants::insert(tx, &home)?;
                Ok(Change::made((), about(home.id)))
            },
        ));
        made.unwrap();
        for (place, many) in TOKENS.into_iter().enumerate() {
            let (client, home) = (world.clients[place], world.home.clone());
            world.change(false, move |tx| {
                let settings = builders::client("Machine", "orders.api:read");
                let new = builders::new_client(client, home.root_organization, &settings);
                clients::insert(tx, home.id, &new)
            });
            world.fill(place, many);
        }
        // As the database does by itself after so much was written.
        world.superuser_runs("VACUUM ANALYZE access_tokens");
        world
    }

    fn fill(&self, place: usize, many: u32) {
        let stem = token(place, 0).uuid().to_string();
        self.superuser_runs(&format!(
            "INSERT INTO access_tokens (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, epoch, \
               decided_at, ip, user_agent) \
             SELECT '{}', '{}', (left('{stem}', 28) || lpad(to_hex(n), 8, '0'))::uuid, decode(repeat('00', 32), 'hex'), '{}', \
               '{{orders.api:read}}', '{{https://orders.example}}', now(), {EPOCH}, 0, '203.0.113.7', 'export/1.4' \
             FROM generate_series(1, {many}) AS n",
            self.home.id.uuid(),
            self.clients[place].uuid(),
            self.members[place].uuid()
        ));
    }

    fn superuser_runs(&self, sql: &str) {
        self.test.superuser().batch_execute(sql).unwrap();
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut ReadTx<'_>, &Tenant) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        let id = self.home.id;
        let read = self
            .database
            .read(Scope::Tenant(id), move |tx: &mut ReadTx<'_>| {
                let home = tenants::find(tx, id)?.unwrap();
                work(tx, &home)
            });
        self.runtime.block_on(read).unwrap()
    }

    /// Changes something; with everything but the commit where it could not be done twice.
    fn change<T: Send + 'static>(
        &self,
        rehearsing: bool,
        work: impl FnOnce(&mut ChangeTx<'_>) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        let id = self.home.id;
        let database = self.database.rehearsing(rehearsing);
        let change = database.change(
            Scope::Tenant(id),
            builders::origin(),
            FixedClock::start(),
            move |tx| Ok::<_, StorageError>(Change::made(work(tx)?, about(id))),
        );
        self.runtime.block_on(change).unwrap()
    }

    /// How much has been written to the log so far, in bytes.
    fn written(connection: &mut PgConnection) -> i64 {
        #[derive(QueryableByName)]
        struct Place {
            #[diesel(sql_type = BigInt)]
            bytes: i64,
        }
        let place: Place =
            diesel::sql_query("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint AS bytes")
                .get_result(connection)
                .unwrap();
        place.bytes
    }
}

fn about(tenant: TenantId) -> Event {
    Event::new(tenant, Action::TenantUpdated, Target::Tenant(tenant))
}

fn main() {
    let world = World::new();
    println!(
        "{:<44} {:>13} {:>17} {:>17} {:>6} {:>6} {:>15}",
        "in milliseconds, one | a million", "found", "p50", "p99", "×p50", "×p99", "bytes of log"
    );
    let list = |whose: fn(&World, usize) -> Whose| {
        move |world: &World, place: usize, _turn: u32| {
            let whose = whose(world, place);
            world
                .read(move |tx, home| {
                    live_tokens::list(tx, home, whose, FixedClock::start(), None, PAGE)
                })
                .found
                .len()
        }
    };
    let count = |world: &World, place: usize, _turn: u32| {
        let client = world.clients[place];
        let counted = world.read(move |tx, home| {
            live_tokens::count_of(tx, home, client, None, FixedClock::start())
        });
        match counted.all {
            live_tokens::Count::Exactly(many)
            | live_tokens::Count::MoreThan(many)
            | live_tokens::Count::AtLeast(many) => usize::try_from(many).unwrap(),
        }
    };
    let of_client = list(|world, place| Whose::Client(world.clients[place]));
    let of_member = list(|world, place| Whose::Member(world.members[place]));
    measure(&world, "list a client's tokens, a page", of_client);
    measure(&world, "list a member's tokens, a page", of_member);
    measure(&world, "count a client's tokens", count);
    measure(
        &world,
        "remove one token (rehearsed)",
        |world, place, turn| {
            // Of one there is none left after the first time: it is rehearsed.
            let number = if place == 0 { 1 } else { turn + 1 };
            let (client, id) = (world.clients[place], world.home.id);
            world.change(true, move |tx| {
                let home = tenants::find(tx, id)?.unwrap();
                Ok(
                    live_tokens::remove(tx, &home, Whose::Client(client), &[token(place, number)])?
                        .len(),
                )
            })
        },
    );
    measure(&world, "disable a client", |world, place, _| {
        let (client, id) = (world.clients[place], world.home.id);
        world.change(false, move |tx| {
            suspensions::pause_client(tx, id, client, None)
        });
        1
    });
    measure(&world, "enable a client", |world, place, _| {
        let (client, id) = (world.clients[place], world.home.id);
        world.change(false, move |tx| suspensions::resume_client(tx, id, client));
        1
    });
    measure(&world, "delete a client (rehearsed)", |world, place, _| {
        let (client, id) = (world.clients[place], world.home.id);
        world.change(true, move |tx| clients::delete(tx, id, client));
        1
    });
    measure(
        &world,
        "remove all of a member (rehearsed)",
        |world, place, _| {
            let (member, id) = (world.members[place], world.home.id);
            world.change(true, move |tx| suspensions::cut_member_off(tx, id, member));
            1
        },
    );
    // From here on all are dead: they rest on what was before any change.
    measure(&world, "remove all of a client", |world, place, _| {
        let (client, id) = (world.clients[place], world.home.id);
        world.change(false, move |tx| suspensions::cut_client_off(tx, id, client));
        1
    });
    measure(&world, "list a client's tokens, all dead", of_client);
    measure(&world, "list a member's tokens, all dead", of_member);
    measure(&world, "count a client's tokens, all dead", count);
}

fn measure(world: &World, name: &str, call: impl Fn(&World, usize, u32) -> usize) {
    let mut log = world.test.superuser();
    let (mut times, mut bytes, mut found) =
        ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], [0, 0]);
    for turn in 0..BEFORE + CALLS {
        for place in [0, 1] {
            let before = World::written(&mut log);
            let begun = Instant::now();
            found[place] = call(world, place, u32::try_from(turn).unwrap());
            if turn >= BEFORE {
                times[place].push(begun.elapsed().as_secs_f64() * 1_000.0);
                bytes[place].push(World::written(&mut log) - before);
            }
        }
    }
    let [[few, few_slow], [many, many_slow]] = times.map(|mut times| {
        times.sort_unstable_by(f64::total_cmp);
        [times[times.len() / 2], times[times.len() * 99 / 100]]
    });
    let [few_bytes, many_bytes] = bytes.map(|mut bytes| {
        bytes.sort_unstable();
        bytes[bytes.len() / 2]
    });
    println!(
        "{name:<44} {:>6}|{:>6} {few:>8.2}|{many:>8.2} {few_slow:>8.2}|{many_slow:>8.2} {:>6.1} {:>6.1} {few_bytes:>7}|{many_bytes:>7}",
        found[0],
        found[1],
        many / few,
        many_slow / few_slow,
    );
}
