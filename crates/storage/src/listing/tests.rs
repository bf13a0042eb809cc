//! Lists that are narrowed by several things, each of which many meet and few all: whoever goes on from where each page
//! ends finds what a look at everything finds.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use grantor_domain::ids::TenantId;
use grantor_domain::search::Sought;
use grantor_test_support::TestDatabase;
use uuid::Uuid;

use super::{Asked, Listed, Narrowed, Order, Place, Value, page};

/// Members, as if their name were a thing to narrow by.
const MEMBERS: &Listed = &Listed {
    table: "members",
    words: "member_words",
    whose: "member_id",
    states: &["active", "disabled"],
};

/// One in three is called A and disabled. All others are called B and active, but three who are disabled.
const FILL: &str = "\
    INSERT INTO tenants (id, name, issuer, is_platform, root_organization_id, created_at, updated_at) \
    VALUES (id_of(1), 'T', 'https://t.example', false, id_of(1), now(), now()); \
    INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at) \
    SELECT id_of(1), id_of(n), CASE WHEN n > 1 THEN id_of(1) END, 'Group', now(), now() FROM generate_series(1, 30) AS n; \
    INSERT INTO members (tenant_id, id, organization_id, name, email, status, created_at, updated_at) \
    SELECT id_of(1), id_of(n), id_of(1 + n / 7 % 30), CASE WHEN n % 3 = 0 THEN 'A' ELSE 'B' END, n || '@example.com', \
        CASE WHEN n % 3 = 0 OR n IN (10, 4000, 8990) THEN 'disabled' ELSE 'active' END, now(), now() \
    FROM generate_series(1, 9000) AS n; \
    INSERT INTO member_words (tenant_id, word, member_id) SELECT tenant_id, 'example', id FROM members; \
    ANALYZE";

fn id_of(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

fn filled() -> (PgConnection, TestDatabase) {
    let test = TestDatabase::new();
    let mut connection = test.superuser();
    let id_of = "CREATE FUNCTION pg_temp.id_of(number integer) RETURNS uuid LANGUAGE sql IMMUTABLE \
         RETURN lpad(to_hex(number), 32, '0')::uuid";
    let fill = FILL.replace("id_of(", "pg_temp.id_of(");
    connection
        .batch_execute(&format!("{id_of}; {fill}"))
        .unwrap();
    (connection, test)
}

/// What a look at everybody finds.
fn looked(connection: &mut PgConnection, narrowed: &Narrowed, order: &str) -> Vec<Uuid> {
    let mut all = vec!["name = 'B'".to_owned()];
    if let Some(status) = narrowed.status {
        all.push(format!("status = '{status}'"));
    }
    if let Some(organizations) = &narrowed.organizations {
        let ids: Vec<String> = organizations.iter().map(Uuid::to_string).collect();
        all.push(format!("organization_id = ANY ('{{{}}}')", ids.join(",")));
    }
    let found: Vec<Line> = diesel::sql_query(format!(
        "SELECT id::text AS line FROM members WHERE {} ORDER BY {order}",
        all.join(" AND ")
    ))
    .load(connection)
    .unwrap();
    found.iter().map(|row| row.line.parse().unwrap()).collect()
}

#[test]
fn what_many_meet_each_and_few_together_is_found_by_short_pages_that_go_on() {
    let (mut connection, _test) = filled();
    let sought = Sought::parse("example").unwrap();
    let groups = |many: u128| Some((1..=many).map(id_of).collect::<Vec<_>>());
    let mut short = Vec::new();
    for organizations in [None, groups(30), groups(5)] {
        for status in [None, Some("disabled")] {
            let narrowed = Narrowed {
                organizations: organizations.clone(),
                status,
                equal: vec![("name", Value::Text("B".to_owned()))],
            };
            for (order, descending, by) in [
                (Order::Made, false, "id"),
                (Order::Made, true, "id DESC"),
                (Order::By("email_key"), false, "email_key, id"),
                (Order::By("email_key"), true, "email_key DESC, id DESC"),
                (Order::Found(&sought), false, "id"),
            ] {
                let wanted = looked(&mut connection, &narrowed, by);
                for limit in [2, 51] {
                    let mut found = Vec::new();
                    let mut after: Option<Place> = None;
                    // Whole pages of many are not all turned.
                    for _ in 0..12 {
                        let asked = Asked {
                            tenant: TenantId::from_uuid(id_of(1)),
                            narrowed: &narrowed,
                            order,
                            descending,
                            after,
                            limit,
                        };
                        let part = page(&mut connection, MEMBERS, &asked).unwrap();
                        let full = i64::try_from(part.found.len()).unwrap() == limit;
                        found.extend(part.ids());
                        if part.stopped_at.is_some() {
                            assert!(!full);
                            short.push((organizations.is_some(), order));
                        }
                        let last = part.found.into_iter().last().filter(|_| full);
                        after = last.map(|(place, ())| place).or(part.stopped_at);
                        if after.is_none() {
                            break;
                        }
                    }
                    let told = format!("{narrowed:?} {order:?} {descending} {limit}");
                    if after.is_none() {
                        assert_eq!(found, wanted, "{told}");
                    } else {
                        assert_eq!(found.len(), usize::try_from(12 * limit).unwrap(), "{told}");
                        assert!(wanted.starts_with(&found), "{told}");
                    }
                }
            }
        }
    }
    for order in [Order::Made, Order::By("email_key"), Order::Found(&sought)] {
        for among in [false, true] {
            assert!(short.contains(&(among, order)), "{among} {order:?}");
        }
    }
}
