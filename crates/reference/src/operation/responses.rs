//! What an operation answers.

use serde_json::Value;

use super::{body, parameters};
use crate::document::{Document, Operation, entries};
use crate::html::Html;
use crate::sample::Purpose;
use crate::schema::described;

/// The answers: by their status, and what holds for all others at the end.
pub(super) fn list(document: Document<'_>, operation: &Operation<'_>) -> Html {
    let mut html = Html::new();
    let mut responses: Vec<_> = entries(operation.value, "responses").collect();
    if responses.is_empty() {
        return html;
    }
    responses.sort_by_key(|(status, _)| (*status == "default", *status));
    html.raw("<h4>Responses</h4>");
    for (status, response) in responses {
        html.append(&one(document, status, document.resolve(response)));
    }
    html
}

fn one(document: Document<'_>, status: &str, response: &Value) -> Html {
    let mut html = Html::new();
    html.raw("<section class=\"response\"><h5>");
    match status {
        "default" => html.raw("Any other status"),
        _ => html.text(status),
    };
    if let Some(phrase) = phrase(status) {
        html.raw(" ").raw(phrase);
    }
    html.raw("</h5>")
        .append(&described(response))
        .append(&parameters::headers(document, response));
    if entries(response, "content").next().is_none() {
        html.raw("<p class=\"note\">No body.</p>");
    } else {
        let purpose = if status.starts_with('2') {
            Purpose::Answer
        } else {
            Purpose::Failure
        };
        html.append(&body::media_types(document, response, purpose));
    }
    html.raw("</section>");
    html
}

/// What HTTP calls a status (RFC 9110 §15, RFC 6585).
fn phrase(status: &str) -> Option<&'static str> {
    Some(match status {
        "200" => "OK",
        "201" => "Created",
        "202" => "Accepted",
        "204" => "No Content",
        "302" => "Found",
        "303" => "See Other",
        "304" => "Not Modified",
        "400" => "Bad Request",
        "401" => "Unauthorized",
        "403" => "Forbidden",
        "404" => "Not Found",
        "405" => "Method Not Allowed",
        "409" => "Conflict",
        "410" => "Gone",
        "412" => "Precondition Failed",
        "413" => "Content Too Large",
        "415" => "Unsupported Media Type",
        "422" => "Unprocessable Content",
        "428" => "Precondition Required",
        "429" => "Too Many Requests",
        "500" => "Internal Server Error",
        "503" => "Service Unavailable",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::list;
    use crate::document::Document;

    #[test]
    fn what_holds_for_all_others_comes_last() {
        let root = json!({ "paths": { "/": { "delete": { "responses": {
            "4XX": { "description": "Refused." },
            "default": { "content": { "application/problem+json": {} } },
            "204": { "description": "Gone." },
        } } } } });
        let document = Document::new(&root);
        let html = list(document, &document.groups()[0].operations[0]).into_string();
        let places: Vec<_> = ["204 No Content", "4XX", "Any other status"]
            .map(|words| html.find(words).expect("it is there"))
            .to_vec();
        assert!(places.is_sorted(), "{html}");
        assert_eq!(html.matches("No body.").count(), 2);
        assert!(html.contains("<p>Refused.</p>"), "{html}");
    }
}
