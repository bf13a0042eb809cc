//! How PostgreSQL goes about lists of clients, and about what a list shows beside them.

use grantor_domain::client::{ClientStatus, ClientType};
use grantor_domain::ownership::DueWhy;
use grantor_test_support::FixedClock;

use super::{
    ClientId, Heard, MemberId, OrganizationId, Place, Plans, Sought, Uuid, groups, id_of, tenant,
};
use crate::client_search::{self, ClientFilter, ClientOrder};
use crate::ownership::{Among, DueFilter};
use crate::{client_limits, last_uses, live_tokens, ownership, tenants};
use diesel::connection::SimpleConnection as _;

/// Each state, each type and each of the first two owners has many; nothing is public, disabled and the second owner's.
const FILL: &str = "\
    INSERT INTO clients (tenant_id, id, organization_id, kind, name, description, client_type, profile, grant_types, \
        auth_method, allowed_scopes, require_requested_scopes, access_token_seconds, owner_email, owner_id, status, \
        created_at, updated_at) \
    SELECT id_of(t), id_of(n), id_of(t * (1 + n % 200)), 'own', 'Name ' || n % 100, '', \
        CASE n % 2 WHEN 0 THEN 'public' ELSE 'confidential' END, 'web', '{authorization_code}', \
        CASE n % 2 WHEN 0 THEN 'none' ELSE 'client_secret_basic' END, '{}', true, 3600, 'o@example.com', \
        CASE WHEN n <= 6000 THEN id_of(1 + n / 2 % 2) ELSE id_of(3 + n % 500) END, CASE n / 2 % 2 WHEN 0 THEN 'disabled' ELSE 'active' END, now(), now() \
    FROM generate_series(1, 2) AS t, generate_series(1, 9000) AS n; \
    INSERT INTO client_words (tenant_id, word, client_id) \
    SELECT tenant_id, word, id FROM clients, unnest(ARRAY['name', 'example', 'n' || id]) AS word; \
    INSERT INTO client_secrets (tenant_id, client_id, id, hint, verifier, created_by, created_at, due_since, due_why, \
        due_cause, due_former_owner) \
    SELECT tenant_id, id, id, 'abcd', 'v', 'nobody', now(), now(), 'exposed', 'rights_lost', id FROM clients \
    WHERE name = 'Name 1' UNION ALL \
    SELECT tenant_id, id, id, 'abcd', 'v', 'nobody', now(), NULL, NULL, NULL, NULL FROM clients WHERE name <> 'Name 1'; \
    INSERT INTO rotation_marks (tenant_id, organization_id, marked_at, cause, former_owner) \
    SELECT tenant_id, id, now(), 'rights_lost', id FROM organizations; \
    INSERT INTO suspensions (tenant_id, subject_id, paused_by_tenant_at) \
    SELECT tenant_id, id, now() FROM clients ON CONFLICT DO NOTHING; \
    INSERT INTO last_uses (tenant_id, subject_id, used_at) SELECT tenant_id, id, now() FROM clients; \
    INSERT INTO access_tokens (tenant_id, client_id, id, token_hash, member_id, scopes, audiences, issued_at, epoch, decided_at) \
    SELECT tenant_id, id, uuid_floor('2025-06-01 12:30:00+00'), decode(repeat('00', 32), 'hex'), id_of(9), '{}', '{}', now(), 42, 0 FROM clients; \
    INSERT INTO installation VALUES (true, 42, 'check', now())";

pub(super) fn filled() -> Plans {
    let mut plans = Plans::new();
    let fill = FILL.replace("id_of(", "pg_temp.id_of(");
    plans.connection.batch_execute(&fill).unwrap();
    // As the database does by itself: what an index tells alone need not be looked up, so going along it costs little.
    plans.connection.batch_execute("VACUUM ANALYZE").unwrap();
    plans
}

const ORDERS: [(ClientOrder, &str); 2] =
    [(ClientOrder::Made, ""), (ClientOrder::Name, "_and_name")];

fn place(order: ClientOrder) -> Place {
    let name = (order == ClientOrder::Name).then(|| "Name 5".to_owned());
    (name, id_of(2_000))
}

/// Those of the second owner that are public: each many, and disabled none of them.
fn none_of_many() -> ClientFilter {
    ClientFilter {
        organizations: None,
        status: Some(ClientStatus::Disabled),
        client_type: Some(ClientType::Public),
        owner: Some(MemberId::from_uuid(id_of(2))),
    }
}

