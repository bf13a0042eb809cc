//! The parameters of a request's query, each of which may stand there once, and none unknown.

use grantor_protocol::form::Form;

use crate::operation::Facts;
use crate::problem::{FieldFault, Problem};

/// The parameters of a query, every one of them known to the operation.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads the query of a request to this operation.
    pub fn parse(text: &str, facts: &Facts) -> Result<Self, Problem> {
        let form = Form::parse(text.as_bytes()).map_err(|error| {
            let detail = format!("in the query: {error}");
            Problem::InvalidFields(vec![FieldFault {
                pointer: None,
                parameter: None,
                detail,
            }])
        })?;
        let known = known(facts);
        let mut faults = Vec::new();
        let mut given = Vec::new();
        for name in form.names() {
            if !known.contains(&name) {
                faults.push(FieldFault::parameter(name, unknown(&known)));
            } else if let Some(value) = form.get(name) {
                given.push((name.to_owned(), value.to_owned()));
            } else {
                // A filter or position that turned out empty must not be taken for none at all.
                let detail = "must not be empty; leave it out if it is not meant";
                faults.push(FieldFault::parameter(name, detail));
            }
        }
        for parameter in facts.query {
            let value = form.get(parameter.name);
            if parameter.required && !form.names().any(|name| name == parameter.name) {
                faults.push(FieldFault::parameter(
                    parameter.name,
                    format!("is missing: {}", parameter.about),
                ));
            }
            if value.is_some_and(|value| value.chars().count() > parameter.max_length) {
                faults.push(FieldFault::parameter(
                    parameter.name,
                    format!("must have at most {} characters", parameter.max_length),
                ));
            }
        }
        if faults.is_empty() {
            Ok(Self(given))
        } else {
            Err(Problem::InvalidFields(faults))
        }
    }

    /// One parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A parameter that is `true` or `false`, and `false` when it isn't there.
    pub fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.get(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::parameter(name, "must be `true` or `false`")),
        }
    }

    /// The same parameters in one order, without those that don't belong to what a request is about.
    pub fn essence(&self, without: &[&str]) -> String {
        let mut given: Vec<_> = self
            .0
            .iter()
            .filter(|(name, _)| !without.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}={value:?}"))
            .collect();
        given.sort();
        given.join("&")
    }
}

#[cfg(test)]
impl Query {
    /// A query of these parameters.
    pub fn of(given: &[(&str, &str)]) -> Self {
        let given = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self(given.collect())
    }
}

/// A filter that is misspelt must not be ignored.
fn unknown(known: &[&str]) -> String {
    if known.is_empty() {
        "is not known here; no parameters are taken".to_owned()
    } else {
        format!("is not known here; use {}", known.join(", "))
    }
}

fn known(facts: &Facts) -> Vec<&'static str> {
    let mut known = Vec::new();
    if let Some(rules) = facts.list {
        known.extend(["limit", "cursor"]);
        if !rules.sorts.is_empty() {
            known.push("sort");
        }
        known.extend(rules.filters.iter().map(|filter| filter.name));
    }
    known.extend(facts.query.iter().map(|parameter| parameter.name));
    if facts.is_change() {
        known.push("dry_run");
    }
    known
}
