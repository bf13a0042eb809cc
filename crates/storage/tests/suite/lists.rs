//! Lists by keyset: whatever the order, each row comes once, and pages meet without a gap. And the tree that
//! lists are cut out of.

use grantor_domain::client::{Client, ClientSettings, ClientStatus};
use grantor_domain::ids::{ClientId, OrganizationId, TenantId};
use grantor_domain::text::{OrganizationName, PersonName};
use grantor_storage::clients::{self, ClientFilter, ClientOrder};
use grantor_storage::{Change, ReadTx, Scope, StorageError, organizations, suspensions};
use grantor_test_support::builders;

use crate::support::{Fixture, texts, wait_for};

fn read<T: Send + 'static>(
    fixture: &Fixture,
    tenant: TenantId,
    work: impl FnOnce(&mut ReadTx<'_>) -> Result<T, StorageError> + Send + 'static,
) -> T {
    wait_for(fixture.database.read(Scope::Tenant(tenant), work)).unwrap()
}

fn group(
    fixture: &Fixture,
    tenant: TenantId,
    parent: OrganizationId,
) -> Result<OrganizationId, StorageError> {
    let (id, client) = (fixture.id(), fixture.id());
    let name = OrganizationName::parse("Group").unwrap();
    fixture.change(Scope::Tenant(tenant), move |tx| {
        organizations::insert_group(tx, tenant, parent, id, &name)?;
        Ok(Change::made(id, builders::client_event(tenant, client)))
    })
}

fn client_in(
    fixture: &Fixture,
    tenant: TenantId,
    organization: OrganizationId,
    name: &str,
) -> ClientId {
    let (id, settings) = (fixture.id(), builders::client(name, ""));
    fixture
        .change(Scope::Tenant(tenant), move |tx| {
            clients::insert(
                tx,
                tenant,
                &builders::new_client(id, organization, &settings),
            )?;
            Ok(Change::made(id, builders::client_event(tenant, id)))
        })
        .unwrap()
}

/// Reads all pages of a size.
fn paged(
    fixture: &Fixture,
    tenant: TenantId,
    filter: &ClientFilter,
    order: ClientOrder,
    descending: bool,
    size: i64,
) -> Vec<Client> {
    let mut seen: Vec<Client> = Vec::new();
    loop {
        let after = seen
            .last()
            .map(|client| (Some(client.settings.name.as_str().to_owned()), client.id));
        let filter = filter.clone();
        let page = read(fixture, tenant, move |tx| {
            clients::search(tx, tenant, &filter, order, descending, after, size)
        });
        if page.is_empty() {
            return seen;
        }
        seen.extend(page);
    }
}

#[test]
fn client_8_pages_meet_in_every_order() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let other = fixture.tenant("Other");
    fixture.client(&other, "b");
    for name in ["b", "a", "b", "B", "b", "ä", "ab", "b ä", "~"] {
        fixture.client(&home, name);
    }
    for (order, by) in [(ClientOrder::Made, "id"), (ClientOrder::Name, "name, id")] {
        let mut wanted = texts(
            &mut fixture.test.superuser(),
            &format!(
                "SELECT id FROM clients WHERE tenant_id = '{}' ORDER BY {by}",
                home.id.uuid()
            ),
        );
        assert_eq!(wanted.len(), 9);
        for descending in [false, true] {
            for size in [1, 2, 3, 100] {
                let filter = ClientFilter::default();
                let seen = paged(&fixture, home.id, &filter, order, descending, size);
                let ids: Vec<String> = seen
                    .iter()
                    .map(|client| client.id.uuid().to_string())
                    .collect();
                assert_eq!(ids, wanted, "{order:?} {descending} {size}");
            }
            wanted.reverse();
        }
    }
}

#[test]
fn clients_are_found_by_state_and_organization() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let below = group(&fixture, home.id, home.root_organization).unwrap();
    let top = client_in(&fixture, home.id, home.root_organization, "Top");
    let paused = client_in(&fixture, home.id, home.root_organization, "Paused");
    let low = client_in(&fixture, home.id, below, "Low");
    fixture
        .change(Scope::Tenant(home.id), move |tx| {
            suspensions::pause_client(tx, home.id, paused, None)?;
            // A cut is no pause.
            suspensions::cut_client_off(tx, home.id, top)?;
            Ok(Change::made((), builders::client_event(home.id, paused)))
        })
        .unwrap();
    let found = |status, organizations: Option<Vec<OrganizationId>>| {
        let filter = ClientFilter {
            status,
            organizations,
        };
        let mut ids: Vec<ClientId> = paged(&fixture, home.id, &filter, ClientOrder::Name, false, 2)
            .into_iter()
            .map(|client| client.id)
            .collect();
        ids.sort_unstable();
        ids
    };
    let sorted = |mut ids: Vec<ClientId>| {
        ids.sort_unstable();
        ids
    };
    let (active, disabled) = (Some(ClientStatus::Active), Some(ClientStatus::Disabled));
    assert_eq!(found(active, None), sorted(vec![top, low]));
    assert_eq!(found(disabled, None), [paused]);
    let root = home.root_organization;
    assert_eq!(found(None, Some(vec![root])), sorted(vec![top, paused]));
    assert_eq!(found(active, Some(vec![root])), [top]);
    assert_eq!(found(None, Some(vec![root, below])).len(), 3);
    assert_eq!(found(None, Some(Vec::new())), []);
    assert_eq!(found(disabled, Some(vec![below])), []);
}

