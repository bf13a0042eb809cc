//! The tree of organizations: what stands in it, where something may be put, and what keeps one from going (`org_1`).

use std::fmt;

use chrono::{DateTime, Utc};
use thiserror::Error;

use crate::ids::OrganizationId;
use crate::text::OrganizationName;

/// How many organizations may lie one below the other, the root among them.
pub const DEEPEST: usize = 32;

/// An organization as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organization {
    /// Its id.
    pub id: OrganizationId,
    /// The one that it lies under; the root alone lies under none.
    pub parent: Option<OrganizationId>,
    /// Its name, which siblings may share.
    pub name: OrganizationName,
    /// Raised by every change to it, and when something is made, moved or deleted right below it.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it or what lies right below it last changed.
    pub updated_at: DateTime<Utc>,
}

/// Why something can't be put under an organization; each sentence says the mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlaceRefusal {
    /// It would lie under itself.
    #[error("must be an organization that is not moved along: neither this one nor one below it")]
    UnderItself,
    /// The tree would be too deep.
    #[error(
        "lies too deep: at most {DEEPEST} organizations may lie one below the other; take one higher up"
    )]
    TooDeep,
}

/// Decides whether a tree of so many levels, its top among them, may be put under the organization to which `path`
/// leads from the root, both included. `top` is the one that is moved, unless it is only being made.
pub fn may_be_put_under(
    path: &[OrganizationId],
    top: Option<OrganizationId>,
    levels: usize,
) -> Result<(), PlaceRefusal> {
    if top.is_some_and(|top| path.contains(&top)) {
        return Err(PlaceRefusal::UnderItself);
    }
    if path.len().saturating_add(levels) > DEEPEST {
        return Err(PlaceRefusal::TooDeep);
    }
    Ok(())
}

/// What is in an organization itself, each kind counted up to [`Contents::COUNTED`]. One that has any can't go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Contents {
    /// The business groups right below it.
    pub groups: i64,
    /// The clients that live in it.
    pub clients: i64,
    /// The members that live in it.
    pub members: i64,
    /// The roles that somebody holds over it.
    pub role_assignments: i64,
}

impl Contents {
    /// How far each kind is counted.
    pub const COUNTED: i64 = 100;

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = [
            (self.groups, "business group"),
            (self.clients, "client"),
            (self.members, "member"),
            (self.role_assignments, "role assignment"),
        ]
        .into_iter()
        .filter_map(|(count, what)| match count {
            ..=0 => None,
            1 => Some(format!("1 {what}")),
            Self::COUNTED.. => Some(format!("at least {} {what}s", Self::COUNTED)),
            _ => Some(format!("{count} {what}s")),
        })
        .collect();
        match told.split_last() {
            None => f.write_str("nothing"),
            Some((last, [])) => f.write_str(last),
            Some((last, before)) => write!(f, "{} and {last}", before.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn path(numbers: impl IntoIterator<Item = u128>) -> Vec<OrganizationId> {
        numbers
            .into_iter()
            .map(|number| OrganizationId::from_uuid(Uuid::from_u128(number)))
            .collect()
    }

    #[test]
    fn org_1_nothing_is_put_under_itself_or_under_what_lies_below_it() {
        let way = path([1, 2, 3]);
        for within in &way {
            let refused = may_be_put_under(&way, Some(*within), 1);
            assert_eq!(refused, Err(PlaceRefusal::UnderItself));
        }
        assert_eq!(may_be_put_under(&way, path([4]).pop(), 1), Ok(()));
        assert_eq!(may_be_put_under(&way, None, 1), Ok(()));
    }

    #[test]
    fn org_1_a_tree_is_at_most_32_deep_with_all_that_is_put_there() {
        let deep = Err(PlaceRefusal::TooDeep);
        for (above, levels, wanted) in [
            (31, 1, Ok(())),
            (32, 1, deep),
            (1, 31, Ok(())),
            (1, 32, deep),
            (16, 16, Ok(())),
            (16, 17, deep),
            (1, usize::MAX, deep),
        ] {
            let way = path(1..=above);
            assert_eq!(
                may_be_put_under(&way, None, levels),
                wanted,
                "{above} {levels}"
            );
        }
    }

    #[test]
    fn what_is_left_is_told_in_a_sentence() {
        let contents = |groups, clients, members, role_assignments| Contents {
            groups,
            clients,
            members,
            role_assignments,
        };
        for (contents, told) in [
            (contents(0, 0, 0, 0), "nothing"),
            (contents(1, 0, 0, 0), "1 business group"),
            (contents(0, 2, 0, 1), "2 clients and 1 role assignment"),
            (
                contents(1, 3, 2, 1),
                "1 business group, 3 clients, 2 members and 1 role assignment",
            ),
            (
                contents(0, 100, 99, 0),
                "at least 100 clients and 99 members",
            ),
        ] {
            assert_eq!(contents.to_string(), told);
            assert_eq!(contents.is_empty(), told == "nothing");
        }
    }
}
