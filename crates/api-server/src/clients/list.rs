//! Listing clients: narrowed, sorted, found by words.

use grantor_domain::client::{ClientStatus, ClientType};
use grantor_domain::ids::{MemberId, OrganizationId};
use grantor_domain::permission::Permission;
use grantor_storage::client_search::{self, ClientFilter, ClientOrder};
use grantor_storage::listing::Part;

use super::{CLIENTS, ClientOutput, demand_tenant, outputs};
use crate::answer::Answer;
use crate::call::Call;
use crate::operation::{Operation, Success, Tag};
use crate::problem::Problem;
use crate::requests::{Filter, FilterKind, ListRules, sought};
use crate::schemas::Page;
use crate::words;

const LIST: &ListRules = &ListRules {
    filters: &[
        Filter {
            name: "status",
            kind: FilterKind::Words(words::ClientStatus::WORDS),
            about: "Only clients that are so.",
            example: "disabled",
        },
        Filter {
            name: "type",
            kind: FilterKind::Words(words::ClientType::WORDS),
            about: "Only clients of this type.",
            example: "public",
        },
        Filter {
            name: "owner_id",
            kind: FilterKind::Member,
            about: "Only clients of this member.",
            example: "mem_01kb2q3r4s5t6v7w8x9y0z1a2b",
        },
        Filter {
            name: "organization_id",
            kind: FilterKind::Organization,
            about: "Only clients that live in this organization itself.",
            example: "org_01kb2q3r4s5t6v7w8x9y0z1a2b",
        },
        Filter {
            name: "q",
            kind: FilterKind::Text(100),
            about: "Only clients of whose name, owner contact, homepage or description words begin so, each of several. \
                    Then the order is that of these words, and `sort` can't be given.",
            example: "export",
        },
    ],
    sorts: &["created_at", "name"],
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("listClients", CLIENTS)
            .about(
                Tag::Clients,
                "List clients",
                "Those that you may see, each with its live access tokens and its last use. A rare combination of \
                 filters may take several pages, some of them short: the end is where `next_cursor` is `null`.",
            )
            .needs(Permission::ClientsRead)
            .open_to_operators(Permission::PlatformSupport)
            .lists(LIST)
            .answers::<Page<ClientOutput>>(Success::Ok)
            .by(list),
    ]
}

async fn list(call: Call) -> Result<Answer<Page<ClientOutput>>, Problem> {
    let page = call.page()?;
    let filters = &page.filters;
    let sought = sought(&page, &call.query)?;
    let status = filters.text("status").map(|word| match word {
        "disabled" => ClientStatus::Disabled,
        _ => ClientStatus::Active,
    });
    let client_type = filters.text("type").and_then(ClientType::parse);
    let owner: Option<MemberId> = filters.id("owner_id")?;
    let organization: Option<OrganizationId> = filters.id("organization_id")?;
    let order = match page.sort {
        "name" => ClientOrder::Name,
        _ => ClientOrder::Made,
    };
    let (after, descending, fetch) = (page.after_place(), page.descending, page.fetch());
    let part = call
        .read_in(call.scope(), move |tx, acting| {
            demand_tenant(tx, acting)?;
            let filter = ClientFilter {
                organizations: acting.visible_among(tx, organization)?,
                status,
                client_type,
                owner,
            };
            let tenant = acting.tenant;
            let part = match &sought {
                Some(sought) => client_search::search(tx, tenant, sought, &filter, after, fetch)?,
                None => client_search::list(tx, tenant, &filter, order, descending, after, fetch)?,
            };
            let (places, clients): (Vec<_>, Vec<_>) = part.found.into_iter().unzip();
            let shown = outputs(tx, acting, &clients)?;
            Ok(Part {
                found: places.into_iter().zip(shown).collect(),
                stopped_at: part.stopped_at,
            })
        })
        .await?;
    Answer::ok(&page.page_of(part)?)
}
