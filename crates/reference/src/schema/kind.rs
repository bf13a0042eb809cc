//! What a value is, in a few words: `string (date-time) or null`, `array of Client`, `map of integer`.

use serde_json::Value;

use super::component_of;
use crate::anchor;
use crate::document::{Document, list, text};
use crate::html::Html;

/// How deep the words go before they end in `…`.
const WORDS_LIMIT: usize = 6;

/// What a value is.
pub(crate) fn kind(document: Document<'_>, schema: &Value) -> Html {
    words(document, schema, 0)
}

fn words(document: Document<'_>, schema: &Value, depth: usize) -> Html {
    if depth >= WORDS_LIMIT {
        return Html::of_text("…");
    }
    if let Some(reference) = text(schema, "$ref") {
        return reference_words(document, reference);
    }
    if let Some(constant) = schema.get("const") {
        let mut html = Html::of_text("always ");
        html.code(&constant.to_string());
        return html;
    }
    match schema {
        Value::Bool(false) => return Html::of_text("nothing"),
        Value::Object(_) => {}
        _ => return Html::of_text("any value"),
    }
    for (key, separator) in [("oneOf", " or "), ("anyOf", " or "), ("allOf", " and ")] {
        let parts = list(schema, key);
        if !parts.is_empty() {
            let parts: Vec<Html> = parts
                .iter()
                .map(|part| words(document, part, depth + 1))
                .collect();
            return Html::joined(&parts, separator);
        }
    }
    let names = type_names(schema);
    if names.is_empty() {
        return Html::of_text("any value");
    }
    let names: Vec<Html> = names
        .iter()
        .map(|name| type_words(document, schema, name, depth))
        .collect();
    Html::joined(&names, " or ")
}

fn reference_words(document: Document<'_>, reference: &str) -> Html {
    let mut html = Html::new();
    match component_of(reference) {
        Some(name)
            if document
                .components("schemas")
                .any(|(known, _)| known == name) =>
        {
            let address = anchor::link_to(&anchor::schema(name));
            html.link(&address, &Html::of_text(name));
        }
        Some(name) => {
            html.text(name);
        }
        None => {
            html.code(reference);
        }
    }
    html
}

/// The types that a schema names, or else the one that its other words are about.
pub(super) fn type_names(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => return vec![name],
        Some(Value::Array(names)) => return names.iter().filter_map(Value::as_str).collect(),
        _ => {}
    }
    if schema.get("properties").is_some() || schema.get("additionalProperties").is_some() {
        return vec!["object"];
    }
    if schema.get("items").is_some() || schema.get("prefixItems").is_some() {
        return vec!["array"];
    }
    let values = list(schema, "enum");
    if !values.is_empty() && values.iter().all(Value::is_string) {
        return vec!["string"];
    }
    Vec::new()
}

fn type_words(document: Document<'_>, schema: &Value, name: &str, depth: usize) -> Html {
    let mut html = Html::new();
    match name {
        "array" => {
            let places: Vec<Html> = list(schema, "prefixItems")
                .iter()
                .map(|place| words(document, place, depth + 1))
                .collect();
            html.text("array");
            if !places.is_empty() {
                html.raw(" (").append(&Html::joined(&places, ", ")).raw(")");
            }
            if let Some(items) = schema
                .get("items")
                .filter(|items| **items != Value::Bool(false))
            {
                html.raw(" of ").append(&words(document, items, depth + 1));
            }
        }
        "object" => match schema.get("additionalProperties") {
            Some(values @ Value::Object(_)) if schema.get("properties").is_none() => {
                html.raw("map of ")
                    .append(&words(document, values, depth + 1));
            }
            _ => {
                html.text("object");
            }
        },
        // The format is the other type's, if null is one of two.
        "null" => {
            html.text("null");
        }
        other => {
            html.text(other);
            if let Some(format) = text(schema, "format") {
                html.raw(" (").text(format).raw(")");
            }
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::kind;
    use crate::document::Document;

    fn words(schema: &Value) -> String {
        let root = json!({ "components": { "schemas": { "Client": {} } } });
        kind(Document::new(&root), schema).into_string()
    }

    #[test]
    fn simple_types_with_their_formats() {
        assert_eq!(words(&json!({ "type": "string" })), "string");
        assert_eq!(
            words(&json!({ "type": ["string", "null"], "format": "date-time" })),
            "string (date-time) or null"
        );
        assert_eq!(words(&json!({ "enum": ["a", "b"] })), "string");
        assert_eq!(
            words(&json!({ "const": "a<b" })),
            "always <code>&quot;a&lt;b&quot;</code>"
        );
        assert_eq!(words(&json!({})), "any value");
        assert_eq!(words(&json!(true)), "any value");
        assert_eq!(words(&json!(false)), "nothing");
    }

    #[test]
    fn a_known_reference_is_a_link_and_an_unknown_one_is_none() {
        let client = r##"<a href="#schema/Client">Client</a>"##;
        assert_eq!(
            words(&json!({ "$ref": "#/components/schemas/Client" })),
            client
        );
        assert_eq!(
            words(&json!({ "$ref": "#/components/schemas/Missing" })),
            "Missing"
        );
        assert_eq!(
            words(&json!({ "$ref": "https://elsewhere.example/x" })),
            "<code>https://elsewhere.example/x</code>"
        );
        assert_eq!(
            words(&json!({ "type": "array", "items": { "$ref": "#/components/schemas/Client" } })),
            format!("array of {client}")
        );
        assert_eq!(
            words(
                &json!({ "oneOf": [{ "$ref": "#/components/schemas/Client" }, { "type": "null" }] })
            ),
            format!("{client} or null")
        );
        assert_eq!(
            words(
                &json!({ "allOf": [{ "$ref": "#/components/schemas/Client" }, { "type": "object" }] })
            ),
            format!("{client} and object")
        );
    }

    #[test]
    fn maps_and_lists_say_of_what() {
        assert_eq!(
            words(&json!({ "type": "object", "additionalProperties": { "type": "integer" } })),
            "map of integer"
        );
        assert_eq!(
            words(&json!({ "type": "object", "additionalProperties": false })),
            "object"
        );
        assert_eq!(
            words(
                &json!({ "prefixItems": [{ "type": "string" }, { "type": "number" }], "items": false })
            ),
            "array (string, number)"
        );
        assert_eq!(
            words(
                &json!({ "type": ["array", "null"], "items": { "type": "string", "format": "uri" } })
            ),
            "array of string (uri) or null"
        );
    }

    #[test]
    fn the_words_end_somewhere() {
        let mut schema = json!({ "type": "string" });
        for _ in 0..50 {
            schema = json!({ "type": "array", "items": schema });
        }
        assert!(words(&schema).ends_with("array of …"));
    }
}
