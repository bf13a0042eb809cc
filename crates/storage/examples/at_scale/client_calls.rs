//! What else is done with clients: what a page shows of each, reads and changes of one, what is due.

use std::cell::Cell;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use grantor_domain::client::Client;
use grantor_domain::ids::ClientId;
use grantor_domain::ownership::DueWhy;
use grantor_domain::quota::Counted;
use grantor_domain::text::ClientName;
use grantor_storage::client_search::{self, ClientFilter, ClientOrder};
use grantor_storage::ownership::{Among, DueFilter};
use grantor_storage::{
    ReadTx, StorageError, clients, last_uses, live_tokens, ownership, quotas, tenants,
};
use grantor_test_support::{FixedClock, builders};

use crate::Measured;
use crate::clients::LONG_PAGE;
use crate::lists::PAGE;
use crate::world::{Filled, Size, World};

pub(crate) fn all() -> Vec<Measured> {
    let mut all = Vec::new();
    for (length, page) in [(50, PAGE), (200, LONG_PAGE)] {
        for (at, last) in [("first", false), ("last", true)] {
            all.extend(shown(length, page, at, last));
        }
    }
    all.extend(due());
    all.push(Measured::new(
        "clients of an owner of twenty",
        |world, size| {
            let tenant = *world.of_clients(size);
            let owner = tenant.member(3);
            world
                .read(tenant.id, move |tx| {
                    ownership::owned_clients(tx, tenant.id, owner, Among::All, PAGE)
                })
                .len()
        },
    ));
    all.push(Measured::new(
        "clients' secrets that a member knows",
        |world, size| {
            let tenant = *world.of_clients(size);
            let member = tenant.member(3);
            world
                .read(tenant.id, move |tx| {
                    ownership::known_secrets(tx, tenant.id, member, Among::All, now(), PAGE)
                })
                .len()
        },
    ));
    all.extend(of_one());
    all
}

fn now() -> DateTime<Utc> {
    FixedClock::start()
}

/// The numbers of the clients at one end.
fn end(tenant: &Filled, many: u32, last: bool) -> Vec<ClientId> {
    let from = if last { tenant.clients - many } else { 0 };
    (from + 1..=from + many)
        .map(|number| tenant.client(number))
        .collect()
}

/// What a page shows of each client, alone and with the page.
fn shown(length: u32, page: i64, at: &'static str, last: bool) -> Vec<Measured> {
    vec![
        Measured::new(
            format!("clients' last uses, {length}, {at}"),
            move |world, size| {
                let tenant = *world.of_clients(size);
                let ids = end(&tenant, length, last);
                world
                    .read(tenant.id, move |tx| uses(tx, &tenant, &ids))
                    .len()
            },
        ),
        Measured::new(
            format!("clients' live tokens, {length}, {at}"),
            move |world, size| {
                let tenant = *world.of_clients(size);
                let ids = end(&tenant, length, last);
                world
                    .read(tenant.id, move |tx| live(tx, &tenant, &ids))
                    .len()
            },
        ),
        Measured::new(
            format!("clients, a page as it is shown, {length}, {at}"),
            move |world, size| {
                let tenant = *world.of_clients(size);
                let all = ClientFilter::default();
                world.read(tenant.id, move |tx| {
                    let part = client_search::list(
                        tx,
                        tenant.id,
                        &all,
                        ClientOrder::Made,
                        last,
                        None,
                        page,
                    )?;
                    let found: Vec<Client> =
                        part.found.into_iter().map(|(_, client)| client).collect();
                    let ids: Vec<ClientId> = found.iter().map(|client| client.id).collect();
                    uses(tx, &tenant, &ids)?;
                    live(tx, &tenant, &ids)?;
                    Ok(found.len())
                })
            },
        ),
    ]
}

fn uses(
    tx: &mut ReadTx<'_>,
    tenant: &Filled,
    ids: &[ClientId],
) -> Result<HashMap<uuid::Uuid, DateTime<Utc>>, StorageError> {
    last_uses::of(tx, tenant.id, ids.iter().map(|id| id.uuid()))
}

