//! An example of a schema's values, made from the examples, defaults and limits of its parts.

use serde_json::{Map, Value, json};

use crate::document::{Document, flag, list, text};
use crate::schema::properties_in_order;

/// How deep an example goes.
const DEPTH_LIMIT: usize = 10;

/// What the example is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// What one sends: what must be there, and what has an example of its own.
    Request,
    /// What one gets: everything.
    Answer,
    /// What one gets when it went wrong: everything too, and much the same each time.
    Failure,
}

/// An example of a schema's values; nothing for a schema that allows none or says nothing.
pub(crate) fn sample(document: Document<'_>, schema: &Value, purpose: Purpose) -> Option<Value> {
    Sampler { document, purpose }.of(schema, &mut Vec::new())
}

#[derive(Clone, Copy)]
struct Sampler<'a> {
    document: Document<'a>,
    purpose: Purpose,
}

impl<'a> Sampler<'a> {
    /// `path` holds the references that led here: one that leads back is not followed again.
    fn of(self, schema: &'a Value, path: &mut Vec<&'a str>) -> Option<Value> {
        if let Some(given) = given(schema) {
            return Some(given.clone());
        }
        if let Some(reference) = text(schema, "$ref") {
            let target = self.document.resolve(schema);
            if path.contains(&reference) || path.len() >= DEPTH_LIMIT || target == schema {
                return None;
            }
            path.push(reference);
            let found = self.of(target, path);
            path.pop();
            return found;
        }
        if let Some(default) = schema.get("default") {
            return Some(default.clone());
        }
        if let Some(first) = list(schema, "enum").first() {
            return Some(first.clone());
        }
        for key in ["oneOf", "anyOf"] {
            let found = list(schema, key)
                .iter()
                .find_map(|part| self.of(part, path).filter(|value| !value.is_null()));
            if found.is_some() {
                return found;
            }
        }
        if !list(schema, "allOf").is_empty() {
            return self.merged(schema, path);
        }
        self.of_type(schema, path)
    }

    fn merged(self, schema: &'a Value, path: &mut Vec<&'a str>) -> Option<Value> {
        let mut merged = Map::new();
        let mut other = None;
        for part in list(schema, "allOf") {
            match self.of(part, path) {
                Some(Value::Object(properties)) => merged.extend(properties),
                found => other = other.or(found),
            }
        }
        if schema.get("properties").is_some() {
            merged.extend(self.object(schema, path));
        }
        if merged.is_empty() {
            other
        } else {
            Some(Value::Object(merged))
        }
    }

    fn of_type(self, schema: &'a Value, path: &mut Vec<&'a str>) -> Option<Value> {
        match first_type(schema)? {
            "object" => Some(Value::Object(self.object(schema, path))),
            "array" => {
                let places: Vec<Value> = list(schema, "prefixItems")
                    .iter()
                    .chain(schema.get("items"))
                    .filter_map(|items| self.of(items, path))
                    .collect();
                Some(Value::Array(places))
            }
            "string" => Some(Value::String(string(schema).to_owned())),
            "integer" | "number" => Some(
                schema
                    .get("minimum")
                    .filter(|least| least.as_f64().is_some_and(|least| least > 0.0))
                    .cloned()
                    .unwrap_or_else(|| json!(1)),
            ),
            "boolean" => Some(json!(false)),
            "null" => Some(Value::Null),
            _ => None,
        }
    }

    fn object(self, schema: &'a Value, path: &mut Vec<&'a str>) -> Map<String, Value> {
        let mut object = Map::new();
        for (name, property, is_required) in properties_in_order(schema) {
            let is_wanted = match self.purpose {
                Purpose::Request => {
                    !flag(property, "readOnly") && (is_required || given(property).is_some())
                }
                Purpose::Answer | Purpose::Failure => !flag(property, "writeOnly"),
            };
            if is_wanted && let Some(value) = self.of(property, path) {
                object.insert(name.to_owned(), value);
            }
        }
        if object.is_empty()
            && let Some(values) = schema.get("additionalProperties").filter(|v| v.is_object())
            && let Some(value) = self.of(values, path)
        {
            object.insert("name".to_owned(), value);
        }
        object
    }
}

