//! The list of tenants: whatever the order and the filter, each comes once, pages meet, and no deleted one comes.

use grantor_domain::tenant::{Tenant, TenantStatus};
use grantor_storage::Scope;
use grantor_storage::tenants::{self, TenantFilter, TenantOrder};

use crate::support::{Fixture, texts, wait_for};

fn page(
    fixture: &Fixture,
    filter: &TenantFilter,
    order: TenantOrder,
    descending: bool,
    last: Option<&Tenant>,
    size: i64,
) -> Vec<Tenant> {
    let filter = filter.clone();
    let after = last.map(|tenant| {
        let name = tenant.name.as_str().to_owned();
        ((order == TenantOrder::Name).then_some(name), tenant.id)
    });
    let read = fixture.database.read(Scope::Platform(None), move |tx| {
        tenants::search(tx, &filter, order, descending, after, size)
    });
    wait_for(read).unwrap()
}

#[test]
fn pages_of_tenants_meet_in_every_order_and_state() {
    let fixture = Fixture::new();
    fixture.superuser_runs(
        "INSERT INTO tenants (id, name, issuer, is_platform, root_organization_id, created_at, updated_at) \
         SELECT id, CASE WHEN n % 4 = 0 THEN 'Same' WHEN n % 7 = 0 THEN 'Sam' WHEN n > 100 THEN 'Late ' || n ELSE 'T' || n || ' ä' END, \
           'https://' || n || '.example', false, id, now(), now() \
         FROM (SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id FROM generate_series(1, 120) AS n) AS numbered; \
         INSERT INTO tenant_suspensions (tenant_id, deleted_at, paused_by_operator_at, cut_below) \
         SELECT id, CASE WHEN n % 3 = 0 THEN now() END, CASE WHEN n % 5 = 0 THEN now() END, 1 \
         FROM (SELECT n, lpad(to_hex(n), 32, '0')::uuid AS id FROM generate_series(1, 90) AS n) AS numbered",
    );
    let mut superuser = fixture.test.superuser();
    for (status, state) in [
        (None, "true"),
        (Some(TenantStatus::Active), "paused_by_operator_at IS NULL"),
        (
            Some(TenantStatus::Suspended),
            "paused_by_operator_at IS NOT NULL",
        ),
    ] {
        for begins in [
            None,
            Some("S"),
            Some("Same"),
            Some("Late 11"),
            Some("Nobody"),
        ] {
            let filter = TenantFilter {
                status,
                name: begins.map(str::to_owned),
            };
            for (order, by) in [(TenantOrder::Made, "id"), (TenantOrder::Name, "name, id")] {
                let mut wanted = texts(
                    &mut superuser,
                    &format!(
                        "SELECT id FROM tenants LEFT JOIN tenant_suspensions ON tenant_id = id WHERE deleted_at IS NULL \
                         AND {state} AND starts_with(name, '{}') ORDER BY {by}",
                        begins.unwrap_or_default()
                    ),
                );
                assert_eq!(
                    wanted.is_empty(),
                    begins == Some("Nobody")
                        || (begins == Some("Late 11") && status == Some(TenantStatus::Suspended))
                );
                for descending in [false, true] {
                    for size in [1, 4, 200] {
                        let mut seen: Vec<Tenant> = Vec::new();
                        loop {
                            let page =
                                page(&fixture, &filter, order, descending, seen.last(), size);
                            let full = i64::try_from(page.len()).unwrap() == size;
                            seen.extend(page);
                            if !full {
                                break;
                            }
                        }
                        let seen: Vec<String> = seen
                            .iter()
                            .map(|tenant| tenant.id.uuid().to_string())
                            .collect();
                        assert_eq!(seen, wanted, "{order:?} {descending} {size} {filter:?}");
                    }
                    wanted.reverse();
                }
            }
        }
    }
}
