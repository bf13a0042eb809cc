//! `If-Match`: a change that only goes through when the thing is as the caller last saw it.

use crate::answer::entity_tag;
use crate::problem::{FieldFault, Problem};

/// What `If-Match` demands (RFC 9110 §13.1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    None,
    /// That the thing exists.
    Exists,
    /// That its state is one of these.
    OneOf(Vec<String>),
}

impl Condition {
    /// Reads the header.
    pub fn parse(header: Option<&str>) -> Result<Self, Problem> {
        let Some(header) = header else {
            return Ok(Self::None);
        };
        if header.trim() == "*" {
            return Ok(Self::Exists);
        }
        let tags: Vec<String> = header.split(',').map(|tag| tag.trim().to_owned()).collect();
        // RFC 9110 §13.1.1: weak validators never match here, so they are syntax that is taken and of no use.
        let is_tag = |tag: &String| {
            tag.strip_prefix("W/")
                .unwrap_or(tag)
                .strip_prefix('"')
                .and_then(|rest| rest.strip_suffix('"'))
                .is_some_and(|tag| !tag.contains('"'))
        };
        if tags.iter().all(is_tag) {
            Ok(Self::OneOf(tags))
        } else {
            Err(Problem::InvalidFields(vec![FieldFault::parameter(
                "If-Match",
                "must be the ETag of an answer before, with its quotation marks, or *",
            )]))
        }
    }

    /// Refuses when the thing is in another state.
    pub fn check(&self, revision: i64) -> Result<(), Problem> {
        let current = entity_tag(revision);
        match self {
            Self::OneOf(tags) if !tags.contains(&current) => {
                Err(Problem::PreconditionFailed { current })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, revision: i64) -> bool {
        Condition::parse(Some(header))
            .unwrap()
            .check(revision)
            .is_ok()
    }

    #[test]
    fn only_the_present_state_matches() {
        assert!(check("\"3\"", 3));
        assert!(check("\"2\", \"3\"", 3));
        assert!(check("*", 3));
        assert!(!check("\"2\"", 3));
        assert!(!check("\"33\"", 3));
        assert!(!check("W/\"3\"", 3), "a weak validator never matches");
        assert!(Condition::parse(None).unwrap().check(3).is_ok());
    }

    #[test]
    fn what_is_no_validator_is_refused() {
        for header in ["3", "", "\"3", "\"3\",", "\"a\"b\"", "'3'"] {
            assert!(Condition::parse(Some(header)).is_err(), "{header}");
        }
    }
}
