//! Lists: how many, from where on, which, and in what order, by declaration.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use grantor_domain::search::Sought;
use grantor_keys::{Entropy, Keyring};
use grantor_storage::listing::{self, Part};
use uuid::Uuid;

use super::cursor::{Cursors, Place};
use super::query::Query;
use crate::problem::{FieldFault, Problem};
use crate::schemas::Page;

const DEFAULT_LIMIT: i64 = 50;
/// The most items of one page.
const HIGHEST_LIMIT: i64 = 200;

/// How a list is filtered and sorted.
#[derive(Debug)]
pub struct ListRules {
    /// What it can be narrowed down by.
    pub filters: &'static [Filter],
    /// What it can be sorted by, the default first; a dash before it turns it round. Empty: one order alone.
    pub sorts: &'static [&'static str],
}

/// Something that a list can be narrowed down by.
#[derive(Debug)]
pub struct Filter {
    /// The parameter.
    pub name: &'static str,
    /// What it may be.
    pub kind: FilterKind,
    /// What it is for.
    pub about: &'static str,
    /// One that would do.
    pub example: &'static str,
}

/// What a filter may be.
#[derive(Debug, Clone, Copy)]
pub enum FilterKind {
    /// One of these words.
    Words(&'static [&'static str]),
    /// A text of at most so many characters.
    Text(usize),
    /// The id of an organization. Whoever uses it parses it.
    Organization,
    /// The id of a member, likewise.
    Member,
    /// A time in RFC 3339.
    Time,
}

/// The value of a filter.
#[derive(Debug, Clone, PartialEq)]
enum FilterValue {
    Text(String),
    Time(DateTime<Utc>),
}

/// The filters that were given.
#[derive(Debug, Clone, Default)]
pub struct Filters(Vec<(&'static str, FilterValue)>);

impl Filters {
    /// A word or text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.find(name).and_then(|value| match value {
            FilterValue::Text(text) => Some(text.as_str()),
            FilterValue::Time(_) => None,
        })
    }

    /// An id of some kind.
    pub fn id<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|error| Problem::parameter(name, error))
            })
            .transpose()
    }

    /// A time.
    pub fn time(&self, name: &str) -> Option<DateTime<Utc>> {
        self.find(name).and_then(|value| match value {
            FilterValue::Time(time) => Some(*time),
            FilterValue::Text(_) => None,
        })
    }

    fn find(&self, name: &str) -> Option<&FilterValue> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

/// A page that is asked for.
#[derive(Debug)]
pub struct ListQuery {
    /// How many items at most.
    pub limit: i64,
    /// Where the page before ended.
    pub after: Option<Place>,
    /// What the list is narrowed down by.
    pub filters: Filters,
    /// What it is sorted by.
    pub sort: &'static str,
    /// Whether the order is turned round.
    pub descending: bool,
    cursors: Cursors,
}

/// The words that are looked for by the filter `q`. What is found is in their order, so no other can be asked for.
pub fn sought(page: &ListQuery, query: &Query) -> Result<Option<Sought>, Problem> {
    let Some(text) = page.filters.text("q") else {
        return Ok(None);
    };
    if query.get("sort").is_some() {
        let detail =
            "can't be given together with `q`: what is found is in the order of the words found";
        return Err(Problem::parameter("sort", detail));
    }
    let sought = Sought::parse(text);
    sought
        .map(Some)
        .ok_or_else(|| Problem::parameter("q", "must have a letter or a digit"))
}

