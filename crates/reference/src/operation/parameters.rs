//! The table of an operation's parameters, and of an answer's headers, which are described alike.

use serde_json::Value;

use crate::document::{Document, entries, flag, text};
use crate::html::Html;
use crate::schema::{described, kind, limits};

/// The parameters; nothing where there are none.
pub(super) fn table(parameters: &[&Value], document: Document<'_>) -> Html {
    let mut html = Html::new();
    if parameters.is_empty() {
        return html;
    }
    html.raw("<h4>Parameters</h4>")
        .raw("<table role=\"table\" class=\"stacked parameters\"><thead role=\"rowgroup\"><tr role=\"row\">")
        .raw("<th role=\"columnheader\" scope=\"col\">Name</th>")
        .raw("<th role=\"columnheader\" scope=\"col\">Where</th>")
        .raw("<th role=\"columnheader\" scope=\"col\">Type</th>")
        .raw("<th role=\"columnheader\" scope=\"col\">Meaning</th></tr></thead><tbody role=\"rowgroup\">");
    for parameter in parameters {
        let name = text(parameter, "name").unwrap_or("?");
        let place = text(parameter, "in").unwrap_or("?");
        row(document, name, Some(place), parameter, &mut html);
    }
    html.raw("</tbody></table>");
    html
}

/// The headers of an answer; nothing where there are none.
pub(super) fn headers(document: Document<'_>, response: &Value) -> Html {
    let mut html = Html::new();
    let headers: Vec<_> = entries(response, "headers").collect();
    if headers.is_empty() {
        return html;
    }
    html.raw("<table role=\"table\" class=\"stacked\"><thead role=\"rowgroup\"><tr role=\"row\">")
        .raw("<th role=\"columnheader\" scope=\"col\">Header</th>")
        .raw("<th role=\"columnheader\" scope=\"col\">Type</th>")
        .raw("<th role=\"columnheader\" scope=\"col\">Meaning</th></tr></thead><tbody role=\"rowgroup\">");
    for (name, header) in headers {
        row(document, name, None, document.resolve(header), &mut html);
    }
    html.raw("</tbody></table>");
    html
}

fn row(document: Document<'_>, name: &str, place: Option<&str>, value: &Value, html: &mut Html) {
    html.raw("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">")
        .code(name);
    if flag(value, "required") {
        html.raw(" <span class=\"flag required\">required</span>");
    }
    if flag(value, "deprecated") {
        html.raw(" <span class=\"flag deprecated\">deprecated</span>");
    }
    html.raw("</th>");
    if let Some(place) = place {
        html.raw("<td role=\"cell\">").text(place).raw("</td>");
    }
    html.raw("<td role=\"cell\">");
    if let Some(schema) = schema_of(value) {
        html.append(&kind(document, schema))
            .append(&limits(schema).to_list());
    }
    html.raw("</td><td role=\"cell\">");
    let meaning = described(value);
    if meaning.is_empty() {
        html.append(&schema_of(value).map_or_else(Html::new, described));
    } else {
        html.append(&meaning);
    }
    html.append(&examples(document, value)).raw("</td></tr>");
}

/// A parameter's schema, which may also stand below a media type.
fn schema_of(value: &Value) -> Option<&Value> {
    value
        .get("schema")
        .or_else(|| entries(value, "content").find_map(|(_, media_type)| media_type.get("schema")))
}

fn examples(document: Document<'_>, value: &Value) -> Html {
    let schema = schema_of(value).unwrap_or(&Value::Null);
    let own = value.get("example").into_iter().chain(
        entries(value, "examples")
            .filter_map(|(_, example)| document.resolve(example).get("value")),
    );
    let mut examples: Vec<Html> = own
        .chain(schema.get("example"))
        .chain(crate::document::list(schema, "examples"))
        .map(|example| Html::of_code(example.as_str().unwrap_or(&example.to_string())))
        .collect();
    examples.dedup();
    let mut html = Html::new();
    if !examples.is_empty() {
        html.raw("<p class=\"example\">Example: ")
            .append(&Html::joined(&examples, ", "))
            .raw("</p>");
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{headers, table};
    use crate::document::Document;

    #[test]
    fn a_parameter_says_where_what_and_which_values() {
        let root = json!({});
        let parameter = json!({
            "name": "sort", "in": "query", "required": true, "description": "The *order*.",
            "schema": { "type": "string", "enum": ["name", "-name"], "default": "name", "example": "-name" },
        });
        let html = table(&[&parameter], Document::new(&root)).into_string();
        for part in [
            "<code>sort</code> <span class=\"flag required\">required</span></th><td role=\"cell\">query</td>",
            "<li>one of <code>name</code>, <code>-name</code></li><li>by default <code>name</code></li>",
            "<p>The <em>order</em>.</p><p class=\"example\">Example: <code>-name</code></p>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }

    #[test]
    fn a_header_may_stand_in_the_components() {
        let root = json!({ "components": { "headers": { "Retry": {
            "description": "In how many seconds.", "schema": { "type": "integer" }, "example": 1,
        } } } });
        let response =
            json!({ "headers": { "Retry-After": { "$ref": "#/components/headers/Retry" } } });
        let html = headers(Document::new(&root), &response).into_string();
        for part in [
            "<code>Retry-After</code>",
            "integer",
            "In how many seconds.",
            "Example: <code>1</code>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }
}
