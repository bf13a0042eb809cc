//! Lists of things of which a tenant may have very many: in some order, narrowed, or found by how words of theirs begin.
//!
//! What is listed is told by a [`Listed`]. How long a page takes hangs on the page, not on how many things there are:
//!
//! - What an index begins with is read along it, in its order; what lives in several organizations is merged of what each
//!   of them has (`merged`).
//! - What must be picked out besides is looked for near the place first, for mostly many meet it (`looks`). Else where one
//!   of the things that are asked for leaves few altogether, these are looked at one by one (`few`).
//! - Where neither helps, because many meet each thing that is asked for and few meet all of them, a longer piece of the
//!   way is gone, and it is told where that ended: the page is short, and the list goes on from there.

mod few;
mod looks;
mod merged;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use diesel::pg::PgConnection;
use grantor_domain::ids::{OrganizationId, TenantId};
use grantor_domain::search::Sought;
use uuid::Uuid;

pub(crate) use self::statement::Value;
use crate::error::StorageError;

/// So many things, or words of theirs, are looked at one by one at most.
const LOOKS: i64 = 2_000;
/// Among so few organizations a page is merged at once.
const FEW_ORGANIZATIONS: usize = 16;

/// A place in an order: the name or whatever else it is by, where it is not that of making, and the id.
pub type Place = (Option<String>, Uuid);

/// Part of a list.
#[derive(Debug)]
pub struct Part<T> {
    /// What was found, in the order of the list, with the places.
    pub found: Vec<(Place, T)>,
    /// The place of the last that was looked at, if looking stopped there before as many were found as were asked for.
    /// The list goes on from it.
    pub stopped_at: Option<Place>,
}

impl<T> Default for Part<T> {
    fn default() -> Self {
        Self {
            found: Vec::new(),
            stopped_at: None,
        }
    }
}

impl<T> Part<T> {
    /// The same of what is made of each thing.
    pub fn map<U>(self, make: impl Fn(T) -> U) -> Part<U> {
        Part {
            found: self
                .found
                .into_iter()
                .map(|(place, thing)| (place, make(thing)))
                .collect(),
            stopped_at: self.stopped_at,
        }
    }

    /// The same of those of which something can be made. If that leaves the part short, the list goes on from its last.
    pub fn keep<U>(self, mut make: impl FnMut(T) -> Option<U>) -> Part<U> {
        let last = self.found.last().map(|(place, _)| place.clone());
        let many = self.found.len();
        let found: Vec<(Place, U)> = self
            .found
            .into_iter()
            .filter_map(|(place, thing)| Some((place, make(thing)?)))
            .collect();
        let stopped_at = self.stopped_at.or(last.filter(|_| found.len() < many));
        Part { found, stopped_at }
    }
}

impl Part<()> {
    /// The ids of what was found.
    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.found.iter().map(|((_, id), ())| *id).collect()
    }

    /// The same with the things themselves, as far as they are there. What went between one statement and the next
    /// leaves the part short, and not the last.
    pub(crate) fn with<T>(self, mut things: HashMap<Uuid, T>) -> Part<T> {
        let ids = self.ids();
        let mut ids = ids.iter();
        self.keep(|()| ids.next().and_then(|id| things.remove(id)))
    }
}

/// Things that are listed. Their table has the columns `tenant_id`, `id`, `organization_id` and `status`, and an index that
/// begins with the tenant, one that begins with tenant and state, and one that begins with tenant, organization and
/// state, and goes on in the order: each for every order.
#[derive(Debug)]
pub(crate) struct Listed {
    /// Their table.
    pub(crate) table: &'static str,
    /// The table of their words.
    pub(crate) words: &'static str,
    /// Its column that names whose a word is.
    pub(crate) whose: &'static str,
    /// The states that there are.
    pub(crate) states: &'static [&'static str],
}

/// What things must meet to be on a list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Narrowed {
    /// They live in one of these.
    pub(crate) organizations: Option<Vec<Uuid>>,
    /// They are in this state.
    pub(crate) status: Option<&'static str>,
    /// Columns hold these values. An index begins with the tenant and such a column, and goes on in the order, for every
    /// order; or there are few with one value. The first leads, so it should be the one that fewest meet.
    pub(crate) equal: Vec<(&'static str, Value)>,
}

/// In which order things are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order<'s> {
    /// That of their making.
    Made,
    /// That of a column.
    By(&'static str),
    /// That of the words found, of those that meet all that is sought. It is not turned round.
    Found(&'s Sought),
}

/// A page that is asked for.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) narrowed: &'a Narrowed,
    pub(crate) order: Order<'a>,
    pub(crate) descending: bool,
    pub(crate) after: Option<Place>,
    pub(crate) limit: i64,
}

/// Finds up to so many things as are asked for, in the order, from after the place.
pub(crate) fn page(
    connection: &mut PgConnection,
    listed: &Listed,
    asked: &Asked<'_>,
) -> Result<Part<()>, StorageError> {
    let organizations = match (&asked.narrowed.organizations, asked.order) {
        (Some(organizations), Order::Made | Order::By(_)) => Some(organizations.as_slice()),
        (None, _) | (_, Order::Found(_)) => None,
    };
    let alone = asked.narrowed.equal.is_empty();
    if let Some(organizations) = organizations
        && alone
        && organizations.len() <= FEW_ORGANIZATIONS
    {
        return merged::page(connection, listed, asked, organizations);
    }
    let near = looks::along(connection, listed, asked, asked.limit.saturating_mul(4))?;
    if near.stopped_at.is_none() {
        return Ok(near);
    }
    if let Some(organizations) = organizations
        && alone
    {
        return merged::page(connection, listed, asked, organizations);
    }
    if let Some(few) = few::all(connection, listed, asked)? {
        return looks::among(connection, listed, asked, &few);
    }
    match organizations {
        Some(organizations) => merged::looked_at(connection, listed, asked, organizations),
        None => looks::along(connection, listed, asked, LOOKS),
    }
}

/// The organizations, each once.
pub(crate) fn each_once(organizations: &[OrganizationId]) -> Vec<Uuid> {
    let mut ids: Vec<Uuid> = organizations.iter().map(|id| id.uuid()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

impl Asked<'_> {
    /// Whether so many fill the page.
    fn is_filled_by<T>(&self, found: &[T]) -> bool {
        i64::try_from(found.len()).is_ok_and(|many| many >= self.limit)
    }

    /// The states that may be met with.
    fn states<'l>(&self, listed: &'l Listed) -> Vec<&'l str> {
        match self.narrowed.status {
            Some(status) => vec![status],
            None => listed.states.to_vec(),
        }
    }

    /// Where something stands.
    fn place(&self, key: String, id: Uuid) -> Place {
        let key = match self.order {
            Order::Made => None,
            Order::By(_) | Order::Found(_) => Some(key),
        };
        (key, id)
    }
}
