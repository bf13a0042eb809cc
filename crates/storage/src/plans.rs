//! How PostgreSQL goes about the statements of lists and checks: by an index that leads to what is asked for, whether
//! a plan is made for the values at hand or once for all.
//!
//! The functions themselves are called, and what they send is listened to. Then each statement is explained as the role
//! that sends it, over tables in which another way would seem to pay.

mod clients;
mod live_tokens;

use std::sync::{Arc, Mutex};

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection as _};
use diesel::prelude::*;
use diesel::sql_types::Text;
use grantor_domain::ids::{ClientId, MemberId, OrganizationId, TenantId};
use grantor_domain::member::MemberStatus;
use grantor_domain::role::BuiltInRole;
use grantor_domain::search::Sought;
use grantor_domain::tenant::TenantStatus;
use grantor_test_support::TestDatabase;
use uuid::Uuid;

use crate::StorageError;
use crate::listing::Place;
use crate::member_search::{self, MemberFilter, MemberOrder};
use crate::role_assignments::{self, Holder};
use crate::tenants::{self, TenantFilter, TenantOrder};
use crate::transaction::ReadTx;

const FILL: &str = "\
    INSERT INTO tenants (id, name, issuer, is_platform, root_organization_id, created_at, updated_at) \
    SELECT id_of(n), 'T', 'https://' || n || '.example', n = 2, id_of(n), now(), now() FROM generate_series(1, 2) AS n; \
    INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at) \
    SELECT id_of(t), id_of(t * n), CASE WHEN n > 1 THEN id_of(t) END, 'Group', now(), now() \
    FROM generate_series(1, 2) AS t, generate_series(1, 200) AS n; \
    INSERT INTO members (tenant_id, id, organization_id, name, email, status, created_at, updated_at) \
    SELECT id_of(t), id_of(n), id_of(t * (1 + n % 200)), 'Name ' || n % 100, n || '@example.com', \
        CASE n % 2 WHEN 0 THEN 'active' ELSE 'disabled' END, now(), now() \
    FROM generate_series(1, 2) AS t, generate_series(1, 5000) AS n; \
    INSERT INTO suspensions (tenant_id, subject_id, paused_by_tenant_at) SELECT tenant_id, id, now() FROM members; \
    INSERT INTO member_words (tenant_id, word, member_id) \
    SELECT tenant_id, word, id FROM members, unnest(ARRAY['name', email_key, 'example', 'n' || id]) AS word; \
    INSERT INTO role_assignments (tenant_id, id, member_id, role, organization_id, created_at) \
    SELECT tenant_id, id, id, 'developer', organization_id, now() FROM members; \
    ANALYZE";

fn id_of(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Keeps what is sent.
struct Listener(Arc<Mutex<Vec<String>>>);

impl Instrumentation for Listener {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            self.0.lock().unwrap().push(query.to_string());
        }
    }
}

/// A statement, and what was sent with it, as SQL says it.
#[derive(Debug)]
struct Heard {
    sql: String,
    types: String,
    values: String,
}

impl Heard {
    /// Values come as they are told for people, such as `[0190…, "text", [1, 2]]`.
    fn new(sql: &str, values: &str) -> Self {
        let inner = values
            .trim()
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        let (mut types, mut literals, mut rest) = (Vec::new(), Vec::new(), inner.unwrap());
        while !rest.is_empty() {
            let given = rest.strip_prefix("Some(");
            rest = given.unwrap_or(rest);
            let array = rest.starts_with('[');
            let end = rest.find(if array { "]" } else { ", " });
            let (value, left) =
                rest.split_at(end.map_or(rest.len(), |end| end + usize::from(array)));
            let (value, left) = match given {
                Some(_) if !array => (value.strip_suffix(')').unwrap_or(value), left),
                Some(_) => (value, left.strip_prefix(')').unwrap_or(left)),
                None => (value, left),
            };
            rest = left.strip_prefix(", ").unwrap_or(left);
            let one = match value {
                value if value.contains('"') => "text",
                // A time ends with its zone.
                value if value.ends_with('Z') => "timestamptz",
                value if value.contains('-') => "uuid",
                _ => "bigint",
            };
            types.push(format!("{one}{}", if array { "[]" } else { "" }));
            literals.push(if array {
                format!("'{{{}}}'", &value[1..value.len() - 1])
            } else {
                format!("'{}'", value.trim_matches('"'))
            });
        }
        Self {
            sql: sql.to_owned(),
            types: types.join(", "),
            values: literals.join(", "),
        }
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    line: String,
}

struct Plans {
    connection: PgConnection,
    role: &'static str,
    // Last: it is dropped when nobody is connected.
    _test: TestDatabase,
}

/// The tenant that is asked about.
fn tenant() -> TenantId {
    TenantId::from_uuid(id_of(1))
}

fn groups() -> Vec<OrganizationId> {
    (1..=100)
        .map(|n| OrganizationId::from_uuid(id_of(n)))
        .collect()
}

impl Plans {
    fn new() -> Self {
        let test = TestDatabase::new();
        let mut connection = test.superuser();
        connection
            .batch_execute(
                "CREATE FUNCTION pg_temp.id_of(number integer) RETURNS uuid LANGUAGE sql IMMUTABLE \
                 RETURN lpad(to_hex(number), 32, '0')::uuid",
            )
            .unwrap();
        let fill = FILL.replace("id_of(", "pg_temp.id_of(");
        connection.batch_execute(&fill).unwrap();
        Self {
            connection,
            role: "grantor_tenant",
            _test: test,
        }
    }

