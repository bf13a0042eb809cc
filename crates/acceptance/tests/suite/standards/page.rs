//! `docs/STANDARDS.md` names tests that there are, and every one of this folder.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = include_str!("../../../../../docs/STANDARDS.md");

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all tests in the sources below a folder.
fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(&path).unwrap();
            let mut is_test = false;
            for line in source.lines().map(str::trim) {
                is_test |=
                    line == "#[test]" || (line.starts_with("#[") && line.ends_with("::test]"));
                let name = line.trim_start_matches("async ").strip_prefix("fn ");
                if let Some((name, _)) = name.and_then(|rest| rest.split_once('(')) {
                    if is_test {
                        found.insert(name.to_owned());
                    }
                    is_test = false;
                }
            }
        }
    }
}

/// What the page names by its code: words in backticks that begin like a line or a rule and go on as a name does.
fn named() -> BTreeSet<&'static str> {
    let words = PAGE.split('`').skip(1).step_by(2);
    words
        .filter(|word| {
            word.contains('_')
                && word
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
        .filter(|word| word.len() > "rfc6749_3_2_1".len())
        .filter(|word| word.bytes().any(|byte| byte.is_ascii_digit()))
        .collect()
}

#[test]
fn every_test_that_the_page_names_exists() {
    let mut there = BTreeSet::new();
    tests_below(&crates(), &mut there);
    let named = named();
    assert!(named.len() > 100, "few names were found: {named:?}");
    let missing: Vec<_> = named
        .iter()
        .filter(|name| !there.contains(**name))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/STANDARDS.md names what is not there: {missing:#?}"
    );
}

#[test]
fn every_rule_of_tokens_pauses_secrets_and_of_clients_at_the_token_endpoint_is_on_the_page() {
    let families = [
        ("token", 1..=8),
        ("pause", 1..=4),
        ("client", 10..=15),
        ("secret", 1..=5),
    ];
    for (family, numbers) in families {
        for number in numbers {
            let rule = format!("{family}_{number}");
            let has_a_row = PAGE.contains(&format!("\n| {rule} | "));
            let comes_later = || PAGE.contains(&format!("`{rule}`"));
            assert!(has_a_row || comes_later(), "docs/STANDARDS.md lacks {rule}");
        }
    }
}

#[test]
fn every_line_that_is_proved_here_is_on_the_page() {
    let mut here = BTreeSet::new();
    tests_below(
        &crates().join("acceptance/tests/suite/standards"),
        &mut here,
    );
    let named = named();
    let missing: Vec<_> = here
        .iter()
        .filter(|name| name.starts_with("rfc") && !named.contains(name.as_str()))
        .collect();
    assert!(
        missing.is_empty(),
        "docs/STANDARDS.md does not name {missing:#?}"
    );
}
