//! Lists of clients and the search for them.
//!
//! Where a page may be short and go on, what is measured is one page.

use grantor_domain::client::{ClientStatus, ClientType};
use grantor_domain::ids::OrganizationId;
use grantor_domain::search::Sought;
use grantor_storage::client_search::{self, ClientFilter, ClientOrder};
use uuid::Uuid;

use crate::Measured;
use crate::lists::PAGE;
use crate::world::Filled;

/// As many as the longest page has, and one more.
pub(crate) const LONG_PAGE: i64 = 201;

/// Among which organizations a list looks: what a caller sees, or one that is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Among {
    All,
    /// One that has clients throughout.
    One,
    /// The one whose clients come last.
    OneLate,
    /// A few that have clients throughout.
    Sixteen,
    /// The last, among them those whose clients come last.
    SixteenLate,
    ThreeHundred,
    ThreeHundredLate,
}

const AMONG: [(&str, Among); 7] = [
    ("", Among::All),
    (" of a group", Among::One),
    (" of a late group", Among::OneLate),
    (" of 16 groups", Among::Sixteen),
    (" of 16 late groups", Among::SixteenLate),
    (" of 300 groups", Among::ThreeHundred),
    (" of 300 late groups", Among::ThreeHundredLate),
];

impl Among {
    fn of(self, tenant: &Filled) -> Option<Vec<OrganizationId>> {
        let groups = tenant.organizations;
        let numbers = match self {
            Self::All => return None,
            Self::One => 2..=2,
            Self::OneLate => groups..=groups,
            Self::Sixteen => 2..=17,
            Self::SixteenLate => groups - 15..=groups,
            Self::ThreeHundred => 2..=301,
            Self::ThreeHundredLate => groups - 299..=groups,
        };
        Some(numbers.map(|number| tenant.organization(number)).collect())
    }
}

/// What else is asked for. Of the owners the first has many, the second one, the third twenty.
#[derive(Clone, Copy, Default)]
struct Narrowed {
    status: Option<ClientStatus>,
    client_type: Option<ClientType>,
    owner: Option<u32>,
}

const ANY: Narrowed = Narrowed {
    status: None,
    client_type: None,
    owner: None,
};
const DISABLED: Narrowed = Narrowed {
    status: Some(ClientStatus::Disabled),
    ..ANY
};
const PUBLIC: Narrowed = Narrowed {
    client_type: Some(ClientType::Public),
    ..ANY
};
const OF_MANY: Narrowed = Narrowed {
    owner: Some(1),
    ..ANY
};

const ALONE: [(&str, Narrowed); 8] = [
    ("", ANY),
    (", disabled", DISABLED),
    (
        ", active",
        Narrowed {
            status: Some(ClientStatus::Active),
            ..ANY
        },
    ),
    (", public", PUBLIC),
    (
        ", confidential",
        Narrowed {
            client_type: Some(ClientType::Confidential),
            ..ANY
        },
    ),
    (", owner of many", OF_MANY),
    (
        ", owner of one",
        Narrowed {
            owner: Some(2),
            ..ANY
        },
    ),
    (
        ", owner of twenty",
        Narrowed {
            owner: Some(3),
            ..ANY
        },
    ),
];

const TOGETHER: [(&str, Narrowed); 6] = [
    (
        ", public, disabled",
        Narrowed {
            status: Some(ClientStatus::Disabled),
            ..PUBLIC
        },
    ),
    (
        ", public, active",
        Narrowed {
            status: Some(ClientStatus::Active),
            ..PUBLIC
        },
    ),
    // Nobody meets both, and many each.
    (
        ", owner of many, public",
        Narrowed {
            client_type: Some(ClientType::Public),
            ..OF_MANY
        },
    ),
    (
        ", owner of many, confidential",
        Narrowed {
            client_type: Some(ClientType::Confidential),
            ..OF_MANY
        },
    ),
    (
        ", owner of many, disabled",
        Narrowed {
            status: Some(ClientStatus::Disabled),
            ..OF_MANY
        },
    ),
    (
        ", owner of one, public, disabled",
        Narrowed {
            status: Some(ClientStatus::Disabled),
            client_type: Some(ClientType::Public),
            owner: Some(2),
        },
    ),
];

const ORDERS: [(&str, ClientOrder); 2] = [("made", ClientOrder::Made), ("name", ClientOrder::Name)];

/// Where in an order a page begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum At {
    First,
    Middle,
    Last,
}

const PLACES: [(&str, At); 3] = [
    ("first", At::First),
    ("middle", At::Middle),
    ("last", At::Last),
];

