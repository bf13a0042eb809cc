//! What is read for one thing: by id, who a caller is, who holds which role; and a change.

use grantor_domain::member::MemberSettings;
use grantor_domain::quota::Counted;
use grantor_domain::role::BuiltInRole;
use grantor_domain::text::{EmailAddress, PersonName};
use grantor_storage::role_assignments::{self, Holder};
use grantor_storage::{StorageError, callers, members, quotas, settings, tenants};

use crate::Measured;
use crate::lists::PAGE;

pub(crate) fn all() -> Vec<Measured> {
    let mut all = reads();
    for (named, member) in [("one role", 2), ("many roles", 1)] {
        all.push(Measured::new(
            format!("caller check of a member with {named}"),
            move |world, size| {
                let key = world.tenant(size).token(member);
                let found = world.flow(move |tx| callers::find(tx, &[key]));
                found[&key].roles.len()
            },
        ));
        all.push(Measured::new(
            format!("roles of a member with {named}"),
            move |world, size| {
                let tenant = *world.tenant(size);
                let holder = Holder::Member(tenant.member(member));
                world
                    .read(tenant.id, move |tx| {
                        role_assignments::of(tx, tenant.id, holder)
                    })
                    .len()
            },
        ));
    }
    for (named, organization) in [("the root", 1), ("a group", 2)] {
        all.push(Measured::new(
            format!("roles over {named}"),
            move |world, size| {
                let tenant = *world.tenant(size);
                let over = tenant.organization(organization);
                world
                    .read(tenant.id, move |tx| {
                        role_assignments::over(tx, tenant.id, over, None, PAGE)
                    })
                    .len()
            },
        ));
    }
    all.push(Measured::new(
        "first client among the holders of a role",
        |world, size| {
            let tenant = world.tenant(size).id;
            let found = world.read(tenant, move |tx| {
                role_assignments::first_client_with(tx, tenant, BuiltInRole::Developer)
            });
            usize::from(found.is_some())
        },
    ));
    all.push(Measured::new("quota check", |world, size| {
        let tenant = world.tenant(size).id;
        world.change(tenant, move |tx| {
            Ok::<_, StorageError>(usize::from(
                quotas::check(tx, tenant, Counted::Members).is_ok(),
            ))
        })
    }));
    all.push(Measured::new("change of a member", |world, size| {
        let tenant = *world.tenant(size);
        let id = tenant.member(tenant.members / 2);
        let settings = MemberSettings {
            name: PersonName::parse("Changed").unwrap(),
            email: EmailAddress::parse("changed@example.com").unwrap(),
            organization: tenant.organization(tenant.organizations),
        };
        usize::from(world.change(tenant.id, move |tx| {
            members::update(tx, tenant.id, id, &settings)
        }))
    }));
    all
}

fn reads() -> Vec<Measured> {
    vec![
        Measured::new("tenant by id", |world, size| {
            let tenant = world.tenant(size).id;
            usize::from(
                world
                    .read(tenant, move |tx| tenants::find(tx, tenant))
                    .is_some(),
            )
        }),
        Measured::new("member by id", |world, size| {
            let tenant = *world.tenant(size);
            let id = tenant.member(tenant.members / 2);
            usize::from(
                world
                    .read(tenant.id, move |tx| members::find(tx, tenant.id, id))
                    .is_some(),
            )
        }),
        Measured::new("settings of a tenant", |world, size| {
            let tenant = world.tenant(size).id;
            world.read(tenant, move |tx| settings::find(tx, tenant));
            1
        }),
    ]
}
