//! The table of contents: operations by tag, then the schemas.

use crate::anchor;
use crate::document::{Document, Group};
use crate::html::Html;
use crate::markdown::inline;
use crate::operation::method_mark;

/// The anchor of a group of operations.
pub(crate) fn group_anchor(group: &Group<'_>) -> String {
    group.tag.map_or_else(|| "untagged".to_owned(), anchor::tag)
}

/// What a group of operations is called.
pub(crate) fn group_name<'a>(group: &Group<'a>) -> &'a str {
    group.tag.unwrap_or("Other operations")
}

/// The list of all there is on the page.
pub(crate) fn list(document: Document<'_>, groups: &[Group<'_>]) -> Html {
    let mut html = Html::new();
    html.raw("<details><summary>Contents</summary>\n<ul>\n");
    if document.components("securitySchemes").next().is_some() {
        html.raw("<li><a href=\"#authentication\">Authentication</a></li>\n");
    }
    for group in groups {
        html.raw("<li>")
            .link(
                &anchor::link_to(&group_anchor(group)),
                &Html::of_text(group_name(group)),
            )
            .raw("<ul>\n");
        for operation in &group.operations {
            let mut entry = method_mark(operation.method);
            entry.raw(" ").append(&inline(&operation.heading()));
            html.raw("<li>")
                .link(
                    &anchor::link_to(&anchor::operation(&operation.name())),
                    &entry,
                )
                .raw("</li>\n");
        }
        html.raw("</ul></li>\n");
    }
    let mut schemas = Html::new();
    for (name, _) in document.components("schemas") {
        schemas
            .raw("<li>")
            .link(
                &anchor::link_to(&anchor::schema(name)),
                &Html::of_text(name),
            )
            .raw("</li>\n");
    }
    if !schemas.is_empty() {
        html.raw("<li><a href=\"#schemas\">Schemas</a><ul>\n")
            .append(&schemas)
            .raw("</ul></li>\n");
    }
    html.raw("</ul></details>\n");
    html
}
