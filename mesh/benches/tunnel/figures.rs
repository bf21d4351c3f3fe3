//! The figures of the bench: one line each, with its limit and whether it is kept.

use std::fmt;
use std::process::ExitCode;

/// What has been measured so far.
#[derive(Default)]
pub(crate) struct Figures {
    missed: Vec<String>,
}

impl Figures {
    /// A value that must not be below its limit.
    pub(crate) fn at_least(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.judge(what, value >= limit, format_args!("{value:.3} {unit} (at least {limit} {unit})"));
    }

    /// A value that must not be above its limit.
    pub(crate) fn at_most(&mut self, what: &str, value: f64, limit: f64, unit: &str) {
        self.judge(what, value <= limit, format_args!("{value:.3} {unit} (at most {limit} {unit})"));
    }

    fn judge(&mut self, what: &str, is_kept: bool, line: fmt::Arguments<'_>) {
        println!("{} {what}: {line}", if is_kept { "ok    " } else { "MISSED" });
        if !is_kept {
            self.missed.push(what.to_owned());
        }
    }

    /// Fails if a limit was missed.
    pub(crate) fn conclude(self) -> ExitCode {
        let build =
            if cfg!(debug_assertions) { "a dev build: the limits are those of a release build" } else { "release" };
        match self.missed.as_slice() {
            [] => println!("every limit is kept ({build})"),
            missed => println!("missed ({build}): {}", missed.join("; ")),
        }
        if self.missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
