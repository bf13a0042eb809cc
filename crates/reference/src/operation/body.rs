//! What a request or an answer carries: each media type, its schema and its examples.

use serde_json::Value;

use crate::address::encoded;
use crate::document::{Document, entries, text};
use crate::example::{Fold, block, in_line, json};
use crate::html::Html;
use crate::sample::{Purpose, sample};
use crate::schema::{is_unfolded, kind, limits, shape};

/// The media type of forms, whose examples are not JSON.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

/// The media types of a request body or an answer.
pub(super) fn media_types(document: Document<'_>, holder: &Value, purpose: Purpose) -> Html {
    let mut html = Html::new();
    for (name, media_type) in entries(holder, "content") {
        html.raw("<p class=\"media\">").code(name);
        if let Some(schema) = media_type.get("schema") {
            html.raw(": ").append(&kind(document, schema));
        }
        html.raw("</p>");
        if let Some(schema) = media_type.get("schema") {
            html.append(&unfolded(document, schema, purpose));
        }
        html.append(&examples(document, name, media_type, purpose));
    }
    html
}

/// The parts of a schema that is written in place, and of what a request refers to: whoever writes one needs them
/// at hand, whoever reads an answer has the link.
fn unfolded(document: Document<'_>, schema: &Value, purpose: Purpose) -> Html {
    let mut html = Html::new();
    if is_unfolded(schema) {
        html.append(&shape(document, schema));
    } else if text(schema, "$ref").is_none() {
        html.append(&limits(schema).to_list());
    } else if purpose == Purpose::Request {
        let target = document.resolve(schema);
        if is_unfolded(target) {
            html.raw("<details open><summary>Properties</summary>")
                .append(&shape(document, target))
                .raw("</details>");
        }
    }
    html
}

fn examples(
    document: Document<'_>,
    media_type_name: &str,
    media_type: &Value,
    purpose: Purpose,
) -> Html {
    let written = |example: &Value| written(media_type_name, example);
    let fold = match purpose {
        Purpose::Request | Purpose::Answer => Fold::Long,
        Purpose::Failure => Fold::All,
    };
    let mut html = Html::new();
    if let Some(example) = media_type.get("example") {
        html.append(&block("Example", None, &written(example), fold));
    }
    for (name, example) in entries(media_type, "examples") {
        let example = document.resolve(example);
        let caption = format!("Example: {}", text(example, "summary").unwrap_or(name));
        let note = text(example, "description");
        if let Some(value) = example.get("value") {
            html.append(&block(&caption, note, &written(value), fold));
        } else if let Some(address) = text(example, "externalValue") {
            html.append(&block(&caption, note, address, fold));
        }
    }
    if html.is_empty()
        && let Some(made) = made(document, media_type, purpose)
    {
        html.append(&block("Example", None, &written(&made), fold));
    }
    html
}

/// The first example of a media type, or one made from its schema.
pub(crate) fn first_example(
    document: Document<'_>,
    media_type: &Value,
    purpose: Purpose,
) -> Option<Value> {
    let given = media_type.get("example").or_else(|| {
        entries(media_type, "examples")
            .find_map(|(_, example)| document.resolve(example).get("value"))
    });
    given
        .cloned()
        .or_else(|| made(document, media_type, purpose))
}

fn made(document: Document<'_>, media_type: &Value, purpose: Purpose) -> Option<Value> {
    sample(document, media_type.get("schema")?, purpose)
}

fn written(media_type: &str, example: &Value) -> String {
    match example {
        Value::String(text) => text.clone(),
        Value::Object(fields) if media_type == FORM => fields
            .iter()
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(&in_line(value))))
            .collect::<Vec<_>>()
            .join("&"),
        other => json(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{first_example, media_types};
    use crate::document::Document;
    use crate::sample::Purpose;

    fn root() -> Value {
        json!({ "components": { "schemas": { "Input": {
            "required": ["name"], "properties": { "name": { "type": "string", "maxLength": 100 } },
        } } } })
    }

    fn holder(media_type: &Value) -> Value {
        json!({ "content": { "application/json": media_type } })
    }

    #[test]
    fn a_request_shows_the_properties_and_an_answer_only_the_link() {
        let root = root();
        let holder = holder(&json!({ "schema": { "$ref": "#/components/schemas/Input" } }));
        let document = Document::new(&root);
        let request = media_types(document, &holder, Purpose::Request).into_string();
        assert!(request.contains("at most 100 characters"), "{request}");
        let answer = media_types(document, &holder, Purpose::Answer).into_string();
        assert!(!answer.contains("at most 100 characters"), "{answer}");
        assert!(
            answer.contains(r##"<a href="#schema/Input">Input</a>"##),
            "{answer}"
        );
    }

    #[test]
    fn all_named_examples_are_shown_and_the_first_is_used() {
        let mut root = root();
        root["components"]["examples"] = json!({ "B": { "value": { "name": "b" } } });
        let media_type = json!({ "examples": {
            "a": { "summary": "The shortest", "description": "All else has a default.", "value": { "name": "a" } },
            "b": { "$ref": "#/components/examples/B" },
            "c": { "externalValue": "https://example.com/c.json" },
        } });
        let document = Document::new(&root);
        let html = media_types(document, &holder(&media_type), Purpose::Request).into_string();
        for part in [
            "Example: The shortest",
            "All else has a default.",
            "&quot;name&quot;: &quot;a&quot;",
            "&quot;name&quot;: &quot;b&quot;",
            "https://example.com/c.json",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert_eq!(
            first_example(document, &media_type, Purpose::Request),
            Some(json!({ "name": "a" }))
        );
    }

    #[test]
    fn the_example_of_a_form_is_a_form() {
        let root = root();
        let holder =
            json!({ "content": { super::FORM: { "example": { "scope": "a b", "n": 1 } } } });
        let html = media_types(Document::new(&root), &holder, Purpose::Request).into_string();
        assert!(html.contains("<code>scope=a%20b&amp;n=1</code>"), "{html}");
    }
}