fn live(
    tx: &mut ReadTx<'_>,
    tenant: &Filled,
    ids: &[ClientId],
) -> Result<HashMap<ClientId, live_tokens::LiveTokens>, StorageError> {
    let found = tenants::find(tx, tenant.id)?.unwrap();
    let member = Some(tenant.member(3));
    live_tokens::count(tx, &found, ids.iter().copied(), member, now())
}

/// Secrets that ought to be replaced. Where few are, a page may be short and go on: one page is measured.
fn due() -> Vec<Measured> {
    let mut all = Vec::new();
    for (named, why) in [
        ("all", None),
        ("exposed", Some(DueWhy::Exposed)),
        ("precaution", Some(DueWhy::Precaution)),
    ] {
        for (at, hundredth) in [("first", None), ("middle", Some(50)), ("late", Some(97))] {
            for (where_, groups) in [("", None), (" of 300 groups", Some(300))] {
                let label = format!("clients' secrets due{where_}, {named}, {at}");
                all.push(Measured::new(label, move |world, size| {
                    let tenant = *world.of_clients(size);
                    let organizations = groups.map(|many| {
                        (tenant.organizations - many + 1..=tenant.organizations)
                            .map(|number| tenant.organization(number))
                            .collect::<Vec<_>>()
                    });
                    let after = hundredth.map(|part| {
                        let number = tenant.clients / 100 * part + 1;
                        (tenant.client(number), tenant.secret(number))
                    });
                    world
                        .read(tenant.id, move |tx| {
                            let filter = DueFilter { organizations, why };
                            ownership::due(tx, tenant.id, &filter, after, PAGE, now())
                        })
                        .found
                        .len()
                }));
            }
        }
    }
    all
}

/// Reads and changes of one client, each time of another.
fn of_one() -> Vec<Measured> {
    let turn = turns();
    let found = Measured::new("client by id", move |world, size| {
        let tenant = *world.of_clients(size);
        let id = another(&tenant, turn(size));
        usize::from(
            world
                .read(tenant.id, move |tx| clients::find(tx, tenant.id, id))
                .is_some(),
        )
    });
    let check = Measured::new("quota check of clients", |world: &World, size| {
        let tenant = world.of_clients(size).id;
        world.change(tenant, move |tx| {
            let checked = quotas::check(tx, tenant, Counted::Clients);
            Ok::<_, StorageError>(usize::from(checked.is_ok()))
        })
    });
    let turn = turns();
    let made = Measured::new("client made (a change of clients)", move |world, size| {
        let tenant = *world.of_clients(size);
        let id = tenant.client(tenant.clients + turn(size));
        let settings = builders::client("Made in Between", "invoices:read");
        let client = builders::new_client(id, tenant.organization(5), &settings);
        world.change(tenant.id, move |tx| clients::insert(tx, tenant.id, &client));
        1
    });
    let turn = turns();
    let changed = Measured::new(
        "client changed (a change of clients)",
        move |world, size| {
            let tenant = *world.of_clients(size);
            let turn = turn(size);
            let id = another(&tenant, turn);
            let changed = world.change(tenant.id, move |tx| {
                let client = clients::find_for_change(tx, tenant.id, id)?.unwrap();
                let mut settings = client.settings.clone();
                settings.name = ClientName::parse(&format!("Changed {turn}")).unwrap();
                clients::update(tx, tenant.id, id, &client.settings, &settings)
            });
            usize::from(changed)
        },
    );
    vec![found, check, made, changed]
}

/// How many times a call was made, for each size.
fn turns() -> impl Fn(Size) -> u32 {
    let turns = [Cell::new(0), Cell::new(0)];
    move |size| {
        let turn = &turns[size as usize];
        turn.set(turn.get() + 1);
        turn.get()
    }
}

/// A client somewhere, at each turn another one.
fn another(tenant: &Filled, turn: u32) -> ClientId {
    tenant.client(1 + tenant.clients / 128 * (turn % 128))
}
