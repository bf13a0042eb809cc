//! What stands at the beginning of a reference: what the API is, where it is, who makes it.

use serde_json::Value;

use crate::address;
use crate::document::{Document, entries, list, text};
use crate::html::Html;
use crate::markdown::{Headings, blocks};
use crate::schema::described;

/// The title and all that the document says of the API as a whole.
pub(crate) fn section(document: Document<'_>, title: &str) -> Html {
    let info = document.root().get("info").unwrap_or(&Value::Null);
    let mut html = Html::new();
    html.raw("<h1>").text(title).raw("</h1>\n");
    if let Some(summary) = text(info, "summary") {
        html.raw("<p class=\"summary\">")
            .text(summary)
            .raw("</p>\n");
    }
    if let Some(description) = text(info, "description") {
        html.append(&blocks(description, Headings::From(2), address::allowed));
    }
    let facts = facts(document, info);
    if !facts.is_empty() {
        html.raw("<dl class=\"facts\">")
            .append(&facts)
            .raw("</dl>\n");
    }
    html
}

fn facts(document: Document<'_>, info: &Value) -> Html {
    let mut html = Html::new();
    if let Some(version) = text(info, "version") {
        html.raw("<dt>Version</dt><dd>").text(version).raw("</dd>");
    }
    let servers = list(document.root(), "servers");
    if !servers.is_empty() {
        html.raw("<dt>Servers</dt><dd><ul>");
        for server in servers {
            html.raw("<li>").append(&server_entry(server)).raw("</li>");
        }
        html.raw("</ul></dd>");
    }
    if let Some(license) = info.get("license") {
        let name = text(license, "name").or_else(|| text(license, "identifier"));
        html.raw("<dt>Licence</dt><dd>")
            .append(&named_link(name, text(license, "url")))
            .raw("</dd>");
    }
    if let Some(contact) = info.get("contact") {
        let mail = text(contact, "email").map(|mail| format!("mailto:{mail}"));
        let name = text(contact, "name").or_else(|| text(contact, "email"));
        html.raw("<dt>Contact</dt><dd>")
            .append(&named_link(name, text(contact, "url").or(mail.as_deref())))
            .raw("</dd>");
    }
    if let Some(terms) = text(info, "termsOfService") {
        html.raw("<dt>Terms</dt><dd>")
            .append(&named_link(Some(terms), Some(terms)))
            .raw("</dd>");
    }
    if let Some(more) = document.root().get("externalDocs") {
        let name = text(more, "description").or_else(|| text(more, "url"));
        html.raw("<dt>More</dt><dd>")
            .append(&named_link(name, text(more, "url")))
            .raw("</dd>");
    }
    html
}

fn server_entry(server: &Value) -> Html {
    let mut html = Html::of_code(text(server, "url").unwrap_or("/"));
    html.append(&described(server));
    let mut variables = Html::new();
    for (name, variable) in entries(server, "variables") {
        variables
            .raw("<li>")
            .code(name)
            .raw(": by default ")
            .code(text(variable, "default").unwrap_or_default())
            .append(&described(variable))
            .raw("</li>");
    }
    if !variables.is_empty() {
        html.raw("<ul>").append(&variables).raw("</ul>");
    }
    html
}

fn named_link(name: Option<&str>, address: Option<&str>) -> Html {
    let content = Html::of_text(name.or(address).unwrap_or_default());
    match address.and_then(address::allowed) {
        Some(address) => {
            let mut html = Html::new();
            html.link(&address, &content);
            html
        }
        None => content,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::section;
    use crate::document::Document;

    #[test]
    fn the_beginning_tells_all_of_the_api() {
        let root = json!({
            "info": {
                "description": "# What it does\n\nAll.", "version": "1.2.3",
                "license": { "name": "Apache-2.0", "url": "https://example.com/licence" },
                "contact": { "name": "Us", "email": "us@example.com" },
                "termsOfService": "javascript:alert(1)",
            },
            "servers": [{
                "url": "https://{host}", "description": "The *first*.",
                "variables": { "host": { "default": "a.example" } },
            }],
            "externalDocs": { "url": "https://example.com/more" },
        });
        let html = section(Document::new(&root), "The API").into_string();
        for part in [
            "<h1>The API</h1>",
            "<h2>What it does</h2>",
            "<dd>1.2.3</dd>",
            "<a href=\"https://example.com/licence\">Apache-2.0</a>",
            "<a href=\"mailto:us@example.com\">Us</a>",
            "<dd>javascript:alert(1)</dd>",
            "<code>https://{host}</code><p>The <em>first</em>.</p>",
            "<code>host</code>: by default <code>a.example</code>",
            "<a href=\"https://example.com/more\">https://example.com/more</a>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }
}
