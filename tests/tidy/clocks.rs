//! Who may make the machine's clock: the programs and tests. Everything else is handed one, so that a test can set it.

use super::tree::{TextFile, Violations, rust_files};

/// Folders and files that may name it: where programs begin, tests, and stores that are opened without a run.
const MAY: &[&str] = &[
    "model/src/clock.rs",
    "cli/",
    "xtask/",
    "tests/",
    "benches/",
    "sinks/src/duckdb/config.rs",
    "sinks/src/clickhouse/config.rs",
];

#[test]
fn the_clock_of_the_machine_is_made_by_programs_and_tests() {
    let mut violations = Violations::default();
    for file in rust_files().into_iter().filter(|file| !MAY.iter().any(|path| file.path.starts_with(path))) {
        for (number, line) in before_tests(&file).filter(|(_, line)| names_it(line)) {
            violations.push(&file.path, number, line.trim());
        }
    }
    violations.assert_none("Take a `SharedClock` as a parameter and let the caller hand one in.");
}

/// The lines of a file that are not its tests.
fn before_tests(file: &TextFile) -> impl Iterator<Item = (usize, &str)> {
    let is_test = file.path.contains("/tests/")
        || file.path.contains("/benches/")
        || ["/tests.rs", "/test_server.rs", "/compliance.rs", "/faults.rs"].iter().any(|end| file.path.ends_with(end));
    file.lines().take_while(move |(_, line)| !is_test && line.trim() != "#[cfg(test)]")
}

fn names_it(line: &str) -> bool {
    line.split("//").next().unwrap_or_default().contains("SystemClock")
}

#[test]
fn comments_and_tests_may_name_it() {
    let file = |text: &str| TextFile { path: "x/src/a.rs".to_owned(), text: text.to_owned() };
    let found = |text: &str| before_tests(&file(text)).filter(|(_, line)| names_it(line)).count();
    assert_eq!(found("let a = SystemClock::shared();\n#[cfg(test)]\nlet b = SystemClock;"), 1);
    assert_eq!(found("/// open(path, SystemClock::shared())"), 0);
}
