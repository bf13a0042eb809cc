//! Resource servers: found, listed, changed, and each change raises their revision.

use std::time::Duration;

use grantor_domain::ids::{ResourceServerId, TenantId};
use grantor_domain::lifetime::AccessTokenLifetime;
use grantor_domain::permission::Permission;
use grantor_domain::resource_server::{
    Catalogue, ResourceServer, ScopeFacts, ServerIdentifier, ServerKey, ServerKind,
    SigningAlgorithm, TokenFormat, Verification,
};
use grantor_domain::tenant::NewTenant;
use grantor_domain::text::{Description, OrganizationName};
use grantor_protocol::scope::ScopeToken;
use grantor_storage::resource_servers::{
    self, Home, ResourceServerSettings, ServerOrder, StoredResourceServer,
};
use grantor_storage::{Change, ChangeTx, ReadTx, Scope, StorageError, migrate};
use grantor_test_support::builders;

use crate::support::{Fixture, now, wait_for};

fn scope(text: &str) -> ScopeToken {
    ScopeToken::parse(text).unwrap()
}

fn described(text: &str) -> ScopeFacts {
    ScopeFacts::described(Description::parse(text).unwrap())
}

fn change<T: Send + 'static>(
    fixture: &Fixture,
    tenant: TenantId,
    work: impl FnOnce(&mut ChangeTx<'_>) -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let client = fixture.id();
    fixture.change(Scope::Tenant(tenant), move |tx| {
        let result = work(tx)?;
        Ok(Change::made(result, builders::client_event(tenant, client)))
    })
}

fn make(fixture: &Fixture, tenant: TenantId, key: &str) -> Result<ResourceServer, StorageError> {
    let kind = if key.contains('.') {
        ServerKind::Private
    } else {
        ServerKind::PlatformWide
    };
    let server = ResourceServer {
        id: fixture.id(),
        key: ServerKey::parse(kind, key).unwrap(),
        identifier: ServerIdentifier::parse(&format!("https://{key}.example"))
            .expect("an identifier"),
        name: OrganizationName::parse("Server").unwrap(),
        verification: Verification::Introspection,
        token_format: TokenFormat::Jwt,
        signing_algorithm: SigningAlgorithm::Es256,
        lifetime_cap: None,
        scopes: [(scope(&format!("{key}:read")), described("Reads"))].into(),
        introspectors: Vec::new(),
    };
    let made = server.clone();
    change(fixture, tenant, move |tx| {
        resource_servers::insert(tx, tenant, &made)
    })
    .map(|()| server)
}

fn find(fixture: &Fixture, tenant: TenantId, id: ResourceServerId) -> Option<StoredResourceServer> {
    find_in(fixture, Home::private(tenant), id)
}

fn find_in(fixture: &Fixture, home: Home, id: ResourceServerId) -> Option<StoredResourceServer> {
    let found: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(home.tenant), move |tx: &mut ReadTx<'_>| {
                resource_servers::find(tx, home, id)
            }),
    );
    found.unwrap()
}

fn catalogue(fixture: &Fixture, tenant: TenantId) -> Catalogue {
    let found: Result<_, StorageError> = wait_for(
        fixture
            .database
            .read(Scope::Tenant(tenant), move |tx: &mut ReadTx<'_>| {
                resource_servers::catalogue(tx, tenant)
            }),
    );
    found.unwrap()
}

/// Makes a tenant that of the operators.
fn platform(fixture: &Fixture) -> NewTenant {
    let platform = fixture.tenant("Platform");
    fixture.superuser_runs(&format!(
        "UPDATE tenants SET is_platform = true WHERE id = '{}'",
        platform.id.uuid()
    ));
    platform
}

#[test]
fn one_is_found_whole_and_in_its_tenant_alone() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let other = fixture.tenant("Other").id;
    let orders = make(&fixture, home, "orders.api").unwrap();
    make(&fixture, home, "bills.api").unwrap();
    make(&fixture, other, "orders.api").unwrap();
    let found = find(&fixture, home, orders.id).unwrap();
    assert_eq!(
        found,
        StoredResourceServer {
            owner: home,
            server: orders.clone(),
            revision: 1,
            created_at: now(),
            updated_at: now(),
        }
    );
    assert_eq!(find(&fixture, other, orders.id), None);
    assert_eq!(find(&fixture, home, fixture.id()), None);
    let locked = change(&fixture, home, move |tx| {
        resource_servers::find_for_change(tx, Home::private(home), orders.id)
    });
    assert_eq!(locked.unwrap(), Some(found));
}