impl ListRules {
    /// Reads what a query asks of a list. `list` names it, with all that tells it from others.
    pub fn read(
        &self,
        query: &Query,
        list: &str,
        keyring: &Keyring,
        entropy: &Arc<dyn Entropy>,
    ) -> Result<ListQuery, Problem> {
        let mut faults = Vec::new();
        let limit = match query.get("limit").map(str::parse) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=HIGHEST_LIMIT).contains(&limit) => limit,
            Some(_) => {
                let detail = format!("must be a number from 1 to {HIGHEST_LIMIT}");
                faults.push(FieldFault::parameter("limit", detail));
                DEFAULT_LIMIT
            }
        };
        let default = self.sorts.first().copied().unwrap_or_default();
        let asked = query.get("sort").unwrap_or(default);
        let bare = |sort: &'static str| sort.strip_prefix('-').unwrap_or(sort);
        let found = self
            .sorts
            .iter()
            .map(|sort| bare(sort))
            .find(|sort| asked.strip_prefix('-').unwrap_or(asked) == *sort);
        let sort = found.unwrap_or_else(|| {
            if !self.sorts.is_empty() {
                let sorts: Vec<_> = self.orders().collect();
                let detail = format!("must be one of {}", sorts.join(", "));
                faults.push(FieldFault::parameter("sort", detail));
            }
            bare(default)
        });
        let mut filters = Filters::default();
        for filter in self.filters {
            let Some(text) = query.get(filter.name) else {
                continue;
            };
            match filter.parse(text) {
                Ok(value) => filters.0.push((filter.name, value)),
                Err(detail) => faults.push(FieldFault::parameter(filter.name, detail)),
            }
        }
        if !faults.is_empty() {
            return Err(Problem::InvalidFields(faults));
        }
        let list = format!("{list}?{}", query.essence(&["limit", "cursor"]));
        let cursors = Cursors::of(&list, keyring, entropy);
        let after = query
            .get("cursor")
            .map(|cursor| cursors.read(cursor).ok_or(Problem::InvalidCursor))
            .transpose()?;
        Ok(ListQuery {
            limit,
            after,
            filters,
            sort,
            descending: asked.starts_with('-'),
            cursors,
        })
    }

    /// Each order that can be asked for.
    pub fn orders(&self) -> impl Iterator<Item = String> {
        self.sorts.iter().flat_map(|sort| {
            let bare = sort.strip_prefix('-').unwrap_or(sort);
            let turned = if sort.starts_with('-') {
                bare.to_owned()
            } else {
                format!("-{bare}")
            };
            [(*sort).to_owned(), turned]
        })
    }
}

impl Filter {
    fn parse(&self, text: &str) -> Result<FilterValue, String> {
        match self.kind {
            FilterKind::Words(words) if words.contains(&text) => {
                Ok(FilterValue::Text(text.to_owned()))
            }
            FilterKind::Words(words) => Err(format!("must be one of {}", words.join(", "))),
            FilterKind::Organization | FilterKind::Member => Ok(FilterValue::Text(text.to_owned())),
            FilterKind::Text(limit) => {
                let fits = !text.is_empty()
                    && text.chars().count() <= limit
                    && !text.chars().any(char::is_control);
                if fits {
                    Ok(FilterValue::Text(text.to_owned()))
                } else {
                    Err(format!(
                        "must have 1 to {limit} characters, and no control characters"
                    ))
                }
            }
            FilterKind::Time => DateTime::parse_from_rfc3339(text)
                .map(|time| FilterValue::Time(time.to_utc()))
                .map_err(|_| {
                    "must be a time such as 2026-01-31T12:00:00Z (in a query, a `+` is written %2B)"
                        .to_owned()
                }),
        }
    }
}

impl ListQuery {
    /// One more than the page has: whether it comes tells whether another page follows.
    pub fn fetch(&self) -> i64 {
        self.limit + 1
    }

    /// The id after which the page begins, for lists in the order of making.
    pub fn after_id(&self) -> Option<Uuid> {
        self.after.as_ref().map(|place| place.id)
    }

    /// Where the page before ended, as storage says it.
    pub fn after_place(&self) -> Option<listing::Place> {
        self.after.clone().map(|Place { key, id }| (key, id))
    }

    /// Cuts a list that was read with one item too many, and writes the cursor for what follows.
    pub fn page<T, U>(
        &self,
        found: Vec<T>,
        place: impl Fn(&T) -> Place,
        shape: impl Fn(T) -> U,
    ) -> Result<Page<U>, Problem> {
        let placed = found.into_iter().map(|item| (place(&item), shape(item)));
        self.cut(placed.collect(), None)
    }

    /// The same of part of a list. Where looking stopped though more may follow, the page may be short, even empty, and has
    /// a cursor all the same.
    pub fn page_of<T>(&self, part: Part<T>) -> Result<Page<T>, Problem> {
        let place = |(key, id): listing::Place| Place { key, id };
        let placed = part.found.into_iter().map(|(at, item)| (place(at), item));
        self.cut(placed.collect(), part.stopped_at.map(place))
    }

