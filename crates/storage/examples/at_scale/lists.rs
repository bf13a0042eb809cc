//! Lists of tenants and of organizations, and the tree.

use grantor_domain::ids::OrganizationId;
use grantor_domain::tenant::TenantStatus;
use grantor_storage::organizations::{self, OrganizationFilter, OrganizationOrder};
use grantor_storage::tenants::{self, TenantFilter, TenantOrder};

use crate::Measured;
use crate::world::World;

/// As many as a page has by default, and one more that tells whether there is another.
pub(crate) const PAGE: i64 = 51;

pub(crate) fn all() -> Vec<Measured> {
    let mut all = tenants();
    all.extend(organizations());
    all
}

fn tenants() -> Vec<Measured> {
    let mut all = Vec::new();
    for (named, order) in [("made", TenantOrder::Made), ("name", TenantOrder::Name)] {
        for (filtered, status, name) in [
            ("all", None, None),
            ("active", Some(TenantStatus::Active), None),
            ("suspended", Some(TenantStatus::Suspended), None),
            ("name=Tenant", None, Some("Tenant")),
            ("name=Tenant 0009", None, Some("Tenant 0009")),
            (
                "suspended, name=Tenant",
                Some(TenantStatus::Suspended),
                Some("Tenant"),
            ),
        ] {
            for (at, placed, descending) in [
                ("first page", None, false),
                ("middle", Some(50), false),
                ("last", None, true),
            ] {
                let label = format!("tenants by {named}, {filtered}, {at}");
                all.push(Measured::new(label, move |world, size| {
                    let filter = TenantFilter {
                        status,
                        name: name.map(str::to_owned),
                    };
                    let after = placed.map(|part| {
                        let (name, id) = World::tenant_at(size, part);
                        (Some(name), id)
                    });
                    world
                        .read_platform(size, move |tx| {
                            tenants::search(tx, &filter, order, descending, after, PAGE)
                        })
                        .len()
                }));
            }
        }
    }
    all
}

fn organizations() -> Vec<Measured> {
    let mut all = Vec::new();
    for (named, order) in [
        ("made", OrganizationOrder::Made),
        ("name", OrganizationOrder::Name),
    ] {
        for (filtered, below, begins, among) in [
            ("all", false, None, false),
            ("below the root", true, None, false),
            ("name=Group", false, Some("Group"), false),
            ("name=Group 0000", false, Some("Group 0000"), false),
            ("among all but the root", false, None, true),
        ] {
            for (at, middle) in [("first page", false), ("middle", true)] {
                let label = format!("organizations by {named}, {filtered}, {at}");
                all.push(Measured::new(label, move |world, size| {
                    let tenant = *world.tenant(size);
                    let filter = OrganizationFilter {
                        parent: below.then(|| tenant.organization(1)),
                        name_begins: begins.map(str::to_owned),
                        among: among.then(|| {
                            (2..=tenant.organizations)
                                .map(|n| tenant.organization(n))
                                .collect()
                        }),
                    };
                    let half = tenant.organizations / 2;
                    let after = middle
                        .then(|| (Some(format!("Group {half:05}")), tenant.organization(half)));
                    world
                        .read(tenant.id, move |tx| {
                            organizations::search(tx, tenant.id, &filter, order, false, after, PAGE)
                        })
                        .len()
                }));
            }
        }
    }
    all.push(Measured::new("organization by id", |world, size| {
        let tenant = *world.tenant(size);
        let id = tenant.organization(tenant.organizations);
        usize::from(
            world
                .read(tenant.id, move |tx| organizations::find(tx, tenant.id, id))
                .is_some(),
        )
    }));
    all.push(Measured::new(
        "path of the deepest organization",
        |world, size| {
            let tenant = *world.tenant(size);
            let id = tenant.organization(tenant.organizations);
            world
                .read(tenant.id, move |tx| organizations::path(tx, tenant.id, id))
                .len()
        },
    ));
    for (named, top) in [("a leaf", 0), ("a group", 5), ("the root", 1)] {
        let top_of = move |world: &World, size| -> OrganizationId {
            let tenant = world.tenant(size);
            tenant.organization(if top == 0 { tenant.organizations } else { top })
        };
        all.push(Measured::new(
            format!("subtree of {named} (grows with it)"),
            move |world, size| {
                let (tenant, top) = (world.tenant(size).id, top_of(world, size));
                world
                    .read(tenant, move |tx| organizations::subtree(tx, tenant, &[top]))
                    .len()
            },
        ));
        all.push(Measured::new(
            format!("two levels of the tree of {named} (grows with them)"),
            move |world, size| {
                let (tenant, top) = (world.tenant(size).id, top_of(world, size));
                world
                    .read(tenant, move |tx| {
                        organizations::branches(tx, tenant, &[top], 2)
                    })
                    .len()
            },
        ));
    }
    all
}
