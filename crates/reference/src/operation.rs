//! One operation: its way, who may call it, what it takes, what it answers, and how to call it.

mod access;
pub(crate) mod body;
mod parameters;
mod responses;

use serde_json::Value;

pub(crate) use access::schemes;

use crate::anchor;
use crate::curl;
use crate::document::{Document, Operation, flag, text};
use crate::html::Html;
use crate::markdown::{Headings, blocks, inline};
use crate::sample::Purpose;
use crate::schema::{described, self_link};

/// The section of an operation, with a heading of the third level.
pub(crate) fn section(document: Document<'_>, operation: &Operation<'_>) -> Html {
    let name = operation.name();
    let anchor = anchor::operation(&name);
    let mut html = Html::new();
    html.raw("<section class=\"operation\"")
        .attribute("id", &anchor)
        .raw("><h3>")
        .append(&inline(&operation.heading()))
        .raw(" ")
        .append(&self_link(&anchor, &operation.heading()))
        .raw("</h3>")
        .append(&route(operation));
    if flag(operation.value, "deprecated") {
        html.raw("<p class=\"warning\"><strong>Deprecated.</strong> Do not build anything new on it.</p>");
    }
    if let Some(text) = text(operation.value, "description") {
        html.append(&blocks(text, Headings::From(4), crate::address::allowed));
    }
    html.append(&access::facts(document, operation))
        .append(&parameters::table(
            &operation.parameters(document),
            document,
        ))
        .append(&request_body(document, operation))
        .append(&responses::list(document, operation))
        .raw("<h4>Call it</h4><pre tabindex=\"0\"><code class=\"sh\">")
        .text(&curl::command(document, operation))
        .raw("</code></pre></section>\n");
    html
}

/// Method and path.
fn route(operation: &Operation<'_>) -> Html {
    let mut html = Html::new();
    html.raw("<p class=\"route\">")
        .append(&method_mark(operation.method))
        .raw(" ")
        .code(operation.path)
        .raw("</p>");
    html
}

/// A method in its colour; the word itself says as much as the colour does.
pub(crate) fn method_mark(method: &'static str) -> Html {
    let mut html = Html::new();
    html.raw("<span class=\"method ")
        .raw(method)
        .raw("\">")
        .text(&method.to_ascii_uppercase())
        .raw("</span>");
    html
}

fn request_body(document: Document<'_>, operation: &Operation<'_>) -> Html {
    let mut html = Html::new();
    let Some(request) = operation.value.get("requestBody") else {
        return html;
    };
    let request: &Value = document.resolve(request);
    html.raw("<h4>Request body</h4><p>");
    html.raw(if flag(request, "required") {
        "Required."
    } else {
        "Optional."
    });
    html.raw("</p>")
        .append(&described(request))
        .append(&body::media_types(document, request, Purpose::Request));
    html
}