/// The example that a schema gives itself.
fn given(schema: &Value) -> Option<&Value> {
    schema
        .get("example")
        .or_else(|| list(schema, "examples").first())
        .or_else(|| schema.get("const"))
}

fn first_type(schema: &Value) -> Option<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Array(names)) => names.first()?.as_str(),
        _ if schema.get("properties").is_some() => Some("object"),
        _ if schema.get("items").is_some() => Some("array"),
        _ => None,
    }
}

fn string(schema: &Value) -> &'static str {
    match text(schema, "format") {
        Some("date-time") => "2026-01-31T09:30:00Z",
        Some("date") => "2026-01-31",
        Some("time") => "09:30:00Z",
        Some("duration") => "PT1H",
        Some("email") => "name@example.com",
        Some("uri" | "url") => "https://example.com/",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("uuid") => "01890a5d-ac96-774b-bcce-b302099a8057",
        _ => "…",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Purpose, sample};
    use crate::document::Document;

    fn request(root: &Value, schema: &Value) -> Option<Value> {
        sample(Document::new(root), schema, Purpose::Request)
    }

    #[test]
    fn a_request_has_what_it_must_have_and_what_is_exemplified() {
        let schema = json!({
            "required": ["name", "id"],
            "properties": {
                "name": { "type": "string", "example": "Nightly export" },
                "id": { "type": "string", "readOnly": true },
                "note": { "type": "string" },
                "limit": { "type": "integer", "example": 5 },
            },
        });
        assert_eq!(
            request(&json!({}), &schema),
            Some(json!({ "name": "Nightly export", "limit": 5 }))
        );
        assert_eq!(
            sample(Document::new(&json!({})), &schema, Purpose::Answer),
            Some(json!({ "name": "Nightly export", "id": "…", "note": "…", "limit": 5 }))
        );
    }

    #[test]
    fn an_example_goes_before_what_could_be_made_up() {
        for (schema, expected) in [
            (
                json!({ "type": "string", "examples": ["a", "b"], "default": "c" }),
                json!("a"),
            ),
            (
                json!({ "type": "string", "default": "c", "enum": ["d"] }),
                json!("c"),
            ),
            (json!({ "enum": ["d", "e"] }), json!("d")),
            (json!({ "const": 7 }), json!(7)),
            (
                json!({ "type": ["string", "null"], "format": "date" }),
                json!("2026-01-31"),
            ),
            (json!({ "type": "integer", "minimum": 60 }), json!(60)),
            (json!({ "type": "integer", "minimum": 0 }), json!(1)),
            (
                json!({ "oneOf": [{ "type": "null" }, { "type": "boolean" }] }),
                json!(false),
            ),
            (
                json!({ "type": "object", "additionalProperties": { "type": "number" } }),
                json!({ "name": 1 }),
            ),
        ] {
            assert_eq!(request(&json!({}), &schema), Some(expected), "{schema}");
        }
        assert_eq!(request(&json!({}), &json!({})), None);
    }

    #[test]
    fn all_of_is_one_object() {
        let root = json!({ "components": { "schemas": { "Base": {
            "required": ["a"], "properties": { "a": { "type": "integer" } },
        } } } });
        let schema = json!({ "allOf": [
            { "$ref": "#/components/schemas/Base" },
            { "required": ["b"], "properties": { "b": { "const": "x" } } },
        ] });
        assert_eq!(request(&root, &schema), Some(json!({ "a": 1, "b": "x" })));
    }

    #[test]
    fn a_circle_of_references_ends() {
        let root = json!({ "components": { "schemas": { "Node": {
            "required": ["name", "children"],
            "properties": {
                "name": { "type": "string" },
                "children": { "type": "array", "items": { "$ref": "#/components/schemas/Node" } },
            },
        } } } });
        assert_eq!(
            request(&root, &json!({ "$ref": "#/components/schemas/Node" })),
            Some(json!({ "name": "…", "children": [] }))
        );
    }
}
