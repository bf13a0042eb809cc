//! Lists of members: whatever the order and whatever they are narrowed by, each member comes once and pages meet; and
//! the search finds what a look at every member would find.

use grantor_domain::ids::OrganizationId;
use grantor_domain::member::{Member, MemberStatus};
use grantor_domain::search::Sought;
use grantor_domain::tenant::NewTenant;
use grantor_storage::Scope;
use grantor_storage::listing::{Part, Place};
use grantor_storage::member_search::{self, MemberFilter, MemberOrder};
use uuid::Uuid;

use crate::support::{Fixture, texts, wait_for};

/// How many groups lie below the root.
const GROUPS: u32 = 40;

fn group(number: u32) -> OrganizationId {
    OrganizationId::from_uuid(Uuid::from_u128(u128::from(number) + 1))
}

/// Members of all groups: a third of the same name, a tenth disabled, one half of the north and one of the south. Those
/// of the last groups were made last and come last by name.
fn fill(fixture: &Fixture, tenant: &NewTenant, many: u32) {
    let (id, root) = (tenant.id.uuid(), tenant.root_organization.uuid());
    let (first_late, groups) = (many * 9 / 10, GROUPS);
    fixture.superuser_runs(&format!(
        "INSERT INTO organizations (tenant_id, id, parent_id, name, created_at, updated_at) \
         SELECT '{id}', lpad(to_hex(n + 1), 32, '0')::uuid, '{root}', 'Group', now(), now() FROM generate_series(1, {groups}) AS n; \
         INSERT INTO members (tenant_id, id, organization_id, name, email, status, created_at, updated_at) \
         SELECT '{id}', lpad(to_hex(n + 1000), 32, '0')::uuid, \
           lpad(to_hex(CASE WHEN n > {first_late} THEN {groups} - n % 4 ELSE n * 7 % ({groups} - 4) + 1 END + 1), 32, '0')::uuid, \
           CASE WHEN n > {first_late} THEN 'Zed ' || n WHEN n % 3 = 0 THEN 'Guest' ELSE 'Given' || n % 50 || ' Ä' END, \
           'P' || n || '@' || CASE n % 2 WHEN 0 THEN 'north' ELSE 'south' END || '.example.com', \
           CASE n % 10 WHEN 0 THEN 'disabled' ELSE 'active' END, now(), now() FROM generate_series(1, {many}) AS n; \
         INSERT INTO member_words (tenant_id, word, member_id) \
         SELECT DISTINCT tenant_id, word, id FROM members, regexp_split_to_table(lower(name || ' ' || email), '[^[:alnum:]]+') AS word \
         WHERE word <> ''; ANALYZE members, member_words"
    ));
}

fn page(
    fixture: &Fixture,
    filter: &MemberFilter,
    order: MemberOrder,
    descending: bool,
    after: Option<Place>,
    size: i64,
) -> Vec<(Place, Member)> {
    let (tenant, filter) = (fixture.home.id, filter.clone());
    let read = fixture.database.read(Scope::Tenant(tenant), move |tx| {
        member_search::list(tx, tenant, &filter, order, descending, after, size)
    });
    let part = wait_for(read).unwrap();
    assert_eq!(part.stopped_at, None, "no page is short before the end");
    part.found
}

/// What the filter says, in SQL.
fn condition(filter: &MemberFilter) -> String {
    let mut all = vec!["true".to_owned()];
    if let Some(organizations) = &filter.organizations {
        let ids: Vec<String> = organizations
            .iter()
            .map(|id| id.uuid().to_string())
            .collect();
        all.push(format!("organization_id = ANY ('{{{}}}')", ids.join(",")));
    }
    if let Some(status) = filter.status {
        all.push(format!("status = '{}'", status.as_str()));
    }
    if let Some(email) = &filter.email {
        all.push(format!("lower(email) = lower('{email}')"));
    }
    all.join(" AND ")
}