fn page_of(plans: &mut Plans, heard: &Heard) {
    let one = format!("'{}', ARRAY['{}']::uuid[]", id_of(1), id_of(9));
    plans.demand(&heard.sql, ("", &one), &["clients_pkey"], true);
}

#[test]
fn clients_are_listed_by_the_index_of_what_is_asked_for_and_their_order() {
    let mut plans = filled();
    let filters = [
        (None, ClientFilter::default()),
        (
            Some("clients_by_status"),
            ClientFilter {
                status: Some(ClientStatus::Disabled),
                ..ClientFilter::default()
            },
        ),
        (
            Some("clients_by_type"),
            ClientFilter {
                client_type: Some(ClientType::Public),
                ..ClientFilter::default()
            },
        ),
        (
            Some("clients_by_owner"),
            ClientFilter {
                owner: Some(MemberId::from_uuid(id_of(2))),
                ..ClientFilter::default()
            },
        ),
    ];
    for (order, suffix) in ORDERS {
        for descending in [false, true] {
            for after in [None, Some(place(order))] {
                for (index, filter) in &filters {
                    let after = after.clone();
                    let sent = plans.heard(|tx| {
                        client_search::list(tx, tenant(), filter, order, descending, after, 51)
                    });
                    let [ids, clients] = sent.as_slice() else {
                        panic!("{sent:?}")
                    };
                    let index = match (index, order) {
                        (Some(index), _) => format!("{index}{suffix}"),
                        (None, ClientOrder::Made) => "clients_pkey".to_owned(),
                        (None, ClientOrder::Name) => "clients_by_name".to_owned(),
                    };
                    plans.demand_of(ids, &[&index], false);
                    page_of(&mut plans, clients);
                }
            }
        }
    }
}

#[test]
fn what_meets_several_things_is_looked_for_along_the_first_and_each_is_tried_by_its_index() {
    let mut plans = filled();
    for (order, suffix) in ORDERS {
        for descending in [false, true] {
            let sent = plans.heard(|tx| {
                client_search::list(tx, tenant(), &none_of_many(), order, descending, None, 51)
            });
            let [near, owner, client_type, status, along, clients] = sent.as_slice() else {
                panic!("{sent:?}")
            };
            let along_owner = format!("clients_by_owner{suffix}");
            for walk in [near, along] {
                plans.demand_of(walk, &[&along_owner], true);
            }
            for (tried, index) in [
                (owner, "clients_by_owner"),
                (client_type, "clients_by_type"),
                (status, "clients_by_status"),
            ] {
                plans.demand_of(tried, &[index], false);
            }
            page_of(&mut plans, clients);
        }
    }
}

#[test]
fn clients_of_organizations_are_merged_by_the_index_of_each_and_the_rest_is_looked_up() {
    let mut plans = filled();
    for (order, suffix) in ORDERS {
        let index = format!("clients_by_organization{suffix}");
        let few = ClientFilter {
            organizations: Some(groups()[..16].to_vec()),
            ..ClientFilter::default()
        };
        for after in [None, Some(place(order))] {
            let sent =
                plans.heard(|tx| client_search::list(tx, tenant(), &few, order, false, after, 51));
            let [heads, rows, clients] = sent.as_slice() else {
                panic!("{sent:?}")
            };
            plans.demand_of(heads, &[&index], true);
            plans.demand_of(rows, &[&index], true);
            page_of(&mut plans, clients);
        }
        // Of all organizations there are more than are looked at one by one.
        let many = ClientFilter {
            organizations: Some(
                (1..=200)
                    .map(|n| OrganizationId::from_uuid(id_of(n)))
                    .collect(),
            ),
            ..none_of_many()
        };
        let sent =
            plans.heard(|tx| client_search::list(tx, tenant(), &many, order, false, None, 51));
        let [near, .., within, heads, rows, looked, clients] = sent.as_slice() else {
            panic!("{sent:?}")
        };
        plans.demand_of(near, &[&format!("clients_by_owner{suffix}")], true);
        plans.demand_of(within, &["clients_by_organization"], false);
        plans.demand_of(heads, &[&index], true);
        plans.demand_of(rows, &[&index], true);
        plans.demand_of(looked, &[], true);
        assert_eq!(
            looked.sql.matches("FROM clients").count(),
            1,
            "one look at each"
        );
        page_of(&mut plans, clients);
    }
}

