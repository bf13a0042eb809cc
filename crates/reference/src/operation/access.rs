//! Who may call an operation: permission, ways to authenticate, scopes.

use serde_json::Value;

use crate::anchor;
use crate::document::{Document, Operation, entries, list, text};
use crate::html::Html;
use crate::markdown::inline;
use crate::schema::{described, self_link};

/// The operation's id, permission and authentication.
pub(super) fn facts(document: Document<'_>, operation: &Operation<'_>) -> Html {
    let mut html = Html::new();
    html.raw("<dl class=\"facts\">");
    if let Some(id) = text(operation.value, "operationId") {
        html.raw("<dt>Operation</dt><dd>").code(id).raw("</dd>");
    }
    let permissions = permissions(operation.value);
    if !permissions.is_empty() {
        html.raw("<dt>Permission</dt><dd>")
            .append(&Html::joined(&permissions, ", "))
            .raw("</dd>");
    }
    html.raw("<dt>Authentication</dt><dd>")
        .append(&authentication(document, operation.value))
        .raw("</dd></dl>");
    html
}

/// The extension `x-permission`: one name or several.
fn permissions(operation: &Value) -> Vec<Html> {
    match operation.get("x-permission") {
        Some(Value::String(name)) => vec![Html::of_code(name)],
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .map(Html::of_code)
            .collect(),
        _ => Vec::new(),
    }
}

/// The alternatives of a requirement; an operation without one has the document's.
fn authentication(document: Document<'_>, operation: &Value) -> Html {
    let holder = if operation.get("security").is_some() {
        operation
    } else {
        document.root()
    };
    let alternatives: Vec<Html> = list(holder, "security")
        .iter()
        .map(|alternative| together(document, alternative))
        .collect();
    if alternatives.is_empty() {
        return Html::of_text("none");
    }
    Html::joined(&alternatives, "; or ")
}

fn together(document: Document<'_>, alternative: &Value) -> Html {
    let schemes: Vec<Html> = alternative
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, scopes)| one(document, name, scopes))
        .collect();
    if schemes.is_empty() {
        return Html::of_text("none");
    }
    Html::joined(&schemes, " and ")
}

fn one(document: Document<'_>, name: &str, scopes: &Value) -> Html {
    let mut html = Html::new();
    if document
        .components("securitySchemes")
        .any(|(known, _)| known == name)
    {
        let address = anchor::link_to(&anchor::security(name));
        html.link(&address, &Html::of_text(name));
    } else {
        html.text(name);
    }
    let scopes: Vec<Html> = scopes
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(Html::of_code)
        .collect();
    if !scopes.is_empty() {
        html.raw(if scopes.len() == 1 {
            " with the scope "
        } else {
            " with the scopes "
        })
        .append(&Html::joined(&scopes, ", "));
    }
    html
}

/// The section on the ways to authenticate; nothing where the document has none.
pub(crate) fn schemes(document: Document<'_>) -> Html {
    let mut html = Html::new();
    for (name, scheme) in document.components("securitySchemes") {
        let scheme = document.resolve(scheme);
        let anchor = anchor::security(name);
        html.raw("<section class=\"scheme\"")
            .attribute("id", &anchor)
            .raw("><h3>")
            .text(name)
            .raw(" ")
            .append(&self_link(&anchor, name))
            .raw("</h3>")
            .append(&described(scheme))
            .raw("<dl class=\"facts\">");
        for (key, words) in [
            ("type", "<dt>Type</dt><dd>"),
            ("scheme", "<dt>Scheme</dt><dd>"),
            ("bearerFormat", "<dt>Format</dt><dd>"),
            ("in", "<dt>Where</dt><dd>"),
            ("name", "<dt>Name</dt><dd>"),
            ("openIdConnectUrl", "<dt>Discovery</dt><dd>"),
        ] {
            if let Some(value) = text(scheme, key) {
                html.raw(words).code(value).raw("</dd>");
            }
        }
        html.append(&flows(scheme)).raw("</dl></section>\n");
    }
    html
}

fn flows(scheme: &Value) -> Html {
    let mut html = Html::new();
    for (name, flow) in entries(scheme, "flows") {
        html.raw("<dt>Flow ").code(name).raw("</dt><dd><ul>");
        for key in ["authorizationUrl", "tokenUrl", "refreshUrl"] {
            if let Some(address) = text(flow, key) {
                html.raw("<li>")
                    .text(key)
                    .raw(": ")
                    .code(address)
                    .raw("</li>");
            }
        }
        for (scope, meaning) in entries(flow, "scopes") {
            html.raw("<li>")
                .code(scope)
                .raw(": ")
                .append(&inline(meaning.as_str().unwrap_or_default()))
                .raw("</li>");
        }
        html.raw("</ul></dd>");
    }
    html
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{authentication, facts};
    use crate::document::Document;

    fn words(root: &Value, operation: &Value) -> String {
        authentication(Document::new(root), operation).into_string()
    }

    #[test]
    fn scopes_are_named_beside_their_scheme() {
        let root = json!({ "components": { "securitySchemes": { "bearer": {} } } });
        assert_eq!(
            words(
                &root,
                &json!({ "security": [{ "bearer": ["grantor:clients.read"] }] })
            ),
            r##"<a href="#security/bearer">bearer</a> with the scope <code>grantor:clients.read</code>"##
        );
        assert_eq!(
            words(
                &root,
                &json!({ "security": [{ "a": [], "b": ["x", "y"] }, {}] })
            ),
            "a and b with the scopes <code>x</code>, <code>y</code>; or none"
        );
    }

    #[test]
    fn the_documents_requirement_holds_unless_the_operation_has_its_own() {
        let root = json!({ "security": [{ "a": [] }] });
        assert_eq!(words(&root, &json!({})), "a");
        assert_eq!(words(&root, &json!({ "security": [] })), "none");
        assert_eq!(words(&json!({}), &json!({})), "none");
    }

    #[test]
    fn a_permission_may_be_one_or_several() {
        for (permission, expected) in [
            (
                json!("clients.write"),
                "<dt>Permission</dt><dd><code>clients.write</code></dd>",
            ),
            (
                json!(["a", "b"]),
                "<dt>Permission</dt><dd><code>a</code>, <code>b</code></dd>",
            ),
        ] {
            let root = json!({ "paths": { "/": { "get": { "x-permission": permission } } } });
            let document = Document::new(&root);
            let html = facts(document, &document.groups()[0].operations[0]).into_string();
            assert!(html.contains(expected), "{html}");
        }
    }
}