impl At {
    fn of(
        self,
        tenant: &Filled,
        order: ClientOrder,
        descending: bool,
    ) -> Option<(Option<String>, Uuid)> {
        let number = match (self, descending) {
            (Self::First, _) => return None,
            (Self::Middle, _) => tenant.clients / 2,
            (Self::Last, false) => tenant.clients - 30,
            (Self::Last, true) => 30,
        };
        let key = match (self, descending) {
            // Amid those that have the same name.
            (Self::First | Self::Middle, _) => "Service".to_owned(),
            (Self::Last, false) => format!("Zoo {number:07}"),
            (Self::Last, true) => "App0 Team2".to_owned(),
        };
        let key = (order == ClientOrder::Name).then_some(key);
        Some((key, tenant.client(number).uuid()))
    }
}

pub(crate) fn all() -> Vec<Measured> {
    let mut all = Vec::new();
    let forms = ORDERS
        .into_iter()
        .flat_map(|order| [false, true].map(|descending| (order, descending)))
        .flat_map(|(order, descending)| PLACES.map(|place| (order, descending, place)));
    for ((order, by), descending, place) in forms {
        let form = Form {
            order,
            by,
            descending,
            place,
        };
        let together: &[_] = if descending && place.1 != At::Middle {
            &[]
        } else {
            &TOGETHER
        };
        for narrowed in ALONE.iter().chain(together) {
            all.push(list(("", Among::All), form, *narrowed, PAGE));
        }
        for among in &AMONG[1..] {
            all.push(list(*among, form, ALONE[0], PAGE));
        }
        if !descending && place.1 != At::Last {
            for among in &AMONG[1..] {
                for narrowed in [ALONE[1], ALONE[3], ALONE[5], TOGETHER[0], TOGETHER[2]] {
                    all.push(list(*among, form, narrowed, PAGE));
                }
            }
        }
        if !descending && place.1 == At::First {
            for among in [AMONG[0], AMONG[3], AMONG[5], AMONG[6]] {
                for narrowed in [ALONE[0], ALONE[1], ALONE[5], TOGETHER[2]] {
                    all.push(list(among, form, narrowed, LONG_PAGE));
                }
            }
        }
    }
    all.extend(searches());
    all
}

/// How a list is asked for.
#[derive(Clone, Copy)]
struct Form {
    order: &'static str,
    by: ClientOrder,
    descending: bool,
    place: (&'static str, At),
}

fn filter(tenant: &Filled, among: Among, narrowed: Narrowed) -> ClientFilter {
    ClientFilter {
        organizations: among.of(tenant),
        status: narrowed.status,
        client_type: narrowed.client_type,
        owner: narrowed.owner.map(|number| tenant.member(number)),
    }
}

fn told(limit: i64) -> &'static str {
    if limit == PAGE { "" } else { ", 200" }
}

fn list(
    (where_, among): (&str, Among),
    form: Form,
    (met, narrowed): (&str, Narrowed),
    limit: i64,
) -> Measured {
    let Form {
        order,
        by,
        descending,
        place: (at, place),
    } = form;
    let direction = if descending { " down" } else { "" };
    let long = told(limit);
    let label = format!("clients{where_} by {order}{direction}{met}, {at}{long}");
    Measured::new(label, move |world, size| {
        let tenant = *world.of_clients(size);
        let filter = filter(&tenant, among, narrowed);
        let after = place.of(&tenant, by, descending);
        world
            .read(tenant.id, move |tx| {
                client_search::list(tx, tenant.id, &filter, by, descending, after, limit)
            })
            .found
            .len()
    })
}

fn searches() -> Vec<Measured> {
    let mut all = Vec::new();
    for text in [
        "example",
        "e",
        "app1",
        "app17",
        "unicorn",
        "app17 example",
        "app1 team1",
        "zoo example",
        "north south",
        "unicorn north example",
    ] {
        for narrowed in [ALONE[0], ALONE[1], ALONE[3], ALONE[5]] {
            for among in [AMONG[0], AMONG[4], AMONG[6]] {
                all.push(search(text, among, narrowed, None, PAGE));
            }
        }
        all.push(search(text, AMONG[0], ALONE[0], None, LONG_PAGE));
    }
    for (text, word) in [("example", "example"), ("north south", "north")] {
        for narrowed in [ALONE[0], ALONE[1]] {
            all.push(search(text, AMONG[0], narrowed, Some(word), PAGE));
        }
    }
    all
}

fn search(
    text: &'static str,
    (where_, among): (&str, Among),
    (met, narrowed): (&str, Narrowed),
    from: Option<&'static str>,
    limit: i64,
) -> Measured {
    let at = from.map_or("", |_| ", middle");
    let long = told(limit);
    let label = format!("clients{where_} with q={text}{met}{at}{long}");
    Measured::new(label, move |world, size| {
        let tenant = *world.of_clients(size);
        let filter = filter(&tenant, among, narrowed);
        let half = tenant.client(tenant.clients / 2).uuid();
        let after = from.map(|word| (Some(word.to_owned()), half));
        let sought = Sought::parse(text).unwrap();
        world
            .read(tenant.id, move |tx| {
                client_search::search(tx, tenant.id, &sought, &filter, after, limit)
            })
            .found
            .len()
    })
}