#[test]
fn a_search_for_clients_goes_along_the_index_of_words_and_looks_up_the_rest_by_keys() {
    let mut plans = filled();
    let (by_word, by_key) = ("client_words_by_word", "client_words_pkey");
    for filter in [ClientFilter::default(), none_of_many()] {
        for text in ["example", "example name", "example name n0000"] {
            let sought = Sought::parse(text).unwrap();
            let sent =
                plans.heard(|tx| client_search::search(tx, tenant(), &sought, &filter, None, 51));
            let [along, .., clients] = sent.as_slice() else {
                panic!("{sent:?}")
            };
            plans.demand_of(along, &[by_word, by_key], true);
            page_of(&mut plans, clients);
            for statement in &sent {
                if statement.sql.contains("FROM (SELECT client_id AS id") {
                    plans.demand_of(statement, &[by_word], false);
                }
            }
        }
    }
}

#[test]
fn live_tokens_and_last_uses_are_read_by_the_keys_of_the_clients() {
    let mut plans = filled();
    let clients: Vec<Uuid> = (1_000..1_050).map(id_of).collect();
    let ids: Vec<ClientId> = clients.iter().copied().map(ClientId::from_uuid).collect();
    let sent = plans.heard(|tx| {
        let found = tenants::find(tx, tenant())?.unwrap();
        let member = Some(MemberId::from_uuid(id_of(9)));
        let now = FixedClock::start();
        live_tokens::count(tx, &found, ids.iter().copied(), member, now)
    });
    let live = sent
        .iter()
        .find(|heard| heard.sql.contains("AS asked (client_id)"))
        .unwrap();
    // As the function has it while it looks.
    plans
        .connection
        .batch_execute("SET enable_sort = off")
        .unwrap();
    for plan in plans.explained(&live.sql, &live.types, &live.values) {
        assert!(!plan.contains("Seq Scan on suspensions"), "{plan}");
        assert!(plan.contains("using suspensions_pkey on"), "{plan}");
        assert!(
            plan.contains("using access_tokens_20250601t1200_pkey on"),
            "{plan}"
        );
        assert!(
            !plan.contains("Seq Scan on access_tokens_20250601t1200"),
            "{plan}"
        );
        assert!(!plan.contains("->  Sort"), "{plan}");
    }
    // Nothing is looked for where no token that lives can be: a week ahead.
    let [_, custom] = plans
        .explained(&live.sql, &live.types, &live.values)
        .try_into()
        .unwrap();
    assert!(custom.contains("access_tokens_20250602t1200"), "{custom}");
    assert!(!custom.contains("access_tokens_20250603"), "{custom}");
    plans
        .connection
        .batch_execute("SET enable_sort = on")
        .unwrap();

    let sent = plans.heard(|tx| last_uses::of(tx, tenant(), clients));
    let [uses] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    plans.demand_of(uses, &["last_uses_pkey"], true);
}

#[test]
fn client_15_the_tokens_of_a_client_are_counted_by_their_key_where_there_can_be_some() {
    let mut plans = filled();
    let client = ClientId::from_uuid(id_of(1_000));
    let sent = plans.heard(|tx| {
        let found = tenants::find(tx, tenant())?.unwrap();
        client_limits::tally(tx, &found, client, 100_000, FixedClock::start())
    });
    let tally = sent.last().unwrap();
    let [generic, custom] = plans
        .explained(&tally.sql, &tally.types, &tally.values)
        .try_into()
        .unwrap();
    for plan in [&generic, &custom] {
        let key = "using access_tokens_20250601t1200_pkey on";
        assert!(plan.contains(key), "{plan}");
        assert!(plan.contains("using suspensions_pkey on"), "{plan}");
    }
    assert!(!custom.contains("access_tokens_20250603"), "{custom}");
}

#[test]
fn what_is_due_is_looked_for_along_the_secrets_that_are_not_revoked() {
    let mut plans = filled();
    for (why, secrets) in [
        (DueWhy::Exposed, "client_secrets_due"),
        (DueWhy::Precaution, "client_secrets_unrevoked"),
    ] {
        let sent = plans.heard(|tx| {
            let filter = DueFilter {
                organizations: Some(groups()),
                why: Some(why),
            };
            ownership::due(tx, tenant(), &filter, None, 51, FixedClock::start())
        });
        let look = sent.first().unwrap();
        let indexes = [secrets, "clients_pkey", "rotation_marks_pkey"];
        plans.demand_of(look, &indexes, true);
    }
    let owner = MemberId::from_uuid(id_of(77));
    let sent = plans.heard(|tx| ownership::owned_clients(tx, tenant(), owner, Among::All, 51));
    let [statement] = sent.as_slice() else {
        panic!("{sent:?}")
    };
    plans.demand_of(statement, &["clients_by_owner"], false);
}