#[test]
fn an_update_replaces_all_settings_and_raises_the_revision_once() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let client = fixture.client(&home, "Before");
    let other = fixture.client(&home, "Other");
    let update = |id: ClientId, settings: &ClientSettings| {
        let (settings, tenant) = (settings.clone(), home.id);
        fixture
            .change(Scope::Tenant(tenant), move |tx| {
                let former = clients::find(tx, tenant, id)?;
                let former = former.map_or_else(|| settings.clone(), |found| found.settings);
                let there = clients::update(tx, tenant, id, &former, &settings)?;
                Ok(Change::made(there, builders::client_event(tenant, id)))
            })
            .unwrap()
    };
    let find = |id| {
        let tenant = home.id;
        read(&fixture, tenant, move |tx| clients::find(tx, tenant, id)).unwrap()
    };
    let untouched = find(other);
    let mut settings = builders::client("After", "orders.api:write");
    settings.require_requested_scopes = false;
    settings.owner_contact.name = Some(PersonName::parse("Ada").unwrap());
    assert!(update(client, &settings));
    let after = find(client);
    assert_eq!((&after.settings, after.revision), (&settings, 2));
    // What is absent now is removed.
    settings.owner_contact.name = None;
    assert!(update(client, &settings));
    assert_eq!(find(client).settings, settings);
    assert_eq!(find(client).created_at, after.created_at);
    assert!(!update(fixture.id(), &settings));
    assert_eq!(find(other), untouched);
}

#[test]
fn org_1_the_way_to_an_organization_begins_at_the_root() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let root = home.root_organization;
    let mut way = vec![root];
    for _ in 1..31 {
        let parent = *way.last().unwrap();
        way.push(group(&fixture, home.id, parent).unwrap());
    }
    let path = |tenant, organization| {
        read(&fixture, tenant, move |tx| {
            organizations::path(tx, tenant, organization)
        })
    };
    assert_eq!(path(home.id, root), [root]);
    assert_eq!(path(home.id, way[2]), way[..3]);
    assert_eq!(path(home.id, way[30]), way);
    assert_eq!(path(home.id, fixture.id()), []);
    // Another tenant's is as if it were not there.
    let other = fixture.tenant("Other");
    assert_eq!(path(other.id, way[2]), []);
    assert_eq!(path(home.id, other.root_organization), []);
    // Deeper than is looked into, the root is not reached: so nobody there has rights by it.
    let mut deep = way[30];
    for _ in 0..2 {
        deep = group(&fixture, home.id, deep).unwrap();
    }
    let way = path(home.id, deep);
    assert_eq!((way.len(), way.contains(&root)), (32, false));
}

#[test]
fn a_subtree_holds_each_organization_once() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let root = home.root_organization;
    let [a, b] = [(); 2].map(|()| group(&fixture, home.id, root).unwrap());
    let aa = group(&fixture, home.id, a).unwrap();
    let aaa = group(&fixture, home.id, aa).unwrap();
    let subtree = |tops: &[OrganizationId]| {
        let (tenant, tops) = (home.id, tops.to_vec());
        read(&fixture, tenant, move |tx| {
            organizations::subtree(tx, tenant, &tops)
        })
    };
    assert_eq!(subtree(&[]), []);
    assert_eq!(subtree(&[aaa]), [aaa]);
    assert_eq!(subtree(&[a]), [a, aa, aaa]);
    let all = subtree(&[root]);
    assert_eq!((all.len(), all[0]), (5, root));
    assert_eq!(subtree(&[b, fixture.id()]), [b]);
    let mut overlapping = subtree(&[aa, a, aa]);
    overlapping.sort_unstable();
    let mut wanted = [a, aa, aaa];
    wanted.sort_unstable();
    assert_eq!(overlapping, wanted);
    let other = fixture.tenant("Other");
    assert_eq!(subtree(&[other.root_organization]), []);
}

#[test]
fn a_tree_as_wide_as_it_gets_is_told_of_wholly() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let root = home.root_organization;
    fixture.superuser_runs(&format!(
        "INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at) \
         SELECT '{}', gen_random_uuid(), '{}', 'Group', now(), now() FROM generate_series(1, 10001)",
        home.id.uuid(),
        root.uuid()
    ));
    let found = read(&fixture, home.id, move |tx| {
        organizations::subtree(tx, home.id, &[root])
    });
    assert_eq!((found.len(), found[0]), (10_002, root));
}

#[test]
fn a_group_needs_its_parent_and_changes_it() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let other = fixture.tenant("Other");
    group(&fixture, home.id, fixture.id()).unwrap_err();
    group(&fixture, home.id, other.root_organization).unwrap_err();
    let made = group(&fixture, home.id, home.root_organization).unwrap();
    let revision = fixture.number(&format!(
        "SELECT revision FROM organizations WHERE id = '{}'",
        home.root_organization.uuid()
    ));
    assert_eq!(revision, 2);
    let told = fixture.number(&format!(
        "SELECT count(*) FROM changes WHERE subjects @> ARRAY['{made}', '{}']",
        home.root_organization
    ));
    assert_eq!(told, 1);
}
