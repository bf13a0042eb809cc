//! Organizations as a list.

use diesel::pg::Pg;
use diesel::prelude::*;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::organization::Organization;
use uuid::Uuid;

use super::OrganizationRow;
use crate::error::StorageError;
use crate::schema::organizations;
use crate::transaction::Reads;

/// In which order organizations are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrganizationOrder {
    /// That of their making.
    Made,
    /// That of their names, and of their making where these are the same.
    Name,
}

/// Which organizations are asked for: those that meet all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OrganizationFilter {
    /// Right under this one.
    pub parent: Option<OrganizationId>,
    /// With a name that begins with these letters.
    pub name_begins: Option<String>,
    /// Among these.
    pub among: Option<Vec<OrganizationId>>,
}

/// Reads up to `limit` organizations that meet a filter, in an order, from after a place in it. In the order of names
/// the place has the name of its organization.
pub fn search(
    tx: &mut impl Reads,
    tenant: TenantId,
    filter: &OrganizationFilter,
    order: OrganizationOrder,
    descending: bool,
    after: Option<(Option<String>, OrganizationId)>,
    limit: i64,
) -> Result<Vec<Organization>, StorageError> {
    query(tenant, filter, order, descending, after, limit)
        .load(tx.connection())?
        .into_iter()
        .map(OrganizationRow::into_domain)
        .collect()
}

#[diesel::dsl::auto_type]
fn rows_of(tenant: Uuid) -> _ {
    let rows: diesel::dsl::AsSelect<OrganizationRow, Pg> = OrganizationRow::as_select();
    organizations::table
        .filter(organizations::tenant_id.eq(tenant))
        .select(rows)
}

fn query(
    tenant: TenantId,
    filter: &OrganizationFilter,
    order: OrganizationOrder,
    descending: bool,
    after: Option<(Option<String>, OrganizationId)>,
    limit: i64,
) -> diesel::dsl::IntoBoxed<'static, rows_of, Pg> {
    let mut query = rows_of(tenant.uuid()).into_boxed().limit(limit);
    if let Some(parent) = filter.parent {
        query = query.filter(organizations::parent_id.eq(parent.uuid()));
    }
    if let Some(begins) = &filter.name_begins {
        // Bounds on both sides: an index finds them, and no letter means anything but itself.
        query = query.filter(organizations::name.ge(begins.clone()));
        if let Some(end) = after_all_that_begin(begins) {
            query = query.filter(organizations::name.lt(end));
        }
    }
    if let Some(among) = &filter.among {
        let ids: Vec<Uuid> = among.iter().map(|one| one.uuid()).collect();
        query = query.filter(organizations::id.eq_any(ids));
    }
    query = match (order, descending) {
        (OrganizationOrder::Made, false) => query.order(organizations::id.asc()),
        (OrganizationOrder::Made, true) => query.order(organizations::id.desc()),
        (OrganizationOrder::Name, false) => {
            query.order((organizations::name.asc(), organizations::id.asc()))
        }
        (OrganizationOrder::Name, true) => {
            query.order((organizations::name.desc(), organizations::id.desc()))
        }
    };
    if let Some((name, id)) = after {
        let (name, id) = (name.unwrap_or_default(), id.uuid());
        // The first condition is for the index, which does not see through the second.
        query = match (order, descending) {
            (OrganizationOrder::Made, false) => query.filter(organizations::id.gt(id)),
            (OrganizationOrder::Made, true) => query.filter(organizations::id.lt(id)),
            (OrganizationOrder::Name, false) => query
                .filter(organizations::name.ge(name.clone()))
                .filter(organizations::name.gt(name).or(organizations::id.gt(id))),
            (OrganizationOrder::Name, true) => query
                .filter(organizations::name.le(name.clone()))
                .filter(organizations::name.lt(name).or(organizations::id.lt(id))),
        };
    }
    query
}

