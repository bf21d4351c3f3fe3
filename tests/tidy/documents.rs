//! The documents match the code: the map names every crate, and every invariant names an existing test.

use super::edges::ALLOWED;
use super::tree::{TextFile, Violations, root, rust_files};
use std::collections::BTreeSet;
use std::fs;

fn document(name: &str) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name} is part of the repository: {error}"))
}

#[test]
fn the_architecture_maps_every_crate_with_its_edges() {
    let text = document("ARCHITECTURE.md");
    let mut violations = Violations::default();
    for (folder, allowed) in ALLOWED {
        let Some((line, edges)) = map_row(&text, folder) else {
            violations.push("ARCHITECTURE.md", 1, format!("no row `| `{folder}` | … |` in the table of folders"));
            continue;
        };
        // the top-level crate describes its edges in words
        let mut drawn: Vec<&str> = edges.split(", ").filter(|edge| !["–", "-", ""].contains(edge)).collect();
        let mut allowed = allowed.to_vec();
        drawn.sort_unstable();
        allowed.sort_unstable();
        if !edges.starts_with("everything") && drawn != allowed {
            violations.push(
                "ARCHITECTURE.md",
                line,
                format!("`{folder}` -> {drawn:?}, tests/tidy/edges.rs has {allowed:?}"),
            );
        }
    }
    violations.assert_none("Say in the table what the crate owns, and the same edges as tests/tidy/edges.rs.");
}

/// The line and the last cell of the row "| `folder` | … | edges |".
fn map_row<'a>(text: &'a str, folder: &str) -> Option<(usize, &'a str)> {
    let head = format!("| `{folder}` |");
    let (index, row) = text.lines().enumerate().find(|(_, line)| line.starts_with(&head))?;
    Some((index + 1, row.trim_end().trim_end_matches('|').rsplit('|').next()?.trim()))
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = document("ARCHITECTURE.md");
    let files = rust_files();
    let invariants = invariants(&text);
    assert!(!invariants.is_empty(), "ARCHITECTURE.md has no line `- **I1** … test: `crate::tests::name``");
    let mut violations = Violations::default();
    let mut names = BTreeSet::new();
    for Invariant { line, name, tests } in invariants {
        if !names.insert(name.clone()) {
            violations.push("ARCHITECTURE.md", line, format!("another invariant is {name}"));
        }
        if tests.is_empty() {
            violations.push("ARCHITECTURE.md", line, format!("{name} names no test"));
        }
        for test in tests.iter().filter(|test| !files.iter().any(|file| has_test(file, test))) {
            violations.push("ARCHITECTURE.md", line, format!("{name}: there is no test `{test}`"));
        }
    }
    violations.assert_none(
        "Name a test as `folder::module::function`, or `module::function` for one in tests/; an invariant that nothing \
         keeps is a wish.",
    );
}

#[test]
fn the_changelog_has_a_place_for_the_next_change() {
    let text = document("CHANGELOG.md");
    assert!(text.lines().any(|line| line == "## [Unreleased]"), "CHANGELOG.md has no line `## [Unreleased]`");
}

/// One rule of the architecture with the tests that keep it.
#[derive(Debug, PartialEq)]
struct Invariant {
    line: usize,
    name: String,
    tests: Vec<String>,
}

/// Reads list items like "- **I3** what must hold; test: `sinks::duckdb::tests::name`", which may run over lines.
fn invariants(text: &str) -> Vec<Invariant> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = (0..lines.len()).filter(|index| lines[*index].starts_with("- **I"));
    let item = |start: usize| {
        let more = lines[start + 1..].iter().take_while(|line| line.starts_with("  "));
        let whole = std::iter::once(&lines[start]).chain(more).copied().collect::<Vec<_>>().join(" ");
        let name = whole.trim_start_matches("- **").split("**").next().unwrap_or_default().to_string();
        let named = whole.split_once("test: ").or_else(|| whole.split_once("tests: ")).map_or("", |(_, named)| named);
        let tests = named.split('`').skip(1).step_by(2).map(|test| test.split_whitespace().collect()).collect();
        Invariant { line: start + 1, name, tests }
    };
    starts.map(item).collect()
}

/// True when `file` holds the test `folder::…::function`, or `module::…::function` for a module of tests/. The names
/// between only help a reader to find it.
fn has_test(file: &TextFile, test: &str) -> bool {
    let Some((place, path)) = test.split_once("::") else { return false };
    let function = path.rsplit("::").next().unwrap_or(path);
    let in_place = file.folder() == place
        || file.path == format!("tests/{place}.rs")
        || file.path.starts_with(&format!("tests/{place}/"));
    let lines: Vec<&str> = file.text.lines().map(str::trim_start).collect();
    let heads = [format!("fn {function}("), format!("async fn {function}(")];
    let is_test = |at: usize| {
        let above = lines[..at].iter().rev().take_while(|line| line.starts_with(['#', '/']));
        above.into_iter().any(|line| is_test_attribute(line))
    };
    in_place && (0..lines.len()).any(|at| heads.iter().any(|head| lines[at].starts_with(head)) && is_test(at))
}

fn is_test_attribute(line: &str) -> bool {
    line == "#[test]" || line.starts_with("#[tokio::test")
}

#[test]
fn invariants_are_read_and_their_tests_found() {
    let text = "# Map\n\n- **I1** rows cancel; test: `a::tests::rows_cancel`\n- **I2** all of it\n  holds; tests: `a::x`, \
                `tests::y::z`\n- **I3** nothing keeps this\n- another item with `code`\n";
    let read: Vec<(usize, usize)> = invariants(text).iter().map(|it| (it.line, it.tests.len())).collect();
    assert_eq!(read, [(3, 1), (4, 2), (6, 0)]);
    let file = |path: &str, text: &str| TextFile { path: path.to_string(), text: text.to_string() };
    let source = "mod tests {\n    /// Why.\n    #[test]\n    fn rows_cancel() {}\n    fn helper() {}\n}\n";
    assert!(has_test(&file("a/src/lib.rs", source), "a::tests::rows_cancel"));
    assert!(!has_test(&file("b/src/lib.rs", source), "a::tests::rows_cancel"), "another crate");
    assert!(!has_test(&file("a/src/lib.rs", source), "a::tests::helper"), "not a test");
    assert!(!has_test(&file("a/src/lib.rs", source), "a::tests::rows"), "part of a name");
    assert!(has_test(&file("tests/orders.rs", source), "orders::rows_cancel"), "a module of tests/");
    assert_eq!(map_row("x\n| `a` | coral-a | owns it | b, c |\n", "a"), Some((2, "b, c")));
}