#[test]
fn an_update_writes_all_settings_and_leaves_scopes_alone() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let mut orders = make(&fixture, home, "orders.api").unwrap();
    let bills = make(&fixture, home, "bills.api").unwrap();
    let settings = ResourceServerSettings {
        identifier: ServerIdentifier::parse("urn:orders").expect("an identifier"),
        name: OrganizationName::parse("All orders").unwrap(),
        verification: Verification::Introspection,
        token_format: TokenFormat::Opaque,
        signing_algorithm: SigningAlgorithm::EdDsa,
        lifetime_cap: Some(AccessTokenLifetime::from_seconds(300).unwrap()),
    };
    let update = |id, settings: &ResourceServerSettings| {
        let settings = settings.clone();
        change(&fixture, home, move |tx| {
            resource_servers::update(tx, home, id, &settings)
        })
    };
    assert!(update(orders.id, &settings).unwrap());
    orders.identifier = settings.identifier.clone();
    orders.name = settings.name.clone();
    orders.verification = settings.verification;
    orders.token_format = settings.token_format;
    orders.signing_algorithm = settings.signing_algorithm;
    orders.lifetime_cap = settings.lifetime_cap;
    let found = find(&fixture, home, orders.id).unwrap();
    assert_eq!((found.server, found.revision), (orders.clone(), 2));
    // The audience of another is taken.
    match update(bills.id, &settings) {
        Err(StorageError::Taken { constraint }) => {
            assert_eq!(constraint, "resource_servers_identifier");
        }
        other => panic!("{other:?}"),
    }
    let uncapped = ResourceServerSettings {
        lifetime_cap: None,
        ..settings
    };
    assert!(update(orders.id, &uncapped).unwrap());
    let found = find(&fixture, home, orders.id).unwrap();
    assert_eq!(found.server.lifetime_cap, None);
    assert!(
        !update(
            fixture.id(),
            &ResourceServerSettings {
                identifier: ServerIdentifier::parse("urn:x").expect("an identifier"),
                ..uncapped
            }
        )
        .unwrap()
    );
}

#[test]
fn scopes_come_change_and_go() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let orders = make(&fixture, home, "orders.api").unwrap();
    let put = |name: &str, facts: ScopeFacts| {
        let (server, name) = (orders.clone(), scope(name));
        change(&fixture, home, move |tx| {
            resource_servers::put_scope(tx, home, &server, &name, &facts)
        })
    };
    let remove = |name: &str| {
        let (id, name) = (orders.id, scope(name));
        change(&fixture, home, move |tx| {
            resource_servers::remove_scope(tx, home, id, &name)
        })
        .unwrap()
    };
    let scopes = || find(&fixture, home, orders.id).unwrap().server.scopes;
    assert!(
        put("orders.api:write", described("Writes")).unwrap(),
        "made"
    );
    let old = ScopeFacts {
        needs_permission: Some(Permission::ClientsRead),
        deprecated: true,
        ..described("Reads all")
    };
    assert!(!put("orders.api:read", old.clone()).unwrap(), "told anew");
    let wanted = [
        (scope("orders.api:read"), old),
        (scope("orders.api:write"), described("Writes")),
    ];
    assert_eq!(scopes(), wanted.into());
    assert!(remove("orders.api:read"));
    assert!(!remove("orders.api:read"));
    assert_eq!(scopes().len(), 1);
    assert_eq!(find(&fixture, home, orders.id).unwrap().revision, 5);
    let nowhere = ResourceServer {
        id: fixture.id(),
        ..orders
    };
    change(&fixture, home, move |tx| {
        resource_servers::put_scope(tx, home, &nowhere, &scope("x.y:z"), &described(""))
    })
    .unwrap_err();
}

#[test]
fn of_eight_that_add_one_scope_at_once_one_made_it() {
    let fixture = Fixture::with(8, Duration::from_secs(30));
    let home = fixture.home.id;
    let server = make(&fixture, home, "orders.api").unwrap();
    let made: usize = std::thread::scope(|threads| {
        let adding: Vec<_> = (0..8)
            .map(|_| {
                let (fixture, server) = (&fixture, server.clone());
                threads.spawn(move || {
                    change(fixture, home, move |tx| {
                        resource_servers::put_scope(
                            tx,
                            home,
                            &server,
                            &scope("orders.api:new"),
                            &described(""),
                        )
                    })
                    .unwrap()
                })
            })
            .collect();
        adding
            .into_iter()
            .map(|thread| usize::from(thread.join().unwrap()))
            .sum()
    });
    assert_eq!(made, 1);
}