/// The first text, in the order of code points, after all that begin with these letters; none comes after those that
/// begin with the last letter of all.
fn after_all_that_begin(begins: &str) -> Option<String> {
    let mut letters: Vec<char> = begins.chars().collect();
    while let Some(last) = letters.pop() {
        // A range of characters knows which numbers are none.
        if let Some(next) = (last..=char::MAX).nth(1) {
            letters.push(next);
            return Some(letters.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;
    use diesel::sql_types::Text;
    use grantor_test_support::TestDatabase;

    use super::*;
    use crate::organizations::tree::{BRANCHES, PATH, SUBTREE};

    #[test]
    fn the_next_beginning_comes_right_after_all_that_begin_so() {
        for (begins, next) in [
            ("a", Some("b")),
            ("Eng", Some("Enh")),
            ("a\u{D7FF}", Some("a\u{E000}")),
            ("a\u{10FFFF}", Some("b")),
            ("\u{10FFFF}\u{10FFFF}", None),
            ("", None),
        ] {
            assert_eq!(after_all_that_begin(begins).as_deref(), next, "{begins:?}");
        }
        let end = after_all_that_begin("Eng").unwrap();
        for within in ["Eng", "Engineering", "Eng\u{10FFFF}\u{10FFFF}"] {
            assert!(("Eng"..end.as_str()).contains(&within), "{within}");
        }
        for beside in ["Enf\u{10FFFF}", "Enh", "En", "eng"] {
            assert!(!("Eng"..end.as_str()).contains(&beside), "{beside}");
        }
    }

    #[derive(QueryableByName)]
    struct Line {
        #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
        line: String,
    }

    /// A database with two tenants, one of them with a large tree.
    fn with_a_large_tree() -> (TestDatabase, PgConnection, Uuid) {
        let test = TestDatabase::new();
        let mut connection = test.superuser();
        let (tenant, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for (id, platform) in [(tenant, false), (other, true)] {
            connection
                .batch_execute(&format!(
                    "INSERT INTO tenants (id, name, issuer, is_platform, root_organization_id, created_at, updated_at) \
                     VALUES ('{id}', 'T', 'https://{id}.example', {platform}, '{id}', now(), now()); \
                     INSERT INTO organizations (tenant_id, id, name, created_at, updated_at) \
                     VALUES ('{id}', '{id}', 'Root', now(), now()); \
                     INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at) \
                     SELECT '{id}', gen_random_uuid(), '{id}', 'Group ' || n, now(), now() FROM generate_series(1, 9999) AS n"
                ))
                .unwrap();
        }
        connection.batch_execute("ANALYZE organizations").unwrap();
        (test, connection, tenant)
    }

    fn plan(
        connection: &mut PgConnection,
        tenant: Uuid,
        types: &str,
        sql: &str,
        values: &str,
    ) -> String {
        connection
            .batch_execute(&format!(
                "DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; PREPARE asked ({types}) AS {sql}; \
                 BEGIN; SET LOCAL ROLE grantor_tenant; SET LOCAL grantor.tenant = '{tenant}'"
            ))
            .unwrap();
        let lines: Vec<Line> =
            diesel::sql_query(format!("EXPLAIN (COSTS OFF) EXECUTE asked ({values})"))
                .load(connection)
                .unwrap();
        connection.batch_execute("ROLLBACK").unwrap();
        let lines: Vec<String> = lines.into_iter().map(|line| line.line).collect();
        lines.join("\n")
    }

    #[test]
    fn lists_and_trees_go_by_indexes() {
        let (_test, mut connection, tenant) = with_a_large_tree();
        let mut demand = |types: &str, sql: &str, values: &str, index: &str| {
            let plan = plan(&mut connection, tenant, types, sql, values);
            assert!(!plan.contains("Seq Scan"), "{sql}\n{plan}");
            assert!(plan.contains(index), "{sql}\n{plan}");
        };
        let id = format!("'{tenant}'");
        demand(
            "uuid, uuid, int",
            PATH,
            &format!("{id}, {id}, 32"),
            "organizations_pkey",
        );
        for sql in [SUBTREE, BRANCHES] {
            let values = format!("{id}, ARRAY[{id}]::uuid[], 32");
            demand("uuid, uuid[], int", sql, &values, "organizations_by_parent");
        }
        let list = |filter: OrganizationFilter, order, descending| {
            let after = Some((
                Some("Group 5".to_owned()),
                OrganizationId::from_uuid(tenant),
            ));
            let query = query(
                TenantId::from_uuid(tenant),
                &filter,
                order,
                descending,
                after,
                51,
            );
            let text = diesel::debug_query::<Pg, _>(&query).to_string();
            text.split(" -- binds").next().unwrap().to_owned()
        };
        let all = OrganizationFilter::default;
        for descending in [false, true] {
            let made = list(all(), OrganizationOrder::Made, descending);
            let values = format!("{id}, {id}, 51");
            demand("uuid, uuid, bigint", &made, &values, "organizations_pkey");
            let named = list(all(), OrganizationOrder::Name, descending);
            let values = format!("{id}, 'Group 5', 'Group 5', {id}, 51");
            demand(
                "uuid, text, text, uuid, bigint",
                &named,
                &values,
                "organizations_by_name",
            );
        }
        let begins = OrganizationFilter {
            name_begins: Some("Group 7".to_owned()),
            ..all()
        };
        let begins = list(begins, OrganizationOrder::Name, false);
        let values = format!("{id}, 'Group 7', 'Group 8', 'Group 71', 'Group 71', {id}, 51");
        demand(
            "uuid, text, text, text, text, uuid, bigint",
            &begins,
            &values,
            "organizations_by_name",
        );
        let below = OrganizationFilter {
            parent: Some(OrganizationId::from_uuid(tenant)),
            ..all()
        };
        let below = list(below, OrganizationOrder::Made, false);
        let values = format!("{id}, {id}, {id}, 51");
        demand(
            "uuid, uuid, uuid, bigint",
            &below,
            &values,
            "organizations_",
        );
    }
}
