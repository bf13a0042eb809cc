//! Lists: how many, from where on, which, and in what order, by declaration.
//!
//! A cursor is the place of the last item, bound by a keyed code to the list it came from, its filters and
//! its order. So it can be neither made up nor carried over to another tenant or another list.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use grantor_keys::Keyring;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::query::Query;
use crate::problem::{FieldFault, Problem};
use crate::schemas::Page;

const DEFAULT_LIMIT: i64 = 50;
/// The most items of one page.
const HIGHEST_LIMIT: i64 = 200;
const CODE_LENGTH: usize = 32;
const PURPOSE: &str = "grantor list cursor v2";

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

/// Where an item stands in its list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// What the list is sorted by, when it is not the time of making.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The item's id.
    #[serde(rename = "i")]
    pub id: Uuid,
}

impl Place {
    /// A place by id alone.
    pub fn of(id: Uuid) -> Self {
        Self { key: None, id }
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
    keyring: Keyring,
    list: Vec<u8>,
}

impl ListRules {
    /// Reads what a query asks of a list. `list` names it, with all that tells it from others.
    pub fn read(&self, query: &Query, list: &str, keyring: &Keyring) -> Result<ListQuery, Problem> {
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
        let list = format!("{list}?{}", query.essence(&["limit", "cursor"])).into_bytes();
        let after = query
            .get("cursor")
            .map(|cursor| read_cursor(keyring, &list, cursor))
            .transpose()?;
        Ok(ListQuery {
            limit,
            after,
            filters,
            sort,
            descending: asked.starts_with('-'),
            keyring: keyring.clone(),
            list,
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
            FilterKind::Organization => Ok(FilterValue::Text(text.to_owned())),
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

    /// Cuts a list that was read with one item too many, and writes the cursor for what follows.
    pub fn page<T, U>(
        &self,
        mut found: Vec<T>,
        place: impl Fn(&T) -> Place,
        shape: impl Fn(T) -> U,
    ) -> Page<U> {
        let limit = usize::try_from(self.limit).unwrap_or(0);
        let more = found.len() > limit;
        found.truncate(limit);
        let next_cursor = found
            .last()
            .filter(|_| more)
            .map(|last| write_cursor(&self.keyring, &self.list, &place(last)));
        Page {
            items: found.into_iter().map(shape).collect(),
            next_cursor,
        }
    }
}

fn message(list: &[u8], place: &[u8]) -> Vec<u8> {
    // The length first, so that list and place can't run into each other.
    let mut message = (list.len() as u64).to_be_bytes().to_vec();
    message.extend_from_slice(list);
    message.extend_from_slice(place);
    message
}

fn write_cursor(keyring: &Keyring, list: &[u8], place: &Place) -> String {
    let place = serde_json::to_vec(place).unwrap_or_default();
    let code = keyring.mac(PURPOSE, &message(list, &place));
    URL_SAFE_NO_PAD.encode([code.as_bytes().as_slice(), &place].concat())
}

fn read_cursor(keyring: &Keyring, list: &[u8], cursor: &str) -> Result<Place, Problem> {
    let bytes = URL_SAFE_NO_PAD
        .decode(cursor)
        .map_err(|_| Problem::InvalidCursor)?;
    let (code, place) = bytes
        .split_at_checked(CODE_LENGTH)
        .ok_or(Problem::InvalidCursor)?;
    if !keyring.mac_matches(PURPOSE, &message(list, place), code) {
        return Err(Problem::InvalidCursor);
    }
    serde_json::from_slice(place).map_err(|_| Problem::InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use grantor_keys::{MasterKey, SystemEntropy};

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

    fn keyring() -> Keyring {
        let master = MasterKey::generate(&SystemEntropy::default()).unwrap();
        Keyring::new(master, Vec::new())
    }

    fn read(keyring: &Keyring, list: &str, query: &[(&str, &str)]) -> Result<ListQuery, Problem> {
        RULES.read(&Query::of(query), list, keyring)
    }

    fn next(keyring: &Keyring, list: &str, query: &[(&str, &str)]) -> String {
        let mut query = query.to_vec();
        query.push(("limit", "1"));
        let page = read(keyring, list, &query).unwrap().page(
            vec![1_u128, 2],
            |id| Place::of(Uuid::from_u128(*id)),
            |id| id,
        );
        assert_eq!(page.items, [1]);
        page.next_cursor.unwrap()
    }

    #[test]
    fn a_cursor_leads_back_to_its_place_on_its_own_list_alone() {
        let keyring = keyring();
        let cursor = next(&keyring, "clients of ten_1", &[("status", "active")]);
        let ask = |list: &str, query: &[(&str, &str)]| {
            let mut query = query.to_vec();
            query.push(("cursor", &cursor));
            read(&keyring, list, &query).map(|list| list.after_id())
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
    fn a_forged_cursor_is_refused() {
        let keyring = keyring();
        let good = next(&keyring, "clients", &[]);
        let ask = |cursor: &str| read(&keyring, "clients", &[("cursor", cursor)]);
        assert!(ask(&good).is_ok());
        for position in 0..good.len() {
            let mut letters: Vec<char> = good.chars().collect();
            letters[position] = if letters[position] == 'A' { 'B' } else { 'A' };
            let forged: String = letters.into_iter().collect();
            assert!(ask(&forged).is_err() || forged == good, "{forged}");
        }
        for bad in [
            "",
            "A",
            "====",
            "%00",
            "ü",
            &good[..good.len() - 1],
            &format!("{good}A"),
        ] {
            assert!(matches!(ask(bad), Err(Problem::InvalidCursor)), "{bad}");
        }
    }

    #[test]
    fn a_page_has_a_next_one_only_when_more_follows() {
        let keyring = keyring();
        let list = read(&keyring, "clients", &[("limit", "3")]).unwrap();
        assert_eq!(list.fetch(), 4);
        let place = |id: &u128| Place::of(Uuid::from_u128(*id));
        assert!(
            list.page(vec![1, 2, 3], place, |id| id)
                .next_cursor
                .is_none()
        );
        assert!(
            list.page(vec![1, 2, 3, 4], place, |id| id)
                .next_cursor
                .is_some()
        );
        assert!(list.page(vec![], place, |id| id).items.is_empty());
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let query = [
            ("limit", "201"),
            ("sort", "size"),
            ("status", "asleep"),
            ("from", "yesterday"),
        ];
        let Err(Problem::InvalidFields(faults)) = read(&keyring(), "clients", &query) else {
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
        let keyring = keyring();
        let order = |sort: &str| {
            let query: &[(&str, &str)] = if sort.is_empty() {
                &[]
            } else {
                &[("sort", sort)]
            };
            let list = read(&keyring, "clients", query).unwrap();
            (list.sort, list.descending)
        };
        assert_eq!(order(""), ("at", true));
        assert_eq!(order("-at"), ("at", true));
        assert_eq!(order("at"), ("at", false));
        assert_eq!(order("name"), ("name", false));
        assert_eq!(order("-name"), ("name", true));
    }
}