#[test]
fn introspectors_are_these_and_no_others() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let (tenant, id) = (home.id, make(&fixture, home.id, "orders.api").unwrap().id);
    let [a, b, c] = ["A", "B", "C"].map(|name| fixture.client(&home, name));
    let set = |clients: &[_]| {
        let clients = clients.to_vec();
        change(&fixture, tenant, move |tx| {
            resource_servers::set_introspectors(tx, tenant, id, &clients)
        })
    };
    let introspectors = || {
        let mut found = find(&fixture, tenant, id).unwrap().server.introspectors;
        found.sort_unstable();
        found
    };
    let sorted = |mut clients: Vec<_>| {
        clients.sort_unstable();
        clients
    };
    set(&[a, b]).unwrap();
    assert_eq!(introspectors(), sorted(vec![a, b]));
    set(&[b, c, c]).unwrap();
    assert_eq!(introspectors(), sorted(vec![b, c]));
    set(&[b, fixture.id()]).unwrap_err();
    assert_eq!(introspectors(), sorted(vec![b, c]), "all or nothing");
    set(&[]).unwrap();
    assert_eq!(introspectors(), []);
}

#[test]
fn a_deleted_one_is_gone_with_its_scopes_and_told_on_the_feed() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let orders = make(&fixture, home, "orders.api").unwrap().id;
    let bills = make(&fixture, home, "bills.api").unwrap();
    let delete = || {
        change(&fixture, home, move |tx| {
            resource_servers::delete(tx, home, orders)
        })
        .unwrap()
    };
    assert!(delete());
    assert_eq!(find(&fixture, home, orders), None);
    assert!(!delete());
    assert_eq!(
        fixture.number("SELECT count(*) FROM resource_server_scopes"),
        1
    );
    assert_eq!(find(&fixture, home, bills.id).unwrap().server, bills);
    let told = format!("SELECT count(*) FROM changes WHERE '{orders}' = ANY (subjects)");
    assert_eq!(fixture.number(&told), 3);
}

#[test]
fn token_8_the_key_of_one_that_is_gone_is_nobodys_any_more() {
    let fixture = Fixture::with(8, Duration::from_secs(30));
    let home = fixture.home.id;
    let orders = make(&fixture, home, "orders.api").unwrap().id;
    let constraint = |made: Result<ResourceServer, StorageError>| match made {
        Err(StorageError::Taken { constraint }) => constraint,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        constraint(make(&fixture, home, "orders.api")),
        "resource_servers_key"
    );
    // Who makes it while it is being deleted comes too late or too early, and never in between.
    std::thread::scope(|threads| {
        let making = threads.spawn(|| make(&fixture, home, "orders.api"));
        change(&fixture, home, move |tx| {
            resource_servers::delete(tx, home, orders)
        })
        .unwrap();
        assert!(making.join().unwrap().is_err());
    });
    assert_eq!(
        constraint(make(&fixture, home, "orders.api")),
        "resource_server_keys_pkey"
    );
    make(&fixture, fixture.tenant("Other").id, "orders.api").unwrap();
}

#[test]
fn tenant_1_platform_wide_ones_are_seen_by_every_tenant_but_for_who_introspects() {
    let fixture = Fixture::new();
    let home = platform(&fixture);
    let (platform, other) = (home.id, fixture.tenant("Other").id);
    let mut billing = make(&fixture, platform, "billing").unwrap();
    make(&fixture, platform, "inner.api").unwrap();
    make(&fixture, other, "orders.api").unwrap();
    let checker = fixture.client(&home, "Checker");
    let id = billing.id;
    change(&fixture, platform, move |tx| {
        resource_servers::set_introspectors(tx, platform, id, &[checker])
    })
    .unwrap();
    let seen = find_in(&fixture, Home::platform_wide(other), id).unwrap();
    assert_eq!((seen.owner, &seen.server), (platform, &billing));
    let keys = |tenant| -> Vec<String> {
        let catalogue = catalogue(&fixture, tenant);
        let keys = catalogue.servers().iter().map(|server| server.key.as_str());
        let mut keys: Vec<_> = keys.map(str::to_owned).collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(other), ["billing", "orders.api"]);
    assert_eq!(keys(fixture.home.id), ["billing"]);
    assert_eq!(keys(platform), ["billing", "inner.api"]);
    assert_eq!(catalogue(&fixture, fixture.home.id).owners(), [platform]);
    billing.introspectors = vec![checker];
    let whole = find_in(&fixture, Home::platform_wide(platform), id).unwrap();
    assert_eq!(whole.server, billing);
    // Of the two kinds each is found among its own.
    assert_eq!(find(&fixture, platform, id), None);
    assert_eq!(find(&fixture, other, id), None);
}

