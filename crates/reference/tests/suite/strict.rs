//! A reader of HTML that takes only what these pages may hold, and tells everything else.

use std::collections::{BTreeSet, HashSet};

/// What a page may be made of. Nothing here runs, asks for anything, or takes input.
const ELEMENTS: [&str; 41] = [
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "header",
    "nav",
    "main",
    "section",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "p",
    "a",
    "ul",
    "ol",
    "li",
    "dl",
    "dt",
    "dd",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
    "pre",
    "code",
    "em",
    "strong",
    "blockquote",
    "br",
    "hr",
    "details",
    "summary",
    "span",
    "div",
];
const VOID: [&str; 3] = ["meta", "br", "hr"];
const ATTRIBUTES: [&str; 13] = [
    "lang",
    "charset",
    "name",
    "content",
    "class",
    "id",
    "href",
    "aria-label",
    "role",
    "scope",
    "tabindex",
    "open",
    "start",
];

/// A page that was read.
#[derive(Debug, Default)]
pub struct Read {
    /// Each tag with its attributes, in order.
    pub tags: Vec<(String, Vec<(String, String)>)>,
    /// The text, unescaped, with the style left out.
    pub text: String,
    /// What stands between `<style>` and `</style>`.
    pub style: String,
}

/// Reads a page.
///
/// # Panics
/// If the page has anything that is not allowed, or is not well-formed.
pub fn read(page: &str) -> Read {
    let mut read = Read::default();
    let mut open: Vec<String> = Vec::new();
    let mut rest = page
        .strip_prefix("<!doctype html>\n")
        .expect("a page begins with its type");
    while let Some((text, after)) = rest.split_once('<') {
        read.text.push_str(&unescaped(text));
        let (tag, after) = after.split_once('>').expect("a tag ends");
        rest = after;
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(
                open.pop().as_deref(),
                Some(name),
                "what is opened last is closed first"
            );
            continue;
        }
        let (name, attributes) = parsed(tag);
        assert!(ELEMENTS.contains(&name.as_str()), "no <{name}>");
        if name == "style" {
            let (style, after) = rest.split_once("</style>").expect("a style ends");
            assert!(read.style.is_empty(), "there is one style");
            style.clone_into(&mut read.style);
            rest = after;
        } else if !VOID.contains(&name.as_str()) {
            open.push(name.clone());
        }
        read.tags.push((name, attributes));
    }
    read.text.push_str(&unescaped(rest));
    assert!(open.is_empty(), "left open: {open:?}");
    read.check();
    read
}

impl Read {
    /// The values of an attribute.
    pub fn values<'a>(&'a self, attribute: &'a str) -> impl Iterator<Item = &'a str> {
        self.tags
            .iter()
            .flat_map(|(_, attributes)| attributes)
            .filter(move |(name, _)| name == attribute)
            .map(|(_, value)| value.as_str())
    }

    fn check(&self) {
        let mut ids = HashSet::new();
        for id in self.values("id") {
            assert!(
                !id.is_empty() && !id.contains(char::is_whitespace),
                "{id:?}"
            );
            assert!(ids.insert(id), "two places are called {id}");
        }
        for address in self.values("href") {
            match address.strip_prefix('#') {
                Some(place) => assert!(ids.contains(place), "{address} leads nowhere"),
                None => assert!(
                    ["https://", "http://", "mailto:", "/"]
                        .iter()
                        .any(|allowed| address.starts_with(allowed))
                        && !address.starts_with("//")
                        && !address.contains(char::is_whitespace),
                    "{address}"
                ),
            }
        }
        self.check_headings();
        self.check_nesting();
        for (name, attributes) in &self.tags {
            if name == "th" {
                assert!(
                    attributes.iter().any(|(name, _)| name == "scope"),
                    "a header says of what"
                );
            }
        }
    }

    fn check_headings(&self) {
        let mut before = 0;
        for (name, _) in &self.tags {
            let Some(level) = name
                .strip_prefix('h')
                .and_then(|level| level.parse::<u8>().ok())
            else {
                continue;
            };
            assert!(
                level <= before + 1,
                "a heading {level} after one of level {before}"
            );
            assert!(level > 1 || before == 0, "there is one first heading");
            before = level;
        }
        assert!(before > 0, "a page has a heading");
    }

    fn check_nesting(&self) {
        let count = |wanted: &str| self.tags.iter().filter(|(name, _)| name == wanted).count();
        for once in ["html", "head", "title", "style", "body", "main", "h1"] {
            assert_eq!(count(once), 1, "{once}");
        }
        let unknown: BTreeSet<&str> = self
            .values("role")
            .filter(|role| {
                ![
                    "table",
                    "rowgroup",
                    "row",
                    "columnheader",
                    "rowheader",
                    "cell",
                ]
                .contains(role)
            })
            .collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}

fn parsed(tag: &str) -> (String, Vec<(String, String)>) {
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let mut attributes = Vec::new();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let (attribute, after) = rest.split_at(end);
        assert!(
            ATTRIBUTES.contains(&attribute),
            "no attribute {attribute:?} in <{tag}>"
        );
        let value = if let Some(after) = after.strip_prefix("=\"") {
            let (value, after) = after.split_once('"').expect("a value ends");
            rest = after;
            unescaped(value)
        } else {
            assert_eq!(attribute, "open", "a value stands in quotes");
            rest = after;
            String::new()
        };
        assert!(rest.is_empty() || rest.starts_with(' '), "<{tag}>");
        rest = rest.trim_start_matches(' ');
        attributes.push((attribute.to_owned(), value));
    }
    (name.to_owned(), attributes)
}

fn unescaped(text: &str) -> String {
    assert!(!text.contains(['>', '<', '"', '\'']), "not escaped: {text}");
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        result.push_str(before);
        let (name, after) = after.split_once(';').expect("an escape ends");
        result.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => panic!("an escape of another kind: {other}"),
        });
        rest = after;
    }
    result.push_str(rest);
    result
}
