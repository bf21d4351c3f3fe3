//! Words that must not be committed: unfinished work, disabled tests, and maps whose order changes from run to run.

use super::tree::{Violations, rust_files, text_files};

/// Written in two halves, so that this file does not find itself.
const UNFINISHED: &[&str] = &[
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("#[ig", "nore"),
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("XX", "X"),
];
const CODE: &[&str] = &[".rs", ".sql", ".proto", ".py", ".sh", ".js", ".css", ".html", ".toml", ".yaml", ".yml"];

/// Code of others as they published it.
const VENDORED: &str = "reef/src/dashboard/assets/uPlot.";

#[test]
fn no_unfinished_work_and_no_disabled_test() {
    let mut violations = Violations::default();
    let is_code = |path: &str| CODE.iter().any(|ending| path.ends_with(ending)) && !path.starts_with(VENDORED);
    for file in text_files().iter().filter(|file| is_code(&file.path)) {
        for (number, line) in file.lines() {
            if let Some(marker) = UNFINISHED.iter().find(|marker| contains_word(line, marker)) {
                violations.push(&file.path, number, format!("`{marker}`: {}", line.trim()));
            }
        }
    }
    violations
        .assert_none("Finish it, or say in the tracker what is missing; a test that cannot run here skips loudly.");
}

#[test]
fn operators_use_no_map_with_an_accidental_order() {
    let mut violations = Violations::default();
    for file in rust_files().iter().filter(|file| file.path.starts_with("operators/src/")) {
        for (number, line) in file.lines().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            if let Some(map) = ["HashMap", "HashSet", "RandomState"].iter().find(|map| contains_word(line, map)) {
                violations.push(&file.path, number, format!("`{map}`: {}", line.trim()));
            }
        }
    }
    violations.assert_none("Results are a function of the set of input rows: use BTreeMap, BTreeSet or a sorted Vec.");
}

/// True when `word` stands in `line` and no letter, digit or `_` runs into it.
fn contains_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let runs_in = before.is_some_and(is_part) && word.starts_with(is_part);
        let runs_on = after.is_some_and(is_part) && word.ends_with(is_part);
        !runs_in && !runs_on
    })
}

#[test]
fn markers_are_whole_words() {
    assert!(contains_word(concat!("// FIX", "ME later"), concat!("FIX", "ME")));
    assert!(contains_word(concat!("    to", "do!()"), concat!("to", "do!(")));
    assert!(contains_word(concat!("#[ig", "nore = \"slow\"]"), concat!("#[ig", "nore")));
    assert!(!contains_word("mktemp file-XXXXXX", concat!("XX", "X")));
    assert!(!contains_word("use crate::MyHashMapLike;", "HashMap"));
}