#[test]
fn tenant_1_platform_wide_ones_are_written_in_the_platform_tenant_alone() {
    let fixture = Fixture::new();
    let (platform, other) = (platform(&fixture).id, fixture.tenant("Other").id);
    let refused = make(&fixture, other, "billing").unwrap_err();
    let text = format!("{refused:?}");
    assert!(text.contains("row-level security"), "{text}");
    let billing = make(&fixture, platform, "billing").unwrap();
    let own = make(&fixture, other, "orders.api").unwrap();
    // Nor as a scope of a private one.
    let disguised = ResourceServer {
        key: billing.key.clone(),
        ..own
    };
    change(&fixture, other, move |tx| {
        resource_servers::put_scope(
            tx,
            other,
            &disguised,
            &scope("billing:forged"),
            &described(""),
        )
    })
    .unwrap_err();
    let id = billing.id;
    for tenant in [other, platform] {
        let found = change(&fixture, tenant, move |tx| {
            resource_servers::find_for_change(tx, Home::platform_wide(other), id)
        });
        assert_eq!(found.unwrap(), None, "{tenant}");
        let deleted = change(&fixture, other, move |tx| {
            resource_servers::delete(tx, tenant, id)
        });
        assert!(!deleted.unwrap_or_default(), "{tenant}");
    }
    let there = find_in(&fixture, Home::platform_wide(other), id).unwrap();
    assert_eq!(there.server, billing);
}

#[test]
fn pages_meet_in_every_order() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    make(&fixture, fixture.tenant("Other").id, "a.other").unwrap();
    let mut made: Vec<ResourceServer> = ["b.api", "a.api", "d.api", "c.api", "a.b"]
        .into_iter()
        .map(|key| make(&fixture, home, key).unwrap())
        .collect();
    for order in [ServerOrder::Made, ServerOrder::Key] {
        match order {
            ServerOrder::Made => made.sort_by_key(|server| server.id),
            ServerOrder::Key => made.sort_by(|one, other| one.key.cmp(&other.key)),
        }
        for descending in [false, true] {
            for size in [1, 2, 10] {
                let mut seen: Vec<ResourceServer> = Vec::new();
                loop {
                    let after = seen
                        .last()
                        .map(|server| (Some(server.key.as_str().to_owned()), server.id));
                    let page: Result<Vec<StoredResourceServer>, StorageError> = wait_for(
                        fixture
                            .database
                            .read(Scope::Tenant(home), move |tx: &mut ReadTx<'_>| {
                                resource_servers::search(
                                    tx,
                                    Home::private(home),
                                    order,
                                    descending,
                                    after,
                                    size,
                                )
                            }),
                    );
                    let page = page.unwrap();
                    if page.is_empty() {
                        break;
                    }
                    seen.extend(page.into_iter().map(|stored| stored.server));
                }
                assert_eq!(seen, made, "{order:?} {descending} {size}");
            }
            made.reverse();
        }
    }
}

#[test]
fn going_back_and_forth_keeps_the_private_ones_and_their_keys() {
    let fixture = Fixture::new();
    let home = fixture.home.id;
    let platform = platform(&fixture).id;
    let orders = make(&fixture, home, "orders.api").unwrap();
    make(&fixture, platform, "billing").unwrap();
    let owner = fixture.test.owner_url();
    while migrate::down(&owner).unwrap().unwrap() != "00000000000024" {}
    assert_eq!(fixture.number("SELECT count(*) FROM resource_servers"), 1);
    migrate::up(&owner).unwrap();
    assert_eq!(find(&fixture, home, orders.id).unwrap().server, orders);
    let keys = "SELECT count(*) FROM resource_server_keys WHERE key = 'orders.api'";
    assert_eq!(fixture.number(keys), 1);
    // The rows of before are written on.
    let server = orders.clone();
    change(&fixture, home, move |tx| {
        resource_servers::put_scope(tx, home, &server, &scope("orders.api:new"), &described(""))?;
        resource_servers::delete(tx, home, server.id)
    })
    .unwrap();
    make(&fixture, platform, "billing").unwrap();
}
