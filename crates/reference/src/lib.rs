//! Pages for people: the reference of an API, rendered from its OpenAPI document, and a page for each kind of
//! problem.
//!
//! Each page is one answer. It has no script, asks for nothing from anywhere, and brings its style along, which
//! [`content_security_policy`] allows by its hash; so it can be read where the internet can't be reached, on a
//! telephone, in the dark, on paper and by a screen reader. Whatever a document holds comes out as text: only
//! literals of this crate become markup (see `html.rs`).
//!
//! The problems are written in `docs/problems`, one Markdown file each, and are compiled in.

mod address;
mod anchor;
mod contents;
mod curl;
mod document;
mod example;
mod html;
mod markdown;
mod operation;
mod overview;
mod page;
mod problems;
mod sample;
mod schema;
mod shell;
mod style;

use serde_json::Value;

pub use page::Link;
pub use problems::{problem_codes, problem_index, problem_page};
pub use style::{content_security_policy, style_source};

use document::Document;
use html::Html;
use markdown::{Headings, blocks};
use page::Page;

/// The reference of an API: one HTML page of its OpenAPI 3.1 document.
///
/// `title` is the page's; `links` lead to other pages, such as the document itself. Operations have the anchor
/// `#operation/{operationId}`, schemas `#schema/{name}`. A document that isn't one gives a page that has little in
/// it, never an error.
pub fn render(document: &Value, title: &str, links: &[Link<'_>]) -> String {
    let document = Document::new(document);
    let groups = document.groups();
    let mut main = overview::section(document, title);
    let schemes = operation::schemes(document);
    if !schemes.is_empty() {
        main.raw("<section id=\"authentication\"><h2>Authentication</h2>\n")
            .append(&schemes)
            .raw("</section>\n");
    }
    for group in &groups {
        main.raw("<section")
            .attribute("id", &contents::group_anchor(group))
            .raw("><h2>")
            .text(contents::group_name(group))
            .raw("</h2>\n");
        if let Some(text) = group.description {
            main.append(&blocks(text, Headings::Bold, address::allowed));
        }
        for operation in &group.operations {
            main.append(&operation::section(document, operation));
        }
        main.raw("</section>\n");
    }
    main.append(&schemas(document));
    Page {
        title,
        links,
        contents: Some(contents::list(document, &groups)),
        main,
    }
    .render()
}

fn schemas(document: Document<'_>) -> Html {
    let mut html = Html::new();
    for (name, schema) in document.components("schemas") {
        html.append(&schema::section(document, name, schema));
    }
    let mut section = Html::new();
    if !html.is_empty() {
        section
            .raw("<section id=\"schemas\"><h2>Schemas</h2>\n")
            .append(&html)
            .raw("</section>\n");
    }
    section
}
