//! The table of an object's properties.

use serde_json::Value;

use super::kind::type_names;
use super::limits::plain;
use super::{DEPTH_LIMIT, described, kind, limits, properties_in_order};
use crate::document::{Document, entries, flag, list, text};
use crate::html::Html;

/// Whether a schema is an object with known properties, or with none but them.
pub(super) fn is_object(schema: &Value) -> bool {
    schema.get("properties").is_some()
        || (type_names(schema) == ["object"]
            && schema.get("additionalProperties") == Some(&Value::Bool(false)))
}

/// The properties, and which others an object may have; nothing for what is no object.
pub(super) fn table(document: Document<'_>, schema: &Value, depth: usize) -> Html {
    let mut html = Html::new();
    let mut rows = Html::new();
    add_rows(document, schema, "", depth, &mut rows);
    if !rows.is_empty() {
        html.raw(
            "<table role=\"table\" class=\"stacked\"><thead role=\"rowgroup\"><tr role=\"row\">",
        )
        .raw("<th role=\"columnheader\" scope=\"col\">Property</th>")
        .raw("<th role=\"columnheader\" scope=\"col\">Type</th>")
        .raw("<th role=\"columnheader\" scope=\"col\">Meaning</th></tr></thead>")
        .raw("<tbody role=\"rowgroup\">")
        .append(&rows)
        .raw("</tbody></table>");
    }
    if is_object(schema) {
        html.append(&others(document, schema));
    }
    html
}

fn others(document: Document<'_>, schema: &Value) -> Html {
    let mut html = Html::new();
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => {
            html.raw("<p class=\"note\">Other properties are refused.</p>");
        }
        Some(values @ Value::Object(_)) => {
            html.raw("<p class=\"note\">Other properties: ")
                .append(&kind(document, values))
                .raw("</p>");
        }
        _ => {}
    }
    for (pattern, property) in entries(schema, "patternProperties") {
        html.raw("<p class=\"note\">Properties that match ")
            .code(pattern)
            .raw(": ")
            .append(&kind(document, property))
            .raw("</p>");
    }
    html
}

fn add_rows(document: Document<'_>, schema: &Value, prefix: &str, depth: usize, rows: &mut Html) {
    if depth >= DEPTH_LIMIT {
        return;
    }
    for (name, property, is_required) in properties_in_order(schema) {
        let path = format!("{prefix}{name}");
        rows.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">")
            .code(&path);
        if is_required {
            rows.raw(" <span class=\"flag required\">required</span>");
        }
        if flag(property, "deprecated") {
            rows.raw(" <span class=\"flag deprecated\">deprecated</span>");
        }
        rows.raw("</th><td role=\"cell\">")
            .append(&kind(document, property))
            .append(&limits(property).to_list())
            .raw("</td><td role=\"cell\">")
            .append(&meaning(property))
            .raw("</td></tr>");
        for (inner, step) in nested(property) {
            add_rows(document, inner, &format!("{path}{step}"), depth + 1, rows);
        }
    }
}

/// What is nested in place, and how one gets there.
fn nested(property: &Value) -> Vec<(&Value, &'static str)> {
    let mut nested = vec![(property, ".")];
    for (key, step) in [("items", "[]."), ("additionalProperties", ".*.")] {
        nested.extend(property.get(key).map(|inner| (inner, step)));
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        nested.extend(list(property, key).iter().map(|part| (part, ".")));
    }
    nested
}

/// The description of a property, or of the one thing that it refers to, and its examples.
fn meaning(property: &Value) -> Html {
    let mut html = described(property);
    if html.is_empty() {
        for part in ["oneOf", "anyOf", "allOf"]
            .into_iter()
            .flat_map(|key| list(property, key))
        {
            html.append(&described(part));
        }
    }
    if html.is_empty()
        && let Some(title) = text(property, "title")
    {
        html.raw("<p>").text(title).raw("</p>");
    }
    let mut examples: Vec<Html> = property
        .get("example")
        .into_iter()
        .chain(list(property, "examples"))
        .map(|example| Html::of_code(&plain(example)))
        .collect();
    examples.dedup();
    if !examples.is_empty() {
        html.raw("<p class=\"example\">Example: ")
            .append(&Html::joined(&examples, ", "))
            .raw("</p>");
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::table;
    use crate::document::Document;

    fn rendered(schema: &Value) -> String {
        let root = json!({});
        table(Document::new(&root), schema, 0).into_string()
    }

    fn names(schema: &Value) -> Vec<String> {
        rendered(schema)
            .split("scope=\"row\"><code>")
            .skip(1)
            .filter_map(|rest| rest.split("</code>").next().map(str::to_owned))
            .collect()
    }

    #[test]
    fn what_is_required_comes_first_in_the_documents_order() {
        let schema = json!({
            "required": ["zeta", "alpha"],
            "properties": { "alpha": {}, "beta": {}, "gamma": {}, "zeta": {} },
        });
        assert_eq!(names(&schema), ["zeta", "alpha", "beta", "gamma"]);
        assert_eq!(rendered(&schema).matches("flag required").count(), 2);
    }

    #[test]
    fn nested_properties_are_named_by_their_path() {
        let schema = json!({ "properties": {
            "owner": { "properties": { "name": {} } },
            "rules": { "type": "array", "items": { "properties": { "from": {} } } },
            "labels": { "additionalProperties": { "properties": { "text": {} } } },
            "choice": { "oneOf": [{ "properties": { "a": {} } }, { "type": "null" }] },
        } });
        assert_eq!(
            names(&schema),
            [
                "owner",
                "owner.name",
                "rules",
                "rules[].from",
                "labels",
                "labels.*.text",
                "choice",
                "choice.a"
            ]
        );
    }

    #[test]
    fn a_row_says_meaning_and_example() {
        let html = rendered(&json!({ "properties": { "a": {
            "type": "string", "description": "An *a*.", "example": "x", "examples": ["x", "y"], "deprecated": true,
        } } }));
        assert!(html.contains("<p>An <em>a</em>.</p>"), "{html}");
        assert!(
            html.contains("Example: <code>x</code>, <code>y</code></p>"),
            "{html}"
        );
        assert!(html.contains("flag deprecated"), "{html}");
    }

    #[test]
    fn the_description_of_an_alternative_stands_for_the_property() {
        let html = rendered(&json!({ "properties": { "a": {
            "oneOf": [{ "$ref": "#/x", "description": "Shown once." }, { "type": "null" }],
        } } }));
        assert!(html.contains("<p>Shown once.</p>"), "{html}");
    }

    #[test]
    fn an_object_says_which_other_properties_it_takes() {
        let closed = json!({ "type": "object", "additionalProperties": false });
        assert!(rendered(&closed).contains("Other properties are refused."));
        let open = json!({ "properties": {}, "additionalProperties": { "type": "integer" } });
        assert!(rendered(&open).contains("Other properties: integer"));
    }
}
