//! Schemas that are made of others: all of them, one of them, any of them.

use serde_json::Value;

use super::{component_of, described, is_unfolded, kind, shape_within};
use crate::anchor;
use crate::document::{Document, entries, list, text};
use crate::html::Html;

const WORDS: [(&str, &str); 3] = [
    ("allOf", "<p>All of these together:</p>"),
    ("oneOf", "<p>Exactly one of these:</p>"),
    ("anyOf", "<p>At least one of these:</p>"),
];

/// Whether a schema is made of others.
pub(super) fn is_composed(schema: &Value) -> bool {
    WORDS.iter().any(|(key, _)| !list(schema, key).is_empty())
}

/// What a schema is made of, and what tells its alternatives apart.
pub(super) fn parts(document: Document<'_>, schema: &Value, depth: usize) -> Html {
    let mut html = Html::new();
    for (key, words) in WORDS {
        let parts = list(schema, key);
        if parts.is_empty() {
            continue;
        }
        html.raw(words).raw("<ul class=\"parts\">");
        for part in parts {
            html.raw("<li>");
            if is_unfolded(part) {
                if let Some(title) = text(part, "title") {
                    html.raw("<p><strong>").text(title).raw("</strong></p>");
                }
                html.append(&described(part))
                    .append(&shape_within(document, part, depth + 1));
            } else {
                html.raw("<p>")
                    .append(&kind(document, part))
                    .raw("</p>")
                    .append(&super::limits(part).to_list())
                    .append(&described(part));
            }
            html.raw("</li>");
        }
        html.raw("</ul>");
    }
    html.append(&discriminator(document, schema));
    html
}

fn discriminator(document: Document<'_>, schema: &Value) -> Html {
    let mut html = Html::new();
    let Some(discriminator) = schema.get("discriminator") else {
        return html;
    };
    let Some(property) = text(discriminator, "propertyName") else {
        return html;
    };
    html.raw("<p>The property ")
        .code(property)
        .raw(" says which one it is");
    let mapping: Vec<_> = entries(discriminator, "mapping").collect();
    if mapping.is_empty() {
        html.raw(", by its name.</p>");
        return html;
    }
    html.raw(":</p><ul>");
    for (value, target) in mapping {
        let target = target.as_str().unwrap_or_default();
        // OpenAPI 3.1 §4.8.25: a value of the mapping is a schema's name or a reference.
        let name = component_of(target).unwrap_or(target);
        html.raw("<li>").code(value).raw(": ");
        if document
            .components("schemas")
            .any(|(known, _)| known == name)
        {
            html.link(
                &anchor::link_to(&anchor::schema(name)),
                &Html::of_text(name),
            );
        } else {
            html.text(name);
        }
        html.raw("</li>");
    }
    html.raw("</ul>");
    html
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::document::Document;
    use crate::schema::shape;

    #[test]
    fn all_of_shows_what_is_referred_to_and_what_is_added() {
        let root = json!({ "components": { "schemas": { "Base": {} } } });
        let schema = json!({ "allOf": [
            { "$ref": "#/components/schemas/Base" },
            { "type": "object", "properties": { "secret": { "type": "string" } } },
        ] });
        let html = shape(Document::new(&root), &schema).into_string();
        assert!(html.contains("All of these together"), "{html}");
        assert!(
            html.contains(r##"<a href="#schema/Base">Base</a>"##),
            "{html}"
        );
        assert!(html.contains("<code>secret</code>"), "{html}");
    }

    #[test]
    fn a_discriminator_leads_to_its_alternatives() {
        let root = json!({ "components": { "schemas": { "Cat": {}, "Dog": {} } } });
        let schema = json!({
            "oneOf": [{ "$ref": "#/components/schemas/Cat" }, { "$ref": "#/components/schemas/Dog" }],
            "discriminator": { "propertyName": "kind", "mapping": {
                "cat": "#/components/schemas/Cat", "dog": "Dog", "fox": "Fox",
            } },
        });
        let html = shape(Document::new(&root), &schema).into_string();
        assert!(
            html.contains("The property <code>kind</code> says which one it is:"),
            "{html}"
        );
        assert!(
            html.contains(r##"<li><code>cat</code>: <a href="#schema/Cat">Cat</a></li>"##),
            "{html}"
        );
        assert!(
            html.contains(r##"<li><code>dog</code>: <a href="#schema/Dog">Dog</a></li>"##),
            "{html}"
        );
        assert!(html.contains("<li><code>fox</code>: Fox</li>"), "{html}");
    }

    #[test]
    fn what_is_nested_without_end_is_cut() {
        let mut schema = json!({ "type": "string" });
        for _ in 0..100 {
            schema =
                json!({ "oneOf": [schema], "properties": { "a": { "items": { "oneOf": [{}] } } } });
        }
        let root = json!({});
        let html = shape(Document::new(&root), &schema).into_string();
        assert_eq!(html.matches("Exactly one of these").count(), 8);
    }
}
