use grantor_reference::{
    Link, content_security_policy, problem_codes, problem_index, problem_page, render, style_source,
};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::strict::{Read, read};

const DOCUMENTS: [&str; 2] = [
    include_str!("../../../../openapi/management.json"),
    include_str!("../../../../openapi/token.json"),
];

const LINKS: [Link<'static>; 2] = [
    Link {
        text: "The document",
        address: "/openapi.json",
    },
    Link {
        text: "Problems",
        address: "/problems",
    },
];

/// The documents of this workspace.
pub fn documents() -> impl Iterator<Item = Value> {
    DOCUMENTS
        .into_iter()
        .map(|text| serde_json::from_str(text).expect("a document is JSON"))
}

fn all_pages() -> Vec<String> {
    let mut pages: Vec<String> = documents()
        .map(|document| render(&document, "An API", &LINKS))
        .collect();
    pages.push(problem_index());
    for code in problem_codes() {
        pages.push(problem_page(code).expect("each code has a page"));
    }
    pages
}

#[test]
fn every_page_is_well_formed() {
    for page in all_pages() {
        read(&page);
    }
}

#[test]
fn the_policy_allows_the_style_of_every_page() {
    for page in all_pages() {
        let Read { style, .. } = read(&page);
        let hash = STANDARD.encode(digest(&SHA256, style.as_bytes()).as_ref());
        assert_eq!(style_source(), format!("'sha256-{hash}'"));
        assert!(content_security_policy().contains(&format!("style-src 'sha256-{hash}'")));
    }
}

#[test]
fn operations_and_schemas_of_the_documents_can_be_linked_to() {
    for document in documents() {
        let page = read(&render(&document, "An API", &LINKS));
        let ids: Vec<&str> = page.values("id").collect();
        let mut operations = 0;
        for item in document["paths"]
            .as_object()
            .expect("there are paths")
            .values()
        {
            for operation in item.as_object().expect("a path is an object").values() {
                let Some(id) = operation["operationId"].as_str() else {
                    continue;
                };
                assert!(ids.contains(&format!("operation/{id}").as_str()), "{id}");
                operations += 1;
            }
        }
        assert!(operations > 0);
        for (name, schema) in document["components"]["schemas"]
            .as_object()
            .expect("there are schemas")
        {
            assert!(ids.contains(&format!("schema/{name}").as_str()), "{name}");
            for (property, _) in schema["properties"].as_object().into_iter().flatten() {
                assert!(page.text.contains(property.as_str()), "{name}.{property}");
            }
        }
    }
}

#[test]
fn every_sentence_of_a_document_is_on_its_page() {
    fn sentences(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                for (key, value) in object {
                    match value {
                        // Markup within a sentence splits it, so the longest piece without any is looked for.
                        Value::String(text)
                            if ["description", "summary"].contains(&key.as_str()) =>
                        {
                            let piece = text
                                .split(['`', '*', '[', '_', '\n', '<'])
                                .max_by_key(|piece| piece.len())
                                .unwrap_or_default();
                            found.push(piece.trim().to_owned());
                        }
                        other => sentences(other, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| sentences(value, found)),
            _ => {}
        }
    }
    for document in documents() {
        let page = read(&render(&document, "An API", &LINKS));
        let mut found = Vec::new();
        sentences(&document, &mut found);
        assert!(found.len() > 20);
        for sentence in found {
            assert!(page.text.contains(&sentence), "{sentence:?}");
        }
    }
}

#[test]
fn links_to_other_pages_are_shown_if_they_are_harmless() {
    let links = [
        Link {
            text: "Good",
            address: "/problems",
        },
        Link {
            text: "Bad",
            address: "javascript:alert(1)",
        },
    ];
    let page = read(&render(&json!({}), "T", &links));
    assert!(page.text.contains("Good"));
    assert!(!page.text.contains("Bad"));
}

#[test]
fn what_is_no_document_is_a_page_with_a_title() {
    for document in [
        json!(null),
        json!([[]]),
        json!({ "paths": { "/": { "get": { "parameters": 1, "responses": [], "requestBody": 2 } } } }),
        json!({ "paths": { "/": { "get": { "parameters": [3], "responses": { "200": 4 }, "tags": [5] } } } }),
        json!({ "components": { "schemas": { "A": 1, "B": { "type": 2, "properties": [3] } } } }),
        json!({ "components": { "schemas": { "A": { "$ref": "#/components/schemas/A" } } } }),
        json!({ "info": "x", "tags": [{}], "servers": [{}], "security": [1] }),
    ] {
        let page = read(&render(&document, "A title", &[]));
        assert!(page.text.contains("A title"), "{document}");
    }
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let document = json!({
        "components": { "schemas": {
            "Tree": { "type": "object", "required": ["left", "right"], "properties": {
                "left": { "$ref": "#/components/schemas/Tree" }, "right": { "$ref": "#/components/schemas/Tree" },
            } },
            "Loop": { "allOf": [{ "$ref": "#/components/schemas/Loop" }] },
        } },
        "paths": { "/": { "put": {
            "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Tree" } } } },
            "responses": { "200": { "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/Loop" },
            } } } },
        } } },
    });
    let page = render(&document, "T", &[]);
    read(&page);
    assert!(page.len() < 40_000, "{}", page.len());
}

#[test]
fn headings_within_descriptions_keep_the_order() {
    let deep = "### c\n\ntext\n\n# a\n\n###### f";
    let document = json!({
        "info": { "description": deep },
        "tags": [{ "name": "T", "description": deep }],
        "components": {
            "schemas": { "S": { "description": deep, "properties": { "p": { "description": deep } } } },
            "securitySchemes": { "s": { "description": deep } },
        },
        "paths": { "/": { "get": {
            "tags": ["T"], "summary": "# not a heading", "description": deep,
            "parameters": [{ "name": "p", "in": "query", "description": deep }],
            "responses": { "200": { "description": deep } },
        } } },
    });
    read(&render(&document, "T", &[]));
}

/// The contrast of two colours (WCAG 2.2, relative luminance).
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let channel = |place: usize| {
            let value =
                u8::from_str_radix(&colour[place..place + 2], 16).expect("two hexadecimal digits");
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_colour_of_text_can_be_read_by_day_and_by_night() {
    let style = read(&problem_index()).style;
    let (day, night) = style
        .split_once("@media (prefers-color-scheme: dark)")
        .expect("there are two sets of colours");
    let night = night.split_once("@media").map_or(night, |(night, _)| night);
    for colours in [day, night] {
        let colour = |name: &str| {
            let (_, after) = colours
                .split_once(&format!("--{name}: "))
                .unwrap_or_else(|| panic!("no {name}"));
            after[..7].to_owned()
        };
        for paper in ["paper", "panel"] {
            for ink in [
                "ink", "quiet", "link", "code", "get", "post", "put", "delete",
            ] {
                let contrast = contrast(&colour(ink), &colour(paper));
                // WCAG 2.2 §1.4.3: at least 4.5 to 1.
                assert!(contrast >= 4.5, "{ink} on {paper}: {contrast:.2}");
            }
        }
    }
}
