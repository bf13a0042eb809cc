//! Lists of members and the search for them.

use grantor_domain::ids::OrganizationId;
use grantor_domain::member::MemberStatus;
use grantor_domain::search::Sought;
use grantor_storage::member_search::{self, MemberFilter, MemberOrder};

use crate::Measured;
use crate::lists::PAGE;
use crate::world::Filled;

/// Among which organizations a list looks.
#[derive(Clone, Copy)]
enum Among {
    All,
    /// One that has members throughout.
    One,
    /// The one whose members come last.
    OneLate,
    /// All but the root.
    Many,
    /// The half with the higher numbers.
    Half,
    /// The last twentieth, whose members come last.
    Late,
}

const AMONG: [(&str, Among); 6] = [
    ("", Among::All),
    (" of a group", Among::One),
    (" of a late group", Among::OneLate),
    (" of all groups", Among::Many),
    (" of half the groups", Among::Half),
    (" of the late groups", Among::Late),
];

impl Among {
    fn of(self, tenant: &Filled) -> Option<Vec<OrganizationId>> {
        let groups = tenant.organizations;
        let numbers = match self {
            Self::All => return None,
            Self::One => 2..=2,
            Self::OneLate => groups..=groups,
            Self::Many => 2..=groups,
            Self::Half => groups / 2 + 1..=groups,
            Self::Late => groups - groups / 20 + 1..=groups,
        };
        Some(numbers.map(|number| tenant.organization(number)).collect())
    }
}

pub(crate) fn all() -> Vec<Measured> {
    let mut all = lists();
    all.extend(searches());
    all
}

const DISABLED: Option<MemberStatus> = Some(MemberStatus::Disabled);

fn lists() -> Vec<Measured> {
    let mut all = Vec::new();
    for (named, order) in [
        ("made", MemberOrder::Made),
        ("name", MemberOrder::Name),
        ("email", MemberOrder::Email),
    ] {
        for (where_, among) in AMONG {
            for (state, status) in [("", None), (", disabled", DISABLED)] {
                for (at, middle) in [("first page", false), ("middle", true)] {
                    let label = format!("members{where_} by {named}{state}, {at}");
                    all.push(Measured::new(label, move |world, size| {
                        let tenant = *world.tenant(size);
                        let filter = MemberFilter {
                            organizations: among.of(&tenant),
                            status,
                            email: None,
                        };
                        let half = tenant.members / 2;
                        let key = match order {
                            MemberOrder::Made => None,
                            // Amid those who have the same name.
                            MemberOrder::Name => Some("Guest".to_owned()),
                            MemberOrder::Email => Some(format!("person{half}@")),
                        };
                        let after = middle.then(|| (key, tenant.member(half).uuid()));
                        world
                            .read(tenant.id, move |tx| {
                                member_search::list(
                                    tx, tenant.id, &filter, order, false, after, PAGE,
                                )
                            })
                            .found
                            .len()
                    }));
                }
            }
        }
    }
    all.push(Measured::new("members with an address", |world, size| {
        let tenant = *world.tenant(size);
        let filter = MemberFilter {
            email: Some("Person95@south.branch45.example.com".to_owned()),
            organizations: Among::Many.of(&tenant),
            status: None,
        };
        world
            .read(tenant.id, move |tx| {
                member_search::list(tx, tenant.id, &filter, MemberOrder::Name, false, None, PAGE)
            })
            .found
            .len()
    }));
    all
}

fn searches() -> Vec<Measured> {
    let mut all = Vec::new();
    for text in [
        "example",
        "e",
        "given1",
        "person95",
        "given17 example",
        "family1 given1",
        "example person9",
        "north south",
    ] {
        for (where_, among) in AMONG
            .into_iter()
            .filter(|(_, among)| !matches!(among, Among::One | Among::Half))
        {
            for (state, status) in [("", None), (", disabled", DISABLED)] {
                let label = format!("members{where_} with q={text}{state}");
                all.push(Measured::new(label, move |world, size| {
                    let tenant = *world.tenant(size);
                    let filter = MemberFilter {
                        organizations: among.of(&tenant),
                        status,
                        email: None,
                    };
                    let sought = Sought::parse(text).unwrap();
                    world
                        .read(tenant.id, move |tx| {
                            member_search::search(tx, tenant.id, &sought, &filter, None, PAGE)
                        })
                        .found
                        .len()
                }));
            }
        }
    }
    for (text, word) in [("example", "example"), ("north south", "north")] {
        let label = format!("members with q={text}, middle");
        all.push(Measured::new(label, move |world, size| {
            let tenant = *world.tenant(size);
            let half = tenant.member(tenant.members / 2).uuid();
            let after = Some((Some(word.to_owned()), half));
            let sought = Sought::parse(text).unwrap();
            let everyone = MemberFilter::default();
            world
                .read(tenant.id, move |tx| {
                    member_search::search(tx, tenant.id, &sought, &everyone, after, PAGE)
                })
                .found
                .len()
        }));
    }
    all
}