fn filters() -> Vec<MemberFilter> {
    let among: [Option<Vec<OrganizationId>>; 7] = [
        None,
        Some(Vec::new()),
        Some(vec![group(3)]),
        // Given twice, and one that is not there.
        Some(vec![group(40), group(3), group(3), group(999)]),
        Some((1..=GROUPS).map(group).collect()),
        // Many of which none has a member near the beginning.
        Some((37..=60).map(group).collect()),
        Some((5..=30).map(group).collect()),
    ];
    among
        .into_iter()
        .flat_map(|organizations| {
            [
                None,
                Some(MemberStatus::Active),
                Some(MemberStatus::Disabled),
            ]
            .map(|status| MemberFilter {
                organizations: organizations.clone(),
                status,
                email: None,
            })
        })
        .collect()
}

#[test]
fn pages_of_members_meet_in_every_order_and_among_any_organizations() {
    let fixture = Fixture::new();
    let home = fixture.home.clone();
    fill(&fixture, &home, 200);
    let other = fixture.tenant("Other");
    fixture.superuser_runs(&format!(
        "INSERT INTO members (tenant_id, id, organization_id, name, email, created_at, updated_at) \
         SELECT '{}', gen_random_uuid(), '{}', 'Guest', 'p' || n || '@example.com', now(), now() FROM generate_series(1, 9) AS n",
        other.id.uuid(),
        other.root_organization.uuid()
    ));
    let mut superuser = fixture.test.superuser();
    for filter in filters() {
        for (order, by) in [
            (MemberOrder::Made, "id"),
            (MemberOrder::Name, "name, id"),
            (MemberOrder::Email, "email_key, id"),
        ] {
            let mut wanted = texts(
                &mut superuser,
                &format!(
                    "SELECT id FROM members WHERE tenant_id = '{}' AND {} ORDER BY {by}",
                    home.id.uuid(),
                    condition(&filter)
                ),
            );
            for descending in [false, true] {
                for size in [7, 101] {
                    let mut seen: Vec<(Place, Member)> = Vec::new();
                    loop {
                        let after = seen.last().map(|(place, _)| place.clone());
                        let page = page(&fixture, &filter, order, descending, after, size);
                        let full = i64::try_from(page.len()).unwrap() == size;
                        seen.extend(page);
                        if !full {
                            break;
                        }
                    }
                    let seen: Vec<String> = seen
                        .iter()
                        .map(|(_, member)| member.id.uuid().to_string())
                        .collect();
                    assert_eq!(seen, wanted, "{order:?} {descending} {size} {filter:?}");
                }
                wanted.reverse();
            }
        }
    }
}

#[test]
fn the_member_with_an_address_is_found_where_the_rest_is_met_and_nowhere_else() {
    let fixture = Fixture::new();
    fill(&fixture, &fixture.home, 30);
    let email = Some("P10@NORTH.example.com".to_owned());
    let mut found = Vec::new();
    for mut filter in filters() {
        filter.email.clone_from(&email);
        let wanted = fixture.number(&format!(
            "SELECT count(*) FROM members WHERE {}",
            condition(&filter)
        ));
        let page = page(&fixture, &filter, MemberOrder::Name, false, None, 5);
        assert_eq!(i64::try_from(page.len()).unwrap(), wanted, "{filter:?}");
        found.push(page.len());
    }
    assert!(found.contains(&0) && found.contains(&1));
}

fn search(
    fixture: &Fixture,
    text: &str,
    filter: &MemberFilter,
    after: Option<Place>,
    size: i64,
) -> Part<Member> {
    let (tenant, filter) = (fixture.home.id, filter.clone());
    let sought = Sought::parse(text).unwrap();
    let read = fixture.database.read(Scope::Tenant(tenant), move |tx| {
        member_search::search(tx, tenant, &sought, &filter, after, size)
    });
    wait_for(read).unwrap()
}

/// Goes on from where each page ends until one says that nothing follows; tells what was found, and how many pages.
fn searched(
    fixture: &Fixture,
    text: &str,
    filter: &MemberFilter,
    size: i64,
) -> (Vec<String>, usize) {
    let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let part = search(fixture, text, filter, after.clone(), size);
        pages += 1;
        let full = i64::try_from(part.found.len()).unwrap() == size;
        assert!(!(full && part.stopped_at.is_some()), "{text} {filter:?}");
        let next = match part.found.last() {
            Some((place, _)) if full => Some(place.clone()),
            _ => part.stopped_at,
        };
        found.extend(part.found.into_iter().map(|((word, _), member)| {
            format!("{} {}", word.unwrap_or_default(), member.id.uuid())
        }));
        if next.is_none() {
            return (found, pages);
        }
        assert!(next > after, "{text} {filter:?}");
        after = next;
    }
}

