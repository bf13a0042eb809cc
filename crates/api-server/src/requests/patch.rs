//! Changing part of a thing (RFC 7396), or the whole of it.
//!
//! Either may hold fields that can't be set, as long as they say what is so already: then what was read can
//! be sent back with a field changed.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::{BODY_LIMIT, Body, BodyShape, RawBody, escaped, parse_value};
use super::unique::{UniqueFields, UniqueValue};
use crate::problem::{FieldFault, Problem};
use crate::schemas::SchemaOf;

/// The fields of a `T` that are to be changed, and those alone.
#[derive(Debug)]
pub struct MergePatch<T> {
    fields: Map<String, Value>,
    of: PhantomData<T>,
}

/// A whole `T`: what is absent gets its default.
#[derive(Debug)]
pub struct Whole<T> {
    fields: Map<String, Value>,
    of: PhantomData<T>,
}

const PATCH: &[&str] = &["application/merge-patch+json", "application/json"];
const JSON: &[&str] = &["application/json"];

impl<T: ToSchema + 'static> Body for MergePatch<T> {
    fn shape() -> BodyShape {
        BodyShape {
            schema: SchemaOf::patch_of::<T>(),
            media_types: PATCH,
            required: true,
            limit: BODY_LIMIT,
        }
    }

    fn read(raw: &RawBody) -> Result<Self, Problem> {
        Ok(Self {
            fields: unrepeated(raw, PATCH)?,
            of: PhantomData,
        })
    }
}

impl<T: ToSchema + 'static> Body for Whole<T> {
    fn shape() -> BodyShape {
        BodyShape {
            schema: SchemaOf::new::<T>(),
            media_types: JSON,
            required: true,
            limit: BODY_LIMIT,
        }
    }

    fn read(raw: &RawBody) -> Result<Self, Problem> {
        Ok(Self {
            fields: unrepeated(raw, JSON)?,
            of: PhantomData,
        })
    }
}

fn unrepeated(
    raw: &RawBody,
    media_types: &'static [&'static str],
) -> Result<Map<String, Value>, Problem> {
    raw.json::<UniqueFields<UniqueValue>>(media_types)
        .map(UniqueFields::into_object)
}

impl<T> MergePatch<T> {
    /// The same without these fields: what they say of a thing is taken, whatever it is, and has no effect.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.fields
            .retain(|name, _| !names.contains(&name.as_str()));
        self
    }
}

impl<T> Whole<T> {
    /// The same without these fields: what they say of a thing is taken, whatever it is, and has no effect.
    #[must_use]
    pub fn without(mut self, names: &[&str]) -> Self {
        self.fields
            .retain(|name, _| !names.contains(&name.as_str()));
        self
    }
}

impl<T: Serialize + DeserializeOwned> MergePatch<T> {
    /// What a thing comes to by this patch. `current` is what can be set, `shown` all that is shown of it.
    pub fn apply(self, current: &T, shown: &impl Serialize) -> Result<T, Problem> {
        let mut whole = serde_json::to_value(current).unwrap_or_default();
        let fields = settable(self.fields, &whole, shown)?;
        merge(&mut whole, Value::Object(fields));
        parse_value(whole)
    }
}

impl<T: Serialize + DeserializeOwned> Whole<T> {
    /// What a thing comes to by this. `current` is what can be set, `shown` all that is shown of it.
    pub fn apply(self, current: &T, shown: &impl Serialize) -> Result<T, Problem> {
        let current = serde_json::to_value(current).unwrap_or_default();
        parse_value(Value::Object(settable(self.fields, &current, shown)?))
    }
}

/// Takes out what can't be set but says what is so already; what says something else is at fault.
fn settable(
    mut fields: Map<String, Value>,
    current: &Value,
    shown: &impl Serialize,
) -> Result<Map<String, Value>, Problem> {
    let shown = serde_json::to_value(shown).unwrap_or_default();
    let mut faults = Vec::new();
    fields.retain(|name, value| {
        if current.get(name).is_some() {
            return true;
        }
        match shown.get(name) {
            Some(now) if now == value => {}
            Some(now) => faults.push(FieldFault::pointer(
                format!("/{}", escaped(name)),
                format!("can't be set; leave it out, or send what it is: {now}"),
            )),
            None => faults.push(FieldFault::pointer(
                format!("/{}", escaped(&name.chars().take(100).collect::<String>())),
                "is not a field of this",
            )),
        }
        false
    });
    if faults.is_empty() {
        Ok(fields)
    } else {
        Err(Problem::InvalidFields(faults))
    }
}

/// RFC 7396 §2.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else {
        return;
    };
    for (name, value) in fields {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Thing {
        name: String,
        #[serde(default = "seven")]
        number: i64,
        contact: Contact,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Contact {
        name: Option<String>,
        email: String,
    }

    fn seven() -> i64 {
        7
    }

    fn thing() -> Thing {
        Thing {
            name: "A".to_owned(),
            number: 3,
            contact: Contact {
                name: Some("N".to_owned()),
                email: "e".to_owned(),
            },
        }
    }

    fn patched(patch: &Value) -> Result<Thing, Problem> {
        let shown = json!({ "id": "cli_1", "revision": 4, "name": "A", "number": 3 });
        let patch = MergePatch::<Thing>::read(&RawBody::of_value(Some(patch)))?;
        patch.apply(&thing(), &shown)
    }

    fn fault(patch: &Value) -> FieldFault {
        match patched(patch).unwrap_err() {
            Problem::InvalidFields(mut faults) => faults.remove(0),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_absent_stays_as_it_is() {
        assert_eq!(patched(&json!({})).unwrap(), thing());
        let renamed = patched(&json!({ "name": "B" })).unwrap();
        assert_eq!((renamed.name.as_str(), renamed.number), ("B", 3));
        let deep = patched(&json!({ "contact": { "email": "f" } })).unwrap();
        assert_eq!(deep.contact.name.as_deref(), Some("N"));
        assert_eq!(deep.contact.email, "f");
    }

    #[test]
    fn null_restores_the_default_and_is_refused_where_there_is_none() {
        assert_eq!(patched(&json!({ "number": null })).unwrap().number, 7);
        let nameless = patched(&json!({ "contact": { "name": null } })).unwrap();
        assert_eq!(nameless.contact.name, None);
        assert!(
            fault(&json!({ "name": null }))
                .detail
                .contains("missing field `name`")
        );
    }

    #[test]
    fn what_cannot_be_set_may_say_what_is_so() {
        assert_eq!(
            patched(&json!({ "id": "cli_1", "revision": 4 })).unwrap(),
            thing()
        );
        assert_eq!(
            fault(&json!({ "revision": 5 })).pointer.unwrap(),
            "/revision"
        );
        assert_eq!(fault(&json!({ "id": null })).pointer.unwrap(), "/id");
        assert_eq!(fault(&json!({ "colour": 1 })).pointer.unwrap(), "/colour");
        let twice = RawBody::of_value(None);
        assert!(MergePatch::<Thing>::read(&twice).is_err());
    }

    #[test]
    fn a_whole_thing_gets_defaults_for_what_is_absent() {
        let shown = json!({ "id": "cli_1" });
        let body = json!({ "id": "cli_1", "name": "C", "contact": { "email": "g" } });
        let whole = Whole::<Thing>::read(&RawBody::of_value(Some(&body))).unwrap();
        let whole = whole.apply(&thing(), &shown).unwrap();
        assert_eq!((whole.name.as_str(), whole.number), ("C", 7));
        assert_eq!(whole.contact.name, None);
    }
}
