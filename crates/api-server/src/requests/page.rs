//! Pages of lists: how many, and from where on.
//!
//! A cursor is the place of the last item, bound to the list it came from by a keyed code. So it can be
//! neither made up nor carried over to another tenant or another list.

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_keys::Keyring;
use grantor_protocol::form::Form;
use std::future::{Ready, ready};
use uuid::Uuid;

use crate::problem::{FieldFault, Problem};

const DEFAULT_LIMIT: i64 = 50;
const HIGHEST_LIMIT: i64 = 200;
const CODE_LENGTH: usize = 16;
const PURPOSE: &str = "grantor list cursor v1";

/// The parameters of a request's query, each of which may stand there once.
pub struct QueryString(Form);

impl FromRequest for QueryString {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _payload: &mut Payload) -> Self::Future {
        ready(match Form::parse(request.query_string().as_bytes()) {
            Ok(form) => Ok(Self(form)),
            Err(error) => {
                let detail = format!("in the query: {error}");
                Err(Problem::InvalidFields(vec![FieldFault {
                    pointer: None,
                    parameter: None,
                    detail,
                }]))
            }
        })
    }
}

impl QueryString {
    /// One parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)
    }

    /// Refuses parameters that this operation doesn't know: a filter that is misspelt must not be ignored.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        let unknown: Vec<_> = self
            .0
            .names()
            .filter(|name| !known.contains(name))
            .map(|name| {
                let offered = if known.is_empty() {
                    "no parameters are taken here".to_owned()
                } else {
                    format!("use {}", known.join(", "))
                };
                FieldFault::parameter(name, format!("is not known here; {offered}"))
            })
            .collect();
        if unknown.is_empty() {
            Ok(())
        } else {
            Err(Problem::InvalidFields(unknown))
        }
    }
}

/// Where a page begins, and how many items it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageQuery {
    /// The place of the last item of the page before.
    pub after: Option<Uuid>,
    /// How many items at most.
    pub limit: i64,
}

/// Makes and reads the cursors of one list.
pub struct Cursors<'a> {
    keyring: &'a Keyring,
    list: String,
}

impl<'a> Cursors<'a> {
    /// The cursors of a list, which its name and all that narrows it down identify.
    pub fn new(keyring: &'a Keyring, list: impl Into<String>) -> Self {
        Self {
            keyring,
            list: list.into(),
        }
    }

    fn message(&self, place: Uuid) -> Vec<u8> {
        let mut message = self.list.clone().into_bytes();
        message.push(0);
        message.extend_from_slice(place.as_bytes());
        message
    }

    /// The cursor for what follows an item.
    pub fn write(&self, place: Uuid) -> String {
        let code = self.keyring.mac(PURPOSE, &self.message(place));
        let mut bytes = place.as_bytes().to_vec();
        bytes.extend_from_slice(code.as_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn read(&self, cursor: &str) -> Result<Uuid, Problem> {
        let bytes = URL_SAFE_NO_PAD
            .decode(cursor)
            .map_err(|_| Problem::InvalidCursor)?;
        let (place, code) = bytes
            .split_at_checked(CODE_LENGTH)
            .ok_or(Problem::InvalidCursor)?;
        let place = Uuid::from_slice(place).map_err(|_| Problem::InvalidCursor)?;
        if self
            .keyring
            .mac_matches(PURPOSE, &self.message(place), code)
        {
            Ok(place)
        } else {
            Err(Problem::InvalidCursor)
        }
    }

    /// Reads `limit` and `cursor` from a query, which may have no other parameters.
    pub fn page(&self, query: &QueryString) -> Result<PageQuery, Problem> {
        query.only(&["limit", "cursor"])?;
        let limit = match query.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| (1..=HIGHEST_LIMIT).contains(limit))
                .ok_or_else(|| {
                    let detail = format!("must be a number from 1 to {HIGHEST_LIMIT}");
                    Problem::InvalidFields(vec![FieldFault::parameter("limit", detail)])
                })?,
        };
        let after = query
            .get("cursor")
            .map(|cursor| self.read(cursor))
            .transpose()?;
        Ok(PageQuery { after, limit })
    }

    /// Cuts a list that was read with one item too many, and writes the cursor for what follows.
    pub fn cut<T>(&self, mut items: Vec<T>, limit: i64, place: impl Fn(&T) -> Uuid) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(0);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items
            .last()
            .filter(|_| more)
            .map(|last| self.write(place(last)));
        Page { items, next }
    }
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor for what follows, if anything does.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use grantor_keys::{MasterKey, SystemEntropy};

    fn keyring() -> Keyring {
        Keyring::new(
            MasterKey::generate(&SystemEntropy::default()).unwrap(),
            Vec::new(),
        )
    }

    #[test]
    fn a_cursor_leads_back_to_its_place_on_its_own_list_alone() {
        let keyring = keyring();
        let place = Uuid::from_u128(0x1234);
        let cursors = Cursors::new(&keyring, "clients of ten_1");
        let cursor = cursors.write(place);
        assert_eq!(cursors.read(&cursor).unwrap(), place);
        for other in ["clients of ten_2", "tenants", ""] {
            assert!(
                Cursors::new(&keyring, other).read(&cursor).is_err(),
                "{other}"
            );
        }
    }

    #[test]
    fn a_forged_cursor_is_refused() {
        let keyring = keyring();
        let cursors = Cursors::new(&keyring, "clients");
        let good = cursors.write(Uuid::from_u128(7));
        for position in 0..good.len() {
            let mut letters: Vec<char> = good.chars().collect();
            letters[position] = if letters[position] == 'A' { 'B' } else { 'A' };
            let forged: String = letters.into_iter().collect();
            assert!(cursors.read(&forged).is_err() || forged == good, "{forged}");
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
            assert!(cursors.read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_page_has_a_next_one_only_when_more_follows() {
        let keyring = keyring();
        let cursors = Cursors::new(&keyring, "clients");
        let items: Vec<Uuid> = (1..=3).map(Uuid::from_u128).collect();
        assert!(cursors.cut(items.clone(), 3, |item| *item).next.is_none());
        let page = cursors.cut(items, 2, |item| *item);
        assert_eq!(page.items.len(), 2);
        assert_eq!(
            cursors.read(&page.next.unwrap()).unwrap(),
            Uuid::from_u128(2)
        );
    }
}
