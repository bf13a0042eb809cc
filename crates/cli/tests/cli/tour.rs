//! The tour in the documents, run as it stands there.

use std::fmt::Write as _;
use std::process::Command;

use crate::place::Place;
use crate::program::{Running, dev, run};

const TOUR: &str = include_str!("../../../../docs/tour.md");

/// What stands between the outputs of two blocks.
const MARK: &str = "=== end of block ===";

/// The commands of one block, and the lines that stand below it.
struct Block {
    commands: String,
    printed: Vec<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fence: Option<&str> = None;
    let mut text = String::new();
    for line in TOUR.lines() {
        match (fence, line.strip_prefix("```")) {
            (None, Some(kind)) => fence = Some(kind),
            (Some("sh"), Some(_)) => {
                blocks.push(Block {
                    commands: std::mem::take(&mut text),
                    printed: Vec::new(),
                });
                fence = None;
            }
            (Some(_), Some(_)) => {
                let block = blocks.last_mut().expect("a command above what it prints");
                block.printed = text.lines().map(str::to_owned).collect();
                text.clear();
                fence = None;
            }
            (Some(_), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(fence.is_none(), "a block has no end");
    blocks
}

/// Whether a line is as the tour says, where `…` stands for anything.
fn is_as_told(told: &str, line: &str) -> bool {
    let mut parts = told.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else {
        return false;
    };
    let mut open = false;
    for part in parts {
        open = true;
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.is_empty() || (open && told.ends_with('…'))
}

#[test]
fn every_command_of_the_tour_prints_what_stands_below_it() {
    let place = Place::new();
    let running = Running::start(&mut dev(&place));
    let variables: String = running
        .welcome
        .lines()
        .filter(|line| {
            let name = line.split_once("='").map_or("", |(name, _)| name);
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase())
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let blocks = blocks();
    assert!(
        blocks.len() >= 8,
        "the tour has few commands: {}",
        blocks.len()
    );

    let mut script = format!("set -eu\n{variables}");
    for block in &blocks {
        script.push_str(&block.commands);
        let _ = writeln!(script, "echo '{MARK}'");
    }
    let ended = run(Command::new("bash")
        .args(["-c", &script])
        .current_dir(place.folder()));
    assert!(
        ended.status.success(),
        "{}\n{}",
        ended.output,
        ended.complaints
    );
    let mut printed = ended.output.split(MARK);
    for block in &blocks {
        let output = printed.next().unwrap_or_default();
        let lines: Vec<&str> = output.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(
            lines.len(),
            block.printed.len(),
            "{}\n{output}",
            block.commands
        );
        for (told, line) in block.printed.iter().zip(lines) {
            assert!(
                is_as_told(told, line),
                "{}\nprinted {line}\nnot     {told}",
                block.commands
            );
        }
    }
    running.stop(&place);
}

#[test]
fn what_differs_is_what_the_tour_leaves_open() {
    assert!(is_as_told("a…c", "abc"));
    assert!(is_as_told("a…", "abc"));
    assert!(is_as_told("abc", "abc"));
    for (told, line) in [
        ("abc", "abcd"),
        ("a…c", "abcd"),
        ("a…x…", "abc"),
        ("b…", "abc"),
    ] {
        assert!(!is_as_told(told, line), "{told} {line}");
    }
}