/// What a look at every member finds, in the order of the words.
fn found_by_looking(fixture: &Fixture, text: &str, filter: &MemberFilter) -> Vec<String> {
    let sought = Sought::parse(text).unwrap();
    let others: Vec<String> = sought
        .others
        .iter()
        .map(|other| format!(" AND EXISTS (SELECT FROM member_words AS w WHERE w.tenant_id = m.tenant_id AND w.member_id = m.id AND starts_with(w.word, '{other}'))"))
        .collect();
    texts(
        &mut fixture.test.superuser(),
        &format!(
            "SELECT word || ' ' || id FROM (SELECT m.id, (SELECT min(w.word) FROM member_words AS w \
                 WHERE w.tenant_id = m.tenant_id AND w.member_id = m.id AND starts_with(w.word, '{}')) AS word \
               FROM members AS m WHERE {}{others}) AS looked WHERE word IS NOT NULL ORDER BY word, id",
            sought.first,
            condition(filter),
            others = others.concat()
        ),
    )
}

#[test]
fn a_search_finds_what_a_look_at_every_member_finds() {
    let fixture = Fixture::new();
    // More than are looked at one by one: so both ways are gone.
    fill(&fixture, &fixture.home, 2_300);
    for text in [
        "example",
        "e",
        "given1",
        "p22",
        "g",
        "north example",
        "south north",
        "example com",
        "guest com",
        "zed south",
        "ä",
        "nobody example",
    ] {
        for filter in filters().into_iter().step_by(2) {
            let wanted = found_by_looking(&fixture, text, &filter);
            for size in [40, 1_000] {
                let (found, _) = searched(&fixture, text, &filter, size);
                assert_eq!(found, wanted, "{text} {size} {filter:?}");
            }
        }
    }
}

/// How many words a search looks at before it stops.
const LOOKS: i64 = 2_000;

#[test]
fn a_search_for_what_many_have_each_and_few_together_stops_after_so_many_looks_and_goes_on_there() {
    let fixture = Fixture::new();
    let home = fixture.home.id.uuid();
    fill(&fixture, &fixture.home, 7_000);
    // Of those of the north, some are of the south besides: one early, the others late.
    fixture.superuser_runs(&format!(
        "INSERT INTO member_words (tenant_id, word, member_id) SELECT '{home}', 'south', id FROM members \
         WHERE tenant_id = '{home}' AND email IN ('P20@north.example.com', 'P6800@north.example.com', 'P6802@north.example.com')"
    ));
    let everyone = MemberFilter::default();
    let active = MemberFilter {
        status: Some(MemberStatus::Active),
        ..MemberFilter::default()
    };
    for (text, filter, wanted, pages) in [
        ("north south", &everyone, 3, 2),
        ("north south", &active, 1, 2),
        ("example north south", &everyone, 3, 4),
        // Each member with two words that begin so, of which the second counts for nothing.
        ("p north south", &everyone, 3, 2),
    ] {
        assert_eq!(found_by_looking(&fixture, text, filter).len(), wanted);
        for size in [2, 51] {
            let (found, turned) = searched(&fixture, text, filter, size);
            assert_eq!(
                found,
                found_by_looking(&fixture, text, filter),
                "{text} {size}"
            );
            assert!(turned >= pages, "{text} {size}: {turned}");
        }
    }

    let first = search(&fixture, "north south", &active, None, 51);
    let (word, id) = first.stopped_at.unwrap();
    assert_eq!((first.found.len(), word.as_deref()), (0, Some("north")));
    let passed = format!(
        "SELECT count(*) FROM member_words WHERE tenant_id = '{home}' AND word = 'north' AND member_id <= '{id}'"
    );
    assert_eq!(fixture.number(&passed), LOOKS);
}
