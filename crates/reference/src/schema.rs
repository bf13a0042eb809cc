//! Schemas for people: what a value is, what limits it has, and which properties.
//!
//! A reference is a link and is not unfolded, so what is written here is never longer than the document, and a
//! circle of references does no harm. What is nested in place is unfolded down to a depth.

mod composed;
mod kind;
mod limits;
mod properties;

use serde_json::Value;

pub(crate) use kind::kind;
pub(crate) use limits::limits;

use crate::anchor;
use crate::document::{Document, entries, list, text};
use crate::example::{Fold, block, json};
use crate::html::Html;
use crate::markdown::{Headings, blocks};

/// How deep what is nested in place is unfolded.
const DEPTH_LIMIT: usize = 8;

/// The section of a component's schema.
pub(crate) fn section(document: Document<'_>, name: &str, schema: &Value) -> Html {
    let anchor = anchor::schema(name);
    let mut html = Html::new();
    html.raw("<section class=\"schema\"")
        .attribute("id", &anchor)
        .raw("><h3>")
        .text(name)
        .raw(" ")
        .append(&self_link(&anchor, name))
        .raw("</h3>");
    if let Some(title) = text(schema, "title") {
        html.raw("<p><strong>").text(title).raw("</strong></p>");
    }
    html.append(&described(schema))
        .append(&shape(document, schema))
        .append(&examples(schema))
        .raw("</section>\n");
    html
}

/// The link by which a section is shared.
pub(crate) fn self_link(anchor: &str, of: &str) -> Html {
    let mut html = Html::new();
    html.raw("<a class=\"anchor\"")
        .attribute("href", &anchor::link_to(anchor))
        .attribute("aria-label", &format!("Link to {of}"))
        .raw(">#</a>");
    html
}

/// What an object says of itself, without headings of its own.
pub(crate) fn described(value: &Value) -> Html {
    text(value, "description").map_or_else(Html::new, |text| {
        blocks(text, Headings::Bold, crate::address::allowed)
    })
}

/// The whole of a schema but for its description and examples.
pub(crate) fn shape(document: Document<'_>, schema: &Value) -> Html {
    shape_within(document, schema, 0)
}

fn shape_within(document: Document<'_>, schema: &Value, depth: usize) -> Html {
    let mut html = Html::new();
    if depth >= DEPTH_LIMIT {
        return html;
    }
    if composed::is_composed(schema) {
        html.append(&composed::parts(document, schema, depth));
    } else if !properties::is_object(schema) {
        html.raw("<p>").append(&kind(document, schema)).raw("</p>");
        html.append(&limits(schema).to_list());
    }
    html.append(&properties::table(document, schema, depth));
    if let Some(items) = schema.get("items").filter(|items| is_unfolded(items)) {
        html.raw("<p>Each item:</p>")
            .append(&shape_within(document, items, depth + 1));
    }
    html
}

/// Whether there is more to a schema than the words of its kind: it is written in place and has parts.
pub(crate) fn is_unfolded(schema: &Value) -> bool {
    text(schema, "$ref").is_none()
        && (properties::is_object(schema)
            || composed::is_composed(schema)
            || schema.get("items").is_some_and(is_unfolded))
}

/// The name of the component that a reference leads to.
pub(crate) fn component_of(reference: &str) -> Option<&str> {
    reference
        .strip_prefix("#/components/schemas/")
        .filter(|name| !name.contains('/'))
}

/// The properties that must be there.
fn required(schema: &Value) -> Vec<&str> {
    list(schema, "required")
        .iter()
        .filter_map(Value::as_str)
        .collect()
}

/// The properties: the ones that must be there first, in the order in which the document demands them.
pub(crate) fn properties_in_order(schema: &Value) -> Vec<(&str, &Value, bool)> {
    let required = required(schema);
    let mut properties: Vec<_> = entries(schema, "properties")
        .map(|(name, property)| (name, property, required.contains(&name)))
        .collect();
    properties.sort_by_key(|(name, _, _)| {
        required
            .iter()
            .position(|required| required == name)
            .unwrap_or(usize::MAX)
    });
    properties
}

/// The examples that a schema gives of itself.
fn examples(schema: &Value) -> Html {
    let mut html = Html::new();
    for example in schema
        .get("example")
        .into_iter()
        .chain(list(schema, "examples"))
    {
        html.append(&block("Example", None, &json(example), Fold::Long));
    }
    html
}
