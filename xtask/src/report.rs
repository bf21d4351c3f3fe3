//! The result of the checks: passed, failed, skipped, test counts, and the time of each part.

use crate::parts::{self, Part, Watch};
use std::process::{Command, ExitCode};

/// Collects outcomes and prints them at the end, so that a failure or a skip cannot scroll away.
pub struct Report {
    watch: Watch,
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    tests: TestCounts,
    parts: Vec<Part>,
}

/// Sums over all test binaries and doc tests.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub struct TestCounts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Report {
    /// The report of checks that begin now.
    pub fn new() -> Report {
        let (failed, skipped, parts) = (Vec::new(), Vec::new(), Vec::new());
        Report { watch: Watch::start(), passed: 0, failed, skipped, tests: TestCounts::default(), parts }
    }

    /// One check ended; its name is that of its part.
    pub fn ended(&mut self, part: Part, ok: bool) {
        println!("        {} took {:.1} s", part.name, part.clock.as_secs_f64());
        if ok {
            self.passed += 1;
        } else {
            println!("FAILED  {}", part.name);
            self.failed.push(part.name.clone());
        }
        self.took(part);
    }

    /// A part of the time of all checks.
    pub fn took(&mut self, part: Part) {
        self.parts.push(part);
    }

    /// One check, or one test inside a check, could not run.
    pub fn skipped(&mut self, what: String) {
        println!("{what}");
        self.skipped.push(what);
    }

    /// Reads one line of a test binary's output; says whether to show it.
    pub fn read_test_line(&mut self, line: &str, in_passed_output: &mut bool) -> bool {
        if let Some(counts) = TestCounts::read(line) {
            self.tests.add(counts);
        }
        match line {
            "successes:" => *in_passed_output = true,
            "failures:" => *in_passed_output = false,
            _ if line.starts_with("test result:") => *in_passed_output = false,
            _ => {}
        }
        // a test that lacks its data or tool passes and prints a line about it
        if line.trim_start().starts_with("SKIPPED") {
            self.skipped.push(line.trim().to_string());
            return true;
        }
        !*in_passed_output
    }

    /// Prints the end of the run: the time of each part, what was skipped, what failed, and the counts.
    pub fn finish(mut self) -> ExitCode {
        let whole = self.watch.lap("all checks");
        self.took(whole);
        println!("\n{}", parts::table(&self.parts));
        for what in &self.skipped {
            println!("{what}");
        }
        for check in &self.failed {
            println!("FAILED  {check}");
        }
        let TestCounts { passed, failed, ignored } = self.tests;
        println!("checks: {} passed, {} failed", self.passed, self.failed.len());
        println!("skipped: {} (each is named above)", self.skipped.len());
        println!("tests: {passed} passed, {failed} failed, {ignored} skipped");
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Prints that a check begins.
pub fn announce(check: &str, command: &Command) {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
    let program = words.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    println!("\n== {check}: {program} {}", words.get(1..).unwrap_or_default().join(" "));
}

impl TestCounts {
    /// Reads `test result: ok. 12 passed; 0 failed; 1 ignored; …`.
    fn read(line: &str) -> Option<TestCounts> {
        let rest = line.strip_prefix("test result: ")?;
        let count = |label: &str| {
            let words: Vec<&str> = rest.split([' ', ';', '.']).filter(|word| !word.is_empty()).collect();
            let at = words.iter().position(|word| *word == label)?;
            words.get(at.checked_sub(1)?)?.parse().ok()
        };
        Some(TestCounts { passed: count("passed")?, failed: count("failed")?, ignored: count("ignored")? })
    }

    fn add(&mut self, other: TestCounts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_from_the_closing_line_of_a_test_binary() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s";
        assert_eq!(TestCounts::read(line), Some(TestCounts { passed: 12, failed: 2, ignored: 1 }));
        assert_eq!(TestCounts::read("test tidy::counts ... ok"), None);
    }

    #[test]
    fn output_of_passed_tests_is_hidden_except_for_the_skips_in_it() {
        let mut report = Report::new();
        let mut in_passed_output = false;
        let shown: Vec<&str> = [
            "running 2 tests",
            "successes:",
            "---- a stdout ----",
            "chatter",
            "SKIPPED a: no data",
            "successes:",
            "    a",
            "failures:",
            "---- b stdout ----",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
        ]
        .into_iter()
        .filter(|line| report.read_test_line(line, &mut in_passed_output))
        .collect();
        assert_eq!(
            shown,
            [
                "running 2 tests",
                "SKIPPED a: no data",
                "failures:",
                "---- b stdout ----",
                "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            ]
        );
        assert_eq!(report.skipped, ["SKIPPED a: no data"]);
        assert_eq!(report.tests, TestCounts { passed: 1, failed: 1, ignored: 0 });
    }
}
