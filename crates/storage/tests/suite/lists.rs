//! Lists by keyset: whatever the order, each row comes once, and pages meet without a gap. And the tree that
//! lists are cut out of.

use std::fmt::Write as _;

use grantor_domain::client::{Client, ClientSettings, ClientStatus, ClientType};
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, TenantId};
use grantor_domain::search::Sought;
use grantor_domain::text::{OrganizationName, PersonName};
use grantor_storage::client_search::{self, ClientFilter, ClientOrder};
use grantor_storage::clients;
use grantor_storage::listing::Place;
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
    let mut after: Option<Place> = None;
    loop {
        let filter = filter.clone();
        let part = read(fixture, tenant, move |tx| {
            client_search::list(tx, tenant, &filter, order, descending, after, size)
        });
        let last = part.found.last().map(|(place, _)| place.clone());
        seen.extend(part.found.into_iter().map(|(_, client)| client));
        after = part.stopped_at.or(last);
        if after.is_none() {
            return seen;
        }
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
            ..ClientFilter::default()
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

/// Everything that a filter or a search leads to, by following where each page ends.
fn all(
    fixture: &Fixture,
    tenant: TenantId,
    filter: &ClientFilter,
    way: Way,
    size: i64,
) -> Vec<ClientId> {
    let mut seen = Vec::new();
    let mut after: Option<Place> = None;
    for _ in 0..10_000 {
        let filter = filter.clone();
        let part = read(fixture, tenant, move |tx| match way {
            Way::Listed(order, descending) => {
                client_search::list(tx, tenant, &filter, order, descending, after, size)
            }
            Way::Found(words) => {
                let sought = Sought::parse(words).unwrap();
                client_search::search(tx, tenant, &sought, &filter, after, size)
            }
        });
        let last = part.found.last().map(|(place, _)| place.clone());
        let full = i64::try_from(part.found.len()).unwrap() == size;
        seen.extend(part.found.into_iter().map(|(_, client)| client.id));
        after = part.stopped_at.or(last.filter(|_| full));
        if after.is_none() {
            return seen;
        }
    }
    panic!("it has no end");
}

fn has_word(word: &str) -> String {
    format!(
        " AND EXISTS (SELECT FROM client_words AS sought WHERE sought.tenant_id = clients.tenant_id \
         AND sought.client_id = clients.id AND sought.word = '{word}')"
    )
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Listed(ClientOrder, bool),
    Found(&'static str),
}

#[test]
fn client_8_whatever_is_combined_each_client_that_meets_it_comes_once_in_order() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    let tenant = home.id;
    let below = group(&fixture, tenant, home.root_organization).unwrap();
    // 6,000: of each two thousands of what is common, and hardly any of all together.
    fixture.superuser_runs(&format!(
        "SET search_path = grantor;
         INSERT INTO members (tenant_id, id, organization_id, name, email, created_at, updated_at)
           SELECT '{t}', md5('owner ' || n)::uuid, '{root}', 'Owner', n || '@example.com', now(), now() FROM generate_series(0, 2) AS n;
         INSERT INTO clients (tenant_id, id, organization_id, kind, name, description, client_type, profile, grant_types,
             auth_method, allowed_scopes, require_requested_scopes, access_token_seconds, owner_email, owner_id, status, created_at, updated_at)
           SELECT '{t}', md5('client ' || n)::uuid, CASE WHEN n % 2 = 0 THEN '{root}' ELSE '{below}' END::uuid, 'own',
             'Client ' || n % 7, '', CASE WHEN n % 3 = 0 THEN 'public' ELSE 'confidential' END, 'web', '{{authorization_code}}',
             CASE WHEN n % 3 = 0 THEN 'none' ELSE 'client_secret_basic' END, '{{}}', true, 3600, 'o@example.com',
             md5('owner ' || n % 3)::uuid, CASE WHEN n % 1000 = 0 THEN 'disabled' ELSE 'active' END, now(), now()
           FROM generate_series(1, 6000) AS n;
         INSERT INTO suspensions (tenant_id, subject_id, paused_by_tenant_at)
           SELECT tenant_id, id, now() FROM clients WHERE status = 'disabled';
         INSERT INTO client_words (tenant_id, word, client_id)
           SELECT tenant_id, CASE WHEN ascii(left(id::text, 1)) % 2 = 0 THEN 'north' ELSE 'south' END, id FROM clients WHERE tenant_id = '{t}';
         INSERT INTO client_words (tenant_id, word, client_id)
           SELECT tenant_id, 'rare', id FROM clients WHERE tenant_id = '{t}' AND name = 'Client 3';
         ANALYZE clients, client_words",
        t = tenant.uuid(),
        root = home.root_organization.uuid(),
        below = below.uuid(),
    ));
    let owner = |n: u32| {
        let sql = format!("SELECT md5('owner {n}')::uuid::text");
        let id = texts(&mut fixture.test.superuser(), &sql).pop().unwrap();
        MemberId::from_uuid(id.parse().unwrap())
    };
    let root = home.root_organization;
    let mut looked_at = 0;
    for organizations in [
        None,
        Some(vec![root]),
        Some(vec![below, root]),
        Some(Vec::new()),
    ] {
        for status in [None, Some(ClientStatus::Disabled)] {
            for client_type in [None, Some(ClientType::Public)] {
                for owned in [None, Some(owner(0)), Some(owner(1))] {
                    let filter = ClientFilter {
                        organizations: organizations.clone(),
                        status,
                        client_type,
                        owner: owned,
                    };
                    let mut condition = format!("tenant_id = '{}'", tenant.uuid());
                    if let Some(organizations) = &organizations {
                        let ids: Vec<String> = organizations
                            .iter()
                            .map(|id| id.uuid().to_string())
                            .collect();
                        write!(
                            condition,
                            " AND organization_id::text = ANY ('{{{}}}')",
                            ids.join(",")
                        )
                        .unwrap();
                    }
                    if status.is_some() {
                        condition.push_str(" AND status = 'disabled'");
                    }
                    if client_type.is_some() {
                        condition.push_str(" AND client_type = 'public'");
                    }
                    if let Some(owned) = owned {
                        write!(condition, " AND owner_id = '{}'", owned.uuid()).unwrap();
                    }
                    for (way, order) in [
                        (Way::Listed(ClientOrder::Made, false), "id"),
                        (Way::Listed(ClientOrder::Name, true), "name DESC, id DESC"),
                        // Of one word all are at the same place, and then it is the id that counts.
                        (Way::Found("north"), "id"),
                        (Way::Found("rare south"), "id"),
                    ] {
                        let words: String = match way {
                            Way::Listed(..) => String::new(),
                            Way::Found(words) => words.split(' ').map(has_word).collect(),
                        };
                        let sql = format!(
                            "SELECT id FROM clients WHERE {condition}{words} ORDER BY {order}"
                        );
                        let wanted = texts(&mut fixture.test.superuser(), &sql);
                        let found: Vec<String> = all(&fixture, tenant, &filter, way, 200)
                            .into_iter()
                            .map(|id| id.uuid().to_string())
                            .collect();
                        assert_eq!(found, wanted, "{way:?} {filter:?}");
                        looked_at += found.len();
                    }
                }
            }
        }
    }
    assert!(looked_at > 10_000, "the filters leave little: {looked_at}");
}
