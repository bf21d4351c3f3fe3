//! The result of the checks: passed, failed, skipped, and test counts.

use std::process::ExitCode;

/// Collects outcomes and prints them at the end, so that a failure or a skip cannot scroll away.
#[derive(Default)]
pub struct Report {
    passed: usize,
    failed: Vec<String>,
    skipped: Vec<String>,
    tests: TestCounts,
}

/// Sums over all test binaries and doc tests.
#[derive(Default, Clone, Copy, PartialEq, Eq, Debug)]
pub struct TestCounts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Report {
    /// One check ended.
    pub fn ended(&mut self, check: &str, ok: bool) {
        if ok {
            self.passed += 1;
        } else {
            println!("FAILED  {check}");
            self.failed.push(check.to_string());
        }
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

    /// Prints the end of the run: what failed, what was skipped, and the counts.
    pub fn finish(self) -> ExitCode {
        println!();
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
        let mut report = Report::default();
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