    fn enter(&mut self) {
        let role = format!(
            "BEGIN; SET LOCAL ROLE {}; SET LOCAL grantor.tenant = '{}'",
            self.role,
            tenant().uuid()
        );
        self.connection.batch_execute(&role).unwrap();
    }

    /// The statements that a function sends.
    fn sent<T>(
        &mut self,
        work: impl FnOnce(&mut ReadTx<'_>) -> Result<T, StorageError>,
    ) -> Vec<String> {
        self.heard(work)
            .into_iter()
            .map(|heard| heard.sql)
            .collect()
    }

    /// The same with their values.
    fn heard<T>(
        &mut self,
        work: impl FnOnce(&mut ReadTx<'_>) -> Result<T, StorageError>,
    ) -> Vec<Heard> {
        self.enter();
        let heard = Arc::new(Mutex::new(Vec::new()));
        self.connection.set_instrumentation(Listener(heard.clone()));
        work(&mut ReadTx {
            connection: &mut self.connection,
        })
        .unwrap();
        self.connection
            .set_instrumentation(None::<Box<dyn Instrumentation>>);
        self.connection.batch_execute("ROLLBACK").unwrap();
        let sent = heard.lock().unwrap();
        sent.iter()
            .filter_map(|query| {
                let (sql, values) = query.split_once(" -- binds: ")?;
                Some(Heard::new(sql.trim(), values))
            })
            .collect()
    }

    /// Explains a statement in both ways of planning. Where no types are given they follow from the columns.
    fn explained(&mut self, sql: &str, types: &str, values: &str) -> Vec<String> {
        ["force_generic_plan", "force_custom_plan"]
            .map(|plans| {
                let types = match types {
                    "" => String::new(),
                    types => format!("({types})"),
                };
                self.connection
                    .batch_execute(&format!(
                        "SET plan_cache_mode = {plans}; PREPARE asked {types} AS {sql}"
                    ))
                    .unwrap();
                self.enter();
                let explain = format!("EXPLAIN (COSTS OFF) EXECUTE asked ({values})");
                let lines: Vec<Line> = diesel::sql_query(explain)
                    .load(&mut self.connection)
                    .unwrap();
                self.connection
                    .batch_execute("ROLLBACK; DEALLOCATE asked")
                    .unwrap();
                let lines: Vec<String> = lines.into_iter().map(|line| line.line).collect();
                lines.join("\n")
            })
            .into()
    }

    /// Demands the same of a statement with the values that were sent.
    fn demand_of(&mut self, heard: &Heard, indexes: &[&str], sorts: bool) {
        let Heard { sql, types, values } = heard;
        self.demand(sql, (types, values), indexes, sorts);
    }

    /// Demands that a statement goes by these indexes, through no table as a whole and, if so said, without sorting.
    fn demand(&mut self, sql: &str, (types, values): (&str, &str), indexes: &[&str], sorts: bool) {
        for plan in self.explained(sql, types, values) {
            assert!(!plan.contains("Seq Scan"), "{sql}\n{plan}");
            assert!(sorts || !plan.contains("Sort"), "{sql}\n{plan}");
            for index in indexes {
                assert!(
                    plan.contains(&format!("using {index} on"))
                        || plan.contains(&format!("on {index}\n")),
                    "{index} {sql}\n{plan}"
                );
            }
        }
    }
}

/// A place in the middle of an order.
fn place(order: MemberOrder) -> Place {
    let key = match order {
        MemberOrder::Made => None,
        MemberOrder::Name => Some("Name 5".to_owned()),
        MemberOrder::Email => Some("5".to_owned()),
    };
    (key, id_of(2_000))
}

const ORDERS: [(MemberOrder, &str); 3] = [
    (MemberOrder::Made, ""),
    (MemberOrder::Name, "_and_name"),
    (MemberOrder::Email, "_and_email"),
];

#[test]
fn members_are_listed_by_the_index_of_their_order_and_state() {
    let mut plans = Plans::new();
    let one = format!("'{}', ARRAY['{}']::uuid[]", id_of(1), id_of(9));
    for (order, suffix) in ORDERS {
        for descending in [false, true] {
            for status in [None, Some(MemberStatus::Disabled)] {
                let filter = MemberFilter {
                    status,
                    ..MemberFilter::default()
                };
                let after = Some(place(order));
                let sent = plans.heard(|tx| {
                    member_search::list(tx, tenant(), &filter, order, descending, after, 51)
                });
                let [ids, members] = sent.as_slice() else {
                    panic!("{sent:?}")
                };
                let index = match (status, order) {
                    (Some(_), _) => format!("members_by_status{suffix}"),
                    (None, MemberOrder::Made) => "members_pkey".to_owned(),
                    (None, MemberOrder::Name) => "members_by_name".to_owned(),
                    (None, MemberOrder::Email) => "members_email".to_owned(),
                };
                // By address something is sorted besides, but addresses differ: it has one row each.
                plans.demand_of(ids, &[&index], order == MemberOrder::Email);
                plans.demand(&members.sql, ("", &one), &["members_pkey"], true);
            }
        }
    }
}

#[test]
fn members_of_many_organizations_are_merged_by_the_index_of_each() {
    let mut plans = Plans::new();
    let one = format!("'{}', ARRAY['{}']::uuid[]", id_of(1), id_of(9));
    for (order, suffix) in ORDERS {
        for descending in [false, true] {
            for after in [None, Some(place(order))] {
                let filter = MemberFilter {
                    // So few that what is near is not tried.
                    organizations: Some(groups()[..16].to_vec()),
                    ..MemberFilter::default()
                };
                let sent = plans.heard(|tx| {
                    member_search::list(tx, tenant(), &filter, order, descending, after, 8)
                });
                let [heads, rows, members] = sent.as_slice() else {
                    panic!("{sent:?}")
                };
                let index = format!("members_by_organization{suffix}");
                plans.demand_of(heads, &[&index], true);
                plans.demand_of(rows, &[&index], true);
                plans.demand(&members.sql, ("", &one), &["members_pkey"], true);
            }
        }
    }
}

#[test]
fn what_is_near_is_found_along_the_index_of_the_order_and_looked_up_by_its_key() {
    let mut plans = Plans::new();
    for (order, suffix) in ORDERS {
        let filter = MemberFilter {
            organizations: Some(groups()),
            status: Some(MemberStatus::Disabled),
            email: None,
        };
        let after = Some(place(order));
        let sent =
            plans.heard(|tx| member_search::list(tx, tenant(), &filter, order, false, after, 51));
        let index = format!("members_by_status{suffix}");
        plans.demand_of(sent.first().unwrap(), &[&index, "members_pkey"], true);
    }
}

#[test]
fn a_search_goes_along_the_index_of_words_and_looks_up_the_rest_by_keys() {
    let mut plans = Plans::new();
    let narrowed = MemberFilter {
        organizations: Some(groups()),
        status: Some(MemberStatus::Disabled),
        email: None,
    };
    let one = format!("'{}', ARRAY['{}']::uuid[]", id_of(1), id_of(9));
    let (by_word, by_key) = ("member_words_by_word", "member_words_pkey");
    for filter in [narrowed, MemberFilter::default()] {
        // Few have a word that begins with the last, and these are looked at. All have the others, and so a page is
        // near.
        for text in ["example name 5", "example name"] {
            let sought = Sought::parse(text).unwrap();
            let sent =
                plans.heard(|tx| member_search::search(tx, tenant(), &sought, &filter, None, 51));
            let [along, .., members] = sent.as_slice() else {
                panic!("{sent:?}")
            };
            plans.demand_of(along, &[by_word, by_key], true);
            plans.demand(&members.sql, ("", &one), &["members_pkey"], true);
            for statement in &sent {
                if statement.sql.contains("AS few") {
                    plans.demand_of(statement, &[by_key], true);
                } else if statement.sql.contains("FROM (SELECT member_id AS id") {
                    plans.demand_of(statement, &[by_word], false);
                }
            }
            let looked_at_few = sent.iter().any(|heard| heard.sql.contains("AS few"));
            assert_eq!(looked_at_few, text.ends_with('5'));
        }
    }

    // Where every word is common, the filter is tried: in a tenant with more than are looked at one by one.
    let sought = Sought::parse("example name").unwrap();
    let none = MemberFilter {
        organizations: Some(vec![OrganizationId::from_uuid(id_of(77_777))]),
        ..MemberFilter::default()
    };
    let sent = plans.heard(|tx| member_search::search(tx, tenant(), &sought, &none, None, 51));
    let within = sent
        .iter()
        .find(|heard| heard.sql.contains("FROM (SELECT within.id"));
    plans.demand_of(within.unwrap(), &["members_by_organization"], false);
}

#[test]
fn tenants_are_listed_along_the_index_of_their_order_and_looked_up_by_their_keys() {
    let mut plans = Plans::new();
    let fill = "INSERT INTO tenants (id, name, issuer, is_platform, root_organization_id, created_at, updated_at) \
         SELECT id_of(n), 'Tenant ' || n, 'https://' || n || '.example', false, id_of(n), now(), now() \
         FROM generate_series(3, 5000) AS n; \
         INSERT INTO tenant_suspensions (tenant_id, deleted_at) SELECT id, now() FROM tenants WHERE name < 'Tenant 3'; \
         ANALYZE tenants, tenant_suspensions";
    let fill = fill.replace("id_of(", "pg_temp.id_of(");
    plans.connection.batch_execute(&fill).unwrap();
    plans.role = "grantor_platform";
    for descending in [false, true] {
        for status in [None, Some(TenantStatus::Active)] {
            for (order, name, values, index) in [
                (
                    TenantOrder::Made,
                    None,
                    format!("1, true, '{}', 51", id_of(2_000)),
                    "tenants_pkey",
                ),
                (
                    TenantOrder::Name,
                    None,
                    format!("1, true, 'Tenant 4', '{}', 51", id_of(2_000)),
                    "tenants_by_name",
                ),
                (
                    TenantOrder::Name,
                    Some("Tenant".to_owned()),
                    format!(
                        "1, true, 'Tenant 4', '{}', 'Tenant{}', 51",
                        id_of(2_000),
                        if descending { "" } else { "~" }
                    ),
                    "tenants_by_name",
                ),
            ] {
                let filter = TenantFilter { status, name };
                let after = (
                    Some("Tenant 4".to_owned()),
                    TenantId::from_uuid(id_of(2_000)),
                );
                let sent = plans
                    .sent(|tx| tenants::search(tx, &filter, order, descending, Some(after), 51));
                let walk = sent.first().unwrap();
                plans.demand(
                    walk,
                    ("", &values),
                    &[index, "tenant_suspensions_pkey"],
                    false,
                );
            }
        }
    }
}

#[test]
fn roles_are_read_by_holder_by_organization_and_by_role() {
    let mut plans = Plans::new();
    let one = format!("'{}', '{}'", id_of(1), id_of(40));
    for (sent, values, index) in [
        (
            plans.sent(|tx| {
                role_assignments::of(tx, tenant(), Holder::Member(MemberId::from_uuid(id_of(40))))
            }),
            one.clone(),
            "role_assignments_of_members",
        ),
        (
            plans.sent(|tx| {
                role_assignments::of(tx, tenant(), Holder::Client(ClientId::from_uuid(id_of(40))))
            }),
            one.clone(),
            "role_assignments_of_clients",
        ),
        (
            plans.sent(|tx| {
                let over = OrganizationId::from_uuid(id_of(40));
                role_assignments::over(tx, tenant(), over, None, 51)
            }),
            format!("{one}, '{}', 51", id_of(9)),
            "role_assignments_by_organization",
        ),
        (
            plans.sent(|tx| {
                role_assignments::first_client_with(tx, tenant(), BuiltInRole::Developer)
            }),
            format!("'{}', 'developer', 1", id_of(1)),
            "role_assignments_of_clients_by_role",
        ),
    ] {
        let [statement] = sent.as_slice() else {
            panic!("{sent:?}")
        };
        for plan in plans.explained(statement, "", &values) {
            assert!(!plan.contains("Seq Scan on role_assignments"), "{plan}");
            assert!(plan.contains(index), "{index} {statement}\n{plan}");
        }
    }
}
