//! The shape of a Rust file: its first line states what it owns, and it is short enough to read.

use super::tree::{Violations, rust_files};

/// Above this a file must be split.
const LINES_MAX: usize = 600;
/// Above this a file is named in the output of the test.
const LINES_AIM: usize = 300;

#[test]
fn each_file_says_first_what_it_owns() {
    let mut violations = Violations::default();
    for file in rust_files() {
        if !file.text.lines().next().is_some_and(says_what_it_owns) {
            violations.push(&file.path, 1, "the first line is not a `//!` with a sentence");
        }
    }
    violations.assert_none("Begin with `//! What this file owns.`; a file that needs two sentences may be two files.");
}

#[test]
fn files_are_short_enough_to_read() {
    let mut violations = Violations::default();
    for file in rust_files() {
        let count = file.text.lines().count();
        if count > LINES_MAX {
            violations.push(&file.path, LINES_MAX, format!("{count} lines, at most {LINES_MAX}"));
        } else if count > LINES_AIM {
            eprintln!("{}: {count} lines, more than the {LINES_AIM} we aim for", file.path);
        }
    }
    violations.assert_none("Split it by idea: one file, one idea; long tests go to `tests.rs` beside it.");
}

/// One binary runs all tests of tests/; cargo does not look for files that main.rs does not name.
#[test]
fn every_file_of_tests_is_part_of_the_test_binary() {
    let files = rust_files();
    let main = files.iter().find(|file| file.path == "tests/main.rs").unwrap();
    let mut violations = Violations::default();
    for file in &files {
        let Some(module) = file.path.strip_prefix("tests/").and_then(|name| name.strip_suffix(".rs")) else { continue };
        if !module.contains('/') && module != "main" && !main.text.lines().any(|line| line == format!("mod {module};"))
        {
            violations.push(&file.path, 1, "its tests never run");
        }
    }
    violations.assert_none("Add `mod NAME;` to tests/main.rs.");
}

fn says_what_it_owns(line: &str) -> bool {
    line.strip_prefix("//! ").is_some_and(|sentence| sentence.split_whitespace().count() >= 3)
}

#[test]
fn a_bare_comment_is_not_a_first_line() {
    assert!(says_what_it_owns("//! Cuts batches into ticks."));
    for line in ["//!", "//! Ticks", "// Cuts batches into ticks.", "use std::fs;", ""] {
        assert!(!says_what_it_owns(line), "{line}");
    }
}