    fn cut<T>(
        &self,
        mut placed: Vec<(Place, T)>,
        stopped_at: Option<Place>,
    ) -> Result<Page<T>, Problem> {
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let more = placed.len() > limit;
        placed.truncate(limit);
        let next = match placed.last() {
            Some((last, _)) if more => Some(last.clone()),
            _ => stopped_at,
        };
        let next_cursor = next.map(|next| self.cursors.write(&next)).transpose()?;
        Ok(Page {
            items: placed.into_iter().map(|(_, item)| item).collect(),
            next_cursor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use grantor_keys::{MasterKey, SystemEntropy};

    type Keys = (Keyring, Arc<dyn Entropy>);

    const RULES: ListRules = ListRules {
        filters: &[
            Filter {
                name: "status",
                kind: FilterKind::Words(&["active", "disabled"]),
                about: "",
                example: "active",
            },
            Filter {
                name: "from",
                kind: FilterKind::Time,
                about: "",
                example: "2026-01-31T12:00:00Z",
            },
        ],
        sorts: &["-at", "name"],
    };

    fn keys() -> Keys {
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy::default());
        let master = MasterKey::generate(entropy.as_ref()).unwrap();
        (Keyring::new(master, Vec::new()), entropy)
    }

    fn read(keys: &Keys, list: &str, query: &[(&str, &str)]) -> Result<ListQuery, Problem> {
        RULES.read(&Query::of(query), list, &keys.0, &keys.1)
    }

    fn place(id: &u128) -> Place {
        Place::of(Uuid::from_u128(*id))
    }

    fn next(keys: &Keys, list: &str, query: &[(&str, &str)]) -> String {
        let mut query = query.to_vec();
        query.push(("limit", "1"));
        let list = read(keys, list, &query).unwrap();
        let page = list.page(vec![1, 2], place, |id| id).unwrap();
        assert_eq!(page.items, [1]);
        page.next_cursor.unwrap()
    }

    #[test]
    fn a_cursor_leads_back_to_its_place_on_its_own_list_alone() {
        let keys = keys();
        let cursor = next(&keys, "clients of ten_1", &[("status", "active")]);
        let ask = |list: &str, query: &[(&str, &str)]| {
            let mut query = query.to_vec();
            query.push(("cursor", &cursor));
            read(&keys, list, &query).map(|list| list.after_id())
        };
        let active: &[(&str, &str)] = &[("status", "active")];
        assert_eq!(
            ask("clients of ten_1", active).unwrap(),
            Some(Uuid::from_u128(1))
        );
        let further: &[(&str, &str)] = &[("status", "active"), ("limit", "3")];
        assert!(ask("clients of ten_1", further).is_ok(), "pages may grow");
        for (list, query) in [
            ("clients of ten_2", active),
            ("clients of ten_1", &[][..]),
            ("clients of ten_1", &[("status", "disabled")][..]),
            (
                "clients of ten_1",
                &[("status", "active"), ("sort", "name")][..],
            ),
        ] {
            assert!(
                matches!(ask(list, query), Err(Problem::InvalidCursor)),
                "{list} {query:?}"
            );
        }
    }

    #[test]
    fn a_page_has_a_next_one_only_when_more_follows() {
        let keys = keys();
        let list = read(&keys, "clients", &[("limit", "3")]).unwrap();
        assert_eq!(list.fetch(), 4);
        let page = |found: Vec<u128>| list.page(found, place, |id| id).unwrap();
        assert!(page(vec![1, 2, 3]).next_cursor.is_none());
        assert!(page(vec![1, 2, 3, 4]).next_cursor.is_some());
        assert!(page(vec![]).items.is_empty());
    }

    #[test]
    fn a_page_is_short_and_has_a_next_one_where_looking_stopped() {
        let keys = keys();
        let list = read(&keys, "clients", &[("limit", "2")]).unwrap();
        let next = |found: Vec<u128>| {
            let at = |id: u128| (None, Uuid::from_u128(id));
            let found = found.into_iter().map(|id| (at(id), id)).collect();
            let stopped_at = Some(at(9));
            let page = list.page_of(Part { found, stopped_at }).unwrap();
            let cursor = page.next_cursor.unwrap();
            let next = read(&keys, "clients", &[("cursor", &cursor)]).unwrap();
            (page.items, next.after_id().unwrap().as_u128())
        };
        assert_eq!(next(vec![]), (vec![], 9));
        assert_eq!(next(vec![1, 2]), (vec![1, 2], 9));
        assert_eq!(next(vec![1, 2, 3]), (vec![1, 2], 2), "what was cut follows");
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let query = [
            ("limit", "201"),
            ("sort", "size"),
            ("status", "asleep"),
            ("from", "yesterday"),
        ];
        let Err(Problem::InvalidFields(faults)) = read(&keys(), "clients", &query) else {
            panic!("it was taken");
        };
        let names: Vec<_> = faults
            .iter()
            .filter_map(|fault| fault.parameter.as_deref())
            .collect();
        assert_eq!(names, ["limit", "sort", "status", "from"]);
    }

    #[test]
    fn the_default_order_may_be_turned_round() {
        let keys = keys();
        let order = |sort: &str| {
            let query: &[(&str, &str)] = if sort.is_empty() {
                &[]
            } else {
                &[("sort", sort)]
            };
            let list = read(&keys, "clients", query).unwrap();
            (list.sort, list.descending)
        };
        assert_eq!(order(""), ("at", true));
        assert_eq!(order("-at"), ("at", true));
        assert_eq!(order("at"), ("at", false));
        assert_eq!(order("name"), ("name", false));
        assert_eq!(order("-name"), ("name", true));
    }
}
