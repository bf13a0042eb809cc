//! The pages of problems: what stands behind the `type` of an answer that tells what went wrong.

use crate::address;
use crate::markdown::{Headings, blocks};
use crate::page::{Link, Page};

/// Where the pages are served; the address of each is this, `/` and its code.
const ROOT: &str = "/problems";

const INDEX: &str = include_str!("../../../docs/problems/README.md");

macro_rules! problems {
    ($($code:literal),* $(,)?) => {
        const CODES: &[&str] = &[$($code),*];

        fn source(code: &str) -> Option<&'static str> {
            match code {
                $($code => Some(include_str!(concat!("../../../docs/problems/", $code, ".md"))),)*
                _ => None,
            }
        }
    };
}

// By their status. A code without its file doesn't compile; a file without its code fails a test.
problems![
    "malformed-json",
    "invalid-cursor",
    "invalid-idempotency-key",
    "unauthenticated",
    "forbidden",
    "address-not-allowed",
    "not-found",
    "method-not-allowed",
    "conflict",
    "root-owner",
    "not-empty",
    "public-client",
    "too-many-secrets",
    "platform-tenant",
    "quota-reached",
    "position-expired",
    "precondition-failed",
    "too-large",
    "unsupported-media-type",
    "invalid-field",
    "confirmation-mismatch",
    "idempotency-key-reused",
    "too-many-requests",
    "internal",
    "unavailable",
];

/// The codes of all problems that have a page, by their status.
pub fn problem_codes() -> &'static [&'static str] {
    CODES
}

/// The page of a problem, to be served at `/problems/{code}`; none for a code that doesn't exist.
pub fn problem_page(code: &str) -> Option<String> {
    let source = source(code)?;
    let links = [Link {
        text: "All problems",
        address: ROOT,
    }];
    Some(page(source, &links))
}

/// The page that lists the problems, to be served at `/problems`.
pub fn problem_index() -> String {
    page(INDEX, &[])
}

fn page(source: &str, links: &[Link<'_>]) -> String {
    Page {
        title: title(source),
        links,
        contents: None,
        main: blocks(source, Headings::From(1), served_at),
    }
    .render()
}

/// The first heading.
fn title(source: &str) -> &str {
    source
        .lines()
        .find_map(|line| line.strip_prefix("# "))
        .unwrap_or("Problem")
}

/// Within the folder the pages link to each other's files, so that they can be read there too.
fn served_at(address: &str) -> Option<String> {
    match address.strip_suffix(".md") {
        Some("README") => Some(ROOT.to_owned()),
        Some(code) => CODES.contains(&code).then(|| format!("{ROOT}/{code}")),
        None => address::allowed(address),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};
    use serde_json::Value;

    use super::{CODES, INDEX, problem_index, problem_page, served_at, source};

    /// The statuses that the codes have.
    const STATUSES: [u16; 25] = [
        400, 400, 400, 401, 403, 403, 404, 405, 409, 409, 409, 409, 409, 409, 409, 410, 412, 413,
        415, 422, 422, 422, 429, 500, 503,
    ];

    fn sources() -> impl Iterator<Item = (&'static str, u16, &'static str)> {
        CODES
            .iter()
            .zip(STATUSES)
            .map(|(code, status)| (*code, status, source(code).expect("each code has a source")))
    }

    fn examples(markdown: &str) -> Vec<Value> {
        let mut in_json = false;
        let mut found = Vec::new();
        for event in Parser::new(markdown) {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(name))) => {
                    in_json = name.as_ref() == "json";
                }
                Event::End(TagEnd::CodeBlock) => in_json = false,
                Event::Text(text) if in_json => {
                    found.push(serde_json::from_str(&text).expect("an example is JSON"));
                }
                _ => {}
            }
        }
        found
    }

    #[test]
    fn every_file_has_its_code_and_every_code_its_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems");
        let files: BTreeSet<String> = fs::read_dir(folder)
            .expect("the folder is there")
            .map(|entry| entry.expect("it can be read").file_name())
            .map(|name| name.into_string().expect("names are UTF-8"))
            .filter(|name| name != "README.md")
            .collect();
        let expected: BTreeSet<String> = CODES.iter().map(|code| format!("{code}.md")).collect();
        assert_eq!(files, expected);
        assert_eq!(CODES.len(), expected.len());
    }

    #[test]
    fn every_page_says_code_status_mend_and_whether_a_retry_helps() {
        for (code, status, markdown) in sources() {
            let lines: Vec<&str> = markdown.lines().collect();
            assert!(lines[0].starts_with("# "), "{code}");
            assert_eq!(lines[2], format!("`{code}`, status {status}"), "{code}");
            for heading in ["## When it comes", "## The mend", "## Does a retry help?"] {
                assert!(lines.contains(&heading), "{code} lacks {heading}");
            }
            assert!(
                (10..=36).contains(&lines.len()),
                "{code}: {} lines",
                lines.len()
            );
        }
    }

    #[test]
    fn every_example_is_an_answer_of_its_kind() {
        for (code, status, markdown) in sources() {
            let examples = examples(markdown);
            assert_eq!(examples.len(), 1, "{code}");
            let example = examples[0].as_object().expect("a problem is an object");
            assert_eq!(example["code"], code);
            assert_eq!(example["status"], status, "{code}");
            let kind = example["type"].as_str().expect("a type is a text");
            assert!(
                kind.starts_with("https://") && kind.ends_with(&format!("/problems/{code}")),
                "{kind}"
            );
            for field in ["title", "detail", "request_id"] {
                assert!(
                    example[field].as_str().is_some_and(|text| !text.is_empty()),
                    "{code}: {field}"
                );
            }
            let tells_fields = ["invalid-field", "confirmation-mismatch"].contains(&code);
            assert_eq!(example.contains_key("errors"), tells_fields, "{code}");
            for key in example.keys() {
                let known = [
                    "type",
                    "code",
                    "title",
                    "status",
                    "detail",
                    "request_id",
                    "errors",
                ];
                assert!(known.contains(&key.as_str()), "{code}: {key}");
            }
        }
    }

    #[test]
    fn the_index_lists_each_code_with_its_status() {
        for (code, status, _) in sources() {
            let entry = format!("| [`{code}`]({code}.md) | {status} | ");
            assert_eq!(INDEX.matches(&entry).count(), 1, "{entry}");
        }
        assert_eq!(INDEX.matches(".md) | ").count(), CODES.len());
    }

    #[test]
    fn every_link_leads_somewhere() {
        for markdown in sources().map(|(_, _, markdown)| markdown).chain([INDEX]) {
            for event in Parser::new(markdown) {
                if let Event::Start(Tag::Link { dest_url, .. }) = event {
                    assert!(served_at(&dest_url).is_some(), "{dest_url}");
                }
            }
        }
    }

    #[test]
    fn pages_link_to_where_they_are_served() {
        assert!(
            problem_index()
                .contains("<a href=\"/problems/invalid-field\"><code>invalid-field</code></a>")
        );
        let page = problem_page("invalid-field").expect("there is one");
        assert!(
            page.contains("<a href=\"/problems\">All problems</a>"),
            "{page}"
        );
        assert!(!page.contains(".md\""), "{page}");
    }

    #[test]
    fn there_is_no_page_for_another_code() {
        for code in [
            "",
            "README",
            "Invalid-field",
            "../README",
            "invalid-field.md",
            "nothing",
        ] {
            assert_eq!(problem_page(code), None, "{code}");
        }
    }
}
